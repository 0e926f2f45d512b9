//! A deterministic simulation of managers, agents, switches and the network between them.
//!
//! It runs the code that decides (plans, feeds, inboxes, the course of a switch, the compiler) without sockets, tasks and
//! clocks, in orders that real time hardly ever shows: messages wait while processes die, a store comes back older than
//! what its agents have seen, a disk holds last week's replica. A seed gives a history, and gives it again.
//!
//! - [`run`] runs one history and says what did not hold, with the shortest script found that shows it.
//! - `script` draws what happens, `world` has it happen, `check` says what must hold.
//! - `manager`, `agent`, `host`, `network`, `database` are models of what is around the code that decides. They hold what
//!   the real adapters hold, and nothing that decides.
//! - [`Mutant`] puts bugs in, to show that they would be found.

mod agent;
mod check;
mod database;
mod host;
mod manager;
mod mutant;
mod network;
mod random;
mod script;
mod user;
mod world;

pub use check::Violation;
pub use mutant::Mutant;

use random::Random;
use script::Event;
use world::World;

/// Fewest hosts of a world.
const MIN_HOSTS: usize = 3;

/// Most hosts of a world.
const MAX_HOSTS: usize = 5;

/// Most histories run to find a shorter one.
const MAX_SHRINKS: usize = 400;

/// A history in which something did not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Gives the history again.
    pub seed: u64,
    /// What did not hold.
    pub violation: Violation,
    /// What happened, in the shortest history found that shows it.
    pub trace: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.trace.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        write!(f, "{}\nSIMULATION_SEED={} gives this history again", self.violation, self.seed)
    }
}

/// Runs the history of a seed, with a bug put in or none.
///
/// # Errors
/// [`Failure`], if something does not hold that must.
pub fn run(seed: u64, mutant: Option<Mutant>) -> Result<(), Box<Failure>> {
    let history = History::of(seed, mutant);
    history.run(false).map_err(|_| Box::new(history.failure()))
}

/// Whether the history of a seed shows a bug that is put in. Quicker than [`run`], for it does not say how.
pub fn shows(seed: u64, mutant: Mutant) -> bool {
    History::of(seed, Some(mutant)).run(false).is_err()
}

#[derive(Clone, Debug)]
struct History {
    seed: u64,
    hosts: usize,
    /// Faults meet a world that has settled, rather than one that begins.
    begins_quiet: bool,
    mutant: Option<Mutant>,
    script: Vec<Event>,
}

impl History {
    fn of(seed: u64, mutant: Option<Mutant>) -> Self {
        let mut random = Random::new(seed);
        let hosts = MIN_HOSTS + random.below(MAX_HOSTS - MIN_HOSTS + 1);
        let begins_quiet = random.percent(70);
        Self { seed, hosts, begins_quiet, mutant, script: script::draw(&mut random) }
    }

    fn run(&self, traced: bool) -> Result<(), (Violation, Vec<String>)> {
        let mut world = World::new(self.hosts, self.mutant, traced);
        self.live(&mut world).map_err(|violation| (violation, world.trace()))
    }

    fn live(&self, world: &mut World) -> Result<(), Violation> {
        let mut random = Random::new(self.seed);
        if self.begins_quiet {
            world.settle(&mut random)?;
        }
        self.script.iter().try_for_each(|event| world.happen(event))?;
        world.settle(&mut random)?;
        world.check()?;
        world.move_one(&mut random)
    }

    /// The failure of a history that fails, told by the shortest script found that fails too.
    fn failure(&self) -> Failure {
        let mut shortest = self.clone();
        let (mut size, mut runs) = (self.script.len().div_ceil(2), 0);
        while size > 0 && runs < MAX_SHRINKS {
            let before = shortest.script.len();
            let mut start = 0;
            while start < shortest.script.len() && runs < MAX_SHRINKS {
                let mut thinner = shortest.clone();
                let end = thinner.script.len().min(start + size);
                thinner.script.drain(start..end);
                runs += 1;
                match thinner.run(false) {
                    Err(_) => shortest = thinner,
                    Ok(()) => start += size,
                }
            }
            if size == 1 && shortest.script.len() == before {
                break;
            }
            size = size.div_ceil(2).min(size.max(2) - 1);
        }
        let (violation, trace) = shortest.run(true).err().unwrap_or_else(|| {
            (
                Violation("a history that failed does not fail again: it is not deterministic".to_owned()),
                Vec::new(),
            )
        });
        Failure { seed: self.seed, violation, trace }
    }
}
