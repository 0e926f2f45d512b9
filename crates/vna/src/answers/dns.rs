//! What name servers tell: the names of interfaces in their networks, and the records of their service.
//!
//! An interface `if-web1` of a network with the domain `shop.example` is `web1.shop.example`, with all its addresses in that
//! network, and each address has that name.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use dataplane::layout::DESTINATION_INTERFACE;
use openflow::{PacketIn, PacketOut};
use responder::Name;
use responder::dns::{self, Data, Failure, Forwarding, Records, Transport, Zone};
use topology::dns_record::RecordData;
use topology::dns_service::DnsService;
use topology::interface::Interface;
use topology::network::Network;
use topology::network_service::NetworkServiceMode;
use topology::{DomainKey, Id, InterfaceId, InterfaceKey, Revision, Topology};

use super::{Reply, by_tables, domain, is_up, register};

/// How long the name of an interface may be remembered, and that there is none, in seconds: leases come and go.
const TTL: u32 = 60;

/// The port of name servers (RFC 1035, section 4.2).
const PORT: u16 = 53;

/// What each name server tells, worked out once a revision, for all that ask.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    revision: Option<Revision>,
    of: HashMap<InterfaceKey, Arc<Records>>,
}

/// What comes of a query.
#[derive(Clone, Debug)]
pub enum Told {
    /// The message to answer with.
    Answer(Vec<u8>),
    /// Others are to be asked.
    Elsewhere(Forward),
}

/// A query that is to be passed on to others.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Whom to ask, in this order.
    pub servers: Vec<SocketAddr>,
    /// What (RFC 1035, section 4.1).
    pub query: Vec<u8>,
    records: Arc<Records>,
}

/// Who was asked, and by which frame.
#[derive(Clone, Debug)]
pub struct Asked {
    frame: Vec<u8>,
    domain: DomainKey,
    server: InterfaceKey,
}

impl Forward {
    /// The message to answer with, given what others have said: that nobody has answered, if nothing.
    pub fn answer(&self, answer: Option<Vec<u8>>) -> Option<Vec<u8>> {
        answer.or_else(|| dns::failed(&self.query, Failure::NoAnswer, &self.records))
    }
}

impl Asked {
    /// Carries an answer back to who asked.
    pub fn answer(&self, answer: &[u8]) -> Option<PacketOut> {
        Some(by_tables(self.domain, self.server, dns::reply(&self.frame, answer)?))
    }
}

/// What comes of a datagram to a name server. `None` if it deserves no answer.
pub(super) fn answer(packet_in: &PacketIn, topology: &Topology, names: &Names) -> Option<Reply> {
    let server = InterfaceKey(register(packet_in, DESTINATION_INTERFACE));
    let query = dns::query(&packet_in.packet)?;
    let asked = Asked { frame: packet_in.packet.clone(), domain: domain(packet_in)?, server };
    match tell(query, Transport::Udp, server, topology, names)? {
        Told::Answer(answer) => asked.answer(&answer).map(Reply::Out),
        Told::Elsewhere(forward) => Some(Reply::Forward(forward, asked)),
    }
}

/// What a name server tells who asks it. `None` if it says nothing, or is none.
pub fn tell(
    query: &[u8],
    transport: Transport,
    server: InterfaceKey,
    topology: &Topology,
    names: &Names,
) -> Option<Told> {
    let server = topology.interface_of_key(server).filter(|server| is_server(&server.uuid, topology))?;
    let records = names.of(server, topology);
    match dns::dns(query, &records, transport) {
        dns::Answer::Reply(answer) => Some(Told::Answer(answer)),
        dns::Answer::Forward => {
            let servers = service(server, topology)?.public_dns.iter();
            let servers = servers.map(|address| SocketAddr::new(*address, PORT)).collect();
            Some(Told::Elsewhere(Forward { servers, query: query.to_vec(), records }))
        }
        dns::Answer::Ignored => None,
    }
}

impl Names {
    fn of(&self, server: &Interface, topology: &Topology) -> Arc<Records> {
        // Whatever one has left half done, the next revision clears.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.revision != Some(topology.revision()) {
            known.of.clear();
            known.revision = Some(topology.revision());
        }
        let records = || Arc::new(records(server, topology));
        known.of.entry(server.key).or_insert_with(records).clone()
    }
}

/// The DNS service of a name server, if it has more to tell than the names of interfaces.
fn service<'a>(server: &Interface, topology: &'a Topology) -> Option<&'a DnsService> {
    let services = topology.services_of_interface(&server.uuid).into_iter();
    let mut dns = services.flat_map(|service| topology.dns_services_of_service(&service));
    dns.find_map(|dns| topology.dns_services().get(&dns)).map(AsRef::as_ref)
}

