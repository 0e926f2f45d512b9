//! An `ovs-vswitchd` and its database, in a folder of their own. They end with their value.

use std::cell::RefCell;
use std::io::{BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Longest time for a daemon to start or to answer.
const LIMIT: Duration = Duration::from_secs(20);

/// How often a socket is tried.
const POLL: Duration = Duration::from_millis(5);

/// Path of the schema that Open vSwitch installs.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// Both daemons.
pub(crate) struct Daemons {
    /// To `ovs-vswitchd`. Kept: a packet costs less than a connection.
    calls: RefCell<BufReader<UnixStream>>,
    _switch: Process,
    _database: Process,
    folder: TempDir,
}

impl Daemons {
    /// Starts them, with dummies for all ports but tunnels.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        run("ovsdb-tool", &["create", &at("conf.db"), SCHEMA]);
        let database = [format!("--remote=punix:{}", at("db.sock")), at("conf.db")];
        let database = Process::spawn("ovsdb-server", folder.path(), "db.ctl", &database);
        await_socket(&folder.path().join("db.sock"));
        let remote = format!("unix:{}", at("db.sock"));
        let switch = ["--enable-dummy=system".to_owned(), "--disable-system".to_owned(), remote];
        let switch = Process::spawn("ovs-vswitchd", folder.path(), "switch.ctl", &switch);
        let calls = await_socket(&folder.path().join("switch.ctl"));
        calls.set_read_timeout(Some(LIMIT)).expect("a limit");
        let calls = RefCell::new(BufReader::new(calls));
        Self { calls, _switch: switch, _database: database, folder }
    }

    /// Where something is in their folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Configures the switch, and waits until it has done so.
    pub(crate) fn configure(&self, commands: &str) {
        let database = format!("--db=unix:{}", self.path("db.sock").display());
        let limit = format!("--timeout={}", LIMIT.as_secs());
        let all: Vec<_> = [&*database, &limit].into_iter().chain(commands.split_whitespace()).collect();
        run("ovs-vsctl", &all);
    }

    /// Calls `ovs-vswitchd` as ovs-appctl(8) does.
    pub(crate) fn call(&self, method: &str, arguments: &[&str]) {
        let mut calls = self.calls.borrow_mut();
        let request = json!({"id": 0, "method": method, "params": arguments});
        calls.get_mut().write_all(request.to_string().as_bytes()).expect("a request");
        let mut replies = serde_json::Deserializer::from_reader(&mut *calls).into_iter::<Value>();
        let reply = replies.next().expect("a reply").expect("a reply in time");
        assert_eq!(reply["error"], Value::Null, "{method} {arguments:?}");
    }
}

/// A process that is killed with its value.
struct Process(Child);

impl Process {
    fn spawn(program: &str, folder: &Path, control: &str, arguments: &[String]) -> Self {
        // With the test's thread dies the process, however that comes about.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", program]).args(arguments);
        command.arg(format!("--unixctl={}", folder.join(control).display()));
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

/// Waits until somebody listens, which is later than the file appears, and connects.
fn await_socket(path: &Path) -> UnixStream {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Ok(stream) = UnixStream::connect(path) {
            return stream;
        }
        assert!(Instant::now() < deadline, "nobody listens at {}", path.display());
        std::thread::park_timeout(POLL);
    }
}

/// Runs a program to its end.
fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("Open vSwitch is installed");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
