//! What the loopback network does: round trips, requests by HTTP, bytes per second.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::{CalibrateError, Clock, Times};

/// About what a heartbeat or the answer to a pull without news has.
const MESSAGE: usize = 64;
/// What is streamed at once.
const PIECE: usize = 64 << 10;
/// Nobody waits longer for the other end.
const PATIENCE: Duration = Duration::from_secs(10);

const REQUEST: &[u8] = b"POST /db/data/transaction/commit HTTP/1.1\r\nHost: 127.0.0.1\r\n\
    Content-Type: application/json\r\nAccept: application/json\r\nX-User: 17\r\n\
    Content-Length: 48\r\n\r\n{\"statements\":[{\"statement\":\"profile user 17\"}]}";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
    Content-Length: 26\r\n\r\n{\"results\":[],\"errors\":[]}";

fn failed(error: io::Error) -> CalibrateError {
    CalibrateError::io("loopback")(error)
}

/// Two ends of a connection over loopback.
fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    for end in [&near, &far] {
        end.set_nodelay(true)?;
        end.set_read_timeout(Some(PATIENCE))?;
        end.set_write_timeout(Some(PATIENCE))?;
    }
    Ok((near, far))
}

/// Times an exchange again and again, while a thread answers at the other end until the
/// connection ends.
fn exchanges(
    what: &'static str,
    clock: &Clock<'_>,
    answer: impl FnOnce(TcpStream) -> io::Result<()> + Send,
    mut ask: impl FnMut(&mut TcpStream) -> io::Result<()>,
) -> Result<Times, CalibrateError> {
    let (mut near, far) = pair().map_err(failed)?;
    std::thread::scope(|scope| {
        // Its end is the end of the connection, which the near side brings about.
        scope.spawn(move || drop(answer(far)));
        let mut nanos = Vec::new();
        let mut result = Ok(());
        while result.is_ok() && (nanos.is_empty() || clock.runs()) {
            let started = Instant::now();
            result = ask(&mut near);
            nanos.push(started.elapsed().as_nanos() as u64);
        }
        drop(near);
        result.map_err(failed)?;
        Times::of(nanos, what)
    })
}

/// A message there and back.
pub(super) fn round_trips(clock: &Clock<'_>) -> Result<Times, CalibrateError> {
    let echo = |mut far: TcpStream| loop {
        let mut message = [0; MESSAGE];
        far.read_exact(&mut message)?;
        far.write_all(&message)?;
    };
    exchanges("round trips", clock, echo, |near| {
        near.write_all(&[7; MESSAGE])?;
        near.read_exact(&mut [0; MESSAGE])
    })
}

/// A request and its answer, both read as HTTP/1.1, over a connection that stays open.
pub(super) fn http(clock: &Clock<'_>) -> Result<Times, CalibrateError> {
    let serve = |far: TcpStream| {
        let mut reader = BufReader::new(far.try_clone()?);
        let mut writer = far;
        loop {
            body(&mut reader)?;
            writer.write_all(ANSWER)?;
        }
    };
    exchanges("HTTP requests", clock, serve, |near| {
        near.write_all(REQUEST)?;
        body(&mut BufReader::with_capacity(512, near)).map(drop)
    })
}

/// Reads the lines of a head, and the body whose length they tell.
fn body(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.trim_end().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

/// Bytes per second one way.
pub(super) fn bandwidth(clock: &Clock<'_>) -> Result<u64, CalibrateError> {
    let (mut near, mut far) = pair().map_err(failed)?;
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || -> io::Result<u64> {
            let (mut piece, mut all) = (vec![0; PIECE], 0);
            loop {
                match far.read(&mut piece)? {
                    0 => return Ok(all),
                    read => all += read as u64,
                }
            }
        });
        let piece = vec![7; PIECE];
        let since = Instant::now();
        let mut result = near.write_all(&piece);
        while result.is_ok() && clock.runs() {
            result = near.write_all(&piece);
        }
        drop(near);
        let read = match reader.join() {
            Ok(read) => read,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        result.map_err(failed)?;
        Ok((read.map_err(failed)? as f64 / since.elapsed().as_secs_f64()) as u64)
    })
}
