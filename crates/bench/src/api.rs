//! The Web API under load: creates, reads, lists and batches a second, by so many clients, over so many objects.
//!
//! A manager as users run it, on a store on a disk: what is answered is durable. Clients are threads of this process, each
//! with a connection of its own, and share the machine with the manager, so that figures are below what it can do alone;
//! how much of a processor each side took is told beside them.
//!
//! The object is an interface with a MAC and an IPv4 address, which is three objects of the store. How often the same disk
//! can be written and synced one after the other is measured in the same run: without group commit, nobody creates faster.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::figures::Times;
use crate::machine::Used;
use crate::manager::{DISK, Manager};
use crate::report::{self, Figures};
use crate::web::Web;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Objects that are there before; several numbers are measured in turn
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100_000])]
    objects: Vec<usize>,
    /// Clients at the same time; several numbers are measured in turn
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64], value_parser = clients)]
    clients: Vec<usize>,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Write what was measured, as JSON
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Most clients: each is a thread here and a connection there.
const MAX_CLIENTS: usize = 512;

/// Objects of the store that one interface is: itself, its MAC address and its IPv4 address.
const OBJECTS_OF_INTERFACE: usize = 3;

/// Interfaces of a network: a quarter of its addresses at most, so that its subnets stay readable.
const NETWORK_SIZE: usize = 10_000;

/// Interfaces that one batch makes.
const BATCH: usize = 1000;

/// Objects on a page: what the manager gives unasked.
const PAGE: usize = 30;

/// Writes that tell how fast the disk is.
const SYNCS: usize = 200;

fn clients(text: &str) -> Result<usize, String> {
    let number = text.parse::<usize>().map_err(|error| error.to_string())?;
    if (1..=MAX_CLIENTS).contains(&number) { Ok(number) } else { Err(format!("from 1 to {MAX_CLIENTS}")) }
}

/// Measures every size with every number of clients, and shows it.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut cells = Figures::default();
    cells.set("disk_sync_p50_seconds", disk_sync()?);
    let mut sizes = Vec::new();
    for objects in &options.objects {
        let measured = measure_size(*objects, options)?;
        print_size(*objects, &measured);
        for (clients, figures) in &measured {
            for (name, figure) in figures.iter() {
                cells.set(&format!("{name}_at_{objects}_by_{clients}"), figure);
            }
            sizes.push(json!({"objects": objects, "clients": clients, "figures": figures}));
        }
    }
    println!(
        "\ndisk: {} for a write that is synced",
        report::show("seconds", cells.get("disk_sync_p50_seconds").unwrap_or_default())
    );
    if let Some(file) = &options.output {
        report::write(file, "api", json!({"cells": cells, "sizes": sizes}))?;
    }
    Ok(())
}

fn print_size(objects: usize, measured: &[(usize, Figures)]) {
    let heads: Vec<_> = measured.iter().map(|(clients, _)| format!("{clients} clients")).collect();
    let figures = measured.iter().map(|(_, figures)| figures);
    let columns: Vec<_> = heads.iter().map(String::as_str).zip(figures).collect();
    let names: BTreeSet<_> =
        columns.iter().flat_map(|(_, figures)| figures.iter().map(|(name, _)| name)).collect();
    report::print_table(&format!("{objects} objects"), &names.into_iter().collect::<Vec<_>>(), &columns);
}

/// The median time of a small write and its sync, one after the other, on the disk of the store.
fn disk_sync() -> anyhow::Result<f64> {
    let folder = tempfile::Builder::new().prefix("openvnet-bench-").tempdir_in(DISK)?;
    let mut file = File::create(folder.path().join("synced"))?;
    let mut sync = || -> std::io::Result<Duration> {
        let started = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        Ok(started.elapsed())
    };
    let times: Times = (0..SYNCS).map(|_| sync()).collect::<Result<Vec<_>, _>>()?.into_iter().collect();
    Ok(times.percentile(50))
}

