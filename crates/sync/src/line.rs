//! The manager's end of questions: who asks, what is waited for, and what comes back.
//!
//! ```text
//! Line::flows ──Ask──> session ──Question──> agent
//!      ▲                                       │
//!      └───────── Waiting <──Answer, Answer, …─┘
//! ```
//! # Bounds
//! An agent is asked `MAX_QUESTIONS` at once. Who asks waits for `LIMIT`, and what comes later is passed over. What an
//! agent says without having been asked costs nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::question::{
    FlowPage, FlowQuery, Items, KINDS, MAX_ANSWER, MAX_ITEMS, PeerRow, Question, Refusal, TraceQuery, Traced,
};
use crate::wire::{self, REFUSED_INVALID};

/// Questions to one agent that are not answered yet.
pub(crate) const MAX_QUESTIONS: usize = 4;

/// How long an answer may take. The agent gives up before.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Most kinds of questions that an agent says it answers; what it says beyond is passed over.
const MAX_KINDS: usize = 64;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The agent is of a version that does not answer this.
    #[error("the agent does not know this question")]
    TooOld,
    /// It has as many questions as it takes.
    #[error("the agent has {MAX_QUESTIONS} questions to answer already")]
    Busy,
    /// Its connection has ended.
    #[error("the agent is gone")]
    Gone,
    /// It takes too long.
    #[error("the agent has not answered within {} s", LIMIT.as_secs())]
    TimedOut,
    /// It says why not.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It says more than there can be to say, or what nobody understands.
    #[error("the agent's answer makes no sense: {0}")]
    Senseless(String),
}

/// A way to ask an agent, as long as its connection lasts.
#[derive(Clone, Debug)]
pub struct Line {
    asks: mpsc::Sender<Ask>,
    kinds: Arc<[String]>,
}

/// A question, and who waits for the answer.
#[derive(Debug)]
pub(crate) struct Ask {
    question: Question,
    reply: Reply,
}

type Reply = oneshot::Sender<Result<Items, AskError>>;

impl Line {
    /// A line to an agent that answers these kinds of questions, and its other end.
    pub(crate) fn open(kinds: &[String]) -> (Self, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(MAX_QUESTIONS);
        (Self { asks, kinds: kinds.iter().take(MAX_KINDS).cloned().collect() }, asked)
    }

    /// A line whose other end is gone.
    pub fn closed() -> Self {
        Self::open(&KINDS.map(str::to_owned)).0
    }

    /// Asks which flows its switch has.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn flows(&self, query: FlowQuery) -> Result<FlowPage, AskError> {
        self.ask(Question::Flows(query)).await?.flows().map_err(senseless)
    }

    /// Asks what its switch would do with a packet. Nothing changes by it.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn trace(&self, query: TraceQuery) -> Result<Traced, AskError> {
        self.ask(Question::Trace(query)).await?.traced().map_err(senseless)
    }

    /// Asks how much has gone to each other host, and come from it.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn peers(&self) -> Result<Vec<PeerRow>, AskError> {
        self.ask(Question::Peers).await?.peers().map_err(senseless)
    }

    async fn ask(&self, question: Question) -> Result<Items, AskError> {
        if !self.kinds.iter().any(|kind| kind == question.kind()) {
            return Err(AskError::TooOld);
        }
        let (reply, answer) = oneshot::channel();
        self.asks.try_send(Ask { question, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => AskError::Busy,
            mpsc::error::TrySendError::Closed(_) => AskError::Gone,
        })?;
        match timeout(LIMIT, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(AskError::Gone),
            Err(_) => Err(AskError::TimedOut),
        }
    }
}

fn senseless(error: serde_json::Error) -> AskError {
    AskError::Senseless(error.to_string())
}

/// The questions of one stream that are not answered yet.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last_id: u64,
    open: HashMap<u64, Open>,
}

/// A question that is not answered yet.
#[derive(Debug)]
struct Open {
    reply: Reply,
    items: Items,
    bytes: usize,
}

impl Waiting {
    /// Takes a question, and gives back what to send.
    pub(crate) fn open(&self, Ask { question, reply }: Ask) -> Option<wire::Question> {
        let mut state = self.lock();
        // Those who have given up.
        state.open.retain(|_, open| !open.reply.is_closed());
        if state.open.len() >= MAX_QUESTIONS {
            // Who has given up meanwhile does not care.
            let _ = reply.send(Err(AskError::Busy));
            return None;
        }
        state.last_id += 1;
        let id = state.last_id;
        state.open.insert(id, Open { reply, items: Items::default(), bytes: 0 });
        let question = serde_json::to_vec(&question).expect("a question has only texts and numbers");
        Some(wire::Question { id, question })
    }

    /// Takes a part of an answer.
    pub(crate) fn take(&self, part: wire::Answer) {
        let mut state = self.lock();
        let Some(open) = state.open.get_mut(&part.id) else { return };
        let answer = match (open.take(&part), part.last) {
            (Ok(()), false) => return,
            (Ok(()), true) => None,
            (Err(error), _) => Some(error),
        };
        let Some(Open { reply, mut items, .. }) = state.open.remove(&part.id) else { return };
        items.total = part.total;
        let _ = reply.send(answer.map_or(Ok(items), Err));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic holds this lock")
    }
}

impl Open {
    fn take(&mut self, part: &wire::Answer) -> Result<(), AskError> {
        if let Some(refusal) = &part.refusal {
            let reason = refusal.reason.clone();
            return Err(AskError::Refused(match refusal.kind {
                REFUSED_INVALID => Refusal::Invalid(reason),
                _ => Refusal::Unavailable(reason),
            }));
        }
        self.bytes += part.items.iter().map(Vec::len).sum::<usize>();
        if self.bytes > MAX_ANSWER || self.items.items.len() + part.items.len() > MAX_ITEMS {
            return Err(AskError::Senseless("it is too long".to_owned()));
        }
        self.items.items.extend_from_slice(&part.items);
        Ok(())
    }
}
