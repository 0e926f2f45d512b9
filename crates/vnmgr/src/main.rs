//! `vnmgr`: the command line of the Virtual Network Manager.

mod cli;
mod settings;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vnmgr: {error:#}");
            ExitCode::FAILURE
        }
    }
}
