//! The agent's end of questions: they are handed to whoever knows the switch, and the answers sent in parts.
//!
//! Answers share the stream with what the host says of itself, part by part: neither waits for the whole of the other.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::line::{LIMIT, MAX_QUESTIONS};
use crate::question::{Answer, Items, Question, Refusal};
use crate::wire::{self, AgentMessage, REFUSED_INVALID, REFUSED_UNAVAILABLE, Said, cut};

/// How long the host may take for an answer: a little less than the manager waits.
const HOST_LIMIT: Duration = Duration::from_secs(LIMIT.as_secs() - 5);

/// A question of a manager's, for whoever knows the switch.
#[derive(Debug)]
pub struct Asked {
    /// The question.
    pub question: Question,
    /// Takes the answer. Closed once nobody waits for it any more.
    pub reply: oneshot::Sender<Result<Answer, Refusal>>,
}

/// Has questions answered as they come, until the stream is closed.
pub(super) async fn answer(
    mut questions: mpsc::Receiver<wire::Question>,
    host: mpsc::Sender<Asked>,
    outbound: &mpsc::Sender<AgentMessage>,
) {
    let mut asked = FuturesUnordered::new();
    loop {
        tokio::select! {
            question = questions.recv(), if asked.len() < MAX_QUESTIONS => match question {
                Some(question) => asked.push(ask(question, &host)),
                None => return,
            },
            Some((id, answer)) = asked.next() => {
                for part in parts(id, answer) {
                    if outbound.send(Said::Answer(part).into()).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

async fn ask(
    wire::Question { id, question }: wire::Question,
    host: &mpsc::Sender<Asked>,
) -> (u64, Result<Answer, Refusal>) {
    let unavailable = |reason: &str| Err(Refusal::Unavailable(reason.to_owned()));
    let Ok(question) = serde_json::from_slice(&question) else {
        return (id, Err(Refusal::Invalid("the agent does not understand the question".to_owned())));
    };
    let (reply, answer) = oneshot::channel();
    let answer = async {
        host.send(Asked { question, reply }).await.ok()?;
        answer.await.ok()
    };
    let answer = match timeout(HOST_LIMIT, answer).await {
        Ok(Some(answer)) => answer,
        Ok(None) => unavailable("nobody on the host answers"),
        Err(_) => unavailable("the switch does not answer"),
    };
    (id, answer)
}

/// The messages that carry an answer.
fn parts(id: u64, answer: Result<Answer, Refusal>) -> Vec<wire::Answer> {
    let Items { total, items } = match answer {
        Ok(answer) => answer.into_items(),
        Err(refusal) => return vec![refused(id, refusal)],
    };
    let part = |(items, last)| wire::Answer { id, items, last, total, refusal: None };
    cut(items, Vec::len).map(part).collect()
}

fn refused(id: u64, refusal: Refusal) -> wire::Answer {
    let (kind, reason) = match refusal {
        Refusal::Unavailable(reason) => (REFUSED_UNAVAILABLE, reason),
        Refusal::Invalid(reason) => (REFUSED_INVALID, reason),
    };
    wire::Answer { id, last: true, refusal: Some(wire::Refused { kind, reason }), ..wire::Answer::default() }
}
