//! Wrong flows that no packet could tell from the right ones, by rules that look at the flows of the table alone.

use std::cmp::Reverse;

use dataplane::layout::*;
use dataplane::{Owner, Program};
use openflow::{Action, Field, Flow, Match, Term, Value};

use super::course;
use super::wrong::{Fault, Mutant, covers, overlaps};

/// Why a wrong flow makes no difference, if a rule says so.
pub(crate) fn equivalent(program: &Program, mutant: &Mutant) -> Option<&'static str> {
    let flow = &mutant.flow;
    let others: Vec<_> = program.flows.values().filter(|of| of.table == flow.table && *of != flow).collect();
    if only_meters(flow) || loses_a_meter(mutant) {
        return Some("it only counts and limits, and no limit is reached");
    }
    let is_shadowed = |of: &Flow| {
        others.iter().any(|above| above.priority > of.priority && covers(&above.matching, &of.matching))
    };
    if is_shadowed(flow) && mutant.wrong.as_ref().is_none_or(is_shadowed) {
        return Some("flows above take all its packets");
    }
    let losers = mutant.losers(program);
    if only_for_itself(flow) || mutant.fault == Fault::TooHigh && losers.into_iter().all(only_for_itself) {
        return Some("a switch gives nothing back by the port that it came from");
    }
    if is_nobodys_way(program, flow) {
        return Some("only its own interface sends to it from its host");
    }
    if commits_what_is_known(mutant) {
        return Some("only what is new is kept, and this is of a known connection");
    }
    if tells_nobody(program, mutant) {
        return Some("no rule of a group on its host asks whose member the sender is");
    }
    if is_lost_to_drops(program, mutant, &others) && gains_nothing(program, mutant) {
        return Some("where other flows do something else with its packets, these are dropped either way");
    }
    if tracks_for_no_filter(program, flow) && mutant.fault != Fault::Ends {
        return Some("no filter on its host tracks connections, and groups allow it");
    }
    if mutant.fault == Fault::Missing && is_dropped_all_the_same(flow, &others) {
        return Some(
            "what is below drops these packets, too, and an object's own drops are not counted apart",
        );
    }
    let regions = [Some(&flow.matching), mutant.wrong.as_ref().map(|wrong| &wrong.matching)];
    if !regions.into_iter().flatten().any(|matching| course::comes(program, flow.table, matching)) {
        return Some("no flow leads such packets to its table");
    }
    if asks_nobody(program, mutant) {
        return Some("nobody asks for what it leaves wrong, before that is written anew");
    }
    if finds_nobody(program, mutant) {
        return Some("nobody has the next hop's address, neither the right one nor the wrong one");
    }
    if is_dropped_either_way(program, mutant) {
        return Some("all its packets are dropped all the same, and counted as the same");
    }
    let loses = matches!(mutant.fault, Fault::Missing | Fault::TooLow | Fault::Match);
    let lost = !loses || loses_nothing(program, mutant);
    let beyond = mutant.beyond.clone().map(|matching| Flow { matching, ..flow.clone() });
    let gained = beyond.is_none_or(|beyond| does_the_same(&beyond, &others));
    let is_about_packets = loses || mutant.fault == Fault::Mask;
    let has_helper = flow.instructions.apply != without_helper(flow).apply;
    (is_about_packets && lost && gained).then_some(match has_helper {
        true => "other flows do the same but for helping FTP, which no packet speaks",
        false => "other flows do the same with these packets",
    })
}

/// Whether only bits of registers are wrong that no flow, wherever the packet goes, looks at before they are written again.
fn asks_nobody(program: &Program, mutant: &Mutant) -> bool {
    let (right, Some(wrong)) = (&mutant.flow, &mutant.wrong) else { return false };
    let (rights, wrongs) = (&right.instructions.apply, &wrong.instructions.apply);
    let Some(place) = (0..rights.len()).find(|place| rights.get(*place) != wrongs.get(*place)) else {
        return false;
    };
    let after = match mutant.fault {
        Fault::Value => place + 1,
        Fault::ActionLost => place,
        _ => return false,
    };
    let left = match &rights[place] {
        Action::SetField(set) => (set.field(), set.mask()),
        Action::Move { destination, .. } => (destination.field, destination.field.ones()),
        _ => return false,
    };
    let is_register = matches!(
        left.0,
        Field::Reg(_) | Field::Xreg(_) | Field::Xxreg(_) | Field::Metadata | Field::InPortNxm
    );
    is_register
        && !course::comes_back(program).contains(&right.table)
        && !course::asks_for(program, wrong, after, left)
}

