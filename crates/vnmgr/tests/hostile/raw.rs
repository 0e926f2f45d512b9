//! A host that has joined, and its end of a stream without an agent's good manners.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use sync::machines::{AgentMessage, Hello, ManagerMessage, Ports, Said};
use sync::pki::{Identity, MANAGER_NAME};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{IntoStreamingRequest, Status, Streaming};
use tonic_prost::ProstCodec;
use topology::Dpid;
use topology::binding::SeenPort;
use topology::datapath::{Encapsulation, Registration, Underlay};

use crate::support::Lab;

/// How long anything may take: a test that needs as much has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// A host that has joined.
pub(crate) struct Joined {
    pub(crate) identity: Identity,
    pub(crate) registration: Registration,
    pub(crate) manager: String,
    dir: TempDir,
}

/// What a host with this name and number says of itself.
pub(crate) fn registration(name: &str, number: u8) -> Registration {
    Registration::new(
        name.parse().expect("a node id"),
        Dpid(0xbb00 + u64::from(number)),
        Underlay { encapsulation: Encapsulation::Geneve, address: [192, 0, 2, number].into(), mtu: 1500 },
    )
}

pub(crate) fn port(name: &str, iface_id: Option<&str>) -> SeenPort {
    let instance = format!("row-{name}");
    SeenPort {
        name: name.to_owned(),
        instance,
        iface_id: iface_id.map(ToOwned::to_owned),
        error: None,
        asks: false,
    }
}

impl Joined {
    pub(crate) async fn new(lab: &Lab, name: &str, number: u8) -> Self {
        let (dir, registration) = (TempDir::new().expect("a folder"), registration(name, number));
        let made = lab.client.post("hosts/tokens", json!({"node_id": name})).await.expect_status(201);
        let token = made.body["token"].as_str().expect("a token");
        let manager = lab.manager.addresses().sync.to_string();
        let uri = manager.parse().expect("an address");
        let identity =
            sync::agent::join(uri, token, &registration.node_id, dir.path()).await.expect("joined");
        Self { identity, registration, manager, dir }
    }

    /// Connects with the host's certificate.
    pub(crate) async fn connect(&self) -> Result<Channel, tonic::transport::Error> {
        let read = |name: &str| std::fs::read(Path::new(self.dir.path()).join(name)).expect("a file");
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(read("ca.crt")))
            .identity(tonic::transport::Identity::from_pem(read("host.crt"), read("host.key")))
            .domain_name(MANAGER_NAME);
        let endpoint = Endpoint::try_from(format!("https://{}", self.manager)).expect("a URI");
        endpoint.tls_config(tls)?.connect().await
    }

    /// Opens a stream on a new connection and says who it is.
    pub(crate) async fn hello(&self, registration: &Registration) -> Result<Raw, Status> {
        let channel = self.connect().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let registration = serde_json::to_vec(registration).expect("JSON");
        let mut raw = Raw::open(channel).await?;
        raw.say(Said::Hello(Hello { protocol: 1, registration, ..Hello::default() })).await;
        Ok(raw)
    }
}

/// A host's end of a stream, message by message.
pub(crate) struct Raw {
    outbound: mpsc::Sender<AgentMessage>,
    inbound: Streaming<ManagerMessage>,
    /// The connection lasts as long.
    _channel: Channel,
}

impl Raw {
    async fn open(channel: Channel) -> Result<Self, Status> {
        let (outbound, messages) = mpsc::channel(16);
        let mut grpc = tonic::client::Grpc::new(channel.clone());
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let codec = ProstCodec::<AgentMessage, ManagerMessage>::default();
        let path = PathAndQuery::from_static("/openvnet.sync.v1.Sync/Stream");
        let messages = ReceiverStream::new(messages).into_streaming_request();
        let inbound = grpc.streaming(messages, path, codec).await?.into_inner();
        Ok(Self { outbound, inbound, _channel: channel })
    }

    /// Says something, if there is anyone to hear it.
    pub(crate) async fn say(&mut self, said: Said) {
        let _ = self.outbound.send(said.into()).await;
    }

    pub(crate) async fn ports(&mut self, ports: &[SeenPort]) {
        let ports = ports.iter().map(|port| serde_json::to_vec(port).expect("JSON")).collect();
        self.say(Said::Ports(Ports { ports, last: true, ..Ports::default() })).await;
    }

    /// The next message, or the status with which the stream ends.
    pub(crate) async fn told(&mut self) -> Result<ManagerMessage, Status> {
        let message = tokio::time::timeout(DEADLINE, self.inbound.message()).await.expect("in time")?;
        message.ok_or_else(|| Status::ok("closed"))
    }

    pub(crate) async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.told().await {
                return status;
            }
        }
    }
}
