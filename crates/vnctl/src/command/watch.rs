//! What changes, as it does: a line for each object that a commit touched.
//!
//! A connection may break, and a manager may be started anew. Then this connects again, and goes on after the last commit
//! that it has printed whole, so that none is lost and none is printed twice.

use std::io::BufReader;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::Session;
use crate::client::{Method, Refusal, Request};
use crate::error::Error;
use crate::events::{Event, Events};
use crate::output::Format;

/// How long the manager may say nothing: it says at least that it is still there, every 15 seconds.
const SILENCE: Duration = Duration::from_secs(45);

/// How long to wait before connecting again.
const PAUSE: Duration = Duration::from_secs(1);

/// What to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watched {
    /// Only these collections.
    pub(crate) kinds: Vec<String>,
    /// Only the objects with these ids.
    pub(crate) uuids: Vec<String>,
    /// What came after this revision; what comes, if absent.
    pub(crate) from: Option<u64>,
}

/// How far a watch has come.
#[derive(Debug, Default)]
struct Place {
    /// Of which history.
    store_id: Option<String>,
    /// The last commit that has been printed.
    last: Option<String>,
}

/// The data of an event that begins a stream.
#[derive(Deserialize)]
struct Start {
    store_id: String,
}

/// The data of an event that tells of a commit.
#[derive(Deserialize)]
struct Commit {
    revision: u64,
    time: Option<Timestamp>,
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    what: String,
    kind: String,
    uuid: String,
    #[serde(default)]
    object: Value,
}

impl Session<'_> {
    /// Prints what changes, until interrupted or until nobody reads it any more.
    pub(super) fn watch(&mut self, watched: &Watched) -> Result<(), Error> {
        let last = watched.from.map(|revision| revision.to_string());
        let mut place = Place { last, ..Place::default() };
        loop {
            let ended = self.follow(watched, &mut place);
            match ended {
                // Who was never there may be named wrongly.
                Err(error) if place.store_id.is_none() || !is_passing(&error) => return Err(error),
                Err(error) => writeln!(self.err, "{error}: trying again")?,
                Ok(()) => writeln!(self.err, "the manager has closed the connection: trying again")?,
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Prints what comes over one connection.
    fn follow(&mut self, watched: &Watched, place: &mut Place) -> Result<(), Error> {
        let pair = |name: &str, value: &String| (name.to_owned(), value.clone());
        let kinds = watched.kinds.iter().map(|kind| pair("kind", kind));
        let uuids = watched.uuids.iter().map(|uuid| pair("uuid", uuid));
        let from = place.last.iter().map(|last| pair("from", last));
        let request = Request::new(Method::Get, &["watch"]).query(kinds.chain(uuids).chain(from));
        let mut events = Events::new(BufReader::new(self.client.stream(&request, SILENCE)?));
        // A connection that breaks is one that has ended: another one goes on.
        while let Ok(Some(event)) = events.next() {
            self.take(&event, place)?;
            place.last = event.id.or(place.last.take());
        }
        Ok(())
    }

    fn take(&mut self, event: &Event, place: &mut Place) -> Result<(), Error> {
        match event.name.as_str() {
            "start" => {
                let Start { store_id } = read(event)?;
                match &place.store_id {
                    Some(known) if *known != store_id => return Err(another_history()),
                    _ => place.store_id = Some(store_id),
                }
            }
            "commit" if self.format == Format::Table => self.print_commit(&read(event)?)?,
            "commit" => writeln!(self.out, "{}", read::<Value>(event)?)?,
            "gone" => return Err(Error::Refused(Box::new(read(event)?))),
            // What a newer manager may say besides.
            _ => {}
        }
        // Also where the output is a pipe.
        Ok(self.out.flush()?)
    }

    fn print_commit(&mut self, commit: &Commit) -> Result<(), Error> {
        // One that only deletes leaves nothing that could say when.
        let time = commit.time.unwrap_or_else(Timestamp::now);
        let time = Timestamp::from_second(time.as_second()).unwrap_or(time);
        for Change { what, kind, uuid, object } in &commit.changes {
            let name = object.get("display_name").or_else(|| object.get("name")).and_then(Value::as_str);
            let line = format!(
                "{time}  {}  {what:<7}  {kind}  {uuid}  {}",
                commit.revision,
                name.unwrap_or_default()
            );
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn read<'a, T: Deserialize<'a>>(event: &'a Event) -> Result<T, Error> {
    let wrong = |cause| Error::Unwell(format!("the manager's event {} cannot be read: {cause}", event.name));
    serde_json::from_str(&event.data).map_err(wrong)
}

/// Whether what went wrong may go right the next time.
fn is_passing(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } => true,
        Error::Refused(refusal) => refusal.error == "Unavailable",
        _ => false,
    }
}

fn another_history() -> Error {
    let message = "the manager has another history by now, as after a restore from a backup".to_owned();
    Error::Refused(Box::new(Refusal { error: "Gone".to_owned(), message, field: None }))
}
