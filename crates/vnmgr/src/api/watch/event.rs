//! Events: what is said of a commit.
//!
//! # As of the commit, and what follows from it as of now
//! An object's own attributes are those that the commit gave it. What the API works out besides (the addresses of an
//! interface, how it is, the MTU) is taken from the newest topology: the log has no others. For a watcher that keeps up the
//! two are the same.
//!
//! # What is no resource
//! Where an interface lives is part of how it is, and what a datapath, a topology or an interface has to do with others is listed
//! under it: these are told as changes of the resource. The digests of tokens and the secrets of services are told to nobody.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Committed, Key, Mutation};
use sync::Head;
use topology::{Collection, Object, ObjectRef, Revision};

use crate::api::look::Look;
use crate::api::shown::shown;
use crate::hosts::Hosts;

/// How much text is made at once, in bytes; objects are made whole.
const CHUNK: usize = 64 << 10;

/// Where the store keeps bindings.
const BINDINGS: &str = "bindings";

/// Where it keeps relations, each under the ids of its two ends, the owner's first.
const RELATIONS: &str = "relations";

/// A commit, as a watcher is told.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct CommitEvent {
    /// The revision from then on.
    pub revision: Revision,
    /// When it was made; absent if it has only deleted.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub time: Option<Timestamp>,
    /// What has changed, each object once.
    pub changes: Vec<ChangeEvent>,
}

/// What has become of an object.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ChangeEvent {
    /// In one word.
    pub what: What,
    /// The object's collection.
    pub kind: Collection,
    /// The object's id.
    pub uuid: String,
    /// The object, as it is shown under its own path; absent if it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub object: Option<Value>,
}

/// What has become of an object, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// It is new.
    Created,
    /// It was there before.
    Changed,
    /// It is gone.
    Deleted,
}

/// The times that nearly every stored object has.
#[derive(Deserialize)]
struct Times {
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl Times {
    fn of(mutation: &Mutation) -> Option<Self> {
        serde_json::from_slice(mutation.value()?).ok()
    }
}

/// What is told of one mutation of a commit: its place among them, and of which collection that is.
type Item = (usize, Collection);

/// An event that is being written.
#[derive(Debug)]
pub(super) struct Telling {
    committed: Committed,
    head: Arc<Head>,
    items: Vec<Item>,
    /// How many of them are written.
    written: usize,
}

impl Telling {
    /// What there is to say of a commit, if anything is wanted.
    pub(super) fn new(
        committed: Committed,
        head: Arc<Head>,
        wanted: impl Fn(Collection, &str) -> bool,
    ) -> Option<Self> {
        let items = items(&committed.commit.mutations, wanted);
        (!items.is_empty()).then_some(Self { committed, head, items, written: 0 })
    }

    /// Whether all of it is written.
    pub(super) fn is_done(&self) -> bool {
        self.written == self.items.len()
    }

    /// The next piece of its text. A line of data for each object: those who read join them (WHATWG HTML, 9.2.6).
    pub(super) fn chunk(&mut self, hosts: &Hosts) -> Bytes {
        let look = Look::new(&self.head.topology, hosts);
        let mut text = Vec::new();
        if self.written == 0 {
            text.extend(self.beginning().into_bytes());
        }
        while let Some((place, kind)) = self.items.get(self.written)
            && let Some(mutation) = self.committed.commit.mutations.get(*place)
            && text.len() < CHUNK
        {
            let change = change(*kind, mutation, &look);
            self.written += 1;
            text.extend(b"data: ");
            serde_json::to_writer(&mut text, &change).expect("views have only texts for map keys");
            text.extend(if self.is_done() { "\ndata: ]}\n\n" } else { ",\n" }.bytes());
        }
        text.into()
    }

    /// All of [`CommitEvent`] that comes before the changes.
    fn beginning(&self) -> String {
        let revision = self.committed.revision;
        let time = self.committed.commit.mutations.iter().find_map(Times::of);
        let time = time.map_or(Value::Null, |times| Value::String(times.updated_at.to_string()));
        format!(
            "event: commit\nid: {revision}\ndata: {{\"revision\":{revision},\"time\":{time},\"changes\":[\n"
        )
    }
}

/// What of a commit a watcher is told, each object once.
fn items(mutations: &[Mutation], wanted: impl Fn(Collection, &str) -> bool) -> Vec<Item> {
    let (mut told, mut items) = (HashSet::new(), Vec::new());
    // An object that changes itself is told of as that, whatever else belongs to it.
    for subject in [resource, owner] {
        for (place, mutation) in mutations.iter().enumerate() {
            if let Some((kind, uuid)) = subject(mutation)
                && told.insert((kind, uuid))
                && wanted(kind, uuid)
            {
                items.push((place, kind));
            }
        }
    }
    items
}

/// The resource that a mutation is of, if it is of one.
fn resource(mutation: &Mutation) -> Option<(Collection, &str)> {
    let (table, uuid) = mutation.key().as_str().split_once('/')?;
    let kind = Collection::ALL.into_iter().find(|kind| kind.name() == table)?;
    Some((kind, uuid))
}

/// The resource that shows what a mutation is of, if that is not one itself.
fn owner(mutation: &Mutation) -> Option<(Collection, &str)> {
    match mutation.key().as_str().split_once('/')? {
        (BINDINGS, interface) => Some((Collection::Interfaces, interface)),
        (RELATIONS, ends) => {
            let (owner, _) = ends.split_once('/')?;
            let kind = Collection::ALL.into_iter().find(|kind| kind.reference(owner).is_ok())?;
            Some((kind, owner))
        }
        _ => None,
    }
}

fn change(kind: Collection, mutation: &Mutation, look: &Look<'_>) -> ChangeEvent {
    let subject = resource(mutation);
    let uuid = subject.or_else(|| owner(mutation)).map_or("", |(_, uuid)| uuid);
    let (what, object) = match mutation {
        _ if subject.is_none() => (What::Changed, newest(kind, uuid, look)),
        Mutation::Put { key, value } => (what_is_put(mutation), as_of_then(key, value, look)),
        Mutation::Delete { .. } => (What::Deleted, None),
    };
    ChangeEvent { what, kind, uuid: uuid.to_owned(), object }
}

/// An object is changed at another moment than it is made, and what the commit that makes it changes of it is part of the
/// making.
fn what_is_put(put: &Mutation) -> What {
    match Times::of(put) {
        Some(times) if times.created_at == times.updated_at => What::Created,
        _ => What::Changed,
    }
}

/// An object as the commit left it. One that a newer version wrote may not be readable: then there is only its id.
fn as_of_then(key: &Key, value: &[u8], look: &Look<'_>) -> Option<Value> {
    let reference: ObjectRef = key.as_str().parse().ok()?;
    as_json(&Object::decode(&reference, value).ok()?, look)
}

/// An object as it is by now, if it still is.
fn newest(kind: Collection, uuid: &str, look: &Look<'_>) -> Option<Value> {
    let reference = kind.reference(uuid).ok()?;
    as_json(&look.topology.get(&reference)?, look)
}

fn as_json(object: &Object, look: &Look<'_>) -> Option<Value> {
    serde_json::to_value(shown(object, look)?).ok()
}
