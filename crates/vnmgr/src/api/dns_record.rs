//! DNS records: names that a DNS service tells besides those of interfaces.

use topology::dns_record::{DnsRecord, DnsRecordSpec};

use super::resource::plain_resource;

plain_resource!(
    "dns_records": DnsRecord in dns_records, DnsRecordSpec, DnsRecords;
    "dns_service_uuid", "name", "ttl", "ipv4_address", "ipv6_address", "cname"
);
