//! The desk: how the writer decides, without a queue, a store or a clock. The simulation's manager decides with it too.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use store::{Commit, MAX_APPEND_BYTES, MAX_APPEND_COMMITS};
use sync::Head;
use topology::binding::{Reported, SeenPorts};
use topology::{Change, DatapathId, Topology};

use crate::hosts::Hosts;
use crate::plan::{Plan, Refused, Task};
use crate::state::fresh;

/// A task, and who waits for it.
#[derive(Clone, Debug)]
pub struct Job<A> {
    /// What is to be done.
    pub task: Task,
    /// Whether somebody waits for hosts to have what it changes.
    pub is_awaited: bool,
    /// Who is told what has become of it.
    pub asker: A,
}

/// Jobs whose commits become durable together.
#[derive(Debug)]
pub struct Group<A> {
    /// Those that were refused before there was a commit: whatever becomes of the group, they are.
    pub refused: Vec<(Job<A>, Refused)>,
    /// The others. What one was refused for may be among the commits before it, which are not yet real.
    pub planned: Vec<(Job<A>, Result<Plan, Refused>)>,
    /// What to append.
    pub commits: Vec<Commit>,
    /// Size of the commits.
    bytes: usize,
}

/// What the writer keeps in mind from one group to the next.
#[derive(Debug, Default)]
pub struct Desk {
    /// Hosts whose bindings could not be stored, or may not fit what another manager has written.
    unbound: BTreeSet<DatapathId>,
}

impl Desk {
    /// Plans jobs from the front, each on the result of those before it, as many as one append takes.
    pub fn plan<A>(
        &self,
        head: &Head,
        seen: &SeenPorts,
        jobs: &mut VecDeque<Job<A>>,
        now: impl Fn() -> Timestamp,
        mut seed: impl FnMut() -> u64,
    ) -> Group<A> {
        let mut newest = head.topology.clone();
        let mut group = Group { refused: Vec::new(), planned: Vec::new(), commits: Vec::new(), bytes: 0 };
        while let Some(mut job) = jobs.pop_front() {
            if let Task::Bind(datapath, reported) = &mut job.task {
                reported.is_whole |= self.unbound.contains(datapath);
            }
            let plan = Plan::make(&newest, seen, &job.task, now(), seed());
            match plan.and_then(|plan| plan.commit().map(|commit| (plan, commit))) {
                Err(refused) if group.commits.is_empty() => group.refused.push((job, refused)),
                Err(refused) => group.planned.push((job, Err(refused))),
                Ok((plan, None)) => group.planned.push((job, Ok(plan))),
                Ok((plan, Some(commit))) => {
                    if !group.admit(commit) {
                        jobs.push_front(job);
                        break;
                    }
                    newest = plan.after.clone();
                    group.planned.push((job, Ok(plan)));
                }
            }
        }
        group
    }

    /// Keeps in mind what has become of a task.
    pub fn done(&mut self, task: &Task, is_real: bool) {
        let Task::Bind(datapath, reported) = task else { return };
        match is_real {
            true if reported.is_whole => drop(self.unbound.remove(datapath)),
            true => {}
            false => drop(self.unbound.insert(datapath.clone())),
        }
    }

    /// What is to be done again.
    pub fn again(&self) -> impl Iterator<Item = Task> {
        self.unbound.iter().map(|datapath| Task::Bind(datapath.clone(), Reported::again()))
    }

    /// Takes in what the store is found to hold. Gives back the head that shows it, unless it is the same.
    pub fn read_anew(&mut self, head: &Head, topology: Topology, hosts: &Hosts) -> Option<Arc<Head>> {
        if topology.revision() == head.topology.revision() {
            return None;
        }
        // Whoever wrote it may not see what these hosts show; what others show, this manager may have seen long ago.
        let hosts = hosts.read();
        let seen = hosts.seen();
        self.unbound.extend(seen.hosts().filter(|datapath| hosts.is_connected(datapath)).cloned());
        Some(fresh(head.store_id.clone(), topology))
    }
}

