//! The managers' authority: it signs certificates of managers and hosts, and reads those that hosts show.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use tonic::transport::CertificateDer;
use topology::NodeId;
use x509_parser::extensions::GeneralName;

use super::{
    AUTHORITY_VALIDITY, CLOCK_SKEW, HOST_URI, HOST_VALIDITY, MANAGER_NAME, PkiError, Token, at, malformed,
    pem,
};
use crate::file;

/// The authority of a deployment's managers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Authority {
    issuer: Arc<Issuer<'static, KeyPair>>,
    certificate: CertificateDer<'static>,
}

/// Who a peer has proven to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) node: NodeId,
    /// When its certificate stops proving it.
    pub(crate) until: SystemTime,
}

impl Authority {
    /// Reads `ca.key` and `ca.crt` in `dir`, or makes them if there is no `ca.crt` yet.
    ///
    /// # Errors
    /// A file cannot be read or written, or does not hold what it should.
    pub fn open(dir: &Path) -> Result<Self, PkiError> {
        let (key_path, certificate_path) = (dir.join("ca.key"), dir.join("ca.crt"));
        if !certificate_path.try_exists().map_err(at(&certificate_path))? {
            return Self::create(dir, &key_path, &certificate_path);
        }
        let key = std::fs::read_to_string(&key_path).map_err(at(&key_path))?;
        let key = KeyPair::from_pem(&key).map_err(|error| malformed(&key_path, error))?;
        let pem = std::fs::read(&certificate_path).map_err(at(&certificate_path))?;
        let (_, pem) =
            x509_parser::pem::parse_x509_pem(&pem).map_err(|error| malformed(&certificate_path, error))?;
        Self::of(key, pem.contents.into()).map_err(|error| malformed(&certificate_path, error))
    }

