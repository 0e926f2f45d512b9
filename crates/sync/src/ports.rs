//! Reports of ports: what an agent says of them on a stream, and what the manager makes of its messages.
//!
//! The first report of a stream has all ports of the host; from then on reports have what has changed, so that a port that comes
//! costs what it costs by itself, however many there are. Nothing is remembered from one stream to the next: whoever has
//! forgotten anything begins a new one. A manager that does not say that it takes changes is told all ports each time.
//!
//! # Ports that are left out
//! Ports beyond [`MAX_PORTS_SEEN`] and those whose description is longer than [`MAX_PORT`] are left out, at both ends: an agent
//! that believed to have said them would not say them again when they may be said.

use std::sync::Arc;

use tonic::Status;
use topology::binding::{MAX_PORTS_SEEN, PortReport, SeenPort};

use crate::wire::{Ports, Welcome, cut};

/// Longest description of a port, in bytes: 4 KiB. What is longer names no interface.
pub(crate) const MAX_PORT: usize = 4096;

/// What a manager has been told of a host's ports on a stream: the agent's end.
#[derive(Clone, Debug, Default)]
pub struct ToldPorts {
    /// `None` until it has been told all of them.
    ports: Option<Vec<Arc<SeenPort>>>,
    takes_changes: bool,
}

impl ToldPorts {
    /// A stream that begins.
    pub fn new(welcome: &Welcome) -> Self {
        Self { ports: None, takes_changes: welcome.takes_port_changes }
    }

    /// What there is to say now that these are the host's ports, if anything. It counts as told.
    pub fn report(&mut self, ports: Vec<Arc<SeenPort>>) -> Option<PortReport> {
        let ports = sayable(ports);
        let told = self.ports.replace(ports.clone()).filter(|_| self.takes_changes);
        let report = match told {
            Some(told) => PortReport::between(&told, &ports),
            None => PortReport::All(ports),
        };
        Some(report).filter(|report| !report.is_empty())
    }
}

/// The ports that the manager does not leave out.
fn sayable(mut ports: Vec<Arc<SeenPort>>) -> Vec<Arc<SeenPort>> {
    ports.retain(|port| is_short(port) || encode(port).len() <= MAX_PORT);
    ports.truncate(MAX_PORTS_SEEN);
    ports
}

/// Whether it has so little text that its description is short enough, whatever the text is: a byte of it takes six at most
/// (RFC 8259, section 7).
fn is_short(port: &SeenPort) -> bool {
    let texts = [Some(&port.name), Some(&port.instance), port.iface_id.as_ref(), port.error.as_ref()];
    texts.into_iter().flatten().map(String::len).sum::<usize>() <= MAX_PORT / 8
}

fn encode(port: &SeenPort) -> Vec<u8> {
    serde_json::to_vec(port).expect("ports have only texts")
}

/// The messages that carry a report.
pub(crate) fn parts(report: PortReport) -> impl Iterator<Item = Ports> {
    enum Item {
        Port(Vec<u8>),
        Gone(String),
    }
    let (ports, gone, changes) = match report {
        PortReport::All(ports) => (ports, Vec::new(), false),
        PortReport::Since { ports, gone } => (ports, gone, true),
    };
    let gone = gone.into_iter().map(Item::Gone);
    let items = gone.chain(ports.into_iter().map(|port| Item::Port(encode(&port))));
    let size = |item: &Item| match item {
        Item::Port(port) => port.len(),
        Item::Gone(name) => name.len(),
    };
    cut(items, size).map(move |(run, last)| {
        let mut part = Ports { last, changes, ..Ports::default() };
        for item in run {
            match item {
                Item::Port(port) => part.ports.push(port),
                Item::Gone(name) => part.gone.push(name),
            }
        }
        part
    })
}

/// Reports of ports as their parts come in: the manager's end of a stream.
#[derive(Debug, Default)]
pub struct HeardPorts {
    /// The report of which parts are missing.
    begun: Option<PortReport>,
    /// All ports have been said on this stream.
    is_whole: bool,
}

