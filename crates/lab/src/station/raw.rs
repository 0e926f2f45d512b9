//! Frames made by hand, for what an honest network stack would not send.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::MsgFlags;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, SockaddrLike, bind, recv, send, setsockopt,
    socket,
};
use nix::sys::time::TimeVal;

use crate::error::{Error, Result};

use super::{NIC, Station};

/// Largest frame that is received whole.
const MAX_FRAME: usize = 65_536;
/// Most frames that wait in the kernel are read while looking for one; a busy station sees a few hundred a second.
const MAX_SEEN: usize = 10_000;

/// A packet socket at a station's NIC (packet(7)): it sends frames as they are, and sees all that arrive or leave.
#[derive(Debug)]
pub struct RawSocket(OwnedFd);

impl Station {
    /// Opens a packet socket at the station's NIC.
    ///
    /// # Errors
    /// [`Error::Socket`].
    pub fn raw_socket(&self) -> Result<RawSocket> {
        self.within(open)?.map(RawSocket).map_err(|error| failed("open a packet socket")(error))
    }
}

impl RawSocket {
    /// Sends a frame, from its destination address on; the check sequence is not part of it.
    ///
    /// # Errors
    /// [`Error::Socket`].
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        send(self.0.as_raw_fd(), frame, MsgFlags::empty()).map(drop).map_err(failed("send a frame"))
    }

    /// Gives the first frame within `limit` of which `wanted` makes something.
    ///
    /// # Errors
    /// [`Error::TimedOut`] if none comes, [`Error::Socket`].
    pub fn receive<T>(&self, limit: Duration, mut wanted: impl FnMut(&[u8]) -> Option<T>) -> Result<T> {
        let started = std::time::Instant::now();
        let mut frame = vec![0; MAX_FRAME];
        for seen in 0..MAX_SEEN {
            let left = limit.saturating_sub(started.elapsed());
            match self.receive_one(&mut frame, left) {
                Ok(Some(bytes)) => {
                    if let Some(value) = frame.get(..bytes).and_then(&mut wanted) {
                        return Ok(value);
                    }
                }
                Ok(None) => return Err(nothing(limit, seen)),
                Err(error) => return Err(failed("receive a frame")(error)),
            }
        }
        Err(nothing(limit, MAX_SEEN))
    }

    /// The next frame's length, or `None` when the time is over.
    fn receive_one(&self, frame: &mut [u8], left: Duration) -> nix::Result<Option<usize>> {
        // socket(7): a time limit of zero would be none.
        let left = left.max(Duration::from_millis(1));
        let seconds = left.as_secs().try_into().unwrap_or(i64::MAX);
        let limit = TimeVal::new(seconds, i64::from(left.subsec_micros()));
        setsockopt(&self.0, ReceiveTimeout, &limit)?;
        match recv(self.0.as_raw_fd(), frame, MsgFlags::empty()) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Errno::EAGAIN) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Opens a packet socket for all protocols at the NIC.
fn open() -> nix::Result<OwnedFd> {
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)?;
    bind(socket.as_raw_fd(), &nic_address()?)?;
    Ok(socket)
}

/// The link-layer address by which bind(2) knows the NIC. Its protocol is zero, which leaves the socket's (packet(7)).
fn nic_address() -> nix::Result<LinkAddr> {
    let is_nic = |name: &str| name == NIC;
    let addresses = getifaddrs()?.filter(|entry| is_nic(&entry.interface_name));
    let mut links = addresses.filter_map(|entry| entry.address?.as_link_addr().copied());
    links.find(|link| link.family() == Some(AddressFamily::Packet)).ok_or(Errno::ENODEV)
}

fn nothing(limit: Duration, seen: usize) -> Error {
    Error::TimedOut { what: "a frame".to_owned(), waited: limit, last: format!("{seen} others came") }
}

fn failed(step: &'static str) -> impl Fn(Errno) -> Error {
    move |error| Error::Socket { step, source: io::Error::from(error) }
}
