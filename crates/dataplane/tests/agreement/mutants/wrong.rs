//! The ways in which one flow may be wrong.

use std::fmt;

use dataplane::{FlowKey, Program};
use openflow::{Action, Field, Flow, Match, SetField, SubField, Term, Value};

use super::rules;
use crate::fleet::{PORTS, port_number};
use crate::random::Random;

/// What is wrong with a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// It is not there.
    Missing,
    /// It sends to another port.
    Port,
    /// It names another tunnel address.
    TunnelAddress,
    /// It writes another value.
    Value,
    /// It leaves an action out.
    ActionLost,
    /// It does not go on.
    Ends,
    /// A flow that says less comes before it.
    TooLow,
    /// It comes before a flow that says more.
    TooHigh,
    /// It matches more packets.
    Mask,
    /// It matches other packets.
    Match,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Port => "to another port",
            Self::TunnelAddress => "with another tunnel address",
            Self::Value => "with another value",
            Self::ActionLost => "without one of its actions",
            Self::Ends => "not going on",
            Self::TooLow => "below a flow that says less",
            Self::TooHigh => "above a flow that says more",
            Self::Mask => "matching more",
            Self::Match => "matching something else",
        })
    }
}

/// A flow made wrong.
#[derive(Clone, Debug)]
pub(crate) struct Mutant {
    pub(crate) host: u8,
    pub(crate) fault: Fault,
    pub(crate) flow: Flow,
    /// What stands in its place, if anything does.
    pub(crate) wrong: Option<Flow>,
    /// The flow whose packets show it: another one, where that loses some to it.
    pub(crate) shown_by: FlowKey,
    /// What it matches and should not.
    pub(crate) beyond: Option<Match>,
}

impl Mutant {
    /// One of the ways in which a flow may be wrong, each kind of fault with the same chance.
    pub(crate) fn of(host: u8, program: &Program, flow: &Flow, random: &mut Random) -> Self {
        let mut all = vec![(Fault::Missing, None, FlowKey::from(flow))];
        all.extend(with_other_actions(flow).map(|(fault, wrong)| (fault, Some(wrong), FlowKey::from(flow))));
        all.extend(with_other_match(flow).map(|(fault, wrong)| (fault, Some(wrong), FlowKey::from(flow))));
        all.extend(with_other_priority(program, flow));
        let is_new = |wrong: &Flow| {
            let key = FlowKey::from(wrong);
            key == FlowKey::from(flow) || !program.flows.contains_key(&key)
        };
        all.retain(|(_, wrong, _)| wrong.as_ref().is_none_or(is_new));
        // Which of two flows of one priority takes a packet, OpenFlow leaves open (OpenFlow 1.5.1, section 5.3).
        let is_open = |beyond: &Match| {
            let mut others = program.flows.values().filter(|of| *of != flow && of.table == flow.table);
            others.any(|of| of.priority == flow.priority && covers(&of.matching, beyond))
        };
        all.retain(|(fault, wrong, _)| {
            let wider = wrong.as_ref().filter(|_| *fault == Fault::Mask);
            wider.is_none_or(|wrong| !is_open(&beyond_match(&flow.matching, &wrong.matching)))
        });
        let mut faults: Vec<_> = all.iter().map(|(fault, ..)| *fault).collect();
        faults.dedup();
        let fault = *random.pick(&faults);
        let fitting: Vec<_> = all.into_iter().filter(|(of, ..)| *of == fault).collect();
        let (fault, wrong, shown_by) = random.pick(&fitting).clone();
        let beyond = wrong.as_ref().filter(|_| matches!(fault, Fault::Mask | Fault::Match));
        let beyond = beyond.map(|wrong| beyond_match(&flow.matching, &wrong.matching));
        Self { host, fault, flow: flow.clone(), wrong, shown_by, beyond }
    }

