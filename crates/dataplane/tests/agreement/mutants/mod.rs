//! Flows made wrong, one at a time: whether the comparison notices.
//!
//! Of a random topology's flows some are chosen, from every table that the scene's packets come to, and of every kind of owner, with the same chance, and made wrong (`wrong`). The scene's
//! packets are sent again, and after them such as are made from the flow's match ([`crate::packets`], `aimed`), until the walk and
//! the switches disagree. What the right flows disagree about too is no catch but a bug of either side, and told as one; in each scene
//! some packets are aimed where nothing is wrong, to find such. What nobody notices is listed, with the reason if there is one:
//! - a rule over the flows of the table says that no packet can tell (`rules`);
//! - none of the packets meets the flow, right as it is.

mod course;
mod known;
mod rules;
mod tally;
mod written;
mod wrong;

use std::collections::BTreeSet;
use std::sync::Mutex;

use dataplane::layout::*;
use dataplane::{FlowKey, Program};
use openflow::{Field, Flow, Match, TableId, Term, Value};
use topology::InterfaceKey;
use topology::walk::{Content, Packet};

use crate::campaign::{PACKETS, everywhere, first_topology};
use crate::fleet::{Fleet, HOSTS};
use crate::packets::{Aim, Author};
use crate::random::Random;
use crate::scene::{Scene, Stage, Story};
use crate::{shrink, topologies};

use tally::Fate;
pub(crate) use tally::Tally;
use wrong::{Fault, Mutant};

/// Mutants of one scene.
const MUTANTS: usize = 12;

/// After so many of these it is looked whether one has met the flow.
const CHUNK: usize = 40;

/// Disagreements where nothing is wrong that are made small.
const MAX_SHRUNK: usize = 4;

/// Tries so many mutants, with so many packets aimed at each before it is let go.
pub(crate) fn hunt(seed: u64, count: usize, patience: usize) -> Tally {
    let tally = Mutex::new(Tally::begin(count, first_topology()));
    everywhere(|fleet| {
        loop {
            let Some((number, mutants)) = tally.lock().expect("no panic").next() else { break };
            let mut random = Random::of(seed, number);
            let tried = match Lab::of(fleet, number, &mut random, patience) {
                Some(mut lab) => {
                    lab.control(&tally);
                    (0..mutants).take_while(|_| lab.try_one(&tally)).count()
                }
                None => 0,
            };
            tally.lock().expect("no panic").lacking += mutants - tried;
        }
    });
    tally.into_inner().expect("no panic")
}

/// A scene about which the walk and the switches agree, and what its switches hold.
struct Lab<'a> {
    fleet: &'a mut Fleet,
    /// The scene's number.
    number: u64,
    /// By which flows are chosen and made wrong: always the same ones, however many packets are aimed at them.
    choices: Random,
    random: Random,
    stage: Stage,
    scene: Scene,
    /// Packets that are aimed at a flow.
    patience: usize,
    /// What its packets meet.
    met: Vec<(u8, FlowKey)>,
}

impl<'a> Lab<'a> {
    fn of(fleet: &'a mut Fleet, number: u64, random: &mut Random, patience: usize) -> Option<Self> {
        let scene = topologies::any(random);
        let stage = Stage::of(&scene);
        // Flows that stay would keep their counters.
        fleet.install(|_| Program::default()).ok()?;
        let mut story = Story::on(fleet, &stage, scene).ok()?;
        let mut author = Author::new(random.clone());
        for _ in 0..PACKETS {
            let sent = author.next(&story)?;
            story.go_on(fleet, sent).ok()?;
            author.learn(&story);
        }
        let met = (0..HOSTS).flat_map(|host| fleet.met(host).into_iter().map(move |key| (host, key)));
        let (met, scene) = (met.collect(), story.scene().clone());
        let (choices, random) = (random.clone(), random.clone());
        Some(Self { fleet, number, choices, random, stage, scene, patience, met })
    }

    /// Makes a flow wrong, and sees. False if the switch refuses so wrong a flow.
    fn try_one(&mut self, tally: &Mutex<Tally>) -> bool {
        let mutant = self.choose();
        let program = &self.stage.programs[&mutant.host];
        if let Some(why) = rules::equivalent(program, &mutant) {
            tally.lock().expect("no panic").note(self.number, &mutant, Fate::Unnoticed(Some(why)));
            return true;
        }
        let mut sick = self.stage.clone();
        mutant.infect(sick.programs.get_mut(&mutant.host).expect("a host"));
        let Ok(noticed) = self.is_noticed(&sick, &mutant, tally) else { return false };
        let fate = match noticed {
            true => Fate::Caught,
            false => Fate::Unnoticed(self.never_met(&mutant)),
        };
        tally.lock().expect("no panic").note(self.number, &mutant, fate);
        true
    }

