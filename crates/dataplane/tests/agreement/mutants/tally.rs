//! What became of mutants, as it is told.

use std::collections::BTreeMap;
use std::fmt;

use super::MUTANTS;
use super::wrong::Mutant;

/// What became of mutants.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) caught: usize,
    /// What the walk and the switches disagreed about where nothing was wrong.
    pub(crate) alarms: Vec<String>,
    /// Those that nobody has noticed, and why, if there is a reason.
    unnoticed: Vec<(Option<&'static str>, u64, String)>,
    /// Of each kind of fault: how many were judged, and how many of them noticed.
    tried: BTreeMap<String, (usize, usize)>,
    /// The number of the next scene.
    pub(super) next: u64,
    /// Mutants that are still to be tried.
    pub(super) lacking: usize,
}

impl Tally {
    /// Nothing yet, of so many, from this scene on.
    pub(super) fn begin(lacking: usize, next: u64) -> Self {
        Self { lacking, next, ..Self::default() }
    }

    /// Mutants that nobody has noticed for no reason.
    pub(crate) fn survived(&self) -> usize {
        self.unnoticed.iter().filter(|(why, ..)| why.is_none()).count()
    }

    pub(super) fn next(&mut self) -> Option<(u64, usize)> {
        let mutants = MUTANTS.min(self.lacking);
        let number = self.next;
        (self.lacking, self.next) = (self.lacking - mutants, number + 1);
        (mutants > 0).then_some((number, mutants))
    }

    pub(super) fn note(&mut self, number: u64, mutant: &Mutant, fate: Fate) {
        let noticed = fate == Fate::Caught;
        let (all, caught) = self.tried.entry(format!("{:?}", mutant.fault)).or_default();
        (*all, *caught) = (*all + 1, *caught + usize::from(noticed));
        match fate {
            Fate::Caught => self.caught += 1,
            Fate::Unnoticed(why) => self.unnoticed.push((why, number, mutant.to_string())),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (fault, (all, caught)) in &self.tried {
            writeln!(f, "{caught:8} of {all} {fault}")?;
        }
        for alarm in &self.alarms {
            writeln!(f, "  where nothing is wrong: {alarm}")?;
        }
        for (why, number, mutant) in &self.unnoticed {
            writeln!(f, "  topology {number}, {}: {mutant}", why.unwrap_or("NOT CAUGHT"))?;
        }
        Ok(())
    }
}

/// What becomes of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Caught,
    Unnoticed(Option<&'static str>),
}
