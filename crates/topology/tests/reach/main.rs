//! Who can talk to whom is the same whether one of each class is asked or everybody, and whether one packet of each piece of
//! traffic is walked or any other.

mod random;
mod tenants;

use std::collections::{BTreeMap, BTreeSet};

use random::World;
use topology::reach::matrix::{FamilyReach, Places, Reach};
use topology::reach::{Matrix, Selector, TrafficSet, matrix, plugged_in, product};
use topology::{InterfaceId, Topology};

/// How many topologies are tried.
const TOPOLOGIES: u64 = 24;

/// What is said of each pair of guests on hosts as they are.
fn said(topology: &Topology, found: &Matrix) -> BTreeMap<(InterfaceId, InterfaceId), Reach> {
    let mut said = BTreeMap::new();
    for cell in &found.cells {
        let (from, to) = (found.from.get(cell.from), found.to.get(cell.to));
        for from in from.into_iter().flat_map(|class| &class.members) {
            for to in to.into_iter().flat_map(|class| &class.members).filter(|to| *to != from) {
                let is_same = topology.host_of_interface(from) == topology.host_of_interface(to);
                let fits = match cell.places {
                    Places::Any => true,
                    Places::Same => is_same,
                    Places::Different => !is_same,
                };
                if fits {
                    let twice = said.insert((from.clone(), to.clone()), cell.reach.clone());
                    assert_eq!(twice, None, "{from} to {to} is in two cells");
                }
            }
        }
    }
    said
}

/// [`matrix`] or [`product`].
type Asks = fn(
    &Topology,
    &BTreeSet<InterfaceId>,
    &BTreeSet<InterfaceId>,
    &TrafficSet,
) -> Result<Matrix, topology::Error>;

fn one(id: &InterfaceId) -> BTreeSet<InterfaceId> {
    BTreeSet::from([id.clone()])
}

/// What has been compared.
#[derive(Default)]
struct Compared {
    pairs: usize,
    cells: usize,
    /// Pairs between which something arrives.
    open: usize,
    /// Packets walked, for the matrix and for the full product.
    walks: (usize, usize),
}

impl Compared {
    /// Holds the matrix against the full product.
    #[track_caller]
    fn check(
        &mut self,
        topology: &Topology,
        (from, to): (&BTreeSet<InterfaceId>, &BTreeSet<InterfaceId>),
        traffic: &TrafficSet,
    ) {
        let found = matrix(topology, from, to, traffic).expect("an answer");
        let each = product(topology, from, to, traffic).expect("an answer");
        self.cells += found.cells.len();
        self.walks = (self.walks.0 + found.walks, self.walks.1 + each.walks);
        let (found, each) = (said(topology, &found), said(topology, &each));
        assert_eq!(found.len(), each.len());
        for (pair, reach) in &each {
            assert_eq!(found.get(pair), Some(reach), "{} to {}", pair.0, pair.1);
            self.open += usize::from(!reach.is_empty());
        }
        self.pairs += each.len();
    }
}

#[test]
fn one_of_a_class_speaks_for_all() {
    let mut compared = Compared::default();
    // Some of all: pieces are the other test's.
    let traffic = TrafficSet::parse(["tcp 22,85,5000", "icmp"]).expect("traffic");
    for seed in 1..=TOPOLOGIES {
        let topology = plugged_in(&World::new(seed).topology);
        let guests = Selector::Any.guests(&topology).expect("guests");
        compared.check(&topology, (&guests, &guests), &traffic);
    }
    let Compared { pairs, cells, open, .. } = compared;
    assert!(cells < pairs && open > pairs / 20, "{pairs} pairs, {cells} cells, {open} open");
}

#[test]
fn one_of_a_class_speaks_for_all_of_ten_tenants() {
    let topology = tenants::topology();
    let traffic = TrafficSet::parse(["tcp 22,8080", "icmp"]).expect("traffic");
    let mut compared = Compared::default();
    // Who shares nothing, addresses, or a router, and who has nothing outside or lets pass what it does not translate.
    for (from, to) in [(0, 0), (0, 1), (0, 9), (5, 6), (7, 0), (0, 7), (8, 0), (0, 8)] {
        let senders = tenants::guests(from).into_iter().take(tenants::GUESTS).collect();
        compared.check(&topology, (&senders, &tenants::guests(to)), &traffic);
    }
    let Compared { open, walks: (shared, each), .. } = compared;
    assert!(open > 30 && shared < each / 2, "{open} open, {shared} walks, and not {each}");
}

#[test]
fn however_many_work_on_it_the_answer_is_the_same() {
    let topology = tenants::topology();
    let traffic = TrafficSet::parse(["tcp 22,8080", "icmp"]).expect("traffic");
    let guests: BTreeSet<_> =
        (0..10).flat_map(|tenant| tenants::guests(tenant).into_iter().take(4)).collect();
    let answer = |processors| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(processors).build().expect("threads");
        pool.install(|| matrix(&topology, &guests, &guests, &traffic)).expect("an answer")
    };
    let alone = answer(1);
    assert!(alone.walks > 0 && !alone.cells.is_empty());
    assert_eq!(answer(3), alone);
}

#[test]
fn one_packet_of_a_piece_speaks_for_all() {
    let of = |reach: Option<Reach>| -> Vec<FamilyReach> {
        reach.iter().flat_map(Reach::families).map(|(_, of)| of.clone()).collect()
    };
    for seed in 1..=TOPOLOGIES {
        let mut world = World::new(seed);
        let topology = plugged_in(&world.topology);
        let guests: Vec<_> = Selector::Any.guests(&topology).expect("guests").into_iter().collect();
        for _ in 0..6 {
            let (from, to) = (world.dice.of(&guests), world.dice.of(&guests));
            let port = world.dice.of(&[22, 23, 53, 66, 67, 68, 547, 80, 85, 90, 91, 1023, 1024, 65535]);
            let text = format!("{} {port}", world.dice.of(&["tcp", "udp"]));
            let single: TrafficSet = text.parse().expect("traffic");
            let ask = |by: Asks, traffic: &TrafficSet| {
                let found = by(&topology, &one(&from), &one(&to), traffic).expect("an answer");
                of(found.cells.first().map(|cell| cell.reach.clone()))
            };
            let all: Vec<_> = ask(matrix, &TrafficSet::all())
                .into_iter()
                .map(|of| FamilyReach { may: of.may.both(&single), does: of.does.both(&single) })
                .collect();
            assert_eq!(ask(product, &single), all, "{text} from {from} to {to}, topology {seed}");
        }
    }
}
