//! OpenFlow with a switch, as an agent does it: installs programs, counts, hears questions.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use dataplane::layout::*;
use dataplane::{FlowKey, Owner, Program};
use openflow::{
    Action, BundleError, Config, Connection, Endpoint, Event, Events, Field, FlowSelection, Message, Meter,
    MeterMod, PacketIn, SwitchConfig, TlvMapping, TlvTableMod,
};
use tokio::runtime::Runtime;

use crate::switch::{underlay_addresses, underlay_mark, uplinks};

/// A connection to a switch.
pub(crate) struct Control {
    connection: Connection,
    events: Events,
    runtime: Runtime,
    /// What the switch was told to hold.
    told: Program,
}

impl Control {
    /// Connects, and sets up what flows refer to.
    pub(crate) fn connect(socket: PathBuf) -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
        let bridge = Endpoint::Unix(socket);
        let connecting = Connection::connect(&bridge, Config::default());
        let (connection, events) = runtime.block_on(connecting).expect("a connection");
        let control = Self { connection, events, runtime, told: Program::default() };
        control
            .send(Message::SetConfig(SwitchConfig { flags: FRAGMENT_HANDLING, miss_send_length: u16::MAX }));
        let option = TlvMapping {
            class: OPTION_CLASS,
            kind: OPTION_TYPE,
            bytes: OPTION_BYTES,
            index: OPTION_INDEX.into(),
        };
        control.send(Message::TlvTableMod(TlvTableMod::Add(vec![option])));
        control
    }

    /// Installs a program, and checks that the switch gives back what it was given.
    pub(crate) fn install(&mut self, program: Program, host: u8) {
        self.put(program, host).expect("a program that the switch takes");
        let held = self.held();
        assert!(held.difference(&self.told).is_empty(), "{:#?}", held.difference(&self.told));
    }

    /// Installs a program. What the switch refuses, it refuses as a whole, meters aside.
    ///
    /// A dummy underlay knows no address to be local, and so routes no packet whose source is given. The host's is
    /// cleared instead, also of what came from a tunnel; the route gives the same, by the mark of the uplink.
    pub(crate) fn put(&mut self, mut program: Program, host: u8) -> Result<(), BundleError> {
        for flow in program.flows.values_mut() {
            let apply = std::mem::take(&mut flow.instructions.apply);
            flow.instructions.apply = apply.into_iter().flat_map(|action| marked(action, host)).collect();
        }
        let delta = self.told.difference(&program);
        for meter in &delta.add_meters {
            self.send(Message::MeterMod(MeterMod::Add(meter.clone())));
            self.told.meters.insert(meter.id, meter.clone());
        }
        self.runtime.block_on(self.connection.bundle(delta.items()))?;
        for meter in &delta.modify_meters {
            self.send(Message::MeterMod(MeterMod::Modify(meter.clone())));
        }
        for meter in &delta.delete_meters {
            self.send(Message::MeterMod(MeterMod::Delete(*meter)));
        }
        self.told = program;
        Ok(())
    }

    /// What the switch holds.
    fn held(&self) -> Program {
        let flows = self.runtime.block_on(self.connection.flows(FlowSelection::default())).expect("flows");
        let groups = self.runtime.block_on(self.connection.groups()).expect("groups");
        Program {
            flows: flows.into_iter().map(|entry| (FlowKey::from(&entry.flow), entry.flow)).collect(),
            groups: groups.into_iter().map(|group| (group.id, group)).collect(),
            meters: self.meters().into_iter().map(|meter| (meter.id, meter)).collect(),
        }
    }

    fn meters(&self) -> Vec<Meter> {
        self.runtime.block_on(self.connection.meters()).expect("meters")
    }

    /// The flows that packets have met.
    pub(crate) fn met(&self) -> Vec<FlowKey> {
        let flows = self.runtime.block_on(self.connection.flows(FlowSelection::default())).expect("flows");
        let met = flows.iter().filter(|entry| entry.counters.packets.is_some_and(|packets| packets > 0));
        met.map(|entry| FlowKey::from(&entry.flow)).collect()
    }

    /// Packets that an owner's flows have met.
    pub(crate) fn counted(&self, owner: Owner) -> u64 {
        let selection =
            FlowSelection { cookie: owner.cookie(), cookie_mask: u64::MAX, ..FlowSelection::default() };
        let flows = self.runtime.block_on(self.connection.flows(selection)).expect("flows");
        flows.iter().filter_map(|entry| entry.counters.packets).sum()
    }

    /// Packets that each owner's flows have met.
    pub(crate) fn counters(&self) -> BTreeMap<Owner, u64> {
        let flows = self.runtime.block_on(self.connection.flows(FlowSelection::default())).expect("flows");
        let mut counters = BTreeMap::new();
        for entry in flows {
            let owner = Owner::of_cookie(entry.flow.cookie).expect("only flows of the program");
            *counters.entry(owner).or_default() += entry.counters.packets.expect("the switch counts");
        }
        counters
    }

    /// Waits until the switch has taken a turn, and has said what there was to say in it.
    pub(crate) fn await_turn(&self) {
        // What comes after an answer was sent after it.
        self.runtime.block_on(self.connection.barrier()).expect("an answer");
    }

    /// What the agent was asked since this was last called.
    pub(crate) fn questions(&mut self) -> Vec<PacketIn> {
        self.runtime.block_on(async {
            let mut questions = Vec::new();
            while let Ok(event) = tokio::time::timeout(Duration::ZERO, self.events.next()).await {
                match event.expect("an open connection") {
                    Event::PacketIn(packet_in) => questions.push(*packet_in),
                    Event::PortStatus(_) => {}
                    other => panic!("{other:?}"),
                }
            }
            questions
        })
    }

    fn send(&self, message: Message) {
        self.runtime.block_on(self.connection.send(message)).expect("the switch agrees");
    }
}

/// An action, or, if it gives one of the host's own addresses as the source of a tunnel, what does the same for a dummy underlay.
fn marked(action: Action, host: u8) -> Vec<Action> {
    for uplink in uplinks() {
        let own = underlay_addresses(host, uplink).into_iter().find(|own| action == source(*own));
        let unspecified: IpAddr = match own {
            Some(IpAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
            Some(IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
            None => continue,
        };
        return vec![source(unspecified), Action::set_field(Field::PktMark, underlay_mark(uplink))];
    }
    vec![action]
}

fn source(address: IpAddr) -> Action {
    match address {
        IpAddr::V4(address) => Action::set_field(Field::TunSrc, address),
        IpAddr::V6(address) => Action::set_field(Field::TunIpv6Src, address),
    }
}
