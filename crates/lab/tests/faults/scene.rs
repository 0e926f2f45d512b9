//! What faults happen to: three hosts, two networks with the same addresses and a segment, a user who changes the topology
//! all the time, guests that talk, and guests that try to reach what is none of theirs.

use std::net::IpAddr;
use std::time::Duration;

use lab::{Capture, Guest, GuestSpec, Host, Lab, LossReport, MacAddr, PingStream, Result, in_parallel};

use crate::api::Api;
use crate::book::{Writer, interfaces_of};
use crate::common::{PATIENCE, apply, ip, prefix, start, vnctl};
use crate::compiled::await_compiled;

/// Hosts of the scene.
pub(crate) const HOSTS: usize = 3;

/// Tenants that come and go, with ports on two hosts each.
const TENANTS: u8 = 3;

/// Time between the packets of a stream.
const INTERVAL: Duration = Duration::from_millis(10);

/// Answers to a stream before a fault, and during it by those that it does not concern: a second and more.
const BEFORE: u32 = 20;
const A_WHILE: u32 = 100;

/// An address that nobody has: where those write to who know the MAC address of somebody in another network.
const NOWHERE: u8 = 99;

/// Guests by name: the last letter is the network or segment, the number the host and the address.
const GUESTS: [(char, usize); 8] =
    [('a', 1), ('a', 2), ('a', 3), ('b', 1), ('b', 2), ('b', 3), ('s', 1), ('s', 3)];

/// Who talks to whom, by letter and number. For every host there is a stream that does not touch it.
const STREAMS: [(char, usize, usize); 5] = [('a', 1, 2), ('a', 2, 3), ('b', 3, 1), ('b', 1, 2), ('s', 1, 3)];

/// Who tries to reach whom, beyond the own network, on this host and on others.
const INTRUDERS: [((char, usize), (char, usize)); 4] =
    [(('b', 1), ('a', 2)), (('s', 1), ('a', 3)), (('a', 3), ('s', 3)), (('a', 2), ('b', 2))];

/// The whole scene.
#[derive(Debug)]
pub(crate) struct Scene {
    // Fields drop in order: work ends before the lab does.
    pub(crate) writer: Writer,
    pub(crate) api: Api,
    intrusions: Vec<(PingStream, Capture)>,
    guests: Vec<Guest>,
    pub(crate) lab: Lab,
}

/// A stream that should flow.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) name: String,
    ends: [usize; 2],
    stream: PingStream,
}

impl Scene {
    /// Sets it up, with everybody at work but those who talk.
    pub(crate) fn start() -> Result<Self> {
        let lab = start(Lab::builder().hosts(u8::try_from(HOSTS).expect("a few hosts")))?;
        let plug = |(letter, number): (char, usize)| lab.host(number - 1).add_guest(spec(letter, number));
        let guests = in_parallel(GUESTS, plug).into_iter().collect::<Result<Vec<_>>>()?;
        apply(&lab, &topology())?;
        let intrude = |(from, to)| intrude(find(&guests, from), find(&guests, to));
        let intrusions = INTRUDERS.into_iter().map(intrude).collect::<Result<_>>()?;
        (0..TENANTS).try_for_each(|number| plug_tenant(&lab, number))?;
        let api = Api::new(lab.manager());
        let writer = Writer::start(&api, 0..TENANTS);
        Ok(Self { writer, api, intrusions, guests, lab })
    }

    /// Lets guests talk.
    pub(crate) fn talk(&self) -> Result<Vec<Flow>> {
        let start = |(letter, from, to): (char, usize, usize)| {
            let stream = find(&self.guests, (letter, from)).start_ping(address(to), INTERVAL)?;
            Ok(Flow { name: format!("{letter}{from} to {letter}{to}"), ends: [from - 1, to - 1], stream })
        };
        let flows = STREAMS.into_iter().map(start).collect::<Result<Vec<_>>>()?;
        flows.iter().try_for_each(|flow| flow.wait_for_more(BEFORE, PATIENCE))?;
        Ok(flows)
    }

    /// Lets time pass, as those see it who have nothing to do with a host.
    pub(crate) fn pass_time(&self, host: usize, flows: &[Flow]) -> Result<()> {
        let bystander = flows.iter().find(|flow| !flow.touches(host)).expect("one for every host");
        bystander.wait_for_more(A_WHILE, PATIENCE)
    }

    /// Waits until everything that was acknowledged is there, and every switch is as it is when all is worked out anew.
    pub(crate) fn check(&self, limit: Duration) -> Result<()> {
        let book = self.writer.book();
        book.check(&self.api)?;
        let head = self.api.head()?;
        in_parallel(self.lab.hosts(), |host| await_compiled(host, &head, limit)).into_iter().collect()
    }

