//! Inputs made of real ones: the kinds of damage that find mistakes in decoders.
//!
//! # Reproducible
//! Input number `n` of a seed depends on these two and the corpus, and on no input before it. So a range can be cut in
//! two to find which input ended a process that could not say so itself.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, RngCore, SeedableRng};

use crate::target::Target;

/// Most changes to one input. Half of the inputs have one, a quarter two: what is left right leads deeper.
const MAX_CHANGES: u32 = 6;

/// Longest run of bytes that is made up, copied or removed at once.
const MAX_RUN: usize = 64;

/// One input in so many is no mutation, but random bytes.
const RANDOM: u32 = 50;

/// One input in so many is left unrepaired, to see what becomes of wrong lengths and checksums.
const UNREPAIRED: u32 = 4;

/// Bytes at which signs and widths change.
const EDGES: [u8; 8] = [0, 1, 0x1f, 0x20, 0x7f, 0x80, 0xfe, 0xff];

/// Numbers in text at which widths and ranges end.
const NUMBERS: [&[u8]; 8] =
    [b"0", b"-1", b"255", b"65536", b"4294967296", b"9223372036854775808", b"18446744073709551616", b"1e309"];

/// The inputs of one target and seed.
pub struct Inputs {
    target: Target,
    corpus: Vec<Vec<u8>>,
    seed: u64,
}

impl Inputs {
    /// Inputs that start from the target's own.
    pub fn new(target: Target, seed: u64) -> Self {
        Self { corpus: (target.seeds)(), target, seed }
    }

    /// The real inputs.
    pub fn corpus(&self) -> &[Vec<u8>] {
        &self.corpus
    }

    /// Input number `number`.
    pub fn input(&self, number: u64) -> Vec<u8> {
        // Neighbouring seeds must not give neighbouring numbers' inputs.
        let mut random = StdRng::seed_from_u64(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number);
        if random.random_ratio(1, RANDOM) {
            return bytes(&mut random);
        }
        let mut input = self.corpus.choose(&mut random).cloned().unwrap_or_default();
        for _ in 0..=random.next_u32().trailing_zeros().min(MAX_CHANGES - 1) {
            self.change(&mut input, &mut random);
        }
        input.truncate(self.target.max_bytes);
        if !random.random_ratio(1, UNREPAIRED) {
            (self.target.repair)(&mut input);
        }
        input
    }

    fn change(&self, input: &mut Vec<u8>, random: &mut StdRng) {
        let at = random.random_range(0..=input.len());
        let run = at..input.len().min(at + random.random_range(1..=MAX_RUN));
        let word = |random: &mut StdRng| self.target.dictionary.choose(random).copied().unwrap_or_default();
        match random.random_range(0..18) {
            0 => input.truncate(at),
            1 | 2 => in_place(input, at, |byte| *byte ^= 1 << random.random_range(0..8)),
            3 => in_place(input, at, |byte| *byte = *EDGES.choose(random).unwrap_or(&0)),
            4 => in_place(input, at, |byte| *byte = random.random()),
            5 => drop(input.drain(run)),
            6 => {
                let copy = input.get(run).unwrap_or_default().to_vec();
                let times = random.random_range(1..=MAX_RUN);
                drop(input.splice(at..at, copy.repeat(times)));
            }
            7 => drop(input.splice(at..at, bytes(random))),
            8 | 9 => drop(input.splice(at..at, word(random).iter().copied())),
            10 => overwrite(input, at, word(random)),
            11 => self.splice(input, at, random),
            12 => length_field(input, at, random),
            13 | 14 => number(input, at, random),
            _ => quoted(input, at, self.target.dictionary, random),
        }
    }

    /// The beginning of one input and the end of another.
    fn splice(&self, input: &mut Vec<u8>, at: usize, random: &mut StdRng) {
        let Some(other) = self.corpus.choose(random) else { return };
        let from = random.random_range(0..=other.len());
        input.truncate(at);
        input.extend(other.get(from..).unwrap_or_default());
    }
}

fn bytes(random: &mut StdRng) -> Vec<u8> {
    let mut bytes = vec![0; random.random_range(0..=MAX_RUN)];
    random.fill_bytes(&mut bytes);
    bytes
}

fn in_place(input: &mut [u8], at: usize, change: impl FnOnce(&mut u8)) {
    input.get_mut(at).map(change);
}

fn overwrite(input: &mut [u8], at: usize, with: &[u8]) {
    let place = input.get_mut(at..).unwrap_or_default();
    place.iter_mut().zip(with).for_each(|(byte, new)| *byte = *new);
}

/// Puts where a length may be what a length is likely to be wrong by. Network byte order, two bytes or four.
fn length_field(input: &mut [u8], at: usize, random: &mut StdRng) {
    let length = u32::try_from(input.len()).unwrap_or(u32::MAX);
    let near = length.wrapping_add(random.random_range(0..9)).wrapping_sub(4);
    let values = [near, length.wrapping_sub(u32::try_from(at).unwrap_or(0)), 0, 1, 4, 8, 0xffff, 0xffff_fff8];
    let value = values.choose(random).copied().unwrap_or_default().to_be_bytes();
    let width = if random.random() { 2..4 } else { 0..4 };
    overwrite(input, at, value.get(width).unwrap_or_default());
}

/// Puts another number in place of the first one in text from a place on.
fn number(input: &mut Vec<u8>, at: usize, random: &mut StdRng) {
    let digits = |byte: &u8| byte.is_ascii_digit();
    let Some(start) = input.iter().skip(at).position(digits).map(|found| at + found) else { return };
    let length = input.iter().skip(start).take_while(|byte| digits(byte)).count();
    let mut numbers = NUMBERS;
    numbers.shuffle(random);
    let new = numbers.first().copied().unwrap_or_default();
    drop(input.splice(start..start + length, new.iter().copied()));
}

/// Puts another text in quotes in place of the first one from a place on, so that what is around it stays right.
fn quoted(input: &mut Vec<u8>, at: usize, words: &[&[u8]], random: &mut StdRng) {
    let texts: Vec<_> = words.iter().filter(|word| word.len() > 1 && word.starts_with(b"\"")).collect();
    let Some(word) = texts.choose(random) else { return };
    let word = word.strip_suffix(b":").unwrap_or(word);
    let quote = |from: usize| Some(from + input.iter().skip(from).position(|byte| *byte == b'"')?);
    let Some((start, end)) = quote(at).and_then(|start| Some((start, quote(start + 1)?))) else { return };
    drop(input.splice(start..=end, word.iter().copied()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TARGETS;

    #[test]
    fn an_input_depends_on_its_number_and_the_seed_alone() {
        for target in TARGETS {
            let [one, same, other] = [1, 1, 2].map(|seed| Inputs::new(*target, seed));
            let all = |inputs: &Inputs| (0..50).map(|number| inputs.input(number)).collect::<Vec<_>>();
            assert_eq!(one.input(49), same.input(49), "{}", target.name);
            assert_ne!(all(&one), all(&other), "{}", target.name);
            assert!(all(&one).iter().all(|input| input.len() <= target.max_bytes), "{}", target.name);
        }
    }
}
