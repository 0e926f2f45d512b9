//! What a guest asks of its host, with a stopwatch.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lab::{Guest, MacAddr, RawSocket};

use super::frames::{self, Asked, Asker};

/// Longest wait for an answer; one that does not come counts as this.
const LIMIT: Duration = Duration::from_millis(500);

/// Time between two rounds of questions: who asks stays far below what a port may ask.
const PAUSE: Duration = Duration::from_millis(20);

/// What is asked, in this order.
pub(crate) const QUESTIONS: [&str; 4] = ["ARP", "DHCP", "ping router", "ping guest"];

/// Whether a frame is the answer.
type Recognize<'a> = &'a dyn Fn(&[u8]) -> bool;

/// One who asks, and what was measured.
pub(crate) struct Probe {
    socket: RawSocket,
    asker: Asker,
    asked: Asked,
    /// Another guest.
    peer: (MacAddr, Ipv4Addr),
}

/// Of every question, the times until its answers, shortest first.
#[derive(Default)]
pub(crate) struct Answers([Vec<Duration>; 4]);

impl Probe {
    pub(crate) fn new(
        guest: &Guest,
        asker: Asker,
        asked: Asked,
        peer: (MacAddr, Ipv4Addr),
    ) -> anyhow::Result<Self> {
        Ok(Self { socket: guest.raw_socket()?, asker, asked, peer })
    }

    /// Asks every question this many times.
    pub(crate) fn ask(&self, rounds: u16) -> anyhow::Result<Answers> {
        let mut answers = Answers::default();
        for round in 0..rounds {
            let number = round.to_be_bytes();
            let transaction = 0x4f56_0000 | u32::from(round);
            let id = transaction.to_be_bytes();
            let to_us = |frame: &[u8]| frame.get(..6) == Some(&self.asker.mac.0[..]);
            let reply = |frame: &[u8], from: Ipv4Addr| {
                frame.get(26..30) == Some(&from.octets()[..])
                    && frame.get(34) == Some(&0)
                    && frame.get(40..42) == Some(&number[..])
            };
            let questions: [(Vec<u8>, Recognize<'_>); 4] = [
                (frames::arp(self.asker, self.asked)?, &|frame| {
                    to_us(frame) && frame.get(12..14) == Some(&[8, 6]) && frame.get(21) == Some(&2)
                }),
                (frames::dhcp(self.asker, transaction)?, &|frame| {
                    frame.get(34..36) == Some(&[0, 67]) && frame.get(46..50) == Some(&id[..])
                }),
                (frames::echo(self.asker, self.asked, round)?, &|frame| reply(frame, self.asked.ipv4)),
                (frames::echo_to(self.asker, self.peer, round)?, &|frame| reply(frame, self.peer.1)),
            ];
            for ((question, is_answer), times) in questions.into_iter().zip(&mut answers.0) {
                times.push(self.time(&question, is_answer)?);
            }
            std::thread::sleep(PAUSE);
        }
        answers.add(Answers::default());
        Ok(answers)
    }

    fn time(&self, question: &[u8], is_answer: Recognize<'_>) -> anyhow::Result<Duration> {
        let started = Instant::now();
        self.socket.send(question)?;
        match self.socket.receive(LIMIT, |frame| is_answer(frame).then_some(())) {
            Ok(()) => Ok(started.elapsed()),
            Err(lab::Error::TimedOut { .. }) => Ok(LIMIT),
            Err(error) => Err(error.into()),
        }
    }
}

impl Answers {
    /// Takes in the answers of another time.
    pub(crate) fn add(&mut self, others: Self) {
        for (times, others) in self.0.iter_mut().zip(others.0) {
            times.extend(others);
            times.sort_unstable();
        }
    }

    /// The time within which 99 of 100 answers came, for each question.
    pub(crate) fn p99(&self) -> [Duration; 4] {
        let at = |times: &Vec<Duration>| times.get(times.len() * 99 / 100).copied().unwrap_or(LIMIT);
        std::array::from_fn(|index| at(&self.0[index]))
    }

    /// How many answers did not come.
    pub(crate) fn lost(&self) -> usize {
        self.0.iter().flatten().filter(|time| **time >= LIMIT).count()
    }
}
