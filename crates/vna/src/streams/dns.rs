//! Names over TCP (RFC 7766): queries one after another, each with its length before it, as their answers.

use std::time::Duration;

use responder::dns::Transport;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use topology::InterfaceKey;

use super::Services;
use crate::answers::{Told, tell};

/// How long a client may keep a connection without asking (RFC 7766, section 6.2.3: a few seconds).
const IDLE: Duration = Duration::from_secs(10);

/// Longest query, in bytes: far more than a name and its options take (RFC 1035, section 2.3.4; RFC 6891, section 6.1.2).
const LONGEST: u16 = 4096;

/// Most queries of one connection: then the client opens another.
const MOST: usize = 1000;

/// Serves one connection, until either side has no more to say.
pub(super) async fn serve<S>(mut stream: S, server: InterfaceKey, services: &Services)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    for _ in 0..MOST {
        let Ok(Some(query)) = timeout(IDLE, read(&mut stream)).await else { return };
        let Some(replica) = services.replica() else { return };
        let answer = match tell(&query, Transport::Tcp, server, &replica.topology, &services.names) {
            Some(Told::Answer(answer)) => Some(answer),
            Some(Told::Elsewhere(forward)) => {
                let answer = services.forwarder.ask_at_length(&forward).await;
                forward.answer(answer)
            }
            // RFC 7766, section 8: what cannot be understood ends the connection.
            None => None,
        };
        let Some(answer) = answer else { return };
        if !matches!(timeout(IDLE, write(&mut stream, &answer)).await, Ok(Some(()))) {
            return;
        }
    }
}

/// A message. `None` at the end, or if it is too long.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let size = stream.read_u16().await.ok().filter(|size| *size <= LONGEST)?;
    let mut message = vec![0; size.into()];
    stream.read_exact(&mut message).await.ok()?;
    Some(message)
}

/// Writes a message: at once with its length, as many clients read it at once (RFC 7766, section 8).
async fn write(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> Option<()> {
    let size = u16::try_from(message.len()).ok()?;
    stream.write_all(&[&size.to_be_bytes(), message].concat()).await.ok()?;
    stream.flush().await.ok()
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::streams::tests::{SERVER, services};

    /// A question for the address of g.one.example.
    const QUERY: &[u8] =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05guest\x03one\x07example\x00\x00\x01\x00\x01";

    fn client() -> (DuplexStream, JoinHandle<()>) {
        let (near, far) = duplex(4096);
        let services = services();
        (near, tokio::spawn(async move { serve(far, SERVER, &services).await }))
    }

    #[tokio::test]
    async fn queries_on_one_connection_are_answered_in_turn() {
        let (mut client, server) = client();
        let other = [b"\x56\x78", &QUERY[2..]].concat();
        // Both at once, and not cut where messages end.
        let size = u16::try_from(QUERY.len()).expect("small").to_be_bytes();
        let both = [&size, QUERY, &size, &other].concat();
        let (first, rest) = both.split_at(QUERY.len() + 3);
        client.write_all(first).await.expect("sent");
        client.write_all(rest).await.expect("sent");
        for query in [QUERY, &other] {
            let answer = read(&mut client).await.expect("an answer");
            assert_eq!((&answer[..2], &answer[answer.len() - 4..]), (&query[..2], &[10, 0, 1, 9][..]));
        }
        drop(client);
        server.await.expect("it ends with its client");
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_or_nonsense_is_left() {
        for said in [&b""[..], b"\x00", b"\xff\xff", b"\x00\x00", b"\x00\x03abc"] {
            let (mut client, server) = client();
            client.write_all(said).await.expect("sent");
            server.await.expect("it ends");
            assert_eq!(client.read(&mut [0]).await.expect("the end"), 0);
        }
    }
}
