//! A real `ovs-vswitchd` with dummy ports, in a folder of its own. It ends with its value.
//!
//! # When a packet is through
//! The switch's main thread takes turns: packets received, then commands. A command that is answered after the one that
//! injected a packet finds the packet dealt with, so nothing here waits.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dataplane::layout::{AGENT_METER, AGENT_PACKETS_PER_SECOND, OPTION_BYTES, OPTION_CLASS, OPTION_TYPE};
use dataplane::{Owner, Program};
use openflow::{Cookie, Group, OfPort};
use serde_json::{Value, json};
use tempfile::TempDir;
use topology::datapath::Encapsulation;

/// Longest time for a server to start.
const LIMIT: Duration = Duration::from_secs(20);

/// How often a socket is looked for.
const POLL: Duration = Duration::from_millis(5);

/// Path of the schema that Open vSwitch installs.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// The bridge of the guests, and that of the underlay with its one port.
const BRIDGE: &str = "br-int";
const UNDERLAY: &str = "br-phy";
const UPLINK: &str = "uplink";

/// Bytes of a capture file before its first record, and of each record before its frame.
const CAPTURE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// Prefix of the underlay's addresses.
pub(crate) const UNDERLAY_PREFIX: [u8; 3] = [198, 51, 100];

/// Hosts that an underlay has addresses for in these tests.
const MAX_HOSTS: u8 = 8;

/// Address of a host in the underlay.
pub(crate) fn underlay_address(host: u8) -> Ipv4Addr {
    let [a, b, c] = UNDERLAY_PREFIX;
    Ipv4Addr::new(a, b, c, host + 1)
}

/// MAC address of a host in the underlay.
fn underlay_mac(host: u8) -> String {
    format!("02:aa:00:00:00:{:02x}", host + 1)
}

/// Port of a tunnel.
pub(crate) fn tunnel_port(encapsulation: Encapsulation) -> OfPort {
    OfPort(match encapsulation {
        Encapsulation::Geneve => 1,
        Encapsulation::Vxlan => 2,
        Encapsulation::Gre => 3,
    })
}

/// A process that is killed with its value.
struct Process(Child);

