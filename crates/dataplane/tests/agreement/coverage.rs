//! What the comparisons were about, so that nobody takes a thousand dropped packets for an agreement.

use std::collections::BTreeMap;
use std::fmt;

use topology::walk::{Content, Decision, Fragment, Outcome, Reason};

use crate::scene::Story;

/// How many pairs were about what.
#[derive(Default)]
pub(crate) struct Coverage {
    counts: BTreeMap<&'static str, usize>,
}

/// What has to be covered, in pairs of ten thousand.
const LEAST: [(&str, usize); 17] = [
    ("address resolution", 150),
    ("broadcast or multicast", 150),
    ("delivered", 1000),
    ("dropped by a filter", 50),
    ("dropped by groups", 50),
    ("answered by the network", 300),
    ("allowed by groups", 100),
    ("fragments", 50),
    ("IPv4", 2000),
    ("IPv6", 1000),
    ("passed by a filter", 100),
    ("replies of tracked connections", 40),
    ("routed", 300),
    ("spoofed", 150),
    ("to another host", 500),
    ("to or from a wire", 100),
    ("translated", 60),
];

impl Coverage {
    /// Counts the last packet of a story.
    pub(crate) fn note(&mut self, story: &Story) {
        let Some(sent) = story.scene().sent.last() else { return };
        let mut about = Vec::new();
        match &sent.packet.content {
            Content::Ip(ip) if ip.is_ipv4() => about.push("IPv4"),
            Content::Ip(_) => about.push("IPv6"),
            Content::Arp(_) | Content::Other { .. } => {}
        }
        if sent.packet.ip().is_some_and(|ip| ip.fragment != Fragment::Whole) {
            about.push("fragments");
        }
        if sent.packet.destination.is_multicast() {
            about.push("broadcast or multicast");
        }
        about.extend(story.walk.steps.iter().filter_map(|step| of_step(&step.what)));
        about.extend(story.walk.outcomes.iter().filter_map(of_outcome));
        if is_resolution(&sent.packet.content) {
            about.push("address resolution");
        }
        about.sort_unstable();
        about.dedup();
        for what in about {
            *self.counts.entry(what).or_default() += 1;
        }
    }

    /// Counts what others have counted, too.
    pub(crate) fn add(&mut self, other: &Self) {
        other.counts.iter().for_each(|(what, count)| *self.counts.entry(what).or_default() += count);
    }

    /// Whether nothing was left out.
    pub(crate) fn is_enough(&self, pairs: usize) {
        let lacking: Vec<_> = LEAST
            .iter()
            .filter(|(what, least)| self.counts.get(what).copied().unwrap_or(0) * 10_000 < least * pairs)
            .collect();
        assert!(lacking.is_empty(), "too few pairs are about {lacking:?}");
    }
}

fn is_resolution(content: &Content) -> bool {
    match content {
        Content::Arp(_) => true,
        Content::Ip(ip) => matches!(ip.icmp(), Some((135 | 136, _))) && !ip.is_ipv4(),
        Content::Other { .. } => false,
    }
}

fn of_step(decision: &Decision) -> Option<&'static str> {
    match decision {
        Decision::Routed { .. } => Some("routed"),
        Decision::Translated { .. } => Some("translated"),
        Decision::Crosses { .. } => Some("to another host"),
        Decision::FilterPasses { .. } => Some("passed by a filter"),
        Decision::GroupAllows { .. } => Some("allowed by groups"),
        Decision::Tracked { known: Some(_) } => Some("replies of tracked connections"),
        Decision::ToWire => Some("to or from a wire"),
        _ => None,
    }
}

fn of_outcome(outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Delivered { .. } => Some("delivered"),
        Outcome::Answered { .. } => Some("answered by the network"),
        Outcome::OnWire { .. } => Some("to or from a wire"),
        Outcome::Undecided { .. } => Some("shared by next hops"),
        Outcome::Dropped { reason, .. } => match reason {
            Reason::SourceMac | Reason::SourceAddress | Reason::FalseSender | Reason::Pretender => {
                Some("spoofed")
            }
            Reason::FilteredIn | Reason::FilteredOut => Some("dropped by a filter"),
            Reason::NotAllowedIn | Reason::NotAllowedOut => Some("dropped by groups"),
            _ => None,
        },
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts.iter().try_for_each(|(what, count)| writeln!(f, "{count:8} {what}"))
    }
}