    fn create(dir: &Path, key_path: &Path, certificate_path: &Path) -> Result<Self, PkiError> {
        let key = KeyPair::generate()?;
        let mut params = params("OpenVNet authority", AUTHORITY_VALIDITY, SystemTime::now());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key)?;
        std::fs::create_dir_all(dir).map_err(at(dir))?;
        // The certificate last: it says that the key beside it is the one.
        let write =
            |path: &Path, pem: String, mode| file::write(path, pem.as_bytes(), mode).map_err(at(path));
        write(key_path, key.serialize_pem(), file::OWNER_ONLY)?;
        write(certificate_path, certificate.pem(), file::READABLE)?;
        Ok(Self::of(key, certificate.der().clone())?)
    }

    fn of(key: KeyPair, certificate: CertificateDer<'static>) -> Result<Self, rcgen::Error> {
        let issuer = Arc::new(Issuer::from_ca_cert_der(&certificate, key)?);
        Ok(Self { issuer, certificate })
    }

    /// A new token, which [`Token::digest`] lets the manager know again.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn token(&self) -> Result<Token, PkiError> {
        Token::new(&self.certificate)
    }

    /// The authority's certificate, as PEM.
    pub(crate) fn pem(&self) -> String {
        pem(&self.certificate)
    }

    /// A key and certificate for a manager, which live as long as its process.
    pub(crate) fn manager_identity(&self) -> Result<tonic::transport::Identity, PkiError> {
        let key = KeyPair::generate()?;
        let mut params = params(MANAGER_NAME, AUTHORITY_VALIDITY, SystemTime::now());
        params.subject_alt_names = vec![SanType::DnsName(MANAGER_NAME.try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(tonic::transport::Identity::from_pem(certificate.pem(), key.serialize_pem()))
    }

    /// Certifies that the key of a signing request (PKCS #10, DER) is `node`'s. Whatever else it asks for is not given.
    ///
    /// # Errors
    /// The request is malformed, or its signature is not its key's.
    pub fn certify(&self, request: &[u8], node: &NodeId, now: SystemTime) -> Result<Vec<u8>, PkiError> {
        let request = CertificateSigningRequestParams::from_der(&request.into())?;
        self.certify_key(&request.public_key, node, now)
    }

    fn certify_key(
        &self,
        key: &impl PublicKeyData,
        node: &NodeId,
        now: SystemTime,
    ) -> Result<Vec<u8>, PkiError> {
        let mut params = params(node.as_str(), HOST_VALIDITY, now);
        params.subject_alt_names = vec![SanType::URI(format!("{HOST_URI}{node}").try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(params.signed_by(key, &self.issuer)?.der().to_vec())
    }
}

impl Peer {
    /// Reads a peer's certificate, which TLS has verified: whom it names, in the one form that [`Authority`] writes.
    pub(crate) fn of(certificate: &[u8]) -> Result<Self, PkiError> {
        let (_, certificate) = x509_parser::parse_x509_certificate(certificate)
            .map_err(|_| PkiError::NoHost("it cannot be read"))?;
        let until = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or_default();
        let names =
            certificate.subject_alternative_name().ok().flatten().map(|found| &found.value.general_names);
        let [GeneralName::URI(uri)] = names.map_or(&[][..], Vec::as_slice) else {
            return Err(PkiError::NoHost("it has not one URI for a name"));
        };
        let node = uri.strip_prefix(HOST_URI).and_then(|node| node.parse().ok());
        let node = node.ok_or(PkiError::NoHost("its URI is not a host's"))?;
        Ok(Self { node, until: SystemTime::UNIX_EPOCH + Duration::from_secs(until) })
    }
}

fn params(name: &str, validity: Duration, now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + validity).into();
    params
}

#[cfg(test)]
mod tests {
    use super::super::InvalidToken;
    use super::*;

    fn node() -> NodeId {
        "host_1.A".parse().expect("a node id")
    }

    #[test]
    fn a_certificate_names_the_node_it_was_made_for_and_nothing_that_the_request_asked_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let authority = Authority::open(dir.path()).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let mut request = CertificateParams::new(vec!["vnmgr".to_owned()]).expect("a name");
        request.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let request = request.serialize_request(&key).expect("a request");
        let certificate =
            authority.certify(request.der(), &node(), SystemTime::now()).expect("a certificate");
        assert_eq!(Peer::of(&certificate).expect("a host").node, node());
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).expect("a certificate");
        assert!(!parsed.is_ca());
    }

    #[test]
    fn a_certificate_with_any_other_name_names_no_host() {
        let key = KeyPair::generate().expect("a key");
        let check = |names: Vec<SanType>, expected: Option<&str>| {
            let mut params = params("host1", HOST_VALIDITY, SystemTime::now());
            params.subject_alt_names = names;
            let certificate = params.self_signed(&key).expect("a certificate");
            let node = Peer::of(certificate.der()).ok().map(|peer| peer.node.to_string());
            assert_eq!(node.as_deref(), expected);
        };
        let uri = |text: &str| SanType::URI(text.try_into().expect("ASCII"));
        check(vec![uri("openvnet:host/host1")], Some("host1"));
        check(vec![uri("openvnet:host/host1"), uri("openvnet:host/host2")], None);
        check(vec![SanType::DnsName("host1".try_into().expect("ASCII"))], None);
        check(vec![uri("openvnet:host/")], None);
        check(vec![uri("openvnet:host/a/b")], None);
        check(vec![uri("openvnet:hosts/host1")], None);
        check(vec![], None);
    }

    #[test]
    fn an_authority_is_made_once_and_its_key_is_its_owners() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let [first, second] = [(); 2].map(|()| Authority::open(dir.path()).expect("an authority"));
        assert_eq!(first.pem(), second.pem());
        let key = std::fs::metadata(dir.path().join("ca.key")).expect("a key");
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
        std::fs::write(dir.path().join("ca.crt"), "-----BEGIN").expect("written");
        assert!(matches!(Authority::open(dir.path()), Err(PkiError::Malformed { .. })));
    }

    #[test]
    fn a_token_is_known_again_by_its_text_and_a_damaged_text_is_none() {
        let dir = tempfile::tempdir().expect("a directory");
        let token = Authority::open(dir.path()).expect("an authority").token().expect("a token");
        let text = token.to_string();
        assert_eq!(text.parse::<Token>().as_ref(), Ok(&token));
        let check = |text: &str| assert_eq!(text.parse::<Token>().err(), Some(InvalidToken), "{text}");
        check("");
        check("ovt1.");
        check(&text[1..]);
        check(&text[..text.len() - 4]);
        check(&format!("{text}AAAA"));
        check(&format!("ovt1.{}", "A".repeat(100_000)));
    }
}
