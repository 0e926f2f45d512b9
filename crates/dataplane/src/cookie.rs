//! Cookies: which unit a flow belongs to, so that a flow in a switch can be explained in the user's words.
//!
//! The high byte is the kind of unit, the low 32 bits its key. A flow of the base names what it is for, and so the
//! reason of the drops it counts.

use openflow::Cookie;
use topology::{DomainKey, HostKey, IdentityKey, InterfaceKey, RouteKey, RouteLinkKey, TranslationKey};

/// What a flow is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The pipeline itself.
    Base(Purpose),
    /// An interface, here or elsewhere.
    Interface(InterfaceKey),
    /// Another host.
    Peer(HostKey),
    /// A network or segment.
    Domain(DomainKey),
    /// A virtual router.
    RouteLink(RouteLinkKey),
    /// A route.
    Route(RouteKey),
    /// A translation.
    Translation(TranslationKey),
    /// What protects an interface.
    Filter(InterfaceKey),
    /// A distinct set of security groups.
    Identity(IdentityKey),
    /// The agent, which knows somebody on the wire of a physical network.
    Neighbour(DomainKey),
}

macro_rules! purposes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $drop:literal;)*) => {
        /// What a flow of the base is for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Purpose {$(
            $(#[$doc])*
            $name,
        )*}

        impl Purpose {
            /// Every purpose.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            fn number(self) -> u32 {
                match self { $(Self::$name => $number,)* }
            }

            /// Why packets that end here are dropped; `None` if they go on.
            pub fn drop_reason(self) -> Option<&'static str> {
                let reason = match self { $(Self::$name => $drop,)* };
                (!reason.is_empty()).then_some(reason)
            }
        }
    };
}

purposes! {
    /// Takes packets on.
    Pipeline = 1, "";
    /// The port is no interface's, or the MAC address is not leased to it.
    UnknownSource = 2, "port or source MAC address not leased";
    /// A tunnelled packet from an address that is no peer's.
    UnknownPeer = 3, "tunnelled from an unknown host";
    /// The source address is not leased.
    SourceAddress = 4, "source address not leased";
    /// A VLAN tag, which a network has no use for.
    Tagged = 5, "VLAN tag in a network";
    /// What it says of its sender's MAC address is not true.
    SenderHardware = 6, "false MAC address in ARP or neighbour discovery";
    /// Answers to questions that are answered here.
    Unasked = 7, "ARP or neighbour advertisement that nobody asked for";
    /// A router's word from an interface that is none.
    NotRouter = 8, "router advertisement or redirect from no router";
    /// Nobody has the address that is asked for, or the asker itself has.
    Unresolved = 9, "address resolution for an unknown or own address";
    /// Nobody has the MAC address.
    UnknownDestination = 10, "destination MAC address unknown";
    /// It would go from tunnel to tunnel.
    SplitHorizon = 11, "from a tunnel to a tunnel";
    /// The host is not known (any more).
    UnknownHost = 12, "destination host unknown";
    /// It does not fit, and nobody can be told. How many, [`crate::layout::TOO_BIG_METER`] counts.
    TooBig = 13, "larger than the tunnel takes";
    /// The interface is not here (any more).
    NotHere = 14, "destination interface not on this host";
    /// What it says cannot be seen behind a second VLAN tag.
    Hidden = 15, "more than one VLAN tag";
    /// No router takes packets from there by this leg.
    NotRouted = 16, "no router takes packets of this source by this interface";
    /// Addresses that mean something on one wire only, or to many.
    NotForwarded = 17, "link-local, multicast or loopback address at a router";
    /// A simulated interface has nothing to say to it.
    NotServed = 18, "a simulated interface has no such service";
    /// Addresses are translated there, and these are nobody's.
    Untranslated = 30, "no translation takes it";
    /// It belongs to no connection that may pass, or to one whose translation is gone.
    UnknownConnection = 31, "of no translated connection";
    /// It came by a wire as it was, and names nobody who is known, or who is here.
    NotNamed = 43, "from a wire, for an interface that is not here or from an unknown one";
    /// The sender's filter does not let it out.
    FilteredOut = 20, "filter of the sender";
    /// The receiver's filter does not let it in.
    FilteredIn = 21, "filter of the receiver";
    /// No security group of the sender allows it.
    NotAllowedOut = 22, "security groups of the sender";
    /// No security group of the receiver allows it.
    NotAllowedIn = 23, "security groups of the receiver";
    /// Its port, or a tunnel, has asked too much. How many, [`crate::layout::PortMeter`] counts.
    TooManyQuestions = 50, "more questions than a port may ask";
    /// All ports together have. How many, [`crate::layout::AGENT_METER`] counts.
    AgentLimit = 51, "more questions than the agent is asked";
    /// Somebody on the wire of a physical network speaks as one of its legs.
    Pretender = 40, "address of a router's leg from outside";
    /// Another host is the gateway, or nobody knows the network.
    NotGateway = 41, "from outside, at a host that is not the gateway";
    /// The wire of a physical network is the untagged one.
    TaggedOutside = 42, "VLAN tag from outside";
    /// More than `max_egress_kbps`. How many, [`crate::layout::PortMeter`] counts.
    EgressRate = 52, "more than the interface may send";
    /// More than `max_ingress_kbps`. How many, [`crate::layout::PortMeter`] counts.
    IngressRate = 53, "more than the interface may receive";
}

