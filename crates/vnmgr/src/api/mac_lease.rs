//! MAC leases: which addresses an interface may send from.

use std::sync::Arc;

use topology::mac_lease::{MacLease, MacLeaseSpec};
use topology::meta::Meta;
use topology::{Collection, Object, Topology};

use super::look::Look;
use super::resource::{Resource, resource_routes};

impl Resource for MacLease {
    type View = Self;
    const COLLECTION: Collection = Collection::MacLeases;
    const FIELDS: &'static [&'static str] = &[
        "uuid",
        "project",
        "created_at",
        "updated_at",
        "revision",
        "interface_uuid",
        "mac_address",
        "segment_uuid",
    ];

    fn all(topology: &Topology) -> impl Iterator<Item = &Arc<Self>> {
        topology.mac_leases().values()
    }

    fn of(object: Object) -> Option<Arc<Self>> {
        if let Object::MacLease(of) = object { Some(of) } else { None }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn view(&self, _: &Look<'_>) -> Self {
        self.clone()
    }
}

resource_routes!("mac_leases": MacLease, MacLeaseSpec => MacLease);
