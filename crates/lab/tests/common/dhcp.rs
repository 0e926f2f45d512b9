//! A DHCP server of one address, as small as a client allows.

use std::net::{Ipv4Addr, UdpSocket};

/// Where the server is.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The one address that it has.
pub const OFFERED: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 77);

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

/// Answers this many requests, whoever asks.
pub fn serve(socket: &UdpSocket, requests: usize) -> std::io::Result<()> {
    let mut buffer = [0; 1500];
    for _ in 0..requests {
        let (length, _) = socket.recv_from(&mut buffer)?;
        socket.send_to(&answer(&buffer[..length]), (Ipv4Addr::BROADCAST, 68))?;
    }
    Ok(())
}
