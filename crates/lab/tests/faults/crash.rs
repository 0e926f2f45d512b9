//! The manager is killed while it writes.

use std::time::{Duration, Instant};

use lab::{Lab, Manager, Result};
use rand::Rng;
use serde_json::{Value, json};

use crate::api::{Answer, Api};
use crate::book::Writer;
use crate::form::Form;

/// Users at work at the same time, each with tenants of its own: commits of several become durable together.
const USERS: u8 = 4;

/// Tenants of each.
const TENANTS: u8 = 3;

/// Most changes between two kills, over all users. Where exactly a kill hits is up to the machine.
const MOST_CHANGES: u64 = 40;

/// Interfaces of a topology of 10,000 objects: each has a MAC lease and an IP lease.
const INTERFACES: usize = 3_333;

/// Time to start with that many. A program that was built to be debugged, on a machine that does other things.
const START_LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_manager_that_is_killed_while_it_writes_loses_nothing_acknowledged() -> Result<()> {
    let form = Form::of_environment();
    let (lab, mut random) = (Lab::builder().hosts(0).start()?, form.random());
    let manager = lab.manager();
    manager.start()?;
    let api = Api::new(manager);
    let numbers = |user| (user * TENANTS)..(user + 1) * TENANTS;
    let users: Vec<_> = (0..USERS).map(|user| Writer::start(&api, numbers(user))).collect();
    let kills = form.pick(20, 500);
    for _ in 0..kills {
        let user = &users[random.random_range(0..users.len())];
        user.wait_for_more(random.random_range(1..=MOST_CHANGES / u64::from(USERS)))?;
        manager.kill();
        manager.start()?;
        users.iter().try_for_each(Writer::check)?;
    }
    let changes: u64 = users.iter().map(|user| user.book().acknowledged).sum();
    println!("seed {}: {kills} kills among {changes} changes", form.seed);
    drop(users);
    start_with_many(manager, &api, form)
}

/// Kills a manager of 10,000 objects, and looks how long it takes to be back.
fn start_with_many(manager: &Manager, api: &Api, form: Form) -> Result<()> {
    let network = json!({"uuid": "nw-large", "ipv4_network": "10.128.0.0", "ipv4_prefix": 16});
    let made: Vec<_> =
        [create("networks", network)].into_iter().chain((0..INTERFACES).map(interface)).collect();
    let answer = api.batch(&made);
    assert!(matches!(answer, Answer::Done), "{answer:?}");
    manager.kill();
    let started = Instant::now();
    manager.start()?;
    let took = started.elapsed();
    println!("up again with 10,000 objects after {took:?}");
    assert!(!form.is_long || took < START_LIMIT, "{took:?}");
    assert!(api.names("interfaces")?.len() >= INTERFACES);
    Ok(())
}

fn interface(n: usize) -> Value {
    let [high, low] = [n / 250, n % 250 + 1];
    create(
        "interfaces",
        json!({"uuid": format!("if-large{n}"), "network_uuid": "nw-large",
            "mac_address": format!("02:00:00:80:{high:02x}:{low:02x}"), "ipv4_address": format!("10.128.{high}.{low}")}),
    )
}

fn create(resource: &str, attributes: Value) -> Value {
    json!({"op": "create", "resource": resource, "attributes": attributes})
}
