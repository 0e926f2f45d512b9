//! Who is on the wires of physical networks: the gateway's agent asks, as any router does, and tells the switch. Pure.
//!
//! ```text
//!           asked, with a packet            told
//! unknown ──────────────────────> asked ────────────> known, in the switch alone
//!    ^ │                        MAX_QUESTIONS in vain   │   ^       │ nobody sends to it
//!    │ └──────<── packets: host unreachable ──<─────────┘   │ told  └──────────> unknown
//!    └───────────<── forgotten ──<── asked again <──────────┘ in use, and REFRESH_AGE old
//! ```
//! What is known stands in the switch ([`NEIGHBOUR`](dataplane::layout::NEIGHBOUR)) and nowhere else, so that an agent
//! that starts again knows it too, and one that does not run is not missed by who is known. An answer counts only if it was asked for:
//! nobody puts himself in the place of another by speaking first.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use dataplane::layout::{DESTINATION, DESTINATION_INTERFACE, RESOLVE_ADDRESS, RESOLVED_MAC, SIMULATED};
use openflow::{Action, Field, Flow, FlowEntry, Match, OfPort, PacketIn, PacketOut};
use responder::resolution::{self, Told};
use responder::{Problem, Sender};
use topology::{DomainKey, InterfaceKey, MacAddr, Topology};

use crate::answers::{source, value};

/// Most addresses that are asked for at once: a guest that tries every address of a network must not fill the memory.
const MAX_ASKED: usize = 1000;

/// Most packets that wait for one address; the oldest goes first (RFC 4861, section 7.2.2, wants a small queue).
const MAX_WAITING: usize = 20;

/// Questions before an address is given up (RFC 4861, section 10: `MAX_MULTICAST_SOLICIT`).
const MAX_QUESTIONS: u8 = 3;

/// Pause after a question (RFC 1122, section 2.3.2.1; RFC 4861, section 10: `RETRANS_TIMER`).
const PAUSE: Duration = Duration::from_secs(1);

/// Age at which somebody who is in use is asked again (RFC 4861, section 10: `REACHABLE_TIME`).
const REFRESH_AGE: Duration = Duration::from_secs(30);

/// An address on the wire of a physical network.
type Place = (DomainKey, IpAddr);

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send a packet.
    Send(PacketOut),
    /// Put a flow into the switch.
    Learn(Flow),
    /// Take it out.
    Forget(Flow),
}

/// The addresses that are being asked for.
#[derive(Debug, Default)]
pub struct Neighbours {
    asked: BTreeMap<Place, Asked>,
}

#[derive(Debug)]
struct Asked {
    from: Leg,
    /// Who had it, if it is asked for again: only he is asked.
    known: Option<MacAddr>,
    questions: u8,
    next: Instant,
    packets: VecDeque<Vec<u8>>,
}

/// A router's leg on the wire: who asks.
#[derive(Clone, Copy, Debug)]
struct Leg {
    key: InterfaceKey,
    sender: Sender,
}

/// Somebody whom the switch knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    place: Place,
    mac: MacAddr,
    age: Duration,
    idle: Duration,
}

impl Known {
    /// Reads what stands in the switch.
    pub fn of(entry: &FlowEntry) -> Option<Self> {
        let matching = &entry.flow.matching;
        let domain = u32::try_from(value(matching, Field::Metadata)?).ok()?;
        let address = address_of(matching);
        let found = |action: &Action| match action {
            Action::SetField(set) if set.field() == Field::Xreg(RESOLVED_MAC) => Some(set.value()),
            _ => None,
        };
        let [.., a, b, c, d, e, f] = entry.flow.instructions.apply.iter().find_map(found)?.to_be_bytes();
        let (age, idle) = (entry.counters.duration?, entry.counters.idle.unwrap_or_default());
        Some(Self { place: (DomainKey(domain), address), mac: MacAddr([a, b, c, d, e, f]), age, idle })
    }
}

