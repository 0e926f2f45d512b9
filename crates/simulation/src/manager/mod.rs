//! A manager: its live state and its agents' streams, over the same plans, feeds and histories as the real one.
//!
//! [`writer`] is how its tasks become real.

mod writer;

pub(crate) use writer::Acknowledged;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use futures::FutureExt;
use jiff::Timestamp;
use store::Store;
use sync::Head;
use sync::machines::{Feed, History, Next, Part, Told, Update, Values, Welcome};
use topology::{DatapathId, ObjectRef, Revision};
use vnmgr::desk::{self, Desk};
use vnmgr::hosts::Hosts;
use vnmgr::plan::{Plan, Task};
use vnmgr::state::fresh;

use crate::database::Database;
use crate::network::{ConnectionId, Network, Resume, Said, Truth};
use crate::random::Random;

/// Messages that wait to be sent to one agent.
const ROOM: usize = 2;

/// Who has asked for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    User,
    /// A stream, which goes on when it is done.
    Stream(ConnectionId),
    /// The writer, which tries again what could not be stored.
    Itself,
}

type Job = desk::Job<Asker>;

/// One agent's stream.
#[derive(Debug)]
struct Session {
    state: State,
    /// It waits for a task of its own, and listens to nothing meanwhile.
    busy: bool,
    /// The newest revision that the agent was told.
    told: Revision,
}

#[derive(Debug)]
enum State {
    /// Nothing has been said.
    New,
    /// The registration is not real yet.
    Greeted(Option<Resume>),
    /// The registration may not have been published yet.
    Registered(DatapathId, Option<Resume>),
    Open {
        datapath: DatapathId,
        feed: Box<Feed>,
        /// The agent's revision is behind, and that is all it lacks.
        behind: bool,
    },
}

/// A running manager.
pub(crate) struct Manager {
    pub(crate) database: Database,
    pub(crate) head: Arc<Head>,
    pub(crate) hosts: Hosts,
    followed: Arc<Head>,
    history: History,
    sessions: BTreeMap<ConnectionId, Session>,
    queue: VecDeque<Job>,
    desk: Desk,
    stale: bool,
}

/// What an agent has said of its switch, and what is true.
pub(crate) struct Claimed {
    pub(crate) host: usize,
    pub(crate) revision: Revision,
    pub(crate) truth: Truth,
}

impl Manager {
    /// Starts from what the store holds.
    pub(crate) fn start(database: Database) -> Self {
        let topology = load(&database);
        let head = fresh(database.id().to_string(), topology);
        Self {
            database,
            followed: head.clone(),
            history: History::new(&head),
            head,
            hosts: Hosts::default(),
            sessions: BTreeMap::new(),
            queue: VecDeque::new(),
            desk: Desk::default(),
            stale: false,
        }
    }

    pub(crate) fn ask(&mut self, task: Task) {
        self.enqueue(task, Asker::User);
    }

    fn enqueue(&mut self, task: Task, asker: Asker) {
        self.queue.push_back(Job { task, is_awaited: asker == Asker::User, asker });
    }

    /// The sessions' view of the world catches up with the head.
    pub(crate) fn follow(&mut self) -> bool {
        let news = !Arc::ptr_eq(&self.head, &self.followed);
        if news {
            self.history.push(&self.head);
            self.followed = self.head.clone();
        }
        news
    }

    /// Streams that this manager may have something to do for.
    pub(crate) fn streams(&self, network: &Network) -> Vec<ConnectionId> {
        let mut streams: BTreeSet<_> = network.ids().into_iter().collect();
        streams.extend(self.sessions.keys().copied());
        streams.into_iter().collect()
    }

    /// Takes the next message of a stream, or finds that its agent is gone.
    pub(crate) fn listen(
        &mut self,
        id: ConnectionId,
        network: &mut Network,
        now: Timestamp,
    ) -> (bool, Option<Claimed>) {
        if network.get(id).is_none_or(|connection| connection.left_by_manager) {
            return (self.end(id, network, now), None);
        }
        let Some(connection) = network.reach(id) else { return (false, None) };
        let session =
            self.sessions.entry(id).or_insert(Session { state: State::New, busy: false, told: Revision(0) });
        if session.busy {
            return (false, None);
        }
        let host = connection.host;
        let Some(said) = connection.up.pop_front() else {
            let gone = connection.left_by_agent;
            return (gone && self.end(id, network, now), None);
        };
        let claimed = match said {
            Said::Hello { registration, resume } => {
                session.busy = true;
                if matches!(session.state, State::New) {
                    session.state = State::Greeted(resume);
                }
                self.enqueue(Task::Register(registration), Asker::Stream(id));
                None
            }
            Said::Ports(report) => {
                let Some(datapath) = session.state.datapath().cloned() else { return (true, None) };
                session.busy = true;
                let reported = self.hosts.report(&datapath, report, now);
                self.enqueue(Task::Bind(datapath, reported), Asker::Stream(id));
                None
            }
            Said::Realized { revision, truth } => {
                let datapath = session.state.datapath().filter(|_| revision <= session.told).cloned();
                datapath.map(|datapath| {
                    self.hosts.realized(&datapath, revision, self.head.topology.revision(), now);
                    Claimed { host, revision, truth }
                })
            }
        };
        (true, claimed)
    }

