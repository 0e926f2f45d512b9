//! What an agent is sent: the right objects, the fewest, and never more than it reads.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use proptest::prelude::*;
use serde_json::json;
use tokio::sync::mpsc;
use topology::datapath::Datapath;
use topology::{Collection, DatapathId, Object, Request, Revision, Topology, scope};

use super::manager::{Memory, Raw, Served, add_interface, populate, port, registration};
use crate::feed::{Feed, Next};
use crate::history::{History, REMEMBERED};
use crate::inbox::Inbox;
use crate::manager::{Head, Manager};
use crate::replica::Replica;
use crate::session::{CATCH_UP, ROOM, tell};
use crate::values::Values;
use crate::wire::{Part, Resume, Told, Welcome};

/// All but the sequences, which no agent gets.
fn objects(topology: &Topology) -> Vec<Object> {
    topology.objects().filter(|object| !matches!(object, Object::Sequences(_))).collect()
}

fn sorted(mut objects: Vec<Object>) -> Vec<Object> {
    objects.sort_by_key(Object::reference);
    objects
}

fn assert_is_scope(replica: &Replica, topology: &Topology) {
    assert_eq!(replica.topology.revision(), topology.revision());
    assert_eq!(sorted(objects(&replica.topology)), sorted(scope::snapshot(topology, &replica.datapath)));
}

pub(super) fn register(memory: &Memory, name: &str) -> DatapathId {
    memory.edit(|edit, _| Datapath::register(edit, registration(name))).expect("registered")
}

fn report(memory: &Memory, datapath: &DatapathId, ports: &[&str]) {
    let ports = ports.iter().map(|name| port(name)).collect();
    let reported = memory.edit(|edit, seen| {
        seen.report(datapath.clone(), ports);
        seen.bind(datapath, edit);
        Ok(())
    });
    reported.expect("taken");
}

/// One of many things that may happen to a topology; what makes no sense at the time changes nothing.
pub(super) fn happen(memory: &Memory, hosts: &[DatapathId], what: u8, which: u8, how: u8) {
    let (interface, network) = (format!("if-{}", which % 6), ["nw-a", "nw-b"][usize::from(how % 2)]);
    let request = match what {
        0 | 1 => json!({"op": "create", "resource": "interfaces", "attributes": {
            "uuid": interface, "network_uuid": network, "port_name": format!("p{}", which % 6),
            "mac_address": format!("02:00:00:00:00:{which:02x}"),
        }}),
        2 => json!({"op": "delete", "resource": "interfaces", "uuid": interface}),
        3 => {
            json!({"op": "update", "resource": "interfaces", "uuid": interface, "attributes": {"network_uuid": network}})
        }
        4 => json!({"op": "update", "resource": "networks", "uuid": network, "attributes": {
            "segment_uuid": if how & 2 == 0 { json!("seg-1") } else { json!(null) },
        }}),
        5 => {
            json!({"op": "update", "resource": "networks", "uuid": network, "attributes": {"display_name": format!("{how}")}})
        }
        6 => {
            json!({"op": "create", "resource": "segments", "attributes": {"uuid": "seg-1", "mode": "virtual"}})
        }
        7 => json!({"op": "delete", "resource": "segments", "uuid": "seg-1"}),
        8 => {
            json!({"op": "create", "resource": "networks", "attributes": {"uuid": network, "ipv4_network": "10.0.0.0"}})
        }
        _ => {
            let ports: Vec<_> =
                (0..6).filter(|bit| how >> bit & 1 == 1).map(|bit| format!("p{bit}")).collect();
            let ports: Vec<_> = ports.iter().map(String::as_str).collect();
            return report(memory, &hosts[usize::from(which) % hosts.len()], &ports);
        }
    };
    let request: Request = serde_json::from_value(request).expect("a request");
    let _ = memory.edit(|edit, _| request.execute(edit));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Over random changes, of which the history and the feed each miss some.
    #[test]
    fn a_replica_is_the_hosts_scope_at_every_revision_it_hears_of(
        steps in proptest::collection::vec((0..12_u8, any::<u8>(), any::<u8>(), 0..4_u8), 1..60),
    ) {
        let memory = Memory::new("store-1");
        let hosts = ["host1", "host2", "host3"].map(|name| register(&memory, name));
        let heads = memory.head();
        let history = History::new(&heads.borrow());
        let mut agents: Vec<_> = hosts.iter().map(TestFeed::new).collect();
        for (what, which, how, missed) in steps {
            happen(&memory, &hosts, what, which, how);
            if missed == 0 {
                continue;
            }
            history.push(&heads.borrow());
            let behind = if missed == 1 { 1 } else { 0 };
            agents.iter_mut().skip(behind).for_each(|agent| agent.step(&history));
        }
        history.push(&heads.borrow());
        for agent in &mut agents {
            agent.step(&history);
            agent.catch_up();
            assert_is_scope(agent.replica.as_ref().expect("a replica"), &memory.topology());
        }
    }
}

