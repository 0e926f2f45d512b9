//! A real manager, to run command lines against.

use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vnmgr::manager::{Manager, Options};

use super::{Outcome, vnctl, vnctl_with_input};

/// A manager on a store of its own. It ends when it is dropped.
pub(crate) struct RunningManager {
    runtime: Runtime,
    manager: Option<Manager>,
    pub(crate) address: String,
    state: TempDir,
}

impl RunningManager {
    pub(crate) fn start() -> Self {
        let runtime = Runtime::new().expect("threads");
        let state = tempfile::tempdir().expect("a folder");
        let any = "127.0.0.1:0".parse().expect("an address");
        let options = Options { state_dir: state.path().to_owned(), api_listen: any, sync_listen: any };
        let manager = runtime.block_on(Manager::start(&options)).expect("a manager");
        let address = manager.addresses().api.to_string();
        Self { runtime, manager: Some(manager), address, state }
    }

    pub(crate) fn vnctl(&self, line: &str) -> Outcome {
        vnctl(&self.address, line)
    }

    pub(crate) fn with_input(&self, line: &str, input: &str) -> Outcome {
        vnctl_with_input(&self.address, line, input)
    }

    /// A file with this text, which is there as long as the manager is.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.state.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    pub(crate) fn json(&self, line: &str) -> Value {
        self.vnctl(&format!("{line} --output json")).json()
    }

    pub(crate) fn revision(&self) -> u64 {
        self.json("api GET revision")["revision"].as_u64().expect("a revision")
    }
}

impl Drop for RunningManager {
    fn drop(&mut self) {
        if let Some(manager) = self.manager.take() {
            self.runtime.block_on(manager.stop()).ok();
        }
    }
}
