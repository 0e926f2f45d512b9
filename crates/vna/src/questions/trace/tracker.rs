//! What connection trackers say of a packet. Pure.
//!
//! A trace looks into no tracker. Whoever asks names the connections that are to be taken for known, and this does with them what a
//! tracker does: it finds the packet's by its addresses and ports, says which way the packet goes and how the connection
//! began, and translates it as the connection is translated. What is of none that was named begins one.

use std::net::IpAddr;

use dataplane::layout::TRANSLATION_ZONES;
use openflow::{OfPort, TableId};
use topology::Topology;
use topology::walk::connection::Ends;
use topology::walk::{Connection, Connections, Tracker, Tuple, Way};

use super::super::names::{Names, Port};
use super::packet::Packet;

/// A packet that a tracker is asked about, and the table where it goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lookup<'a> {
    table: TableId,
    flow: &'a str,
    /// The packet at the beginning of the trace.
    before: &'a str,
}

/// A packet that goes on in a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resumed {
    pub(super) table: TableId,
    pub(super) fields: String,
}

/// What a trace says up to where trackers are asked, and what they are asked. What it says after that is about a tracker of
/// its own imagination.
pub(super) fn parted(printed: &str) -> (&str, Vec<Lookup<'_>>) {
    let (own, rest) = printed.split_once("\n====").unwrap_or((printed, ""));
    let tables = own.lines().filter_map(|line| {
        let number = line.split_once("pipeline will be resumed at table ")?.1;
        number.trim_end_matches('.').parse().ok().map(TableId)
    });
    let before = own.lines().find_map(flow_line).unwrap_or_default();
    let lookups = tables.zip(rest.lines().filter_map(flow_line));
    (own, lookups.map(|(table, flow)| Lookup { table, flow, before }).collect())
}

/// The packet, where a trace writes it.
fn flow_line(line: &str) -> Option<&str> {
    line.strip_prefix("Flow: ")
}

impl Lookup<'_> {
    /// The packet as it goes on.
    pub(super) fn resume(&self, names: &Names<'_>, known: &Connections) -> Resumed {
        let mut packet = Packet::of_flow(self.flow);
        packet.keep_type(&Packet::of_flow(self.before));
        let said = say(names, known, self.zone(), &mut packet);
        let own = self.flow.split(',').filter(|part| is_local(part)).map(str::to_owned);
        let fields = [packet.fields()].into_iter().chain(own).chain([said]);
        Resumed { table: self.table, fields: fields.collect::<Vec<_>>().join(",") }
    }

    fn zone(&self) -> Option<u16> {
        self.flow.split(',').find_map(|part| part.strip_prefix("ct_zone="))?.parse().ok()
    }
}

/// Whether a field is the switch's own: no other host sees it.
fn is_local(part: &str) -> bool {
    let Some((name, _)) = part.split_once('=') else { return false };
    name == "in_port" || name == "metadata" || name.starts_with("reg")
}

/// What the tracker of a zone says: fields to add (ovs-fields(7), "Connection Tracking Fields").
fn say(names: &Names<'_>, known: &Connections, zone: Option<u16>, packet: &mut Packet) -> String {
    let found = zone.and_then(|zone| tracker(names, zone)).zip(packet.tuple());
    let found = found.and_then(|(tracker, tuple)| find(known, &tracker, tuple));
    let Some((connection, way)) = found else {
        let tuple = packet.tuple().map_or_else(String::new, |tuple| format!(",{}", original(&tuple)));
        return format!("ct_state=new|trk{tuple}");
    };
    if let Tracker::Leg { .. } = connection.tracker {
        let other = if way == Way::Reply { connection.original } else { connection.reply };
        if let Some(becomes) = other.turned() {
            packet.rewrite(&becomes);
        }
    }
    let state = if way == Way::Reply { "est|rpl|trk" } else { "est|trk" };
    let mark = match connection.tracker {
        Tracker::Interface(_) => format!(",ct_mark={}", dataplane::began(connection.began)),
        Tracker::Leg { .. } => String::new(),
    };
    format!("ct_state={state}{mark},{}", original(&connection.original))
}