/// Fills a new manager, and measures what every number of clients gets of it.
fn measure_size(objects: usize, options: &Options) -> anyhow::Result<Vec<(usize, Figures)>> {
    let manager = Manager::start()?;
    let url = manager.url()?;
    let numbers = Numbers(AtomicUsize::new(0));
    let (filled, took) = fill(&Web::new(&url), &numbers, objects)?;
    let limit = Duration::from_secs(options.seconds.max(1));
    let mut all = Vec::new();
    for clients in &options.clients {
        let mut figures = Figures::default();
        figures.set("batch_objects_per_second", filled as f64 / took.as_secs_f64());
        let webs: Vec<_> = (0..*clients).map(|_| Web::new(&url)).collect();
        let users: [(&str, &User<'_>); 3] = [
            ("read", &|web, nth| read(web, nth % (filled / OBJECTS_OF_INTERFACE))),
            ("list", &|web, nth| list(web, nth)),
            ("create", &|web, _| create(web, numbers.take(1).start)),
        ];
        for (name, user) in users {
            measure(&manager, &webs, user, limit, name, &mut figures)?;
        }
        figures.set("memory_bytes", manager.used()?.peak_bytes);
        figures.set("store_bytes", manager.store_bytes()?);
        all.push((*clients, figures));
    }
    Ok(all)
}

/// What a client does, for the `nth` time of all clients.
type User<'a> = dyn Fn(&Web, usize) -> anyhow::Result<()> + Sync + 'a;

/// Has every client do the same until the time is up, and tells how often that was.
fn measure(
    manager: &Manager,
    webs: &[Web],
    user: &User<'_>,
    limit: Duration,
    name: &str,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let turn = AtomicUsize::new(0);
    let processes = || anyhow::Ok([manager.used()?, Used::of(std::process::id())?]);
    let (before, started) = (processes()?, Instant::now());
    let client = |web: &Web| {
        let mut times = Vec::new();
        while started.elapsed() < limit {
            let asked = Instant::now();
            user(web, turn.fetch_add(1, Ordering::Relaxed))?;
            times.push(asked.elapsed());
        }
        anyhow::Ok(times)
    };
    let times = at_once(webs, client).into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let (after, took) = (processes()?, started.elapsed().as_secs_f64());
    let times: Times = times.into_iter().flatten().collect();
    figures.set(&format!("{name}s_per_second"), times.len() as f64 / took);
    figures.set(&format!("{name}_p50_seconds"), times.percentile(50));
    figures.set(&format!("{name}_p99_seconds"), times.percentile(99));
    for (index, side) in ["manager", "clients"].into_iter().enumerate() {
        let spent = (after[index] - before[index]).cpu_seconds;
        figures.set(&format!("{name}_{side}_processors"), spent / took);
    }
    Ok(())
}

/// Does the same for each, on a thread of its own.
fn at_once<T: Send>(webs: &[Web], client: impl Fn(&Web) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let client = &client;
        let running: Vec<_> = webs.iter().map(|web| scope.spawn(move || client(web))).collect();
        running.into_iter().map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// Gives every interface a number of its own.
struct Numbers(AtomicUsize);

impl Numbers {
    fn take(&self, count: usize) -> Range<usize> {
        let first = self.0.fetch_add(count, Ordering::Relaxed);
        first..first + count
    }
}

/// Makes interfaces by batches until there are so many objects. Tells how many objects were made, and in which time.
fn fill(web: &Web, numbers: &Numbers, objects: usize) -> anyhow::Result<(usize, Duration)> {
    // Networks for what the clients make too.
    let networks: Vec<_> = (0..256).map(network).collect();
    web.post("batch", &json!({"operations": networks}))?;
    let wanted = (objects / OBJECTS_OF_INTERFACE).max(1);
    let batches: Vec<_> = (0..wanted.div_ceil(BATCH))
        .map(|nth| numbers.take(BATCH.min(wanted - nth * BATCH)))
        .map(|range| json!({"operations": range.map(|number| operation("interfaces", interface(number))).collect::<Vec<_>>()}))
        .collect();
    let started = Instant::now();
    batches.iter().try_for_each(|batch| web.post("batch", batch).map(drop))?;
    let took = started.elapsed();
    let leases = web.get("ip_leases?limit=1")?["total_count"].as_u64().context("a count")?;
    ensure!(usize::try_from(leases)? == wanted, "{leases} of {wanted} leases are there");
    Ok((wanted * OBJECTS_OF_INTERFACE, took))
}

fn create(web: &Web, number: usize) -> anyhow::Result<()> {
    web.post("interfaces", &interface(number)).map(drop)
}

fn read(web: &Web, number: usize) -> anyhow::Result<()> {
    web.get(&format!("interfaces/if-{number}")).map(drop)
}

/// A page, a different one each time.
fn list(web: &Web, nth: usize) -> anyhow::Result<()> {
    web.get(&format!("interfaces?limit={PAGE}&offset={}", nth % 10 * PAGE)).map(drop)
}

fn operation(resource: &str, attributes: Value) -> Value {
    json!({"op": "create", "resource": resource, "attributes": attributes})
}

fn network(number: usize) -> Value {
    let attributes = json!({"uuid": format!("nw-{number}"), "ipv4_network": format!("10.{number}.0.0"), "ipv4_prefix": 16});
    operation("networks", attributes)
}

fn interface(number: usize) -> Value {
    let (network, place) = (number / NETWORK_SIZE, number % NETWORK_SIZE);
    let [_, _, _, _, _, a, b, c] = u64::try_from(number).unwrap_or(u64::MAX).to_be_bytes();
    json!({"uuid": format!("if-{number}"), "network_uuid": format!("nw-{network}"),
        "mac_address": format!("02:00:00:{a:02x}:{b:02x}:{c:02x}"),
        "ipv4_address": format!("10.{network}.{}.{}", place / 250, place % 250 + 1)})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_interfaces_share_an_address() {
        let addresses = |name: &str| -> BTreeSet<String> {
            (0..30_000).map(|number| interface(number)[name].to_string()).collect()
        };
        assert_eq!(addresses("mac_address").len(), 30_000);
        assert_eq!(addresses("ipv4_address").len(), 30_000);
    }

    #[test]
    fn an_interface_is_in_its_address_s_network() {
        let last = interface(NETWORK_SIZE - 1);
        assert_eq!(
            (last["network_uuid"].as_str(), last["ipv4_address"].as_str()),
            (Some("nw-0"), Some("10.0.39.250"))
        );
        assert_eq!(interface(NETWORK_SIZE)["ipv4_address"], json!("10.1.0.1"));
    }
}
