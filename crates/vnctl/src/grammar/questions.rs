//! Commands that ask about packets: trace, reach, assert.

use clap::builder::ValueRange;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command as Grammar, value_parser};
use serde_json::{Map, Value, json};

use super::arguments::{file_flag, switch, truth, word, words};
use crate::command::{Ask, Command, Question};
use crate::error::Error;

/// The flags of a trace that say what the packet is.
const KINDS: [&str; 7] = ["tcp", "udp", "icmp", "icmpv6", "arp", "nd", "protocol"];
/// Flags of a trace that say one thing of the packet each, with what they are called in the API.
const TEXTS: [(&str, &str, &str, &str); 3] = [
    ("source-address", "ADDRESS", "source_address", "Where it comes from"),
    ("source-mac", "MAC", "source_mac", "Source of the frame"),
    (
        "destination-mac",
        "MAC",
        "destination_mac",
        "Destination of the frame, instead of what the guest would find out",
    ),
];
const NUMBERS: [(&str, &str, &str, &str); 5] = [
    ("source-port", "PORT", "source_port", "Port it comes from; an ephemeral one if absent"),
    ("vlan", "ID", "vlan", "Its VLAN tag"),
    ("ttl", "HOPS", "ttl", "TTL or hop limit; 64 if absent"),
    ("dscp", "CODE-POINT", "dscp", "Code point"),
    ("length", "BYTES", "length", "Length of the IP packet; no data if absent"),
];
/// The flags of reach that name guests.
const GUESTS: [(&str, &str); 4] =
    [("interface", "IF-…"), ("network", "NW-…"), ("segment", "SEG-…"), ("group", "SG-…")];

/// These commands.
pub(super) fn grammars() -> Vec<Grammar> {
    vec![trace(), reach(), assert()]
}

fn with() -> Arg {
    Arg::new("with")
        .long("with")
        .value_name("FILE")
        .action(ArgAction::Append)
        .help("As if this file had been applied (`apply -f`), which is not done; repeatable")
}

fn trace() -> Grammar {
    let flag = |name: &'static str, value, help| Arg::new(name).long(name).value_name(value).help(help);
    let number = |name, value, help| flag(name, value, help).value_parser(value_parser!(u16));
    let bare = |name, help| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let icmp = |name, help| {
        let optional = flag(name, "TYPE[/CODE]", help).num_args(ValueRange::from(0..=1)).require_equals(true);
        optional.default_missing_value("").value_parser(icmp_type)
    };
    Grammar::new("trace")
        .about("Say what becomes of a packet, step by step, and what would let it pass")
        .arg(Arg::new("from").required(true).value_name("INTERFACE").help("Who sends it"))
        .arg(flag("to", "INTERFACE|ADDRESS", "Whom it is for").required(true))
        .arg(number("tcp", "PORT", "It opens a TCP connection to this port"))
        .arg(number("udp", "PORT", "It is a UDP datagram to this port"))
        .arg(icmp(
            "icmp",
            "It is a message of ICMP, or of ICMPv6 to an IPv6 address: an echo request (the default)",
        ))
        .arg(icmp("icmpv6", "It is a message of ICMPv6: an echo request"))
        .arg(bare("arp", "It asks who has an IPv4 address"))
        .arg(bare("nd", "It asks who has an IPv6 address"))
        .arg(flag("protocol", "NUMBER", "It is of another protocol").value_parser(value_parser!(u8)))
        .group(ArgGroup::new("kind").args(KINDS))
        .args(TEXTS.map(|(name, value, _, help)| flag(name, value, help)))
        .args(NUMBERS.map(|(name, value, _, help)| number(name, value, help)))
        .arg(bare("df", "It must not be fragmented"))
        .arg(flag("fragment", "first|later", "Only this fragment of it").value_parser(["first", "later"]))
        .args(switch("reply", "Follow the receiver's answer, too"))
        .args(switch("live", "Ask the switches on its way, too, and say where they do something else"))
        .arg(with())
}

fn reach() -> Grammar {
    let repeated = |name: &'static str, value, help: &'static str| {
        Arg::new(name).long(name).value_name(value).action(ArgAction::Append).help(help)
    };
    let ports = |name, help| repeated(name, "PORTS", help).num_args(0..=1).default_missing_value("");
    let bare = |name: &'static str, help| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Grammar::new("reach")
        .about("Say who can send what to whom")
        .args(GUESTS.map(|(name, value)| {
            repeated(name, value, "Those of it, both as senders and as receivers; repeatable")
        }))
        .arg(repeated(
            "from",
            "ID",
            "Only these send: an interface, network, segment or security group; repeatable",
        ))
        .arg(repeated("to", "ID", "Only these receive, likewise; repeatable"))
        .arg(ports("tcp", "TCP to these ports: 22, 8000-8080; all if none is named; repeatable"))
        .arg(ports("udp", "UDP, likewise"))
        .arg(bare("icmp", "Echo requests of ICMP and ICMPv6"))
        .arg(with())
}

