//! Makes the switch equal to the topology: one code path for the first start, a change and recovery.
//!
//! It takes the steps that [`course`](crate::course) decides on: after a connection, whenever the replica, the ports or
//! the tunnels have changed, and every `CHECK_INTERVAL`. In between it answers packets, one interface's after another's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dataplane::Delta;
use dataplane::layout::Question;
use openflow::{Connection, PacketIn};
use sync::Replica;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use topology::Topology;
use tracing::{debug, error, info, warn};

use crate::answers::{self, Names, Reply};
use crate::asking::Asking;
use crate::course::{Course, Step};
use crate::datapath::Datapath;
use crate::forwarder::Forwarder;
use crate::gateways::Gateways;
use crate::host::HostView;
use crate::metrics::Metrics;
use crate::monitors::Flows;
use crate::neighbours::Neighbours;
use crate::streams::Streams;
use crate::switch::{Mark, Switch, SwitchError, SwitchEvent};
use crate::until;
use crate::waiting::Waiting;

/// How often the switch is read to see whether it is still as it should be.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// Pause before the switch is connected to again, the first time. It doubles each time: one that has restarted, or a bridge
/// that was just made, is there soon.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// Longest pause of those.
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);

/// Longest pause, after connections that failed in their turn: a switch that refuses a flow is not to be worn out.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How a connection to the switch has ended.
#[derive(Clone, Copy, Debug)]
enum Ending {
    /// It did not come about, or not for long.
    Soon,
    /// It held longer than any pause.
    Held,
    /// The switch has refused a change.
    Refused,
}

impl Ending {
    /// The pause before the next one, after the pause before this one.
    fn pause_after(self, pause: Duration) -> Duration {
        match self {
            Self::Soon => (pause * 2).clamp(FIRST_PAUSE, RECONNECT_PAUSE),
            Self::Held => FIRST_PAUSE,
            Self::Refused => (pause * 2).clamp(RECONNECT_PAUSE * 2, LONGEST_PAUSE),
        }
    }
}

/// That the tables of a switch stand for a replica.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The replica.
    pub replica: Arc<Replica>,
    /// The switch.
    pub switch: Connection,
    /// Of two of an agent with the same number, the tables are the same.
    pub tables: u64,
    /// The tables were given their last change after this time, if this connection has given them one.
    pub sent: Option<Instant>,
}

/// What the switch is made equal to, and where it is said that it is.
#[derive(Debug)]
pub struct Reconciler {
    /// The host's part of the topology.
    pub replica: watch::Receiver<Option<Arc<Replica>>>,
    /// What the switch's database shows.
    pub host: watch::Receiver<Arc<HostView>>,
    /// What the switch's tables stand for.
    pub installed: watch::Sender<Option<Installed>>,
    /// Whether the switch has its flows.
    pub flows: watch::Sender<Flows>,
    /// Whose guests ask for addresses.
    pub asking: watch::Sender<Asking>,
    /// Counts changes of the tables, and connections: in between anything may have changed them.
    tables: u64,
    sent: Option<Instant>,
    datapath: Datapath,
    metrics: Arc<Metrics>,
    course: Course,
    names: Names,
    forwarder: Forwarder,
    streams: Streams,
    neighbours: Neighbours,
    gateways: Gateways,
    waiting: Waiting,
}

impl Reconciler {
    /// A reconciler that knows nothing yet.
    pub fn new(
        replica: watch::Receiver<Option<Arc<Replica>>>,
        host: watch::Receiver<Arc<HostView>>,
        installed: watch::Sender<Option<Installed>>,
        flows: watch::Sender<Flows>,
        asking: watch::Sender<Asking>,
        datapath: Datapath,
        metrics: Arc<Metrics>,
    ) -> Self {
        let course = Course::new(replica.borrow().clone());
        let (names, forwarder) = (Names::default(), Forwarder::default());
        let streams = Streams::new(replica.clone(), names.clone(), forwarder.clone());
        Self {
            replica,
            host,
            installed,
            flows,
            asking,
            tables: 0,
            sent: None,
            datapath,
            metrics,
            course,
            names,
            forwarder,
            streams,
            neighbours: Neighbours::default(),
            gateways: Gateways::default(),
            waiting: Waiting::default(),
        }
    }

