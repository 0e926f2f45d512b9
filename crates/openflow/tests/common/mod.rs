//! An Open vSwitch of its own for each test: private directories, dummy datapath, no privileges, gone on drop.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use openflow::{Config, Connection, Endpoint, Events};
use tempfile::TempDir;

/// How long a daemon may take to be there.
const START: Duration = Duration::from_secs(30);
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// A switch with a bridge `br0`, which has the ports `p1` (1) and `p2` (2).
pub(crate) struct Switch {
    daemons: Vec<Child>,
    directory: TempDir,
}

impl Switch {
    pub(crate) fn start() -> Self {
        let mut switch =
            Self { daemons: Vec::new(), directory: TempDir::new().expect("a temporary directory") };
        switch.run("ovsdb-tool", &["create", &switch.path("conf.db"), SCHEMA]);
        let remote = format!("--remote=punix:{}", switch.path("db.sock"));
        let unixctl = format!("--unixctl={}", switch.path("db.ctl"));
        switch.spawn("ovsdb-server", &[&switch.path("conf.db"), &remote, &unixctl]);
        switch.wait_for("db.sock");
        switch.vsctl(&["--no-wait", "init"]);
        let unixctl = format!("--unixctl={}", switch.path("vs.ctl"));
        let database = format!("unix:{}", switch.path("db.sock"));
        switch.spawn("ovs-vswitchd", &[&database, "--enable-dummy=override", "--disable-system", &unixctl]);
        switch.wait_for("vs.ctl");
        switch.vsctl(&[
            "add-br",
            "br0",
            "--",
            "set",
            "bridge",
            "br0",
            "datapath-type=dummy",
            "fail-mode=secure",
        ]);
        switch.add_port("p1", 1);
        switch.add_port("p2", 2);
        switch.wait_for("br0.mgmt");
        switch
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().expect("a path of ASCII").to_owned()
    }

    pub(crate) fn add_port(&self, name: &str, number: u32) {
        let number = format!("ofport_request={number}");
        self.vsctl(&["add-port", "br0", name, "--", "set", "interface", name, "type=dummy", &number]);
    }

    pub(crate) fn vsctl(&self, arguments: &[&str]) -> String {
        let database = format!("--db=unix:{}", self.path("db.sock"));
        self.run("ovs-vsctl", &[&["--timeout=20", database.as_str()], arguments].concat())
    }

    /// `ovs-ofctl` on a bridge: the last argument is what follows the switch.
    pub(crate) fn ofctl(&self, bridge: &str, command: &[&str], rest: &[&str]) -> String {
        let target = format!("unix:{}", self.path(&format!("{bridge}.mgmt")));
        let options = ["-O", "OpenFlow15", "--timeout=20"];
        self.run("ovs-ofctl", &[&options, command, &[target.as_str()], rest].concat())
    }

    pub(crate) fn appctl(&self, arguments: &[&str]) -> String {
        let target = self.path("vs.ctl");
        self.run("ovs-appctl", &[&["--timeout=20", "-t", target.as_str()], arguments].concat())
    }

    /// The flows of a bridge in words, sorted, without what changes.
    pub(crate) fn dump(&self, bridge: &str) -> Vec<String> {
        let text = self.ofctl(bridge, &["--no-stats", "dump-flows"], &[]);
        let mut lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
        lines.sort();
        lines
    }

    pub(crate) async fn connect(&self) -> (Connection, Events) {
        self.connect_to("br0").await
    }

    pub(crate) async fn connect_to(&self, bridge: &str) -> (Connection, Events) {
        let endpoint = Endpoint::Unix(PathBuf::from(self.path(&format!("{bridge}.mgmt"))));
        Connection::connect(&endpoint, Config::default()).await.expect("the switch listens")
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        for variable in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"] {
            command.env(variable, self.directory.path());
        }
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program, arguments).output().expect("Open vSwitch is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    fn spawn(&mut self, program: &str, arguments: &[&str]) {
        let mut command = self.command(program, arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.daemons.push(command.spawn().expect("Open vSwitch is installed"));
    }

    fn wait_for(&self, name: &str) {
        let deadline = Instant::now() + START;
        // A socket is there before anybody listens on it.
        while UnixStream::connect(self.directory.path().join(name)).is_err() {
            assert!(Instant::now() < deadline, "{name} does not appear");
            std::thread::yield_now();
        }
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            // A daemon that has ended by itself needs no end.
            daemon.kill().ok();
            daemon.wait().ok();
        }
    }
}
