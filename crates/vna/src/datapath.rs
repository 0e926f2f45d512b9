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

use std::convert::Infallible;
use std::io::{Error, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream as Socket;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use openflow::{Connection, RequestError};
use ovsdb::scan::{FrameError, Scanner};
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

/// How long the passes may take together.
const LIMIT: Duration = Duration::from_secs(10);

/// Largest answer, in bytes: one says that it is one, and no more.
const LARGEST: usize = 4096;

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
    /// What nobody waits in. Kept from one change to the next: to accept a connection costs the switch more than to answer
    /// a question.
    idle: Arc<Mutex<Option<Conversation>>>,
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
        if let Some(conversation) = idle.as_mut()
            && conversation.ensure_asked().is_err()
        {
            *idle = None;
        }
    }

    /// Returns once packets meet what the tables say. They have answered what they were sent last, after the time `sent` if
    /// that is known.
    ///
    /// # Errors
    /// It cannot be known.
    pub async fn follows(&self, switch: &Connection, sent: Option<Instant>) -> Result<(), DatapathError> {
        let conversation = self.idle().take();
        let conversation = timeout(LIMIT, self.passes(conversation, switch, sent))
            .await
            .map_err(|_| DatapathError::TimedOut)??;
        *self.idle() = Some(conversation);
        Ok(())
    }

    fn idle(&self) -> MutexGuard<'_, Option<Conversation>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn passes(
        &self,
        idle: Option<Conversation>,
        switch: &Connection,
        sent: Option<Instant>,
    ) -> Result<Conversation, DatapathError> {
        let usable = idle.and_then(|mut idle| {
            let asked = idle.ensure_asked().ok()?;
            Some((idle, asked))
        });
        let (mut conversation, asked) = match usable {
            Some(usable) => usable,
            // There was none, or it was with a process that is no more.
            None => Conversation::begin(&self.rundir).await?,
        };
        let is_begun = sent.is_some_and(|sent| asked < sent);
        conversation.pass(switch, if is_begun { Begun::Already } else { Begun::Now }).await?;
        conversation.ensure_asked()?;
        conversation.pass(switch, Begun::Now).await?;
        Ok(conversation)
    }
}

/// A conversation on the control socket about passes: JSON-RPC 1.0, a question at a time (ovs-appctl(8)).
#[derive(Debug)]
struct Conversation {
    stream: UnixStream,
    /// The same. The runtime tells of an answer when it next looks, and this one when it is there.
    socket: Socket,
    inbound: Scanner,
    /// Since when there is a question that has no answer.
    asked: Option<Instant>,
}

impl Conversation {
    /// Begins one, with the first question.
    async fn begin(rundir: &Path) -> Result<(Self, Instant), DatapathError> {
        let socket = UnixStream::connect(control::socket(rundir).await?).await?.into_std()?;
        let stream = UnixStream::from_std(socket.try_clone()?)?;
        let mut conversation = Self { stream, socket, inbound: Scanner::with_limit(LARGEST), asked: None };
        let asked = conversation.ensure_asked()?;
        Ok((conversation, asked))
    }

    /// Asks for the end of the next pass, if there is no question without an answer. Gives when it was asked. The question
    /// is in the socket when this returns: one whose every question was answered has room for one.
    fn ensure_asked(&mut self) -> Result<Instant, DatapathError> {
        const QUESTION: &[u8] = br#"{"id":0,"method":"revalidator/wait","params":[]}"#;
        if self.asked.is_some() && self.is_answered()? {
            self.asked = None;
        }
        if let Some(asked) = self.asked {
            return Ok(asked);
        }
        if self.socket.write(QUESTION)? < QUESTION.len() {
            return Err(Error::from(ErrorKind::WriteZero).into());
        }
        Ok(*self.asked.insert(Instant::now()))
    }

    /// Whether the answer is there.
    fn is_answered(&mut self) -> Result<bool, DatapathError> {
        let mut received = [0; LARGEST];
        match self.socket.read(&mut received) {
            Ok(0) => return Err(Error::from(ErrorKind::UnexpectedEof).into()),
            Ok(count) => self.inbound.inbound().extend_from_slice(received.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.inbound.next_frame()?.is_some())
    }

    /// Waits for the answer. Nothing is lost if nobody waits any more.
    async fn answer(&mut self) -> Result<(), DatapathError> {
        while self.inbound.next_frame()?.is_none() {
            if self.stream.read_buf(self.inbound.inbound()).await? == 0 {
                return Err(Error::from(ErrorKind::UnexpectedEof).into());
            }
        }
        self.asked = None;
        Ok(())
    }

    /// Waits for the end of a pass.
    async fn pass(&mut self, switch: &Connection, begun: Begun) -> Result<(), DatapathError> {
        tokio::select! {
            answer = self.answer() => answer,
            Err(error) = urge(switch, begun) => Err(error.into()),
        }
    }
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
    use std::io::BufReader;
    use std::os::unix::net::UnixListener;

    use serde_json::{Deserializer, Value};

    use super::*;

    /// A folder with the control socket of a process, and who holds its other end.
    fn process() -> (tempfile::TempDir, UnixListener) {
        let rundir = tempfile::tempdir().expect("a folder");
        std::fs::write(rundir.path().join("ovs-vswitchd.pid"), "7\n").expect("written");
        let listener = UnixListener::bind(rundir.path().join("ovs-vswitchd.7.ctl")).expect("a socket");
        (rundir, listener)
    }

    /// Takes one question, and answers it.
    fn answer(end: &Socket) {
        let question = Deserializer::from_reader(BufReader::new(end)).into_iter::<Value>().next();
        let question = question.expect("a question").expect("JSON");
        assert_eq!(question["method"], "revalidator/wait");
        let mut end = end;
        end.write_all(br#"{"id":0,"result":"","error":null}"#).expect("written");
    }

    #[tokio::test]
    async fn what_is_asked_and_not_answered_is_not_asked_again() {
        let (rundir, listener) = process();
        let (mut conversation, asked) = Conversation::begin(rundir.path()).await.expect("begun");
        let (end, _) = listener.accept().expect("a connection");
        assert_eq!(conversation.ensure_asked().expect("asked"), asked);
        answer(&end);
        assert!(conversation.ensure_asked().expect("asked") > asked);
        answer(&end);
        conversation.answer().await.expect("an answer");
        assert_eq!(conversation.asked, None);
    }

    #[tokio::test]
    async fn a_process_that_has_ended_is_not_asked() {
        let (rundir, listener) = process();
        let (mut conversation, _) = Conversation::begin(rundir.path()).await.expect("begun");
        drop(listener.accept().expect("a connection"));
        assert!(conversation.ensure_asked().is_err());
        assert!(conversation.answer().await.is_err());
    }

    #[tokio::test]
    async fn a_change_is_expected_without_a_conversation() {
        let (rundir, _listener) = process();
        let datapath = Datapath::new(rundir.path().to_owned());
        datapath.expect();
        assert!(datapath.idle().is_none());
    }
}
