//! What decides at both ends of a stream, by itself: no sockets, no tasks, no clocks.
//!
//! The server and the agent of this crate run these, and so does whoever wants to see them in orders that a real network
//! rarely shows. At the manager's end a [`History`] takes heads and a [`Feed`] makes of them what one agent is told; at
//! the agent's end an [`Inbox`] makes of what it is told a replica. The other way, [`ToldPorts`] decides what there is to say of
//! ports, and [`HeardPorts`] makes reports of what is said.

pub use crate::feed::{Feed, Next, Update};
pub use crate::history::{Entry, History};
pub use crate::inbox::{Fault, Inbox};
pub use crate::ports::{HeardPorts, ToldPorts};
pub use crate::values::Values;
pub use crate::wire::{
    AgentMessage, Answer, Hello, ManagerMessage, Part, Ports, Put, Question, Realized, Refused, Resume, Said,
    Told, Welcome,
};
