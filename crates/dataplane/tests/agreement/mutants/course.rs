//! Where packets may go, as the tables of a host show it.
//!
//! What is known of a packet is what flows have matched and written so far. Where that does not decide, it may go either way, and
//! both are followed. So what no course shows, no packet shows.

use std::collections::{BTreeMap, BTreeSet};

use dataplane::layout::{
    AGENT, CLASSIFY, COMMIT, FLAGS, FROM_WIRE, IDENTITY, QUESTION, Question, RESOLVED_ROUTER, ROUTED,
};
use dataplane::{Owner, Program, Purpose};
use openflow::{Action, Field, Flow, GroupType, Match, TableId, Term, Value};

use super::known::{Bits, CONNECTION, Known, bits, words};
use super::written::{writes, written};

/// Most flows that are followed. Where there are more, nothing is said.
const MAX_STEPS: usize = 4000;

/// What of [`FLAGS`] agents look at, whatever they are asked.
const TOLD: u32 = ROUTED | RESOLVED_ROUTER | FROM_WIRE | IDENTITY;

/// Types of VLAN tags (IEEE 802.1Q, section 9.6), and what says that there is one (ovs-fields(7), `vlan_tci`).
const TAG: u128 = 0x8100;
const SERVICE_TAG: u128 = 0x88a8;
const VLAN_PRESENT: u128 = 0x1000;

/// No flows: for looking at one alone.
static EMPTY: Program = Program { flows: BTreeMap::new(), groups: BTreeMap::new(), meters: BTreeMap::new() };

/// How a course ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// The packet is dropped, and counted as this.
    Dropped(Option<Purpose>),
    /// Somebody gets it, or something is kept of it.
    Other,
}

/// All that may become of some packets.
pub(super) struct Courses<'a> {
    program: &'a Program,
    flows: BTreeMap<TableId, Vec<&'a Flow>>,
    /// What may be written once a packet is in a table.
    written: BTreeMap<TableId, Bits>,
    been: BTreeSet<(TableId, Known)>,
    ends: BTreeSet<End>,
    /// Something looks at what is wrong.
    is_asked: bool,
    /// Only what is wrong is of interest.
    is_about_wrong: bool,
    is_endless: bool,
}

/// As what all packets are dropped that match, and that no flow above this priority takes; `None` if not all are, or not all as the same.
pub(super) fn drop_of(
    program: &Program,
    (table, highest): (TableId, u16),
    matching: &Match,
) -> Option<Option<Purpose>> {
    let mut courses = Courses::of(program);
    let known = courses.known(table, highest, matching);
    courses.follow(table, &known);
    let ends: Vec<_> = courses.ends.iter().copied().collect();
    match ends[..] {
        [End::Dropped(purpose)] if !courses.is_endless => Some(purpose),
        _ => None,
    }
}

/// Whether somebody looks at bits of a register that a flow, as it is here, leaves wrong by its `place`th action.
pub(super) fn asks_for(program: &Program, flow: &Flow, place: usize, wrong: (Field, u128)) -> bool {
    let mut courses = Courses::of(program);
    courses.is_about_wrong = true;
    let mut known = courses.known(flow.table, flow.priority, &flow.matching);
    let (before, after) = flow.instructions.apply.split_at(place);
    courses.act(before, &mut known);
    for (field, _, mask) in words(wrong.0, 0, wrong.1) {
        known.forget(field, mask);
        *known.wrong.entry(field).or_default() |= mask;
    }
    courses.act(after, &mut known);
    if let Some(next) = flow.instructions.goto_table {
        courses.follow(next, &known);
    }
    courses.is_asked || courses.is_endless
}

/// Whether packets that match can come to a table.
pub(super) fn comes(program: &Program, table: TableId, matching: &Match) -> bool {
    Courses::of(program).entering(table, matching).is_some()
}

/// Tables from which packets come back to who has asked them, and does more with them.
pub(super) fn comes_back(program: &Program) -> BTreeSet<TableId> {
    let asked = |action: &Action| match action {
        Action::Resubmit { table, .. } => *table,
        _ => None,
    };
    let mut tables = BTreeSet::new();
    for flow in program.flows.values() {
        let apply = &flow.instructions.apply;
        let last = apply.len().saturating_sub(usize::from(flow.instructions.goto_table.is_none()));
        tables.extend(apply.iter().take(last).filter_map(asked));
    }
    loop {
        let led = program.flows.values().filter(|flow| tables.contains(&flow.table));
        let led = led.flat_map(|flow| {
            flow.instructions.apply.iter().filter_map(asked).chain(flow.instructions.goto_table)
        });
        let before = tables.len();
        let led: Vec<_> = led.collect();
        tables.extend(led);
        if tables.len() == before {
            return tables;
        }
    }
}

