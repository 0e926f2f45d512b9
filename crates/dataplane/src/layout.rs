//! What tables, registers and numbers mean. Changing any of this is an upgrade of every flow.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use openflow::{Action, Controller, Field, GroupId, MeterId, OfPort, PacketInReason, SubField, TableId};

use crate::view::as_ipv6;

/// Which port and host a packet comes from, and whether that is admitted.
pub const CLASSIFY: TableId = TableId(0);
/// Reads the tunnel option of an admitted peer's packet.
pub const TUNNEL_IN: TableId = TableId(10);
/// Of a frame that comes by a wire as it was: from the name of its sender to the sender, and to the domain.
pub const NAMED_SOURCE: TableId = TableId(11);
/// From the name of its receiver to the receiver.
pub const NAMED_DESTINATION: TableId = TableId(12);
/// Whether a packet's source address in a network is leased.
pub const SOURCE: TableId = TableId(20);
/// Whether what a packet in a segment says of its sender's MAC address is true.
pub const SEGMENT_SOURCE: TableId = TableId(21);
/// Looks up the connections of interfaces whose protection needs it: see `filter`.
pub const TRACK_OUT: TableId = TableId(22);
/// What filters let interfaces send.
pub const FILTER_OUT: TableId = TableId(23);
/// What security groups allow their members to send.
pub const GROUP_OUT: TableId = TableId(24);
/// Keeps connections that may begin.
pub const COMMIT_OUT: TableId = TableId(25);
/// What security groups allow their members to send to members.
pub const GROUP_TO: TableId = TableId(26);
/// Back to where the packet was when [`GROUP_TO`] was asked.
pub const GROUP_PASSED: TableId = TableId(27);
/// What a filter does not let out.
pub const REFUSED_OUT: TableId = TableId(28);
/// What a filter's rule wants written down.
pub const LOG: TableId = TableId(29);
/// What is answered here rather than delivered: address resolution.
pub const ANSWER: TableId = TableId(30);
/// Makes an ARP request its reply.
pub const ARP_REPLY: TableId = TableId(31);
/// Makes a neighbour solicitation its advertisement.
pub const ND_REPLY: TableId = TableId(32);
/// The options of that advertisement, which can be set only once it is one.
pub const ND_REPLY_OPTIONS: TableId = TableId(33);
/// Meters what a port asks: its guest's questions, answered here or by the agent. Asked by whatever answers, and left
/// again.
pub const QUESTION: TableId = TableId(34);
/// Meters what all ports ask the agent.
pub const AGENT: TableId = TableId(35);
/// Makes an echo request its reply.
pub const ECHO_REPLY: TableId = TableId(36);
/// From (domain, address) to MAC address. Asked by whatever needs it, and left again.
pub const RESOLVE: TableId = TableId(40);
/// From (domain, MAC address) to interface, and to its host if that is another.
pub const DESTINATION: TableId = TableId(50);
/// From host to tunnel.
pub const PEER: TableId = TableId(60);
/// Into the tunnel, if the packet fits.
pub const TUNNEL_OUT: TableId = TableId(61);
/// What may go to a host as it is: from the MAC address of its sender to the sender's name.
pub const NAME_SOURCE: TableId = TableId(62);
/// From the MAC address of its receiver to the receiver's name, and onto the wire. What has no names goes to [`TUNNEL_OUT`].
pub const NAME_DESTINATION: TableId = TableId(63);
/// From interface to port.
pub const DELIVER: TableId = TableId(70);
/// Like [`TRACK_OUT`], for what interfaces receive.
pub const TRACK_IN: TableId = TableId(71);
/// What filters let interfaces receive.
pub const FILTER_IN: TableId = TableId(72);
/// What security groups allow their members to receive.
pub const GROUP_IN: TableId = TableId(73);
/// Keeps connections that may begin.
pub const COMMIT_IN: TableId = TableId(74);
/// From a protected interface to its port.
pub const OUTPUT: TableId = TableId(75);
/// What a filter does not let in.
pub const REFUSED_IN: TableId = TableId(76);
/// Whether what reaches a simulated interface is for itself, or for its router.
pub const SIMULATED: TableId = TableId(80);
/// What a router does before it looks for a route: it knows its own addresses, and counts hops.
pub const FORWARD: TableId = TableId(81);
/// What simulated interfaces answer by themselves.
pub const OWN: TableId = TableId(82);
/// From (router, address) to leg and next hop.
pub const ROUTE: TableId = TableId(83);
/// Asks [`RESOLVE`] for the next hop. A table of its own, since the bucket of a group goes to one table only.
pub const NEXT_HOP: TableId = TableId(84);
/// Out by the leg, to the next hop that was found, and back to [`DESTINATION`] in the leg's domain.
pub const LINK: TableId = TableId(85);
/// What leaves by a leg whose addresses are translated: by which translation.
pub const TRANSLATE_OUT: TableId = TableId(86);
/// What comes to such a leg: by which translation, and on which host.
pub const TRANSLATE_IN: TableId = TableId(87);
/// Whether what leaves has become what its translation says, and then on to [`NEXT_HOP`].
pub const TRANSLATED_OUT: TableId = TableId(88);
/// Whether what comes has become what its translation says, and then on into the router.
pub const TRANSLATED_IN: TableId = TableId(89);
/// Whether what comes by an uplink may come from there.
pub const WIRE_SOURCE: TableId = TableId(90);
/// What the gateway of a physical network takes from the wire.
pub const WIRE: TableId = TableId(91);
/// Where the gateway looks for the next hop of a packet to the wire.
pub const GATEWAY: TableId = TableId(92);
/// From (physical network, address) to MAC address, of those on the wire that have answered lately. The agent's alone:
/// no program holds these flows, and none takes them away.
pub const NEIGHBOUR: TableId = TableId(93);
/// Sends what was made an answer back to where its question came from.
pub const BACK: TableId = TableId(94);

