//! The keys by which managers and hosts prove who they are.
//!
//! The managers' own authority signs them all. A manager shows a certificate for [`MANAGER_NAME`], whatever address
//! it is reached at; a host shows one whose only name is the URI `openvnet:host/` and its node id. The host's key
//! never leaves the host: it sends a signing request, of which nothing but the public key is used.
//!
//! # Joining
//! The token that lets a host in holds a secret and the authority's certificate, so a host knows that it talks to
//! its manager before it says the secret. Managers keep only the secret's digest.
//!
//! # Expiry
//! Hosts renew their certificates while they are connected. A host that was away longer than [`HOST_VALIDITY`]
//! joins again.

mod authority;
mod identity;
mod token;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;

pub use authority::Authority;
pub(crate) use authority::Peer;
pub use identity::Identity;
pub(crate) use identity::NewHost;
pub use token::{InvalidToken, Token};
pub(crate) use token::{digest, hexadecimal};

/// The DNS name in a manager's certificate (RFC 9525, section 2).
pub const MANAGER_NAME: &str = "vnmgr";

/// What comes before the node id in the one URI of a host's certificate.
pub const HOST_URI: &str = "openvnet:host/";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the authority and the managers' certificates are good. A manager makes a new key at every start.
pub const AUTHORITY_VALIDITY: Duration = Duration::from_secs(DAY.as_secs() * 365 * 20);

/// How long a host's certificate is good: longer than a host may be cut off and still come back by itself.
pub const HOST_VALIDITY: Duration = Duration::from_secs(DAY.as_secs() * 365);

/// How long before expiry a host asks for a new certificate.
pub const RENEW_BEFORE: Duration = Duration::from_secs(DAY.as_secs() * 120);

/// Certificates are good from this long before they are made, for peers whose clocks are behind.
pub const CLOCK_SKEW: Duration = DAY;

/// Why there are no keys, or no certificate.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error("{path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} is malformed: {reason}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A certificate or a signing request cannot be made or read.
    #[error("no certificate can be made")]
    Certificate(#[from] rcgen::Error),
    /// A peer's certificate names no host.
    #[error("the certificate names no host: {0}")]
    NoHost(&'static str),
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> PkiError {
    let path = path.to_owned();
    |cause| PkiError::File { path, cause }
}

fn malformed(path: &Path, reason: impl ToString) -> PkiError {
    PkiError::Malformed { path: path.to_owned(), reason: reason.to_string() }
}

/// A certificate's text form (RFC 7468, section 5).
fn pem(der: &[u8]) -> String {
    let body = BASE64.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
