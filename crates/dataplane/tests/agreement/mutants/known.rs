//! What the tables show of a packet: bits of its fields and registers.

use std::collections::BTreeMap;

use openflow::{Field, Match, SubField, Term, ct_state};

/// Registers.
const REGISTERS: u8 = 16;

/// Some bits of fields.
pub(super) type Bits = BTreeMap<Field, u128>;

/// What is known of a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Known {
    /// Values and masks.
    fields: BTreeMap<Field, (u128, u128)>,
    /// What does not match: other flows have taken it before.
    pub(super) not: Vec<Match>,
    /// What is not as it should be.
    pub(super) wrong: Bits,
}

/// What trackers say.
pub(super) const CONNECTION: [Field; 9] = [
    Field::CtState,
    Field::CtMark,
    Field::CtNwProto,
    Field::CtNwSrc,
    Field::CtNwDst,
    Field::CtIpv6Src,
    Field::CtIpv6Dst,
    Field::CtTpSrc,
    Field::CtTpDst,
];

/// What a tag that comes or goes changes.
pub(super) const VLAN: [Field; 3] = [Field::VlanTci, Field::VlanVid, Field::EthType];

/// What a tracker may rewrite.
const TRANSLATED: [Field; 8] = [
    Field::Ipv4Src,
    Field::Ipv4Dst,
    Field::Ipv6Src,
    Field::Ipv6Dst,
    Field::TcpSrc,
    Field::TcpDst,
    Field::UdpSrc,
    Field::UdpDst,
];

impl Known {
    /// Where packets come in nothing is written yet.
    pub(super) fn nothing_written() -> Self {
        let mut known = Self::default();
        (0..REGISTERS).for_each(|register| known.write(Field::Reg(register), 0, u128::from(u32::MAX)));
        known.write(Field::Metadata, 0, u128::from(u64::MAX));
        // No tracker has been asked either.
        known.write(Field::CtState, 0, u128::from(u32::MAX));
        known.write(Field::CtMark, 0, u128::from(u32::MAX));
        known
    }

    /// What is known either way.
    pub(super) fn common(mut self, other: Self) -> Self {
        for (field, (value, known)) in &mut self.fields {
            let (others, of_other) = other.fields.get(field).copied().unwrap_or_default();
            *known &= of_other & !(*value ^ others);
            *value &= *known;
        }
        self
    }

    pub(super) fn learn(&mut self, matching: &Match) {
        for term in matching.terms() {
            for (field, value, mask) in words(term.field, term.value, term.mask) {
                let (old, known) = self.fields.get(&field).copied().unwrap_or_default();
                self.fields.insert(field, (old & !mask | value & mask, known | mask));
            }
        }
    }

    /// Whether a field is known to be this.
    pub(super) fn is(&self, field: Field, wanted: u128) -> bool {
        self.fields.get(&field).is_some_and(|(value, known)| *known != 0 && *value == wanted)
    }

    /// Whether a packet of which this is known may match.
    pub(super) fn may_fit(&self, matching: &Match) -> bool {
        self.against(matching, |(value, known), (wanted, mask)| (value ^ wanted) & known & mask == 0)
    }

    /// Whether all such packets match.
    pub(super) fn fits(&self, matching: &Match) -> bool {
        self.against(matching, |(value, known), (wanted, mask)| {
            known & mask == mask && (value ^ wanted) & mask == 0
        })
    }

    pub(super) fn against(
        &self,
        matching: &Match,
        holds: impl Fn((u128, u128), (u128, u128)) -> bool,
    ) -> bool {
        matching.terms().iter().all(|term| {
            words(term.field, term.value, term.mask).into_iter().all(|(field, value, mask)| {
                holds(self.fields.get(&field).copied().unwrap_or_default(), (value, mask))
            })
        })
    }

    pub(super) fn write(&mut self, field: Field, value: u128, mask: u128) {
        self.overwrite(field, mask);
        let (old, known) = self.fields.get(&field).copied().unwrap_or_default();
        self.fields.insert(field, (old | value & mask, known | mask));
    }

    /// Writes what nobody knows.
    pub(super) fn overwrite(&mut self, field: Field, mask: u128) {
        self.forget(field, mask);
        if let Some(wrong) = self.wrong.get_mut(&field) {
            *wrong &= !mask;
        }
        self.wrong.retain(|_, mask| *mask != 0);
    }

    pub(super) fn forget(&mut self, field: Field, mask: u128) {
        let is_about = |term: &Term| {
            words(term.field, 0, term.mask).iter().any(|(of, _, bits)| *of == field && bits & mask != 0)
        };
        self.not.retain(|not| !not.terms().iter().any(is_about));
        if let Some((value, known)) = self.fields.get_mut(&field) {
            (*value, *known) = (*value & !mask, *known & !mask);
        }
    }

    pub(super) fn forget_connection(&mut self) {
        CONNECTION.iter().for_each(|field| self.forget(*field, u128::MAX));
    }

    pub(super) fn forget_headers(&mut self) {
        VLAN.iter().for_each(|field| self.forget(*field, u128::MAX));
    }

    /// The packet as it comes out of a tracker.
    pub(super) fn tracked(&self, is_translated: bool) -> Self {
        let mut tracked = self.clone();
        CONNECTION.iter().for_each(|field| tracked.overwrite(*field, u128::MAX));
        if is_translated {
            TRANSLATED.iter().for_each(|field| tracked.forget(*field, u128::MAX));
        }
        let known = u128::from(ct_state::TRK);
        tracked.write(Field::CtState, known, known);
        tracked
    }

    pub(super) fn is_wrong(&self, field: Field, mask: u128) -> bool {
        self.wrong.get(&field).is_some_and(|wrong| wrong & mask != 0)
    }

    pub(super) fn is_wrong_in(&self, matching: &Match) -> bool {
        let mut terms = matching.terms().iter().flat_map(|term| words(term.field, term.value, term.mask));
        terms.any(|(field, _, mask)| self.is_wrong(field, mask))
    }
}

/// A field's value and mask, of wide registers word by word.
pub(super) fn words(field: Field, value: u128, mask: u128) -> Vec<(Field, u128, u128)> {
    let (first, count) = match field {
        Field::Xreg(number) => (number * 2, 2),
        Field::Xxreg(number) => (number * 4, 4),
        other => return vec![(other, value, mask)],
    };
    let word = |number: u8| {
        let shift = 32 * u32::from(count - 1 - number);
        let cut = |of: u128| of >> shift & u128::from(u32::MAX);
        (Field::Reg(first + number), cut(value), cut(mask))
    };
    (0..count).map(word).filter(|(_, _, mask)| *mask != 0).collect()
}

/// The bits of part of a field.
pub(super) fn bits(part: &SubField) -> Vec<(Field, u128)> {
    let ones = if part.bits < 128 { (1_u128 << part.bits) - 1 } else { u128::MAX };
    words(part.field, 0, ones << part.offset).into_iter().map(|(field, _, mask)| (field, mask)).collect()
}
