//! Flows made wrong, one at a time: whether the comparison notices.
//!
//! A mutant is a flow that a scene's packets have met, taken away, or with another port or tunnel address than it should have. The
//! scene is played again on the mutated switches, and goes on for a while. What survives is listed: either it makes no difference to any packet (it
//! only says why something is dropped, or another flow does the same), or the scene's packets are too few.

use std::fmt::Write as _;

use dataplane::layout::{AGENT, LOG, QUESTION, TUNNEL_OUT};
use dataplane::{FlowKey, Owner, Program};
use openflow::{Action, Field, Flow, Instructions};

use crate::campaign::PACKETS;
use crate::fleet::{Fleet, HOSTS, PORTS, port_number};
use crate::packets::Author;
use crate::random::Random;
use crate::scene::{Scene, Story};
use crate::switch::underlay_ipv4;
use crate::topologies;

/// Mutants of one scene.
const MUTANTS: usize = 3;

/// Packets after which a mutant that nobody has noticed is let go.
const MORE: usize = 200;

/// What became of mutants.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) caught: usize,
    pub(crate) survivors: String,
    pub(crate) survived: usize,
}

/// Tries so many mutants.
pub(crate) fn hunt(fleet: &mut Fleet, seed: u64, count: usize) -> Tally {
    let mut tally = Tally::default();
    for number in 0.. {
        if tally.caught + tally.survived >= count {
            break;
        }
        let mut random = Random::of(seed, number);
        let Some(scene) = agreed(fleet, &mut random) else { continue };
        let met: Vec<_> =
            (0..HOSTS).flat_map(|host| fleet.met(host).into_iter().map(move |key| (host, key))).collect();
        for _ in 0..MUTANTS {
            let Some((host, key)) = random.any(&met).cloned() else { break };
            let mut told = None;
            let mutate = |of: u8, program: &mut Program| {
                if of == host {
                    told = mutated(program, &key, &mut random.clone());
                }
            };
            let played = Story::play_with(fleet, &scene, mutate);
            let noticed = match played {
                Ok(story) => is_noticed_later(fleet, story, random.clone()),
                Err(_) => true,
            };
            let _ = random.percent(50);
            let Some(told) = told else { continue };
            match noticed {
                true => tally.caught += 1,
                false => {
                    tally.survived += 1;
                    writeln!(tally.survivors, "  {told}").expect("a string takes all");
                }
            }
        }
    }
    tally
}

/// A scene with packets about which the walk and the switches agree, played just now.
fn agreed(fleet: &mut Fleet, random: &mut Random) -> Option<Scene> {
    let scene = topologies::any(random);
    // Flows that stay would keep their counters.
    fleet.install(|_| Program::default());
    let mut story = Story::begin(fleet, scene);
    let mut author = Author::new(random.clone());
    for _ in 0..PACKETS {
        let sent = author.next(&story)?;
        story.go_on(fleet, sent).ok()?;
        author.learn(&story);
    }
    Some(story.scene().clone())
}

/// Whether more packets show it: those of the scene that met the flow may all have been dropped behind it.
fn is_noticed_later(fleet: &mut Fleet, mut story: Story, random: Random) -> bool {
    let mut author = Author::new(random);
    let mut more = (0..MORE).map_while(|_| {
        let sent = author.next(&story)?;
        let agrees = story.go_on(fleet, sent).is_ok();
        author.learn(&story);
        Some(agrees)
    });
    more.any(|agrees| !agrees)
}

/// Makes a flow wrong, and tells how. `None` if there is nothing about it that a packet could tell.
fn mutated(program: &mut Program, key: &FlowKey, random: &mut Random) -> Option<String> {
    let flow = program.flows.get(key)?.clone();
    if makes_no_difference(&flow) {
        return None;
    }
    if random.percent(50)
        && let Some(wrong) = with_wrong_action(&flow)
    {
        program.flows.insert(key.clone(), wrong);
        return Some(format!("with another value: {flow}"));
    }
    program.flows.remove(key);
    Some(format!("taken away: {flow}"))
}

/// Whether no packet could tell that it is not there.
fn makes_no_difference(flow: &Flow) -> bool {
    // It only says why: without it, the end of its table drops the packet.
    let drops = flow.instructions == Instructions::drop();
    let says_why =
        matches!(Owner::of_cookie(flow.cookie), Some(Owner::Base(of)) if of.drop_reason().is_some());
    // Nobody sends as much as a limit allows.
    let limits = [QUESTION, AGENT, LOG].contains(&flow.table);
    // Open vSwitch credits the flows behind `check_pkt_larger` with every packet, whatever the answer.
    let may_be_unmet = flow.table == TUNNEL_OUT;
    drops && says_why || limits || may_be_unmet
}

/// With another port or tunnel address.
fn with_wrong_action(flow: &Flow) -> Option<Flow> {
    let other = |action: &Action| {
        let ports = (0..PORTS).map(|port| (port_number(port), port_number((port + 1) % PORTS)));
        let mut ports = ports.map(|(right, wrong)| (Action::output(right), Action::output(wrong)));
        let hosts = (0..HOSTS).map(|host| (underlay_ipv4(host), underlay_ipv4((host + 1) % HOSTS)));
        let mut hosts = hosts.map(|(right, wrong)| {
            (Action::set_field(Field::TunDst, right), Action::set_field(Field::TunDst, wrong))
        });
        let by_port = ports.find(|(right, _)| right == action);
        by_port.or_else(|| hosts.find(|(right, _)| right == action)).map(|(_, wrong)| wrong)
    };
    let place = flow.instructions.apply.iter().position(|action| other(action).is_some())?;
    let mut wrong = flow.clone();
    wrong.instructions.apply[place] = other(&flow.instructions.apply[place])?;
    Some(wrong)
}
