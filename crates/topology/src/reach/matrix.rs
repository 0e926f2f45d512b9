//! Matrices: who can send what to whom.
//!
//! # How it is found out
//! Guests are put into [classes](super::class), and for each pair of classes it is found out of one packet of each piece of traffic whether it
//! arrives. Its way is walked once for all classes that are attached alike, the protection on it judged once for all that are
//! guarded alike, and between guests that no routes join nothing is walked at all: `reach::shared` and `reach::apart` say why that is the
//! same. A walk itself says how far it speaks for packets to and from other ports (`walk::looked`), and the next
//! one begins where that ends. So the answer is exact, and costs what there is of rules that packets meet, not what
//! there is of rules or guests. Senders that are attached in different ways are worked out side by side.
//! [`product`] finds out the same without sharing anything.
//!
//! # What counts as reaching
//! A guest speaks as itself: from an address leased to it, to an address leased to the other, or to a static address that stands
//! for one. It *may* send what arrives by any of these, from any port; it *does* reach the other with what always arrives
//! from an ephemeral port, to one address of the family at least.

use std::collections::{BTreeMap, BTreeSet};

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;

use super::class::{Class, Named, classes};
use super::prober::{Prober, Sharing, Survey};
use super::traffic::TrafficSet;
use crate::error::{Error, ErrorKind};
use crate::graph::Topology;
use crate::id::InterfaceId;
use crate::traffic::Family;

/// Most packets that are walked for one question: some ten seconds of a processor.
pub const MAX_WALKS: usize = 500_000;

/// Most pieces of traffic that are looked at for one question, of which most have been walked for others: some ten seconds of a
/// processor.
pub const MAX_LOOKS: usize = 20_000_000;

/// Most pairs of classes that are looked at for one question: their answers must fit into memory.
pub const MAX_PAIRS: usize = 1_000_000;

/// Who can send what to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matrix {
    /// Those who send.
    pub from: Vec<Class>,
    /// Those who receive.
    pub to: Vec<Class>,
    /// What they can send: only pairs with somebody to send to.
    pub cells: Vec<Cell>,
    /// How many packets were walked.
    pub walks: usize,
}

/// Where the guests of a pair are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Places {
    /// It does not matter.
    Any,
    /// On one host.
    Same,
    /// On different hosts.
    Different,
}

/// What those of one class can send to those of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The place of the senders' class.
    pub from: usize,
    /// The place of the receivers' class.
    pub to: usize,
    /// For whom of them it is true.
    pub places: Places,
    /// A pair of them.
    pub example: (InterfaceId, InterfaceId),
    /// What they can send.
    pub reach: Reach,
}

/// What one can send to another, for each family that both have addresses of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Over IPv4.
    pub ipv4: Option<FamilyReach>,
    /// Over IPv6.
    pub ipv6: Option<FamilyReach>,
}

/// What one can send to another over one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FamilyReach {
    /// What arrives, in some case at least.
    pub may: TrafficSet,
    /// What always arrives from a client.
    pub does: TrafficSet,
}

impl Reach {
    /// The families that both have, with what is true of them.
    pub fn families(&self) -> impl Iterator<Item = (Family, &FamilyReach)> {
        let ipv4 = self.ipv4.iter().map(|of| (Family::V4, of));
        ipv4.chain(self.ipv6.iter().map(|of| (Family::V6, of)))
    }

    /// Whether nothing arrives.
    pub fn is_empty(&self) -> bool {
        self.families().all(|(_, of)| of.may.is_empty())
    }
}

impl Matrix {
    /// How many guests send as the sender of a cell does.
    pub fn senders(&self, cell: &Cell) -> usize {
        self.from.get(cell.from).map_or(0, |class| class.members.len())
    }

    /// How many guests receive as the receiver of a cell does.
    pub fn receivers(&self, cell: &Cell) -> usize {
        self.to.get(cell.to).map_or(0, |class| class.members.len())
    }
}

/// Works out who of `from` can send what of `traffic` to whom of `to`.
///
/// # Errors
/// That would take too long.
pub fn matrix(
    topology: &Topology,
    from: &BTreeSet<InterfaceId>,
    to: &BTreeSet<InterfaceId>,
    traffic: &TrafficSet,
) -> Result<Matrix, Error> {
    let named = Named::of(topology);
    let [from, to] = [from, to].map(|guests| classes(topology, &named, guests));
    between((topology, named), (from, to), traffic, Sharing::Wherever)
}

