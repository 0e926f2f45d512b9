//! A comparison of many topologies, by several fleets at once. What happens in each depends on the seed and its number alone.

use std::num::NonZero;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::coverage::Coverage;
use crate::fleet::Fleet;
use crate::packets::Author;
use crate::random::Random;
use crate::scene::{Scene, Story};
use crate::{setting, shrink, topologies};

/// Packets in one topology.
pub(crate) const PACKETS: usize = 60;

/// Disagreements that are made small. More of them are likely to be the same ones.
const MAX_SHRUNK: usize = 8;

/// Most fleets: three switches each, which wait for one another most of the time.
const MAX_FLEETS: usize = 4;

/// What was found, and what is still to be done.
#[derive(Default)]
pub(crate) struct Findings {
    /// Pairs of a topology and a packet that were compared.
    pub(crate) pairs: usize,
    /// Topologies in which the walk and the switches did not agree.
    pub(crate) disagreements: usize,
    pub(crate) coverage: Coverage,
    /// The number of the next topology.
    next: u64,
    /// Packets that are still to be sent.
    lacking: usize,
}

impl Findings {
    /// The next topology, and how many packets to send in it.
    fn next(&mut self) -> Option<(u64, usize)> {
        let packets = PACKETS.min(self.lacking);
        let number = self.next;
        (self.lacking, self.next) = (self.lacking - packets, number + 1);
        (packets > 0).then_some((number, packets))
    }
}

/// Compares so many pairs, or as many as the time allows.
pub(crate) fn compare(seed: u64, pairs: usize, limit: Option<Duration>) -> Findings {
    let begin = Instant::now();
    let findings = Mutex::new(Findings { lacking: pairs, next: first_topology(), ..Findings::default() });
    everywhere(|fleet| {
        while limit.is_none_or(|limit| begin.elapsed() < limit) {
            let Some((number, packets)) = findings.lock().expect("no panic").next() else { break };
            let compared = compare_one(fleet, (seed, number), packets, &findings);
            // A topology may have nobody to send, and ends where it disagrees: another makes up for it.
            findings.lock().expect("no panic").lacking += packets - compared;
        }
    });
    findings.into_inner().expect("no panic")
}

/// The number of the first topology: another one to look at one by itself.
pub(crate) fn first_topology() -> u64 {
    setting("AGREEMENT_FIRST").unwrap_or_default()
}

/// Has fleets work side by side.
pub(crate) fn everywhere(work: impl Fn(&mut Fleet) + Sync) {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..MAX_FLEETS.min(processors + 1) {
            scope.spawn(|| work(&mut Fleet::start()));
        }
    });
}

/// Compares a topology and so many packets. Gives how many it has compared.
fn compare_one(
    fleet: &mut Fleet,
    (seed, number): (u64, u64),
    packets: usize,
    findings: &Mutex<Findings>,
) -> usize {
    let mut random = Random::of(seed, number);
    let scene = Scene { sent: Vec::new(), ..topologies::any(&mut random) };
    let (mut story, mut author) = (Story::begin(fleet, scene), Author::new(random));
    let mut coverage = Coverage::default();
    let mut compared = 0;
    let mut difference = None;
    while compared < packets && difference.is_none() {
        let Some(sent) = author.next(&story) else { break };
        difference = story.go_on(fleet, sent).err();
        compared += 1;
        coverage.note(&story);
        author.learn(&story);
    }
    let earlier = {
        let mut findings = findings.lock().expect("no panic");
        findings.pairs += compared;
        findings.coverage.add(&coverage);
        findings.disagreements += usize::from(difference.is_some());
        findings.disagreements
    };
    if let Some(difference) = difference {
        let small = (earlier <= setting("AGREEMENT_SHRUNK").unwrap_or(MAX_SHRUNK))
            .then(|| format!("\nas small as it goes:\n{}", shrink::smallest(fleet, story.scene())));
        println!("seed {seed}, topology {number}:\n{difference}{}", small.unwrap_or_default());
    }
    compared
}
