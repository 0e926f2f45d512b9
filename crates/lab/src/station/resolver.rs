//! Names as a guest's programs look them up: by the C library, from a resolver configuration of the station's own.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::command::Output;
use crate::error::Result;

use super::Station;

/// Runs a command that sees the file `$0` as `/etc/resolv.conf`. The mount is in a namespace of the command's own, and
/// goes with it.
const WITH_RESOLVER: &str = r#"mount --bind "$0" "$(readlink -f /etc/resolv.conf)" && exec "$@""#;

impl Station {
    /// Where the station's resolver configuration is (resolv.conf(5)). A DHCP client writes it.
    #[must_use]
    pub fn resolv_conf(&self) -> PathBuf {
        self.dir().join("resolv.conf")
    }

    /// All addresses of a name, in order, as getaddrinfo(3) finds them by DNS; none if there is no such name.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] if there is no resolver configuration, or no server answers.
    pub fn resolve(&self, name: &str) -> Result<Vec<IpAddr>> {
        let output = self.getent(&["ahosts", name])?;
        let address = |line: &str| line.split_whitespace().next()?.parse().ok();
        let mut addresses: Vec<_> = output.stdout.lines().filter_map(address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        Ok(addresses)
    }

    /// The name of an address, as getnameinfo(3) finds it by DNS.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn name_of(&self, address: IpAddr) -> Result<Option<String>> {
        let output = self.getent(&["hosts", &address.to_string()])?;
        Ok(output.stdout.split_whitespace().nth(1).map(str::to_owned))
    }

    /// getent(1), asking DNS alone, whatever the machine's nsswitch.conf(5) says.
    fn getent(&self, question: &[&str]) -> Result<Output> {
        let conf = self.resolv_conf().display().to_string();
        let private = ["unshare", "--mount", "sh", "-c", WITH_RESOLVER, &conf];
        let argv: Vec<&str> =
            private.into_iter().chain(["getent", "-s", "dns"]).chain(question.iter().copied()).collect();
        let output = self.attempt(&argv)?;
        match output.code {
            // getent(1): 2 for a name that is not found.
            Some(0 | 2) => Ok(output),
            _ => Err(crate::Error::Failed { command: argv.join(" "), place: self.name().to_owned(), output }),
        }
    }
}
