//! The switch as the reconciler needs it: read as a program, changed by differences.
//!
//! # Whole or not at all
//! A switch that refuses one item of a bundle commits the others when it is told to. So it is waited for before it is, unless
//! it has taken the like of every item on this connection, and of every meter: then meters, items and commit are written
//! together, and the switch wakes up once for them. What it may still refuse is a meter for which it has no more room, and a flow
//! of a group or meter that is not there, as when somebody else has taken it away and with it the flows that used it: such a
//! switch is read anew, as after every refusal.

use std::collections::HashSet;
use std::error::Error;
use std::iter::successors;

use dataplane::layout::{
    FRAGMENT_HANDLING, NEIGHBOUR, OPTION_BYTES, OPTION_CLASS, OPTION_INDEX, OPTION_TYPE,
};
use dataplane::{Delta, FlowKey, Program};
use openflow::{
    Action, AsyncConfig, BundleError, BundleItem, CloseReason, Config, ConnectError, Connection, Cookie,
    Endpoint, Event, Events, Field, Flow, FlowMod, FlowSelection, Instructions, Match, Message, MeterMod,
    PacketIn, PacketOut, RequestError, Shape, SwitchConfig, TableId, TlvMapping, TlvTableMod,
};
use sha2::{Digest, Sha256};
use sync::Replica;
use topology::Revision;
use tracing::{debug, warn};

use crate::neighbours::{Effect, Known};

/// The tunnel option, as the switch's table of options has it.
const OPTION: TlvMapping =
    TlvMapping { class: OPTION_CLASS, kind: OPTION_TYPE, bytes: OPTION_BYTES, index: OPTION_INDEX as u16 };

/// A table that no flow leads to.
pub(crate) const UNREACHED: TableId = TableId(253);

/// Priority of the flow there whose cookie is the revision that the tables were last changed to. What it would write to
/// [`MARK_STORE`] tells that revision's store from others.
const MARK: u16 = 1;

/// See [`MARK`].
const MARK_STORE: Field = Field::Xreg(0);

/// Most shapes that are remembered. Beyond them the switch is asked anew.
const MOST_SHAPES: usize = 4096;

/// Packet-ins of `controller` actions (OpenFlow 1.5.1, section 7.3.10: `OFPR_APPLY_ACTION`).
const PACKET_INS: u32 = 1 << 1;

