//! What guests are to know of themselves: their requests over HTTP/1.1, passed on to the metadata server with who they are.
//!
//! # Who is believed
//! The server is told the guest by headers of the agent's own. What a guest sends under these names is dropped, in any way of
//! writing them that a server might take for the same. With a secret they are signed.
//!
//! # What is passed on
//! A request and its answer, each without the headers that are between two nodes only (RFC 9110, section 7.6.1). A server that
//! is dead or slow costs who has asked, with a status that says so.

use std::convert::Infallible;
use std::time::Duration;

use hmac::{Hmac, Mac};
use http_body_util::{Either, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1 as client;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use crate::answers::{Asker, Signing};

/// How long a guest may take for the head of a request, and between two.
const IDLE: Duration = Duration::from_secs(10);

/// How long the server may take to be reached.
const CONNECT: Duration = Duration::from_secs(3);

/// How long the server may take to begin its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Largest head of a request or an answer, in bytes.
const LARGEST_HEAD: usize = 16 << 10;

/// Most headers of a request or an answer.
const MOST_HEADERS: usize = 64;

/// Largest content of a request, in bytes: guests ask, and little more.
const LARGEST_CONTENT: usize = 64 << 10;

/// The client's address, as proxies tell it.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The interface that asks.
const INTERFACE: HeaderName = HeaderName::from_static("x-openvnet-interface");
/// The network in which it asks.
const NETWORK: HeaderName = HeaderName::from_static("x-openvnet-network");
/// Over the three, if there is a secret.
const SIGNATURE: HeaderName = HeaderName::from_static("x-openvnet-signature");

/// Headers of a guest that are not passed on, since a server might take them for the agent's, by how they begin.
const NOT_FOR_GUESTS: [&str; 7] =
    ["x-openvnet-", "x-forwarded", "forwarded", "x-real-ip", "x-instance-id", "x-tenant-id", "via"];

/// Headers between two nodes only (RFC 9110, section 7.6.1), besides those that `Connection` names. Who waits for a status
/// 100 has it from here.
const BETWEEN_TWO: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
];

type Answer = Response<Either<Incoming, Full<Bytes>>>;

