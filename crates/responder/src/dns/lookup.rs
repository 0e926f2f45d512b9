//! Looking names up (RFC 1034, section 4.3.2).

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::records::{Entry, Records};

/// Most aliases on the way to an answer. More is a circle, or nobody's intention.
const MOST_ALIASES: usize = 8;

/// What a question finds.
pub(super) struct Found {
    pub(super) code: ResponseCode,
    /// Whether the name that was asked for is one that is known here to exist, or not to.
    pub(super) is_known: bool,
    pub(super) answers: Vec<Record>,
    pub(super) authorities: Vec<Record>,
}

/// Follows aliases as far as they are known. A response code is that of the last name (RFC 6604, section 3).
pub(super) fn look_up(records: &Records, name: &Name, kind: RecordType) -> Found {
    let mut answers = Vec::new();
    // Owners keep the case that they were asked in: clients hide a nonce in it.
    let mut owner = name.clone();
    for _ in 0..=MOST_ALIASES {
        let Some(entries) = records.entries(&owner) else {
            return without(records, &owner, answers, ResponseCode::NXDomain);
        };
        if let Some((alias, target)) = alias(entries).filter(|_| kind != RecordType::CNAME) {
            answers.push(record(&owner, alias, alias.ttl));
            owner = target.clone();
            // RFC 8482, section 4.1: who asks for anything gets something.
            if kind == RecordType::ANY {
                return found(answers);
            }
            continue;
        }
        let set = set(entries, kind);
        if set.is_empty() {
            return without(records, &owner, answers, ResponseCode::NoError);
        }
        // RFC 2181, section 5.2: records of one kind live equally long.
        let ttl = set.iter().map(|entry| entry.ttl).min().unwrap_or(0);
        answers.extend(set.into_iter().map(|entry| record(&owner, entry, ttl)));
        return found(answers);
    }
    Found { code: ResponseCode::ServFail, is_known: true, answers: Vec::new(), authorities: Vec::new() }
}

fn found(answers: Vec<Record>) -> Found {
    Found { code: ResponseCode::NoError, is_known: true, answers, authorities: Vec::new() }
}

/// There is nothing, which is certain within a zone. Outside of one, nothing is known but the aliases that lead there.
fn without(records: &Records, owner: &Name, answers: Vec<Record>, code: ResponseCode) -> Found {
    match records.zone_of(owner) {
        Some(zone) => Found { code, is_known: true, answers, authorities: vec![zone.nothing()] },
        None if answers.is_empty() => {
            Found { code: ResponseCode::Refused, is_known: false, answers, authorities: Vec::new() }
        }
        None => found(answers),
    }
}

fn alias(entries: &[Entry]) -> Option<(&Entry, &Name)> {
    entries.iter().find_map(|entry| match &entry.data {
        RData::CNAME(target) => Some((entry, &target.0)),
        _ => None,
    })
}

/// The records of a kind. RFC 8482, section 4.1: of any kind means those of one.
fn set(entries: &[Entry], kind: RecordType) -> Vec<&Entry> {
    let kind = match (kind, entries.last()) {
        (RecordType::ANY, Some(entry)) => entry.data.record_type(),
        _ => kind,
    };
    entries.iter().filter(|entry| entry.data.record_type() == kind).collect()
}

fn record(owner: &Name, entry: &Entry, ttl: u32) -> Record {
    Record::from_rdata(owner.clone(), ttl, entry.data.clone())
}
