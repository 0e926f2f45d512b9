//! The agent of a hypervisor host: makes its Open vSwitch equal to the topology.
//!
//! Pure:
//! - [`host`]: what the switch's database shows and what is wanted of it; [`course`]: what the tables are to become;
//! - [`answers`]: packets that flows cannot answer; [`waiting`]: whose packet is next; [`advertisements`]: what routers tell
//!   unasked;
//! - [`neighbours`] and [`gateways`]: what the wires of physical networks are asked and told; [`monitors`]: which hosts are
//!   watched; [`metrics`].
//!
//! Adapters:
//! - [`bridge`] (the database), [`switch`] and [`reconciler`] (the tables), [`datapath`] (its cache), [`control`] (its
//!   commands), [`underlay`] (the host's devices);
//! - [`forwarder`] (name servers), [`advertiser`], [`streams`] (what guests open TCP connections for);
//! - [`status`] (who looks after the host), [`questions`] (what a manager asks of the switch).
//!
//! Between them go the newest values, never events:
//!
//! ```text
//! manager <──ports, realized──┐                        ┌─── ports wanted ───┐
//!    └──replica──> file       │                        │                    ▼
//!         └──────────────> reconciler <── host view ── bridge <──────> ovsdb-server
//!                             └──<── bundles ──> ovs-vswitchd
//! ```

pub mod advertisements;
pub mod advertiser;
pub mod answers;
pub mod asking;
pub mod bridge;
pub mod control;
pub mod course;
pub mod datapath;
#[cfg(test)]
mod fixture;
pub mod forwarder;
pub mod gateways;
pub mod host;
pub mod metrics;
pub mod monitors;
pub mod neighbours;
pub mod questions;
pub mod reader;
pub mod reconciler;
pub mod settings;
pub mod status;
pub mod streams;
pub mod switch;
pub mod underlay;
pub mod waiting;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use ovsdb::vswitch;
use sync::pki::Identity;
use sync::{Agent, Connection, Inputs, Journal, Replica};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use topology::NodeId;
use topology::datapath::{Registration, Underlay};
use topology::underlay::UnderlayAddress;
use tracing::{info, warn};

use crate::asking::Asking;
use crate::datapath::Datapath;
use crate::host::{HostView, Tunnels, Wanted};
use crate::metrics::Metrics;
use crate::monitors::Flows;
use crate::questions::Sources;
use crate::reconciler::{Installed, Reconciler};
use crate::settings::Settings;
use crate::status::Status;

/// Least time between two writes of the replica to disk. What is lost by a crash in between, the manager sends again;
/// an agent that leaves in order writes what it knows.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// How often the underlay device is looked at for another MTU.
const UNDERLAY_INTERVAL: Duration = Duration::from_secs(10);

/// Pause before it is looked at again while its MTU has never been known.
const UNDERLAY_PAUSE: Duration = Duration::from_secs(1);

/// Runs the agent until `shutdown`. The switch is left as it is, working.
pub async fn run(settings: Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let settings = Arc::new(settings);
    let identity = Identity::load(&settings.state_dir).with_context(|| {
        format!("no certificate in {}: run `vna join` first", settings.state_dir.display())
    })?;
    let node = identity.node().clone();
    let file = settings.state_dir.join("replica");
    let saved = match Replica::load(&file) {
        Ok(replica) => Some(replica),
        Err(error) => {
            info!(%error, file = %file.display(), "starting without a replica");
            None
        }
    };
    let (replica_out, replica) = watch::channel(saved.clone().map(Arc::new));
    let (host_out, host) = watch::channel(Arc::<HostView>::default());
    let (ports_out, ports) = watch::channel(Wanted::of(&settings, saved.as_ref(), Tunnels::AtLeast));
    let (installed_out, installed) = watch::channel(None);
    let (realized_out, realized) = watch::channel(None);
    let (flows_out, flows) = watch::channel(Flows::default());
    let (asking_out, asking) = watch::channel(Asking::default());
    let metrics = Arc::<Metrics>::default();
    let status = Status {
        metrics: metrics.clone(),
        replica: replica.clone(),
        host: host.clone(),
        installed: installed.clone(),
        realized: realized.clone(),
        drops: Arc::default(),
    };
    let management = openflow::Endpoint::Unix(settings.ovs_rundir.join(format!("{}.mgmt", settings.bridge)));
    let datapath = Datapath::new(settings.ovs_rundir.clone());
    let request = vswitch::monitor_request();
    let database =
        ovsdb::Replica::follow(settings.ovsdb.clone(), ovsdb::Config::default(), vswitch::DATABASE, request);

    // Dropping the set at the end aborts what still runs; none of it holds anything that must be put down.
    let mut tasks = JoinSet::new();
    tasks.spawn(bridge::keep(settings.clone(), node.clone(), database, ports, host_out));
    tasks.spawn(
        Reconciler::new(
            replica.clone(),
            host.clone(),
            installed_out,
            flows_out,
            asking_out,
            datapath.clone(),
            metrics.clone(),
        )
        .run(management),
    );
    let (asked, questions) = mpsc::channel(questions::WAITING);
    let sources = Sources { settings: settings.clone(), installed: installed.clone(), host: host.clone() };
    tasks.spawn(questions::run(sources, questions));
    tasks.spawn(advertiser::run(installed.clone(), host.clone()));
    tasks.spawn(realize(datapath, installed, realized_out));
    tasks.spawn(want_ports(settings.clone(), replica.clone(), host.clone(), flows, ports_out));
    let saving = AbortOnDropHandle::new(tokio::spawn(save(file, replica, shutdown.clone())));
    tasks.spawn(tell(status, settings.status_listen, shutdown.clone()));
    let told = Told { host, asking, realized, asked };
    tasks.spawn(synchronize(settings, identity, saved, told, replica_out, metrics));
    tokio::select! {
        () = shutdown.cancelled() => {
            saving.await.context("the newest replica is not kept")?;
            info!("leaving: the switch goes on as it is");
        }
        ended = tasks.join_next() => match ended {
            Some(Err(error)) => return Err(error).context("a part of the agent failed"),
            _ => anyhow::bail!("a part of the agent ended"),
        },
    }
    Ok(())
}

