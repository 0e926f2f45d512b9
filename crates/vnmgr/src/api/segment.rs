//! Segments: L2 domains, and the MTU that guests on them should use.

use serde::Serialize;
use topology::Collection;
use topology::segment::{Segment, SegmentSpec};

use super::look::Look;
use super::resource::{Resource, fields, resource_routes, stored_as};

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
    const FIELDS: &'static [&'static str] = fields!("key", "display_name", "mode", "mtu");

    stored_as!(Segment in segments);

    fn view(&self, look: &Look<'_>) -> SegmentView {
        SegmentView { segment: self.clone(), mtu: look.mtu() }
    }
}

resource_routes!("segments": Segment, SegmentSpec => SegmentView);
