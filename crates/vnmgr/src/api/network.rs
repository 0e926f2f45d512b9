//! Networks: addresses over an L2 domain, and the MTU that guests on them should use.

use serde::Serialize;
use topology::Collection;
use topology::network::{Network, NetworkSpec};

use super::look::Look;
use super::resource::{Resource, fields, resource_routes, stored_as};

/// A network, as the API shows it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct NetworkView {
    /// The object.
    #[serde(flatten)]
    pub network: Network,
    /// The largest packet that guests should send, in bytes.
    pub mtu: u16,
}

impl Resource for Network {
    type View = NetworkView;
    const COLLECTION: Collection = Collection::Networks;
    const FIELDS: &'static [&'static str] = fields!(
        "key",
        "display_name",
        "mode",
        "domain_name",
        "ipv4_network",
        "ipv4_prefix",
        "ipv6_network",
        "ipv6_prefix",
        "segment_uuid",
        "mtu"
    );

    stored_as!(Network in networks);

    fn view(&self, look: &Look<'_>) -> NetworkView {
        NetworkView { network: self.clone(), mtu: look.mtu() }
    }
}

resource_routes!("networks": Network, NetworkSpec => NetworkView);
