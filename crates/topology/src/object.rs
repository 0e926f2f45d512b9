//! Objects of every kind, their references, and changes to them: what the store keeps and the wire carries.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::binding::Binding;
use crate::datapath::Datapath;
use crate::dns_record::DnsRecord;
use crate::dns_service::DnsService;
use crate::filter::Filter;
use crate::host_pair::HostPair;
use crate::host_token::HostToken;
use crate::id::{
    DatapathId, DnsRecordId, DnsServiceId, FilterId, HostPairId, HostTokenId, InterfaceId,
    IpLeaseContainerId, IpLeaseId, IpRangeGroupId, IpRangeId, IpRetentionContainerId, LeasePolicyId,
    MacLeaseId, MacRangeGroupId, MacRangeId, NetworkId, NetworkServiceId, RouteId, RouteLinkId,
    SecurityGroupId, SegmentId, TopologyId, TranslationId,
};
use crate::interface::Interface;
use crate::ip_lease::IpLease;
use crate::ip_lease_container::IpLeaseContainer;
use crate::ip_range::IpRange;
use crate::ip_range_group::IpRangeGroup;
use crate::ip_retention_container::IpRetentionContainer;
use crate::layer::Layer;
use crate::lease_policy::LeasePolicy;
use crate::mac_lease::MacLease;
use crate::mac_range::MacRange;
use crate::mac_range_group::MacRangeGroup;
use crate::meta::Meta;
use crate::metadata_secret::MetadataSecret;
use crate::network::Network;
use crate::network_service::NetworkService;
use crate::relation::{Relation, RelationId};
use crate::route::Route;
use crate::route_link::RouteLink;
use crate::security_group::SecurityGroup;
use crate::segment::Segment;
use crate::sequences::Sequences;
use crate::translation::Translation;
use crate::{sparse, text};

/// Why stored or received bytes are no object.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The reference names no kind that this version knows, or a malformed id.
    #[error("no object reference: {0}")]
    Reference(String),
    /// The value does not fit the kind.
    #[error("the value of {reference} is malformed")]
    Value {
        /// Whose value.
        reference: String,
        /// What is wrong with it.
        #[source]
        cause: serde_json::Error,
    },
}

/// One change of the topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The object is as given, whether or not it was there.
    Put(Object),
    /// The object is not there.
    Delete(ObjectRef),
}

impl Change {
    /// Which object changes.
    pub fn reference(&self) -> ObjectRef {
        match self {
            Self::Put(object) => object.reference(),
            Self::Delete(reference) => reference.clone(),
        }
    }

    /// The object as it is afterwards, if it is there.
    pub fn object(&self) -> Option<&Object> {
        match self {
            Self::Put(object) => Some(object),
            Self::Delete(_) => None,
        }
    }
}

macro_rules! objects {
    ($($kind:ident($id:ty, $id_field:ident) = $collection:literal;)*) => {
        /// An object of any kind.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Object {$(
            #[doc = concat!("Of `", $collection, "`.")]
            $kind(Arc<$kind>),
        )*
            /// The keys given last.
            Sequences(Arc<Sequences>),
        }

        /// Names an object of any kind. As text: the collection, a slash and the id.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ObjectRef {$(
            #[doc = concat!("Of `", $collection, "`.")]
            $kind($id),
        )*
            /// The keys given last.
            Sequences,
        }

        impl Object {
            /// Names the object.
            pub fn reference(&self) -> ObjectRef {
                match self {
                    $(Self::$kind(object) => ObjectRef::$kind(object.$id_field.clone()),)*
                    Self::Sequences(_) => ObjectRef::Sequences,
                }
            }

            /// The object as hosts are told of it: who owns it, and what users sort it by, changes nothing for packets.
            pub(crate) fn for_hosts(&self) -> Self {
                match self {
                    $(Self::$kind(of) => $kind { meta: self.meta_for_hosts(), ..(**of).clone() }.into(),)*
                    Self::Sequences(_) => self.clone(),
                }
            }

            /// Reads what [`Object::encode`] wrote; fields that this version does not know are passed over.
            pub fn decode(reference: &ObjectRef, value: &[u8]) -> Result<Self, DecodeError> {
                let read = || match reference {
                    $(ObjectRef::$kind(_) => serde_json::from_slice(value).map(|object| Self::$kind(Arc::new(object))),)*
                    ObjectRef::Sequences => serde_json::from_slice(value).map(|object| Self::Sequences(Arc::new(object))),
                };
                let object = read().map_err(|cause| DecodeError::Value { reference: reference.to_string(), cause })?;
                if object.reference() == *reference {
                    Ok(object)
                } else {
                    Err(DecodeError::Reference(format!("{reference} holds {}", object.reference())))
                }
            }
        }

        impl fmt::Display for ObjectRef {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$kind(id) => write!(f, concat!($collection, "/{}"), id),)*
                    Self::Sequences => f.write_str("sequences"),
                }
            }
        }

        impl FromStr for ObjectRef {
            type Err = DecodeError;
            fn from_str(text: &str) -> Result<Self, DecodeError> {
                let wrong = || DecodeError::Reference(text.to_owned());
                match text.split_once('/') {
                    None if text == "sequences" => Ok(Self::Sequences),
                    $(Some(($collection, id)) => id.parse().map(Self::$kind).map_err(|_| wrong()),)*
                    _ => Err(wrong()),
                }
            }
        }

        $(impl From<$kind> for Object {
            fn from(object: $kind) -> Self {
                Self::$kind(Arc::new(object))
            }
        })*
    };
}