/// Everything that a name server knows.
fn records(server: &Interface, topology: &Topology) -> Records {
    let leases = topology.ip_leases_of_interface(&server.uuid).into_iter();
    let networks = leases.filter_map(|lease| {
        let network = &topology.ip_leases().get(&lease)?.network_uuid;
        Some((network.clone(), topology.networks().get(network)?))
    });
    let networks: BTreeMap<_, _> = networks.collect();
    let service = service(server, topology);
    let forwards = service.is_some_and(|service| !service.public_dns.is_empty());
    let forwards = if forwards { Forwarding::Possible } else { Forwarding::Impossible };
    let mut records =
        Records::new(zones(server, networks.values().map(|of| of.as_ref()), topology), forwards);
    for (id, network) in &networks {
        for lease in topology.ip_leases_of_network(id) {
            let Some(lease) = topology.ip_leases().get(&lease) else { continue };
            let Some(holder) = &lease.holder else { continue };
            let Some(name) = name_of(holder.interface_uuid.as_str(), network) else { continue };
            let address = lease.address.ip();
            records.insert(name.clone(), TTL, Data::Address(address));
            records.insert(Name::from(address), TTL, Data::Pointer(name));
        }
    }
    let of_service =
        service.map(|service| topology.records_of_dns_service(&service.uuid)).unwrap_or_default();
    for record in of_service.iter().filter_map(|record| topology.dns_records().get(record)) {
        let data = match &record.data {
            RecordData::Ipv4Address(address) => Data::Address((*address).into()),
            RecordData::Ipv6Address(address) => Data::Address((*address).into()),
            RecordData::Cname(name) => match name.parse() {
                Ok(name) => Data::Alias(name),
                Err(_) => continue,
            },
        };
        if let Ok(name) = record.name.parse() {
            records.insert(name, record.ttl, data);
        }
    }
    records
}

/// The name of an interface in a network.
fn name_of(interface: &str, network: &Network) -> Option<Name> {
    let (_, label) = interface.split_once('-')?;
    format!("{label}.{}", network.domain_name).parse().ok()
}

/// The zones of networks: of their names, and of their addresses, as far as these end where names do.
fn zones<'a>(
    server: &Interface,
    networks: impl Iterator<Item = &'a Network>,
    topology: &Topology,
) -> Vec<Zone> {
    let serial = u32::try_from(topology.revision().0 % (1 << 32)).unwrap_or_default();
    let mut zones = BTreeMap::new();
    for network in networks {
        let Some(own) = name_of(server.uuid.as_str(), network) else { continue };
        let ipv4 =
            network.subnets.ipv4.map(|net| (IpAddr::V4(net.network()), usize::from(net.prefix_len() / 8), 4));
        let ipv6 = network
            .subnets
            .ipv6
            .map(|net| (IpAddr::V6(net.network()), usize::from(net.prefix_len() / 4), 32));
        let reverse = [ipv4, ipv6].into_iter().flatten().filter(|(_, labels, _)| *labels > 0);
        // What is below the prefix goes; "in-addr" and "arpa", or "ip6" and "arpa", stay with what is above.
        let reverse = reverse.map(|(address, labels, _)| Name::from(address).trim_to(labels + 2));
        for origin in network.domain_name.parse().into_iter().chain(reverse) {
            zones.entry(origin.to_string()).or_insert(Zone {
                origin,
                server: own.clone(),
                serial,
                negative_ttl: TTL,
            });
        }
    }
    zones.into_values().collect()
}

/// The name servers in a network, for guests to be told of.
pub(super) fn servers(network: &Network, topology: &Topology) -> Vec<IpAddr> {
    let leases = topology.ip_leases_of_network(&network.uuid).into_iter();
    let leases = leases.filter_map(|lease| topology.ip_leases().get(&lease));
    let leases = leases
        .filter(|lease| lease.holder.as_ref().is_some_and(|of| is_server(&of.interface_uuid, topology)));
    leases.map(|lease| lease.address.ip()).collect()
}

/// Whether an interface answers. One that is down does not.
fn is_server(interface: &InterfaceId, topology: &Topology) -> bool {
    let services = topology.services_of_interface(interface).into_iter();
    let mut services = services.filter_map(|service| topology.network_services().get(&service));
    services.any(|service| service.mode == NetworkServiceMode::Dns) && is_up(interface, topology)
}
