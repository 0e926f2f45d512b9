//! TCP connections that guests open to simulated interfaces, and what is said on them.
//!
//! ```text
//! packet-in ─> Streams ─segment─> line (responder::tcp::Connection) ─bytes─> service (dns, metadata)
//!                                   └── packet-out <─ frames
//! ```
//! Each connection has one task, with the guest's end in a pure stack and the service at the other end of a pipe.
//!
//! # What a guest can take
//! So many connections, each with buffers of a fixed size, for so long. No guest takes the place of another, until all hosts'
//! guests together take more than the agent has; then those that are there go on, and new ones are reset.

mod dns;
mod line;
mod metadata;
mod places;

use std::sync::Arc;
use std::time::Duration;

use openflow::Connection;
use responder::tcp::{self, Segment};
use sync::Replica;
use tokio::io::DuplexStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::debug;

use crate::answers::{Call, Line, Names, Service, asker};
use crate::forwarder::Forwarder;
use line::Wire;
use places::{Found, Places};

/// Longest life of a connection: whoever keeps one so long comes again.
const LONGEST: Duration = Duration::from_secs(300);

/// What fits between the stack and the service, in bytes and each way.
const PIPE: usize = 4096;

/// Carries connections.
#[derive(Clone, Debug)]
pub struct Streams {
    places: Places,
    services: Services,
    epoch: Instant,
}

/// What services need.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    replica: watch::Receiver<Option<Arc<Replica>>>,
    names: Names,
    forwarder: Forwarder,
}

impl Streams {
    /// Carries none yet.
    pub fn new(replica: watch::Receiver<Option<Arc<Replica>>>, names: Names, forwarder: Forwarder) -> Self {
        let services = Services { replica, names, forwarder };
        Self { places: Places::default(), services, epoch: Instant::now() }
    }

    /// Takes a segment that has come in by a switch. One of no connection that is known, and can be, is answered by a reset.
    pub(crate) fn take(&self, call: &Call, switch: &Connection) {
        let Some(segment) = Segment::parse(&call.frame) else { return };
        let opened = match self.places.find(call.line) {
            Found::Known(segments) => {
                // A queue that is full loses it, as any wire may, and the guest sends it again.
                segments.try_send(call.frame.clone()).ok();
                true
            }
            Found::Free(place) => {
                let connection = tcp::Connection::open(&segment, rand::random(), self.epoch.elapsed());
                let opened = connection.zip(place.take());
                opened.map(|(connection, taken)| self.open(connection, taken, call.line, switch)).is_some()
            }
            Found::Full => false,
        };
        if !opened {
            self.reset(call, switch.clone());
        }
    }

    fn open(&self, connection: tcp::Connection, place: places::Taken, line: Line, switch: &Connection) {
        let (near, far) = tokio::io::duplex(PIPE);
        let services = self.services.clone();
        let wire = Switched { switch: switch.clone(), line };
        let epoch = self.epoch;
        tokio::spawn(async move {
            let places::Taken { mut segments, held } = place;
            let carried = timeout(LONGEST, line::carry(connection, &mut segments, near, wire, epoch));
            let served = async {
                services.serve(line, far).await;
                // What was said last is still to be heard.
                std::future::pending::<()>().await
            };
            tokio::select! {
                ended = carried => debug!(?line, in_time = ended.is_ok(), "a connection has ended"),
                () = served => {}
            }
            drop(held);
        });
    }

    fn reset(&self, call: &Call, switch: Connection) {
        let Some((to, from)) = macs(&call.frame) else { return };
        let Some(reset) = responder::tcp_reset(&call.frame, to, from) else { return };
        let packet = call.line.packet_out(reset);
        tokio::spawn(async move {
            if let Err(error) = switch.packet_out(packet).await {
                debug!(%error, "a reset was not sent");
            }
        });
    }
}

impl Services {
    async fn serve(&self, line: Line, stream: DuplexStream) {
        match line.service {
            Service::Dns => dns::serve(stream, line.server, self).await,
            Service::Metadata => {
                let asker = || self.replica().and_then(|replica| asker(&line, &replica.topology));
                metadata::serve(stream, asker).await;
            }
        }
    }

    /// The newest replica.
    fn replica(&self) -> Option<Arc<Replica>> {
        self.replica.borrow().clone()
    }
}

/// Sends to a guest through the switch.
#[derive(Clone, Debug)]
struct Switched {
    switch: Connection,
    line: Line,
}

impl Wire for Switched {
    async fn send(&self, frame: Vec<u8>) -> bool {
        self.switch.packet_out(self.line.packet_out(frame)).await.is_ok()
    }
}

/// Destination and source address of a frame.
fn macs(frame: &[u8]) -> Option<([u8; 6], [u8; 6])> {
    Some((frame.get(..6)?.try_into().ok()?, frame.get(6..12)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use topology::{DatapathId, InterfaceKey};

    use super::*;
    use crate::fixture::{self, create};

    /// The key of the interface that [`services`] serve from.
    pub(super) const SERVER: InterfaceKey = InterfaceKey(2);

    /// A network with a guest and a server of names.
    pub(super) fn services() -> Services {
        let topology = fixture::topology([
            create(
                "networks",
                json!({"uuid": "nw-1", "ipv4_network": "10.0.1.0", "domain_name": "one.example"}),
            ),
            create(
                "interfaces",
                json!({"uuid": "if-guest", "network_uuid": "nw-1", "mac_address": "02:00:00:00:01:09",
                "ipv4_address": "10.0.1.9"}),
            ),
            create(
                "interfaces",
                json!({"uuid": "if-server", "mode": "simulated", "network_uuid": "nw-1",
                "mac_address": "02:00:00:00:01:53", "ipv4_address": "10.0.1.53"}),
            ),
            create("network_services", json!({"mode": "dns", "interface_uuid": "if-server"})),
        ]);
        assert_eq!(
            topology.interface_of_key(SERVER).map(|of| of.uuid.to_string()).as_deref(),
            Some("if-server")
        );
        let datapath = "dp-1".parse::<DatapathId>().expect("an id");
        let replica = Replica { store_id: String::new(), datapath, topology };
        let (_, replica) = watch::channel(Some(Arc::new(replica)));
        Services { replica, names: Names::default(), forwarder: Forwarder::default() }
    }
}
