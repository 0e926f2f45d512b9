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

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use store::{AppendError, Commit, MAX_APPEND_BYTES, MAX_APPEND_COMMITS, Store};
use sync::Head;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use topology::{Change, DatapathId, ObjectRef, Topology};

use crate::hosts::Hosts;
use crate::load::load;
use crate::metrics::Metrics;
use crate::plan::{Plan, Refused, Task};
use crate::state::{HeadSender, fresh};

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

struct Job {
    task: Task,
    /// Whether somebody waits for hosts to have what it changes.
    is_awaited: bool,
    answer: Answer,
}

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
        let (unbound, stale) = (BTreeSet::new(), false);
        let desk = Desk { store, obstacle, head, hosts, metrics, queue, stop, unbound, stale };
        let runtime = Handle::current();
        let thread = tokio::task::spawn_blocking(move || desk.run(&runtime));
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
        let (answer, result) = oneshot::channel();
        self.queue.send(Job { task, is_awaited, answer }).await.map_err(|_| WriteError::Stopping)?;
        result.await.unwrap_or(Err(WriteError::Stopping))
    }
}

/// What the writer works with.
struct Desk {
    store: Arc<dyn Store>,
    /// Why the store did not do what it was last asked to.
    obstacle: watch::Sender<Option<String>>,
    head: HeadSender,
    hosts: Arc<Hosts>,
    metrics: Arc<Metrics>,
    queue: mpsc::Receiver<Job>,
    stop: CancellationToken,
    /// Hosts whose bindings could not be stored, or may not fit what another manager has written.
    unbound: BTreeSet<DatapathId>,
    /// The published topology may lag behind the store's.
    stale: bool,
}

/// Tasks whose commits become durable together.
#[derive(Default)]
struct Group {
    planned: Vec<(Job, Result<Plan, Refused>)>,
    commits: Vec<Commit>,
    bytes: usize,
}

impl Desk {
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
        let again = async {
            match self.unbound.first() {
                Some(_) => tokio::time::sleep(REBIND_INTERVAL).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            job = queue.recv() => job.map(|job| VecDeque::from([job])),
            () = stop.cancelled() => {
                // Those that wait are still done; new ones are turned away.
                self.queue.close();
                self.queue.try_recv().ok().map(|job| VecDeque::from([job]))
            }
            () = again => {
                let bind = |datapath: &DatapathId| Job {
                    task: Task::Bind(datapath.clone()),
                    is_awaited: false,
                    answer: oneshot::channel().0,
                };
                Some(self.unbound.iter().take(QUEUE).map(bind).collect())
            }
        }
    }

    fn work(&mut self, mut jobs: VecDeque<Job>, runtime: &Handle) {
        let mut conflicts = 0;
        while !jobs.is_empty() {
            if self.stale && !runtime.block_on(self.reload()) {
                return self.answer_all(jobs, "it cannot be read");
            }
            let group = self.plan(&mut jobs);
            let Some(planned) = self.append(group, runtime) else { continue };
            conflicts += 1;
            jobs = planned.into_iter().chain(jobs).collect();
            if conflicts > MAX_CONFLICTS {
                return self.answer_all(jobs, "others write to it all the time");
            }
        }
    }

