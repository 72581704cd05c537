//! How a load balancer of the scenario asks a node for its role: over HTTP, each time on a
//! connection of its own.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use wavetank_instance::Endpoint;
use wavetank_world::Roles;

/// What the endpoints `master`, `slave` and `available` say. Without an answer in time it is none
/// of it.
pub(super) fn poll(address: SocketAddr, credentials: bool, patience: Duration) -> Roles {
    let until = Instant::now() + patience;
    let good = |endpoint| is_good(address, endpoint, credentials, until).unwrap_or(false);
    Roles {
        master: good(Endpoint::Master),
        slave: good(Endpoint::Slave),
        available: good(Endpoint::Available),
    }
}

fn is_good(
    address: SocketAddr,
    endpoint: Endpoint,
    credentials: bool,
    until: Instant,
) -> io::Result<bool> {
    let left = || {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::Error::from(io::ErrorKind::TimedOut)) } else { Ok(left) }
    };
    let mut stream = TcpStream::connect_timeout(&address, left()?)?;
    stream.set_read_timeout(Some(left()?))?;
    stream.set_write_timeout(Some(left()?))?;
    let user = if credentials { "Authorization: Basic bmVvNGo6bmVvNGo=\r\n" } else { "" };
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {address}\r\n{user}Connection: close\r\n\r\n",
        endpoint.path()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    // The rest is read, so that the connection ends in order.
    stream.take(4_096).read_to_end(&mut Vec::new())?;
    Ok(&answer == b"HTTP/1.1 200")
}
