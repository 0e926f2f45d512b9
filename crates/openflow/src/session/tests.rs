use super::*;
use crate::{FlowSelection, MultipartRequest, SwitchDesc};

const TIMING: Timing = Timing { probe: Duration::from_secs(5), patience: Duration::from_secs(3) };

/// A session, the time it began, and what it wants done.
struct Fixture {
    session: Session<&'static str>,
    began: Instant,
    outputs: Vec<Output<&'static str>>,
}

impl Fixture {
    fn new() -> Self {
        let began = Instant::now();
        Self { session: Session::new(TIMING, began), began, outputs: Vec::new() }
    }

    fn expect(&mut self, xid: u32, covered: Covered, token: &'static str) {
        self.session.expect(Xid(xid), covered, self.began + Duration::from_secs(30), token);
    }

    fn hear(&mut self, xid: u32, message: &Message) -> Result<(), CloseReason> {
        let bytes = message.encode(Xid(xid)).expect("it fits");
        self.session.on_bytes(&bytes, self.began, &mut self.outputs)
    }

    /// Ended requests as (token, worked), and the number of events, since last asked.
    fn done(&mut self) -> (Vec<(&'static str, bool)>, usize) {
        let mut done = Vec::new();
        let mut events = 0;
        for output in self.outputs.drain(..) {
            match output {
                Output::Done(token, outcome) => done.push((token, outcome.is_ok())),
                Output::Event(_) => events += 1,
                Output::Write(_) => {}
            }
        }
        (done, events)
    }
}

fn refusal() -> Message {
    Message::Error(ErrorMessage { kind: 1, code: 5, experimenter: None, data: Vec::new() })
}

#[test]
fn replies_find_their_requests_in_any_order_and_events_in_between_are_kept() {
    let mut fixture = Fixture::new();
    fixture.expect(1, Covered::default(), "first");
    fixture.expect(2, Covered::default(), "second");
    fixture.hear(0, &Message::PacketIn(Box::default())).expect("fine");
    fixture.hear(2, &Message::BarrierReply).expect("fine");
    fixture.hear(0, &Message::PacketIn(Box::default())).expect("fine");
    fixture.hear(1, &Message::BarrierReply).expect("fine");
    assert_eq!(fixture.done(), (vec![("second", true), ("first", true)], 2));
}

#[test]
fn a_reply_of_the_awaited_type_to_another_transaction_is_no_reply() {
    let mut fixture = Fixture::new();
    fixture.expect(1, Covered::default(), "mine");
    fixture.hear(9, &Message::BarrierReply).expect("fine");
    assert_eq!(fixture.done(), (vec![], 1));
}

#[test]
fn errors_end_the_request_or_go_to_the_one_that_covers_them() {
    let mut fixture = Fixture::new();
    fixture.expect(1, Covered::default(), "refused");
    fixture.expect(20, Covered { first: 10, count: 10 }, "barrier");
    fixture.hear(1, &refusal()).expect("fine");
    fixture.hear(12, &refusal()).expect("fine");
    fixture.hear(20, &Message::BarrierReply).expect("fine");
    let [Output::Done("refused", Err(_)), Output::Done("barrier", Ok(answer))] = fixture.outputs.as_slice()
    else {
        panic!("{:?}", fixture.outputs)
    };
    assert_eq!(answer.errors.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [2]);
}

#[test]
fn an_answer_in_parts_ends_with_the_last_and_may_not_change_its_kind() {
    let mut fixture = Fixture::new();
    let part = |more| Message::MultipartReply { more, reply: MultipartReply::Flows(Vec::new()) };
    fixture.expect(1, Covered::default(), "flows");
    fixture.hear(1, &part(true)).expect("fine");
    assert_eq!(fixture.done().0, []);
    fixture.hear(1, &part(false)).expect("fine");
    assert_eq!(fixture.done().0, [("flows", true)]);

    fixture.expect(2, Covered::default(), "mixed");
    fixture.hear(2, &part(true)).expect("fine");
    let desc = MultipartReply::Desc(SwitchDesc::default());
    fixture.hear(2, &Message::MultipartReply { more: false, reply: desc }).expect("fine");
    assert_eq!(fixture.done().0, [("mixed", false)]);
}

#[test]
fn an_answer_without_end_is_given_up() {
    let mut fixture = Fixture::new();
    let part = Message::MultipartReply { more: true, reply: MultipartReply::Flows(Vec::new()) };
    fixture.expect(1, Covered::default(), "endless");
    for _ in 0..=MAX_PARTS {
        fixture.hear(1, &part).expect("fine");
    }
    assert_eq!(fixture.done().0, [("endless", false)]);
}

#[test]
fn messages_may_arrive_byte_by_byte() {
    let mut fixture = Fixture::new();
    fixture.expect(1, Covered::default(), "slow");
    let question = Message::MultipartRequest(MultipartRequest::Flows(FlowSelection::default()));
    let mut bytes = question.encode(Xid(7)).expect("it fits");
    bytes.extend(Message::BarrierReply.encode(Xid(1)).expect("it fits"));
    for byte in bytes {
        fixture.session.on_bytes(&[byte], fixture.began, &mut fixture.outputs).expect("fine");
    }
    assert_eq!(fixture.done(), (vec![("slow", true)], 1));
}

#[test]
fn what_is_no_openflow_ends_the_connection_and_what_is_malformed_only_its_request() {
    let mut fixture = Fixture::new();
    fixture.expect(1, Covered::default(), "malformed");
    fixture
        .session
        .on_bytes(&[6, 21, 0, 9, 0, 0, 0, 1, 0], fixture.began, &mut fixture.outputs)
        .expect("fine");
    assert_eq!(fixture.done().0, [("malformed", false)]);
    for bytes in [[6, 2, 0, 7, 0, 0, 0, 0], [4, 2, 0, 8, 0, 0, 0, 0]] {
        let ended = Fixture::new();
        let mut session = ended.session;
        let result = session.on_bytes(&bytes, ended.began, &mut Vec::new());
        assert!(matches!(result, Err(CloseReason::Protocol(_))));
    }
}

#[test]
fn an_echo_request_is_answered_with_its_bytes() {
    let mut fixture = Fixture::new();
    fixture.hear(5, &Message::EchoRequest(vec![1, 2])).expect("fine");
    let [Output::Write(bytes)] = fixture.outputs.as_slice() else { panic!("{:?}", fixture.outputs) };
    let reply = Frame { xid: Xid(5), message: Message::EchoReply(vec![1, 2]) };
    assert_eq!(Frame::decode(bytes), Ok(reply));
}

#[test]
fn a_silent_switch_is_asked_and_then_given_up() {
    let mut fixture = Fixture::new();
    let asked = fixture.began + TIMING.probe;
    assert_eq!(fixture.session.deadline(), asked);
    fixture.session.on_time(asked, &mut fixture.outputs).expect("fine");
    assert!(matches!(fixture.outputs.as_slice(), [Output::Write(_)]));
    let over = asked + TIMING.patience;
    assert_eq!(fixture.session.deadline(), over);
    assert!(matches!(fixture.session.on_time(over, &mut fixture.outputs), Err(CloseReason::Silent(_))));
}

#[test]
fn a_request_ends_at_its_deadline_and_a_late_reply_is_no_answer() {
    let mut fixture = Fixture::new();
    fixture.session.expect(Xid(1), Covered::default(), fixture.began + Duration::from_secs(1), "late");
    let deadline = fixture.session.deadline();
    fixture.session.on_time(deadline, &mut fixture.outputs).expect("fine");
    assert_eq!(fixture.done().0, [("late", false)]);
    fixture.hear(1, &Message::BarrierReply).expect("fine");
    assert_eq!(fixture.done(), (vec![], 1));
}

#[test]
fn all_requests_end_with_the_connection() {
    let mut fixture = Fixture::new();
    fixture.expect(1, Covered::default(), "one");
    fixture.expect(2, Covered::default(), "two");
    fixture.session.on_close(&CloseReason::Remote, &mut fixture.outputs);
    assert_eq!(fixture.done().0, [("one", false), ("two", false)]);
}
