//! Locks of a client.

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Client, QueryError};
use crate::connection::{Command, Notification, RpcError, Topic};
use crate::value::DecodeError;

impl Client {
    /// Asks for a lock, to be granted when its owner gives it up (RFC 7047, section 4.1.8).
    ///
    /// # Errors
    /// The server refused, or the connection ended.
    pub async fn lock(&self, name: &str) -> Result<Lock, QueryError> {
        self.lock_by("lock", name).await
    }

    /// Takes a lock from whoever has it (RFC 7047, section 4.1.8).
    ///
    /// # Errors
    /// The server refused, or the connection ended.
    pub async fn steal(&self, name: &str) -> Result<Lock, QueryError> {
        self.lock_by("steal", name).await
    }

    async fn lock_by(&self, method: &str, name: &str) -> Result<Lock, QueryError> {
        let topic = Topic::Lock(name.to_owned());
        let (result, events) = self.subscribe(method, &[json!(name)], topic).await?;
        match result.get("locked").and_then(Value::as_bool) {
            Some(held) => Ok(Lock { client: self.clone(), name: name.to_owned(), held, events }),
            None => Err(DecodeError::new("whether the lock is held", &result).into()),
        }
    }
}

/// A lock asked for, and perhaps held.
#[derive(Debug)]
pub struct Lock {
    client: Client,
    name: String,
    held: bool,
    events: mpsc::Receiver<Notification>,
}

/// What became of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockEvent {
    /// It is ours now (RFC 7047, section 4.1.9).
    Locked,
    /// Another client took it from us (RFC 7047, section 4.1.10).
    Stolen,
}

impl Lock {
    /// Whether the lock was held as of the last event taken.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// The next thing that becomes of the lock.
    ///
    /// # Errors
    /// The connection ended, and any lock with it.
    pub async fn next(&mut self) -> Result<LockEvent, RpcError> {
        match self.events.recv().await {
            Some((method, _)) => {
                self.held = method == "locked";
                Ok(if self.held { LockEvent::Locked } else { LockEvent::Stolen })
            }
            None => Err(RpcError::Closed(self.client.closed().await)),
        }
    }

    /// Gives the lock up, or the wait for it (RFC 7047, section 4.1.8).
    ///
    /// # Errors
    /// The server refused, or the connection ended.
    pub async fn unlock(self) -> Result<(), RpcError> {
        self.client.send(Command::Unsubscribe { topic: Topic::Lock(self.name.clone()) }).await?;
        self.client.call("unlock", json!([self.name])).await.map(drop)
    }
}
