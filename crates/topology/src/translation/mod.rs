//! Translations: addresses of one side of a router that have others on the other side.
//!
//! A translation belongs to an outer leg: a simulated interface with `enable_routing` and `enable_route_translation`.
//! The external addresses are IP leases of the leg, so that the leg's network finds them there.
//!
//! # Static addresses
//! One external address, or one of its ports, stands for one internal address or port, both ways.
//!
//! # Source translation
//! Many internal addresses share few external ones. Each host has ports of its own, so that hosts need not ask each
//! other: see [`block`]. What belongs to no connection from inside is nobody's.
//!
//! # Ambiguity
//! All translations of a leg are one whole, in which an external address or port stands for one thing, and an internal
//! one has one face: see `claim`.

pub mod block;
mod claim;
pub mod entry;

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::address::{TranslationKey, TranslationZone};
use crate::attributes::{Attributes, clearable, read};
use crate::edit::Edit;
use crate::error::{Error, ErrorKind};
use crate::graph::Topology;
use crate::id::{DatapathId, InterfaceId, NetworkId, RouteLinkId, TranslationId};
use crate::interface::InterfaceMode;
use crate::meta::{Labels, Meta, MetaSpec};
use crate::network::{Network, Subnets};
use block::PortBlock;
use entry::{StaticAddress, StaticAddressSpec};

/// Most static addresses of one translation: an object is told to hosts as a whole.
pub const MAX_STATIC_ADDRESSES: usize = 1024;

/// Most external addresses that are shared: enough for thousands of hosts.
pub const MAX_EXTERNAL_ADDRESSES: usize = 64;

/// Most prefixes whose addresses share external ones.
pub const MAX_SOURCE_PREFIXES: usize = 64;

/// How addresses are translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TranslationMode {
    /// One to one, as the translation's static addresses say.
    StaticAddress,
    /// Many to few, for connections from inside.
    Source,
}

/// What addresses are translated to at an outer leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Translation {
    /// The id.
    pub uuid: TranslationId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// Stands for the translation in the switch.
    pub key: TranslationKey,
    /// Keeps the leg's connections apart from those of others. The same for all translations of a leg.
    pub zone: TranslationZone,
    /// The outer leg.
    pub interface_uuid: InterfaceId,
    /// How addresses are translated.
    pub mode: TranslationMode,
    /// What no translation of the leg takes passes it as it is.
    #[serde(default)]
    pub passthrough: bool,
    /// If `static_address`: what stands for what.
    #[serde(default)]
    #[schema(value_type = Vec<entry::StaticAddressFields>)]
    pub static_addresses: Vec<StaticAddress>,
    /// If `source`: the network whose addresses share the external ones.
    #[serde(default)]
    pub source_network_uuid: Option<NetworkId>,
    /// If `source`: more addresses that do.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub source_prefixes: BTreeSet<IpNet>,
    /// If `source`: the addresses that they share. The order tells which hosts use which.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub external_addresses: Vec<IpAddr>,
}

/// The attributes of a translation that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TranslationSpec {
    /// `tr-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// The outer leg: an interface of mode `simulated`. Required when creating.
    interface_uuid: Option<String>,
    /// How addresses are translated. Required when creating, and fixed.
    mode: Option<TranslationMode>,
    /// What no translation of the leg takes passes it as it is; false if absent.
    passthrough: Option<bool>,
    /// If `static_address`: all that stands for something, at most 1,024.
    static_addresses: Option<Vec<StaticAddressSpec>>,
    /// If `source`: the network whose addresses share the external ones.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<String>)]
    source_network_uuid: Option<Option<String>>,
    /// If `source`: more addresses that do, at most 64 prefixes.
    #[schema(value_type = Option<Vec<String>>, example = json!(["10.1.0.0/24"]))]
    source_prefixes: Option<BTreeSet<IpNet>>,
    /// If `source`: the addresses that they share, at most 64, all leased to the leg. Required then.
    #[schema(value_type = Option<Vec<String>>)]
    external_addresses: Option<Vec<IpAddr>>,
}

