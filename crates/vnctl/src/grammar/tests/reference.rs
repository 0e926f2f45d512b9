//! Every command of OpenVNet 1.0, with every option it had, and which of them are not there.

use super::parsed;

/// Commands that are understood, spelled as the original's users did.
const PRESENT: &[&str] = &[
    "datapaths add --uuid dp-a --display_name a --dpid 0xa --node_id vna",
    "datapaths modify dp-a --display_name a --dpid 0xa --node_id vna",
    "networks add --uuid nw-a --mode virtual --ipv4_network 10.0.0.0 --ipv4_prefix 24 --segment_uuid seg-a --display_name a --domain_name a",
    "datapaths networks add dp-a nw-a --interface_uuid if-a --mac_address 02:00:00:00:00:01",
    "datapaths networks del dp-a nw-a nw-b",
    "datapaths networks show dp-a",
    "datapaths segments add dp-a seg-a --interface_uuid if-a",
    "datapaths segments del dp-a seg-a",
    "datapaths segments show dp-a",
    "datapaths route_links add dp-a rl-a --interface_uuid if-a",
    "datapaths route_links del dp-a rl-a",
    "datapaths route_links show dp-a",
    "networks add --network_mode virtual --ipv4_network 10.0.0.0",
    "networks modify nw-a --display_name a --domain_name a",
    "segments add --uuid seg-a --mode virtual",
    "interfaces add --uuid if-a --enable_routing --enable_route_translation --owner_datapath_uuid dp-a --enable_filtering --segment_uuid seg-a --network_uuid nw-a --mac_address 02:00:00:00:00:01 --ipv4_address 10.0.0.1 --port_name a --mode vif",
    "interfaces modify if-a --enable_routing true --owner_datapath_uuid dp-a --enable_filtering false --enable_route_translation",
    "interfaces ports add if-a --datapath_uuid dp-a --port_name a",
    "interfaces ports show if-a",
    "interfaces ports del if-a --port_name a",
    "interfaces networks show if-a",
    "interfaces networks modify if-a nw-a --static false",
    "interfaces segments show if-a",
    "interfaces segments modify if-a seg-a --static true",
    "interfaces route_links show if-a",
    "interfaces route_links modify if-a rl-a --static",
    "mac_leases add --uuid ml-a --interface_uuid if-a --mac_address 02:00:00:00:00:01 --segment_uuid seg-a",
    "mac_leases modify ml-a --interface_uuid if-a --mac_address 02:00:00:00:00:01 --segment_uuid seg-a",
    "ip_leases add --uuid il-a --ipv4_address 10.0.0.1 --network_uuid nw-a --interface_uuid if-a --mac_lease_uuid ml-a --enable_routing",
    "ip_leases modify il-a --enable_routing",
    "ip_leases attach il-a --interface_uuid if-a --mac_lease_uuid ml-a",
    "ip_leases release il-a",
    "network_services add --uuid ns-a --mode dhcp --display_name a --interface_uuid if-a",
    "network_services modify ns-a --display_name a --interface_uuid if-a",
    "dns_services add --uuid dnss-a --public_dns 192.0.2.1,192.0.2.2 --network_service_uuid ns-a",
    "dns_services modify dnss-a --public_dns 192.0.2.1",
    "dns_services dns_records add dnss-a --uuid dnsr-a --name a --ipv4_address 10.0.0.1",
    "dns_services dns_records del dnss-a dnsr-a",
    "dns_services dns_records show dnss-a",
    "routes add --uuid r-a --interface_uuid if-a --route_link_uuid rl-a --network_uuid nw-a --ipv4_network 10.0.0.0 --ipv4_prefix 24 --ingress --egress",
    "route_links add --uuid rl-a --mac_address 02:00:00:00:00:01",
    "filters add --uuid fil-a --interface_uuid if-a --mode static --egress_passthrough --ingress_passthrough",
    "filters modify fil-a --egress_passthrough --ingress_passthrough",
    "filters static add fil-a --protocol tcp --src_address 10.0.0.0/8 --dst_address 10.0.0.1 --src_port 1 --dst_port 2 --action pass",
    "filters static del fil-a --protocol tcp --src_address 10.0.0.0/8 --dst_address 10.0.0.1 --src_port 1 --dst_port 2",
    "filters static show fil-a",
    "translations add --uuid tr-a --interface_uuid if-a --mode static_address --passthrough",
    "translations static_address add tr-a --ingress_ipv4_address 192.0.2.1 --egress_ipv4_address 10.0.0.1 --ingress_port_number 1 --egress_port_number 2 --route_link_uuid rl-a --ingress_network_uuid nw-a --egress_network_uuid nw-b",
    "translations static_address del tr-a --ingress_ipv4_address 192.0.2.1 --egress_ipv4_address 10.0.0.1",
    "translations static_address show tr-a",
    "topologies add --uuid topo-a --mode simple_overlay",
    "topologies modify topo-a --mode simple_overlay",
    "topologies datapaths add topo-a dp-a --interface_uuid if-a --ip_lease_uuid il-a",
    "topologies datapaths del topo-a dp-a",
    "topologies datapaths show topo-a",
    "topologies networks add topo-a nw-a",
    "topologies networks del topo-a nw-a",
    "topologies networks show topo-a",
    "topologies segments add topo-a seg-a",
    "topologies segments del topo-a seg-a",
    "topologies segments show topo-a",
    "topologies route_links add topo-a rl-a",
    "topologies route_links del topo-a rl-a",
    "topologies route_links show topo-a",
    "topologies mac_range_groups add topo-a mrg-a",
    "topologies mac_range_groups del topo-a mrg-a",
    "topologies mac_range_groups show topo-a",
    "topologies underlays add topo-a topo-b",
    "topologies underlays del topo-a topo-b",
    "topologies underlays show topo-a",
    "networks add --ipv4_network 10.0.0.0 --topology_uuid topo-a",
    "segments add --mode virtual --topology_uuid topo-a",
    "route_links add --topology_uuid topo-a",
    "mac_range_groups add --uuid mrg-a --allocation_type random",
    "mac_range_groups modify mrg-a --allocation_type random",
    "mac_range_groups mac_ranges add mrg-a --begin_mac_address 02:00:00:00:00:01 --end_mac_address 02:00:00:00:00:02",
    "mac_range_groups mac_ranges del mrg-a mr-a",
    "mac_range_groups mac_ranges show mrg-a",
    "ip_range_groups add --uuid iprg-a --allocation_type incremental",
    "ip_range_groups modify iprg-a --allocation_type decremental",
    "ip_range_groups ip_ranges add iprg-a --begin_ipv4_address 10.0.0.1 --end_ipv4_address 10.0.0.2",
    "ip_range_groups ip_ranges del iprg-a ipr-a",
    "ip_range_groups ip_ranges show iprg-a",
    "lease_policies add --uuid lp-a --timing immediate --mode simple",
    "lease_policies modify lp-a --timing immediate",
    "lease_policies networks add lp-a nw-a --ip_range_group_uuid iprg-a",
    "lease_policies networks del lp-a nw-a",
    "lease_policies networks show lp-a",
    "lease_policies ip_lease_containers add lp-a ilc-a",
    "lease_policies ip_lease_containers del lp-a ilc-a",
    "lease_policies ip_lease_containers show lp-a",
    "lease_policies ip_retention_containers add lp-a irc-a",
    "lease_policies ip_retention_containers del lp-a irc-a",
    "lease_policies ip_retention_containers show lp-a",
    "lease_policies interfaces add lp-a if-a",
    "lease_policies interfaces del lp-a if-a",
    "lease_policies interfaces show lp-a",
    "ip_lease_containers add --uuid ilc-a",
    "ip_lease_containers ip_leases ilc-a",
    "ip_retention_containers add --uuid irc-a --lease_time 60 --grace_time 60",
    "ip_retention_containers modify irc-a --lease_time 60 --grace_time 60",
    "ip_retention_containers ip_retentions irc-a",
    "batch commands.txt",
];

