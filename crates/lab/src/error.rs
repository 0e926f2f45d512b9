//! What can go wrong in a lab, grouped by origin.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::command::Output;

/// An error of the lab itself or of a command that ran in it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused a step of making or entering a namespace. Most often the caller is not root.
    #[error("cannot {step} (a lab needs root)")]
    Namespace {
        /// What was tried.
        step: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A program could not be started at all.
    #[error("cannot start `{command}` (`cargo xtask setup` installs what a lab needs)")]
    Spawn {
        /// The command line.
        command: String,
        /// Why it did not start.
        #[source]
        source: io::Error,
    },
    /// A command ran and failed.
    #[error("`{command}` in {place}: {output}")]
    Failed {
        /// The command line.
        command: String,
        /// The namespace it ran in.
        place: String,
        /// Its exit status and what it said.
        output: Output,
    },
    /// A command answered something that the lab does not understand.
    #[error("cannot understand the answer of `{command}`: {answer}")]
    Answer {
        /// The command line, or the name of the program.
        command: String,
        /// What it answered.
        answer: String,
    },
    /// A condition did not become true in time.
    #[error("waited {waited:?} for {what}: {last}")]
    TimedOut {
        /// The condition, in words.
        what: String,
        /// How long it was given.
        waited: Duration,
        /// What the last look at it found.
        last: String,
    },
    /// A file inside the lab could not be read or written.
    #[error("cannot {step} {path}", path = .path.display())]
    File {
        /// What was tried.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A socket operation failed.
    #[error("cannot {step}")]
    Socket {
        /// What was tried.
        step: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A program of this workspace is not built.
    #[error("there is no {path}: run `cargo build --workspace`, or set LAB_BIN_DIR", path = .path.display())]
    MissingProgram {
        /// Where it was expected.
        path: PathBuf,
    },
    /// The lab was asked for something it has not got, or has already.
    #[error("{0}")]
    Request(String),
}

/// The result of whatever the lab does.
pub type Result<T, E = Error> = std::result::Result<T, E>;
