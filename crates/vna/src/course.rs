//! The course of a switch: what its tables are to become, and which step leads there. Pure: [`reconciler`] takes the steps.
//!
//! ```text
//!                   compared                       newest: the compiler's difference alone
//! Out of step ─────────────────────> In step ───┐
//!      ^ │ newest: read                │ ^ ^     │
//!      │ └─ compared, too old ─┐       │ │ └─────┘
//!      └───────────────────────┘       │ └─ check: read, compared
//!      └────────── connected ──────────┘
//! ```
//! What the switch has is read, never assumed. Flows that stay keep their counters and their age. While there is no
//! replica nothing is touched: an agent without knowledge leaves a working switch.
//!
//! # A replica from disk
//! It is written a moment after the switch is changed, so after a crash it may be older than what the switch has, or of
//! the store that was there before a backup took its place. Then the switch is left as it is until a manager has been
//! heard: to go back would cost packets.
//!
//! [`reconciler`]: crate::reconciler

use std::sync::Arc;

use dataplane::{Compiler, Delta, Program, Twin};
use sync::Replica;

use crate::host::HostView;
use crate::switch::{Found, Mark};

/// What to do with the switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is known that it could be made equal to.
    Wait,
    /// Read it, and [`Course::compare`].
    Read,
    /// Make these changes, if there are any. Then it stands for [`Course::installed`].
    Change(Delta),
}

/// What the tables of one host's switch are to become.
#[derive(Debug)]
pub struct Course {
    /// The replica that the agent has started with.
    saved: Option<Arc<Replica>>,
    wanted: Option<Wanted>,
    /// Whether the switch was read on this connection, so that differences lead to what is wanted.
    in_step: bool,
}

#[derive(Debug)]
struct Wanted {
    replica: Arc<Replica>,
    host: Arc<HostView>,
    /// Whether the host has the tunnel ports that the replica asks for.
    has_tunnels: bool,
    compiler: Compiler,
}

impl Course {
    /// The course of an agent that has started with the replica `saved`.
    pub fn new(saved: Option<Arc<Replica>>) -> Self {
        Self { saved, wanted: None, in_step: false }
    }

    /// There is a new connection to the switch: it may have become another.
    pub fn connected(&mut self) {
        self.in_step = false;
    }

    /// Goes on to the newest replica and the newest view of the host.
    pub fn follow(&mut self, replica: Option<Arc<Replica>>, host: Arc<HostView>) -> Step {
        let difference = self.compile(replica, host);
        match self.wanted {
            None => Step::Wait,
            Some(_) if self.in_step => Step::Change(difference),
            Some(_) => Step::Read,
        }
    }

    /// As [`Course::follow`], and makes sure that the switch is still as it should be.
    pub fn check(&mut self, replica: Option<Arc<Replica>>, host: Arc<HostView>) -> Step {
        match self.follow(replica, host) {
            Step::Wait => Step::Wait,
            Step::Read | Step::Change(_) => Step::Read,
        }
    }

    /// What puts right what was read. [`Step::Wait`] if the switch knows better than a replica from disk.
    pub fn compare(&mut self, found: &Found) -> Step {
        let Some(wanted) = &self.wanted else { return Step::Wait };
        let is_saved = self.saved.as_ref().is_some_and(|saved| Arc::ptr_eq(saved, &wanted.replica));
        if is_saved && found.mark.is_some_and(|mark| may_be_newer(mark, &wanted.replica)) {
            return Step::Wait;
        }
        self.in_step = true;
        Step::Change(found.program.difference(wanted.compiler.program()))
    }

    /// What the tables lack because two units want one place: to be reported, it is a defect.
    pub fn twins(&self) -> impl Iterator<Item = &Twin> {
        self.wanted.iter().flat_map(|wanted| wanted.compiler.twins())
    }

    /// What the switch shall have; `None` while nothing is known.
    pub fn program(&self) -> Option<&Program> {
        self.wanted.as_ref().map(|wanted| wanted.compiler.program())
    }

    /// The replica that the tables are made equal to.
    pub fn aim(&self) -> Option<&Arc<Replica>> {
        self.wanted.as_ref().map(|wanted| &wanted.replica)
    }

    /// The replica that the tables stand for once the last step is taken. None while tunnel ports are missing: until
    /// they are there, packets are lost.
    pub fn installed(&self) -> Option<&Arc<Replica>> {
        self.wanted.as_ref().filter(|wanted| wanted.has_tunnels).map(|wanted| &wanted.replica)
    }

    /// Brings the compiler up to date, and tells what changes.
    fn compile(&mut self, replica: Option<Arc<Replica>>, host: Arc<HostView>) -> Delta {
        let Some(replica) = replica else { return Delta::default() };
        if host.dpid.is_none() {
            // The database has not been read yet: a host without ports would cost every guest its flows.
            return Delta::default();
        }
        let topology = replica.topology.clone();
        let local = || host.local(&topology, replica.datapath.clone());
        let has_tunnels = host.has_tunnels(&topology, &replica.datapath);
        match &mut self.wanted {
            Some(wanted) => {
                let (before, known) = (wanted.compiler.topology(), wanted.compiler.local());
                let is_known = Arc::ptr_eq(&wanted.host, &host) && known.datapath == replica.datapath;
                let local = match is_known {
                    true => host.local_since(before, known.clone(), &topology),
                    false => local(),
                };
                (wanted.replica, wanted.host, wanted.has_tunnels) = (replica, host, has_tunnels);
                wanted.compiler.update(topology, local)
            }
            None => {
                let compiler = Compiler::new(topology.clone(), local());
                self.wanted = Some(Wanted { replica, host, has_tunnels, compiler });
                Delta::default()
            }
        }
    }
}

/// Whether a switch may have been changed to something newer than a replica from disk. Of two stores nobody but a manager
/// knows which is the newer.
fn may_be_newer(mark: Mark, saved: &Replica) -> bool {
    let ours = Mark::of(saved);
    // One that another version has written names no store.
    let is_comparable = mark.is_of_store_of(&ours) || saved.store_id.is_empty();
    !is_comparable || mark.revision > ours.revision
}
