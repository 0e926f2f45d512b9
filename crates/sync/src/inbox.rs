//! How an agent's replica follows what the manager sends. Pure: `agent` does the receiving.
//!
//! ```text
//!            Welcome              Part, not last
//!  Expecting ───────> Listening ────────────────> Receiving ─┐ Part, not last
//!                         ^                        │  ^──────┘
//!                         └────── Part, last ──────┘            new replica
//!  any state: anything else                                     fault
//! ```
//! Questions may come once it is listening, and lead nowhere from here.
//! A replica changes as a whole, when the last part is there; a stream that breaks off before leaves it as it was. Updates that
//! are there whole may wait for each other ([`Inbox::take_in`]): one replica that has them all costs less than one for each. After
//! a fault the stream is of no use: the agent connects anew.

use std::sync::Arc;

use topology::object::DecodeError;
use topology::{Change, DatapathId, Object, ObjectRef, Revision, Topology};

use crate::replica::Replica;
use crate::wire::{Part, Put, Told, Welcome};

/// Most objects in one update: beyond what any one host needs, and what its agent could hold.
const MAX_CHANGES: usize = 4_000_000;

/// What is wrong with what the manager sent.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A newer manager says more than this version knows.
    #[error("the manager sent a message of an unknown kind")]
    Unknown,
    /// A welcome comes first, and once.
    #[error("the manager sent a message out of turn")]
    OutOfTurn,
    /// It is no id of a datapath.
    #[error("the manager's welcome names no datapath")]
    NoDatapath(#[from] topology::id::InvalidId),
    /// An update is missing, or is for somebody else.
    #[error("the manager sent a change from revision {base:?}, and the replica is at {found:?}")]
    Gap {
        /// What the update starts from.
        base: Option<Revision>,
        /// What there is.
        found: Option<Revision>,
    },
    /// The last part of the one before is missing.
    #[error("the manager sent parts of different updates as one")]
    Torn,
    /// It would not fit into memory.
    #[error("the manager sent an update of more than {MAX_CHANGES} objects")]
    TooLarge,
    /// It does not fit its kind.
    #[error("the manager sent a malformed object")]
    Malformed(#[from] DecodeError),
}

/// An agent's end of one stream.
#[derive(Debug)]
pub struct Inbox {
    /// Also the state of which `resume` told the manager.
    replica: Option<Arc<Replica>>,
    /// Whole updates that the replica does not have yet, each from where the one before leads to.
    waiting: Vec<Incoming>,
    source: Option<Source>,
    state: State,
}

#[derive(Debug)]
enum State {
    Expecting,
    Listening,
    Receiving(Incoming),
}

/// Whose topology it is, as the welcome said.
#[derive(Debug)]
struct Source {
    store_id: String,
    datapath: DatapathId,
}

/// An update, while parts are missing and until the replica has it.
#[derive(Debug)]
struct Incoming {
    base: Option<Revision>,
    revision: Revision,
    changes: Vec<Change>,
    is_awaited: bool,
}

impl Inbox {
    /// A stream that begins, for an agent that has `replica`.
    pub fn new(replica: Option<Arc<Replica>>) -> Self {
        Self { replica, waiting: Vec::new(), source: None, state: State::Expecting }
    }

    /// Takes a message, and gives back the new replica if the message completes one.
    pub fn on_message(&mut self, told: Option<Told>) -> Result<Option<Arc<Replica>>, Fault> {
        self.take_in(told)?;
        Ok(self.newest())
    }

    /// Takes a message. An update that it completes waits for [`Inbox::newest`].
    pub fn take_in(&mut self, told: Option<Told>) -> Result<(), Fault> {
        let state = std::mem::replace(&mut self.state, State::Expecting);
        match (state, told.ok_or(Fault::Unknown)?) {
            (State::Expecting, Told::Welcome(welcome)) => {
                self.source = Some(Source::new(welcome)?);
                self.state = State::Listening;
                Ok(())
            }
            (State::Listening, Told::Part(part)) => {
                let incoming = self.begin(&part)?;
                self.on_part(incoming, part)
            }
            (State::Receiving(incoming), Told::Part(part)) => self.on_part(incoming, part),
            // Not about the replica.
            (state @ (State::Listening | State::Receiving(_)), Told::Question(_)) => {
                self.state = state;
                Ok(())
            }
            (State::Expecting, Told::Part(_) | Told::Question(_))
            | (State::Listening | State::Receiving(_), Told::Welcome(_)) => Err(Fault::OutOfTurn),
        }
    }

    /// How many objects wait; `None` if no update does.
    pub fn news(&self) -> Option<usize> {
        let objects = self.waiting.iter().map(|update| update.changes.len()).sum();
        (!self.waiting.is_empty()).then_some(objects)
    }

    /// Whether somebody waits to hear that the host has what waits.
    pub fn is_awaited(&self) -> bool {
        self.waiting.iter().any(|update| update.is_awaited)
    }

    /// The replica with all that has waited, if anything has. Also after a fault.
    pub fn newest(&mut self) -> Option<Arc<Replica>> {
        let waiting = std::mem::take(&mut self.waiting);
        let (source, first) = (self.source.as_ref()?, waiting.first()?);
        let base = self.replica.as_ref().filter(|_| first.base.is_some());
        let mut topology = base.map_or_else(Topology::default, |replica| replica.topology.clone());
        for update in &waiting {
            topology.commit(update.revision, &update.changes);
        }
        let (store_id, datapath) = (source.store_id.clone(), source.datapath.clone());
        let replica = Arc::new(Replica { store_id, datapath, topology });
        self.replica = Some(replica.clone());
        Some(replica)
    }

    /// An update begins: it must start from what the agent has, or anew.
    fn begin(&self, part: &Part) -> Result<Incoming, Fault> {
        let base = part.base.map(Revision);
        let is_of_source = |replica: &&Arc<Replica>| self.source.as_ref().is_some_and(|of| of.is_of(replica));
        let replica = self.replica.as_ref().filter(is_of_source).map(|replica| replica.topology.revision());
        let found = self.waiting.last().map(|update| update.revision).or(replica);
        if base.is_some() && base != found {
            return Err(Fault::Gap { base, found });
        }
        let (revision, is_awaited) = (Revision(part.revision), part.awaited);
        Ok(Incoming { base, revision, changes: Vec::new(), is_awaited })
    }

    fn on_part(&mut self, mut incoming: Incoming, part: Part) -> Result<(), Fault> {
        if (part.base.map(Revision), Revision(part.revision)) != (incoming.base, incoming.revision) {
            return Err(Fault::Torn);
        }
        if incoming.changes.len() + part.puts.len() + part.deletes.len() > MAX_CHANGES {
            return Err(Fault::TooLarge);
        }
        for put in &part.puts {
            incoming.changes.extend(decode_put(put)?);
        }
        incoming.changes.extend(part.deletes.iter().filter_map(|text| known(text)).map(Change::Delete));
        if !part.last {
            self.state = State::Receiving(incoming);
            return Ok(());
        }
        if incoming.base.is_none() {
            // It begins anew, whatever there was.
            self.waiting.clear();
        }
        self.waiting.push(incoming);
        self.state = State::Listening;
        Ok(())
    }
}

impl Source {
    fn new(welcome: Welcome) -> Result<Self, Fault> {
        Ok(Self { store_id: welcome.store_id, datapath: welcome.datapath.parse()? })
    }

    fn is_of(&self, replica: &Replica) -> bool {
        self.store_id == replica.store_id && self.datapath == replica.datapath
    }
}

fn decode_put(put: &Put) -> Result<Option<Change>, DecodeError> {
    let Some(reference) = known(&put.reference) else { return Ok(None) };
    Object::decode(&reference, &put.value).map(|object| Some(Change::Put(object)))
}

/// The reference, unless it is of a kind that only a newer manager knows: it is passed over, like unknown fields.
fn known(text: &str) -> Option<ObjectRef> {
    let reference = text.parse().ok();
    if reference.is_none() {
        tracing::debug!(reference = text, "passed over an object of a kind that this version does not know");
    }
    reference
}
