//! What flows may write, in a table and in those that it leads to.

use std::collections::BTreeMap;

use dataplane::Program;
use openflow::{Action, Field, TableId};

use super::known::{Bits, CONNECTION, VLAN, bits, words};

/// What may be written in each table, and in those that it leads to.
pub(super) fn written(program: &Program) -> BTreeMap<TableId, Bits> {
    let mut written: BTreeMap<TableId, Bits> = BTreeMap::new();
    loop {
        let before = size(&written);
        for flow in program.flows.values() {
            let mut own = written.remove(&flow.table).unwrap_or_default();
            let next = flow.instructions.goto_table.into_iter();
            next.for_each(|next| add(&mut own, &written.get(&next).cloned().unwrap_or_default()));
            writes(&flow.instructions.apply, &written, &mut own);
            written.insert(flow.table, own);
        }
        if size(&written) == before {
            return written;
        }
    }
}

fn size(written: &BTreeMap<TableId, Bits>) -> u32 {
    written.values().flat_map(BTreeMap::values).map(|mask| mask.count_ones()).sum()
}

fn add(bits: &mut Bits, more: &Bits) {
    more.iter().for_each(|(field, mask)| *bits.entry(*field).or_default() |= mask);
}

/// What actions may write, here and where they lead to. Buckets, clones and what is tracked write into copies.
pub(super) fn writes(actions: &[Action], written: &BTreeMap<TableId, Bits>, bits_written: &mut Bits) {
    for action in actions {
        match action {
            Action::SetField(set) => {
                for (field, _, mask) in words(set.field(), 0, set.mask()) {
                    *bits_written.entry(field).or_default() |= mask;
                }
            }
            Action::Move { destination, .. } | Action::CheckPktLarger { destination, .. } => {
                add(bits_written, &bits(destination).into_iter().collect());
            }
            Action::Resubmit { table: Some(table), .. } => {
                add(bits_written, &written.get(table).cloned().unwrap_or_default());
            }
            Action::DecTtl => add(bits_written, &Bits::from([(Field::IpTtl, u128::MAX)])),
            Action::CtClear => bits_written.extend(CONNECTION.map(|field| (field, u128::MAX))),
            Action::PushVlan(_) | Action::PopVlan => {
                bits_written.extend(VLAN.map(|field| (field, u128::MAX)));
            }
            _ => {}
        }
    }
}
