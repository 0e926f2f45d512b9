//! Builds the programs, which labs start as they are, and runs the tests.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;

use crate::run::{cargo, run};
use crate::setup::{is_root, setup};
use crate::suite::run_suite;

/// Faults of a long run: half an hour with all else.
const LONG_COUNT: usize = 200;

/// What to test.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Which tests
    #[arg(value_enum, default_value_t = Level::All)]
    level: Level,
    /// How many faults, with `faults`
    #[arg(long, default_value_t = LONG_COUNT)]
    count: usize,
    /// What faults are drawn from, with `faults` [default: the time]
    #[arg(long)]
    seed: Option<u64>,
    /// Arguments of `cargo test`: `-p lab`, or part of a test's name
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// How much to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    /// Tests inside the crates: no privileges, nothing installed
    Unit,
    /// All tests, with labs in network namespaces (as root, through sudo if need be)
    All,
    /// The long form of the fault suite, with what it sees
    Faults,
}

/// Runs the tests.
pub(crate) fn test(options: &Options) -> anyhow::Result<()> {
    if options.level == Level::Faults {
        return faults(options);
    }
    if options.level == Level::All && options.arguments.is_empty() {
        prepare()?;
        return run_suite();
    }
    let whole = if options.arguments.iter().any(|it| it == "-p" || it == "--package") {
        None
    } else {
        Some("--workspace")
    };
    let arguments = whole.into_iter().chain(options.arguments.iter().map(String::as_str));
    if options.level == Level::Unit {
        return run(cargo(["test", "--lib", "--bins"].into_iter().chain(arguments)));
    }
    run_tests(arguments, [])
}

/// Runs the fault suite, one test after the other, since each measures.
fn faults(options: &Options) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let variables =
        [("FAULT_COUNT", options.count.to_string()), ("FAULT_SEED", options.seed.unwrap_or(now).to_string())];
    let suite = ["-p", "lab", "--test", "faults", "--", "--nocapture", "--test-threads", "1"];
    run_tests(suite.into_iter().chain(options.arguments.iter().map(String::as_str)), variables)
}

/// Runs tests that need the programs, and root.
fn run_tests<'a>(
    arguments: impl IntoIterator<Item = &'a str>,
    variables: impl IntoIterator<Item = (&'static str, String)>,
) -> anyhow::Result<()> {
    prepare()?;
    let mut tests = cargo(["test"]);
    if !is_root() {
        // Only the tests themselves are root's; what cargo builds stays the caller's.
        tests.args(["--config", "target.'cfg(unix)'.runner = ['sudo', '--preserve-env']"]);
    }
    tests.args(arguments).envs(variables);
    run(tests)
}

/// Installs and builds what labs start.
fn prepare() -> anyhow::Result<()> {
    setup()?;
    run(cargo(["build", "--workspace", "--bins"]))
}
