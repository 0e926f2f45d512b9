//! Answers to DNS queries (RFC 1034, RFC 1035) from records that are known here.
//!
//! - [`dns()`] gives the answer to a message, whatever carried it.
//! - [`query`] and [`reply`] take queries out of UDP frames, and put answers into them.
//! - [`Records`]: what is known, and how names are looked up.
//!
//! # What is answered
//! Names within a zone, whether they exist or not, and other names that there are records of, as those that addresses are
//! looked up by. All else is forwarded, if that is possible, or refused. An alias that leads out of what is known is
//! answered alone.
//!
//! # How large
//! A message over UDP is as large as its client takes (RFC 6891), but never larger than what passes everywhere without
//! fragments. What is larger is cut to its question, and the client asks again over TCP.

mod lookup;
mod records;

use hickory_proto::op::{
    Edns, Header, HeaderCounts, Message, MessageType, Metadata, OpCode, Query, ResponseCode,
};
use hickory_proto::rr::{DNSClass, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use crate::ethernet::is_group;
use crate::udp::{self, Datagram, Ports};
use lookup::{Found, look_up};
pub use records::{Data, Forwarding, Records, Zone};

/// The port of servers (RFC 1035, section 4.2).
const PORT: u16 = 53;

/// The largest message over UDP, in bytes: fits the smallest MTU of IPv6 (RFC 9715, section 3).
const MOST_OVER_UDP: u16 = 1232;

/// The largest message over UDP for a client that does not tell, in bytes (RFC 1035, section 4.2.1).
const LEAST_OVER_UDP: u16 = 512;

/// Most records of a query. It needs one, for EDNS, or two, if it is signed; names in records can be far larger than what
/// points at them.
const MOST_RECORDS: u16 = 8;

/// What carries a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams, which limit a message's size.
    Udp,
    /// A stream. The length before a message (RFC 1035, section 4.2.2) is the caller's.
    Tcp,
}

/// What to do about a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The message to answer with.
    Reply(Vec<u8>),
    /// Nothing is known of the name: somebody else is to be asked.
    Forward,
    /// It is no query, and has no answer.
    Ignored,
}

/// Why a query that was to be forwarded is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody may be asked.
    Refused,
    /// Nobody gave an answer.
    NoAnswer,
}

/// The answer to a message.
pub fn dns(message: &[u8], records: &Records, transport: Transport) -> Answer {
    let Some(header) = query_header(message) else { return Answer::Ignored };
    let mut reply = response(&header.metadata, records);
    match read(message) {
        Ok(question) => {
            question.prepare(&mut reply);
            let outcome = answer(&question, records, &mut reply);
            if outcome == Outcome::Elsewhere && records.forwards() {
                return Answer::Forward;
            }
            encode(&reply, question.most(transport)).map_or(Answer::Ignored, Answer::Reply)
        }
        Err(code) => {
            reply.metadata.response_code = code;
            encode(&reply, LEAST_OVER_UDP).map_or(Answer::Ignored, Answer::Reply)
        }
    }
}

/// The message that tells a client that its query is not answered. `None` if that is no query.
pub fn failed(message: &[u8], failure: Failure, records: &Records) -> Option<Vec<u8>> {
    let mut reply = response(&query_header(message)?.metadata, records);
    if let Ok(question) = read(message) {
        question.prepare(&mut reply);
    }
    reply.metadata.response_code = match failure {
        Failure::Refused => ResponseCode::Refused,
        Failure::NoAnswer => ResponseCode::ServFail,
    };
    encode(&reply, LEAST_OVER_UDP)
}

/// The message in an Ethernet frame with a UDP datagram from one node to the DNS port of another.
pub fn query(frame: &[u8]) -> Option<&[u8]> {
    to_server(frame).map(|datagram| datagram.payload)
}

/// The frame that carries an answer back to where the frame with its query came from, addresses and ports exchanged.
///
/// An answer that is too large for UDP is cut to its question, marked as such.
///
/// `None` if the frame holds no query, or the answer is none.
pub fn reply(frame: &[u8], answer: &[u8]) -> Option<Vec<u8>> {
    let query = to_server(frame)?;
    let ports = Ports { source: query.ports.destination, destination: query.ports.source };
    let addresses = query.addresses.exchanged();
    let packet = if answer.len() > usize::from(MOST_OVER_UDP) {
        udp::packet(addresses, ports, &cut(answer)?)?
    } else {
        udp::packet(addresses, ports, answer)?
    };
    Some(query.frame.answer(query.frame.destination, query.frame.source, &packet))
}

/// A datagram to a server, from where an answer reaches (RFC 6335, section 6: port 0 is nobody's).
fn to_server(frame: &[u8]) -> Option<Datagram<'_>> {
    let datagram = Datagram::parse(frame)?;
    let Ports { source, destination } = datagram.ports;
    let is_of_one = datagram.addresses.are_hosts()
        && !is_group(datagram.frame.destination)
        && !is_group(datagram.frame.source);
    (destination == PORT && source != 0 && is_of_one).then_some(datagram)
}

