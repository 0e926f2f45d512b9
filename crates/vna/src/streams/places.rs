//! How many connections there are, and whose.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use topology::InterfaceKey;

use crate::answers::Line;

/// Most connections at once. Each takes some 40 KiB.
const MOST: usize = 1024;

/// Most connections of one guest: more than a resolver or a client of a web server opens.
const MOST_OF_ONE: usize = 16;

/// Most segments of one connection that wait: what its window lets a guest send, in small ones.
const MOST_SEGMENTS: usize = 16;

/// The connections that there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    lines: HashMap<Line, mpsc::Sender<Vec<u8>>>,
    of_guest: HashMap<InterfaceKey, usize>,
}

/// What there is for a segment.
pub(super) enum Found {
    /// Its connection.
    Known(mpsc::Sender<Vec<u8>>),
    /// Room for a connection.
    Free(Place),
    /// No room.
    Full,
}

/// Room for a connection.
pub(super) struct Place {
    places: Places,
    line: Line,
}

/// The room that a connection takes.
pub(super) struct Taken {
    /// What comes in for it.
    pub(super) segments: mpsc::Receiver<Vec<u8>>,
    /// Gives the room back when dropped.
    pub(super) held: Held,
}

/// Gives the room of a connection back when dropped.
pub(super) struct Held {
    places: Places,
    line: Line,
}

impl Places {
    /// Looks for a connection, or for room for one.
    pub(super) fn find(&self, line: Line) -> Found {
        let table = self.table();
        if let Some(segments) = table.lines.get(&line) {
            return Found::Known(segments.clone());
        }
        if !table.has_room(line) {
            return Found::Full;
        }
        Found::Free(Place { places: self.clone(), line })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Every change is one insertion or removal: a table that a panic has left is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn has_room(&self, line: Line) -> bool {
        let of_guest = self.of_guest.get(&line.guest).copied().unwrap_or(0);
        self.lines.len() < MOST && of_guest < MOST_OF_ONE
    }
}

impl Place {
    /// Takes the room, if it is there still.
    pub(super) fn take(self) -> Option<Taken> {
        let Self { places, line } = self;
        let mut table = places.table();
        if table.lines.contains_key(&line) || !table.has_room(line) {
            return None;
        }
        let (sender, segments) = mpsc::channel(MOST_SEGMENTS);
        table.lines.insert(line, sender);
        *table.of_guest.entry(line.guest).or_default() += 1;
        drop(table);
        Some(Taken { segments, held: Held { places, line } })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut table = self.places.table();
        table.lines.remove(&self.line);
        if let Entry::Occupied(mut count) = table.of_guest.entry(self.line.guest) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use responder::tcp::Ends;
    use topology::{DomainKey, MacAddr};

    use super::*;
    use crate::answers::Service;

    fn line(guest: u32, port: u16) -> Line {
        Line {
            service: Service::Dns,
            domain: DomainKey(1),
            server: InterfaceKey(1),
            guest: InterfaceKey(guest),
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            ends: Ends { client: ([10, 0, 0, 1], port).into(), server: ([10, 0, 0, 2], 53).into() },
        }
    }

    fn take(places: &Places, line: Line) -> Option<Taken> {
        match places.find(line) {
            Found::Free(place) => place.take(),
            Found::Known(_) | Found::Full => None,
        }
    }

    #[test]
    fn a_guest_that_opens_many_leaves_room_for_others() {
        let places = Places::default();
        let taken: Vec<_> = (1..100).filter_map(|port| take(&places, line(1, port))).collect();
        assert_eq!(taken.len(), MOST_OF_ONE);
        assert!(matches!(places.find(line(1, 1)), Found::Known(_)));
        assert!(matches!(places.find(line(1, 1000)), Found::Full));
        assert!(matches!(places.find(line(2, 1)), Found::Free(_)));
    }

    #[test]
    fn what_ends_makes_room() {
        let places = Places::default();
        drop(take(&places, line(1, 1)).expect("room"));
        assert!(matches!(places.find(line(1, 1)), Found::Free(_)));
        assert!(places.table().of_guest.is_empty());
    }

    #[test]
    fn all_guests_together_take_no_more_than_there_is() {
        let places = Places::default();
        let many = (0..1000).flat_map(|guest| (1..=4).map(move |port| line(guest, port)));
        let taken: Vec<_> = many.filter_map(|line| take(&places, line)).collect();
        assert_eq!(taken.len(), MOST);
    }
}
