//! Restarts: what was acknowledged is there again. And stores that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::json;
use store::{
    AppendError, Commit, MemoryStore, Mutation, Snapshot, Store, StoreError, StoreFuture, WatchError,
};
use tempfile::TempDir;
use vnmgr::manager::{Manager, ManagerError};

use crate::support::{Client, Lab, options, tutorial};

#[tokio::test]
async fn a_manager_that_restarts_has_everything_again() {
    let state = TempDir::new().expect("a directory");
    let manager = Manager::start(&options(&state)).await.expect("it starts");
    let addresses = std::fs::read_to_string(state.path().join("addresses.json")).expect("the addresses");
    assert!(addresses.contains(&manager.addresses().api.to_string()));
    let client = Client::new(&manager);
    for (path, body) in tutorial() {
        client.post(path, body).await.expect_status(201);
    }
    let collections = ["datapaths", "networks", "interfaces", "mac_leases", "ip_leases", "revision"];
    let mut before = Vec::new();
    for collection in collections {
        before.push(client.get(collection).await.expect_status(200).body);
    }
    manager.stop().await.expect("it stops");

    let manager = Manager::start(&options(&state)).await.expect("it starts again");
    let client = Client::new(&manager);
    for (collection, before) in collections.into_iter().zip(before) {
        assert_eq!(client.get(collection).await.expect_status(200).body, before, "{collection}");
    }
    // Keys go on from where they were.
    client.delete("networks/nw-test1").await.expect_status(200);
    client
        .post("networks", json!({"uuid": "nw-test2", "ipv4_network": "10.0.0.0"}))
        .await
        .expect_status(201)
        .expect(json!({"key": 2}));
    manager.stop().await.expect("it stops");
}

#[tokio::test]
async fn two_managers_cannot_have_one_state_directory() {
    let state = TempDir::new().expect("a directory");
    let manager = Manager::start(&options(&state)).await.expect("it starts");
    assert!(matches!(Manager::start(&options(&state)).await, Err(ManagerError::Open(_))));
    manager.stop().await.expect("it stops");
}

#[tokio::test]
async fn a_damaged_object_is_named_and_nothing_is_served() {
    let check = async |key: &str, value: &'static [u8]| {
        let store = MemoryStore::new();
        let put = Mutation::Put { key: key.try_into().expect("a key"), value: value.into() };
        store.append(store::Revision::EMPTY, Commit { mutations: vec![put] }).await.expect("appended");
        let state = TempDir::new().expect("a directory");
        let Err(ManagerError::Load(error)) = Manager::start_on(Arc::new(store), &options(&state)).await
        else {
            panic!("a manager started on a damaged store");
        };
        assert!(error.to_string().contains(key), "{error}");
    };
    check("networks/nw-a", b"{").await;
    check("networks/nw-a", b"{\"uuid\": \"nw-b\"}").await;
    check("unheard-of/x-a", b"{}").await;
}

/// A store that can be told to fail.
struct Faulty {
    inner: MemoryStore,
    full: AtomicBool,
    /// How many appends somebody else gets in before.
    rivals: AtomicU32,
    /// Another manager, which does not see our hosts, gets in before the next append.
    is_unbound: AtomicBool,
}

impl Faulty {
    fn new() -> Arc<Self> {
        let (full, rivals) = (AtomicBool::new(false), AtomicU32::new(0));
        Arc::new(Self { inner: MemoryStore::new(), full, rivals, is_unbound: AtomicBool::new(false) })
    }
}

impl Store for Faulty {
    fn id(&self) -> store::StoreId {
        self.inner.id()
    }

