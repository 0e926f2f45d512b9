//! The commands.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use store::SqliteStore;
use tokio::signal::unix::{SignalKind, signal};
use vnmgr::manager::{Manager, store_path};
use web::log;

use crate::settings::Settings;

/// The Virtual Network Manager: keeps the topology, serves the Web API and the agents.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the manager until SIGTERM or SIGINT
    Run(Common),
    /// Copies the store of a stopped manager to a new file
    Backup {
        /// The new file
        file: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Puts a copy made by `backup` in place of a store that is not there
    Restore {
        /// The copy
        file: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Says whether the settings can be read, and shows them
    CheckConfig(Common),
}

#[derive(clap::Args)]
struct Common {
    /// A TOML file that sets what the command line does not, by the same names
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

impl Common {
    fn settings(self) -> anyhow::Result<Settings> {
        match &self.config {
            Some(path) => self.settings.or_file(path),
            None => Ok(self.settings),
        }
    }
}

impl Cli {
    /// Carries the command out.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
        match self.command {
            Command::Run(common) => runtime.block_on(run(common.settings()?)),
            Command::Backup { file, common } => {
                let store = SqliteStore::open(store_path(&common.settings()?.options().state_dir))?;
                runtime.block_on(store.backup(&file))?;
                println!("copied revision {} to {}", runtime.block_on(revision(&store))?, file.display());
                Ok(())
            }
            Command::Restore { file, common } => {
                let state_dir = common.settings()?.options().state_dir;
                std::fs::create_dir_all(&state_dir)?;
                Ok(SqliteStore::restore(&file, store_path(&state_dir))?)
            }
            Command::CheckConfig(common) => {
                let options = common.settings()?.options();
                println!("state-dir = {:?}", options.state_dir);
                println!(
                    "api-listen = \"{}\"\nsync-listen = \"{}\"",
                    options.api_listen, options.sync_listen
                );
                Ok(())
            }
        }
    }
}

async fn revision(store: &SqliteStore) -> anyhow::Result<store::Revision> {
    use store::Store;
    Ok(store.snapshot().await?.revision)
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    log::start(settings.log_format.unwrap_or_default());
    let options = settings.options();
    if !options.api_listen.ip().is_loopback() {
        tracing::warn!(
            address = %options.api_listen,
            "THE WEB API IS OPEN TO THE NETWORK AND HAS NO ACCOUNTS: whoever reaches it can change everything"
        );
    }
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let manager = Manager::start(&options).await?;
    let addresses = manager.addresses();
    println!("Web API on http://{}\nagents on {}", addresses.api, addresses.sync);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = manager.failed() => tracing::error!("agents can no longer be served: stopping"),
    }
    tracing::info!("stopping");
    Ok(manager.stop().await?)
}
