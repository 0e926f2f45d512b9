//! OVN, as Debian packages it: `ovn-northd` between two databases, an `ovn-controller` for each host, and a user of
//! `ovn-nbctl` in its daemon mode, as ovn-nbctl(8) advises for large databases.
//!
//! # When a host has a change
//! `--wait=hv` returns once every chassis has the change that the command made (ovn-nbctl(8)). A chassis that claims a port
//! tells the southbound database on its way there, and the others hear of the claim later. So the command is asked a second
//! time: what it then waits for comes after the claim. Both times are measured.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lab::{Host, Process, in_parallel, wait_until};

use super::hosts::{BRIDGE, Site};
use super::{Loaded, System};
use crate::machine::Used;
use crate::workload::{self, Change, NETWORK_SIZE, Port, Workload};

/// Where agents find the southbound database: the centre's address on the management network of a lab.
const SOUTHBOUND: &str = "tcp:198.51.100.254:6642";

/// Where that database listens.
const SOUTHBOUND_LISTEN: &str = "ptcp:6642:0.0.0.0";

/// Where Debian's package puts the schemas.
const SCHEMAS: &str = "/usr/share/ovn";

/// Time that everything gets to be in place before the clock starts.
const PATIENCE: Duration = Duration::from_secs(60);

/// Milliseconds after which an idle connection is probed: longer than any step of these measurements.
const PROBE_MS: &str = "600000";

/// The port group of the first network's ports.
const GROUP: &str = "pg_bench";

/// OVN on a site.
pub(crate) struct Peer<'a> {
    site: &'a Site,
    centre: Vec<Process>,
    agents: Vec<Process>,
    /// The control socket of `ovn-nbctl`.
    control: String,
    /// What the group's last rule lets in.
    allowed: u16,
}

