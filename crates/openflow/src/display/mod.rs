//! Text in the syntax of ovs-ofctl(8), which parses all of it back.
//!
//! It is meant for logs and for comparison with `ovs-ofctl dump-flows`, not for storage.

mod action;
mod conntrack;
mod learn;
mod matching;
mod values;

use std::fmt;

/// Writes items with a separator between them.
pub(crate) struct Separated<'a, T>(pub(crate) &'a [T], pub(crate) &'static str);

impl<T: fmt::Display> fmt::Display for Separated<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, item)| {
            let separator = if at == 0 { "" } else { self.1 };
            write!(f, "{separator}{item}")
        })
    }
}

/// Writes bytes as ovs-ofctl(8) does in `note` and `userdata`: hexadecimal, separated by dots.
pub(crate) struct Dotted<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Dotted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, byte)| {
            let separator = if at == 0 { "" } else { "." };
            write!(f, "{separator}{byte:02x}")
        })
    }
}
