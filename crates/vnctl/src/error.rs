//! What can go wrong, what is said about it, and which exit code tells a script.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use crate::client::{Origin, Refusal};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked is done.
    Success,
    /// The manager refused the request, or `status` found something wrong.
    Refused,
    /// The command line, a batch or a file cannot be understood.
    Usage,
    /// The change is committed, and not every host has it yet; or what was waited for has not come.
    Pending,
    /// The manager cannot be reached, or what answers is not one.
    Unreachable,
    /// The answer is no: a packet does not arrive, or a policy is not kept.
    No,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Refused => 1,
            Exit::Usage => 2,
            Exit::Pending => 3,
            Exit::Unreachable => 4,
            Exit::No => 5,
        })
    }
}

/// [`Exit`] as `--help` explains it.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the manager refused the request; with `status`: something is wrong
  2  the command line or a file cannot be understood
  3  committed, and not every host has realized it in time (--wait, status); not active in time (show --wait)
  4  the manager cannot be reached
  5  the answer is no: a packet does not arrive (trace), a policy is not kept (assert)";

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    CommandLine(Box<clap::Error>),
    #[error("{0}")]
    Usage(String),
    #[error("{name}: cannot be read")]
    File { name: String, source: io::Error },
    #[error("{0}")]
    Refused(Box<Refusal>),
    #[error("revision {revision} is committed, and not realized yet by {}", hosts.join(", "))]
    Pending { revision: String, hosts: Vec<String> },
    #[error("{id} is {state}{}", reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    Inactive { id: String, state: String, reason: Option<String> },
    #[error("{0}")]
    Unwell(String),
    /// It has been printed.
    #[error("the answer is no")]
    No,
    #[error("cannot reach the manager at {url} ({origin})")]
    Unreachable { url: String, origin: Origin, source: Box<ureq::Error> },
    #[error("{url} ({origin}) answered {status}, and not as a manager does: is another program there?")]
    Stranger { url: String, origin: Origin, status: u16 },
    #[error("line {number}")]
    Line { number: usize, source: Box<Error> },
    #[error("lines that failed: {failed}")]
    Lines { failed: usize, first: Box<Error> },
    #[error("the result cannot be written")]
    Output(#[source] io::Error),
}

impl From<io::Error> for Error {
    fn from(cause: io::Error) -> Self {
        Self::Output(cause)
    }
}

impl From<clap::Error> for Error {
    fn from(cause: clap::Error) -> Self {
        Self::CommandLine(Box::new(cause))
    }
}

impl Error {
    /// The exit code that tells this error apart.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            // Help and version are asked for, and come as errors.
            Self::CommandLine(cause) if !cause.use_stderr() => Exit::Success,
            Self::CommandLine(_) | Self::Usage(_) | Self::File { .. } => Exit::Usage,
            Self::Refused(_) | Self::Unwell(_) => Exit::Refused,
            Self::Pending { .. } | Self::Inactive { .. } => Exit::Pending,
            Self::No => Exit::No,
            Self::Unreachable { .. } | Self::Stranger { .. } => Exit::Unreachable,
            Self::Line { source, .. } => source.exit(),
            Self::Lines { first, .. } => first.exit(),
            // Whoever reads us has seen enough, as `head` does.
            Self::Output(cause) if cause.kind() == ErrorKind::BrokenPipe => Exit::Success,
            Self::Output(_) => Exit::Refused,
        }
    }

    /// Whether it is about printing, so that nothing else can be printed either.
    pub(crate) fn is_output(&self) -> bool {
        match self {
            Self::Output(_) => true,
            Self::Line { source, .. } => source.is_output(),
            _ => false,
        }
    }

    /// Tells the user, and gives the exit code.
    pub(crate) fn report(&self, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
        let exit = self.exit();
        // Nobody is left to tell when this fails.
        self.write(exit, out, err).ok();
        exit
    }

    fn write(&self, exit: Exit, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::CommandLine(cause) if exit == Exit::Success => write!(out, "{cause}"),
            Self::CommandLine(cause) => write!(err, "{cause}"),
            Self::Output(_) if exit == Exit::Success => Ok(()),
            Self::No => Ok(()),
            _ => self.write_plain(err),
        }
    }

    fn write_plain(&self, err: &mut dyn Write) -> io::Result<()> {
        write!(err, "error: {self}")?;
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            write!(err, ": {cause}")?;
            source = cause.source();
        }
        writeln!(err)?;
        self.hint().map_or(Ok(()), |hint| writeln!(err, "{hint}"))
    }

    /// What to do next.
    fn hint(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) => refusal.hint(),
            Self::Unreachable { .. } | Self::Stranger { .. } => Some(
                "hint: is vnmgr running there? --url and VNET_WEBAPI=host:port name another one".to_owned(),
            ),
            Self::Pending { .. } => Some("hint: `vnctl hosts` shows how far each host is".to_owned()),
            Self::Inactive { .. } => {
                Some("hint: `vnctl active-ports show` lists the ports that hosts show".to_owned())
            }
            Self::Line { source, .. } => source.hint(),
            _ => None,
        }
    }
}
