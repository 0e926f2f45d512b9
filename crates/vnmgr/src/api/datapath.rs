//! Datapaths: the switches of hosts, and whether their agents are connected.

use std::sync::Arc;

use serde::Serialize;
use topology::datapath::{Datapath, DatapathSpec};
use topology::meta::Meta;
use topology::{Collection, Object, Topology};

use super::look::Look;
use super::resource::{Resource, resource_routes};

/// A datapath, as the API shows it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct DatapathView {
    /// The object.
    #[serde(flatten)]
    pub datapath: Datapath,
    /// Whether its agent is connected.
    pub connected: bool,
}

impl Resource for Datapath {
    type View = DatapathView;
    const COLLECTION: Collection = Collection::Datapaths;
    const FIELDS: &'static [&'static str] = &[
        "uuid",
        "project",
        "created_at",
        "updated_at",
        "revision",
        "key",
        "display_name",
        "dpid",
        "node_id",
        "nat_block",
        "connected",
    ];

    fn all(topology: &Topology) -> impl Iterator<Item = &Arc<Self>> {
        topology.datapaths().values()
    }

    fn of(object: Object) -> Option<Arc<Self>> {
        if let Object::Datapath(of) = object { Some(of) } else { None }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn view(&self, look: &Look<'_>) -> DatapathView {
        DatapathView { connected: look.is_connected(&self.uuid), datapath: self.clone() }
    }
}

resource_routes!("datapaths": Datapath, DatapathSpec => DatapathView);