/// Whether a route leads to addresses that nobody who could be found has, and does so where it is wrong, too.
fn finds_nobody(program: &Program, mutant: &Mutant) -> bool {
    let (right, Some(wrong)) = (&mutant.flow, &mutant.wrong) else { return false };
    let is_about_way = |action: &Action| {
        matches!(action, Action::SetField(set) if
            matches!(set.field(), Field::Xxreg(RESOLVE_ADDRESS) | Field::Metadata | Field::EthSrc))
    };
    let rest = |of: &Flow| -> Vec<_> {
        of.instructions.apply.iter().filter(|action| !is_about_way(action)).cloned().collect()
    };
    let differs = matches!(mutant.fault, Fault::Value | Fault::ActionLost) && rest(right) == rest(wrong);
    let (Some(one), Some(other)) = (sought(right), sought(wrong)) else { return false };
    let knows = |of: &Flow, (value, mask): (u128, u128)| {
        let term = of.matching.get(Field::Xxreg(RESOLVE_ADDRESS));
        term.is_none_or(|term| (term.value ^ value) & term.mask & mask == 0)
    };
    let domain = |of: &Flow| {
        let mut actions = of.instructions.apply.iter();
        actions.find_map(|action| match action {
            Action::SetField(set) if set.field() == Field::Metadata => Some(set.value()),
            _ => None,
        })
    };
    // Who does not say in which domain it is looks where the packet has come from.
    let domains = [domain(right), domain(wrong)];
    let is_of = |term: &Term| domains.iter().any(|domain| domain.is_none_or(|domain| domain == term.value));
    // Of a physical network the wire may know.
    let is_way = |of: &Flow| match of.table {
        RESOLVE | NEIGHBOUR => knows(of, one) || knows(of, other),
        LINK => of.matching.get(Field::Metadata).is_some_and(is_of),
        _ => false,
    };
    right.table == ROUTE && differs && !program.flows.values().any(is_way)
}

/// The address that a route's flow has looked for, as far as it says: `None` if it does not.
fn sought(flow: &Flow) -> Option<(u128, u128)> {
    let address = Field::Xxreg(RESOLVE_ADDRESS);
    let mut known = (0, 0);
    let mut looks = false;
    for action in &flow.instructions.apply {
        match action {
            Action::SetField(set) if set.field() == address => {
                known = (known.0 & !set.mask() | set.value(), known.1 | set.mask());
            }
            // To whom the packet is for.
            Action::Move { source, destination } if destination.field == address => {
                let term = flow.matching.get(source.field);
                let (value, mask) = term.map_or((0, 0), |term| (term.value, term.mask));
                known = (known.0 | value << destination.offset, known.1 | mask << destination.offset);
            }
            Action::Resubmit { table: Some(NEXT_HOP), .. } => looks = true,
            _ => {}
        }
    }
    looks.then_some(known)
}

/// Whether all packets that may tell the wrong flow from the right one are dropped as the same by either.
fn is_dropped_either_way(program: &Program, mutant: &Mutant) -> bool {
    let mut sick = program.clone();
    mutant.infect(&mut sick);
    let table = mutant.flow.table;
    let wrong = mutant.wrong.as_ref().map(|wrong| &wrong.matching);
    let regions = [Some(&mutant.flow.matching), Some(&mutant.shown_by.matching), wrong];
    let wrong_priority = mutant.wrong.as_ref().map_or(0, |wrong| wrong.priority);
    let highest = (table, mutant.flow.priority.max(wrong_priority));
    let coming = regions.into_iter().flatten().filter(|of| course::comes(program, table, of));
    { coming }.all(|matching| {
        let right = course::drop_of(program, highest, matching);
        right.is_some() && right == course::drop_of(&sick, highest, matching)
    })
}

/// Whether no packets can come that a wrong flow takes beyond its own, or a tracker looks at them in vain.
fn gains_nothing(program: &Program, mutant: &Mutant) -> bool {
    let Some(beyond) = &mutant.beyond else { return true };
    let table = mutant.flow.table;
    if !course::comes(program, table, beyond) {
        return true;
    }
    let next = match table {
        TRACK_OUT => FILTER_OUT,
        TRACK_IN => FILTER_IN,
        _ => return false,
    };
    !course::asks_tracker(program, (table, next), beyond)
}

