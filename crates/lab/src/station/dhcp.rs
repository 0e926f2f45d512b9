//! Getting an address by DHCP, with the client that Debian's guests have.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::error::Result;

use super::{NIC, Station};

/// Applies a lease to the NIC and writes down what it holds. The client's own script would write the resolver of the
/// machine that the lab runs on.
const SCRIPT: &str = include_str!("dhclient-script.sh");

/// How to ask: for ten seconds, and for all that a guest of Debian asks for. Option 121 is not known to the client by itself.
const CONFIG: &str = "\
option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;
timeout 10; retry 1; initial-interval 1;
also request rfc3442-classless-static-routes, interface-mtu;
";

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

    fn lease(&self, family: &str) -> Result<BTreeMap<String, String>> {
        let folder = self.dir().join("dhcp");
        let file = |name: &str| -> PathBuf { folder.join(format!("{name}{family}")) };
        let [script, options, config] = [file("script"), file("options"), file("config")];
        self.write(&script, SCRIPT)?;
        self.write(&options, "")?;
        self.write(&config, CONFIG)?;
        self.exec(["chmod", "+x", &script.display().to_string()])?;
        let variable = format!("LEASE_OPTIONS={}", options.display());
        let [script, config, leases, pid] =
            [script, config, file("leases"), file("pid")].map(|path| path.display().to_string());
        let mut argv = vec!["dhclient", family, "-1", "-v", "-cf", &config, "-sf", &script, "-lf", &leases];
        argv.extend(["-pf", &pid, "-e", &variable, NIC]);
        self.exec(argv)?;
        self.learn_addresses()?;
        let options = self.read(&options)?;
        let pairs = options.lines().filter_map(|line| line.split_once('='));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}
