//! Field values: at most 128 bits, in whatever type the caller has them.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{GroupId, OfPort};

/// The value of a field, right-aligned in 128 bits. Addresses are in network order, first byte most significant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub u128);

macro_rules! value_from {
    ($($source:ty => |$it:ident| $convert:expr;)*) => {$(
        impl From<$source> for Value {
            fn from($it: $source) -> Self {
                Self($convert)
            }
        }
    )*};
}

value_from! {
    u8 => |it| u128::from(it);
    u16 => |it| u128::from(it);
    u32 => |it| u128::from(it);
    u64 => |it| u128::from(it);
    u128 => |it| it;
    bool => |it| u128::from(it);
    Ipv4Addr => |it| u128::from(u32::from(it));
    Ipv6Addr => |it| u128::from(it);
    OfPort => |it| u128::from(it.0);
    GroupId => |it| u128::from(it.0);
    [u8; 6] => |it| it.iter().fold(0, |value, byte| value << 8 | u128::from(*byte));
}
