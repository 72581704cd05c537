//! Reading from a connection until a moment and no longer, however slowly its bytes come.

use std::io::{self, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A connection whose reads fail once a moment has passed.
#[derive(Debug)]
pub(crate) struct Deadline<'a> {
    stream: &'a TcpStream,
    until: Instant,
}

impl<'a> Deadline<'a> {
    /// Reads for so long from now.
    pub(crate) fn within(stream: &'a TcpStream, patience: Duration) -> Deadline<'a> {
        Deadline { stream, until: Instant::now() + patience }
    }

    /// Begins anew: reads for so long from now.
    pub(crate) fn renew(&mut self, patience: Duration) {
        self.until = Instant::now() + patience;
    }
}

impl Read for Deadline<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;

    #[test]
    fn bytes_that_trickle_in_do_not_hold_a_reader_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        // A byte every 10 ms: none of the reads alone would ever wait for long.
        let trickle = thread::spawn(move || {
            while client.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(10));
            }
        });
        let mut slow = Deadline::within(&server, Duration::from_millis(100));
        let mut bytes = [0; 1 << 20];
        slow.read_exact(&mut bytes).unwrap_err();
        slow.renew(Duration::from_secs(60));
        slow.read_exact(&mut bytes[..2]).unwrap();
        drop(server);
        trickle.join().unwrap();
    }
}
