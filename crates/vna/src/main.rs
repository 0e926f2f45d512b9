//! `vna`: the agent of a hypervisor host.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use sync::pki::Identity;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use topology::NodeId;
use vna::settings::Options;
use web::log::{self, LogFormat};

/// The OpenVNet agent: makes this host's Open vSwitch equal to the topology.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Settings file (TOML; the names are those of the flags) [default: /etc/openvnet/vna.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The form of the log on standard error
    #[arg(long, global = true, value_enum, default_value_t)]
    log_format: LogFormat,
}

#[derive(Subcommand)]
enum Command {
    /// Joins this host to its manager, once, with a token of `vnctl hosts token`
    Join {
        #[command(flatten)]
        options: Options,
        /// The host's name among hosts [default: its host name]
        #[arg(long)]
        node_id: Option<NodeId>,
        /// The token's file; `-` reads it from the standard input
        #[arg(long, value_name = "FILE")]
        token_file: PathBuf,
    },
    /// Runs the agent
    Run {
        #[command(flatten)]
        options: Options,
    },
}

// One thread: what costs time is one compiler that feeds one switch, and a second thread would cost it wake-ups and memory.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    log::start(arguments.log_format);
    let of_file = Options::of_file(arguments.config.as_deref())?;
    match arguments.command {
        Command::Join { options, node_id, token_file } => {
            join(options.or(of_file), node_id, token_file).await
        }
        Command::Run { options } => {
            let settings = options.or(of_file).settings()?;
            vna::run(settings, shutdown()?).await
        }
    }
}

async fn join(options: Options, node_id: Option<NodeId>, token_file: PathBuf) -> anyhow::Result<()> {
    let node = match node_id {
        Some(node) => node,
        None => host_name()?,
    };
    let dir = options.state_dir();
    if let Ok(identity) = Identity::load(&dir)
        && *identity.node() == node
    {
        println!("{node} has joined already: {}", dir.display());
        return Ok(());
    }
    let token = if token_file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("cannot read the token")?
    } else {
        std::fs::read_to_string(&token_file)
            .with_context(|| format!("cannot read {}", token_file.display()))?
    };
    let manager =
        options.manager.first().context("--manager is needed: https://HOST:PORT of its sync address")?;
    let manager = manager.parse().with_context(|| format!("--manager {manager}"))?;
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    sync::agent::join(manager, token.trim(), &node, &dir).await.context("not joined")?;
    println!("{node} has joined: {}", dir.display());
    Ok(())
}

fn host_name() -> anyhow::Result<NodeId> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").context("cannot read the host name")?;
    let name = name.trim();
    name.parse().with_context(|| format!("the host name {name} is no node id: give one with --node-id"))
}

/// Cancelled by the first SIGTERM or SIGINT.
fn shutdown() -> anyhow::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        cancelled.cancel();
    });
    Ok(token)
}
