//! Datapaths: the switches of hosts, and whether their agents are connected.

use serde::Serialize;
use topology::Collection;
use topology::datapath::{Datapath, DatapathSpec};

use super::look::Look;
use super::resource::{Resource, fields, resource_routes, stored_as};

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
    const FIELDS: &'static [&'static str] =
        fields!("key", "display_name", "dpid", "node_id", "nat_block", "heeds_pairs", "connected");

    stored_as!(Datapath in datapaths);

    fn view(&self, look: &Look<'_>) -> DatapathView {
        DatapathView { connected: look.is_connected(&self.uuid), datapath: self.clone() }
    }
}

resource_routes!("datapaths": Datapath, DatapathSpec => DatapathView);
