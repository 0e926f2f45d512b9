//! Where a database server listens, written as in `ovsdb(7)`, "Active Connection Methods".

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The port of `tcp:HOST` without one (RFC 7047, section 6: IANA assigned 6640 to "ovsdb").
const DEFAULT_PORT: u16 = 6640;

/// Address of a database server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `unix:PATH`, a Unix domain stream socket.
    Unix(PathBuf),
    /// `tcp:HOST[:PORT]`. IPv6 addresses are written in square brackets.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
}

/// The text is not `unix:PATH` or `tcp:HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an endpoint: expected unix:PATH or tcp:HOST[:PORT]")]
pub struct EndpointError(String);

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let endpoint = match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => Some(Self::Unix(path.into())),
            Some(("tcp", address)) => parse_tcp(address),
            _ => None,
        };
        endpoint.ok_or_else(|| EndpointError(text.to_owned()))
    }
}

fn parse_tcp(address: &str) -> Option<Endpoint> {
    let (host, rest) = match address.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => address.split_at(address.find(':').unwrap_or(address.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().ok()?,
        None if rest.is_empty() => DEFAULT_PORT,
        None => return None,
    };
    (!host.is_empty()).then(|| Endpoint::Tcp { host: host.to_owned(), port })
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(
            text.parse::<Endpoint>().ok().map(|endpoint| endpoint.to_string()).as_deref(),
            expected,
            "{text}"
        );
    }

    #[test]
    fn endpoints_are_read_as_the_tools_write_them() {
        check("unix:/run/db.sock", Some("unix:/run/db.sock"));
        check("tcp:127.0.0.1", Some("tcp:127.0.0.1:6640"));
        check("tcp:[::1]:6641", Some("tcp:[::1]:6641"));
        check("tcp:host:70000", None);
        check("tcp:[::1", None);
        check("tcp::1", None);
        check("ssl:host", None);
        check("unix:", None);
    }
}
