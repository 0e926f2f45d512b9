//! What manager and agent serve over HTTP in the same way.
//!
//! - [`server`]: connections, and what each of them may cost.
//! - [`health`]: what a supervisor asks.
//! - [`metrics`]: what Prometheus asks.

pub mod health;
pub mod metrics;
pub mod patience;
pub mod server;

pub use server::serve;
