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
    // Packets before objects: there are fewer of them, and none that another needs, but for what trackers know.
    let earlier = small.sent.len().saturating_sub(1);
    thin(&mut small, earlier, |scene| &mut scene.sent, &mut fails);
    let objects = small.asks.len();
    thin(&mut small, objects, |scene| &mut scene.asks, &mut fails);
    for host in 0..small.addresses.len() {
        let addresses = small.addresses[host].len();
        thin(&mut small, addresses, |scene| &mut scene.addresses[host], &mut fails);
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

/// Leaves out what of the first `count` things of a scene it fails without, too: in halves first, since most have nothing to do with the
/// matter.
fn thin<T>(
    small: &mut Scene,
    mut count: usize,
    things: impl Fn(&mut Scene) -> &mut Vec<T>,
    mut fails: impl FnMut(&Scene) -> bool,
) {
    let mut size = count.div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < count {
            let (mut fewer, end) = (small.clone(), (at + size).min(count));
            things(&mut fewer).drain(at..end);
            if fails(&fewer) {
                (*small, count) = (fewer, count - (end - at));
            } else {
                at = end;
            }
        }
        size /= 2;
    }
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