impl Neighbours {
    /// A gateway has a packet for an address that the switch does not know.
    pub fn asked(&mut self, packet_in: &PacketIn, topology: &Topology, now: Instant) -> Vec<Effect> {
        let Some((place, leg)) = wanted(packet_in, topology) else { return Vec::new() };
        let full = self.asked.len() >= MAX_ASKED;
        let asked = match self.asked.entry(place) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(_) if full => return Vec::new(),
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(Asked::new(leg, None, now)),
        };
        if asked.packets.len() == MAX_WAITING {
            asked.packets.pop_front();
        }
        asked.packets.push_back(packet_in.packet.clone());
        self.turn(topology, now)
    }

    /// Somebody on a wire says who has an address.
    pub fn told(&mut self, packet_in: &PacketIn, now: Instant) -> Vec<Effect> {
        let domain = value(&packet_in.metadata, Field::Metadata).and_then(|key| u32::try_from(key).ok());
        let (Some(domain), Some(told)) = (domain, resolution::told(&packet_in.packet)) else {
            return Vec::new();
        };
        let Told { address, mac } = told;
        let Some(asked) = self.asked.remove(&(DomainKey(domain), address)) else { return Vec::new() };
        // Whoever is asked again and has moved is asked for anew: what one says of another's address is not taken.
        if asked.known.is_some_and(|known| known.0 != mac) {
            self.asked.insert((DomainKey(domain), address), Asked { next: now, ..asked });
            return Vec::new();
        }
        let learn = Effect::Learn(dataplane::neighbour(DomainKey(domain), address, MacAddr(mac)));
        let on = asked.packets.into_iter().map(|packet| Effect::Send(onto_wire(domain, Some(mac), packet)));
        std::iter::once(learn).chain(on).collect()
    }

    /// What the switch knows, and for how long: who is in use is asked again before he may have moved.
    pub fn seen(&mut self, known: Vec<Known>, topology: &Topology, now: Instant) -> Vec<Effect> {
        for Known { place, mac, .. } in
            known.into_iter().filter(|of| of.age >= REFRESH_AGE && of.idle < REFRESH_AGE)
        {
            if self.asked.len() < MAX_ASKED
                && !self.asked.contains_key(&place)
                && let Some(leg) = any_leg(place, topology)
            {
                self.asked.insert(place, Asked::new(leg, Some(mac), now));
            }
        }
        self.turn(topology, now)
    }

    /// When [`Self::turn`] has something to do.
    pub fn next(&self) -> Option<Instant> {
        self.asked.values().map(|asked| asked.next).min()
    }

    /// Asks again, or gives up.
    pub fn turn(&mut self, topology: &Topology, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        let over: Vec<_> = self.asked.extract_if(.., |_, asked| asked.is_over(now)).collect();
        for ((domain, address), asked) in over {
            effects.extend(asked.known.map(|mac| Effect::Forget(dataplane::neighbour(domain, address, mac))));
            let told = asked.packets.iter().filter_map(|packet| unreachable(domain, asked.from, packet));
            effects.extend(told.map(Effect::Send));
        }
        for ((domain, address), asked) in self.asked.iter_mut().filter(|(_, asked)| asked.next <= now) {
            (asked.questions, asked.next) = (asked.questions + 1, now + PAUSE);
            let question = resolution::question(*address, asked.from.sender, asked.known.map(|mac| mac.0));
            effects.extend(question.map(|question| Effect::Send(onto_wire(domain.0, None, question))));
        }
        // A network that is gone has nobody any more.
        self.asked.retain(|(domain, _), _| topology.domain_of_key(*domain).is_some());
        effects
    }
}

impl Asked {
    fn new(from: Leg, known: Option<MacAddr>, now: Instant) -> Self {
        Self { from, known, questions: 0, next: now, packets: VecDeque::new() }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.questions >= MAX_QUESTIONS && self.next <= now
    }
}

/// Whose address is wanted, and by which leg the packet was sent.
fn wanted(packet_in: &PacketIn, topology: &Topology) -> Option<(Place, Leg)> {
    let domain = value(&packet_in.metadata, Field::Metadata).and_then(|key| u32::try_from(key).ok())?;
    let place = (DomainKey(domain), address_of(&packet_in.metadata));
    Some((place, leg(place, source(packet_in)?, topology)?))
}

/// The leg with a MAC address, with the address that it asks from.
fn leg(place: Place, mac: MacAddr, topology: &Topology) -> Option<Leg> {
    let domain = topology.domain_of_key(place.0)?;
    let lease = topology.mac_leases_of_address(&domain, mac).into_iter().next()?;
    let key = topology.interfaces().get(&topology.mac_leases().get(&lease)?.interface_uuid)?.key;
    let leases = topology.ip_leases_of_mac_lease(&lease).into_iter();
    let leases = leases.filter_map(|lease| topology.ip_leases().get(&lease));
    let mut addresses = leases.map(|lease| lease.address.ip());
    let address = addresses.find(|address| address.is_ipv4() == place.1.is_ipv4())?;
    Some(Leg { key, sender: Sender { mac: mac.0, address } })
}

/// Any leg in the network, to ask again.
fn any_leg(place: Place, topology: &Topology) -> Option<Leg> {
    let domain = topology.domain_of_key(place.0)?;
    topology.physical_network(&domain)?;
    let legs = topology.simulated_in_domain(&domain).into_iter();
    let leases = legs.flat_map(|leg| topology.mac_leases_of_interface(&leg));
    let mut macs =
        leases.filter_map(|lease| topology.mac_leases().get(&lease).map(|lease| lease.mac_address));
    macs.find_map(|mac| leg(place, mac, topology))
}