/// Every table, in the order in which a packet can meet them.
pub const TABLES: [(TableId, &str); 49] = [
    (CLASSIFY, "classify"),
    (TUNNEL_IN, "tunnel_in"),
    (NAMED_SOURCE, "named_source"),
    (NAMED_DESTINATION, "named_destination"),
    (SOURCE, "source"),
    (SEGMENT_SOURCE, "segment_source"),
    (TRACK_OUT, "track_out"),
    (FILTER_OUT, "filter_out"),
    (GROUP_OUT, "group_out"),
    (COMMIT_OUT, "commit_out"),
    (GROUP_TO, "group_to"),
    (GROUP_PASSED, "group_passed"),
    (REFUSED_OUT, "refused_out"),
    (LOG, "log"),
    (ANSWER, "answer"),
    (ARP_REPLY, "arp_reply"),
    (ND_REPLY, "nd_reply"),
    (ND_REPLY_OPTIONS, "nd_reply_options"),
    (QUESTION, "question"),
    (AGENT, "agent"),
    (ECHO_REPLY, "echo_reply"),
    (RESOLVE, "resolve"),
    (DESTINATION, "destination"),
    (PEER, "peer"),
    (NAME_SOURCE, "name_source"),
    (NAME_DESTINATION, "name_destination"),
    (TUNNEL_OUT, "tunnel_out"),
    (DELIVER, "deliver"),
    (TRACK_IN, "track_in"),
    (FILTER_IN, "filter_in"),
    (GROUP_IN, "group_in"),
    (COMMIT_IN, "commit_in"),
    (OUTPUT, "output"),
    (REFUSED_IN, "refused_in"),
    (SIMULATED, "simulated"),
    (FORWARD, "forward"),
    (OWN, "own"),
    (ROUTE, "route"),
    (NEXT_HOP, "next_hop"),
    (LINK, "link"),
    (TRANSLATE_OUT, "translate_out"),
    (TRANSLATE_IN, "translate_in"),
    (TRANSLATED_OUT, "translated_out"),
    (TRANSLATED_IN, "translated_in"),
    (WIRE_SOURCE, "wire_source"),
    (WIRE, "wire"),
    (GATEWAY, "gateway"),
    (NEIGHBOUR, "neighbour"),
    (BACK, "back"),
];

// The metadata field holds the domain's key.

