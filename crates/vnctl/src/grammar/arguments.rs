//! Arguments that commands share: attributes as flags, switches, labels, ids.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use serde_json::{Map, Value};

use crate::operation::Attributes;
use crate::resource::{Attribute, Kind, Resource};

/// A switch: `--name`, `--name true|false`, `--no-name`. The last one given counts.
pub(super) fn switch(name: &'static str, help: &'static str) -> Vec<Arg> {
    let attribute = Attribute::new(name, Kind::Boolean, help);
    flags(&attribute)
}

/// The flags of an attribute.
pub(super) fn flags(attribute: &Attribute) -> Vec<Arg> {
    let kind = attribute.kind;
    let flag =
        Arg::new(attribute.name).long(attribute.flag()).help(attribute.help).value_name(kind.placeholder());
    match kind {
        Kind::Boolean => {
            let negative = format!("no_{}", attribute.name);
            let positive = flag
                .num_args(0..=1)
                // A word that follows is no value: `spelling` has joined those that are.
                .require_equals(true)
                .default_missing_value("true")
                .value_parser(move |text: &str| kind.read(text))
                .overrides_with(negative.clone());
            let negative = Arg::new(negative)
                .long(format!("no-{}", attribute.flag()))
                .action(ArgAction::SetTrue)
                .hide(true)
                .overrides_with(attribute.name);
            vec![positive, negative]
        }
        Kind::OneOf(names) => vec![flag.value_parser(Offered(names))],
        _ => vec![flag.value_parser(move |text: &str| kind.read(text))],
    }
}

/// Names that help and completion offer. Others are let through: a newer manager may know them.
#[derive(Clone)]
struct Offered(&'static [&'static str]);

impl TypedValueParser for Offered {
    type Value = Value;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Value, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value).map(Value::from)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(PossibleValue::new)))
    }
}

/// The value of an attribute, if it was given.
pub(super) fn value(matches: &ArgMatches, attribute: &Attribute) -> Option<Value> {
    let negative = attribute.kind == Kind::Boolean && matches.get_flag(&format!("no_{}", attribute.name));
    negative.then_some(Value::Bool(false)).or_else(|| matches.get_one::<Value>(attribute.name).cloned())
}

/// Whether a [`switch`] is on.
pub(super) fn truth(matches: &ArgMatches, name: &str) -> bool {
    let negative = matches.get_flag(&format!("no_{name}"));
    !negative && matches.get_one::<Value>(name) == Some(&Value::Bool(true))
}

/// Which of these attributes were given.
pub(super) fn attributes(
    asked: impl Iterator<Item = &'static Attribute>,
    matches: &ArgMatches,
) -> Attributes {
    let given = |attribute: &'static Attribute| Some((attribute.name.to_owned(), value(matches, attribute)?));
    asked.filter_map(given).collect::<Map<_, _>>()
}

/// Names a file to read: `-f FILE`.
pub(super) fn file_flag(help: &'static str) -> Arg {
    Arg::new("file").long("file").short('f').required(true).value_name("FILE").help(help)
}

/// `--label name=value`, repeatable.
pub(super) fn labels_flag(help: &'static str) -> Arg {
    pairs_flag("label", help)
}

/// A repeatable flag that takes `name=value`.
pub(super) fn pairs_flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("NAME=VALUE").action(ArgAction::Append).value_parser(pair).help(help)
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be name=value".to_owned()),
    }
}

/// What a [`pairs_flag`] was given, in order.
pub(super) fn pairs(matches: &ArgMatches, name: &str) -> Vec<(String, String)> {
    matches.get_many(name).map(|pairs| pairs.cloned().collect()).unwrap_or_default()
}

/// The labels that were given.
pub(super) fn labels(matches: &ArgMatches) -> BTreeMap<String, String> {
    pairs(matches, "label").into_iter().collect()
}

/// `--if-match REVISION`.
pub(super) fn if_match_flag() -> Arg {
    Arg::new("if_match")
        .long("if-match")
        .value_name("REVISION")
        .value_parser(value_parser!(u64))
        .help("Only if the object was last changed at this revision")
}

/// What `--if-match` was given.
pub(super) fn if_match(matches: &ArgMatches) -> Option<u64> {
    matches.get_one("if_match").copied()
}

/// The id of an object, or several.
pub(super) fn uuid(resource: &Resource) -> Arg {
    Arg::new("uuid").required(true).value_name("UUID").help(format!("{}-…", resource.prefix))
}

/// The words given for a positional argument.
pub(super) fn words(matches: &ArgMatches, name: &str) -> Vec<String> {
    matches.get_many(name).map(|words| words.cloned().collect()).unwrap_or_default()
}

/// The word given for a required argument.
pub(super) fn word(matches: &ArgMatches, name: &str) -> String {
    matches.get_one::<String>(name).cloned().expect("the grammar requires it")
}