impl Translation {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<TranslationId, Error> {
        let spec: TranslationSpec = read(attributes)?;
        let uuid: TranslationId = edit.new_id(spec.uuid.clone())?;
        let leg = spec.interface_uuid.as_ref().ok_or_else(|| Error::missing("interface_uuid"))?;
        let interface_uuid: InterfaceId = edit.reference("interface_uuid", leg)?;
        let translation = Self {
            meta: edit.new_meta(MetaSpec::default())?,
            key: edit.translation_key()?,
            zone: zone_of(edit, &interface_uuid, &uuid)?,
            mode: spec.mode.ok_or_else(|| Error::missing("mode"))?,
            passthrough: false,
            static_addresses: Vec::new(),
            source_network_uuid: None,
            source_prefixes: BTreeSet::new(),
            external_addresses: Vec::new(),
            interface_uuid,
            uuid: uuid.clone(),
        };
        edit.put(translation.merge(edit, spec)?);
        Ok(uuid)
    }

    pub(crate) fn update(edit: &mut Edit, uuid: &TranslationId, attributes: Attributes) -> Result<(), Error> {
        let old = edit.translation(uuid)?;
        let mut new = Self::clone(&old).merge(edit, read(attributes)?)?;
        if new.interface_uuid != old.interface_uuid {
            new.zone = zone_of(edit, &new.interface_uuid, uuid)?;
        }
        edit.replace(&*old, new, |translation| &mut translation.meta);
        Ok(())
    }

    pub(crate) fn delete(edit: &mut Edit, uuid: &TranslationId) -> Result<(), Error> {
        edit.translation(uuid)?;
        edit.delete(uuid.clone());
        Ok(())
    }

    /// Adds an entry, as `POST /translations/…/static_address` asks.
    pub(crate) fn add(edit: &mut Edit, uuid: &TranslationId, attributes: Attributes) -> Result<(), Error> {
        let spec: StaticAddressSpec = read(attributes)?;
        let old = edit.translation(uuid)?;
        let mut new = Self::clone(&old);
        new.static_addresses.push(spec.entry(edit, new.free_number())?);
        new.fits_mode()?;
        edit.replace(&*old, new, |translation| &mut translation.meta);
        Ok(())
    }

    /// Removes the entries that have all the attributes given, and gives them back.
    pub(crate) fn remove(
        edit: &mut Edit,
        uuid: &TranslationId,
        attributes: Attributes,
    ) -> Result<Vec<StaticAddress>, Error> {
        let spec: StaticAddressSpec = read(attributes)?;
        let removed = Self::retain(edit, uuid, |entry| !spec.names(entry))?;
        if removed.is_empty() {
            let message = "the translation has no such static address";
            return Err(Error::new(ErrorKind::UnknownResource, "ingress_ipv4_address", message));
        }
        Ok(removed)
    }

    /// Takes what a network that goes away leaves without sense.
    pub(crate) fn forget_network(
        edit: &mut Edit,
        uuid: &TranslationId,
        network: &NetworkId,
    ) -> Result<(), Error> {
        if edit.translation(uuid)?.source_network_uuid.as_ref() == Some(network) {
            return Self::delete(edit, uuid);
        }
        Self::retain(edit, uuid, |entry| !entry.networks().any(|named| named == network)).map(drop)
    }

    /// Takes the entries that lead to a route link that goes away.
    pub(crate) fn forget_route_link(
        edit: &mut Edit,
        uuid: &TranslationId,
        link: &RouteLinkId,
    ) -> Result<(), Error> {
        Self::retain(edit, uuid, |entry| entry.route_link_uuid.as_ref() != Some(link)).map(drop)
    }

    fn retain(
        edit: &mut Edit,
        uuid: &TranslationId,
        keep: impl Fn(&StaticAddress) -> bool,
    ) -> Result<Vec<StaticAddress>, Error> {
        let old = edit.translation(uuid)?;
        let mut new = Self::clone(&old);
        let removed = new.static_addresses.extract_if(.., |entry| !keep(entry)).collect();
        edit.replace(&*old, new, |translation| &mut translation.meta);
        Ok(removed)
    }

    /// The networks that it names.
    pub(crate) fn named_networks(&self) -> BTreeSet<&NetworkId> {
        let entries = self.static_addresses.iter().flat_map(StaticAddress::networks);
        entries.chain(&self.source_network_uuid).collect()
    }