/// Tells the status, if anywhere. A host whose status nobody can see still has to be served.
async fn tell(status: Status, address: Option<SocketAddr>, shutdown: CancellationToken) {
    if let Some(address) = address
        && let Err(error) = status::serve(status, address, shutdown).await
    {
        warn!(error = format!("{error:#}"), "the status is told nowhere");
    }
    std::future::pending().await
}

/// What managers are told: newest values, and who answers their questions.
struct Told {
    host: watch::Receiver<Arc<HostView>>,
    asking: watch::Receiver<Asking>,
    realized: watch::Receiver<Option<Arc<Replica>>>,
    asked: mpsc::Sender<sync::Asked>,
}

/// Talks to the managers: what this host is and shows, and what it needs.
async fn synchronize(
    settings: Arc<Settings>,
    identity: Identity,
    saved: Option<Replica>,
    Told { mut host, mut asking, realized, asked }: Told,
    replica: watch::Sender<Option<Arc<Replica>>>,
    metrics: Arc<Metrics>,
) {
    let node = identity.node().clone();
    let (ports_out, ports) = watch::channel(None);
    // Nothing can be said of a host before its switch has a number.
    let Ok(first) = host.wait_for(|view| view.dpid.is_some()).await.map(|view| view.clone()) else { return };
    let of_saved = |replica: &Replica| replica.topology.datapaths().get(&replica.datapath).cloned();
    let saved_mtus = saved.as_ref().and_then(of_saved).into_iter();
    let mut mtus: Mtus = saved_mtus
        .flat_map(|own| own.addresses().map(|of| (of.address, of.mtu)).collect::<Vec<_>>())
        .collect();
    // To register with a guess would make peers send what the underlay does not take.
    let registration = loop {
        look_up_mtus(&settings, &mut mtus).await;
        match self::registration(&settings, &node, &first, &mtus) {
            Some(registration) => break registration,
            None => tokio::time::sleep(UNDERLAY_PAUSE).await,
        }
    };
    ports_out.send_replace(Some(first.seen()));
    let (registration_out, registration_in) = watch::channel(registration);
    let managers = settings.managers.iter().filter_map(|manager| manager.parse().ok()).collect();
    let inputs = Inputs { registration: registration_in, ports, realized, questions: asked };
    let agent = Agent::start(managers, identity, saved, inputs);
    let mut received = agent.replica();
    let mut connection = agent.connection();
    let mut look = tokio::time::interval(UNDERLAY_INTERVAL);
    loop {
        let shown_until = asking.borrow().next(Instant::now());
        tokio::select! {
            changed = received.changed() => match changed {
                Ok(()) => {
                    replica.send_replace(received.borrow_and_update().clone());
                    continue;
                }
                Err(_) => return,
            },
            _ = connection.changed() => match &*connection.borrow_and_update() {
                Connection::Connected { .. } => {
                    metrics.manager_connected(true);
                    info!("connected to a manager");
                }
                Connection::Disconnected { reason, .. } => {
                    metrics.manager_connected(false);
                    warn!(reason, "no manager");
                }
            },
            _ = host.changed() => {}
            _ = asking.changed() => {}
            () = until(shown_until) => {}
            _ = look.tick() => look_up_mtus(&settings, &mut mtus).await,
        }
        let view = host.borrow_and_update().clone();
        let mut seen = view.seen();
        asking.borrow_and_update().show(&mut seen, Instant::now());
        replace_if_new(&ports_out, Some(seen));
        if let Some(now) = self::registration(&settings, &node, &view, &mtus) {
            replace_if_new(&registration_out, now);
        }
    }
}

