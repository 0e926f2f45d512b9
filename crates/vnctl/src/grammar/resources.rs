//! Commands of resources: `add`, `modify`, `show`, `del`, and what only some of them can.

use clap::{Arg, ArgAction, ArgMatches, Command as Grammar, value_parser};
use serde_json::Value;

use super::arguments::{
    attributes, flags, if_match, if_match_flag, labels, labels_flag, pairs, pairs_flag, uuid, value, word,
    words,
};
use super::below;
use crate::command::{Command, Query};
use crate::error::Error;
use crate::operation::{Action, Attributes, Operation};
use crate::resource::{Attribute, IP_LEASES, PARTS, Part, Resource};

/// The commands of a resource.
pub(super) fn grammar(resource: &'static Resource) -> Grammar {
    let name = resource.command();
    let grammar = Grammar::new(name.clone())
        .about(resource.about)
        .subcommand_required(true)
        .arg_required_else_help(true);
    let grammar = if name == resource.name { grammar } else { grammar.alias(resource.name) };
    grammar
        .subcommand(add(resource))
        .subcommand(modify(resource))
        .subcommand(show(resource))
        .subcommand(del(resource))
        .subcommands(special(resource))
}

fn add(resource: &'static Resource) -> Grammar {
    let id = Arg::new("uuid")
        .long("uuid")
        .value_name("UUID")
        .help(format!("{}-…; made up if absent", resource.prefix));
    let flags = resource.all_attributes().flat_map(|attribute| {
        let required = |flag: Arg| if attribute.required { flag.required(true) } else { flag };
        flags(attribute).into_iter().map(required)
    });
    Grammar::new("add")
        .about(format!("Make {}", resource.noun))
        .arg(id)
        .args(flags)
        .arg(labels_flag("A label; repeatable"))
}

fn modify(resource: &'static Resource) -> Grammar {
    Grammar::new("modify")
        .about(format!("Change {}; an empty value clears an attribute", resource.noun))
        .arg(uuid(resource))
        .args(resource.all_attributes().flat_map(flags))
        .arg(labels_flag("A label to set, or to remove if the value is empty; repeatable"))
        .arg(if_match_flag())
}

/// The command of what can only be looked at.
pub(super) fn state_grammar(state: &'static Resource) -> Grammar {
    let show = Grammar::new("show")
        .alias("list")
        .about(format!("List {} that pass the filters", state.noun))
        .args(page_flags())
        .args(state.attributes.iter().flat_map(filter_flags));
    let name = state.command();
    let grammar = Grammar::new(name.clone())
        .about(state.about)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(show);
    if name == state.name { grammar } else { grammar.alias(state.name) }
}

/// Reads the command of what can only be looked at.
pub(super) fn read_state(state: &'static Resource, matches: &ArgMatches) -> Command {
    let (_, matches) = matches.subcommand().expect("the grammar requires a verb");
    Command::List { resource: state, query: query(state.attributes.iter(), matches) }
}

fn page_flags() -> [Arg; 2] {
    let number = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("NUMBER").value_parser(value_parser!(usize)).help(help)
    };
    [
        number("limit", "List at most this many; all if absent"),
        number("offset", "Leave out this many at the beginning"),
    ]
}

fn filter_flags(attribute: &'static Attribute) -> impl Iterator<Item = Arg> {
    let flags = flags(attribute).into_iter();
    flags.map(|flag| flag.help_heading("Filters").help("Only those with this value"))
}

fn show(resource: &'static Resource) -> Grammar {
    Grammar::new("show")
        .alias("list")
        .about(format!("Show {} in full, or list those that pass the filters", resource.noun))
        .arg(uuid(resource).required(false).num_args(0..))
        .args(page_flags())
        .args(filterable(resource).flat_map(filter_flags))
        .arg(label_filter())
        .arg(
            pairs_flag("filter", "Only those whose attribute has this value; repeatable")
                .help_heading("Filters"),
        )
}

/// The attributes that filter lists: those that are shown.
fn filterable(resource: &'static Resource) -> impl Iterator<Item = &'static Attribute> {
    resource.all_attributes().filter(|attribute| attribute.shown_as == attribute.name)
}

fn label_filter() -> Arg {
    Arg::new("label")
        .long("label")
        .value_name("NAME[=VALUE]")
        .action(ArgAction::Append)
        .help("Only those with this label, of any value or of this one; repeatable")
        .help_heading("Filters")
}

fn del(resource: &'static Resource) -> Grammar {
    Grammar::new("del")
        .aliases(["delete", "rm"])
        .about(format!("Delete {}, all or none, with what depends on them", resource.command()))
        .arg(uuid(resource).num_args(1..).action(ArgAction::Append))
        .arg(if_match_flag())
}

fn special(resource: &'static Resource) -> Vec<Grammar> {
    let parts = PARTS.iter().filter(|part| part.of == resource).map(parts);
    let parts = parts.chain(below::grammars(resource));
    let leases = [attach(), release()].into_iter().filter(|_| resource == &IP_LEASES);
    parts.chain(leases).collect()
}

fn parts(part: &'static Part) -> Grammar {
    let shape = part.shape;
    let flags = |required: bool| {
        let flag = move |attribute: &'static Attribute| {
            let required = required && attribute.required;
            flags(attribute).into_iter().map(move |flag| flag.required(required))
        };
        shape.attributes.iter().flat_map(flag)
    };
    let name = shape.command();
    let grammar = Grammar::new(name.clone()).about(shape.about);
    let grammar = if name == shape.name { grammar } else { grammar.alias(shape.name) };
    let add = Grammar::new("add").about(format!("Add {}", shape.noun));
    let show = Grammar::new("show").alias("list").about("List all");
    let del =
        Grammar::new("del").aliases(["delete", "rm"]).about("Remove those that have all the values given");
    grammar
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(add.arg(uuid(part.of)).args(flags(true)).arg(if_match_flag()))
        .subcommand(show.arg(uuid(part.of)))
        .subcommand(del.arg(uuid(part.of)).args(flags(false)).arg(if_match_flag()))
}

