//! The world: hosts, managers, stores and the network between them, and what can happen to them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use store::Store;
use topology::Revision;
use topology::interface::InterfaceMode;
use vna::host::HostPort;
use vnmgr::plan::Task;

use crate::agent::{Agent, Deed};
use crate::check::{self, Outcome, Violation};
use crate::database::{Database, Fault};
use crate::host::{BundleFault, DiskFault, Host};
use crate::manager::{Acknowledged, Manager};
use crate::mutant::Mutant;
use crate::network::Network;
use crate::random::Random;
use crate::script::{Event, What};
use crate::user;

/// How many things happen in one event at most.
const BURST: usize = 8;

/// Most rounds in which everything does what it can until nothing is left to do.
const MAX_ROUNDS: usize = 400;

/// Everything there is.
pub(crate) struct World {
    hosts: Vec<Host>,
    agents: Vec<Option<Agent>>,
    network: Network,
    manager: Option<Manager>,
    /// A manager that another has taken over from. It does what users have asked it for, and serves no agents.
    retiring: Option<Manager>,
    /// Every store there was, by its id.
    databases: BTreeMap<String, Database>,
    database: Database,
    acknowledged: Vec<Acknowledged>,
    now: Timestamp,
    mutant: Option<Mutant>,
    trace: Option<Vec<String>>,
}

impl World {
    pub(crate) fn new(hosts: usize, mutant: Option<Mutant>, traced: bool) -> Self {
        let database = Database::new(1);
        let databases = BTreeMap::from([(database.id().to_string(), database.clone())]);
        let mut manager = Manager::start(database.clone());
        manager.ask(Task::Requests(user::first()));
        Self {
            hosts: (0..hosts).map(inhabited).collect(),
            agents: (0..hosts).map(|_| Some(Agent::start(None, mutant))).collect(),
            network: Network::default(),
            manager: Some(manager),
            retiring: None,
            databases,
            database,
            acknowledged: Vec::new(),
            now: Timestamp::UNIX_EPOCH,
            mutant,
            trace: traced.then(Vec::new),
        }
    }

    /// What has happened, if it was to be told.
    pub(crate) fn trace(self) -> Vec<String> {
        self.trace.unwrap_or_default()
    }

    fn tell(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.trace.is_some() {
            let line = what(self);
            self.trace.iter_mut().for_each(|trace| trace.push(line.clone()));
        }
    }

    /// Has something happen.
    pub(crate) fn happen(&mut self, event: &Event) -> Outcome<()> {
        let mut random = Random::new(event.dice);
        let random = &mut random;
        let host = random.below(self.hosts.len());
        match event.what {
            What::Host => return self.burst(host, random),
            What::Manager => return self.manage(random),
            What::Ask => self.ask(random),
            What::Plug => self.plug(host, random),
            What::Unplug => self.unplug(host, random),
            What::Underlay => {
                self.hosts[host].underlay.mtu = 1400 + u16::try_from(random.below(3)).expect("small");
                self.tell(|_| format!("h{}: another underlay MTU", host + 1));
            }
            What::CutConnection => self.cut_connection(random),
            What::CutOff => {
                self.network.cut_off.insert(host);
                self.tell(|_| format!("h{}: cut off", host + 1));
            }
            What::Reconnect => {
                self.network.cut_off.clear();
                self.tell(|_| "no host is cut off".to_owned());
            }
            What::CrashManager => self.crash_manager(),
            What::StartManager => self.start_manager(),
            What::TakeOver => self.take_over(),
            What::RestoreBackup => self.restore(random),
            What::BreakStore => {
                let fault = random.pick([Fault::Full, Fault::Made, Fault::Lost]);
                self.database.break_next(fault);
                self.tell(|_| format!("the next append ends as {fault:?}"));
            }
            What::SetClock => {
                let seconds = i64::try_from(random.below(2_000_000)).expect("small") - 1_000_000;
                self.now = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(self.now);
            }
            What::CrashAgent => self.crash_agent(host, random),
            What::StartAgent => self.start_agent(host, None),
            What::RestartSwitch => {
                self.hosts[host].switch.restart();
                self.tell(|_| format!("h{}: the switch restarts", host + 1));
            }
            What::BreakBundle => {
                let among = [BundleFault::Refused, BundleFault::LostBefore, BundleFault::LostAfter];
                self.hosts[host].switch.fault = random.pick(among);
                self.tell(|world| {
                    format!("h{}: the next bundle is {:?}", host + 1, world.hosts[host].switch.fault)
                });
            }
            What::Tamper => {
                self.hosts[host].switch.tamper(random);
                self.tell(|_| format!("h{}: somebody changes a flow", host + 1));
            }
        }
        Ok(())
    }

