//! Questions to agents, and what becomes of them.

use topology::{DatapathId, InterfaceId};

use super::manager::{DEADLINE, Served, TestAgent};
use crate::agent::Asked;
use crate::line::{AskError, LIMIT, Line, MAX_QUESTIONS, Waiting};
use crate::question::{
    Answer, FlowOwner, FlowPage, FlowQuery, FlowRow, MAX_ANSWER, PeerRow, Question, Refusal, TraceOutput,
    TraceQuery, TraceStart, TraceStep, Traced, Traffic,
};
use crate::wire::{self, Hello, PROTOCOL, Said, Told};

/// Flows, the texts of which are so long.
fn page(flows: usize, length: usize) -> FlowPage {
    let flow = |number: usize| FlowRow {
        table: "classify".to_owned(),
        table_number: 0,
        priority: u16::try_from(number % 100).expect("small"),
        owner: FlowOwner { objects: vec![format!("if-{number}")], what: "interface".to_owned() },
        applies_to: "everything".to_owned(),
        does: "nothing".to_owned(),
        packets: Some(7),
        bytes: None,
        age_s: Some(1),
        flow: "x".repeat(length),
    };
    FlowPage { total: flows + 5, flows: (0..flows).map(flow).collect() }
}

async fn asked(test: &mut TestAgent) -> Asked {
    tokio::time::timeout(DEADLINE, test.questions.recv()).await.expect("in time").expect("open")
}

#[tokio::test]
async fn what_is_asked_comes_to_the_host_and_its_answer_comes_back_whole() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let mut test = TestAgent::start(&served, &host, None);
    test.replica(|_| true).await;
    let line = served.manager.line().await;

    // Longer than one message takes.
    let (query, flows) =
        (FlowQuery { owner: Some("if-1".to_owned()), ..FlowQuery::default() }, page(900, 1000));
    let answer = async {
        let Asked { question, reply } = asked(&mut test).await;
        assert_eq!(question, Question::Flows(query.clone()));
        reply.send(Ok(Answer::Flows(flows.clone()))).expect("awaited");
    };
    let (found, ()) = tokio::join!(line.flows(query.clone()), answer);
    assert_eq!(found, Ok(flows));

    let interface: InterfaceId = "if-1".parse().expect("an id");
    let start =
        TraceStart::Tunnel { from: "dp-b".parse().expect("an id"), fields: "icmp,tun_id=0x5".to_owned() };
    let query = TraceQuery { start, known: topology::walk::Connections::default() };
    let step = TraceStep {
        table: "classify".to_owned(),
        priority: Some(100),
        owner: Some(FlowOwner::default()),
        applies_to: "in_port=1".to_owned(),
        did: vec!["resubmit(,20)".to_owned()],
        tunnel_to: "192.0.2.1".parse().ok(),
    };
    let host: Option<DatapathId> = "dp-b".parse().ok();
    let outputs = vec![
        TraceOutput::Port { name: "tap0".to_owned(), interface: Some(interface) },
        TraceOutput::Tunnel { host, fields: "tun_id=0x5".to_owned(), address: None },
        TraceOutput::Agent,
    ];
    let traced = Traced { steps: vec![step], outputs };
    let answer = async {
        let Asked { question, reply } = asked(&mut test).await;
        assert_eq!(question, Question::Trace(query.clone()));
        reply.send(Ok(Answer::Trace(traced.clone()))).expect("awaited");
    };
    let (found, ()) = tokio::join!(line.trace(query.clone()), answer);
    assert_eq!(found, Ok(traced.clone()));

    let sent = Traffic { packets: 3, bytes: 294 };
    let peers = vec![PeerRow { host: "dp-b".parse().expect("an id"), sent, received: Traffic::default() }];
    let answer = async {
        let Asked { question, reply } = asked(&mut test).await;
        assert_eq!(question, Question::Peers);
        reply.send(Ok(Answer::Peers(peers.clone()))).expect("awaited");
    };
    let (found, ()) = tokio::join!(line.peers(), answer);
    assert_eq!(found, Ok(peers));
}

