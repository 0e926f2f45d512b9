//! Text in the syntax of ovs-ofctl(8).
