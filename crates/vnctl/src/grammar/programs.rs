//! Commands that are not about one resource: hosts, batches, declarative files, status, completion, the raw API.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command as Grammar, value_parser};
use clap_complete::Shell;
use serde_json::Value;

use super::arguments::{file_flag, labels, labels_flag, switch, truth, word, words};
use crate::apply::Prune;
use crate::command::{BatchMode, Command, FlowFilter, Watched};
use crate::error::Error;
use crate::resource::RESOURCES;

/// How often flows are looked at unless told otherwise, in seconds.
const DEFAULT_INTERVAL_S: u64 = 2;

/// The longest time between two looks, in seconds.
const MAX_INTERVAL_S: u64 = 3600;

/// These commands.
pub(super) fn grammars() -> Vec<Grammar> {
    vec![hosts(), flows(), watch(), batch(), apply(), status(), completions(), man(), api()]
}

fn hosts() -> Grammar {
    let token = Grammar::new("token")
        .about("Make a token with which a host joins, and print nothing else")
        .arg(Arg::new("node_id").long("node-id").value_name("NAME").help("Only for the host of this name"))
        .arg(
            Arg::new("lifetime")
                .long("lifetime")
                .value_name("DURATION")
                .value_parser(lifetime_s)
                .help("How long it is good for: 90s, 30m, 24h, 7d; the manager's choice if absent"),
        )
        .arg(
            Arg::new("output_file")
                .long("output-file")
                .value_name("FILE")
                .help("Write it to this file, which only the owner may read"),
        );
    Grammar::new("hosts")
        .about("Hypervisor hosts: whether they are connected and how far they are")
        .subcommand(
            Grammar::new("show")
                .alias("list")
                .about("List the hosts, or show some in full")
                .arg(Arg::new("host").value_name("HOST").num_args(0..).help("A node id")),
        )
        .subcommand(token)
}

fn flows() -> Grammar {
    Grammar::new("flows")
        .about("What the switch of a host really does: its flows, whose they are, and their counters")
        .arg(Arg::new("host").value_name("HOST").required(true).help("A node id, or the id of a datapath"))
        .arg(
            Arg::new("owner")
                .long("owner")
                .value_name("ID")
                .help("Only the flows that are there for this object, as in if-a, nw-web or dp-host2"),
        )
        .arg(
            Arg::new("table")
                .long("table")
                .value_name("TABLE")
                .help("Only the flows of this table: its name or number"),
        )
        .args(switch("watch", "Print what changes, until interrupted"))
        .arg(
            Arg::new("interval")
                .long("interval")
                .value_name("SECONDS")
                .value_parser(value_parser!(u64).range(1..=MAX_INTERVAL_S))
                .help(format!("How often --watch looks; {DEFAULT_INTERVAL_S} if absent")),
        )
}

fn watch() -> Grammar {
    Grammar::new("watch")
        .about("Print what changes, until interrupted: when, at which revision, what became of which object")
        .arg(
            Arg::new("kind")
                .value_name("KIND")
                .num_args(0..)
                .value_parser(kind)
                .help("Only objects of this kind, as in networks or ip-leases; repeatable"),
        )
        .arg(
            Arg::new("uuid")
                .long("uuid")
                .value_name("ID")
                .action(ArgAction::Append)
                .help("Only the object with this id; repeatable"),
        )
        .arg(
            Arg::new("from")
                .long("from")
                .value_name("REVISION")
                .value_parser(value_parser!(u64))
                .help("Begin with what came after this revision; with what comes, if absent"),
        )
}

/// The name of a collection, spelled with dashes or underscores.
fn kind(text: &str) -> Result<String, String> {
    let name = text.replace('-', "_");
    let known = RESOURCES.iter().any(|resource| resource.name == name);
    known.then_some(name).ok_or_else(|| "there is no such kind: see `vnctl --help`".to_owned())
}

fn batch() -> Grammar {
    Grammar::new("batch")
        .about("Run commands from a file, one a line; # begins a comment")
        .arg(Arg::new("file").value_name("FILE").default_value("-").help("The file, or - for standard input"))
        .args(switch("keep_going", "Go on after a line that fails"))
        .args(switch("atomic", "Send all lines as one change: all of it or nothing"))
}

fn apply() -> Grammar {
    Grammar::new("apply")
        .about("Make objects as YAML or JSON files describe them; do nothing if they are")
        .arg(file_flag("A file, or - for standard input; repeatable").action(ArgAction::Append))
        .args(switch("dry_run", "Print the plan and let the manager judge it, without doing it"))
        .args(switch("prune", "Delete objects that have the labels given and are in no file"))
        .arg(labels_flag("What --prune may delete; repeatable"))
}

fn status() -> Grammar {
    Grammar::new("status").about("Say whether all is well: manager, hosts and interfaces")
}

