//! Builds the programs, which labs start as they are, and runs the tests.

use clap::ValueEnum;

use crate::run::{cargo, run};
use crate::setup::{is_root, setup};

/// What to test.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Which tests
    #[arg(value_enum, default_value_t = Level::All)]
    level: Level,
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
}

/// Runs the tests.
pub(crate) fn test(options: &Options) -> anyhow::Result<()> {
    let whole = if options.arguments.iter().any(|it| it == "-p" || it == "--package") {
        None
    } else {
        Some("--workspace")
    };
    let arguments = whole.into_iter().chain(options.arguments.iter().map(String::as_str));
    if options.level == Level::Unit {
        return run(cargo(["test", "--lib", "--bins"].into_iter().chain(arguments)));
    }
    setup()?;
    run(cargo(["build", "--workspace", "--bins"]))?;
    let mut tests = cargo(["test"].into_iter().chain(arguments));
    if !is_root() {
        // Only the tests themselves are root's; what cargo builds stays the caller's.
        tests.args(["--config", "target.'cfg(unix)'.runner = ['sudo', '--preserve-env']"]);
    }
    run(tests)
}
