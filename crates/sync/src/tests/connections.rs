//! Connections made, lost, taken over and abused.

use std::sync::Arc;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Code;
use topology::binding::{PortReport, SeenPort};
use topology::{DatapathId, Revision};

use super::manager::{DEADLINE, Heard, Host, Served, TestAgent, populate, port, registration};
use crate::agent::Connection;
use crate::journal::Journal;
use crate::replica::{LoadError, Replica};
use crate::wire::{Ports, Realized, Said};

fn datapath(served: &Served) -> DatapathId {
    served.manager.topology().datapaths().keys().next().expect("a datapath").clone()
}

fn is_connected(connection: &Connection) -> bool {
    matches!(connection, Connection::Connected { .. })
}

#[tokio::test]
async fn an_agent_reports_its_ports_gets_what_they_need_and_says_when_it_is_realized() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    populate(&served.manager, &["p1", "p2"]);
    let test = TestAgent::start(&served, &host, None);
    test.replica(|replica| replica.topology.interfaces().is_empty()).await;
    test.connection(is_connected).await;
    test.ports.send_replace(Some(vec![port("p1").into()]));
    let replica = test.replica(|replica| replica.topology.interfaces().len() == 2).await;
    assert_eq!((replica.store_id.as_str(), &replica.datapath), ("store-1", &datapath(&served)));
    let revision = replica.topology.revision();
    test.realized.send_replace(Some(replica));
    served.manager.heard(&Heard::Realized(datapath(&served), revision)).await;
    test.agent.stop().await;
    served.manager.heard(&Heard::Disconnected(datapath(&served))).await;
}

#[tokio::test]
async fn an_agent_comes_back_by_itself_with_all_that_changed_meanwhile() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let test = TestAgent::start(&served, &host, None);
    test.ports.send_replace(Some(vec![port("p1").into()]));
    served.manager.heard(&Heard::Ports(datapath_of(&test).await, vec![port("p1")].into())).await;
    let (manager, dir, address) = served.stop().await;
    test.connection(|connection| !is_connected(connection)).await;
    populate(&manager, &["p1"]);
    test.ports.send_replace(Some(vec![port("p1").into(), port("p2").into()]));
    let served = Served::start_with(manager, dir, address).await;
    test.replica(|replica| replica.topology.interfaces().len() == 1).await;
    served.manager.heard(&Heard::Ports(datapath(&served), vec![port("p1"), port("p2")].into())).await;
    test.connection(is_connected).await;
}

async fn datapath_of(test: &TestAgent) -> DatapathId {
    test.replica(|_| true).await.datapath.clone()
}

#[tokio::test]
async fn an_agent_that_lost_its_stream_resumes_with_the_replica_it_has() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    populate(&served.manager, &["p1"]);
    let test = TestAgent::start(&served, &host, None);
    test.ports.send_replace(Some(vec![port("p1").into()]));
    let first = test.replica(|replica| replica.topology.interfaces().len() == 1).await;
    let mut intruder = served.hello(&host, None).await;
    intruder.told().await.expect("welcome");
    served.manager.request(json!({
        "op": "update", "resource": "interfaces", "uuid": "if-1", "attributes": {"display_name": "new"},
    }));
    assert_eq!(intruder.end().await.code(), Code::Aborted);
    let resumed = test.replica(|replica| replica.topology.revision() > first.topology.revision()).await;
    let interfaces = [&first, &resumed].map(|replica| replica.topology.interfaces().values().next().cloned());
    assert_ne!(interfaces[0], interfaces[1]);
    // A snapshot would have brought every object anew; what did not change is still the same one.
    let networks = [&first, &resumed].map(|replica| replica.topology.networks().values().next().cloned());
    let [Some(before), Some(after)] = networks else { panic!("a network each") };
    assert!(Arc::ptr_eq(&before, &after));
}

#[tokio::test]
async fn a_change_of_the_underlay_is_registered_over_the_same_stream() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let test = TestAgent::start(&served, &host, None);
    test.replica(|_| true).await;
    let address = "203.0.113.77".parse().expect("an address");
    test.registration.send_modify(|registration| registration.underlay.address = address);
    test.replica(|replica| {
        let datapath = replica.topology.datapaths().get(&replica.datapath);
        datapath.and_then(|datapath| datapath.underlay).is_some_and(|underlay| underlay.address == address)
    })
    .await;
    assert_eq!(served.manager.presence(), [Heard::Connected(datapath(&served))]);
}

#[tokio::test]
async fn an_agent_whose_datapath_is_deleted_registers_again() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let test = TestAgent::start(&served, &host, None);
    let first = test.replica(|_| true).await;
    let uuid = first.datapath.to_string();
    served.manager.request(json!({"op": "delete", "resource": "datapaths", "uuid": uuid}));
    test.replica(|replica| {
        replica.topology.revision() > first.topology.revision() && !replica.topology.datapaths().is_empty()
    })
    .await;
    let id = first.datapath.clone();
    let heard = [Heard::Connected(id.clone()), Heard::Disconnected(id.clone()), Heard::Connected(id)];
    assert_eq!(served.manager.presence(), heard);
}

