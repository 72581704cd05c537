//! A link between two nodes that can be cut and made worse: a proxy on loopback through which the
//! connection from one to the other goes.
//!
//! What is sent into a cut is lost, as in the simulation; because bytes cannot be lost in the
//! middle of a stream, the connection is reset once the link is whole again. A lossy link delivers
//! late, as TCP makes of lost packets: each loss waits for the packet to be sent again.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use wavetank_world::{LinkState, MOST_RETRANSMITS, RETRANSMIT};

use crate::clock::Clock;

/// How often a connection looks how its link is.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How a link is.
#[derive(Debug, Default)]
struct State {
    cut: AtomicBool,
    /// Nanoseconds that everything takes longer.
    later: AtomicU64,
    /// And up to so many more.
    jitter: AtomicU64,
    /// So many of a million pieces are lost at first.
    lost_ppm: AtomicU64,
    /// Nanoseconds until what is lost is sent again, for the first time.
    again: AtomicU64,
    /// Bytes that pass in a second; 0 is any number.
    bandwidth: AtomicU64,
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

    /// What is wrong with it from now on, in the times of a clock.
    pub(super) fn set(&self, link: &LinkState, clock: Clock) {
        let nanos = |span| clock.real(span).as_nanos() as u64;
        // What passes in a second of the run has less real time if its clock is fast.
        let real = |most: u64| (most.saturating_mul(u64::from(clock.scale)) / 1_000).max(1);
        let state = &self.state;
        state.cut.store(!link.whole, Ordering::Relaxed);
        state.later.store(nanos(link.delay), Ordering::Relaxed);
        state.jitter.store(nanos(link.jitter), Ordering::Relaxed);
        state.lost_ppm.store(u64::from(link.lost_ppm), Ordering::Relaxed);
        state.again.store(nanos(RETRANSMIT), Ordering::Relaxed);
        state.bandwidth.store(link.bytes_per_second.map_or(0, real), Ordering::Relaxed);
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

/// When what leaves a link now arrives.
struct Pace {
    dice: u64,
    /// When the narrow part of the link is free again.
    free: Instant,
    /// When the last piece arrives: none overtakes another.
    last: Instant,
}

impl Pace {
    fn new() -> Pace {
        let now = Instant::now();
        // Chance that nobody has to repeat: no two real runs are the same.
        Pace { dice: crate::system::monotonic_nanos() | 1, free: now, last: now }
    }

    /// A number below another one (xorshift64, Marsaglia 2003).
    fn below(&mut self, end: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        if end == 0 { 0 } else { self.dice % end }
    }

    /// When a piece of so many bytes arrives; none when the connection breaks.
    fn due(&mut self, now: Instant, bytes: usize, state: &State) -> Option<Instant> {
        let of = |part: &AtomicU64| part.load(Ordering::Relaxed);
        let mut later = of(&state.later) + self.below(of(&state.jitter) + 1);
        let (lost, mut again, mut losses) = (of(&state.lost_ppm), of(&state.again), 0);
        while lost > 0 && self.below(1_000_000) < lost {
            losses += 1;
            if losses == MOST_RETRANSMITS {
                return None;
            }
            later += again;
            again *= 2;
        }
        let bandwidth = of(&state.bandwidth);
        if bandwidth > 0 {
            let takes = bytes as u128 * 1_000_000_000 / u128::from(bandwidth);
            self.free = self.free.max(now) + Duration::from_nanos(takes as u64);
        }
        let start = if bandwidth > 0 { self.free } else { now };
        self.last = self.last.max(start + Duration::from_nanos(later));
        Some(self.last)
    }
}

/// Hands bytes over to a node, however long that takes. False when the link was cut before all had
/// gone: the rest is lost. An error when the connection is over.
fn deliver(mut to: &TcpStream, mut bytes: &[u8], state: &State, began: u64) -> io::Result<bool> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let reset = state.resets.load(Ordering::Relaxed) != began;
                if reset || state.over.load(Ordering::Relaxed) {
                    return Err(ErrorKind::ConnectionReset.into());
                }
                if state.cut.load(Ordering::Relaxed) {
                    return Ok(false);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn carry(mut from: &TcpStream, to: &TcpStream, state: &State, began: u64) -> io::Result<()> {
    to.set_nodelay(true)?;
    // A node that stands still takes nothing; its link must still notice a cut and a reset.
    to.set_write_timeout(Some(LOOK_EVERY))?;
    let mut bytes = vec![0; 64 << 10];
    let mut waiting: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut lost = false;
    let mut pace = Pace::new();
    loop {
        let now = Instant::now();
        while let Some((due, _)) = waiting.front()
            && *due <= now
        {
            if let Some((_, bytes)) = waiting.pop_front() {
                lost |= !deliver(to, &bytes, state, began)?;
            }
            if lost {
                waiting.clear();
            }
        }
        let next = waiting.front().map_or(LOOK_EVERY, |(due, _)| due.duration_since(now));
        from.set_read_timeout(Some(next.clamp(Duration::from_micros(100), LOOK_EVERY)))?;
        let read = match from.read(&mut bytes) {
            Ok(0) => {
                // What is on its way still arrives.
                for (due, bytes) in waiting {
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    if lost || !deliver(to, &bytes, state, began)? {
                        break;
                    }
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
            let now = Instant::now();
            let Some(due) = pace.due(now, read, state) else { return Ok(()) };
            if due <= now && waiting.is_empty() {
                lost |= !deliver(to, &bytes[..read], state, began)?;
            } else {
                waiting.push_back((due, bytes[..read].to_vec()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::Span;

    const CLOCK: Clock = Clock { origin: 0, scale: 1_000 };

    fn cut(whole: bool) -> LinkState {
        LinkState { whole, ..LinkState::default() }
    }

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
        proxy.set(&cut(false), CLOCK);
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert!(ask(&mut stream).is_err(), "no answer comes");
        proxy.set(&cut(true), CLOCK);
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert!(matches!(stream.read(&mut [0; 9]), Ok(0) | Err(_)), "nor does it come later");
        let mut again = TcpStream::connect(proxy.address()).unwrap();
        assert_eq!(ask(&mut again).unwrap(), 1);
    }

    #[test]
    fn a_slow_link_delivers_later_and_a_reset_ends_connections() {
        let (proxy, mut stream) = linked();
        let delay = Span::from_millis(60);
        proxy.set(&LinkState { delay, ..LinkState::default() }, CLOCK);
        let asked = Instant::now();
        assert_eq!(ask(&mut stream).unwrap(), 1);
        assert!(asked.elapsed() >= Duration::from_millis(120), "there and back");
        proxy.reset();
        assert!(matches!(stream.read(&mut [0; 9]), Ok(0) | Err(_)));
    }

    #[test]
    fn a_node_that_takes_nothing_does_not_keep_its_link_from_a_cut_or_a_reset() {
        for cut_first in [false, true] {
            let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let proxy = Proxy::new(server.local_addr().unwrap()).unwrap();
            let mut stream = TcpStream::connect(proxy.address()).unwrap();
            let (_never_read, _) = server.accept().unwrap();
            stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
            while stream.write_all(&[0; 1 << 20]).is_ok() {}
            let asked = Instant::now();
            if cut_first {
                proxy.set(&cut(false), CLOCK);
                // What is sent into the cut is taken, and lost.
                stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
                stream.write_all(&[0; 1 << 20]).unwrap();
                proxy.set(&cut(true), CLOCK);
            } else {
                proxy.reset();
            }
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let end = stream.read(&mut [0; 9]);
            let timed_out = |error: &io::Error| error.kind() == ErrorKind::WouldBlock;
            assert!(!end.as_ref().is_err_and(timed_out), "{cut_first}: {end:?}");
            assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        }
    }

    #[test]
    fn a_lossy_link_sends_again_and_a_narrow_one_takes_its_time() {
        let state = State::default();
        let (mut pace, now) = (Pace::new(), Instant::now());
        assert!(pace.due(now, 9, &state).is_some_and(|due| due <= now), "at once");
        state.again.store(200_000_000, Ordering::Relaxed);
        state.lost_ppm.store(500_000, Ordering::Relaxed);
        let (mut late, mut broken) = (0, 0);
        for _ in 0..2_000 {
            let dice = pace.below(u64::MAX) | 1;
            let mut pace = Pace { dice, free: now, last: now };
            match pace.due(now, 9, &state) {
                Some(due) => late += usize::from(due >= now + Duration::from_millis(200)),
                None => broken += 1,
            }
        }
        // One half is lost once or more, and one of 64 six times.
        assert!((800..1_200).contains(&late) && (5..90).contains(&broken), "{late}, {broken}");
        state.lost_ppm.store(1_000_000, Ordering::Relaxed);
        assert_eq!(pace.due(now, 9, &state), None);
        state.lost_ppm.store(0, Ordering::Relaxed);
        state.bandwidth.store(1_000, Ordering::Relaxed);
        let mut pace = Pace::new();
        let first = pace.due(now, 500, &state).expect("it arrives");
        let second = pace.due(now, 500, &state).expect("it arrives");
        assert!(second >= first + Duration::from_millis(499), "one after the other");
        state.bandwidth.store(0, Ordering::Relaxed);
        state.jitter.store(50_000_000, Ordering::Relaxed);
        let third = pace.due(now, 1, &state).expect("it arrives");
        assert!(third >= second, "none overtakes another");
    }
}
