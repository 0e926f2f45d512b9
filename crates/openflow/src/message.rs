//! The messages of OpenFlow 1.5, typed.

use std::borrow::Borrow;

use crate::codec::{Reader, Writer, message};
use crate::{
    BundleId, CtFlush, DecodeError, Dpid, EncodeError, ErrorMessage, FlowMod, FlowRemoved, GroupMod,
    MeterMod, MultipartReply, MultipartRequest, PacketIn, PacketOut, PortStatus, TlvTable, TlvTableMod, Xid,
};

/// Version number of OpenFlow 1.5 on the wire.
pub const VERSION: u8 = 0x06;
/// Bytes of a message's header.
pub const HEADER_BYTES: usize = 8;
/// Largest message: its length has 16 bits.
pub const MAX_MESSAGE_BYTES: usize = 0xffff;

/// What a flow in a bundle takes, about.
const USUAL_BYTES: usize = 144;

/// A message and the transaction it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The transaction.
    pub xid: Xid,
    /// The message.
    pub message: Message,
}

impl Frame {
    /// Reads exactly one message.
    ///
    /// # Errors
    /// If the bytes are not one message of OpenFlow 1.5, no more and no less.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        message::read(Reader::new("message", bytes))
    }

    /// Writes the message.
    ///
    /// # Errors
    /// If it is longer than a message can be, or a value has no place in it.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        self.message.encode(self.xid)
    }
}

/// A message. Those that this library does not know are kept as [`Message::Other`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Begins the connection: versions, as bits of a map, `1 << version`.
    Hello(Hello),
    /// A request failed.
    Error(ErrorMessage),
    /// Are you there?
    EchoRequest(Vec<u8>),
    /// I am, with the same bytes.
    EchoReply(Vec<u8>),
    /// What can you do?
    FeaturesRequest,
    /// This.
    FeaturesReply(Features),
    /// How packets are sent to the controller.
    SetConfig(SwitchConfig),
    /// A packet for the controller.
    PacketIn(Box<PacketIn>),
    /// A flow went.
    FlowRemoved(Box<FlowRemoved>),
    /// A port came, went or changed.
    PortStatus(PortStatus),
    /// A packet from the controller.
    PacketOut(PacketOut),
    /// Changes flows.
    FlowMod(FlowMod),
    /// Changes groups.
    GroupMod(GroupMod),
    /// Changes meters.
    MeterMod(MeterMod),
    /// Asks.
    MultipartRequest(MultipartRequest),
    /// Answers, in parts.
    MultipartReply {
        /// Whether more parts follow.
        more: bool,
        /// This part.
        reply: MultipartReply,
    },
    /// Asks to be told when all before it is done.
    BarrierRequest,
    /// It is.
    BarrierReply,
    /// Asks for a role.
    RoleRequest(Role),
    /// The role now.
    RoleReply(Role),
    /// The role was changed by somebody else: 0 another controller, 1 the configuration.
    RoleStatus {
        /// The role now.
        role: Role,
        /// Why.
        reason: u8,
    },
    /// Says which asynchronous messages to send.
    SetAsync(AsyncConfig),
    /// Opens, closes, commits or discards a bundle, or answers that.
    BundleControl(BundleControl),
    /// Adds a message to a bundle. It has the transaction of the one around it.
    BundleAdd {
        /// The bundle.
        bundle: BundleId,
        /// The bundle's flags.
        flags: BundleFlags,
        /// What to do at its commit.
        message: Box<Message>,
    },
    /// Changes the table of tunnel options.
    TlvTableMod(TlvTableMod),
    /// Asks for the table of tunnel options.
    TlvTableRequest,
    /// The table of tunnel options.
    TlvTableReply(TlvTable),
    /// Names this controller, for `controller(id=…)`.
    SetControllerId(u16),
    /// Chooses the form of packet-ins: 2 for the one with user data.
    SetPacketInFormat(u32),
    /// Forgets tracked connections.
    CtFlush(CtFlush),
    /// A message that this library does not know.
    Other {
        /// Its type.
        kind: u8,
        /// What follows the header.
        body: Vec<u8>,
    },
}