/// Sends a frame out by the uplink.
pub(crate) fn onto_wire(domain: u32, to: Option<[u8; 6]>, frame: Vec<u8>) -> PacketOut {
    let to = to.map(|mac| Action::set_field(Field::EthDst, mac));
    let way = [Action::set_field(Field::Metadata, u64::from(domain)), Action::resubmit(DESTINATION)];
    PacketOut::new(OfPort::CONTROLLER, to.into_iter().chain(way).collect(), frame)
}

/// Tells the sender of a packet that nobody has its next hop's address. The error enters the leg's router as if it came from
/// the wire, so that it finds the sender wherever that is, by whatever name the router has given it.
fn unreachable(domain: DomainKey, leg: Leg, packet: &[u8]) -> Option<PacketOut> {
    let error = responder::icmp_error(packet, Problem::HostUnreachable, leg.sender, leg.sender.mac)?;
    let actions = vec![
        Action::set_field(Field::Metadata, u64::from(domain.0)),
        Action::set_field(Field::Reg(DESTINATION_INTERFACE), leg.key.0),
        Action::resubmit(SIMULATED),
    ];
    Some(PacketOut::new(OfPort::CONTROLLER, actions, error))
}

/// The address that [`RESOLVE_ADDRESS`] holds, in the four words of which it is made (ovs-fields(7), `xxreg0`). One that is
/// zero is not in the metadata.
fn address_of(metadata: &Match) -> IpAddr {
    let word = |number| value(metadata, Field::Reg(number)).unwrap_or_default();
    let words = (4 * RESOLVE_ADDRESS..4 * RESOLVE_ADDRESS + 4).map(word);
    let address = Ipv6Addr::from(words.fold(0, |address, word| address << 32 | word));
    address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4)
}

#[cfg(test)]
mod tests {
    use dataplane::layout::Question;
    use openflow::FlowCounters;
    use serde_json::json;
    use topology::DomainId;

    use super::*;
    use crate::fixture::{self, create};

    const LEG: [u8; 6] = [2, 0, 0, 0, 2, 254];
    const MACHINE: [u8; 6] = [2, 0, 0, 0, 2, 7];

    /// A leg in a physical network.
    fn topology() -> Topology {
        fixture::topology([
            create("networks", json!({"uuid": "nw-p", "mode": "physical", "ipv4_network": "10.0.2.0"})),
            create(
                "interfaces",
                json!({"mode": "simulated", "enable_routing": true, "network_uuid": "nw-p",
                "mac_address": MacAddr(LEG).to_string(), "ipv4_address": "10.0.2.254"}),
            ),
        ])
    }

    struct Scene {
        neighbours: Neighbours,
        topology: Topology,
        domain: DomainKey,
        now: Instant,
    }

    impl Scene {
        fn new() -> Self {
            let topology = topology();
            let network = DomainId::Network("nw-p".parse().expect("an id"));
            let domain = topology.key_of_domain(&network).expect("a network");
            Self { neighbours: Neighbours::default(), topology, domain, now: Instant::now() }
        }

        /// A datagram for the `last` address of the network, by the leg.
        fn ask(&mut self, last: u8) -> Vec<Effect> {
            let address = std::net::Ipv4Addr::new(10, 0, 2, last);
            let mut packet =
                [&[6, 0, 0, 0, 0, 1][..], &LEG, &[8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 63, 17, 0, 0]].concat();
            packet.extend([[10, 0, 1, 1], address.octets(), [1, 2, 3, 4], [0, 8, 0, 0]].concat());
            let header =
                packet[14..34].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
            let sum = header.fold(0, |sum, word| (sum + word) % 0xffff);
            packet[24..26].copy_from_slice(&(!(sum as u16)).to_be_bytes());
            let metadata = self.metadata().with(Field::Xxreg(RESOLVE_ADDRESS), address.to_ipv6_mapped());
            let packet_in =
                PacketIn { packet, metadata, userdata: Question::NextHop.userdata(), ..PacketIn::default() };
            self.neighbours.asked(&packet_in, &self.topology, self.now)
        }

        /// Somebody says where the `last` address is.
        fn tell(&mut self, last: u8, mac: [u8; 6]) -> Vec<Effect> {
            let header = [&LEG[..], &mac, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2]].concat();
            let packet = [&header[..], &mac, &[10, 0, 2, last], &LEG, &[10, 0, 2, 254]].concat();
            let packet_in = PacketIn { packet, metadata: self.metadata(), ..PacketIn::default() };
            self.neighbours.told(&packet_in, self.now)
        }

