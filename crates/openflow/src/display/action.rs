//! Actions, except those that have a file of their own.

use std::fmt;

use super::values::Masked;
use super::{Dotted, Separated};
use crate::{Action, Bundle, Controller, HashFields, Multipath, OfPort, PacketInReason, SetField, TableId};

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output { port: OfPort::CONTROLLER, max_len } => write!(f, "CONTROLLER:{max_len}"),
            Self::Output { port, .. } => write!(f, "output:{port}"),
            Self::OutputReg { source, .. } => write!(f, "output:{source}"),
            Self::OutputTrunc { port, max_len } => write!(f, "output(port={port},max_len={max_len})"),
            Self::Controller(controller) => controller.fmt(f),
            Self::Group(group) => write!(f, "group:{group}"),
            Self::Meter(meter) => write!(f, "meter:{meter}"),
            Self::SetQueue(queue) => write!(f, "set_queue:{queue}"),
            Self::SetField(set) => set.fmt(f),
            Self::Move { source, destination } => write!(f, "move:{source}->{destination}"),
            Self::Push(field) => write!(f, "push:{field}"),
            Self::Pop(field) => write!(f, "pop:{field}"),
            Self::PushVlan(ethertype) => write!(f, "push_vlan:{ethertype:#06x}"),
            Self::PopVlan => f.write_str("pop_vlan"),
            Self::PushMpls(ethertype) => write!(f, "push_mpls:{ethertype:#06x}"),
            Self::PopMpls(ethertype) => write!(f, "pop_mpls:{ethertype:#06x}"),
            Self::DecTtl => f.write_str("dec_ttl"),
            Self::DecTtlControllers(ids) => write!(f, "dec_ttl({})", Separated(ids, ",")),
            Self::DecMplsTtl => f.write_str("dec_mpls_ttl"),
            Self::Resubmit { port, table } => write_resubmit(f, *port, *table, ""),
            Self::ResubmitCt { port, table } => write_resubmit(f, *port, *table, ",ct"),
            Self::Learn(learn) => learn.fmt(f),
            Self::Ct(ct) => ct.fmt(f),
            Self::CtClear => f.write_str("ct_clear"),
            Self::Conjunction { id, clause, n_clauses } => {
                write!(f, "conjunction({id},{clause}/{n_clauses})")
            }
            Self::Multipath(multipath) => multipath.fmt(f),
            Self::Bundle(bundle) => bundle.fmt(f),
            Self::Clone(actions) => write!(f, "clone({})", Separated(actions, ",")),
            Self::Note(bytes) => write!(f, "note:{}", Dotted(bytes)),
            Self::CheckPktLarger { destination, length } => {
                write!(f, "check_pkt_larger({length})->{destination}")
            }
            Self::Exit => f.write_str("exit"),
            Self::DeleteField(field) => write!(f, "delete_field:{field}"),
            Self::Encap(packet_type) => write!(f, "encap({})", PacketType(*packet_type)),
            Self::Decap(packet_type) => write!(f, "decap(packet_type({}))", PacketType(*packet_type)),
            Self::FinTimeout { idle, hard } => {
                write!(f, "fin_timeout(idle_timeout={idle},hard_timeout={hard})")
            }
            Self::Opaque(bytes) => write!(f, "opaque({})", Dotted(bytes)),
        }
    }
}

/// Namespace and number (OpenFlow 1.5.1, section 7.2.3.11).
struct PacketType(u32);

impl fmt::Display for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("ethernet"),
            other => write!(f, "ns={},type={:#x}", other >> 16, other & 0xffff),
        }
    }
}

fn write_resubmit(
    f: &mut fmt::Formatter<'_>,
    port: Option<OfPort>,
    table: Option<TableId>,
    suffix: &str,
) -> fmt::Result {
    let port = port.map_or_else(String::new, |port| port.to_string());
    let table = table.map_or_else(String::new, |table| table.to_string());
    write!(f, "resubmit({port},{table}{suffix})")
}

impl fmt::Display for SetField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (field, value) = (self.field(), self.value());
        if !self.is_exact() && self.mask() == field.ones() {
            // Part of a tunnel option: all of what is written, not of what there is.
            return write!(f, "set_field:{value:#x}/{:#x}->{field}", self.mask());
        }
        let mask = if self.is_exact() { field.ones() } else { self.mask() };
        write!(f, "set_field:{}->{field}", Masked { field, value, mask })
    }
}

impl fmt::Display for PacketInReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TableMiss => f.write_str("no_match"),
            Self::ApplyAction => f.write_str("action"),
            Self::InvalidTtl => f.write_str("invalid_ttl"),
            Self::ActionSet => f.write_str("action_set"),
            Self::Group => f.write_str("group"),
            Self::PacketOut => f.write_str("packet_out"),
            Self::Other(number) => write!(f, "{number}"),
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "controller(reason={},max_len={},id={}", self.reason, self.max_len, self.controller_id)?;
        if !self.userdata.is_empty() {
            write!(f, ",userdata={}", Dotted(&self.userdata))?;
        }
        if self.pause {
            f.write_str(",pause")?;
        }
        if let Some(meter) = self.meter {
            write!(f, ",meter_id={meter}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for HashFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EthSrc => "eth_src",
            Self::SymmetricL4 => "symmetric_l4",
            Self::SymmetricL3L4 => "symmetric_l3l4",
            Self::SymmetricL3L4Udp => "symmetric_l3l4+udp",
            Self::NwSrc => "nw_src",
            Self::NwDst => "nw_dst",
            Self::SymmetricL3 => "symmetric_l3",
        })
    }
}

impl fmt::Display for Multipath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = match self.algorithm {
            0 => "modulo_n",
            1 => "hash_threshold",
            2 => "hrw",
            _ => "iter_hash",
        };
        let links = u32::from(self.max_link) + 1;
        let Self { fields, basis, argument, destination, .. } = self;
        write!(f, "multipath({fields},{basis},{algorithm},{links},{argument},{destination})")
    }
}

impl fmt::Display for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = if self.active_backup { "active_backup" } else { "hrw" };
        let (fields, basis, members) = (self.fields, self.basis, Separated(&self.members, ","));
        match self.destination {
            None => write!(f, "bundle({fields},{basis},{algorithm},ofport,members:{members})"),
            Some(field) => {
                write!(f, "bundle_load({fields},{basis},{algorithm},ofport,{field},members:{members})")
            }
        }
    }
}