/// The same, found out of each pair of guests by itself: what [`matrix`] is held against.
///
/// # Errors
/// That would take too long.
pub fn product(
    topology: &Topology,
    from: &BTreeSet<InterfaceId>,
    to: &BTreeSet<InterfaceId>,
    traffic: &TrafficSet,
) -> Result<Matrix, Error> {
    let named = Named::of(topology);
    let alone = |guest: &InterfaceId| classes(topology, &named, &BTreeSet::from([guest.clone()]));
    let [from, to] = [from, to].map(|guests| guests.iter().flat_map(alone).collect());
    between((topology, named), (from, to), traffic, Sharing::Never)
}

fn between(
    (topology, named): (&Topology, Named),
    (from, to): (Vec<Class>, Vec<Class>),
    traffic: &TrafficSet,
    sharing: Sharing,
) -> Result<Matrix, Error> {
    if from.len().saturating_mul(to.len()) > MAX_PAIRS {
        let message =
            format!("{} kinds of senders and {} of receivers are too many: name fewer", from.len(), to.len());
        return Err(Error { kind: ErrorKind::TooLarge, field: None, message });
    }
    let survey = Survey::new(topology, named, from.iter().chain(&to));
    // What is walked is shared by senders that are attached alike: these are worked out one after the other.
    let mut alike: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for sender in from.iter().enumerate() {
        let first = sender.1.members.first().and_then(|first| survey.guests.get(first));
        alike.entry(first.map(|first| first.attached)).or_default().push(sender);
    }
    let alike: Vec<_> = alike.into_values().collect();
    let cells = alike.into_par_iter().map_init(
        || survey.prober(),
        |prober, senders| {
            let rows = senders.into_iter().map(|sender| row(prober, sender, &to, traffic, sharing));
            rows.collect::<Result<Vec<_>, _>>()
        },
    );
    let mut cells: Vec<_> = cells.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().flatten().collect();
    cells.sort_by_key(|cell| cell.from);
    Ok(Matrix { from, to, cells, walks: survey.walks() })
}

/// What those of one class can send to whom.
fn row(
    prober: &mut Prober<'_>,
    (number_from, of_from): (usize, &Class),
    to: &[Class],
    traffic: &TrafficSet,
    sharing: Sharing,
) -> Result<Vec<Cell>, Error> {
    let mut cells = Vec::new();
    for (number_to, of_to) in to.iter().enumerate() {
        let mut found = Vec::new();
        // Tunnels that do not say who a sender is make a difference between hosts, of which nothing is shared.
        let is_anywhere = of_from.is_anywhere && of_to.is_anywhere;
        let sharing = if is_anywhere { sharing } else { Sharing::Never };
        for (places, example) in pairs(of_from, of_to) {
            let reach = prober.reach(&example.0, &example.1, traffic, sharing)?;
            found.push(Cell { from: number_from, to: number_to, places, example, reach });
        }
        if let [one, other] = found.as_mut_slice()
            && one.reach == other.reach
        {
            one.places = Places::Any;
            found.truncate(1);
        }
        cells.extend(found);
    }
    Ok(cells)
}

/// One pair of each kind that there is.
fn pairs(from: &Class, to: &Class) -> Vec<(Places, (InterfaceId, InterfaceId))> {
    let other_than = |one: &InterfaceId, among: &[InterfaceId]| among.iter().find(|of| *of != one).cloned();
    let pair = |senders: &[InterfaceId], receivers: &[InterfaceId]| {
        senders.iter().take(2).find_map(|one| Some((one.clone(), other_than(one, receivers)?)))
    };
    if from.is_anywhere && to.is_anywhere {
        return pair(&from.members, &to.members).map(|pair| (Places::Any, pair)).into_iter().collect();
    }
    let on_one = from.hosts.iter().find_map(|(host, senders)| pair(senders, to.hosts.get(host)?));
    let apart = from.hosts.iter().find_map(|(host, senders)| {
        let mut elsewhere = to.hosts.iter().filter(|(other, _)| *other != host);
        elsewhere.find_map(|(_, receivers)| pair(senders, receivers))
    });
    let places = [(Places::Same, on_one), (Places::Different, apart)];
    places.into_iter().filter_map(|(places, pair)| Some((places, pair?))).collect()
}
