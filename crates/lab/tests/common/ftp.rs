//! A server of files (RFC 959), as small as a client allows: it has one file, over IPv4.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::time::Duration;

use lab::Station;

use super::PATIENCE;

/// What is in the file.
pub const CONTENT: &str = "what was asked for\n";

/// Time for a client to take its data connection.
const DATA_LIMIT: Duration = Duration::from_secs(2);

/// How the client wants its data.
enum Data {
    /// It connects.
    Passive(TcpListener),
    /// The server connects.
    Active(SocketAddr),
}

/// Serves one client.
pub fn serve(station: &Station, listener: &TcpListener) {
    // A client that is gone is none of its business.
    let _ = listener.accept().and_then(|(control, _)| serve_client(station, &control));
}

fn serve_client(station: &Station, mut control: &TcpStream) -> io::Result<()> {
    control.set_read_timeout(Some(PATIENCE))?;
    control.write_all(b"220 ready\r\n")?;
    let mut data = None;
    for line in BufReader::new(control).lines() {
        let line = line?;
        let (command, argument) = line.split_once(' ').unwrap_or((&line, ""));
        let reply = match command {
            "USER" => "230 welcome".to_owned(),
            "PWD" => "257 \"/\"".to_owned(),
            "TYPE" => "200 as wished".to_owned(),
            "PASV" => {
                let listener =
                    station.tcp_listen((control.local_addr()?.ip(), 0).into()).map_err(io::Error::other)?;
                let reply = format!("227 Entering Passive Mode ({})", numbers(listener.local_addr()?));
                data = Some(Data::Passive(listener));
                reply
            }
            "PORT" => {
                data = address(argument).map(Data::Active);
                "200 as wished".to_owned()
            }
            "RETR" => {
                control.write_all(b"150 here it comes\r\n")?;
                let sent = data.take().is_some_and(|data| send(station, data).is_ok());
                if sent { "226 that was all" } else { "425 no data connection" }.to_owned()
            }
            "QUIT" => return control.write_all(b"221 bye\r\n"),
            _ => "502 not here".to_owned(),
        };
        control.write_all(format!("{reply}\r\n").as_bytes())?;
    }
    Ok(())
}

fn send(station: &Station, data: Data) -> io::Result<()> {
    let mut stream = match data {
        Data::Passive(listener) => listener.accept()?.0,
        Data::Active(address) => station.connect(address, DATA_LIMIT).map_err(io::Error::other)?,
    };
    stream.write_all(CONTENT.as_bytes())
}

/// RFC 959, section 4.1.2: an address, and a port as the number of the last two, most significant first.
fn numbers(address: SocketAddr) -> String {
    let [high, low] = address.port().to_be_bytes();
    format!("{},{high},{low}", address.ip().to_string().replace('.', ","))
}

fn address(numbers: &str) -> Option<SocketAddr> {
    let numbers: Vec<u8> = numbers.split(',').map_while(|number| number.trim().parse().ok()).collect();
    let [a, b, c, d, high, low] = numbers[..] else { return None };
    Some(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into())
}
