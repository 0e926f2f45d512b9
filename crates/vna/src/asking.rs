//! Guests that ask for an address and have none: their ports are shown to the manager as asking, so that a lease policy may give
//! them one. A guest that goes on asking is shown again after a while, since there may be a free address by then. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use topology::binding::SeenPort;

/// How long a port is shown as asking. A guest costs the manager two reports in that time, however often it asks.
const SHOWN: Duration = Duration::from_secs(10);

/// The ports whose guests ask, by name, each with the time of the question that it is shown for.
#[derive(Clone, Debug, Default)]
pub struct Asking(BTreeMap<String, Instant>);

impl Asking {
    /// Notes that a port's guest asks. Whether that is news.
    pub fn ask(&mut self, port: &str, now: Instant) -> bool {
        self.0.retain(|_, since| is_shown(*since, now));
        let is_news = !self.0.contains_key(port);
        if is_news {
            self.0.insert(port.to_owned(), now);
        }
        is_news
    }

    /// Says of ports, which are sorted by name, what the manager is told.
    pub fn show(&self, ports: &mut [Arc<SeenPort>], now: Instant) {
        for (name, _) in self.0.iter().filter(|(_, since)| is_shown(**since, now)) {
            let place = ports.binary_search_by(|port| port.name.cmp(name)).ok();
            if let Some(port) = place.and_then(|place| ports.get_mut(place)) {
                Arc::make_mut(port).asks = true;
            }
        }
    }

    /// When a port is not to be shown any more.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        self.0.values().filter(|since| is_shown(**since, now)).min().map(|since| *since + SHOWN)
    }
}

fn is_shown(since: Instant, now: Instant) -> bool {
    now < since + SHOWN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_goes_on_asking_is_shown_once_in_a_while() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let mut asking = Asking::default();
        assert!(asking.ask("tap0", begin));
        assert!(!asking.ask("tap0", after(9)));
        assert!(asking.ask("tap1", after(9)));
        let shown = |asking: &Asking, seconds| {
            let mut ports = ["tap0", "tap1", "tap2"]
                .map(|name| Arc::new(SeenPort { name: name.to_owned(), ..SeenPort::default() }));
            asking.show(&mut ports, after(seconds));
            ports.map(|port| port.asks)
        };
        assert_eq!(shown(&asking, 9), [true, true, false]);
        assert_eq!(asking.next(after(9)), Some(after(10)));
        assert_eq!(shown(&asking, 10), [false, true, false]);
        assert_eq!(asking.next(after(10)), Some(after(19)));
        assert!(asking.ask("tap0", after(10)));
        assert_eq!(shown(&asking, 19), [true, false, false]);
        assert_eq!(asking.next(after(20)), None);
    }
}