/// Why a request is not answered by the server.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no metadata for this interface")]
    Nobody,
    #[error("the request is not understood")]
    NotUnderstood,
    #[error("the request is too large")]
    TooLarge,
    #[error("the metadata server cannot be reached")]
    Unreachable(#[source] std::io::Error),
    #[error("the metadata server does not answer")]
    Silent,
    #[error("the metadata server's answer is not understood")]
    Broken(#[source] hyper::Error),
    #[error("what is told of this interface cannot be signed yet")]
    Unsigned,
}

impl Failure {
    /// RFC 9110, sections 15.5 and 15.6.
    fn status(&self) -> StatusCode {
        match self {
            Self::Nobody => StatusCode::NOT_FOUND,
            Self::NotUnderstood => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unreachable(_) | Self::Broken(_) => StatusCode::BAD_GATEWAY,
            Self::Unsigned => StatusCode::SERVICE_UNAVAILABLE,
            Self::Silent => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// Serves one connection, until either side has no more to say. Who asks is looked up each time: what is true of a guest can
/// change between two requests.
pub(super) async fn serve<S>(stream: S, asker: impl Fn() -> Option<Asker> + Sync)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let answer = service_fn(|request| {
        let asker = asker();
        async move {
            let answer = match &asker {
                Some(asker) => pass_on(request, asker).await,
                None => Err(Failure::Nobody),
            };
            Ok::<_, Infallible>(answer.unwrap_or_else(|failure| tell(&failure)))
        }
    });
    let served = server::Builder::new()
        .timer(TokioTimer::new())
        // Who has asked all it wants to still waits for the answer.
        .half_close(true)
        .header_read_timeout(IDLE)
        .max_buf_size(LARGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = served {
        debug!(%error, "a guest's requests have ended");
    }
}

/// A failure as an answer.
fn tell(failure: &Failure) -> Answer {
    debug!(?failure, "a request for metadata has failed");
    let mut answer = Response::new(Either::Right(Full::from(format!("{failure}\n"))));
    *answer.status_mut() = failure.status();
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer
}

/// Passes a request on, and its answer back.
async fn pass_on(request: Request<Incoming>, asker: &Asker) -> Result<Answer, Failure> {
    let request = request_of(request, asker)?;
    let stream = timeout(CONNECT, TcpStream::connect(asker.server)).await;
    let stream = stream.map_err(|_| Failure::Silent)?.map_err(Failure::Unreachable)?;
    let handshake = client::Builder::new()
        .max_buf_size(LARGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .handshake(TokioIo::new(stream))
        .await;
    let (mut sender, connection) = handshake.map_err(Failure::Broken)?;
    // It ends with the answer, or when nobody waits for that any more.
    tokio::spawn(connection);
    let answer = timeout(PATIENCE, sender.send_request(request)).await.map_err(|_| Failure::Silent)?;
    let mut answer = answer
        .map_err(|error| if is_too_large(&error) { Failure::TooLarge } else { Failure::Broken(error) })?;
    drop_between_two(answer.headers_mut());
    Ok(answer.map(Either::Left))
}

/// Whether it is the guest's content that has broken a request off.
fn is_too_large(error: &hyper::Error) -> bool {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes.into_iter().any(|cause| cause.is::<LengthLimitError>())
}

/// The request as the server gets it.
fn request_of(request: Request<Incoming>, asker: &Asker) -> Result<Request<Limited<Incoming>>, Failure> {
    let (mut head, content) = request.into_parts();
    // RFC 9110, section 9.3.6: a tunnel is no metadata.
    if head.method == Method::CONNECT {
        return Err(Failure::NotUnderstood);
    }
    if content.size_hint().lower() > LARGEST_CONTENT as u64 {
        return Err(Failure::TooLarge);
    }
    // RFC 9112, section 3.2.2: whatever server the guest names, it is this one that it gets.
    let path = head.uri.path_and_query().ok_or(Failure::NotUnderstood)?.clone();
    head.uri = Uri::from(path);
    drop_between_two(&mut head.headers);
    drop_not_for_guests(&mut head.headers);
    say_who(&mut head.headers, asker)?;
    head.headers.insert(header::VIA, HeaderValue::from_static("1.1 openvnet"));
    if !head.headers.contains_key(header::HOST) {
        let host = HeaderValue::try_from(asker.server.to_string()).map_err(|_| Failure::NotUnderstood)?;
        head.headers.insert(header::HOST, host);
    }
    head.version = Version::HTTP_11;
    Ok(Request::from_parts(head, Limited::new(content, LARGEST_CONTENT)))
}

/// RFC 9110, section 7.6.1.
fn drop_between_two(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').filter_map(|name| name.trim().parse().ok()))
        .collect();
    for name in named.iter().chain(&BETWEEN_TWO) {
        headers.remove(name);
    }
}

fn drop_not_for_guests(headers: &mut HeaderMap) {
    // Many servers hand headers on with underscores for hyphens (RFC 3875, section 4.1.18), and so the other way round.
    let is_not = |name: &HeaderName| {
        let name = name.as_str().replace('_', "-");
        NOT_FOR_GUESTS.iter().any(|start| name.starts_with(start))
    };
    let names: Vec<_> = headers.keys().filter(|name| is_not(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

fn say_who(headers: &mut HeaderMap, asker: &Asker) -> Result<(), Failure> {
    let Asker { interface, network, address, signing, .. } = asker;
    let signature = match signing {
        Signing::None => None,
        Signing::With(secret) => Some(sign(secret.reveal(), &format!("{interface}\n{network}\n{address}"))),
        Signing::Missing => return Err(Failure::Unsigned),
    };
    let all = [
        (FORWARDED_FOR, Some(address.to_string())),
        (INTERFACE, Some(interface.to_string())),
        (NETWORK, Some(network.to_string())),
        (SIGNATURE, signature),
    ];
    for (name, value) in all {
        if let Some(value) = value {
            headers.insert(name, HeaderValue::try_from(value).map_err(|_| Failure::NotUnderstood)?);
        }
    }
    Ok(())
}

/// HMAC-SHA-256 (RFC 2104), hexadecimal.
fn sign(secret: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::net::TcpListener;

    use super::*;

    fn asker(server: SocketAddr, signing: Signing) -> Asker {
        Asker {
            server,
            interface: "if-guest".parse().expect("an id"),
            network: "nw-1".parse().expect("an id"),
            address: Ipv4Addr::new(10, 0, 1, 9).into(),
            signing,
        }
    }

    fn secret(text: &str) -> Signing {
        Signing::With(serde_json::from_value(text.into()).expect("a secret"))
    }

    /// A server that answers each request with what it has got of it, in the order of the headers' names.
    async fn mirror() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a client");
                let told = service_fn(|request: Request<Incoming>| async move {
                    let mut lines: Vec<_> = request
                        .headers()
                        .iter()
                        .map(|(name, value)| format!("{name}: {}", value.to_str().expect("a text")))
                        .collect();
                    lines.sort_unstable();
                    lines.insert(0, format!("{} {}", request.method(), request.uri()));
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(lines.join("\n")))))
                });
                tokio::spawn(server::Builder::new().serve_connection(TokioIo::new(stream), told));
            }
        });
        address
    }

    /// What a guest hears that says this and then nothing more.
    async fn heard(asker: Option<Asker>, said: &str) -> String {
        let (mut guest, far) = duplex(4096);
        let served = tokio::spawn(serve(far, move || asker.clone()));
        guest.write_all(said.as_bytes()).await.expect("sent");
        guest.shutdown().await.expect("sent");
        let mut heard = String::new();
        guest.read_to_string(&mut heard).await.expect("an answer");
        served.await.expect("it ends");
        heard
    }

    #[track_caller]
    fn status(heard: &str) -> &str {
        heard.split(' ').nth(1).unwrap_or_default()
    }

    #[tokio::test]
    async fn the_server_is_told_who_asks_and_nothing_of_what_the_guest_says_of_that() {
        let lies = "GET /latest?x=1 HTTP/1.1\r\nHost: 169.254.169.254\r\nX-Forwarded-For: 192.0.2.9\r\n\
            X-OpenVNet-Interface: if-other\r\nX_OpenVNet_Network: nw-other\r\nx-openvnet-signature: 00\r\n\
            X-Instance-ID: i-1\r\nConnection: close, Private\r\nPrivate: 1\r\nPublic: 2\r\n\r\n";
        let heard = heard(Some(asker(mirror().await, secret("s3cret"))), lies).await;
        let (_, told) = heard.split_once("\r\n\r\n").expect("an answer");
        // printf 'if-guest\nnw-1\n10.0.1.9' | openssl dgst -sha256 -hmac s3cret
        let signature = "7afc9be072f927f97617e6786f619443e7c252596e6985af76a26ebcc7180c59";
        let signature = format!("x-openvnet-signature: {signature}");
        let expected = [
            "GET /latest?x=1",
            "host: 169.254.169.254",
            "public: 2",
            "via: 1.1 openvnet",
            "x-forwarded-for: 10.0.1.9",
            "x-openvnet-interface: if-guest",
            "x-openvnet-network: nw-1",
            &signature,
        ];
        assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    }

    #[tokio::test]
    async fn without_a_secret_nothing_is_signed() {
        let heard = heard(Some(asker(mirror().await, Signing::None)), "GET / HTTP/1.0\r\n\r\n").await;
        assert!(heard.contains("x-openvnet-interface: if-guest") && !heard.contains("signature"), "{heard}");
    }

    #[tokio::test]
    async fn requests_on_one_connection_are_passed_on_in_turn() {
        let two = "GET http://elsewhere.example/a HTTP/1.1\r\nHost: a\r\n\r\n\
            PUT /b HTTP/1.1\r\nHost: b\r\nContent-Length: 2\r\n\r\nxy";
        let heard = heard(Some(asker(mirror().await, Signing::None)), two).await;
        let (first, second) = (heard.find("GET /a\n"), heard.find("PUT /b\n"));
        assert!(first.is_some() && first < second, "{heard}");
    }

    #[tokio::test]
    async fn what_cannot_be_told_has_a_status_that_says_so() {
        const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let server = mirror().await;
        assert_eq!(status(&heard(None, GET).await), "404");
        assert_eq!(status(&heard(Some(asker(server, Signing::Missing)), GET).await), "503");
        let connect = "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n";
        assert_eq!(status(&heard(Some(asker(server, Signing::None)), connect).await), "400");
        let large = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
        assert_eq!(status(&heard(Some(asker(server, Signing::None)), large).await), "413");
        let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        let dead = closed.local_addr().expect("an address");
        drop(closed);
        assert_eq!(status(&heard(Some(asker(dead, Signing::None)), GET).await), "502");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_silent_is_given_up() {
        let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        let address = silent.local_addr().expect("an address");
        let heard = heard(Some(asker(address, Signing::None)), "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(status(&heard), "504");
    }

    #[tokio::test(start_paused = true)]
    async fn a_guest_that_says_nothing_or_nonsense_is_left() {
        let nobody = ([192, 0, 2, 1], 80).into();
        for said in ["", "GET / HT", "\u{16}\u{3}\u{1} nonsense\r\n\r\n"] {
            let (mut guest, far) = duplex(4096);
            let asker = asker(nobody, Signing::None);
            let served = tokio::spawn(serve(far, move || Some(asker.clone())));
            guest.write_all(said.as_bytes()).await.expect("sent");
            served.await.expect("it ends");
        }
    }
}