    /// Expects that nobody has reached what is none of theirs.
    pub(crate) fn check_intruders(&self) -> Result<()> {
        for (stream, capture) in &self.intrusions {
            assert_eq!(stream.received()?, 0, "an intruder was answered");
            assert_eq!(capture.frames()?, [""; 0], "an intruder was heard");
        }
        Ok(())
    }

    /// Ends all agents, takes everything from the switches, and lets agents begin that know nothing.
    pub(crate) fn begin_anew(&self) -> Result<()> {
        let manager = self.lab.manager().sync_url();
        let anew = |host: &Host| {
            host.vna().kill();
            host.exec(["rm", "-f", &host.vna().state_dir().join("replica").display().to_string()])?;
            host.ovs_ofctl(["del-flows", "br-int"])?;
            host.ovs_ofctl(["del-groups", "br-int"])?;
            host.vna().start(&manager)
        };
        in_parallel(self.lab.hosts(), anew).into_iter().collect()
    }
}

impl Flow {
    /// Whether it begins or ends on a host.
    pub(crate) fn touches(&self, host: usize) -> bool {
        self.ends.contains(&host)
    }

    /// As [`PingStream::wait_for_more`].
    pub(crate) fn wait_for_more(&self, count: u32, limit: Duration) -> Result<()> {
        self.stream.wait_for_more(count, limit)
    }

    /// As [`PingStream::finish`].
    pub(crate) fn finish(self) -> Result<LossReport> {
        self.stream.finish()
    }
}

fn find(guests: &[Guest], wanted: (char, usize)) -> &Guest {
    let position = GUESTS.iter().position(|guest| *guest == wanted).expect("a guest of the table");
    &guests[position]
}

fn address(number: usize) -> IpAddr {
    ip(u8::try_from(number).expect("a few hosts"))
}

fn mac(letter: char, number: usize) -> MacAddr {
    let letter = u8::try_from(letter).expect("a letter of the alphabet");
    MacAddr([2, 0, 0, 0, letter, u8::try_from(number).expect("a few hosts")])
}

fn spec(letter: char, number: usize) -> GuestSpec {
    let name = format!("{letter}{number}");
    let spec = GuestSpec::new(&name).iface_id(&format!("if-{name}")).mac(mac(letter, number));
    spec.address(prefix(address(number), 24))
}

/// Networks and guests, as a user describes them.
fn topology() -> String {
    let interface = |(letter, number): (char, usize)| {
        let (mac, ip) = (mac(letter, number), address(number));
        let place = match letter {
            's' => "segment_uuid: seg-s".to_owned(),
            letter => format!("network_uuid: nw-{letter}, ipv4_address: {ip}"),
        };
        format!("  - {{uuid: if-{letter}{number}, mac_address: '{mac}', {place}}}\n")
    };
    let interfaces: String = GUESTS.into_iter().map(interface).collect();
    let networks = ['a', 'b'].map(|letter| format!("  - {{uuid: nw-{letter}, ipv4_network: 10.0.0.0}}\n"));
    format!(
        "networks:\n{}segments:\n  - {{uuid: seg-s, mode: virtual}}\ninterfaces:\n{interfaces}",
        networks.concat()
    )
}

/// Ports that nobody uses, so that the interfaces of a tenant live somewhere.
fn plug_tenant(lab: &Lab, number: u8) -> Result<()> {
    for (n, interface) in interfaces_of(number).iter().enumerate() {
        let port = interface.trim_start_matches("if-");
        let id = format!("external_ids:iface-id={interface}");
        let add = ["add-port", "br-int", port, "--", "set", "interface", port, "type=internal", &id];
        lab.host((usize::from(number) + n) % HOSTS).ovs_vsctl(add)?;
    }
    Ok(())
}

/// Somebody writes to the MAC address of a guest of another network, who is watched.
fn intrude(from: &Guest, to: &Guest) -> Result<(PingStream, Capture)> {
    let (nowhere, mac) = (ip(NOWHERE).to_string(), to.mac().to_string());
    let capture = to.capture_arriving(&format!("ether src {}", from.mac()))?;
    from.exec(["ip", "neighbour", "replace", &nowhere, "lladdr", &mac, "dev", "eth0", "nud", "permanent"])?;
    Ok((from.start_ping(ip(NOWHERE), INTERVAL * 5)?, capture))
}

/// Waits until every host has what has happened so far.
pub(crate) fn settle(lab: &Lab) -> Result<()> {
    vnctl(lab, "networks modify nw-a --display-name settled --wait").map(drop)
}
