//! The agent of a host, `vna`, as a service manager would run it: the one place that knows its flags.

use std::net::IpAddr;
use std::ops::Deref;
use std::path::PathBuf;

use topology::datapath::Encapsulation;

use crate::error::Result;
use crate::namespace::Namespace;
use crate::programs::program;
use crate::service::Service;

/// The bridge that the agent makes, and guests are plugged into.
pub(crate) const INTEGRATION_BRIDGE: &str = "br-int";

/// The agent of a host. It has joined once its state folder holds what `vna join` wrote, and keeps that when it ends.
#[derive(Debug)]
pub struct Agent {
    namespace: Namespace,
    underlay_addresses: Vec<IpAddr>,
    encapsulation: Encapsulation,
    service: Service,
}

impl Agent {
    pub(crate) fn new(
        namespace: &Namespace,
        underlay_addresses: Vec<IpAddr>,
        encapsulation: Encapsulation,
    ) -> Self {
        let service = Service::new("vna", namespace);
        Self { namespace: namespace.clone(), underlay_addresses, encapsulation, service }
    }

    /// The folder of its state, inside the lab.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.namespace.dir().join("vna")
    }

    /// Joins the host at a manager's sync endpoint, with a token that the manager gave for it (`vnctl hosts token`).
    ///
    /// # Errors
    /// As [`Namespace::exec`], or [`crate::Error::MissingProgram`].
    pub fn join(&self, manager: &str, token: &str) -> Result<()> {
        let (program, state) = (program("vna")?, self.state_dir());
        let token_file = self.namespace.dir().join("join-token");
        self.namespace.write(&token_file, token.trim())?;
        let [program, token_file, state] =
            [&program, &token_file, &state].map(|path| path.display().to_string());
        let identity = ["--node-id", self.namespace.name(), "--manager", manager];
        let argv = [&program, "join", "--token-file", &token_file, "--state-dir", &state];
        let argv = argv.into_iter().chain(identity);
        self.namespace.exec(argv).map(drop)
    }

    /// Starts it, with the managers' sync endpoint as an `https` address, and waits until its bridge is there.
    ///
    /// # Errors
    /// [`crate::Error::MissingProgram`] if it is not built, [`crate::Error::Request`] if it runs already,
    /// [`crate::Error::TimedOut`] if it makes no bridge.
    pub fn start(&self, manager: &str) -> Result<()> {
        let bridge = ["ovs-vsctl", "--timeout=10", "br-exists", INTEGRATION_BRIDGE];
        self.service.launch(self.command_line(manager)?, || self.namespace.exec(bridge))
    }

    fn command_line(&self, manager: &str) -> Result<Vec<String>> {
        let database = self.namespace.dir().join("openvswitch/db.sock");
        let flags = [
            ("--state-dir", self.state_dir().display().to_string()),
            ("--ovsdb", format!("unix:{}", database.display())),
            ("--bridge", INTEGRATION_BRIDGE.to_owned()),
            ("--datapath-type", "netdev".to_owned()),
            ("--manager", manager.to_owned()),
            ("--encapsulation", self.encapsulation.to_string()),
        ];
        let addresses =
            self.underlay_addresses.iter().map(|address| ("--underlay-address", address.to_string()));
        let program = program("vna")?.display().to_string();
        let flags = flags.into_iter().chain(addresses).flat_map(|(flag, value)| [flag.to_owned(), value]);
        Ok([program, "run".to_owned()].into_iter().chain(flags).collect())
    }
}

impl Deref for Agent {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}
