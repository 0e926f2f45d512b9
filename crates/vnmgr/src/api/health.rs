//! What a supervisor asks: is the manager alive, and can it do its work?
//!
//! # Alive is not ready
//! A restart does not help a full disk: the manager is then alive, and not ready for changes. Reading goes on.
//!
//! # As of the last write
//! The store is not tried for the question's sake. What [`crate::writer`] last met counts until its next write.
//!
//! Both are outside of the API's description: they are for machines beside the manager, and have no versions.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use super::Api;
use crate::writer::StoreReceiver;

/// The routes, beside those of the API.
pub(super) fn routes() -> Router<Api> {
    Router::new().route("/healthz", get(web::health::alive)).route("/readyz", get(ready))
}

/// There is no API before the topology is loaded, so that need not be asked.
async fn ready(State(api): State<Api>) -> (StatusCode, String) {
    web::health::ready(obstacle(&api.store))
}

/// Why no change can be made now, if so.
fn obstacle(store: &StoreReceiver) -> Option<String> {
    // The writer holds the other end for as long as it runs.
    if store.has_changed().is_err() {
        return Some("the writer has ended: restart the manager".to_owned());
    }
    store.borrow().as_ref().map(|reason| format!("the store failed when last used: {reason}"))
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;

    #[test]
    fn a_manager_is_ready_while_its_writer_lives_and_can_write() {
        let (sender, receiver) = watch::channel(None);
        let check = |expected: Option<&str>| {
            let found = obstacle(&receiver);
            assert_eq!(found.is_some(), expected.is_some(), "{found:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()));
        };
        check(None);
        sender.send_replace(Some("it is full".to_owned()));
        check(Some("it is full"));
        sender.send_replace(None);
        check(None);
        drop(sender);
        check(Some("writer"));
    }
}
