//! Transactions of a client.

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Client, encode};
use crate::connection::{Command, Reply, RpcError};
use crate::operation::{Operation, OperationResult, TransactError, decode_results};

impl Client {
    /// Does all of `operations`, or nothing (RFC 7047, section 4.1.3).
    ///
    /// # Errors
    /// An operation or the commit failed, or no answer came. After [`RpcError::Closed`] the transaction may have happened.
    pub async fn transact(
        &self,
        database: &str,
        operations: &[Operation],
    ) -> Result<Vec<OperationResult>, TransactError> {
        self.start_transaction(database, operations).await?.outcome().await
    }

    /// Sends a transaction without waiting for its outcome: one that waits for rows can then be cancelled.
    ///
    /// # Errors
    /// The transaction was not sent.
    pub async fn start_transaction(
        &self,
        database: &str,
        operations: &[Operation],
    ) -> Result<PendingTransaction, RpcError> {
        let mut params = vec![json!(database)];
        params.extend(operations.iter().map(Operation::to_json));
        let (id, reply) = self.start("transact", &Value::from(params), None).await?;
        let operations = operations.iter().map(Operation::name).collect();
        Ok(PendingTransaction { client: self.clone(), id, reply, operations })
    }
}

/// A transaction on its way.
#[derive(Debug)]
pub struct PendingTransaction {
    client: Client,
    id: u64,
    reply: oneshot::Receiver<Reply>,
    operations: Vec<&'static str>,
}

impl PendingTransaction {
    /// Waits for the outcome.
    ///
    /// # Errors
    /// As [`Client::transact`].
    pub async fn outcome(self) -> Result<Vec<OperationResult>, TransactError> {
        decode_results(&self.operations, &self.client.reply(self.reply).await?)
    }

    /// Has the server give the transaction up (RFC 7047, section 4.1.4). `None` if it did; the results if it was too late.
    ///
    /// # Errors
    /// As [`Client::transact`].
    pub async fn cancel(mut self) -> Result<Option<Vec<OperationResult>>, TransactError> {
        let message = encode(&json!({"method": "cancel", "params": [self.id], "id": null}))?;
        self.client.send(Command::Notify { message }).await?;
        // The reply to a cancelled request should be the error "canceled". `ovsdb-server` 3.1 sends none, but takes requests
        // in order: once it has answered another, there is nothing more to come for this one.
        self.client.call("echo", json!([])).await?;
        match self.reply.try_recv() {
            Ok(Err(RpcError::Refused(error))) if error.error == "canceled" => Ok(None),
            Ok(reply) => decode_results(&self.operations, &reply?).map(Some),
            Err(_) => {
                self.client.send(Command::Forget { id: self.id }).await?;
                Ok(None)
            }
        }
    }
}
