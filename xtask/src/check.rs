//! Everything that is checked without running the programs. Contracts that are generated (the API's document, flags) are
//! compared by tests, beside what generates them.

use crate::licences;
use crate::run::{cargo, run};

/// Runs all checks, up to the first that fails.
pub(crate) fn check() -> anyhow::Result<()> {
    run(cargo(["fmt", "--all", "--check"]))?;
    run(cargo(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))?;
    let mut documentation = cargo(["doc", "--workspace", "--no-deps"]);
    documentation.env("RUSTDOCFLAGS", "--deny warnings");
    run(documentation)?;
    licences::check()
}
