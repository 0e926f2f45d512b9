//! Network services: what simulated interfaces answer besides ARP and ping.

use std::sync::Arc;

use topology::meta::Meta;
use topology::network_service::{NetworkService, NetworkServiceSpec};
use topology::{Collection, Object, Topology};

use super::look::Look;
use super::resource::{Resource, resource_routes};

impl Resource for NetworkService {
    type View = Self;
    const COLLECTION: Collection = Collection::NetworkServices;
    const FIELDS: &'static [&'static str] = &[
        "uuid",
        "project",
        "created_at",
        "updated_at",
        "revision",
        "display_name",
        "mode",
        "interface_uuid",
        "lease_time",
    ];

    fn all(topology: &Topology) -> impl Iterator<Item = &Arc<Self>> {
        topology.network_services().values()
    }

    fn of(object: Object) -> Option<Arc<Self>> {
        if let Object::NetworkService(of) = object { Some(of) } else { None }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn view(&self, _: &Look<'_>) -> Self {
        self.clone()
    }
}

resource_routes!("network_services": NetworkService, NetworkServiceSpec => NetworkService);