#[test]
fn what_somebody_waits_for_is_marked_on_its_way() {
    let memory = Memory::new("store-1");
    let host = register(&memory, "host1");
    populate(&memory, &["p1"]);
    report(&memory, &host, &["p1"]);
    let history = History::new(&memory.head().borrow());
    let mut agent = TestFeed::new(&host);
    agent.step(&history);
    let mut check = |number, awaited: fn(Revision) -> Revision, expected| {
        let before = memory.topology().revision();
        add_interface(&memory, number, &format!("p{number}"));
        let head = Head { awaited: awaited(before), ..Head::clone(&memory.head().borrow()) };
        history.push(&head);
        let entry = history.watch().borrow().clone();
        let Next::Send(update) = agent.feed.next(&entry) else { panic!("it concerns the host") };
        for part in update.into_parts(&entry.values) {
            agent.inbox.take_in(Some(Told::Part(part))).expect("taken");
        }
        assert_eq!(agent.inbox.is_awaited(), expected);
    };
    check(2, |before| before, false);
    check(3, Revision::next, true);
    // Nor does it wait for what comes after it.
    check(4, |before| before, true);
}

/// A feed and an inbox joined without a network between them.
struct TestFeed {
    feed: Feed,
    inbox: Inbox,
    replica: Option<Arc<Replica>>,
}

impl TestFeed {
    fn new(host: &DatapathId) -> Self {
        let mut inbox = Inbox::new(None);
        let welcome =
            Welcome { store_id: "store-1".to_owned(), datapath: host.to_string(), ..Welcome::default() };
        inbox.on_message(Some(Told::Welcome(welcome))).expect("welcome");
        Self { feed: Feed::new(host.clone(), "store-1".to_owned(), None), inbox, replica: None }
    }

    fn step(&mut self, history: &History) {
        let head = history.watch().borrow().clone();
        match self.feed.next(&head) {
            Next::Send(update) => update.into_parts(&head.values).for_each(|part| self.take(part)),
            Next::Behind | Next::Current => {}
            Next::Over => panic!("the datapaths stay"),
        }
        // Whatever the revision it was told, it has what it needs.
        let replica = self.replica.as_ref().expect("a replica");
        let scope = scope::snapshot(&head.topology, &replica.datapath);
        assert_eq!(sorted(objects(&replica.topology)), sorted(scope));
    }

    fn catch_up(&mut self) {
        let update = self.feed.catch_up();
        if let Some(update) = update {
            update.into_parts(&Values::default()).for_each(|part| self.take(part));
        }
    }

    fn take(&mut self, part: Part) {
        if let Some(replica) = self.inbox.on_message(Some(Told::Part(part))).expect("taken") {
            self.replica = Some(replica);
        }
    }
}

/// The next update of a stream: where it starts and leads, and how many objects it carries.
async fn update(raw: &mut Raw) -> (Option<u64>, u64, usize) {
    let mut carried = 0;
    loop {
        match raw.told().await.expect("open") {
            Told::Welcome(_) | Told::Question(_) => {}
            Told::Part(part) => {
                carried += part.puts.len() + part.deletes.len();
                if part.last {
                    return (part.base, part.revision, carried);
                }
            }
        }
    }
}

fn resume(store_id: &str, datapath: &str, revision: u64) -> Option<Resume> {
    Some(Resume { store_id: store_id.to_owned(), datapath: datapath.to_owned(), revision })
}

#[tokio::test]
async fn an_agent_that_comes_back_is_sent_what_it_missed_and_no_more() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let mut raw = served.hello(&host, None).await;
    update(&mut raw).await;
    let datapath = served.manager.topology().datapaths().keys().next().expect("one").clone();
    populate(&served.manager, &["p1", "p2", "p3"]);
    report(&served.manager, &datapath, &["p1", "p2", "p3"]);
    let at = served.manager.topology().revision().0;
    while update(&mut raw).await.1 < at {}
    drop(raw);

    let check = async |resume: Option<Resume>, expected: (Option<u64>, usize)| {
        let (base, revision, carried) = update(&mut served.hello(&host, resume).await).await;
        assert_eq!(revision, served.manager.topology().revision().0);
        assert_eq!((base, carried), expected);
    };
    let name = datapath.to_string();
    check(resume("store-1", &name, at), (Some(at), 0)).await;
    served.manager.request(json!({
        "op": "update", "resource": "interfaces", "uuid": "if-2", "attributes": {"display_name": "two"},
    }));
    check(resume("store-1", &name, at), (Some(at), 1)).await;
    // The datapath, the network, and an interface, two leases and a binding for each of three.
    let all = (None, 1 + 1 + 3 * 4);
    check(None, all).await;
    check(resume("store-0", &name, at), all).await;
    check(resume("store-1", "dp-other", at), all).await;
    check(resume("store-1", &name, at + 1000), all).await;
}

#[tokio::test]
async fn another_store_ends_the_stream_and_begins_with_a_snapshot() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let mut raw = served.hello(&host, None).await;
    let (_, at, _) = update(&mut raw).await;
    served.manager.replace_store("store-2");
    assert_eq!(raw.end().await.code(), tonic::Code::Aborted);
    let datapath = served.manager.topology().datapaths().keys().next().expect("one").to_string();
    let mut raw = served.hello(&host, resume("store-1", &datapath, at)).await;
    assert_eq!(update(&mut raw).await, (None, at, 1));
}

