//! The sessions of connected agents: one for each datapath, the newest.
//!
//! A host that was cut off connects anew while its old connection may not have been found dead yet. So the newer one
//! wins. It waits until the older one is over: what the older one still had to say never comes after the newer one's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;
use topology::DatapathId;

use crate::line::Line;
use crate::manager::{Manager, SessionId};

/// All sessions.
#[derive(Default)]
pub(crate) struct Sessions {
    current: Mutex<HashMap<DatapathId, Lifetime>>,
}

#[derive(Clone)]
struct Lifetime {
    id: SessionId,
    /// The session is to end.
    close: CancellationToken,
    /// It has ended.
    closed: CancellationToken,
}

/// A session's place: while it exists, the manager knows the agent as connected.
pub(crate) struct Seat {
    sessions: Arc<Sessions>,
    manager: Arc<dyn Manager>,
    datapath: DatapathId,
    lifetime: Lifetime,
    announced: bool,
}

impl Sessions {
    /// Makes `id` the session of the datapath, once the one before it has ended.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        manager: &Arc<dyn Manager>,
        datapath: DatapathId,
        id: SessionId,
        line: Line,
    ) -> Seat {
        let lifetime = Lifetime { id, close: CancellationToken::new(), closed: CancellationToken::new() };
        let older = self.lock().insert(datapath.clone(), lifetime.clone());
        let (sessions, manager) = (self.clone(), manager.clone());
        // The seat is there before the wait, so that a session dropped while it waits leaves its place.
        let mut seat = Seat { sessions, manager, datapath, lifetime, announced: false };
        if let Some(older) = older {
            older.close.cancel();
            older.closed.cancelled().await;
        }
        seat.manager.connected(seat.datapath.clone(), id, line);
        seat.announced = true;
        seat
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<DatapathId, Lifetime>> {
        self.current.lock().expect("no panic holds this lock")
    }
}

impl Seat {
    pub(crate) fn datapath(&self) -> &DatapathId {
        &self.datapath
    }

    /// Resolves when a newer session takes the place.
    pub(crate) async fn taken(&self) {
        self.lifetime.close.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.announced {
            self.manager.disconnected(self.datapath.clone(), self.lifetime.id);
        }
        let mut current = self.sessions.lock();
        if current.get(&self.datapath).is_some_and(|newest| newest.id == self.lifetime.id) {
            current.remove(&self.datapath);
        }
        drop(current);
        self.lifetime.closed.cancel();
    }
}
