//! Random histories: whatever is appended, watched and closed in between, a store agrees with a map.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use store::{AppendError, Commit, Revision, Store};

use crate::{Backend, commit, delete, put};

/// Few, since one costs up to [`STEPS`] syncs of the disk.
const CASES: u32 = 24;

/// The most steps in a history.
const STEPS: usize = 12;

/// More than a history can have commits.
const HISTORY: usize = 100;

#[derive(Clone, Debug)]
enum Step {
    /// Appends a group at the head.
    Append(Vec<Change>),
    /// Appends at a revision this far before the head.
    Stale(u64, Change),
    /// Watches from a revision chosen among those there are, up to the head.
    Watch(prop::sample::Index),
    /// Closes the store and opens it again.
    Reopen,
}

/// The new values of some keys; `None` deletes.
type Change = BTreeMap<u8, Option<Vec<u8>>>;

fn change() -> impl Strategy<Value = Change> {
    let value = prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..20));
    prop::collection::btree_map(0..12u8, value, 1..6)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(change(), 1..4).prop_map(Step::Append),
        1 => (1..3u64, change()).prop_map(|(behind, change)| Step::Stale(behind, change)),
        3 => any::<prop::sample::Index>().prop_map(Step::Watch),
        1 => Just(Step::Reopen),
    ]
}

fn to_commit(change: &Change) -> Commit {
    let mutation = |(key, value): (&u8, &Option<Vec<u8>>)| match value {
        Some(value) => put(&format!("key-{key}"), value.clone()),
        None => delete(&format!("key-{key}")),
    };
    commit(change.iter().map(mutation).collect::<Vec<_>>())
}

#[derive(Default)]
struct Model {
    entries: BTreeMap<String, Vec<u8>>,
    log: Vec<Commit>,
}

impl Model {
    fn head(&self) -> Revision {
        Revision::EMPTY.advanced_by(self.log.len())
    }

    fn apply(&mut self, commit: Commit) {
        for mutation in &commit.mutations {
            match mutation.value() {
                Some(value) => self.entries.insert(mutation.key().to_string(), value.to_vec()),
                None => self.entries.remove(mutation.key().as_str()),
            };
        }
        self.log.push(commit);
    }
}

pub(crate) fn random_histories_agree_with_a_map<B: Backend>() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let run = |steps| {
        runtime.block_on(check::<B>(steps));
        Ok(())
    };
    TestRunner::new(config).run(&prop::collection::vec(step(), 1..STEPS), run).expect("all histories agree");
}

async fn check<B: Backend>(steps: Vec<Step>) {
    let (backend, mut model) = (B::new(HISTORY), Model::default());
    let mut store = backend.open().await;
    for step in steps {
        if let Step::Reopen = step {
            drop(store);
            store = backend.open().await;
        } else {
            take(&store, &mut model, step).await;
        }
        let snapshot = store.snapshot().await.expect("a snapshot");
        let found: BTreeMap<_, _> =
            snapshot.entries.iter().map(|(key, value)| (key.to_string(), value.to_vec())).collect();
        assert_eq!((snapshot.revision, &found), (model.head(), &model.entries));
    }
}

async fn take(store: &Arc<dyn Store>, model: &mut Model, step: Step) {
    match step {
        Step::Append(changes) => {
            let commits: Vec<_> = changes.iter().map(to_commit).collect();
            let appended = store.append_many(model.head(), commits.clone()).await;
            commits.into_iter().for_each(|commit| model.apply(commit));
            assert_eq!(appended.expect("the head is the expected one"), model.head());
        }
        Step::Stale(behind, change) if behind <= model.head().0 => {
            let refused = store.append(Revision(model.head().0 - behind), to_commit(&change)).await;
            assert!(matches!(refused, Err(AppendError::Conflict { head }) if head == model.head()));
        }
        Step::Watch(from) => {
            let from = from.index(model.log.len() + 1);
            let start = Revision::EMPTY.advanced_by(from);
            let mut watch = store.watch(start).await.expect("the history is kept");
            for expected in &model.log[from..] {
                assert_eq!(*watch.next().await.expect("the watch goes on").commit, *expected);
            }
        }
        Step::Stale(..) | Step::Reopen => {}
    }
}
