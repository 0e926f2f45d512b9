//! Reachability: who can send what to whom, by what users have described.
//!
//! It is worked out by [`topology::reach`], for interfaces as if all were plugged in: what is allowed should not hang on which
//! guests run.

use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use topology::reach::class::Class;
use topology::reach::matrix::{FamilyReach, Places};
use topology::reach::{Cell, Matrix, Texts, TrafficSet, matrix, plugged_in};
use topology::{Error, ErrorKind, InterfaceId, NetworkId, SecurityGroupId, Topology};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::error::ErrorBody;
use super::look::Look;
use super::question::{Question, ask};
use super::reply::Result;

/// Most pairs of kinds of interfaces in one answer: more is no table that anybody reads, and megabytes.
pub const MAX_CELLS: usize = 50_000;

/// Whose reachability, and by what.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReachSpec {
    /// Who sends: `any`, or ids of interfaces, networks, segments or security groups; anybody if absent.
    #[serde(default)]
    from: Option<Texts>,
    /// Who receives, likewise.
    #[serde(default)]
    to: Option<Texts>,
    /// By what: `tcp 22`, `udp 8000-8080`, `icmp`, `other`; by anything if absent.
    #[serde(default)]
    traffic: Option<Texts>,
    /// What is assumed to be done before: operations as of a batch.
    #[serde(default)]
    pub(super) operations: Vec<topology::Request>,
}

/// Who can send what to whom.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ReachView {
    /// Those who send, put together where no rule tells them apart.
    pub from: Vec<ClassView>,
    /// Those who receive, likewise.
    pub to: Vec<ClassView>,
    /// What they can send. Between those who are not named together, nothing arrives.
    pub cells: Vec<CellView>,
    /// How many packets were walked to find it out.
    pub walks: usize,
}

/// Interfaces that no rule tells apart.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ClassView {
    /// A short name for people.
    pub name: String,
    /// The interfaces.
    pub interfaces: Vec<InterfaceId>,
    /// The networks of their addresses.
    pub networks: Vec<NetworkId>,
    /// Their security groups.
    pub security_groups: Vec<SecurityGroupId>,
}

/// What those of one class can send to those of another.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CellView {
    /// The place of the senders among `from`.
    pub from: usize,
    /// The place of the receivers among `to`.
    pub to: usize,
    /// Where they must be for it.
    pub hosts: Places,
    /// In words.
    pub text: String,
    /// Over IPv4, if both have addresses of it.
    pub ipv4: Option<FamilyView>,
    /// Over IPv6, if both have addresses of it.
    pub ipv6: Option<FamilyView>,
}

/// What arrives over one family.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FamilyView {
    /// What a client reaches.
    #[schema(value_type = String, example = "tcp 22,443; icmp")]
    pub reaches: TrafficSet,
    /// What arrives besides, from some ports only, or by some of several ways.
    #[schema(value_type = String, example = "nothing")]
    pub sometimes: TrafficSet,
}

/// The route.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(reach))
}

/// Says who can send what to whom
#[utoipa::path(post, path = "/reach", operation_id = "show_reach", tag = "questions", request_body = ReachSpec,
    responses((status = 200, body = ReachView), (status = "default", body = ErrorBody)))]
async fn reach(State(api): State<Api>, request: Request) -> Result {
    ask::<ReachSpec>(&api, request).await
}

impl Question for ReachSpec {
    type Answer = ReachView;

    fn answer(self, look: &Look<'_>) -> Result<ReachView> {
        let topology = plugged_in(look.topology);
        let any = || Texts::One("any".to_owned());
        let from = self.from.unwrap_or_else(any).guests(&topology, "from")?;
        let to = self.to.unwrap_or_else(any).guests(&topology, "to")?;
        let traffic = self.traffic.map_or_else(|| Ok(TrafficSet::all()), |texts| texts.traffic("traffic"))?;
        let found = matrix(&topology, &from, &to, &traffic)?;
        let cells: Vec<_> = found.cells.iter().filter(|cell| !cell.reach.is_empty()).map(cell_view).collect();
        if cells.len() > MAX_CELLS {
            let message =
                format!("the answer has {} lines, and more than {MAX_CELLS}: name fewer", cells.len());
            return Err(Error { kind: ErrorKind::TooLarge, field: None, message }.into());
        }
        let Matrix { from, to, walks, .. } = found;
        let view = |classes: Vec<Class>| classes.into_iter().map(|of| class_view(&topology, of)).collect();
        Ok(ReachView { from: view(from), to: view(to), cells, walks })
    }
}

fn class_view(topology: &Topology, class: Class) -> ClassView {
    let interfaces = class.members;
    let first = interfaces.first();
    let name = match (first, interfaces.len()) {
        (Some(first), 2..) => format!("{first} and {} more", interfaces.len() - 1),
        (first, _) => first.map_or_else(String::new, ToString::to_string),
    };
    let leases = first.into_iter().flat_map(|first| topology.ip_leases_of_interface(first));
    let networks =
        leases.filter_map(|lease| topology.ip_leases().get(&lease).map(|of| of.network_uuid.clone()));
    let mut networks: Vec<_> = networks.collect();
    networks.sort();
    networks.dedup();
    let of_first = first.and_then(|first| topology.interfaces().get(first));
    let security_groups = of_first.into_iter().flat_map(|of| of.security_groups.iter().cloned()).collect();
    ClassView { name, interfaces, networks, security_groups }
}

fn cell_view(cell: &Cell) -> CellView {
    CellView {
        from: cell.from,
        to: cell.to,
        hosts: cell.places,
        text: text(cell),
        ipv4: cell.reach.ipv4.as_ref().map(family_view),
        ipv6: cell.reach.ipv6.as_ref().map(family_view),
    }
}

fn family_view(of: &FamilyReach) -> FamilyView {
    FamilyView { reaches: of.does.clone(), sometimes: of.may.minus(&of.does) }
}

/// What arrives, in one line: the families apart where they differ.
fn text(cell: &Cell) -> String {
    let families: Vec<_> = cell.reach.families().map(|(_, of)| family_text(of)).collect();
    let text = match families.as_slice() {
        [one, other] if one == other => one.clone(),
        [ipv4, ipv6] => format!("IPv4: {ipv4}. IPv6: {ipv6}"),
        others => others.concat(),
    };
    match cell.places {
        Places::Any => text,
        Places::Same => format!("{text} (on one host)"),
        Places::Different => format!("{text} (on different hosts)"),
    }
}

fn family_text(of: &FamilyReach) -> String {
    let sometimes = of.may.minus(&of.does);
    match (of.does.is_empty(), sometimes.is_empty()) {
        (_, true) => of.does.to_string(),
        (true, false) => format!("sometimes {sometimes}"),
        (false, false) => format!("{}; sometimes {sometimes}", of.does),
    }
}