impl<A> Group<A> {
    /// Takes a commit in, unless the append would become larger than a store takes.
    fn admit(&mut self, commit: Commit) -> bool {
        let size = |mutation: &store::Mutation| {
            mutation.key().as_str().len() + mutation.value().map_or(0, bytes::Bytes::len)
        };
        let bytes = self.bytes + commit.mutations.iter().map(size).sum::<usize>();
        let fits = self.commits.len() < MAX_APPEND_COMMITS && bytes <= MAX_APPEND_BYTES;
        if fits {
            self.bytes = bytes;
            self.commits.push(commit);
        }
        fits
    }

    /// The head that shows the commits, if there are any, when they are durable.
    pub fn head(&self, head: &Head) -> Option<Arc<Head>> {
        let real = self.planned.iter().filter_map(|(_, plan)| plan.as_ref().ok());
        let real: Vec<_> = real.filter(|plan| !plan.changes.is_empty()).collect();
        let (first, last) = (real.first()?, real.last()?);
        let changes = match real.as_slice() {
            [one] => one.changes.clone(),
            several => Arc::new(together(several.iter().flat_map(|plan| plan.changes.iter()))),
        };
        let (topology, before) = (last.after.clone(), first.before.clone());
        let is_awaited = self.planned.iter().any(|(job, _)| job.is_awaited);
        let awaited = if is_awaited { topology.revision() } else { head.awaited };
        Some(Arc::new(Head { store_id: head.store_id.clone(), topology, before, changes, awaited }))
    }

    /// The jobs, to be done again.
    pub fn into_jobs(self) -> impl Iterator<Item = Job<A>> {
        self.planned.into_iter().map(|(job, _)| job)
    }
}

