//! An agent: its ends of the stream and of the switch, over the same course and inbox as the real one.

use std::sync::Arc;

use dataplane::Delta;
use sync::Replica;
use sync::machines::{Inbox, Part, Told, ToldPorts};
use topology::Revision;
use topology::binding::SeenPort;
use topology::datapath::Registration;
use vna::course::{Course, Step};
use vna::host::HostView;
use vna::switch::Mark;

use crate::check::{self, Outcome, Violation};
use crate::host::{BundleFault, Host};
use crate::mutant::Mutant;
use crate::network::{ConnectionId, Network, Resume, Said};
use crate::random::Random;

/// What an agent can do next, if it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    ReadDatabase,
    ConnectSwitch,
    /// Take up what is new.
    Turn,
    /// Do to the switch what was decided.
    Perform,
    /// Read the switch although nothing is new.
    Check,
    Realize,
    Save,
    Connect,
    Receive,
    Speak,
}

impl Deed {
    /// Every deed.
    pub(crate) const ALL: [Self; 10] = [
        Self::ReadDatabase,
        Self::ConnectSwitch,
        Self::Turn,
        Self::Perform,
        Self::Check,
        Self::Realize,
        Self::Save,
        Self::Connect,
        Self::Receive,
        Self::Speak,
    ];
}

/// A running agent.
pub(crate) struct Agent {
    pub(crate) replica: Option<Arc<Replica>>,
    view: HostView,
    /// The view that the course has compiled with.
    compiled: HostView,
    course: Course,
    /// The course has not seen the newest replica or view.
    has_news: bool,
    /// The start of the switch that it is connected to.
    switch: Option<u64>,
    pending: Option<Step>,
    installed: Option<(Arc<Replica>, u64)>,
    realized: Option<Arc<Replica>>,
    link: Option<Link>,
    /// The last stream broke on something that resuming would lead to again.
    anew: bool,
    mutant: Option<Mutant>,
    /// Ports that a mutant cannot forget.
    kept: Vec<Arc<SeenPort>>,
    /// What a mutant has said of ports on any stream.
    assumed: Option<ToldPorts>,
}

/// The agent's end of a stream.
struct Link {
    id: ConnectionId,
    inbox: Inbox,
    /// What has been said of ports, once it is welcome.
    ports: Option<ToldPorts>,
    /// The replica is what the manager has.
    is_current: bool,
    registration: Registration,
    realized: Option<Revision>,
}

impl Agent {
    /// Starts with what was on the disk.
    pub(crate) fn start(saved: Option<Replica>, mutant: Option<Mutant>) -> Self {
        let replica = saved.map(Arc::new);
        let trusted = mutant == Some(Mutant::DiskTrusted);
        Self {
            course: Course::new(replica.clone().filter(|_| !trusted)),
            has_news: replica.is_some(),
            replica,
            view: HostView::default(),
            compiled: HostView::default(),
            switch: None,
            pending: None,
            installed: None,
            realized: None,
            link: None,
            anew: false,
            mutant,
            kept: Vec::new(),
            assumed: None,
        }
    }

    /// The connection to its manager.
    pub(crate) fn connection(&self) -> Option<ConnectionId> {
        self.link.as_ref().map(|link| link.id)
    }

    /// Does one thing. False if there was nothing to do.
    pub(crate) fn act(
        &mut self,
        deed: Deed,
        index: usize,
        host: &mut Host,
        network: &mut Network,
        random: &mut Random,
    ) -> Outcome<bool> {
        match deed {
            Deed::ReadDatabase => Ok(self.read_database(host)),
            Deed::ConnectSwitch => Ok(self.connect_switch(host)),
            Deed::Turn => Ok(self.turn(Course::follow, host)),
            Deed::Check => Ok(self.check(host)),
            Deed::Perform => self.perform(host),
            Deed::Realize => Ok(self.realize(host)),
            Deed::Save => Ok(self.replica.as_ref().is_some_and(|replica| host.disk.save(replica))),
            Deed::Connect => Ok(self.connect(index, host, network, random)),
            Deed::Receive => self.receive(network, random),
            Deed::Speak => Ok(self.speak(host, network, random)),
        }
    }

