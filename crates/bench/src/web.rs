//! A client of the Web API that keeps its connection, and takes any answer but a success for an error.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use ureq::Agent;

/// How long a request may take: the longest wait that the manager grants is 300 seconds.
const REQUEST_LIMIT: Duration = Duration::from_secs(400);

/// The largest answer that is read, in bytes: that of a batch of thousands of objects is far below.
const MAX_ANSWER: u64 = 256 << 20;

/// Waits until every host concerned has the change, in seconds at most.
pub(crate) const REALIZED: &str = "wait=realized&timeout=300";

/// One user of a manager.
#[derive(Clone, Debug)]
pub(crate) struct Web {
    base: String,
    agent: Agent,
}

impl Web {
    /// A user of the manager at `url`, as `http://HOST:PORT`.
    pub(crate) fn new(url: &str) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(REQUEST_LIMIT));
        Self { base: format!("{url}/api/1.0"), agent: config.build().into() }
    }

    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Value> {
        read(self.agent.get(self.url(path)).call().context("no answer of the manager")?)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        // Who loads a topology has no use for all of it in the answers.
        let request = self.agent.post(self.url(path)).header("Prefer", "return=minimal");
        read(request.send_json(body).context("no answer of the manager")?)
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        read(self.agent.put(self.url(path)).send_json(body).context("no answer of the manager")?)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }
}

/// The body. A change that hosts did not have in time (202) is a failure too: nothing can be said of how long it takes.
fn read(mut response: ureq::http::Response<ureq::Body>) -> anyhow::Result<Value> {
    let status = response.status().as_u16();
    let body: Value = response.body_mut().with_config().limit(MAX_ANSWER).read_json()?;
    match status {
        200 | 201 => Ok(body),
        202 => bail!("not every host has realized it: {}", body["realized"]["pending"]),
        _ => bail!("{status}: {body}"),
    }
}
