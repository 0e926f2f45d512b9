//! Wrong flows that no packet could tell from the right ones, by rules that look at the flows of the table alone.

use std::cmp::Reverse;

use dataplane::layout::{AGENT, LOG, QUESTION, TUNNEL_OUT};
use dataplane::{Owner, Program};
use openflow::{Action, Flow};

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
    let loses = matches!(mutant.fault, Fault::Missing | Fault::TooLow | Fault::Match);
    if loses && does_the_same(flow, &others) {
        return Some("what is below does the same with its packets");
    }
    None
}

/// Whether it does nothing but meet a meter. What a meter of the tunnel drops, it counts.
fn only_meters(flow: &Flow) -> bool {
    let meters = [QUESTION, AGENT, LOG, TUNNEL_OUT].contains(&flow.table);
    meters && matches!(flow.instructions.apply.first(), Some(Action::Meter(_)))
}

/// Whether the one action that is lost is to ask a table that meters.
fn loses_a_meter(mutant: &Mutant) -> bool {
    let meters = [QUESTION, AGENT].map(Action::resubmit);
    let rest = |flow: &Flow| -> Vec<_> {
        flow.instructions.apply.iter().filter(|action| !meters.contains(action)).cloned().collect()
    };
    let wrong = mutant.wrong.as_ref().filter(|_| mutant.fault == Fault::ActionLost);
    wrong.is_some_and(|wrong| rest(wrong) == rest(&mutant.flow))
}

/// Whether the packets of a flow would meet others that do the same: first of those below, one that takes all of them.
fn does_the_same(flow: &Flow, others: &[&Flow]) -> bool {
    let below = others.iter().filter(|of| of.priority < flow.priority);
    let mut below: Vec<_> = below.filter(|of| overlaps(&of.matching, &flow.matching)).collect();
    below.sort_by_key(|of| Reverse(of.priority));
    let same = |of: &Flow| of.instructions == flow.instructions && counted(of) == counted(flow);
    let all = below.iter().position(|of| covers(&of.matching, &flow.matching));
    match all {
        Some(last) => below.iter().take(last + 1).all(|of| same(of)),
        // The end of a table without an end drops, and counts nothing.
        None => below.iter().all(|of| same(of)) && drops(flow) && counted(flow).is_none(),
    }
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
