//! The floor: as many connections with mutual TLS, and as many bytes to each, with nobody who decides, encodes or compiles.
//!
//! As many servers and as many clients as there are processors, all threads of this process; connections come one after the
//! other, each with a handshake, and are closed when their bytes are there.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::machine::Used;

/// The server's name.
const NAME: &str = "floor";

/// How much is written at once: what fits a record of TLS (RFC 8446, section 5.1).
const RECORD: usize = 16 * 1024;

/// Longest time without a byte.
const SILENCE: Duration = Duration::from_secs(60);

/// What it takes to bring bytes to hosts.
pub(super) struct Floor {
    pub(super) took: Duration,
    /// Of servers and clients together.
    pub(super) cpu_seconds: f64,
}

/// Sends every host so many bytes.
pub(super) fn measure(bytes: &[u64]) -> anyhow::Result<Floor> {
    let (server, client) = configs()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let (served, fetched) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let take = |counter: &AtomicUsize| bytes.get(counter.fetch_add(1, Ordering::Relaxed)).copied();
    let used = || Used::of(std::process::id());
    let (before, started) = (used()?, Instant::now());
    thread::scope(|scope| {
        let serve = || {
            while let Some(bytes) = take(&served) {
                send(&listener, &server, bytes)?;
            }
            anyhow::Ok(())
        };
        let fetch = || {
            while take(&fetched).is_some() {
                receive(TcpStream::connect(address)?, &client)?;
            }
            anyhow::Ok(())
        };
        let mut running: Vec<_> = (0..workers).map(|_| scope.spawn(serve)).collect();
        running.extend((0..workers).map(|_| scope.spawn(fetch)));
        let ended = running
            .into_iter()
            .map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.collect::<anyhow::Result<()>>()
    })?;
    Ok(Floor { took: started.elapsed(), cpu_seconds: (used()? - before).cpu_seconds })
}

fn send(listener: &TcpListener, config: &Arc<ServerConfig>, bytes: u64) -> anyhow::Result<()> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    let mut tls = StreamOwned::new(ServerConnection::new(config.clone())?, stream);
    let record = [7; RECORD];
    tls.conn.complete_io(&mut tls.sock)?;
    let mut rest = usize::try_from(bytes)?;
    while rest > 0 {
        let now = rest.min(RECORD);
        tls.write_all(&record[..now])?;
        rest -= now;
    }
    tls.conn.send_close_notify();
    tls.flush()?;
    // A connection that is closed while there is something to read takes along what is still on its way.
    ensure!(tls.read(&mut [0])? == 0, "nobody says anything");
    Ok(())
}

fn receive(stream: TcpStream, config: &Arc<ClientConfig>) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    let name = ServerName::try_from(NAME)?;
    let mut tls = StreamOwned::new(ClientConnection::new(config.clone(), name)?, stream);
    let mut buffer = [0; RECORD];
    while tls.read(&mut buffer)? > 0 {}
    tls.conn.send_close_notify();
    tls.flush()?;
    ensure!(tls.conn.peer_certificates().is_some(), "nobody has proven who it is");
    Ok(())
}

/// Both ends, each with a certificate of one authority that the other asks for.
fn configs() -> anyhow::Result<(Arc<ServerConfig>, Arc<ClientConfig>)> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let authority = params.self_signed(&key)?;
    let issuer = Issuer::new(params, key);
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone())?;
    let roots = Arc::new(roots);
    let certified = || -> anyhow::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([NAME.to_owned()])?.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).ok().context("a key")?;
        Ok((vec![certificate.der().clone()], key))
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let ((server, server_key), (client, client_key)) = (certified()?, certified()?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build()?;
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(server, server_key)?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(client, client_key)?;
    Ok((Arc::new(server), Arc::new(client)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_gets_its_bytes() -> anyhow::Result<()> {
        measure(&[0, 1, 100_000]).map(drop)
    }
}
