//! The domain of OpenVNet: what users describe, held to its rules, and worked out as far as it goes without I/O.
//!
//! - Objects, one file a noun: [`datapath`], [`network`], [`segment`], [`interface`], [`mac_lease`], [`ip_lease`],
//!   [`route_link`], [`route`], [`network_service`], [`dns_service`],
//!   [`mac_range_group`], [`mac_range`], [`ip_range_group`], [`ip_range`], [`lease_policy`], [`ip_lease_container`],
//!   [`ip_retention_container`], [`metadata_secret`], [`dns_record`], [`translation`], [`layer`] (topologies), [`relation`],
//!   [`binding`], [`host_token`], [`host_pair`], [`sequences`]. One serde type serves the API, the store and the wire.
//! - [`graph`]: all of them in memory, with indexes; cheap to clone.
//! - [`request`] and [`edit`]: pure functions from (topology, request) to (changes, error).
//! - [`allocation`]: which free address is given next.
//! - [`placement`]: which hosts carry a domain, and by which of their underlay addresses.
//! - [`underlay`]: how packets go from one host to another; [`mtu`]: how large they may be.
//! - [`physical`]: what physical networks are made of, and their gateways.
//! - [`walk`]: where a packet goes, by the objects alone.
//! - [`reach`]: who can talk to whom, and whether that is as it should be.
//! - [`scope`]: which part a host needs, and what it must be told when that changes.
//!
//! Nothing here reads a clock, a socket, a file or a source of randomness: times and seeds are arguments.

pub mod address;
pub mod allocation;
pub mod attributes;
pub mod binding;
pub mod datapath;
mod dice;
pub mod dns_record;
pub mod dns_service;
pub mod edit;
pub mod error;
pub mod filter;
pub mod graph;
pub mod host_pair;
pub mod host_token;
pub mod id;
pub mod interface;
pub mod ip_lease;
pub mod ip_lease_container;
pub mod ip_range;
pub mod ip_range_group;
pub mod ip_retention_container;
pub mod layer;
pub mod lease_policy;
pub mod mac_lease;
pub mod mac_range;
pub mod mac_range_group;
pub mod meta;
pub mod metadata_secret;
pub mod mtu;
mod multimap;
pub mod network;
pub mod network_service;
pub mod object;
pub mod physical;
pub mod placement;
pub mod reach;
pub mod relation;
pub mod request;
pub mod route;
pub mod route_link;
mod runs;
pub mod scope;
pub mod security_group;
pub mod segment;
pub mod sequences;
mod sparse;
mod text;
pub mod traffic;
pub mod translation;
pub mod underlay;
pub mod walk;
pub mod wire;

pub use address::{
    DomainKey, Dpid, HostKey, IdentityKey, InterfaceKey, MacAddr, NodeId, Revision, RouteKey, RouteLinkKey,
    TranslationKey, TranslationZone,
};
pub use attributes::Attributes;
pub use edit::Edit;
pub use error::{Error, ErrorKind};
pub use graph::{DomainId, Topology};
pub use id::{
    DatapathId, DnsRecordId, DnsServiceId, FilterId, HostPairId, HostTokenId, Id, InterfaceId,
    IpLeaseContainerId, IpLeaseId, IpRangeGroupId, IpRangeId, IpRetentionContainerId, LeasePolicyId,
    MacLeaseId, MacRangeGroupId, MacRangeId, NetworkId, NetworkServiceId, RouteId, RouteLinkId,
    SecurityGroupId, SegmentId, TopologyId, TranslationId,
};
pub use object::{Change, Object, ObjectRef};
pub use request::{Action, Collection, Request};
