//! Tokens: what an operator carries from the manager to a host that is to join.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

use super::PkiError;

/// What a token's text starts with: it tells what it is, and which form it has.
const PREFIX: &str = "ovt1.";

/// Length of the secret, in bytes: not to be guessed.
const SECRET: usize = 32;

/// Longest text taken for a token, in bytes. A certificate of the authority has about 500.
const MAX_TEXT: usize = 8 * 1024;

/// Permission to join, in the hands of the host.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    secret: [u8; SECRET],
    authority: Vec<u8>,
}

/// A text that is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token: it starts with {PREFIX} and is to be copied whole")]
pub struct InvalidToken;

impl Token {
    /// A new token with a random secret. `authority` is the authority's certificate, DER.
    pub(super) fn new(authority: &[u8]) -> Result<Self, PkiError> {
        let mut secret = [0; SECRET];
        OsRng.try_fill_bytes(&mut secret).map_err(|_| rcgen::Error::RingUnspecified)?;
        Ok(Self { secret, authority: authority.to_vec() })
    }

    /// What the manager keeps of it: SHA-256 of the secret, hexadecimal.
    pub fn digest(&self) -> String {
        digest(&self.secret)
    }

    pub(crate) fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// The certificate of the authority to trust, DER.
    pub(crate) fn authority(&self) -> &[u8] {
        &self.authority
    }
}

/// SHA-256 of a secret, hexadecimal.
pub(crate) fn digest(secret: &[u8]) -> String {
    hexadecimal(&Sha256::digest(secret))
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text to hand to the host. It is a secret.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.secret[..], &self.authority].concat();
        write!(f, "{PREFIX}{}", BASE64.encode(bytes))
    }
}

/// Says nothing of the secret, which has no place in a log.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let body = text.trim().strip_prefix(PREFIX).filter(|body| body.len() <= MAX_TEXT);
        let bytes = body.and_then(|body| BASE64.decode(body).ok()).ok_or(InvalidToken)?;
        let (secret, authority) = bytes.split_first_chunk().ok_or(InvalidToken)?;
        // A text cut short would else be found out only when the manager's certificate does not verify.
        match x509_parser::parse_x509_certificate(authority) {
            Ok(([], _)) => Ok(Self { secret: *secret, authority: authority.to_vec() }),
            _ => Err(InvalidToken),
        }
    }
}
