//! `vnctl`.
fn main() {}
