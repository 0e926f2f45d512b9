//! Messages, as they are on the wire (protocol buffers), and their limits.
//!
//! Objects and what agents say of themselves travel in the one form that the store and the API use, JSON, which
//! passes over fields that a version does not know. Of objects hosts are told what they need (`topology::scope`). Lists
//! that may be long are cut into parts, so that no message is large and both ends interleave them with others.
//!
//! A manager that does not take an agent as it is ends the stream with a status that says why.
//!
//! ```text
//! Join(JoinRequest) -> Certificate         without a client certificate
//! Renew(RenewRequest) -> Certificate
//! Stream(stream AgentMessage) -> stream ManagerMessage
//! ```

// The derived accessors are public whatever the type is.
#![allow(unreachable_pub)]

use bytes::Bytes;

/// The service's full name.
pub(crate) const SERVICE: &str = "openvnet.sync.v1.Sync";
/// The path of the call of the same name.
pub(crate) const JOIN: &str = "/openvnet.sync.v1.Sync/Join";
/// The path of the call of the same name.
pub(crate) const RENEW: &str = "/openvnet.sync.v1.Sync/Renew";
/// The path of the call of the same name.
pub(crate) const STREAM: &str = "/openvnet.sync.v1.Sync/Stream";

/// Raised when the meaning of messages changes; what both ends can pass over leaves it as it is.
pub(crate) const PROTOCOL: u32 = 1;

/// Where a part of a list is cut, in bytes: small enough to interleave, large enough to be cheap.
pub(crate) const PART: usize = 256 * 1024;

/// Largest message of an agent, in bytes: a part, and the one port that went beyond it. In memory it may take thirty times
/// as much, and every host may send one.
pub(crate) const MAX_SAID: usize = 2 * PART;

/// Largest message of a manager, in bytes: a part, and the one object that went beyond it.
pub(crate) const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// Largest message of a call that anyone may make, in bytes. A signing request has about 300.
pub(crate) const MAX_UNARY: usize = 16 * 1024;

/// A [`Refused`] question could be answered another time.
pub(crate) const REFUSED_UNAVAILABLE: u32 = 1;
/// A [`Refused`] question makes no sense on this host.
pub(crate) const REFUSED_INVALID: u32 = 2;

/// Asks for a host's first certificate.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct JoinRequest {
    #[prost(string, tag = "1")]
    pub(crate) node_id: String,
    /// The token's secret.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) secret: Vec<u8>,
    /// PKCS #10, DER.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) request: Vec<u8>,
}

/// Asks for a new certificate for the host that the present one names.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RenewRequest {
    /// PKCS #10, DER.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) request: Vec<u8>,
}

/// A host's certificate.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Certificate {
    /// X.509, DER.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) certificate: Vec<u8>,
}

/// What an agent says.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AgentMessage {
    /// One of the kinds; `None` if it is one that this version does not know.
    #[prost(oneof = "Said", tags = "1, 2, 3, 40")]
    pub said: Option<Said>,
}

/// The kinds of [`AgentMessage`].
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Said {
    /// Who it is, and what it has.
    #[prost(message, tag = "1")]
    Hello(Hello),
    /// What ports its host has.
    #[prost(message, tag = "2")]
    Ports(Ports),
    /// What its switch does.
    #[prost(message, tag = "3")]
    Realized(Realized),
    /// What it was asked.
    #[prost(message, tag = "40")]
    Answer(Answer),
}

/// First message of a stream, and again when the registration changes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Hello {
    /// Which protocol it speaks.
    #[prost(uint32, tag = "1")]
    pub protocol: u32,
    /// `topology::datapath::Registration`, JSON.
    #[prost(bytes = "vec", tag = "2")]
    pub registration: Vec<u8>,
    /// What the agent has already. Only in the first message.
    #[prost(message, optional, tag = "3")]
    pub resume: Option<Resume>,
    /// The kinds of questions that it answers: `question::KINDS`. It must be asked no others.
    #[prost(string, repeated, tag = "40")]
    pub answers: Vec<String>,
}

/// The replica that an agent has.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Resume {
    /// Whose revision it is.
    #[prost(string, tag = "1")]
    pub store_id: String,
    /// Whose replica it is: `topology::DatapathId`, as text.
    #[prost(string, tag = "2")]
    pub datapath: String,
    /// The revision of the replica.
    #[prost(uint64, tag = "3")]
    pub revision: u64,
}

/// A part of a report of ports: of the list of all, or of what has changed since the last report of the stream.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Ports {
    /// `topology::binding::SeenPort`, JSON.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub ports: Vec<Vec<u8>>,
    /// The report is whole with this part.
    #[prost(bool, tag = "2")]
    pub last: bool,
    /// It says what has changed: ports that are not in it stay as they are. The same in all parts. Only to those that take it,
    /// see [`Welcome::takes_port_changes`], and not before all ports have been said on this stream.
    #[prost(bool, tag = "3")]
    pub changes: bool,
    /// Names of ports that are gone, if it says what has changed.
    #[prost(string, repeated, tag = "4")]
    pub gone: Vec<String>,
}

