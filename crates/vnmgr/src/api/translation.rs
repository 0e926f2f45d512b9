//! Translations: what addresses are translated to at an outer leg, and which hosts have no share of it.

use std::collections::BTreeSet;

use serde::Serialize;
use topology::translation::{Translation, TranslationSpec};
use topology::{Collection, DatapathId};

use super::look::Look;
use super::resource::{Resource, fields, resource_routes, stored_as};

/// A translation, as the API shows it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct TranslationView {
    /// The object.
    #[serde(flatten)]
    pub translation: Translation,
    /// If `source`: the hosts with guests to translate for which there are too few external addresses. What these guests send is
    /// dropped there.
    pub hosts_without_ports: BTreeSet<DatapathId>,
}

impl Resource for Translation {
    type View = TranslationView;
    const COLLECTION: Collection = Collection::Translations;
    const FIELDS: &'static [&'static str] =
        fields!("key", "interface_uuid", "mode", "passthrough", "source_network_uuid");

    stored_as!(Translation in translations);

    fn view(&self, look: &Look<'_>) -> TranslationView {
        let hosts_without_ports = self.hosts_without_ports(look.topology);
        TranslationView { translation: self.clone(), hosts_without_ports }
    }
}

resource_routes!("translations": Translation, TranslationSpec => TranslationView);