fn attach() -> Grammar {
    let holders = IP_LEASES.attributes.iter().filter(|attribute| HOLDER.contains(&attribute.name));
    Grammar::new("attach")
        .about("Give a released IP lease to an interface")
        .arg(uuid(&IP_LEASES))
        .args(holders.flat_map(flags).map(|flag| flag.required(false)))
        .arg(if_match_flag())
}

/// The attributes that say who holds a lease.
const HOLDER: [&str; 2] = ["interface_uuid", "mac_lease_uuid"];

fn release() -> Grammar {
    Grammar::new("release")
        .about("Take an IP lease from its interface and keep the address")
        .arg(uuid(&IP_LEASES))
        .arg(if_match_flag())
}

/// Reads one of these commands.
pub(super) fn read(resource: &'static Resource, matches: &ArgMatches) -> Result<Command, Error> {
    let (verb, matches) = matches.subcommand().expect("the grammar requires a verb");
    if let Some(command) = below::read(resource, verb, matches) {
        return Ok(command);
    }
    if let Some(part) = PARTS.iter().find(|part| part.of == resource && part.shape.command() == verb) {
        return Ok(read_part(part, matches));
    }
    match verb {
        "add" => Ok(Command::Change(vec![read_add(resource, matches)])),
        "modify" => Ok(Command::Change(vec![read_modify(resource, matches)])),
        "show" => read_show(resource, matches),
        "del" => read_del(resource, matches),
        "attach" => Ok(act(Action::AttachIpLease, &IP_LEASES, matches)),
        "release" => Ok(act(Action::ReleaseIpLease, &IP_LEASES, matches)),
        other => unreachable!("{other} is no verb of the grammar"),
    }
}

fn read_add(resource: &'static Resource, matches: &ArgMatches) -> Operation {
    let mut attributes = attributes(resource.all_attributes(), matches);
    if let Some(uuid) = matches.get_one::<String>("uuid") {
        attributes.insert("uuid".to_owned(), Value::from(uuid.as_str()));
    }
    Operation::Create { resource, attributes: labelled(attributes, matches) }
}

/// Attributes with the labels that were given.
pub(super) fn labelled(mut attributes: Attributes, matches: &ArgMatches) -> Attributes {
    let labels = labels(matches);
    if !labels.is_empty() {
        attributes.insert("labels".to_owned(), serde_json::json!(labels));
    }
    attributes
}

fn read_modify(resource: &'static Resource, matches: &ArgMatches) -> Operation {
    Operation::Update {
        resource,
        uuid: word(matches, "uuid"),
        attributes: attributes(resource.all_attributes(), matches),
        label_changes: labels(matches),
        if_match: if_match(matches),
    }
}

fn read_del(resource: &'static Resource, matches: &ArgMatches) -> Result<Command, Error> {
    let (uuids, if_match) = (words(matches, "uuid"), if_match(matches));
    if if_match.is_some() && uuids.len() > 1 {
        return Err(Error::Usage("--if-match guards one object: delete them one by one".to_owned()));
    }
    let delete = |uuid| Operation::Delete { resource, uuid, if_match };
    Ok(Command::Change(uuids.into_iter().map(delete).collect()))
}

fn read_show(resource: &'static Resource, matches: &ArgMatches) -> Result<Command, Error> {
    let uuids = words(matches, "uuid");
    let mut query = query(filterable(resource), matches);
    let labels = words(matches, "label").into_iter().map(|label| ("label".to_owned(), label));
    let free = pairs(matches, "filter").into_iter().map(|(name, value)| (name.replace('-', "_"), value));
    query.filters.extend(labels.chain(free));
    match uuids.is_empty() {
        true => Ok(Command::List { resource, query }),
        false if query == Query::default() => Ok(Command::Show { resource, uuids }),
        false => {
            Err(Error::Usage("filters, --limit and --offset are for lists: give them or ids".to_owned()))
        }
    }
}

fn query(attributes: impl Iterator<Item = &'static Attribute>, matches: &ArgMatches) -> Query {
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let filters = attributes.filter_map(|attribute| {
        let value = value(matches, attribute)?;
        Some((attribute.name.to_owned(), text(value)))
    });
    Query {
        filters: filters.collect(),
        limit: matches.get_one("limit").copied(),
        offset: matches.get_one("offset").copied().unwrap_or_default(),
    }
}

fn read_part(part: &'static Part, matches: &ArgMatches) -> Command {
    let (verb, matches) = matches.subcommand().expect("the grammar requires a verb");
    match verb {
        "add" => act(part.add, part.shape, matches),
        "del" => act(part.remove, part.shape, matches),
        _ => Command::Under {
            path: [part.of.name, part.shape.name],
            uuid: word(matches, "uuid"),
            query: Query::default(),
            columns: part.shape.columns,
        },
    }
}

pub(super) fn act(action: Action, of: &'static Resource, matches: &ArgMatches) -> Command {
    let given = |attribute: &&Attribute| matches.try_contains_id(attribute.name).is_ok();
    let known = of.attributes.iter().filter(given);
    let attributes =
        known.filter_map(|attribute| Some((attribute.name.to_owned(), value(matches, attribute)?)));
    let (attributes, uuid) = (attributes.collect(), word(matches, "uuid"));
    Command::Change(vec![Operation::Act { action, uuid, attributes, if_match: if_match(matches) }])
}
