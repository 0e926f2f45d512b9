//! IP retention containers: how long IP leases last, and how long their addresses are kept from others afterwards.
//!
//! A lease that a policy puts into a container is released when its `lease_time` is over, and deleted when the
//! `grace_time` after that is over. Until then whoever had it can have the same address again. Since when it is
//! leased or released is kept in the lease, so time passes while no manager runs.
//!
//! Nothing here reads a clock: [`next_due`] says when there is something to do, and [`expire`] does what is due by the
//! time of the edit.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::attributes::{Attributes, clearable, read};
use crate::edit::Edit;
use crate::error::Error;
use crate::graph::Topology;
use crate::id::{IpLeaseId, IpRetentionContainerId};
use crate::ip_lease::{IpLease, Phase};
use crate::lease_policy::LeasePolicy;
use crate::meta::{Labels, Meta, MetaSpec};

/// The longest time, in seconds: 100 years, within which every sum with a time of day is one again.
pub const MAX_SECONDS: u64 = 3_155_760_000;

/// Most leases that expire in one commit. The others follow in the next.
pub const MAX_EXPIRED: usize = 1_000;

/// An IP retention container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IpRetentionContainer {
    /// The id.
    pub uuid: IpRetentionContainerId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// How long a lease lasts, in seconds; until somebody releases it if absent.
    #[serde(default)]
    pub lease_time: Option<u64>,
    /// How long a released lease keeps its address, in seconds; until somebody deletes it if absent.
    #[serde(default)]
    pub grace_time: Option<u64>,
}

/// The attributes of an IP retention container that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IpRetentionContainerSpec {
    /// `irc-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// How long a lease lasts, in seconds; until somebody releases it if absent.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<u64>)]
    lease_time: Option<Option<u64>>,
    /// How long a released lease keeps its address, in seconds; until somebody deletes it if absent.
    #[serde(deserialize_with = "clearable")]
    #[schema(value_type = Option<u64>)]
    grace_time: Option<Option<u64>>,
}

impl IpRetentionContainer {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<IpRetentionContainerId, Error> {
        let spec: IpRetentionContainerSpec = read(attributes)?;
        let uuid: IpRetentionContainerId = edit.new_id(spec.uuid.clone())?;
        let meta = edit.new_meta(MetaSpec::default())?;
        let container = Self { uuid: uuid.clone(), meta, lease_time: None, grace_time: None };
        edit.put(container.merge(spec)?);
        Ok(uuid)
    }

    pub(crate) fn update(
        edit: &mut Edit,
        uuid: &IpRetentionContainerId,
        attributes: Attributes,
    ) -> Result<(), Error> {
        let old = edit.ip_retention_container(uuid)?;
        let new = Self::clone(&old).merge(read(attributes)?)?;
        edit.replace(&*old, new, |container| &mut container.meta);
        Ok(())
    }

    /// Deletes it. Its leases stay, for as long as other containers want.
    pub(crate) fn delete(edit: &mut Edit, uuid: &IpRetentionContainerId) -> Result<(), Error> {
        edit.ip_retention_container(uuid)?;
        for policy in edit.topology().lease_policies_of_ip_retention_container(uuid) {
            LeasePolicy::forget_ip_retention_container(edit, &policy, uuid)?;
        }
        for phase in [Phase::Leased, Phase::Released] {
            let kept = edit.topology().ip_leases_retained(uuid, phase);
            for lease in kept.map(|(_, lease)| lease.clone()).collect::<Vec<_>>() {
                IpLease::change(edit, &lease, |lease| {
                    lease.ip_retentions.remove(uuid);
                })?;
            }
        }
        edit.delete(uuid.clone());
        Ok(())
    }

    fn merge(mut self, spec: IpRetentionContainerSpec) -> Result<Self, Error> {
        self.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        self.lease_time = spec.lease_time.unwrap_or(self.lease_time);
        self.grace_time = spec.grace_time.unwrap_or(self.grace_time);
        for (field, time) in [("lease_time", self.lease_time), ("grace_time", self.grace_time)] {
            if time.is_some_and(|time| time > MAX_SECONDS) {
                return Err(Error::unfit(field, format!("must be at most {MAX_SECONDS} seconds")));
            }
        }
        Ok(self)
    }

    /// When a lease that came to a phase at this time is through with it; none if it stays.
    fn due(&self, phase: Phase, since: Timestamp) -> Option<Timestamp> {
        let seconds = match phase {
            Phase::Leased => self.lease_time,
            Phase::Released => self.grace_time,
        };
        let time = SignedDuration::from_secs(i64::try_from(seconds?).ok()?);
        since.checked_add(time).ok()
    }
}

/// When the next lease expires, if one does.
pub fn next_due(topology: &Topology) -> Option<Timestamp> {
    let containers = topology.ip_retention_containers().values();
    let firsts = containers.flat_map(|container| {
        [Phase::Leased, Phase::Released].into_iter().filter_map(|phase| {
            let (since, _) = topology.ip_leases_retained(&container.uuid, phase).next()?;
            container.due(phase, since)
        })
    });
    firsts.min()
}

/// Releases and deletes the leases that are due, at most [`MAX_EXPIRED`] of them.
///
/// # Errors
/// The edit is then to be dropped.
pub fn expire(edit: &mut Edit) -> Result<(), Error> {
    for (lease, phase) in due(edit.topology(), edit.now()) {
        match phase {
            // Two containers may want the same of a lease.
            _ if !edit.topology().ip_leases().contains_key(&lease) => {}
            Phase::Leased => IpLease::expire(edit, &lease)?,
            Phase::Released => IpLease::delete(edit, &lease)?,
        }
    }
    Ok(())
}

fn due(topology: &Topology, now: Timestamp) -> Vec<(IpLeaseId, Phase)> {
    let containers = topology.ip_retention_containers().values();
    let due = containers.flat_map(|container| {
        [Phase::Released, Phase::Leased].into_iter().flat_map(move |phase| {
            let kept = topology.ip_leases_retained(&container.uuid, phase);
            let due =
                kept.take_while(move |(since, _)| container.due(phase, *since).is_some_and(|due| due <= now));
            due.map(move |(_, lease)| (lease.clone(), phase))
        })
    });
    due.take(MAX_EXPIRED).collect()
}
