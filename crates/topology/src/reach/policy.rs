//! Policies: statements about who reaches whom, held against a topology.
//!
//! A statement names senders and receivers, and says one thing or several of the traffic from any of the one to any of the
//! other: `never`, what may not arrive in any case; `reaches`, what must arrive; `only`, what must arrive while nothing else
//! may. What a violation is shown by is a packet that anybody can trace.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::class::Named;
use super::matrix::{Cell, matrix};
use super::probe::Prepared;
use super::prober::Survey;
use super::selection::Selector;
use super::traffic::TrafficSet;
use crate::error::Error;
use crate::graph::Topology;
use crate::id::InterfaceId;
use crate::traffic::Family;

/// Most statements of one policy.
pub const MAX_STATEMENTS: usize = 1000;
/// Most violations that are shown of one statement: more say nothing new.
pub const MAX_VIOLATIONS: usize = 5;

/// One text, or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Texts {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// What ought to be true.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// A name for people.
    #[serde(default)]
    pub name: Option<String>,
    /// Who sends: `any`, or ids of interfaces, networks, segments or security groups.
    pub from: Texts,
    /// Who receives, likewise.
    pub to: Texts,
    /// What must not arrive.
    #[serde(default)]
    pub never: Option<Texts>,
    /// What must arrive.
    #[serde(default)]
    pub reaches: Option<Texts>,
    /// What must arrive, while nothing else may.
    #[serde(default)]
    pub only: Option<Texts>,
}

/// Whether a statement is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// How many guests can send, and how many receive. Of nobody everything is true.
    pub guests: (usize, usize),
    /// What contradicts it, [`MAX_VIOLATIONS`] at most.
    pub violations: Vec<Violation>,
}

/// What is wrong with traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// It arrives.
    Arrives,
    /// It does not.
    DoesNotArrive,
}

/// What contradicts a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What is wrong.
    pub wrong: Wrong,
    /// All of the traffic that it is wrong of, between these two.
    pub traffic: TrafficSet,
    /// Who sends it, and how many send as this one does.
    pub from: (InterfaceId, usize),
    /// Who receives it, and how many do as this one does.
    pub to: (InterfaceId, usize),
    /// A packet of it, or what is sent instead; none if the two have no addresses of one family.
    pub shown_by: Option<Prepared>,
}

impl Texts {
    fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(text) => std::slice::from_ref(text).iter(),
            Self::Many(texts) => texts.iter(),
        }
        .map(String::as_str)
    }

    /// The traffic that is named.
    ///
    /// # Errors
    /// A text names none.
    pub fn traffic(&self, field: &str) -> Result<TrafficSet, Error> {
        TrafficSet::parse(self.iter()).map_err(|error| Error { field: Some(field.to_owned()), ..error })
    }

    /// The guests that are named.
    ///
    /// # Errors
    /// A text names none, or something unknown.
    pub fn guests(&self, topology: &Topology, field: &str) -> Result<BTreeSet<InterfaceId>, Error> {
        let located = |error: Error| Error { field: Some(field.to_owned()), ..error };
        let named = self.iter().map(|text| text.parse::<Selector>()?.guests(topology));
        let named = named.collect::<Result<Vec<_>, _>>().map_err(located)?;
        Ok(named.into_iter().flatten().collect())
    }
}

/// What a statement asks for.
struct Rules {
    forbidden: TrafficSet,
    required: TrafficSet,
}

impl Statement {
    /// Holds it against a topology.
    ///
    /// # Errors
    /// It cannot be understood, contradicts itself, or would take too long.
    pub fn judge(&self, topology: &Topology) -> Result<Judgement, Error> {
        let rules = self.rules()?;
        let (from, to) = (self.from.guests(topology, "from")?, self.to.guests(topology, "to")?);
        let mut traffic = rules.forbidden.clone();
        traffic.extend(&rules.required);
        let found = matrix(topology, &from, &to, &traffic)?;
        let wrong =
            found.cells.iter().flat_map(|cell| rules.wrong(cell).into_iter().map(move |of| (cell, of)));
        let survey = Survey::new(topology, Named::of(topology), std::iter::empty());
        let mut prober = survey.prober();
        let violations = wrong.take(MAX_VIOLATIONS).map(|(cell, (wrong, traffic, family))| {
            let (from, to) = &cell.example;
            let shown_by = match family {
                Some(family) => prober.example((from, to), &traffic, family, wrong)?,
                None => None,
            };
            let (from, to) = ((from.clone(), found.senders(cell)), (to.clone(), found.receivers(cell)));
            Ok(Violation { wrong, traffic, from, to, shown_by })
        });
        let violations = violations.collect::<Result<_, Error>>()?;
        Ok(Judgement { guests: (from.len(), to.len()), violations })
    }

    fn rules(&self) -> Result<Rules, Error> {
        let of = |texts: &Option<Texts>, field| texts.as_ref().map(|texts| texts.traffic(field)).transpose();
        let (never, reaches, only) =
            (of(&self.never, "never")?, of(&self.reaches, "reaches")?, of(&self.only, "only")?);
        if never.is_none() && reaches.is_none() && only.is_none() {
            return Err(Error::missing("never"));
        }
        let mut rules = Rules { forbidden: TrafficSet::default(), required: TrafficSet::default() };
        never.iter().for_each(|never| rules.forbidden.extend(never));
        reaches.iter().for_each(|reaches| rules.required.extend(reaches));
        if let Some(only) = only {
            rules.required.extend(&only);
            rules.forbidden.extend(&TrafficSet::all().minus(&only));
        }
        let both = rules.forbidden.both(&rules.required);
        if both.is_empty() {
            return Ok(rules);
        }
        Err(Error { field: None, ..Error::unfit("never", format!("{both} must arrive, and must not")) })
    }
}

impl Rules {
    /// What is wrong of a pair, and over which family if they have one in common.
    fn wrong(&self, cell: &Cell) -> Vec<(Wrong, TrafficSet, Option<Family>)> {
        let of_families = cell.reach.families().flat_map(|(family, reach)| {
            let arrives = self.forbidden.both(&reach.may);
            let missing = self.required.of_family(family).minus(&reach.does);
            [(Wrong::Arrives, arrives, Some(family)), (Wrong::DoesNotArrive, missing, Some(family))]
        });
        let mut wrong: Vec<_> = of_families.collect();
        if wrong.is_empty() {
            wrong.push((Wrong::DoesNotArrive, self.required.clone(), None));
        }
        wrong.retain(|(_, traffic, _)| !traffic.is_empty());
        wrong
    }
}
