//! The server: calls, their limits, and the life of the whole.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::server::{Grpc, NamedService};
use tonic::transport::ServerTlsConfig;
use tonic::transport::server::TlsConnectInfo;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use topology::NodeId;
use tower::{Service, service_fn};

use crate::history::History;
use crate::listener::{Admission, accept};
use crate::manager::{Head, JoinError, Manager, ServeError, SessionId};
use crate::pki::{Authority, Peer, PkiError, digest};
use crate::session::{ROOM, Session};
use crate::sessions::Sessions;
use crate::wire::{self, AgentMessage, Certificate, JoinRequest, ManagerMessage, RenewRequest};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a connection may be silent before it is asked whether it lives, and how long it may then take to answer.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Calls at once on one connection: an agent needs its stream and one more.
const MAX_CALLS: u32 = 4;

/// Largest headers of a call, in bytes.
const MAX_HEADERS: u32 = 16 * 1024;

/// Joins and renewals at once: each costs a signature, and a join may be anyone's.
const MAX_SIGNING: usize = 8;

/// How long a join may take.
const JOIN: Duration = Duration::from_secs(30);

/// How long connections may take to end when the server stops.
const STOP: Duration = Duration::from_secs(5);

struct Server {
    authority: Authority,
    manager: Arc<dyn Manager>,
    history: Arc<History>,
    sessions: Arc<Sessions>,
    last_session: AtomicU64,
    signing: Semaphore,
    running: TaskTracker,
    stop: CancellationToken,
}

/// See [`crate::manager::serve`].
pub(crate) async fn serve(
    listener: TcpListener,
    authority: Authority,
    manager: Arc<dyn Manager>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let mut heads = manager.head();
    let history = Arc::new(History::new(&heads.borrow_and_update()));
    let tls = tls(&authority)?;
    let server = Arc::new(Server {
        authority,
        manager,
        history: history.clone(),
        sessions: Arc::default(),
        last_session: AtomicU64::new(0),
        signing: Semaphore::new(MAX_SIGNING),
        running: TaskTracker::new(),
        stop: CancellationToken::new(),
    });
    let connections = tonic::transport::Server::builder()
        .tls_config(tls)?
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .http2_max_header_list_size(MAX_HEADERS)
        .max_concurrent_streams(MAX_CALLS)
        .add_service(Calls(server.clone()))
        .serve_with_incoming_shutdown(accept(listener), server.stop.clone().cancelled_owned());
    let mut connections = pin!(connections);
    tokio::select! {
        ended = &mut connections => return Ok(ended?),
        () = follow(heads, &history) => {}
        () = shutdown => {}
    }
    server.stop.cancel();
    server.running.close();
    let stopped = timeout(STOP, async {
        server.running.wait().await;
        connections.await
    });
    // Whoever does not take the end of its connection by then has lost it anyway.
    Ok(stopped.await.unwrap_or(Ok(()))?)
}

fn tls(authority: &Authority) -> Result<ServerTlsConfig, PkiError> {
    let tls = ServerTlsConfig::new()
        .identity(authority.manager_identity()?)
        .client_ca_root(tonic::transport::Certificate::from_pem(authority.pem()))
        .timeout(HANDSHAKE);
    // A host that joins has none yet. Every other call asks for it.
    Ok(tls.client_auth_optional(true))
}

/// Takes every head into the history, until the manager has no more.
async fn follow(mut heads: watch::Receiver<Arc<Head>>, history: &History) {
    while heads.changed().await.is_ok() {
        let head = heads.borrow_and_update().clone();
        history.push(&head);
    }
}

/// The calls, by path.
#[derive(Clone)]
struct Calls(Arc<Server>);

impl NamedService for Calls {
    const NAME: &'static str = wire::SERVICE;
}

impl Service<http::Request<Body>> for Calls {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let server = self.0.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                wire::JOIN => {
                    let join = service_fn(move |request| server.clone().join(request));
                    grpc(wire::MAX_UNARY).unary(join, request).await
                }
                wire::RENEW => {
                    let renew = service_fn(move |request| server.clone().renew(request));
                    grpc(wire::MAX_UNARY).unary(renew, request).await
                }
                wire::STREAM => {
                    let stream = service_fn(move |request| server.clone().stream(request));
                    grpc(wire::MAX_SAID).streaming(stream, request).await
                }
                _ => Status::unimplemented("there is no such call").into_http(),
            })
        })
    }
}

fn grpc<In, Out>(limit: usize) -> Grpc<ProstCodec<Out, In>>
where
    In: prost::Message + Default + Send + 'static,
    Out: prost::Message + Default + Send + 'static,
{
    Grpc::new(ProstCodec::default()).max_decoding_message_size(limit)
}

impl Server {
    async fn join(self: Arc<Self>, request: Request<JoinRequest>) -> Result<Response<Certificate>, Status> {
        let request = request.into_inner();
        let node: NodeId = request
            .node_id
            .parse()
            .map_err(|error: topology::address::InvalidNodeId| Status::invalid_argument(error.to_string()))?;
        // Certified first, so that a malformed request does not use the token up.
        let certificate = self.certify(&request.request, &node)?;
        let redeemed = timeout(JOIN, self.manager.redeem(digest(&request.secret), node)).await;
        redeemed.map_err(|_| Status::deadline_exceeded("the manager is too busy"))?.map_err(|error| {
            match error {
                JoinError::Refused(_) => Status::permission_denied(error.to_string()),
                JoinError::Unavailable(_) => Status::unavailable(error.to_string()),
            }
        })?;
        Ok(Response::new(certificate))
    }

    async fn renew(self: Arc<Self>, request: Request<RenewRequest>) -> Result<Response<Certificate>, Status> {
        let peer = peer(&request)?;
        Ok(Response::new(self.certify(&request.into_inner().request, &peer.node)?))
    }

    fn certify(&self, request: &[u8], node: &NodeId) -> Result<Certificate, Status> {
        let _permit = self.signing.try_acquire().map_err(|_| Status::resource_exhausted("try again"))?;
        let certificate = self.authority.certify(request, node, SystemTime::now());
        let certificate = certificate.map_err(|error| Status::invalid_argument(error.to_string()))?;
        Ok(Certificate { certificate })
    }

    async fn stream(
        self: Arc<Self>,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<ReceiverStream<Result<ManagerMessage, Status>>>, Status> {
        let peer = peer(&request)?;
        let stay = connection(&request).map(|connection| connection.get_ref().admit());
        let session = Session {
            id: SessionId(self.last_session.fetch_add(1, Ordering::Relaxed) + 1),
            peer,
            manager: self.manager.clone(),
            history: self.history.clone(),
            sessions: self.sessions.clone(),
        };
        let (outbound, messages) = mpsc::channel(ROOM);
        let stop = self.stop.clone();
        self.running.spawn(async move {
            session.run(request.into_inner(), outbound, stop).await;
            drop(stay);
        });
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}

/// Who calls, as TLS has verified.
fn peer<T>(request: &Request<T>) -> Result<Peer, Status> {
    let certificates = connection(request).and_then(TlsConnectInfo::peer_certs);
    let certificate = certificates.as_ref().and_then(|chain| chain.first());
    let certificate =
        certificate.ok_or_else(|| Status::unauthenticated("this call needs a host's certificate"))?;
    Peer::of(certificate).map_err(|error| Status::unauthenticated(error.to_string()))
}

/// The connection by which a call came.
fn connection<T>(request: &Request<T>) -> Option<&TlsConnectInfo<Admission>> {
    request.extensions().get()
}
