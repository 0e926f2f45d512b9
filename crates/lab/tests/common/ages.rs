//! The age and the counters of flows: one that was added again would be younger, and would count from zero.

use std::collections::BTreeMap;

use lab::{Host, Result};

/// Flows with their age in seconds and the packets that they have counted.
pub type Ages = BTreeMap<String, (f64, u64)>;

/// The flows of a host's switch, with their cookies.
pub fn ages(host: &Host) -> Result<Ages> {
    let dump = host.ovs_ofctl(["dump-flows", "br-int"])?;
    // What the agent notes for itself is in a table that no packet gets to.
    Ok(dump.lines().filter(|line| !line.contains("table=253,")).filter_map(age).collect())
}

/// Reads "cookie=0x1, duration=3.1s, table=0, n_packets=5, n_bytes=490, idle_age=1, priority=1 actions=drop".
fn age(line: &str) -> Option<(String, (f64, u64))> {
    let field = |name: &str| line.split_once(name)?.1.split([',', 's', ' ']).next();
    let duration = field("duration=")?.parse().ok()?;
    let packets = field("n_packets=")?.parse().ok()?;
    let is_statistic = |part: &&str| {
        ["duration=", "n_packets=", "n_bytes=", "idle_age=", "hard_age="]
            .iter()
            .any(|of| part.starts_with(of))
    };
    let flow: Vec<_> = line.split(", ").filter(|part| !is_statistic(part)).collect();
    Some((flow.join(", "), (duration, packets)))
}

/// Expects that every flow of before is still the same one.
pub fn expect_older(before: &Ages, after: &Ages) {
    assert!(!before.is_empty());
    for (flow, (age, packets)) in before {
        let now = after.get(flow);
        let goes_on = now.is_some_and(|(now, count)| now > age && count >= packets);
        assert!(goes_on, "{flow}: {age} s and {packets} packets before, {now:?} after");
    }
}
