//! How tasks become real: planned on the newest topology, appended together, published, answered.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::FutureExt;
use jiff::Timestamp;
use store::{AppendError, Commit, Store};
use sync::Head;
use topology::Revision;
use vnmgr::desk;
use vnmgr::plan::Plan;

use super::{Asker, Job, Manager, load};
use crate::network::Network;
use crate::random::Random;

/// A write that a user was told of.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) revision: Revision,
    pub(crate) commit: Commit,
}

type Group = desk::Group<Asker>;

impl Manager {
    /// Whether the writer has anything to do.
    pub(crate) fn has_work(&self) -> bool {
        !self.queue.is_empty() || self.desk.again().next().is_some()
    }

    /// Does up to `most` of the tasks that wait, all together. Says which writes users were told of.
    pub(crate) fn write(
        &mut self,
        most: usize,
        now: Timestamp,
        network: &mut Network,
        random: &mut Random,
    ) -> Vec<Acknowledged> {
        if self.queue.is_empty() {
            let Some(task) = self.desk.again().next() else { return Vec::new() };
            self.enqueue(task, Asker::Itself);
        }
        if std::mem::take(&mut self.stale) {
            self.reload();
        }
        let count = self.queue.len().min(most);
        let mut jobs: VecDeque<_> = self.queue.drain(..count).collect();
        let seen = self.hosts.read().seen();
        let mut group = self.desk.plan(&self.head, &seen, &mut jobs, || now, || random.number());
        self.put_back(jobs);
        for (job, _) in group.refused.drain(..) {
            self.answer(job, None, network, now);
        }
        self.append(group, network, now)
    }

    fn put_back(&mut self, jobs: impl IntoIterator<Item = Job>) {
        self.queue = jobs.into_iter().chain(self.queue.drain(..)).collect();
    }

    fn append(&mut self, mut group: Group, network: &mut Network, now: Timestamp) -> Vec<Acknowledged> {
        let commits = std::mem::take(&mut group.commits);
        if !commits.is_empty() {
            let at = store::Revision(self.head.topology.revision().0);
            let appended = self.database.append_many(at, commits);
            match appended.now_or_never().expect("memory does not wait") {
                Ok(_) => self.publish(group.head(&self.head)),
                Err(AppendError::Conflict { .. }) => {
                    self.stale = true;
                    self.put_back(group.into_jobs());
                    return Vec::new();
                }
                Err(error) => {
                    self.stale |= matches!(error, AppendError::Unknown(_));
                    group.into_jobs().for_each(|job| drop(self.answer(job, None, network, now)));
                    return Vec::new();
                }
            }
        }
        let answers = group.planned.into_iter();
        answers.filter_map(|(job, plan)| self.answer(job, plan.ok(), network, now)).collect()
    }

    fn publish(&mut self, news: Option<Arc<Head>>) {
        if let Some(head) = news {
            self.hosts.follow(&head);
            self.head = head;
        }
    }

    fn reload(&mut self) {
        let topology = load(&self.database);
        let news = self.desk.read_anew(&self.head, topology, &self.hosts);
        self.publish(news);
    }

    /// Says what has become of a task, if anything.
    fn answer(
        &mut self,
        job: Job,
        plan: Option<Plan>,
        network: &mut Network,
        now: Timestamp,
    ) -> Option<Acknowledged> {
        self.desk.done(&job.task, plan.is_some());
        if let Asker::Stream(id) = job.asker {
            self.resume(id, plan.as_ref(), &job.task, network, now);
        }
        let plan = plan.filter(|_| job.asker == Asker::User)?;
        let commit = plan.commit().ok().flatten()?;
        Some(Acknowledged { revision: plan.revision(), commit })
    }
}
