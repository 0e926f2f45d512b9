//! `vnctl`: the command line of OpenVNet. All of it is in the library; this file hands it the process.

use std::io::{stderr, stdin, stdout};
use std::process::ExitCode;

use vnctl::{Environment, Streams, run};

fn main() -> ExitCode {
    let (mut input, mut out, mut err) = (stdin().lock(), stdout().lock(), stderr().lock());
    let streams = Streams { input: &mut input, out: &mut out, err: &mut err };
    run(std::env::args_os().skip(1), &Environment::of_process(), streams).into()
}
