//! When what is received is handed on.
//!
//! Each change costs the switch a look at all its ports, however small it is, and as long as it is changed it looks up no
//! packets. So news wait for those before them to be installed. Of a load, whose parts follow each other, more is waited
//! for: the longer the last part took, the more there will be. What somebody waits for is none of that.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::replica::Replica;

/// How long news wait at most for those before them to be installed: an agent without a switch keeps them on disk.
const PATIENCE: Duration = Duration::from_millis(100);

/// So many objects at once are part of a load: more are to come.
const BULK: usize = 100;

/// How many times as long as a part of a load took the next one waits for more of it.
const REST: u32 = 2;

/// When news are published: once the switch has those before them, and a while later in a load.
#[derive(Default)]
pub(super) struct Pace {
    /// What was published and is not installed yet.
    published: Option<Published>,
    /// Not before.
    rest: Option<Instant>,
}

struct Published {
    replica: Arc<Replica>,
    at: Instant,
    is_bulk: bool,
}

impl Pace {
    /// A replica with so many objects of news is published.
    pub(super) fn begin(&mut self, replica: Arc<Replica>, objects: usize) {
        self.published = Some(Published { replica, at: Instant::now(), is_bulk: objects >= BULK });
    }

    /// Whether the switch does not have yet what was published.
    pub(super) fn is_waited_for(&self) -> bool {
        self.published.is_some()
    }

    /// Returns once the switch has what was published.
    pub(super) async fn installed(&self, realized: &mut watch::Receiver<Option<Arc<Replica>>>) {
        let Some(Published { replica, .. }) = &self.published else { return };
        let is_it = |realized: &Replica| realized.state() == replica.state();
        // Its source is gone only with the agent.
        let _ = realized.wait_for(|realized| realized.as_deref().is_some_and(is_it)).await;
    }

    /// The switch has it.
    pub(super) fn rest(&mut self) {
        let bulk = self.published.take().filter(|published| published.is_bulk);
        self.rest = bulk.map(|published| Instant::now() + REST * published.at.elapsed());
    }

    /// When news of which the first came at `since` are published, as things are.
    pub(super) fn due(&self, since: Instant, is_awaited: bool) -> Instant {
        let latest = since + PATIENCE;
        match (&self.published, self.rest) {
            (Some(_), _) => latest,
            (None, Some(rest)) if !is_awaited => rest.min(latest),
            (None, _) => since,
        }
    }
}

/// Waits until then. A timer that is due already still takes its turn, of a millisecond.
pub(super) async fn reached(due: Instant) {
    if due > Instant::now() {
        sleep_until(due).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;
    use topology::Topology;

    use super::*;

    const STEP: Duration = Duration::from_millis(10);

    fn replica() -> Arc<Replica> {
        Arc::new(Replica {
            store_id: "s".to_owned(),
            datapath: "dp-1".parse().expect("an id"),
            topology: Topology::default(),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn news_wait_for_those_before_them() {
        let (mut pace, came) = (Pace::default(), Instant::now());
        assert_eq!(pace.due(came, false), came);
        pace.begin(replica(), BULK - 1);
        assert_eq!(pace.due(came, true), came + PATIENCE);
        advance(STEP).await;
        let (realized, mut seen) = watch::channel(None);
        realized.send_replace(Some(replica()));
        pace.installed(&mut seen).await;
        pace.rest();
        assert!(!pace.is_waited_for());
        assert_eq!(pace.due(came, false), came);
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_load_more_is_waited_for() {
        let mut pace = Pace::default();
        pace.begin(replica(), BULK);
        advance(STEP).await;
        pace.rest();
        let now = Instant::now();
        assert_eq!(pace.due(now, false), now + REST * STEP);
        assert_eq!(pace.due(now, true), now);
        assert_eq!(pace.due(now - PATIENCE, false), now, "they have waited long enough");
        pace.begin(replica(), 1);
        pace.rest();
        assert_eq!(pace.due(now, false), now);
    }
}
