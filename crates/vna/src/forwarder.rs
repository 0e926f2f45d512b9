//! Asks other name servers what ours do not know, from the host's own network, without anybody waiting for it.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use openflow::Connection;
use responder::dns::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::debug;

use crate::answers::{Asked, Forward};

/// Most questions that are open at once. A client whose question is one too many hears nothing, and asks again.
const MOST_OPEN: usize = 256;

/// How long each server has to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Largest answer that is taken of a datagram, in bytes.
const LARGEST: usize = 4096;

/// Passes questions on.
#[derive(Clone, Debug)]
pub struct Forwarder {
    open: Arc<Semaphore>,
}

impl Default for Forwarder {
    fn default() -> Self {
        Self { open: Arc::new(Semaphore::new(MOST_OPEN)) }
    }
}

impl Forwarder {
    /// Asks, and sends the answer through the switch once there is one.
    pub fn pass_on(&self, forward: Forward, asked: Asked, switch: Connection) {
        let Ok(place) = self.open.clone().try_acquire_owned() else {
            debug!("too many DNS questions are open: one is dropped");
            return;
        };
        tokio::spawn(async move {
            let answer = first(&forward.servers, &forward.query, Transport::Udp).await;
            if let Some(packet) = forward.answer(answer).and_then(|answer| asked.answer(&answer))
                && let Err(error) = switch.packet_out(packet).await
            {
                debug!(%error, "an answer was not sent");
            }
            drop(place);
        });
    }

    /// Asks for the whole of an answer, over TCP, as who asks so has come by TCP, too.
    pub async fn ask_at_length(&self, forward: &Forward) -> Option<Vec<u8>> {
        let Ok(_place) = self.open.try_acquire() else {
            debug!("too many DNS questions are open: one is not asked");
            return None;
        };
        first(&forward.servers, &forward.query, Transport::Tcp).await
    }
}

/// The first answer that one of the servers gives.
async fn first(servers: &[SocketAddr], query: &[u8], transport: Transport) -> Option<Vec<u8>> {
    for server in servers {
        match timeout(PATIENCE, exchange(*server, query, transport)).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => debug!(%server, %error, "a name server cannot be asked"),
            Err(_) => debug!(%server, "a name server does not answer"),
        }
    }
    None
}

/// Asks one server. RFC 5452: from a port of its own, under an id of its own, and only an answer to just that is taken.
async fn exchange(server: SocketAddr, query: &[u8], transport: Transport) -> std::io::Result<Vec<u8>> {
    let own = rand::random::<[u8; 2]>();
    let question = [&own[..], query.get(2..).unwrap_or_default()].concat();
    let answer = match transport {
        Transport::Udp => by_datagram(server, &question).await?,
        Transport::Tcp => by_stream(server, &question).await?,
    };
    Ok([query.get(..2).unwrap_or_default(), answer.get(2..).unwrap_or_default()].concat())
}

async fn by_datagram(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; LARGEST];
    loop {
        let size = socket.recv(&mut buffer).await?;
        if let Some(answer) = buffer.get(..size).filter(|answer| answers(answer, question)) {
            return Ok(answer.to_vec());
        }
    }
}

/// RFC 7766, section 8: each message goes with its length before it.
async fn by_stream(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let size = u16::try_from(question.len()).map_err(|_| ErrorKind::InvalidInput)?;
    stream.write_all(&[&size.to_be_bytes(), question].concat()).await?;
    loop {
        let size = stream.read_u16().await?;
        let mut answer = vec![0; size.into()];
        stream.read_exact(&mut answer).await?;
        if answers(&answer, question) {
            return Ok(answer);
        }
    }
}

/// Whether a message answers another: the same id and question, and it says that it is an answer (RFC 1035, section 4.1.1).
fn answers(answer: &[u8], question: &[u8]) -> bool {
    let is_answer = answer.get(2).is_some_and(|flags| flags & 0x80 != 0);
    // The question follows a header of 12 bytes, and ends at the zero byte of its name and four more.
    let end =
        question.get(12..).and_then(|rest| rest.iter().position(|byte| *byte == 0)).map(|at| 12 + at + 5);
    let same = |range: std::ops::Range<usize>| {
        let (one, other) = (answer.get(range.clone()), question.get(range));
        one.is_some() && one.map(<[u8]>::to_ascii_lowercase) == other.map(<[u8]>::to_ascii_lowercase)
    };
    is_answer && answer.get(..2) == question.get(..2) && end.is_some_and(|end| same(12..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question for the address of a.example.
    const QUERY: &[u8] =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01";

    /// A server that answers one question with these messages, made of the question.
    async fn server(replies: Vec<fn(Vec<u8>) -> Vec<u8>>) -> SocketAddr {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        let address = socket.local_addr().expect("an address");
        tokio::spawn(async move {
            let mut buffer = vec![0; LARGEST];
            let (size, client) = socket.recv_from(&mut buffer).await.expect("a question");
            for reply in replies {
                socket.send_to(&reply(buffer[..size].to_vec()), client).await.expect("sent");
            }
        });
        address
    }

    fn answered(mut question: Vec<u8>) -> Vec<u8> {
        question[2] |= 0x80;
        question
    }

    #[tokio::test]
    async fn an_answer_comes_back_under_the_id_of_the_question() {
        let server = server(vec![answered]).await;
        let answer = first(&[server], QUERY, Transport::Udp).await.expect("an answer");
        assert_eq!((&answer[..2], answer[2]), (&QUERY[..2], 0x81));
    }

    #[tokio::test]
    async fn what_answers_another_question_is_not_taken() {
        let of_other = |question: Vec<u8>| {
            let mut other = answered(question);
            other[13] = b'b';
            other
        };
        let of_other_id = |question: Vec<u8>| {
            let mut other = answered(question);
            other[0] ^= 1;
            other
        };
        let server = server(vec![of_other, of_other_id, |question| question, |_| Vec::new(), answered]).await;
        let answer = first(&[server], QUERY, Transport::Udp).await.expect("an answer");
        assert_eq!(answer[13], b'a');
    }

    #[tokio::test]
    async fn over_tcp_an_answer_of_any_size_is_taken() {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        let server = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let size = stream.read_u16().await.expect("a length");
            let mut question = vec![0; size.into()];
            stream.read_exact(&mut question).await.expect("a question");
            let answer = [answered(question), vec![0; 60_000]].concat();
            stream.write_u16(answer.len() as u16).await.expect("sent");
            stream.write_all(&answer).await.expect("sent");
        });
        let answer = first(&[server], QUERY, Transport::Tcp).await.expect("an answer");
        assert_eq!((&answer[..2], answer.len()), (&QUERY[..2], QUERY.len() + 60_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_silent_is_given_up() {
        let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        let silent = silent.local_addr().map(|address| (silent, address)).expect("an address");
        assert_eq!(first(&[silent.1], QUERY, Transport::Udp).await, None);
    }
}
