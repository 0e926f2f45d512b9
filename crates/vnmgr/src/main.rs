//! `vnmgr`.
fn main() {}
