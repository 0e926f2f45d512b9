//! The document for operators says which test shows what it promises.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Where the tests named there are.
const CRATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

const DOCUMENT: &str = include_str!("../../../../docs/faults.md");

/// The text of every Rust file below a folder.
fn sources(folder: &Path) -> io::Result<Vec<String>> {
    let mut texts = Vec::new();
    let mut waiting = vec![PathBuf::from(folder)];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                texts.push(fs::read_to_string(path)?);
            }
        }
    }
    Ok(texts)
}

/// The names in the last column of the document's tables.
fn named() -> Vec<&'static str> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with('|') && line.contains('`'));
    let tests = rows.filter_map(|row| row.trim_end_matches([' ', '|']).rsplit('|').next());
    tests.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_test_that_the_document_names_exists() {
    let sources = sources(Path::new(CRATES)).expect("the sources of this workspace");
    let exists = |name: &str| {
        // A test, or a row of the suite's table of faults.
        let needles = [format!("fn {name}()"), format!("\"{name}\"")];
        sources.iter().any(|text| needles.iter().any(|needle| text.contains(needle)))
    };
    let (named, missing): (Vec<_>, Vec<_>) =
        (named(), named().into_iter().filter(|name| !exists(name)).collect());
    assert!(named.len() > 10 && missing.is_empty(), "{missing:?} of {named:?}");
}
