//! Command lines and what they answer.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::process::{self, Command, Stdio};

/// Where the lab looks for programs: Debian keeps `ovs-vswitchd`, `ip` and others out of an ordinary user's path.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a finished command said.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its exit status; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output, invalid UTF-8 replaced.
    pub stdout: String,
    /// Its standard error, invalid UTF-8 replaced.
    pub stderr: String,
}

impl Output {
    /// Whether the command said that it succeeded.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

impl From<process::Output> for Output {
    fn from(output: process::Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            // timeout(1): 124 when the time ran out.
            Some(124) => write!(f, "not finished in time")?,
            // sh(1) and timeout(1): 127 when there is no such program.
            Some(127) => write!(f, "a program is missing (`cargo xtask setup` installs what a lab needs)")?,
            Some(code) => write!(f, "exit status {code}")?,
            None => write!(f, "ended by a signal")?,
        }
        for stream in [&self.stdout, &self.stderr] {
            if !stream.trim().is_empty() {
                write!(f, "\n{}", stream.trim_end())?;
            }
        }
        Ok(())
    }
}

/// The words of a command line.
#[derive(Debug, Clone)]
pub(crate) struct Argv(Vec<OsString>);

impl Argv {
    pub(crate) fn new<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Self {
        Self(words.into_iter().map(|word| word.as_ref().to_owned()).collect())
    }

    /// This command line with `words` before it.
    pub(crate) fn behind<S: AsRef<OsStr>>(self, words: impl IntoIterator<Item = S>) -> Self {
        let mut all = Self::new(words);
        all.0.extend(self.0);
        all
    }

    /// The command, with nothing to read and a group of its own: Ctrl-C is for the owner of the lab, which then ends
    /// the lab in order.
    pub(crate) fn command(&self, env: &[(String, OsString)]) -> Command {
        use std::os::unix::process::CommandExt;
        let (program, args) =
            self.0.split_first().map_or((OsStr::new("false"), &[][..]), |(p, a)| (p.as_os_str(), a));
        let mut command = Command::new(program);
        command.args(args).env("PATH", SEARCH_PATH).envs(env.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::null()).process_group(0);
        command
    }
}

impl fmt::Display for Argv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(|word| word.to_string_lossy()).collect();
        f.write_str(&words.join(" "))
    }
}
