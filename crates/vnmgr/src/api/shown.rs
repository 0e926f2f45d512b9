//! How the API shows an object of any kind, and which it does not show.

use serde::Serialize;
use topology::Object;
use topology::dns_record::DnsRecord;
use topology::dns_service::DnsService;
use topology::filter::Filter;
use topology::ip_lease_container::IpLeaseContainer;
use topology::ip_range::IpRange;
use topology::ip_range_group::IpRangeGroup;
use topology::ip_retention_container::IpRetentionContainer;
use topology::layer::Layer;
use topology::lease_policy::LeasePolicy;
use topology::mac_lease::MacLease;
use topology::mac_range::MacRange;
use topology::mac_range_group::MacRangeGroup;
use topology::network_service::NetworkService;
use topology::route::Route;
use topology::route_link::RouteLink;
use topology::security_group::SecurityGroup;

use super::datapath::DatapathView;
use super::interface::InterfaceView;
use super::ip_lease::IpLeaseView;
use super::look::Look;
use super::network::NetworkView;
use super::resource::Resource;
use super::segment::SegmentView;
use super::translation::TranslationView;

/// Names every kind that is a resource, and as what it is shown: a new one has to be put here, or below among those that are
/// nobody's business.
macro_rules! resources {
    ($($kind:ident as $view:ident),* $(,)?) => {
        /// An object as it is shown under its own path.
        #[derive(Debug, Serialize, utoipa::ToSchema)]
        #[serde(untagged)]
        #[allow(missing_docs)]
        pub enum Shown {
            $($kind(Box<$view>),)*
        }

        /// Shows an object; `None` if it is under no path.
        pub(super) fn shown(object: &Object, look: &Look<'_>) -> Option<Shown> {
            match object {
                $(Object::$kind(of) => Some(Shown::$kind(Box::new(of.view(look)))),)*
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
    Datapath as DatapathView,
    Segment as SegmentView,
    Network as NetworkView,
    Interface as InterfaceView,
    MacLease as MacLease,
    IpLease as IpLeaseView,
    RouteLink as RouteLink,
    Route as Route,
    NetworkService as NetworkService,
    DnsService as DnsService,
    DnsRecord as DnsRecord,
    Translation as TranslationView,
    Filter as Filter,
    SecurityGroup as SecurityGroup,
    MacRangeGroup as MacRangeGroup,
    MacRange as MacRange,
    IpRangeGroup as IpRangeGroup,
    IpRange as IpRange,
    LeasePolicy as LeasePolicy,
    IpLeaseContainer as IpLeaseContainer,
    IpRetentionContainer as IpRetentionContainer,
    Layer as Layer,
}