    /// A mutant of a flow of some table that packets come to on some host.
    fn choose(&mut self) -> Mutant {
        let host = u8::try_from(self.choices.below(usize::from(HOSTS))).expect("few");
        let program = &self.stage.programs[&host];
        let here = self.met.iter().filter(|(of, _)| *of == host);
        let mut tables: Vec<_> = here.map(|(_, key)| key.table).collect();
        tables.sort_unstable();
        tables.dedup();
        let table = *self.choices.pick(&tables);
        let flows = || program.flows.values().filter(|flow| flow.table == table);
        // The high byte of a cookie says of what kind its owner is.
        let kind = |flow: &Flow| flow.cookie.0 >> 56;
        let kinds: BTreeSet<_> = flows().map(kind).collect();
        let kinds: Vec<_> = kinds.into_iter().collect();
        let chosen = *self.choices.pick(&kinds);
        let flows: Vec<&Flow> = flows().filter(|flow| kind(flow) == chosen).collect();
        let flow = *self.choices.pick(&flows);
        Mutant::of(host, program, flow, &mut self.choices)
    }

    /// Aims at a flow that nothing is wrong with.
    fn control(&mut self, tally: &Mutex<Tally>) {
        let (mutant, right) = (self.choose(), self.stage.clone());
        let mut story = Story::on(self.fleet, &right, self.scene.clone()).expect("what it has taken");
        let mut author = Author::new(self.random.clone());
        if !(0..CHUNK).all(|_| self.aim(&mut story, &mut author, &mutant)) {
            self.alarm(story.scene(), tally);
        }
    }

    /// Tells of what disagrees also where nothing is wrong.
    fn alarm(&mut self, scene: &Scene, tally: &Mutex<Tally>) {
        let is_enough = tally.lock().expect("no panic").alarms.len() >= MAX_SHRUNK;
        let small = if is_enough { String::new() } else { shrink::smallest(self.fleet, scene) };
        tally.lock().expect("no panic").alarms.push(format!("topology {}: {small}", self.number));
    }

    /// Whether the scene's packets show it, or such as are aimed at it. An error if the switch refuses it.
    fn is_noticed(&mut self, sick: &Stage, mutant: &Mutant, tally: &Mutex<Tally>) -> Result<bool, ()> {
        let mut losers = mutant.losers(&self.stage.programs[&mutant.host]).into_iter();
        if losers.any(|of| self.met.contains(&(mutant.host, FlowKey::from(of)))) {
            let mut story = Story::on(self.fleet, sick, self.scene.clone()).map_err(drop)?;
            if self.scene.sent.iter().any(|sent| story.go_on(self.fleet, sent.clone()).is_err()) {
                return Ok(true);
            }
        }
        let mut story = Story::on(self.fleet, sick, self.scene.clone()).map_err(drop)?;
        let mut author = Author::new(self.random.clone());
        for _ in 0..self.patience {
            if self.aim(&mut story, &mut author, mutant) {
                continue;
            }
            let scene = story.scene().clone();
            if Story::replay(self.fleet, &self.stage, &scene).is_ok() {
                return Ok(true);
            }
            self.alarm(&scene, tally);
            story = Story::on(self.fleet, sick, self.scene.clone()).map_err(drop)?;
        }
        Ok(false)
    }

    /// Sends a packet that may meet the flow. Whether the walk and the switches agree about it.
    fn aim(&mut self, story: &mut Story, author: &mut Author, mutant: &Mutant) -> bool {
        let losers = mutant.losers(&self.stage.programs[&mutant.host]);
        let loser = self.random.any(&losers).copied().map(FlowKey::from);
        let FlowKey { table, matching, .. } = loser.unwrap_or_else(|| mutant.shown_by.clone());
        // What matches something else loses what it should match, which shows it, too.
        let chance = if mutant.fault == Fault::Mask { 60 } else { 40 };
        let beyond = mutant.beyond.clone().filter(|_| self.random.percent(chance));
        let matching = beyond.unwrap_or(matching);
        let matching = self.as_another_wants(mutant.host, table, matching);
        let (table, matching) = as_it_began(table, &matching);
        let is_tunnels = table == CLASSIFY
            && [Field::TunSrc, Field::TunIpv6Src].iter().any(|of| matching.get(*of).is_some());
        // What a tunnel brings for a leg is to be translated.
        let is_legs = mutant.flow.instructions.goto_table == Some(TRANSLATE_IN);
        let table = match () {
            () if is_tunnels => TUNNEL_IN,
            () if is_legs => TRANSLATE_IN,
            () => table,
        };
        let aim = Aim { host: mutant.host, table, matching };
        let Some(sent) = author.aimed(story, &aim) else { return true };
        let agrees = story.go_on(self.fleet, sent).is_ok();
        author.learn(story);
        agrees
    }

