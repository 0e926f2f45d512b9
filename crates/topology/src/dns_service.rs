//! DNS services: what a network service of mode `dns` does besides telling the names of interfaces.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::Error;
use crate::id::{DnsServiceId, NetworkServiceId};
use crate::meta::{Labels, Meta, MetaSpec};
use crate::network_service::{MAX_SERVERS, NetworkServiceMode};

/// A DNS service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DnsService {
    /// The id.
    pub uuid: DnsServiceId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// The network service it belongs to.
    pub network_service_uuid: NetworkServiceId,
    /// Servers that are asked for other names, from guests' hosts. None: such questions are refused.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub public_dns: Vec<IpAddr>,
}

/// The attributes of a DNS service that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DnsServiceSpec {
    /// `dnss-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// The network service it belongs to, of mode `dns`. Required when creating.
    network_service_uuid: Option<String>,
    /// Servers that are asked for other names, at most 8.
    #[schema(value_type = Option<Vec<String>>)]
    public_dns: Option<Vec<IpAddr>>,
}

impl DnsService {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<DnsServiceId, Error> {
        let spec: DnsServiceSpec = read(attributes)?;
        let uuid: DnsServiceId = edit.new_id(spec.uuid.clone())?;
        let of = spec.network_service_uuid.clone().ok_or_else(|| Error::missing("network_service_uuid"))?;
        let service = Self {
            uuid: uuid.clone(),
            meta: edit.new_meta(MetaSpec::default())?,
            network_service_uuid: edit.reference("network_service_uuid", &of)?,
            public_dns: Vec::new(),
        };
        edit.put(service.merge(edit, spec)?);
        Ok(uuid)
    }

    pub(crate) fn update(edit: &mut Edit, uuid: &DnsServiceId, attributes: Attributes) -> Result<(), Error> {
        let old = edit.dns_service(uuid)?;
        let new = Self::clone(&old).merge(edit, read(attributes)?)?;
        edit.replace(&*old, new, |service| &mut service.meta);
        Ok(())
    }

    /// Deletes it, with its records.
    pub(crate) fn delete(edit: &mut Edit, uuid: &DnsServiceId) -> Result<(), Error> {
        edit.dns_service(uuid)?;
        for record in edit.topology().records_of_dns_service(uuid) {
            edit.delete(record);
        }
        edit.delete(uuid.clone());
        Ok(())
    }

    fn merge(mut self, edit: &Edit, spec: DnsServiceSpec) -> Result<Self, Error> {
        self.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        if let Some(service) = spec.network_service_uuid {
            self.network_service_uuid = edit.reference("network_service_uuid", &service)?;
        }
        self.public_dns = spec.public_dns.unwrap_or(self.public_dns);
        if self.public_dns.len() > MAX_SERVERS {
            return Err(Error::unfit("public_dns", format!("must be at most {MAX_SERVERS}")));
        }
        Ok(self)
    }

    /// What hangs on other objects too, judged once a commit is complete.
    pub(crate) fn check(&self, edit: &Edit) -> Result<(), Error> {
        let of = edit.network_service(&self.network_service_uuid)?;
        if of.mode != NetworkServiceMode::Dns {
            return Err(Error::unfit("network_service_uuid", format!("{} is not of mode dns", of.uuid)));
        }
        let others = edit.topology().dns_services_of_service(&of.uuid);
        match others.into_iter().find(|other| *other != self.uuid) {
            Some(other) => {
                Err(Error::duplicate("network_service_uuid", format!("{} has {other} already", of.uuid)))
            }
            None => Ok(()),
        }
    }
}
