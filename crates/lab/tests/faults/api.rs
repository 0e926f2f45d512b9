//! The Web API as a program that makes changes all the time uses it: it has to know whether a change was made.

use std::collections::BTreeMap;
use std::time::Duration;

use lab::{Manager, Result};
use serde_json::{Value, json};

use crate::common::unclear;

/// Time that an answer may take. Longer than any manager is made to hang: whoever gave up on a request could not know
/// that it is not carried out later, after others.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// More objects than a test makes, and no more than a page of the API holds.
const PAGE: usize = 10_000;

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It is done, and must stay done.
    Done,
    /// It is not done, for a reason: the status and the body.
    Refused(u16, String),
    /// Nobody can tell: the connection ended before the answer, or the store could not be written.
    Unknown,
}

/// Where the topology stands.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// Which history of changes.
    pub(crate) store_id: String,
    /// How far in it.
    pub(crate) revision: u64,
}

/// A client of a manager that may be down.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    base: String,
    agent: ureq::Agent,
}

impl Api {
    pub(crate) fn new(manager: &Manager) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = config.timeout_global(Some(ANSWER_LIMIT)).build().into();
        Self { base: format!("{}/api/1.0", manager.api_url()), agent }
    }

    /// Many operations as one commit.
    pub(crate) fn batch(&self, operations: &[Value]) -> Answer {
        let sent =
            self.agent.post(format!("{}/batch", self.base)).send_json(json!({"operations": operations}));
        let mut response = match sent {
            Ok(response) => response,
            Err(_) => return Answer::Unknown,
        };
        let status = response.status();
        if status.is_success() {
            return Answer::Done;
        }
        let body = response.body_mut().read_to_string().unwrap_or_default();
        match status.as_u16() {
            // A store that fails may have written; the manager reads it anew before it decides anything else.
            503 => Answer::Unknown,
            refused => Answer::Refused(refused, body),
        }
    }

    /// Every object of a collection with its display name.
    pub(crate) fn names(&self, collection: &str) -> Result<BTreeMap<String, String>> {
        let list = self.get(&format!("{collection}?limit={PAGE}"))?;
        let objects = list["items"].as_array().ok_or_else(|| unclear(collection, &list))?;
        let name = |object: &Value| {
            Some((object["uuid"].as_str()?.to_owned(), object["display_name"].as_str()?.to_owned()))
        };
        objects.iter().map(|object| name(object).ok_or_else(|| unclear(collection, object))).collect()
    }

    /// Where the topology stands.
    pub(crate) fn head(&self) -> Result<Head> {
        let shown = self.get("revision")?;
        let head = shown["store_id"].as_str().zip(shown["revision"].as_u64());
        let (store_id, revision) = head.ok_or_else(|| unclear("revision", &shown))?;
        Ok(Head { store_id: store_id.to_owned(), revision })
    }

    fn get(&self, path: &str) -> Result<Value> {
        let failed = |error: ureq::Error| unclear(path, &Value::String(error.to_string()));
        let mut response = self.agent.get(format!("{}/{path}", self.base)).call().map_err(failed)?;
        response.body_mut().with_config().limit(u64::MAX).read_json().map_err(failed)
    }
}