/// Commands and options that are not there.
const ABSENT: &[&str] = &[
    // The original's API had no route for it.
    "interfaces rename if-a --new_uuid if-b",
    // Of a switch that learns: nothing is learned here.
    "datapaths add --dpid 0xa --node_id vna --enable_ovs_learn_action",
    // Kept then, and without an effect.
    "network_services add --mode dhcp --interface_uuid if-a --incoming_port 1",
    "network_services add --mode dhcp --interface_uuid if-a --outgoing_port 1",
    // Deprecated then: the mode.
    "network_services add --type dhcp",
];

/// The namespaces whose objects are listed, shown and deleted.
const NAMESPACES: &[(&str, &str)] = &[
    ("datapaths", "dp"),
    ("networks", "nw"),
    ("segments", "seg"),
    ("interfaces", "if"),
    ("mac_leases", "ml"),
    ("ip_leases", "il"),
    ("network_services", "ns"),
    ("dns_services", "dnss"),
    ("routes", "r"),
    ("route_links", "rl"),
    ("filters", "fil"),
    ("translations", "tr"),
    ("topologies", "topo"),
    ("mac_range_groups", "mrg"),
    ("ip_range_groups", "iprg"),
    ("lease_policies", "lp"),
    ("ip_lease_containers", "ilc"),
    ("ip_retention_containers", "irc"),
];

#[test]
fn every_command_of_the_original_is_understood_or_named_here() {
    let understood = |line: &str| parsed(line).is_ok();
    let refused: Vec<_> = PRESENT.iter().filter(|line| !understood(line)).collect();
    assert!(refused.is_empty(), "not understood: {refused:#?}");
    let come: Vec<_> = ABSENT.iter().filter(|line| understood(line)).collect();
    assert!(come.is_empty(), "understood by now: {come:#?}");
    for (name, prefix) in NAMESPACES {
        for line in [
            format!("{name} show"),
            format!("{name} show --limit 10 --offset 20"),
            format!("{name} show {prefix}-a {prefix}-b"),
            format!("{name} del {prefix}-a {prefix}-b"),
            format!("{} del {prefix}-a", name.replace('_', "-")),
        ] {
            assert!(understood(&line), "{line}");
        }
    }
}
