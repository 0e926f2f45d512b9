//! Transactions, cancelling and locks against a real `ovsdb-server`.

mod support;

use ovsdb::{
    Atom, Client, Condition, Datum, Function, LockEvent, Mutation, Mutator, Operation, OperationResult,
    QueryError, Row, RpcError, TransactError, Uuid,
};
use support::{Server, within};

fn item(name: &str) -> Operation {
    Operation::insert("item", Row::new().with("name", name))
}

async fn check(client: &Client, operations: &[Operation], expected: Result<&[OperationResult], &str>) {
    let outcome = match within(client.transact("test", operations)).await {
        Ok(results) => Ok(results),
        Err(TransactError::Operation { index, error, .. }) => Err(format!("{index}: {}", error.error)),
        Err(TransactError::Commit(error)) => Err(format!("commit: {}", error.error)),
        Err(TransactError::Rpc(RpcError::Refused(error))) => Err(format!("refused: {}", error.error)),
        Err(other) => panic!("{other:?}"),
    };
    assert_eq!(outcome.as_deref().map_err(String::as_str), expected, "{operations:?}");
}

#[tokio::test]
async fn operations_answer_by_their_kind() {
    let server = Server::standalone();
    let client = server.client().await;
    assert!(client.list_dbs().await.expect("names").contains(&"test".to_owned()));
    let row = Row::new().with("name", "a").with("number", 2).with("tags", Datum::set(["x", "y"]));
    let inserted = client.transact("test", &[Operation::insert("item", row)]).await.expect("inserted");
    assert!(matches!(inserted[..], [OperationResult::Inserted(uuid)] if uuid != Uuid::ZERO));
    let named = || vec![Condition::equal("name", "a")];
    let count = OperationResult::Count;
    check(
        &client,
        &[
            Operation::mutate("item", named(), vec![Mutation::new("number", Mutator::Multiply, 21)]),
            Operation::update(
                "item",
                vec![Condition::new("tags", Function::Includes, "x")],
                Row::new().with("label", "l"),
            ),
            Operation::select_columns("item", named(), &["number", "label", "tags", "attributes"]),
            Operation::delete("item", vec![Condition::new("number", Function::Less, 42)]),
            Operation::comment("nothing"),
            Operation::Commit { durable: true },
        ],
        Ok(&[
            count(1),
            count(1),
            OperationResult::Rows(vec![
                Row::new()
                    .with("number", 42)
                    .with("label", "l")
                    .with("tags", Datum::set(["x", "y"]))
                    .with("attributes", Datum::map::<Atom, Atom>([])),
            ]),
            count(0),
            OperationResult::Done,
            OperationResult::Done,
        ]),
    )
    .await;
}

#[tokio::test]
async fn rows_of_one_transaction_refer_to_each_other_by_name() {
    let server = Server::standalone();
    let client = server.client().await;
    let operations = [
        Operation::insert_named("item", "the_parent", Row::new().with("name", "parent")),
        Operation::insert("item", Row::new().with("name", "child").with("parent", Atom::named("the_parent"))),
    ];
    let results = client.transact("test", &operations).await.expect("inserted");
    let [OperationResult::Inserted(parent), _] = results[..] else { panic!("{results:?}") };
    let children = Operation::select_columns("item", vec![Condition::equal("parent", parent)], &["name"]);
    check(&client, &[children], Ok(&[OperationResult::Rows(vec![Row::new().with("name", "child")])])).await;
}

#[tokio::test]
async fn an_error_names_its_operation_and_nothing_happens() {
    let server = Server::standalone();
    let client = server.client().await;
    let guard = Operation::require("item", vec![], &["name"], vec![Row::new().with("name", "other")]);
    check(&client, &[item("a"), guard], Err("1: timed out")).await;
    check(&client, &[item("a"), Operation::Abort, item("b")], Err("1: aborted")).await;
    check(&client, &[Operation::insert("nothing", Row::new())], Err("0: syntax error")).await;
    check(&client, &[item("a"), Operation::Assert { lock: "l".to_owned() }], Err("1: not owner")).await;
    check(&client, &[item("a"), item("a")], Err("commit: constraint violation")).await;
    let dangling = Operation::insert("item", Row::new().with("parent", Uuid::from_u128(1)));
    check(&client, &[dangling], Err("commit: referential integrity violation")).await;
    check(
        &client,
        &[Operation::select_columns("item", vec![], &["name"])],
        Ok(&[OperationResult::Rows(vec![])]),
    )
    .await;
    let unknown = within(client.transact("unknown", &[])).await;
    assert!(matches!(unknown, Err(TransactError::Rpc(RpcError::Refused(_)))), "{unknown:?}");
}

#[tokio::test]
async fn a_transaction_that_waits_does_not_hold_up_others_and_can_be_cancelled() {
    let server = Server::standalone();
    let client = server.client().await;
    let wait = || Operation::Wait {
        timeout_ms: None,
        table: "item".to_owned(),
        conditions: vec![Condition::equal("name", "awaited")],
        columns: vec!["name".to_owned()],
        until: ovsdb::operation::Until::Equal,
        rows: vec![Row::new().with("name", "awaited")],
    };
    let cancelled = client.start_transaction("test", &[wait()]).await.expect("sent");
    assert_eq!(within(cancelled.cancel()).await.expect("cancelled"), None);
    let too_late = client.start_transaction("test", &[item("done")]).await.expect("sent");
    assert!(matches!(
        within(too_late.cancel()).await.expect("done").as_deref(),
        Some([OperationResult::Inserted(_)])
    ));

    let pending = client.start_transaction("test", &[wait()]).await.expect("sent");
    within(client.transact("test", &[item("awaited")])).await.expect("inserted meanwhile");
    assert_eq!(within(pending.outcome()).await.expect("done"), [OperationResult::Done]);
}

#[tokio::test]
async fn a_lock_is_granted_in_turn_and_can_be_stolen() {
    let server = Server::standalone();
    let (first, second) = (server.client().await, server.client().await);
    let mut held = first.lock("leader").await.expect("asked");
    let mut waiting = second.lock("leader").await.expect("asked");
    assert!(held.is_held() && !waiting.is_held());
    let assert = [Operation::Assert { lock: "leader".to_owned() }];
    check(&first, &assert, Ok(&[OperationResult::Done])).await;
    check(&second, &assert, Err("0: not owner")).await;

    let again = first.lock("leader").await;
    assert!(matches!(again, Err(QueryError::Rpc(RpcError::AlreadySubscribed))), "{again:?}");

    let thief = server.client().await;
    let stolen = thief.steal("leader").await.expect("asked");
    assert!(stolen.is_held());
    assert_eq!(within(held.next()).await.expect("told"), LockEvent::Stolen);
    assert!(!held.is_held());

    held.unlock().await.expect("given up");
    stolen.unlock().await.expect("given up");
    assert_eq!(within(waiting.next()).await.expect("told"), LockEvent::Locked);
    assert!(waiting.is_held());
}
