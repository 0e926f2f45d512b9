//! Monitors and replicas against a real `ovsdb-server`.

mod support;

use std::sync::Arc;

use ovsdb::{
    Client, Condition, Config, Datum, MonitorRequest, Mutation, Mutator, Operation, Replica, Row, Snapshot,
};
use support::{Server, within};

/// Rows of the large initial dump.
const MANY: usize = 20_000;

/// Rows inserted by one transaction of the large dump.
const BATCH: usize = 5_000;

fn everything() -> MonitorRequest {
    MonitorRequest::new().table("item", &["name", "number", "ratio", "label", "tags", "attributes"])
}

fn follow(endpoint: ovsdb::Endpoint) -> Replica {
    Replica::follow(endpoint, Config::default(), "test", everything())
}

fn item(name: &str) -> Operation {
    Operation::insert("item", Row::new().with("name", name))
}

async fn transact(client: &Client, operations: &[Operation]) {
    within(client.transact("test", operations)).await.expect("done");
}

fn names(snapshot: &Snapshot) -> Vec<String> {
    let mut names: Vec<_> = snapshot
        .rows("item")
        .map(|(_, row)| format!("{:?}", row.get("name").and_then(Datum::scalar)))
        .map(|name| name.trim_start_matches("Some(String(\"").trim_end_matches("\"))").to_owned())
        .collect();
    names.sort();
    names
}

/// The replica comes to have exactly these items.
async fn check(replica: &Replica, expected: &[&str]) {
    let found =
        tokio::time::timeout(support::LIMIT, replica.wait_for(|snapshot| names(snapshot) == expected)).await;
    assert!(found.is_ok(), "expected {expected:?}, found {:?}", replica.view().snapshot.as_ref().map(names));
}

#[tokio::test]
async fn every_kind_of_change_arrives_as_the_server_has_it() {
    let server = Server::standalone();
    let client = server.client().await;
    let replica = follow(server.endpoint());
    let named = || vec![Condition::equal("name", "a")];
    let mutate = |column: &str, mutator, value: Datum| {
        Operation::mutate("item", named(), vec![Mutation::new(column, mutator, value)])
    };
    let steps = [
        Operation::insert("item", Row::new().with("name", "a").with("tags", Datum::set(["x", "y"]))),
        mutate("tags", Mutator::Delete, Datum::from("x")),
        mutate("tags", Mutator::Insert, Datum::set(["z", "w"])),
        mutate("attributes", Mutator::Insert, Datum::map([("k", "1"), ("l", "2")])),
        Operation::update(
            "item",
            named(),
            Row::new().with("attributes", Datum::map([("k", "3"), ("m", "2")])),
        ),
        Operation::update("item", named(), Row::new().with("label", "first").with("ratio", 1)),
        Operation::update("item", named(), Row::new().with("label", Datum::empty()).with("number", -7)),
        Operation::update("item", named(), Row::new().with("tags", Datum::empty())),
    ];
    for step in steps {
        transact(&client, &[step]).await;
        // A monitor started now has the rows whole: the judge of what the differences added up to.
        let judge = follow(server.endpoint());
        let (_, whole) = within(judge.connected()).await;
        let rows = |snapshot: &Snapshot| {
            snapshot.rows("item").map(|(uuid, row)| (uuid, row.clone())).collect::<Vec<_>>()
        };
        within(replica.wait_for(|snapshot| rows(snapshot) == rows(&whole))).await;
    }
    transact(&client, &[Operation::delete("item", named())]).await;
    check(&replica, &[]).await;
}

#[tokio::test]
async fn a_snapshot_in_hand_does_not_change() {
    let server = Server::standalone();
    let client = server.client().await;
    let replica = follow(server.endpoint());
    transact(&client, &[item("a")]).await;
    check(&replica, &["a"]).await;
    let before = replica.view().snapshot.expect("rows");
    transact(&client, &[Operation::delete("item", vec![])]).await;
    check(&replica, &[]).await;
    assert_eq!(names(&before), ["a"]);
}

