//! Keeps `docs/operations.md` true: an operator finds every reason for a drop by its cookie, and as metrics name it.

use dataplane::{Owner, Purpose};

#[test]
fn every_reason_for_a_drop_is_in_the_document_for_operators() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let document = std::fs::read_to_string(path).expect("the document");
    for (purpose, reason) in Purpose::ALL.iter().filter_map(|of| Some((*of, of.drop_reason()?))) {
        let row = format!("| `{:#x}` | `{reason}` |", Owner::Base(purpose).cookie().0);
        assert!(document.contains(&row), "{purpose:?}: {row}");
    }
}
