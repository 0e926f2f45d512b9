//! DNS records: names that a DNS service tells besides those of interfaces.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::Error;
use crate::id::{DnsRecordId, DnsServiceId};
use crate::meta::{Labels, Meta, MetaSpec};
use crate::network::domain_name;

/// Time in seconds that an answer may be remembered, if the record says nothing else: as in the original.
pub const DEFAULT_TTL: u32 = 300;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordData {
    /// An IPv4 address.
    #[schema(value_type = String, example = "10.100.0.10")]
    Ipv4Address(Ipv4Addr),
    /// An IPv6 address.
    #[schema(value_type = String, example = "fd00:100::10")]
    Ipv6Address(Ipv6Addr),
    /// Another name.
    Cname(String),
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DnsRecord {
    /// The id.
    pub uuid: DnsRecordId,
    /// Ownership, labels, times, revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// The service that tells it.
    pub dns_service_uuid: DnsServiceId,
    /// The name, without a dot at its end. Several records may have one.
    #[serde(default)]
    #[schema(required = true)]
    pub name: String,
    /// How long an answer may be remembered, in seconds.
    pub ttl: u32,
    /// What it stands for.
    #[serde(flatten)]
    pub data: RecordData,
}

/// The attributes of a DNS record that users give.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DnsRecordSpec {
    /// `dnsr-…`; made up if absent. Only when creating.
    uuid: Option<String>,
    /// Who it belongs to.
    project: Option<String>,
    /// Free names and values.
    labels: Option<Labels>,
    /// The service that tells it. Required when creating.
    dns_service_uuid: Option<String>,
    /// The name. Required when creating.
    name: Option<String>,
    /// How long an answer may be remembered, in seconds; 300 if absent.
    ttl: Option<u32>,
    /// What it stands for: an IPv4 address,
    #[schema(value_type = Option<String>)]
    ipv4_address: Option<Ipv4Addr>,
    /// or an IPv6 address,
    #[schema(value_type = Option<String>)]
    ipv6_address: Option<Ipv6Addr>,
    /// or another name.
    cname: Option<String>,
}

impl DnsRecordSpec {
    fn data(&self) -> Result<Option<RecordData>, Error> {
        let cname = self.cname.clone().map(|name| domain_name("cname", trimmed(name))).transpose()?;
        let given = [
            self.ipv4_address.map(RecordData::Ipv4Address),
            self.ipv6_address.map(RecordData::Ipv6Address),
            cname.map(RecordData::Cname),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (_, Some(_)) => {
                Err(Error::unfit("ipv4_address", "a record says one thing: make another one for this"))
            }
            (one, None) => Ok(one),
        }
    }
}

/// Names are absolute: a dot at the end says so again (RFC 1035, section 5.1).
fn trimmed(name: String) -> String {
    name.strip_suffix('.').map_or(name.clone(), str::to_owned)
}

impl DnsRecord {
    pub(crate) fn create(edit: &mut Edit, attributes: Attributes) -> Result<DnsRecordId, Error> {
        let spec: DnsRecordSpec = read(attributes)?;
        let uuid: DnsRecordId = edit.new_id(spec.uuid.clone())?;
        let service = spec.dns_service_uuid.clone().ok_or_else(|| Error::missing("dns_service_uuid"))?;
        let record = Self {
            uuid: uuid.clone(),
            meta: edit.new_meta(MetaSpec::default())?,
            dns_service_uuid: edit.reference("dns_service_uuid", &service)?,
            name: spec.name.clone().ok_or_else(|| Error::missing("name"))?,
            ttl: DEFAULT_TTL,
            data: spec.data()?.ok_or_else(|| Error::missing("ipv4_address"))?,
        };
        edit.put(record.merge(edit, spec)?);
        Ok(uuid)
    }

    pub(crate) fn update(edit: &mut Edit, uuid: &DnsRecordId, attributes: Attributes) -> Result<(), Error> {
        let old = edit.dns_record(uuid)?;
        let new = Self::clone(&old).merge(edit, read(attributes)?)?;
        edit.replace(&*old, new, |record| &mut record.meta);
        Ok(())
    }

    pub(crate) fn delete(edit: &mut Edit, uuid: &DnsRecordId) -> Result<(), Error> {
        edit.dns_record(uuid)?;
        edit.delete(uuid.clone());
        Ok(())
    }

    fn merge(mut self, edit: &Edit, spec: DnsRecordSpec) -> Result<Self, Error> {
        self.data = spec.data()?.unwrap_or(self.data);
        self.meta.merge(MetaSpec { project: spec.project, labels: spec.labels })?;
        if let Some(service) = spec.dns_service_uuid {
            self.dns_service_uuid = edit.reference("dns_service_uuid", &service)?;
        }
        if let Some(name) = spec.name {
            self.name = domain_name("name", trimmed(name))?;
        }
        self.ttl = spec.ttl.unwrap_or(self.ttl);
        Ok(self)
    }
}