    /// Keeps the switch equal to the topology, for ever, through whatever connections it takes.
    pub async fn run(mut self, target: openflow::Endpoint) {
        let mut reachable = true;
        let mut pause = Duration::ZERO;
        loop {
            let mut ending = Ending::Soon;
            match Switch::connect(&target).await {
                Ok(switch) => {
                    info!("connected to the switch");
                    let began = Instant::now();
                    reachable = true;
                    self.metrics.switch_connected(true);
                    let error = self.serve(switch).await;
                    self.metrics.switch_connected(false);
                    if error.is_end() {
                        // Others are to hear of it before a new one is there to be seen by them.
                        self.flows.send_replace(Flows::Missing);
                    }
                    warn!(error = describe(&error), "the switch is to be read anew");
                    ending = match error {
                        SwitchError::Bundle { .. } | SwitchError::Meter { .. } => Ending::Refused,
                        _ if began.elapsed() > LONGEST_PAUSE => Ending::Held,
                        _ => Ending::Soon,
                    };
                }
                Err(error) if reachable => {
                    warn!(error = describe(&error), "the switch cannot be reached");
                    reachable = false;
                }
                Err(error) => debug!(error = describe(&error), "the switch cannot be reached"),
            }
            pause = ending.pause_after(pause);
            tokio::time::sleep(pause).await;
        }
    }

    /// Serves one connection, until it fails.
    async fn serve(&mut self, mut switch: Switch) -> SwitchError {
        let mut check = interval(CHECK_INTERVAL);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.course.connected();
        (self.tables, self.sent) = (self.tables + 1, None);
        // What another connection has brought is long repeated.
        self.waiting = Waiting::default();
        loop {
            let done = tokio::select! {
                // In this order: packets take their turns once all that have come are known.
                biased;
                // The first tick is at once.
                _ = check.tick() => self.turn(&mut switch, Course::check).await,
                _ = self.replica.changed() => self.turn(&mut switch, Course::follow).await,
                _ = self.host.changed() => self.turn(&mut switch, Course::follow).await,
                () = until(self.neighbours.next()) => self.ask_again(&switch).await,
                () = until(self.gateways.next()) => self.announce(&switch).await,
                event = switch.event() => match event {
                    SwitchEvent::PacketIn(packet) => {
                        self.take(packet);
                        Ok(())
                    }
                    SwitchEvent::Closed(error) => return error,
                },
                () = std::future::ready(()), if !self.waiting.is_empty() => self.answer_next(&switch).await,
            };
            if let Err(error) = done {
                return error;
            }
        }
    }

    /// Takes the steps that the newest replica and the newest view of the host lead to.
    async fn turn(
        &mut self,
        switch: &mut Switch,
        turn: fn(&mut Course, Option<Arc<Replica>>, Arc<HostView>) -> Step,
    ) -> Result<(), SwitchError> {
        let replica = self.replica.borrow_and_update().clone();
        let host = self.host.borrow_and_update().clone();
        let step = turn(&mut self.course, replica, host);
        for twin in self.course.twins() {
            error!(%twin, "left out: another part of the topology has its place in the switch");
        }
        match step {
            Step::Wait => Ok(()),
            Step::Read => self.compare(switch).await,
            Step::Change(difference) => {
                self.metrics.followed(&difference);
                self.change(switch, &difference).await
            }
        }
    }

    /// Reads the switch and puts right what differs.
    async fn compare(&mut self, switch: &mut Switch) -> Result<(), SwitchError> {
        let mut found = switch.read().await?;
        let known = std::mem::take(&mut found.neighbours);
        if let Some(replica) = self.replica() {
            let effects = self.neighbours.seen(known, &replica.topology, Instant::now());
            switch.take(effects).await?;
        }
        if found.mark.is_none() {
            self.flows.send_replace(Flows::Missing);
        }
        match self.course.compare(&found) {
            Step::Change(difference) => {
                self.metrics.checked(&difference);
                if !difference.is_empty() {
                    let revision = self.course.aim().map(|aim| aim.topology.revision().0);
                    let (missing, foreign) = (difference.put_flows.len(), difference.delete_flows.len());
                    info!(revision, changes = difference.len(), missing, foreign, "putting the switch right");
                }
                self.change(switch, &difference).await
            }
            Step::Wait | Step::Read => {
                info!("the switch is ahead of the replica on disk: waiting for a manager");
                Ok(())
            }
        }
    }

