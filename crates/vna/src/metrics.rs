//! Metrics: what has happened in the agent, counted, and how things are, for Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicI64;
use std::sync::{Mutex, PoisonError};

use dataplane::layout::Question;
use dataplane::{Delta, Program, Purpose};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use topology::InterfaceId;

/// Most interfaces whose overflowing queues are told apart; more are counted as one.
const MOST_OVERFLOWING: usize = 1000;

/// Stands for interfaces that are not told apart.
const OTHERS: &str = "others";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    question: String,
    answered: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sender {
    interface: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// Counts what happens.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    checks: Counter,
    repairs: Counter,
    repaired: Counter,
    changes: Counter,
    asked: Family<Asked, Counter>,
    overflowed: Family<Sender, Counter>,
    /// Interfaces that have a counter of their own there.
    overflowing: Mutex<BTreeSet<InterfaceId>>,
    flows: Gauge<i64, AtomicI64>,
    groups: Gauge<i64, AtomicI64>,
    meters: Gauge<i64, AtomicI64>,
    switch: Gauge<i64, AtomicI64>,
    manager: Gauge<i64, AtomicI64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("vna");
        macro_rules! registered {
            ($($name:ident: $type:ty = $metric:literal, $help:literal;)*) => {
                $(let $name = <$type>::default();
                registry.register($metric, $help, $name.clone());)*
            };
        }
        registered! {
            checks: Counter = "checks", "Times that the switch was read, to see whether it is as it should be";
            repairs: Counter = "repairs", "Checks that found something to put right";
            repaired: Counter = "repaired_entries", "Flows, groups and meters that checks have put right";
            changes: Counter = "changed_entries", "Flows, groups and meters that changes of the topology or of ports have changed";
            asked: Family<Asked, Counter> = "packet_ins", "Packets that the switch has asked about";
            overflowed: Family<Sender, Counter> = "packet_ins_dropped", "Packets for the agent that were dropped because too many of one interface waited";
            flows: Gauge = "flows", "Flows that the switch shall have";
            groups: Gauge = "groups", "Groups that the switch shall have";
            meters: Gauge = "meters", "Meters that the switch shall have";
            switch: Gauge = "switch_connected", "Whether the switch is connected";
            manager: Gauge = "manager_connected", "Whether a manager is connected";
        }
        Self {
            registry,
            checks,
            repairs,
            repaired,
            changes,
            asked,
            overflowed,
            overflowing: Mutex::default(),
            flows,
            groups,
            meters,
            switch,
            manager,
        }
    }
}

impl Metrics {
    /// What was counted.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The switch was read, and differed by this much.
    pub(crate) fn checked(&self, difference: &Delta) {
        self.checks.inc();
        if !difference.is_empty() {
            self.repairs.inc();
            self.repaired.inc_by(u64::try_from(difference.len()).unwrap_or(u64::MAX));
        }
    }

    /// The switch has followed a change.
    pub(crate) fn followed(&self, difference: &Delta) {
        self.changes.inc_by(u64::try_from(difference.len()).unwrap_or(u64::MAX));
    }

    /// This is what the switch shall have.
    pub(crate) fn wanted(&self, program: &Program) {
        self.flows.set(program.flows.len().try_into().unwrap_or(i64::MAX));
        self.groups.set(program.groups.len().try_into().unwrap_or(i64::MAX));
        self.meters.set(program.meters.len().try_into().unwrap_or(i64::MAX));
    }

    /// The switch has asked about a packet.
    pub(crate) fn asked(&self, question: Option<Question>, answered: bool) {
        let question = question.map_or_else(|| "unknown".to_owned(), |question| format!("{question:?}"));
        let labels = Asked { question, answered: answered.to_string() };
        self.asked.get_or_create(&labels).inc();
    }

    /// A packet was dropped because too many of its interface waited; `None` if it is not known.
    pub(crate) fn overflowed(&self, interface: Option<&InterfaceId>) {
        let known = interface.filter(|interface| {
            let mut overflowing = self.overflowing.lock().unwrap_or_else(PoisonError::into_inner);
            overflowing.contains(interface)
                || overflowing.len() < MOST_OVERFLOWING && overflowing.insert((*interface).clone())
        });
        let interface = known.map_or_else(|| OTHERS.to_owned(), ToString::to_string);
        self.overflowed.get_or_create(&Sender { interface }).inc();
    }

    /// The switch is connected, or not.
    pub(crate) fn switch_connected(&self, connected: bool) {
        self.switch.set(connected.into());
    }

    /// A manager is connected, or not.
    pub(crate) fn manager_connected(&self, connected: bool) {
        self.manager.set(connected.into());
    }

    /// Whether the switch is connected.
    pub(crate) fn is_switch_connected(&self) -> bool {
        self.switch.get() == 1
    }
}

/// Packets that the switch has dropped, by reason, as it has counted them.
pub(crate) fn drops(registry: &mut Registry, drops: &BTreeMap<Purpose, u64>) {
    let family = Family::<Reason, Counter>::default();
    for (purpose, packets) in drops {
        let Some(reason) = purpose.drop_reason() else { continue };
        family.get_or_create(&Reason { reason }).inc_by(*packets);
    }
    registry.register("dropped_packets", "Packets that the switch has dropped since it started", family);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).expect("a text takes everything");
        text
    }

    #[track_caller]
    fn check(registry: &Registry, line: &str) {
        let text = text(registry);
        assert!(text.lines().any(|of| of == line), "{line} is not in\n{text}");
    }

    #[test]
    fn a_check_that_finds_nothing_is_no_repair() {
        let metrics = Metrics::default();
        metrics.checked(&Delta::default());
        metrics.checked(&Delta { delete_groups: vec![openflow::GroupId(1)], ..Delta::default() });
        check(metrics.registry(), "vna_checks_total 2");
        check(metrics.registry(), "vna_repairs_total 1");
        check(metrics.registry(), "vna_repaired_entries_total 1");
    }

    #[test]
    fn questions_are_told_apart_by_what_became_of_them() {
        let metrics = Metrics::default();
        metrics.asked(Some(Question::TooBig), true);
        metrics.asked(Some(Question::TooBig), false);
        metrics.asked(None, false);
        check(metrics.registry(), "vna_packet_ins_total{question=\"TooBig\",answered=\"true\"} 1");
        check(metrics.registry(), "vna_packet_ins_total{question=\"TooBig\",answered=\"false\"} 1");
        check(metrics.registry(), "vna_packet_ins_total{question=\"unknown\",answered=\"false\"} 1");
    }

    #[test]
    fn packets_that_do_not_fit_are_counted_for_a_bounded_number_of_interfaces() {
        let metrics = Metrics::default();
        let interface = |number: usize| format!("if-{number}").parse::<InterfaceId>().expect("an id");
        for number in (0..MOST_OVERFLOWING + 3).chain([0]) {
            metrics.overflowed(Some(&interface(number)));
        }
        metrics.overflowed(None);
        check(metrics.registry(), "vna_packet_ins_dropped_total{interface=\"if-0\"} 2");
        check(metrics.registry(), "vna_packet_ins_dropped_total{interface=\"others\"} 4");
    }

    #[test]
    fn drops_have_the_reasons_that_operators_know() {
        let mut registry = Registry::with_prefix("vna");
        drops(&mut registry, &BTreeMap::from([(Purpose::SourceAddress, 7), (Purpose::Pipeline, 9)]));
        check(&registry, "vna_dropped_packets_total{reason=\"source address not leased\"} 7");
        assert!(!text(&registry).contains(" 9"), "what goes on was not dropped");
    }
}
