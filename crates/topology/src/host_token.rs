//! Host tokens: permission for one host to join.
//!
//! Only a digest of the secret is kept, so the store does not hold what lets a host in.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::address::NodeId;
use crate::edit::Edit;
use crate::error::Error;
use crate::id::HostTokenId;
use crate::meta::{Meta, MetaSpec};

/// How long a token is good for unless its maker says otherwise.
pub const DEFAULT_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// Permission for one host to join, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostToken {
    /// The id.
    pub uuid: HostTokenId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// SHA-256 of the secret, hexadecimal.
    pub digest: String,
    /// The only node that may use it, if given.
    #[serde(default)]
    pub node_id: Option<NodeId>,
    /// When it stops being good.
    pub expires_at: Timestamp,
}

impl HostToken {
    /// Keeps a new token, and forgets those that have expired.
    pub fn issue(
        edit: &mut Edit,
        digest: String,
        node_id: Option<NodeId>,
        lifetime: SignedDuration,
    ) -> Result<HostTokenId, Error> {
        let now = edit.now();
        let expired = |token: &HostToken| token.expires_at <= now;
        let gone: Vec<_> =
            edit.topology().host_tokens().values().filter(|token| expired(token)).cloned().collect();
        gone.into_iter().for_each(|token| edit.delete(token.uuid.clone()));
        let uuid: HostTokenId = edit.new_id(None)?;
        let meta = edit.new_meta(MetaSpec::default())?;
        let expires_at = now.checked_add(lifetime).map_err(|_| Error::argument("lifetime", "is too long"))?;
        edit.put(Self { uuid: uuid.clone(), meta, digest, node_id, expires_at });
        Ok(uuid)
    }

    /// Uses a token up for `node_id`.
    ///
    /// A node that has registered can only be joined anew with a token made out to it, so that a token at large lets
    /// a host in, and never in another's place.
    pub fn redeem(edit: &mut Edit, digest: &str, node_id: &NodeId) -> Result<(), Error> {
        let now = edit.now();
        let found = edit.topology().host_tokens().values().find(|token| token.digest == digest).cloned();
        let token = found.filter(|token| token.expires_at > now);
        let token = token
            .ok_or_else(|| Error::argument("token", "is unknown, used or expired: ask for a new one"))?;
        if token.node_id.as_ref().is_some_and(|only| only != node_id) {
            return Err(Error::argument("token", "is made out to another node"));
        }
        let registered =
            edit.topology().datapath_of_node(node_id).is_some_and(|known| known.underlay.is_some());
        if registered && token.node_id.is_none() {
            let reason = format!("{node_id} has registered before: ask for a token made out to it");
            return Err(Error::argument("node_id", reason));
        }
        edit.delete(token.uuid.clone());
        Ok(())
    }
}
