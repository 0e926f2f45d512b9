//! Datapaths: the switch of a hypervisor host, and how other hosts reach it.
//!
//! A host's agent registers its datapath by itself. One that a user made beforehand with the same dpid is the same
//! one: the user names it, the agent fills in what only the host knows.
//!
//! # One host at an address
//! Packets between hosts are told by their addresses, so an underlay address is one datapath's. A host that was
//! installed anew comes back under another name, at the address of its former self: who registers last takes the
//! address over, and the one before is as if it had never registered. Whether that one is alive, and not to be robbed,
//! only the manager can see.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::address::{Dpid, HostKey, NodeId};
use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::{Error, ErrorKind};
use crate::id::{DatapathId, Id};
use crate::meta::{Labels, Meta, MetaSpec, text};

/// Smallest IPv6 link (RFC 8200, section 5): an underlay below it cannot carry an overlay.
pub const MIN_UNDERLAY_MTU: u16 = 1280;

/// How frames between hosts are wrapped.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Encapsulation {
    /// RFC 8926, with an option that names source and destination interface.
    #[default]
    Geneve,
    /// RFC 7348.
    Vxlan,
    /// RFC 2784 with the key of RFC 2890.
    Gre,
}

impl Encapsulation {
    /// Every encapsulation.
    pub const ALL: [Self; 3] = [Self::Geneve, Self::Vxlan, Self::Gre];

    /// What is wrapped around an inner packet, in bytes, counted from the underlay's IP header to the end of the inner
    /// Ethernet header.
    pub fn overhead(self, underlay: IpAddr) -> u16 {
        const ETHERNET: u16 = 14;
        const UDP: u16 = 8;
        let ip = if underlay.is_ipv4() { 20 } else { 40 };
        let header = match self {
            // RFC 8926, section 3.4: 8 fixed bytes, then our one option of 4 bytes of header and 8 of data.
            Self::Geneve => UDP + 8 + 12,
            Self::Vxlan => UDP + 8,
            Self::Gre => 4 + 4,
        };
        ip + header + ETHERNET
    }
}

impl std::fmt::Display for Encapsulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Geneve => "geneve",
            Self::Vxlan => "vxlan",
            Self::Gre => "gre",
        })
    }
}

impl std::str::FromStr for Encapsulation {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|encapsulation| encapsulation.to_string() == text);
        named.ok_or_else(|| format!("must be geneve, vxlan or gre, not {text}"))
    }
}

/// How a host takes part in the underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Underlay {
    /// How this host wraps what it sends.
    pub encapsulation: Encapsulation,
    /// Where the others send to.
    #[schema(value_type = String, example = "192.0.2.1")]
    pub address: IpAddr,
    /// The largest IP packet the underlay takes from this host, in bytes.
    pub mtu: u16,
}

/// A host's number among those that share external addresses, from 0 on.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[schema(value_type = u32)]
pub struct NatBlock(pub u32);

/// A hypervisor host's switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Datapath {
    /// The id.
    pub uuid: DatapathId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// Stands for the host in registers.
    pub key: HostKey,
    /// A name for people.
    pub display_name: String,
    /// The switch's own id.
    pub dpid: Dpid,
    /// The agent's name. Until an agent has registered, it is what the user expects.
    pub node_id: NodeId,
    /// Which of the blocks of ports that addresses are divided into are the host's, where many share an address: see
    /// [`crate::translation`]. Given when it registers, and kept.
    #[serde(default)]
    pub nat_block: Option<NatBlock>,
    /// How the host is reached; absent until its agent has registered.
    #[serde(default)]
    pub underlay: Option<Underlay>,
}

/// What a host's agent says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The agent's name, as its certificate proves it.
    pub node_id: NodeId,
    /// The switch's own id.
    pub dpid: Dpid,
    /// How the host is reached.
    pub underlay: Underlay,
}

/// The attributes of a datapath that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DatapathSpec {
    /// `dp-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// A name for people.
    display_name: Option<String>,
    /// The switch's own id, hexadecimal. Required when creating.
    dpid: Option<Dpid>,
    /// The agent's name. Required when creating.
    node_id: Option<NodeId>,
}

impl Datapath {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<DatapathId, Error> {
        let spec: DatapathSpec = read(attributes)?;
        let uuid: DatapathId = edit.new_id(spec.uuid)?;
        let dpid = spec.dpid.ok_or_else(|| Error::missing("dpid"))?;
        let node_id = spec.node_id.ok_or_else(|| Error::missing("node_id"))?;
        Self::unique(edit, &uuid, dpid, &node_id)?;
        let display_name = text("display_name", spec.display_name.unwrap_or_else(|| node_id.to_string()))?;
        let meta = edit.new_meta(MetaSpec { project: spec.project, labels: spec.labels })?;
        let key = edit.host_key()?;
        let (nat_block, underlay) = (Some(Self::free_block(edit)), None);
        edit.put(Self { uuid: uuid.clone(), meta, key, display_name, dpid, node_id, nat_block, underlay });
        Ok(uuid)
    }

    pub(crate) fn update(edit: &mut Edit, uuid: &DatapathId, attributes: Attributes) -> Result<(), Error> {
        let spec: DatapathSpec = read(attributes)?;
        let old = edit.datapath(uuid)?;
        let mut new = Self::clone(&old);
        new.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        if let Some(name) = spec.display_name {
            new.display_name = text("display_name", name)?;
        }
        new.dpid = spec.dpid.unwrap_or(new.dpid);
        new.node_id = spec.node_id.unwrap_or(new.node_id);
        new.is_as_registered(&old)?;
        Self::unique(edit, uuid, new.dpid, &new.node_id)?;
        edit.replace(&*old, new, |datapath| &mut datapath.meta);
        Ok(())
    }

