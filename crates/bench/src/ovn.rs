//! OVN, as Debian packages it: `ovn-northd` between two databases, an `ovn-controller` for each host of a lab, and a user of
//! `ovn-nbctl` in its daemon mode, as ovn-nbctl(8) advises for large databases.

use std::time::Duration;

use anyhow::Context;
use lab::{Host, Lab, Namespace, Process, in_parallel, wait_until};

use crate::BRIDGE;

/// Where agents find the southbound database: the centre's address on the management network of a lab.
const SOUTHBOUND: &str = "tcp:198.51.100.254:6642";

/// Where that database listens.
const SOUTHBOUND_LISTEN: &str = "ptcp:6642:0.0.0.0";

/// Where Debian's package puts the schemas.
const SCHEMAS: &str = "/usr/share/ovn";

/// Time that everything gets to be in place before anything is measured.
const PATIENCE: Duration = Duration::from_secs(60);

/// Milliseconds after which an idle connection is probed: longer than any step of these measurements.
const PROBE_MS: &str = "600000";

/// OVN on the hosts of a lab, its centre where a manager would be.
pub(crate) struct Ovn {
    place: Namespace,
    centre: Vec<Process>,
    agents: Vec<Process>,
    /// The control socket of `ovn-nbctl`.
    control: String,
}

