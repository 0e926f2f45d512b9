//! Packets that wait for the agent, a queue for each interface that sent them, served in turn. Pure.
//!
//! Whoever sends many waits behind his own. A neighbour's packet waits for one of each other interface at most, however many
//! they have sent. The meters of ports (`dataplane::limit`) say how many come at all; what is here is for the time that the agent
//! takes.
//!
//! # What does not fit
//! A queue that is full loses what comes last, as on any busy line: protocols repeat. When all of them together hold too much,
//! the longest pays.

use std::collections::{BTreeMap, VecDeque};

use dataplane::layout::{PORT_QUESTIONS_AT_ONCE, SOURCE_INTERFACE};
use openflow::{Field, PacketIn};
use topology::InterfaceKey;

use crate::answers::value;

/// Most packets of one interface that wait: what the meter of a port lets through at once.
const MOST_OF_ONE: usize = PORT_QUESTIONS_AT_ONCE as usize;

/// Most packets that wait together: those of forty interfaces that do their worst.
const MOST: usize = 4000;

/// Who has sent a packet: an interface of this host or another, or, by the key zero, somebody whom a tunnel does not name.
fn source(packet: &PacketIn) -> InterfaceKey {
    let key = value(&packet.metadata, Field::Reg(SOURCE_INTERFACE));
    InterfaceKey(key.and_then(|key| u32::try_from(key).ok()).unwrap_or_default())
}

/// The packets that wait. An interface that has none is not known here.
#[derive(Debug, Default)]
pub struct Waiting {
    queues: BTreeMap<InterfaceKey, VecDeque<Box<PacketIn>>>,
    /// Whose turn it is, each interface once.
    turns: VecDeque<InterfaceKey>,
    packets: usize,
}

impl Waiting {
    /// Lets a packet wait. Gives the interface that has lost one, this or another, if there was no room.
    pub fn push(&mut self, packet: Box<PacketIn>) -> Option<InterfaceKey> {
        let source = source(&packet);
        if self.queues.get(&source).is_some_and(|queue| queue.len() >= MOST_OF_ONE) {
            return Some(source);
        }
        let robbed = if self.packets >= MOST { self.rob() } else { None };
        let queue = self.queues.entry(source).or_default();
        if queue.is_empty() {
            self.turns.push_back(source);
        }
        queue.push_back(packet);
        self.packets += 1;
        robbed
    }

    /// The next packet in turn.
    pub fn pop(&mut self) -> Option<Box<PacketIn>> {
        let source = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&source)?;
        let packet = queue.pop_front()?;
        self.packets -= 1;
        if queue.is_empty() {
            self.queues.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        Some(packet)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// Takes the newest packet of the longest queue.
    fn rob(&mut self) -> Option<InterfaceKey> {
        let (longest, queue) = self.queues.iter_mut().max_by_key(|(_, queue)| queue.len())?;
        let longest = *longest;
        queue.pop_back()?;
        self.packets -= 1;
        if queue.is_empty() {
            self.queues.remove(&longest);
            self.turns.retain(|source| *source != longest);
        }
        Some(longest)
    }
}

#[cfg(test)]
mod tests {
    use openflow::Match;

    use super::*;

    /// A packet of an interface, by its number.
    fn packet(interface: u32, number: usize) -> Box<PacketIn> {
        let metadata = Match::new().reg(SOURCE_INTERFACE, interface);
        Box::new(PacketIn { metadata, packet: number.to_be_bytes().to_vec(), ..PacketIn::default() })
    }

    fn fill(waiting: &mut Waiting, interface: u32, count: usize) -> usize {
        (0..count).filter(|number| waiting.push(packet(interface, *number)).is_some()).count()
    }

    /// Whose packets come, in which order.
    #[track_caller]
    fn check(waiting: &mut Waiting, expected: &[u32]) {
        let come: Vec<_> = expected.iter().map_while(|_| waiting.pop()).map(|of| source(&of).0).collect();
        assert_eq!(come, expected);
    }

    #[test]
    fn one_packet_waits_for_one_of_each_other_however_many_those_have() {
        let mut waiting = Waiting::default();
        fill(&mut waiting, 1, 50);
        fill(&mut waiting, 2, 30);
        check(&mut waiting, &[1, 2, 1]);
        fill(&mut waiting, 3, 1);
        check(&mut waiting, &[2, 1, 3, 2, 1, 2]);
    }

    #[test]
    fn the_packets_of_one_keep_their_order() {
        let mut waiting = Waiting::default();
        fill(&mut waiting, 1, 3);
        fill(&mut waiting, 2, 3);
        let come = std::iter::from_fn(|| waiting.pop()).filter(|of| source(of) == InterfaceKey(1));
        let come: Vec<_> = come.map(|of| of.packet.clone()).collect();
        assert_eq!(come, [0_usize, 1, 2].map(|number| number.to_be_bytes().to_vec()));
    }

    #[test]
    fn a_queue_that_is_full_loses_what_comes_last_and_others_lose_nothing() {
        let mut waiting = Waiting::default();
        assert_eq!(fill(&mut waiting, 1, MOST_OF_ONE + 7), 7);
        assert_eq!(fill(&mut waiting, 2, 1), 0);
        assert_eq!(waiting.pop().map(|of| of.packet.clone()), Some(0_usize.to_be_bytes().to_vec()));
    }

    #[test]
    fn all_together_are_bounded_and_the_longest_pays() {
        let mut waiting = Waiting::default();
        let many = u32::try_from(MOST / MOST_OF_ONE).expect("a small number");
        (1..many).for_each(|interface| assert_eq!(fill(&mut waiting, interface, MOST_OF_ONE - 1), 0));
        let rest = MOST - waiting.packets;
        let others = 1000..1000 + u32::try_from(rest).expect("a small number");
        others.for_each(|interface| assert_eq!(fill(&mut waiting, interface, 1), 0));
        let paid = waiting.push(packet(1, 0)).expect("there is no room");
        assert_eq!((waiting.packets, paid.0 < 1000), (MOST, true));
        assert_eq!(waiting.queues.values().map(VecDeque::len).sum::<usize>(), MOST);
    }

    #[test]
    fn an_interface_that_has_nothing_left_leaves_nothing_behind() {
        let mut waiting = Waiting::default();
        for interface in 1..=100 {
            fill(&mut waiting, interface, 2);
        }
        while waiting.pop().is_some() {}
        assert!(waiting.is_empty() && waiting.queues.is_empty() && waiting.turns.is_empty());
    }
}
