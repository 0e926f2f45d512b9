//! Network services: what simulated interfaces answer besides ARP and ping.

use topology::network_service::{NetworkService, NetworkServiceSpec};

use super::resource::plain_resource;

plain_resource!(
    "network_services": NetworkService in network_services, NetworkServiceSpec, NetworkServices;
    "display_name", "mode", "interface_uuid", "lease_time"
);
