//! Limits of interfaces: rates, by their ratio to what is measured.

mod common;

use std::time::Duration;

use common::{apply_network, guest, ip, settle, start, vnctl};
use lab::{Lab, Result};

/// A rate far below what the switch carries, in kilobits per second.
const RATE: f64 = 20_000.0;

/// How long TCP gets to find its rate.
const MEASURE: Duration = Duration::from_secs(2);

/// What a policer leaves to TCP, at least, and with the burst at the beginning at most, as parts of the rate.
const LIMITED: std::ops::Range<f64> = 0.2..1.3;

#[test]
fn rates_hold_in_either_direction_and_change_while_traffic_flows() -> Result<()> {
    let lab = start(Lab::builder().hosts(2))?;
    let (one, two) = (lab.host(0).add_guest(guest(1))?, lab.host(1).add_guest(guest(2))?);
    apply_network(&lab, [1, 2])?;
    settle(&lab)?;
    for (command, is_limited) in [
        (format!("interfaces modify if-inst1 --max-egress-kbps {RATE} --wait"), true),
        ("interfaces modify if-inst1 --max-egress-kbps= --wait".to_owned(), false),
        (format!("interfaces modify if-inst2 --max-ingress-kbps {RATE} --wait"), true),
        // The other direction of either.
        (
            format!("interfaces modify if-inst2 --max-ingress-kbps= --max-egress-kbps {} --wait", RATE / 2.0),
            false,
        ),
    ] {
        vnctl(&lab, &command)?;
        let ratio = one.throughput_to(&two, ip(2), MEASURE)? / (RATE * 1e3);
        assert_eq!(LIMITED.contains(&ratio), is_limited, "{command}: {ratio:.2} of the rate");
        assert!(is_limited || ratio > LIMITED.end, "{command}: {ratio:.2} of the rate");
    }
    Ok(())
}