/// Whether somebody asks what a tracker says of packets that match, where that sends them; or whether a rule of their sender's wanted their
/// connection kept, which some forget before they ask.
pub(super) fn asks_tracker(program: &Program, (table, next): (TableId, TableId), matching: &Match) -> bool {
    let mut courses = Courses::of(program);
    courses.is_about_wrong = true;
    let mut known = courses.known(table, u16::MAX, matching).tracked(false);
    for field in CONNECTION {
        known.forget(field, u128::MAX);
        known.wrong.insert(field, u128::MAX);
    }
    known.forget(Field::Reg(FLAGS), COMMIT.into());
    known.wrong.insert(Field::Reg(FLAGS), COMMIT.into());
    courses.follow(next, &known);
    courses.is_asked || courses.is_endless
}

impl<'a> Courses<'a> {
    fn of(program: &'a Program) -> Self {
        let mut flows: BTreeMap<TableId, Vec<&Flow>> = BTreeMap::new();
        for flow in program.flows.values() {
            flows.entry(flow.table).or_default().push(flow);
        }
        flows.values_mut().for_each(|flows| flows.sort_by_key(|flow| std::cmp::Reverse(flow.priority)));
        Self {
            program,
            written: written(program),
            flows,
            been: BTreeSet::new(),
            ends: BTreeSet::new(),
            is_asked: false,
            is_about_wrong: false,
            is_endless: false,
        }
    }

    /// What is known of packets that come to a table, match, and are taken by no flow above this priority.
    fn known(&self, table: TableId, highest: u16, matching: &Match) -> Known {
        let mut known = self.entering(table, matching).unwrap_or_default();
        known.learn(matching);
        // A switch shows the type of a second tag, and that only behind a first one.
        let takes_tags = |flow: &Flow| flow.instructions.apply.contains(&Action::PopVlan);
        let is_behind_tag = [TAG, SERVICE_TAG].iter().any(|tag| known.is(Field::EthType, *tag));
        if is_behind_tag && !self.program.flows.values().any(takes_tags) {
            known.write(Field::VlanTci, VLAN_PRESENT, VLAN_PRESENT);
        }
        let above = self.flows.get(&table).into_iter().flatten().filter(|of| of.priority > highest);
        known.not = above.filter(|of| known.may_fit(&of.matching)).map(|of| of.matching.clone()).collect();
        known
    }

    /// What all flows have matched or written that lead packets to a table which fit there; `None` if none does. Where packets come in
    /// nothing is written yet, and of what a table is only asked nothing is known.
    fn entering(&self, table: TableId, wanted: &Match) -> Option<Known> {
        if table == CLASSIFY {
            return Some(Known::nothing_written());
        }
        let leads =
            |action: &Action| matches!(action, Action::Resubmit { table: Some(of), .. } if *of == table);
        let tracks = |action: &Action| matches!(action, Action::Ct(ct) if ct.table == Some(table));
        let of_flows = self.program.flows.values().map(|flow| &flow.instructions.apply);
        let of_groups = self.program.groups.values().flat_map(|group| &group.buckets).map(|of| &of.actions);
        if of_flows.chain(of_groups).flatten().any(|action| leads(action) || tracks(action)) {
            return Some(Known::default());
        }
        let mut leading: BTreeMap<TableId, Vec<&Flow>> = BTreeMap::new();
        for flow in self.program.flows.values().filter(|flow| flow.instructions.goto_table == Some(table)) {
            leading.entry(flow.table).or_default().push(flow);
        }
        let all = leading.into_iter().flat_map(|(before, flows)| self.led(before, &flows, wanted));
        all.reduce(Known::common)
    }

    /// What is known behind each of a table's flows, if packets that fit can come from there.
    fn led(&self, table: TableId, flows: &[&Flow], wanted: &Match) -> Vec<Known> {
        let mut written = Bits::new();
        flows.iter().for_each(|flow| writes(&flow.instructions.apply, &self.written, &mut written));
        let is_kept = |term: &&Term| {
            words(term.field, 0, term.mask)
                .iter()
                .all(|(field, _, mask)| written.get(field).is_none_or(|of| of & mask == 0))
        };
        let kept = wanted.terms().iter().filter(is_kept);
        let kept = kept.fold(Match::new(), |kept, term| {
            kept.with_masked(term.field, Value(term.value), Value(term.mask))
        });
        let Some(entering) = self.entering(table, &kept) else { return Vec::new() };
        let led = flows.iter().filter(|flow| entering.may_fit(&flow.matching)).map(|flow| {
            let mut known = entering.clone();
            known.learn(&flow.matching);
            Self::of(&EMPTY).act(&flow.instructions.apply, &mut known);
            known
        });
        led.filter(|known| known.may_fit(wanted)).collect()
    }

    fn follow(&mut self, table: TableId, known: &Known) {
        let is_settled = self.is_about_wrong && (known.wrong.is_empty() || self.is_asked);
        if is_settled || self.is_endless || !self.been.insert((table, known.clone())) {
            return;
        }
        self.is_endless = self.been.len() > MAX_STEPS;
        let flows = self.flows.get(&table).cloned().unwrap_or_default();
        for flow in flows.into_iter().filter(|flow| known.may_fit(&flow.matching)) {
            let mut here = known.clone();
            here.learn(&flow.matching);
            // Others have taken these.
            if here.not.iter().any(|not| here.fits(not)) {
                continue;
            }
            // Whom a meter is for changes nothing while it lets all pass.
            self.is_asked |= ![QUESTION, AGENT].contains(&table) && known.is_wrong_in(&flow.matching);
            self.take(flow, here);
            if known.fits(&flow.matching) {
                return;
            }
        }
        // The end of a table without an end.
        self.ends.insert(End::Dropped(None));
    }