/// Reads all that a feed has sent and what it still sends, up to a revision.
async fn drain(
    messages: &mut mpsc::Receiver<Result<crate::wire::ManagerMessage, tonic::Status>>,
    to: Revision,
) -> Vec<Part> {
    let mut parts = Vec::new();
    loop {
        let message = messages.recv().await.expect("open").expect("a message");
        if let Some(Told::Part(part)) = message.told {
            let done = part.last && part.revision == to.0;
            parts.push(part);
            if done {
                return parts;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn commits_that_a_slow_reader_misses_are_one_update() {
    const COMMITS: usize = 200;
    let memory = Memory::new("store-1");
    let host = register(&memory, "host1");
    populate(&memory, &["p1"]);
    report(&memory, &host, &["p1"]);
    let history = History::new(&memory.head().borrow());
    let (outbound, mut messages) = mpsc::channel(ROOM);
    let (feed, told) = (Feed::new(host.clone(), "store-1".to_owned(), None), AtomicU64::new(0));
    let writing = async {
        for number in 0..COMMITS {
            memory.request(json!({"op": "update", "resource": "interfaces", "uuid": "if-1",
                "attributes": {"display_name": number.to_string()}}));
            history.push(&memory.head().borrow());
            tokio::task::yield_now().await;
        }
        drain(&mut messages, memory.topology().revision()).await
    };
    let parts = tokio::select! {
        parts = writing => parts,
        ended = tell(history.watch(), feed, &outbound, &told) => panic!("ended: {ended:?}"),
    };
    assert!(parts.len() <= ROOM + 2, "{} parts", parts.len());
    let mut inbox = TestFeed::new(&host);
    parts.into_iter().for_each(|part| inbox.take(part));
    assert_is_scope(inbox.replica.as_ref().expect("a replica"), &memory.topology());
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_does_not_concern_a_host_costs_it_a_revision_a_second() {
    const COMMITS: u32 = 100;
    let memory = Memory::new("store-1");
    let host = register(&memory, "host1");
    let history = History::new(&memory.head().borrow());
    let (outbound, mut messages) = mpsc::channel(ROOM);
    let (feed, told) = (Feed::new(host.clone(), "store-1".to_owned(), None), AtomicU64::new(0));
    populate(&memory, &[]);
    let writing = async {
        for number in 0..COMMITS {
            add_or_remove(&memory, number);
            history.push(&memory.head().borrow());
            tokio::time::sleep(CATCH_UP / 10).await;
        }
    };
    let to = async {
        writing.await;
        memory.topology().revision()
    };
    let reading = async {
        // The reader is quick; the revisions it hears of are few all the same.
        let mut parts = Vec::new();
        let mut to = std::pin::pin!(to);
        loop {
            tokio::select! {
                to = &mut to => {
                    parts.extend(drain(&mut messages, to).await);
                    return parts;
                }
                message = messages.recv() => {
                    let message = message.expect("open").expect("a message");
                    parts.extend(message.told.and_then(|told| if let Told::Part(part) = told { Some(part) } else { None }));
                }
            }
        }
    };
    let parts = tokio::select! {
        parts = reading => parts,
        ended = tell(history.watch(), feed, &outbound, &told) => panic!("ended: {ended:?}"),
    };
    let [snapshot, empty @ ..] = parts.as_slice() else { panic!("a snapshot at least") };
    assert_eq!((snapshot.base, snapshot.puts.len()), (None, 1));
    assert!(empty.iter().all(|part| part.puts.is_empty() && part.deletes.is_empty()));
    assert!((2..=12).contains(&empty.len()), "{} in ten seconds", empty.len());
}

fn add_or_remove(memory: &Memory, number: u32) {
    if number.is_multiple_of(2) {
        add_interface(memory, 1, "p1");
    } else {
        memory.request(json!({"op": "delete", "resource": "interfaces", "uuid": "if-1"}));
    }
}

#[test]
fn a_history_remembers_a_bounded_number_of_revisions_of_one_store() {
    let memory = Memory::new("store-1");
    let history = History::new(&memory.head().borrow());
    memory.create(Collection::Segments, json!({"uuid": "seg-1", "mode": "virtual"}));
    for number in 0..REMEMBERED {
        memory.request(json!({"op": "update", "resource": "segments", "uuid": "seg-1",
            "attributes": {"display_name": number.to_string()}}));
        history.push(&memory.head().borrow());
    }
    let last = memory.topology().revision();
    let check = |store: &str, revision: u64, known: bool| {
        let found = history.at(store, Revision(revision)).map(|topology| topology.revision());
        assert_eq!(found, known.then_some(Revision(revision)), "{revision} of {store}");
    };
    check("store-1", last.0, true);
    check("store-1", last.0 - 1000, true);
    check("store-1", 0, false);
    check("store-2", last.0, false);
    memory.replace_store("store-2");
    history.push(&memory.head().borrow());
    check("store-2", last.0, true);
    check("store-2", last.0 - 1, false);
}