    /// Tells one agent what it lacks, if there is room.
    pub(crate) fn tell(
        &mut self,
        id: ConnectionId,
        network: &mut Network,
        now: Timestamp,
        random: &mut Random,
    ) -> bool {
        let Some(connection) = network.get(id).filter(|connection| connection.down.len() < ROOM) else {
            return false;
        };
        let Some(session) = self.sessions.get_mut(&id) else { return false };
        let head = self.history.watch().borrow().clone();
        if let State::Registered(datapath, resume) = &session.state {
            // Published heads are followed a moment later.
            if !self.followed.topology.datapaths().contains_key(datapath) {
                return false;
            }
            let store_id = self.followed.store_id.clone();
            let resume = resume.as_ref().filter(|resume| resume.datapath == *datapath);
            let resumed = resume.and_then(|resume| self.history.at(&resume.store_id, resume.revision));
            let welcome = Welcome {
                store_id: store_id.clone(),
                datapath: datapath.to_string(),
                takes_port_changes: true,
            };
            connection.down.push_back(Told::Welcome(welcome));
            let feed = Box::new(Feed::new(datapath.clone(), store_id, resumed));
            session.state = State::Open { datapath: datapath.clone(), feed, behind: false };
            return true;
        }
        let State::Open { feed, behind, .. } = &mut session.state else { return false };
        match feed.next(&head) {
            Next::Send(update) => {
                *behind = false;
                session.told = update.revision;
                connection.down.extend(parts(update, random).map(Told::Part));
                true
            }
            Next::Behind => !std::mem::replace(behind, true),
            Next::Current => false,
            Next::Over => self.end(id, network, now),
        }
    }

    /// Tells one agent the revision, when that is all it lacks.
    pub(crate) fn catch_up(&mut self, id: ConnectionId, network: &mut Network, random: &mut Random) -> bool {
        let Some(connection) = network.get(id) else { return false };
        let Some(session) = self.sessions.get_mut(&id) else { return false };
        let State::Open { feed, behind, .. } = &mut session.state else { return false };
        let update = std::mem::take(behind).then(|| feed.catch_up()).flatten();
        update.is_some_and(|update| {
            session.told = update.revision;
            connection.down.extend(parts(update, random).map(Told::Part));
            true
        })
    }

    /// Ends the streams whose hosts have been deleted before they could be welcomed.
    pub(crate) fn lose_patience(&mut self, network: &mut Network, now: Timestamp) {
        let known = self.followed.topology.datapaths();
        let waits = |session: &Session| match &session.state {
            State::Registered(datapath, _) => !known.contains_key(datapath),
            _ => false,
        };
        let tired: Vec<_> = self.sessions.iter().filter(|(_, of)| waits(of)).map(|(id, _)| *id).collect();
        for id in tired {
            self.end(id, network, now);
        }
    }

    /// Ends a stream, if there is one.
    fn end(&mut self, id: ConnectionId, network: &mut Network, now: Timestamp) -> bool {
        network.leave_as_manager(id);
        let Some(session) = self.sessions.remove(&id) else { return false };
        if let Some(datapath) = session.state.datapath() {
            self.hosts.disconnected(datapath, id.0, &self.head.topology, now);
        }
        true
    }

    /// A stream's task is done.
    fn resume(
        &mut self,
        id: ConnectionId,
        plan: Option<&Plan>,
        task: &Task,
        network: &mut Network,
        now: Timestamp,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.busy = false;
        if !matches!(task, Task::Register(_)) {
            return;
        }
        let Some(Some(ObjectRef::Datapath(datapath))) = plan.map(|plan| plan.subjects.first()) else {
            self.end(id, network, now);
            return;
        };
        let datapath = datapath.clone();
        match &mut session.state {
            State::Greeted(resume) => {
                session.state = State::Registered(datapath.clone(), resume.take());
                self.seat(id, &datapath, network, now);
            }
            state if state.datapath() != Some(&datapath) => drop(self.end(id, network, now)),
            _ => {}
        }
    }

    /// A host has one stream: the newest to register ends the one before.
    fn seat(&mut self, id: ConnectionId, datapath: &DatapathId, network: &mut Network, now: Timestamp) {
        let same = |(other, session): (&ConnectionId, &Session)| {
            (*other != id && session.state.datapath() == Some(datapath)).then_some(*other)
        };
        let older: Vec<_> = self.sessions.iter().filter_map(same).collect();
        for older in older {
            self.end(older, network, now);
        }
        self.hosts.connected(datapath.clone(), id.0, now);
    }
}

impl State {
    fn datapath(&self) -> Option<&DatapathId> {
        match self {
            Self::New | Self::Greeted(_) => None,
            Self::Registered(datapath, _) | Self::Open { datapath, .. } => Some(datapath),
        }
    }
}

fn load(database: &Database) -> topology::Topology {
    let loaded = vnmgr::load::load(database).now_or_never().expect("memory does not wait");
    loaded.expect("managers write objects")
}

/// The parts of an update, sometimes cut smaller than they need to be.
fn parts(update: Update, random: &mut Random) -> impl Iterator<Item = Part> + use<> {
    let cut = random.percent(20);
    let parts: Vec<_> = update.into_parts(&Values::default()).collect();
    parts.into_iter().flat_map(move |part| if cut { halves(part) } else { vec![part] })
}

fn halves(mut part: Part) -> Vec<Part> {
    let puts = part.puts.split_off(part.puts.len() / 2);
    let deletes = std::mem::take(&mut part.deletes);
    let rest = Part { puts, deletes, ..part.clone() };
    part.last = false;
    vec![part, rest]
}
