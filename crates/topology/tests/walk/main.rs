//! Walks: what becomes of packets, by the objects alone.

mod filters;
mod networks;
mod physical;
mod routers;
mod segments;
mod traces;
mod translations;
mod world;
