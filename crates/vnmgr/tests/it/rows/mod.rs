//! What OpenVNet 1.0's Web API offered besides making, showing, changing and deleting: relations, parts, actions, and what its
//! documents promised and it did not do. A table, of which each row is a request on what those before it have left.

mod allocation;
mod functions;
mod placement;
mod places;

use reqwest::Method;
use serde_json::{Value, json};

use crate::samples::make_all;
use crate::support::{Client, Lab, Response};

/// What a request is answered.
enum Answer {
    /// With this status, and at least these attributes.
    Done(u16, Value),
    /// With this array.
    These(Value),
    /// With a list of so many, of which the first has at least these attributes.
    Page(usize, Value),
    /// Refused: the status, the error, the code, and the attribute at fault.
    Refused(u16, &'static str, &'static str, Option<&'static str>),
}
use Answer::{Done, Page, Refused, These};

/// A request, its body, and the answer.
type Row = (&'static str, Value, Answer);

fn unknown(field: &'static str) -> Answer {
    Refused(404, "UnknownUUIDResource", "100", Some(field))
}

fn wrong(field: &'static str) -> Answer {
    Refused(400, "ArgumentError", "110", Some(field))
}

fn unfit(field: &'static str) -> Answer {
    Refused(422, "ArgumentError", "110", Some(field))
}

fn missing(field: &'static str) -> Answer {
    Refused(400, "MissingArgument", "111", Some(field))
}

/// Sends the request of a row.
async fn send(client: &Client, request: &str, body: &Value) -> Response {
    let (method, path) = request.split_once(' ').expect("a method and a path");
    let asked = client.request(Method::from_bytes(method.as_bytes()).expect("a method"), path);
    client.send(if *body == json!({}) { asked } else { asked.json(body) }).await
}

#[tokio::test]
async fn every_row_of_the_original_is_answered_as_a_user_would_expect() {
    let lab = Lab::start().await;
    make_all(&lab).await;
    let rows = [places::rows(), places::leases(), functions::rows(), placement::rows(), allocation::rows()];
    let mut faults = Vec::new();
    for (request, body, expected) in rows.into_iter().flatten() {
        let answer = send(&lab.client, request, &body).await;
        if !expected.is(answer.status, &answer.body) {
            faults.push(format!("{request} {body}: {} {}", answer.status, answer.body));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

impl Answer {
    fn is(&self, status: u16, body: &Value) -> bool {
        let has = |found: &Value, wanted: &Value| {
            wanted.as_object().expect("attributes").iter().all(|(name, value)| found.get(name) == Some(value))
        };
        match self {
            Done(expected, wanted) => status == *expected && has(body, wanted),
            These(wanted) => status == 200 && body == wanted,
            Page(count, first) => {
                status == 200 && body["total_count"] == *count && has(&body["items"][0], first)
            }
            Refused(expected, error, code, field) => {
                let names = (body["error"].as_str(), body["code"].as_str(), body["field"].as_str());
                status == *expected && names == (Some(*error), Some(*code), *field)
            }
        }
    }
}
