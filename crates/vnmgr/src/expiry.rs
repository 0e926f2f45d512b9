//! Expiry: has the writer release and delete IP leases whose time is over.
//!
//! Since when a lease is kept is in the topology, so nothing is to be remembered here: whoever starts finds the next
//! time in it, and does what came due while nobody ran.

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use topology::ip_retention_container::next_due;

use crate::plan::Task;
use crate::state::HeadReceiver;
use crate::writer::{WriteError, Writer};

/// How long it looks away after each look. Times are in seconds, and the topology may change a thousand times in one.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest sleep. Clocks of the day are set, and this is how late that may be noticed.
const LONGEST: Duration = Duration::from_secs(60);

/// Runs until `stop`, or until the writer has ended.
pub async fn run(mut head: HeadReceiver, writer: Writer, stop: CancellationToken) {
    let watch = async {
        loop {
            let due = next_due(&head.borrow_and_update().topology);
            if due.is_some_and(|due| due <= Timestamp::now()) {
                match writer.submit(Task::Expire).await {
                    Err(WriteError::Stopping) => return,
                    Err(error) => tracing::error!(%error, "leases that are over cannot be released"),
                    Ok(_) => {}
                }
            }
            tokio::time::sleep(PAUSE).await;
            let due = next_due(&head.borrow_and_update().topology);
            tokio::select! {
                changed = head.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(until(due)) => {}
            }
        }
    };
    tokio::select! {
        () = watch => {}
        () = stop.cancelled() => {}
    }
}

/// How long it is until then.
fn until(due: Option<Timestamp>) -> Duration {
    let left = due.map(|due| Timestamp::now().duration_until(due));
    let left = left.map(|left| Duration::try_from(left).unwrap_or_default());
    left.map_or(LONGEST, |left| left.min(LONGEST))
}
