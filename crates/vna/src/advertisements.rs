//! When routers tell guests of themselves unasked (RFC 4861, section 6.2.4), and what: now and then, and at once when it
//! is something else than before. Pure; [`advertiser`](crate::advertiser) tells the time and sends.
//!
//! Each guest is told what is true for it, by itself. What is so no more is taken back: a prefix, a name server and a router
//! with a lifetime of zero. An agent that starts knows nothing of what was told before it, and tells what is.

use std::collections::BTreeMap;
use std::time::Duration;

use openflow::OfPort;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use responder::router_advertisement::{Prefix, Router};
use topology::{InterfaceId, MacAddr};

/// Longest time between two advertisements (RFC 4861, section 6.2.1: the default of `MaxRtrAdvInterval`).
const LONGEST: Duration = Duration::from_secs(600);

/// Shortest time between two, while nothing changes (the default of `MinRtrAdvInterval`).
const SHORTEST: Duration = Duration::from_secs(200);

/// How often what is new is told in short order (RFC 4861, section 10: `MAX_INITIAL_RTR_ADVERTISEMENTS`).
const INITIAL: u8 = 3;

/// Longest time between these (`MAX_INITIAL_RTR_ADVERT_INTERVAL`).
const INITIAL_INTERVAL: Duration = Duration::from_secs(16);

/// Shortest time between any two (`MIN_DELAY_BETWEEN_RAS`).
const LEAST_DELAY: Duration = Duration::from_secs(3);

/// Most guests that are told at once, and how long the next ones wait: a change for all guests of a host is no storm.
const MOST_AT_ONCE: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Who hears: an interface, by one of its MAC addresses.
pub type Hearer = (InterfaceId, MacAddr);

/// What guests have been told, and what they will be.
#[derive(Debug)]
pub struct Advertisements {
    told: BTreeMap<Hearer, Told>,
    random: StdRng,
    /// When the last ones were told.
    last: Option<Duration>,
}

#[derive(Debug)]
struct Told {
    port: OfPort,
    /// The router that there is.
    router: Option<Router>,
    /// What is no more.
    gone: Option<Router>,
    /// How often this will be told in short order.
    soon: u8,
    due: Duration,
    last: Option<Duration>,
}

impl Advertisements {
    /// Nothing is told yet. The times are random by a seed.
    pub fn new(seed: u64) -> Self {
        Self { told: BTreeMap::new(), random: StdRng::seed_from_u64(seed), last: None }
    }

    /// Goes on to what is true for each guest of the host. `now` counts from any time.
    pub fn update(&mut self, guests: BTreeMap<Hearer, (OfPort, Option<Router>)>, now: Duration) {
        self.told.retain(|hearer, _| guests.contains_key(hearer));
        for (hearer, (port, router)) in guests {
            match self.told.get_mut(&hearer) {
                Some(told) => told.update(port, router, now),
                None => {
                    if router.is_some() {
                        let told = Told { port, router, gone: None, soon: INITIAL, due: now, last: None };
                        self.told.insert(hearer, told);
                    }
                }
            }
        }
    }

    /// What is to be sent now, each out of a port.
    pub fn due(&mut self, now: Duration) -> Vec<(OfPort, Vec<u8>)> {
        let mut sent = Vec::new();
        let due = self.told.values_mut().filter(|told| told.due <= now).take(MOST_AT_ONCE);
        for told in due {
            let routers = told.gone.iter().chain(&told.router);
            sent.extend(routers.filter_map(|router| Some((told.port, responder::unsolicited(router)?))));
            told.tell(now, &mut self.random);
        }
        self.told.retain(|_, told| told.router.is_some() || told.soon > 0);
        if !sent.is_empty() {
            self.last = Some(now);
        }
        sent
    }

    /// When there is something to send again.
    pub fn next(&self) -> Option<Duration> {
        let due = self.told.values().map(|told| told.due).min()?;
        Some(due.max(self.last.map_or(Duration::ZERO, |last| last + PAUSE)))
    }
}

impl Told {
    fn update(&mut self, port: OfPort, router: Option<Router>, now: Duration) {
        if self.port == port && self.router == router {
            return;
        }
        self.gone = match (self.router.take(), self.gone.take()) {
            (Some(old), before) => withdrawn(&old, before.as_ref(), router.as_ref()),
            (None, before) => before.and_then(|before| withdrawn(&before, None, router.as_ref())),
        };
        (self.port, self.router, self.soon) = (port, router, INITIAL);
        self.due = now.max(self.last.map_or(Duration::ZERO, |last| last + LEAST_DELAY));
    }

