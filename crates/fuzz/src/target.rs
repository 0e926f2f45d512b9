//! What can be fuzzed: a decoder, what it is usually given, and what it may cost.

use crate::memory::Limit;

/// A decoder of what others send.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name on the command line, and of its folder of crashes.
    pub name: &'static str,
    /// Who sends what it decodes, in a few words.
    pub from: &'static str,
    /// Real inputs. Mutations start from these.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words of the language, to put into inputs.
    pub dictionary: &'static [&'static [u8]],
    /// Makes lengths and checksums right again, so that what is wrong deeper in an input is reached, too.
    pub repair: fn(&mut Vec<u8>),
    /// Decodes the input and does with it what the program would. Panics if anything is not as it must be. Says whether
    /// there was anything to do: where there never is, inputs are too bad to find much.
    pub run: fn(&[u8]) -> bool,
    /// What one input may cost.
    pub memory: Limit,
    /// Longest input that is made up, in bytes.
    pub max_bytes: usize,
    /// Inputs in the short form that is a test: a few seconds of an unoptimized build at most.
    pub brief: u64,
}

/// The repair of inputs that have nothing to repair.
pub fn as_it_is(_: &mut Vec<u8>) {}