/// A query's header. `None` if it is an answer's, or cut short: then there is no knowing whom to answer what.
fn query_header(message: &[u8]) -> Option<Header> {
    let header = Header::read(&mut BinDecoder::new(message)).ok()?;
    (header.metadata.message_type == MessageType::Query).then_some(header)
}

/// What a query asks, and how.
struct Question {
    query: Query,
    edns: Option<Edns>,
}

impl Question {
    /// Puts into an answer what it repeats of the query.
    fn prepare(&self, reply: &mut Message) {
        reply.queries = vec![self.query.clone()];
        reply.edns = self.edns.as_ref().map(edns_reply);
    }

    /// The size that an answer may have, in bytes.
    fn most(&self, transport: Transport) -> u16 {
        let told = self.edns.as_ref().map_or(LEAST_OVER_UDP, Edns::max_payload);
        match transport {
            Transport::Udp => told.clamp(LEAST_OVER_UDP, MOST_OVER_UDP),
            Transport::Tcp => u16::MAX,
        }
    }
}

/// Reads a query, or tells what is wrong with it. The counts in its header are looked at first: room for what they promise would be made at once.
fn read(message: &[u8]) -> Result<Question, ResponseCode> {
    let mut decoder = BinDecoder::new(message);
    let Header { metadata, counts } = Header::read(&mut decoder).map_err(|_| ResponseCode::FormErr)?;
    if metadata.op_code != OpCode::Query {
        return Err(ResponseCode::NotImp);
    }
    // RFC 9619: a query has one question.
    if counts.queries != 1 || records_of(counts) > MOST_RECORDS {
        return Err(ResponseCode::FormErr);
    }
    let query = Query::read(&mut decoder).map_err(|_| ResponseCode::FormErr)?;
    let mut edns = None;
    for (count, is_additional) in
        [(counts.answers, false), (counts.authorities, false), (counts.additionals, true)]
    {
        let records = Message::read_records(&mut decoder, count.into(), is_additional, OpCode::Query);
        edns = records.map_err(|_| ResponseCode::FormErr)?.1;
    }
    Ok(Question { query, edns })
}

fn records_of(counts: HeaderCounts) -> u16 {
    counts.answers.saturating_add(counts.authorities).saturating_add(counts.additionals)
}

/// Whether there is something to say of a question.
#[derive(PartialEq, Eq)]
enum Outcome {
    Here,
    Elsewhere,
}

fn answer(Question { query, edns }: &Question, records: &Records, reply: &mut Message) -> Outcome {
    // RFC 6891, section 6.1.3.
    if edns.as_ref().is_some_and(|edns| edns.version() > 0) {
        reply.metadata.response_code = ResponseCode::BADVERS;
        return Outcome::Here;
    }
    let is_transfer = matches!(query.query_type(), RecordType::AXFR | RecordType::IXFR);
    // RFC 1035, section 3.2.4: other classes are other name spaces. RFC 5936, section 2.2: who may copy a zone.
    if query.query_class() != DNSClass::IN || is_transfer {
        reply.metadata.response_code = ResponseCode::Refused;
        return Outcome::Here;
    }
    let Found { code, is_known, answers, authorities } = look_up(records, query.name(), query.query_type());
    reply.metadata.response_code = code;
    reply.metadata.authoritative = is_known;
    reply.answers = answers;
    reply.authorities = authorities;
    if is_known { Outcome::Here } else { Outcome::Elsewhere }
}

fn response(query: &Metadata, records: &Records) -> Message {
    let mut reply = Message::response(query.id, query.op_code);
    reply.metadata = Metadata::response_from_request(query);
    reply.metadata.recursion_available = records.forwards();
    reply
}

/// RFC 6891, section 6.1.1: who speaks it is answered in it. RFC 3225, section 3: and gets its flag back.
fn edns_reply(query: &Edns) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(MOST_OVER_UDP).set_dnssec_ok(query.flags().dnssec_ok);
    edns
}

/// A message of at most so many bytes, if need be without what answers the question (RFC 2181, section 9).
fn encode(reply: &Message, most: u16) -> Option<Vec<u8>> {
    let whole = reply.to_vec().ok()?;
    if whole.len() <= usize::from(most) {
        return Some(whole);
    }
    reply.truncate().to_vec().ok()
}

/// An answer without what answers its question.
fn cut(answer: &[u8]) -> Option<Vec<u8>> {
    let counts = Header::read(&mut BinDecoder::new(answer)).ok()?.counts;
    // As in a query, the count is looked at before room is made for it.
    if counts.queries > 1 {
        return None;
    }
    Message::from_vec(answer).ok()?.truncate().to_vec().ok()
}
