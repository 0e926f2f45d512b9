//! The Web API's door: a port of the caller's loopback that leads to the manager's.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use lab::{Lab, Result};

/// Asks the address of a URL and gives everything that it answers until it closes.
fn ask(url: &str, question: &[u8]) -> std::io::Result<String> {
    let address: SocketAddr = url.trim_start_matches("http://").parse().expect("an address and a port");
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(question)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map(|_| answer)
}

#[test]
fn the_web_api_is_reached_from_outside_and_a_missing_one_is_a_closed_connection() -> Result<()> {
    let lab = Lab::builder().hosts(0).start()?;
    let url = lab.manager().api_url();
    assert_eq!(ask(&url, b"anybody?").unwrap_or_default(), "");
    let listener =
        lab.manager().namespace().within(|| TcpListener::bind("0.0.0.0:9101"))?.expect("a free port");
    let echo = thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut question = String::new();
        stream.read_to_string(&mut question)?;
        stream.write_all(question.to_uppercase().as_bytes())
    });
    assert_eq!(ask(&url, b"anybody?").expect("an answer"), "ANYBODY?");
    echo.join().expect("no panic").expect("a connection");
    Ok(())
}
