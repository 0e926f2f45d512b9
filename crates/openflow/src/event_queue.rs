//! Events that wait to be taken.
//!
//! # What happens when nobody takes them
//! Packet-ins are dropped and counted: a guest sends its packet again. Everything else tells of state (ports, flows, the
//! role) and is never dropped: when it no longer fits, the connection ends, and who connects again reads the state anew.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::session::Event;

/// How many events may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventLimits {
    /// Packet-ins; more are dropped.
    pub packet_ins: usize,
    /// All other events; more end the connection.
    pub others: usize,
}

impl Default for EventLimits {
    /// Bursts of a second: 4,096 packets, and a change of every port and flow of a large host.
    fn default() -> Self {
        Self { packet_ins: 4096, others: 65_536 }
    }
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Event>,
    packet_ins: usize,
    dropped: u64,
    closed: bool,
}

/// A queue between the connection's task and whoever takes the events.
#[derive(Debug)]
pub(crate) struct EventQueue {
    limits: EventLimits,
    state: Mutex<State>,
    changed: Notify,
}

/// The event did not fit, and is none that may be lost.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl EventQueue {
    pub(crate) fn new(limits: EventLimits) -> Self {
        Self { limits, state: Mutex::default(), changed: Notify::new() }
    }

    /// No step below leaves the state half changed, so a poisoned lock is as good as any.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, event: Event) -> Result<(), Full> {
        let mut state = self.state();
        if matches!(event, Event::PacketIn(_)) {
            if state.packet_ins >= self.limits.packet_ins {
                state.dropped = state.dropped.saturating_add(1);
                return Ok(());
            }
            state.packet_ins += 1;
        } else if state.waiting.len() - state.packet_ins >= self.limits.others {
            return Err(Full);
        }
        state.waiting.push_back(event);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Nothing comes any more; what waits can still be taken.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    /// The next event, `None` when the connection has ended and all are taken.
    pub(crate) async fn next(&self) -> Option<Event> {
        loop {
            let changed = self.changed.notified();
            if let Some(found) = self.take() {
                return found;
            }
            changed.await;
        }
    }

    /// `None` if there is nothing to say yet.
    fn take(&self) -> Option<Option<Event>> {
        let mut state = self.state();
        let event = state.waiting.pop_front();
        if matches!(event, Some(Event::PacketIn(_))) {
            state.packet_ins -= 1;
        }
        if event.is_some() || state.closed { Some(event) } else { None }
    }

    pub(crate) fn dropped_packet_ins(&self) -> u64 {
        self.state().dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    fn queue() -> EventQueue {
        EventQueue::new(EventLimits { packet_ins: 2, others: 2 })
    }

    fn packet_in() -> Event {
        Event::PacketIn(Box::default())
    }

    fn role() -> Event {
        Event::RoleStatus(Role { role: 1, generation: 0 })
    }

    #[tokio::test]
    async fn packet_ins_that_do_not_fit_are_dropped_and_counted() {
        let queue = queue();
        for _ in 0..5 {
            assert_eq!(queue.push(packet_in()), Ok(()));
        }
        assert_eq!(queue.dropped_packet_ins(), 3);
        assert_eq!(queue.push(role()), Ok(()));
        queue.close();
        assert_eq!(queue.next().await, Some(packet_in()));
        assert_eq!(queue.push(packet_in()), Ok(()));
        let rest = [queue.next().await, queue.next().await, queue.next().await, queue.next().await];
        assert_eq!(rest, [Some(packet_in()), Some(role()), Some(packet_in()), None]);
    }

    #[test]
    fn other_events_that_do_not_fit_are_an_error() {
        let queue = queue();
        assert_eq!(queue.push(role()), Ok(()));
        assert_eq!(queue.push(role()), Ok(()));
        assert_eq!(queue.push(role()), Err(Full));
        assert_eq!(queue.push(packet_in()), Ok(()));
    }
}