    /// All flows that lose packets to it.
    pub(crate) fn losers<'a>(&self, program: &'a Program) -> Vec<&'a Flow> {
        let Some(wrong) = self.wrong.as_ref().filter(|_| self.fault == Fault::TooHigh) else {
            return program.flows.get(&self.shown_by).into_iter().collect();
        };
        let others = program.flows.values().filter(|of| of.table == wrong.table);
        let passed = others.filter(|of| (self.flow.priority + 1..wrong.priority).contains(&of.priority));
        let loses =
            |of: &&Flow| covers(&wrong.matching, &of.matching) && of.instructions != wrong.instructions;
        passed.filter(loses).collect()
    }

    /// A flow above the right one that takes those of its packets of which the lost action would change nothing.
    pub(crate) fn idle(&self, program: &Program) -> Option<Flow> {
        let wrong = self.wrong.as_ref().filter(|_| self.fault == Fault::ActionLost)?;
        let (rights, wrongs) = (&self.flow.instructions.apply, &wrong.instructions.apply);
        let place = (0..rights.len()).find(|place| rights.get(*place) != wrongs.get(*place))?;
        let (before, lost) = (&rights[..place], &rights[place]);
        let held: Vec<(Field, u128, u128)> = match lost {
            Action::SetField(set) => vec![match set.field() {
                // A match has the wider form of it.
                Field::InPortNxm => (Field::InPort, set.value(), Field::InPort.ones()),
                field => (field, set.value(), set.mask()),
            }],
            Action::Move { source, destination } => {
                [source, destination].map(|part| (part.field, 0, part_mask(part))).to_vec()
            }
            _ => return None,
        };
        let is_plain = |action: &Action| match action {
            Action::SetField(set) => {
                held.iter().all(|(field, ..)| *field != set.field() && !is_register(set.field()))
            }
            Action::Meter(_) => true,
            _ => false,
        };
        let matching =
            held.iter().try_fold(self.flow.matching.clone(), |matching, (field, value, mask)| {
                let (own, of) = matching.get(*field).map_or((0, 0), |term| (term.value, term.mask));
                let agrees = (own ^ value) & of & mask == 0;
                agrees.then(|| matching.with_masked(*field, Value(own | value), Value(of | mask)))
            })?;
        let priority = self.flow.priority.checked_add(1)?;
        let mut others = program.flows.values().filter(|of| of.table == self.flow.table);
        let is_free = !others.any(|of| of.priority == priority && overlaps(&of.matching, &matching));
        (is_free && before.iter().all(is_plain)).then(|| Flow { matching, priority, ..self.flow.clone() })
    }

    /// A flow that would take what this one takes and should not, if it only takes more.
    pub(crate) fn probe(&self, program: &Program) -> Option<Flow> {
        let only_more = self.fault == Fault::Mask || rules::loses_nothing(program, self);
        let matching = self.beyond.clone().filter(|_| only_more)?;
        Some(Flow { matching, ..self.flow.clone() })
    }

    /// Puts it in the flow's place.
    pub(crate) fn infect(&self, program: &mut Program) {
        program.flows.remove(&FlowKey::from(&self.flow));
        program.flows.extend(self.wrong.iter().map(|wrong| (FlowKey::from(wrong), wrong.clone())));
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.fault, self.flow)?;
        match &self.wrong {
            Some(wrong) => write!(f, "\n      becomes {wrong}"),
            None => Ok(()),
        }
    }
}

/// With one action changed or left out.
fn with_other_actions(flow: &Flow) -> impl Iterator<Item = (Fault, Flow)> {
    let apply = &flow.instructions.apply;
    let changed = apply.iter().enumerate().flat_map(|(place, action)| {
        let changes = other_actions(action).into_iter();
        changes.map(move |(fault, action)| {
            let mut wrong = flow.clone();
            wrong.instructions.apply[place] = action;
            (fault, wrong)
        })
    });
    // Of a flow with one action and nothing else, that is all.
    let is_unseen = |action: &Action| matches!(action, Action::Meter(_));
    let lost = (0..apply.len()).filter(|place| !is_unseen(&apply[*place])).map(|place| {
        let mut wrong = flow.clone();
        wrong.instructions.apply.remove(place);
        (Fault::ActionLost, wrong)
    });
    let ends = flow.instructions.goto_table.map(|_| {
        let mut wrong = flow.clone();
        wrong.instructions.goto_table = None;
        (Fault::Ends, wrong)
    });
    let all: Vec<_> = changed.chain(lost).chain(ends).collect();
    all.into_iter()
}

