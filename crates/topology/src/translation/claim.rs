//! What translations lay claim to: all translations of a leg together must leave no doubt.
//!
//! - An external address stands for one internal address, or its ports one by one do, or it is shared.
//! - Of a shared address static ports are below 1,024: the others are the hosts' (see [`super::block`]).
//! - An internal address, or one of its ports, has one face outside: packets that leave could not choose.
//! - Packets that leave share the addresses of one translation: that of the longest prefix.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Translation;
use super::block::PORTS;
use super::entry::{Ports, Transport};
use crate::error::{Error, ErrorKind};
use crate::graph::Topology;
use crate::id::TranslationId;

/// Which part of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    All,
    Port(u16, Option<Transport>),
    /// What hosts share.
    Blocks,
}

impl Part {
    fn overlaps(self, other: Self) -> bool {
        match (self, other) {
            (Self::All, _) | (_, Self::All) | (Self::Blocks, Self::Blocks) => true,
            (Self::Blocks, Self::Port(port, _)) | (Self::Port(port, _), Self::Blocks) => port >= PORTS,
            (Self::Port(port, of), Self::Port(other, of_other)) => {
                port == other && (of.is_none() || of_other.is_none() || of == of_other)
            }
        }
    }
}

/// Who wants what, and which attribute says so.
struct Claim<'a> {
    part: Part,
    by: &'a TranslationId,
    field: &'static str,
}

/// Whether a translation agrees with itself and the others of its leg.
pub(super) fn are_unambiguous(translation: &Translation, topology: &Topology) -> Result<(), Error> {
    let ids = topology.translations_of_interface(&translation.interface_uuid);
    let all: Vec<_> = ids.iter().filter_map(|id| topology.translations().get(id)).collect();
    let all = || all.iter().map(|of| of.as_ref());
    one_each(translation, all().flat_map(outside), "stands for something already")?;
    one_each(translation, all().flat_map(inside), "has a face outside already")?;
    let mut prefixes = BTreeMap::new();
    for (of, prefix) in all().flat_map(|of| of.sources(topology).into_iter().map(move |prefix| (of, prefix)))
    {
        if let Some(other) = prefixes.insert(prefix, &of.uuid) {
            let message = format!("source_prefixes: {prefix} is translated by {other} and by {}", of.uuid);
            return Err(Error::new(ErrorKind::Duplicate, "source_prefixes", message));
        }
    }
    Ok(())
}

/// Refuses the first claim that overlaps another on the same address.
fn one_each<'a>(
    translation: &Translation,
    claims: impl Iterator<Item = (IpAddr, Claim<'a>)>,
    trouble: &str,
) -> Result<(), Error> {
    let mut by_address: BTreeMap<IpAddr, Vec<Claim<'a>>> = BTreeMap::new();
    for (address, claim) in claims {
        let others = by_address.entry(address).or_default();
        if let Some(other) = others.iter().find(|other| other.part.overlaps(claim.part)) {
            let port = match claim.part {
                Part::Port(port, _) => format!(" port {port}"),
                Part::All | Part::Blocks => String::new(),
            };
            let field = if claim.by == &translation.uuid { claim.field } else { other.field };
            let reason = format!("{address}{port} {trouble}, by {}", other.by);
            return Err(Error::duplicate(field, reason));
        }
        others.push(claim);
    }
    Ok(())
}

fn outside(of: &Translation) -> impl Iterator<Item = (IpAddr, Claim<'_>)> {
    let entries = of.static_addresses.iter().map(|entry| {
        let port = |ports: Ports| (Part::Port(ports.external, ports.protocol), "ingress_port_number");
        let (part, field) = entry.ports.map_or((Part::All, entry.external_field()), port);
        (entry.external, Claim { part, by: &of.uuid, field })
    });
    let shared = |address: &IpAddr| {
        (*address, Claim { part: Part::Blocks, by: &of.uuid, field: "external_addresses" })
    };
    entries.chain(of.external_addresses.iter().map(shared))
}

fn inside(of: &Translation) -> impl Iterator<Item = (IpAddr, Claim<'_>)> {
    of.static_addresses.iter().map(|entry| {
        let port = |ports: Ports| (Part::Port(ports.internal, ports.protocol), "egress_port_number");
        let (part, field) = entry.ports.map_or((Part::All, entry.internal_field()), port);
        (entry.internal, Claim { part, by: &of.uuid, field })
    })
}
