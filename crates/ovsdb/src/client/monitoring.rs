//! Monitors of a client.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Client, QueryError};
use crate::connection::{Command, Notification, RpcError, ServerError, Topic};
use crate::monitor::{MonitorRequest, TableUpdates, conditions_json};
use crate::operation::Condition;
use crate::schema::DatabaseSchema;
use crate::value::{DecodeError, Uuid};

impl Client {
    /// Starts monitoring with `monitor_cond_since` (`ovsdb-server(7)`, section 4.1.15), or `monitor_cond` if the server
    /// does not know it. `since` is the last transaction whose outcome the caller has.
    ///
    /// # Errors
    /// The server refused, or the answer does not fit `schema`.
    pub async fn monitor(
        &self,
        schema: &Arc<DatabaseSchema>,
        request: MonitorRequest,
        since: Option<Uuid>,
    ) -> Result<Monitor, QueryError> {
        let name = format!("monitor-{}", self.next_id.fetch_add(1, Ordering::Relaxed));
        let topic = Topic::Monitor(name.clone());
        let mut params = vec![json!(schema.name), json!(name), request.to_json()];
        params.push(json!(since.unwrap_or(Uuid::ZERO).to_string()));
        let (result, updates) = match self.subscribe("monitor_cond_since", &params, topic.clone()).await {
            Err(RpcError::Refused(error)) if error.error == "unknown method" => {
                params.pop();
                let (initial, updates) = self.subscribe("monitor_cond", &params, topic).await?;
                (json!([false, Uuid::ZERO.to_string(), initial]), updates)
            }
            answer => answer?,
        };
        let mut monitor = Monitor {
            client: self.clone(),
            name,
            schema: schema.clone(),
            request,
            updates,
            initial: Initial::default(),
        };
        monitor.initial = monitor.decode_initial(&result)?;
        Ok(monitor)
    }
}

/// A monitor of one connection.
#[derive(Debug)]
pub struct Monitor {
    client: Client,
    name: String,
    schema: Arc<DatabaseSchema>,
    request: MonitorRequest,
    updates: mpsc::Receiver<Notification>,
    initial: Initial,
}

/// What a monitor starts with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Initial {
    /// Whether `updates` continue from the transaction asked for. If not, they are everything there is.
    pub resumed: bool,
    /// The rows, or what became of them since.
    pub updates: TableUpdates,
}

impl Monitor {
    /// What the monitor started with. Leaves nothing behind.
    pub fn take_initial(&mut self) -> Initial {
        std::mem::take(&mut self.initial)
    }

    /// The next update.
    ///
    /// # Errors
    /// The connection ended, the server gave the monitor up (refused as "monitor canceled"), or the update does not fit
    /// the schema.
    pub async fn next(&mut self) -> Result<TableUpdates, QueryError> {
        match self.updates.recv().await {
            Some((method, params)) => self.decode_update(&method, &params),
            None => Err(RpcError::Closed(self.client.closed().await).into()),
        }
    }

    /// Changes which rows of `table` are monitored: those that meet any of the conditions, or all rows for `None`. The
    /// rows that come in or go out by it arrive as updates (`ovsdb-server(7)`, section 4.1.13).
    ///
    /// # Errors
    /// The server refused, or the connection ended.
    pub async fn change_conditions(
        &mut self,
        table: &str,
        any_of: Option<Vec<Condition>>,
    ) -> Result<(), RpcError> {
        let change = json!({ table: [{"where": conditions_json(any_of.as_deref())}] });
        self.client.call("monitor_cond_change", json!([self.name, self.name, change])).await?;
        self.request = std::mem::take(&mut self.request).rows(table, any_of);
        Ok(())
    }

    /// Ends the monitor and leaves the connection open (RFC 7047, section 4.1.7).
    ///
    /// # Errors
    /// The server refused, or the connection ended.
    pub async fn cancel(self) -> Result<(), RpcError> {
        self.client.send(Command::Unsubscribe { topic: Topic::Monitor(self.name.clone()) }).await?;
        self.client.call("monitor_cancel", json!([self.name])).await.map(drop)
    }

    /// Reads `[found, last-txn-id, table-updates2]`.
    fn decode_initial(&self, result: &Value) -> Result<Initial, DecodeError> {
        match result.as_array().map(Vec::as_slice) {
            Some([Value::Bool(resumed), Value::String(transaction), updates]) => {
                Ok(Initial { resumed: *resumed, updates: self.decode(updates, transaction)? })
            }
            _ => Err(DecodeError::new("the start of a monitor", result)),
        }
    }

    fn decode_update(&self, method: &str, params: &[Value]) -> Result<TableUpdates, QueryError> {
        match (method, params) {
            ("update2", [_, updates]) => Ok(self.decode(updates, "")?),
            ("update3", [_, Value::String(transaction), updates]) => Ok(self.decode(updates, transaction)?),
            ("monitor_canceled", _) => {
                let error = ServerError { error: "monitor canceled".to_owned(), details: None };
                Err(RpcError::Refused(error).into())
            }
            _ => Err(DecodeError::new("an update", &json!(params)).into()),
        }
    }

    fn decode(&self, updates: &Value, transaction: &str) -> Result<TableUpdates, DecodeError> {
        // A server without transaction history sends zeros.
        let transaction = transaction.parse().ok().filter(|uuid| *uuid != Uuid::ZERO);
        TableUpdates::from_json(updates, transaction, &self.request, &self.schema)
    }
}
