//! Flows judged by what happens to packets, in real switches with dummy ports.

mod budget;
mod control;
mod daemons;
mod edge;
mod frames;
mod limit;
mod network;
mod physical;
mod plan;
mod protection;
mod report;
mod resolution;
mod routing;
mod security;
mod segment;
mod services;
mod source;
mod switch;
mod translation;
mod tunnel;
mod world;
