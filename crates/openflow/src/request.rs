//! Questions and commands in one call each.

use std::vec::IntoIter;

use thiserror::Error;

use crate::connection::Connection;
use crate::session::{Covered, RequestError};
use crate::{
    BundleControl, BundleControlKind, BundleFlags, BundleId, ErrorMessage, Features, FlowEntry, FlowMod,
    FlowMonitor, FlowSelection, FlowUpdate, Group, GroupId, GroupMod, Message, Meter, MeterId,
    MultipartReply, MultipartRequest, OfPort, PacketOut, PortDesc, SwitchDesc, TlvTable, Xid,
};

/// Items of a bundle that are sent before the switch is waited for: about 100 KiB of flows.
const BUNDLE_CHUNK: usize = 1000;

/// One change of a bundle. Open vSwitch takes no meters in bundles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleItem {
    /// Changes flows.
    Flow(FlowMod),
    /// Changes groups.
    Group(GroupMod),
    /// Sends a packet once all before it is done.
    PacketOut(PacketOut),
}

impl From<BundleItem> for Message {
    fn from(item: BundleItem) -> Self {
        match item {
            BundleItem::Flow(command) => Self::FlowMod(command),
            BundleItem::Group(command) => Self::GroupMod(command),
            BundleItem::PacketOut(packet) => Self::PacketOut(packet),
        }
    }
}

/// Why a bundle was not done: nothing of it, unless it was committed at once.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BundleError {
    /// The switch refused one of its items.
    #[error("item {index}: {error}")]
    Item {
        /// Which item.
        index: usize,
        /// What the switch says.
        error: ErrorMessage,
    },
    /// One of its items does not fit a message.
    #[error("item {index} cannot be sent")]
    Encode {
        /// Which item.
        index: usize,
        /// Why.
        #[source]
        error: crate::EncodeError,
    },
    /// The bundle as a whole failed. If the time was over or the connection ended, whether it was done is not known.
    #[error("the bundle failed")]
    Whole(#[from] RequestError),
}

impl Connection {
    /// What the switch can do, and its number.
    ///
    /// # Errors
    /// See [`Connection::request`]; so for all that follow.
    pub async fn features(&self) -> Result<Features, RequestError> {
        match self.request(&Message::FeaturesRequest).await?.as_slice() {
            [Message::FeaturesReply(features)] => Ok(*features),
            _ => Err(RequestError::Unexpected),
        }
    }

    /// Waits until the switch is through with all before.
    ///
    /// # Errors
    /// See [`Connection::request`].
    pub async fn barrier(&self) -> Result<(), RequestError> {
        self.send_all(&[]).await.map(|_| ())
    }

    /// Asks, and returns all parts of the answer.
    ///
    /// # Errors
    /// See [`Connection::request`].
    pub async fn ask(&self, question: MultipartRequest) -> Result<Vec<MultipartReply>, RequestError> {
        let answer = self.request(&Message::MultipartRequest(question)).await?;
        let parts = answer.into_iter().map(|message| match message {
            Message::MultipartReply { reply, .. } => Ok(reply),
            _ => Err(RequestError::Unexpected),
        });
        parts.collect()
    }

    /// Asks, and joins the parts of the answer.
    async fn list<T>(
        &self,
        question: MultipartRequest,
        pick: impl Fn(MultipartReply) -> Option<Vec<T>>,
    ) -> Result<Vec<T>, RequestError> {
        let mut items = Vec::new();
        for part in self.ask(question).await? {
            items.extend(pick(part).ok_or(RequestError::Unexpected)?);
        }
        Ok(items)
    }

    /// Who the switch is.
    ///
    /// # Errors
    /// See [`Connection::request`].
    pub async fn description(&self) -> Result<SwitchDesc, RequestError> {
        match self.ask(MultipartRequest::Desc).await?.pop() {
            Some(MultipartReply::Desc(desc)) => Ok(desc),
            _ => Err(RequestError::Unexpected),
        }
    }

    /// The flows of all tables, or those that a selection finds.
    ///
    /// # Errors
    /// See [`Connection::request`].
    pub async fn flows(&self, selection: FlowSelection) -> Result<Vec<FlowEntry>, RequestError> {
        self.list(MultipartRequest::Flows(selection), |part| match part {
            MultipartReply::Flows(flows) => Some(flows),
            _ => None,
        })
        .await
    }

    /// All groups.
    ///
    /// # Errors
    /// See [`Connection::request`].
    pub async fn groups(&self) -> Result<Vec<Group>, RequestError> {
        self.list(MultipartRequest::Groups(GroupId::ALL), |part| match part {
            MultipartReply::Groups(groups) => Some(groups),
            _ => None,
        })
        .await
    }

    /// All meters.
    ///
    /// # Errors
    /// See [`Connection::request`].
    pub async fn meters(&self) -> Result<Vec<Meter>, RequestError> {
        self.list(MultipartRequest::Meters(MeterId::ALL), |part| match part {
            MultipartReply::Meters(meters) => Some(meters),
            _ => None,
        })
        .await
    }

    /// All ports.
    ///
    /// # Errors
    /// See [`Connection::request`].
    pub async fn ports(&self) -> Result<Vec<PortDesc>, RequestError> {
        self.list(MultipartRequest::Ports(OfPort::ANY), |part| match part {
            MultipartReply::Ports(ports) => Some(ports),
            _ => None,
        })
        .await
    }

