//! DNS records: names that a DNS service tells besides those of interfaces.

use std::sync::Arc;

use topology::dns_record::{DnsRecord, DnsRecordSpec};
use topology::meta::Meta;
use topology::{Collection, Object, Topology};

use super::look::Look;
use super::resource::{Resource, resource_routes};

impl Resource for DnsRecord {
    type View = Self;
    const COLLECTION: Collection = Collection::DnsRecords;
    const FIELDS: &'static [&'static str] = &[
        "uuid",
        "project",
        "created_at",
        "updated_at",
        "revision",
        "dns_service_uuid",
        "name",
        "ttl",
        "ipv4_address",
        "ipv6_address",
        "cname",
    ];

    fn all(topology: &Topology) -> impl Iterator<Item = &Arc<Self>> {
        topology.dns_records().values()
    }

    fn of(object: Object) -> Option<Arc<Self>> {
        if let Object::DnsRecord(of) = object { Some(of) } else { None }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn view(&self, _: &Look<'_>) -> Self {
        self.clone()
    }
}

resource_routes!("dns_records": DnsRecord, DnsRecordSpec => DnsRecord);
