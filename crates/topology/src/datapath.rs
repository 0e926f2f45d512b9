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
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::address::{Dpid, HostKey, NodeId};
use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::{Error, ErrorKind};
use crate::id::{DatapathId, Id};
use crate::meta::{Labels, Meta, MetaSpec, text};
use crate::underlay::{MIN_UNDERLAY_MTU, UnderlayAddress};

pub use crate::underlay::{Encapsulation, Underlay};

/// Most underlay addresses of a host: every pair of addresses of two hosts costs both a flow.
pub const MAX_UNDERLAY_ADDRESSES: usize = 4;

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
    #[serde(default)]
    #[schema(required = true)]
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
    /// Where it can be reached besides.
    #[serde(default)]
    pub other_addresses: Vec<UnderlayAddress>,
    /// Whether its agent heeds records of pairs of hosts.
    #[serde(default)]
    pub heeds_pairs: bool,
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
    /// Where it can be reached besides. Agents of earlier releases know of no such.
    #[serde(default)]
    pub other_addresses: Vec<UnderlayAddress>,
    /// Whether the agent heeds records of pairs of hosts. Agents of earlier releases know of none: what they would lose is not
    /// sent to them.
    #[serde(default)]
    pub heeds_pairs: bool,
}

impl Registration {
    /// That of a host with one address.
    pub fn new(node_id: NodeId, dpid: Dpid, underlay: Underlay) -> Self {
        Self { node_id, dpid, underlay, other_addresses: Vec::new(), heeds_pairs: true }
    }

    /// The same for a host with further addresses.
    #[must_use]
    pub fn with_addresses(self, other_addresses: Vec<UnderlayAddress>) -> Self {
        Self { other_addresses, ..self }
    }

    /// Every address, the host's own choice first.
    pub fn addresses(&self) -> impl Iterator<Item = UnderlayAddress> {
        std::iter::once(self.underlay.endpoint()).chain(self.other_addresses.iter().copied())
    }

    fn check(&self) -> Result<(), Error> {
        if self.addresses().any(|of| of.mtu < MIN_UNDERLAY_MTU) {
            return Err(Error::unfit("underlay_mtu", format!("must be at least {MIN_UNDERLAY_MTU}")));
        }
        let distinct: BTreeSet<_> = self.addresses().map(|of| of.address).collect();
        let given = self.addresses().count();
        if distinct.len() < given {
            return Err(Error::duplicate("underlay_address", "each address is named once"));
        }
        if given > MAX_UNDERLAY_ADDRESSES {
            let reason = format!("a host has at most {MAX_UNDERLAY_ADDRESSES}");
            return Err(Error::unfit("underlay_address", reason));
        }
        Ok(())
    }
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
        let meta = MetaSpec { project: spec.project, labels: spec.labels };
        Self::put_new(edit, uuid.clone(), meta, (dpid, node_id, display_name))?;
        Ok(uuid)
    }

    /// One whose agent has not registered.
    fn put_new(
        edit: &mut Edit,
        uuid: DatapathId,
        meta: MetaSpec,
        (dpid, node_id, display_name): (Dpid, NodeId, String),
    ) -> Result<(), Error> {
        let (meta, key) = (edit.new_meta(meta)?, edit.host_key()?);
        let nat_block = Some(Self::free_block(edit));
        let (underlay, other_addresses, heeds_pairs) = (None, Vec::new(), false);
        edit.put(Self {
            uuid,
            meta,
            key,
            display_name,
            dpid,
            node_id,
            nat_block,
            underlay,
            other_addresses,
            heeds_pairs,
        });
        Ok(())
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

    /// Takes what an agent says of its host into the topology. Another datapath at one of its addresses loses what it has
    /// registered.
    ///
    /// # Errors
    /// The dpid belongs to a datapath that another agent has registered, or the underlay cannot carry an overlay.
    pub fn register(edit: &mut Edit, registration: Registration) -> Result<DatapathId, Error> {
        registration.check()?;
        let Registration { node_id, dpid, underlay, other_addresses, heeds_pairs } = registration;
        let known = edit.topology().datapath_of_node(&node_id).or_else(|| {
            edit.topology().datapath_of_dpid(dpid).filter(|datapath| datapath.underlay.is_none())
        });
        let old = match known.cloned() {
            Some(known) => known,
            None => Self::expect(edit, dpid, &node_id)?,
        };
        Self::unique(edit, &old.uuid, dpid, &node_id)?;
        let nat_block = Some(old.nat_block.unwrap_or_else(|| Self::free_block(edit)));
        let underlay = Some(underlay);
        let new =
            Self { dpid, node_id, nat_block, underlay, other_addresses, heeds_pairs, ..Self::clone(&old) };
        let addresses: Vec<_> = new.addresses().map(|of| of.address).collect();
        edit.replace(&*old, new, |datapath| &mut datapath.meta);
        addresses.iter().try_for_each(|address| Self::take_over(edit, &old.uuid, address))?;
        Ok(old.uuid.clone())
    }

    fn take_over(edit: &mut Edit, uuid: &DatapathId, address: &IpAddr) -> Result<(), Error> {
        for other in edit.topology().datapaths_at(address).into_iter().filter(|other| other != uuid) {
            let old = edit.datapath(&other)?;
            let new = Self { underlay: None, other_addresses: Vec::new(), ..Self::clone(&old) };
            edit.replace(&*old, new, |datapath| &mut datapath.meta);
        }
        Ok(())
    }

    /// Makes the datapath of a host that nobody knew.
    fn expect(edit: &mut Edit, dpid: Dpid, node_id: &NodeId) -> Result<Arc<Self>, Error> {
        // The node's name makes a readable id where it can be one.
        let wished = format!("{}-{}", DatapathId::PREFIX, node_id.as_str().to_ascii_lowercase());
        let free = wished.parse().ok().filter(|uuid| !edit.topology().datapaths().contains_key(uuid));
        let uuid: DatapathId = free.map_or_else(|| edit.new_id(None), Ok)?;
        Self::unique(edit, &uuid, dpid, node_id)?;
        Self::put_new(edit, uuid.clone(), MetaSpec::default(), (dpid, node_id.clone(), node_id.to_string()))?;
        edit.datapath(&uuid)
    }

    /// Every address at which the host is reached, its own choice first; none until its agent has registered.
    pub fn addresses(&self) -> impl Iterator<Item = UnderlayAddress> {
        let first = self.underlay.as_ref().map(Underlay::endpoint);
        first.into_iter().chain(self.other_addresses.iter().copied())
    }

    /// One of its addresses, or one that it has not registered: that is taken to be like the first.
    pub(crate) fn endpoint(&self, address: IpAddr) -> Option<UnderlayAddress> {
        let first = self.addresses().next()?;
        let known = self.addresses().find(|of| of.address == address);
        Some(known.unwrap_or(UnderlayAddress { address, mtu: first.mtu }))
    }

    /// The first address of a family.
    pub(crate) fn address_of_family(&self, is_ipv4: bool) -> Option<UnderlayAddress> {
        self.addresses().find(|of| of.address.is_ipv4() == is_ipv4)
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
        for pair in edit.topology().host_pairs_of_datapath(uuid) {
            edit.delete(pair);
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
        let others = |found: Option<&Arc<Self>>| found.filter(|found| found.uuid != *uuid).cloned();
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
