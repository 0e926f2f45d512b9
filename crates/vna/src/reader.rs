//! Reads what the host's switch shows from its database.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use openflow::OfPort;
use ovsdb::vswitch::{self, Bridge, Interface, LinkState, Port, TypedRow};
use ovsdb::{Row, Snapshot, Uuid};
use topology::binding::{LOCAL_PORT, SeenPort};
use topology::datapath::Encapsulation;
use topology::{Dpid, HostKey};

use crate::host::{HostPort, HostView, Made, TUNNEL_MARK};
use crate::monitors::{self, Monitor};

/// Reads the bridge from one snapshot of the database after the other.
///
/// A host has many ports, and each is several rows. So what was read is kept, and of the interfaces only those are read whose
/// rows have changed.
#[derive(Debug, Default)]
pub struct Reader {
    view: HostView,
    interfaces: HashMap<Uuid, Known>,
    reads: u64,
}

/// What was read of an interface.
#[derive(Debug)]
struct Known {
    row: Arc<Row>,
    /// `None` if it is no port of ours: it does not read, or has the name that the bridge's own port goes by.
    shown: Option<Shown>,
    /// The read in which it was last there.
    read: u64,
}

/// What an interface shows.
#[derive(Clone, Debug)]
enum Shown {
    Port { port: HostPort, is_dark: bool },
    Tunnel { name: String, encapsulation: Option<Encapsulation>, number: Option<OfPort> },
    Monitor { name: String, host: HostKey, monitor: Option<Monitor> },
}

impl Reader {
    /// Reads the bridge.
    pub fn read(&mut self, snapshot: &Snapshot, bridge: &str) -> &HostView {
        let Ok(Some(bridge)) = Bridge::named(snapshot, bridge) else {
            *self = Self::default();
            return &self.view;
        };
        self.view.dpid = bridge.datapath_id.map(|id| Dpid(id.0));
        self.reads += 1;
        let (read, mut changed) = (self.reads, Vec::new());
        let interfaces =
            bridge.ports.iter().flat_map(|port| snapshot.references(Port::TABLE, *port, "interfaces"));
        for uuid in interfaces {
            let Some(row) = snapshot.row(Interface::TABLE, uuid) else { continue };
            match self.interfaces.get_mut(&uuid) {
                Some(known) if Arc::ptr_eq(&known.row, row) => known.read = read,
                _ => {
                    let interface = vswitch::row::<Interface>(snapshot, uuid).ok().flatten();
                    let shown = interface.and_then(|interface| Shown::of(interface, &bridge.name));
                    let known = Known { row: row.clone(), shown: shown.clone(), read };
                    let before = self.interfaces.insert(uuid, known).and_then(|known| known.shown);
                    changed.push((before, shown));
                }
            }
        }
        let gone = self.interfaces.extract_if(|_, known| known.read < read);
        changed.extend(gone.map(|(_, known)| (known.shown, None)));
        self.take_in(&changed);
        &self.view
    }

    /// Takes in what interfaces have shown and show now.
    fn take_in(&mut self, changed: &[(Option<Shown>, Option<Shown>)]) {
        let both = || changed.iter().flat_map(|(before, after)| [before, after]).flatten();
        // What is gone goes first: another interface may have its name.
        for before in changed.iter().filter_map(|(before, _)| before.as_ref()) {
            self.view.remove(before);
        }
        for after in changed.iter().filter_map(|(_, after)| after.as_ref()) {
            self.view.add(after);
        }
        // Somebody may have given two ports one mark: which of them counts must not depend on the order of changes.
        if both().any(Shown::is_made) {
            (self.view.tunnels, self.view.monitors, self.view.made) = Default::default();
            let shown = self.interfaces.values().filter_map(|known| known.shown.as_ref());
            let made: BTreeMap<_, _> =
                shown.filter(|shown| shown.is_made()).map(|shown| (shown.name(), shown)).collect();
            made.values().for_each(|shown| self.view.add(shown));
        }
    }
}

impl Shown {
    fn of(interface: Interface, bridge: &str) -> Option<Self> {
        let number = interface.ofport.map(|port| OfPort(u32::from(port.0)));
        let number = if interface.name == bridge { Some(OfPort::LOCAL) } else { number };
        if let Some(mark) = interface.external_ids.get(TUNNEL_MARK) {
            return Some(Self::Tunnel { encapsulation: mark.parse().ok(), name: interface.name, number });
        }
        if let Some(host) = monitors::of_interface(&interface) {
            let monitor = number.map(|port| monitors::state(&interface, port));
            return Some(Self::Monitor { name: interface.name, host, monitor });
        }
        let name = match interface.name {
            _ if number == Some(OfPort::LOCAL) => LOCAL_PORT.to_owned(),
            name if name == LOCAL_PORT => return None,
            name => name,
        };
        let seen = SeenPort {
            name,
            instance: interface.uuid.to_string(),
            iface_id: interface.external_ids.get("iface-id").cloned(),
            error: interface.error,
            asks: false,
        };
        let is_dark = interface.link_state == Some(LinkState::Down);
        Some(Self::Port { port: HostPort { seen: Arc::new(seen), number }, is_dark })
    }

    fn name(&self) -> &String {
        match self {
            Self::Port { port, .. } => &port.seen.name,
            Self::Tunnel { name, .. } | Self::Monitor { name, .. } => name,
        }
    }

    fn is_made(&self) -> bool {
        !matches!(self, Self::Port { .. })
    }
}