impl HeardPorts {
    /// Takes a part, and gives back the report if it is whole with it.
    ///
    /// Of one report no more ports are kept than [`MAX_PORTS_SEEN`], and no more names of ports that are gone. Descriptions and
    /// names beyond 4 KiB are left out.
    ///
    /// # Errors
    /// A port is malformed, the part is of another kind than those before it, or it says what has changed and not since when:
    /// the stream ends.
    pub fn take(&mut self, part: Ports) -> Result<Option<PortReport>, Status> {
        if part.changes && !self.is_whole {
            return Err(Status::invalid_argument("ports have changed that have not been said before"));
        }
        let report = self.begun.get_or_insert_with(|| match part.changes {
            true => PortReport::Since { ports: Vec::new(), gone: Vec::new() },
            false => PortReport::All(Vec::new()),
        });
        match (report, part.changes) {
            (PortReport::All(ports), false) => take_ports(ports, &part.ports)?,
            (PortReport::Since { ports, gone }, true) => {
                take_ports(ports, &part.ports)?;
                let room = MAX_PORTS_SEEN.saturating_sub(gone.len());
                gone.extend(part.gone.into_iter().filter(|name| name.len() <= MAX_PORT).take(room));
            }
            _ => return Err(Status::invalid_argument("a part of the ports is of another report")),
        }
        let whole = self.begun.take_if(|_| part.last);
        self.is_whole |= whole.is_some();
        Ok(whole)
    }
}

