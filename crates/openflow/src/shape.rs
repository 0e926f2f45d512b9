//! Shapes of changes: what a switch looks at when it decides whether it takes one, without the values that it keeps.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hash, Hasher};
use std::mem::discriminant;

use foldhash::quality::{FixedState, FoldHasher};

use crate::{
    Action, BundleItem, CtZone, Field, Flow, FlowMod, Group, GroupMod, Instructions, Match, Meter, MeterMod,
    OfPort,
};

/// What changes have in common of which a switch takes all or none, as far as their own form is concerned: a group or a
/// meter that one of them names may be missing, or a table full.
///
/// It says the command, the table, the fields and which of them have masks, the actions, and the values on which other
/// fields depend (OpenFlow 1.5.1, section 7.2.3.6) or of which a switch may not know all bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape(u64);

impl BundleItem {
    /// Its shape.
    pub fn shape(&self) -> Shape {
        Shape::of(|hasher| {
            discriminant(self).hash(hasher);
            match self {
                Self::Flow(command) => flow_mod(command, hasher),
                Self::Group(command) => group_mod(command, hasher),
                Self::PacketOut(packet) => packet.hash(hasher),
            }
        })
    }
}

impl MeterMod {
    /// Its shape.
    pub fn shape(&self) -> Shape {
        Shape::of(|hasher| {
            ("meter", discriminant(self)).hash(hasher);
            match self {
                Self::Add(Meter { unit, stats, burst, bands, .. })
                | Self::Modify(Meter { unit, stats, burst, bands, .. }) => {
                    (unit, stats, burst, bands.len()).hash(hasher);
                    bands.iter().for_each(|band| band.kind.hash(hasher));
                }
                Self::Delete(_) => {}
            }
        })
    }
}

