//! What does not depend on noise: what the switches do with packets, as they count it themselves.
//!
//! - Every packet credits each flow that it meets, so what the bridges' flows have counted together is the tables that packets
//!   have visited. Switches bring these counts up to date when their datapaths are emptied (`revalidator/purge`).
//! - The datapath counts what it looks up again and what it hands up (ovs-vswitchd(8), `dpif-netdev/pmd-stats-show`). One
//!   more lookup takes what comes by a tunnel out of it, for any system.

use anyhow::Context;
use lab::Host;

use super::stand::{Ends, Stand};
use super::traffic;
use crate::BRIDGE;
use crate::report::Figures;

/// Round trips that are counted.
const ROUND_TRIPS: usize = 500;

/// Connections that are counted.
const CONNECTIONS: usize = 200;

/// What switches have done with some packets.
struct Counted {
    /// Packets that the client has sent or received.
    packets: f64,
    tables: f64,
    recirculations: f64,
    upcalls: f64,
    /// Flows that their datapaths had in the end.
    megaflows: f64,
}

/// Counts in one cell: what a packet of a connection takes, and what a new connection takes.
pub(crate) fn count(stand: &Stand, ends: Ends<'_>) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let packets = counted(stand, ends, || traffic::round_trips(ends, ROUND_TRIPS).map(drop))?;
    figures.set("tables_per_packet", packets.tables / packets.packets);
    figures.set("recirculations_per_packet", packets.recirculations / packets.packets);
    figures.set("megaflows", packets.megaflows);
    let one = counted(stand, ends, || traffic::connections(ends, 1).map(drop))?;
    let all = counted(stand, ends, || traffic::connections(ends, CONNECTIONS).map(drop))?;
    let each = CONNECTIONS as f64;
    figures.set("packets_per_connection", all.packets / each);
    figures.set("tables_per_connection", all.tables / each);
    figures.set("recirculations_per_opening_packet", all.recirculations / all.packets);
    figures.set("upcalls_per_connection", (all.upcalls - one.upcalls) / (each - 1.0));
    figures.set("megaflows_per_connection", (all.megaflows - one.megaflows) / (each - 1.0));
    Ok(figures)
}

fn counted(
    stand: &Stand,
    ends: Ends<'_>,
    work: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Counted> {
    let hosts = stand.lab().hosts();
    stand.forget_connections()?;
    for host in hosts {
        host.ovs_appctl(["revalidator/purge"])?;
        host.ovs_appctl(["dpif-netdev/pmd-stats-clear"])?;
    }
    let of_hosts =
        |count: fn(&Host) -> anyhow::Result<f64>| hosts.iter().map(count).sum::<anyhow::Result<f64>>();
    let (tables, packets) = (of_hosts(tables)?, seen(ends)?);
    work()?;
    let packets = seen(ends)? - packets;
    let megaflows = of_hosts(|host| Ok(megaflows(&host.ovs_appctl(["dpctl/dump-flows"])?)))?;
    let (mut recirculations, mut upcalls) = (0.0, 0.0);
    for host in hosts {
        let shown = host.ovs_appctl(["dpif-netdev/pmd-stats-show"])?;
        recirculations += sum_of(&shown, "packet recirculations")?;
        upcalls += sum_of(&shown, "miss with success upcall")?;
        host.ovs_appctl(["revalidator/purge"])?;
    }
    Ok(Counted { packets, tables: of_hosts(self::tables)? - tables, recirculations, upcalls, megaflows })
}

/// Packets that the flows of a host's bridge have counted, all flows together.
fn tables(host: &Host) -> anyhow::Result<f64> {
    packet_count(&host.ovs_ofctl(["dump-aggregate", BRIDGE])?)
}

/// From `… packet_count=1 byte_count=2 flow_count=3`.
fn packet_count(shown: &str) -> anyhow::Result<f64> {
    let count = shown.split_whitespace().find_map(|word| word.strip_prefix("packet_count="));
    Ok(count.context("no count of packets")?.parse()?)
}

/// Packets that the client's NIC has sent or received.
fn seen(ends: Ends<'_>) -> anyhow::Result<f64> {
    let shown = ends.client.exec(["ip", "-json", "-stats", "link", "show", "dev", "eth0"])?;
    let shown: serde_json::Value = serde_json::from_str(&shown)?;
    let count = |way: &str| shown[0]["stats64"][way]["packets"].as_f64().context("no counters");
    Ok(count("rx")? + count("tx")?)
}

/// Flows of a datapath, each on a line.
fn megaflows(shown: &str) -> f64 {
    shown.lines().filter(|line| line.contains("actions:")).count() as f64
}

/// A counter, over all threads.
fn sum_of(shown: &str, counter: &str) -> anyhow::Result<f64> {
    let counts = shown.lines().filter_map(|line| line.trim().strip_prefix(counter)?.strip_prefix(':'));
    counts.map(|count| Ok(count.trim().parse::<f64>()?)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_that_of_all_threads() {
        let shown = "main thread:\n  packets received: 7\n  packet recirculations: 3\n\
                     pmd thread numa_id 0 core_id 1:\n  packets received: 1\n  packet recirculations: 2\n";
        assert_eq!(sum_of(shown, "packet recirculations").ok(), Some(5.0));
        assert_eq!(sum_of(shown, "packets received").ok(), Some(8.0));
    }

    #[test]
    fn flows_of_a_datapath_are_told_from_their_heads() {
        let shown = "flow-dump from the main thread:\nrecirc_id(0),in_port(1), packets:0, actions:2\n";
        assert_eq!(megaflows(shown), 1.0);
    }

    #[test]
    fn what_flows_have_counted_is_read() {
        let shown = "OFPST_AGGREGATE reply (OF1.5): packet_count=12 byte_count=3 flow_count=4\n";
        assert_eq!(packet_count(shown).ok(), Some(12.0));
        assert!(packet_count("OFPST_AGGREGATE reply").is_err());
    }
}
