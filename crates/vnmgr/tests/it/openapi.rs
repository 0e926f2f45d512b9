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
        "ip_leases",
        "mac_leases",
        "network_services",
        "networks",
        "route_links",
        "routes",
        "security_groups",
        "segments",
        "translations",
    ];
    let mut expected: Vec<String> =
        collections.iter().flat_map(|of| [(*of).to_owned(), format!("{of}/{{uuid}}")]).collect();
    let others = [
        "assert",
        "batch",
        "datapaths/{uuid}/flows",
        "filters/{uuid}/static",
        "hosts",
        "hosts/tokens",
        "hosts/{host}",
        "interfaces/{uuid}/ports",
        "ip_leases/{uuid}/attach",
        "ip_leases/{uuid}/release",
        "openapi.json",
        "reach",
        "revision",
        "trace",
        "trace/live",
        "translations/{uuid}/static_address",
        "security_groups/{uuid}/rules",
    ];
    expected.extend(others.map(ToOwned::to_owned));
    expected.sort_unstable();
    assert_eq!(found, expected);
}