/// Whose connections are in a zone.
fn tracker(names: &Names<'_>, zone: u16) -> Option<Tracker> {
    if zone & TRANSLATION_ZONES == 0 {
        let Some(Port::Guest(_, Some(interface))) = names.port_of(OfPort(zone.into())) else { return None };
        return Some(Tracker::Interface(interface.clone()));
    }
    let number = u32::from(zone & !TRANSLATION_ZONES);
    let leg = leg(names.topology, number)?;
    Some(Tracker::Leg { leg, host: names.datapath.clone() })
}

fn leg(topology: &Topology, zone: u32) -> Option<topology::InterfaceId> {
    let mut translations = topology.translations().values();
    translations.find(|of| of.zone.0 == zone).map(|of| of.interface_uuid.clone())
}

/// The connection that a packet is of. A flow does not tell which echo a packet is: any will do.
fn find(known: &Connections, tracker: &Tracker, seen: Tuple) -> Option<(Connection, Way)> {
    let is = |tuple: Tuple| Tuple { ends: nameless(tuple.ends), ..tuple } == seen;
    known.iter().filter(|of| of.tracker == *tracker).find_map(|of| match () {
        () if is(of.original) => Some((of.clone(), Way::Original)),
        () if is(of.reply) => Some((of.clone(), Way::Reply)),
        () => None,
    })
}

fn nameless(ends: Ends) -> Ends {
    match ends {
        Ends::Echo { kind, code, .. } => Ends::Echo { kind, code, identifier: 0 },
        other => other,
    }
}

/// The first packet of a connection, as trackers keep it.
fn original(tuple: &Tuple) -> String {
    let Tuple { protocol, source, destination, ends } = tuple;
    let addresses = match source {
        IpAddr::V4(_) => format!("ct_nw_src={source},ct_nw_dst={destination}"),
        IpAddr::V6(_) => format!("ct_ipv6_src={source},ct_ipv6_dst={destination}"),
    };
    // Of ICMP the ports are type and code.
    let ports = match ends {
        Ends::Ports { source, destination } => format!(",ct_tp_src={source},ct_tp_dst={destination}"),
        Ends::Echo { kind, code, .. } => format!(",ct_tp_src={kind},ct_tp_dst={code}"),
        Ends::None => String::new(),
    };
    format!("{addresses},ct_nw_proto={protocol}{ports}")
}

#[cfg(test)]
mod tests {
    use topology::traffic::Direction;
    use topology::{DatapathId, InterfaceId};

    use super::*;
    use crate::host::HostView;

    const TRACE: &str = include_str!("example.txt");

    #[test]
    fn a_trace_is_taken_up_where_a_tracker_is_asked() {
        let (own, lookups) = parted(TRACE);
        assert!(own.contains("ct(table=23,zone=1)") && !own.contains("resume conntrack"), "{own}");
        let tables: Vec<_> = lookups.iter().map(|lookup| (lookup.table, lookup.zone())).collect();
        assert_eq!(tables, [(TableId(23), Some(1))]);
        assert_eq!(parted("Flow: icmp\n 0. No match.\n").1, []);
        // Tables without packets, as a switch that prints otherwise might give them.
        assert_eq!(parted("pipeline will be resumed at table 23.\n====").1, []);
    }

    fn connection(protocol: u8, ends: Ends) -> Connection {
        let tracker = Tracker::Leg { leg: interface("leg"), host: host() };
        let original =
            Tuple { protocol, source: [10, 0, 0, 1].into(), destination: [192, 0, 2, 1].into(), ends };
        let turned = original.turned().expect("an answer");
        let reply = Tuple { destination: [198, 51, 100, 9].into(), ..turned };
        Connection { tracker, began: Direction::Egress, original, reply, assumes_port: false }
    }

    fn interface(name: &str) -> InterfaceId {
        format!("if-{name}").parse().expect("an id")
    }

    fn host() -> DatapathId {
        "dp-a".parse().expect("an id")
    }

