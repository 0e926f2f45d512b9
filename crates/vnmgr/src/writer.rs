//! The writer: the one who decides what becomes real.
//!
//! # One at a time, made durable together
//! Tasks wait in a bounded queue. The writer takes what waits, plans each on the newest topology with those before it
//! applied, appends all commits to the store in one durable write, publishes the new head, and only then answers. So
//! an answer is never about something that a crash can take back, and a reader who has the answer finds the change.
//!
//! # When the store says no
//! After a conflict the topology is read anew and the tasks are planned again. When the store cannot write, the tasks
//! are answered with the reason and nothing is published. When nobody knows whether it has written, the topology is
//! read anew before anything else is decided.
//!
//! Planning is computing, and a large batch takes a while: the writer has a thread of its own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use store::{AppendError, Store};
use sync::Head;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::desk::{self, Desk};
use crate::hosts::Hosts;
use crate::load::load;
use crate::metrics::Metrics;
use crate::plan::{Plan, Refused, Task};
use crate::state::HeadSender;

/// How many tasks may wait. Who comes later waits for a place, which slows down users and not the writer.
const QUEUE: usize = 1024;

/// How often a group is planned again because others were first. Each time somebody else got on, so more than this is
/// a sign of something else.
const MAX_CONFLICTS: usize = 8;

/// How long bindings wait that could not be stored, or that another manager's commit may have left wrong.
const REBIND_INTERVAL: Duration = Duration::from_secs(1);

/// Why a task changed nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// By the rules.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store did not take it. The reason is for the user.
    #[error("the store cannot be written: {0}")]
    Unavailable(String),
    /// The manager is stopping.
    #[error("the manager is stopping")]
    Stopping,
}

/// Sees why the store did not do what the writer last asked of it; `None` if it did. Closed when the writer has ended.
pub type StoreReceiver = watch::Receiver<Option<String>>;

type Answer = oneshot::Sender<Result<Plan, WriteError>>;
type Job = desk::Job<Answer>;
type Group = desk::Group<Answer>;

/// A way to give the writer tasks.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the writer, and shows how it gets on with the store. It ends after `stop`, with the tasks that wait by
    /// then done.
    pub fn start(
        store: Arc<dyn Store>,
        head: HeadSender,
        hosts: Arc<Hosts>,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> (Self, StoreReceiver, JoinHandle<()>) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let (obstacle, seen) = watch::channel(None);
        let (desk, due, stale) = (Desk::default(), None, false);
        let clerk = Clerk { store, obstacle, head, hosts, metrics, queue, stop, desk, due, stale };
        let runtime = Handle::current();
        let thread = tokio::task::spawn_blocking(move || clerk.run(&runtime));
        (Self { queue: sender }, seen, thread)
    }

    /// Has a task done, and gives back its plan, which is then real.
    ///
    /// To drop the future does not take the task back.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn submit(&self, task: Task) -> Result<Plan, WriteError> {
        self.enqueue(task, false).await
    }

    /// As [`Writer::submit`], and says that somebody waits for hosts to have what it changes.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn submit_awaited(&self, task: Task) -> Result<Plan, WriteError> {
        self.enqueue(task, true).await
    }

    async fn enqueue(&self, task: Task, is_awaited: bool) -> Result<Plan, WriteError> {
        let (asker, result) = oneshot::channel();
        self.queue.send(Job { task, is_awaited, asker }).await.map_err(|_| WriteError::Stopping)?;
        result.await.unwrap_or(Err(WriteError::Stopping))
    }
}

/// Has the store take what the desk decides.
struct Clerk {
    store: Arc<dyn Store>,
    /// Why the store did not do what it was last asked to.
    obstacle: watch::Sender<Option<String>>,
    head: HeadSender,
    hosts: Arc<Hosts>,
    metrics: Arc<Metrics>,
    queue: mpsc::Receiver<Job>,
    stop: CancellationToken,
    desk: Desk,
    /// When what is to be done again is, if anything.
    due: Option<tokio::time::Instant>,
    /// The published topology may lag behind the store's.
    stale: bool,
}

impl Clerk {
    fn run(mut self, runtime: &Handle) {
        while let Some(mut jobs) = runtime.block_on(self.next()) {
            while jobs.len() < QUEUE
                && let Ok(job) = self.queue.try_recv()
            {
                jobs.push_back(job);
            }
            self.work(jobs, runtime);
        }
    }