/// Wakes up nobody for what is known.
fn replace_if_new<T: PartialEq>(place: &watch::Sender<T>, new: T) {
    place.send_if_modified(|old| {
        let is_new = *old != new;
        if is_new {
            *old = new;
        }
        is_new
    });
}

/// What the devices with the underlay addresses take, as far as is known.
type Mtus = BTreeMap<IpAddr, u16>;

async fn look_up_mtus(settings: &Settings, mtus: &mut Mtus) {
    for address in &settings.underlay_addresses {
        let mtu = match settings.underlay_mtu {
            Some(mtu) => Some(mtu),
            None => underlay::mtu(*address).await,
        };
        mtus.extend(mtu.map(|mtu| (*address, mtu)));
    }
}

/// What the host says of itself; nothing before its own choice of an address can be used. Others are named once they can.
fn registration(settings: &Settings, node: &NodeId, host: &HostView, mtus: &Mtus) -> Option<Registration> {
    let usable = |address: &IpAddr| Some(UnderlayAddress { address: *address, mtu: *mtus.get(address)? });
    let (first, others) = settings.underlay_addresses.split_first()?;
    let UnderlayAddress { address, mtu } = usable(first)?;
    let underlay = Underlay { encapsulation: settings.encapsulation, address, mtu };
    let registration = Registration::new(node.clone(), host.dpid?, underlay);
    Some(registration.with_addresses(others.iter().filter_map(usable).collect()))
}

/// Says of each installed replica when packets meet it. What is not known is not said.
async fn realize(
    datapath: Datapath,
    mut installed: watch::Receiver<Option<Installed>>,
    realized: watch::Sender<Option<Arc<Replica>>>,
) {
    let mut followed = None;
    loop {
        let changed = tokio::select! {
            changed = installed.changed() => changed,
            never = datapath.rest() => match never {},
        };
        if changed.is_err() {
            return;
        }
        let Some(Installed { replica, switch, tables, sent }) = installed.borrow_and_update().clone() else {
            continue;
        };
        // The tables have nothing new: a check has found them as they should be.
        if realized.borrow().as_deref().is_some_and(|realized| realized.state() == replica.state()) {
            continue;
        }
        let is_followed = followed == Some(tables);
        let follows = async {
            // The revision asks nothing else of the tables than what packets meet already.
            if is_followed { Ok(()) } else { datapath.follows(&switch, sent).await }
        };
        match follows.await {
            Ok(()) => {
                followed = Some(tables);
                realized.send_replace(Some(replica));
            }
            // The switch is read again when it is back, and then this is tried again.
            Err(error) => {
                let revision = replica.topology.revision().0;
                warn!(%error, revision, "cannot tell whether the datapath has caught up")
            }
        }
    }
}

/// Wants a tunnel port for every encapsulation that a peer uses, and a monitor for every host to be watched.
async fn want_ports(
    settings: Arc<Settings>,
    mut replica: watch::Receiver<Option<Arc<Replica>>>,
    mut host: watch::Receiver<Arc<HostView>>,
    mut flows: watch::Receiver<Flows>,
    ports: watch::Sender<Wanted>,
) {
    let mut tunnels: fn(_) -> _ = Tunnels::AtLeast;
    loop {
        let changed = tokio::select! {
            changed = replica.changed() => {
                // What changes it is a manager: without one, nothing is known that could be taken away.
                tunnels = Tunnels::Exactly;
                changed
            }
            changed = host.changed() => changed,
            changed = flows.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
        let Some(replica) = replica.borrow().clone() else { continue };
        let wanted = Wanted::of(&settings, Some(&replica), tunnels);
        let wanted = wanted.with_passage(&replica, &host.borrow(), *flows.borrow());
        replace_if_new(&ports, wanted);
    }
}

/// Keeps the newest replica on disk, and ends once that of the time of the shutdown is there.
async fn save(
    file: PathBuf,
    mut replica: watch::Receiver<Option<Arc<Replica>>>,
    shutdown: CancellationToken,
) {
    let mut journal = Journal::new(&file);
    while let Some(Ok(())) = shutdown.run_until_cancelled(replica.changed()).await {
        journal = save_newest(journal, &mut replica).await;
        shutdown.run_until_cancelled(tokio::time::sleep(SAVE_INTERVAL)).await;
    }
    if replica.has_changed().unwrap_or_default() {
        save_newest(journal, &mut replica).await;
    }
}

async fn save_newest(mut journal: Journal, replica: &mut watch::Receiver<Option<Arc<Replica>>>) -> Journal {
    let Some(newest) = replica.borrow_and_update().clone() else { return journal };
    let saving = tokio::task::spawn_blocking(move || {
        if let Err(error) = journal.save(&newest) {
            warn!(%error, ?journal, "cannot keep the replica: this host could not boot without a manager");
        }
        journal
    });
    saving.await.expect("saving does not panic")
}

/// Waits, for ever if there is nothing to wait for.
async fn until(deadline: Option<impl Into<tokio::time::Instant>>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
