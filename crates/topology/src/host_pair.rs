//! Pairs of hosts: how two hosts wrap what they send each other, where a user has a say.
//!
//! # Changing how, while packets go
//! Hosts realize a change one after the other, and a packet that is wrapped as its receiver does not expect is lost. So a
//! change has two steps. First both hosts admit every encapsulation from each other, and send as they did before. Once both
//! have realized that, the manager says that the new one is used ([`HostPair::settle`]), and whichever sends with it first,
//! the other takes it. A pair that is taken away goes back in the same manner: first both send as if it was not there, and once
//! both do, nothing else needs to be admitted any more.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::address::{HostKey, Revision};
use crate::attributes::{Attributes, read};
use crate::datapath::Datapath;
use crate::edit::Edit;
use crate::error::{Error, ErrorKind};
use crate::graph::Topology;
use crate::id::{DatapathId, HostPairId, Id};
use crate::meta::{Meta, MetaSpec};
use crate::object::ObjectRef;
use crate::underlay::TunnelMode;
use crate::wire;

/// What a user has to say of two hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HostPair {
    /// The id, made from the keys of the hosts: a pair has one record.
    pub uuid: HostPairId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// The hosts.
    pub datapath_uuids: [DatapathId; 2],
    /// How they are to wrap what they send each other; absent once the user has taken the record away.
    #[serde(default)]
    pub encapsulation: Option<TunnelMode>,
    /// How they do, once both are ready for it; each in its own way if absent.
    #[serde(default)]
    pub used: Option<TunnelMode>,
}

/// How two hosts wrap what they send each other, as users give it.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HostPairSpec {
    /// The other host's datapath. In the path, if the path is of one pair.
    peer_uuid: Option<String>,
    /// `geneve`, `vxlan`, `gre` or `mac2mac`. Required when adding.
    #[schema(value_type = Option<TunnelMode>)]
    encapsulation: Option<Value>,
}

impl HostPair {
    /// The pair of two hosts, in whichever order they are named.
    pub fn id_of(one: HostKey, other: HostKey) -> HostPairId {
        let (low, high) = (one.0.min(other.0), one.0.max(other.0));
        format!("{}-{low}-{high}", HostPairId::PREFIX).parse().expect("two numbers make a name")
    }

    /// Whether a host is one of the two.
    pub fn joins(&self, host: &DatapathId) -> bool {
        self.datapath_uuids.contains(host)
    }

    /// The other of the two.
    pub fn other(&self, host: &DatapathId) -> Option<&DatapathId> {
        self.datapath_uuids.iter().find(|other| *other != host)
    }

    /// Whether all is as the user wants it.
    pub fn is_settled(&self) -> bool {
        self.encapsulation.is_some() && self.encapsulation == self.used
    }

    /// Has two hosts wrap what they send each other in one way, from when both are ready for it.
    pub(crate) fn add(edit: &mut Edit, uuid: &DatapathId, attributes: Attributes) -> Result<(), Error> {
        let spec: HostPairSpec = read(attributes)?;
        let (one, other) = spec.hosts(edit, uuid)?;
        let mode = spec.mode()?;
        if mode == TunnelMode::Mac2mac {
            wire::may_be_shared(edit, &one, &other)?;
        }
        let encapsulation = Some(mode);
        let id = Self::id_of(one.key, other.key);
        match edit.topology().host_pairs().get(&id).cloned() {
            Some(old) => {
                let new = Self { encapsulation, ..Self::clone(&old) };
                edit.replace(&*old, new, |pair| &mut pair.meta);
            }
            None => {
                let meta = edit.new_meta(MetaSpec::default())?;
                let datapath_uuids = [one.uuid, other.uuid];
                edit.put(Self { uuid: id, meta, datapath_uuids, encapsulation, used: None });
            }
        }
        Ok(())
    }

    /// Has two hosts send each other what they send in their own way again.
    pub(crate) fn remove(edit: &mut Edit, uuid: &DatapathId, attributes: Attributes) -> Result<(), Error> {
        let spec: HostPairSpec = read(attributes)?;
        let (one, other) = spec.hosts(edit, uuid)?;
        let pair = edit.topology().host_pairs().get(&Self::id_of(one.key, other.key)).cloned();
        let Some(old) = pair.filter(|pair| pair.encapsulation.is_some()) else {
            let message = format!("{uuid} has no {}", other.uuid);
            return Err(Error::new(ErrorKind::UnknownUuid, "peer_uuid", message));
        };
        match old.used {
            // Nobody has sent otherwise.
            None => edit.delete(ObjectRef::HostPair(old.uuid.clone())),
            Some(_) => {
                let new = Self { encapsulation: None, used: None, ..Self::clone(&old) };
                edit.replace(&*old, new, |pair| &mut pair.meta);
            }
        }
        Ok(())
    }

    /// Goes on from a state that both hosts have realized, unless it has changed meanwhile.
    pub fn settle(edit: &mut Edit, id: &HostPairId, realized: Revision) {
        let Some(old) = edit.topology().host_pairs().get(id).cloned() else { return };
        if old.is_settled() || old.meta.revision != realized {
            return;
        }
        match old.encapsulation {
            Some(used) => {
                let new = Self { used: Some(used), ..Self::clone(&old) };
                edit.replace(&*old, new, |pair| &mut pair.meta);
            }
            None => edit.delete(ObjectRef::HostPair(id.clone())),
        }
    }
}

impl HostPairSpec {
    fn hosts(&self, edit: &Edit, uuid: &DatapathId) -> Result<(Datapath, Datapath), Error> {
        let peer = self.peer_uuid.as_ref().ok_or_else(|| Error::missing("peer_uuid"))?;
        let peer: DatapathId = edit.reference("peer_uuid", peer)?;
        if peer == *uuid {
            return Err(Error::unfit("peer_uuid", "is the host itself"));
        }
        Ok((Datapath::clone(&*edit.datapath(uuid)?), Datapath::clone(&*edit.datapath(&peer)?)))
    }

    fn mode(&self) -> Result<TunnelMode, Error> {
        let given = self.encapsulation.as_ref().ok_or_else(|| Error::missing("encapsulation"))?;
        let text = given.as_str().ok_or_else(|| Error::argument("encapsulation", "must be a text"))?;
        text.parse().map_err(|reason: String| Error::unfit("encapsulation", reason))
    }
}

impl Topology {
    /// What a user has to say of two hosts.
    pub fn host_pair(&self, one: &Datapath, other: &Datapath) -> Option<&HostPair> {
        // Where nobody has a say, as nearly everywhere, no id needs to be made.
        let pairs = Some(self.host_pairs()).filter(|pairs| !pairs.is_empty())?;
        pairs.get(&HostPair::id_of(one.key, other.key)).map(|pair| pair.as_ref())
    }
}
