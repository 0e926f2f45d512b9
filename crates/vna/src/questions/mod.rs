//! What a manager asks of the switch, answered by asking the switch itself.
//!
//! `flows` tells which flows there are, whose they are and what they do; `peers` how much passes between this host and each other
//! one; `trace` what would become of a packet;
//! `names` and `words` say so in the user's words. Nothing here changes the switch, and nothing waits for it: the tables
//! are asked over a connection that is there already, one question at a time, so that who looks for a fault does not
//! become one.

mod flows;
mod names;
mod peers;
mod trace;
mod words;

use std::sync::Arc;

use openflow::RequestError;
use sync::Asked;
use sync::question::{Answer, Question, Refusal};
use tokio::sync::{mpsc, watch};

use crate::host::HostView;
use crate::reconciler::Installed;
use crate::settings::Settings;
use names::Names;

/// Questions that wait for their turn. A manager asks no more at once, and an agent has one manager.
pub const WAITING: usize = 4;

/// What answers are made of, newest values.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Where the switch is.
    pub settings: Arc<Settings>,
    /// What the switch's tables stand for, and a connection to it.
    pub installed: watch::Receiver<Option<Installed>>,
    /// What the switch's database shows.
    pub host: watch::Receiver<Arc<HostView>>,
}

/// Answers questions, for ever.
pub async fn run(sources: Sources, mut questions: mpsc::Receiver<Asked>) {
    while let Some(Asked { question, mut reply }) = questions.recv().await {
        tokio::select! {
            answer = sources.answer(question) => {
                // Whoever has asked may have given up.
                let _ = reply.send(answer);
            }
            () = reply.closed() => {}
        }
    }
    std::future::pending().await
}

impl Sources {
    async fn answer(&self, question: Question) -> Result<Answer, Refusal> {
        let Some(Installed { replica, switch, .. }) = self.installed.borrow().clone() else {
            let reason = "its agent has no topology or no switch yet: see `/readyz` of the agent";
            return Err(Refusal::Unavailable(reason.to_owned()));
        };
        let host = self.host.borrow().clone();
        let names = Names::new(&replica.topology, &replica.datapath, &host);
        match question {
            Question::Flows(query) => flows::answer(&switch, &names, &query).await.map(Answer::Flows),
            Question::Peers => peers::answer(&switch, &replica.topology).await.map(Answer::Peers),
            Question::Trace(query) => trace::answer(&self.settings, &names, &query).await.map(Answer::Trace),
        }
    }
}

/// What the switch's refusal, or its silence, is to who asks.
fn unanswered(error: &RequestError) -> Refusal {
    Refusal::Unavailable(format!("the switch does not tell: {error}; is ovs-vswitchd running?"))
}
