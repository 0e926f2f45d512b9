//! When packets meet what the tables say.
//!
//! An answer says that the tables have a change. Packets follow the datapath's cache, which `ovs-vswitchd` revalidates a
//! moment later; `revalidator/wait` on its control socket is answered when a pass over the cache ends.
//!
//! # Two passes
//! The pass that ends first may have begun before the change; the one after it has begun later. The change itself begins a
//! pass at once. The second one would begin half a second later, and is begun by a change of the tables that no packet can
//! meet: 5 ms after the first at the earliest, as `ovs-vswitchd` sees to it.
//!
//! # Asked in advance
//! A pass over a small cache is over before somebody who has heard of the change can ask for it. So the end of the next
//! pass is asked for before the change is sent. It counts if it is not told of yet when the change is answered:
//! `ovs-vswitchd` does one thing after the other, and tells of passes before it takes changes. For the second pass it is
//! asked first and then given the change: in each turn it reads what comes by OpenFlow before what comes by the control
//! socket, and so has the question whenever it has the change. What takes a switch with many ports most is each turn
//! of its own, and then each change of its tables: so it is asked together with a change, and never in between.
//!
//! # Woken up
//! The end of a pass wakes up `ovs-vswitchd`, unless it comes between the places in its turn where passes are told of and
//! where it sees what to wait for. Then it tells of the pass in its next turn, which a barrier makes it take.
//!
//! # Flows taken for others
//! A pass changes in place what a flow of the cache does, and leaves what it matches. So flows that come from different
//! states of the tables may overlap while they do the same. When they are to differ again, the userspace datapath of
//! Open vSwitch before 3.2 looks for the flow to change by a packet that it matches, and may find the other one: that is
//! changed in its place, and the one that was meant never is, as long as packets keep it in the cache. There the cache is
//! emptied, and its flows all come from one state of the tables. No packet is lost: who misses a flow looks it up.
//!
//! The thread that empties the cache is the one that has taken the change. If it is also the one that looks up what the
//! cache does not have, nothing of before the change is left or to come, and no pass need be waited for. Where others
//! look up, too, what they found before the change may come into the cache after it was emptied: there the passes come
//! first. Such are threads that poll ports (DPDK), and those that the kernel's datapath asks, if a switch has both kinds.
//!
//! # Between changes
//! In each of its turns `ovs-vswitchd` looks up to ten times whether a conversation goes on (`run_connection` of Open vSwitch), and
//! to begin one costs it more than to answer a question. So it is kept from one change to the next. Where the thread that takes
//! changes also polls ports, packets pay for what it does in its turns: there the conversation ends once no change has come for a
//! while. What the process was found to be is remembered, and not asked again.

