//! Guests that need more than their leases, and those that would like to.

mod common;

use common::{
    answers_once, apply, apply_network, attempt_vnctl, await_answer, guest, ip, is_silent, mac, prefix,
    settle, start, vnctl,
};
use lab::{Guest, Lab, Result};

/// The number of an address that is nobody's lease, and of a MAC address that several may have.
const NESTED: u8 = 50;

/// Two hosts, guests 1 and 2 on the first and guest 3 on the second.
fn guests(lab: &Lab) -> Result<[Guest; 3]> {
    let [one, two] = [lab.host(0), lab.host(1)];
    Ok([one.add_guest(guest(1))?, one.add_guest(guest(2))?, two.add_guest(guest(3))?])
}

/// Gives a guest the address of a container inside it, besides its own.
fn nest(guest: &Guest, n: u8) -> Result<()> {
    guest.set_addresses(&[prefix(ip(n), 24), prefix(ip(NESTED), 24)])
}

#[test]
fn an_address_inside_a_guest_is_reached_when_it_is_allowed_and_by_nobody_else() -> Result<()> {
    let lab = start(Lab::builder().hosts(2))?;
    let [one, two, three] = guests(&lab)?;
    apply_network(&lab, [1, 2, 3])?;
    settle(&lab)?;
    nest(&one, 1)?;
    assert!(is_silent(&three, ip(NESTED))?, "an address that is not allowed");
    vnctl(
        &lab,
        &format!("interfaces modify if-inst1 --allowed-addresses {},10.9.0.0/16 --wait", ip(NESTED)),
    )?;
    for from in [&two, &three] {
        assert!(answers_once(from, ip(NESTED))?, "{}", from.name());
    }

    // Nobody else is it, with or without the API's help.
    one.set_addresses(&[prefix(ip(1), 24)])?;
    nest(&two, 2)?;
    assert!(is_silent(&three, ip(NESTED))?, "an address that is allowed to another");
    for taken in [ip(NESTED), ip(1)] {
        let refused =
            attempt_vnctl(&lab, &format!("interfaces modify if-inst2 --allowed-addresses {taken}"))?;
        assert!(!refused.success(), "{refused:?}");
    }

    // Without port security a guest speaks as anybody; it is found where leases say.
    vnctl(&lab, "interfaces modify if-inst1 --allowed-addresses= --wait")?;
    vnctl(
        &lab,
        &format!(
            "interfaces modify if-inst2 --port-security false --allowed-addresses {} --wait",
            ip(NESTED)
        ),
    )?;
    two.set_mac(mac(NESTED))?;
    assert!(is_silent(&two, ip(3))?, "the answer is for a MAC address that nobody has leased");
    two.set_mac(mac(2))?;
    assert!(answers_once(&three, ip(NESTED))?);
    Ok(())
}

#[test]
fn a_virtual_routers_address_moves_between_guests_of_a_segment() -> Result<()> {
    let lab = start(Lab::builder().hosts(2))?;
    let [one, two, three] = guests(&lab)?;
    let shared = format!("{}={}", mac(NESTED), ip(NESTED));
    let member = |n: u8, allowed: &str| {
        format!(
            "  - {{uuid: if-inst{n}, segment_uuid: seg-a, mac_address: '{}', allowed_addresses: [{allowed}]}}\n",
            mac(n)
        )
    };
    let quoted = format!("'{shared}'");
    let interfaces = [member(1, &quoted), member(2, ""), member(3, &quoted)].concat();
    apply(&lab, &format!("segments:\n  - {{uuid: seg-a, mode: virtual}}\ninterfaces:\n{interfaces}"))?;
    for (n, router) in [(1, &one), (3, &three)] {
        router.set_mac(mac(NESTED))?;
        nest(router, n)?;
        await_answer(&two, ip(NESTED))?;
        router.set_addresses(&[prefix(ip(n), 24)])?;
        router.set_mac(mac(n))?;
        assert!(is_silent(&two, ip(NESTED))?, "{} has left it", router.name());
    }
    Ok(())
}
