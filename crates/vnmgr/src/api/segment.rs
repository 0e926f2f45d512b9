//! Segments: L2 domains, and the MTU that guests on them should use.

use std::sync::Arc;

use serde::Serialize;
use topology::meta::Meta;
use topology::segment::{Segment, SegmentSpec};
use topology::{Collection, Object, Topology};

use super::look::Look;
use super::resource::{Resource, resource_routes};

/// A segment, as the API shows it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct SegmentView {
    /// The object.
    #[serde(flatten)]
    pub segment: Segment,
    /// The largest packet that guests should send, in bytes.
    pub mtu: u16,
}

impl Resource for Segment {
    type View = SegmentView;
    const COLLECTION: Collection = Collection::Segments;
    const FIELDS: &'static [&'static str] =
        &["uuid", "project", "created_at", "updated_at", "revision", "key", "display_name", "mode", "mtu"];

    fn all(topology: &Topology) -> impl Iterator<Item = &Arc<Self>> {
        topology.segments().values()
    }

    fn of(object: Object) -> Option<Arc<Self>> {
        if let Object::Segment(of) = object { Some(of) } else { None }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn view(&self, look: &Look<'_>) -> SegmentView {
        SegmentView { segment: self.clone(), mtu: look.mtu() }
    }
}

resource_routes!("segments": Segment, SegmentSpec => SegmentView);