/// Flags of a packet.
pub const FLAGS: u8 = 0;
/// Key of the interface the packet comes from.
pub const SOURCE_INTERFACE: u8 = 1;
/// Key of the interface it goes to; 0 when it goes to all.
pub const DESTINATION_INTERFACE: u8 = 2;
/// Key of the host it goes to.
pub const DESTINATION_HOST: u8 = 3;
/// Number of the tunnel port it leaves by.
pub const TUNNEL_PORT: u8 = 4;
/// Who translates a packet: first the key of the leg that it leaves by, then the entry that has taken it. Nobody asks once the
/// packet goes to another host, where [`TUNNEL_PORT`] takes the register.
pub const TRANSLATION: u8 = TUNNEL_PORT;
/// Largest inner IP packet that this tunnel takes, in bytes.
pub const TUNNEL_MTU: u8 = 5;
/// Key of the security groups of who it goes to; 0 for none. Shares the register of [`TUNNEL_MTU`], which is written only
/// once the packet is on its way to a tunnel.
pub const DESTINATION_IDENTITY: u8 = TUNNEL_MTU;
/// The MAC address that [`RESOLVE`] found, in the low 48 bits of the 64-bit register (`reg6` and `reg7`).
///
/// On the way to another host it holds the name of the packet's sender instead: see [`NAME_SOURCE`].
pub const RESOLVED_MAC: u8 = 3;
/// The address for [`RESOLVE`], in a 128-bit register (`reg8` to `reg11`). IPv4 addresses are mapped ones (RFC 4291,
/// section 2.5.5.2), so that no IPv6 address of a guest means the same.
pub const RESOLVE_ADDRESS: u8 = 2;
/// Holds one word while two fields change places.
pub const SCRATCH: u8 = 12;
/// Key of the router that a packet is in.
pub const ROUTE_LINK: u8 = 13;
/// Source MAC address that a packet had before it was routed, in the low 48 bits of the 64-bit register (`reg14` and
/// `reg15`): who is told when it cannot go on.
pub const ORIGIN: u8 = 7;

/// The packet came from another host, and is not sent to a third one.
pub const FROM_TUNNEL: u32 = 1 << 0;
/// Bit number of [`TOO_BIG`], for the action that sets it.
pub const TOO_BIG_BIT: u16 = 1;
/// The packet does not fit the tunnel.
pub const TOO_BIG: u32 = 1 << TOO_BIG_BIT;
/// [`RESOLVE`] knew the address.
pub const RESOLVED: u32 = 1 << 2;
/// The source may speak as a router.
pub const ROUTER: u32 = 1 << 3;
/// The address that [`RESOLVE`] knew is a router's.
pub const RESOLVED_ROUTER: u32 = 1 << 4;
/// The packet has passed a router, and [`ORIGIN`] is known.
pub const ROUTED: u32 = 1 << 5;
/// A translating leg has let the packet in.
pub const TRANSLATED: u32 = 1 << 9;

/// Conntrack zones of translations; the lower bits are the leg's [`topology::TranslationZone`].
pub const TRANSLATION_ZONES: u16 = 1 << 15;
/// The packet is on its way to the wire by this host's uplink.
pub const AT_GATEWAY: u32 = 1 << 6;
/// The packet came by an uplink, and does not go back unless a router sends it.
pub const FROM_WIRE: u32 = 1 << 7;
/// The packet came by an uplink, and another host is the gateway.
pub const ELSEWHERE: u32 = 1 << 8;

/// A rule lets the packet's connection begin.
pub const COMMIT: u32 = 1 << 12;
/// Whether the sender's security groups allow the packet is said once its receiver is known.
pub const PENDING: u32 = 1 << 13;
/// The packet comes from an interface in a segment.
pub const SEGMENT: u32 = 1 << 14;
/// Number of the first bit of [`IDENTITY`].
pub const IDENTITY_BIT: u16 = 16;
/// Key of the sender's security groups, not a flag but half of the register; 0 for none.
pub const IDENTITY: u32 = 0xffff << IDENTITY_BIT;

/// Class of the Geneve option, of the range for experiments (RFC 8926, section 10).
pub const OPTION_CLASS: u16 = 0xff56;
/// Type of the Geneve option; the high bit says that who does not know it must drop the packet (RFC 8926, section
/// 3.5.1).
pub const OPTION_TYPE: u8 = 0x80;
/// Data of the Geneve option, in bytes: source interface (24 bits), destination interface (24 bits), security groups of
/// the source (16 bits).
pub const OPTION_BYTES: u8 = 8;
/// Where the option is in the switch's option table.
pub const OPTION_INDEX: u8 = 0;

/// The Geneve option as a field.
pub const OPTION: Field = Field::TunMetadata { index: OPTION_INDEX, bytes: OPTION_BYTES };

/// The destination interface within the option.
pub fn option_destination() -> SubField {
    SubField::new(OPTION, 16, 24)
}

