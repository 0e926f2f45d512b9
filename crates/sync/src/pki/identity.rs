//! A host's identity: its key, its certificate and the authority it trusts, in files of the agent.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rcgen::{CertificateParams, KeyPair};
use tonic::transport::{Certificate, ClientTlsConfig};
use topology::NodeId;

use super::{MANAGER_NAME, Peer, PkiError, RENEW_BEFORE, at, malformed, pem};
use crate::file;

const KEY: &str = "host.key";
const CERTIFICATE: &str = "host.crt";
const AUTHORITY: &str = "ca.crt";
const NODE: &str = "node_id";

/// A host that has joined.
#[derive(Clone, Debug)]
pub struct Identity {
    dir: PathBuf,
    node: NodeId,
    key: String,
    certificate: String,
    authority: String,
    until: SystemTime,
}

/// A host that is about to join: its key, and the authority's certificate.
pub(crate) struct NewHost {
    key: KeyPair,
    authority: String,
}

impl Identity {
    /// Reads `host.key`, `host.crt`, `ca.crt` and `node_id` in `dir`.
    ///
    /// # Errors
    /// A file cannot be read, or does not hold what it should.
    pub fn load(dir: &Path) -> Result<Self, PkiError> {
        let read = |name: &str| {
            let path = dir.join(name);
            std::fs::read_to_string(&path).map_err(at(&path))
        };
        let node = read(NODE)?.trim().parse().map_err(|error| malformed(&dir.join(NODE), error))?;
        let (key, certificate, authority) = (read(KEY)?, read(CERTIFICATE)?, read(AUTHORITY)?);
        KeyPair::from_pem(&key).map_err(|error| malformed(&dir.join(KEY), error))?;
        Self::of(dir, node, key, certificate, authority)
    }

    /// Writes the files that [`Identity::load`] reads. The key is for its owner alone.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self) -> Result<(), PkiError> {
        std::fs::create_dir_all(&self.dir).map_err(at(&self.dir))?;
        let write = |name: &str, contents: &str, mode| {
            let path = self.dir.join(name);
            file::write(&path, contents.as_bytes(), mode).map_err(at(&path))
        };
        write(KEY, &self.key, file::OWNER_ONLY)?;
        write(AUTHORITY, &self.authority, file::READABLE)?;
        write(NODE, &format!("{}\n", self.node), file::READABLE)?;
        write(CERTIFICATE, &self.certificate, file::READABLE)
    }

    /// The agent's name.
    pub fn node(&self) -> &NodeId {
        &self.node
    }

    /// When the certificate expires.
    pub fn valid_until(&self) -> SystemTime {
        self.until
    }

    /// When to ask for a new certificate.
    pub(crate) fn renew_at(&self) -> SystemTime {
        self.until.checked_sub(RENEW_BEFORE).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// A signing request for a new certificate. The key stays: key and certificate are two files, which no crash
    /// between their writes may part.
    pub(crate) fn request(&self) -> Result<Vec<u8>, PkiError> {
        request(&KeyPair::from_pem(&self.key)?)
    }

    /// The same host with another certificate, DER.
    pub(crate) fn renewed(&self, certificate: &[u8]) -> Result<Self, PkiError> {
        let certificate = pem(certificate);
        Self::of(&self.dir, self.node.clone(), self.key.clone(), certificate, self.authority.clone())
    }

    /// What to show to a manager, and what to ask of it.
    pub(crate) fn tls(&self) -> ClientTlsConfig {
        trust(&self.authority).identity(tonic::transport::Identity::from_pem(&self.certificate, &self.key))
    }

    fn of(
        dir: &Path,
        node: NodeId,
        key: String,
        certificate: String,
        authority: String,
    ) -> Result<Self, PkiError> {
        let wrong = |reason: &str| malformed(&dir.join(CERTIFICATE), reason);
        let (_, pem) = x509_parser::pem::parse_x509_pem(certificate.as_bytes())
            .map_err(|error| wrong(&error.to_string()))?;
        let peer = Peer::of(&pem.contents)?;
        if peer.node != node {
            return Err(wrong("it is another host's"));
        }
        Ok(Self { dir: dir.to_owned(), node, key, certificate, authority, until: peer.until })
    }
}

impl NewHost {
    /// A host with a new key, that trusts this authority (DER).
    pub(crate) fn new(authority: &[u8]) -> Result<Self, PkiError> {
        Ok(Self { key: KeyPair::generate()?, authority: pem(authority) })
    }

    /// The signing request, DER.
    pub(crate) fn request(&self) -> Result<Vec<u8>, PkiError> {
        request(&self.key)
    }

    /// What to ask of a manager; there is nothing to show yet.
    pub(crate) fn tls(&self) -> ClientTlsConfig {
        trust(&self.authority)
    }

    /// The host that it is with this certificate, DER.
    pub(crate) fn certified(
        self,
        dir: &Path,
        node: &NodeId,
        certificate: &[u8],
    ) -> Result<Identity, PkiError> {
        let certificate = pem(certificate);
        Identity::of(dir, node.clone(), self.key.serialize_pem(), certificate, self.authority)
    }
}

fn trust(authority: &str) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)).domain_name(MANAGER_NAME)
}

fn request(key: &KeyPair) -> Result<Vec<u8>, PkiError> {
    Ok(CertificateParams::default().serialize_request(key)?.der().to_vec())
}
