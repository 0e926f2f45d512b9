//! The command line of OpenVNet: a client of the Web API and of nothing else.
//!
//! # One table
//! What users can make is said once, in `resource`: its attributes with kinds and help, and the columns that lists
//! show. Parsing, help, completion, filters, declarative files and tables all follow from it, so that a new resource
//! is one entry.
//!
//! # One path
//! `spelling` forgives what the original forgave, `grammar` turns words into a `command::Command`, `command`
//! carries it out over `client`, and `output` prints the answer. Every change is an `operation::Operation`
//! before it is a request, so that a command, a line of an atomic batch and a step of a declarative plan are the same.
//!
//! # Exit codes
//! [`Exit`] tells scripts apart what they must react to differently.

mod apply;
mod client;
mod command;
mod config;
mod error;
mod events;
mod grammar;
mod operation;
mod output;
mod resource;
mod spelling;

use std::ffi::OsString;
use std::io::{BufRead, Write};

pub use apply::described;
pub use config::Environment;
pub use error::Exit;

/// Where a run reads and writes.
pub struct Streams<'a> {
    /// Lines of `batch` and documents of `apply` that come from `-`.
    pub input: &'a mut dyn BufRead,
    /// Results.
    pub out: &'a mut dyn Write,
    /// Errors and notes.
    pub err: &'a mut dyn Write,
}

/// Carries out one command line, given without the program's name.
///
/// Errors are printed on `streams.err`; the exit code says which kind it was.
pub fn run(args: impl Iterator<Item = OsString>, environment: &Environment, streams: Streams<'_>) -> Exit {
    let Streams { input, out, err } = streams;
    let done = grammar::parse(args).and_then(|invocation| {
        let streams = Streams { input, out: &mut *out, err: &mut *err };
        let mut session = command::Session::open(environment, &invocation.options, streams)?;
        session.execute(invocation.command)
    });
    done.map_or_else(|error| error.report(out, err), |()| Exit::Success)
}