    /// Begins a flow monitor. Returns the flows that are there, if it is to tell them; what changes comes as
    /// [`Event::FlowUpdates`](crate::Event::FlowUpdates).
    ///
    /// # Errors
    /// See [`Connection::request`].
    pub async fn monitor_flows(&self, monitor: FlowMonitor) -> Result<Vec<FlowUpdate>, RequestError> {
        self.list(MultipartRequest::FlowMonitor(monitor), |part| match part {
            MultipartReply::FlowUpdates(updates) => Some(updates),
            _ => None,
        })
        .await
    }

    /// The table of tunnel options.
    ///
    /// # Errors
    /// See [`Connection::request`].
    pub async fn tlv_table(&self) -> Result<TlvTable, RequestError> {
        match self.request(&Message::TlvTableRequest).await?.pop() {
            Some(Message::TlvTableReply(table)) => Ok(table),
            _ => Err(RequestError::Unexpected),
        }
    }

    /// Sends one message that has no reply, and waits until the switch is through with it.
    ///
    /// # Errors
    /// If the switch refuses it; else see [`Connection::request`].
    pub async fn send(&self, message: Message) -> Result<(), RequestError> {
        let errors = self.send_all(&[message]).await?;
        errors.into_iter().next().map_or(Ok(()), |(_, error)| Err(RequestError::Refused(error)))
    }

    /// Has the switch treat a packet.
    ///
    /// # Errors
    /// If the switch refuses it; else see [`Connection::request`].
    pub async fn packet_out(&self, packet: PacketOut) -> Result<(), RequestError> {
        self.send(Message::PacketOut(packet)).await
    }

    /// Does all of the items in their order, or none of them. Packets meet the state before or after, never between.
    ///
    /// The switch is waited for every so many items, so that no number of them fills a queue.
    ///
    /// # Errors
    /// The first item that the switch refused, or why the bundle as a whole failed.
    pub async fn bundle(&self, items: Vec<BundleItem>) -> Result<(), BundleError> {
        self.bundle_but(items, 0).await
    }

    /// As [`Connection::bundle`], and commits with the last items: the switch wakes up once for both. Should it refuse an
    /// item, it does the others all the same. So this is for items that it takes: see [`Shape`](crate::Shape).
    ///
    /// # Errors
    /// As for [`Connection::bundle`].
    pub async fn bundle_at_once(&self, items: Vec<BundleItem>) -> Result<(), BundleError> {
        self.bundle_but(items, BUNDLE_CHUNK).await
    }

    /// Waits until the switch has taken all but the last items, before it sends these and commits.
    async fn bundle_but(&self, items: Vec<BundleItem>, last: usize) -> Result<(), BundleError> {
        let count = u32::try_from(items.len()).map_err(|_| RequestError::TooLong)?;
        if count == 0 {
            return Ok(());
        }
        // The first item opens it.
        let all = Covered { first: self.reserve(count).0, count };
        let bundle = BundleId(all.first);
        let done = self.fill_and_commit(bundle, items.into_iter(), last, all).await;
        if done.is_err() {
            // If it is still there, it is of no use any more. If the connection is gone, so is the bundle.
            let discard = BundleControlKind::DiscardRequest;
            self.bundle_control(bundle, discard, Vec::new(), Covered::default()).await.ok();
        }
        done
    }

    /// A switch commits what it has taken, whatever it has refused.
    async fn fill_and_commit(
        &self,
        bundle: BundleId,
        mut items: IntoIter<BundleItem>,
        last: usize,
        all: Covered,
    ) -> Result<(), BundleError> {
        while let more @ 1.. = items.len().saturating_sub(last) {
            let messages = bundled(bundle, &mut items, more.min(BUNDLE_CHUNK), all)?;
            if let Some((index, error)) = self.fence(messages, all).await?.into_iter().next() {
                return Err(BundleError::Item { index, error });
            }
        }
        let messages = bundled(bundle, &mut items, last, all)?;
        self.bundle_control(bundle, BundleControlKind::CommitRequest, messages, all).await
    }

    /// Sends a request about a bundle, right after other bytes.
    async fn bundle_control(
        &self,
        bundle: BundleId,
        kind: BundleControlKind,
        mut bytes: Vec<u8>,
        covered: Covered,
    ) -> Result<(), BundleError> {
        let control = BundleControl { bundle, kind, flags: BundleFlags::ATOMIC_ORDERED };
        let xid = self.reserve(1);
        bytes.extend(Message::BundleControl(control).encode(xid).map_err(RequestError::Encode)?);
        let (result, errors) = match self.submit(bytes, xid, covered).await {
            Ok(answer) => (Ok(()), answer.errors),
            Err((error, errors)) => (Err(error), errors),
        };
        match errors.into_iter().next() {
            Some((index, error)) => Err(BundleError::Item { index, error }),
            None => result.map_err(BundleError::Whole),
        }
    }
}

/// Writes the next items, at most so many.
fn bundled(
    bundle: BundleId,
    items: &mut IntoIter<BundleItem>,
    most: usize,
    all: Covered,
) -> Result<Vec<u8>, BundleError> {
    let left = u32::try_from(items.len()).map_err(|_| RequestError::TooLong)?;
    let done = all.count.saturating_sub(left);
    let message = |item| {
        let message = Box::new(Message::from(item));
        Message::BundleAdd { bundle, flags: BundleFlags::ATOMIC_ORDERED, message }
    };
    let messages = items.take(most).map(message);
    Message::encode_all(messages, Xid(all.first.wrapping_add(done))).map_err(|(index, error)| {
        let done = usize::try_from(done).unwrap_or(usize::MAX);
        BundleError::Encode { index: done.saturating_add(index), error }
    })
}