/// The source interface within the option.
pub fn option_source() -> SubField {
    SubField::new(OPTION, 40, 24)
}

/// The security groups of the source within the option.
pub fn option_identity() -> SubField {
    SubField::new(OPTION, 0, 16)
}

/// The security groups of the source in [`FLAGS`].
pub fn identity() -> SubField {
    SubField::new(Field::Reg(FLAGS), IDENTITY_BIT, 16)
}

/// Where guests ask what they are to know of themselves: a link-local address (RFC 3927) that images of all clouds know.
pub const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// The same over IPv6: a link-local address with the digits of [`METADATA`].
pub const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe);
/// The port there, that of HTTP.
pub const METADATA_PORT: u16 = 80;

/// How the switch has to be told to treat fragments (`OFPC_FRAG_NX_MATCH`, ovs-ofctl(8) `set-frags nx-match`): first
/// fragments are matched by their transport header like whole packets, else a router advertisement in a fragment would
/// be no router advertisement (RFC 7113).
pub const FRAGMENT_HANDLING: u16 = 3;

/// Has a packet looked up again: see [`crate::limit`]. Groups of domains begin above.
pub const RECIRCULATE: GroupId = GroupId(1);

/// Limits what goes to the agent, over all ports.
pub const AGENT_METER: MeterId = MeterId(1);

/// Packets per second that [`AGENT_METER`] lets through; one agent answers many times that.
pub const AGENT_PACKETS_PER_SECOND: u32 = 2000;

/// Counts what is dropped as too large for a tunnel. A flow cannot: Open vSwitch credits the flows behind
/// `check_pkt_larger` with every packet it is asked about, whatever the answer, and a meter only with those it meets.
pub const TOO_BIG_METER: MeterId = MeterId(2);

/// Limits the questions that no local port asks: those that come by tunnels.
pub const OTHERS_METER: MeterId = MeterId(3 * (LOCAL_PORT + 1));

/// The bridge's own port, counted as the one after all others.
const LOCAL_PORT: u32 = OfPort::MAX.0 + 1;

/// Questions per second that [`OTHERS_METER`] lets through.
pub const OTHERS_QUESTIONS_PER_SECOND: u32 = 500;

/// Questions per second of one port. A guest that resolves its neighbours, asks a name server and pings its router all
/// day needs a tenth; two hundred times as many as this cost a host one processor.
pub const PORT_QUESTIONS_PER_SECOND: u32 = 300;

/// How many questions of one port may come at once: those that others wait for in an agent's queue.
pub const PORT_QUESTIONS_AT_ONCE: u32 = 100;

/// The meters of a port, by their place in the three that each has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortMeter {
    /// What its guest asks.
    Questions,
    /// What its guest sends.
    Egress,
    /// What its guest receives.
    Ingress,
}

impl PortMeter {
    /// Its number: made from the port's, which the switch's database keeps. Three for each port are no more than the
    /// 200,000 meters of the smallest datapath, Linux's (`DP_METER_NUM_MAX`).
    pub fn of(self, port: OfPort) -> MeterId {
        let place = match self {
            Self::Questions => 0,
            Self::Egress => 1,
            Self::Ingress => 2,
        };
        MeterId(port.0.min(LOCAL_PORT) * 3 + place)
    }

    /// Which a meter is; `None` if it is no port's.
    pub fn of_meter(meter: MeterId) -> Option<Self> {
        (meter.0 >= 3 && meter < OTHERS_METER).then_some(())?;
        match meter.0 % 3 {
            0 => Some(Self::Questions),
            1 => Some(Self::Egress),
            _ => Some(Self::Ingress),
        }
    }
}

/// Limits what is written down for filters' rules, over all ports.
pub const LOG_METER: MeterId = MeterId(OTHERS_METER.0 + 1);

/// Packets per second that [`LOG_METER`] lets through: what a person could look at.
pub const LOGGED_PER_SECOND: u32 = 10;

/// Header of an Ethernet frame without tag, in bytes: what `check_pkt_larger` counts besides the IP packet.
pub const ETHERNET_HEADER: u16 = 14;

macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident = $byte:literal;)*) => {
        /// Why a packet goes to the agent: the one byte of the packet-in's user data.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Question {$(
            $(#[$doc])*
            $name = $byte,
        )*}

        impl Question {
            /// Every question.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// As user data.
            pub fn userdata(self) -> Vec<u8> {
                vec![match self { $(Self::$name => $byte,)* }]
            }
        }
    };
}

