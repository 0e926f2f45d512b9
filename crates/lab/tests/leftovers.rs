//! Nothing of a lab outlives it, however it ends, and labs do not disturb each other.

use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use lab::{Guest, GuestSpec, Lab, MacAddr, Process, Result, wait_until};

/// Time that the kernel gets to end what was killed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Tells this program that it shall own a lab until it is killed.
const OWNER_VARIABLE: &str = "LAB_TEST_OWNER";

/// A host with a learning bridge and two guests, of which the first has `mac`.
fn small_lab(mac: MacAddr) -> Result<(Lab, Guest, Guest)> {
    let lab = Lab::builder().start()?;
    lab.host(0).ovs_vsctl(["add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev"])?;
    let spec =
        |n| GuestSpec::new(&format!("inst{n}")).address(format!("10.0.0.{n}/24").parse().expect("a prefix"));
    let one = lab.host(0).add_guest(spec(1).mac(mac))?;
    let two = lab.host(0).add_guest(spec(2))?;
    Ok((lab, one, two))
}

/// Where the namespaces of a lab are found while `probes`, a process in each guest, run.
fn namespaces(lab: &Lab, probes: &[Process]) -> Vec<String> {
    let first = ["pid", "mnt", "net"].map(|kind| format!("/proc/{}/ns/{kind}", lab.pid()));
    let of_guests = probes.iter().map(|probe| format!("/proc/{}/ns/net", probe.pid()));
    first.into_iter().chain(of_guests).collect()
}

fn probes(guests: &[&Guest]) -> Vec<Process> {
    guests
        .iter()
        .map(|guest| guest.spawn("sleep", ["sleep", "1000"]).expect("a process in a guest"))
        .collect()
}

/// The namespaces of a lab that runs.
fn watched(lab: &Lab, guests: &[&Guest]) -> Vec<Watched> {
    Watched::all(&namespaces(lab, &probes(guests)))
}

/// A namespace, which is not freed while it is watched: the kernel gives the number of one that is gone to the next that
/// anybody makes.
struct Watched {
    /// As the kernel names it: `net:[4026532301]`.
    name: String,
    file: File,
}

impl Watched {
    fn all(links: &[String]) -> Vec<Self> {
        let watch = |link: &String| {
            let file = File::open(link).expect("a namespace");
            // Of the file, not of the link: whose process ended in between may have another by now.
            Self { name: read_link(file_of_this_process(&file)).expect("a namespace"), file }
        };
        links.iter().map(watch).collect()
    }
}

fn file_of_this_process(file: &File) -> PathBuf {
    Path::new("/proc/self/fd").join(file.as_raw_fd().to_string())
}

fn read_link(path: impl AsRef<Path>) -> Option<String> {
    Some(fs::read_link(path).ok()?.to_string_lossy().into_owned())
}

/// Whatever else still holds one of the namespaces: a process in it, or an open file of this process.
fn holders(namespaces: &[Watched]) -> Vec<String> {
    let own: Vec<_> = namespaces.iter().map(|watched| file_of_this_process(&watched.file)).collect();
    let processes = fs::read_dir("/proc").expect("proc").flatten().map(|entry| entry.path());
    let links = processes.flat_map(|process| ["pid", "mnt", "net"].map(|kind| process.join("ns").join(kind)));
    let files = fs::read_dir("/proc/self/fd").expect("proc").flatten().map(|entry| entry.path());
    let holds = |path: &PathBuf| {
        let held = read_link(path);
        !own.contains(path) && namespaces.iter().any(|watched| held.as_ref() == Some(&watched.name))
    };
    links.chain(files).filter(holds).map(|path| path.display().to_string()).collect()
}

