//! Streams of packets while something happens.

use std::net::IpAddr;
use std::time::Duration;

use lab::{PingStream, Result, Station};

use super::PATIENCE;

/// Time between the packets of a stream: 1,000 a second.
const INTERVAL: Duration = Duration::from_millis(1);

/// Packets that a stream goes on for before and after something happens.
pub const A_WHILE: u32 = 300;

/// Runs a stream while something is done, and expects that it loses nothing.
pub fn expect_no_loss(
    from: &Station,
    to: IpAddr,
    what: &str,
    done: impl FnOnce(&PingStream) -> Result<()>,
) -> Result<()> {
    let stream = from.start_ping(to, INTERVAL)?;
    stream.wait_for_more(A_WHILE, PATIENCE)?;
    done(&stream)?;
    stream.wait_for_more(A_WHILE, PATIENCE)?;
    let report = stream.finish()?;
    assert!(report.lost.is_empty(), "{what}: {report:?}");
    Ok(())
}
