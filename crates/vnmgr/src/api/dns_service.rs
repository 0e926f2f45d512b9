//! DNS services: what network services of mode `dns` do besides telling the names of interfaces.

use std::sync::Arc;

use topology::dns_service::{DnsService, DnsServiceSpec};
use topology::meta::Meta;
use topology::{Collection, Object, Topology};

use super::look::Look;
use super::resource::{Resource, resource_routes};

impl Resource for DnsService {
    type View = Self;
    const COLLECTION: Collection = Collection::DnsServices;
    const FIELDS: &'static [&'static str] =
        &["uuid", "project", "created_at", "updated_at", "revision", "network_service_uuid"];

    fn all(topology: &Topology) -> impl Iterator<Item = &Arc<Self>> {
        topology.dns_services().values()
    }

    fn of(object: Object) -> Option<Arc<Self>> {
        if let Object::DnsService(of) = object { Some(of) } else { None }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn view(&self, _: &Look<'_>) -> Self {
        self.clone()
    }
}

resource_routes!("dns_services": DnsService, DnsServiceSpec => DnsService);
