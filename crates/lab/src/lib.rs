//! Hypervisor hosts on one machine, to see guests really ping, connect and fail to.
//!
//! A [`Lab`] is one "physical network" and some [`Host`]s on it. Every host is a network namespace with its own Open vSwitch
//! (the userspace datapath, so no kernel module is needed) and its own agent; [`Guest`]s are namespaces joined to a
//! host's switch by a veth pair, where a hypervisor would put a tap. The [`Manager`] has a namespace of its own.
//!
//! ```no_run
//! use lab::{GuestSpec, Lab};
//!
//! # fn main() -> lab::Result<()> {
//! let lab = Lab::builder().hosts(2).start()?;
//! lab.start_control_plane()?;
//! lab.manager().vnctl(["networks", "add", "--uuid", "nw-web", "--ipv4-network", "10.0.0.0"])?;
//! let web = lab.host(0).add_guest(GuestSpec::new("web").iface_id("if-web"))?;
//! let db = lab.host(1).add_guest(GuestSpec::new("db").iface_id("if-db"))?;
//! web.dhcp()?;
//! db.dhcp()?;
//! # Ok(())
//! # }
//! ```
//!
//! # What holds for every lab
//! - Nothing is left behind, however its owner ends (see `holder.rs`).
//! - Labs do not see each other: all may use the same addresses, ports and names at the same time.
//! - Everything is waited for with a deadline, and what is not there in time says what was seen instead.
//!
//! # Environment
//! - `LAB_BIN_DIR`: the folder of `vnmgr`, `vna` and `vnctl`; where cargo built the running program, unless told.
//! - `LAB_KEEP_LOGS`: a folder to which every lab copies its logs and databases when it ends.

mod answers;
mod command;
mod error;
mod forward;
mod guest;
mod holder;
mod host;
mod lab;
mod manager;
mod matrix;
mod namespace;
mod parallel;
mod physical;
mod process;
mod programs;
mod service;
mod station;
mod wait;

pub use answers::answers;
pub use command::Output;
pub use error::{Error, Result};
pub use guest::{Guest, GuestSpec};
pub use host::{Agent, Host, MAX_HOSTS, Switch};
pub use lab::{Builder, Lab};
pub use manager::Manager;
pub use matrix::{Family, Matrix, reachability};
pub use namespace::Namespace;
pub use parallel::in_parallel;
pub use process::Process;
pub use service::Service;
pub use station::{
    Capture, DhcpClient, Flood, LossReport, Neighbour, Ping, PingResult, PingStream, RawSocket, Station,
};
pub use topology::MacAddr;
pub use topology::datapath::Encapsulation;
pub use wait::wait_until;
