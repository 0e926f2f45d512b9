//! `vna`.
fn main() {}
