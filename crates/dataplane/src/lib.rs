//! `dataplane`.
