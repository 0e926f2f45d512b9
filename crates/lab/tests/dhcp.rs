//! A guest configures itself by DHCP. A few lines of server stand in for the network's own.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;

use lab::{GuestSpec, Lab, Result};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OFFERED: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 77);

/// Options of RFC 2132: code, length, value.
fn option(code: u8, value: &[u8]) -> Vec<u8> {
    [&[code, u8::try_from(value.len()).expect("a short option")], value].concat()
}

/// The value of an option in a request.
fn requested(request: &[u8], code: u8) -> Option<&[u8]> {
    let mut rest = request.get(240..)?;
    while let [found, length, tail @ ..] = rest {
        let (value, next) = tail.split_at_checked(usize::from(*length))?;
        if *found == code {
            return Some(value);
        }
        rest = next;
    }
    None
}

/// The answer to a request (RFC 2131, section 4.3): a DISCOVER gets an OFFER, a REQUEST an ACK.
fn answer(request: &[u8]) -> Vec<u8> {
    let kind = if requested(request, 53) == Some(&[1]) { 2 } else { 5 };
    let mut reply = request[..240].to_vec();
    reply[0] = 2;
    reply[16..20].copy_from_slice(&OFFERED.octets());
    // RFC 3442: 172.16.0.0/12 through 10.0.0.9, and everything else through 10.0.0.1.
    let routes = [12, 172, 16, 10, 0, 0, 9, 0, 10, 0, 0, 1];
    let options = [
        option(53, &[kind]),
        option(54, &SERVER.octets()),
        option(51, &3600_u32.to_be_bytes()),
        option(1, &[255, 255, 255, 0]),
        option(26, &1300_u16.to_be_bytes()),
        option(121, &routes),
        vec![255],
    ];
    reply.extend(options.concat());
    reply
}

fn serve(socket: &UdpSocket, requests: usize) -> std::io::Result<()> {
    let mut buffer = [0; 1500];
    for _ in 0..requests {
        let (length, _) = socket.recv_from(&mut buffer)?;
        socket.send_to(&answer(&buffer[..length]), (Ipv4Addr::BROADCAST, 68))?;
    }
    Ok(())
}

#[test]
fn a_lease_configures_address_mtu_and_routes() -> Result<()> {
    let lab = Lab::builder().start()?;
    lab.host(0).ovs_vsctl(["add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev"])?;
    let server =
        lab.host(0).add_guest(GuestSpec::new("server").address("10.0.0.1/24".parse().expect("a prefix")))?;
    let client = lab.host(0).add_guest(GuestSpec::new("client"))?;
    server.exec(["ip", "route", "add", "default", "dev", "eth0"])?;
    let socket = server.udp_bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 67)))?;
    socket.set_broadcast(true).expect("a UDP socket");
    let serving = thread::spawn(move || serve(&socket, 2));
    let lease = client.dhcp()?;
    serving.join().expect("no panic").expect("requests that were answered");
    assert_eq!(lease.get("ip_address").map(String::as_str), Some("10.0.0.77"));
    assert_eq!(client.addresses(), ["10.0.0.77/24".parse().expect("a prefix")]);
    let routes = client.exec(["ip", "route"])?;
    assert!(
        routes.contains("172.16.0.0/12 via 10.0.0.9") && routes.contains("default via 10.0.0.1"),
        "{routes}"
    );
    assert!(client.exec(["ip", "link", "show", "eth0"])?.contains("mtu 1300"));
    assert!(client.reaches(SERVER.into())?);
    Ok(())
}
