//! How the API shows an object of any kind, and which it does not show.

use serde_json::Value;
use topology::Object;

use crate::api::look::Look;
use crate::api::resource::Resource;

/// Names every kind that is a resource: a new one has to be put here, or below among those that are nobody's business.
macro_rules! resources {
    ($($kind:ident)*) => {
        /// An object as it is shown under its own path; `None` if it is under none.
        pub(super) fn shown(object: &Object, look: &Look<'_>) -> Option<Value> {
            match object {
                $(Object::$kind(of) => serde_json::to_value(of.view(look)).ok(),)*
                Object::Binding(_)
                | Object::HostPair(_)
                | Object::HostToken(_)
                | Object::MetadataSecret(_)
                | Object::Relation(_)
                | Object::Sequences(_) => None,
            }
        }
    };
}

resources! {
    Datapath Segment Network Interface MacLease IpLease RouteLink Route NetworkService DnsService DnsRecord Translation Filter
    SecurityGroup MacRangeGroup MacRange IpRangeGroup IpRange LeasePolicy IpLeaseContainer IpRetentionContainer Layer
}
