//! Real servers in private folders, and a relay that can be cut. All of them end with their value.

#![allow(dead_code, reason = "every test program uses some of it")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ovsdb::{Client, Config, Endpoint, Operation, Row};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Longest time for anything that a test waits for.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// How often a condition is looked at that nothing announces.
const POLL: Duration = Duration::from_millis(10);

/// Schema of the database "test".
const TEST_SCHEMA: &str = r#"{"name": "test", "version": "1.0.0", "tables": {
    "item": {"isRoot": true, "indexes": [["name"]], "columns": {
        "name": {"type": "string"},
        "number": {"type": "integer"},
        "ratio": {"type": "real"},
        "label": {"type": {"key": "string", "min": 0, "max": 1}},
        "tags": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
        "attributes": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
        "parent": {"type": {"key": {"type": "uuid", "refTable": "item"}, "min": 0, "max": 1}}}}}}"#;

/// Path of the schema that Open vSwitch installs.
const VSWITCH_SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// Waits for `outcome` within [`LIMIT`].
pub(crate) async fn within<T>(outcome: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, outcome).await.expect("in time")
}

/// Waits until `attempt` gives something.
pub(crate) async fn poll<T>(mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let repeated = async {
        let mut ticks = tokio::time::interval(POLL);
        loop {
            ticks.tick().await;
            if let Some(found) = attempt().await {
                return found;
            }
        }
    };
    within(repeated).await
}

/// A process that is killed with its value.
struct Process(Child);

impl Process {
    fn spawn(program: &str, folder: &Path, arguments: &[String]) -> Self {
        // With the test's thread dies the process, however that comes about.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", program])
            .args(arguments)
            .args(["-vconsole:off", "-vsyslog:off"]);
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

/// An `ovsdb-server` with one database.
pub(crate) struct Server {
    process: Option<Process>,
    switch: Option<Process>,
    folder: TempDir,
}

impl Server {
    /// A standalone server with the database "test". It keeps no history to resume from.
    pub(crate) fn standalone() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let schema = folder.path().join("schema");
        std::fs::write(&schema, TEST_SCHEMA).expect("a file");
        Self::create(folder, "create", &schema, &[])
    }

    /// A cluster of one with the database "test". It keeps history.
    pub(crate) fn clustered() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let schema = folder.path().join("schema");
        std::fs::write(&schema, TEST_SCHEMA).expect("a file");
        let raft = format!("unix:{}", folder.path().join("raft.sock").display());
        Self::create(folder, "create-cluster", &schema, &[&raft])
    }

    /// A server with the database of a switch, with its root row and nothing else.
    pub(crate) async fn vswitch() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Self::create(folder, "create", Path::new(VSWITCH_SCHEMA), &[]);
        let root = [Operation::insert("Open_vSwitch", Row::new())];
        server.client().await.transact("Open_vSwitch", &root).await.expect("a root row");
        server
    }

    fn create(folder: TempDir, how: &str, schema: &Path, more: &[&str]) -> Self {
        let database = folder.path().join("conf.db");
        let mut tool = Command::new("ovsdb-tool");
        let created =
            tool.arg(how).args([database.as_path(), schema]).args(more).status().expect("ovsdb-tool");
        assert!(created.success());
        let mut server = Self { process: None, switch: None, folder };
        server.start();
        server
    }

    /// Starts the server process.
    pub(crate) fn start(&mut self) {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let remote = format!("--remote=punix:{}", at("db.sock"));
        let arguments = [remote, format!("--unixctl={}", at("db.ctl")), at("conf.db")];
        self.process = Some(Process::spawn("ovsdb-server", self.folder.path(), &arguments));
    }

    /// Kills the server process and starts another on the same database.
    pub(crate) fn restart(&mut self) {
        self.process = None;
        self.start();
    }

    /// Starts an `ovs-vswitchd` whose every port is a dummy.
    pub(crate) fn start_switch(&mut self) {
        let control = format!("--unixctl={}", self.folder.path().join("switch.ctl").display());
        let arguments = [
            "--enable-dummy=override".to_owned(),
            "--disable-system".to_owned(),
            control,
            self.endpoint().to_string(),
        ];
        self.switch = Some(Process::spawn("ovs-vswitchd", self.folder.path(), &arguments));
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::Unix(self.folder.path().join("db.sock"))
    }

    /// A client, as soon as the server accepts one that sees its database.
    pub(crate) async fn client(&self) -> Client {
        poll(async || {
            let client = Client::connect(&self.endpoint(), &Config::default()).await.ok()?;
            let databases = client.list_dbs().await.ok()?;
            // A cluster elects its leader first; until then its database is hidden.
            databases.iter().any(|name| name != "_Server").then_some(client)
        })
        .await
    }

    /// What an administrator does.
    pub(crate) fn vsctl(&self, arguments: &str) {
        let mut command = Command::new("ovs-vsctl");
        command.arg(format!("--db={}", self.endpoint())).args(["--no-wait", "--timeout=10"]);
        let done = command.args(arguments.split_whitespace()).output().expect("ovs-vsctl");
        assert!(done.status.success(), "ovs-vsctl {arguments}: {done:?}");
    }

    /// A relay before the server.
    pub(crate) fn relay(&self) -> Relay {
        Relay::before(self.folder.path().join("relay.sock"), self.folder.path().join("db.sock"))
    }
}

/// Passes connections on to a server until it is cut.
pub(crate) struct Relay {
    endpoint: Endpoint,
    cut: watch::Sender<u32>,
    _task: AbortOnDropHandle<()>,
}

impl Relay {
    fn before(path: std::path::PathBuf, server: std::path::PathBuf) -> Self {
        let listener = UnixListener::bind(&path).expect("a socket");
        let (cut, cuts) = watch::channel(0);
        let task = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let Ok(mut far) = UnixStream::connect(&server).await else { continue };
                let mut cuts = cuts.clone();
                cuts.borrow_and_update();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { endpoint: Endpoint::Unix(path), cut, _task: AbortOnDropHandle::new(task) }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// Cuts the connections there are. New ones are accepted.
    pub(crate) fn cut(&self) {
        self.cut.send_modify(|count| *count += 1);
    }
}