questions! {
    /// The packet does not fit the tunnel; [`TUNNEL_MTU`] says what does.
    TooBig = 1;
    /// A neighbour solicitation that no rewriting can answer; [`RESOLVED_MAC`] holds the answer.
    Solicitation = 2;
    /// A router cannot send the packet on: it has no hops left.
    TimeExceeded = 3;
    /// A router has no route.
    NoRoute = 4;
    /// A router has a route, and nobody has the address of the next hop.
    HostUnreachable = 5;
    /// A simulated interface has no service behind the port.
    PortUnreachable = 6;
    /// A guest asks for its address.
    Dhcp = 7;
    /// A guest asks for its IPv6 address.
    Dhcpv6 = 8;
    /// A guest asks which routers there are.
    RouterSolicitation = 9;
    /// Somebody asks a name server.
    Dns = 10;
    /// A filter refuses the packet, and its sender is to be told.
    Rejected = 11;
    /// A filter's rule wants the packet written down.
    Logged = 12;
    /// Somebody asks a name server over TCP.
    DnsStream = 20;
    /// A guest asks what it is to know of itself.
    Metadata = 21;
    /// A gateway does not know who on the wire has the address in [`RESOLVE_ADDRESS`].
    NextHop = 30;
    /// Somebody on the wire says who has an address.
    NeighbourFound = 31;
}

impl Question {
    /// From user data.
    pub fn of_userdata(userdata: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|question| question.userdata() == userdata)
    }
}

/// Writes a register.
pub(crate) fn set(register: u8, value: u32) -> Action {
    Action::set_field(Field::Reg(register), value)
}

/// Sets a flag.
pub(crate) fn flag(flag: u32) -> Action {
    Action::set_field_masked(Field::Reg(FLAGS), flag, flag)
}

/// Copies a whole field.
pub(crate) fn copy(source: Field, destination: Field) -> Action {
    Action::Move { source: SubField::whole(source), destination: SubField::whole(destination) }
}

/// Copies bits.
pub(crate) fn copy_bits(source: SubField, destination: SubField) -> Action {
    Action::Move { source, destination }
}

/// Hands the packet to the agent, within the limits of its port and of all.
pub(crate) fn to_agent(question: Question) -> [Action; 3] {
    let controller = Controller {
        reason: PacketInReason::ApplyAction,
        userdata: question.userdata(),
        ..Controller::default()
    };
    [Action::resubmit(QUESTION), Action::resubmit(AGENT), Action::Controller(controller)]
}

/// The MAC address that [`RESOLVE`] found.
pub(crate) fn resolved_mac() -> SubField {
    SubField::new(Field::Xreg(RESOLVED_MAC), 0, 48)
}

/// Makes the IPv4 address in a field the question for [`RESOLVE`].
pub(crate) fn ask_ipv4(field: Field) -> Vec<Action> {
    let address = Field::Xxreg(RESOLVE_ADDRESS);
    vec![
        Action::load(SubField::new(address, 32, 16), 0xffff_u16),
        copy_bits(SubField::whole(field), SubField::new(address, 0, 32)),
    ]
}

/// Makes the IPv6 address in a field the question for [`RESOLVE`].
pub(crate) fn ask_ipv6(field: Field) -> Vec<Action> {
    vec![copy(field, Field::Xxreg(RESOLVE_ADDRESS))]
}

/// Makes an address the question for [`RESOLVE`].
pub(crate) fn ask_for(address: IpAddr) -> Vec<Action> {
    vec![Action::set_field(Field::Xxreg(RESOLVE_ADDRESS), as_ipv6(address))]
}

/// Makes the destination of an IP packet of this family the question for [`RESOLVE`].
pub(crate) fn ask_destination(family: IpAddr) -> Vec<Action> {
    match family {
        IpAddr::V4(_) => ask_ipv4(Field::Ipv4Dst),
        IpAddr::V6(_) => ask_ipv6(Field::Ipv6Dst),
    }
}

/// Does this, and then takes the packet through tables, one after another.
pub(crate) fn then_through<const N: usize>(mut actions: Vec<Action>, tables: [TableId; N]) -> Vec<Action> {
    actions.extend(tables.map(Action::resubmit));
    actions
}
