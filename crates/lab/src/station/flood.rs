//! A flood: frames at a steady rate, whatever becomes of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{RawSocket, Station};
use crate::error::Result;

/// Frames are sent in bursts this far apart: as often as a thread is woken reliably.
const BURST_INTERVAL: Duration = Duration::from_millis(1);

/// Largest burst. Who was not woken in time does not make up for all of it.
const MAX_BURST: u64 = 1000;

/// Frames that a station goes on sending. Dropping it ends it.
#[derive(Debug)]
pub struct Flood {
    ended: Arc<AtomicBool>,
    sender: Option<JoinHandle<u64>>,
}

impl Station {
    /// Goes on sending these frames, one after the other and from the first again, so many a second.
    ///
    /// # Errors
    /// As [`Station::raw_socket`].
    pub fn start_flood(&self, frames: Vec<Vec<u8>>, per_second: u32) -> Result<Flood> {
        let socket = self.raw_socket()?;
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        let sender = thread::spawn(move || send(&socket, &frames, per_second, &end));
        Ok(Flood { ended, sender: Some(sender) })
    }
}

impl Flood {
    /// Ends it, and gives how many frames the NIC has taken.
    ///
    /// # Panics
    /// If the sender has.
    #[must_use]
    pub fn finish(mut self) -> u64 {
        self.ended.store(true, Ordering::Relaxed);
        self.sender.take().map_or(0, |sender| sender.join().expect("a sender that does not panic"))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn send(socket: &RawSocket, frames: &[Vec<u8>], per_second: u32, ended: &AtomicBool) -> u64 {
    let started = Instant::now();
    let (mut due, mut taken) = (0, 0);
    let mut next = frames.iter().cycle();
    while !ended.load(Ordering::Relaxed) {
        let now_due = (started.elapsed().as_secs_f64() * f64::from(per_second)) as u64;
        // A NIC that is full loses the frame, as it would anybody's.
        let burst = next.by_ref().take((now_due - due).min(MAX_BURST) as usize);
        taken += burst.filter(|frame| socket.send(frame).is_ok()).count() as u64;
        due = now_due;
        thread::sleep(BURST_INTERVAL);
    }
    taken
}