impl HostView {
    fn add(&mut self, shown: &Shown) {
        let name = shown.name().clone();
        match shown {
            Shown::Port { port, is_dark } => {
                if *is_dark {
                    self.dark.insert(name.clone());
                }
                self.ports.insert(name, port.clone());
            }
            Shown::Tunnel { encapsulation, number, .. } => {
                self.tunnels.extend(encapsulation.zip(*number));
                self.made.insert(name, Made::Tunnel(*encapsulation));
            }
            Shown::Monitor { host, monitor, .. } => {
                self.monitors.extend(monitor.map(|monitor| (*host, monitor)));
                self.made.insert(name, Made::Monitor(*host));
            }
        }
    }

    fn remove(&mut self, shown: &Shown) {
        if let Shown::Port { port, .. } = shown {
            self.dark.remove(&port.seen.name);
            self.ports.remove(&port.seen.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ovsdb::monitor::RowUpdate;
    use ovsdb::{Atom, DatabaseSchema, Datum, TableUpdates};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const BRIDGES: [&str; 2] = ["br-int", "br-ex"];
    /// Names of ports; the first is also a bridge's.
    const NAMES: [&str; 6] = ["br-int", "eth0", "tap0", "tap1", "vn-geneve", LOCAL_PORT];

    /// A port with its interface, of which there is one of a name.
    #[derive(Clone, Debug, PartialEq)]
    struct OnePort {
        bridge: usize,
        /// Which port of its name it is.
        instance: u8,
        number: Option<i64>,
        mark: Option<(&'static str, &'static str)>,
        link_state: &'static str,
        error: Option<&'static str>,
    }

    fn port() -> impl Strategy<Value = OnePort> {
        let marks = [
            ("iface-id", "if-a"),
            ("iface-id", "if-b"),
            (TUNNEL_MARK, "geneve"),
            (TUNNEL_MARK, "vxlan"),
            (TUNNEL_MARK, "carrier-pigeon"),
            (monitors::MARK, "1"),
            (monitors::MARK, "2"),
        ];
        (
            0..BRIDGES.len(),
            0..2_u8,
            proptest::option::of(1..3_i64),
            proptest::option::of(prop::sample::select(marks.to_vec())),
            prop::sample::select(vec!["up", "down", "sideways"]),
            proptest::option::of(Just("could not open network device")),
        )
            .prop_map(|(bridge, instance, number, mark, link_state, error)| OnePort {
                bridge,
                instance,
                number,
                mark,
                link_state,
                error,
            })
    }

    /// Ports by the place of their name.
    type Ports = BTreeMap<usize, OnePort>;

    /// The rows of tables, as the database would have them.
    fn rows(ports: &Ports) -> BTreeMap<(&'static str, Uuid), Row> {
        let mut rows = BTreeMap::new();
        let uuid = |kind: u128, place: usize, of: &OnePort| {
            Uuid::from_u128(kind << 64 | (place as u128) << 8 | u128::from(of.instance))
        };
        for (index, bridge) in BRIDGES.iter().enumerate() {
            let of_bridge = ports.iter().filter(|(_, of)| of.bridge == index);
            let ports = of_bridge.map(|(place, of)| Atom::Uuid(uuid(1, *place, of)));
            let row = Row::new().with("name", *bridge).with("datapath_type", "netdev");
            rows.insert(
                ("Bridge", Uuid::from_u128(index as u128)),
                row.with("ports", Datum::Set(ports.collect())),
            );
        }
        for (place, of) in ports {
            let (place, name) = (*place, NAMES[*place]);
            let port = Row::new().with("name", name).with("interfaces", uuid(2, place, of));
            rows.insert(("Port", uuid(1, place, of)), port);
            let ids: BTreeMap<_, _> =
                of.mark.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let interface = Row::new()
                .with("name", name)
                .with("type", "")
                .with("external_ids", &ids)
                .with("link_state", of.link_state)
                .with("error", Datum::from(of.error))
                .with("ofport", Datum::from(of.number));
            rows.insert(("Interface", uuid(2, place, of)), interface);
        }
        rows
    }

    fn update(before: &Ports, after: &Ports) -> TableUpdates {
        let (before, after) = (rows(before), rows(after));
        let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let changed = keys.into_iter().filter(|key| before.get(key) != after.get(key));
        let became = |(table, uuid): &(&'static str, Uuid)| {
            let row = after.get(&(*table, *uuid)).cloned();
            ((*table).into(), *uuid, row.map_or(RowUpdate::Gone, RowUpdate::Present))
        };
        TableUpdates { transaction: None, rows: changed.map(became).collect() }
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_is_there(
            steps in prop::collection::vec(
                prop::collection::btree_map(0..NAMES.len(), port(), 0..=NAMES.len()),
                1..8,
            )
        ) {
            let columns = json!({"columns": {}});
            let schema = json!({"name": "Open_vSwitch", "version": "8.0.0",
                "tables": {"Bridge": columns, "Port": columns, "Interface": columns}});
            let schema = DatabaseSchema::from_json(&schema).expect("the test's own schema");
            let mut snapshot = Snapshot::empty(Arc::new(schema));
            let (mut reader, mut before) = (Reader::default(), Ports::new());
            for after in steps {
                snapshot.apply(update(&before, &after)).expect("an update that fits");
                let kept = reader.read(&snapshot, BRIDGES[0]);
                let mut fresh = Reader::default();
                prop_assert_eq!(kept, fresh.read(&snapshot, BRIDGES[0]));
                let is_told = |place: usize, of: &OnePort| {
                    let is_made = of.mark.is_some_and(|(key, _)| key != "iface-id");
                    is_made || NAMES[place] != LOCAL_PORT
                };
                let here = after.iter().filter(|(_, of)| of.bridge == 0 && of.link_state != "sideways");
                let told = here.filter(|(place, of)| is_told(**place, of)).count();
                prop_assert_eq!(kept.ports.len() + kept.made.len(), told);
                before = after;
            }
        }
    }
}