fn other_actions(action: &Action) -> Vec<(Fault, Action)> {
    match action {
        Action::Output { port, .. } => {
            let place = (0..PORTS).find(|of| port_number(*of) == *port);
            let other = place.map(|of| port_number((of + 1) % PORTS));
            other.map(|other| (Fault::Port, Action::output(other))).into_iter().collect()
        }
        Action::Clone(actions) => {
            let inner = actions.iter().enumerate().flat_map(|(place, action)| {
                other_actions(action).into_iter().map(move |(fault, action)| (place, fault, action))
            });
            let whole = |(place, fault, action): (usize, Fault, Action)| {
                let mut other = actions.clone();
                other[place] = action;
                (fault, Action::Clone(other))
            };
            inner.map(whole).collect()
        }
        Action::SetField(set) => other_value(set).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn other_value(set: &SetField) -> Option<(Fault, Action)> {
    let lowest = set.mask() & set.mask().wrapping_neg();
    let other = |value: u128| Action::set_field_masked(set.field(), Value(value), Value(set.mask()));
    match set.field() {
        // It names no address but clears one.
        Field::TunDst | Field::TunIpv6Dst | Field::TunSrc | Field::TunIpv6Src if set.value() == 0 => None,
        // Hosts are numbered from 1: another one's.
        Field::TunDst | Field::TunIpv6Dst | Field::TunSrc | Field::TunIpv6Src => {
            Some((Fault::TunnelAddress, other(set.value() ^ if set.value() & 1 == 1 { 3 } else { 1 })))
        }
        // The wire shows no option of any flow but ours.
        Field::TunMetadata { .. } | Field::InPortNxm => None,
        _ => Some((Fault::Value, other(set.value() ^ lowest))),
    }
}

/// With one field of its match changed: one bit of the value, or, of what guests write themselves, one bit of the mask.
fn with_other_match(flow: &Flow) -> impl Iterator<Item = (Fault, Flow)> {
    let with = |place: usize, term: Term| {
        let terms = flow.matching.terms().iter().enumerate();
        let terms = terms.map(|(at, of)| if at == place { term } else { *of });
        let matching = terms.fold(Match::new(), |matching, of| {
            matching.with_masked(of.field, Value(of.value), Value(of.mask))
        });
        Flow { matching, ..flow.clone() }
    };
    let terms = flow.matching.terms().iter().enumerate();
    let terms = terms.filter(|(_, term)| !requires_others(term.field) && term.mask != 0);
    let all = terms.flat_map(|(place, term)| {
        let lowest = term.mask & term.mask.wrapping_neg();
        let value = Term { value: term.value ^ lowest, ..*term };
        let narrower = term.mask ^ lowest;
        let mask = if term.field.is_maskable() { narrower } else { 0 };
        let mask = Term { value: term.value & mask, mask, ..*term };
        let wider = is_of_header(term.field).then(|| (Fault::Mask, with(place, mask)));
        wider.into_iter().chain([(Fault::Match, with(place, value))])
    });
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(|(fault, _)| *fault);
    all.into_iter()
}

/// What fits the second match, and not the first: with another lowest bit where they differ.
fn beyond_match(right: &Match, wrong: &Match) -> Match {
    right.terms().iter().fold(Match::new(), |beyond, term| {
        let differs = wrong.get(term.field) != Some(term);
        let lowest = term.mask & term.mask.wrapping_neg();
        let value = if differs { term.value ^ lowest } else { term.value };
        beyond.with_masked(term.field, Value(value), Value(term.mask))
    })
}

/// Fields that others in the match may need (ovs-fields(7), "prerequisites").
fn requires_others(field: Field) -> bool {
    matches!(
        field,
        Field::EthType | Field::IpProto | Field::CtNwProto | Field::Icmpv6Type | Field::Icmpv6Code
    )
}

fn is_register(field: Field) -> bool {
    matches!(field, Field::Reg(_) | Field::Xreg(_) | Field::Xxreg(_))
}

/// The bits of a field that are part of it.
fn part_mask(part: &SubField) -> u128 {
    let ones = if part.bits < 128 { (1_u128 << part.bits) - 1 } else { u128::MAX };
    ones << part.offset
}

/// Whether it is part of what came by the wire.
fn is_of_header(field: Field) -> bool {
    field >= Field::EthDst
}

/// Below a flow that takes all its packets, or above one all of whose packets it would take.
fn with_other_priority(program: &Program, flow: &Flow) -> Vec<(Fault, Option<Flow>, FlowKey)> {
    let others = program.flows.values().filter(|other| other.table == flow.table);
    let others = others.filter(|other| other.instructions != flow.instructions);
    let moved = others.filter_map(|other| {
        let at = |priority| Some(Flow { priority, ..flow.clone() });
        if other.priority < flow.priority && other.priority > 0 && covers(&other.matching, &flow.matching) {
            return Some((Fault::TooLow, at(other.priority - 1), FlowKey::from(flow)));
        }
        let rises = other.priority > flow.priority && covers(&flow.matching, &other.matching);
        rises.then(|| (Fault::TooHigh, at(other.priority + 1), FlowKey::from(other)))
    });
    let mut moved: Vec<_> = moved.collect();
    moved.sort_by_key(|(fault, ..)| *fault);
    moved
}

/// Whether every packet that fits the second match fits the first.
pub(crate) fn covers(wide: &Match, narrow: &Match) -> bool {
    wide.terms().iter().all(|term| {
        narrow
            .get(term.field)
            .is_some_and(|of| of.mask & term.mask == term.mask && of.value & term.mask == term.value)
    })
}

/// Whether some packet may fit both.
pub(crate) fn overlaps(one: &Match, other: &Match) -> bool {
    one.terms()
        .iter()
        .all(|term| other.get(term.field).is_none_or(|of| (of.value ^ term.value) & of.mask & term.mask == 0))
}