    /// Sometimes also what a filter's and a group's flow wants that let packets on, so that what the flow does to a packet is not undone by
    /// a refusal.
    fn as_another_wants(&mut self, host: u8, table: TableId, matching: Match) -> Match {
        let (judges, subject): (&[&[TableId]], _) = match table {
            _ if (TRACK_OUT..=REFUSED_OUT).contains(&table) => {
                (&[&[FILTER_OUT], &[GROUP_OUT, GROUP_TO]], Some(SOURCE_INTERFACE))
            }
            TUNNEL_IN => (&[&[GROUP_IN], &[FILTER_IN]], None),
            _ if (DELIVER..=REFUSED_IN).contains(&table) => {
                (&[&[FILTER_IN], &[GROUP_IN]], Some(DESTINATION_INTERFACE))
            }
            _ => return matching,
        };
        judges.iter().fold(matching, |matching, tables| self.as_one_wants(host, tables, subject, matching))
    }

    /// The same, of one flow of some tables.
    fn as_one_wants(&mut self, host: u8, judges: &[TableId], subject: Option<u8>, matching: Match) -> Match {
        let key = subject.and_then(|register| matching.get(Field::Reg(register)));
        let key = key.and_then(|term| u32::try_from(term.value).ok()).map(InterfaceKey);
        let subject_of = key.and_then(|key| self.stage.topology.interface_of_key(key));
        let identity = subject_of.and_then(|of| of.identity).map(|key| u128::from(key.0));
        // Only rules of groups that whom the flow is about is in.
        let is_its = |of: &Flow| {
            let (field, shift) = match subject {
                Some(SOURCE_INTERFACE) => (Field::Reg(FLAGS), IDENTITY_BIT),
                _ => (Field::Reg(DESTINATION_IDENTITY), 0),
            };
            let is_groups = ![FILTER_OUT, FILTER_IN].contains(&of.table);
            let wanted = of
                .matching
                .get(field)
                .map(|term| (term.value >> shift) & u128::from(IDENTITY >> IDENTITY_BIT));
            !is_groups || key.is_none() || identity.is_none() || wanted == identity
        };
        let lets_on = |of: &Flow| {
            let next = of.instructions.goto_table;
            next.is_some_and(|next| ![REFUSED_OUT, REFUSED_IN].contains(&next)) && !of.matching.is_empty()
        };
        let is_packets = |term: &Term| ![Field::CtState, Field::Reg(FLAGS)].contains(&term.field);
        let flows = self.stage.programs[&host].flows.values();
        let flows = flows.filter(|of| judges.contains(&of.table) && is_its(of) && lets_on(of));
        let fitting = flows.filter(|of| {
            let mut both = of.matching.terms().iter().filter(|term| is_packets(term));
            both.all(|term| {
                matching
                    .get(term.field)
                    .is_none_or(|own| (own.value ^ term.value) & own.mask & term.mask == 0)
            })
        });
        let mut fitting: Vec<_> = fitting.collect();
        // What a tunnel says of its sender shows where somebody asks for that.
        let asks = |of: &&Flow| of.matching.get(Field::Reg(FLAGS)).is_some();
        if subject.is_none() && fitting.iter().any(asks) {
            fitting.retain(asks);
        }
        let Some(judge) = self.random.any(&fitting).copied().filter(|_| self.random.percent(75)) else {
            return matching;
        };
        let wanted = judge.matching.terms().iter().filter(|term| matching.get(term.field).is_none());
        let wanted: Vec<_> = wanted.copied().collect();
        wanted.into_iter().fold(matching, |matching, term| {
            matching.with_masked(term.field, Value(term.value), Value(term.mask))
        })
    }