fn take_ports(ports: &mut Vec<Arc<SeenPort>>, described: &[Vec<u8>]) -> Result<(), Status> {
    let room = MAX_PORTS_SEEN.saturating_sub(ports.len());
    for port in described.iter().filter(|port| port.len() <= MAX_PORT).take(room) {
        let port: SeenPort = serde_json::from_slice(port)
            .map_err(|error| Status::invalid_argument(format!("a port is malformed: {error}")))?;
        ports.push(Arc::new(port));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use topology::DatapathId;
    use topology::binding::SeenPorts;

    use super::*;
    use crate::wire::PART;

    fn port(name: &str, length: usize) -> Arc<SeenPort> {
        Arc::new(SeenPort { name: name.to_owned(), instance: "i".repeat(length), ..SeenPort::default() })
    }

    fn names(ports: &[Arc<SeenPort>]) -> Vec<&str> {
        ports.iter().map(|port| port.name.as_str()).collect()
    }

    /// A stream to a manager that takes changes.
    fn taken() -> ToldPorts {
        ToldPorts::new(&Welcome { takes_port_changes: true, ..Welcome::default() })
    }

    /// What it says: all ports or those that have changed, and those that are gone.
    fn said(report: Option<PortReport>) -> (&'static str, Vec<String>, Vec<String>) {
        let texts = |ports: &[Arc<SeenPort>]| names(ports).into_iter().map(str::to_owned).collect();
        match report {
            None => ("nothing", Vec::new(), Vec::new()),
            Some(PortReport::All(ports)) => ("all", texts(&ports), Vec::new()),
            Some(PortReport::Since { ports, gone }) => ("changes", texts(&ports), gone),
        }
    }

    #[test]
    fn all_is_said_once_and_then_what_changes() {
        let lists = [&["a", "b"][..], &["a", "b"], &["a", "b", "c"], &["c"], &[]];
        let check = |takes_port_changes, expected: [(&str, &[&str], &[&str]); 5]| {
            let welcome = Welcome { takes_port_changes, ..Welcome::default() };
            let mut told = ToldPorts::new(&welcome);
            for (list, (kind, ports, gone)) in lists.into_iter().zip(expected) {
                let report = said(told.report(list.iter().map(|name| port(name, 1)).collect()));
                let expected =
                    [ports, gone].map(|texts| texts.iter().map(|text| (*text).to_owned()).collect());
                assert_eq!((report.0, [report.1, report.2]), (kind, expected));
            }
        };
        check(
            true,
            [
                ("all", &["a", "b"], &[]),
                ("nothing", &[], &[]),
                ("changes", &["c"], &[]),
                ("changes", &[], &["a", "b"]),
                ("changes", &[], &["c"]),
            ],
        );
        check(
            false,
            [
                ("all", &["a", "b"], &[]),
                ("all", &["a", "b"], &[]),
                ("all", &["a", "b", "c"], &[]),
                ("all", &["c"], &[]),
                ("all", &[], &[]),
            ],
        );
    }

    #[test]
    fn a_port_that_the_manager_leaves_out_is_not_said() {
        let mut told = taken();
        assert_eq!(said(told.report(vec![port("a", 1), port("b", MAX_PORT)])).1, ["a"]);
        assert_eq!(said(told.report(vec![port("a", MAX_PORT), port("b", 1)])), {
            ("changes", vec!["b".to_owned()], vec!["a".to_owned()])
        });
        let fits = (1..).find(|length| encode(&port("c", *length)).len() == MAX_PORT).expect("a length");
        assert_eq!(said(told.report(vec![port("b", 1), port("c", fits + 1)])).0, "nothing");
        assert_eq!(said(told.report(vec![port("b", 1), port("c", fits)])).1, ["c"]);
        let many: Vec<_> = (0..=MAX_PORTS_SEEN).map(|number| port(&format!("p{number:05}"), 1)).collect();
        let said = said(told.report(many[..MAX_PORTS_SEEN].to_vec()));
        assert_eq!((said.1.len(), said.2.len()), (MAX_PORTS_SEEN, 2));
        assert_eq!(told.report(many.clone()), None, "one too many");
        let changes =
            PortReport::Since { ports: vec![many[MAX_PORTS_SEEN].clone()], gone: vec!["p00000".to_owned()] };
        assert_eq!(told.report(many[1..].to_vec()), Some(changes), "there is room for it now");
    }

    /// Sends a report in parts, and takes it in.
    fn pass(heard: &mut HeardPorts, report: PortReport) -> PortReport {
        let parts: Vec<_> = parts(report).collect();
        let (last, others) = parts.split_last().expect("a part");
        for part in others {
            let size =
                part.ports.iter().map(Vec::len).chain(part.gone.iter().map(String::len)).sum::<usize>();
            assert!(size < PART + MAX_PORT, "{size} bytes");
            assert_eq!(heard.take(part.clone()).expect("taken"), None);
        }
        heard.take(last.clone()).expect("taken").expect("whole")
    }

    #[test]
    fn what_is_said_is_heard_in_however_many_parts() {
        let (mut told, mut heard) = (taken(), HeardPorts::default());
        let (mut seen, host) = (SeenPorts::default(), "dp-a".parse::<DatapathId>().expect("an id"));
        let long = |numbers: std::ops::Range<usize>| -> Vec<_> {
            numbers.map(|number| port(&format!("{number:0600}"), 600)).collect()
        };
        for list in [long(0..1000), long(500..1500), Vec::new(), long(0..3), vec![port("a", 1)]] {
            let report = told.report(list.clone()).expect("a change");
            assert_eq!(pass(&mut heard, report.clone()), report);
            seen.report(host.clone(), report);
            assert_eq!(seen.of(&host).cloned().collect::<Vec<_>>(), list);
        }
    }

    #[test]
    fn what_makes_no_sense_ends_the_stream_and_no_list_has_no_end() {
        let part = |changes, last| Ports { changes, last, ..Ports::default() };
        let check = |parts: &[Ports], is_taken: bool| {
            let mut heard = HeardPorts::default();
            let (last, others) = parts.split_last().expect("a part");
            others.iter().for_each(|part| drop(heard.take(part.clone()).expect("taken")));
            assert_eq!(heard.take(last.clone()).is_ok(), is_taken, "{parts:?}");
        };
        check(&[part(true, true)], false);
        check(&[part(false, false), part(true, true)], false);
        check(&[part(false, true), part(true, false), part(false, true)], false);
        check(&[part(false, true), part(true, false), part(true, true), part(false, true)], true);
        let gone = Ports { gone: vec!["a".to_owned()], ..part(false, true) };
        check(&[gone], true);
        let malformed = Ports { ports: vec![b"{".to_vec()], ..part(true, true) };
        check(&[part(false, true), malformed], false);

        let mut heard = HeardPorts::default();
        heard.take(part(false, true)).expect("taken");
        let names = ["g".to_owned(), "g".repeat(MAX_PORT + 1)];
        let many = Ports {
            ports: vec![encode(&port("p", 1)); 900],
            gone: names.iter().cycle().take(1800).cloned().collect(),
            ..part(true, false)
        };
        for _ in 0..MAX_PORTS_SEEN / 900 + 1 {
            assert_eq!(heard.take(many.clone()).expect("taken"), None);
        }
        let Some(PortReport::Since { ports, gone }) = heard.take(part(true, true)).expect("taken") else {
            panic!("no changes");
        };
        assert_eq!((ports.len(), gone.len()), (MAX_PORTS_SEEN, MAX_PORTS_SEEN));
        assert!(gone.iter().all(|name| name == "g"));
    }
}
