//! The controller's side of an OpenFlow connection, without a socket or a clock.
//!
//! # What it decides
//! - Replies and errors belong to the request whose transaction they carry, whatever their type.
//! - A request ends once: with its reply, with its error, or at its deadline. What arrives later is dropped.
//! - Messages without a reply (flow-mods) are covered by a request after them: errors about them come out with its
//!   reply. A barrier is such a request, a bundle's commit another.
//! - Everything else that a switch sends is an event.
//!
//! [`connection`](crate::connection) moves bytes and time in and out of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::{
    DecodeError, ErrorMessage, FlowRemoved, FlowUpdate, Frame, HEADER_BYTES, Message, MultipartReply,
    PacketIn, PortStatus, Role, VERSION, Xid,
};

/// Most parts of one answer.
const MAX_PARTS: usize = 1 << 16;
/// Most bytes of one answer: a million flows of 256 bytes each.
const MAX_ANSWER_BYTES: usize = 256 << 20;
/// Most errors kept for one request: the first ones tell what is wrong.
const MAX_ERRORS: usize = 1024;

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CloseReason {
    /// This side let go of it.
    #[error("closed by this side")]
    Local,
    /// The switch closed it.
    #[error("closed by the switch")]
    Remote,
    /// Reading or writing failed.
    #[error("input or output failed: {0}")]
    Io(String),
    /// The switch sent what is no OpenFlow 1.5, so that the next message cannot be found.
    #[error("the switch sent no OpenFlow 1.5")]
    Protocol(#[source] DecodeError),
    /// The switch did not answer an echo request.
    #[error("no answer for {0:?}")]
    Silent(Duration),
    /// The switch asks on and on and does not take the answers.
    #[error("the switch does not read its answers")]
    NotReading,
    /// Nobody took the events, and those that may not be lost no longer fit the queue.
    #[error("events were not taken")]
    EventsNotTaken,
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestError {
    /// The switch refused it.
    #[error("refused: {0}")]
    Refused(ErrorMessage),
    /// The switch did not answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The answer cannot be read.
    #[error("the answer cannot be read")]
    Undecodable(#[source] DecodeError),
    /// The answer is longer than any that is expected.
    #[error("the answer has more than {MAX_PARTS} parts or {MAX_ANSWER_BYTES} bytes")]
    TooLong,
    /// The answer is of another kind than the question.
    #[error("the answer is of another kind than the question")]
    Unexpected,
    /// The request cannot be put into a message.
    #[error("the request cannot be sent")]
    Encode(#[from] crate::EncodeError),
    /// The connection ended.
    #[error("the connection ended")]
    Closed(#[source] CloseReason),
}

/// Something that a switch says without being asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A packet for the controller.
    PacketIn(Box<PacketIn>),
    /// A port came, went or changed.
    PortStatus(PortStatus),
    /// A flow went.
    FlowRemoved(Box<FlowRemoved>),
    /// The role was changed by somebody else.
    RoleStatus(Role),
    /// A flow monitor tells what happened.
    FlowUpdates(Vec<FlowUpdate>),
    /// An error that belongs to no request that waits.
    Error(Xid, ErrorMessage),
    /// A message that is not known or that nobody waits for.
    Other(Frame),
    /// A message that cannot be read.
    Undecodable(Xid, DecodeError),
}

/// What answers a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Answer {
    /// The message, or all parts of a multipart one.
    pub(crate) messages: Vec<Message>,
    /// Errors of the messages that the request covers, by their number among these.
    pub(crate) errors: Vec<(usize, ErrorMessage)>,
}

/// How a request ended: with an answer, or with why there is none, and then too with the errors it covers.
pub(crate) type Outcome = Result<Answer, (RequestError, Vec<(usize, ErrorMessage)>)>;

/// Transactions without a reply, for whose errors another request waits.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Covered {
    pub(crate) first: u32,
    pub(crate) count: u32,
}

impl Covered {
    fn index(self, xid: Xid) -> Option<usize> {
        let index = xid.0.checked_sub(self.first).filter(|index| *index < self.count)?;
        usize::try_from(index).ok()
    }
}

#[derive(Debug)]
struct Pending<T> {
    token: T,
    covered: Covered,
    deadline: Instant,
    answer: Answer,
    bytes: usize,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Output<T> {
    /// Send these bytes.
    Write(Vec<u8>),
    /// A request has ended.
    Done(T, Outcome),
    /// The switch said something.
    Event(Event),
}

/// Times of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Silence after which the switch is asked whether it is there.
    pub(crate) probe: Duration,
    /// Silence after that until the connection is given up.
    pub(crate) patience: Duration,
}

/// The requests that wait, and the bytes of a message that has not arrived whole. `T` tells whose request it is.
#[derive(Debug)]
pub(crate) struct Session<T> {
    timing: Timing,
    input: Vec<u8>,
    pending: BTreeMap<u32, Pending<T>>,
    heard: Instant,
    probed: Option<Instant>,
}

impl<T> Session<T> {
    pub(crate) fn new(timing: Timing, now: Instant) -> Self {
        Self { timing, input: Vec::new(), pending: BTreeMap::new(), heard: now, probed: None }
    }

    /// Waits for the answer to a request, and for errors of the transactions it covers.
    pub(crate) fn expect(&mut self, xid: Xid, covered: Covered, deadline: Instant, token: T) {
        let answer = Answer::default();
        self.pending.insert(xid.0, Pending { token, covered, deadline, answer, bytes: 0 });
    }

    /// Takes bytes from the switch.
    pub(crate) fn on_bytes(
        &mut self,
        bytes: &[u8],
        now: Instant,
        outputs: &mut Vec<Output<T>>,
    ) -> Result<(), CloseReason> {
        self.heard = now;
        self.probed = None;
        self.input.extend_from_slice(bytes);
        let mut taken = 0;
        while let Some(length) = next_frame(self.input.get(taken..).unwrap_or_default())? {
            let frame = self.input.get(taken..taken + length).unwrap_or_default().to_vec();
            taken += length;
            self.on_frame(&frame, outputs);
        }
        self.input.drain(..taken);
        Ok(())
    }

    fn on_frame(&mut self, bytes: &[u8], outputs: &mut Vec<Output<T>>) {
        match Frame::decode(bytes) {
            Ok(frame) => self.on_message(frame, bytes.len(), outputs),
            Err(error) => {
                let xid =
                    Xid(bytes.get(4..8).and_then(|xid| xid.try_into().ok()).map_or(0, u32::from_be_bytes));
                match self.pending.remove(&xid.0) {
                    Some(pending) => outputs.push(fail(pending, RequestError::Undecodable(error))),
                    None => outputs.push(Output::Event(Event::Undecodable(xid, error))),
                }
            }
        }
    }

    fn on_message(&mut self, Frame { xid, message }: Frame, bytes: usize, outputs: &mut Vec<Output<T>>) {
        let event = match message {
            Message::EchoRequest(data) => {
                let reply = Message::EchoReply(data).encode(xid);
                return outputs.extend(reply.map(Output::Write));
            }
            Message::EchoReply(_) if xid == Xid(0) => return,
            Message::Error(error) => return self.on_error(xid, error, outputs),
            Message::PacketIn(packet) => Event::PacketIn(packet),
            Message::PortStatus(status) => Event::PortStatus(status),
            Message::FlowRemoved(removed) => Event::FlowRemoved(removed),
            Message::RoleStatus { role, .. } => Event::RoleStatus(role),
            message if self.pending.contains_key(&xid.0) => {
                return self.on_reply(xid, message, bytes, outputs);
            }
            Message::MultipartReply { reply: MultipartReply::FlowUpdates(updates), .. } => {
                Event::FlowUpdates(updates)
            }
            message => Event::Other(Frame { xid, message }),
        };
        outputs.push(Output::Event(event));
    }

    fn on_reply(&mut self, xid: Xid, message: Message, bytes: usize, outputs: &mut Vec<Output<T>>) {
        let Some(mut pending) = self.pending.remove(&xid.0) else {
            return;
        };
        let more = matches!(message, Message::MultipartReply { more: true, .. });
        pending.bytes = pending.bytes.saturating_add(bytes);
        if !same_kind(pending.answer.messages.first(), &message) {
            return outputs.push(fail(pending, RequestError::Unexpected));
        }
        pending.answer.messages.push(message);
        if pending.answer.messages.len() > MAX_PARTS || pending.bytes > MAX_ANSWER_BYTES {
            outputs.push(fail(pending, RequestError::TooLong));
        } else if more {
            self.pending.insert(xid.0, pending);
        } else {
            outputs.push(Output::Done(pending.token, Ok(pending.answer)));
        }
    }

    fn on_error(&mut self, xid: Xid, error: ErrorMessage, outputs: &mut Vec<Output<T>>) {
        if let Some(pending) = self.pending.remove(&xid.0) {
            return outputs.push(fail(pending, RequestError::Refused(error)));
        }
        let covering =
            self.pending.values_mut().find_map(|pending| Some((pending.covered.index(xid)?, pending)));
        match covering {
            Some((index, pending)) if pending.answer.errors.len() < MAX_ERRORS => {
                pending.answer.errors.push((index, error));
            }
            Some(_) => {}
            None => outputs.push(Output::Event(Event::Error(xid, error))),
        }
    }

    /// When [`Session::on_time`] has something to do.
    pub(crate) fn deadline(&self) -> Instant {
        let silence = match self.probed {
            Some(probed) => probed + self.timing.patience,
            None => self.heard + self.timing.probe,
        };
        self.pending.values().map(|pending| pending.deadline).fold(silence, Instant::min)
    }

    /// Ends requests whose time is over, and asks a silent switch whether it is there.
    pub(crate) fn on_time(&mut self, now: Instant, outputs: &mut Vec<Output<T>>) -> Result<(), CloseReason> {
        let late: Vec<u32> =
            self.pending.iter().filter(|(_, pending)| pending.deadline <= now).map(|(xid, _)| *xid).collect();
        for xid in late {
            outputs.extend(self.pending.remove(&xid).map(|pending| fail(pending, RequestError::Timeout)));
        }
        match self.probed {
            Some(probed) if probed + self.timing.patience <= now => {
                Err(CloseReason::Silent(now.saturating_duration_since(self.heard)))
            }
            None if self.heard + self.timing.probe <= now => {
                self.probed = Some(now);
                outputs.extend(Message::EchoRequest(Vec::new()).encode(Xid(0)).map(Output::Write));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Ends all requests with the connection.
    pub(crate) fn on_close(&mut self, reason: &CloseReason, outputs: &mut Vec<Output<T>>) {
        let pending = std::mem::take(&mut self.pending);
        outputs
            .extend(pending.into_values().map(|pending| fail(pending, RequestError::Closed(reason.clone()))));
    }
}

fn fail<T>(pending: Pending<T>, error: RequestError) -> Output<T> {
    Output::Done(pending.token, Err((error, pending.answer.errors)))
}

/// Whether a part continues an answer.
fn same_kind(first: Option<&Message>, next: &Message) -> bool {
    match (first, next) {
        (None, _) => true,
        (Some(Message::MultipartReply { reply: first, .. }), Message::MultipartReply { reply: next, .. }) => {
            std::mem::discriminant(first) == std::mem::discriminant(next)
        }
        _ => false,
    }
}

/// Length of the next message, `None` if it is not there whole.
///
/// A length below the header's, or another version than 1.5, leaves no way to find the message after it.
pub(crate) fn next_frame(bytes: &[u8]) -> Result<Option<usize>, CloseReason> {
    let Some((header, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let [version, kind, high, low, ..] = *header;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length < HEADER_BYTES {
        return Err(CloseReason::Protocol(DecodeError::Length { what: "message", length }));
    }
    // A hello and an error may be of another version (OpenFlow 1.5.1, section 6.3.1).
    if version != VERSION && kind > 1 {
        return Err(CloseReason::Protocol(DecodeError::Version { version }));
    }
    Ok((bytes.len() >= length).then_some(length))
}

#[cfg(test)]
mod tests;