#[tokio::test]
async fn who_asks_is_told_why_there_is_no_answer() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let mut test = TestAgent::start(&served, &host, None);
    let line = served.manager.line().await;
    for refusal in [Refusal::Unavailable("no switch".to_owned()), Refusal::Invalid("no port".to_owned())] {
        let answer = async {
            asked(&mut test).await.reply.send(Err(refusal.clone())).expect("awaited");
        };
        let (found, ()) = tokio::join!(line.flows(FlowQuery::default()), answer);
        assert_eq!(found, Err(AskError::Refused(refusal)));
    }
    // Whoever was to answer goes away, and then the agent does.
    let (found, ()) = tokio::join!(line.flows(FlowQuery::default()), async { drop(asked(&mut test).await) });
    assert!(matches!(found, Err(AskError::Refused(Refusal::Unavailable(_)))), "{found:?}");
    let (found, ()) = tokio::join!(line.flows(FlowQuery::default()), async {
        let _asked = asked(&mut test).await;
        test.agent.stop().await;
    });
    assert_eq!(found, Err(AskError::Gone));
    assert_eq!(line.flows(FlowQuery::default()).await, Err(AskError::Gone));
}

#[tokio::test]
async fn an_agent_that_is_older_than_questions_is_asked_none() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let mut raw = served.hello(&host, None).await;
    raw.told().await.expect("welcome");
    assert_eq!(served.manager.line().await.flows(FlowQuery::default()).await, Err(AskError::TooOld));
    let told = raw.told().await.expect("a snapshot");
    assert!(matches!(told, Told::Part(_)), "{told:?}");
}

#[tokio::test]
async fn an_agent_that_answers_wrongly_costs_who_asks_a_bounded_memory() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let mut raw = served.open(&host.identity).await.expect("a stream");
    let registration = super::manager::registration("host1");
    let registration = serde_json::to_vec(&registration).expect("JSON");
    let answers = crate::question::KINDS.map(str::to_owned).into();
    raw.say(Said::Hello(Hello { protocol: PROTOCOL, registration, resume: None, answers })).await;
    let line = served.manager.line().await;
    let unasked = wire::Answer { id: 77, last: true, ..wire::Answer::default() };
    raw.say(Said::Answer(unasked)).await;

    for item in [b"{".to_vec(), vec![b' '; wire::PART]] {
        let asking = tokio::spawn({
            let line = line.clone();
            async move { line.flows(FlowQuery::default()).await }
        });
        let id = loop {
            if let Told::Question(question) = raw.told().await.expect("open") {
                break question.id;
            }
        };
        let part = |last| wire::Answer { id, items: vec![item.clone()], last, ..wire::Answer::default() };
        for _ in 0..=MAX_ANSWER / item.len().max(wire::PART) {
            raw.say(Said::Answer(part(item.len() == 1))).await;
        }
        let found = asking.await.expect("no panic");
        assert!(matches!(found, Err(AskError::Senseless(_))), "{found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_never_answers_costs_who_asks_a_bounded_time() {
    let (line, mut asks) = Line::open(&crate::question::KINDS.map(str::to_owned));
    let waiting = Waiting::default();
    let sending = async {
        let mut sent = 0;
        while let Some(ask) = asks.recv().await {
            sent += usize::from(waiting.open(ask).is_some());
            if sent == 2 * MAX_QUESTIONS {
                break;
            }
        }
    };
    let asking = async {
        // The second time, those of the first have given up.
        for _ in 0..2 {
            let many: Vec<_> = (0..3 * MAX_QUESTIONS).map(|_| line.flows(FlowQuery::default())).collect();
            let all =
                tokio::time::timeout(2 * LIMIT, futures::future::join_all(many)).await.expect("in time");
            let count =
                |error: &AskError| all.iter().filter(|found| found.as_ref().err() == Some(error)).count();
            assert_eq!(count(&AskError::TimedOut), MAX_QUESTIONS, "{all:?}");
            assert_eq!(count(&AskError::Busy), 2 * MAX_QUESTIONS, "{all:?}");
        }
    };
    tokio::join!(sending, asking);
}
