//! The grammar: words to a command. Everything about resources is read from their table.

mod arguments;
mod below;
mod programs;
mod questions;
mod resources;

use std::ffi::OsString;

use clap::{Arg, ArgMatches, Command as Grammar, value_parser};

use crate::command::Command;
use crate::error::{EXIT_CODES, Error};
use crate::output::Format;
use crate::resource::{RESOURCES, Resource, STATES};
use crate::spelling::normalize;

/// What the program is called in help, usage and completion.
pub(crate) const PROGRAM: &str = "vnctl";
/// How long `--wait` waits unless told otherwise, in seconds.
const DEFAULT_TIMEOUT_S: u64 = 30;
/// The longest that the manager lets a request wait, in seconds.
const MAX_TIMEOUT_S: u64 = 300;

/// A command line that has been understood.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) command: Command,
    pub(crate) options: Options,
}

/// What goes with any command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) output: Option<Format>,
    pub(crate) url: Option<String>,
    /// Wait this many seconds until the hosts have realized a change.
    pub(crate) wait_s: Option<u64>,
}

impl Options {
    /// These, and `others` where these say nothing.
    pub(crate) fn or(self, others: &Self) -> Self {
        Self {
            output: self.output.or(others.output),
            url: self.url.or_else(|| others.url.clone()),
            wait_s: self.wait_s.or(others.wait_s),
        }
    }
}

/// Understands a command line, given without the program's name.
///
/// # Errors
/// It cannot be understood, or it asks for help.
pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<Invocation, Error> {
    let program = std::iter::once(OsString::from(PROGRAM));
    let matches = grammar().try_get_matches_from(program.chain(normalize(words)))?;
    let options = Options {
        output: matches.get_one("output").copied(),
        url: matches.get_one("url").cloned(),
        wait_s: arguments::truth(&matches, "wait").then(|| timeout_s(&matches)),
    };
    let (name, of) = matches.subcommand().expect("the grammar requires a command");
    Ok(Invocation { command: read(name, of)?, options })
}

fn timeout_s(matches: &ArgMatches) -> u64 {
    matches.get_one("timeout").copied().unwrap_or(DEFAULT_TIMEOUT_S)
}

fn read(name: &str, matches: &ArgMatches) -> Result<Command, Error> {
    match (Resource::named(name), Resource::state_named(name)) {
        (Some(resource), _) => resources::read(resource, matches),
        (None, Some(state)) => Ok(resources::read_state(state, matches)),
        (None, None) => match questions::read(name, matches)? {
            Some(question) => Ok(question),
            None => programs::read(name, matches),
        },
    }
}

/// The whole grammar.
pub(crate) fn grammar() -> Grammar {
    Grammar::new(PROGRAM)
        .version(env!("CARGO_PKG_VERSION"))
        .about("Describes virtual networks to an OpenVNet manager")
        .after_help(EXIT_CODES)
        .infer_subcommands(true)
        .infer_long_args(true)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .args(global_arguments())
        .subcommands(RESOURCES.into_iter().map(resources::grammar))
        .subcommands(STATES.into_iter().map(resources::state_grammar))
        .subcommands(programs::grammars())
        .subcommands(questions::grammars())
}

fn global_arguments() -> Vec<Arg> {
    let mut arguments = vec![
        Arg::new("output")
            .long("output")
            .short('o')
            .value_name("FORMAT")
            .value_parser(value_parser!(Format))
            .help("How to print results; a table if neither this nor a configuration file says"),
        Arg::new("url")
            .long("url")
            .value_name("http://HOST:PORT")
            .help("Where the manager is; before VNET_WEBAPI=host:port and configuration files"),
        Arg::new("timeout")
            .long("timeout")
            .value_name("SECONDS")
            .value_parser(value_parser!(u64).range(1..=MAX_TIMEOUT_S))
            .help(format!("How long --wait waits, at most {MAX_TIMEOUT_S}; {DEFAULT_TIMEOUT_S} if absent")),
    ];
    arguments.extend(arguments::switch(
        "wait",
        "Return when every host concerned has realized the change; with `show`: when what it shows is active",
    ));
    let global = |argument: Arg| argument.global(true).help_heading("Global options");
    arguments.into_iter().map(global).collect()
}

#[cfg(test)]
mod tests;
