//! Spellings of paths: one resource, one path, however it is written.
//!
//! The original answered at `/api/1.0/` and `/api/`, with `.json` behind the path or without. Both dashes and
//! underscores are taken in the names of collections, nested ones too, as `vnctl` takes them.

use axum::http::Uri;
use axum::http::uri::PathAndQuery;

/// Where the API is.
pub(super) const BASE: &str = "/api/1.0";

/// The one path whose own name ends like a format.
const DOCUMENT: &str = "/openapi.json";

/// The same URI in the one spelling that is routed. What is no path of the API stays as it is.
pub(super) fn canonical(uri: Uri) -> Uri {
    let Some(path) = canonical_path(uri.path()) else { return uri };
    let text = uri.query().map_or(path.clone(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(text).ok();
    Uri::from_parts(parts).unwrap_or(uri)
}

fn canonical_path(path: &str) -> Option<String> {
    let rest = path.strip_prefix(BASE).filter(|rest| rest.starts_with('/'));
    let rest = rest.or_else(|| path.strip_prefix("/api").filter(|rest| rest.starts_with('/')))?;
    let rest = if rest == DOCUMENT { rest } else { rest.strip_suffix(".json").unwrap_or(rest) };
    let rest = rest.strip_suffix('/').unwrap_or(rest).strip_prefix('/')?;
    // Ids, which may have dashes, are at the odd places.
    let name =
        |(place, part): (usize, &str)| if place % 2 == 0 { part.replace('-', "_") } else { part.to_owned() };
    let parts: Vec<_> = rest.split('/').enumerate().map(name).collect();
    Some(format!("{BASE}/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &str, expected: &str) {
        assert_eq!(canonical(given.parse().expect("a URI")).to_string(), expected, "{given}");
    }

    #[test]
    fn every_spelling_of_a_path_is_one_path() {
        check("/api/1.0/networks", "/api/1.0/networks");
        check("/api/networks.json?limit=1", "/api/1.0/networks?limit=1");
        check("/api/mac-leases/ml-a-b.json", "/api/1.0/mac_leases/ml-a-b");
        check("/api/1.0/ip-leases/il-a/attach/", "/api/1.0/ip_leases/il-a/attach");
        check(
            "/api/dns-services/dnss-a-b/dns-records/dnsr-a",
            "/api/1.0/dns_services/dnss-a-b/dns_records/dnsr-a",
        );
        check("/api/openapi.json", "/api/1.0/openapi.json");
        check("/elsewhere", "/elsewhere");
        check("/apinetworks", "/apinetworks");
    }
}
