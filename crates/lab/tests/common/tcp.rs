//! TCP connections between stations.

use std::io::{Read, Write};
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use lab::{Error, Result, Station};

use super::{PATIENCE, answers_once};

/// What is sent over TCP, in bytes: hundreds of segments.
const TRANSFER: usize = 1 << 20;

/// Sends over TCP, and sees that all of it arrives.
pub fn transfer(from: &Station, to: &Station, address: IpAddr) -> Result<()> {
    let failed = |step| move |source| Error::Socket { step, source };
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let listener = to.tcp_listen(any.parse().expect("an address"))?;
    let port = listener.local_addr().map_err(failed("listen"))?.port();
    let receiver = thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut received = Vec::new();
        stream.read_to_end(&mut received).map(|_| received.len())
    });
    let mut stream = from.connect((address, port).into(), Duration::from_secs(3))?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed("prepare"))?;
    stream.write_all(&vec![7; TRANSFER]).map_err(failed("send"))?;
    drop(stream);
    let received = receiver.join().expect("no panic").map_err(failed("receive"))?;
    assert_eq!(received, TRANSFER, "{} to {address}", from.name());
    // On the way back there was something to say, too.
    assert!(answers_once(from, address)?);
    Ok(())
}