    /// Why no packet meets the flow also where nothing is wrong; `None` if one does.
    fn never_met(&mut self, mutant: &Mutant) -> Option<&'static str> {
        let program = &self.stage.programs[&mutant.host];
        // What a flow takes in addition, one beside it would take; and of what it takes, one above it what is lost makes no difference to.
        let (probe, idle) = (mutant.probe(program), mutant.idle(program));
        let is_idle = idle.is_some();
        let sought: BTreeSet<_> = match &probe {
            Some(probe) => BTreeSet::from([FlowKey::from(probe)]),
            None => mutant.losers(program).into_iter().map(FlowKey::from).collect(),
        };
        let is_met = |met: &[(u8, FlowKey)]| {
            met.iter().any(|(host, key)| *host == mutant.host && sought.contains(key))
        };
        if is_met(&self.met) && mutant.shown_by.table != TUNNEL_OUT && !is_idle {
            return None;
        }
        let mut stage = self.stage.clone();
        let program = stage.programs.get_mut(&mutant.host).expect("a host");
        program.flows.extend(probe.into_iter().chain(idle).map(|probe| (FlowKey::from(&probe), probe)));
        self.fleet.install(|_| Program::default()).expect("nothing to refuse");
        let mut story = Story::on(self.fleet, &stage, self.scene.clone()).ok()?;
        let mut author = Author::new(self.random.clone());
        let mut is_too_big = false;
        for _ in 0..self.patience / CHUNK {
            (0..CHUNK).for_each(|_| {
                self.aim(&mut story, &mut author, mutant);
                is_too_big |= story.is_too_big() && self.is_taken_by(&story, mutant);
            });
            // Open vSwitch credits the flows behind `check_pkt_larger` with every packet, whatever the answer.
            if mutant.shown_by.table == TUNNEL_OUT && !is_too_big {
                continue;
            }
            let met: Vec<_> = self.fleet.met(mutant.host).into_iter().map(|key| (mutant.host, key)).collect();
            if is_met(&met) {
                return None;
            }
        }
        Some(match is_idle {
            true => "no packet meets it: of those that do, what is lost would change none",
            false => "no packet meets it: none of those that come to its table fits it",
        })
    }

    /// Whether the last packet's header is such as the flow takes, and none above it in its table.
    fn is_taken_by(&self, story: &Story, mutant: &Mutant) -> bool {
        let Some(sent) = story.scene().sent.last() else { return false };
        let fits = |matching: &Match| matching.terms().iter().all(|term| header_fits(&sent.packet, term));
        let flows = self.stage.programs[&mutant.host].flows.values();
        let mut above =
            flows.filter(|of| of.table == mutant.shown_by.table && of.priority > mutant.shown_by.priority);
        fits(&mutant.shown_by.matching) && !above.any(|of| fits(&of.matching))
    }
}

/// Whether a packet may be what a match says of its Ethernet header.
fn header_fits(packet: &Packet, term: &Term) -> bool {
    match term.field {
        Field::EthType => {
            term.value
                == match &packet.content {
                    Content::Arp(_) => 0x0806,
                    Content::Ip(ip) if ip.is_ipv4() => 0x0800,
                    Content::Ip(_) => 0x86dd,
                    Content::Other { ether_type } => u128::from(*ether_type),
                }
        }
        Field::EthDst => {
            let [a, b, c, d, e, f] = packet.destination.0;
            (u128::from(u64::from_be_bytes([0, 0, a, b, c, d, e, f])) ^ term.value) & term.mask == 0
        }
        _ => true,
    }
}

/// What trackers remember of who began a connection: somebody else than the guest that they are for, or that guest.
const BEGUN_BY_OTHERS: u128 = 1;
const BEGUN_HERE: u128 = 2;

/// What the first packet of a connection matched, and where, if a flow is about answers. These are sent once it has arrived.
fn as_it_began(table: TableId, matching: &Match) -> (TableId, Match) {
    let mark = matching.get(Field::CtMark).map(|term| term.value);
    let other = |table: TableId, from: TableId, to: TableId| TableId(table.0 - from.0 + to.0);
    let table = match mark {
        Some(BEGUN_BY_OTHERS) if (TRACK_OUT..=COMMIT_OUT).contains(&table) => {
            other(table, TRACK_OUT, TRACK_IN)
        }
        Some(BEGUN_HERE) if (TRACK_IN..=COMMIT_IN).contains(&table) => other(table, TRACK_IN, TRACK_OUT),
        Some(BEGUN_HERE) if table == TUNNEL_IN => TRACK_OUT,
        _ => return (table, matching.clone()),
    };
    let turned = matching.terms().iter().fold(Match::new(), |turned, term| {
        let (field, shift) = match term.field {
            Field::Reg(SOURCE_INTERFACE) => (Field::Reg(DESTINATION_INTERFACE), 0),
            Field::Reg(DESTINATION_INTERFACE) => (Field::Reg(SOURCE_INTERFACE), 0),
            Field::Reg(DESTINATION_IDENTITY) => (Field::Reg(FLAGS), IDENTITY_BIT),
            Field::Reg(FLAGS) if term.mask & u128::from(IDENTITY) != 0 => {
                let identity = (term.value & u128::from(IDENTITY)) >> IDENTITY_BIT;
                return turned.with_masked(
                    Field::Reg(DESTINATION_IDENTITY),
                    Value(identity),
                    Value(u128::from(u32::MAX)),
                );
            }
            // Whom it answers may be anybody, and it comes by no tunnel.
            Field::Reg(FLAGS) | Field::CtMark | Field::CtState | OPTION => return turned,
            other => (other, 0),
        };
        let mask = if shift == 0 { term.mask } else { u128::from(IDENTITY) };
        turned.with_masked(field, Value(term.value << shift), Value(mask))
    });
    (table, turned)
}
