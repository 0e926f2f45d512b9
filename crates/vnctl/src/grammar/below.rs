//! Commands below an object: what belongs to it, what it is related to, and what it holds.

use clap::{Arg, ArgAction, ArgMatches, Command as Grammar};
use serde_json::Value;

use super::arguments::{attributes, flags, if_match_flag, labels_flag, uuid, word, words};
use super::resources::{act, labelled};
use crate::command::{Command, Query};
use crate::operation::{Action, Operation};
use crate::resource::{
    ASSOCIATIONS, Attribute, Column, INTERFACES, IP_LEASE_CONTAINERS, IP_LEASES, IP_RETENTION_CONTAINERS,
    LEASE_POLICIES, NESTED, Nested, POLICY_IP_LEASES, RELATIONS, RETENTIONS, Relation, Resource,
};

/// The positional argument for those that belong to an object.
const MEMBER: &str = "member";

/// What objects of a resource hold, and nobody puts there by hand: the resource, the name, what it is, what lists show.
const HELD: [(&Resource, &str, &str, &[Column]); 2] = [
    (&IP_LEASE_CONTAINERS, "ip_leases", "List the IP leases in a container", IP_LEASES.columns),
    (
        &IP_RETENTION_CONTAINERS,
        "ip_retentions",
        "List since when a container keeps which IP leases",
        RETENTIONS,
    ),
];

/// The commands below objects of a resource.
pub(super) fn grammars(resource: &'static Resource) -> impl Iterator<Item = Grammar> {
    let nested = NESTED.iter().filter(move |of| of.of == resource).map(nested);
    let relations = RELATIONS.iter().filter(move |of| of.of == resource).map(relation);
    let held = HELD.iter().filter(move |(of, ..)| *of == resource).map(held);
    let associations = ASSOCIATIONS.into_iter().filter(move |_| resource == &INTERFACES).map(association);
    let leases = (resource == &LEASE_POLICIES).then(allocation);
    nested.chain(relations).chain(associations).chain(held).chain(leases)
}

/// Reads one of these commands, if the verb is one.
pub(super) fn read(resource: &'static Resource, verb: &str, matches: &ArgMatches) -> Option<Command> {
    let is = |name: &str| name.replace('_', "-") == verb;
    if let Some(nested) = NESTED.iter().find(|of| of.of == resource && is(of.member.name)) {
        return Some(read_nested(nested, matches));
    }
    if let Some(relation) = RELATIONS.iter().find(|of| of.of == resource && is(of.shape.name)) {
        return Some(read_relation(relation, matches));
    }
    let shape = ASSOCIATIONS.into_iter().find(|of| resource == &INTERFACES && is(of.name));
    if let Some(shape) = shape {
        return Some(read_association(shape, matches));
    }
    if let Some((of, name, _, columns)) = HELD.iter().find(|(of, name, ..)| *of == resource && is(name)) {
        return Some(list([of.name, name], matches, columns));
    }
    (resource == &LEASE_POLICIES && is(POLICY_IP_LEASES.name)).then(|| {
        let (_, matches) = matches.subcommand().expect("the grammar requires a verb");
        act(Action::AllocateIpLease, &POLICY_IP_LEASES, matches)
    })
}

fn family(name: &'static str, about: &'static str) -> Grammar {
    let command = name.replace('_', "-");
    let grammar =
        Grammar::new(command.clone()).about(about).subcommand_required(true).arg_required_else_help(true);
    if command == name { grammar } else { grammar.alias(name) }
}

fn add(noun: &str) -> Grammar {
    Grammar::new("add").about(format!("Add {noun}"))
}

fn show() -> Grammar {
    Grammar::new("show").alias("list").about("List all")
}

fn del(about: &'static str) -> Grammar {
    Grammar::new("del").aliases(["delete", "rm"]).about(about)
}

