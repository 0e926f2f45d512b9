//! Order does not matter: hosts, ports and records may come and go as they like, and what they end in is the same.

mod common;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use common::{NETWORK, PATIENCE, await_status, guest, ip, ip6, mac, nameless_guest, program, settle, vnctl};
use dataplane::layout;
use lab::{Family, Guest, Host, Lab, Result, in_parallel, reachability, wait_until};
use serde_json::Value;

/// Something that a user, an operator or a hypervisor does.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The agent of a host starts.
    Host(usize),
    /// A guest is plugged in.
    Port(u8),
    /// The network is described.
    Network,
    /// The interface of a guest is described.
    Record(u8),
    /// An interface that has no addresses yet is described.
    BareRecord(u8),
    /// It gets them.
    Addresses(u8),
}

use Step::{Addresses, BareRecord, Host as Agent, Network, Port, Record};

const HOSTS: usize = 3;
const GUESTS: u8 = 4;

/// Hosts, guests, and what has been done with them.
struct World<'a> {
    lab: &'a Lab,
    guests: RefCell<BTreeMap<u8, Guest>>,
}

#[test]
fn whatever_comes_first_guests_reach_each_other_by_the_flows_of_a_fresh_start() -> Result<()> {
    let lab = Lab::builder().hosts(u8::try_from(HOSTS).expect("a few")).start()?;
    lab.manager().start()?;
    for host in lab.hosts() {
        host.vna().join(&lab.manager().sync_url(), &lab.manager().join_token(host.name())?)?;
    }
    let world = World { lab: &lab, guests: RefCell::default() };
    let described = [Network, Record(1), Record(2), Record(3), Record(4)];
    let hosts = [Agent(0), Agent(1), Agent(2)];
    let ports = [Port(1), Port(2), Port(3), Port(4)];
    world.check("what is described is plugged in later", &[&hosts[..], &described, &ports].concat())?;
    world.check("what is plugged in is described later", &[&ports[..], &hosts, &described].concat())?;
    world.check(
        "a host joins late, with a guest that others wait for",
        &[&[Agent(0), Port(1)][..], &described, &[Agent(1), Port(2), Port(4), Port(3), Agent(2)]].concat(),
    )?;
    world.check(
        "records come in parts, between ports",
        &[
            &[BareRecord(4), Port(4), BareRecord(3), Agent(2), Port(3), BareRecord(2), Agent(0)][..],
            &[Network, Addresses(3), Addresses(4), Port(2), Agent(1), Record(1), Port(1), Addresses(2)],
        ]
        .concat(),
    )
}

