//! Sends guests what routers tell unasked: see [`advertisements`](crate::advertisements).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openflow::{Action, OfPort, PacketOut};
use sync::Replica;
use tokio::sync::watch;
use tokio::time::Instant;
use topology::InterfaceId;
use tracing::debug;

use crate::advertisements::Advertisements;
use crate::answers::routers;
use crate::host::HostView;
use crate::reconciler::Installed;
use crate::until;

/// Least time between two looks at what there is to tell. Every look is at all guests of the host.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What there was to be looked at.
type Seen = (Arc<Replica>, BTreeMap<InterfaceId, OfPort>);

/// Tells guests of their routers, once the tables are as these want them, and as long as both ends of the channels live.
pub async fn run(
    mut installed: watch::Receiver<Option<Installed>>,
    mut host: watch::Receiver<Arc<HostView>>,
) {
    let epoch = Instant::now();
    let mut advertisements = Advertisements::new(rand::random());
    let mut seen: Option<Seen> = None;
    let (mut look, mut looked) = (None, None::<Instant>);
    loop {
        let next = advertisements.next().map(|next| epoch + next);
        let wake = [look, next].into_iter().flatten().min();
        tokio::select! {
            changed = installed.changed() => match changed {
                Ok(()) => look = look.or(Some(soonest(looked))),
                Err(_) => return,
            },
            changed = host.changed() => match changed {
                Ok(()) => look = look.or(Some(soonest(looked))),
                Err(_) => return,
            },
            () = until(wake) => {}
        }
        let Some(Installed { replica, switch, .. }) = installed.borrow_and_update().clone() else {
            look = None;
            continue;
        };
        let now = Instant::now();
        if look.is_some_and(|look| look <= now) {
            (look, looked) = (None, Some(now));
            let ports = host.borrow_and_update().local(&replica.topology, replica.datapath.clone()).ports;
            let is_new = seen.as_ref().is_none_or(|(of, old)| !Arc::ptr_eq(of, &replica) || *old != ports);
            if is_new {
                advertisements.update(routers(&ports, &replica.topology), epoch.elapsed());
                seen = Some((replica, ports));
            }
        }
        for (port, frame) in advertisements.due(epoch.elapsed()) {
            let packet = PacketOut::new(OfPort::CONTROLLER, vec![Action::output(port)], frame);
            if let Err(error) = switch.packet_out(packet).await {
                debug!(%error, %port, "a router advertisement was not sent");
            }
        }
    }
}

fn soonest(looked: Option<Instant>) -> Instant {
    let now = Instant::now();
    looked.map_or(now, |looked| now.max(looked + LOOK_INTERVAL))
}
