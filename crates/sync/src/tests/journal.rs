//! A replica on disk: what is read is what was saved, whatever a crash has left of it.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use topology::{Object, Revision};

use super::manager::Memory;
use super::updates::{happen, register};
use crate::journal::{Journal, log_of};
use crate::replica::Replica;

/// What tells replicas apart.
type Contents = (String, Revision, Vec<Object>);

fn contents(replica: &Replica) -> Contents {
    (replica.store_id.clone(), replica.topology.revision(), replica.topology.objects().collect())
}

fn loaded(path: &Path) -> Contents {
    contents(&Replica::load(path).expect("a replica"))
}

/// A topology that changes, and its replica's file.
struct World {
    memory: Memory,
    hosts: [topology::DatapathId; 1],
    path: std::path::PathBuf,
    journal: Journal,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let memory = Memory::new("store-1");
        let hosts = [register(&memory, "host1")];
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("replica");
        Self { memory, hosts, journal: Journal::new(&path), path, _folder: folder }
    }

    fn happen(&self, what: u8, which: u8, how: u8) {
        happen(&self.memory, &self.hosts, what, which, how);
    }

    fn replica(&self, store: &str) -> Arc<Replica> {
        let (store_id, datapath) = (store.to_owned(), self.hosts[0].clone());
        Arc::new(Replica { store_id, datapath, topology: self.memory.topology() })
    }

    fn save(&mut self, store: &str) -> Contents {
        let replica = self.replica(store);
        self.journal.save(&replica).expect("saved");
        contents(&replica)
    }

    fn log(&self) -> Vec<u8> {
        std::fs::read(log_of(&self.path)).expect("a log")
    }

    fn write_log(&self, bytes: &[u8]) {
        std::fs::write(log_of(&self.path), bytes).expect("written");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// Over random changes, agents that start anew, and another store.
    #[test]
    fn what_is_read_is_what_was_saved_last(
        steps in proptest::collection::vec((0..12_u8, any::<u8>(), any::<u8>(), 0..16_u8), 1..40),
    ) {
        let mut world = World::new();
        let mut store = "store-1";
        for (what, which, how, event) in steps {
            world.happen(what, which, how);
            match event {
                0 => world.journal = Journal::new(&world.path),
                1 => store = "store-2",
                2..4 => continue,
                _ => {}
            }
            let saved = world.save(store);
            prop_assert_eq!(loaded(&world.path), saved);
        }
    }
}

#[test]
fn a_log_that_ends_anywhere_gives_the_last_revision_that_is_there_whole() {
    let mut world = World::new();
    let mut saved = vec![(0, world.save("store-1"))];
    for number in 0..4 {
        world.happen(8, number, number);
        world.happen(0, number, number);
        let now = world.save("store-1");
        saved.push((world.log().len(), now));
    }
    let whole = world.log();
    let around = |length: usize| [length.saturating_sub(1), length, length + 1];
    let ends = saved.iter().flat_map(|(length, _)| around(*length)).chain((0..whole.len()).step_by(211));
    for end in ends.filter(|end| *end <= whole.len()) {
        world.write_log(&whole[..end]);
        let (_, expected) = saved.iter().rev().find(|(length, _)| *length <= end).expect("the file's");
        assert_eq!(loaded(&world.path), *expected, "{end} of {} bytes", whole.len());
    }
}

#[test]
fn a_log_that_was_changed_is_read_up_to_there() {
    let mut world = World::new();
    let mut saved = vec![world.save("store-1")];
    for number in 0..3 {
        world.happen(8, number, number);
        saved.push(world.save("store-1"));
    }
    let whole = world.log();
    for at in (0..whole.len()).step_by(83) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        world.write_log(&changed);
        let found = loaded(&world.path);
        assert!(saved[..saved.len() - 1].contains(&found), "byte {at} makes {found:?}");
    }
    world.write_log(&[&whole[..], b"\xff\xfe 7\n"].concat());
    assert_eq!(Some(&loaded(&world.path)), saved.last());
}

#[test]
fn the_log_of_an_older_file_is_passed_over() {
    let mut world = World::new();
    world.save("store-1");
    world.happen(8, 0, 0);
    world.save("store-1");
    let old = world.log();
    world.happen(8, 0, 1);
    world.journal = Journal::new(&world.path);
    let newest = world.save("store-1");
    assert_eq!(world.log(), b"");
    // As if the crash had come before the log was begun anew.
    world.write_log(&old);
    assert_eq!(loaded(&world.path), newest);
}

#[test]
fn a_log_does_not_grow_beyond_its_file() {
    let mut world = World::new();
    world.happen(8, 0, 0);
    for number in 0..400_u16 {
        let how = u8::try_from(number % 250).expect("a byte");
        world.happen(5, 0, how & !1);
        world.save("store-1");
    }
    let file = std::fs::metadata(&world.path).expect("a file").len();
    let log = u64::try_from(world.log().len()).expect("a length");
    assert!(log <= file.max(64 * 1024) + 64 * 1024, "{log} bytes beside {file}");
    assert_eq!(loaded(&world.path), contents(&world.replica("store-1")));
}