/// The changes of several commits as those of one: the last change of each object.
fn together<'a>(changes: impl Iterator<Item = &'a Change>) -> Vec<Change> {
    let last: BTreeMap<_, _> = changes.map(|change| (change.reference(), change)).collect();
    last.into_values().cloned().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use topology::Revision;
    use topology::binding::{PortReport, SeenPort};

    use super::*;

    /// A manager without a store: its head, the hosts it hears, and what it keeps in mind.
    struct Manager {
        desk: Desk,
        head: Arc<Head>,
        hosts: Hosts,
    }

    impl Manager {
        fn new() -> Self {
            let head = fresh("store".to_owned(), Topology::default());
            Self { desk: Desk::default(), head, hosts: Hosts::default() }
        }

        /// One with a host whose agent is connected, and shows port `a`.
        fn with_host() -> Self {
            let mut manager = Self::new();
            manager.does(vec![datapath()]);
            manager.hosts.connected(host(), 1, Timestamp::UNIX_EPOCH);
            let report = manager.hears(PortReport::All(ports(&["a"])));
            manager.does(vec![report]);
            manager
        }

        fn plan(&self, tasks: Vec<Task>) -> Group<usize> {
            let jobs = tasks.into_iter().enumerate();
            let mut jobs = jobs.map(|(asker, task)| Job { task, is_awaited: false, asker }).collect();
            let seen = self.hosts.read().seen();
            let group = self.desk.plan(&self.head, &seen, &mut jobs, || Timestamp::UNIX_EPOCH, || 1);
            assert!(jobs.is_empty(), "there is room for all");
            group
        }

        /// Does tasks, all together, none of which is refused.
        fn does(&mut self, tasks: Vec<Task>) {
            let group = self.plan(tasks);
            if let Some(head) = group.head(&self.head) {
                self.head = head;
                self.hosts.follow(&self.head);
            }
            assert!(group.refused.is_empty());
            for (job, plan) in group.planned {
                assert!(plan.is_ok(), "{job:?}");
                self.desk.done(&job.task, true);
            }
        }

        /// Hears of a host's ports.
        fn hears(&self, report: PortReport) -> Task {
            let reported = self.hosts.report(&host(), report, Timestamp::UNIX_EPOCH);
            Task::Bind(host(), reported)
        }

        fn bound(&self) -> Vec<String> {
            self.head.topology.bindings().keys().map(ToString::to_string).collect()
        }
    }

    fn host() -> DatapathId {
        "dp-1".parse().expect("an id")
    }

    fn requests(requests: Value) -> Task {
        Task::Requests(serde_json::from_value(requests).expect("well-formed"))
    }

    fn create(resource: &str, attributes: Value) -> Task {
        requests(json!([{"op": "create", "resource": resource, "attributes": attributes}]))
    }

    fn interface(name: &str) -> Task {
        create("interfaces", json!({"uuid": format!("if-{name}"), "port_name": name}))
    }

    fn datapath() -> Task {
        create("datapaths", json!({"uuid": host(), "dpid": "0x1", "node_id": "host1"}))
    }

    fn ports(names: &[&str]) -> Vec<Arc<SeenPort>> {
        let port = |name: &&str| SeenPort { name: (*name).to_owned(), ..SeenPort::default() };
        names.iter().map(port).map(Arc::new).collect()
    }

    #[test]
    fn what_is_refused_for_a_commit_before_it_waits_for_that_commit() {
        let manager = Manager::new();
        let group = manager.plan(vec![interface("!"), interface("a"), interface("a"), interface("b")]);
        let refused: Vec<_> = group.refused.iter().map(|(job, _)| job.asker).collect();
        let planned: Vec<_> = group.planned.iter().map(|(job, plan)| (job.asker, plan.is_ok())).collect();
        assert_eq!(refused, [0]);
        assert_eq!(planned, [(1, true), (2, false), (3, true)]);
        assert_eq!(group.commits.len(), 2);
        let head = group.head(&manager.head).expect("commits");
        assert_eq!((head.before.revision(), head.topology.revision()), (Revision(0), Revision(2)));
        let changed: Vec<_> = head.changes.iter().map(|change| change.reference().to_string()).collect();
        assert_eq!(changed, ["interfaces/if-a", "interfaces/if-b", "sequences"], "each object once");
    }

    #[test]
    fn a_group_is_no_larger_than_an_append() {
        let manager = Manager::new();
        let many = (0..=MAX_APPEND_COMMITS).map(|number| interface(&format!("p{number}")));
        let mut jobs: VecDeque<_> = many.map(|task| Job { task, is_awaited: false, asker: () }).collect();
        let seen = manager.hosts.read().seen();
        let mut plan = || manager.desk.plan(&manager.head, &seen, &mut jobs, || Timestamp::UNIX_EPOCH, || 1);
        assert_eq!(plan().commits.len(), MAX_APPEND_COMMITS);
        assert_eq!(plan().commits.len(), 1);
    }

    #[test]
    fn a_host_whose_bindings_were_not_stored_is_bound_whole() {
        let mut manager = Manager::new();
        manager.does(vec![datapath(), interface("a"), interface("b")]);
        let lost = manager.hears(PortReport::All(ports(&["a"])));
        manager.desk.done(&lost, false);
        assert_eq!(manager.desk.again().count(), 1);
        let since = PortReport::Since { ports: ports(&["b"]), gone: Vec::new() };
        let change = manager.hears(since);
        manager.does(vec![change]);
        assert_eq!(manager.bound(), ["if-a", "if-b"], "with the port that has not changed");
        assert_eq!(manager.desk.again().count(), 0);
    }

    #[test]
    fn hosts_that_are_connected_are_bound_anew_when_another_manager_has_written() {
        let mut manager = Manager::with_host();
        let mut other = Manager::new();
        other.does(vec![datapath(), interface("a")]);
        let found = other.head.topology.clone();
        let head = manager.desk.read_anew(&manager.head, found.clone(), &manager.hosts);
        manager.head = head.expect("news");
        assert!(manager.desk.read_anew(&manager.head, found, &manager.hosts).is_none());
        let again: Vec<_> = manager.desk.again().collect();
        manager.does(again);
        assert_eq!(manager.bound(), ["if-a"]);
        assert_eq!(manager.desk.again().count(), 0);
    }

    #[test]
    fn a_deleted_host_is_forgotten_when_its_agent_has_gone() {
        let mut manager = Manager::with_host();
        let delete = requests(json!([{"op": "delete", "resource": "datapaths", "uuid": host()}]));
        manager.does(vec![delete]);
        let known = |manager: &Manager| manager.hosts.read().seen().hosts().count();
        assert_eq!(known(&manager), 1, "it may be made again before its stream ends");
        manager.hosts.disconnected(&host(), 1, &manager.head.topology, Timestamp::UNIX_EPOCH);
        assert_eq!(known(&manager), 0);
    }
}
