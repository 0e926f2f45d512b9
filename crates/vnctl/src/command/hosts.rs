//! Hosts: how far they are, and how new ones join.

use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::Session;
use crate::client::{Method, Request};
use crate::error::Error;
use crate::output::Format;
use crate::resource::Column;

/// The collection of hosts. They are no resource: nobody makes or changes them here.
pub(super) const HOSTS: &str = "hosts";

const COLUMNS: &[Column] = &[
    Column::new("NODE", &["/node_id"]),
    Column::new("DATAPATH", &["/datapath_uuid"]),
    Column::new("CONNECTED", &["/connected"]),
    Column::new("REALIZED", &["/realized_revision"]),
    Column::new("LAG", &["/lag"]),
    Column::new("INTERFACES", &["/interfaces_active"]),
    Column::optional("UNCLAIMED PORTS", &["/ports_unclaimed"]),
    Column::new("UNDERLAY", &["/underlay/address"]),
    Column::new("ENCAP", &["/underlay/encapsulation"]),
    Column::new("MTU", &["/underlay/mtu"]),
    Column::optional("PROBLEM", &["/problems/0/what"]),
];

/// Only the owner reads and writes: a token admits a host.
const SECRET: u32 = 0o600;

impl Session<'_> {
    /// Lists hosts, or shows some in full.
    pub(super) fn hosts(&mut self, hosts: &[String]) -> Result<(), Error> {
        if hosts.is_empty() {
            let items = self.client.list(&[HOSTS], &[], 0, None)?;
            return self.format.list(self.out, &items, COLUMNS);
        }
        self.show_all(HOSTS, hosts)
    }

    /// Makes a token, and prints it so that it can be redirected.
    pub(super) fn host_token(
        &mut self,
        node_id: Option<String>,
        lifetime_s: Option<u64>,
        file: Option<PathBuf>,
    ) -> Result<(), Error> {
        let node_id = node_id.map(|name| ("node_id".to_owned(), Value::from(name)));
        let lifetime = lifetime_s.map(|seconds| ("lifetime_seconds".to_owned(), Value::from(seconds)));
        let body: Map<_, _> = node_id.into_iter().chain(lifetime).collect();
        let answer = self.client.send(&Request::new(Method::Post, &[HOSTS, "tokens"]).body(body.into()))?;
        let token = answer.body.get("token").and_then(Value::as_str).unwrap_or_default();
        match file {
            Some(file) => write_secret(&file, token)
                .map_err(|source| Error::File { name: file.display().to_string(), source }),
            None if self.format == Format::Table => Ok(writeln!(self.out, "{token}")?),
            None => self.format.object(self.out, &answer.body),
        }
    }
}

fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(SECRET).open(path)?;
    // The mode above is only for a file that was not there.
    file.set_permissions(Permissions::from_mode(SECRET))?;
    writeln!(file, "{text}")
}