    fn burst(&mut self, host: usize, random: &mut Random) -> Outcome<()> {
        if random.percent(40) {
            return self.sweep(host, random);
        }
        for _ in 0..=random.below(BURST) {
            match random.below(Deed::ALL.len() + 2) {
                0 => drop(self.hosts[host].settle_ports()),
                1 => drop(self.make_tunnels(host)),
                n => drop(self.act(host, Deed::ALL[n - 2], random)?),
            }
        }
        Ok(())
    }

    /// A host does most of what it can in the order in which one thing leads to another, so that much happens.
    fn sweep(&mut self, host: usize, random: &mut Random) -> Outcome<()> {
        self.hosts[host].settle_ports();
        for deed in Deed::ALL {
            let chance = if deed == Deed::Check { 20 } else { 75 };
            if random.percent(chance) {
                self.act(host, deed, random)?;
            }
        }
        Ok(())
    }

    fn make_tunnels(&mut self, host: usize) -> bool {
        let replica = self.agents[host].as_ref().and_then(|agent| agent.replica.clone());
        self.agents[host].is_some() && self.hosts[host].make_tunnels(replica.as_deref())
    }

    /// An agent does something, and what it then has is looked at.
    fn act(&mut self, host: usize, deed: Deed, random: &mut Random) -> Outcome<bool> {
        let Some(agent) = &mut self.agents[host] else { return Ok(false) };
        let done = agent.act(deed, host, &mut self.hosts[host], &mut self.network, random)?;
        if done
            && deed == Deed::Receive
            && let Some(replica) = &agent.replica
        {
            check::replica(&self.hosts[host], replica, &self.databases)?;
        }
        if done {
            self.tell(|world| world.told_of(host, deed));
        }
        Ok(done)
    }

    fn told_of(&self, host: usize, deed: Deed) -> String {
        let replica = self.agents[host].as_ref().and_then(|agent| agent.replica.as_ref());
        let replica = replica.map(|replica| (short(&replica.store_id), replica.topology.revision().0));
        let truth =
            self.hosts[host].switch.truth.as_ref().map(|(store, revision)| (short(store), revision.0));
        format!("h{}: {deed:?}; replica {replica:?}, switch {truth:?}", host + 1)
    }

    fn manage(&mut self, random: &mut Random) -> Outcome<()> {
        for _ in 0..=random.below(BURST) {
            match random.below(8) {
                0 => drop(self.write(random)?),
                1 => drop(self.manager.as_mut().map(Manager::follow)),
                2 => self.retire(random),
                n => self.attend(n, random)?,
            }
        }
        Ok(())
    }

    /// A manager attends to one of its agents.
    fn attend(&mut self, how: usize, random: &mut Random) -> Outcome<()> {
        let Some(manager) = &mut self.manager else { return Ok(()) };
        let Some(id) = random.pick(manager.streams(&self.network)) else { return Ok(()) };
        match how {
            3..=5 => {
                let (_, claimed) = manager.listen(id, &mut self.network, self.now);
                if let Some(claimed) = claimed {
                    check::claim(&self.hosts[claimed.host], &claimed, manager)?;
                }
            }
            6 => drop(manager.tell(id, &mut self.network, self.now, random)),
            _ => drop(manager.catch_up(id, &mut self.network, random)),
        }
        Ok(())
    }

    fn write(&mut self, random: &mut Random) -> Outcome<bool> {
        self.now = self.now.checked_add(SignedDuration::from_secs(1)).unwrap_or(self.now);
        let Some(manager) = self.manager.as_mut().filter(|manager| manager.has_work()) else {
            return Ok(false);
        };
        let before = manager.head.topology.clone();
        let most = 1 + random.below(3);
        self.acknowledged.extend(manager.write(most, self.now, &mut self.network, random));
        let after = manager.head.topology.clone();
        self.tell(|world| {
            let (before, after) = (before.revision(), after.revision());
            format!(
                "the manager's head goes from {before} to {after}, the store's is {}",
                world.database.head()
            )
        });
        check::claims(&self.hosts, &before, &after)?;
        Ok(true)
    }

    /// The manager that was taken over from goes on with its queue.
    fn retire(&mut self, random: &mut Random) {
        let Some(manager) = &mut self.retiring else { return };
        if manager.has_work() {
            let most = 1 + random.below(3);
            self.acknowledged.extend(manager.write(most, self.now, &mut Network::default(), random));
            self.tell(|world| {
                format!("the retiring manager writes, the store's head is {}", world.database.head())
            });
        } else {
            self.retiring = None;
        }
    }

