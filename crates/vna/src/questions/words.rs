//! Matches and actions in words: registers as what [`dataplane::layout`] lets them mean, numbers by their names. What has no
//! meaning of ours reads as `ovs-ofctl(8)` writes it. Pure.

use std::net::Ipv6Addr;

use dataplane::layout::{
    AT_GATEWAY, COMMIT, DESTINATION_HOST, DESTINATION_IDENTITY, DESTINATION_INTERFACE, ELSEWHERE, FLAGS,
    FROM_TUNNEL, FROM_WIRE, IDENTITY, IDENTITY_BIT, ORIGIN, PENDING, RESOLVE_ADDRESS, RESOLVED, RESOLVED_MAC,
    RESOLVED_ROUTER, ROUTE_LINK, ROUTED, ROUTER, SEGMENT, SOURCE_INTERFACE, TOO_BIG, TRANSLATED, TUNNEL_MTU,
    TUNNEL_PORT,
};
use openflow::{Action, Field, Instructions, Match, OfPort, SetField, SubField, Term};
use topology::{DomainKey, HostKey, IdentityKey, InterfaceKey, RouteLinkKey};

use super::names::Names;

/// Flags, and what they say of a packet.
const SAYINGS: [(u32, &str); 13] = [
    (FROM_TUNNEL, "from a tunnel"),
    (TOO_BIG, "too big"),
    (RESOLVED, "resolved"),
    (ROUTER, "from a router"),
    (RESOLVED_ROUTER, "resolved to a router"),
    (ROUTED, "routed"),
    (AT_GATEWAY, "for the wire"),
    (FROM_WIRE, "from the wire"),
    (ELSEWHERE, "of another gateway"),
    (TRANSLATED, "translated"),
    (COMMIT, "may begin"),
    (PENDING, "to be allowed"),
    (SEGMENT, "in a segment"),
];

/// Registers of [`RESOLVE_ADDRESS`], most significant first.
const ASKED: [u8; 4] =
    [RESOLVE_ADDRESS * 4, RESOLVE_ADDRESS * 4 + 1, RESOLVE_ADDRESS * 4 + 2, RESOLVE_ADDRESS * 4 + 3];

/// What a flow applies to.
pub(super) fn applies_to(names: &Names<'_>, matching: &Match) -> String {
    let mut words = Vec::new();
    let mut rest = Match::new();
    for term in matching.terms() {
        match term_in_words(names, term) {
            Some(said) => words.extend(said),
            None => rest = rest.with_masked(term.field, term.value, term.mask),
        }
    }
    words.extend(asked_for(matching));
    let rest = rest.to_string();
    words.extend((!rest.is_empty()).then_some(rest));
    if words.is_empty() { "everything".to_owned() } else { words.join(", ") }
}

fn term_in_words(names: &Names<'_>, term: &Term) -> Option<Vec<String>> {
    let word = u32::try_from(term.value).ok();
    if let Field::Reg(FLAGS) = term.field {
        return Some(flags(names, word?, u32::try_from(term.mask).ok()?, ["", "not "]));
    }
    if let Field::Reg(register) = term.field
        && ASKED.contains(&register)
    {
        return Some(Vec::new());
    }
    if !term.is_exact() {
        return None;
    }
    let said = match term.field {
        Field::InPort => format!("from {}", names.port(OfPort(word?))),
        Field::Reg(DESTINATION_IDENTITY) if word? == 0 => "to no security group".to_owned(),
        Field::Reg(DESTINATION_IDENTITY) => format!("to {}", names.groups(IdentityKey(word?)).join("+")),
        field => way(names, field, word?)?,
    };
    Some(vec![said])
}

/// Where a packet comes from and goes to, as the field that says so has it.
fn way(names: &Names<'_>, field: Field, word: u32) -> Option<String> {
    Some(match field {
        Field::Metadata => format!("in {}", names.domain(DomainKey(word))),
        Field::Reg(SOURCE_INTERFACE) => format!("sent by {}", names.interface(InterfaceKey(word))),
        Field::Reg(DESTINATION_INTERFACE) if word == 0 => "to all".to_owned(),
        Field::Reg(DESTINATION_INTERFACE) => format!("to {}", names.interface(InterfaceKey(word))),
        Field::Reg(DESTINATION_HOST) if word == 0 => "to this host".to_owned(),
        Field::Reg(DESTINATION_HOST) => format!("to host {}", names.host(HostKey(word))),
        Field::Reg(ROUTE_LINK) => format!("in router {}", names.router(RouteLinkKey(word))),
        _ => return None,
    })
}

