//! How tasks become real: planned on the newest topology, appended together, published, answered.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures::FutureExt;
use jiff::Timestamp;
use store::{AppendError, Commit, Store};
use sync::Head;
use topology::{Change, ObjectRef, Revision};
use vnmgr::plan::{Plan, Refused, Task};
use vnmgr::state::fresh;

use super::{Asker, Job, Manager, load};
use crate::network::Network;
use crate::random::Random;

/// A write that a user was told of.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) revision: Revision,
    pub(crate) commit: Commit,
}

type Planned = Vec<(Job, Result<Plan, Refused>)>;

impl Manager {
    /// Whether the writer has anything to do.
    pub(crate) fn has_work(&self) -> bool {
        !self.queue.is_empty() || !self.unbound.is_empty()
    }

    /// Does up to `most` of the tasks that wait, all together. Says which writes users were told of.
    pub(crate) fn write(
        &mut self,
        most: usize,
        now: Timestamp,
        network: &mut Network,
        random: &mut Random,
    ) -> Vec<Acknowledged> {
        if self.queue.is_empty()
            && let Some(datapath) = self.unbound.first()
        {
            self.queue.push_back(Job { task: Task::Bind(datapath.clone()), asker: Asker::Itself });
        }
        if self.queue.is_empty() {
            return Vec::new();
        }
        if std::mem::take(&mut self.stale) {
            self.reload();
        }
        let group = self.queue.len().min(most);
        let jobs: Vec<_> = self.queue.drain(..group).collect();
        let (planned, commits) = self.plan(jobs, now, random);
        self.append(planned, commits, network, now)
    }

    fn plan(&self, jobs: Vec<Job>, now: Timestamp, random: &mut Random) -> (Planned, Vec<Commit>) {
        let mut newest = self.head.topology.clone();
        let seen = self.hosts.read().seen();
        let (mut planned, mut commits) = (Vec::new(), Vec::new());
        for mut job in jobs {
            if let Task::BindPorts(datapath, _) = &job.task
                && self.unbound.contains(datapath)
            {
                job.task = Task::Bind(datapath.clone());
            }
            let plan = Plan::make(&newest, &seen, &job.task, now, random.number());
            let plan = plan.and_then(|plan| plan.commit().map(|commit| (plan, commit)));
            planned.push((
                job,
                plan.map(|(plan, commit)| {
                    newest = plan.after.clone();
                    commits.extend(commit);
                    plan
                }),
            ));
        }
        (planned, commits)
    }

    fn append(
        &mut self,
        planned: Planned,
        commits: Vec<Commit>,
        network: &mut Network,
        now: Timestamp,
    ) -> Vec<Acknowledged> {
        if !commits.is_empty() {
            let head = store::Revision(self.head.topology.revision().0);
            let appended = self.database.append_many(head, commits);
            match appended.now_or_never().expect("memory does not wait") {
                Ok(_) => self.publish(&planned),
                Err(AppendError::Conflict { .. }) => {
                    self.stale = true;
                    let again: VecDeque<_> = planned.into_iter().map(|(job, _)| job).collect();
                    self.queue = again.into_iter().chain(self.queue.drain(..)).collect();
                    return Vec::new();
                }
                Err(error) => {
                    self.stale |= matches!(error, AppendError::Unknown(_));
                    for (job, _) in planned {
                        self.refuse(job, network, now);
                    }
                    return Vec::new();
                }
            }
        }
        planned.into_iter().filter_map(|(job, plan)| self.answer(job, plan, network, now)).collect()
    }

    fn publish(&mut self, planned: &Planned) {
        let real = planned.iter().filter_map(|(_, plan)| plan.as_ref().ok());
        let real: Vec<_> = real.filter(|plan| !plan.changes.is_empty()).collect();
        let (Some(first), Some(last)) = (real.first(), real.last()) else { return };
        let changes = match real.as_slice() {
            [one] => one.changes.clone(),
            several => Arc::new(together(several.iter().flat_map(|plan| plan.changes.iter()))),
        };
        let forgotten = changes.iter().any(|change| matches!(change, Change::Delete(ObjectRef::Datapath(_))));
        if forgotten {
            self.hosts.retain(|datapath| last.after.datapaths().contains_key(datapath));
        }
        let store_id = self.head.store_id.clone();
        let (topology, before) = (last.after.clone(), first.before.clone());
        let awaited = topology.revision();
        self.head = Arc::new(Head { store_id, topology, before, changes, awaited });
    }

    fn reload(&mut self) {
        let topology = load(&self.database);
        if topology.revision() != self.head.topology.revision() {
            self.hosts.retain(|datapath| topology.datapaths().contains_key(datapath));
            let hosts = self.hosts.read();
            let seen = hosts.seen();
            self.unbound.extend(seen.hosts().filter(|datapath| hosts.is_connected(datapath)).cloned());
            drop(hosts);
            self.head = fresh(self.head.store_id.clone(), topology);
        }
    }

    fn refuse(&mut self, job: Job, network: &mut Network, now: Timestamp) {
        self.unbound.extend(job.task.binds().cloned());
        if let Asker::Stream(id) = job.asker {
            self.resume(id, None, &job.task, network, now);
        }
    }

    fn answer(
        &mut self,
        job: Job,
        plan: Result<Plan, Refused>,
        network: &mut Network,
        now: Timestamp,
    ) -> Option<Acknowledged> {
        match (&job.task, &plan) {
            (Task::Bind(datapath), Ok(_)) => drop(self.unbound.remove(datapath)),
            (task, Err(_)) => self.unbound.extend(task.binds().cloned()),
            _ => {}
        }
        if let Asker::Stream(id) = job.asker {
            self.resume(id, plan.as_ref().ok(), &job.task, network, now);
        }
        let plan = plan.ok().filter(|_| job.asker == Asker::User)?;
        let commit = plan.commit().ok().flatten()?;
        Some(Acknowledged { revision: plan.revision(), commit })
    }
}

/// The changes of several commits as those of one: the last change of each object.
fn together<'a>(changes: impl Iterator<Item = &'a Change>) -> Vec<Change> {
    let last: BTreeMap<_, _> = changes.map(|change| (change.reference(), change)).collect();
    last.into_values().cloned().collect()
}
