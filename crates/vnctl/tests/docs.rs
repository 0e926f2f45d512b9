//! Keeps the documents true: their commands are run, or at least understood, and their files are applied.

#[path = "support/mod.rs"]
mod support;

use std::path::PathBuf;

use support::vnctl;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vnctl::Exit;
use vnmgr::manager::{Manager, Options};

/// Documents for users, from the root of the repository.
const DOCUMENTS: [&str; 20] = [
    "README.md",
    "docs/installation.md",
    "docs/tutorial-single-network.md",
    "docs/concepts.md",
    "docs/routing.md",
    "docs/translation.md",
    "docs/filters.md",
    "docs/physical.md",
    "docs/dhcp.md",
    "docs/dns.md",
    "docs/placement.md",
    "docs/allocation.md",
    "docs/metadata.md",
    "docs/limits.md",
    "docs/underlay.md",
    "docs/port-security.md",
    "docs/trace.md",
    "docs/api.md",
    "docs/vnctl.md",
    "docs/operations.md",
];

/// How a line begins that is to be typed where `vnctl` reaches the manager.
const PROMPT: &str = "$ vnctl ";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn commands(document: &str) -> impl Iterator<Item = &str> {
    document.lines().filter_map(|line| line.strip_prefix(PROMPT))
}

/// Does `work` with the address of a manager on a store of its own.
fn with_manager(work: impl FnOnce(&str)) {
    let runtime = Runtime::new().expect("threads");
    let state: TempDir = tempfile::tempdir().expect("a folder");
    let any = "127.0.0.1:0".parse().expect("an address");
    let options = Options { state_dir: state.path().to_owned(), api_listen: any, sync_listen: any };
    let manager = runtime.block_on(Manager::start(&options)).expect("a manager");
    work(&manager.addresses().api.to_string());
    runtime.block_on(manager.stop()).expect("stopped");
}

#[test]
fn the_commands_of_documents_that_begin_with_nothing_work_one_after_the_other() {
    for path in ["docs/tutorial-single-network.md", "docs/filters.md", "docs/allocation.md"] {
        with_manager(|address| {
            let document = read(path);
            assert!(commands(&document).count() > 0);
            for command in commands(&document) {
                let outcome = vnctl(address, command);
                assert_eq!(outcome.exit, Exit::Success, "{path}: {command}: {}", outcome.err);
            }
        });
    }
}

#[test]
fn the_router_of_its_document_translates_as_the_next_one_says() {
    with_manager(|address| {
        let documents = [read("docs/routing.md"), read("docs/translation.md")];
        let shown: Vec<_> = documents
            .iter()
            .flat_map(|document| commands(document))
            .map(|command| vnctl(address, command).printed())
            .collect();
        let shown = shown.last().expect("static addresses").split_whitespace().collect::<Vec<_>>().join(" ");
        for entry in ["10.2.0.100 - 10.1.0.10 -", "10.2.0.101 80 10.1.0.11 8080 tcp"] {
            assert!(shown.contains(entry), "{entry} in {shown}");
        }
    });
}

#[test]
fn the_first_network_of_the_readme_is_made_by_its_commands_and_has_the_services_of_their_documents() {
    with_manager(|address| {
        let [readme, dhcp, dns] = ["README.md", "docs/dhcp.md", "docs/dns.md"].map(read);
        let first = commands(&readme).filter(|command| command.contains(" add "));
        for command in first.chain(commands(&dhcp)).chain(commands(&dns)) {
            vnctl(address, command).printed();
        }
        let interfaces = vnctl(address, "interfaces show --network-uuid nw-web --output json").json();
        assert_eq!(interfaces.as_array().map(Vec::len), Some(4));
    });
}

#[test]
fn every_command_of_the_documents_is_understood() {
    for path in DOCUMENTS {
        for command in commands(&read(path)) {
            // What comes before it is parsed, and nothing is done.
            let outcome = vnctl("127.0.0.1:0", &format!("{command} --help"));
            assert_eq!(outcome.exit, Exit::Success, "{path}: {command}: {}", outcome.err);
        }
    }
}

#[test]
fn the_example_topology_is_applied_once_and_then_changes_nothing() {
    with_manager(|address| {
        let file = root().join("dist/examples/topology.yaml");
        let apply = |flags: &str| vnctl(address, &format!("apply -f {} {flags}", file.display())).printed();
        assert!(apply("--dry-run").ends_with("valid, and not done: 7 created, 0 unchanged\n"));
        apply("");
        assert!(apply("").starts_with("nothing to change"));
        assert!(apply("--prune --label app=example").starts_with("nothing to change"));
    });
}

#[test]
fn the_file_in_the_document_of_apply_is_judged_as_the_document_says() {
    let document = read("docs/vnctl.md");
    let yaml = document.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a file");
    let shown = document.split("--dry-run\n").nth(1).and_then(|rest| rest.split("```").next());
    with_manager(|address| {
        let outcome = support::vnctl_with_input(address, "apply -f - --dry-run", yaml);
        assert_eq!(Some(outcome.printed().as_str()), shown);
    });
}