impl<'a> Peer<'a> {
    /// Starts it, and waits until every chassis is known.
    pub(crate) fn start(site: &'a Site, workload: &Workload) -> anyhow::Result<Self> {
        for host in site.lab.hosts() {
            let bridge = ["add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "fail-mode=secure"];
            host.ovs_vsctl(bridge.into_iter().chain(["datapath_type=netdev"]))?;
        }
        site.add_ports(workload)?;
        let centre = [("nb", "OVN_Northbound"), ("sb", "OVN_Southbound")]
            .map(|(name, database)| start_database(site, name, database));
        let mut centre = centre.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        let (nb, sb) = (socket("nb"), socket("sb"));
        let (nb_flag, sb_flag) = (format!("--ovnnb-db={nb}"), format!("--ovnsb-db={sb}"));
        centre.push(start_program(site, &["ovn-northd", &nb_flag, &sb_flag, "-vconsole:warn"])?);
        let probe = format!("inactivity_probe={PROBE_MS}");
        in_centre(
            site,
            &["ovn-sbctl", "set-connection", SOUTHBOUND_LISTEN, "--", "set", "connection", ".", &probe],
        )?;
        let control = in_centre(site, &["ovn-nbctl", "--detach", "--pidfile", "--log-file=/dev/null"])?;
        let agents = in_parallel(site.lab.hosts(), start_agent).into_iter().collect::<anyhow::Result<_>>()?;
        let peer = Self { site, centre, agents, control: control.trim().to_owned(), allowed: 80 };
        wait_until("every chassis to be known", PATIENCE, || peer.all_chassis(workload.hosts))?;
        Ok(peer)
    }

    fn all_chassis(&self, wanted: usize) -> Result<(), String> {
        let shown = in_centre(self.site, &["ovn-sbctl", "--bare", "--columns=name", "list", "chassis"]);
        let known = shown.map_err(|error| error.to_string())?.split_whitespace().count();
        if known == wanted { Ok(()) } else { Err(format!("{known} of {wanted}")) }
    }

    fn nbctl(&self, words: &[String]) -> anyhow::Result<()> {
        let program = ["ovn-nbctl", "-u", &self.control].map(str::to_owned);
        self.site.centre().exec(program.iter().chain(words))?;
        Ok(())
    }

    /// Waits until every chassis has what was asked for so far. False if that takes longer than `limit`.
    fn sync(&self, limit: Duration) -> anyhow::Result<bool> {
        let seconds = format!("--timeout={}", limit.as_secs().max(1));
        let words = ["ovn-nbctl", "-u", &self.control, &seconds, "--wait=hv", "sync"];
        let process = self.site.centre().spawn("ovn-nbctl-sync", words)?;
        match process.wait(limit) {
            Ok(status) => Ok(status.success()),
            Err(lab::Error::TimedOut { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl System for Peer<'_> {
    fn load(&mut self, workload: &Workload, limit: Duration) -> anyhow::Result<Option<Loaded>> {
        let batches: Vec<_> = workload.networks().map(|network| batch(workload, network)).collect();
        let started = Instant::now();
        for batch in &batches {
            self.nbctl(batch)?;
        }
        if !self.sync(limit.saturating_sub(started.elapsed()))? {
            return Ok(None);
        }
        let said = started.elapsed();
        if !self.sync(limit.saturating_sub(said))? {
            return Ok(None);
        }
        let converged = started.elapsed();
        let unclaimed = [
            "ovn-sbctl",
            "--bare",
            "--columns=logical_port",
            "find",
            "port_binding",
            "type=\"\"",
            "chassis=[]",
        ];
        let unclaimed = in_centre(self.site, &unclaimed)?;
        ensure!(unclaimed.trim().is_empty(), "nobody has claimed {}", unclaimed.trim());
        Ok(Some(Loaded { converged, said }))
    }

    fn change(&mut self, workload: &Workload, change: Change) -> anyhow::Result<Duration> {
        let command = match change {
            Change::Add(port) => joined([logical_port(port)]),
            Change::Rule(port) => {
                let (old, new) = (rule(self.allowed), rule(port));
                self.allowed = port;
                joined([
                    acl("acl-del", "to-lport", &old, ""),
                    acl("acl-add", "to-lport", &new, "allow-related"),
                ])
            }
            Change::Move(port) => joined([requested(port, workload.after_move(port))]),
        };
        let started = Instant::now();
        self.nbctl(&[vec!["--wait=hv".to_owned()], command].concat())?;
        // A rule is no chassis's to claim.
        if !matches!(change, Change::Rule(_)) {
            self.nbctl(&["--wait=hv", "sync"].map(str::to_owned))?;
        }
        Ok(started.elapsed())
    }

    fn centre(&self) -> anyhow::Result<Used> {
        Used::of_all(self.centre.iter().map(Process::pid))
    }

    fn agents(&self) -> anyhow::Result<Used> {
        Used::of_all(self.agents.iter().map(Process::pid))
    }
}

/// A socket of the centre, inside the lab.
fn socket(name: &str) -> String {
    format!("unix:/run/lab/{name}.sock")
}

/// Runs a command of OVN beside the centre.
fn in_centre(site: &Site, words: &[&str]) -> anyhow::Result<String> {
    let environment = environment("manager");
    Ok(site.centre().exec(environment.iter().map(String::as_str).chain(words.iter().copied()))?)
}

fn start_program(site: &Site, words: &[&str]) -> anyhow::Result<Process> {
    let environment = environment("manager");
    let name = words.first().context("a program")?;
    Ok(site.centre().spawn(name, environment.iter().map(String::as_str).chain(words.iter().copied()))?)
}

/// What tells OVN's programs where they are.
fn environment(place: &str) -> Vec<String> {
    let folder = format!("/run/lab/{place}");
    let set = |(name, value): (&str, String)| format!("{name}={value}");
    let settings = [
        ("OVN_RUNDIR", folder.clone()),
        ("OVN_LOGDIR", folder),
        ("OVN_NB_DB", socket("nb")),
        ("OVN_SB_DB", socket("sb")),
    ];
    ["env".to_owned()].into_iter().chain(settings.map(set)).collect()
}

/// Starts one of the centre's databases, on a disk. The southbound one listens where its own rows say.
fn start_database(site: &Site, name: &str, database: &str) -> anyhow::Result<Process> {
    let (file, schema) = (format!("{}/{name}.db", site.disk()), format!("{SCHEMAS}/ovn-{name}.ovsschema"));
    in_centre(site, &["mkdir", "-p", "/run/lab/manager"])?;
    in_centre(site, &["ovsdb-tool", "create", &file, &schema])?;
    let (local, control) = (format!("--remote=p{}", socket(name)), format!("--unixctl=/run/lab/{name}.ctl"));
    let global = if name == "nb" { "NB_Global" } else { "SB_Global" };
    let remote = format!("--remote=db:{database},{global},connections");
    let words = ["ovsdb-server", &file, &local, &remote, &control, "-vconsole:warn"];
    let process = site.centre().spawn(&format!("ovsdb-{name}"), words)?;
    wait_until(format!("the database {name}"), PATIENCE, || {
        in_centre(site, &["ovsdb-client", "--timeout=1", "list-dbs", &socket(name)])
    })?;
    let init = if name == "nb" { "ovn-nbctl" } else { "ovn-sbctl" };
    in_centre(site, &[init, "init"])?;
    Ok(process)
}

fn start_agent(host: &Host) -> anyhow::Result<Process> {
    let encapsulation = format!("external_ids:ovn-encap-ip={}", host.underlay_ip());
    let id = format!("external_ids:system-id={}", host.name());
    let remote = format!("external_ids:ovn-remote={SOUTHBOUND}");
    let probe = format!("external_ids:ovn-remote-probe-interval={PROBE_MS}");
    let kind = "external_ids:ovn-encap-type=geneve".to_owned();
    let datapath = "external_ids:ovn-bridge-datapath-type=netdev".to_owned();
    let settings = [id, remote, encapsulation, kind, datapath, probe];
    host.ovs_vsctl(["set", "open_vswitch", "."].into_iter().chain(settings.iter().map(String::as_str)))?;
    let database = host.switch().database_socket();
    let words = environment(host.name()).into_iter().chain(["ovn-controller".to_owned(), database]);
    Ok(host.spawn("ovn-controller", words.chain(["-vconsole:warn".to_owned()]))?)
}

/// Commands of one transaction.
fn joined(commands: impl IntoIterator<Item = Vec<String>>) -> Vec<String> {
    let commands: Vec<_> = commands.into_iter().collect();
    commands.join(&"--".to_owned())
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// A network with its ports, and a way to all others.
fn batch(workload: &Workload, network: usize) -> Vec<String> {
    let (mac, address) = (workload::router_mac(network), workload::router_address(network));
    let shared = (network == 0).then(|| words("lr-add router"));
    let own = [
        format!("ls-add ls{network}"),
        format!("lrp-add router lrp{network} {mac} {address}/24"),
        format!("lsp-add ls{network} r{network}"),
        format!("lsp-set-type r{network} router"),
        format!("lsp-set-addresses r{network} router"),
        format!("lsp-set-options r{network} router-port=lrp{network}"),
    ];
    let ports = workload.ports_of(network).flat_map(|port| {
        let placed = workload.is_moved(port).then(|| requested(port, port.host));
        [logical_port(port)].into_iter().chain(placed)
    });
    let group = (network == 0).then(|| group(workload)).into_iter().flatten();
    joined(shared.into_iter().chain(own.iter().map(|line| words(line))).chain(ports).chain(group))
}

/// A port that sends from its addresses only.
fn logical_port(port: Port) -> Vec<String> {
    let (name, network, addresses) =
        (port.name(), port.network, format!("{} {}", port.mac(), port.address()));
    let mut line = words(&format!("lsp-add ls{network} {name} -- lsp-set-addresses {name}"));
    line.push(addresses.clone());
    line.extend(words(&format!("-- lsp-set-port-security {name}")));
    line.push(addresses);
    line
}

/// Only the chassis of `host` may claim a port.
fn requested(port: Port, host: usize) -> Vec<String> {
    words(&format!("lsp-set-options {} requested-chassis=host{}", port.name(), host + 1))
}

/// Members send what they like, and receive connections to one TCP port.
fn group(workload: &Workload) -> Vec<Vec<String>> {
    let members = workload.ports_of(0).filter(|port| port.number < NETWORK_SIZE).map(Port::name);
    let add = ["pg-add".to_owned(), GROUP.to_owned()].into_iter().chain(members).collect();
    let send = format!("inport == @{GROUP} && ip");
    let receive = format!("outport == @{GROUP} && ip");
    let drop = ["acl-add", GROUP, "to-lport", "900", &receive, "drop"].map(str::to_owned).to_vec();
    let allow = |way, what: &str| acl("acl-add", way, what, "allow-related");
    vec![add, allow("from-lport", &send), allow("to-lport", &rule(80)), drop]
}

fn rule(port: u16) -> String {
    format!("outport == @{GROUP} && tcp.dst == {port}")
}

fn acl(command: &str, way: &str, what: &str, verdict: &str) -> Vec<String> {
    let words = [command, GROUP, way, "1000", what, verdict].map(str::to_owned);
    words.into_iter().filter(|word| !word.is_empty()).collect()
}
