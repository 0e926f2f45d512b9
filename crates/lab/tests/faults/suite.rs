//! Faults by a seed, one after the other, under continuous change and traffic, and the same checks after each.

use std::time::{Duration, Instant};

use lab::{Result, wait_until};
use rand::Rng;
use rand::seq::SliceRandom;

use crate::common::program;
use crate::fault::{Cost, FAULTS, Fault};
use crate::form::Form;
use crate::scene::{Flow, HOSTS, Scene, settle};

/// Time after which traffic flows, changes are made, and every switch is as it should be. Fifteen seconds for what is found
/// by looking; an agent tries again to reach its manager after up to thirty.
const RECOVERY_LIMIT: Duration = Duration::from_secs(45);

/// Answers and changes that show that all goes on.
const ANSWERS: u32 = 30;
const CHANGES: u64 = 10;

#[test]
fn faults_under_change_and_traffic_lose_nothing_and_everything_converges() -> Result<()> {
    let form = Form::of_environment();
    let (mut random, mut bag) = (form.random(), Vec::new());
    println!("FAULT_SEED={} FAULT_COUNT={}", form.seed, form.count);
    let scene = Scene::start()?;
    scene.writer.wait_for_more(CHANGES)?;
    for number in 1..=form.count {
        // Every fault has its turn before one has a second.
        if bag.is_empty() {
            bag = FAULTS.to_vec();
            bag.shuffle(&mut random);
        }
        let fault = bag.pop().expect("a bag that was filled");
        let host = random.random_range(0..HOSTS);
        println!("{number}: {} on host{}", fault.name, host + 1);
        println!("{number}: {}", round(&scene, fault, host)?);
    }
    println!("{} changes", scene.writer.book().acknowledged);
    expect_the_same_from_nothing(&scene)
}

/// One fault, from talking guests to talking guests. Says how long it took, and what it cost.
fn round(scene: &Scene, fault: Fault, host: usize) -> Result<String> {
    let flows = scene.talk()?;
    let started = Instant::now();
    (fault.strike)(scene, host, &flows)?;
    let mended = Instant::now();
    flows.iter().try_for_each(|flow| flow.wait_for_more(ANSWERS, RECOVERY_LIMIT))?;
    scene.writer.wait_for_more(CHANGES)?;
    scene.check(RECOVERY_LIMIT)?;
    let (lasted, recovered) = (mended - started, mended.elapsed());
    let lost = flows.into_iter().map(|flow| judge(flow, fault, host)).collect::<Result<Vec<_>>>()?;
    scene.check_intruders()?;
    Ok(format!("it took {lasted:.1?}, all was well {recovered:.1?} later, and {lost:?} packets were lost"))
}

/// Expects that a stream has lost no more than the fault may cost it, and gives how much that was.
fn judge(flow: Flow, fault: Fault, host: usize) -> Result<usize> {
    let (name, touched) = (flow.name.clone(), flow.touches(host));
    let report = flow.finish()?;
    match fault.cost {
        Cost::OfHost(gap) if touched => {
            assert!(report.longest_gap <= gap, "{}: {name}: {:?}", fault.name, report.longest_gap);
        }
        _ => assert!(report.lost.is_empty(), "{}: {name}: {report:?}", fault.name),
    }
    Ok(report.lost.len())
}

/// Expects that agents which know nothing make the same of switches which have nothing.
fn expect_the_same_from_nothing(scene: &Scene) -> Result<()> {
    // Nothing changes from here on.
    let book = scene.writer.book();
    settle(&scene.lab)?;
    let head = scene.api.head()?;
    let before = scene.lab.hosts().iter().map(program).collect::<Result<Vec<_>>>()?;
    assert!(before.iter().all(|flows| !flows.is_empty()));
    scene.begin_anew()?;
    for (host, before) in scene.lab.hosts().iter().zip(before) {
        let what = format!("{} from nothing at {head:?}", host.name());
        wait_until(what, RECOVERY_LIMIT, || match program(host) {
            Ok(now) if now == before => Ok(()),
            Ok(now) => Err(format!("{:?}", now.symmetric_difference(&before).collect::<Vec<_>>())),
            Err(error) => Err(error.to_string()),
        })?;
    }
    drop(book);
    scene.check_intruders()
}
