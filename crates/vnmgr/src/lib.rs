//! The Virtual Network Manager: front end of the database, and the organ that decides.
//!
//! It is thin. What is allowed and what follows from it is decided by [`topology`], what is durable by [`store`]; here
//! they are wired to the world.
//!
//! - [`plan`] says what a task would change, [`desk`] which tasks become real together, and [`writer`] has the store take them.
//! - [`state`] is what everyone else sees: the newest topology. [`hosts`] is what changes too often to be stored.
//! - [`problem`] says in words what is wrong with a host.
//! - [`expiry`] has leases released whose time is over.
//! - [`questions`] asks hosts what only they know, and [`live`] holds it against what the topology says.
//! - [`api`] serves users, [`agents`] the agents.
//! - [`metrics`] counts what happens.
//! - [`manager`] starts and stops all of it.

pub mod agents;
pub mod api;
pub mod desk;
pub mod expiry;
pub mod hosts;
pub mod live;
pub mod load;
pub mod manager;
pub mod metrics;
pub mod pairs;
pub mod plan;
pub mod problem;
pub mod questions;
pub mod realized;
pub mod state;
pub mod writer;
