//! Questions about packets: what they share, and the topology that they are about.
//!
//! # Proposals
//! With `--with` the question is about the topology as it would be once files were applied. What that changes is worked out
//! as `apply` does it, and sent along; nothing is done.

use serde_json::{Value, json};

use super::Session;
use crate::apply::proposal;
use crate::client::{Method, Request};
use crate::error::Error;

/// A question.
#[derive(Debug)]
pub(crate) enum Question {
    /// What becomes of a packet.
    Trace {
        /// As the manager is asked.
        body: Value,
        /// Whether the switches are asked, too.
        live: bool,
    },
    /// Who can send what to whom.
    Reach(Value),
    /// Whether the policy of a file is kept.
    Assert { file: String },
}

/// A question with what it assumes.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) question: Question,
    /// Files that are assumed to be applied.
    pub(crate) with: Vec<String>,
}

impl Session<'_> {
    /// Asks, and prints the answer.
    pub(super) fn ask(&mut self, ask: Ask) -> Result<(), Error> {
        let Ask { question, with } = ask;
        match question {
            Question::Trace { body, live } => {
                let mut answer = self.answer("trace", body, &with)?;
                if live {
                    answer["live"] = self.live(&answer)?;
                }
                self.print_trace(&answer)
            }
            Question::Reach(body) => {
                let answer = self.answer("reach", body, &with)?;
                self.print_reach(&answer)
            }
            Question::Assert { file } => {
                let policy = self.policy(&file)?;
                let answer = self.answer("assert", policy, &with);
                let answer = answer.map_err(|error| super::assert::located(error, &file))?;
                self.print_policy(&answer)
            }
        }
    }

    fn answer(&mut self, path: &str, mut body: Value, with: &[String]) -> Result<Value, Error> {
        let files = with.iter().map(|file| Ok((file.clone(), self.read(file)?)));
        let files = files.collect::<Result<Vec<_>, Error>>()?;
        if !files.is_empty() {
            body["operations"] = json!(proposal(&self.client, &files)?);
        }
        self.client.send(&Request::new(Method::Post, &[path]).body(body)).map(|answer| answer.body)
    }
}

/// A text of an answer, empty if it is not there.
pub(super) fn text<'a>(of: &'a Value, path: &str) -> &'a str {
    of.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// A list of an answer, empty if it is not there.
pub(super) fn list<'a>(of: &'a Value, path: &str) -> &'a [Value] {
    of.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