#[tokio::test]
async fn a_monitor_resumes_from_the_last_transaction_where_the_server_keeps_history() {
    let server = Server::clustered();
    let client = server.client().await;
    let schema = Arc::new(client.get_schema("test").await.expect("a schema"));
    transact(&client, &[item("before")]).await;
    let mut first = client.monitor(&schema, everything(), None).await.expect("monitored");
    let initial = first.take_initial();
    assert!(!initial.resumed && initial.updates.rows.len() == 1);
    transact(&client, &[item("seen")]).await;
    let seen = within(first.next()).await.expect("an update");
    transact(&client, &[item("missed")]).await;

    let again = server.client().await;
    let mut second = again.monitor(&schema, everything(), seen.transaction).await.expect("monitored");
    let initial = second.take_initial();
    assert!(initial.resumed, "{initial:?}");
    assert_eq!(initial.updates.rows.len(), 1, "only what was missed: {initial:?}");
}

#[tokio::test]
async fn a_replica_catches_up_after_a_cut_with_and_without_history() {
    for server in [Server::clustered(), Server::standalone()] {
        let client = server.client().await;
        transact(&client, &[item("a"), item("b")]).await;
        let relay = server.relay();
        let replica = follow(relay.endpoint());
        check(&replica, &["a", "b"]).await;
        for (round, expected) in [["b", "c0"], ["b", "c1"]].iter().enumerate() {
            relay.cut();
            let added = expected.last().copied().unwrap_or_default();
            let remove =
                Operation::delete("item", vec![Condition::new("name", ovsdb::Function::NotEqual, "b")]);
            transact(&client, &[remove, item(added)]).await;
            check(&replica, expected).await;
            assert!(replica.view().connections > round as u64);
        }
    }
}

#[tokio::test]
async fn a_replica_keeps_its_rows_while_the_server_restarts() {
    for mut server in [Server::clustered(), Server::standalone()] {
        transact(&server.client().await, &[item("a")]).await;
        let replica = follow(server.endpoint());
        check(&replica, &["a"]).await;
        let mut view = replica.watch();
        server.restart();
        let survived = async {
            loop {
                let view = view.borrow_and_update().clone();
                assert_eq!(view.snapshot.as_ref().map(names).as_deref(), Some(&["a".to_owned()][..]));
                if view.connections > 1 {
                    return;
                }
                replica.watch().changed().await.expect("a view");
            }
        };
        within(survived).await;
        transact(&server.client().await, &[item("b")]).await;
        check(&replica, &["a", "b"]).await;
    }
}

#[tokio::test]
async fn a_large_initial_dump_is_whole() {
    let server = Server::standalone();
    let client = server.client().await;
    for batch in 0..MANY / BATCH {
        let items: Vec<_> = (0..BATCH).map(|index| item(&format!("item-{batch}-{index}"))).collect();
        transact(&client, &items).await;
    }
    let (_, snapshot) = within(follow(server.endpoint()).connected()).await;
    assert_eq!(snapshot.count("item"), MANY);
}

#[tokio::test]
async fn conditions_choose_rows_and_can_change() {
    let server = Server::standalone();
    let client = server.client().await;
    let schema = Arc::new(client.get_schema("test").await.expect("a schema"));
    transact(&client, &[item("a"), item("b")]).await;
    let only = |name: &str| Some(vec![Condition::equal("name", name)]);
    let mut monitor =
        client.monitor(&schema, everything().rows("item", only("a")), None).await.expect("monitored");
    let mut snapshot = Snapshot::empty(schema);
    snapshot.apply(monitor.take_initial().updates).expect("fits");
    assert_eq!(names(&snapshot), ["a"]);
    for (any_of, expected) in [(only("b"), &["b"][..]), (None, &["a", "b"]), (Some(vec![]), &[])] {
        monitor.change_conditions("item", any_of).await.expect("changed");
        while names(&snapshot) != expected {
            snapshot.apply(within(monitor.next()).await.expect("an update")).expect("fits");
        }
    }
    monitor.cancel().await.expect("cancelled");
    transact(&client, &[item("c")]).await;
}
