//! Declarative files: objects are made to be as files describe them.
//!
//! # One change
//! What exists is read, [`plan`] says what differs, and all of it is sent as one batch: the manager commits all or
//! nothing. Every object that was read is guarded by its revision. Where somebody else was faster, the whole is done
//! once more on what is there now. A second run finds nothing to change and makes no revision.
//!
//! # Waiting
//! With `--wait` a run that has nothing to change still waits, for the hosts of what the files describe: whoever
//! repeats a run that timed out wants to know just that.

mod document;
mod plan;

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value, json};

pub(crate) use plan::Prune;

use crate::client::{Answer, Client, Refusal};
use crate::error::Error;
use crate::operation::Operation;
use crate::output::Format;
use crate::resource::{RESOURCES, Resource};
use document::Wanted;
use plan::{Existing, Plan};

/// Up to this many objects of a collection are read one by one; beyond it, the collection is.
const READ_ONE_BY_ONE: usize = 20;

/// How to make objects be as files describe them.
pub(crate) struct Apply<'a> {
    pub(crate) client: &'a Client,
    pub(crate) format: Format,
    /// Let the manager judge the plan without doing it.
    pub(crate) dry_run: bool,
    pub(crate) prune: Option<&'a Prune>,
}

/// How many objects `text` describes, as `apply -f` would read it.
///
/// # Errors
/// The text cannot be understood: what is wrong, for a person.
pub fn described(text: &str) -> Result<usize, String> {
    let files = [("-".to_owned(), text.to_owned())];
    document::read_all(&files).map(|objects| objects.len()).map_err(|error| error.to_string())
}

/// What applying `files`, names and texts, would change.
///
/// # Errors
/// A file cannot be understood, or the manager does not say what exists.
pub(crate) fn proposal(client: &Client, files: &[(String, String)]) -> Result<Vec<Operation>, Error> {
    let wanted = document::read_all(files)?;
    Ok(Plan::new(&wanted, &existing(client, &wanted, None)?, None).operations())
}

impl Apply<'_> {
    /// Makes objects be as `files`, names and texts, describe them.
    pub(crate) fn run(&self, out: &mut dyn Write, files: &[(String, String)]) -> Result<(), Error> {
        let wanted = document::read_all(files)?;
        match self.attempt(out, &wanted) {
            Err(Error::Refused(refusal)) if is_concurrent(&refusal) => self.attempt(out, &wanted),
            done => done,
        }
    }

    fn attempt(&self, out: &mut dyn Write, wanted: &[Wanted]) -> Result<(), Error> {
        let plan = Plan::new(wanted, &existing(self.client, wanted, self.prune)?, self.prune);
        let done = if self.dry_run {
            rehearse(self.client, &plan).map(|()| None)
        } else {
            carry_out(self.client, &plan)
        };
        let answer = done.map_err(|error| located(error, &plan))?;
        let revision = answer.as_ref().and_then(|answer| answer.revision.as_deref());
        self.print(out, &plan, revision)?;
        answer.map_or(Ok(()), |answer| answer.realized())
    }

    fn print(&self, out: &mut dyn Write, plan: &Plan, revision: Option<&str>) -> Result<(), Error> {
        let mut lines: Vec<String> = plan.changes().map(ToString::to_string).collect();
        lines.push(summary(plan, self.dry_run, revision));
        let document = json!({
            "dry_run": self.dry_run,
            "revision": revision,
            "changes": plan.changes().map(plan::Step::document).collect::<Vec<_>>(),
            "unchanged": plan.unchanged(),
        });
        self.format.outcome(out, &lines.join("\n"), &document)
    }
}

/// What exists of what is wanted, and of what may be pruned.
fn existing(client: &Client, wanted: &[Wanted], prune: Option<&Prune>) -> Result<Existing, Error> {
    let mut existing = Existing::default();
    for resource in RESOURCES {
        let of_resource: Vec<_> = wanted.iter().filter(|wanted| wanted.resource == resource).collect();
        let mut objects = if of_resource.len() <= READ_ONE_BY_ONE {
            let found = of_resource.iter().map(|wanted| find(client, wanted));
            found.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?
        } else {
            client.list(&[resource.name], &[], 0, None)?
        };
        if let Some(prune) = prune {
            objects.extend(client.list(&[resource.name], &prune.filters(), 0, None)?);
        }
        existing.add(resource, objects);
    }
    Ok(existing)
}

fn find(client: &Client, wanted: &Wanted) -> Result<Option<Value>, Error> {
    client.find(&[wanted.resource.name, &wanted.uuid]).map_err(|error| match error {
        Error::Refused(mut refusal) => {
            refusal.message = format!("{}: {}: {refusal}", wanted.file, title(wanted.resource, &wanted.uuid));
            Error::Refused(refusal)
        }
        other => other,
    })
}

/// Lets the manager judge the plan without doing it.
fn rehearse(client: &Client, plan: &Plan) -> Result<(), Error> {
    let operations = plan.operations();
    if operations.is_empty() {
        return Ok(());
    }
    let dry_run = [("dry_run".to_owned(), "true".to_owned())];
    client.send(&Operation::batch(&operations).query(dry_run)).map(drop)
}

/// Sends the plan, if there is something to do or to wait for.
fn carry_out(client: &Client, plan: &Plan) -> Result<Option<Answer>, Error> {
    let mut operations = plan.operations();
    if operations.is_empty() && client.wait_s().is_some() {
        operations = plan.repetitions();
    }
    if operations.is_empty() {
        return Ok(None);
    }
    client.change(Operation::batch(&operations)).map(Some)
}

/// Whether somebody else changed what the plan was made from.
fn is_concurrent(refusal: &Refusal) -> bool {
    matches!(refusal.error.as_str(), "PreconditionFailed" | "DuplicateUUID" | "UnknownUUIDResource")
}

/// The error with the file and the object it is about, instead of its place in the batch.
fn located(error: Error, plan: &Plan) -> Error {
    let Error::Refused(mut refusal) = error else { return error };
    let place = refusal.field.as_deref().and_then(|field| field.strip_prefix("operations["));
    let place = place.and_then(|rest| rest.split_once(']'));
    let found = place.and_then(|(index, attribute)| {
        Some((plan.step(index.parse().ok()?)?, attribute.trim_start_matches('.').to_owned()))
    });
    if let Some((step, attribute)) = found {
        refusal.message = format!("{step}: {refusal}");
        if refusal.error == "MissingArgument" {
            // It is said in full now, and no flag would give it.
            refusal.error = "ArgumentError".to_owned();
        }
        refusal.field = (!attribute.is_empty()).then_some(attribute);
    }
    Error::Refused(refusal)
}

fn summary(plan: &Plan, dry_run: bool, revision: Option<&str>) -> String {
    if plan.changes().next().is_none() {
        return format!("nothing to change: {} objects are as described", plan.unchanged());
    }
    let counts = plan.changes().fold(BTreeMap::new(), |mut counts: BTreeMap<_, usize>, step| {
        *counts.entry(step.verb()).or_default() += 1;
        counts
    });
    let counts: Vec<_> = counts.iter().map(|(verb, count)| format!("{count} {verb}")).collect();
    let prefix = match (dry_run, revision) {
        (true, _) => "valid, and not done".to_owned(),
        (false, revision) => format!("revision {}", revision.unwrap_or("?")),
    };
    format!("{prefix}: {}, {} unchanged", counts.join(", "), plan.unchanged())
}

/// How an object is called in plans and errors.
fn title(resource: &Resource, uuid: &str) -> String {
    format!("{} {uuid}", resource.name)
}
