//! `ct(…)` and `nat(…)` (ovs-actions(7)).

use std::fmt;
use std::net::IpAddr;

use super::Separated;
use crate::{Ct, CtZone, Nat, NatAddresses, NatChoice, NatKind};

impl fmt::Display for Ct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.commit {
            parts.push("commit".to_owned());
        }
        if self.force {
            parts.push("force".to_owned());
        }
        parts.extend(self.table.map(|table| format!("table={table}")));
        match self.zone {
            CtZone::Number(0) => {}
            CtZone::Number(zone) => parts.push(format!("zone={zone}")),
            CtZone::Field(field) => parts.push(format!("zone={field}")),
        }
        parts.extend(self.nat.as_ref().map(ToString::to_string));
        match self.alg {
            0 => {}
            21 => parts.push("alg=ftp".to_owned()),
            69 => parts.push("alg=tftp".to_owned()),
            other => parts.push(format!("alg={other}")),
        }
        if !self.exec.is_empty() {
            parts.push(format!("exec({})", Separated(&self.exec, ",")));
        }
        write!(f, "ct({})", Separated(&parts, ","))
    }
}

impl fmt::Display for Nat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(kind) = self.kind else {
            return f.write_str("nat");
        };
        f.write_str(match kind {
            NatKind::Source => "nat(src",
            NatKind::Destination => "nat(dst",
        })?;
        if self.addresses.is_some() || self.ports.is_some() {
            f.write_str("=")?;
        }
        self.write_addresses(f)?;
        match self.ports {
            None => {}
            Some((first, None)) => write!(f, ":{first}")?,
            Some((first, Some(last))) => write!(f, ":{first}-{last}")?,
        }
        if self.persistent {
            f.write_str(",persistent")?;
        }
        f.write_str(match self.choice {
            NatChoice::Any => ")",
            NatChoice::Hash => ",hash)",
            NatChoice::Random => ",random)",
        })
    }
}

impl Nat {
    fn write_addresses(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last): (IpAddr, Option<IpAddr>) = match self.addresses {
            None => return Ok(()),
            Some(NatAddresses::V4(first, last)) => (first.into(), last.map(Into::into)),
            Some(NatAddresses::V6(first, last)) => (first.into(), last.map(Into::into)),
        };
        // Brackets set the address apart from the port.
        let (open, close) = if first.is_ipv6() && self.ports.is_some() { ("[", "]") } else { ("", "") };
        write!(f, "{open}{first}{close}")?;
        last.map_or(Ok(()), |last| write!(f, "-{open}{last}{close}"))
    }
}