    fn read_database(&mut self, host: &Host) -> bool {
        let news = self.view != host.database;
        if news {
            self.view = host.database.clone();
            self.has_news = true;
        }
        news
    }

    fn connect_switch(&mut self, host: &Host) -> bool {
        if self.switch == Some(host.switch.start) {
            return false;
        }
        self.switch = Some(host.switch.start);
        self.pending = None;
        self.course.connected();
        // The first check is at once.
        self.check(host);
        true
    }

    fn check(&mut self, host: &Host) -> bool {
        self.has_news = true;
        self.turn(Course::check, host)
    }

    fn turn(
        &mut self,
        turn: fn(&mut Course, Option<Arc<Replica>>, Arc<HostView>) -> Step,
        host: &Host,
    ) -> bool {
        if self.switch != Some(host.switch.start) || self.pending.is_some() || !self.has_news {
            return false;
        }
        self.has_news = false;
        self.pending = Some(turn(&mut self.course, self.replica.clone(), Arc::new(self.view.clone())));
        if self.view.dpid.is_some() {
            self.compiled = self.view.clone();
        }
        true
    }

    fn perform(&mut self, host: &mut Host) -> Outcome<bool> {
        if self.switch != Some(host.switch.start) {
            return Ok(false);
        }
        match self.pending.take() {
            None => Ok(false),
            Some(Step::Wait) => Ok(true),
            Some(Step::Read) => {
                self.pending = Some(self.course.compare(&host.switch.read()));
                Ok(true)
            }
            Some(Step::Change(difference)) => self.change(&difference, host).map(|()| true),
        }
    }

    fn change(&mut self, difference: &Delta, host: &mut Host) -> Outcome<()> {
        let Some(aim) = self.course.aim().cloned() else { return Ok(()) };
        let fault = if difference.is_empty() { None } else { host.switch.fault.take() };
        if matches!(fault, Some(BundleFault::Refused | BundleFault::LostBefore)) {
            self.switch = None;
            return Ok(());
        }
        let before = host.switch.program.clone();
        host.switch.apply(difference, Mark::of(&aim));
        check::tables(host, &before, &aim, &self.compiled, difference)?;
        if fault.is_some() {
            self.switch = None;
        } else if let Some(replica) = self.course.installed() {
            self.installed = Some((replica.clone(), host.switch.start));
        }
        Ok(())
    }

    /// Learns that the switch forwards by what was installed, unless that switch is gone.
    fn realize(&mut self, host: &Host) -> bool {
        let Some((replica, start)) = self.installed.take() else { return false };
        let is_known = self.realized.as_deref().is_some_and(|of| of.state() == replica.state());
        let news = start == host.switch.start && self.switch == Some(start) && !is_known;
        if news {
            self.realized = Some(replica);
        }
        news
    }

    fn connect(&mut self, index: usize, host: &Host, network: &mut Network, random: &mut Random) -> bool {
        let Some(dpid) = self.view.dpid else { return false };
        if self.link.is_some() || network.cut_off.contains(&index) {
            return false;
        }
        let mut replica = self.replica.clone().filter(|_| !std::mem::take(&mut self.anew));
        if self.mutant == Some(Mutant::ResumeMissed) && random.percent(50) {
            replica = replica.map(|replica| Arc::new(ahead(&replica)));
        }
        let resume = replica.as_ref().map(|replica| Resume {
            store_id: replica.store_id.clone(),
            datapath: replica.datapath.clone(),
            revision: replica.topology.revision(),
        });
        let registration = host.registration(dpid);
        let id = network.open(index);
        if let Some(connection) = network.get(id) {
            connection.up.push_back(Said::Hello { registration: registration.clone(), resume });
        }
        let inbox = Inbox::new(replica);
        self.link = Some(Link { id, inbox, ports: None, is_current: false, registration, realized: None });
        true
    }

