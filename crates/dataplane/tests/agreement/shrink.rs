//! Makes a disagreement as small as it goes: fewer packets, fewer objects, simpler packets.

use crate::fleet::Fleet;
use crate::scene::{Scene, Story};

/// Most scenes that are tried, each of which costs a part of a second.
const MAX_TRIALS: usize = 150;

/// The smallest scene found that still disagrees, as a case to be kept.
pub(crate) fn smallest(fleet: &mut Fleet, scene: &Scene) -> String {
    let mut trials = 0;
    let mut fails = |scene: &Scene| {
        trials += 1;
        trials <= MAX_TRIALS && Story::play(fleet, scene).is_err()
    };
    let mut small = scene.clone();
    let last = small.sent.len().saturating_sub(1);
    let alone = Scene { sent: small.sent[last..].to_vec(), ..small.clone() };
    if fails(&alone) {
        small = alone;
    }
    // In halves first: most of it has nothing to do with the matter.
    let mut size = small.asks.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < small.asks.len() {
            let mut fewer = small.clone();
            fewer.asks.drain(at..(at + size).min(small.asks.len()));
            if fails(&fewer) { small = fewer } else { at += size }
        }
        size /= 2;
    }
    let mut at = 0;
    while at + 1 < small.sent.len() {
        let mut fewer = small.clone();
        fewer.sent.remove(at);
        if fails(&fewer) { small = fewer } else { at += 1 }
    }
    for simplify in [plain_hosts, few_bytes, no_neighbours] {
        let mut simpler = small.clone();
        simplify(&mut simpler);
        if fails(&simpler) {
            small = simpler;
        }
    }
    serde_json::to_string(&small).expect("it can be written")
}

fn plain_hosts(scene: &mut Scene) {
    scene.over_ipv6 = false;
    scene.hosts.iter_mut().for_each(|host| *host = topology::datapath::Encapsulation::Geneve);
}

fn few_bytes(scene: &mut Scene) {
    for ip in scene.sent.iter_mut().filter_map(|sent| sent.packet.ip_mut()) {
        ip.data_bytes = 8;
        ip.dscp = 0;
    }
}

fn no_neighbours(scene: &mut Scene) {
    scene.neighbours.clear();
}