objects! {
    Datapath(DatapathId, uuid) = "datapaths";
    Segment(SegmentId, uuid) = "segments";
    Network(NetworkId, uuid) = "networks";
    Interface(InterfaceId, uuid) = "interfaces";
    MacLease(MacLeaseId, uuid) = "mac_leases";
    IpLease(IpLeaseId, uuid) = "ip_leases";
    RouteLink(RouteLinkId, uuid) = "route_links";
    Route(RouteId, uuid) = "routes";
    NetworkService(NetworkServiceId, uuid) = "network_services";
    MetadataSecret(NetworkServiceId, network_service_uuid) = "metadata_secrets";
    DnsService(DnsServiceId, uuid) = "dns_services";
    DnsRecord(DnsRecordId, uuid) = "dns_records";
    Translation(TranslationId, uuid) = "translations";
    Filter(FilterId, uuid) = "filters";
    SecurityGroup(SecurityGroupId, uuid) = "security_groups";
    MacRangeGroup(MacRangeGroupId, uuid) = "mac_range_groups";
    MacRange(MacRangeId, uuid) = "mac_ranges";
    IpRangeGroup(IpRangeGroupId, uuid) = "ip_range_groups";
    IpRange(IpRangeId, uuid) = "ip_ranges";
    LeasePolicy(LeasePolicyId, uuid) = "lease_policies";
    IpLeaseContainer(IpLeaseContainerId, uuid) = "ip_lease_containers";
    IpRetentionContainer(IpRetentionContainerId, uuid) = "ip_retention_containers";
    Layer(TopologyId, uuid) = "topologies";
    Relation(RelationId, uuid) = "relations";
    Binding(InterfaceId, interface_uuid) = "bindings";
    HostToken(HostTokenId, uuid) = "host_tokens";
    HostPair(HostPairId, uuid) = "host_pairs";
}

impl Object {
    /// Of the leases of a host interface the one counts that was made first.
    fn meta_for_hosts(&self) -> Meta {
        match self {
            Self::IpLease(of) => Meta { created_at: of.meta.created_at, ..Meta::default() },
            _ => Meta::default(),
        }
    }

    /// As the store and the wire have it: JSON without attributes that are as they are when nobody says anything of them.
    pub fn encode(&self) -> Vec<u8> {
        let usual: &[_] = match self {
            Self::Interface(_) => &Interface::USUAL,
            Self::IpLease(_) => &IpLease::USUAL,
            _ => &[],
        };
        sparse::said(self, usual).expect("objects have only texts for map keys")
    }
}

impl Serialize for ObjectRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::parsed(deserializer)
    }
}

impl From<Sequences> for Object {
    fn from(sequences: Sequences) -> Self {
        Self::Sequences(Arc::new(sequences))
    }
}

macro_rules! references {
    ($($id:ident => $kind:ident),*) => {$(
        impl From<$id> for ObjectRef {
            fn from(id: $id) -> Self {
                Self::$kind(id)
            }
        }
    )*};
}
// An interface's id names the interface; its binding is named in full, as is the secret of a service.
references!(
    DatapathId => Datapath, SegmentId => Segment, NetworkId => Network, InterfaceId => Interface, MacLeaseId => MacLease, IpLeaseId => IpLease, RouteLinkId => RouteLink, RouteId => Route, NetworkServiceId => NetworkService, DnsServiceId => DnsService, DnsRecordId => DnsRecord, HostTokenId => HostToken, HostPairId => HostPair, TranslationId => Translation, FilterId => Filter, SecurityGroupId => SecurityGroup, MacRangeGroupId => MacRangeGroup, MacRangeId => MacRange, IpRangeGroupId => IpRangeGroup, IpRangeId => IpRange, LeasePolicyId => LeasePolicy, IpLeaseContainerId => IpLeaseContainer, IpRetentionContainerId => IpRetentionContainer, TopologyId => Layer, RelationId => Relation
);

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_is_usual_is_what_a_reader_takes_for_what_is_not_there() {
        let check = |reference: &str, bare: Value, usual: &[(&str, &str)]| {
            let reference: ObjectRef = reference.parse().expect("a reference");
            let object = Object::decode(&reference, bare.to_string().as_bytes()).expect("an object");
            let whole = serde_json::to_value(&object).expect("JSON");
            for (name, value) in usual {
                assert_eq!(whole[name].to_string(), *value, "{name} of {reference}");
            }
            assert_eq!(serde_json::from_slice::<Value>(&object.encode()).ok(), Some(bare));
        };
        let interface = json!({"uuid": "if-a", "key": 7, "mode": "vif"});
        check("interfaces/if-a", interface, &Interface::USUAL);
        let lease = json!({"uuid": "il-a", "network_uuid": "nw-a", "ipv4_address": "10.0.0.1"});
        check("ip_leases/il-a", lease, &IpLease::USUAL);
    }
}