    /// The route links that it names.
    pub(crate) fn named_route_links(&self) -> BTreeSet<&RouteLinkId> {
        self.static_addresses.iter().filter_map(|entry| entry.route_link_uuid.as_ref()).collect()
    }

    /// All addresses that share the external ones.
    pub fn sources(&self, topology: &Topology) -> BTreeSet<IpNet> {
        let network = self.source_network_uuid.as_ref().and_then(|id| topology.networks().get(id));
        let subnets = network.map(|network| network.subnets).unwrap_or_default();
        let subnets = subnets.ipv4.map(IpNet::V4).into_iter().chain(subnets.ipv6.map(IpNet::V6));
        subnets.chain(self.source_prefixes.iter().copied()).collect()
    }

    /// The addresses outside that it stands behind.
    pub fn externals(&self) -> BTreeSet<IpAddr> {
        let of_entries = self.static_addresses.iter().map(|entry| entry.external);
        of_entries.chain(self.external_addresses.iter().copied()).collect()
    }

    /// The hosts with guests among the sources for which there are too few external addresses of a family.
    pub fn hosts_without_ports(&self, topology: &Topology) -> BTreeSet<DatapathId> {
        if self.mode != TranslationMode::Source {
            return BTreeSet::new();
        }
        let has_ports = |host: &DatapathId, is_ipv4| {
            let addresses = self.external_addresses.iter().copied().filter(|of| of.is_ipv4() == is_ipv4);
            let block = topology.datapaths().get(host).and_then(|datapath| datapath.nat_block);
            block.and_then(|block| PortBlock::of(block, addresses)).is_some()
        };
        let families: BTreeSet<_> = self.external_addresses.iter().map(IpAddr::is_ipv4).collect();
        let mut hosts = self.hosts(topology);
        hosts.retain(|host| families.iter().any(|is_ipv4| !has_ports(host, *is_ipv4)));
        hosts
    }

    /// If `source`: the hosts with interfaces in the networks whose addresses are translated.
    pub fn hosts(&self, topology: &Topology) -> BTreeSet<DatapathId> {
        let prefixes = &self.source_prefixes;
        let meets = |network: &Network| {
            let Subnets { ipv4, ipv6 } = network.subnets;
            let mut subnets = ipv4.map(IpNet::V4).into_iter().chain(ipv6.map(IpNet::V6));
            subnets.any(|net| prefixes.iter().any(|prefix| prefix.contains(&net) || net.contains(prefix)))
        };
        let by_prefix = topology.networks().values().filter(|network| !prefixes.is_empty() && meets(network));
        let networks = by_prefix.map(|network| &network.uuid).chain(&self.source_network_uuid);
        let domains: BTreeSet<_> =
            networks.filter_map(|network| topology.domain_of_network(network)).collect();
        domains.iter().flat_map(|domain| topology.hosts_of_domain(domain)).collect()
    }

    fn merge(mut self, edit: &Edit, spec: TranslationSpec) -> Result<Self, Error> {
        self.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        if let Some(interface) = spec.interface_uuid {
            self.interface_uuid = edit.reference("interface_uuid", &interface)?;
        }
        if spec.mode.is_some_and(|mode| mode != self.mode) {
            return Err(Error::unfit("mode", "cannot change: make another translation"));
        }
        self.passthrough = spec.passthrough.unwrap_or(self.passthrough);
        if let Some(entries) = spec.static_addresses {
            self.replace_entries(edit, entries)?;
        }
        if let Some(network) = spec.source_network_uuid {
            let find = |id: String| edit.reference("source_network_uuid", &id);
            self.source_network_uuid = network.map(find).transpose()?;
        }
        if let Some(prefixes) = spec.source_prefixes {
            self.source_prefixes = prefixes.iter().map(IpNet::trunc).collect();
        }
        self.external_addresses = spec.external_addresses.unwrap_or(self.external_addresses);
        self.fits_mode()?;
        Ok(self)
    }

