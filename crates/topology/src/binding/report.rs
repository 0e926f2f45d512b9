//! What a host says of its ports: all that it has, or what has changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::SeenPort;

/// What a host says of its ports. Of several ports of one name the last counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortReport {
    /// It has these, and no others.
    All(Vec<Arc<SeenPort>>),
    /// What has changed since it last said something. It has said before what all its ports are.
    Since {
        /// Those that are new, or other than it said before.
        ports: Vec<Arc<SeenPort>>,
        /// Names of those that are gone.
        gone: Vec<String>,
    },
}

/// What has become of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortChange {
    /// As it was; `None` if it is new.
    pub before: Option<Arc<SeenPort>>,
    /// As it is; `None` if it is gone.
    pub after: Option<Arc<SeenPort>>,
}

/// What a report has come to: which of a host's bindings may have to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// What has become of ports.
    pub changes: Vec<PortChange>,
    /// The host has said all, and may have said it before, to a manager that did not come to store the bindings: those of
    /// ports that have not changed may not be in line either.
    pub is_whole: bool,
}

impl Reported {
    /// As if the host said again what it last said.
    pub fn again() -> Self {
        Self { changes: Vec::new(), is_whole: true }
    }
}

impl PortReport {
    /// What a host has to say whose ports are these now, and that has said that they were those.
    pub fn between(told: &[Arc<SeenPort>], now: &[Arc<SeenPort>]) -> Self {
        // Of many ports all but one are mostly the very same, in the same order.
        let front = same(told.iter().zip(now));
        let (told, now) = (told.get(front..).unwrap_or_default(), now.get(front..).unwrap_or_default());
        let back = same(told.iter().rev().zip(now.iter().rev()));
        let (told, now) = (told.iter().take(told.len() - back), now.iter().take(now.len() - back));
        let (ports, gone) = difference(told, now);
        Self::Since { ports, gone }
    }

    /// Whether it says nothing new.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Since { ports, gone } if ports.is_empty() && gone.is_empty())
    }
}

impl FromIterator<SeenPort> for PortReport {
    fn from_iter<I: IntoIterator<Item = SeenPort>>(ports: I) -> Self {
        Self::All(ports.into_iter().map(Arc::new).collect())
    }
}

impl From<Vec<SeenPort>> for PortReport {
    fn from(ports: Vec<SeenPort>) -> Self {
        ports.into_iter().collect()
    }
}

/// How many pairs at the beginning are of the very same port.
fn same<'a>(pairs: impl Iterator<Item = (&'a Arc<SeenPort>, &'a Arc<SeenPort>)>) -> usize {
    pairs.take_while(|(one, other)| Arc::ptr_eq(one, other)).count()
}

/// The ports of a list that another does not have, and the names that only the other has.
pub(super) fn difference<'a>(
    before: impl IntoIterator<Item = &'a Arc<SeenPort>>,
    after: impl IntoIterator<Item = &'a Arc<SeenPort>>,
) -> (Vec<Arc<SeenPort>>, Vec<String>) {
    let (before, after) = (by_name(before), by_name(after));
    let news = after.iter().filter(|(name, port)| before.get(*name) != Some(*port));
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    (news.map(|(_, port)| Arc::clone(port)).collect(), gone.map(|name| (*name).to_owned()).collect())
}

fn by_name<'a>(ports: impl IntoIterator<Item = &'a Arc<SeenPort>>) -> BTreeMap<&'a str, &'a Arc<SeenPort>> {
    ports.into_iter().map(|port| (port.name.as_str(), port)).collect()
}