    /// Changes the switch, and says what its tables stand for.
    async fn change(&mut self, switch: &mut Switch, difference: &Delta) -> Result<(), SwitchError> {
        let Some(aim) = self.course.aim() else { return Ok(()) };
        if !difference.is_empty() {
            debug!(revision = aim.topology.revision().0, changes = difference.len(), "changing the switch");
            self.datapath.expect();
            (self.tables, self.sent) = (self.tables + 1, Some(Instant::now()));
            switch.apply(difference, Mark::of(aim)).await?;
        }
        self.course.program().into_iter().for_each(|program| self.metrics.wanted(program));
        if let Some(replica) = self.course.installed() {
            let (replica, switch) = (replica.clone(), switch.connection());
            let installed = Installed { replica, switch, tables: self.tables, sent: self.sent };
            self.installed.send_replace(Some(installed));
            self.flows.send_if_modified(|flows| std::mem::replace(flows, Flows::There) != Flows::There);
        }
        self.announce(switch).await
    }

    fn replica(&self) -> Option<Arc<Replica>> {
        self.replica.borrow().clone()
    }

    /// Tells the wires whose gateway this host has become. Its switch has taken over already.
    async fn announce(&mut self, switch: &Switch) -> Result<(), SwitchError> {
        let Some(replica) = self.course.installed().cloned() else {
            self.gateways = Gateways::default();
            return Ok(());
        };
        let host = self.host.borrow().clone();
        switch.take(self.gateways.turn(&replica.topology, &replica.datapath, &host, Instant::now())).await
    }

    /// Asks those again who have not answered yet.
    async fn ask_again(&mut self, switch: &Switch) -> Result<(), SwitchError> {
        let Some(replica) = self.replica() else {
            self.neighbours = Neighbours::default();
            return Ok(());
        };
        switch.take(self.neighbours.turn(&replica.topology, Instant::now())).await
    }

    /// Lets a packet wait for its turn.
    fn take(&mut self, packet: Box<PacketIn>) {
        let Some(loser) = self.waiting.push(packet) else { return };
        let replica = self.replica();
        let interface = replica.as_ref().and_then(|replica| replica.topology.interface_of_key(loser));
        self.metrics.overflowed(interface.map(|interface| &interface.uuid));
    }

    async fn answer_next(&mut self, switch: &Switch) -> Result<(), SwitchError> {
        match self.waiting.pop() {
            Some(packet) => self.answer(switch, &packet).await,
            None => Ok(()),
        }
    }

    async fn answer(&mut self, switch: &Switch, packet: &PacketIn) -> Result<(), SwitchError> {
        let question = Question::of_userdata(&packet.userdata);
        let replica = self.replica();
        let unknown;
        let topology = match &replica {
            Some(replica) => &replica.topology,
            // Some answers need none.
            None => {
                unknown = Topology::default();
                &unknown
            }
        };
        let effects = match question {
            Some(Question::NextHop) => Some(self.neighbours.asked(packet, topology, Instant::now())),
            Some(Question::NeighbourFound) => Some(self.neighbours.told(packet, Instant::now())),
            _ => None,
        };
        if let Some(effects) = effects {
            self.metrics.asked(question, !effects.is_empty());
            return switch.take(effects).await;
        }
        let answer = answers::answer(packet, topology, &self.names);
        self.metrics.asked(question, answer.is_some());
        match answer {
            Some(Reply::Out(answer)) => switch.packet_out(answer).await,
            Some(Reply::Forward(forward, asked)) => {
                self.forwarder.pass_on(forward, asked, switch.connection());
                Ok(())
            }
            Some(Reply::Stream(call)) => {
                self.streams.take(&call, &switch.connection());
                Ok(())
            }
            Some(Reply::Ask(interface)) => {
                let host = self.host.borrow();
                if let Some(port) = host.port_of(topology, &interface) {
                    self.asking.send_if_modified(|asking| asking.ask(&port.seen.name, Instant::now()));
                }
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// An error with its causes.
fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_that_is_away_is_tried_soon_and_one_that_refuses_is_not_worn_out() {
        let mut pause = Duration::ZERO;
        let mut check = |ending: Ending, expected: &[u64]| {
            for expected in expected {
                pause = ending.pause_after(pause);
                assert_eq!(pause, Duration::from_millis(*expected), "{ending:?}");
            }
        };
        check(Ending::Soon, &[10, 20, 40, 80, 160, 200, 200]);
        check(Ending::Refused, &[400, 800, 1600, 3200, 5000, 5000]);
        check(Ending::Soon, &[200, 200]);
        check(Ending::Held, &[10]);
        check(Ending::Refused, &[400, 800]);
    }
}