    fn append_many(
        &self,
        expected_head: store::Revision,
        commits: Vec<Commit>,
    ) -> StoreFuture<'_, Result<store::Revision, AppendError>> {
        if self.full.load(Ordering::SeqCst) {
            return Box::pin(async { Err(AppendError::Full) });
        }
        let rival = self.rivals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        let is_unbound = self.is_unbound.swap(false, Ordering::SeqCst);
        Box::pin(async move {
            if is_unbound {
                let mutations = vec![Mutation::Delete { key: "bindings/if-a".try_into().expect("a key") }];
                self.inner.append(expected_head, Commit { mutations }).await?;
            }
            if rival.is_ok() {
                // What another manager would have written: the same commit under other names.
                let key = format!("host_tokens/ht-{}", expected_head.0).try_into().expect("a key");
                let value = format!(
                    r#"{{"uuid":"ht-{}","project":"default","created_at":"2026-01-01T00:00:00Z",
                        "updated_at":"2026-01-01T00:00:00Z","revision":{},"digest":"",
                        "expires_at":"2026-01-01T00:00:00Z"}}"#,
                    expected_head.0,
                    expected_head.0 + 1
                );
                let mutations = vec![Mutation::Put { key, value: value.into() }];
                self.inner.append(expected_head, Commit { mutations }).await?;
            }
            self.inner.append_many(expected_head, commits).await
        })
    }

    fn snapshot(&self) -> StoreFuture<'_, Result<Snapshot, StoreError>> {
        self.inner.snapshot()
    }

    fn watch(&self, from: store::Revision) -> StoreFuture<'_, Result<store::Watch, WatchError>> {
        self.inner.watch(from)
    }
}

#[tokio::test]
async fn a_full_store_is_said_to_be_and_nothing_is_published() {
    let store = Faulty::new();
    let lab = Lab::start_on(store.clone()).await;
    let network = json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0"});
    store.full.store(true, Ordering::SeqCst);
    lab.client.post("networks", network.clone()).await.expect_error(503, "Unavailable", "503", None);
    lab.client.get("networks/nw-a").await.expect_status(404);
    assert_eq!(lab.revision().0, 0);
    store.full.store(false, Ordering::SeqCst);
    lab.client.post("networks", network).await.expect_status(201);
}

#[tokio::test]
async fn bindings_that_could_not_be_stored_are_tried_again() {
    let store = Faulty::new();
    let lab = Lab::start_on(store.clone()).await;
    let interface = json!({"uuid": "if-a", "port_name": "tap0"});
    lab.client.post("interfaces", interface).await.expect_status(201);
    let host = lab.host("host1", 1).await;
    store.full.store(true, Ordering::SeqCst);
    host.shows(&["tap0"]).await;
    store.full.store(false, Ordering::SeqCst);
    crate::support::until("the interface is bound", async || {
        lab.client.get("interfaces/if-a").await.body["status"]["state"] == "active"
    })
    .await;
}

#[tokio::test]
async fn what_another_manager_has_unbound_without_seeing_its_host_is_bound_again() {
    let store = Faulty::new();
    let lab = Lab::start_on(store.clone()).await;
    let interface = json!({"uuid": "if-a", "port_name": "tap0"});
    lab.client.post("interfaces", interface).await.expect_status(201);
    lab.host("host1", 1).await.shows(&["tap0"]).await;
    store.is_unbound.store(true, Ordering::SeqCst);
    lab.client.post("networks", json!({"ipv4_network": "10.0.0.0"})).await.expect_status(201);
    let shown = lab.client.get("interfaces/if-a").await;
    assert_eq!(shown.body["status"]["state"], "unbound");
    crate::support::until("the interface is bound", async || {
        lab.client.get("interfaces/if-a").await.body["status"]["state"] == "active"
    })
    .await;
}

#[tokio::test]
async fn a_commit_that_comes_second_is_decided_anew_on_the_new_head() {
    let store = Faulty::new();
    let lab = Lab::start_on(store.clone()).await;
    store.rivals.store(2, Ordering::SeqCst);
    let made = lab.client.post("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0"})).await;
    made.expect_status(201).expect(json!({"revision": 3}));
    assert_eq!(lab.revision().0, 3);
    store.rivals.store(1000, Ordering::SeqCst);
    let refused = lab.client.post("networks", json!({"ipv4_network": "10.0.0.0"})).await;
    refused.expect_error(503, "Unavailable", "503", None);
}
