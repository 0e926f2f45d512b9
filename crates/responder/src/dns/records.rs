//! What is known of names.

use std::collections::HashMap;
use std::net::IpAddr;

use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, PTR, SOA};
use hickory_proto::rr::{Name, RData, Record};

/// How often the copies of a zone that nobody makes would be refreshed, tried again, and given up, in seconds: RFC 1912,
/// section 2.2, suggests these.
const REFRESH: i32 = 86_400;
const RETRY: i32 = 7_200;
const EXPIRE: i32 = 2_592_000;

/// Who looks after a zone, by convention (RFC 2142, section 7).
const MAILBOX: &str = "hostmaster";

/// A part of the name space of which everything is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its name: that of the zone and the end of all names in it.
    pub origin: Name,
    /// The name of the server that answers for it.
    pub server: Name,
    /// Which version it is: larger with every change (RFC 1982).
    pub serial: u32,
    /// How long a client may remember that there is nothing, in seconds (RFC 2308, section 5).
    pub negative_ttl: u32,
}

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// An address: A or AAAA.
    Address(IpAddr),
    /// Another name, of which all that is asked for is to be taken: CNAME. What else is known of a name that has one is
    /// not told (RFC 1034, section 3.6.2).
    Alias(Name),
    /// A name that has the address that this one was made from: PTR.
    Pointer(Name),
}

/// Zones, and all that is known of names in them and of others.
#[derive(Clone, Debug, Default)]
pub struct Records {
    zones: Vec<Zone>,
    /// A name with no records is one that others end with (RFC 8020).
    names: HashMap<Name, Vec<Entry>>,
    forwards: bool,
}

/// A record without its name.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) ttl: u32,
    pub(super) data: RData,
}

impl Records {
    /// Zones in which nothing is yet. `forwards` says whether other servers can be asked.
    pub fn new(zones: impl IntoIterator<Item = Zone>, forwards: Forwarding) -> Self {
        let zones: Vec<_> = zones.into_iter().map(Zone::absolute).collect();
        let mut records =
            Self { zones: Vec::new(), names: HashMap::new(), forwards: forwards == Forwarding::Possible };
        for zone in &zones {
            records.names.entry(zone.origin.clone()).or_default().extend(zone.entries());
        }
        records.zones = zones;
        records
    }

    /// Adds what is known of a name, within a zone or not, and how long a client may remember it, in seconds. Of what is
    /// known already it is the shorter time that counts.
    pub fn insert(&mut self, name: Name, ttl: u32, data: Data) {
        let name = absolute(name);
        let zone = self.zone_of(&name).map(|zone| zone.origin.clone());
        let data = data.into();
        let entries = self.names.entry(name.clone()).or_default();
        // RFC 2181, section 5: no two records of a name are the same.
        match entries.iter_mut().find(|entry| entry.data == data) {
            Some(entry) => entry.ttl = entry.ttl.min(ttl),
            None => entries.push(Entry { ttl, data }),
        }
        // RFC 8020: what a name that exists ends with exists, up to its zone.
        let Some(origin) = zone else { return };
        let mut parent = name;
        while parent != origin {
            parent = parent.base_name();
            self.names.entry(parent.clone()).or_default();
        }
    }

    pub(super) fn forwards(&self) -> bool {
        self.forwards
    }

    /// The zone that a name is in: the one that shares most with it.
    pub(super) fn zone_of(&self, name: &Name) -> Option<&Zone> {
        let zones = self.zones.iter().filter(|zone| zone.origin.zone_of(name));
        zones.max_by_key(|zone| zone.origin.num_labels())
    }

    /// What is known of a name. `None` if it does not exist.
    pub(super) fn entries(&self, name: &Name) -> Option<&[Entry]> {
        self.names.get(name).map(Vec::as_slice)
    }
}

/// Whether queries about what is not known can be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// They can.
    Possible,
    /// They are refused.
    Impossible,
}

impl Zone {
    fn absolute(self) -> Self {
        Self { origin: absolute(self.origin), server: absolute(self.server), ..self }
    }

    /// What every zone must have (RFC 1034, section 4.2.1).
    fn entries(&self) -> [Entry; 2] {
        [
            Entry { ttl: self.negative_ttl, data: RData::SOA(self.authority()) },
            Entry { ttl: self.negative_ttl, data: RData::NS(NS(self.server.clone())) },
        ]
    }

    fn authority(&self) -> SOA {
        let mailbox = self.origin.prepend_label(MAILBOX);
        // A zone whose name leaves no room for it.
        let mailbox = mailbox.unwrap_or_else(|_| self.origin.clone());
        SOA::new(self.server.clone(), mailbox, self.serial, REFRESH, RETRY, EXPIRE, self.negative_ttl)
    }

    /// What goes with the answer that there is nothing (RFC 2308, section 3).
    pub(super) fn nothing(&self) -> Record {
        Record::from_rdata(self.origin.clone(), self.negative_ttl, RData::SOA(self.authority()))
    }
}

impl From<Data> for RData {
    fn from(data: Data) -> Self {
        match data {
            Data::Address(IpAddr::V4(address)) => RData::A(A(address)),
            Data::Address(IpAddr::V6(address)) => RData::AAAA(AAAA(address)),
            Data::Alias(name) => RData::CNAME(CNAME(absolute(name))),
            Data::Pointer(name) => RData::PTR(PTR(absolute(name))),
        }
    }
}

/// A name that ends at the root, as all do on the wire: others are never equal to it.
fn absolute(mut name: Name) -> Name {
    name.set_fqdn(true);
    name
}