#[tokio::test]
async fn a_refused_agent_says_why_and_tries_again() {
    let served = Served::start().await;
    let hosts = [served.join("host1").await, served.join("host2").await];
    let first = TestAgent::start(&served, &hosts[0], None);
    first.replica(|_| true).await;
    let second = TestAgent::start(&served, &hosts[1], None);
    let (taken, free) = (registration("host1").dpid, registration("host2").dpid);
    second.registration.send_modify(|registration| registration.dpid = taken);
    let refused = |connection: &Connection| matches!(connection, Connection::Disconnected { reason, .. } if reason.contains("belongs to"));
    second.connection(refused).await;
    second.registration.send_modify(|registration| registration.dpid = free);
    second.connection(is_connected).await;
}

#[tokio::test]
async fn an_agent_goes_on_to_a_manager_that_answers() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed = silent.local_addr().expect("an address").to_string().parse().expect("a URI");
    drop(silent);
    let test = TestAgent::start_at(vec![closed, served.address.clone()], &host, None);
    test.connection(is_connected).await;
}

#[tokio::test]
async fn the_newest_connection_of_a_host_wins_and_the_older_one_is_over_before() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let mut older = served.hello(&host, None).await;
    older.told().await.expect("welcome");
    let mut newer = served.hello(&host, None).await;
    newer.told().await.expect("welcome");
    assert_eq!(older.end().await.code(), Code::Aborted);
    let id = datapath(&served);
    let heard = [Heard::Connected(id.clone()), Heard::Disconnected(id.clone()), Heard::Connected(id)];
    assert_eq!(served.manager.presence(), heard);
}

#[tokio::test]
async fn a_revision_that_the_agent_was_not_sent_is_not_believed() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let mut raw = served.hello(&host, None).await;
    raw.told().await.expect("welcome");
    raw.told().await.expect("a snapshot");
    let revision = served.manager.topology().revision();
    raw.say(Said::Realized(Realized { revision: u64::MAX })).await;
    raw.say(Said::Realized(Realized { revision: revision.0 })).await;
    served.manager.heard(&Heard::Realized(datapath(&served), revision)).await;
    assert!(!served.manager.all_heard().contains(&Heard::Realized(datapath(&served), Revision(u64::MAX))));
}

#[tokio::test]
async fn what_the_switch_has_of_another_store_is_not_said_to_be_realized() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let test = TestAgent::start(&served, &host, None);
    let before = test.replica(|_| true).await;
    let is_before = Heard::Realized(datapath(&served), before.topology.revision());
    test.realized.send_replace(Some(before));
    served.manager.heard(&is_before).await;
    populate(&served.manager, &[]);
    served.manager.replace_store("store-2");
    let after = test.replica(|replica| replica.store_id == "store-2").await;
    // What is said after it is heard after it.
    test.ports.send_replace(Some(vec![port("p1").into()]));
    served.manager.heard(&Heard::Ports(datapath(&served), vec![port("p1")].into())).await;
    let is_after = Heard::Realized(datapath(&served), after.topology.revision());
    test.realized.send_replace(Some(after));
    served.manager.heard(&is_after).await;
    let mut realized = served.manager.all_heard();
    realized.retain(|heard| matches!(heard, Heard::Realized(..)));
    assert_eq!(realized, [is_before, is_after]);
}

#[tokio::test]
async fn a_list_of_ports_of_any_length_arrives_whole() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let ports: Vec<_> =
        (0..topology::binding::MAX_PORTS_SEEN).map(|number| Arc::new(port(&format!("p{number}")))).collect();
    let test = TestAgent::start(&served, &host, None);
    test.ports.send_replace(Some(ports.clone()));
    served.manager.heard(&Heard::Ports(datapath_of(&test).await, PortReport::All(ports))).await;
}

