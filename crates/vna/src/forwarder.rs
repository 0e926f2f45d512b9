//! Asks other name servers what ours do not know, from the host's own network, without anybody waiting for it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use openflow::Connection;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::debug;

use crate::answers::Forward;

/// Most questions that are open at once. A client whose question is one too many hears nothing, and asks again.
const MOST_OPEN: usize = 256;

/// How long each server has to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Largest answer that is taken, in bytes.
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
    pub fn pass_on(&self, forward: Forward, switch: Connection) {
        let Ok(place) = self.open.clone().try_acquire_owned() else {
            debug!("too many DNS questions are open: one is dropped");
            return;
        };
        tokio::spawn(async move {
            let answer = ask(&forward.servers, &forward.query).await;
            if let Some(packet) = forward.answer(answer)
                && let Err(error) = switch.packet_out(packet).await
            {
                debug!(%error, "an answer was not sent");
            }
            drop(place);
        });
    }
}

/// The first answer that one of the servers gives.
async fn ask(servers: &[SocketAddr], query: &[u8]) -> Option<Vec<u8>> {
    for server in servers {
        match timeout(PATIENCE, exchange(*server, query)).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => debug!(%server, %error, "a name server cannot be asked"),
            Err(_) => debug!(%server, "a name server does not answer"),
        }
    }
    None
}

/// Asks one server. RFC 5452: from a port of its own, under an id of its own, and only an answer to just that is taken.
async fn exchange(server: SocketAddr, query: &[u8]) -> std::io::Result<Vec<u8>> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    let (own, asked) = (rand::random::<[u8; 2]>(), query.get(..2).unwrap_or_default().to_vec());
    let question = [&own[..], query.get(2..).unwrap_or_default()].concat();
    socket.send(&question).await?;
    let mut buffer = vec![0; LARGEST];
    loop {
        let size = socket.recv(&mut buffer).await?;
        let Some(answer) = buffer.get(..size).filter(|answer| answers(answer, &question)) else { continue };
        return Ok([&asked[..], answer.get(2..).unwrap_or_default()].concat());
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
        let answer = ask(&[server], QUERY).await.expect("an answer");
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
        let answer = ask(&[server], QUERY).await.expect("an answer");
        assert_eq!(answer[13], b'a');
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_silent_is_given_up() {
        let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        let silent = silent.local_addr().map(|address| (silent, address)).expect("an address");
        assert_eq!(ask(&[silent.1], QUERY).await, None);
    }
}
