//! Lines to agents: by them the manager asks hosts what only they know. It keeps none of the answers.

use std::collections::BTreeMap;
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use sync::Line;
use topology::DatapathId;

/// A line to each agent that is connected to this manager.
#[derive(Debug, Default)]
pub struct Lines(RwLock<BTreeMap<DatapathId, (u64, Line)>>);

impl Lines {
    /// An agent has connected. A line of an older connection of its host no longer counts.
    pub fn opened(&self, datapath: DatapathId, session: u64, line: Line) {
        self.write().insert(datapath, (session, line));
    }

    /// A connection has ended.
    pub fn closed(&self, datapath: &DatapathId, session: u64) {
        let mut lines = self.write();
        if lines.get(datapath).is_some_and(|(newest, _)| *newest == session) {
            lines.remove(datapath);
        }
    }

    /// The line to a host's agent, if it is connected.
    pub fn to(&self, datapath: &DatapathId) -> Option<Line> {
        self.read().get(datapath).map(|(_, line)| line.clone())
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<DatapathId, (u64, Line)>> {
        self.0.read().expect("no code panics with the lock held")
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<DatapathId, (u64, Line)>> {
        self.0.write().expect("no code panics with the lock held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_connection_of_a_host_is_the_one_that_is_asked() {
        let (lines, host): (_, DatapathId) = (Lines::default(), "dp-a".parse().expect("an id"));
        lines.opened(host.clone(), 1, Line::closed());
        lines.opened(host.clone(), 2, Line::closed());
        lines.closed(&host, 1);
        assert!(lines.to(&host).is_some());
        lines.closed(&host, 2);
        assert!(lines.to(&host).is_none());
    }
}