#[track_caller]
fn check_nothing_left(namespaces: &[Watched]) {
    let gone = wait_until("the lab to be gone", PATIENCE, || match holders(namespaces) {
        left if left.is_empty() => Ok(()),
        left => Err(left.join("\n")),
    });
    gone.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn nothing_is_left_when_a_lab_is_dropped() -> Result<()> {
    let (lab, one, two) = small_lab(MacAddr([2, 0, 0, 0, 0, 1]))?;
    let names = watched(&lab, &[&one, &two]);
    assert!(!holders(&names).is_empty());
    let pinging = two.start_ping([10, 0, 0, 1].into(), Duration::from_millis(50))?;
    // Guests that outlive their lab keep nothing running.
    drop(lab);
    let processes: Vec<_> =
        holders(&names).into_iter().filter(|it| !it.starts_with("/proc/self/fd")).collect();
    assert!(processes.is_empty(), "{processes:?}");
    assert!(one.exec(["true"]).is_err());
    drop((one, two, pinging));
    check_nothing_left(&names);
    Ok(())
}

#[test]
fn nothing_is_left_after_a_panic() {
    let mut names = Vec::new();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let (lab, one, two) = small_lab(MacAddr([2, 0, 0, 0, 0, 1])).expect("a lab");
        names = watched(&lab, &[&one, &two]);
        panic!("as a failed assertion would");
    }));
    assert!(ended.is_err());
    assert!(!names.is_empty());
    check_nothing_left(&names);
}

/// Runs twice: the test starts its own program again, as the owner of a lab, and kills that.
#[test]
fn nothing_is_left_when_the_owner_is_killed() -> Result<()> {
    if env::var_os(OWNER_VARIABLE).is_some() {
        own_a_lab_until_killed()?;
    }
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args(["--exact", "nothing_is_left_when_the_owner_is_killed", "--nocapture"]);
    let mut owner =
        command.env(OWNER_VARIABLE, "1").stdout(Stdio::piped()).stdin(Stdio::piped()).spawn().expect("owner");
    let stdout = BufReader::new(owner.stdout.take().expect("a pipe"));
    let line = stdout
        .lines()
        .map_while(|line| line.ok())
        .find(|line| line.contains("lab:"))
        .expect("an announcement");
    let links = line.split_once("lab:").map_or("", |(_, links)| links).split_whitespace().map(str::to_owned);
    let names = Watched::all(&links.collect::<Vec<_>>());
    assert!(!holders(&names).is_empty());
    owner.kill().expect("an owner that runs");
    owner.wait().expect("an owner that was killed");
    check_nothing_left(&names);
    Ok(())
}

fn own_a_lab_until_killed() -> Result<()> {
    let (lab, one, two) = small_lab(MacAddr([2, 0, 0, 0, 0, 1]))?;
    let _pinging = one.start_ping([10, 0, 0, 2].into(), Duration::from_millis(50))?;
    let probes = probes(&[&one, &two]);
    println!("lab: {}", namespaces(&lab, &probes).join(" "));
    io::stdout().flush().expect("a reader");
    // Blocks: whoever started this program writes nothing.
    let _ = io::stdin().read(&mut [0]);
    Ok(())
}

#[test]
fn a_lab_outlives_the_thread_that_started_it() -> Result<()> {
    let started = thread::spawn(|| small_lab(MacAddr([2, 0, 0, 0, 0, 1]))).join().expect("no panic");
    let (_lab, one, two) = started?;
    assert!(one.ping([10, 0, 0, 2].into())?.reached());
    assert!(two.ping([10, 0, 0, 1].into())?.reached());
    Ok(())
}

#[test]
fn labs_with_the_same_addresses_do_not_see_each_other() -> Result<()> {
    let macs = [MacAddr([2, 0, 0, 0, 0, 0xa]), MacAddr([2, 0, 0, 0, 0, 0xb])];
    let labs = thread::scope(|scope| {
        let starting = macs.map(|mac| scope.spawn(move || small_lab(mac)));
        starting.map(|lab| lab.join().expect("no panic"))
    });
    for (lab, mac) in labs.iter().zip(macs) {
        let (_, _, two) = lab.as_ref().expect("a lab");
        assert_eq!(two.arping([10, 0, 0, 1].into())?, [mac]);
    }
    Ok(())
}
