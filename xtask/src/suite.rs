//! The whole suite: every test program, some of them side by side.
//!
//! `cargo test` runs one program after the other. Labs wait for switches and guests more than they compute, so processors
//! would be idle: here a lane takes programs from the end that labs are at, the next one from the other. What a program
//! prints is kept together, and shown only if it fails.

use std::collections::VecDeque;
use std::io::BufReader;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::run::{cargo, run};
use crate::setup::is_root;

/// A program with tests.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    /// As `cargo test` names it: the package, and the target if that is not the package's library.
    name: String,
    file: PathBuf,
    /// The package's folder, in which its tests run.
    folder: PathBuf,
}

/// What became of a program.
struct Ended {
    program: Program,
    output: Output,
    took: Duration,
}

/// Builds and runs every test there is, to the end, also when some fail.
pub(crate) fn run_suite() -> anyhow::Result<()> {
    let programs = build()?;
    let lanes = thread::available_parallelism().map_or(1, NonZero::get);
    eprintln!("{} test programs, {lanes} at a time", programs.len());
    let failed = run_programs(programs, lanes)?;
    run(cargo(["test", "--workspace", "--doc", "--quiet"]))?;
    if !failed.is_empty() {
        bail!("failed: {}; one alone: `cargo xtask test -- -p PACKAGE --test NAME`", failed.join(", "));
    }
    Ok(())
}

/// Builds the test programs, and tells which there are.
fn build() -> anyhow::Result<Vec<Program>> {
    let mut build = cargo(["test", "--workspace", "--no-run", "--message-format", "json-render-diagnostics"]);
    let mut building = build.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let messages = building.stdout.take().context("it has no output")?;
    let programs: Result<Vec<Option<Program>>, _> =
        serde_json::Deserializer::from_reader(BufReader::new(messages))
            .into_iter::<Message>()
            .map(|message| message.map(program))
            .collect();
    if !building.wait()?.success() {
        bail!("the tests cannot be built");
    }
    let mut programs: Vec<_> = programs?.into_iter().flatten().collect();
    programs.sort_by_key(|program| program.folder.ends_with("lab"));
    Ok(programs)
}

/// A message of cargo, as far as it matters here (`cargo help build`, --message-format).
#[derive(Debug, Deserialize)]
struct Message {
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Profile {
    test: bool,
}

/// The test program that a message tells of.
fn program(message: Message) -> Option<Program> {
    let (target, file) = (message.target?, message.executable?);
    let folder = message.manifest_path?.parent()?.to_owned();
    let package = folder.file_name()?.to_string_lossy();
    let name = if *package == target.name { target.name } else { format!("{package} {}", target.name) };
    message.profile?.test.then_some(Program { name, file, folder })
}

/// Runs programs, so many at a time, and tells which failed.
fn run_programs(programs: Vec<Program>, lanes: usize) -> anyhow::Result<Vec<String>> {
    let count = programs.len();
    let waiting = Mutex::new(VecDeque::from(programs));
    let (ended, all_ended) = mpsc::channel();
    thread::scope(|scope| {
        for lane in 0..lanes {
            let (ended, waiting) = (ended.clone(), &waiting);
            let take = if lane % 2 == 0 { VecDeque::pop_back } else { VecDeque::pop_front };
            scope.spawn(move || {
                loop {
                    let next = waiting.lock().ok().and_then(|mut waiting| take(&mut waiting));
                    let Some(program) = next else { return };
                    // Nobody listens any more once a program could not be started.
                    if ended.send(run_program(program)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(ended);
        let mut failed = Vec::new();
        for (done, program) in all_ended.into_iter().enumerate() {
            let Ended { program, output, took } = program?;
            let word = if output.status.success() { "ok" } else { "FAILED" };
            let tests = tests(&String::from_utf8_lossy(&output.stdout));
            let seconds = took.as_secs_f64();
            eprintln!(
                "[{:>3}/{count}] {word:<6} {:<32} {tests:>4} tests {seconds:>6.1} s",
                done + 1,
                program.name
            );
            if !output.status.success() {
                eprintln!("{}", String::from_utf8_lossy(&output.stdout));
                eprintln!("{}", String::from_utf8_lossy(&output.stderr));
                failed.push(program.name);
            }
        }
        Ok(failed)
    })
}

fn run_program(program: Program) -> anyhow::Result<Ended> {
    let started = Instant::now();
    let mut command = as_root(&program.file);
    // As cargo sets it (the Cargo Book, "Environment variables").
    command.current_dir(&program.folder).env("CARGO_MANIFEST_DIR", &program.folder).stdin(Stdio::null());
    let output = command.output().with_context(|| format!("cannot start {}", program.file.display()))?;
    Ok(Ended { program, output, took: started.elapsed() })
}

/// Only the tests themselves are root's; what cargo builds stays the caller's.
fn as_root(file: &Path) -> Command {
    if is_root() {
        return Command::new(file);
    }
    let mut sudo = Command::new("sudo");
    sudo.arg("--preserve-env").arg(file);
    sudo
}

/// How many tests passed, as the last line of a test program says.
fn tests(output: &str) -> usize {
    let verdict = output.lines().rev().find_map(|line| line.strip_prefix("test result: "));
    verdict.and_then(|verdict| verdict.split_once(" passed")?.0.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_message(json: &str, expected: Option<&str>) {
        let found = program(serde_json::from_str(json).unwrap());
        assert_eq!(found.map(|program| program.name).as_deref(), expected);
    }

    #[test]
    fn test_programs_are_those_built_as_tests() {
        let artifact = |name: &str, test: bool, file: &str| {
            format!(
                r#"{{"reason": "compiler-artifact", "manifest_path": "/x/crates/vna/Cargo.toml",
                    "target": {{"name": "{name}"}}, "profile": {{"test": {test}}}, "executable": {file}}}"#
            )
        };
        check_message(&artifact("vna", true, r#""/x/target/vna-1""#), Some("vna"));
        check_message(&artifact("faults", true, r#""/x/target/faults-1""#), Some("vna faults"));
        check_message(&artifact("vna", false, r#""/x/target/vna""#), None);
        check_message(&artifact("vna", false, "null"), None);
        check_message(r#"{"reason": "build-finished", "success": true}"#, None);
    }

    #[test]
    fn the_verdict_tells_how_many_tests_passed() {
        assert_eq!(tests("running 2 tests\n\ntest result: ok. 2 passed; 0 failed; 0 ignored\n\n"), 2);
        assert_eq!(tests("test result: FAILED. 11 passed; 1 failed; 0 ignored"), 11);
        assert_eq!(tests("Segmentation fault"), 0);
    }
}
