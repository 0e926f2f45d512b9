//! Agents: what the protocol between manager and agents needs of the manager.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use sync::Line;
use sync::manager::{Head, JoinError, Manager, RegisterError, SessionId};
use tokio::sync::watch;
use topology::binding::{PortChange, PortReport, Refusal, SeenPort, SeenPorts};
use topology::datapath::Registration;
use topology::underlay::UnderlayAddress;
use topology::{DatapathId, Error, NodeId, ObjectRef, Revision};

use crate::hosts::Hosts;
use crate::plan::Task;
use crate::questions::Lines;
use crate::state::HeadReceiver;
use crate::writer::{WriteError, Writer};

/// The manager, as agents see it.
#[derive(Clone)]
pub struct Agents {
    /// Sees the published topology.
    pub head: HeadReceiver,
    /// Makes changes.
    pub writer: Writer,
    /// Keeps what hosts say.
    pub hosts: Arc<Hosts>,
    /// Keeps the ways to ask them.
    pub lines: Arc<Lines>,
}

impl Agents {
    /// Warns of what a host shows now and may not, once.
    fn warn_of_refusals(&self, datapath: &DatapathId, changes: &[PortChange]) {
        let topology = self.head.borrow().topology.clone();
        let refusal = |port: &Arc<SeenPort>| SeenPorts::refusal(&topology, datapath, port);
        let before = changes.iter().filter_map(|change| refusal(change.before.as_ref()?));
        let known: BTreeSet<_> = before.map(|refusal| refusal.interface).collect();
        for change in changes {
            if let Some(Refusal { interface, reason }) = change.after.as_ref().and_then(refusal)
                && !known.contains(&interface)
            {
                tracing::warn!(%datapath, %interface, reason, "a host shows a port that is refused");
            }
        }
    }

    /// A host that was installed anew takes the address of its former self over; one that is connected is not its former
    /// self, and keeps what it has.
    fn address_is_free(&self, registration: &Registration) -> Result<(), Error> {
        let node = &registration.node_id;
        let topology = self.head.borrow().topology.clone();
        let hosts = self.hosts.read();
        let taken = registration.addresses().find_map(|UnderlayAddress { address, .. }| {
            let at = topology.datapaths_at(&address).into_iter();
            let mut others = at.filter_map(|id| topology.datapaths().get(&id));
            let other = others.find(|other| other.node_id != *node && hosts.is_connected(&other.uuid));
            other.map(|other| (address, other))
        });
        taken.map_or(Ok(()), |(address, other)| {
            let reason =
                format!("{address} belongs to {} of {}, which is connected", other.uuid, other.node_id);
            tracing::warn!(%node, reason, "a host cannot register");
            Err(Error::duplicate("underlay_address", reason))
        })
    }
}

impl Manager for Agents {
    fn head(&self) -> watch::Receiver<Arc<Head>> {
        self.head.clone()
    }

    fn redeem(&self, digest: String, node: NodeId) -> BoxFuture<'_, Result<(), JoinError>> {
        async move {
            match self.writer.submit(Task::Redeem { digest, node: node.clone() }).await {
                Ok(_) => {
                    tracing::info!(%node, "a host joins");
                    Ok(())
                }
                Err(WriteError::Refused(refused)) => Err(refused.error.into()),
                Err(unavailable) => Err(JoinError::Unavailable(unavailable.to_string())),
            }
        }
        .boxed()
    }

    fn register(&self, registration: Registration) -> BoxFuture<'_, Result<DatapathId, RegisterError>> {
        async move {
            self.address_is_free(&registration)?;
            let plan = match self.writer.submit(Task::Register(registration)).await {
                Ok(plan) => plan,
                Err(WriteError::Refused(refused)) => return Err(refused.error.into()),
                Err(unavailable) => return Err(RegisterError::Unavailable(unavailable.to_string())),
            };
            match plan.subjects.into_iter().next() {
                Some(ObjectRef::Datapath(datapath)) => Ok(datapath),
                _ => unreachable!("a registration is about its datapath"),
            }
        }
        .boxed()
    }

    fn connected(&self, datapath: DatapathId, session: SessionId, line: Line) {
        tracing::info!(%datapath, session = session.0, "an agent is connected");
        self.lines.opened(datapath.clone(), session.0, line);
        self.hosts.connected(datapath, session.0, Timestamp::now());
    }

    fn disconnected(&self, datapath: DatapathId, session: SessionId) {
        tracing::info!(%datapath, session = session.0, "an agent is disconnected");
        self.lines.closed(&datapath, session.0);
        let head = self.head.borrow().clone();
        self.hosts.disconnected(&datapath, session.0, &head.topology, Timestamp::now());
    }

    fn ports(&self, datapath: DatapathId, report: PortReport) -> BoxFuture<'_, ()> {
        async move {
            let reported = self.hosts.report(&datapath, report, Timestamp::now());
            self.warn_of_refusals(&datapath, &reported.changes);
            // When the store does not take the bindings, the writer tries again by itself.
            if let Err(error) = self.writer.submit(Task::Bind(datapath.clone(), reported)).await {
                tracing::warn!(%datapath, %error, "bindings wait to be stored");
            }
        }
        .boxed()
    }

    fn realized(&self, datapath: DatapathId, revision: Revision) {
        let head = self.head.borrow().topology.revision();
        self.hosts.realized(&datapath, revision, head, Timestamp::now());
    }
}
