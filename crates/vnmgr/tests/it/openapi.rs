//! The description of the API, which is a contract: it changes on purpose only.

use std::path::Path;

use serde_json::Value;

/// Set this variable to write the description anew.
const BLESS: &str = "OPENVNET_BLESS";

#[test]
fn the_committed_description_is_that_of_the_api() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let described = vnmgr::api::openapi();
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, &described).expect("the description can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == described,
        "docs/openapi.json is out of date: look at what has changed after `{BLESS}=1 cargo test -p vnmgr openapi`"
    );
}

#[test]
fn every_route_is_described() {
    let described: Value = serde_json::from_str(&vnmgr::api::openapi()).expect("JSON");
    assert_eq!(described["openapi"], "3.1.0");
    let paths = described["paths"].as_object().expect("paths");
    let mut found: Vec<_> = paths.keys().filter_map(|path| path.strip_prefix("/api/1.0/")).collect();
    found.sort_unstable();
    let collections = [
        "datapaths",
        "dns_records",
        "dns_services",
        "filters",
        "interfaces",
        "ip_lease_containers",
        "ip_leases",
        "ip_range_groups",
        "ip_ranges",
        "ip_retention_containers",
        "lease_policies",
        "mac_leases",
        "mac_range_groups",
        "mac_ranges",
        "network_services",
        "networks",
        "route_links",
        "routes",
        "security_groups",
        "segments",
        "topologies",
        "translations",
    ];
    let mut expected: Vec<String> =
        collections.iter().flat_map(|of| [(*of).to_owned(), format!("{of}/{{uuid}}")]).collect();
    let others = [
        "active_interfaces",
        "active_networks",
        "active_ports",
        "active_route_links",
        "active_segments",
        "assert",
        "batch",
        "datapaths/{uuid}/flows",
        "datapaths/{uuid}/peers",
        "datapaths/{uuid}/peers/{peer_uuid}",
        "dns_services/{uuid}/dns_records",
        "dns_services/{uuid}/dns_records/{dns_record_uuid}",
        "filters/{uuid}/static",
        "hosts",
        "hosts/tokens",
        "hosts/{host}",
        "interfaces/{uuid}/ports",
        "ip_lease_containers/{uuid}/ip_leases",
        "ip_leases/{uuid}/attach",
        "ip_leases/{uuid}/release",
        "ip_range_groups/{uuid}/ip_ranges",
        "ip_range_groups/{uuid}/ip_ranges/{ip_range_uuid}",
        "ip_retention_containers/{uuid}/ip_retentions",
        "lease_policies/{uuid}/interfaces",
        "lease_policies/{uuid}/interfaces/{interface_uuid}",
        "lease_policies/{uuid}/ip_lease_containers",
        "lease_policies/{uuid}/ip_lease_containers/{ip_lease_container_uuid}",
        "lease_policies/{uuid}/ip_leases",
        "lease_policies/{uuid}/ip_retention_containers",
        "lease_policies/{uuid}/ip_retention_containers/{ip_retention_container_uuid}",
        "lease_policies/{uuid}/networks",
        "lease_policies/{uuid}/networks/{network_uuid}",
        "mac_range_groups/{uuid}/mac_ranges",
        "mac_range_groups/{uuid}/mac_ranges/{mac_range_uuid}",
        "openapi.json",
        "reach",
        "revision",
        "trace",
        "trace/live",
        "translations/{uuid}/static_address",
        "tunnels",
        "watch",
        "security_groups/{uuid}/rules",
    ];
    expected.extend(others.map(ToOwned::to_owned));
    let carried = ["networks/{network_uuid}", "segments/{segment_uuid}", "route_links/{route_link_uuid}"];
    let in_topologies =
        ["datapaths/{datapath_uuid}", "mac_range_groups/{mac_range_group_uuid}", "underlays/{underlay_uuid}"];
    let members: Vec<_> = carried.into_iter().chain(in_topologies).collect();
    for (owner, relations) in
        [("datapaths", &carried[..]), ("interfaces", &carried), ("topologies", &members)]
    {
        for relation in relations {
            let collection = relation.split_once('/').map_or(*relation, |(collection, _)| collection);
            expected.extend([collection, relation].map(|of| format!("{owner}/{{uuid}}/{of}")));
        }
    }
    expected.sort_unstable();
    assert_eq!(found, expected);
}