        fn metadata(&self) -> Match {
            Match::new().metadata(u64::from(self.domain.0))
        }

        /// The next turn, when it is due.
        fn turn(&mut self) -> Vec<Effect> {
            self.now = self.neighbours.next().expect("something is due");
            self.neighbours.turn(&self.topology, self.now)
        }

        fn see(&mut self, age: u64, idle: u64) -> Vec<Effect> {
            let address = std::net::Ipv4Addr::new(10, 0, 2, 7).into();
            let [age, idle] = [age, idle].map(|seconds| Some(Duration::from_secs(seconds)));
            let counters = FlowCounters { duration: age, idle, ..FlowCounters::default() };
            let flow = dataplane::neighbour(self.domain, address, MacAddr(MACHINE));
            let known = Known::of(&FlowEntry { flow, counters }).expect("it reads");
            assert_eq!((known.place, known.mac), ((self.domain, address), MacAddr(MACHINE)));
            self.neighbours.seen(vec![known], &self.topology, self.now)
        }
    }

    /// To whom questions go; `!` is a flow, in or out.
    fn sent(effects: &[Effect]) -> Vec<String> {
        let of = |effect: &Effect| match effect {
            Effect::Send(packet) if packet.packet[12..14] == [8, 6] => {
                packet.packet.first_chunk().map(|mac| format!("arp to {}", MacAddr(*mac))).expect("a frame")
            }
            Effect::Send(packet) if packet.packet[23] == 1 => "icmp".to_owned(),
            Effect::Send(_) => "packet".to_owned(),
            Effect::Learn(_) => "learn".to_owned(),
            Effect::Forget(_) => "forget".to_owned(),
        };
        effects.iter().map(of).collect()
    }

    const BROADCAST: &str = "arp to ff:ff:ff:ff:ff:ff";

    #[test]
    fn packets_wait_for_the_answer_and_go_when_it_is_there() {
        let mut scene = Scene::new();
        assert_eq!(sent(&scene.ask(7)), [BROADCAST]);
        assert_eq!(sent(&scene.ask(7)), [""; 0], "it has been asked");
        assert_eq!(sent(&scene.tell(8, MACHINE)), [""; 0], "nobody has asked for that");
        assert_eq!(sent(&scene.tell(7, MACHINE)), ["learn", "packet", "packet"]);
        assert_eq!(sent(&scene.tell(7, [2, 0, 0, 0, 9, 9])), [""; 0], "nobody asks any more");
        assert_eq!(scene.neighbours.next(), None);
    }

    #[test]
    fn who_does_not_answer_three_questions_is_not_there() {
        let mut scene = Scene::new();
        for _ in 0..2 * MAX_WAITING {
            scene.ask(7);
        }
        assert_eq!(sent(&scene.turn()), [BROADCAST]);
        assert_eq!(sent(&scene.turn()), [BROADCAST]);
        assert_eq!(sent(&scene.turn()), ["icmp"; MAX_WAITING], "those that still waited");
        assert_eq!(scene.neighbours.next(), None);
    }

    #[test]
    fn only_so_many_are_asked_for_at_once() {
        let mut scene = Scene::new();
        let leg = any_leg((scene.domain, IpAddr::from([10, 0, 2, 7])), &scene.topology).expect("a leg");
        for number in 0..MAX_ASKED {
            let address = IpAddr::from(u32::try_from(number).expect("few").to_be_bytes());
            scene.neighbours.asked.insert((scene.domain, address), Asked::new(leg, None, scene.now + PAUSE));
        }
        assert_eq!(sent(&scene.ask(7)), [""; 0]);
    }

    #[test]
    fn who_is_in_use_is_asked_again_and_forgotten_when_silent() {
        let mut scene = Scene::new();
        let direct = format!("arp to {}", MacAddr(MACHINE));
        assert_eq!(sent(&scene.see(10, 0)), [""; 0], "too young");
        assert_eq!(sent(&scene.see(100, 90)), [""; 0], "not in use");
        assert_eq!(sent(&scene.see(100, 1)), [direct.as_str()]);
        assert_eq!(sent(&scene.tell(7, MACHINE)), ["learn"]);
        assert_eq!(sent(&scene.see(100, 1)), [direct.as_str()]);
        assert_eq!(sent(&scene.tell(7, [2, 0, 0, 0, 9, 9])), [""; 0], "another does not take his place");
        while scene.neighbours.asked.values().any(|asked| asked.questions < MAX_QUESTIONS) {
            assert_eq!(sent(&scene.turn()), [direct.as_str()]);
        }
        assert_eq!(sent(&scene.turn()), ["forget"]);
    }
}
