//! What Prometheus asks: counters and gauges in the OpenMetrics text format.
//!
//! What happens is counted where it happens, in a registry that lasts. What is so at the moment is looked up when asked
//! for, in a registry made for the answer.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What the text format calls itself (OpenMetrics 1.0, "Content-Type").
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers `/metrics` with what these registries hold.
///
/// # Panics
/// Never: a text takes whatever is written to it.
pub fn page(registries: &[&Registry]) -> Response {
    let mut text = String::new();
    for registry in registries {
        encode_registry(&mut text, registry).expect("a text takes everything");
    }
    encode_eof(&mut text).expect("a text takes everything");
    ([(CONTENT_TYPE, OPENMETRICS)], text).into_response()
}

/// A gauge with the value it has now.
pub fn gauge(value: impl TryInto<i64>) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(value.try_into().unwrap_or(i64::MAX));
    gauge
}

/// Bounds of histograms of times, in seconds: a tenth of a millisecond to ten seconds.
pub const SECONDS: [f64; 11] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];