fn assert() -> Grammar {
    Grammar::new("assert")
        .about("Say whether a policy is kept: who reaches whom, and who does not")
        .arg(file_flag("The policy, or - for standard input"))
        .arg(with())
}

/// Type and code of a message; neither for none.
fn icmp_type(text: &str) -> Result<Value, String> {
    if text.is_empty() {
        return Ok(json!({}));
    }
    let (kind, code) = text.split_once('/').unwrap_or((text, "0"));
    let number =
        |text: &str| text.parse::<u8>().map_err(|_| "must be TYPE or TYPE/CODE, as in 8/0".to_owned());
    Ok(json!({ "icmp_type": number(kind)?, "icmp_code": number(code)? }))
}

/// Reads one of these commands; `None` if it is none of them.
pub(super) fn read(name: &str, matches: &ArgMatches) -> Result<Option<Command>, Error> {
    let question = match name {
        "trace" if truth(matches, "live") && !words(matches, "with").is_empty() => {
            return Err(Error::Usage(
                "--live asks switches as they are, and --with as if they were not".to_owned(),
            ));
        }
        "trace" => Question::Trace { body: read_trace(matches), live: truth(matches, "live") },
        "reach" => Question::Reach(read_reach(matches)?),
        "assert" => Question::Assert { file: word(matches, "file") },
        _ => return Ok(None),
    };
    Ok(Some(Command::Ask(Ask { question, with: words(matches, "with") })))
}

fn read_trace(matches: &ArgMatches) -> Value {
    let mut packet = Map::new();
    for (kind, key) in [("tcp", "port"), ("udp", "port")] {
        if let Some(port) = matches.get_one::<u16>(kind) {
            packet.extend([("kind".to_owned(), json!(kind)), (key.to_owned(), json!(port))]);
        }
    }
    for kind in ["icmp", "icmpv6"] {
        if let Some(Value::Object(types)) = matches.get_one::<Value>(kind) {
            packet.insert("kind".to_owned(), json!(kind));
            packet.extend(types.clone());
        }
    }
    for kind in ["arp", "nd"] {
        if matches.get_flag(kind) {
            packet.insert("kind".to_owned(), json!(kind));
        }
    }
    if let Some(protocol) = matches.get_one::<u8>("protocol") {
        packet.extend([("kind".to_owned(), json!("other")), ("protocol".to_owned(), json!(protocol))]);
    }
    for (flag, _, name, _) in TEXTS {
        packet.extend(matches.get_one::<String>(flag).map(|text| (name.to_owned(), json!(text))));
    }
    for (flag, _, name, _) in NUMBERS {
        packet.extend(matches.get_one::<u16>(flag).map(|number| (name.to_owned(), json!(number))));
    }
    if matches.get_flag("df") {
        packet.insert("dont_fragment".to_owned(), json!(true));
    }
    packet.extend(matches.get_one::<String>("fragment").map(|of| ("fragment".to_owned(), json!(of))));
    json!({
        "from": word(matches, "from"), "to": word(matches, "to"), "packet": packet, "reply": truth(matches, "reply"),
    })
}

fn read_reach(matches: &ArgMatches) -> Result<Value, Error> {
    let both: Vec<String> = GUESTS.iter().flat_map(|(name, _)| words(matches, name)).collect();
    let (from, to) = (words(matches, "from"), words(matches, "to"));
    let is_one_way = !from.is_empty() || !to.is_empty();
    if is_one_way && !both.is_empty() {
        let reason = "--from and --to go without --interface, --network, --segment and --group";
        return Err(Error::Usage(reason.to_owned()));
    }
    let of_ports = ["tcp", "udp"].into_iter().flat_map(|name| {
        words(matches, name).into_iter().map(move |ports| format!("{name} {ports}").trim_end().to_owned())
    });
    let bare = ["icmp"].into_iter().filter(|name| matches.get_flag(name)).map(str::to_owned);
    let traffic: Vec<String> = of_ports.chain(bare).collect();
    let mut question = Map::new();
    let mut put = |name: &str, texts: Vec<String>| {
        if !texts.is_empty() {
            question.insert(name.to_owned(), json!(texts));
        }
    };
    put("from", if both.is_empty() { from } else { both.clone() });
    put("to", if both.is_empty() { to } else { both });
    put("traffic", traffic);
    Ok(Value::Object(question))
}