    #[test]
    fn a_packet_is_of_the_connection_that_its_addresses_and_ports_say() {
        let check = |flow: &str, of: &Connection, expected: Option<Way>| {
            let mut known = Connections::default();
            known.insert(of.clone());
            let seen = Packet::of_flow(flow).tuple().expect("a connection's packet");
            assert_eq!(find(&known, &of.tracker, seen).map(|(_, way)| way), expected, "{flow}");
            let other = Tracker::Interface(interface("leg"));
            assert_eq!(find(&known, &other, seen), None, "another tracker");
        };
        let tcp = connection(6, Ends::Ports { source: 5, destination: 80 });
        let way = Some(Way::Original);
        check("tcp,nw_src=10.0.0.1,nw_dst=192.0.2.1,tp_src=5,tp_dst=80", &tcp, way);
        let way = Some(Way::Reply);
        check("tcp,nw_src=192.0.2.1,nw_dst=198.51.100.9,tp_src=80,tp_dst=5", &tcp, way);
        check("tcp,nw_src=192.0.2.1,nw_dst=10.0.0.1,tp_src=80,tp_dst=5", &tcp, None);
        check("udp,nw_src=10.0.0.1,nw_dst=192.0.2.1,tp_src=5,tp_dst=80", &tcp, None);
        let echo = connection(1, Ends::Echo { kind: 8, code: 0, identifier: 77 });
        check("icmp,nw_src=192.0.2.1,nw_dst=198.51.100.9,icmp_type=0,icmp_code=0", &echo, Some(Way::Reply));
    }

    #[test]
    fn what_is_of_no_connection_begins_one() {
        let (topology, view, host) = (Topology::default(), HostView::default(), host());
        let names = Names::new(&topology, &host, &view);
        let check = |flow: &str, expected: &str| {
            let lookup = Lookup { table: TableId(23), flow, before: "icmp,icmp_type=8,icmp_code=0" };
            assert_eq!(lookup.resume(&names, &Connections::default()).fields, expected, "{flow}");
        };
        check(
            "recirc_id=0x1,ct_state=new|trk,ct_zone=1,eth,tcp,reg1=0x7,metadata=0x5,in_port=1,vlan_tci=0x0000,\
             nw_src=10.0.0.1,nw_dst=10.0.0.2,tp_src=5,tp_dst=80",
            "tcp,nw_dst=10.0.0.2,nw_src=10.0.0.1,tp_dst=80,tp_src=5,reg1=0x7,metadata=0x5,in_port=1,\
             ct_state=new|trk,ct_nw_src=10.0.0.1,ct_nw_dst=10.0.0.2,ct_nw_proto=6,ct_tp_src=5,ct_tp_dst=80",
        );
        check(
            "eth,ipv6,in_port=1,nw_proto=58,ipv6_src=fd00::1,ipv6_dst=fd00::2,icmp_type=128,icmp_code=0",
            "ipv6,icmpv6_code=0,icmpv6_type=128,ipv6_dst=fd00::2,ipv6_src=fd00::1,nw_proto=58,in_port=1,\
             ct_state=new|trk,ct_ipv6_src=fd00::1,ct_ipv6_dst=fd00::2,ct_nw_proto=58,ct_tp_src=128,ct_tp_dst=0",
        );
        // A port that a translation has chosen is no type.
        check(
            "eth,icmp,in_port=1,nw_src=10.0.0.1,nw_dst=10.0.0.2,icmp_type=2048,icmp_code=0",
            "icmp,icmp_code=0,icmp_type=8,nw_dst=10.0.0.2,nw_src=10.0.0.1,in_port=1,\
             ct_state=new|trk,ct_nw_src=10.0.0.1,ct_nw_dst=10.0.0.2,ct_nw_proto=1,ct_tp_src=8,ct_tp_dst=0",
        );
        check("eth,arp,in_port=1,arp_spa=10.0.0.1", "arp,arp_spa=10.0.0.1,in_port=1,ct_state=new|trk");
    }

    #[test]
    fn a_translated_answer_becomes_what_its_connection_says() {
        let mut packet = Packet::of_flow("tcp,nw_src=192.0.2.1,nw_dst=198.51.100.9,tp_src=80,tp_dst=5");
        let connection = connection(6, Ends::Ports { source: 7, destination: 80 });
        packet.rewrite(&connection.original.turned().expect("an answer"));
        assert_eq!(packet.fields(), "tcp,nw_dst=10.0.0.1,nw_src=192.0.2.1,tp_dst=7,tp_src=80");
    }
}