#[tokio::test]
async fn of_many_ports_only_the_one_that_comes_changes_or_goes_is_said() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    populate(&served.manager, &["p-new"]);
    let test = TestAgent::start(&served, &host, None);
    let id = datapath_of(&test).await;
    let mut ports: Vec<_> = (0..1000).map(|number| Arc::new(port(&format!("p{number}")))).collect();
    let mut expected = vec![PortReport::All(ports.clone())];
    let say = async |ports: &[Arc<SeenPort>], report: &PortReport| {
        test.ports.send_replace(Some(ports.to_vec()));
        served.manager.heard(&Heard::Ports(id.clone(), report.clone())).await;
    };
    say(&ports, &expected[0]).await;
    let mut new = port("p-new");
    let mut steps = Vec::new();
    ports.push(new.clone().into());
    steps.push((ports.clone(), vec![new.clone().into()], Vec::new()));
    new.instance = "another".to_owned();
    ports[1000] = new.clone().into();
    steps.push((ports.clone(), vec![new.into()], Vec::new()));
    ports.remove(7);
    steps.push((ports.clone(), Vec::new(), vec!["p7".to_owned()]));
    for (now, ports, gone) in steps {
        let report = PortReport::Since { ports, gone };
        say(&now, &report).await;
        expected.push(report);
    }
    test.replica(|replica| replica.topology.interfaces().len() == 1).await;
    let heard = served.manager.all_heard().into_iter();
    let reports =
        heard.filter_map(|heard| if let Heard::Ports(_, report) = heard { Some(report) } else { None });
    assert!(reports.eq(expected), "something else was said");
}

#[tokio::test]
async fn what_makes_no_sense_ends_the_stream_that_it_came_on() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let check = async |said: Said, expected: Code| {
        let mut raw = served.hello(&host, None).await;
        raw.told().await.expect("welcome");
        raw.say(said).await;
        assert_eq!(raw.end().await.code(), expected);
    };
    let malformed = Ports { ports: vec![b"{".to_vec()], last: true, ..Ports::default() };
    check(Said::Ports(malformed), Code::InvalidArgument).await;
    let too_early = Ports { changes: true, last: true, ..Ports::default() };
    check(Said::Ports(too_early), Code::InvalidArgument).await;
    let hello = crate::wire::Hello { protocol: 99, ..crate::wire::Hello::default() };
    check(Said::Hello(hello.clone()), Code::FailedPrecondition).await;
    check(Said::Hello(crate::wire::Hello { protocol: 1, ..hello }), Code::InvalidArgument).await;
    let mut raw = served.open(&host.identity).await.expect("a stream");
    raw.say(Said::Realized(Realized { revision: 1 })).await;
    assert_eq!(raw.end().await.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn garbage_on_the_port_harms_no_one_else() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let address = served.address.to_string();
    let mut idle = Vec::new();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4096], &[0x16, 3, 1, 0xff, 0xff], b""] {
        let address = address.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
        stream.write_all(garbage).await.expect("written");
        idle.push(stream);
    }
    let mut raw = served.hello(&host, None).await;
    raw.told().await.expect("welcome");
    let mut answer = Vec::new();
    // What is no handshake at all is closed at once.
    let closed = tokio::time::timeout(DEADLINE, idle[0].read_to_end(&mut answer)).await;
    assert!(closed.is_ok());
}

#[tokio::test]
async fn a_manager_that_stops_ends_every_stream() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let mut raw = served.hello(&host, None).await;
    raw.told().await.expect("welcome");
    let (stopped, ended) = tokio::join!(served.stop(), raw.end());
    assert_eq!(ended.code(), Code::Unavailable);
    drop(stopped);
}

async fn saved(served: &Served, host: &Host) -> Replica {
    let test = TestAgent::start(served, host, None);
    let replica = test.replica(|_| true).await;
    Journal::new(&host.path("replica")).save(&replica).expect("saved");
    test.agent.stop().await;
    Replica::clone(&replica)
}

#[tokio::test]
async fn a_saved_replica_is_there_before_any_manager_is() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    let replica = saved(&served, &host).await;
    let (manager, ..) = served.stop().await;
    let loaded = Replica::load(&host.path("replica")).expect("a replica");
    let all = |replica: &Replica| replica.topology.objects().collect::<Vec<_>>();
    assert_eq!((&loaded.store_id, &loaded.datapath), (&replica.store_id, &replica.datapath));
    assert_eq!((loaded.topology.revision(), all(&loaded)), (replica.topology.revision(), all(&replica)));
    let test = TestAgent::start_at(vec!["127.0.0.1:1".parse().expect("a URI")], &host, Some(loaded));
    assert_eq!(test.replica(|_| true).await.datapath, replica.datapath);
    drop(manager);
}

#[tokio::test]
async fn a_damaged_file_is_no_replica() {
    let served = Served::start().await;
    let host = served.join("host1").await;
    saved(&served, &host).await;
    let path = host.path("replica");
    let whole = std::fs::read(&path).expect("a file");
    let check = |contents: &[u8]| {
        std::fs::write(&path, contents).expect("written");
        assert!(matches!(Replica::load(&path), Err(LoadError::Damaged | LoadError::Read(_))));
    };
    check(b"");
    check(&whole[..whole.len() - 1]);
    check(&[&whole[..], b"x"].concat());
    for at in (0..whole.len()).step_by(7) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        check(&changed);
    }
    std::fs::remove_file(&path).expect("removed");
    assert!(matches!(Replica::load(&path), Err(LoadError::Read(_))));
}