impl Process {
    fn spawn(program: &str, folder: &Path, arguments: &[String]) -> Self {
        // With the test's thread dies the process, however that comes about.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", program]).args(arguments);
        command.args(["-vconsole:off", "-vsyslog:off"]);
        command.envs(["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR"].map(|name| (name, folder)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("Open vSwitch is installed"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A switch with guests' ports, tunnels and an underlay.
pub(crate) struct Switch {
    _switch: Process,
    _database: Process,
    captures: Vec<Capture>,
    folder: TempDir,
}

/// What a port has sent, and how much of that was looked at.
struct Capture {
    port: String,
    file: PathBuf,
    read: usize,
}

/// Frames that ports have sent.
#[derive(Default)]
pub(crate) struct Sent {
    /// To guests, with the port's name.
    pub(crate) guests: Vec<(String, Vec<u8>)>,
    /// Into the underlay.
    pub(crate) underlay: Vec<Vec<u8>>,
}

/// How many packets met the flows of a cookie, or those that hand them to the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counter {
    Owner(Owner),
    Agent(u8),
}

impl Switch {
    /// Starts the switch of a host, with these guests' ports.
    pub(crate) fn start(host: u8, guests: &[(String, OfPort)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        run("ovsdb-tool", &["create", &at("conf.db"), SCHEMA], "");
        let database = [format!("--remote=punix:{}", at("db.sock")), format!("--unixctl={}", at("db.ctl"))];
        let database =
            Process::spawn("ovsdb-server", folder.path(), &[&database[..], &[at("conf.db")]].concat());
        await_file(&folder.path().join("db.sock"));
        let remote = format!("unix:{}", at("db.sock"));
        run("ovs-vsctl", &[&format!("--db={remote}"), "--no-wait", "init"], "");
        let mode = ["--enable-dummy=system", "--disable-system"].map(str::to_owned);
        let switch = [&mode[..], &[format!("--unixctl={}", at("switch.ctl")), remote]].concat();
        let switch = Process::spawn("ovs-vswitchd", folder.path(), &switch);
        let ports = guests.iter().map(|(port, _)| port.as_str()).chain([UPLINK]);
        let captures = ports.map(|port| Capture {
            port: port.to_owned(),
            file: folder.path().join(port),
            read: CAPTURE_HEADER,
        });
        let captures = captures.collect();
        let switch = Self { _switch: switch, _database: database, captures, folder };
        switch.configure(host, guests);
        switch
    }

    fn configure(&self, host: u8, guests: &[(String, OfPort)]) {
        let mut commands = format!(
            "--db=unix:{} -- add-br {UNDERLAY} -- set bridge {UNDERLAY} datapath_type=dummy \
             other-config:hwaddr={} -- add-br {BRIDGE} \
             -- set bridge {BRIDGE} datapath_type=dummy fail_mode=secure",
            self.path("db.sock"),
            underlay_mac(host),
        );
        let mut dummy = |bridge, name: &str, number: u32| {
            let capture = self.path(name);
            write!(
                commands,
                " -- add-port {bridge} {name} -- set interface {name} type=dummy ofport_request={number} \
                 options:tx_pcap={capture}"
            )
            .expect("a string takes all");
        };
        dummy(UNDERLAY, UPLINK, 1);
        guests.iter().for_each(|(name, number)| dummy(BRIDGE, name, number.0));
        for kind in Encapsulation::ALL {
            let number = tunnel_port(kind);
            write!(
                commands,
                " -- add-port {BRIDGE} {kind} -- set interface {kind} type={kind} ofport_request={number} \
                 options:remote_ip=flow options:local_ip=flow options:key=flow"
            )
            .expect("a string takes all");
        }
        await_file(&self.folder.path().join("switch.ctl"));
        run("ovs-vsctl", &commands.split_whitespace().collect::<Vec<_>>(), "");
        let [a, b, c] = UNDERLAY_PREFIX;
        self.call("netdev-dummy/ip4addr", &[UNDERLAY, &format!("{}/24", underlay_address(host))]);
        self.call("ovs/route/add", &[&format!("{a}.{b}.{c}.0/24"), UNDERLAY]);
        for other in (0..MAX_HOSTS).filter(|other| *other != host) {
            self.call(
                "tnl/neigh/set",
                &[UNDERLAY, &underlay_address(other).to_string(), &underlay_mac(other)],
            );
        }
    }

    /// Installs a program.
    ///
    /// A dummy underlay knows no address to be local, and so routes no packet with a source that is given. The
    /// program's is left out, after a look at it; the route gives the same.
    pub(crate) fn install(&self, host: u8, program: &Program) {
        let option = format!("{{class={OPTION_CLASS},type={OPTION_TYPE},len={OPTION_BYTES}}}->tun_metadata0");
        self.ofctl("add-tlv-map", &[&option], "");
        let meter = format!("meter={AGENT_METER} pktps bands=type=drop rate={AGENT_PACKETS_PER_SECOND}");
        self.ofctl("add-meter", &[&meter], "");
        let groups: String = program.groups.values().map(|group| group_text(group) + "\n").collect();
        self.ofctl("add-groups", &["-"], &groups);
        let given = format!("set_field:{}->tun_src,", underlay_address(host));
        let flows = program.flows.values().map(|flow| {
            let text = flow.to_string();
            assert_eq!(text.contains("->tun_src"), text.contains(&given), "{text}");
            text.replace(&given, "") + "\n"
        });
        self.ofctl("add-flows", &["-"], &flows.collect::<String>());
    }

    /// Gives a guest's frame to its port.
    pub(crate) fn receive(&self, port: &str, frame: &[u8]) {
        let text: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        self.call("netdev-dummy/receive", &[port, &text]);
    }

    /// Gives a frame of the underlay to the host.
    pub(crate) fn receive_underlay(&self, frame: &[u8]) {
        self.receive(UPLINK, frame);
    }

    /// What the ports have sent since it was last asked.
    pub(crate) fn sent(&mut self) -> Sent {
        // Answered after all packets so far.
        self.call("version", &[]);
        let mut sent = Sent::default();
        for capture in &mut self.captures {
            let frames = capture.news();
            if capture.port == UPLINK {
                sent.underlay.extend(frames);
            } else {
                sent.guests.extend(frames.into_iter().map(|frame| (capture.port.clone(), frame)));
            }
        }
        sent
    }

    /// Packets that the flows of each owner have met, and those that the agent was asked about.
    pub(crate) fn counters(&self) -> Vec<(Counter, u64)> {
        self.call("revalidator/purge", &[]);
        let dump = self.ofctl("dump-flows", &[], "");
        let counted = dump.lines().filter_map(|line| {
            let number = |name: &str, radix| {
                let text = line.split_once(name)?.1;
                let end = text.find(|digit: char| !digit.is_digit(radix)).unwrap_or(text.len());
                u64::from_str_radix(&text[..end], radix).ok()
            };
            let packets = number("n_packets=", 10)?;
            let counter = match number("userdata=", 16) {
                Some(question) => Counter::Agent(u8::try_from(question).expect("one byte")),
                None => Counter::Owner(Owner::of_cookie(Cookie(number("cookie=0x", 16)?))?),
            };
            Some((counter, packets))
        });
        counted.collect()
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn ofctl(&self, command: &str, arguments: &[&str], input: &str) -> String {
        let bridge = format!("unix:{}", self.path(&format!("{BRIDGE}.mgmt")));
        let all = [&["-O", "OpenFlow15", command, &bridge], arguments].concat();
        run("ovs-ofctl", &all, input)
    }

    /// Calls `ovs-vswitchd` as ovs-appctl(8) does.
    fn call(&self, method: &str, arguments: &[&str]) -> String {
        let mut stream = UnixStream::connect(self.path("switch.ctl")).expect("the switch's socket");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        let request = json!({"id": 0, "method": method, "params": arguments});
        stream.write_all(request.to_string().as_bytes()).expect("a request");
        let mut replies = serde_json::Deserializer::from_reader(stream).into_iter::<Value>();
        let reply = replies.next().expect("a reply").expect("a reply in time");
        assert_eq!(reply["error"], Value::Null, "{method} {arguments:?}");
        reply["result"].as_str().expect("a text").to_owned()
    }
}

impl Capture {
    /// Frames that were not read before.
    fn news(&mut self) -> Vec<Vec<u8>> {
        let bytes = std::fs::read(&self.file).expect("a capture");
        let mut frames = Vec::new();
        while let Some(record) = bytes.get(self.read..).filter(|rest| !rest.is_empty()) {
            let size = record[8..12].try_into().map(u32::from_le_bytes).expect("4 bytes");
            let end = RECORD_HEADER + usize::try_from(size).expect("a frame's size");
            frames.push(record[RECORD_HEADER..end].to_vec());
            self.read += end;
        }
        frames
    }
}

/// A group in the syntax of ovs-ofctl(8).
fn group_text(group: &Group) -> String {
    let buckets = group.buckets.iter().map(|bucket| {
        let actions: Vec<_> = bucket.actions.iter().map(ToString::to_string).collect();
        format!(",bucket=bucket_id:{},actions={}", bucket.id.0, actions.join(","))
    });
    assert_eq!(group.kind, openflow::GroupType::All);
    format!("group_id={},type=all", group.id.0) + &buckets.collect::<String>()
}

fn await_file(path: &Path) {
    let deadline = Instant::now() + LIMIT;
    while !path.exists() {
        assert!(Instant::now() < deadline, "{} does not appear", path.display());
        std::thread::park_timeout(POLL);
    }
}

/// Runs a program to its end, and gives what it writes.
fn run(program: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("Open vSwitch is installed");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads all");
    let output = child.wait_with_output().expect("an end");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}
