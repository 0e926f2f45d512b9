//! What the tests of whole command lines share: running one in this process, and a server that says what it is told.
#![allow(dead_code, missing_docs, reason = "each test binary uses a part")]

pub(crate) mod fake;
pub(crate) mod manager;

use std::ffi::OsString;
use std::path::Path;

use vnctl::{Environment, Exit, Streams, run};

/// How a command line ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Outcome {
    /// What was printed, if all went well.
    pub(crate) fn printed(self) -> String {
        assert_eq!(self.exit, Exit::Success, "{}{}", self.out, self.err);
        self.out
    }

    /// What was printed as JSON, if all went well.
    pub(crate) fn json(self) -> serde_json::Value {
        let out = self.printed();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }
}

/// Runs a command line against the manager at `address`.
pub(crate) fn vnctl(address: &str, line: &str) -> Outcome {
    vnctl_with_input(address, line, "")
}

/// The same, with this on standard input.
pub(crate) fn vnctl_with_input(address: &str, line: &str, input: &str) -> Outcome {
    let environment = Environment {
        home: None,
        etc: Path::new("/nonexistent").to_owned(),
        web_api: Some(address.to_owned()),
    };
    let words = shlex::split(line).expect("quotes match").into_iter().map(OsString::from);
    let (mut input, mut out, mut err) = (input.as_bytes(), Vec::new(), Vec::new());
    let exit = run(words, &environment, Streams { input: &mut input, out: &mut out, err: &mut err });
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Outcome { exit, out: text(out), err: text(err) }
}