    fn take(&mut self, flow: &Flow, mut known: Known) {
        let instructions = &flow.instructions;
        self.act(&instructions.apply, &mut known);
        match instructions.goto_table {
            Some(next) => self.follow(next, &known),
            None if instructions.apply.is_empty() => {
                self.ends.insert(End::Dropped(purpose(flow)));
            }
            // Who has asked the table goes on with what it has written.
            None if !instructions.apply.iter().any(goes_on) => {
                self.ends.insert(End::Other);
            }
            None => {}
        }
    }

    fn act(&mut self, actions: &[Action], known: &mut Known) {
        actions.iter().for_each(|action| self.act_once(action, known));
    }

    fn act_once(&mut self, action: &Action, known: &mut Known) {
        match action {
            Action::SetField(set) => {
                for (field, value, mask) in words(set.field(), set.value(), set.mask()) {
                    known.write(field, value, mask);
                }
            }
            Action::Move { source, destination } => {
                self.is_asked |= bits(source).iter().any(|(field, mask)| known.is_wrong(*field, *mask));
                bits(destination).iter().for_each(|(field, mask)| known.overwrite(*field, *mask));
            }
            Action::Resubmit { table: Some(table), .. } => {
                self.follow(*table, known);
                let written = self.written.get(table).cloned().unwrap_or_default();
                written.iter().for_each(|(field, mask)| known.forget(*field, *mask));
            }
            Action::Group(id) => {
                let Some(group) = self.program.groups.get(id) else { return };
                // All ports are alive here, so the first bucket is taken.
                let taken = if group.kind == GroupType::FastFailover { 1 } else { group.buckets.len() };
                for bucket in group.buckets.iter().take(taken) {
                    self.act(&bucket.actions, &mut known.clone());
                }
            }
            Action::Clone(actions) => self.act(actions, &mut known.clone()),
            Action::Ct(ct) => {
                if ct.commit {
                    self.ends.insert(End::Other);
                }
                if let Some(table) = ct.table {
                    self.follow(table, &known.tracked(ct.nat.is_some()));
                }
            }
            Action::CtClear => known.forget_connection(),
            Action::Controller(asked) => {
                let question = Question::of_userdata(&asked.userdata);
                self.is_asked |= known.wrong.iter().any(|(field, mask)| is_told(question, *field, *mask));
                self.ends.insert(End::Other);
            }
            Action::Output { .. } => {
                self.is_asked |= known.is_wrong(Field::InPortNxm, u128::MAX);
                self.ends.insert(End::Other);
            }
            Action::OutputReg { source, .. } => {
                self.is_asked |= known.is_wrong(Field::InPortNxm, u128::MAX);
                self.is_asked |= bits(source).iter().any(|(field, mask)| known.is_wrong(*field, *mask));
                self.ends.insert(End::Other);
            }
            Action::CheckPktLarger { destination, .. } => {
                bits(destination).iter().for_each(|(field, mask)| known.overwrite(*field, *mask));
            }
            Action::DecTtl => known.forget(Field::IpTtl, u128::MAX),
            Action::PushVlan(_) | Action::PopVlan => known.forget_headers(),
            Action::Meter(_) => {}
            _ => {
                self.ends.insert(End::Other);
            }
        }
    }
}

/// Whether an agent that is asked this looks at bits of a field.
fn is_told(question: Option<Question>, field: Field, mask: u128) -> bool {
    // Such answers take the way of any packet; others go back by the port.
    let is_by_tables = matches!(
        question,
        Some(
            Question::TimeExceeded
                | Question::NoRoute
                | Question::HostUnreachable
                | Question::PortUnreachable
        )
    );
    // Gateways' agents ask the wire on their own behalf.
    let is_gateways = matches!(question, Some(Question::NextHop | Question::NeighbourFound));
    match field {
        Field::Reg(FLAGS) if is_gateways => false,
        Field::Reg(FLAGS) if is_by_tables => mask & u128::from(ROUTED) != 0,
        Field::Reg(FLAGS) => mask & u128::from(TOLD) != 0,
        Field::InPortNxm => !is_by_tables && !is_gateways,
        _ => true,
    }
}

/// Whether an action leads anywhere.
fn goes_on(action: &Action) -> bool {
    matches!(
        action,
        Action::Resubmit { .. }
            | Action::Group(_)
            | Action::Ct(_)
            | Action::Output { .. }
            | Action::OutputReg { .. }
            | Action::Controller(_)
    )
}

/// As what a flow counts what it drops.
fn purpose(flow: &Flow) -> Option<Purpose> {
    match Owner::of_cookie(flow.cookie) {
        Some(Owner::Base(purpose)) if purpose.drop_reason().is_some() => Some(purpose),
        _ => None,
    }
}