/// Whether the packets of a flow that takes them no more meet others that do the same, or are dropped as the same with it and without.
fn is_lost_to_drops(program: &Program, mutant: &Mutant, others: &[&Flow]) -> bool {
    if !matches!(mutant.fault, Fault::Missing | Fault::TooLow | Fault::Match) {
        return false;
    }
    let flow = &mutant.flow;
    let mut sick = program.clone();
    mutant.infect(&mut sick);
    let mut below: Vec<_> = others.iter().filter(|of| of.priority <= flow.priority).collect();
    below.retain(|of| overlaps(&of.matching, &flow.matching));
    below.sort_by_key(|of| Reverse(of.priority));
    let Some(last) = below.iter().position(|of| covers(&of.matching, &flow.matching)) else { return false };
    let highest = (flow.table, flow.priority);
    below.iter().take(last + 1).all(|of| {
        let both = of.matching.terms().iter().fold(flow.matching.clone(), |both, term| {
            let (value, mask) = both.get(term.field).map_or((0, 0), |own| (own.value, own.mask));
            both.with_masked(term.field, Value(value | term.value), Value(mask | term.mask))
        });
        let right = course::drop_of(program, highest, &both);
        !course::comes(program, flow.table, &both)
            || of.instructions == flow.instructions && counted(of) == counted(flow)
            || right.is_some() && right == course::drop_of(&sick, highest, &both)
            || tracks_in_vain(program, (flow, of), &both)
    })
}

/// Whether packets that meet the second flow instead of the first are shown to a tracker on their way to the same table, and nobody asks
/// what that says of them.
fn tracks_in_vain(program: &Program, (flow, other): (&Flow, &Flow), matching: &Match) -> bool {
    let tracked = other.instructions.apply.iter().find_map(|action| match action {
        Action::Ct(ct) if !ct.commit && ct.nat.is_none() => ct.table,
        _ => None,
    });
    let next = flow.instructions.goto_table.filter(|next| tracked == Some(*next));
    let is_only_on = flow.instructions.apply.is_empty();
    is_only_on && next.is_some_and(|next| !course::asks_tracker(program, (flow.table, next), matching))
}

/// Whether other flows do the same with the packets that the right flow takes.
pub(crate) fn loses_nothing(program: &Program, mutant: &Mutant) -> bool {
    let others = program.flows.values().filter(|of| of.table == mutant.flow.table && **of != mutant.flow);
    does_the_same(&mutant.flow, &others.collect::<Vec<_>>())
}

/// Whether it drops what an interface sends to itself.
fn only_for_itself(flow: &Flow) -> bool {
    let key = |register| flow.matching.get(Field::Reg(register)).map(|term| term.value);
    let (from, to) = (key(SOURCE_INTERFACE), key(DESTINATION_INTERFACE));
    flow.table == DELIVER && drops(flow) && from.is_some() && from == to
}

/// Whether only the interface itself is in its domain on its host, where nothing is simulated and no wire known: others' packets
/// come by tunnels, which lead to its port directly.
fn is_nobodys_way(program: &Program, flow: &Flow) -> bool {
    let (Some(Owner::Interface(key)), Some(domain)) =
        (Owner::of_cookie(flow.cookie), flow.matching.get(Field::Metadata))
    else {
        return false;
    };
    let sets = |of: &Flow, field: Field, value: u128| {
        let mut actions = of.instructions.apply.iter();
        actions.any(
            |action| matches!(action, Action::SetField(set) if set.field() == field && set.value() == value),
        )
    };
    let is_others = |of: &Flow| {
        sets(of, Field::Metadata, domain.value) && !sets(of, Field::Reg(SOURCE_INTERFACE), u128::from(key.0))
    };
    let is_simulated = |of: &Flow| of.table == DESTINATION && of.instructions.goto_table == Some(SIMULATED);
    let is_wires = |of: &Flow| [LINK, WIRE_SOURCE].contains(&of.table);
    let is_more =
        |of: &Flow| of.matching.get(Field::Metadata) == Some(domain) && (is_simulated(of) || is_wires(of));
    let is_way = flow.table == DESTINATION && flow.instructions.goto_table == Some(DELIVER);
    is_way && !program.flows.values().any(|of| is_others(of) || is_more(of))
}

/// Whether what is wrong is only that it says that a connection may begin.
fn commits_what_is_known(mutant: &Mutant) -> bool {
    let flow = &mutant.flow;
    let is_known = flow.matching.get(Field::CtMark).is_some_and(|term| term.value != 0);
    let keep = Action::set_field_masked(Field::Reg(FLAGS), COMMIT, COMMIT);
    let Some(wrong) = mutant.wrong.as_ref().filter(|_| is_known && mutant.fault < Fault::Ends) else {
        return false;
    };
    let rest = |of: &Flow| -> Vec<_> {
        of.instructions.apply.iter().filter(|action| !is_about_commit(action)).cloned().collect()
    };
    flow.instructions.apply.contains(&keep) && rest(wrong) == rest(flow)
}

fn is_about_commit(action: &Action) -> bool {
    matches!(action, Action::SetField(set) if set.field() == Field::Reg(FLAGS) && set.mask() == u128::from(COMMIT))
}

