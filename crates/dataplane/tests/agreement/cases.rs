//! What the walk and the flows once did not agree about.

use crate::fleet::Fleet;
use crate::scene::{Scene, Story};

/// Plays a scene: see [`crate::shrink`] for where it comes from.
#[track_caller]
fn agree(scene: &str) {
    let scene: Scene = serde_json::from_str(scene).expect("a scene");
    if let Err(difference) = Story::play(&mut Fleet::start(), &scene) {
        panic!("{difference}");
    }
}

/// Let pass as it is, it went round between router and leg until the switch gave up.
#[test]
fn an_address_that_stands_for_nobody_leads_nowhere() {
    agree(include_str!("cases/an_address_that_stands_for_nobody_leads_nowhere.json"));
}

/// It asked for the address as if the guest itself did, and the question for an own address is left alone.
#[test]
fn a_router_sends_a_packet_back_to_who_is_its_next_hop() {
    agree(include_str!("cases/a_router_sends_a_packet_back_to_who_is_its_next_hop.json"));
}

/// What came to the leg by a tunnel was taken for something that goes from tunnel to tunnel.
#[test]
fn a_leg_on_one_host_reaches_a_wire_on_another() {
    agree(include_str!("cases/a_leg_on_one_host_reaches_a_wire_on_another.json"));
}

/// It was untagged frames only on the interface's own host.
#[test]
fn what_is_tagged_is_for_no_simulated_interface_on_another_host() {
    agree(include_str!("cases/what_is_tagged_is_for_no_simulated_interface_on_another_host.json"));
}

/// The question went to everybody but who could answer it.
#[test]
fn a_segment_finds_a_simulated_interface_of_another_host() {
    agree(include_str!("cases/a_segment_finds_a_simulated_interface_of_another_host.json"));
}

/// VLANs on a segment are the guests' own, also where they ask for addresses.
#[test]
fn what_is_tagged_asks_no_simulated_interface() {
    agree(include_str!("cases/what_is_tagged_asks_no_simulated_interface.json"));
}

/// Its own filter rejected what it had sent, and told it so.
#[test]
fn who_sends_to_all_does_not_hear_itself() {
    agree(include_str!("cases/who_sends_to_all_does_not_hear_itself.json"));
}

/// While the wire was asked who has the next hop, nobody asked whether the packet may go there.
#[test]
fn nobody_on_a_wire_is_a_member_of_a_group() {
    agree(include_str!("cases/nobody_on_a_wire_is_a_member_of_a_group.json"));
}

/// Who may speak to members only asked name servers all the same.
#[test]
fn a_server_of_the_network_is_a_member_of_no_group() {
    agree(include_str!("cases/a_server_of_the_network_is_a_member_of_no_group.json"));
}
