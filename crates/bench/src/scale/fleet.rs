//! Agents in some processes, and how this one talks to them: a line of JSON asks, a line of JSON answers.
//!
//! A process has [`AGENTS_EACH`] agents at most, as many threads as there are processors, and a certificate for each agent,
//! as real ones have. Every agent reaches the manager by an address of its own out of 127.0.0.0/8, by which the kernel's
//! counters of connections are told apart (see [`super::wire`]).

use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, ensure};
use futures::StreamExt;
use futures::stream::iter;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sync::pki::Identity;

use super::agent::{Running, State};
use super::cloud::{Cloud, host_name};
use crate::machine::Used;

/// Most agents of one process.
const AGENTS_EACH: usize = 250;

/// Hosts that join at once: a manager signs for eight.
const JOINS_AT_ONCE: usize = 8;

/// What a process of agents is started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Briefing {
    /// The agents' cloud: number of hosts, interfaces of each, changes.
    cloud: (usize, usize, usize),
    /// The first of its hosts, and how many they are.
    first: usize,
    count: usize,
    /// The manager's port.
    port: u16,
    /// Where identities are kept.
    state: PathBuf,
}

/// What a process of agents is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Order {
    /// Have every host join, with a token each.
    Join(Vec<String>),
    /// Start all agents, with nothing known.
    Start,
    /// End all agents, and forget what they know.
    Forget,
    /// Tell how they are.
    Report,
    /// Count those whose switch is not what follows from what they know.
    Verify,
}

/// All agents.
pub(super) struct Fleet {
    processes: Vec<Process>,
}

/// A process of agents. It ends when its input does.
struct Process {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    count: usize,
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.orders.take());
        // It has ended already if this fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Fleet {
    /// Starts the processes; nobody has joined yet.
    pub(super) fn start(cloud: &Cloud, port: u16, state: &Path) -> anyhow::Result<Self> {
        let cloud_numbers = (cloud.hosts, cloud.interfaces_per_host, cloud.changes);
        let processes = (0..cloud.hosts).step_by(AGENTS_EACH).map(|first| {
            let count = AGENTS_EACH.min(cloud.hosts - first);
            Process::start(&Briefing { cloud: cloud_numbers, first, count, port, state: state.to_owned() })
        });
        Ok(Self { processes: processes.collect::<anyhow::Result<_>>()? })
    }

    /// Has every host join. Tokens are for hosts in their order.
    pub(super) fn join(&mut self, tokens: &[String]) -> anyhow::Result<()> {
        let mut rest = tokens;
        let shares: Vec<_> = self
            .processes
            .iter()
            .map(|process| {
                let (share, others) = rest.split_at(process.count.min(rest.len()));
                rest = others;
                Order::Join(share.to_vec())
            })
            .collect();
        self.all(&shares)
    }

    /// Starts all agents.
    pub(super) fn go(&mut self) -> anyhow::Result<()> {
        self.each(Order::Start).map(|_: Vec<()>| ())
    }

    /// Ends all agents, with what they know.
    pub(super) fn forget(&mut self) -> anyhow::Result<()> {
        self.each(Order::Forget).map(|_: Vec<()>| ())
    }

    /// How every agent is, in their order.
    pub(super) fn report(&mut self) -> anyhow::Result<Vec<State>> {
        Ok(self.each::<Vec<State>>(Order::Report)?.concat())
    }

    /// How many switches are not as they should be.
    pub(super) fn wrong(&mut self) -> anyhow::Result<usize> {
        Ok(self.each::<usize>(Order::Verify)?.iter().sum())
    }

    /// What they have used.
    pub(super) fn used(&self) -> anyhow::Result<Used> {
        Used::of_all(self.processes.iter().map(|process| process.child.id()))
    }

    fn each<T: DeserializeOwned>(&mut self, order: Order) -> anyhow::Result<Vec<T>> {
        let orders = vec![order; self.processes.len()];
        self.all_answers(&orders)
    }

    fn all(&mut self, orders: &[Order]) -> anyhow::Result<()> {
        self.all_answers(orders).map(|_: Vec<()>| ())
    }

    /// Asks all processes at once, and takes the answers in their order.
    fn all_answers<T: DeserializeOwned>(&mut self, orders: &[Order]) -> anyhow::Result<Vec<T>> {
        for (process, order) in self.processes.iter_mut().zip(orders) {
            process.ask(order)?;
        }
        self.processes.iter_mut().map(Process::answer).collect()
    }
}

