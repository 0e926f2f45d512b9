//! What a supervisor asks: is the program alive, and can it do its work?
//!
//! `/healthz` answers as long as requests are answered at all: who restarts processes goes by it. `/readyz` says 503 with
//! the reason while the program lacks something that a restart would not give it.

use axum::http::StatusCode;

/// Answers `/healthz`.
pub async fn alive() -> &'static str {
    "alive\n"
}

/// Answers `/readyz`, where `obstacle` is why the program cannot do its work, if so.
pub fn ready(obstacle: Option<String>) -> (StatusCode, String) {
    match obstacle {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason + "\n"),
    }
}
