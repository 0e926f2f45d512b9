//! What a host sends its manager: what its agent says on a stream, and, before it is known, a signing request.

use std::sync::LazyLock;

use ::topology::binding::SeenPorts;
use ::topology::datapath::{Datapath, Registration};
use ::topology::{DatapathId, Edit, NodeId};
use jiff::Timestamp;
use prost::Message as _;
use sync::machines::{AgentMessage, Answer, HeardPorts, Hello, Ports, Realized, Refused, Resume, Said};
use sync::pki::Authority;
use sync::question::{FlowRow, KINDS};

use super::world;
use crate::hex;
use crate::memory::Limit;
use crate::target::{Target, as_it_is};

pub(super) const MESSAGES: Target = Target {
    name: "agent-messages",
    from: "the agent of a host that has joined",
    seeds: messages,
    dictionary: &[
        &[0x0a, 0],
        &[0x12, 0],
        &[0x1a, 0],
        &[8, 1],
        &[0x10, 1],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        b"\"node_id\":",
        b"\"dpid\":",
        b"\"underlay\":",
        b"\"mtu\":",
        b"\"address\":",
        b"\"name\":",
        b"\"instance\":",
        b"\"iface_id\":",
        b"null",
        b"\"p1\"",
        b"\"if-a\"",
        b"\"LOCAL\"",
        b"{",
        b"}",
    ],
    repair: as_it_is,
    run: listen,
    memory: Limit { base: 128 << 10, per_byte: 512 },
    max_bytes: 16 << 10,
    brief: 20_000,
};

pub(super) const SIGNING_REQUEST: Target = Target {
    name: "signing-request",
    from: "anyone who reaches the port for agents",
    seeds: || vec![hex::decode(SIGNED).expect("hexadecimal text")],
    dictionary: &[
        &[0x30, 0x80],
        &[0x30, 0x82, 0xff, 0xff],
        &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        &[0x02, 1, 0],
        &[0x03, 1, 0],
        &[0x06, 3, 0x55, 4, 3],
        &[0x31, 0],
        &[0xa0, 0],
        &[0x05, 0],
    ],
    repair: as_it_is,
    run: certify,
    memory: Limit { base: 64 << 10, per_byte: 64 },
    max_bytes: 16 << 10,
    brief: 20_000,
};

/// A signing request of an agent's kind: `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /`.
const SIGNED: &str = "
    3081ba306202010030003059301306072a8648ce3d020106082a8648ce3d03010703420004ac2d59220e7c992230403e0e05eadefa1ccd
    a4d310a315f5016bb8bbb2aaea03dbd86eacc7d306ec34281218693b7c95b5c5d57fa4a11614cce07fc8e8a5102da000300a06082a8648
    ce3d0403020348003045022100af94edcda82fa0463ac448ccb217971d8e47e483e6f6658dbb49df6fb48561f90220110321cd7ed254d3
    dab725129b1a51e5fff1d3138cba0ab40263d87edc41563d";

/// No certificate is longer, in bytes, whatever was asked for.
const MAX_CERTIFICATE: usize = 16 << 10;

/// A flow, as an agent explains it.
const FLOW: &str = r#"{"table":"peer","table_number":60,"priority":100,"owner":{"objects":["dp-b"],"what":"host"},
    "applies_to":"to dp-b","does":"then tunnel_out","packets":7,"bytes":null,"age_s":1,"flow":"cookie=0x3,table=60"}"#;

fn messages() -> Vec<Vec<u8>> {
    let registration = serde_json::to_vec(&world::registration()).expect("JSON");
    let ports: Vec<_> = world::ports().iter().map(|port| serde_json::to_vec(port).expect("JSON")).collect();
    let resume = Resume { store_id: "store-1".to_owned(), datapath: "dp-a".to_owned(), revision: 7 };
    let said = [
        Said::Hello(Hello {
            protocol: 1,
            registration: registration.clone(),
            resume: Some(resume),
            answers: Vec::new(),
        }),
        Said::Hello(Hello {
            protocol: 1,
            registration,
            resume: None,
            answers: KINDS.map(str::to_owned).into(),
        }),
        Said::Ports(Ports { ports: ports.clone(), last: true, ..Ports::default() }),
        Said::Ports(Ports { gone: vec!["p1".to_owned()], changes: true, ..Ports::default() }),
        Said::Ports(Ports { ports, changes: true, last: true, ..Ports::default() }),
        Said::Ports(Ports::default()),
        Said::Realized(Realized { revision: 7 }),
        Said::Answer(Answer { id: 1, items: vec![FLOW.into()], last: true, total: 3, refusal: None }),
        Said::Answer(Answer {
            id: 2,
            last: true,
            refusal: Some(Refused { kind: 2, reason: "no such port".to_owned() }),
            ..Answer::default()
        }),
    ];
    let encode = |said: &Said| AgentMessage::from(said.clone()).encode_length_delimited_to_vec();
    let mut all: Vec<_> = said.iter().map(encode).collect();
    all.push(all.concat());
    all
}

/// Does with messages what a session and a manager do, on a topology of its own.
fn listen(mut bytes: &[u8]) -> bool {
    let before = world::topology();
    let mut edit = Edit::new(before, Timestamp::UNIX_EPOCH, 1);
    let (mut seen, mut ports) = (SeenPorts::default(), HeardPorts::default());
    let mut datapath: Option<DatapathId> = None;
    let mut understood = false;
    while let Ok(message) = AgentMessage::decode_length_delimited(&mut bytes) {
        understood |= message.said.is_some();
        match message.said {
            Some(Said::Hello(hello)) => {
                let Ok(registration) = serde_json::from_slice::<Registration>(&hello.registration) else {
                    break;
                };
                // A registration that is refused leaves half of itself in the edit: it is dropped.
                let Ok(registered) = Datapath::register(&mut edit, registration) else { return true };
                datapath = Some(registered);
            }
            Some(Said::Ports(part)) => {
                let Ok(report) = ports.take(part) else { break };
                let of = datapath.clone().unwrap_or_else(|| "dp-a".parse().expect("an id"));
                if let Some(report) = report {
                    let reported = seen.report(of.clone(), report);
                    seen.bind_reported(&of, &reported, &mut edit);
                }
            }
            Some(Said::Answer(part)) => {
                for item in &part.items {
                    understood |= serde_json::from_slice::<FlowRow>(item).is_ok();
                }
            }
            Some(Said::Realized(_)) | None => {}
        }
    }
    world::committed(before, edit);
    understood
}

fn certify(request: &[u8]) -> bool {
    static AUTHORITY: LazyLock<(Authority, NodeId)> = LazyLock::new(|| {
        let folder = tempfile::tempdir().expect("a folder");
        (Authority::open(folder.path()).expect("an authority"), "host1".parse().expect("a node id"))
    });
    let (authority, node) = &*AUTHORITY;
    let certificate = authority.certify(request, node, std::time::SystemTime::now());
    assert!(certificate.as_ref().is_ok_and(|it| it.len() < MAX_CERTIFICATE) || certificate.is_err());
    certificate.is_ok()
}