    /// Plans jobs from the front, each on the result of those before it, as many as one append takes.
    fn plan(&mut self, jobs: &mut VecDeque<Job>) -> Group {
        let mut newest = self.head.borrow().topology.clone();
        let seen = self.hosts.read().seen();
        let mut group = Group::default();
        while let Some(mut job) = jobs.pop_front() {
            if let Task::BindPorts(datapath, _) = &job.task
                && self.unbound.contains(datapath)
            {
                // The host's other ports are not in line.
                job.task = Task::Bind(datapath.clone());
            }
            let plan = Plan::make(&newest, &seen, &job.task, Timestamp::now(), rand::random());
            let commit = plan.and_then(|plan| plan.commit().map(|commit| (plan, commit)));
            commit.as_ref().err().inspect(|_| self.metrics.refused());
            match commit {
                Err(refused) if group.commits.is_empty() => self.answer(job, Err(refused.into())),
                // What it was refused for may be among what comes before it and is not yet real.
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

    /// Makes a group real, and answers. After a conflict, gives the jobs back instead.
    fn append(&mut self, group: Group, runtime: &Handle) -> Option<Vec<Job>> {
        if !group.commits.is_empty() {
            let head = store::Revision(self.head.borrow().topology.revision().0);
            let (began, commits) = (Instant::now(), group.commits.len());
            match runtime.block_on(self.store.append_many(head, group.commits)) {
                Ok(_) => {
                    self.metrics.appended(commits, began.elapsed());
                    self.obstacle.send_replace(None);
                    self.publish(&group.planned);
                }
                Err(AppendError::Conflict { head: found }) => {
                    tracing::info!(%head, %found, "another manager was first: planning again");
                    self.stale = true;
                    return Some(group.planned.into_iter().map(|(job, _)| job).collect());
                }
                Err(error) => {
                    self.metrics.append_failed();
                    self.obstacle.send_replace(Some(error.to_string()));
                    self.stale |= matches!(error, AppendError::Unknown(_));
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the store did not take a commit"
                    );
                    let jobs = group.planned.into_iter().map(|(job, _)| job).collect();
                    self.answer_all(jobs, &error.to_string());
                    return None;
                }
            }
        }
        for (job, plan) in group.planned {
            self.answer(job, plan.map_err(WriteError::from));
        }
        None
    }

    fn publish(&self, planned: &[(Job, Result<Plan, Refused>)]) {
        let real = planned.iter().filter_map(|(_, plan)| plan.as_ref().ok());
        let real: Vec<_> = real.filter(|plan| !plan.changes.is_empty()).collect();
        let (Some(first), Some(last)) = (real.first(), real.last()) else { return };
        let changes = match real.as_slice() {
            [one] => one.changes.clone(),
            several => Arc::new(together(several.iter().flat_map(|plan| plan.changes.iter()))),
        };
        let forgotten = changes.iter().any(|change| matches!(change, Change::Delete(ObjectRef::Datapath(_))));
        let is_awaited = planned.iter().any(|(job, _)| job.is_awaited);
        let (topology, before) = (last.after.clone(), first.before.clone());
        self.head.send_modify(|head| {
            let awaited = if is_awaited { topology.revision() } else { head.awaited };
            *head = Arc::new(Head { store_id: head.store_id.clone(), topology, before, changes, awaited });
        });
        if forgotten {
            self.hosts.retain(|datapath| last.after.datapaths().contains_key(datapath));
        }
    }

    async fn reload(&mut self) -> bool {
        match load(self.store.as_ref()).await {
            Ok(topology) => {
                self.stale = false;
                self.publish_anew(topology);
                true
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the store cannot be read anew");
                self.obstacle.send_replace(Some(error.to_string()));
                false
            }
        }
    }

    fn publish_anew(&mut self, topology: Topology) {
        if topology.revision() != self.head.borrow().topology.revision() {
            let store_id = self.head.borrow().store_id.clone();
            self.hosts.retain(|datapath| topology.datapaths().contains_key(datapath));
            // Whoever wrote it may not see what these hosts show; what others show, this manager may have seen long ago.
            let hosts = self.hosts.read();
            let seen = hosts.seen();
            self.unbound.extend(seen.hosts().filter(|datapath| hosts.is_connected(datapath)).cloned());
            drop(hosts);
            self.head.send_replace(fresh(store_id, topology));
        }
    }

    fn answer_all(&mut self, jobs: VecDeque<Job>, reason: &str) {
        for job in jobs {
            self.answer(job, Err(WriteError::Unavailable(reason.to_owned())));
        }
    }

    /// Says what has become of a task, and keeps in mind whose bindings are in line.
    fn answer(&mut self, job: Job, result: Result<Plan, WriteError>) {
        match (&job.task, &result) {
            (Task::Bind(datapath), Ok(_)) => drop(self.unbound.remove(datapath)),
            (task, Err(_)) => self.unbound.extend(task.binds().cloned()),
            _ => {}
        }
        // Whoever asked may have gone.
        let _ = job.answer.send(result);
    }
}

impl Group {
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
}

/// The changes of several commits as those of one: the last change of each object.
fn together<'a>(changes: impl Iterator<Item = &'a Change>) -> Vec<Change> {
    let last: BTreeMap<_, _> = changes.map(|change| (change.reference(), change)).collect();
    last.into_values().cloned().collect()
}
