//! What a DHCPv6 client is told.
//!
//! # Which options
//! Who speaks to whom, what became of each identity association, and of what the client asks for all that the lease has
//! and there is room for: an answer fits the smallest MTU there may be.

use std::net::Ipv6Addr;
use std::time::Duration;

use dhcproto::Encodable;
use dhcproto::v6::{
    CLIENT_PORT, DhcpOption, DhcpOptions, IAAddr, IANA, IAPD, IATA, Message, MessageType, NtpSuboption,
    OptionCode, SERVER_PORT, Status, StatusCode, UnknownOption,
};
use etherparse::{Ipv6Header, UdpHeader};

use super::request::{AssociationKind, Request};
use super::{Association, Lease};
use crate::ethernet::Frame;
use crate::ip::Addresses;
use crate::name::uncompressed;
use crate::udp::{self, Ports};

/// The largest answer, in bytes: what fits the smallest MTU (RFC 8200, section 5).
const ROOM: usize = 1280 - Ipv6Header::LEN - UdpHeader::LEN;

/// RFC 8415, section 21.8: a client that is offered something by the most preferred server does not wait for others.
const MOST_PREFERRED: u8 = 255;

/// An answer in the making.
pub(super) struct Reply<'a> {
    pub(super) request: &'a Request,
    pub(super) frame: &'a Frame<'a>,
    pub(super) lease: &'a Lease,
}

impl Reply<'_> {
    /// What a client would be given that asked for it.
    pub(super) fn advertise(&self) -> Option<Vec<u8>> {
        let preference = DhcpOption::Preference(MOST_PREFERRED);
        self.send(MessageType::Advertise, self.decisions().chain([preference]), true)
    }

    /// What a client is given that asked for it at once (RFC 8415, section 18.3.1).
    pub(super) fn rapid_commit(&self) -> Option<Vec<u8>> {
        self.send(MessageType::Reply, self.decisions().chain([DhcpOption::RapidCommit]), true)
    }

    /// What a client is given.
    pub(super) fn associations(&self) -> Option<Vec<u8>> {
        self.send(MessageType::Reply, self.decisions(), true)
    }

    /// What there is beside addresses.
    pub(super) fn information(&self) -> Option<Vec<u8>> {
        self.send(MessageType::Reply, [], true)
    }

    /// How it went as a whole.
    pub(super) fn status(&self, status: Status) -> Option<Vec<u8>> {
        self.send(MessageType::Reply, [status_code(status)], false)
    }

    /// RFC 8415, section 18.3.7: it went well, whatever it was; and which associations were not known.
    pub(super) fn returned(&self) -> Option<Vec<u8>> {
        let is_known = |association: &&Association| {
            association.addresses.iter().any(|address| Some(*address) == self.lease.address)
        };
        let unknown = self.request.associations.iter().filter(|association| !is_known(association));
        let statuses = unknown.map(|association| self.nothing_for(association));
        self.send(MessageType::Reply, statuses.chain([status_code(Status::Success)]), false)
    }

    /// The association that gets the client's address, by its place among all, and the address.
    pub(super) fn granted(&self) -> Option<(usize, Ipv6Addr)> {
        let address = self.lease.address?;
        let all = self.request.associations.iter().enumerate();
        let mut candidates = all.filter(|(_, association)| association.kind == AssociationKind::Addresses);
        let named = candidates.clone().find(|(_, association)| association.addresses.contains(&address));
        let (place, association) = named.or_else(|| candidates.next())?;
        // RFC 8415, section 18.3.2: what a client requests that is not of this link, it does not get corrected.
        let is_misplaced = self.request.kind == MessageType::Request && self.names_others(association);
        (!is_misplaced).then_some((place, address))
    }

    /// What becomes of each association.
    fn decisions(&self) -> impl Iterator<Item = DhcpOption> {
        let granted = self.granted();
        self.request.associations.iter().enumerate().map(move |(place, association)| match granted {
            Some((at, address)) if at == place => self.grant(association, address),
            _ => self.refuse(association),
        })
    }

    fn grant(&self, association: &Association, address: Ipv6Addr) -> DhcpOption {
        let preferred = self.lease.preferred.min(self.lease.valid);
        let leased = IAAddr {
            addr: address,
            preferred_life: seconds(preferred),
            valid_life: seconds(self.lease.valid),
            opts: DhcpOptions::new(),
        };
        // RFC 8415, sections 18.3.4 and 18.3.5: other addresses that the client still uses end at once.
        let is_in_use = matches!(self.request.kind, MessageType::Renew | MessageType::Rebind);
        let others = association.addresses.iter().filter(|other| is_in_use && **other != address);
        let opts = [DhcpOption::IAAddr(leased)].into_iter().chain(others.copied().map(ended)).collect();
        // RFC 8415, section 21.4: half and four fifths of the time that the address is preferred.
        let (t1, t2) = (seconds(preferred / 2), seconds(preferred - preferred / 5));
        DhcpOption::IANA(IANA { id: association.id, t1, t2, opts })
    }

    fn refuse(&self, association: &Association) -> DhcpOption {
        match self.request.kind {
            // RFC 8415, section 18.3.2.
            MessageType::Request if self.names_others(association) => {
                of(association, status_code(Status::NotOnLink))
            }
            // RFC 8415, sections 18.3.4 and 18.3.5.
            MessageType::Renew | MessageType::Rebind if self.names_others(association) => {
                with(association, association.addresses.iter().copied().map(ended).collect())
            }
            _ => self.nothing_for(association),
        }
    }

    /// That there is nothing to give, or to continue.
    fn nothing_for(&self, association: &Association) -> DhcpOption {
        let status = match (self.request.kind, association.kind) {
            (MessageType::Solicit | MessageType::Request, AssociationKind::Prefixes) => Status::NoPrefixAvail,
            (MessageType::Solicit | MessageType::Request, _) => Status::NoAddrsAvail,
            _ => Status::NoBinding,
        };
        of(association, status_code(status))
    }

    /// Whether an association names addresses of other links.
    fn names_others(&self, association: &Association) -> bool {
        association.addresses.iter().any(|address| !self.lease.subnet.contains(address))
    }

    /// The frame with a message.
    fn send(
        &self,
        kind: MessageType,
        options: impl IntoIterator<Item = DhcpOption>,
        tells_wanted: bool,
    ) -> Option<Vec<u8>> {
        let mut message = Message::new_with_id(kind, self.request.xid);
        message.opts_mut().insert(DhcpOption::ServerId(self.lease.duid()));
        let client = self.request.client.clone().map(DhcpOption::ClientId);
        options.into_iter().chain(client).for_each(|option| message.opts_mut().insert(option));
        if tells_wanted {
            self.add_wanted(&mut message)?;
        }
        let addresses = Addresses::V6 { source: self.lease.server, destination: self.request.source };
        let ports = Ports { source: SERVER_PORT, destination: CLIENT_PORT };
        let packet = udp::packet(addresses, ports, &message.to_vec().ok()?)?;
        Some(self.frame.answer(self.lease.server_mac, self.frame.source, &packet))
    }

    /// Adds what the client wants to know.
    fn add_wanted(&self, message: &mut Message) -> Option<()> {
        let mut room = ROOM.checked_sub(message.to_vec().ok()?.len())?;
        for code in &self.request.wanted {
            if message.opts().get(*code).is_some() {
                continue;
            }
            let Some(option) = option(*code, self.lease) else { continue };
            if let Some(left) = room.checked_sub(option.to_vec().ok()?.len()) {
                room = left;
                message.opts_mut().insert(option);
            }
        }
        Some(())
    }
}

