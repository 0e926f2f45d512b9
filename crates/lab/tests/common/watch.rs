//! Watching guests for what must not arrive, without waiting longer than it would take.

use lab::{Capture, Guest, RawSocket, Result};

use super::frames::{self, BROADCAST};
use super::{PATIENCE, ip, mac};

/// The port of datagrams that every watched guest hears.
const MARK: u16 = 7777;

/// Marks after which everything that was sent before the first has arrived or never will.
///
/// A switch takes frames in batches and does not keep their order: a mark may overtake what was sent just before it.
/// Each mark is sent once the one before was heard; so the second is in a later batch of the sender's switch, and the
/// third in a later batch of the receiver's.
const MARKS: usize = 3;

/// Guests that are watched, and a guest of their network or segment that speaks.
#[derive(Debug)]
pub struct Watch {
    captures: Vec<Capture>,
    /// How many lines of each capture were told.
    told: Vec<usize>,
    socket: RawSocket,
    mark: Vec<u8>,
}

impl Watch {
    /// Watches guests for arriving frames that match `filter` (pcap-filter(7)). `speaker` is guest number `n`.
    pub fn start(n: u8, speaker: &Guest, watched: &[&Guest], filter: &str) -> Result<Self> {
        let filter = format!("udp dst port {MARK} or ({filter})");
        let captures = watched.iter().map(|guest| guest.capture_arriving(&filter)).collect::<Result<_>>()?;
        let mark = frames::udp((mac(n), BROADCAST), (ip(n), ip(255)), MARK);
        Ok(Self { captures, told: vec![0; watched.len()], socket: speaker.raw_socket()?, mark })
    }

    /// The speaker says something.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        self.socket.send(frame)
    }

    /// What each of the guests has heard since the last time.
    pub fn heard(&mut self) -> Result<Vec<Vec<String>>> {
        for count in 1..=MARKS {
            self.send(&self.mark)?;
            self.captures
                .iter()
                .zip(&self.told)
                .try_for_each(|(capture, told)| await_marks(capture, *told, count))?;
        }
        let news = |(capture, told): (&Capture, &mut usize)| {
            let mut lines = capture.frames()?.split_off(*told);
            *told += lines.len();
            lines.retain(|line| !is_mark(line));
            Ok(lines)
        };
        self.captures.iter().zip(&mut self.told).map(news).collect()
    }
}

fn await_marks(capture: &Capture, told: usize, count: usize) -> Result<()> {
    lab::wait_until(format!("mark {count}"), PATIENCE, || {
        let lines = capture.frames().map_err(|error| error.to_string())?;
        let marks = lines.iter().skip(told).filter(|line| is_mark(line)).count();
        if marks >= count { Ok(()) } else { Err(lines.join("\n")) }
    })
}

fn is_mark(line: &str) -> bool {
    line.contains(&format!(".{MARK}: UDP"))
}
