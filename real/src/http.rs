//! HTTP/1.1, as far as load balancers, monitors and clients of the transactional endpoint need
//! it: requests with a length, answers with one, connections that stay open. What is too
//! large or makes no sense is refused; nothing that comes in can make it wait or reserve
//! memory for long.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::crowd::{Crowd, Place};
use crate::deadline::Deadline;
use crate::log::Log;

/// Bytes of the request line and all headers at the most.
const HEAD_MOST: u64 = 16 << 10;
/// Bytes of a body at the most.
pub(crate) const BODY_MOST: usize = 1 << 20;
/// How long it may take at the most until the next request of a connection has come as a whole,
/// from the answer to the one before, and until an answer is taken.
const PATIENCE: Duration = Duration::from_secs(60);
/// For how long what a refused client still sends is read, so that it gets the answer.
const DRAIN: Duration = Duration::from_secs(2);
/// Connections at a time at the most.
const CONNECTIONS: usize = 256;

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HttpRequest {
    pub(crate) method: String,
    /// Without query.
    pub(crate) path: String,
    /// Whether it brings a user's credentials.
    pub(crate) credentials: bool,
    pub(crate) body: Vec<u8>,
    keep_alive: bool,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
    /// Where what was made is to be found.
    pub(crate) location: Option<String>,
}

impl HttpAnswer {
    pub(crate) fn text(status: u16, body: impl Into<String>) -> HttpAnswer {
        let content_type = "text/plain; charset=utf-8";
        HttpAnswer { status, content_type, body: body.into(), location: None }
    }

    pub(crate) fn json(status: u16, body: impl Into<String>) -> HttpAnswer {
        HttpAnswer { content_type: "application/json", ..HttpAnswer::text(status, body) }
    }
}

/// Serves requests, each connection in a thread of its own.
pub(crate) fn serve(
    listener: TcpListener,
    log: &Log,
    handle: impl Fn(&HttpRequest) -> HttpAnswer + Send + Sync + 'static,
) -> io::Result<()> {
    let handle = Arc::new(handle);
    let crowd = Crowd::new("HTTP connections", CONNECTIONS, log);
    let accept = move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                thread::sleep(Duration::from_millis(100));
                continue;
            };
            let stream = Arc::new(stream);
            let Some(mut place) = crowd.enter(&stream) else { continue };
            let handle = handle.clone();
            let work = move || {
                // A connection that breaks is its client's business.
                let _ = converse(&stream, &mut place, &*handle);
            };
            // Without a thread the connection is refused, so to speak.
            let _ = thread::Builder::new().name("http".into()).spawn(work);
        }
    };
    thread::Builder::new().name("http port".into()).spawn(accept)?;
    Ok(())
}

fn converse(
    stream: &TcpStream,
    place: &mut Place,
    handle: &impl Fn(&HttpRequest) -> HttpAnswer,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(Deadline::within(stream, PATIENCE));
    loop {
        reader.get_mut().renew(PATIENCE);
        match read_request(&mut reader, stream) {
            Ok(None) => return Ok(()),
            Ok(Some(request)) => {
                place.works();
                let answer = handle(&request);
                place.waits();
                let keep = request.keep_alive;
                write_answer(stream, &answer, keep, request.method == "HEAD")?;
                if !keep {
                    return Ok(());
                }
            }
            Err(Refused::Broken(error)) => return Err(error),
            // What follows cannot be told from the rest of this request.
            Err(Refused::With(status, why)) => {
                write_answer(stream, &HttpAnswer::text(status, why), false, false)?;
                // Closed with bytes unread, the connection would be reset, and the answer lost.
                stream.shutdown(Shutdown::Write)?;
                reader.get_mut().renew(DRAIN);
                io::copy(&mut reader, &mut io::sink())?;
                return Ok(());
            }
        }
    }
}

/// Why there is no request.
#[derive(Debug)]
enum Refused {
    /// The connection broke.
    Broken(io::Error),
    /// It is answered so.
    With(u16, &'static str),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        Refused::Broken(error)
    }
}