fn list(path: [&'static str; 2], matches: &ArgMatches, columns: &'static [Column]) -> Command {
    Command::Under { path, uuid: word(matches, "uuid"), query: Query::default(), columns }
}

/// What is said of a member under the path of its owner, which is not said again.
fn own_attributes(nested: &'static Nested) -> impl Iterator<Item = &'static Attribute> {
    nested.member.all_attributes().filter(|attribute| attribute.name != nested.owner)
}

fn nested(nested: &'static Nested) -> Grammar {
    let member = nested.member;
    let given = own_attributes(nested)
        .flat_map(|attribute| flags(attribute).into_iter().map(|flag| flag.required(attribute.required)));
    let id = Arg::new("id")
        .long("uuid")
        .value_name("UUID")
        .help(format!("{}-…; made up if absent", member.prefix));
    let members = || {
        let help = format!("{}-…", member.prefix);
        Arg::new(MEMBER).value_name("MEMBER").num_args(0..).action(ArgAction::Append).help(help)
    };
    family(member.name, member.about)
        .subcommand(
            add(member.noun).arg(uuid(nested.of)).arg(id).args(given).arg(labels_flag("A label; repeatable")),
        )
        .subcommand(show().about("List all, or show some in full").arg(uuid(nested.of)).arg(members()))
        .subcommand(
            del("Delete some, all or none of them")
                .arg(uuid(nested.of))
                .arg(members().num_args(1..).required(true)),
        )
}

fn read_nested(nested: &'static Nested, matches: &ArgMatches) -> Command {
    let (verb, matches) = matches.subcommand().expect("the grammar requires a verb");
    let owner = word(matches, "uuid");
    if verb == "add" {
        return Command::Change(vec![read_member(nested, owner, matches)]);
    }
    let members = words(matches, MEMBER);
    match verb {
        "del" => Command::DeleteMembers { nested, uuid: owner, members },
        _ if members.is_empty() => list([nested.of.name, nested.member.name], matches, nested.member.columns),
        _ => Command::Members { nested, uuid: owner, members },
    }
}

fn read_member(nested: &'static Nested, owner: String, matches: &ArgMatches) -> Operation {
    let mut attributes = labelled(attributes(own_attributes(nested), matches), matches);
    attributes.insert(nested.owner.to_owned(), Value::from(owner));
    if let Some(id) = matches.get_one::<String>("id") {
        attributes.insert("uuid".to_owned(), Value::from(id.as_str()));
    }
    Operation::Create { resource: nested.member, attributes }
}

fn relation(relation: &'static Relation) -> Grammar {
    let shape = relation.shape;
    let others = || other(shape);
    let given = said(shape);
    family(shape.name, shape.about)
        .subcommand(add(shape.noun).arg(uuid(relation.of)).arg(others()).args(given).arg(if_match_flag()))
        .subcommand(show().arg(uuid(relation.of)))
        .subcommand(
            del("Take some away, all or none of them")
                .arg(uuid(relation.of))
                .arg(others().num_args(1..).action(ArgAction::Append)),
        )
}

/// The other end of a relation, which is no flag.
fn other(shape: &'static Resource) -> Arg {
    let other = shape.attributes.first().expect("a relation has another end");
    Arg::new(other.name)
        .value_name("OTHER")
        .required(true)
        .value_parser(|text: &str| other.kind.read(text))
        .help(format!("{}-…", shape.prefix))
}

/// What is said of a relation besides its ends.
fn said(shape: &'static Resource) -> impl Iterator<Item = Arg> {
    let said = shape.attributes.iter().skip(1);
    said.flat_map(|attribute| flags(attribute).into_iter().map(|flag| flag.required(attribute.required)))
}

/// What is there by itself can be shown, and made to stay.
fn association(shape: &'static Resource) -> Grammar {
    let modify = Grammar::new("modify").about("Have one stay, or no more");
    family(shape.name, shape.about)
        .subcommand(show().arg(uuid(&INTERFACES)))
        .subcommand(modify.arg(uuid(&INTERFACES)).arg(other(shape)).args(said(shape)).arg(if_match_flag()))
}

fn read_association(shape: &'static Resource, matches: &ArgMatches) -> Command {
    let (verb, matches) = matches.subcommand().expect("the grammar requires a verb");
    match verb {
        "modify" => act(Action::SetStatic, shape, matches),
        _ => list([INTERFACES.name, shape.name], matches, shape.columns),
    }
}

fn read_relation(relation: &'static Relation, matches: &ArgMatches) -> Command {
    let (verb, matches) = matches.subcommand().expect("the grammar requires a verb");
    match verb {
        "add" => act(relation.add, relation.shape, matches),
        "del" => {
            let uuid = word(matches, "uuid");
            let others = matches.get_many::<Value>(relation.other()).unwrap_or_default();
            let remove = |other: &Value| Operation::Act {
                action: relation.remove,
                uuid: uuid.clone(),
                attributes: [(relation.other().to_owned(), other.clone())].into_iter().collect(),
                if_match: None,
            };
            Command::Change(others.map(remove).collect())
        }
        _ => list([relation.of.name, relation.shape.name], matches, relation.shape.columns),
    }
}

fn held(
    (of, name, about, _): &(&'static Resource, &'static str, &'static str, &'static [Column]),
) -> Grammar {
    let command = name.replace('_', "-");
    Grammar::new(command).alias(*name).about(*about).arg(uuid(of))
}

fn allocation() -> Grammar {
    let shape = &POLICY_IP_LEASES;
    let given = shape.attributes.iter().flat_map(flags);
    family(shape.name, shape.about)
        .subcommand(add(shape.noun).arg(uuid(&LEASE_POLICIES)).args(given).arg(if_match_flag()))
}
