//! Frames at a station's NIC, as `tcpdump` shows them.

use std::time::Duration;

use crate::error::Result;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::wait::wait_until;

use super::{NIC, Station};

/// Time that `tcpdump` gets to open its socket.
const START_LIMIT: Duration = Duration::from_secs(10);

/// What `tcpdump` says first: from then on nothing is missed.
const GREETING: &str = "listening on ";

/// Directions, in words of tcpdump(8).
const BOTH_WAYS: &str = "inout";
const INWARDS: &str = "in";

/// A running capture: one line per frame, with the Ethernet header.
#[derive(Debug)]
pub struct Capture(Process);

impl Station {
    /// Watches its NIC for frames that match `filter` (pcap-filter(7)), in both directions.
    ///
    /// # Errors
    /// [`crate::Error::Answer`] if the filter is wrong.
    pub fn capture(&self, filter: &str) -> Result<Capture> {
        Capture::start(self, NIC, BOTH_WAYS, filter)
    }

    /// As [`capture`](Self::capture), of frames that arrive. (`inbound` in a filter misses the first one: libpcap judges
    /// what comes while it sets the filter by itself, and does not know its direction.)
    ///
    /// # Errors
    /// As [`capture`](Self::capture).
    pub fn capture_arriving(&self, filter: &str) -> Result<Capture> {
        Capture::start(self, NIC, INWARDS, filter)
    }
}

impl Namespace {
    /// Watches any device of the namespace for frames that match `filter` (pcap-filter(7)): an `uplink` for instance.
    ///
    /// # Errors
    /// [`crate::Error::Answer`] if there is no such device or the filter is wrong.
    pub fn capture_on(&self, device: &str, filter: &str) -> Result<Capture> {
        Capture::start(self, device, BOTH_WAYS, filter)
    }
}

impl Capture {
    fn start(namespace: &Namespace, device: &str, direction: &str, filter: &str) -> Result<Self> {
        let what = ["tcpdump", "-Z", "root", "-i", device, "-Q", direction];
        let how = ["-l", "-e", "-n", "-t", "--immediate-mode", filter];
        let argv = what.into_iter().chain(how);
        let process = namespace.spawn_probe("tcpdump", argv)?;
        wait_until(format!("tcpdump on {device}"), START_LIMIT, || match process.output() {
            Ok(output) if output.contains(GREETING) => Ok(Ok(())),
            Ok(_) if process.is_running() => Err("it does not listen yet".to_owned()),
            Ok(_) => Ok(Err(process.complaint("it has ended"))),
            Err(error) => Err(error.to_string()),
        })??;
        Ok(Self(process))
    }

    /// The frames seen so far, as `tcpdump -e -n -t` shows them.
    ///
    /// # Errors
    /// [`crate::Error::File`] if the log cannot be read.
    pub fn frames(&self) -> Result<Vec<String>> {
        let output = self.0.output()?;
        // A frame's line has its two Ethernet addresses; the rest is greeting, account, and indented detail.
        let frames =
            output.lines().filter(|line| !line.starts_with(char::is_whitespace) && line.contains(" > "));
        Ok(frames.map(str::to_owned).collect())
    }

    /// The number of frames seen so far.
    ///
    /// # Errors
    /// As [`frames`](Self::frames).
    pub fn count(&self) -> Result<usize> {
        self.frames().map(|frames| frames.len())
    }

    /// Waits until at least `count` frames were seen, and gives them.
    ///
    /// # Errors
    /// [`crate::Error::TimedOut`] with what was seen instead.
    pub fn wait_for(&self, count: usize, limit: Duration) -> Result<Vec<String>> {
        wait_until(format!("{count} frames"), limit, || match self.frames() {
            Ok(frames) if frames.len() >= count => Ok(frames),
            Ok(frames) => Err(format!("{} have come\n{}", frames.len(), frames.join("\n"))),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Ends the capture once all frames that had come are shown, and gives them.
    ///
    /// # Errors
    /// [`crate::Error::TimedOut`] if `tcpdump` does not end.
    pub fn finish(self) -> Result<Vec<String>> {
        self.0.interrupt()?;
        self.frames()
    }
}