    /// Takes what an agent says of its host into the topology. Another datapath at its address loses the address.
    ///
    /// # Errors
    /// The dpid belongs to a datapath that another agent has registered, or the underlay cannot carry an overlay.
    pub fn register(edit: &mut Edit, registration: Registration) -> Result<DatapathId, Error> {
        let Registration { node_id, dpid, underlay } = registration;
        if underlay.mtu < MIN_UNDERLAY_MTU {
            return Err(Error::unfit("underlay_mtu", format!("must be at least {MIN_UNDERLAY_MTU}")));
        }
        let known = edit.topology().datapath_of_node(&node_id).or_else(|| {
            edit.topology().datapath_of_dpid(dpid).filter(|datapath| datapath.underlay.is_none())
        });
        let uuid = match known.cloned() {
            None => Self::register_new(edit, node_id, dpid, underlay)?,
            Some(old) => {
                Self::unique(edit, &old.uuid, dpid, &node_id)?;
                let nat_block = old.nat_block.unwrap_or_else(|| Self::free_block(edit));
                let (nat_block, underlay) = (Some(nat_block), Some(underlay));
                let new = Self { dpid, node_id, nat_block, underlay, ..Self::clone(&old) };
                edit.replace(&*old, new, |datapath| &mut datapath.meta);
                old.uuid.clone()
            }
        };
        Self::take_over(edit, &uuid, underlay.address)?;
        Ok(uuid)
    }

    fn take_over(edit: &mut Edit, uuid: &DatapathId, address: IpAddr) -> Result<(), Error> {
        for other in edit.topology().datapaths_at(&address).into_iter().filter(|other| other != uuid) {
            let old = edit.datapath(&other)?;
            let new = Self { underlay: None, ..Self::clone(&old) };
            edit.replace(&*old, new, |datapath| &mut datapath.meta);
        }
        Ok(())
    }

    fn register_new(
        edit: &mut Edit,
        node_id: NodeId,
        dpid: Dpid,
        underlay: Underlay,
    ) -> Result<DatapathId, Error> {
        // The node's name makes a readable id where it can be one.
        let wished = format!("{}-{}", DatapathId::PREFIX, node_id.as_str().to_ascii_lowercase());
        let free = wished.parse().ok().filter(|uuid| !edit.topology().datapaths().contains_key(uuid));
        let uuid: DatapathId = free.map_or_else(|| edit.new_id(None), Ok)?;
        Self::unique(edit, &uuid, dpid, &node_id)?;
        let (meta, key) = (edit.new_meta(MetaSpec::default())?, edit.host_key()?);
        let display_name = node_id.to_string();
        let (nat_block, underlay) = (Some(Self::free_block(edit)), Some(underlay));
        edit.put(Self { uuid: uuid.clone(), meta, key, display_name, dpid, node_id, nat_block, underlay });
        Ok(uuid)
    }

    /// The smallest number that no datapath has.
    fn free_block(edit: &Edit) -> NatBlock {
        let datapaths = edit.topology().datapaths().values();
        let taken: BTreeSet<_> = datapaths.filter_map(|datapath| datapath.nat_block).collect();
        let free = (0..).map(NatBlock).find(|block| !taken.contains(block));
        free.expect("there are fewer datapaths than numbers")
    }

    /// Deletes it, with the claims of its ports. An interface that is pinned to it is the user's to change first: without
    /// the pin any host could bind it, and an internal one could not be at all.
    pub(crate) fn delete(edit: &mut Edit, uuid: &DatapathId) -> Result<(), Error> {
        edit.datapath(uuid)?;
        let mut interfaces = edit.topology().interfaces().values();
        if let Some(pinned) = interfaces.find(|interface| interface.names_datapath(uuid)) {
            let message =
                format!("owner_datapath_uuid: {} has a port on {uuid}: change it first", pinned.uuid);
            return Err(Error::new(ErrorKind::InvalidReference, "owner_datapath_uuid", message));
        }
        for interface in edit.topology().interfaces_claimed_by(uuid) {
            if let Some(binding) = edit.topology().bindings().get(&interface).cloned() {
                binding.without(uuid, edit);
            }
        }
        edit.delete(uuid.clone());
        Ok(())
    }

    /// What an agent has said of its host, a user cannot say otherwise: the agent would register as somebody else, and
    /// be told that its own dpid is taken.
    fn is_as_registered(&self, old: &Self) -> Result<(), Error> {
        let fixed = |field| Error::unfit(field, format!("is what the agent of {} has registered", old.uuid));
        match old.underlay {
            Some(_) if self.node_id != old.node_id => Err(fixed("node_id")),
            Some(_) if self.dpid != old.dpid => Err(fixed("dpid")),
            _ => Ok(()),
        }
    }

    fn unique(edit: &Edit, uuid: &DatapathId, dpid: Dpid, node_id: &NodeId) -> Result<(), Error> {
        let others =
            |found: Option<&std::sync::Arc<Self>>| found.filter(|found| found.uuid != *uuid).cloned();
        if let Some(other) = others(edit.topology().datapath_of_dpid(dpid)) {
            let message = format!("dpid: {dpid} belongs to {} of {}", other.uuid, other.node_id);
            return Err(Error::new(ErrorKind::Duplicate, "dpid", message));
        }
        if let Some(other) = others(edit.topology().datapath_of_node(node_id)) {
            return Err(Error::duplicate("node_id", format!("{node_id} belongs to {}", other.uuid)));
        }
        Ok(())
    }
}
