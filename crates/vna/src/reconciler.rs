//! Makes the switch equal to the topology: one code path for the first start, a change and recovery.
//!
//! ```text
//!                 connect          read and difference              replica, ports or tunnels changed:
//! Disconnected ───────────> Connected ───────────────> In step ───┐  the compiler's difference alone
//!      ^                        │                        │ ^      │
//!      └────── closed ──────────┴──────── closed ────────┘ └──────┘  every [`CHECK_INTERVAL`]: read again
//! ```
//! What the switch has is read, never assumed. Flows that stay keep their counters and their age. While there is no
//! replica nothing is touched: an agent without knowledge leaves a working switch.
//!
//! # A replica from disk
//! It is written a moment after the switch is changed, so after a crash it may be older than what the switch has. Then the
//! switch is left as it is until a manager has been heard: to go back would cost packets.

use std::sync::Arc;
use std::time::Duration;

use dataplane::{Compiler, Delta};
use openflow::{Connection, PacketIn};
use sync::Replica;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use topology::Revision;
use tracing::{debug, info, warn};

use crate::answers;
use crate::host::HostView;
use crate::switch::{Switch, SwitchError, SwitchEvent};

/// How often the switch is read to see whether it is still as it should be.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// Pause before the switch is connected to again. A restarted switch is wanted back within two seconds.
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);

/// Longest pause, after connections that failed in their turn: a switch that refuses a flow is not to be worn out.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// That the tables of a switch stand for a revision.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The revision.
    pub revision: Revision,
    /// The switch.
    pub switch: Connection,
}

/// What the switch is made equal to, and where it is said that it is.
#[derive(Debug)]
pub struct Reconciler {
    /// The host's part of the topology.
    pub replica: watch::Receiver<Option<Arc<Replica>>>,
    /// What the switch's database shows.
    pub host: watch::Receiver<HostView>,
    /// What the switch's tables stand for.
    pub installed: watch::Sender<Option<Installed>>,
    /// The replica that the agent has started with.
    saved: Option<Arc<Replica>>,
    compiler: Option<Compiler>,
}

impl Reconciler {
    /// A reconciler that knows nothing yet.
    pub fn new(
        replica: watch::Receiver<Option<Arc<Replica>>>,
        host: watch::Receiver<HostView>,
        installed: watch::Sender<Option<Installed>>,
    ) -> Self {
        let saved = replica.borrow().clone();
        Self { replica, host, installed, saved, compiler: None }
    }

    /// Keeps the switch equal to the topology, for ever, through whatever connections it takes.
    pub async fn run(mut self, target: openflow::Endpoint) {
        let mut reachable = true;
        let mut pause = RECONNECT_PAUSE;
        loop {
            match Switch::connect(&target).await {
                Ok(switch) => {
                    info!("connected to the switch");
                    reachable = true;
                    let error = self.serve(switch).await;
                    warn!(error = describe(&error), "the switch is to be read anew");
                    let refused = matches!(error, SwitchError::Bundle { .. });
                    pause = if refused { LONGEST_PAUSE.min(pause * 2) } else { RECONNECT_PAUSE };
                }
                Err(error) if reachable => {
                    warn!(error = describe(&error), "the switch cannot be reached");
                    reachable = false;
                }
                Err(error) => debug!(error = describe(&error), "the switch cannot be reached"),
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Serves one connection, until it fails.
    async fn serve(&mut self, mut switch: Switch) -> SwitchError {
        let mut check = interval(CHECK_INTERVAL);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Whether the switch was read on this connection, so that differences lead to what is wanted.
        let mut in_step = false;
        loop {
            let done = tokio::select! {
                // The first tick is at once.
                _ = check.tick() => self.check(&mut switch).await.map(|checked| in_step |= checked),
                _ = self.replica.changed() => self.follow(&mut switch, &mut in_step).await,
                _ = self.host.changed() => self.follow(&mut switch, &mut in_step).await,
                event = switch.event() => match event {
                    SwitchEvent::PacketIn(packet) => answer(&switch, &packet).await,
                    SwitchEvent::Closed(error) => return error,
                },
            };
            if let Err(error) = done {
                return error;
            }
        }
    }

    /// Reads the switch and puts right what differs. False if there is no replica to compare with, or an older one.
    async fn check(&mut self, switch: &mut Switch) -> Result<bool, SwitchError> {
        self.compile();
        let Some(compiler) = &self.compiler else { return Ok(false) };
        let revision = compiler.topology().revision();
        let found = switch.read().await?;
        if self.is_saved() && found.revision > Some(revision) {
            info!(revision = revision.0, "the switch is ahead of the replica on disk: waiting for a manager");
            return Ok(false);
        }
        let difference = found.program.difference(compiler.program());
        if !difference.is_empty() {
            info!(revision = revision.0, changes = difference.len(), "putting the switch right");
            switch.apply(&difference, revision).await?;
        }
        self.say_installed(switch, compiler);
        Ok(true)
    }

    /// Follows a change of the replica or the host.
    async fn follow(&mut self, switch: &mut Switch, in_step: &mut bool) -> Result<(), SwitchError> {
        if !*in_step {
            *in_step = self.check(switch).await?;
            return Ok(());
        }
        let difference = self.compile();
        let Some(compiler) = &self.compiler else { return Ok(()) };
        let revision = compiler.topology().revision();
        if !difference.is_empty() {
            debug!(revision = revision.0, changes = difference.len(), "changing the switch");
            switch.apply(&difference, revision).await?;
        }
        self.say_installed(switch, compiler);
        Ok(())
    }

    /// Says what the tables stand for, once their tunnel ports are there: until then packets are lost.
    fn say_installed(&self, switch: &Switch, compiler: &Compiler) {
        let (topology, datapath) = (compiler.topology(), &compiler.local().datapath);
        if self.host.borrow().has_tunnels(topology, datapath) {
            let installed = Installed { revision: topology.revision(), switch: switch.connection() };
            self.installed.send_replace(Some(installed));
        }
    }

    /// Whether no manager has been heard since the agent started.
    fn is_saved(&self) -> bool {
        let replica = self.replica.borrow();
        self.saved.as_ref().zip(replica.as_ref()).is_some_and(|(saved, now)| Arc::ptr_eq(saved, now))
    }

    /// Brings the compiler up to date, and tells what changes.
    fn compile(&mut self) -> Delta {
        let Some(replica) = self.replica.borrow_and_update().clone() else { return Delta::default() };
        let host = self.host.borrow_and_update().clone();
        if host.dpid.is_none() {
            // The database has not been read yet: a host without ports would cost every guest its flows.
            return Delta::default();
        }
        let local = host.local(&replica.topology, replica.datapath.clone());
        match &mut self.compiler {
            Some(compiler) => compiler.update(replica.topology.clone(), local),
            None => {
                self.compiler = Some(Compiler::new(replica.topology.clone(), local));
                Delta::default()
            }
        }
    }
}

async fn answer(switch: &Switch, packet: &PacketIn) -> Result<(), SwitchError> {
    match answers::answer(packet) {
        Some(answer) => switch.packet_out(answer).await,
        None => Ok(()),
    }
}

/// An error with its causes.
fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