use std::convert::Infallible;
use std::io::{Error, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream as Socket;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use openflow::{Connection, RequestError};
use ovsdb::scan::{FrameError, Scanner};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use crate::control;
use crate::switch::nudge;

/// Time after which `ovs-vswitchd` is asked to look whether a pass is over. It doubles each time. Passes over a small
/// cache are over by then, and mostly told of.
const SHORT_PASS: Duration = Duration::from_millis(4);

/// Least time between the beginnings of two passes, as `ovs-vswitchd` sees to it.
const APART: Duration = Duration::from_millis(5);

/// Time after which a pass is begun again. It doubles each time, so that a large cache is not passed over in vain more
/// often than it is waited for.
const LONG_PASS: Duration = Duration::from_millis(60);

/// How long a conversation is kept without a change where it costs packets time.
const QUIET: Duration = Duration::from_secs(1);

/// How long the passes may take together.
const LIMIT: Duration = Duration::from_secs(10);

/// Largest answer, in bytes: the longest one names the ports that threads poll.
const LARGEST: usize = 1 << 20;

/// Asks for the end of the next pass.
const WAIT: &str = "revalidator/wait";

/// Empties the cache.
const PURGE: &str = "revalidator/purge";

/// Tells which threads poll which ports, beside the one that takes changes.
const POLLERS: &str = "dpif-netdev/pmd-rxq-show";

/// The first release, major and minor, whose userspace datapath changes the flow that is meant.
const SOUND: (u32, u32) = (3, 2);

/// Why it is not known whether the datapath has caught up.
#[derive(Debug, thiserror::Error)]
pub enum DatapathError {
    /// `ovs-vswitchd` cannot be asked.
    #[error("no conversation with ovs-vswitchd")]
    Conversation(#[from] Error),
    /// It does not speak as it should.
    #[error("no answer that can be read")]
    Answer(#[from] FrameError),
    /// The tables cannot be changed.
    #[error("no change of the tables")]
    Switch(#[from] RequestError),
    /// It takes too long.
    #[error("no answer within {LIMIT:?}")]
    TimedOut,
}

/// The datapath of a switch. Clones are of one datapath.
#[derive(Clone, Debug)]
pub struct Datapath {
    rundir: PathBuf,
    idle: Arc<Mutex<Idle>>,
}

/// What there is between changes.
#[derive(Debug, Default)]
enum Idle {
    /// Nothing.
    #[default]
    Unknown,
    /// It is known whom to ask.
    Known(Process),
    /// A conversation in which nobody waits.
    Open(Conversation),
}

impl Idle {
    /// The conversation if there is one, and not with a process that is no more; or else what is known.
    fn conversation(self) -> Result<Conversation, Option<Process>> {
        match self {
            Self::Unknown => Err(None),
            Self::Known(process) => Err(Some(process)),
            Self::Open(mut conversation) => match conversation.look() {
                Ok(()) => Ok(conversation),
                Err(_) => Err(None),
            },
        }
    }
}

/// What an `ovs-vswitchd` was found to be.
#[derive(Clone, Debug, Default)]
struct Process {
    /// Its control socket, which has its number in its name.
    socket: PathBuf,
    /// Whether flows of the cache are taken for others.
    takes_flows_for_others: bool,
    /// Whether the kernel's datapath is there as well, for which other threads look up.
    has_kernel: bool,
    /// Whether threads of their own polled ports when the cache was last emptied.
    has_pollers: bool,
}

impl Process {
    /// Whether it is enough to empty the cache.
    fn empties_alone(&self) -> bool {
        self.takes_flows_for_others && !self.has_kernel && !self.has_pollers
    }
}

/// Who begins the pass that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// Somebody has.
    Already,
    /// Who waits for it, once it is asked for.
    Now,
}

impl Datapath {
    /// The datapath of the `ovs-vswitchd` that has its sockets in `rundir`.
    pub fn new(rundir: PathBuf) -> Self {
        Self { rundir, idle: Arc::default() }
    }

    /// Says that a change of the tables is about to be sent: [`Datapath::follows`] will sooner be over.
    pub fn expect(&self) {
        let mut idle = self.idle();
        if let Idle::Open(conversation) = &mut *idle
            && !conversation.process.empties_alone()
            && conversation.ensure_asked().is_err()
        {
            *idle = Idle::Unknown;
        }
    }

    /// Ends the conversation after a while, if it costs packets time, and goes on for ever. To be dropped when there is a
    /// change.
    pub async fn rest(&self) -> Infallible {
        sleep(QUIET).await;
        self.hang_up();
        std::future::pending().await
    }

    fn hang_up(&self) {
        let mut idle = self.idle();
        if let Idle::Open(Conversation { process, .. }) = &*idle
            && process.empties_alone()
        {
            *idle = Idle::Known(process.clone());
        }
    }

    /// Returns once packets meet what the tables say. They have answered what they were sent last, after the time `sent` if
    /// that is known.
    ///
    /// # Errors
    /// It cannot be known.
    pub async fn follows(&self, switch: &Connection, sent: Option<Instant>) -> Result<(), DatapathError> {
        let idle = std::mem::take(&mut *self.idle());
        let conversation = timeout(LIMIT, self.catch_up(idle, switch, sent))
            .await
            .map_err(|_| DatapathError::TimedOut)??;
        *self.idle() = Idle::Open(conversation);
        Ok(())
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn catch_up(
        &self,
        idle: Idle,
        switch: &Connection,
        sent: Option<Instant>,
    ) -> Result<Conversation, DatapathError> {
        let mut conversation = match idle.conversation() {
            Ok(conversation) => conversation,
            Err(known) => Conversation::begin(&self.rundir, known).await?,
        };
        if conversation.process.empties_alone() {
            conversation.purge().await?;
            if conversation.process.empties_alone() {
                return Ok(conversation);
            }
        }
        let asked = conversation.ensure_asked()?;
        let is_begun = sent.is_some_and(|sent| asked < sent);
        conversation.pass(switch, if is_begun { Begun::Already } else { Begun::Now }).await?;
        conversation.ensure_asked()?;
        conversation.pass(switch, Begun::Now).await?;
        if conversation.process.takes_flows_for_others {
            conversation.purge().await?;
        }
        Ok(conversation)
    }
}

/// A conversation on the control socket about the cache: JSON-RPC 1.0, an answer after the other (ovs-appctl(8)).
#[derive(Debug)]
struct Conversation {
    stream: UnixStream,
    /// The same. The runtime tells of an answer when it next looks, and this one when it is there.
    socket: Socket,
    inbound: Scanner,
    /// Since when the end of a pass is asked for that was not told of.
    asked: Option<Instant>,
    process: Process,
}

impl Conversation {
    /// Begins one, and asks what the process is unless that is known of it.
    async fn begin(rundir: &Path, known: Option<Process>) -> Result<Self, DatapathError> {
        let path = control::socket(rundir).await?;
        let socket = UnixStream::connect(&path).await?.into_std()?;
        let stream = UnixStream::from_std(socket.try_clone()?)?;
        let known = known.filter(|known| known.socket == path);
        let is_known = known.is_some();
        let process = known.unwrap_or_else(|| Process { socket: path, ..Process::default() });
        let inbound = Scanner::with_limit(LARGEST);
        let mut conversation = Self { stream, socket, inbound, asked: None, process };
        if !is_known {
            let [version, datapaths] = conversation.ask(["version", "dpctl/dump-dps"]).await?;
            conversation.process.takes_flows_for_others = takes_flows_for_others(&version, &datapaths);
            conversation.process.has_kernel = datapaths.lines().any(is_kernel);
        }
        Ok(conversation)
    }

    /// Empties the cache, and looks who fills it.
    async fn purge(&mut self) -> Result<(), DatapathError> {
        let [_, pollers] = self.ask([PURGE, POLLERS]).await?;
        self.process.has_pollers = pollers.contains("pmd thread");
        Ok(())
    }

    /// Asks for the end of the next pass, if there is no question without an answer. Gives when it was asked. The question
    /// is in the socket when this returns: one whose every question was answered has room for one.
    fn ensure_asked(&mut self) -> Result<Instant, DatapathError> {
        self.look()?;
        if let Some(asked) = self.asked {
            return Ok(asked);
        }
        self.put(&[WAIT])?;
        Ok(*self.asked.insert(Instant::now()))
    }

    /// Asks at once, so that the process takes one turn for all.
    fn put(&mut self, commands: &[&str]) -> Result<(), DatapathError> {
        let question = |command| serde_json::json!({"id": 0, "method": command, "params": []}).to_string();
        let questions: String = commands.iter().map(question).collect();
        if self.socket.write(questions.as_bytes())? < questions.len() {
            return Err(Error::from(ErrorKind::WriteZero).into());
        }
        Ok(())
    }

    /// Runs commands, where no question is without an answer, and gives what each prints.
    async fn ask<const N: usize>(&mut self, commands: [&str; N]) -> Result<[String; N], DatapathError> {
        self.put(&commands)?;
        let mut answers = [const { String::new() }; N];
        for answer in &mut answers {
            *answer = self.answer().await?;
        }
        Ok(answers)
    }

    /// Sees whether a pass is told of, and that the process is still there.
    fn look(&mut self) -> Result<(), DatapathError> {
        let mut received = [0; 4096];
        match self.socket.read(&mut received) {
            Ok(0) => return Err(Error::from(ErrorKind::UnexpectedEof).into()),
            Ok(count) => self.inbound.inbound().extend_from_slice(received.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if self.inbound.next_frame()?.is_some() {
            self.asked = None;
        }
        Ok(())
    }

    /// Waits for the answer, and gives what it prints. Nothing is lost if nobody waits any more.
    async fn answer(&mut self) -> Result<String, DatapathError> {
        let answer = loop {
            if let Some(answer) = self.inbound.next_frame()? {
                break answer;
            }
            if self.stream.read_buf(self.inbound.inbound()).await? == 0 {
                return Err(Error::from(ErrorKind::UnexpectedEof).into());
            }
        };
        self.asked = None;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        Ok(answer["result"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits for the end of a pass.
    async fn pass(&mut self, switch: &Connection, begun: Begun) -> Result<(), DatapathError> {
        tokio::select! {
            answer = self.answer() => answer.map(drop),
            Err(error) = urge(switch, begun) => Err(error.into()),
        }
    }
}

/// Whether a switch of a version, with these datapaths (ovs-appctl(8): `version`, `dpctl/dump-dps`), takes flows of its cache
/// for others. The kernel's datapath does not; of a version that is not known it is not known.
fn takes_flows_for_others(version: &str, datapaths: &str) -> bool {
    let number = version.lines().next().and_then(|line| line.split_whitespace().last());
    let mut parts = number.unwrap_or_default().split('.').map_while(|part| part.parse().ok());
    let is_sound = parts.next().zip(parts.next()).is_some_and(|number| number >= SOUND);
    !is_sound && datapaths.lines().any(|datapath| !is_kernel(datapath))
}

fn is_kernel(datapath: &str) -> bool {
    datapath.starts_with("system@")
}

/// Has a pass begin and be told of, and begins another one whenever it should long be over, until that is no longer
/// possible.
async fn urge(switch: &Connection, begun: Begun) -> Result<Infallible, RequestError> {
    if begun == Begun::Already {
        look(switch, SHORT_PASS, LONG_PASS).await?;
    }
    let mut long = LONG_PASS;
    loop {
        nudge(switch).await?;
        look(switch, APART + SHORT_PASS, long).await?;
        long *= 2;
    }
}

/// Has the switch look whether a pass is over, after a time and then at growing intervals, for so long.
async fn look(switch: &Connection, first: Duration, long: Duration) -> Result<(), RequestError> {
    let end = Instant::now() + long;
    let mut pause = first;
    while Instant::now() < end {
        sleep(pause).await;
        switch.barrier().await?;
        pause *= 2;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use serde_json::Deserializer;
    use tokio::task::spawn_blocking;

    use super::*;

    /// A folder with the control socket of a process, and who holds its other end.
    fn process() -> (tempfile::TempDir, UnixListener) {
        let rundir = tempfile::tempdir().expect("a folder");
        std::fs::write(rundir.path().join("ovs-vswitchd.pid"), "7\n").expect("written");
        let listener = UnixListener::bind(rundir.path().join("ovs-vswitchd.7.ctl")).expect("a socket");
        (rundir, listener)
    }

    /// Takes some questions, gives their answers, and tells what was asked.
    fn answer(mut end: &Socket, answers: &[&str]) -> Vec<String> {
        let questions = Deserializer::from_reader(end).into_iter::<Value>().take(answers.len());
        let asked = questions.map(|question| question.expect("JSON")["method"].as_str().map(str::to_owned));
        let asked = asked.collect::<Option<_>>().expect("methods");
        for answer in answers {
            let answer = serde_json::json!({"id": 0, "result": answer, "error": null});
            end.write_all(answer.to_string().as_bytes()).expect("written");
        }
        asked
    }

    const DEBIAN: &str = "ovs-vswitchd (Open vSwitch) 3.1.0\n";

    /// A conversation with a process that has these datapaths, and the other end.
    async fn begun(datapaths: &'static str) -> (Conversation, Socket) {
        let (rundir, listener) = process();
        let end = spawn_blocking(move || {
            let (end, _) = listener.accept().expect("a connection");
            assert_eq!(answer(&end, &[DEBIAN, datapaths]), ["version", "dpctl/dump-dps"]);
            end
        });
        let conversation = Conversation::begin(rundir.path(), None).await.expect("begun");
        (conversation, end.await.expect("answered"))
    }

    #[tokio::test]
    async fn what_is_asked_and_not_answered_is_not_asked_again() {
        let (mut conversation, end) = begun("system@ovs-system\n").await;
        assert!(!conversation.process.empties_alone());
        let asked = conversation.ensure_asked().expect("asked");
        assert_eq!(conversation.ensure_asked().expect("asked"), asked);
        assert_eq!(answer(&end, &[""]), [WAIT]);
        assert!(conversation.ensure_asked().expect("asked") > asked);
        assert_eq!(answer(&end, &[""]), [WAIT]);
        conversation.answer().await.expect("an answer");
        assert_eq!(conversation.asked, None);
    }

    #[tokio::test]
    async fn a_cache_that_others_fill_is_not_only_emptied() {
        let (mut conversation, end) = begun("netdev@ovs-netdev\n").await;
        assert!(conversation.process.empties_alone());
        for (pollers, alone) in [
            ("Displaying last 60 seconds pmd usage %\n", true),
            ("Displaying last 60 seconds pmd usage %\npmd thread numa_id 0 core_id 1:\n", false),
            ("Displaying last 60 seconds pmd usage %\n", true),
        ] {
            let (purged, asked) = tokio::join!(conversation.purge(), async { answer(&end, &["", pollers]) });
            purged.expect("emptied");
            assert_eq!(asked, [PURGE, POLLERS]);
            assert_eq!(conversation.process.empties_alone(), alone, "{pollers}");
        }
    }

    #[tokio::test]
    async fn beside_the_kernels_a_cache_is_not_only_emptied() {
        let (conversation, _end) = begun("system@ovs-system\nnetdev@ovs-netdev\n").await;
        assert!(conversation.process.takes_flows_for_others);
        assert!(!conversation.process.empties_alone());
    }

    #[tokio::test]
    async fn a_conversation_that_costs_packets_time_ends_and_begins_again_without_questions() {
        let (rundir, listener) = process();
        let datapath = Datapath::new(rundir.path().to_owned());
        let (conversation, _end) = begun("netdev@ovs-netdev\n").await;
        *datapath.idle() = Idle::Open(conversation);
        datapath.hang_up();
        let Idle::Known(known) = std::mem::take(&mut *datapath.idle()) else { panic!("it goes on") };
        let known = Process { socket: rundir.path().join("ovs-vswitchd.7.ctl"), ..known };
        // Nobody answers here.
        let again = Conversation::begin(rundir.path(), Some(known)).await.expect("begun");
        assert!(again.process.empties_alone());
        drop(listener);
        let (conversation, _end) = begun("system@ovs-system\n").await;
        *datapath.idle() = Idle::Open(conversation);
        datapath.hang_up();
        assert!(matches!(*datapath.idle(), Idle::Open(_)));
    }

    #[tokio::test]
    async fn another_process_is_asked_what_it_is() {
        let (conversation, _end) = begun("netdev@ovs-netdev\n").await;
        let (rundir, listener) = process();
        let end = spawn_blocking(move || {
            let (end, _) = listener.accept().expect("a connection");
            answer(&end, &[DEBIAN, "system@ovs-system\n"])
        });
        let other = Conversation::begin(rundir.path(), Some(conversation.process)).await.expect("begun");
        assert_eq!(end.await.expect("answered"), ["version", "dpctl/dump-dps"]);
        assert!(!other.process.empties_alone());
    }

    #[tokio::test]
    async fn a_process_that_has_ended_is_not_asked() {
        let (mut conversation, end) = begun("system@ovs-system\n").await;
        drop(end);
        assert!(conversation.look().is_err());
        assert!(conversation.ensure_asked().is_err());
        assert!(conversation.answer().await.is_err());
    }

    #[test]
    fn older_userspace_datapaths_take_flows_for_others() {
        let check = |version, datapaths, expected| {
            assert_eq!(takes_flows_for_others(version, datapaths), expected, "{version:?} {datapaths:?}");
        };
        check(DEBIAN, "netdev@ovs-netdev\n", true);
        check(DEBIAN, "dummy@ovs-dummy\n", true);
        check(DEBIAN, "system@ovs-system\n", false);
        check(DEBIAN, "", false);
        check("ovs-vswitchd (Open vSwitch) 3.2.0\nDPDK 22.11\n", "netdev@ovs-netdev\n", false);
        check("ovs-vswitchd (Open vSwitch) 4.0.1\n", "netdev@ovs-netdev\n", false);
        check("ovs-vswitchd (Open vSwitch) 2.17.90\n", "netdev@ovs-netdev\n", true);
        check("something else", "netdev@ovs-netdev\n", true);
    }

    #[tokio::test]
    async fn a_change_is_expected_without_a_conversation() {
        let (rundir, _listener) = process();
        let datapath = Datapath::new(rundir.path().to_owned());
        datapath.expect();
        assert!(matches!(*datapath.idle(), Idle::Unknown));
    }
}
