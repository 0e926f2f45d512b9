//! What every object carries besides its own attributes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::address::Revision;
use crate::error::Error;

/// The project of objects whose creator named none.
pub const DEFAULT_PROJECT: &str = "default";

/// Most labels on one object.
pub const MAX_LABELS: usize = 64;

/// Longest project name, label name, label value or display name, in bytes.
pub const MAX_TEXT: usize = 255;

/// Labels: what users sort their objects by.
pub type Labels = BTreeMap<String, String>;

// Hosts are told of objects without these: what is not there is as by default.
/// Ownership, labels, times and revision of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Meta {
    /// Who the object belongs to.
    #[serde(default)]
    #[schema(value_type = String, required = true)]
    pub project: SmolStr,
    /// Free names and values.
    #[serde(default)]
    pub labels: Labels,
    /// When the object was made.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(value_type = String, format = DateTime, required = true)]
    pub created_at: Timestamp,
    /// When the object last changed.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(value_type = String, format = DateTime, required = true)]
    pub updated_at: Timestamp,
    /// The revision that last changed the object; `If-Match` is compared with it.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(required = true)]
    pub revision: Revision,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The attributes of [`Meta`] that a user gives.
#[derive(Clone, Debug, Default)]
pub(crate) struct MetaSpec {
    pub(crate) project: Option<String>,
    pub(crate) labels: Option<Labels>,
}

impl Meta {
    pub(crate) fn new(spec: MetaSpec, now: Timestamp, revision: Revision) -> Result<Self, Error> {
        let project = SmolStr::new_static(DEFAULT_PROJECT);
        let mut meta = Self { project, labels: Labels::new(), created_at: now, updated_at: now, revision };
        meta.merge(spec)?;
        Ok(meta)
    }

    /// What an object passes on to those made along with it.
    pub(crate) fn inherited(&self) -> MetaSpec {
        MetaSpec { project: Some(self.project.to_string()), labels: Some(self.labels.clone()) }
    }

    pub(crate) fn merge(&mut self, spec: MetaSpec) -> Result<(), Error> {
        if let Some(project) = spec.project {
            self.project = text("project", project)?.into();
            if self.project.is_empty() {
                return Err(Error::argument("project", "must not be empty"));
            }
        }
        if let Some(labels) = spec.labels {
            self.labels = valid_labels(labels)?;
        }
        Ok(())
    }
}

/// A text a user may store: bounded, and without control characters that would garble a table.
pub(crate) fn text(field: &'static str, value: String) -> Result<String, Error> {
    match value {
        value if value.len() > MAX_TEXT => {
            Err(Error::argument(field, format!("must be at most {MAX_TEXT} bytes long")))
        }
        value if value.chars().any(char::is_control) => {
            Err(Error::argument(field, "must not hold control characters"))
        }
        value => Ok(value),
    }
}

fn valid_labels(labels: Labels) -> Result<Labels, Error> {
    if labels.len() > MAX_LABELS {
        return Err(Error::argument("labels", format!("must be at most {MAX_LABELS}")));
    }
    for (name, value) in &labels {
        text("labels", name.clone())?;
        text("labels", value.clone())?;
        if name.is_empty() || name.contains(['=', ',']) {
            return Err(Error::argument(
                "labels",
                format!("a name must not be empty or hold `=` or `,`: {name}"),
            ));
        }
    }
    Ok(labels)
}
