//! The hosts of one system, and the guests on them: the same for every system, each with switches of its own.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context;
use ipnet::Ipv4Net;
use lab::{GuestSpec, Lab, Station, wait_until};

use super::cell::{Cell, Guest};
use crate::machine;

/// Hosts of a system.
const HOSTS: u8 = 2;

/// Time that everything gets to be in place.
const PATIENCE: Duration = Duration::from_secs(60);

/// A network's prefix length.
pub(crate) const PREFIX: u8 = 24;

/// Whether guests need a router between networks, or all of them are neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Routers {
    Between,
    None,
}

/// A lab with its guests.
pub(crate) struct Stand {
    // Fields drop in order: guests end before their lab.
    guests: BTreeMap<Guest, lab::Guest>,
    lab: Lab,
}

impl Stand {
    /// Two hosts without guests.
    pub(crate) fn start() -> anyhow::Result<Self> {
        Ok(Self { guests: BTreeMap::new(), lab: Lab::builder().hosts(HOSTS).start()? })
    }

    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Plugs the guests in, where the bridge is there already.
    pub(crate) fn add_guests(&mut self, routers: Routers) -> anyhow::Result<()> {
        for guest in Guest::all() {
            let (spec, address) = (GuestSpec::new(&guest.to_string()), guest.address());
            let spec = spec.mac(guest.mac()).iface_id(&guest.interface());
            let spec = match routers {
                Routers::Between => spec
                    .address(Ipv4Net::new(address, PREFIX)?.into())
                    .gateway(guest.network.router().address().into()),
                Routers::None => spec.address(Ipv4Net::new(address, 8)?.into()),
            };
            self.guests.insert(guest, self.lab.host(guest.host()).add_guest(spec)?);
        }
        Ok(())
    }

    /// Waits until the ends of every cell reach each other. Later, everybody knows all addresses on the way.
    pub(crate) fn await_guests(&self) -> anyhow::Result<()> {
        for cell in Cell::all() {
            let Ends { client, address, .. } = self.ends(cell)?;
            wait_until(format!("an answer in {cell}"), PATIENCE, || match client.reaches(address.into()) {
                Ok(true) => Ok(()),
                Ok(false) => Err("nothing comes back".to_owned()),
                Err(error) => Err(error.to_string()),
            })?;
        }
        Ok(())
    }

    pub(crate) fn ends(&self, cell: Cell) -> anyhow::Result<Ends<'_>> {
        let guest = |guest: Guest| self.guests.get(&guest).with_context(|| format!("no guest {guest}"));
        let (client, server) = (guest(cell.client())?, guest(cell.server())?);
        Ok(Ends { client, server, address: cell.server().address() })
    }

    /// Empties the connection trackers, so that nobody meets what an earlier measurement has left there.
    pub(crate) fn forget_connections(&self) -> anyhow::Result<()> {
        let mut hosts = self.lab.hosts().iter();
        Ok(hosts.try_for_each(|host| host.ovs_appctl(["dpctl/flush-conntrack"]).map(drop))?)
    }

    /// Processor time that the switches have used, in seconds. Their main threads forward packets; others look after flows.
    pub(crate) fn switch_seconds(&self) -> anyhow::Result<f64> {
        let pids =
            self.lab.hosts().iter().map(|host| host.switch().vswitchd().pid().context("a switch has ended"));
        pids.map(|pid| machine::main_thread_seconds(pid?)).sum()
    }
}

/// The two ends of a cell.
#[derive(Clone, Copy)]
pub(crate) struct Ends<'a> {
    pub(crate) client: &'a Station,
    pub(crate) server: &'a Station,
    /// The server's.
    pub(crate) address: Ipv4Addr,
}
