//! What a manager sends an agent, and the file in which the agent keeps it.

use std::sync::{Arc, LazyLock};

use ::topology::{Object, Topology};
use prost::Message as _;
use sha2::{Digest, Sha256};
use sync::Replica;
use sync::machines::{Inbox, ManagerMessage, Part, Put, Question, Told, Welcome};

use super::topology::WORDS;
use super::world;
use crate::hex;
use crate::memory::Limit;
use crate::target::{Target, as_it_is};

pub(super) const MESSAGES: Target = Target {
    name: "manager-messages",
    from: "a manager",
    seeds: messages,
    dictionary: WORDS,
    repair: as_it_is,
    run: receive,
    memory: Limit { base: 128 << 10, per_byte: 512 },
    max_bytes: 16 << 10,
    brief: 20_000,
};

pub(super) const REPLICA_FILE: Target = Target {
    name: "replica-file",
    from: "a disk",
    seeds: files,
    dictionary: WORDS,
    repair: seal,
    run: load,
    memory: Limit { base: 128 << 10, per_byte: 256 },
    max_bytes: 16 << 10,
    brief: 10_000,
};

fn replica() -> Replica {
    let datapath = "dp-a".parse().expect("an id");
    Replica { store_id: "store-1".to_owned(), datapath, topology: world::topology().clone() }
}

fn welcome() -> Told {
    Told::Welcome(Welcome {
        store_id: "store-1".to_owned(),
        datapath: "dp-a".to_owned(),
        ..Welcome::default()
    })
}

fn messages() -> Vec<Vec<u8>> {
    let encode = |told: &Told| ManagerMessage::from(told.clone()).encode_length_delimited_to_vec();
    let put =
        |object: Object| Put { reference: object.reference().to_string(), value: object.encode().into() };
    let puts: Vec<_> = world::topology().objects().map(put).collect();
    let (first, second) = puts.split_at(puts.len() / 2);
    let part = |base, puts: &[Put], deletes: &[&str], last| {
        let deletes = deletes.iter().map(ToString::to_string).collect();
        Told::Part(Part { base, revision: 9, puts: puts.to_vec(), deletes, last, awaited: last })
    };
    let question = Question { id: 1, question: br#"{"flows":{"owner":"if-a","limit":30}}"#.to_vec() };
    let snapshot = [welcome(), part(None, first, &[], false), part(None, second, &[], true)];
    let delta = [welcome(), part(Some(1), first, &["bindings/if-b", "ip_leases/il-a", "clouds/c-1"], true)];
    let mut all = vec![snapshot.iter().flat_map(encode).collect(), delta.iter().flat_map(encode).collect()];
    // Small ones, so that damage often meets what says how messages follow each other.
    all.extend(delta.iter().chain(&snapshot).map(encode));
    all.push([encode(&welcome()), encode(&Told::Question(question))].concat());
    all.extend(puts.iter().map(|put| encode(&part(None, std::slice::from_ref(put), &[], true))));
    all
}

/// Does with messages what an agent does whose stream begins, and one that has been welcomed.
fn receive(bytes: &[u8]) -> bool {
    static REPLICA: LazyLock<Arc<Replica>> = LazyLock::new(|| Arc::new(replica()));
    let [begins, mut welcomed] = [(); 2].map(|()| Inbox::new(Some(REPLICA.clone())));
    welcomed.on_message(Some(welcome())).expect("a welcome comes first");
    [begins, welcomed].into_iter().map(|inbox| take(inbox, bytes)).filter(|taken| *taken).count() > 0
}

fn take(mut inbox: Inbox, mut bytes: &[u8]) -> bool {
    let mut understood = false;
    while let Ok(message) = ManagerMessage::decode_length_delimited(&mut bytes) {
        match inbox.on_message(message.told) {
            Ok(Some(replica)) => {
                understood = true;
                reads_back(&replica);
            }
            Ok(None) => {}
            Err(fault) => {
                assert!(!fault.to_string().is_empty(), "a fault without a reason");
                break;
            }
        }
    }
    understood
}

fn files() -> Vec<Vec<u8>> {
    let empty = Replica { topology: Topology::default(), ..replica() };
    vec![replica().encode().into_bytes(), empty.encode().into_bytes()]
}

/// Puts the digest of what is before it into the last line.
fn seal(file: &mut Vec<u8>) {
    let lines = file.strip_suffix(b"\n").unwrap_or(file);
    let length = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    file.truncate(length);
    let digest = hex::encode(&Sha256::digest(&file));
    file.extend([digest.as_bytes(), b"\n"].concat());
}

fn load(file: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(file) else { return false };
    let replica = Replica::decode(text);
    replica.iter().for_each(reads_back);
    replica.is_ok()
}

fn reads_back(replica: &Replica) {
    let again = Replica::decode(&replica.encode()).expect("what was written can be read");
    assert!(again.topology.objects().eq(replica.topology.objects()), "an object reads as another");
}
