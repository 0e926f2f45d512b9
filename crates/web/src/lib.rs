//! What manager and agent tell those who run them in the same way, most of it over HTTP.
//!
//! - [`server`]: connections, and what each of them may cost.
//! - [`health`]: what a supervisor asks.
//! - [`metrics`]: what Prometheus asks.
//! - [`log`]: what nobody asks.

pub mod health;
pub mod log;
pub mod metrics;
pub mod patience;
pub mod server;

pub use server::serve;
