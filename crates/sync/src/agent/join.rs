//! Joining: a token for a certificate, once in a host's life.

use std::path::Path;

use tonic::Code;
use tonic::transport::Uri;
use topology::NodeId;

use crate::client::Client;
use crate::pki::{Identity, InvalidToken, NewHost, PkiError, Token};
use crate::wire::JoinRequest;

/// Why a host has not joined.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The token's text is malformed.
    #[error(transparent)]
    Token(#[from] InvalidToken),
    /// The manager cannot be reached, or is not the one that made the token.
    #[error("cannot connect to the manager that made the token")]
    Connect(#[from] tonic::transport::Error),
    /// The manager does not let the host in: its reason.
    #[error("the manager refuses: {0}")]
    Refused(String),
    /// The manager did not answer, or could not.
    #[error("the manager did not answer")]
    Failed(#[source] Box<tonic::Status>),
    /// The keys cannot be made, or not be written. A token that was used up by then is to be asked for anew.
    #[error("the host's identity cannot be kept")]
    Identity(#[from] PkiError),
}

/// Exchanges a token for a certificate for `node`, and writes the identity to `dir`. Of `manager`, host and port count.
///
/// # Errors
/// See [`JoinError`]. The secret is said to no one but the manager that made the token.
pub async fn join(manager: Uri, token: &str, node: &NodeId, dir: &Path) -> Result<Identity, JoinError> {
    let token: Token = token.parse()?;
    let host = NewHost::new(token.authority())?;
    let request =
        JoinRequest { node_id: node.to_string(), secret: token.secret().to_vec(), request: host.request()? };
    let mut client = Client::connect(manager, host.tls()).await?;
    let answer = client.join(request).await.map_err(|status| match status.code() {
        Code::PermissionDenied | Code::InvalidArgument => JoinError::Refused(status.message().to_owned()),
        _ => JoinError::Failed(Box::new(status)),
    })?;
    let identity = host.certified(dir, node, &answer.certificate)?;
    identity.save()?;
    Ok(identity)
}
