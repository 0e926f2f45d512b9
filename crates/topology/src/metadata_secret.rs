//! Metadata secrets: by what a metadata server knows that a request comes from a host, and is as the host says.
//!
//! An object of its own and not an attribute of its network service, since it is less for others to see: no API shows it, and
//! only hosts with an interface in one of the service's networks have it ([`crate::scope`]).

use serde::{Deserialize, Serialize};

use crate::edit::Edit;
use crate::error::Error;
use crate::id::NetworkServiceId;
use crate::meta::{Meta, MetaSpec, text};
use crate::object::ObjectRef;

/// A text that is not for everybody, and so in no log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The secret of a network service of mode `metadata`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataSecret {
    /// The service.
    pub network_service_uuid: NetworkServiceId,
    /// Times and revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// The secret.
    pub secret: Secret,
}

impl MetadataSecret {
    /// Keeps a service's secret, or forgets it.
    pub(crate) fn keep(edit: &mut Edit, of: &NetworkServiceId, secret: Option<Secret>) -> Result<(), Error> {
        let old = edit.topology().metadata_secrets().get(of).cloned();
        let Some(secret) = secret else {
            Self::forget(edit, of);
            return Ok(());
        };
        // Clients of HTTP give it on a command line or in a file: what cannot be seen there is a mistake.
        text("metadata_secret", secret.0.clone())?;
        match old {
            Some(old) => {
                let new = Self { secret, ..Self::clone(&old) };
                edit.replace(&*old, new, |of| &mut of.meta);
            }
            None => {
                let meta = edit.new_meta(MetaSpec::default())?;
                edit.put(Self { network_service_uuid: of.clone(), meta, secret });
            }
        }
        Ok(())
    }

    /// Forgets a service's secret, if it has one.
    pub(crate) fn forget(edit: &mut Edit, of: &NetworkServiceId) {
        if edit.topology().metadata_secrets().contains_key(of) {
            edit.delete(ObjectRef::MetadataSecret(of.clone()));
        }
    }
}