    fn ask(&mut self, random: &mut Random) {
        let hosts = self.hosts.len();
        let manager = if random.percent(30) { self.retiring.as_mut() } else { None };
        let Some(manager) = manager.or(self.manager.as_mut()) else { return };
        let requests = user::ask(random, &manager.head.topology, hosts);
        let text = self.trace.is_some().then(|| serde_json::to_string(&requests).unwrap_or_default());
        manager.ask(Task::Requests(requests));
        self.tell(|_| format!("a user asks for {}", text.unwrap_or_default()));
    }

    fn plug(&mut self, host: usize, random: &mut Random) {
        let n = random.below(user::INTERFACES);
        let iface_id = random.percent(50).then(|| format!("if-{n}"));
        let name = if random.percent(80) { n } else { random.below(user::INTERFACES) };
        self.tell(|_| format!("h{}: plugs tap{name} for {iface_id:?}", host + 1));
        self.hosts[host].plug(&format!("tap{name}"), iface_id, random.percent(70));
    }

    fn unplug(&mut self, host: usize, random: &mut Random) {
        let name = random.pick(self.hosts[host].database.ports.keys().cloned());
        if let Some(name) = name {
            self.hosts[host].database.ports.remove(&name);
            self.tell(|_| format!("h{}: unplugs {name}", host + 1));
        }
    }

    fn cut_connection(&mut self, random: &mut Random) {
        let Some(id) = random.pick(self.network.ids()) else { return };
        match random.below(3) {
            0 => self.network.lose(id),
            1 => self.network.leave_as_manager(id),
            _ => {
                let agent = self.agents.iter_mut().flatten().find(|agent| agent.connection() == Some(id));
                agent.map(|agent| agent.hang_up(&mut self.network));
            }
        }
        self.tell(|_| format!("connection {} breaks", id.0));
    }

    fn crash_manager(&mut self) {
        if self.manager.take().is_some() {
            self.network.ids().into_iter().for_each(|id| self.network.leave_as_manager(id));
            self.tell(|_| "the manager crashes".to_owned());
        }
    }

    fn start_manager(&mut self) {
        if self.manager.is_none() {
            self.manager = Some(Manager::start(self.database.clone()));
            self.tell(|world| format!("a manager starts at {}", world.database.head()));
        }
    }

    /// A new manager takes over while the old one still writes.
    fn take_over(&mut self) {
        self.network.ids().into_iter().for_each(|id| self.network.leave_as_manager(id));
        if let Some(old) = self.manager.take() {
            self.retiring = Some(old);
        }
        self.tell(|_| "another manager takes over".to_owned());
        self.start_manager();
    }

    /// The store is lost, and a backup of it put in its place.
    fn restore(&mut self, random: &mut Random) {
        self.crash_manager();
        self.retiring = None;
        let head = self.database.head();
        let revision = Revision(head.0.saturating_sub(u64::try_from(random.below(8)).expect("small")));
        let generation = u128::try_from(self.databases.len() + 1).expect("few stores");
        self.database = self.database.restored(generation, revision);
        self.databases.insert(self.database.id().to_string(), self.database.clone());
        self.acknowledged.retain(|of| of.revision <= revision);
        self.tell(|_| format!("the store is lost at {head}; a backup of {revision} takes its place"));
        self.start_manager();
    }

    fn crash_agent(&mut self, host: usize, random: &mut Random) {
        let Some(mut agent) = self.agents[host].take() else { return };
        agent.hang_up(&mut self.network);
        self.tell(|_| format!("h{}: the agent crashes", host + 1));
        if random.percent(60) {
            let faults = [DiskFault::Older, DiskFault::Older, DiskFault::Missing, DiskFault::Damaged];
            let fault = if random.percent(60) { random.pick(faults) } else { None };
            self.start_agent(host, fault);
        }
    }

    fn start_agent(&mut self, host: usize, fault: Option<DiskFault>) {
        if self.agents[host].is_some() {
            return;
        }
        if let Some(fault) = fault {
            self.hosts[host].disk.suffer(fault);
        }
        let saved = self.hosts[host].disk.load(fault);
        let found = saved.as_ref().map(|replica| (short(&replica.store_id), replica.topology.revision().0));
        self.tell(|_| format!("h{}: the agent starts, on its disk {found:?}", host + 1));
        self.agents[host] = Some(Agent::start(saved, self.mutant));
    }