impl Owner {
    /// As a flow carries it.
    pub fn cookie(self) -> Cookie {
        let (kind, key) = match self {
            Self::Base(purpose) => (1, purpose.number()),
            Self::Interface(key) => (2, key.0),
            Self::Peer(key) => (3, key.0),
            Self::Domain(key) => (4, key.0),
            Self::RouteLink(key) => (5, key.0),
            Self::Route(key) => (6, key.0),
            Self::Translation(key) => (9, key.0),
            Self::Filter(key) => (7, key.0),
            Self::Identity(key) => (8, key.0),
            Self::Neighbour(key) => (10, key.0),
        };
        Cookie(kind << 56 | u64::from(key))
    }

    /// What the cookies of the base have in common, and by which bits they are known.
    pub fn of_base() -> (Cookie, u64) {
        Self::Base(Purpose::Pipeline).kind()
    }

    /// What the cookies of peers have in common, and by which bits they are known.
    pub fn of_peers() -> (Cookie, u64) {
        Self::Peer(HostKey(0)).kind()
    }

    fn kind(self) -> (Cookie, u64) {
        let kind = 0xff << 56;
        (Cookie(self.cookie().0 & kind), kind)
    }

    /// From a flow; `None` if it is not one of ours.
    pub fn of_cookie(cookie: Cookie) -> Option<Self> {
        let key = u32::try_from(cookie.0 & 0x00ff_ffff_ffff_ffff).ok()?;
        match cookie.0 >> 56 {
            1 => Purpose::ALL.iter().find(|purpose| purpose.number() == key).copied().map(Self::Base),
            2 => Some(Self::Interface(InterfaceKey(key))),
            3 => Some(Self::Peer(HostKey(key))),
            4 => Some(Self::Domain(DomainKey(key))),
            5 => Some(Self::RouteLink(RouteLinkKey(key))),
            6 => Some(Self::Route(RouteKey(key))),
            9 => Some(Self::Translation(TranslationKey(key))),
            7 => Some(Self::Filter(InterfaceKey(key))),
            8 => Some(Self::Identity(IdentityKey(key))),
            10 => Some(Self::Neighbour(DomainKey(key))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_tells_its_owner() {
        let bases = Purpose::ALL.iter().copied().map(Owner::Base);
        let others = [
            Owner::Interface(InterfaceKey(7)),
            Owner::Peer(HostKey(HostKey::MAX)),
            Owner::Domain(DomainKey(DomainKey::MAX)),
            Owner::RouteLink(RouteLinkKey(RouteLinkKey::MAX)),
            Owner::Route(RouteKey(RouteKey::MAX)),
            Owner::Translation(TranslationKey(TranslationKey::MAX)),
            Owner::Filter(InterfaceKey(7)),
            Owner::Identity(IdentityKey(IdentityKey::MAX)),
            Owner::Neighbour(DomainKey(DomainKey::MAX)),
        ];
        for owner in bases.chain(others) {
            assert_eq!(Owner::of_cookie(owner.cookie()), Some(owner));
        }
        assert_eq!(Owner::of_cookie(Cookie(0)), None);
        assert_eq!(Owner::of_cookie(Cookie(u64::MAX)), None);
    }
}
