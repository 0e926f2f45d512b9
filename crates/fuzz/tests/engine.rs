//! The engine itself: what breaks is found, with its reason. Alone in its process, as it measures memory.

use fuzz::Target;
use fuzz::campaign::run;
use fuzz::memory::Limit;
use fuzz::target::as_it_is;

const BASE: usize = 1 << 20;

fn check(decoder: fn(&[u8]) -> bool, expected: Option<&str>) {
    let target = Target {
        name: "test",
        from: "nobody",
        seeds: || vec![b"abc".to_vec()],
        dictionary: &[b"!"],
        repair: as_it_is,
        run: decoder,
        memory: Limit { base: BASE, per_byte: 1 },
        max_bytes: 1000,
        brief: 1,
    };
    let found = run(&target, 1, 0..1000, |_| {});
    match (found, expected) {
        (Ok(cost), None) => assert_eq!(cost.inputs, 1001),
        (Err(broken), Some(reason)) => assert!(broken.reason.contains(reason), "{broken}"),
        (found, expected) => panic!("{found:?} is not {expected:?}"),
    }
}

#[test]
fn what_breaks_is_found_with_its_reason() {
    check(|_| true, None);
    let picky = |input: &[u8]| !input.contains(&b'!') || panic!("an exclamation");
    check(picky, Some("an exclamation"));
    let greedy = |input: &[u8]| !vec![1_u8; if input.len() > 3 { 2 * BASE } else { 1 }].is_empty();
    check(greedy, Some("bytes of memory"));
}
