//! Reading what a DHCPv6 client sent.
//!
//! Not by `dhcproto`: its reader of messages goes as deep as options are nested, and subtracts from lengths that a client
//! made up.

use std::net::{IpAddr, Ipv6Addr};

use dhcproto::v6::{MessageType, OptionCode, SERVER_PORT};

use crate::dhcp::Ignored;
use crate::ip::is_host;
use crate::udp::Datagram;

/// Sizes that a DUID may have, in bytes (RFC 8415, section 11.1).
const DUID: std::ops::RangeInclusive<usize> = 3..=130;

/// Most identity associations of a message and addresses of an association. They come back in the answer, which must have
/// room for all; a client has no reason for more than one or two.
const MOST_ASSOCIATIONS: usize = 4;
const MOST_ADDRESSES: usize = 4;

/// A client's message.
pub(super) struct Request {
    pub(super) kind: MessageType,
    /// Its number, by which the client knows the answer.
    pub(super) xid: [u8; 3],
    /// Where the client is.
    pub(super) source: Ipv6Addr,
    /// What the client calls itself.
    pub(super) client: Option<Vec<u8>>,
    /// What the server calls itself that the client speaks to.
    pub(super) server: Option<Vec<u8>>,
    /// The options that the client wants.
    pub(super) wanted: Vec<OptionCode>,
    pub(super) wants_rapid_commit: bool,
    pub(super) associations: Vec<Association>,
}

/// What a client wants addresses for (RFC 8415, section 4.2).
pub(super) struct Association {
    pub(super) kind: AssociationKind,
    /// The client's number for it.
    pub(super) id: u32,
    /// The addresses that it names.
    pub(super) addresses: Vec<Ipv6Addr>,
}

/// What an association is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AssociationKind {
    Addresses,
    TemporaryAddresses,
    Prefixes,
}

impl Request {
    pub(super) fn read(datagram: &Datagram<'_>) -> Result<Self, Ignored> {
        let IpAddr::V6(source) = datagram.addresses.source() else { return Err(Ignored::NotDhcp) };
        if datagram.ports.destination != SERVER_PORT || !is_host(source.into()) {
            return Err(Ignored::NotDhcp);
        }
        let (&[kind, a, b, c], options) = datagram.payload.split_first_chunk().ok_or(Ignored::Malformed)?;
        let kind = MessageType::from(kind);
        if matches!(kind, MessageType::RelayForw | MessageType::RelayRepl) {
            return Err(Ignored::Relayed);
        }
        Self::of(kind, [a, b, c], source, options).ok_or(Ignored::Malformed)
    }

    fn of(kind: MessageType, xid: [u8; 3], source: Ipv6Addr, options: &[u8]) -> Option<Self> {
        let mut request = Self {
            kind,
            xid,
            source,
            client: None,
            server: None,
            wanted: Vec::new(),
            wants_rapid_commit: false,
            associations: Vec::new(),
        };
        for option in Options(options) {
            let (code, data) = option?;
            request.take(code, data)?;
        }
        (request.associations.len() <= MOST_ASSOCIATIONS).then_some(request)
    }

    fn take(&mut self, code: OptionCode, data: &[u8]) -> Option<()> {
        match code {
            OptionCode::ClientId => set_once(&mut self.client, duid(data)?)?,
            OptionCode::ServerId => set_once(&mut self.server, duid(data)?)?,
            OptionCode::RapidCommit => self.wants_rapid_commit = true,
            OptionCode::ORO => {
                let (codes, []) = data.as_chunks() else { return None };
                self.wanted = codes.iter().map(|code| u16::from_be_bytes(*code).into()).collect();
            }
            OptionCode::IANA => self.associations.push(association(AssociationKind::Addresses, data)?),
            OptionCode::IATA => {
                self.associations.push(association(AssociationKind::TemporaryAddresses, data)?);
            }
            OptionCode::IAPD => self.associations.push(association(AssociationKind::Prefixes, data)?),
            _ => {}
        }
        Some(())
    }

    /// All addresses that the client names.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.associations.iter().flat_map(|association| association.addresses.iter().copied())
    }
}

/// RFC 8415, section 16: an option that may come once and comes again makes the message malformed.
fn set_once(place: &mut Option<Vec<u8>>, value: Vec<u8>) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

fn duid(data: &[u8]) -> Option<Vec<u8>> {
    DUID.contains(&data.len()).then(|| data.to_vec())
}

/// RFC 8415, sections 21.4, 21.5 and 21.21.
fn association(kind: AssociationKind, data: &[u8]) -> Option<Association> {
    let (id, rest) = data.split_first_chunk()?;
    let options = match kind {
        AssociationKind::TemporaryAddresses => rest,
        // Behind the times that the client would like.
        AssociationKind::Addresses | AssociationKind::Prefixes => rest.get(8..)?,
    };
    let mut addresses = Vec::new();
    for option in Options(options) {
        if let (OptionCode::IAAddr, data) = option? {
            let (address, _) = data.split_first_chunk::<16>()?;
            addresses.push(Ipv6Addr::from(*address));
        }
    }
    let association = Association { kind, id: u32::from_be_bytes(*id), addresses };
    (association.addresses.len() <= MOST_ADDRESSES).then_some(association)
}

/// The options in some bytes (RFC 8415, section 21.1). The last one is `None` if it is cut short.
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = Option<(OptionCode, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let option = self.split();
        if option.is_none() {
            self.0 = &[];
        }
        Some(option)
    }
}

impl<'a> Options<'a> {
    fn split(&mut self) -> Option<(OptionCode, &'a [u8])> {
        let (code, rest) = self.0.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (data, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        self.0 = rest;
        Some((u16::from_be_bytes(*code).into(), data))
    }
}
