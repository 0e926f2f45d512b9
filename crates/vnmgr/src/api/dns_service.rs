//! DNS services: what network services of mode `dns` do besides telling the names of interfaces.

use topology::dns_service::{DnsService, DnsServiceSpec};

use super::resource::plain_resource;

plain_resource!(
    "dns_services": DnsService in dns_services, DnsServiceSpec, DnsServices;
    "network_service_uuid"
);
