//! The gateway that this host is: when it becomes one, it tells the wire, so that switches and machines there send to it.
//! Pure. Packets do not wait for it: the switch takes over by itself (`dataplane::physical`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use responder::{Sender, resolution};
use topology::interface::Interface;
use topology::physical::Gateway;
use topology::{DatapathId, DomainId, DomainKey, Topology};

use crate::host::HostView;
use crate::neighbours::{Effect, onto_wire};

/// Announcements when it becomes the gateway: one may be lost (RFC 5227, section 3; RFC 4861, section 10).
const ANNOUNCEMENTS: u8 = 3;

/// Pause between them.
const PAUSE: Duration = Duration::from_secs(1);

/// The networks whose gateway this host is, with what is left to announce.
#[derive(Debug, Default)]
pub struct Gateways {
    active: BTreeMap<DomainKey, Left>,
}

#[derive(Debug)]
struct Left {
    announcements: u8,
    next: Instant,
}

impl Gateways {
    /// What is to be announced now.
    pub fn turn(
        &mut self,
        topology: &Topology,
        own: &DatapathId,
        host: &HostView,
        now: Instant,
    ) -> Vec<Effect> {
        let active = active(topology, own, host);
        self.active.retain(|domain, _| active.iter().any(|(key, _)| key == domain));
        let mut effects = Vec::new();
        for (key, domain) in active {
            let left = self.active.entry(key).or_insert(Left { announcements: ANNOUNCEMENTS, next: now });
            if left.announcements > 0 && left.next <= now {
                (left.announcements, left.next) = (left.announcements - 1, now + PAUSE);
                effects.extend(announce(topology, &domain, key));
            }
        }
        effects
    }

    /// When there is something to announce.
    pub fn next(&self) -> Option<Instant> {
        self.active.values().filter(|left| left.announcements > 0).map(|left| left.next).min()
    }
}

/// The networks whose first live gateway is this host, as its switch sees it.
fn active(topology: &Topology, own: &DatapathId, host: &HostView) -> Vec<(DomainKey, DomainId)> {
    let is_alive = |of: &Gateway| match of.datapath == *own {
        true => host.is_live(topology, &of.uplink),
        // One that is not watched yet counts as alive, and one that is never reached is none.
        false => {
            let monitor = host.monitors.get(&of.host);
            topology.reaches(own, &of.datapath) && monitor.is_none_or(|monitor| monitor.is_alive)
        }
    };
    let networks = topology.domains_with_uplinks().filter(|domain| matches!(domain, DomainId::Network(_)));
    let yields = host.yields(topology, own);
    let mine = networks.filter(|domain| {
        let mut gateways = topology.gateways(domain);
        gateways.sort_by_key(|of| yields && of.datapath == *own);
        gateways.iter().find(|of| is_alive(of)).is_some_and(|first| first.datapath == *own)
    });
    mine.filter_map(|domain| Some((topology.key_of_domain(&domain)?, domain))).collect()
}

/// Announces the addresses of a network's legs.
fn announce(topology: &Topology, domain: &DomainId, key: DomainKey) -> Vec<Effect> {
    let legs = topology.simulated_in_domain(domain).into_iter();
    let legs = legs.filter_map(|leg| topology.interfaces().get(&leg));
    legs.flat_map(|leg| senders(topology, domain, leg).into_iter().map(|sender| (sender, leg.enable_routing)))
        .filter_map(|(sender, is_router)| resolution::announcement(sender, is_router))
        .map(|frame| Effect::Send(onto_wire(key.0, None, frame)))
        .collect()
}

