//! The floor: what the switches take for the flows alone. The same flows, groups and meters into the same switches, all
//! hosts at once, by the code that agents use, with nobody who decides. Then single changes: a flow of each host comes or
//! goes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use dataplane::{Delta, FlowKey, Program};
use lab::{Host, Lab};
use openflow::{Endpoint, Flow};
use tokio::task::JoinSet;
use vna::datapath::Datapath;
use vna::switch::{Mark, Switch};

use crate::BRIDGE;
use crate::figures::Times;

/// What the switches of a lab hold, ready to be installed again.
pub(crate) struct Floor {
    hosts: Vec<Prepared>,
    runtime: tokio::runtime::Runtime,
}

/// One host's part.
#[derive(Clone)]
struct Prepared {
    rundir: PathBuf,
    changes: Delta,
    mark: Mark,
}

impl Floor {
    /// Reads every switch.
    pub(crate) fn prepare(lab: &Lab) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Runtime::new()?;
        let hosts = lab.hosts().iter().map(|host| runtime.block_on(prepare(rundir(lab, host))));
        let hosts = hosts.collect::<anyhow::Result<_>>()?;
        Ok(Self { hosts, runtime })
    }

    /// Empties the switches, which nobody else may look after any more, and measures how long it takes to fill them, and
    /// then to make each of some single changes.
    pub(crate) fn measure(&self, lab: &Lab, changes: usize) -> anyhow::Result<(Duration, Times)> {
        for host in lab.hosts() {
            ["del-flows", "del-groups", "del-meters"]
                .iter()
                .try_for_each(|delete| host.ovs_ofctl([delete, BRIDGE]).map(drop))?;
        }
        self.runtime.block_on(async {
            let connected = all(self.hosts.iter().cloned().map(Connected::to)).await?;
            let started = Instant::now();
            let mut filled = all(connected.into_iter().map(Connected::fill)).await?;
            let took = started.elapsed();
            let mut times = Vec::new();
            for _ in 0..changes {
                let started = Instant::now();
                filled = all(filled.into_iter().map(Connected::toggle)).await?;
                times.push(started.elapsed());
            }
            Ok((took, times.into_iter().collect()))
        })
    }
}

/// Does something with all hosts at once.
async fn all<T: Send + 'static>(
    futures: impl Iterator<Item = impl Future<Output = anyhow::Result<T>> + Send + 'static>,
) -> anyhow::Result<Vec<T>> {
    futures.collect::<JoinSet<_>>().join_all().await.into_iter().collect()
}

async fn prepare(rundir: PathBuf) -> anyhow::Result<Prepared> {
    let found = Switch::connect(&bridge(&rundir)).await?.read().await?;
    let changes = Program::default().difference(&found.program);
    Ok(Prepared { rundir, changes, mark: found.mark.context("no agent has changed the switch")? })
}

/// A host's switch, and what it is to hold.
struct Connected {
    prepared: Prepared,
    switch: Switch,
    datapath: Datapath,
    /// The flow that comes and goes, and whether it is there.
    guest: (Flow, bool),
}

impl Connected {
    async fn to(prepared: Prepared) -> anyhow::Result<Self> {
        let switch = Switch::connect(&bridge(&prepared.rundir)).await?;
        let datapath = Datapath::new(prepared.rundir.clone());
        let guest = prepared.changes.put_flows.first().context("the host has flows")?.clone();
        Ok(Self { prepared, switch, datapath, guest: (guest, true) })
    }

    async fn fill(mut self) -> anyhow::Result<Self> {
        let changes = std::mem::take(&mut self.prepared.changes);
        self.make(&changes).await
    }

    async fn toggle(mut self) -> anyhow::Result<Self> {
        let (flow, is_there) = &mut self.guest;
        let change = match is_there {
            true => Delta { delete_flows: vec![FlowKey::from(&*flow)], ..Delta::default() },
            false => Delta { put_flows: vec![flow.clone()], ..Delta::default() },
        };
        *is_there = !*is_there;
        self.make(&change).await
    }

    async fn make(mut self, change: &Delta) -> anyhow::Result<Self> {
        self.datapath.expect();
        self.switch.apply(change, self.prepared.mark).await?;
        self.datapath.follows(&self.switch.connection(), None).await?;
        Ok(self)
    }
}

fn bridge(rundir: &Path) -> Endpoint {
    Endpoint::Unix(rundir.join(format!("{BRIDGE}.mgmt")))
}

/// The folder of a host's sockets, seen from outside: a lab's files are those of its first process (proc(5), `root`).
fn rundir(lab: &Lab, host: &Host) -> PathBuf {
    let inside = host.dir().join("openvswitch");
    let root = PathBuf::from(format!("/proc/{}/root", lab.pid()));
    root.join(inside.strip_prefix("/").unwrap_or(&inside))
}
