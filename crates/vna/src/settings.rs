//! Settings: flags, and a file with the same names for what the flags leave out.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use ovsdb::Endpoint;
use serde::Deserialize;
use topology::Dpid;
use topology::datapath::{Encapsulation, MAX_UNDERLAY_ADDRESSES};

/// Where the settings file is looked for when no flag names one.
const DEFAULT_FILE: &str = "/etc/openvnet/vna.toml";

/// Where the status is told: to the host alone, unless the operator says otherwise.
const STATUS_LISTEN: &str = "127.0.0.1:9093";

/// What an operator can set.
#[derive(Clone, Debug, Default, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// Folder for the host's certificate and its replica of the topology [default: /var/lib/openvnet/vna]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// The switch's database [default: unix:/var/run/openvswitch/db.sock]
    #[arg(long, value_name = "ENDPOINT")]
    pub ovsdb: Option<String>,
    /// Folder of the switch's OpenFlow and control sockets [default: that of the database's socket]
    #[arg(long, value_name = "DIR")]
    pub ovs_rundir: Option<PathBuf>,
    /// The bridge that guests are plugged into; made if it is not there [default: br-int]
    #[arg(long, value_name = "NAME")]
    pub bridge: Option<String>,
    /// `system` or `netdev` [default: what the bridge has, else system]
    #[arg(long, value_name = "TYPE")]
    pub datapath_type: Option<String>,
    /// The bridge's datapath id [default: what the bridge has, else made from the node id]
    #[arg(long, value_name = "HEX")]
    pub dpid: Option<Dpid>,
    /// A manager's address, https://HOST:PORT; several are tried in turn
    #[arg(long, value_name = "URL")]
    pub manager: Vec<String>,
    /// How frames to other hosts are wrapped: geneve, vxlan or gre [default: geneve]
    #[arg(long, value_name = "NAME")]
    pub encapsulation: Option<Encapsulation>,
    /// An address other hosts send to; of several, the first is used unless something speaks for another
    #[arg(long, value_name = "IP")]
    #[serde(deserialize_with = "one_or_many")]
    pub underlay_address: Vec<IpAddr>,
    /// The largest IP packet the underlay takes, in bytes [default: that of each address's device]
    #[arg(long, value_name = "BYTES")]
    pub underlay_mtu: Option<u16>,
    /// Where metrics and health are told over HTTP, ADDRESS:PORT, or `none` [default: 127.0.0.1:9093]
    #[arg(long, value_name = "ADDRESS")]
    pub status_listen: Option<String>,
}

/// A list, or its only element.
fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<IpAddr>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        One(IpAddr),
        Many(Vec<IpAddr>),
    }
    Ok(match Given::deserialize(deserializer)? {
        Given::One(address) => vec![address],
        Given::Many(addresses) => addresses,
    })
}

fn underlay_addresses(given: Vec<IpAddr>) -> anyhow::Result<Vec<IpAddr>> {
    let distinct: BTreeSet<_> = given.iter().collect();
    match given.len() {
        0 => bail!("--underlay-address is needed: the address of this host that other hosts send to"),
        len if len > MAX_UNDERLAY_ADDRESSES => {
            bail!("--underlay-address can be given {MAX_UNDERLAY_ADDRESSES} times, and not {len}")
        }
        len if len > distinct.len() => bail!("--underlay-address names an address twice"),
        _ => Ok(given),
    }
}

/// The settings in force.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder of what outlives the agent.
    pub state_dir: PathBuf,
    /// The switch's database.
    pub ovsdb: Endpoint,
    /// Folder of the switch's sockets.
    pub ovs_rundir: PathBuf,
    /// The bridge.
    pub bridge: String,
    /// The kind of datapath, if the operator has a say.
    pub datapath_type: Option<String>,
    /// The datapath id, if the operator has a say.
    pub dpid: Option<Dpid>,
    /// Managers.
    pub managers: Vec<String>,
    /// How frames to other hosts are wrapped.
    pub encapsulation: Encapsulation,
    /// The addresses other hosts send to: at least one, the host's own choice first.
    pub underlay_addresses: Vec<IpAddr>,
    /// The largest IP packet the underlay takes at every address, if the operator has a say.
    pub underlay_mtu: Option<u16>,
    /// Where metrics and health are told, if anywhere.
    pub status_listen: Option<SocketAddr>,
}

