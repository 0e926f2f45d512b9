//! How hosts reach each other: how pairs of them wrap what they send.

use serde_json::json;
use topology::datapath::Encapsulation;

use super::Asks;
use crate::fleet::HOSTS;
use crate::random::Random;
use crate::scene::SETTLE;

/// Topologies of a hundred in which users have a say of pairs of hosts, and most requests about these.
const PAIRED: usize = 15;
const REQUESTS: usize = 5;

/// How a host or a pair of them wraps what it sends.
pub(super) fn encapsulation(random: &mut Random) -> Encapsulation {
    match random.below(10) {
        0 => Encapsulation::Vxlan,
        1 => Encapsulation::Gre,
        _ => Encapsulation::Geneve,
    }
}

impl Asks {
    /// Pairs of hosts, at every stage of a change.
    pub(super) fn pairs(&mut self) {
        if !self.random.percent(PAIRED) {
            return;
        }
        for _ in 0..=self.random.below(REQUESTS) {
            let one = self.random.below(HOSTS.into());
            let other = (one + 1 + self.random.below(usize::from(HOSTS) - 1)) % usize::from(HOSTS);
            let peer = format!("dp-host{other}");
            let (action, attributes) = match self.random.percent(25) {
                true => ("remove_datapath_peer", json!({"peer_uuid": peer})),
                false => {
                    let kind = *self.random.pick(&Encapsulation::ALL);
                    ("add_datapath_peer", json!({"peer_uuid": peer, "encapsulation": kind}))
                }
            };
            self.act(action, &format!("dp-host{one}"), attributes);
            if self.random.percent(50) {
                self.asks.push(SETTLE.into());
            }
        }
    }
}