fn completions() -> Grammar {
    Grammar::new("completions")
        .about("Print what makes a shell complete vnctl's commands")
        .arg(Arg::new("shell").required(true).value_parser(value_parser!(Shell)))
}

/// Not among what help lists: who packages the program wants it, and nobody else.
fn man() -> Grammar {
    Grammar::new("man").about("Write the manual's pages into a directory").hide(true).arg(
        Arg::new("directory").required(true).value_name("DIRECTORY").value_parser(value_parser!(PathBuf)),
    )
}

fn api() -> Grammar {
    Grammar::new("api")
        .about("Send a request to the Web API as it is")
        .arg(
            Arg::new("method")
                .required(true)
                .value_parser(["GET", "POST", "PUT", "DELETE"])
                .ignore_case(true),
        )
        .arg(Arg::new("path").required(true).value_name("PATH").help("Below /api/1.0, as in networks/nw-1"))
        .arg(Arg::new("body").value_name("JSON").value_parser(json).help("The body"))
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|cause| cause.to_string())
}

/// A duration as users write it, in seconds.
fn lifetime_s(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let factor = match text.strip_prefix(digits) {
        Some("" | "s") => Some(1),
        Some("m") => Some(60),
        Some("h") => Some(60 * 60),
        Some("d") => Some(24 * 60 * 60),
        _ => None,
    };
    let seconds =
        digits.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    seconds
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| "must be a duration, as in 90s, 30m, 24h or 7d".to_owned())
}

/// Reads one of these commands.
pub(super) fn read(name: &str, matches: &ArgMatches) -> Result<Command, Error> {
    Ok(match name {
        "hosts" => read_hosts(matches),
        "flows" => read_flows(matches),
        "watch" => Command::Watch(Watched {
            kinds: words(matches, "kind"),
            uuids: words(matches, "uuid"),
            from: matches.get_one("from").copied(),
        }),
        "batch" => Command::Batch { file: word(matches, "file"), mode: batch_mode(matches)? },
        "apply" => Command::Apply {
            files: words(matches, "file"),
            dry_run: truth(matches, "dry_run"),
            prune: prune(matches)?,
        },
        "status" => Command::Status,
        "completions" => Command::Completions(*matches.get_one("shell").expect("the grammar requires it")),
        "man" => Command::Man(matches.get_one::<PathBuf>("directory").cloned().unwrap_or_default()),
        "api" => Command::Api {
            method: word(matches, "method").to_ascii_uppercase(),
            path: word(matches, "path"),
            body: matches.get_one("body").cloned(),
        },
        other => unreachable!("{other} is no command of the grammar"),
    })
}

fn read_hosts(matches: &ArgMatches) -> Command {
    match matches.subcommand() {
        Some(("token", matches)) => Command::HostToken {
            node_id: matches.get_one("node_id").cloned(),
            lifetime_s: matches.get_one("lifetime").copied(),
            file: matches.get_one::<String>("output_file").map(Into::into),
        },
        Some((_, matches)) => Command::Hosts { hosts: words(matches, "host") },
        None => Command::Hosts { hosts: Vec::new() },
    }
}

fn read_flows(matches: &ArgMatches) -> Command {
    let filter = FlowFilter {
        host: word(matches, "host"),
        owner: matches.get_one("owner").cloned(),
        table: matches.get_one("table").cloned(),
    };
    let interval = || matches.get_one("interval").copied().unwrap_or(DEFAULT_INTERVAL_S);
    let watch = truth(matches, "watch").then(|| Duration::from_secs(interval()));
    Command::Flows { filter, watch }
}

fn batch_mode(matches: &ArgMatches) -> Result<BatchMode, Error> {
    match (truth(matches, "atomic"), truth(matches, "keep_going")) {
        (true, true) => {
            Err(Error::Usage("--atomic does all lines or none: --keep-going contradicts it".to_owned()))
        }
        (true, false) => Ok(BatchMode::Atomic),
        (false, true) => Ok(BatchMode::KeepGoing),
        (false, false) => Ok(BatchMode::StopAtError),
    }
}

fn prune(matches: &ArgMatches) -> Result<Option<Prune>, Error> {
    let labels = labels(matches);
    match (truth(matches, "prune"), labels.is_empty()) {
        (true, false) => Ok(Some(Prune { labels })),
        // Without a label everything that is in no file would go.
        (true, true) => Err(Error::Usage("--prune needs --label name=value: what it may delete".to_owned())),
        (false, false) => {
            Err(Error::Usage("--label goes with --prune; labels to set stand in the file".to_owned()))
        }
        (false, true) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_have_a_unit_or_are_seconds() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(lifetime_s(text).ok(), expected, "{text}");
        check("90", Some(90));
        check("90s", Some(90));
        check("24h", Some(86_400));
        check("7d", Some(604_800));
        check("0s", None);
        check("h", None);
        check("5 h", None);
        check("5weeks", None);
        check("99999999999999999999d", None);
    }
}