/// An option that the lease has something for.
fn option(code: OptionCode, lease: &Lease) -> Option<DhcpOption> {
    let octets = |addresses: &[Ipv6Addr]| addresses.iter().flat_map(Ipv6Addr::octets).collect();
    match code {
        // RFC 3646, section 3.
        OptionCode::DomainNameServers if !lease.dns.is_empty() => {
            Some(DhcpOption::DomainNameServers(lease.dns.clone()))
        }
        // RFC 3646, section 4. Not by dhcproto's own option: it compresses names, which is forbidden here.
        OptionCode::DomainSearchList if !lease.search.is_empty() => {
            let names = lease.search.iter().flat_map(uncompressed).collect();
            Some(DhcpOption::Unknown(UnknownOption::new(code, names)))
        }
        // RFC 5908, section 4.
        OptionCode::NtpServer if !lease.ntp.is_empty() => {
            Some(DhcpOption::NtpServer(lease.ntp.iter().copied().map(NtpSuboption::ServerAddress).collect()))
        }
        // RFC 4075, section 4: what time servers were asked for by before.
        OptionCode::SntpServers if !lease.ntp.is_empty() => {
            Some(DhcpOption::Unknown(UnknownOption::new(code, octets(&lease.ntp))))
        }
        _ => None,
    }
}

/// An association with one option.
fn of(association: &Association, option: DhcpOption) -> DhcpOption {
    with(association, [option].into_iter().collect())
}

/// An association that gets nothing, with what is to say of it.
fn with(association: &Association, opts: DhcpOptions) -> DhcpOption {
    let Association { kind, id, .. } = *association;
    match kind {
        AssociationKind::Addresses => DhcpOption::IANA(IANA { id, t1: 0, t2: 0, opts }),
        AssociationKind::TemporaryAddresses => DhcpOption::IATA(IATA { id, opts }),
        AssociationKind::Prefixes => DhcpOption::IAPD(IAPD { id, t1: 0, t2: 0, opts }),
    }
}

/// An address that is not to be used any more.
fn ended(addr: Ipv6Addr) -> DhcpOption {
    DhcpOption::IAAddr(IAAddr { addr, preferred_life: 0, valid_life: 0, opts: DhcpOptions::new() })
}

fn status_code(status: Status) -> DhcpOption {
    DhcpOption::StatusCode(StatusCode { status, msg: String::new() })
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}
