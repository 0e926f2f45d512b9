//! What a walk has looked at of a packet's ports and codes: how far it speaks for other packets.
//!
//! # Why one packet speaks for many
//! A walk is a chain of decisions, and the same decisions lead the same way. Where one hangs on a port, or on the code of a message, the
//! numbers at which it would have been another are written down here. A packet that differs in nothing but such a number, and
//! by none of those written down, has all decisions in common with the one that was walked, so it goes where that went.
//!
//! So whatever in a walk looks at ports or codes does it by this. A number that a translation has put in place of the packet's own may
//! be written down too: that cuts more finely than needed, and the port that was translated stands alone already.

use std::cell::RefCell;

use crate::traffic::Ports;

/// Numbers from which on the walk might have gone another way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cuts {
    /// Of the port that the packet is to; of a message of ICMP, its type (upper byte) and code.
    pub(crate) to: Vec<u16>,
    /// Of the port that it is from.
    pub(crate) from: Vec<u16>,
}

/// A walk's notes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Looked(RefCell<Cuts>);

/// Which port of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The sender's.
    From,
    /// The receiver's.
    To,
}

impl Looked {
    /// What has been noted.
    pub(super) fn cuts(self) -> Cuts {
        self.0.into_inner()
    }

    /// Whether a port of a packet is among these.
    pub(super) fn is_among(&self, end: End, given: u16, wanted: Ports) -> bool {
        let (first, last) = wanted.ends();
        self.note(end, first, last);
        wanted.contains(given)
    }

    /// Whether a port of a packet is this.
    pub(super) fn is_port(&self, end: End, given: u16, wanted: u16) -> bool {
        self.note(end, wanted, wanted);
        given == wanted
    }

    /// Whether a port that a packet is to is from `first` to `last`.
    pub(super) fn is_to(&self, given: u16, (first, last): (u16, u16)) -> bool {
        self.note(End::To, first, last);
        (first..=last).contains(&given)
    }

    /// Whether the code of a message of this type is this.
    pub(super) fn is_code(&self, (kind, given): (u8, u8), wanted: u8) -> bool {
        let value = u16::from_be_bytes([kind, wanted]);
        self.note(End::To, value, value);
        given == wanted
    }

    fn note(&self, end: End, first: u16, last: u16) {
        let mut cuts = self.0.borrow_mut();
        let of_end = match end {
            End::From => &mut cuts.from,
            End::To => &mut cuts.to,
        };
        of_end.push(first);
        of_end.extend(last.checked_add(1));
    }
}