impl Shape {
    fn of(say: impl FnOnce(&mut FoldHasher<'_>)) -> Self {
        let mut hasher = FixedState::default().build_hasher();
        say(&mut hasher);
        Self(hasher.finish())
    }
}

fn flow_mod(command: &FlowMod, hasher: &mut impl Hasher) {
    discriminant(command).hash(hasher);
    match command {
        FlowMod::Add(flow) => self::flow(flow, hasher),
        FlowMod::Modify { selection, flow, strict } => {
            strict.hash(hasher);
            matching(&selection.matching, hasher);
            self::flow(flow, hasher);
        }
        FlowMod::Delete(selection) | FlowMod::DeleteStrict { selection, .. } => {
            selection.table.hash(hasher);
            matching(&selection.matching, hasher);
        }
    }
}

fn group_mod(command: &GroupMod, hasher: &mut impl Hasher) {
    discriminant(command).hash(hasher);
    match command {
        GroupMod::Add(group) | GroupMod::Modify(group) | GroupMod::AddOrModify(group) => {
            self::group(group, hasher);
        }
        GroupMod::InsertBuckets { group, place } => {
            place.hash(hasher);
            self::group(group, hasher);
        }
        GroupMod::RemoveBucket { place, .. } => place.hash(hasher),
        GroupMod::Delete(_) => {}
    }
}

fn flow(flow: &Flow, hasher: &mut impl Hasher) {
    (flow.table, flow.flags).hash(hasher);
    matching(&flow.matching, hasher);
    let Instructions { apply, clear, write, write_metadata, goto_table } = &*flow.instructions;
    (clear, write_metadata.is_some(), goto_table).hash(hasher);
    actions(apply, hasher);
    actions(write, hasher);
}

fn matching(matching: &Match, hasher: &mut impl Hasher) {
    matching.terms().len().hash(hasher);
    for term in matching.terms() {
        (term.field, term.is_exact()).hash(hasher);
        if decides(term.field) {
            (term.value, term.mask).hash(hasher);
        }
    }
    matching.opaque().hash(hasher);
}

/// Whether it depends on the field's value what else a match may say, or whether the switch takes it.
fn decides(field: Field) -> bool {
    matches!(
        field,
        Field::PacketType
            | Field::EthType
            | Field::VlanTci
            | Field::VlanVid
            | Field::IpProto
            | Field::IcmpType
            | Field::IcmpCode
            | Field::Icmpv6Type
            | Field::Icmpv6Code
            | Field::IpFrag
            | Field::TunFlags
            | Field::CtState
    )
}

fn group(group: &Group, hasher: &mut impl Hasher) {
    (group.kind, &group.selection).hash(hasher);
    // How many there are of a kind tells nothing.
    let buckets: BTreeSet<_> = group
        .buckets
        .iter()
        .map(|bucket| {
            Shape::of(|hasher| {
                (bucket.watch_port.is_some(), bucket.watch_group.is_some()).hash(hasher);
                actions(&bucket.actions, hasher);
            })
        })
        .collect();
    buckets.hash(hasher);
}

fn actions(actions: &[Action], hasher: &mut impl Hasher) {
    actions.len().hash(hasher);
    actions.iter().for_each(|action| self::action(action, hasher));
}

fn action(action: &Action, hasher: &mut impl Hasher) {
    discriminant(action).hash(hasher);
    match action {
        Action::Output { port, .. } => (*port > OfPort::MAX).then_some(port).hash(hasher),
        Action::SetField(set) => (set.field(), set.is_exact()).hash(hasher),
        Action::Group(_) | Action::Meter(_) => {}
        Action::Conjunction { clause, n_clauses, .. } => (clause, n_clauses).hash(hasher),
        Action::Controller(to) => (to.pause, to.reason, to.meter.is_some()).hash(hasher),
        Action::Ct(ct) => {
            (ct.commit, ct.force, ct.table, ct.alg, &ct.nat).hash(hasher);
            if let CtZone::Field(field) = ct.zone {
                field.hash(hasher);
            }
            actions(&ct.exec, hasher);
        }
        Action::Clone(cloned) => actions(cloned, hasher),
        // Few, or with few values.
        other => other.hash(hasher),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Band, BandKind, Bucket, BucketId, GroupId, GroupType, MeterId, MeterUnit, TableId};

    fn add(matching: Match, actions: Vec<Action>) -> Shape {
        BundleItem::Flow(FlowMod::Add(Flow::new(TableId(1), 7, matching, actions))).shape()
    }

    fn to(port: u32) -> Vec<Action> {
        vec![Action::output(OfPort(port))]
    }

    #[test]
    fn values_that_are_merely_kept_make_no_difference() {
        let m = Match::new;
        assert_eq!(add(m().in_port(OfPort(1)), to(1)), add(m().in_port(OfPort(2)), to(2)));
        assert_eq!(add(m().tcp().tcp_dst(80), to(1)), add(m().tcp().tcp_dst(443), to(1)));
        let load = |value: u32| vec![Action::set_field(Field::Reg(1), value)];
        assert_eq!(add(m(), load(1)), add(m(), load(2)));
        let all = |ports: &[u32]| {
            let bucket = |port: &u32| Bucket::new(BucketId(*port), to(*port));
            let buckets = ports.iter().map(bucket).collect();
            let group = Group { id: GroupId(1), kind: GroupType::All, selection: None, buckets };
            BundleItem::Group(GroupMod::Modify(group)).shape()
        };
        assert_eq!(all(&[1]), all(&[2, 3]));
        assert_ne!(all(&[]), all(&[1]));
    }

    #[test]
    fn what_the_switch_looks_at_does() {
        let m = Match::new;
        let plain = add(m().tcp().tcp_dst(80), to(1));
        for other in [
            add(m().tcp_dst(80), to(1)),
            add(m().with(Field::EthType, 0x86dd_u16).with(Field::IpProto, 6_u8).tcp_dst(80), to(1)),
            add(m().tcp().with_masked(Field::TcpDst, 80_u16, 0xfff0_u16), to(1)),
            add(m().tcp().tcp_dst(80), vec![]),
            add(m().tcp().tcp_dst(80), vec![Action::output(OfPort::CONTROLLER)]),
            add(m().tcp().tcp_dst(80), vec![Action::Clone(to(1))]),
            BundleItem::Flow(FlowMod::delete_exactly(&Flow::new(
                TableId(1),
                7,
                m().tcp().tcp_dst(80),
                to(1),
            )))
            .shape(),
        ] {
            assert_ne!(other, plain);
        }
    }

    #[test]
    fn meters_are_alike_whatever_their_rates() {
        let meter = |id, unit, bands: &[(BandKind, u32)]| {
            let bands =
                bands.iter().map(|(kind, rate)| Band { kind: *kind, rate: *rate, burst: 5 }).collect();
            Meter { id: MeterId(id), unit, stats: true, burst: true, bands }
        };
        let plain = meter(1, MeterUnit::Pktps, &[(BandKind::Drop, 10)]);
        let same = meter(2, MeterUnit::Pktps, &[(BandKind::Drop, 20)]);
        assert_eq!(MeterMod::Add(plain.clone()).shape(), MeterMod::Add(same).shape());
        for other in [
            MeterMod::Modify(plain.clone()),
            MeterMod::Delete(plain.id),
            MeterMod::Add(meter(1, MeterUnit::Kbps, &[(BandKind::Drop, 10)])),
            MeterMod::Add(meter(1, MeterUnit::Pktps, &[(BandKind::DscpRemark(1), 10)])),
            MeterMod::Add(meter(1, MeterUnit::Pktps, &[(BandKind::Drop, 10), (BandKind::Drop, 20)])),
        ] {
            assert_ne!(other.shape(), MeterMod::Add(plain.clone()).shape());
        }
    }
}
