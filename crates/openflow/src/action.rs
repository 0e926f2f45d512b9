//! Actions of ovs-actions(7), in the form in which Open vSwitch reports them over OpenFlow 1.5.
//!
//! # Canonical form
//! OpenFlow 1.5 has no `load`: the switch reports every constant that an action writes as a masked set-field. There is
//! one variant for it, [`Action::SetField`], and [`Action::load`] makes one.
//!
//! A tunnel option has no width of its own in a set-field: the switch cuts leading zeros off the value or the mask, and
//! so does [`SetField`].

use crate::{Bundle, Ct, Field, GroupId, Learn, MeterId, Multipath, OfPort, TableId, Value};

/// Some bits of a field: `field[offset..offset + bits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubField {
    /// The field.
    pub field: Field,
    /// Lowest bit.
    pub offset: u16,
    /// Number of bits, at least 1.
    pub bits: u16,
}

impl SubField {
    /// Bits `offset` to `offset + bits - 1` of a field.
    pub fn new(field: Field, offset: u16, bits: u16) -> Self {
        Self { field, offset, bits }
    }

    /// All bits of a field.
    pub fn whole(field: Field) -> Self {
        Self { field, offset: 0, bits: field.bits() }
    }
}

/// Writes a constant into some bits of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetField {
    field: Field,
    value: u128,
    mask: u128,
}

impl SetField {
    /// Writes `value & mask` where the mask has bits.
    ///
    /// # Panics
    /// If value or mask do not fit the field.
    pub fn new(field: Field, value: impl Into<Value>, mask: impl Into<Value>) -> Self {
        let (Value(value), Value(mask)) = (value.into(), mask.into());
        assert!((value | mask) & !field.ones() == 0, "{value:#x}/{mask:#x} does not fit {field}");
        Self::canonical(field, value, (mask != field.ones()).then_some(mask))
    }

    /// Without a mask the whole field is written, whatever its width.
    pub(crate) fn canonical(field: Field, value: u128, mask: Option<u128>) -> Self {
        let whole = field.ones();
        match field {
            Field::TunMetadata { index, .. } => {
                let bytes = significant_bytes(mask.unwrap_or(value));
                let mask = mask.unwrap_or(u128::MAX);
                Self { field: Field::TunMetadata { index, bytes }, value: value & mask, mask }
            }
            _ => Self { field, value: value & mask.unwrap_or(whole), mask: mask.unwrap_or(whole) },
        }
    }

    /// The field written. A tunnel option is as long here as its value or its mask, not as the option is.
    pub fn field(&self) -> Field {
        self.field
    }

    /// The value, 0 where the mask is.
    pub fn value(&self) -> u128 {
        self.value
    }

    /// The bits written; all 128 where the whole of a tunnel option is.
    pub fn mask(&self) -> u128 {
        self.mask
    }

    /// Whether the whole field is written.
    pub fn is_exact(&self) -> bool {
        match self.field {
            Field::TunMetadata { .. } => self.mask == u128::MAX,
            field => self.mask == field.ones(),
        }
    }
}

/// Bytes of a number without leading zeros, at least one.
fn significant_bytes(number: u128) -> u8 {
    let bits = u128::BITS - number.leading_zeros();
    u8::try_from(bits.div_ceil(8).max(1)).expect("128 bits are 16 bytes")
}

