//! `responder`.
