//! Keeps `docs/operations.md` true: an operator finds every reason for a drop by its cookie.

use dataplane::{Owner, Purpose};

#[test]
fn every_reason_for_a_drop_is_in_the_document_for_operators() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let document = std::fs::read_to_string(path).expect("the document");
    for purpose in Purpose::ALL.iter().filter(|purpose| purpose.drop_reason().is_some()) {
        let cookie = format!("| `{:#x}` |", Owner::Base(*purpose).cookie().0);
        assert!(document.contains(&cookie), "{purpose:?}: {cookie}");
    }
}