    /// It was told now: when next?
    fn tell(&mut self, now: Duration, random: &mut StdRng) {
        self.last = Some(now);
        self.soon = self.soon.saturating_sub(1);
        let between = if self.soon > 0 { LEAST_DELAY..=INITIAL_INTERVAL } else { SHORTEST..=LONGEST };
        if self.soon == 0 {
            self.gone = None;
        }
        self.due = now + random.random_range(between);
    }
}

/// What is to be taken back of what a router was, and of what was being taken back already. `None` if it says the same, or more.
fn withdrawn(old: &Router, before: Option<&Router>, new: Option<&Router>) -> Option<Router> {
    let same = new.filter(|new| (new.mac, new.address) == (old.mac, old.address));
    let before = before.filter(|before| (before.mac, before.address) == (old.mac, old.address));
    let all = || std::iter::once(old).chain(before);
    let prefixes: Vec<_> =
        all().flat_map(|of| &of.prefixes).filter_map(|prefix| taken_back(prefix, new)).collect();
    let is_gone = |server: &&std::net::Ipv6Addr| new.is_none_or(|new| !new.dns.contains(server));
    let dns: Vec<_> = all().flat_map(|of| &of.dns).filter(is_gone).copied().collect();
    if same.is_some() && prefixes.is_empty() && dns.is_empty() {
        return None;
    }
    let like = same.unwrap_or(old);
    Some(Router {
        // RFC 4861, section 6.2.5: what ceases to be a router says so.
        lifetime: same.map_or(Duration::ZERO, |same| same.lifetime),
        prefixes,
        dns,
        dns_lifetime: Duration::ZERO,
        routes: Vec::new(),
        search: Vec::new(),
        ..like.clone()
    })
}