/// Flags and the sender's groups, each behind the first prefix if it is set and else behind the second.
fn flags(names: &Names<'_>, value: u32, mask: u32, prefix: [&str; 2]) -> Vec<String> {
    let [set, unset] = prefix;
    let sayings = SAYINGS.iter().filter(|(flag, _)| mask & flag != 0);
    let mut said: Vec<_> = sayings
        .map(|(flag, saying)| format!("{}{saying}", if value & flag != 0 { set } else { unset }))
        .collect();
    match (mask & IDENTITY, (value & IDENTITY) >> IDENTITY_BIT) {
        (0, _) => {}
        (_, 0) => said.push(format!("{set}from no security group")),
        (_, key) => said.push(format!("{set}from {}", names.groups(IdentityKey(key)).join("+"))),
    }
    said
}

/// The address that a match on [`RESOLVE_ADDRESS`] asks for, whose four registers are terms of their own.
fn asked_for(matching: &Match) -> Option<String> {
    let mut address = 0;
    let mut length = 0;
    for register in ASKED {
        let term = matching.get(Field::Reg(register));
        address = address << 32 | term.map_or(0, |term| term.value);
        length += term.map_or(0, |term| term.mask.count_ones());
    }
    (length > 0).then(|| {
        let address = Ipv6Addr::from_bits(address);
        match address.to_ipv4_mapped() {
            Some(address) if length == 128 => format!("asking for {address}"),
            Some(address) if length >= 96 => format!("asking for {address}/{}", length - 96),
            _ if length == 128 => format!("asking for {address}"),
            _ => format!("asking for {address}/{length}"),
        }
    })
}

/// What a flow does.
pub(super) fn does(names: &Names<'_>, instructions: &Instructions) -> String {
    let mut words: Vec<_> = instructions.apply.iter().map(|action| does_one(names, action)).collect();
    let known = Instructions { apply: Vec::new(), goto_table: None, ..instructions.clone() };
    if known != Instructions::default() {
        words.push(known.to_string());
    }
    words.extend(instructions.goto_table.map(|table| format!("then {}", Names::table(table))));
    if words.is_empty() { "drop".to_owned() } else { words.join(", ") }
}

fn does_one(names: &Names<'_>, action: &Action) -> String {
    match action {
        Action::Output { port, .. } if *port == OfPort::IN_PORT => "back to where it came from".to_owned(),
        Action::Output { port, .. } => format!("out by {}", names.port(*port)),
        Action::OutputReg { source, .. } if *source == whole(Field::Reg(TUNNEL_PORT)) => {
            "out by the tunnel".to_owned()
        }
        Action::Controller(controller) => {
            match dataplane::layout::Question::of_userdata(&controller.userdata) {
                Some(question) => format!("to the agent ({question:?})"),
                None => "to the agent".to_owned(),
            }
        }
        Action::Resubmit { port: None, table: Some(table) } => format!("ask {}", Names::table(*table)),
        Action::SetField(set) => writes(names, set).unwrap_or_else(|| action.to_string()),
        Action::Move { source, destination } => {
            format!("{} := {}", part(*destination), part(*source))
        }
        Action::CheckPktLarger { length, .. } => format!("too big if longer than {length} bytes"),
        other => other.to_string(),
    }
}

fn writes(names: &Names<'_>, set: &SetField) -> Option<String> {
    let word = u32::try_from(set.value()).ok();
    if let Field::Reg(FLAGS) = set.field() {
        let mask = u32::try_from(set.mask()).ok()?;
        return Some(flags(names, word?, mask, ["mark ", "unmark "]).join(", "));
    }
    if !set.is_exact() {
        return None;
    }
    Some(match set.field() {
        Field::Xreg(RESOLVED_MAC) => format!("the answer is {}", mac(set.value())),
        Field::Xxreg(RESOLVE_ADDRESS) => {
            let address = Ipv6Addr::from_bits(set.value());
            let address = address.to_ipv4_mapped().map_or_else(|| address.to_string(), |of| of.to_string());
            format!("asking for {address}")
        }
        field => way(names, field, word?)?,
    })
}

/// Six bytes, as MAC addresses are written.
fn mac(value: u128) -> String {
    let bytes = value.to_be_bytes();
    let bytes: Vec<_> = bytes.iter().skip(10).map(|byte| format!("{byte:02x}")).collect();
    bytes.join(":")
}

/// A field or a part of one.
fn part(of: SubField) -> String {
    let meaning = match of.field {
        Field::Metadata => "the network or segment",
        Field::Reg(SOURCE_INTERFACE) => "the sender",
        Field::Reg(DESTINATION_INTERFACE) => "the receiver",
        Field::Reg(DESTINATION_HOST) => "the receiver's host",
        Field::Reg(TUNNEL_MTU) => "what the tunnel takes",
        Field::Reg(FLAGS) if of == dataplane::layout::identity() => "the sender's groups",
        Field::Xreg(RESOLVED_MAC) => "the answer",
        Field::Xreg(ORIGIN) => "the first sender's MAC address",
        Field::Xxreg(RESOLVE_ADDRESS) => "what is asked for",
        _ => return of.to_string().trim_end_matches("[]").to_owned(),
    };
    meaning.to_owned()
}

fn whole(field: Field) -> SubField {
    SubField::whole(field)
}