    /// Faults stop, and everything does what it can until there is nothing left to do.
    pub(crate) fn settle(&mut self, random: &mut Random) -> Outcome<()> {
        self.tell(|_| "--- faults stop ---".to_owned());
        self.network.cut_off.clear();
        self.database.break_next(None);
        self.start_manager();
        for host in 0..self.hosts.len() {
            self.hosts[host].switch.fault = None;
            self.start_agent(host, None);
        }
        while self.retiring.is_some() {
            self.retire(random);
        }
        let mut checked = false;
        for _ in 0..MAX_ROUNDS {
            if self.round(random)? {
                checked = false;
                continue;
            }
            if checked {
                return Ok(());
            }
            checked = true;
            self.look_again(random)?;
        }
        Err(Violation(format!("no rest after {MAX_ROUNDS} rounds")))
    }

    /// What happens from time to time although nothing is new.
    fn look_again(&mut self, random: &mut Random) -> Outcome<()> {
        // A manager hears of what another has written when it writes itself, or when it starts.
        let lags = |manager: &Manager| manager.head.topology.revision() != self.database.head();
        if self.manager.as_ref().is_some_and(lags) {
            self.crash_manager();
            self.start_manager();
        }
        if let Some(manager) = &mut self.manager {
            manager.lose_patience(&mut self.network, self.now);
        }
        for host in 0..self.hosts.len() {
            self.act(host, Deed::Check, random)?;
            while self.act(host, Deed::Perform, random)? {}
        }
        Ok(())
    }

    /// Everything does what it can, once.
    fn round(&mut self, random: &mut Random) -> Outcome<bool> {
        let mut moved = false;
        for host in 0..self.hosts.len() {
            moved |= self.hosts[host].settle_ports() | self.make_tunnels(host);
            for deed in Deed::ALL.into_iter().filter(|deed| *deed != Deed::Check) {
                moved |= self.act(host, deed, random)?;
            }
        }
        moved |= self.write(random)?;
        let Some(manager) = &mut self.manager else { return Ok(moved) };
        moved |= manager.follow();
        for id in manager.streams(&self.network) {
            let (heard, claimed) = manager.listen(id, &mut self.network, self.now);
            if let Some(claimed) = claimed {
                check::claim(&self.hosts[claimed.host], &claimed, manager)?;
            }
            moved |= heard;
            moved |= manager.tell(id, &mut self.network, self.now, random);
            moved |= manager.catch_up(id, &mut self.network, random);
        }
        Ok(moved)
    }

    /// What must hold once everything is quiet.
    pub(crate) fn check(&self) -> Outcome<()> {
        let Some(manager) = &self.manager else { return Err(Violation("there is no manager".to_owned())) };
        check::acknowledged(&self.acknowledged, &self.database)?;
        check::bindings(&self.hosts, &manager.head.topology)?;
        for (host, agent) in self.hosts.iter().zip(&self.agents) {
            check::host(host, agent.as_ref(), manager)?;
        }
        Ok(())
    }

    /// An interface moves while nothing else happens: where it shows last is where it lives.
    pub(crate) fn move_one(&mut self, random: &mut Random) -> Outcome<()> {
        let Some(manager) = &self.manager else { return Ok(()) };
        let topology = &manager.head.topology;
        let free = topology.interfaces().values().filter(|of| {
            of.requested_host.is_none() && of.ports.is_empty() && of.mode != InterfaceMode::Simulated
        });
        let Some(id) = random.pick(free.map(|of| of.uuid.clone())) else { return Ok(()) };
        let to = random.below(self.hosts.len());
        let ports = &mut self.hosts[to].database.ports;
        let named = |port: &HostPort| port.seen.iface_id.as_deref() == Some(id.to_string().as_str());
        *ports = std::mem::take(ports).into_iter().filter(|(_, port)| !named(port)).collect();
        self.hosts[to].plug("moved", Some(id.to_string()), true);
        self.tell(|_| format!("h{}: plugs {id}, which is to live there", to + 1));
        self.settle(random)?;
        self.check()?;
        let Some(manager) = &self.manager else { return Ok(()) };
        let topology = &manager.head.topology;
        let here = topology.datapath_of_node(&self.hosts[to].node).map(|datapath| &datapath.uuid);
        let lives = topology.active_claim(&id).map(|claim| &claim.datapath_uuid);
        if here == lives {
            Ok(())
        } else {
            Err(Violation(format!("{id} moved to {here:?}, and lives on {lives:?}")))
        }
    }
}

/// A host with a port, so that what happens to others concerns it.
fn inhabited(index: usize) -> Host {
    let mut host = Host::new(index);
    let n = index % user::FIRST_INTERFACES;
    host.plug(&format!("tap{n}"), Some(format!("if-{n}")), true);
    host
}

/// The last digits of a store's id, which tell the stores of one world apart.
fn short(store_id: &str) -> &str {
    store_id.get(store_id.len().saturating_sub(2)..).unwrap_or(store_id)
}