impl Message {
    /// Writes the message with a transaction.
    ///
    /// # Errors
    /// If it is longer than a message can be, or a value has no place in it.
    pub fn encode(&self, xid: Xid) -> Result<Vec<u8>, EncodeError> {
        let mut writer = Writer::default();
        message::write(&mut writer, xid, self);
        writer.finish()
    }

    /// Writes messages one after the other, with transactions from `first` on. One that cannot be written is named by its
    /// number.
    pub(crate) fn encode_all(
        messages: impl ExactSizeIterator<Item: Borrow<Self>>,
        first: Xid,
    ) -> Result<Vec<u8>, (usize, EncodeError)> {
        let mut writer = Writer::with_capacity(messages.len() * USUAL_BYTES);
        let mut last = 0;
        for (index, (number, message)) in (0..).zip(messages).enumerate() {
            last = index;
            message::write(&mut writer, Xid(first.0.wrapping_add(number)), message.borrow());
            if writer.has_failed() {
                break;
            }
        }
        writer.finish().map_err(|error| (last, error))
    }
}

/// The versions that a side speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Version in the header: the highest.
    pub version: u8,
    /// Bits of the versions, if it says.
    pub versions: Option<u32>,
}

impl Hello {
    /// Speaks OpenFlow 1.5 and nothing else.
    pub const OURS: Self = Self { version: VERSION, versions: Some(1 << VERSION) };

    /// Whether OpenFlow 1.5 can be spoken (OpenFlow 1.5.1, section 6.3.1): with a map if its bit is set, without one if the
    /// other side's highest version is not lower.
    pub fn accepts_ours(&self) -> bool {
        self.versions.map_or(self.version >= VERSION, |versions| versions & (1 << VERSION) != 0)
    }
}

/// What a switch can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Features {
    /// Its number.
    pub dpid: Dpid,
    /// Packets it can keep.
    pub buffers: u32,
    /// Its tables.
    pub tables: u8,
    /// Number of the connection, if not the main one.
    pub auxiliary: u8,
    /// `OFPC_…`.
    pub capabilities: u32,
}

/// How packets are sent to the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SwitchConfig {
    /// How fragments are treated.
    pub flags: u16,
    /// Bytes of a packet that no action asked for. On a service connection of Open vSwitch, 0 turns asynchronous messages
    /// off, and 0 is its default.
    pub miss_send_length: u16,
}

/// What a controller is to a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Role {
    /// 0 no change, 1 equal, 2 primary, 3 secondary.
    pub role: u32,
    /// Guards against an old primary.
    pub generation: u64,
}

/// Which asynchronous messages to send, as bits `1 << reason`; `None` leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AsyncConfig {
    /// Packet-ins.
    pub packet_in: Option<u32>,
    /// Port changes.
    pub port_status: Option<u32>,
    /// Flows that went.
    pub flow_removed: Option<u32>,
    /// Role changes.
    pub role_status: Option<u32>,
}

/// Flags of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BundleFlags(pub u16);

impl BundleFlags {
    /// All or nothing.
    pub const ATOMIC: Self = Self(1);
    /// In the order of adding.
    pub const ORDERED: Self = Self(1 << 1);
    /// All or nothing, in order.
    pub const ATOMIC_ORDERED: Self = Self(3);
}

/// What is to be done with a bundle, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BundleControl {
    /// The bundle.
    pub bundle: BundleId,
    /// What.
    pub kind: BundleControlKind,
    /// The bundle's flags.
    pub flags: BundleFlags,
}

/// What is to be done with a bundle, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BundleControlKind {
    /// Open it.
    OpenRequest,
    /// It is open.
    OpenReply,
    /// Close it.
    CloseRequest,
    /// It is closed.
    CloseReply,
    /// Do what it holds.
    CommitRequest,
    /// It is done.
    CommitReply,
    /// Forget it.
    DiscardRequest,
    /// It is forgotten.
    DiscardReply,
}
