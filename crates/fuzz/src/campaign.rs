//! Many inputs for one target, each held to its limits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::memory::peak_of;
use crate::mutation::Inputs;
use crate::target::Target;

/// Longest time that one input may take, on a machine that has other things to do as well.
pub const MAX_TIME: Duration = Duration::from_secs(5);

/// What inputs have cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// How many there were.
    pub inputs: u64,
    /// How many of them the decoder understood.
    pub understood: u64,
    /// How long they took together.
    pub time: Duration,
    /// The most memory that one of them took, in bytes.
    pub peak: usize,
    /// The longest time that one of them took.
    pub slowest: Duration,
}

impl Cost {
    fn add(&mut self, other: &Self) {
        self.inputs += other.inputs;
        self.understood += other.understood;
        self.time += other.time;
        self.peak = self.peak.max(other.peak);
        self.slowest = self.slowest.max(other.slowest);
    }
}

/// An input that broke something.
#[derive(Debug, thiserror::Error)]
#[error("{target}, input {number}: {reason}")]
pub struct Broken {
    /// Of which target.
    pub target: &'static str,
    /// Which input of the seed; real inputs have none of their own, and this is their place in the corpus.
    pub number: u64,
    /// The input.
    pub input: Vec<u8>,
    /// What happened.
    pub reason: String,
}

/// Gives a target its real inputs and then those with these numbers. `progress` is told now and then.
///
/// # Errors
/// The first input that breaks something.
pub fn run(
    target: &Target,
    seed: u64,
    numbers: std::ops::Range<u64>,
    mut progress: impl FnMut(&Cost),
) -> Result<Cost, Box<Broken>> {
    let inputs = Inputs::new(*target, seed);
    // What is made once, on first use, is no input's cost.
    let first = inputs.corpus().first().cloned().unwrap_or_default();
    attempt(target, &first).map_err(|reason| broken(target, 0, first, reason))?;
    let real = inputs.corpus().iter().cloned().zip(0..);
    let made = numbers.map(|number| (inputs.input(number), number));
    let (mut cost, mut told) = (Cost::default(), Instant::now());
    for (input, number) in real.chain(made) {
        let one = judge(target, &input).map_err(|reason| broken(target, number, input.clone(), reason))?;
        cost.add(&one);
        if told.elapsed() >= Duration::from_secs(1) {
            told = Instant::now();
            progress(&cost);
        }
    }
    Ok(cost)
}

/// Gives a target one input, and says what it cost.
///
/// # Errors
/// What broke, in words.
pub fn judge(target: &Target, input: &[u8]) -> Result<Cost, String> {
    let started = Instant::now();
    let (done, peak) = peak_of(|| attempt(target, input));
    let time = started.elapsed();
    let understood = done?.into();
    let limit = target.memory.of(input.len());
    if peak > limit {
        return Err(format!("{peak} bytes of memory for {} of input: the limit is {limit}", input.len()));
    }
    if time > MAX_TIME {
        return Err(format!("{time:.1?} for {} bytes of input", input.len()));
    }
    Ok(Cost { inputs: 1, understood, time, peak, slowest: time })
}

fn broken(target: &Target, number: u64, input: Vec<u8>, reason: String) -> Box<Broken> {
    Box::new(Broken { target: target.name, number, input, reason })
}

/// Where the last panic was, on whatever thread: one that somebody catches counts, too.
static PLACE: Mutex<Option<String>> = Mutex::new(None);

fn place() -> Option<String> {
    PLACE.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Runs the target. A panic is its reason, with its place, and not a text on the screen.
fn attempt(target: &Target, input: &[u8]) -> Result<bool, String> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|info| {
        *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = Some(info.to_string());
    }));
    let done = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    std::panic::set_hook(hook);
    match (place(), done) {
        (None, Ok(understood)) => Ok(understood),
        (place, _) => Err(place.unwrap_or_else(|| "a panic without a place".to_owned())),
    }
}
