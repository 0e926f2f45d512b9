//! DNS records: names that a DNS service tells besides those of interfaces.

use std::sync::Arc;

use topology::dns_record::{DnsRecord, DnsRecordSpec};
use topology::dns_service::DnsService;
use topology::{Id, Topology};

use super::nested::{Nested, nested_routes};
use super::resource::plain_resource;

plain_resource!(
    "dns_records": DnsRecord in dns_records, DnsRecordSpec, DnsRecords;
    "dns_service_uuid", "name", "ttl", "ipv4_address", "ipv6_address", "cname"
);

impl Nested for DnsRecord {
    type Owner = DnsService;
    const OWNER: &'static str = "dns_service_uuid";

    fn owner(&self) -> &str {
        self.dns_service_uuid.as_str()
    }

    fn of_owner(topology: &Topology, owner: &DnsService) -> Vec<Arc<Self>> {
        let records = topology.records_of_dns_service(&owner.uuid);
        records.iter().filter_map(|id| topology.dns_records().get(id).cloned()).collect()
    }
}

nested_routes!("dns_services", "dns_records", "dns_record_uuid": DnsRecord, DnsRecordSpec => DnsRecord);
