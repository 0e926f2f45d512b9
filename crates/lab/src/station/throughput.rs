//! How much TCP carries from one station to another.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::wait::wait_until;

use super::Station;

/// Time that the server gets to listen.
const START_LIMIT: Duration = Duration::from_secs(10);

impl Station {
    /// Sends to `server` over one TCP connection for `duration` (whole seconds, one at least), and gives the bits per
    /// second that arrived.
    ///
    /// # Errors
    /// [`Error::Failed`] if there is no connection, [`Error::Answer`] if `iperf3` does not say what arrived.
    pub fn throughput_to(&self, server: &Station, address: IpAddr, duration: Duration) -> Result<f64> {
        let listener = server.spawn("iperf3", ["iperf3", "--server", "--one-off", "--forceflush"])?;
        let listening = || server.exec(["ss", "-Hltn", "sport = :5201"]);
        wait_until("iperf3 to listen", START_LIMIT, || match listening() {
            Ok(sockets) if !sockets.is_empty() => Ok(()),
            Ok(_) => Err("no socket yet".to_owned()),
            Err(error) => Err(error.to_string()),
        })?;
        let (to, seconds) = (address.to_string(), duration.as_secs().max(1).to_string());
        let argv = ["iperf3", "--client", &to, "--time", &seconds, "--connect-timeout", "3000", "--json"];
        let answer = self.exec(argv)?;
        drop(listener);
        let report: Option<Value> = serde_json::from_str(&answer).ok();
        let received = report.as_ref().and_then(|report| report.pointer("/end/sum_received/bits_per_second"));
        received.and_then(Value::as_f64).ok_or(Error::Answer { command: "iperf3".to_owned(), answer })
    }
}
