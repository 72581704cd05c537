//! Connections that somebody has opened and that say nothing: there may be so many and no more.
//! When there are, the one that has been silent the longest gives way to the next, so that
//! silence locks nobody out.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::log::Log;

/// How often it is said at the most that one had to give way.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Connections of a kind.
#[derive(Debug)]
pub(crate) struct Crowd {
    what: &'static str,
    most: usize,
    log: Log,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    /// The one that has been silent the longest first.
    silent: Vec<(u64, Arc<TcpStream>)>,
    busy: usize,
    next: u64,
    said: Option<Instant>,
}

/// The place of one connection; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    stream: Arc<TcpStream>,
    /// Under which number it is among the silent ones.
    silent: Option<u64>,
}

impl Crowd {
    /// Has places for `most` connections, of which the log says that they are `what`.
    pub(crate) fn new(what: &'static str, most: usize, log: &Log) -> Arc<Crowd> {
        Arc::new(Crowd { what, most, log: log.clone(), inside: Mutex::default() })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection that is silent at first; none when all others are at work.
    pub(crate) fn enter(self: &Arc<Self>, stream: &Arc<TcpStream>) -> Option<Place> {
        let mut inside = self.inside();
        let full = inside.silent.len() + inside.busy >= self.most;
        let gone = (full && !inside.silent.is_empty()).then(|| inside.silent.remove(0));
        if full && inside.said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
            inside.said = Some(Instant::now());
            let fate = match gone {
                Some(_) => "the longest silent one was closed for the next",
                None => "all are at work, and the next was refused",
            };
            self.log.say(&format!("{} {}: {fate}", self.most, self.what));
        }
        if full && gone.is_none() {
            return None;
        }
        if let Some((_, gone)) = gone {
            // Its thread reads the end and goes.
            let _ = gone.shutdown(Shutdown::Both);
        }
        let silent = Some(inside.add(stream));
        Some(Place { crowd: self.clone(), stream: stream.clone(), silent })
    }
}

impl Inside {
    fn add(&mut self, stream: &Arc<TcpStream>) -> u64 {
        self.next += 1;
        self.silent.push((self.next, stream.clone()));
        self.next
    }
}

impl Place {
    /// It is at work for somebody: it gives way to nobody.
    pub(crate) fn works(&mut self) {
        let mut inside = self.crowd.inside();
        if let Some(number) = self.silent.take() {
            inside.silent.retain(|(at, _)| *at != number);
            inside.busy += 1;
        }
    }

    /// It waits for the other end.
    pub(crate) fn waits(&mut self) {
        let mut inside = self.crowd.inside();
        if self.silent.is_none() {
            inside.busy -= 1;
            self.silent = Some(inside.add(&self.stream));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.crowd.inside();
        match self.silent {
            Some(number) => inside.silent.retain(|(at, _)| *at != number),
            None => inside.busy -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    #[test]
    fn the_longest_silent_one_gives_way() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let pair = || {
            let client = TcpStream::connect(at).unwrap();
            (client, Arc::new(listener.accept().unwrap().0))
        };
        let crowd = Crowd::new("connections", 2, &Log::new("test"));
        let (mut first, one) = pair();
        let (mut second, two) = pair();
        let mut of_first = crowd.enter(&one).unwrap();
        let of_second = crowd.enter(&two).unwrap();
        // The first has been silent for less long than the second.
        of_first.works();
        of_first.waits();
        let (_third, three) = pair();
        let mut of_third = crowd.enter(&three).unwrap();
        assert_eq!(second.read(&mut [0; 1]).unwrap(), 0, "it was closed");
        drop(of_second);
        first.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        assert!(first.read(&mut [0; 1]).is_err(), "it was not");
        // Nobody gives way who is at work.
        of_first.works();
        of_third.works();
        let (_fourth, four) = pair();
        assert!(crowd.enter(&four).is_none());
        drop(of_first);
        assert!(crowd.enter(&four).is_some());
    }
}