    /// An entry that stays keeps its number, and so its connections.
    fn replace_entries(&mut self, edit: &Edit, entries: Vec<StaticAddressSpec>) -> Result<(), Error> {
        let old = std::mem::take(&mut self.static_addresses);
        let entries: Vec<_> =
            entries.into_iter().map(|spec| spec.entry(edit, 0)).collect::<Result<_, _>>()?;
        let number = |entry: &StaticAddress| {
            let same =
                |of: &&StaticAddress| StaticAddress { number: entry.number, ..(*of).clone() } == *entry;
            old.iter().find(same).map(|old| old.number)
        };
        let (kept, new): (Vec<_>, Vec<_>) =
            entries.into_iter().map(|entry| (number(&entry), entry)).partition(|(kept, _)| kept.is_some());
        for (number, entry) in kept.into_iter().chain(new) {
            let number = number.unwrap_or_else(|| self.free_number());
            self.static_addresses.push(StaticAddress { number, ..entry });
        }
        Ok(())
    }

    /// The smallest number, from 1 on, that no entry has. The translation as a whole is 0.
    fn free_number(&self) -> u16 {
        let taken: BTreeSet<_> = self.static_addresses.iter().map(|entry| entry.number).collect();
        (1..=u16::MAX).find(|number| !taken.contains(number)).unwrap_or(0)
    }

    /// What can be judged without looking at anything else.
    fn fits_mode(&self) -> Result<(), Error> {
        let few = |field: &'static str, count: usize, most: usize| match count <= most {
            true => Ok(()),
            false => Err(Error::unfit(field, format!("must be at most {most}"))),
        };
        few("static_addresses", self.static_addresses.len(), MAX_STATIC_ADDRESSES)?;
        few("source_prefixes", self.source_prefixes.len(), MAX_SOURCE_PREFIXES)?;
        few("external_addresses", self.external_addresses.len(), MAX_EXTERNAL_ADDRESSES)?;
        let has_source = self.source_network_uuid.is_some() || !self.source_prefixes.is_empty();
        match self.mode {
            TranslationMode::Source if !self.static_addresses.is_empty() => {
                Err(Error::unfit("mode", "only a translation of mode static_address has static addresses"))
            }
            TranslationMode::Source if !has_source => Err(Error::missing("source_network_uuid")),
            TranslationMode::Source if self.external_addresses.is_empty() => {
                Err(Error::missing("external_addresses"))
            }
            TranslationMode::StaticAddress if has_source || !self.external_addresses.is_empty() => {
                let field = if has_source { "source_network_uuid" } else { "external_addresses" };
                Err(Error::unfit(field, "is for translations of mode source"))
            }
            _ => Ok(()),
        }
    }

    /// What hangs on other objects too, judged once a commit is complete.
    pub(crate) fn check(&self, edit: &Edit) -> Result<(), Error> {
        let leg = edit.interface(&self.interface_uuid)?;
        if leg.mode != InterfaceMode::Simulated {
            let reason = format!("{} is not simulated, and {} needs a leg that is", leg.uuid, self.uuid);
            return Err(Error::unfit("interface_uuid", reason));
        }
        let leases = edit.topology().ip_leases_of_interface(&leg.uuid);
        let leases = leases.iter().filter_map(|id| edit.topology().ip_leases().get(id));
        let leased: BTreeSet<_> = leases.map(|lease| lease.address.ip()).collect();
        let foreign = |(_, address): &(_, IpAddr)| !leased.contains(address);
        let entries = self.static_addresses.iter().map(|entry| (entry.external_field(), entry.external));
        let shared = self.external_addresses.iter().map(|address| ("external_addresses", *address));
        if let Some((field, address)) = entries.chain(shared).find(foreign) {
            let reason = format!("{address} is translated by {}, and not leased to {}", self.uuid, leg.uuid);
            return Err(Error::unfit(field, reason));
        }
        claim::are_unambiguous(self, edit.topology())
    }
}

/// The zone of a leg: that of its other translations, or one of its own.
fn zone_of(edit: &mut Edit, leg: &InterfaceId, but: &TranslationId) -> Result<TranslationZone, Error> {
    let others = edit.topology().translations_of_interface(leg).into_iter().filter(|other| other != but);
    let zones = others.filter_map(|other| edit.translation(&other).ok()).map(|other| other.zone);
    match { zones }.next() {
        Some(zone) => Ok(zone),
        None => edit.translation_zone(),
    }
}