/// Whether what a tunnel says of the sender's groups is lost where nobody asks.
fn tells_nobody(program: &Program, mutant: &Mutant) -> bool {
    let Some(wrong) = mutant.wrong.as_ref().filter(|_| mutant.flow.table == TUNNEL_IN) else { return false };
    let is_identity = |action: &&Action| matches!(action, Action::Move { destination, .. } if destination.field == Field::Reg(FLAGS));
    let rest = |of: &Flow| -> Vec<_> {
        of.instructions.apply.iter().filter(|action| !is_identity(action)).cloned().collect()
    };
    let asks = |flow: &Flow| {
        let flags = flow.matching.get(Field::Reg(FLAGS));
        flow.table == GROUP_IN && flags.is_some_and(|term| term.mask & u128::from(IDENTITY) != 0)
    };
    mutant.fault == Fault::ActionLost
        && rest(wrong) == rest(&mutant.flow)
        && !program.flows.values().any(asks)
}

/// Whether it spares neighbour discovery a tracker of which no filter hears.
fn tracks_for_no_filter(program: &Program, flow: &Flow) -> bool {
    let (next, register) = match flow.table {
        TRACK_OUT => (FILTER_OUT, SOURCE_INTERFACE),
        TRACK_IN => (FILTER_IN, DESTINATION_INTERFACE),
        _ => return false,
    };
    let is_filters = |of: &Flow| of.table == next && of.matching.get(Field::Reg(register)).is_some();
    let tracks = |of: &Flow| of.matching.get(Field::CtState).is_some();
    let is_neighbours = flow.matching.get(Field::Icmpv6Type).is_some();
    is_neighbours && !program.flows.values().any(|of| is_filters(of) && tracks(of))
}

/// Whether it does nothing but meet a meter, in a table where others do no more.
fn only_meters(flow: &Flow) -> bool {
    let meters = [QUESTION, AGENT, LOG].contains(&flow.table);
    meters && matches!(flow.instructions.apply.first(), Some(Action::Meter(_)))
}

/// Whether the one action that is lost is to ask a table that meters, or there for that.
fn loses_a_meter(mutant: &Mutant) -> bool {
    // A packet is looked up again only so that a meter holds (`dataplane::limit`).
    let meters = [Action::resubmit(QUESTION), Action::resubmit(AGENT), Action::Group(RECIRCULATE)];
    let rest = |flow: &Flow| -> Vec<_> {
        flow.instructions.apply.iter().filter(|action| !meters.contains(action)).cloned().collect()
    };
    let wrong = mutant.wrong.as_ref().filter(|_| mutant.fault == Fault::ActionLost);
    wrong.is_some_and(|wrong| rest(wrong) == rest(&mutant.flow))
}

/// Whether the packets of a flow would meet others that do the same: first of those below, one that takes all of them.
fn does_the_same(flow: &Flow, others: &[&Flow]) -> bool {
    let below = others.iter().filter(|of| of.priority <= flow.priority);
    let mut below: Vec<_> = below.filter(|of| overlaps(&of.matching, &flow.matching)).collect();
    below.sort_by_key(|of| Reverse(of.priority));
    // Only what is new is kept, but for the data connections of FTP.
    let is_known = flow.matching.get(Field::CtMark).is_some_and(|term| term.value != 0);
    let does = |of: &Flow| {
        let mut does = without_helper(of);
        does.apply.retain(|action| !is_known || !is_about_commit(action));
        does
    };
    let same = |of: &Flow| does(of) == does(flow) && counted(of) == counted(flow);
    let all = below.iter().position(|of| covers(&of.matching, &flow.matching));
    match all {
        Some(last) => below.iter().take(last + 1).all(|of| same(of)),
        // The end of a table without an end drops, and counts nothing.
        None => below.iter().all(|of| same(of)) && drops(flow) && counted(flow).is_none(),
    }
}

/// What it does, but for a tracker's helper: that looks for what FTP says of further connections, and no packet says that.
fn without_helper(flow: &Flow) -> openflow::Instructions {
    let mut instructions = openflow::Instructions::clone(&flow.instructions);
    for action in &mut instructions.apply {
        if let Action::Ct(ct) = action {
            ct.alg = 0;
        }
    }
    instructions
}

/// Whether it drops what others would drop, and counts it as nothing.
fn is_dropped_all_the_same(flow: &Flow, others: &[&Flow]) -> bool {
    let mut below = others.iter().filter(|of| of.priority < flow.priority);
    drops(flow)
        && counted(flow).is_none()
        && below.all(|of| drops(of) || !overlaps(&of.matching, &flow.matching))
}

fn drops(flow: &Flow) -> bool {
    flow.instructions == openflow::Instructions::drop()
}

/// As what it counts packets.
fn counted(flow: &Flow) -> Option<dataplane::Purpose> {
    match Owner::of_cookie(flow.cookie) {
        Some(Owner::Base(purpose)) if purpose.drop_reason().is_some() => Some(purpose),
        _ => None,
    }
}