/// Gives each host the bridge that OVN takes over.
pub(crate) fn add_bridges(lab: &Lab) -> anyhow::Result<()> {
    for host in lab.hosts() {
        let bridge = ["add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "fail-mode=secure"];
        host.ovs_vsctl(bridge.into_iter().chain(["datapath_type=netdev"]))?;
    }
    Ok(())
}

impl Ovn {
    /// Starts it, with its databases in the folder `disk`, and waits until every chassis is known.
    pub(crate) fn start(lab: &Lab, disk: &str) -> anyhow::Result<Self> {
        let place = lab.manager().namespace().clone();
        let centre = [("nb", "OVN_Northbound"), ("sb", "OVN_Southbound")]
            .map(|(name, database)| start_database(&place, disk, name, database));
        let mut centre = centre.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        let (nb, sb) = (socket("nb"), socket("sb"));
        let (nb_flag, sb_flag) = (format!("--ovnnb-db={nb}"), format!("--ovnsb-db={sb}"));
        centre.push(start_program(&place, &["ovn-northd", &nb_flag, &sb_flag, "-vconsole:warn"])?);
        let probe = format!("inactivity_probe={PROBE_MS}");
        let listen = ["ovn-sbctl", "set-connection", SOUTHBOUND_LISTEN];
        in_centre(&place, &[&listen[..], &["--", "set", "connection", ".", &probe]].concat())?;
        let control = in_centre(&place, &["ovn-nbctl", "--detach", "--pidfile", "--log-file=/dev/null"])?;
        let agents = in_parallel(lab.hosts(), start_agent).into_iter().collect::<anyhow::Result<_>>()?;
        let ovn = Self { place, centre, agents, control: control.trim().to_owned() };
        wait_until("every chassis to be known", PATIENCE, || ovn.all_chassis(lab.hosts().len()))?;
        Ok(ovn)
    }

    fn all_chassis(&self, wanted: usize) -> Result<(), String> {
        let shown = in_centre(&self.place, &["ovn-sbctl", "--bare", "--columns=name", "list", "chassis"]);
        let known = shown.map_err(|error| error.to_string())?.split_whitespace().count();
        if known == wanted { Ok(()) } else { Err(format!("{known} of {wanted}")) }
    }

    /// Runs commands of `ovn-nbctl` as one transaction.
    pub(crate) fn nbctl(&self, words: &[String]) -> anyhow::Result<()> {
        let program = ["ovn-nbctl", "-u", &self.control].map(str::to_owned);
        self.place.exec(program.iter().chain(words))?;
        Ok(())
    }

    /// Waits until every chassis has what was asked for so far. False if that takes longer than `limit`.
    pub(crate) fn sync(&self, limit: Duration) -> anyhow::Result<bool> {
        let seconds = format!("--timeout={}", limit.as_secs().max(1));
        let words = ["ovn-nbctl", "-u", &self.control, &seconds, "--wait=hv", "sync"];
        let process = self.place.spawn("ovn-nbctl-sync", words)?;
        match process.wait(limit) {
            Ok(status) => Ok(status.success()),
            Err(lab::Error::TimedOut { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The names of ports that no chassis has claimed.
    pub(crate) fn unclaimed(&self) -> anyhow::Result<String> {
        let find = ["ovn-sbctl", "--bare", "--columns=logical_port", "find", "port_binding"];
        let found = in_centre(&self.place, &[&find[..], &["type=\"\"", "chassis=[]"]].concat())?;
        Ok(found.trim().to_owned())
    }

    /// The processes of the centre.
    pub(crate) fn centre(&self) -> impl Iterator<Item = u32> {
        self.centre.iter().map(Process::pid)
    }

    /// The processes of the hosts.
    pub(crate) fn agents(&self) -> impl Iterator<Item = u32> {
        self.agents.iter().map(Process::pid)
    }
}

/// Commands of one transaction.
pub(crate) fn joined(commands: impl IntoIterator<Item = Vec<String>>) -> Vec<String> {
    let commands: Vec<_> = commands.into_iter().collect();
    commands.join(&"--".to_owned())
}

/// The words of a command, none of which has a space in it.
pub(crate) fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// A port of a switch, to which it is known at `address` (MAC and IP address), and from which alone it may send.
pub(crate) fn logical_port(switch: &str, name: &str, address: &str) -> Vec<String> {
    let mut line = words(&format!("lsp-add {switch} {name} -- lsp-set-addresses {name}"));
    line.push(address.to_owned());
    line.extend(words(&format!("-- lsp-set-port-security {name}")));
    line.push(address.to_owned());
    line
}

/// A socket of the centre, inside the lab.
fn socket(name: &str) -> String {
    format!("unix:/run/lab/{name}.sock")
}

/// Runs a command of OVN beside the centre.
fn in_centre(place: &Namespace, words: &[&str]) -> anyhow::Result<String> {
    let environment = environment("manager");
    Ok(place.exec(environment.iter().map(String::as_str).chain(words.iter().copied()))?)
}

fn start_program(place: &Namespace, words: &[&str]) -> anyhow::Result<Process> {
    let environment = environment("manager");
    let name = words.first().context("a program")?;
    Ok(place.spawn(name, environment.iter().map(String::as_str).chain(words.iter().copied()))?)
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
fn start_database(place: &Namespace, disk: &str, name: &str, database: &str) -> anyhow::Result<Process> {
    let (file, schema) = (format!("{disk}/{name}.db"), format!("{SCHEMAS}/ovn-{name}.ovsschema"));
    in_centre(place, &["mkdir", "-p", "/run/lab/manager"])?;
    in_centre(place, &["ovsdb-tool", "create", &file, &schema])?;
    let (local, control) = (format!("--remote=p{}", socket(name)), format!("--unixctl=/run/lab/{name}.ctl"));
    let global = if name == "nb" { "NB_Global" } else { "SB_Global" };
    let remote = format!("--remote=db:{database},{global},connections");
    let words = ["ovsdb-server", &file, &local, &remote, &control, "-vconsole:warn"];
    let process = place.spawn(&format!("ovsdb-{name}"), words)?;
    wait_until(format!("the database {name}"), PATIENCE, || {
        in_centre(place, &["ovsdb-client", "--timeout=1", "list-dbs", &socket(name)])
    })?;
    let init = if name == "nb" { "ovn-nbctl" } else { "ovn-sbctl" };
    in_centre(place, &[init, "init"])?;
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
