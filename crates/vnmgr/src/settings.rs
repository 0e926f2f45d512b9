//! Settings: from the command line, else from the configuration file, else the defaults.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::Deserialize;
use vnmgr::manager::Options;
use web::log::LogFormat;

/// Where state is kept unless told otherwise: the Filesystem Hierarchy Standard's place for it.
const STATE_DIR: &str = "/var/lib/openvnet/vnmgr";

/// The API is for this machine unless told otherwise, since it has no accounts yet.
const API_LISTEN: &str = "127.0.0.1:9090";

/// Agents prove who they are, and come from everywhere.
const SYNC_LISTEN: &str = "0.0.0.0:9091";

/// What can be set, on the command line and, under the same names, in the configuration file.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where the store, the keys and the addresses are kept [default: /var/lib/openvnet/vnmgr]
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Where the Web API listens [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) api_listen: Option<SocketAddr>,
    /// Where agents connect [default: 0.0.0.0:9091]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) sync_listen: Option<SocketAddr>,
    /// The form of the log on standard error [default: text]
    #[arg(long)]
    pub(crate) log_format: Option<LogFormat>,
}

impl Settings {
    /// Adds what the file at `path` sets and the command line does not.
    pub(crate) fn or_file(self, path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = toml::from_str(&text).with_context(|| format!("{} is malformed", path.display()))?;
        Ok(self.or(file))
    }

    fn or(self, other: Self) -> Self {
        Self {
            state_dir: self.state_dir.or(other.state_dir),
            api_listen: self.api_listen.or(other.api_listen),
            sync_listen: self.sync_listen.or(other.sync_listen),
            log_format: self.log_format.or(other.log_format),
        }
    }

    /// The same, with the defaults for what is not set.
    pub(crate) fn options(&self) -> Options {
        let address = |text: &str| text.parse().expect("the defaults are addresses");
        Options {
            state_dir: self.state_dir.clone().unwrap_or_else(|| STATE_DIR.into()),
            api_listen: self.api_listen.unwrap_or_else(|| address(API_LISTEN)),
            sync_listen: self.sync_listen.unwrap_or_else(|| address(SYNC_LISTEN)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_goes_before_the_file_and_the_file_before_the_defaults() {
        let file = "api-listen = \"127.0.0.1:1\"\nsync-listen = \"127.0.0.1:2\"\nlog-format = \"json\"";
        let file: Settings = toml::from_str(file).expect("a valid file");
        let line = Settings { api_listen: "127.0.0.1:3".parse().ok(), ..Settings::default() };
        let settings = line.or(file);
        let options = settings.options();
        assert_eq!(options.api_listen.port(), 3);
        assert_eq!(options.sync_listen.port(), 2);
        assert_eq!(options.state_dir, PathBuf::from(STATE_DIR));
        assert_eq!(settings.log_format, Some(LogFormat::Json));
    }

    #[test]
    fn a_name_that_sets_nothing_is_an_error() {
        assert!(toml::from_str::<Settings>("api-lisen = \"127.0.0.1:1\"").is_err());
    }
}
