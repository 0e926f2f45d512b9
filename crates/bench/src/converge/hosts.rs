//! The hosts that both systems are measured on: real `ovs-vswitchd`s without packets, whose ports are there before the
//! clock starts.

use anyhow::Context;
use lab::{Host, Lab, Namespace, in_parallel};
use tempfile::TempDir;

use crate::BRIDGE;
use crate::manager::DISK;
use crate::workload::{Port, Workload};

/// Ports that one command makes: a command line has room for them.
const PORTS_AT_ONCE: usize = 200;

/// The device that carries what centre and agents say.
const MANAGEMENT: &str = "management";

/// A lab, and a folder on a disk for what the centre must not lose.
pub(crate) struct Site {
    // Fields drop in order: nobody uses the folder any more when it goes.
    pub(crate) lab: Lab,
    disk: TempDir,
}

impl Site {
    pub(crate) fn start(hosts: usize) -> anyhow::Result<Self> {
        let hosts = u8::try_from(hosts).context("too many hosts")?;
        let disk = tempfile::Builder::new().prefix("openvnet-bench-").tempdir_in(DISK)?;
        Ok(Self { lab: Lab::builder().hosts(hosts).without_packets().start()?, disk })
    }

    /// The folder on a disk, inside the lab and outside.
    pub(crate) fn disk(&self) -> String {
        self.disk.path().display().to_string()
    }

    /// The namespace of the centre.
    pub(crate) fn centre(&self) -> &Namespace {
        self.lab.manager().namespace()
    }

    /// Makes every switch port that the workload will need.
    pub(crate) fn add_ports(&self, workload: &Workload) -> anyhow::Result<()> {
        let places = workload.ports().map(|port| (port.host, port)).chain(workload.prepared());
        let mut by_host: Vec<Vec<Port>> = vec![Vec::new(); workload.hosts];
        places.for_each(|(host, port)| by_host[host].push(port));
        let work: Vec<_> = self.lab.hosts().iter().zip(by_host).collect();
        let made = in_parallel(work, |(host, ports)| add_ports(host, &ports));
        made.into_iter().collect()
    }

    /// Gives a host's switch a port.
    pub(crate) fn plug(&self, port: Port) -> anyhow::Result<()> {
        add_ports(self.lab.host(port.host), &[port])
    }

    /// Bytes that the centre has sent and received, headers and retransmissions included.
    pub(crate) fn wire_bytes(&self) -> anyhow::Result<f64> {
        let shown = self.centre().exec(["ip", "-json", "-stats", "link", "show", "dev", MANAGEMENT])?;
        let shown: serde_json::Value = serde_json::from_str(&shown)?;
        let count = |way: &str| shown[0]["stats64"][way]["bytes"].as_f64().context("no counters");
        Ok(count("rx")? + count("tx")?)
    }

    /// The flows of each host's bridge.
    pub(crate) fn flows(&self) -> anyhow::Result<Vec<f64>> {
        in_parallel(self.lab.hosts(), flows).into_iter().collect()
    }
}

fn add_ports(host: &Host, ports: &[Port]) -> anyhow::Result<()> {
    for some in ports.chunks(PORTS_AT_ONCE) {
        let words = some.iter().flat_map(|port| {
            let (device, name) = (format!("p{}", port.number), port.name());
            let set = format!("external_ids:iface-id={name}");
            ["--", "add-port", BRIDGE, &device, "--", "set", "interface", &device, &set].map(str::to_owned)
        });
        host.ovs_vsctl(words.skip(1))?;
    }
    Ok(())
}

fn flows(host: &Host) -> anyhow::Result<f64> {
    let shown = host.ovs_ofctl(["dump-aggregate", BRIDGE])?;
    let (_, count) = shown.rsplit_once("flow_count=").context("no count of flows")?;
    Ok(count.trim().parse()?)
}
