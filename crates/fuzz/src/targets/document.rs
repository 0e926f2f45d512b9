//! What a user writes: files that `vnctl apply` reads.

use crate::memory::Limit;
use crate::target::{Target, as_it_is};

pub(super) const APPLIED: Target = Target {
    name: "applied-document",
    from: "a user, in a file",
    seeds,
    dictionary: &[
        b"networks:",
        b"interfaces:",
        b"labels: ",
        b"uuid: ",
        b"- ",
        b"{",
        b"}",
        b"[",
        b"]",
        b"&a ",
        b"*a",
        b"<<: *a",
        b"---\n",
        b"!!binary ",
        b"|\n  ",
        b"'",
        b"\"",
        b"0x",
        b"null",
        b"\t",
        b"? ",
        b": ",
        b"%YAML 1.1\n",
    ],
    repair: as_it_is,
    run,
    memory: Limit { base: 256 << 10, per_byte: 1024 },
    max_bytes: 8 << 10,
    brief: 20_000,
};

fn seeds() -> Vec<Vec<u8>> {
    let example = include_bytes!("../../../../dist/examples/topology.yaml");
    let anchors = b"labels: &l {a: b}\nsegments: [{uuid: seg-a, labels: *l}, {uuid: seg-b, labels: *l}]\n";
    let json = br#"{"labels": {"a": "b"}, "mac-leases": [{"uuid": "ml-a", "interface_uuid": "if-a"}]}"#;
    let several =
        b"segments: [{uuid: seg-a}]\n---\n# nothing\n---\nnetworks:\n- uuid: nw-a\n  ipv4_prefix: 24\n";
    vec![example.to_vec(), anchors.to_vec(), json.to_vec(), several.to_vec()]
}

fn run(bytes: &[u8]) -> bool {
    let described = vnctl::described(&String::from_utf8_lossy(bytes));
    assert!(described.as_ref().err().is_none_or(|reason| !reason.is_empty()), "an error without a reason");
    described.is_ok()
}