fn senders(topology: &Topology, domain: &DomainId, leg: &Interface) -> Vec<Sender> {
    let here = topology.attachments_of_interface(&leg.uuid).filter(|(.., of)| *of == domain);
    here.flat_map(|(mac_lease, mac, _)| {
        let leases = topology.ip_leases_of_mac_lease(mac_lease).into_iter();
        let addresses = leases.filter_map(|lease| topology.ip_leases().get(&lease).map(|of| of.address.ip()));
        addresses.map(|address| Sender { mac: mac.0, address }).collect::<Vec<_>>()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use imbl::OrdSet;
    use openflow::OfPort;
    use serde_json::json;
    use topology::binding::{SeenPort, SeenPorts};
    use topology::datapath::{Datapath, Encapsulation, Registration, Underlay};
    use topology::{Dpid, HostKey};

    use super::*;
    use crate::fixture::{create, edit, execute};
    use crate::host::HostPort;
    use crate::monitors::{self, Monitor, Passage};

    fn datapath(host: u8) -> DatapathId {
        format!("dp-host{host}").parse().expect("an id")
    }

    fn nic(host: u8) -> SeenPort {
        SeenPort {
            name: "nic".to_owned(),
            instance: host.to_string(),
            iface_id: None,
            error: None,
            asks: false,
        }
    }

    /// Three hosts, the first two of them gateways of a network with one leg.
    fn topology() -> Topology {
        let mut topology = Topology::default();
        for host in 0..3_u8 {
            let address = std::net::Ipv4Addr::new(192, 0, 2, host + 1).into();
            let underlay =
                Underlay { encapsulation: Encapsulation::ALL[usize::from(host)], address, mtu: 1500 };
            let node_id = format!("host{host}").parse().expect("a node id");
            let registration = Registration::new(node_id, Dpid(u64::from(host) + 1), underlay);
            edit(&mut topology, |edit| drop(Datapath::register(edit, registration).expect("a host")));
        }
        let uplink = |host: u8| json!({"mode": "host", "network_uuid": "nw-p", "owner_datapath_uuid": datapath(host), "port_name": "nic"});
        let requests = [
            create("networks", json!({"uuid": "nw-p", "mode": "physical", "ipv4_network": "10.0.2.0"})),
            create(
                "interfaces",
                json!({"mode": "simulated", "enable_routing": true, "network_uuid": "nw-p",
                "mac_address": "02:00:00:00:02:fe", "ipv4_address": "10.0.2.254"}),
            ),
            create("interfaces", uplink(0)),
            create("interfaces", uplink(1)),
        ];
        execute(&mut topology, requests);
        let mut seen = SeenPorts::default();
        for host in 0..2 {
            seen.report(datapath(host), vec![nic(host)].into());
            edit(&mut topology, |edit| seen.bind(&datapath(host), edit));
        }
        topology
    }

    /// What the switch of the second gateway shows, if the first is watched.
    fn view(first: Option<bool>) -> HostView {
        let port = HostPort { seen: nic(1).into(), number: Some(OfPort(1)) };
        let ports = [("nic".to_owned(), port)].into_iter().collect();
        let monitor = |is_alive| (HostKey(1), Monitor { port: OfPort(9), is_alive });
        HostView { ports, monitors: first.map(monitor).into_iter().collect(), ..HostView::default() }
    }

    #[test]
    fn the_second_gateway_announces_itself_thrice_when_the_first_is_gone_and_again_the_next_time() {
        let (topology, mut now) = (topology(), Instant::now());
        let mut gateways = Gateways::default();
        let mut check = |first, expected: usize| {
            assert_eq!(
                gateways.turn(&topology, &datapath(1), &view(first), now).len(),
                expected,
                "{first:?}"
            );
            now = gateways.next().unwrap_or(now);
        };
        for _ in 0..2 {
            check(None, 0);
            check(Some(true), 0);
            (0..ANNOUNCEMENTS).for_each(|_| check(Some(false), 1));
            check(Some(false), 0);
        }
        assert_eq!(gateways.next(), None);
    }

    #[test]
    fn a_gateway_announces_itself_where_it_does_not_reach_the_first() {
        let (mut topology, now) = (topology(), Instant::now());
        let announced =
            |topology: &Topology| Gateways::default().turn(topology, &datapath(1), &view(None), now).len();
        assert_eq!(announced(&topology), 0);
        let first = Datapath::clone(&topology.datapaths()[&datapath(0)]);
        let address = std::net::Ipv6Addr::LOCALHOST.into();
        let underlay = Underlay { address, ..first.underlay.expect("it has registered") };
        let registration = Registration::new(first.node_id, first.dpid, underlay);
        edit(&mut topology, |edit| drop(Datapath::register(edit, registration).expect("it may move")));
        assert_eq!(announced(&topology), 1);
    }

    #[test]
    fn a_gateway_without_carrier_announces_nothing_and_yields_only_to_another() {
        let (mut topology, now) = (topology(), Instant::now());
        let dark = HostView { dark: OrdSet::unit("nic".to_owned()), ..view(Some(false)) };
        let check = |topology: &Topology, host: &HostView, yields, announcements: usize| {
            let mut gateways = Gateways::default();
            let announced = gateways.turn(topology, &datapath(1), host, now).len();
            assert_eq!((host.yields(topology, &datapath(1)), announced), (yields, announcements));
        };
        check(&topology, &view(Some(false)), false, 1);
        check(&topology, &dark, true, 0);
        let network = DomainId::Network("nw-p".parse().expect("an id"));
        let first = topology.gateways(&network).remove(0).uplink;
        execute(&mut topology, [json!({"op": "delete", "resource": "interfaces", "uuid": first})]);
        check(&topology, &dark, false, 0);
    }

    #[test]
    fn a_gateway_watches_all_and_others_watch_gateways_in_one_manner_at_both_ends() {
        let topology = topology();
        let watched = |host: u8| monitors::wanted(&topology, &datapath(host));
        let keys = |host| watched(host).into_keys().map(|key| key.0).collect::<Vec<_>>();
        assert_eq!([keys(0), keys(1), keys(2)], [vec![2, 3], vec![1, 3], vec![1, 2]]);
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let port = |from: u8, to: u8| {
                let (host, path) =
                    watched(from).into_iter().find(|(key, _)| key.0 == u32::from(to) + 1).expect("it");
                monitors::port("br-int", host, path, Passage::Open).kind
            };
            assert_eq!(port(one, other), port(other, one));
        }
    }
}
