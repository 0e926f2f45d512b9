//! Who gets a certificate, and who does not.

use std::time::SystemTime;

use tonic::Code;

use super::manager::{DEADLINE, Host, Raw, Served, TestAgent, node, registration};
use crate::agent::{JoinError, join};
use crate::client::Client;
use crate::pki::{Authority, HOST_VALIDITY, Identity, NewHost, RENEW_BEFORE};

#[tokio::test]
async fn a_token_lets_a_host_in_once_and_the_host_keeps_its_identity() {
    let served = Served::start().await;
    let (dir, token) = (tempfile::tempdir().expect("a directory"), served.token(None));
    let identity = join(served.address.clone(), &token, &node("host1"), dir.path()).await.expect("joined");
    let loaded = Identity::load(dir.path()).expect("an identity");
    assert_eq!((loaded.node(), loaded.valid_until()), (identity.node(), identity.valid_until()));
    served.open(&loaded).await.expect("a stream");
    let again = join(served.address.clone(), &token, &node("host2"), dir.path()).await;
    assert!(matches!(again, Err(JoinError::Refused(_))), "{again:?}");
}

#[tokio::test]
async fn a_token_is_good_for_the_node_it_is_made_out_to_only() {
    let served = Served::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let token = served.token(Some(&node("host1")));
    let other = join(served.address.clone(), &token, &node("host2"), dir.path()).await;
    assert!(matches!(other, Err(JoinError::Refused(_))), "{other:?}");
    join(served.address.clone(), &token, &node("host1"), dir.path()).await.expect("joined");
}

#[tokio::test]
async fn a_secret_is_not_said_to_a_manager_of_another_authority() {
    let served = Served::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let stranger = Authority::open(dir.path()).expect("an authority");
    let token = stranger.token().expect("a token").to_string();
    let result = join(served.address.clone(), &token, &node("host1"), dir.path()).await;
    assert!(matches!(result, Err(JoinError::Connect(_))), "{result:?}");
    let result = join(served.address.clone(), "ovt1.x", &node("host1"), dir.path()).await;
    assert!(matches!(result, Err(JoinError::Token(_))), "{result:?}");
}

#[tokio::test]
async fn a_stream_needs_a_certificate_of_this_authority() {
    let served = Served::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let token = served.authority.token().expect("a token");
    let nobody = NewHost::new(token.authority()).expect("a host");
    let client = Client::connect(served.address.clone(), nobody.tls()).await.expect("connected");
    let refused = Raw::open(client).await.err().map(|status| status.code());
    assert_eq!(refused, Some(Code::Unauthenticated));

    // A certificate that says the right thing, by the wrong authority.
    let stranger = Authority::open(dir.path()).expect("an authority");
    let host = NewHost::new(token.authority()).expect("a host");
    let request = host.request().expect("a request");
    let certificate = stranger.certify(&request, &node("host1"), SystemTime::now()).expect("a certificate");
    let identity = host.certified(dir.path(), &node("host1"), &certificate).expect("an identity");
    // TLS 1.3: the client has connected before it hears that its certificate is not taken.
    if let Ok(client) = Client::connect(served.address.clone(), identity.tls()).await {
        assert!(Raw::open(client).await.is_err());
    }
}

#[tokio::test]
async fn an_agent_cannot_register_another_node() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let mut raw = served.open(&host.identity).await.expect("a stream");
    raw.hello(&registration("host2"), None).await;
    assert_eq!(raw.end().await.code(), Code::PermissionDenied);
    assert!(served.manager.topology().datapaths().is_empty());
}

#[tokio::test]
async fn a_renewed_certificate_is_the_same_hosts() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let mut client = Client::connect(served.address.clone(), host.identity.tls()).await.expect("connected");
    let request = crate::wire::RenewRequest { request: host.identity.request().expect("a request") };
    let answer = client.renew(request.clone()).await.expect("a certificate");
    let renewed = host.identity.renewed(&answer.certificate).expect("an identity");
    assert_eq!(renewed.node(), host.identity.node());
    renewed.save().expect("saved");
    served.open(&Identity::load(host.dir.path()).expect("an identity")).await.expect("a stream");

    let nobody = NewHost::new(served.authority.token().expect("a token").authority()).expect("a host");
    let mut client = Client::connect(served.address.clone(), nobody.tls()).await.expect("connected");
    let refused = client.renew(request).await.expect_err("refused");
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn an_agent_renews_a_certificate_that_is_about_to_expire() {
    let served = Served::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let token = served.authority.token().expect("a token");
    let host = NewHost::new(token.authority()).expect("a host");
    let then = SystemTime::now() - (HOST_VALIDITY - RENEW_BEFORE);
    let request = host.request().expect("a request");
    let old = served.authority.certify(&request, &node("host1"), then).expect("a certificate");
    let identity = host.certified(dir.path(), &node("host1"), &old).expect("an identity");
    identity.save().expect("saved");
    let until = identity.valid_until();
    let host = Host { identity, dir };
    let _agent = TestAgent::start(&served, &host, None);
    let renewed = async {
        while Identity::load(host.dir.path()).expect("an identity at any time").valid_until() == until {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, renewed).await.expect("in time");
}