impl World<'_> {
    /// Does all of it, looks at what has come of it, and takes all of it away again.
    fn check(&self, order: &str, steps: &[Step]) -> Result<()> {
        steps.iter().try_for_each(|step| self.take(*step))?;
        for n in 1..=GUESTS {
            await_status(self.lab, &format!("if-inst{n}"), "state", &Value::from("active"))?;
        }
        settle(self.lab)?;
        self.expect_full(order)?;
        let found = in_parallel(self.lab.hosts(), program).into_iter().collect::<Result<Vec<_>>>()?;
        for (host, found) in self.lab.hosts().iter().zip(&found) {
            self.start_afresh(host)?;
            wait_until(format!("{order}: {} to be as before", host.name()), PATIENCE, || {
                differences(found, &program(host).map_err(|error| error.to_string())?)
            })?;
        }
        self.expect_full(order)?;
        self.take_away()
    }

    fn take(&self, step: Step) -> Result<()> {
        let command = |line: String| vnctl(self.lab, &line).map(drop);
        let port = |n| if is_nameless(n) { format!("--port-name inst{n}") } else { String::new() };
        let addresses = |n| {
            let (ip, ip6) = (ip(n), ip6(n));
            format!("--network-uuid {NETWORK} --ipv4-address {ip} --ipv6-address {ip6}")
        };
        let bare = |n| format!("interfaces add --uuid if-inst{n} --mac-address {} {}", mac(n), port(n));
        match step {
            Agent(index) => self.lab.host(index).vna().start(&self.lab.manager().sync_url()),
            Port(n) => self.plug(n),
            Network => command(format!(
                "networks add --uuid {NETWORK} --ipv4-network 10.0.0.0 --ipv6-network fd00::"
            )),
            BareRecord(n) => command(bare(n)),
            Record(n) => command(format!("{} {}", bare(n), addresses(n))),
            Addresses(n) => command(format!("interfaces modify if-inst{n} {}", addresses(n))),
        }
    }

    fn plug(&self, n: u8) -> Result<()> {
        let host = self.lab.host(usize::from(n - 1) % HOSTS);
        // An operator may make the bridge before there is an agent.
        let secure = ["set", "bridge", "br-int", "datapath_type=netdev", "fail_mode=secure"];
        host.ovs_vsctl(["--may-exist", "add-br", "br-int", "--"].into_iter().chain(secure))?;
        let mut guests = self.guests.borrow_mut();
        if let Some(guest) = guests.get(&n) {
            return guest.plug(host);
        }
        let spec = if is_nameless(n) { nameless_guest(n) } else { guest(n) };
        guests.insert(n, host.add_guest(spec)?);
        Ok(())
    }

    fn expect_full(&self, order: &str) -> Result<()> {
        let guests = self.guests.borrow();
        for family in [Family::V4, Family::V6] {
            let matrix = reachability(guests.values().map(|guest| &**guest), family)?;
            assert!(matrix.is_full(), "{order}, {family:?}:\n{matrix}");
        }
        Ok(())
    }

    /// Makes a host forget everything: its agent has no replica, its switch no flow, group or meter.
    fn start_afresh(&self, host: &Host) -> Result<()> {
        host.vna().kill();
        host.exec(["rm", &host.vna().state_dir().join("replica").display().to_string()])?;
        host.ovs_ofctl(["del-flows", "br-int"])?;
        host.ovs_ofctl(["del-groups", "br-int"])?;
        host.ovs_ofctl(["del-meters", "br-int"])?;
        host.vna().start(&self.lab.manager().sync_url())
    }

    /// Deletes what was described, and with it every flow that names it; then guests are unplugged and agents end.
    fn take_away(&self) -> Result<()> {
        vnctl(self.lab, "interfaces del if-inst2 if-inst4 if-inst1 if-inst3")?;
        vnctl(self.lab, &format!("networks del {NETWORK} --wait"))?;
        for host in self.lab.hosts() {
            let left: BTreeSet<_> = program(host)?.into_iter().filter(|line| !is_of_base(line)).collect();
            assert_eq!(left, BTreeSet::new(), "{} still has flows of what is deleted", host.name());
        }
        for guest in self.guests.borrow().values() {
            guest.unplug()?;
        }
        self.lab.hosts().iter().for_each(|host| host.vna().kill());
        Ok(())
    }
}

/// Half of the guests are recognised by the name of their port.
fn is_nameless(n: u8) -> bool {
    n.is_multiple_of(2)
}

/// The high byte of a cookie is the kind of its owner: 1 is the pipeline itself, and 3 another host. Groups and meters
/// have no cookie; the group of the base is the first, and its meters are those that are no port's.
fn is_of_base(line: &str) -> bool {
    let meters = [layout::AGENT_METER, layout::TOO_BIG_METER, layout::OTHERS_METER, layout::LOG_METER];
    if line.starts_with("group_id=1,")
        || meters.iter().any(|meter| line.starts_with(&format!("meter={meter} ")))
    {
        return true;
    }
    let cookie = line.strip_prefix("cookie=0x").and_then(|rest| rest.split(',').next());
    cookie.is_some_and(|cookie| cookie.len() == 15 && (cookie.starts_with('1') || cookie.starts_with('3')))
}

fn differences(wanted: &BTreeSet<String>, found: &BTreeSet<String>) -> std::result::Result<(), String> {
    if wanted == found {
        return Ok(());
    }
    let [missing, excess]: [Vec<_>; 2] =
        [wanted.difference(found).collect(), found.difference(wanted).collect()];
    Err(format!("missing {missing:#?}, too many {excess:#?}"))
}
