//! The targets: one file for each peer whose words are decoded.

mod api;
mod database;
mod document;
mod guest;
mod host;
mod manager;
mod stream;
mod switch;
mod topology;
mod world;

use crate::target::Target;

/// All of them.
pub static TARGETS: &[Target] = &[
    switch::FRAME,
    switch::PACKET_IN,
    database::STREAM,
    manager::MESSAGES,
    manager::REPLICA_FILE,
    host::MESSAGES,
    host::SIGNING_REQUEST,
    topology::OBJECT,
    topology::REQUESTS,
    api::HTTP,
    guest::PACKET,
    stream::SEGMENTS,
    document::APPLIED,
];
