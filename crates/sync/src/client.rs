//! Calls of an agent to a manager.

use std::time::Duration;

use tokio_stream::Stream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::{PathAndQuery, Scheme};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint, Uri};
use tonic::{IntoRequest, IntoStreamingRequest, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::service::KEEP_ALIVE;
use crate::wire::{self, AgentMessage, Certificate, JoinRequest, ManagerMessage, RenewRequest};

/// How long a connection may take, its TLS handshake included.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a call that is not a stream may take.
const CALL: Duration = Duration::from_secs(45);

/// How much a manager may send ahead of what the agent has read, in bytes. HTTP/2's own 64 KiB would make a snapshot over
/// a long way slow.
const WINDOW: u32 = 1024 * 1024;

/// How much a manager may send in one frame, in bytes: what its TLS has room for at once (64 KiB). With the 16 KiB that
/// HTTP/2 begins with, a large update would cost it four times as many system calls.
const FRAME: u32 = 63 * 1024;

/// A connection to a manager.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    grpc: Grpc<Channel>,
}

impl Client {
    /// Connects to a manager at `address`, of which host and port count.
    pub(crate) async fn connect(address: Uri, tls: ClientTlsConfig) -> Result<Self, tonic::transport::Error> {
        let mut parts = address.clone().into_parts();
        parts.scheme = Some(Scheme::HTTPS);
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        // Without host and port it stays what it is, and the connection fails saying so.
        let address = Uri::from_parts(parts).unwrap_or_else(|_| address.clone());
        let endpoint = Endpoint::from(address)
            .tls_config(tls.timeout(CONNECT))?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_frame_size(FRAME)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        let grpc = Grpc::new(endpoint.connect().await?).max_decoding_message_size(wire::MAX_MESSAGE);
        Ok(Self { grpc })
    }

    pub(crate) async fn join(&mut self, request: JoinRequest) -> Result<Certificate, Status> {
        self.unary(wire::JOIN, request).await
    }

    pub(crate) async fn renew(&mut self, request: RenewRequest) -> Result<Certificate, Status> {
        self.unary(wire::RENEW, request).await
    }

    pub(crate) async fn stream<S>(&mut self, messages: S) -> Result<Streaming<ManagerMessage>, Status>
    where
        S: Stream<Item = AgentMessage> + Send + 'static,
    {
        self.ready().await?;
        let path = PathAndQuery::from_static(wire::STREAM);
        let codec = ProstCodec::<AgentMessage, ManagerMessage>::default();
        let streaming = self.grpc.streaming(messages.into_streaming_request(), path, codec);
        Ok(streaming.await?.into_inner())
    }

    async fn unary<In, Out>(&mut self, path: &'static str, message: In) -> Result<Out, Status>
    where
        In: prost::Message + Default + 'static,
        Out: prost::Message + Default + 'static,
    {
        self.ready().await?;
        let mut request = message.into_request();
        request.set_timeout(CALL);
        let codec = ProstCodec::<In, Out>::default();
        Ok(self.grpc.unary(request, PathAndQuery::from_static(path), codec).await?.into_inner())
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))
    }
}