    fn receive(&mut self, network: &mut Network, random: &mut Random) -> Outcome<bool> {
        let Some(link) = &mut self.link else { return Ok(false) };
        let id = link.id;
        let Some(connection) = network.get(id) else { return Ok(self.hang_up(network)) };
        let gone = connection.left_by_manager;
        let Some(connection) = network.reach(id) else { return Ok(false) };
        let Some(mut told) = connection.down.pop_front() else { return Ok(gone && self.hang_up(network)) };
        match (self.mutant, &mut told, connection.down.front_mut()) {
            (Some(Mutant::DeltasSwapped), Told::Part(one), Some(Told::Part(other))) => swap(one, other),
            (Some(Mutant::DeltaIgnored), Told::Part(part), _) if random.percent(30) => ignore(part),
            _ => {}
        }
        if let Told::Welcome(welcome) = &told {
            let assumed = self.assumed.clone().filter(|_| self.mutant == Some(Mutant::ReportAssumed));
            link.ports = Some(assumed.unwrap_or_else(|| ToldPorts::new(welcome)));
        }
        match link.inbox.on_message(Some(told)) {
            Ok(None) => {}
            Ok(Some(replica)) => {
                link.is_current = true;
                self.has_news = true;
                if self.mutant == Some(Mutant::RealizedEarly) {
                    self.realized = Some(replica.clone());
                }
                self.replica = Some(replica);
            }
            Err(fault) => {
                self.anew = true;
                self.hang_up(network);
                // The protocol between two ends that do what they should has no faults.
                if self.mutant.is_none() {
                    return Err(Violation(format!("an agent takes offence: {fault}")));
                }
            }
        }
        Ok(true)
    }

    /// Gives the connection up.
    pub(crate) fn hang_up(&mut self, network: &mut Network) -> bool {
        let link = self.link.take();
        link.is_some_and(|link| {
            network.leave_as_agent(link.id);
            true
        })
    }

    fn speak(&mut self, host: &Host, network: &mut Network, random: &mut Random) -> bool {
        let registration = self.view.dpid.map(|dpid| host.registration(dpid));
        let mut ports = self.view.seen();
        let Some(link) = &mut self.link else { return false };
        let Some(mut told) = link.ports.clone() else { return false };
        if self.mutant == Some(Mutant::ClaimKept) {
            let gone = self.kept.iter().filter(|kept| !ports.iter().any(|port| port.name == kept.name));
            ports.extend(gone.cloned().collect::<Vec<_>>());
            self.kept = ports.clone();
        }
        let mut news = Vec::new();
        if let Some(registration) = registration.filter(|registration| *registration != link.registration) {
            news.push(Said::Hello { registration, resume: None });
        }
        if self.view.dpid.is_some() {
            let report = told.report(ports);
            news.extend(report.map(Said::Ports));
        }
        // Of another store than the manager's nothing is said.
        let realized = self.realized.as_deref().zip(self.replica.as_deref()).filter(|_| link.is_current);
        let realized = realized.filter(|(switch, newest)| switch.store_id == newest.store_id);
        if let Some((switch, _)) = realized
            && link.realized != Some(switch.topology.revision())
        {
            news.push(Said::Realized { revision: switch.topology.revision(), truth: host.proven.clone() });
        }
        let Some(said) = random.pick(news) else { return false };
        match &said {
            Said::Hello { registration, .. } => link.registration = registration.clone(),
            Said::Ports(_) => {
                self.assumed = Some(told.clone());
                link.ports = Some(told);
            }
            Said::Realized { revision, .. } => link.realized = Some(*revision),
        }
        // While the host is cut off, it waits; it is lost only with its connection.
        match network.get(link.id) {
            Some(connection) if !connection.left_by_manager => connection.up.push_back(said),
            _ => {}
        }
        true
    }
}

/// A replica that pretends to be one revision further.
fn ahead(replica: &Replica) -> Replica {
    let mut topology = replica.topology.clone();
    topology.commit(topology.revision().next(), &[]);
    Replica { topology, ..replica.clone() }
}

fn swap(one: &mut Part, other: &mut Part) {
    if one.base.is_some() && other.base.is_some() && one.last && other.last {
        std::mem::swap(&mut one.puts, &mut other.puts);
        std::mem::swap(&mut one.deletes, &mut other.deletes);
    }
}

fn ignore(part: &mut Part) {
    if part.base.is_some() {
        part.puts.clear();
        part.deletes.clear();
    }
}
