//! What the walk and the flows once did not agree about: scenes in `cases`, each with why. [`crate::shrink`] prints such scenes.

use std::path::Path;

use crate::fleet::Fleet;
use crate::scene::{Scene, Story};

#[test]
fn what_once_disagreed_agrees() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agreement/cases");
    let cases = std::fs::read_dir(folder).expect("the cases").map(|entry| entry.expect("a case").path());
    let mut fleet = Fleet::start();
    let differences = cases.filter_map(|case| {
        let text = std::fs::read_to_string(&case).expect("a case");
        let scene: Scene = serde_json::from_str(&text).expect("a scene");
        let difference = Story::play(&mut fleet, &scene).err()?;
        Some(format!("{}: {}\n{difference}", case.display(), scene.why))
    });
    let differences: Vec<_> = differences.collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
