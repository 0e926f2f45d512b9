//! The ports of an interface: by which names, on which hosts, it is recognised.

use serde::Serialize;
use topology::interface::{Interface, InterfaceMode, InterfacePort, InterfacePortSpec};
use topology::{Action, DatapathId, InterfaceId};

use super::list::Page;
use super::part::{Parts, part_routes};

/// A port of an interface, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PortView {
    /// The interface.
    pub interface_uuid: InterfaceId,
    /// Its mode.
    pub interface_mode: InterfaceMode,
    /// Only on this datapath.
    pub datapath_uuid: Option<DatapathId>,
    /// Only a port of this name.
    pub port_name: Option<String>,
    /// Always true: an interface lives on one host at a time.
    pub singular: bool,
}

impl PortView {
    /// Shows a port of an interface.
    pub fn new(interface: &Interface, port: &InterfacePort) -> Self {
        Self {
            interface_uuid: interface.uuid.clone(),
            interface_mode: interface.mode,
            datapath_uuid: port.datapath_uuid.clone(),
            port_name: port.port_name.clone(),
            singular: port.singular,
        }
    }
}

impl Parts for Interface {
    type Part = PortView;
    const NAME: &'static str = "ports";
    const VALUES: &'static [&'static str] = &["datapath_uuid", "port_name", "singular"];
    const ADD: Action = Action::AddPort;
    const REMOVE: Action = Action::RemovePorts;

    fn parts(&self) -> Vec<PortView> {
        self.ports.iter().map(|port| PortView::new(self, port)).collect()
    }
}

part_routes!(
    "interfaces", "ports": Interface, InterfacePortSpec => PortView;
    "list_interface_ports": "Lists the ports of an interface",
    "add_interface_port": "Gives an interface a port",
    "remove_interface_ports": "Takes the ports with all the attributes given from an interface, and shows them"
);
