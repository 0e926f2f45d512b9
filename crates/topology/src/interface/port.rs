//! Ports: by what hosts recognise an interface.

use serde::{Deserialize, Serialize};

use super::{Interface, InterfaceMode};
use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::{Error, ErrorKind};
use crate::id::{DatapathId, InterfaceId};

/// Most ports one interface may be known by.
pub const MAX_PORTS: usize = 64;

/// Longest name of a port (Linux: `IFNAMSIZ` less the terminating zero).
pub const MAX_PORT_NAME: usize = 15;

/// A port by which hosts recognise the interface, besides `external_ids:iface-id`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InterfacePort {
    /// Only on this datapath.
    #[serde(default)]
    pub datapath_uuid: Option<DatapathId>,
    /// Only a port of this name.
    #[serde(default)]
    pub port_name: Option<String>,
    /// The interface lives on one host at a time. Always so for the modes that have ports.
    #[serde(default = "always")]
    pub singular: bool,
}

fn always() -> bool {
    true
}

/// The attributes of a port of an interface.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InterfacePortSpec {
    /// Only on this datapath.
    datapath_uuid: Option<String>,
    /// Only a port of this name.
    port_name: Option<String>,
    /// Always true.
    singular: Option<bool>,
}

impl Interface {
    /// Adds a port, as `POST /interfaces/…/ports` asks.
    pub(crate) fn add_port(edit: &mut Edit, uuid: &InterfaceId, attributes: Attributes) -> Result<(), Error> {
        let port = InterfacePort::new(edit, read(attributes)?)?;
        if port.datapath_uuid.is_none() && port.port_name.is_none() {
            return Err(Error::missing("port_name"));
        }
        let old = edit.interface(uuid)?;
        let mut new = Self::clone(&old);
        if new.ports.contains(&port) {
            return Err(Error::duplicate("port_name", "the interface has this port already"));
        }
        new.ports.push(port);
        new.ports_are_valid()?;
        edit.replace(&*old, new, |interface| &mut interface.meta);
        Ok(())
    }

    /// Removes the ports that have all the attributes given, and gives them back.
    pub(crate) fn remove_ports(
        edit: &mut Edit,
        uuid: &InterfaceId,
        attributes: Attributes,
    ) -> Result<Vec<InterfacePort>, Error> {
        let spec: InterfacePortSpec = read(attributes)?;
        let wanted = InterfacePort::new(edit, spec)?;
        let old = edit.interface(uuid)?;
        let mut new = Self::clone(&old);
        let matches = |port: &InterfacePort| {
            (wanted.datapath_uuid.is_none() || wanted.datapath_uuid == port.datapath_uuid)
                && (wanted.port_name.is_none() || wanted.port_name == port.port_name)
        };
        let removed: Vec<_> = new.ports.extract_if(.., |port| matches(port)).collect();
        if removed.is_empty() {
            return Err(Error::new(
                ErrorKind::UnknownResource,
                "port_name",
                "the interface has no such port",
            ));
        }
        new.ports_are_valid()?;
        edit.replace(&*old, new, |interface| &mut interface.meta);
        Ok(removed)
    }

    pub(super) fn merge_port(
        &mut self,
        edit: &Edit,
        datapath: Option<Option<String>>,
        name: Option<Option<String>>,
    ) -> Result<(), Error> {
        if datapath.is_none() && name.is_none() {
            return Ok(());
        }
        if self.ports.len() > 1 {
            return Err(Error::unfit(
                "port_name",
                "the interface has several ports: change them under /ports",
            ));
        }
        let mut port = self.ports.pop().unwrap_or(InterfacePort {
            datapath_uuid: None,
            port_name: None,
            singular: true,
        });
        if let Some(datapath) = datapath {
            let find = |id: String| edit.reference("owner_datapath_uuid", &id);
            port.datapath_uuid = datapath.map(find).transpose()?;
        }
        if let Some(name) = name {
            port.port_name = name.map(port_name).transpose()?;
        }
        if port.datapath_uuid.is_some() || port.port_name.is_some() {
            self.ports.push(port);
        }
        Ok(())
    }

    pub(super) fn ports_are_valid(&self) -> Result<(), Error> {
        if self.ports.len() > MAX_PORTS {
            return Err(Error::unfit("ports", format!("an interface has at most {MAX_PORTS} ports")));
        }
        if self.mode == InterfaceMode::Internal && !self.ports.iter().any(|port| port.datapath_uuid.is_some())
        {
            return Err(Error::missing("owner_datapath_uuid"));
        }
        if self.mode == InterfaceMode::Simulated && self.ports.iter().any(|port| port.port_name.is_some()) {
            return Err(Error::unfit("port_name", "a simulated interface has no port"));
        }
        self.vlan_is_valid()?;
        if self.mode.is_uplink() { self.uplink_is_valid() } else { Ok(()) }
    }

    /// A port of one name on one host is one interface's, and so is the bridge's own.
    pub(crate) fn ports_are_free(&self, edit: &Edit) -> Result<(), Error> {
        self.ports.iter().try_for_each(|port| self.port_is_free(edit, port))?;
        let internal = self.ports.iter().filter(|_| self.mode == InterfaceMode::Internal);
        internal
            .filter_map(|port| port.datapath_uuid.as_ref())
            .try_for_each(|on| self.bridge_is_free(edit, on))
    }

    fn bridge_is_free(&self, edit: &Edit, datapath: &DatapathId) -> Result<(), Error> {
        let interfaces = edit.topology().interfaces_of_datapath_port(datapath);
        let other = interfaces.into_iter().find(|other| *other != self.uuid);
        other.map_or(Ok(()), |other| {
            let reason = format!("{other} is the internal interface of {datapath} already");
            Err(Error::duplicate("owner_datapath_uuid", reason))
        })
    }

    fn port_is_free(&self, edit: &Edit, port: &InterfacePort) -> Result<(), Error> {
        let Some(name) = &port.port_name else { return Ok(()) };
        for other in edit.topology().interfaces_of_port_name(name) {
            let other = edit.interface(&other)?;
            let clash = other.ports.iter().any(|of_other| {
                of_other.port_name == port.port_name && of_other.datapath_uuid == port.datapath_uuid
            });
            if other.uuid != self.uuid && clash {
                return Err(Error::duplicate(
                    "port_name",
                    format!("{name} is a port of {} already", other.uuid),
                ));
            }
        }
        Ok(())
    }
}

impl InterfacePort {
    fn new(edit: &Edit, spec: InterfacePortSpec) -> Result<Self, Error> {
        if spec.singular == Some(false) {
            return Err(Error::unfit("singular", "can only be true: a port is on one host at a time"));
        }
        let find = |id: String| edit.reference("datapath_uuid", &id);
        Ok(Self {
            datapath_uuid: spec.datapath_uuid.map(find).transpose()?,
            port_name: spec.port_name.map(port_name).transpose()?,
            singular: true,
        })
    }
}

fn port_name(name: String) -> Result<String, Error> {
    let valid = (1..=MAX_PORT_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b'"');
    if valid {
        Ok(name)
    } else {
        Err(Error::argument("port_name", "must be 1 to 15 visible characters without `/`"))
    }
}