    /// The next tasks, or `None` when all are done and no more are wanted.
    async fn next(&mut self) -> Option<VecDeque<Job>> {
        let (queue, stop) = (&mut self.queue, self.stop.clone());
        let from_now = || tokio::time::Instant::now() + REBIND_INTERVAL;
        let due = self.desk.again().next().map(|_| self.due.unwrap_or_else(from_now));
        self.due = due;
        let pause = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // Its turn comes also if there is always something else to do.
            biased;
            () = pause => {
                self.due = None;
                let job = |task| Job { task, is_awaited: false, asker: oneshot::channel().0 };
                Some(self.desk.again().take(QUEUE).map(job).collect())
            }
            job = queue.recv() => job.map(|job| VecDeque::from([job])),
            () = stop.cancelled() => {
                // Those that wait are still done; new ones are turned away.
                self.queue.close();
                self.queue.try_recv().ok().map(|job| VecDeque::from([job]))
            }
        }
    }

    fn work(&mut self, mut jobs: VecDeque<Job>, runtime: &Handle) {
        let mut conflicts = 0;
        while !jobs.is_empty() {
            if self.stale && !runtime.block_on(self.reload()) {
                return self.answer_all(jobs, "it cannot be read");
            }
            let (head, seen) = (self.head.borrow().clone(), self.hosts.read().seen());
            let mut group = self.desk.plan(&head, &seen, &mut jobs, Timestamp::now, rand::random);
            for (job, refused) in group.refused.drain(..) {
                self.answer(job, Err(refused.into()));
            }
            let Some(again) = self.append(group, &head, runtime) else { continue };
            conflicts += 1;
            jobs = again.into_jobs().chain(jobs).collect();
            if conflicts > MAX_CONFLICTS {
                return self.answer_all(jobs, "others write to it all the time");
            }
        }
    }

    /// Makes a group real, and answers. After a conflict, gives it back instead.
    fn append(&mut self, mut group: Group, head: &Head, runtime: &Handle) -> Option<Group> {
        if !group.commits.is_empty() {
            let (began, commits) = (Instant::now(), std::mem::take(&mut group.commits));
            let (at, count) = (store::Revision(head.topology.revision().0), commits.len());
            match runtime.block_on(self.store.append_many(at, commits)) {
                Ok(_) => {
                    self.metrics.appended(count, began.elapsed());
                    self.obstacle.send_replace(None);
                    self.publish(group.head(head));
                }
                Err(AppendError::Conflict { head: found }) => {
                    tracing::info!(head = %at, %found, "another manager was first: planning again");
                    self.stale = true;
                    return Some(group);
                }
                Err(error) => {
                    self.metrics.append_failed();
                    self.obstacle.send_replace(Some(error.to_string()));
                    self.stale |= matches!(error, AppendError::Unknown(_));
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the store did not take a commit"
                    );
                    self.answer_all(group.into_jobs(), &error.to_string());
                    return None;
                }
            }
        }
        for (job, plan) in group.planned {
            self.answer(job, plan.map_err(WriteError::from));
        }
        None
    }

    fn publish(&self, news: Option<Arc<Head>>) {
        if let Some(head) = news {
            self.head.send_replace(head.clone());
            self.hosts.follow(&head);
        }
    }

    async fn reload(&mut self) -> bool {
        match load(self.store.as_ref()).await {
            Ok(topology) => {
                self.stale = false;
                let head = self.head.borrow().clone();
                let news = self.desk.read_anew(&head, topology, &self.hosts);
                self.publish(news);
                true
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the store cannot be read anew");
                self.obstacle.send_replace(Some(error.to_string()));
                false
            }
        }
    }

    fn answer_all(&mut self, jobs: impl IntoIterator<Item = Job>, reason: &str) {
        for job in jobs {
            self.answer(job, Err(WriteError::Unavailable(reason.to_owned())));
        }
    }

    /// Says what has become of a task.
    fn answer(&mut self, job: Job, result: Result<Plan, WriteError>) {
        self.desk.done(&job.task, result.is_ok());
        if let Err(WriteError::Refused(_)) = &result {
            self.metrics.refused();
        }
        // Whoever asked may have gone.
        let _ = job.asker.send(result);
    }
}

#[cfg(test)]
mod tests {
    use store::MemoryStore;
    use topology::Topology;
    use topology::binding::Reported;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_to_be_done_again_is_done_however_much_there_is_to_do() {
        let (sender, queue) = mpsc::channel(QUEUE);
        let head = crate::state::fresh("store".into(), Topology::default());
        let mut clerk = Clerk {
            store: Arc::new(MemoryStore::new()),
            obstacle: watch::channel(None).0,
            head: watch::channel(head).0,
            hosts: Arc::default(),
            metrics: Arc::default(),
            queue,
            stop: CancellationToken::new(),
            desk: Desk::default(),
            due: None,
            stale: false,
        };
        let host: topology::DatapathId = "dp-a".parse().expect("an id");
        clerk.desk.done(&Task::Bind(host, Reported::again()), false);
        let mut done = Vec::new();
        for _ in 0..5 {
            sender
                .send(Job { task: Task::Expire, is_awaited: false, asker: oneshot::channel().0 })
                .await
                .expect("room");
            let jobs = clerk.next().await.expect("tasks");
            done.extend(jobs.into_iter().map(|job| matches!(job.task, Task::Bind(..))));
            tokio::time::advance(REBIND_INTERVAL / 2).await;
        }
        assert!(done.contains(&true), "{done:?}");
    }
}
