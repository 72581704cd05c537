//! A link between two nodes that can be cut and made slower: a proxy on loopback through
//! which the connection from one to the other goes.
//!
//! What is sent into a cut is lost, as in the simulation; because bytes cannot be lost in the
//! middle of a stream, the connection is reset once the link is whole again.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often a connection looks how its link is.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How a link is.
#[derive(Debug, Default)]
struct State {
    cut: AtomicBool,
    /// Nanoseconds that everything takes longer.
    later: AtomicU64,
    /// Counts resets.
    resets: AtomicU64,
    /// The link is gone for good.
    over: AtomicBool,
}

/// The link from one node to another.
#[derive(Debug)]
pub(super) struct Proxy {
    state: Arc<State>,
    address: SocketAddr,
}

impl Proxy {
    /// Listens on loopback and leads to `target`.
    pub(super) fn new(target: SocketAddr) -> io::Result<Proxy> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let link = state.clone();
        let accept = move || {
            for stream in listener.incoming() {
                if link.over.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else {
                    thread::sleep(LOOK_EVERY);
                    continue;
                };
                let link = link.clone();
                // Without a thread the connection is refused, so to speak.
                let _ = thread::Builder::new()
                    .name("link".into())
                    .spawn(move || connect(&stream, target, &link));
            }
        };
        thread::Builder::new().name("link port".into()).spawn(accept)?;
        Ok(Proxy { state, address })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether messages pass, and how much later.
    pub(super) fn set(&self, whole: bool, later: Duration) {
        self.state.cut.store(!whole, Ordering::Relaxed);
        self.state.later.store(later.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Resets its connections.
    pub(super) fn reset(&self) {
        self.state.resets.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        // The thread that accepts looks when somebody comes.
        let _ = TcpStream::connect_timeout(&self.address, LOOK_EVERY);
    }
}

fn connect(from: &TcpStream, target: SocketAddr, state: &Arc<State>) {
    // Nobody answers over a link that is cut.
    let began = state.resets.load(Ordering::Relaxed);
    if state.cut.load(Ordering::Relaxed) {
        while state.cut.load(Ordering::Relaxed) && !state.over.load(Ordering::Relaxed) {
            thread::sleep(LOOK_EVERY);
        }
        return;
    }
    let Ok(to) = TcpStream::connect_timeout(&target, Duration::from_secs(1)) else { return };
    let (Ok(from_back), Ok(to_back)) = (from.try_clone(), to.try_clone()) else { return };
    let back_state = state.clone();
    let back = move || pump(&to_back, &from_back, &back_state, began);
    if thread::Builder::new().name("link back".into()).spawn(back).is_ok() {
        pump(from, &to, state, began);
    }
}

/// Carries bytes one way until the connection ends, and then ends both ways.
fn pump(from: &TcpStream, to: &TcpStream, state: &State, began: u64) {
    // Whatever goes wrong with the connection: it is over.
    let _ = carry(from, to, state, began);
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn carry(mut from: &TcpStream, mut to: &TcpStream, state: &State, began: u64) -> io::Result<()> {
    to.set_nodelay(true)?;
    // A node that stands still takes nothing; its link must still notice a reset.
    to.set_write_timeout(Some(Duration::from_secs(20)))?;
    let mut bytes = vec![0; 64 << 10];
    let mut waiting: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut lost = false;
    loop {
        let now = Instant::now();
        while let Some((due, _)) = waiting.front()
            && *due <= now
        {
            if let Some((_, bytes)) = waiting.pop_front() {
                to.write_all(&bytes)?;
            }
        }
        let next = waiting.front().map_or(LOOK_EVERY, |(due, _)| due.duration_since(now));
        from.set_read_timeout(Some(next.clamp(Duration::from_micros(100), LOOK_EVERY)))?;
        let read = match from.read(&mut bytes) {
            Ok(0) => {
                // What is on its way still arrives.
                for (due, bytes) in waiting {
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    to.write_all(&bytes)?;
                }
                return Ok(());
            }
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => 0,
            Err(error) => return Err(error),
        };
        let cut = state.cut.load(Ordering::Relaxed);
        let reset = state.resets.load(Ordering::Relaxed) != began;
        if reset || state.over.load(Ordering::Relaxed) || lost && !cut {
            return Ok(());
        }
        if cut {
            lost = true;
            waiting.clear();
        } else if read > 0 {
            let later = Duration::from_nanos(state.later.load(Ordering::Relaxed));
            if later.is_zero() && waiting.is_empty() {
                to.write_all(&bytes[..read])?;
            } else {
                waiting.push_back((Instant::now() + later, bytes[..read].to_vec()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets, a link to it, and a connection over that.
    fn linked() -> (Proxy, TcpStream) {
        let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let target = server.local_addr().unwrap();
        thread::spawn(move || {
            for stream in server.incoming() {
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut bytes = [0; 100];
                    while let Ok(read @ 1..) = stream.read(&mut bytes) {
                        stream.write_all(&bytes[..read]).unwrap();
                    }
                });
            }
        });
        let proxy = Proxy::new(target).unwrap();
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        (proxy, stream)
    }

    fn ask(stream: &mut TcpStream) -> io::Result<usize> {
        stream.write_all(b"x")?;
        stream.read(&mut [0; 9])
    }

    #[test]
    fn what_is_sent_into_a_cut_is_lost_and_then_the_connection_ends() {
        let (proxy, mut stream) = linked();
        assert_eq!(ask(&mut stream).unwrap(), 1);
        proxy.set(false, Duration::ZERO);
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert!(ask(&mut stream).is_err(), "no answer comes");
        proxy.set(true, Duration::ZERO);
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert!(matches!(stream.read(&mut [0; 9]), Ok(0) | Err(_)), "nor does it come later");
        let mut again = TcpStream::connect(proxy.address()).unwrap();
        assert_eq!(ask(&mut again).unwrap(), 1);
    }

    #[test]
    fn a_slow_link_delivers_later_and_a_reset_ends_connections() {
        let (proxy, mut stream) = linked();
        proxy.set(true, Duration::from_millis(60));
        let asked = Instant::now();
        assert_eq!(ask(&mut stream).unwrap(), 1);
        assert!(asked.elapsed() >= Duration::from_millis(120), "there and back");
        proxy.reset();
        assert!(matches!(stream.read(&mut [0; 9]), Ok(0) | Err(_)));
    }
}