/// Reads a request; none when the connection ends between two. `back` is where a client is
/// told to go on that waits before it sends its body.
fn read_request(
    reader: &mut impl BufRead,
    mut back: impl Write,
) -> Result<Option<HttpRequest>, Refused> {
    let mut head = reader.by_ref().take(HEAD_MOST);
    let mut line = String::new();
    let mut next = |line: &mut String| -> Result<bool, Refused> {
        line.clear();
        match head.read_line(line) {
            Ok(0) if head.limit() == 0 => Err(Refused::With(431, "the headers are too large")),
            Ok(0) => Ok(false),
            Ok(_) if !line.ends_with('\n') && head.limit() == 0 => {
                Err(Refused::With(431, "the headers are too large"))
            }
            Ok(_) => {
                line.truncate(line.trim_end_matches(['\r', '\n']).len());
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(Refused::With(400, "the headers are not text"))
            }
            Err(error) => Err(error.into()),
        }
    };
    if !next(&mut line)? {
        return Ok(None);
    }
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refused::With(400, "no request line of HTTP"));
    };
    let plain = method.bytes().all(|byte| byte.is_ascii_uppercase());
    if method.is_empty() || !plain || !target.starts_with('/') {
        return Err(Refused::With(400, "no request line of HTTP"));
    }
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Err(Refused::With(505, "only HTTP/1.1 and HTTP/1.0 are spoken here"));
    }
    let mut request = HttpRequest {
        method: method.to_owned(),
        path: target.split('?').next().unwrap_or_default().to_owned(),
        keep_alive: version == "HTTP/1.1",
        ..HttpRequest::default()
    };
    let (mut length, mut waits) = (None, false);
    loop {
        if !next(&mut line)? {
            return Err(Refused::With(400, "the headers do not end"));
        }
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else {
            return Err(Refused::With(400, "a header without a colon"));
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
                let number = value.parse::<usize>().ok().filter(|_| digits);
                // One that does not fit a number is certainly too large.
                let number = if digits { number.or(Some(usize::MAX)) } else { None };
                if number.is_none() || length.is_some_and(|earlier| Some(earlier) != number) {
                    return Err(Refused::With(400, "no length of a body"));
                }
                length = number;
            }
            "transfer-encoding" => {
                return Err(Refused::With(411, "a body needs a Content-Length"));
            }
            "connection" => match value.to_ascii_lowercase().as_str() {
                "close" => request.keep_alive = false,
                "keep-alive" => request.keep_alive = true,
                _ => {}
            },
            // Schemes are told apart without regard to case (RFC 9110, 11.1).
            "authorization" => {
                let scheme = value.split(' ').next().unwrap_or_default();
                request.credentials = scheme.eq_ignore_ascii_case("basic");
            }
            "expect" => waits = value.eq_ignore_ascii_case("100-continue"),
            _ => {}
        }
    }
    let length = length.unwrap_or(0);
    if length > BODY_MOST {
        return Err(Refused::With(413, "the body is larger than 1 MiB"));
    }
    if waits {
        back.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    reader.by_ref().take(length as u64).read_to_end(&mut request.body)?;
    if request.body.len() < length {
        return Err(Refused::With(400, "the body is cut off"));
    }
    Ok(Some(request))
}

fn write_answer(
    mut stream: impl Write,
    answer: &HttpAnswer,
    keep_alive: bool,
    head_only: bool,
) -> io::Result<()> {
    let reason = match answer.status {
        200 => "OK",
        201 => "Created",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Answer",
    };
    let mut text = format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
        answer.status,
        answer.content_type,
        answer.body.len()
    );
    if let Some(location) = &answer.location {
        text += &format!("Location: {location}\r\n");
    }
    if answer.status == 401 {
        text += "WWW-Authenticate: Basic realm=\"wavetank\"\r\n";
    }
    if !keep_alive {
        text += "Connection: close\r\n";
    }
    text += "\r\n";
    if !head_only {
        text += &answer.body;
    }
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &[u8]) -> Result<Option<HttpRequest>, Refused> {
        read_request(&mut BufReader::new(text), io::sink())
    }

    fn refused(text: &[u8]) -> u16 {
        match read(text) {
            Err(Refused::With(status, _)) => status,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn requests_are_read() {
        let text = b"POST /db/data?x=1 HTTP/1.1\r\nContent-Length: 4\r\n\
            authorization: Basic bmVvNGo=\r\nConnection: close\r\n\r\nbody";
        let request = read(text).unwrap().unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/db/data"));
        assert_eq!((request.body.as_slice(), request.keep_alive), (b"body".as_slice(), false));
        assert!(request.credentials);
        assert!(read(b"GET / HTTP/1.1\r\n\r\n").unwrap().unwrap().keep_alive);
        assert!(!read(b"GET / HTTP/1.0\r\n\r\n").unwrap().unwrap().keep_alive);
        assert!(read(b"").unwrap().is_none());
    }

    #[test]
    fn what_is_too_large_or_makes_no_sense_is_refused() {
        let length = |n: &str| format!("POST / HTTP/1.1\r\nContent-Length: {n}\r\n\r\n");
        assert_eq!(refused(length("1048577").as_bytes()), 413);
        assert_eq!(refused(length("99999999999999999999999").as_bytes()), 413);
        assert_eq!(refused(length("-1").as_bytes()), 400);
        assert_eq!(refused(length("+1").as_bytes()), 400);
        assert_eq!(refused(length("7").as_bytes()), 400);
        assert_eq!(refused(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), 411);
        let header = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000));
        assert_eq!(refused(header.as_bytes()), 431);
        assert_eq!(refused(b"GET / HTTP/2\r\n\r\n"), 505);
        assert_eq!(refused(b"\x16\x03\x01\x02\n"), 400);
        assert_eq!(refused(b"GET  / HTTP/1.1\r\n\r\n"), 400);
        assert_eq!(refused(b"GET / HTTP/1.1\r\nno colon\r\n\r\n"), 400);
        assert_eq!(refused(b"GET / HTTP/1.1\r\nA: b\r\n"), 400);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
            let _ = read(&[b"POST / HTTP/1.1\r\n", &bytes[..]].concat());
        }
    }
}