/// The host's switch does what the topology says up to this revision.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Realized {
    /// The revision.
    #[prost(uint64, tag = "1")]
    pub revision: u64,
}

/// A part of the answer to a question.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Answer {
    /// The question's.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// What there is to tell: what the question asks for, JSON.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub items: Vec<Vec<u8>>,
    /// The answer is whole with this part.
    #[prost(bool, tag = "3")]
    pub last: bool,
    /// How many items there are in all, of which the question wanted some.
    #[prost(uint64, tag = "4")]
    pub total: u64,
    /// There is no answer, and why.
    #[prost(message, optional, tag = "5")]
    pub refusal: Option<Refused>,
}

/// Why there is no answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Refused {
    /// `REFUSED_UNAVAILABLE` or `REFUSED_INVALID`.
    #[prost(uint32, tag = "1")]
    pub kind: u32,
    /// The reason, for people.
    #[prost(string, tag = "2")]
    pub reason: String,
}

/// What a manager says.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ManagerMessage {
    /// One of the kinds; `None` if it is one that this version does not know.
    #[prost(oneof = "Told", tags = "1, 2, 40")]
    pub told: Option<Told>,
}

/// The kinds of [`ManagerMessage`].
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Told {
    /// The agent is known.
    #[prost(message, tag = "1")]
    Welcome(Welcome),
    /// Its replica changes.
    #[prost(message, tag = "2")]
    Part(Part),
    /// It is asked something. Only of those that know this kind of message: see [`Hello::answers`].
    #[prost(message, tag = "40")]
    Question(Question),
}

/// The answer to the first [`Hello`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Welcome {
    /// Whose revisions follow.
    #[prost(string, tag = "1")]
    pub store_id: String,
    /// `topology::DatapathId`, as text.
    #[prost(string, tag = "2")]
    pub datapath: String,
    /// Once it has been told all ports, it takes what has changed: see [`Ports::changes`].
    #[prost(bool, tag = "3")]
    pub takes_port_changes: bool,
}

/// A part of what takes an agent's replica from one revision to another.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Part {
    /// The revision that the replica must be at; without, the replica begins anew: a snapshot.
    #[prost(uint64, optional, tag = "1")]
    pub base: Option<u64>,
    /// The revision that the replica is at afterwards. The same in all parts, like the base.
    #[prost(uint64, tag = "2")]
    pub revision: u64,
    /// Objects that are new or changed.
    #[prost(message, repeated, tag = "3")]
    pub puts: Vec<Put>,
    /// References of objects that are gone.
    #[prost(string, repeated, tag = "4")]
    pub deletes: Vec<String>,
    /// All has been said with this part.
    #[prost(bool, tag = "5")]
    pub last: bool,
    /// Somebody waits to hear that the host has it: it should not wait for more. The same in all parts.
    #[prost(bool, tag = "6")]
    pub awaited: bool,
}

/// Something that only the host knows.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Question {
    /// Tells it from others of the stream.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// `question::Question`, JSON.
    #[prost(bytes = "vec", tag = "2")]
    pub question: Vec<u8>,
}

/// An object as it now is.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Put {
    /// `topology::ObjectRef`, as text.
    #[prost(string, tag = "1")]
    pub reference: String,
    /// `topology::Object`, JSON. Shared by the messages to all agents.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

impl From<Said> for AgentMessage {
    fn from(said: Said) -> Self {
        Self { said: Some(said) }
    }
}

impl From<Told> for ManagerMessage {
    fn from(told: Told) -> Self {
        Self { told: Some(told) }
    }
}

/// Cuts a list into runs of about [`PART`] bytes each, the last of which is marked; an empty list is one empty run.
pub(crate) fn cut<T>(
    items: impl IntoIterator<Item = T>,
    size: impl Fn(&T) -> usize,
) -> impl Iterator<Item = (Vec<T>, bool)> {
    let mut items = items.into_iter().peekable();
    let mut done = false;
    std::iter::from_fn(move || {
        if std::mem::replace(&mut done, true) {
            return None;
        }
        let (mut run, mut bytes) = (Vec::new(), 0);
        while bytes < PART
            && let Some(item) = items.next()
        {
            bytes += size(&item);
            run.push(item);
        }
        done = items.peek().is_none();
        Some((run, done))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_cut_into_bounded_parts_and_loses_nothing() {
        let check = |sizes: &[usize], expected: &[usize]| {
            let parts: Vec<_> = cut(sizes.iter().copied(), |size| *size).collect();
            assert_eq!(parts.iter().map(|(run, _)| run.len()).collect::<Vec<_>>(), expected);
            assert_eq!(parts.iter().flat_map(|(run, _)| run.clone()).collect::<Vec<_>>(), sizes);
            let last: Vec<_> = parts.iter().map(|(_, last)| *last).collect();
            assert_eq!(last.iter().filter(|last| **last).count(), 1);
            assert_eq!(last.last(), Some(&true));
        };
        check(&[], &[0]);
        check(&[1, 2, 3], &[3]);
        check(&[PART], &[1]);
        check(&[PART, 1], &[1, 1]);
        check(&[PART / 2, PART / 2, PART / 2], &[2, 1]);
        check(&[PART * 3, 1, PART], &[1, 2]);
    }
}
