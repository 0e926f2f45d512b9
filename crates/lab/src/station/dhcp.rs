//! Getting an address by DHCP, with the clients that guests have: `dhclient` of Debian and `udhcpc` of BusyBox.
//!
//! Their own scripts would write the resolver of the machine that the lab runs on. Those of the lab apply a lease to the
//! NIC, write down what it holds, and keep its name servers where the station's [resolver](super::resolver) finds them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::error::Result;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::wait::wait_until;

use super::{NIC, Station};

const DHCLIENT_SCRIPT: &str = include_str!("dhclient-script.sh");
const UDHCPC_SCRIPT: &str = include_str!("udhcpc-script.sh");

/// How to ask: for ten seconds, and for all that a guest of Debian asks for. Option 121 is not known to the client by itself.
const CONFIG: &str = "\
option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;
timeout 10; retry 1; initial-interval 1;
also request rfc3442-classless-static-routes, interface-mtu;
";

/// How `udhcpc` asks: as often, and for what it does not ask for by itself.
const UDHCPC: &str = "udhcpc -f -t 10 -T 1 -O staticroutes -O mtu -O domain -O dns";

/// What the scripts say before each event.
const EVENT: &str = "lease: ";

/// Time for a client to get a lease, or to renew one.
const LEASE_LIMIT: Duration = Duration::from_secs(15);

/// A client that goes on running, and renews its lease.
#[derive(Debug)]
pub struct DhcpClient {
    process: Process,
    namespace: Namespace,
    options: PathBuf,
}

impl DhcpClient {
    /// What the lease holds, by the names that the client's script has for it.
    ///
    /// # Errors
    /// [`crate::Error::File`] if there never was one.
    pub fn lease(&self) -> Result<BTreeMap<String, String>> {
        read_options(&self.namespace, &self.options)
    }

    /// What has happened so far, `bound 10.0.0.1` for instance.
    ///
    /// # Errors
    /// [`crate::Error::File`] if the log cannot be read.
    pub fn events(&self) -> Result<Vec<String>> {
        let output = self.process.output()?;
        Ok(output.lines().filter_map(|line| line.strip_prefix(EVENT)).map(str::to_owned).collect())
    }

    /// Waits until something has happened, for the `times`-th time.
    ///
    /// # Errors
    /// [`crate::Error::TimedOut`] with what has happened instead.
    pub fn wait_for(&self, event: &str, times: usize) -> Result<()> {
        wait_until(format!("`{event}` for the {times}. time"), LEASE_LIMIT, || {
            let events = self.events().map_err(|error| error.to_string())?;
            let count = events.iter().filter(|known| *known == event).count();
            if count >= times { Ok(()) } else { Err(self.process.output().unwrap_or_default()) }
        })
    }

    /// Has `udhcpc` renew its lease now (SIGUSR1, udhcpc(8)).
    pub fn renew(&self) {
        self.process.signal(Signal::SIGUSR1);
    }
}

impl Station {
    /// Asks for an IPv4 address by DHCP, configures the NIC with the lease, and gives its options by the names that
    /// dhclient-script(8) has for them, `ip_address` or `routers` for instance.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] if no lease was offered within ten seconds.
    pub fn dhcp(&self) -> Result<BTreeMap<String, String>> {
        self.lease("-4")
    }

    /// Asks for an IPv6 address by DHCPv6; else as [`dhcp`](Self::dhcp).
    ///
    /// # Errors
    /// As [`dhcp`](Self::dhcp).
    pub fn dhcp_v6(&self) -> Result<BTreeMap<String, String>> {
        self.lease("-6")
    }

    /// Starts `dhclient` with more lines of dhclient.conf(5), and waits until it has an IPv4 address.
    ///
    /// # Errors
    /// [`crate::Error::TimedOut`] if it gets none.
    pub fn start_dhclient(&self, config: &str) -> Result<DhcpClient> {
        let argv = self.dhclient("-4", &["-d"], config)?;
        self.start_client("dhclient", &argv)
    }

    /// Starts `udhcpc`, which asks for the address `wanted` if there is one, and waits until it has an address.
    ///
    /// # Errors
    /// [`crate::Error::TimedOut`] if it gets none.
    pub fn start_udhcpc(&self, wanted: Option<Ipv4Addr>) -> Result<DhcpClient> {
        let script = self.dhcp_file("udhcpc-script");
        self.write(&script, UDHCPC_SCRIPT)?;
        self.exec(["chmod", "+x", &script])?;
        let mut argv = vec!["env".to_owned()];
        argv.extend(self.script_variables());
        argv.extend(UDHCPC.split(' ').map(str::to_owned));
        argv.extend(["-i", NIC, "-s", &script].map(str::to_owned));
        argv.extend(wanted.into_iter().flat_map(|address| ["-r".to_owned(), address.to_string()]));
        self.start_client("udhcpc", &argv)
    }

    fn start_client(&self, name: &str, argv: &[String]) -> Result<DhcpClient> {
        let process = self.spawn_probe(name, argv)?;
        let options = self.dhcp_file("options").into();
        let client = DhcpClient { process, namespace: (**self).clone(), options };
        wait_until(format!("{name} to have a lease"), LEASE_LIMIT, || {
            let events = client.events().map_err(|error| error.to_string())?;
            let is_bound = events.iter().any(|event| event.starts_with("bound "));
            if is_bound { Ok(()) } else { Err(client.process.output().unwrap_or_default()) }
        })?;
        self.learn_addresses()?;
        Ok(client)
    }

    fn lease(&self, family: &str) -> Result<BTreeMap<String, String>> {
        self.exec(self.dhclient(family, &["-1", "-v"], "")?)?;
        self.learn_addresses()?;
        read_options(self, &self.dhcp_file("options").into())
    }

    /// The command line of `dhclient`, whose files are written.
    fn dhclient(&self, family: &str, flags: &[&str], config: &str) -> Result<Vec<String>> {
        let [script, conf, leases, pid] = ["dhclient-script", "config", "leases", "pid"]
            .map(|name| self.dhcp_file(&format!("{name}{family}")));
        self.write(&script, DHCLIENT_SCRIPT)?;
        self.write(&conf, CONFIG.to_owned() + config)?;
        self.write(self.dhcp_file("options"), "")?;
        self.exec(["chmod", "+x", &script])?;
        let files = ["-cf", &conf, "-sf", &script, "-lf", &leases, "-pf", &pid];
        let words =
            ["dhclient", family].into_iter().chain(flags.iter().copied()).chain(files).map(str::to_owned);
        let variables = self.script_variables();
        let told = variables.into_iter().flat_map(|variable| ["-e".to_owned(), variable]);
        Ok(words.chain(told).chain([NIC.to_owned()]).collect())
    }

    /// Where the scripts write.
    fn script_variables(&self) -> [String; 2] {
        let options = format!("LEASE_OPTIONS={}", self.dhcp_file("options"));
        [options, format!("RESOLV_CONF={}", self.resolv_conf().display())]
    }

    fn dhcp_file(&self, name: &str) -> String {
        self.dir().join("dhcp").join(name).display().to_string()
    }
}

fn read_options(namespace: &Namespace, file: &PathBuf) -> Result<BTreeMap<String, String>> {
    let options = namespace.read(file)?;
    let pairs = options.lines().filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}
