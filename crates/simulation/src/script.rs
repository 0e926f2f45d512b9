//! Scripts: what happens in a history, drawn beforehand, so that a history can be repeated, cut short and thinned out.

use crate::random::Random;

/// How many events a history has.
const EVENTS: usize = 140;

/// Something that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) what: What,
    /// Decides all about it that is not said, whatever has happened before.
    pub(crate) dice: u64,
}

/// Kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    // What goes on all the time.
    Host,
    Manager,
    Ask,
    Plug,
    Unplug,
    Underlay,
    // What goes wrong.
    CutConnection,
    CutOff,
    Reconnect,
    CrashManager,
    StartManager,
    TakeOver,
    RestoreBackup,
    BreakStore,
    SetClock,
    CrashAgent,
    StartAgent,
    RestartSwitch,
    BreakBundle,
    Tamper,
}

/// How often each kind comes, against the others.
const WEIGHTS: [(What, usize); 20] = [
    (What::Host, 50),
    (What::Manager, 40),
    (What::Ask, 24),
    (What::Plug, 10),
    (What::Unplug, 3),
    (What::Underlay, 1),
    (What::CutConnection, 5),
    (What::CutOff, 2),
    (What::Reconnect, 3),
    (What::CrashManager, 2),
    (What::StartManager, 4),
    (What::TakeOver, 2),
    (What::RestoreBackup, 1),
    (What::BreakStore, 2),
    (What::SetClock, 1),
    (What::CrashAgent, 6),
    (What::StartAgent, 4),
    (What::RestartSwitch, 2),
    (What::BreakBundle, 3),
    (What::Tamper, 2),
];

/// How many of [`WEIGHTS`] are no faults.
const HARMLESS: usize = 6;

/// The events of a history. Each history leaves out some faults altogether, so that others have room to do harm.
pub(crate) fn draw(random: &mut Random) -> Vec<Event> {
    let kept: Vec<_> = WEIGHTS
        .iter()
        .enumerate()
        .filter(|(n, _)| *n < HARMLESS || random.percent(60))
        .flat_map(|(_, (what, weight))| std::iter::repeat_n(*what, *weight))
        .collect();
    let event = |random: &mut Random| Event {
        what: kept.get(random.below(kept.len())).copied().unwrap_or(What::Host),
        dice: random.number(),
    };
    (0..EVENTS).map(|_| event(random)).collect()
}