/// Why the switch is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// It cannot be reached.
    #[error("no connection to the switch")]
    Connect(#[from] ConnectError),
    /// The connection has ended.
    #[error("the connection to the switch has ended")]
    Closed(#[from] CloseReason),
    /// It does not answer, or refuses a question.
    #[error("a request to the switch failed")]
    Request(#[from] RequestError),
    /// It refuses a change.
    #[error("the switch refuses {item}")]
    Bundle {
        /// Which flow or group, as `ovs-ofctl(8)` writes it.
        item: String,
        /// Why.
        #[source]
        error: BundleError,
    },
    /// It refuses a meter.
    #[error("the switch refuses {change:?}")]
    Meter {
        /// Which, and what for.
        change: MeterMod,
        /// Why.
        #[source]
        error: RequestError,
    },
    /// Somebody else's tunnel option is where ours should be.
    #[error("tunnel option {OPTION_INDEX} of the switch is in use for another class or type")]
    OptionTaken,
}

impl SwitchError {
    /// Whether the connection has ended, be it while something was asked.
    pub fn is_end(&self) -> bool {
        let first: &dyn Error = self;
        successors(Some(first), |&error| error.source()).any(|error| error.is::<CloseReason>())
    }
}

/// What the switch has.
#[derive(Debug)]
pub struct Found {
    /// Its flows, groups and meters.
    pub program: Program,
    /// What they were last changed to; `None` if no agent has changed them.
    pub mark: Option<Mark>,
    /// Whom it knows on the wires of physical networks.
    pub neighbours: Vec<Known>,
}

/// Says in a switch which revision of which store its tables stand for, to an agent that starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The revision.
    pub revision: Revision,
    /// 64 bits of a digest of the store's id.
    store: u64,
}

impl Mark {
    /// The mark of tables that are made equal to a replica.
    pub fn of(replica: &Replica) -> Self {
        let digest = Sha256::digest(&replica.store_id);
        let store = digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        Self { revision: replica.topology.revision(), store }
    }

    /// Whether both are revisions of one store.
    pub fn is_of_store_of(&self, other: &Self) -> bool {
        self.store == other.store
    }

    fn find(notes: &[Flow]) -> Option<Self> {
        let flow = notes.iter().find(|flow| flow.priority == MARK)?;
        let [Action::SetField(store)] = flow.instructions.apply.as_slice() else { return None };
        Some(Self { revision: Revision(flow.cookie.0), store: u64::try_from(store.value()).ok()? })
    }

    fn flow(self) -> Flow {
        let store = vec![Action::set_field(MARK_STORE, self.store)];
        Flow::new(UNREACHED, MARK, Match::new(), store).with_cookie(Cookie(self.revision.0))
    }
}

/// A connection to the bridge.
#[derive(Debug)]
pub struct Switch {
    connection: Connection,
    events: Events,
    /// Of what the switch has taken.
    shapes: HashSet<Shape>,
}

/// What the switch says by itself.
#[derive(Debug)]
pub enum SwitchEvent {
    /// A packet for the agent.
    PacketIn(Box<PacketIn>),
    /// The connection has ended.
    Closed(SwitchError),
}

impl Switch {
    /// Connects, and makes sure of what flows refer to and no program holds: the tunnel option.
    pub async fn connect(target: &Endpoint) -> Result<Self, SwitchError> {
        let subscribe = AsyncConfig {
            packet_in: Some(PACKET_INS),
            port_status: Some(0),
            flow_removed: Some(0),
            role_status: None,
        };
        let config = Config { subscribe: Some(subscribe), ..Config::default() };
        let (connection, events) = Connection::connect(target, config).await?;
        let switch = Self { connection, events, shapes: HashSet::new() };
        // After the library's own, which leaves fragments to the switch's default.
        let settings = SwitchConfig { flags: FRAGMENT_HANDLING, miss_send_length: u16::MAX };
        switch.connection.send(Message::SetConfig(settings)).await?;
        switch.ensure_option().await?;
        Ok(switch)
    }

    async fn ensure_option(&self) -> Result<(), SwitchError> {
        let table = self.connection.tlv_table().await?;
        match table.mappings.iter().find(|mapping| mapping.index == OPTION.index) {
            Some(found) if *found == OPTION => Ok(()),
            Some(_) => Err(SwitchError::OptionTaken),
            None => Ok(self.connection.send(Message::TlvTableMod(TlvTableMod::Add(vec![OPTION]))).await?),
        }
    }

    /// Reads what the switch has.
    pub async fn read(&self) -> Result<Found, SwitchError> {
        let entries = self.connection.flows(FlowSelection::default()).await?;
        let groups = self.connection.groups().await?;
        let meters = self.connection.meters().await?;
        let (neighbours, entries): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.flow.table == NEIGHBOUR);
        let (notes, flows): (Vec<_>, Vec<_>) =
            entries.into_iter().map(|entry| entry.flow).partition(|flow| flow.table == UNREACHED);
        let program = Program {
            flows: flows.into_iter().map(|flow| (FlowKey::from(&flow), flow)).collect(),
            groups: groups.into_iter().map(|group| (group.id, group)).collect(),
            meters: meters.into_iter().map(|meter| (meter.id, meter)).collect(),
        };
        let neighbours = neighbours.iter().filter_map(Known::of).collect();
        Ok(Found { program, mark: Mark::find(&notes), neighbours })
    }

    /// Makes a difference, all flows and groups of it and the mark at once, and waits until the tables have it, as the answer
    /// to the commit says. A bundle takes no meters: new ones are there before it. Old ones go after it, and nobody waits for
    /// that.
    ///
    /// # Errors
    /// The switch refuses a part of it, and is to be read.
    pub async fn apply(&mut self, difference: &Delta, mark: Mark) -> Result<(), SwitchError> {
        let items = || {
            let mut items = difference.items();
            items.push(BundleItem::Flow(FlowMod::Add(mark.flow())));
            items
        };
        let blamed = |error| SwitchError::Bundle { item: blame(&items(), &error), error };
        let add = difference.add_meters.iter().cloned().map(MeterMod::Add);
        let meters: Vec<_> =
            add.chain(difference.modify_meters.iter().cloned().map(MeterMod::Modify)).collect();
        let bundle = items();
        let shapes = meters.iter().map(MeterMod::shape).chain(bundle.iter().map(BundleItem::shape));
        let new: HashSet<_> = shapes.filter(|shape| !self.shapes.contains(shape)).collect();
        if new.is_empty() {
            // Written together, the meters first.
            let metered = self.change_meters(&meters);
            let (metered, bundled) = tokio::join!(biased; metered, self.connection.bundle_at_once(bundle));
            metered?;
            bundled.map_err(blamed)?;
        } else {
            self.change_meters(&meters).await?;
            self.connection.bundle(bundle).await.map_err(blamed)?;
            self.remember(new);
        }
        let gone = difference.delete_meters.iter().copied().map(MeterMod::Delete).map(Message::MeterMod);
        Ok(self.connection.post(&gone.collect::<Vec<_>>()).await?)
    }

    fn remember(&mut self, new: HashSet<Shape>) {
        if self.shapes.len() + new.len() > MOST_SHAPES {
            self.shapes.clear();
        }
        self.shapes.extend(new);
    }

    async fn change_meters(&self, changes: &[MeterMod]) -> Result<(), SwitchError> {
        if changes.is_empty() {
            return Ok(());
        }
        let messages: Vec<_> = changes.iter().cloned().map(Message::MeterMod).collect();
        let mut refused = self.connection.send_all(&messages).await?.into_iter();
        match refused.next().and_then(|(index, error)| Some((changes.get(index)?.clone(), error))) {
            Some((change, error)) => Err(SwitchError::Meter { change, error: RequestError::Refused(error) }),
            None => Ok(()),
        }
    }

    /// Sends a packet.
    pub async fn packet_out(&self, packet: PacketOut) -> Result<(), SwitchError> {
        match self.connection.packet_out(packet).await {
            // The port went while its packet was being answered.
            Err(RequestError::Refused(error)) => {
                debug!(%error, "an answer was not sent");
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// Does what has come of questions for who is on a wire.
    pub async fn take(&self, effects: Vec<Effect>) -> Result<(), SwitchError> {
        if effects.is_empty() {
            return Ok(());
        }
        let message = |effect| match effect {
            Effect::Send(packet) => Message::PacketOut(packet),
            Effect::Learn(flow) => Message::FlowMod(FlowMod::Add(flow)),
            Effect::Forget(flow) => Message::FlowMod(FlowMod::delete_exactly(&flow)),
        };
        let messages: Vec<_> = effects.into_iter().map(message).collect();
        for (_, error) in self.connection.send_all(&messages).await? {
            debug!(%error, "what was found of a neighbour was not taken");
        }
        Ok(())
    }

    /// The connection, for those who need not wait for their turn.
    pub fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// The next thing the switch says by itself.
    pub async fn event(&mut self) -> SwitchEvent {
        loop {
            match self.events.next().await {
                Some(Event::PacketIn(packet)) => return SwitchEvent::PacketIn(packet),
                Some(Event::Error(xid, error)) => warn!(%xid, %error, "the switch reports an error"),
                Some(other) => debug!(?other, "the switch says"),
                None => return SwitchEvent::Closed(self.connection.closed().await.into()),
            }
        }
    }
}

/// Changes the tables without any effect: a flow comes and goes in a table that nothing leads to.
pub(crate) async fn nudge(connection: &Connection) -> Result<(), RequestError> {
    let flow = Flow::new(UNREACHED, 0, Match::new(), Instructions::drop());
    let gone = FlowMod::delete_exactly(&flow);
    let refused = connection.send_all(&[FlowMod::Add(flow), gone].map(Message::FlowMod)).await?;
    refused.into_iter().next().map_or(Ok(()), |(_, error)| Err(RequestError::Refused(error)))
}

/// What the switch refused, in words.
fn blame(items: &[BundleItem], error: &BundleError) -> String {
    let index = match error {
        BundleError::Item { index, .. } | BundleError::Encode { index, .. } => *index,
        BundleError::Whole(_) => return "the bundle".to_owned(),
    };
    match items.get(index) {
        Some(BundleItem::Flow(FlowMod::Add(flow))) => flow.to_string(),
        Some(other) => format!("{other:?}"),
        None => "the commit".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_again() {
        let mark = Mark { revision: Revision(7), store: u64::MAX - 3 };
        assert_eq!(Mark::find(&[mark.flow()]), Some(mark));
        assert_eq!(Mark::find(&[]), None);
        let other = Flow::new(UNREACHED, MARK, Match::new(), Instructions::drop());
        assert_eq!(Mark::find(&[other]), None);
    }

    #[test]
    fn a_connection_that_ends_has_ended_whatever_was_asked_meanwhile() {
        let check = |error: SwitchError, expected| assert_eq!(error.is_end(), expected, "{error:?}");
        let ended = || RequestError::Closed(CloseReason::Remote);
        let bundle = |error| SwitchError::Bundle { item: String::new(), error };
        check(CloseReason::Remote.into(), true);
        check(ended().into(), true);
        check(bundle(ended().into()), true);
        check(RequestError::Timeout.into(), false);
        check(bundle(RequestError::Unexpected.into()), false);
        check(SwitchError::OptionTaken, false);
    }
}
