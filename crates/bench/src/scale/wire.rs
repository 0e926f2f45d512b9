//! Bytes of each agent's connection, as the kernel counts them: what TLS has made of what was sent, TCP and IP headers left out.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context, ensure};

use super::fleet::address;

/// What every agent has been sent by its manager on its present connection, in the order of hosts. None if it has none.
pub(super) fn received(hosts: usize, port: u16) -> anyhow::Result<Vec<Option<u64>>> {
    let filter = format!("dport = :{port}");
    // ss(8): numbers, TCP's own counters, one line each, no header.
    let shown =
        Command::new("ss").args(["-tinOH", "state", "established", &filter]).output().context("ss(8)")?;
    ensure!(shown.status.success(), "ss: {}", String::from_utf8_lossy(&shown.stderr));
    let shown = String::from_utf8_lossy(&shown.stdout);
    let counts: BTreeMap<_, _> = shown.lines().filter_map(|line| connection(line, port)).collect();
    Ok((0..hosts).map(|host| counts.get(&address(host)).copied()).collect())
}

/// The address that a line's connection leads to, and the bytes that came from there.
fn connection(line: &str, port: u16) -> Option<(Ipv4Addr, u64)> {
    let suffix = format!(":{port}");
    let mut words = line.split_ascii_whitespace();
    let address = words.find_map(|word| word.strip_suffix(&suffix)?.parse().ok())?;
    // Nothing has come yet if it is not said.
    let bytes =
        words.find_map(|word| word.strip_prefix("bytes_received:")).map_or(Some(0), |of| of.parse().ok())?;
    Some((address, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_told_by_where_it_leads() {
        let line = "0      0         127.0.0.1:44556     127.1.3.232:9091 cubic wscale:7,7 rto:204 \
            bytes_sent:1838 bytes_acked:1839 bytes_received:4021 segs_out:12";
        assert_eq!(connection(line, 9091), Some((Ipv4Addr::new(127, 1, 3, 232), 4021)));
        assert_eq!(connection(line, 9092), None);
        let silent = "0 0 127.0.0.1:44556 127.1.0.0:9091 cubic wscale:7,7 rto:1000";
        assert_eq!(connection(silent, 9091), Some((Ipv4Addr::new(127, 1, 0, 0), 0)));
    }
}
