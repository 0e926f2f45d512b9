//! Where the programs of this workspace are.

use std::env;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Names the folder of `vnmgr`, `vna` and `vnctl`, to test programs that were not built here.
const BIN_DIR_VARIABLE: &str = "LAB_BIN_DIR";

/// The absolute path of a program: in `LAB_BIN_DIR`, or where cargo puts it beside the running one.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    let path = match env::var_os(BIN_DIR_VARIABLE) {
        Some(folder) => Path::new(&folder).join(name),
        None => beside(&env::current_exe().unwrap_or_default()).join(name),
    };
    // Whoever enters a lab loses its working folder, so a relative path would mean something else there.
    path.canonicalize().map_err(|_| Error::MissingProgram { path })
}

/// The folder of programs that were built together with `running`: cargo puts tests in `deps` and examples in `examples`
/// below it.
fn beside(running: &Path) -> PathBuf {
    let folder = running.parent().unwrap_or(Path::new("/"));
    let below = folder.ends_with("deps") || folder.ends_with("examples");
    folder.parent().filter(|_| below).unwrap_or(folder).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(running: &str, expected: &str) {
        assert_eq!(beside(Path::new(running)), Path::new(expected));
    }

    #[test]
    fn programs_lie_beside_tests_examples_and_tasks() {
        check("/repo/target/debug/deps/ping-0123", "/repo/target/debug");
        check("/repo/target/debug/examples/show", "/repo/target/debug");
        check("/repo/target/debug/xtask", "/repo/target/debug");
    }
}