impl Options {
    /// Reads the file that is named, or the default one if it is there.
    pub fn of_file(named: Option<&Path>) -> anyhow::Result<Self> {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        if named.is_none() && !path.exists() {
            return Ok(Self::default());
        }
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is malformed", path.display()))
    }

    /// These options, and those of `other` where these say nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            state_dir: self.state_dir.or(other.state_dir),
            ovsdb: self.ovsdb.or(other.ovsdb),
            ovs_rundir: self.ovs_rundir.or(other.ovs_rundir),
            bridge: self.bridge.or(other.bridge),
            datapath_type: self.datapath_type.or(other.datapath_type),
            dpid: self.dpid.or(other.dpid),
            manager: if self.manager.is_empty() { other.manager } else { self.manager },
            encapsulation: self.encapsulation.or(other.encapsulation),
            underlay_address: match self.underlay_address.is_empty() {
                true => other.underlay_address,
                false => self.underlay_address,
            },
            underlay_mtu: self.underlay_mtu.or(other.underlay_mtu),
            status_listen: self.status_listen.or(other.status_listen),
        }
    }

    /// Folder of what outlives the agent.
    pub fn state_dir(&self) -> PathBuf {
        self.state_dir.clone().unwrap_or_else(|| PathBuf::from("/var/lib/openvnet/vna"))
    }

    /// With defaults for what was left out.
    pub fn settings(self) -> anyhow::Result<Settings> {
        let state_dir = self.state_dir();
        let ovsdb = self.ovsdb.as_deref().unwrap_or("unix:/var/run/openvswitch/db.sock");
        let beside =
            ovsdb.strip_prefix("unix:").and_then(|path| Path::new(path).parent()).map(Path::to_owned);
        let Some(ovs_rundir) = self.ovs_rundir.or(beside) else {
            bail!("--ovs-rundir is needed, as the database {ovsdb} is not a local socket");
        };
        if self.manager.is_empty() {
            bail!("--manager is needed: https://HOST:PORT of a manager's sync address");
        }
        let underlay_addresses = underlay_addresses(self.underlay_address)?;
        let status_listen = match self.status_listen.as_deref().unwrap_or(STATUS_LISTEN) {
            "none" => None,
            address => Some(address.parse().with_context(|| format!("--status-listen {address}"))?),
        };
        Ok(Settings {
            state_dir,
            ovs_rundir,
            ovsdb: ovsdb.parse().with_context(|| format!("--ovsdb {ovsdb}"))?,
            bridge: self.bridge.unwrap_or_else(|| "br-int".to_owned()),
            datapath_type: self.datapath_type,
            dpid: self.dpid,
            managers: self.manager,
            encapsulation: self.encapsulation.unwrap_or_default(),
            underlay_addresses,
            underlay_mtu: self.underlay_mtu,
            status_listen,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, expected: Option<&[&str]>) {
        let options: Result<Options, _> = toml::from_str(file);
        let addresses = options.ok().and_then(|options| underlay_addresses(options.underlay_address).ok());
        let texts = addresses.map(|of| of.iter().map(ToString::to_string).collect::<Vec<_>>());
        let expected = expected.map(|of| of.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(texts, expected, "{file}");
    }

    #[test]
    fn a_file_names_one_underlay_address_or_a_list_of_distinct_ones() {
        check("underlay-address = '192.0.2.1'", Some(&["192.0.2.1"]));
        check("underlay-address = ['192.0.2.1', '2001:db8::1']", Some(&["192.0.2.1", "2001:db8::1"]));
        check("underlay-address = ['192.0.2.1', '192.0.2.1']", None);
        check("underlay-address = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4', '192.0.2.5']", None);
        check("underlay-address = 'here'", None);
        check("", None);
    }

    /// Uncommented, the example sets everything there is.
    #[test]
    fn the_example_has_every_setting() {
        let example = include_str!("../../../dist/examples/vna.toml");
        let is_setting = |line: &&str| line.contains(" = ") && !line.starts_with("# ");
        let settings = example.lines().filter(is_setting).map(|line| line.trim_start_matches('#'));
        let settings: toml::Table = settings.collect::<Vec<_>>().join("\n").parse().expect("TOML");
        settings.clone().try_into::<Options>().expect("settings");
        let command = <Options as clap::Args>::augment_args(clap::Command::new("vna"));
        let flags: Vec<_> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        assert!(!flags.is_empty());
        for flag in flags {
            assert!(settings.contains_key(flag), "{flag}");
        }
    }
}