impl Process {
    fn start(briefing: &Briefing) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("scale-agents").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start a process of agents")?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("it has an output")?);
        let mut process = Self { child, orders, answers, count: briefing.count };
        process.ask(briefing)?;
        Ok(process)
    }

    fn ask(&mut self, order: &impl Serialize) -> anyhow::Result<()> {
        let orders = self.orders.as_mut().context("it takes orders")?;
        writeln!(orders, "{}", serde_json::to_string(order)?).context("a process of agents has ended")
    }

    fn answer<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer: Result<T, String> =
            serde_json::from_str(&line).context("a process of agents has ended")?;
        answer.map_err(|reason| anyhow::anyhow!("a process of agents: {reason}"))
    }
}

/// A process of agents: carries out orders until there are no more.
pub(crate) fn serve() -> anyhow::Result<()> {
    let mut lines = stdin().lock().lines();
    let briefing: Briefing = serde_json::from_str(&lines.next().context("no briefing")??)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let _within = runtime.enter();
    let mut crew = Crew::new(briefing);
    for line in lines {
        let answer = match serde_json::from_str(&line?)? {
            Order::Join(tokens) => told(runtime.block_on(crew.join(&tokens))),
            Order::Start => told(crew.start()),
            Order::Forget => {
                crew.running.clear();
                told(Ok(()))
            }
            Order::Report => told(Ok(crew.running.iter().map(Running::state).collect::<Vec<_>>())),
            Order::Verify => told(Ok(crew.running.iter().filter(|agent| !agent.is_right()).count())),
        };
        writeln!(stdout(), "{answer}")?;
    }
    Ok(())
}

/// An answer, as a line.
fn told(answer: anyhow::Result<impl Serialize>) -> String {
    let answer = answer.map_err(|error| format!("{error:#}"));
    serde_json::to_string(&answer).expect("answers have only texts and numbers")
}

/// The agents of one process.
struct Crew {
    briefing: Briefing,
    ports: Vec<Vec<String>>,
    running: Vec<Running>,
}

impl Crew {
    fn new(briefing: Briefing) -> Self {
        let (hosts, interfaces_per_host, changes) = briefing.cloud;
        let ports = Cloud { hosts, interfaces_per_host, changes }.ports();
        Self { briefing, ports, running: Vec::new() }
    }

    fn hosts(&self) -> std::ops::Range<usize> {
        self.briefing.first..self.briefing.first + self.briefing.count
    }

    fn folder(&self, host: usize) -> PathBuf {
        self.briefing.state.join(host_name(host))
    }

    fn manager(&self, host: usize) -> String {
        format!("https://{}:{}", address(host), self.briefing.port)
    }

    async fn join(&self, tokens: &[String]) -> anyhow::Result<()> {
        ensure!(tokens.len() == self.briefing.count, "a token for each host");
        let joins = self.hosts().zip(tokens).map(|(host, token)| async move {
            let node = host_name(host).parse()?;
            sync::agent::join(self.manager(host).parse()?, token, &node, &self.folder(host)).await?;
            anyhow::Ok(())
        });
        iter(joins).buffer_unordered(JOINS_AT_ONCE).collect::<Vec<_>>().await.into_iter().collect()
    }

    fn start(&mut self) -> anyhow::Result<()> {
        let start = |host| {
            let identity = Identity::load(&self.folder(host))?;
            Running::start(host, identity, &self.ports[host], &self.manager(host))
        };
        self.running = self.hosts().map(start).collect::<anyhow::Result<_>>()?;
        Ok(())
    }
}

/// The address by which a host's agent reaches the manager: every address in 127.0.0.0/8 is this machine (RFC 1122, section
/// 3.2.1.3).
pub(super) fn address(host: usize) -> Ipv4Addr {
    let [.., high, low] = host.to_be_bytes();
    Ipv4Addr::new(127, 1, high, low)
}