/// What happens to a packet: see ovs-actions(7).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Sends the packet to a port; to a controller at most `max_len` bytes of it.
    Output {
        /// Where to.
        port: OfPort,
        /// Bytes for the controller; 0 for every other port.
        max_len: u16,
    },
    /// Sends the packet to the port that a field holds.
    OutputReg {
        /// Where the port number is.
        source: SubField,
        /// Bytes for the controller.
        max_len: u16,
    },
    /// Sends at most `max_len` bytes of the packet to a port.
    OutputTrunc {
        /// Where to.
        port: OfPort,
        /// Bytes, at least 14.
        max_len: u32,
    },
    /// Sends the packet to a controller, with data that tell it why.
    Controller(Controller),
    /// Has a group treat the packet.
    Group(GroupId),
    /// Counts the packet in a meter, which may drop it.
    Meter(MeterId),
    /// The queue of the outputs that follow.
    SetQueue(u32),
    /// Writes a constant into a field, also `load` and `mod_…`.
    SetField(SetField),
    /// Copies bits between fields.
    Move {
        /// From where.
        source: SubField,
        /// To where; as many bits.
        destination: SubField,
    },
    /// Pushes bits onto the stack.
    Push(SubField),
    /// Pops bits off the stack.
    Pop(SubField),
    /// Pushes a tag with this ethertype, `0x8100` or `0x88a8`.
    PushVlan(u16),
    /// Pops the outer tag.
    PopVlan,
    /// Pushes a label with this ethertype.
    PushMpls(u16),
    /// Pops a label; what follows has this ethertype.
    PopMpls(u16),
    /// Decrements the IP time to live or hop limit; a packet that has none left goes to the controllers.
    DecTtl,
    /// As [`Action::DecTtl`], for these controllers.
    DecTtlControllers(Vec<u16>),
    /// Decrements the label's time to live.
    DecMplsTtl,
    /// Looks the packet up again, and goes on here.
    Resubmit {
        /// Input port of the lookup, `None` for the packet's own.
        port: Option<OfPort>,
        /// Table of the lookup, `None` for this one.
        table: Option<TableId>,
    },
    /// As [`Action::Resubmit`], with the addresses and ports of the connection's original direction.
    ResubmitCt {
        /// Input port of the lookup, `None` for the packet's own.
        port: Option<OfPort>,
        /// Table of the lookup, `None` for this one.
        table: Option<TableId>,
    },
    /// Adds a flow made from the packet.
    Learn(Box<Learn>),
    /// Connection tracking.
    Ct(Box<Ct>),
    /// Forgets what connection tracking said of the packet.
    CtClear,
    /// One dimension of a conjunctive match; alone in its flow.
    Conjunction {
        /// Conjunction id.
        id: u32,
        /// Which dimension, from 1.
        clause: u8,
        /// How many there are, 2 to 64.
        n_clauses: u8,
    },
    /// Writes the link that a hash of the packet selects.
    Multipath(Multipath),
    /// Sends the packet to the member of a bond that a hash of the packet selects.
    Bundle(Bundle),
    /// Acts on a copy, of which nothing remains.
    Clone(Vec<Action>),
    /// Bytes without effect.
    Note(Vec<u8>),
    /// Sets a bit if the packet is longer than `length` bytes (Ethernet header included, tag excluded).
    CheckPktLarger {
        /// One bit.
        destination: SubField,
        /// Bytes.
        length: u16,
    },
    /// Ends the treatment of the packet.
    Exit,
    /// Removes a tunnel option from the packet.
    DeleteField(Field),
    /// Adds a header of this packet type.
    Encap(u32),
    /// Removes the outer header; what follows has this packet type.
    Decap(u32),
    /// Timeouts of the flow from the connection's end on, in seconds.
    FinTimeout {
        /// Idle timeout.
        idle: u16,
        /// Hard timeout.
        hard: u16,
    },
    /// An action that this library does not know: its bytes from the type on.
    Opaque(Vec<u8>),
}

impl Action {
    /// Sends the packet to a port.
    pub fn output(port: OfPort) -> Self {
        Self::Output { port, max_len: 0 }
    }

    /// Writes a whole field.
    ///
    /// # Panics
    /// If the value does not fit the field.
    pub fn set_field(field: Field, value: impl Into<Value>) -> Self {
        Self::SetField(SetField::new(field, value, field.ones()))
    }

    /// Writes the bits of a field that the mask names.
    ///
    /// # Panics
    /// If value or mask do not fit the field.
    pub fn set_field_masked(field: Field, value: impl Into<Value>, mask: impl Into<Value>) -> Self {
        Self::SetField(SetField::new(field, value, mask))
    }

    /// Writes some bits of a field: `load:value->destination`.
    ///
    /// # Panics
    /// If the value does not fit.
    pub fn load(destination: SubField, value: impl Into<Value>) -> Self {
        let SubField { field, offset, bits } = destination;
        let ones = if bits < 128 { (1u128 << bits) - 1 } else { u128::MAX };
        let Value(value) = value.into();
        assert!(value & !ones == 0, "{value:#x} does not fit {bits} bits of {field}");
        Self::SetField(SetField::new(field, value << offset, ones << offset))
    }

    /// Looks the packet up in a table, and goes on here.
    pub fn resubmit(table: TableId) -> Self {
        Self::Resubmit { port: None, table: Some(table) }
    }
}

/// Why a packet goes to the controller (OpenFlow 1.5.1, section 7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum PacketInReason {
    /// No flow matched (`table_miss`).
    TableMiss,
    /// An action of a flow says so.
    #[default]
    ApplyAction,
    /// The packet is not valid, as its time to live is used up.
    InvalidTtl,
    /// An output of the action set.
    ActionSet,
    /// A group's bucket.
    Group,
    /// A packet-out.
    PacketOut,
    /// Some other number.
    Other(u8),
}

/// `controller(…)`: a packet-in with all that the controller needs to go on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Controller {
    /// Bytes of the packet; `u16::MAX` for all.
    pub max_len: u16,
    /// Which controllers: those that gave themselves this id.
    pub controller_id: u16,
    /// Reason to state.
    pub reason: PacketInReason,
    /// Data that the packet-in carries back. May not be wider than a message.
    pub userdata: Vec<u8>,
    /// Whether the packet waits in the switch for the controller to resume it.
    pub pause: bool,
    /// Meter that limits these packets.
    pub meter: Option<MeterId>,
}

impl Default for Controller {
    fn default() -> Self {
        Self {
            max_len: u16::MAX,
            controller_id: 0,
            reason: PacketInReason::default(),
            userdata: Vec::new(),
            pause: false,
            meter: None,
        }
    }
}