/// What of a prefix is so no more. RFC 4861, section 6.2.4, and RFC 4862, section 5.5.3: with lifetimes of zero.
fn taken_back(old: &Prefix, new: Option<&Router>) -> Option<Prefix> {
    let still: Vec<_> =
        new.iter().flat_map(|new| &new.prefixes).filter(|of| of.prefix == old.prefix).collect();
    let is_on_link = old.is_on_link && !still.iter().any(|of| of.is_on_link);
    let is_autonomous = old.is_autonomous && !still.iter().any(|of| of.is_autonomous);
    (is_on_link || is_autonomous).then_some(Prefix {
        prefix: old.prefix,
        is_on_link,
        is_autonomous,
        valid: Duration::ZERO,
        preferred: Duration::ZERO,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: OfPort = OfPort(7);

    fn router(prefix: &str) -> Router {
        let prefix = Prefix {
            prefix: prefix.parse().expect("a prefix"),
            is_on_link: true,
            is_autonomous: true,
            valid: Duration::from_secs(1000),
            preferred: Duration::from_secs(1000),
        };
        Router {
            mac: [2, 0, 0, 0, 0, 1],
            address: "fe80::1".parse().expect("an address"),
            lifetime: Duration::from_secs(1800),
            hop_limit: 64,
            is_managed: false,
            has_other: false,
            mtu: None,
            prefixes: vec![prefix],
            routes: Vec::new(),
            dns: vec!["fd00::53".parse().expect("an address")],
            search: Vec::new(),
            dns_lifetime: Duration::from_secs(1800),
        }
    }

    fn guests(number: u8, router: Option<&Router>) -> BTreeMap<Hearer, (OfPort, Option<Router>)> {
        let guest = |n: u8| {
            let interface = format!("if-{n}").parse().expect("an id");
            ((interface, MacAddr([2, 0, 0, 0, 1, n])), (PORT, router.cloned()))
        };
        (0..number).map(guest).collect()
    }

    /// Lets time go on until then, and says when what was sent.
    fn run(advertisements: &mut Advertisements, until: Duration) -> Vec<(Duration, Vec<u8>)> {
        let mut sent = Vec::new();
        while let Some(next) = advertisements.next().filter(|next| *next <= until) {
            sent.extend(advertisements.due(next).into_iter().map(|(_, frame)| (next, frame)));
        }
        sent
    }

    fn frame(router: &Router) -> Vec<u8> {
        responder::unsolicited(router).expect("an advertisement")
    }

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_guest_is_told_at_once_and_then_now_and_then() {
        let mut advertisements = Advertisements::new(1);
        advertisements.update(guests(1, Some(&router("fd00:1::/64"))), s(5));
        let sent = run(&mut advertisements, s(100_000));
        assert_eq!(sent[0].0, s(5));
        assert!(sent.iter().all(|(_, sent)| *sent == frame(&router("fd00:1::/64"))));
        let gaps: Vec<_> = sent.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert!(gaps[..2].iter().all(|gap| (LEAST_DELAY..=INITIAL_INTERVAL).contains(gap)), "{gaps:?}");
        assert!(gaps[2..].iter().all(|gap| (SHORTEST..=LONGEST).contains(gap)), "{gaps:?}");
        assert!(gaps[2..].iter().any(|gap| *gap != gaps[2]), "not all in step");
    }

    #[test]
    fn what_has_not_changed_is_not_told_again() {
        let mut advertisements = Advertisements::new(1);
        let guests = guests(1, Some(&router("fd00:1::/64")));
        advertisements.update(guests.clone(), s(0));
        let settled = run(&mut advertisements, s(100)).len();
        (100..150).for_each(|now| advertisements.update(guests.clone(), s(now)));
        assert_eq!((settled, run(&mut advertisements, s(150)).len()), (3, 0));
    }

    #[test]
    fn what_is_no_more_is_taken_back_at_once() {
        let mut advertisements = Advertisements::new(1);
        let (old, new) = (router("fd00:1::/64"), router("fd00:2::/64"));
        advertisements.update(guests(1, Some(&old)), s(0));
        run(&mut advertisements, s(100));
        advertisements.update(guests(1, Some(&new)), s(100));
        let sent = run(&mut advertisements, s(200));
        let zero = Prefix { valid: s(0), preferred: s(0), ..old.prefixes[0] };
        let gone = Router { prefixes: vec![zero], dns: Vec::new(), dns_lifetime: s(0), ..new.clone() };
        assert_eq!(sent[..2], [(s(100), frame(&gone)), (s(100), frame(&new))]);
        assert_eq!(sent.len(), 6, "three times");

        // The router itself.
        advertisements.update(guests(1, None), s(200));
        let sent = run(&mut advertisements, s(100_000));
        let zero = Prefix { valid: s(0), preferred: s(0), ..new.prefixes[0] };
        let gone = Router { prefixes: vec![zero], lifetime: s(0), dns_lifetime: s(0), ..new };
        assert_eq!(sent.iter().map(|(_, sent)| sent.clone()).collect::<Vec<_>>(), vec![frame(&gone); 3]);
        assert_eq!(advertisements.next(), None);
    }

    #[test]
    fn changes_in_short_order_are_told_together() {
        let mut advertisements = Advertisements::new(1);
        for (n, now) in [(1, 0), (2, 1), (3, 2)] {
            advertisements.update(guests(1, Some(&router(&format!("fd00:{n}::/64")))), s(now));
            advertisements.due(s(now));
        }
        let sent = advertisements.due(s(3));
        let now = router("fd00:3::/64");
        let zero = |n: u8| Prefix {
            prefix: format!("fd00:{n}::/64").parse().expect("a prefix"),
            valid: s(0),
            preferred: s(0),
            ..now.prefixes[0]
        };
        let gone =
            Router { prefixes: vec![zero(2), zero(1)], dns: Vec::new(), dns_lifetime: s(0), ..now.clone() };
        assert_eq!(sent, [(PORT, frame(&gone)), (PORT, frame(&now))]);
    }

    #[test]
    fn a_change_for_all_is_no_storm_and_who_leaves_is_told_no_more() {
        let mut advertisements = Advertisements::new(1);
        advertisements.update(guests(200, Some(&router("fd00:1::/64"))), s(0));
        assert_eq!(advertisements.due(s(0)).len(), MOST_AT_ONCE);
        assert_eq!(advertisements.next(), Some(PAUSE));
        advertisements.update(BTreeMap::new(), s(1));
        assert_eq!((advertisements.next(), advertisements.due(s(9)).len()), (None, 0));
    }
}
