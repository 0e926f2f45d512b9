//! Commands, and the session that carries them out.

mod ask;
mod assert;
mod batch;
mod change;
mod flows;
mod hosts;
mod live;
mod reach;
mod show;
mod status;
mod trace;
mod watch;

use std::io::{BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap_complete::Shell;
use serde_json::Value;

pub(crate) use ask::{Ask, Question};

use crate::Streams;
use crate::apply::{Apply, Prune};
use crate::client::{Client, Method, Request};
use crate::config::{Config, Environment};
use crate::error::Error;
use crate::grammar::{Options, PROGRAM, grammar};
use crate::operation::Operation;
use crate::output::Format;
use crate::resource::{Column, Nested, Resource};
pub(crate) use flows::FlowFilter;
pub(crate) use watch::Watched;

/// The largest batch or declarative file, in bytes: the manager takes no larger request either.
const MAX_INPUT: u64 = 64 << 20;

/// What a command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    /// Change objects: all of it or nothing.
    Change(Vec<Operation>),
    /// Show objects in full.
    Show { resource: &'static Resource, uuids: Vec<String> },
    /// List objects.
    List { resource: &'static Resource, query: Query },
    /// List what is under the path of an object.
    Under { path: [&'static str; 2], uuid: String, query: Query, columns: &'static [Column] },
    /// Show some of those that belong to an object in full.
    Members { nested: &'static Nested, uuid: String, members: Vec<String> },
    /// Delete some of those that belong to an object: all or none.
    DeleteMembers { nested: &'static Nested, uuid: String, members: Vec<String> },
    /// List hosts, or show some in full.
    Hosts { hosts: Vec<String> },
    /// Make a token with which a host joins.
    HostToken { node_id: Option<String>, lifetime_s: Option<u64>, file: Option<PathBuf> },
    /// List the flows of a host, or print how they change.
    Flows { filter: FlowFilter, watch: Option<Duration> },
    /// Print what changes.
    Watch(Watched),
    /// Run commands from a file.
    Batch { file: String, mode: BatchMode },
    /// Make objects as files describe them.
    Apply { files: Vec<String>, dry_run: bool, prune: Option<Prune> },
    /// Say whether all is well.
    Status,
    /// Ask what packets do.
    Ask(Ask),
    /// Print a shell's completion.
    Completions(Shell),
    /// Write the manual's pages into a directory.
    Man(PathBuf),
    /// Send a request as it is.
    Api { method: String, path: String, body: Option<Value> },
}

/// Which objects to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) filters: Vec<(String, String)>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
}

/// What a batch does with a line that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchMode {
    StopAtError,
    KeepGoing,
    /// There is but one request.
    Atomic,
}

/// What commands are carried out with.
pub(crate) struct Session<'a> {
    environment: &'a Environment,
    options: Options,
    client: Client,
    format: Format,
    input: &'a mut dyn BufRead,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl<'a> Session<'a> {
    /// A session as flags, environment and configuration files want it.
    pub(crate) fn open(
        environment: &'a Environment,
        options: &Options,
        streams: Streams<'a>,
    ) -> Result<Self, Error> {
        let config = Config::load(environment, options)?;
        let client = Client::new(config.address, options.wait_s);
        let Streams { input, out, err } = streams;
        Ok(Self { environment, options: options.clone(), client, format: config.output, input, out, err })
    }

    /// Carries out a command.
    pub(crate) fn execute(&mut self, command: Command) -> Result<(), Error> {
        match command {
            Command::Change(operations) => self.change(operations),
            Command::Show { resource, uuids } => self.show(resource, &uuids),
            Command::List { resource, query } => self.list(resource, &query),
            Command::Under { path, uuid, query, columns } => self.list_under(path, &uuid, &query, columns),
            Command::DeleteMembers { nested, uuid, members } => self.delete_members(nested, &uuid, members),
            Command::Members { nested, uuid, members } => self.show_members(nested, &uuid, &members),
            Command::Hosts { hosts } => self.hosts(&hosts),
            Command::HostToken { node_id, lifetime_s, file } => self.host_token(node_id, lifetime_s, file),
            Command::Flows { filter, watch: None } => self.flows(&filter),
            Command::Flows { filter, watch: Some(interval) } => self.watch_flows(&filter, interval),
            Command::Watch(watched) => self.watch(&watched),
            Command::Batch { file, mode } => self.batch(&file, mode),
            Command::Apply { files, dry_run, prune } => self.apply(&files, dry_run, prune.as_ref()),
            Command::Status => self.status(),
            Command::Ask(ask) => self.ask(ask),
            Command::Completions(shell) => self.completions(shell),
            Command::Man(directory) => man(&directory),
            Command::Api { method, path, body } => self.api(&method, &path, body),
        }
    }

    fn apply(&mut self, files: &[String], dry_run: bool, prune: Option<&Prune>) -> Result<(), Error> {
        let texts: Vec<_> =
            files.iter().map(|file| Ok((file.clone(), self.read(file)?))).collect::<Result<_, Error>>()?;
        let apply = Apply { client: &self.client, format: self.format, dry_run, prune };
        apply.run(self.out, &texts)
    }

    fn completions(&mut self, shell: Shell) -> Result<(), Error> {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut grammar(), PROGRAM, &mut script);
        Ok(self.out.write_all(&script)?)
    }

    fn api(&mut self, method: &str, path: &str, body: Option<Value>) -> Result<(), Error> {
        let method = match method {
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            _ => Method::Get,
        };
        let request = Request::at(method, path.trim_start_matches('/').to_owned());
        let request = body.into_iter().fold(request, Request::body);
        let answer =
            if method == Method::Get { self.client.send(&request) } else { self.client.change(request) }?;
        // Whoever asks for the raw answer wants no table of it.
        let format = if self.format == Format::Table { Format::Json } else { self.format };
        format.object(self.out, &answer.body)?;
        answer.realized()
    }

    /// The text of a file, or of standard input for `-`.
    fn read(&mut self, name: &str) -> Result<String, Error> {
        let failed = |source| Error::File { name: name.to_owned(), source };
        let mut text = String::new();
        let read = match name {
            "-" => self.input.take(MAX_INPUT + 1).read_to_string(&mut text),
            _ => std::fs::File::open(name).map_err(failed)?.take(MAX_INPUT + 1).read_to_string(&mut text),
        };
        read.map_err(failed)?;
        match u64::try_from(text.len()) {
            Ok(size) if size <= MAX_INPUT => Ok(text),
            _ => Err(Error::Usage(format!("{name}: is larger than {MAX_INPUT} bytes"))),
        }
    }
}

/// Writes the manual: a page for each command, out of the same definitions as the help.
fn man(directory: &Path) -> Result<(), Error> {
    let failed = |source| Error::File { name: directory.display().to_string(), source };
    std::fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(grammar(), directory).map_err(failed)
}
