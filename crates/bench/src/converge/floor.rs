//! The floor: what the switches take for the flows alone. The same flows, groups and meters into the same switches, all
//! hosts at once, by the code that agents use, with nobody who decides.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use dataplane::{Delta, Program};
use lab::{Host, Lab};
use openflow::Endpoint;
use tokio::task::JoinSet;
use vna::datapath::Datapath;
use vna::switch::{Mark, Switch};

use crate::BRIDGE;

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

    /// Empties the switches, which nobody else may look after any more, and measures how long it takes to fill them.
    pub(crate) fn measure(&self, lab: &Lab) -> anyhow::Result<Duration> {
        for host in lab.hosts() {
            ["del-flows", "del-groups", "del-meters"]
                .iter()
                .try_for_each(|delete| host.ovs_ofctl([delete, BRIDGE]).map(drop))?;
        }
        self.runtime.block_on(async {
            let mut ready = JoinSet::new();
            for prepared in self.hosts.clone() {
                ready.spawn(async move {
                    anyhow::Ok((Switch::connect(&bridge(&prepared.rundir)).await?, prepared))
                });
            }
            let ready = ready.join_all().await.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
            let mut installed = JoinSet::new();
            let started = Instant::now();
            for (switch, prepared) in ready {
                installed.spawn(install(switch, prepared));
            }
            installed.join_all().await.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
            Ok(started.elapsed())
        })
    }
}

async fn prepare(rundir: PathBuf) -> anyhow::Result<Prepared> {
    let found = Switch::connect(&bridge(&rundir)).await?.read().await?;
    let changes = Program::default().difference(&found.program);
    Ok(Prepared { rundir, changes, mark: found.mark.context("no agent has changed the switch")? })
}

async fn install(mut switch: Switch, prepared: Prepared) -> anyhow::Result<Switch> {
    switch.apply(&prepared.changes, prepared.mark).await?;
    Datapath::new(prepared.rundir).follows(&switch.connection(), None).await?;
    Ok(switch)
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
