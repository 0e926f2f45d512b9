//! Plans: what a task would change, worked out without changing anything.
//!
//! A plan is a pure function of the topology, the ports seen, the time and a seed. The writer makes one for each task
//! and commits it; a dry run makes one and shows it. So the two cannot disagree.

use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use store::{Commit, Key, Mutation};
use topology::binding::{Reported, SeenPorts};
use topology::datapath::{Datapath, Registration};
use topology::host_pair::HostPair;
use topology::host_token::HostToken;
use topology::ip_retention_container;
use topology::{
    Change, DatapathId, Edit, Error, ErrorKind, HostPairId, NodeId, ObjectRef, Request, Revision, Topology,
};

/// What the writer is asked to do. It may be planned more than once, when the head has moved.
#[derive(Clone, Debug)]
pub enum Task {
    /// Carry out what a user asks for: all of it or nothing.
    Requests(Vec<Request>),
    /// Take in what a host's agent says of itself.
    Register(Registration),
    /// Bring the bindings of a host in line with the ports it shows, as far as its report asks for it.
    Bind(DatapathId, Reported),
    /// Release and delete the IP leases whose time is over.
    Expire,
    /// Go on with pairs of hosts, each from the revision at which both have realized it.
    Settle(Vec<(HostPairId, Revision)>),
    /// Keep a token's digest.
    Issue {
        /// SHA-256 of the secret, hexadecimal.
        digest: String,
        /// The only node that may use it, if given.
        node: Option<NodeId>,
        /// How long it is good for.
        lifetime: SignedDuration,
    },
    /// Use a token up.
    Redeem {
        /// SHA-256 of the secret, hexadecimal.
        digest: String,
        /// Who joins.
        node: NodeId,
    },
}

/// Why a task was refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Refused {
    /// Which of the requests is at fault, counted from zero.
    pub index: usize,
    /// What is wrong with it.
    pub error: Error,
}

/// What a task changes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The topology it was worked out on.
    pub before: Topology,
    /// The topology with the changes. The same as `before` if there are none.
    pub after: Topology,
    /// The changes, each object once.
    pub changes: Arc<Vec<Change>>,
    /// The objects that the task's requests are about, in their order.
    pub subjects: Vec<ObjectRef>,
}

impl Plan {
    /// Works out what `task` changes in `before`. Names are made up from `seed`, which should be random.
    ///
    /// # Errors
    /// [`Refused`], by the rules of the topology or because no store could take so large a commit.
    pub fn make(
        before: &Topology,
        seen: &SeenPorts,
        task: &Task,
        now: Timestamp,
        seed: u64,
    ) -> Result<Self, Refused> {
        let mut edit = Edit::new(before, now, seed);
        let subjects = carry_out(task, &mut edit, seen)?;
        // A record that appears after its port is bound by the commit that brings it.
        seen.rebind(&mut edit);
        let (after, changes) = edit.finish();
        Ok(Self { before: before.clone(), after, changes: Arc::new(changes), subjects })
    }

    /// The revision that has the changes: the next one, or that of `before` if there are none.
    pub fn revision(&self) -> Revision {
        self.after.revision()
    }

    /// The changes as the store takes them; `None` if there are none.
    ///
    /// # Errors
    /// [`Refused`], if they are more than a store takes at once.
    pub fn commit(&self) -> Result<Option<Commit>, Refused> {
        if self.changes.is_empty() {
            return Ok(None);
        }
        let commit = Commit { mutations: self.changes.iter().map(mutation).collect() };
        commit.validate().map_err(|reason| {
            let message = format!("{reason}: split the request");
            Refused { index: 0, error: Error { kind: ErrorKind::TooLarge, field: None, message } }
        })?;
        Ok(Some(commit))
    }
}

fn carry_out(task: &Task, edit: &mut Edit, seen: &SeenPorts) -> Result<Vec<ObjectRef>, Refused> {
    let whole = |error| Refused { index: 0, error };
    match task {
        Task::Requests(requests) => Request::execute_all(requests.iter().cloned(), edit)
            .map_err(|(index, error)| Refused { index, error }),
        Task::Register(registration) => {
            Datapath::register(edit, registration.clone()).map(|id| vec![id.into()]).map_err(whole)
        }
        Task::Bind(datapath, reported) => {
            seen.bind_reported(datapath, reported, edit);
            Ok(Vec::new())
        }
        Task::Expire => ip_retention_container::expire(edit).map(|()| Vec::new()).map_err(whole),
        Task::Settle(pairs) => {
            pairs.iter().for_each(|(pair, realized)| HostPair::settle(edit, pair, *realized));
            Ok(Vec::new())
        }
        Task::Issue { digest, node, lifetime } => {
            HostToken::issue(edit, digest.clone(), node.clone(), *lifetime)
                .map(|id| vec![id.into()])
                .map_err(whole)
        }
        Task::Redeem { digest, node } => {
            HostToken::redeem(edit, digest, node).map(|()| Vec::new()).map_err(whole)
        }
    }
}

fn mutation(change: &Change) -> Mutation {
    let key = Key::new(change.reference().to_string()).expect("references are short and printable");
    match change {
        Change::Put(object) => Mutation::Put { key, value: Bytes::from(object.encode()) },
        Change::Delete(_) => Mutation::Delete { key },
    }
}
