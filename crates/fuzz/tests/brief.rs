//! The short form of a campaign: every target with its own number of inputs, and every input that broke something once.
//!
//! One test, and alone in its process: memory is measured.

use fuzz::{TARGETS, campaign, crash};

/// Inputs are the same on every machine and in every run; `cargo xtask fuzz` is for new ones.
const SEED: u64 = 1;

#[test]
fn every_decoder_bears_whatever_it_is_given() {
    for target in TARGETS {
        if let Err(broken) = campaign::run(target, SEED, 0..target.brief, |_| {}) {
            panic!("{broken}: {}", fuzz::hex::encode(&broken.input));
        }
        // After the others, which have paid for what is made once.
        for (path, input) in crash::saved(target).expect("crashes that can be read") {
            let judged = campaign::judge(target, &input);
            assert!(judged.is_ok(), "{}: {}", path.display(), judged.unwrap_err());
        }
    }
}
