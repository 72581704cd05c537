//! The same comparison between two commands: other builds of wavetank, or the same one in other
//! surroundings. Each writes its checkpoints down, and then the events of one range.
//!
//! ```text
//! checkpoint EVENTS NANOSECONDS DIGEST STATE      regular ones, in order
//! end EVENTS NANOSECONDS DIGEST STATE
//! event NUMBER NANOSECONDS WORD WORD WORD WORD    of the range that was asked for
//! ```
//! Numbers of events and nanoseconds are decimal, the rest hexadecimal.

use std::fmt::Write;
use std::ops::Range;

use wavetank_kernel::{Checkpoint, EventWindow, TracedEvent, Trail};
use wavetank_vocabulary::Time;
use wavetank_world::World;

use super::{Comparison, Nobody, Parting, finished, first_difference};
use crate::interrupt;

/// What one command says about its run.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its checkpoints.
    pub trail: Trail,
    /// The events that were asked for.
    pub events: Vec<TracedEvent>,
}

/// Plays a world to its end and writes its trail down, with the events of a range if one is
/// asked for; none when somebody asked for an end before.
pub fn write(mut world: World<Nobody>, events: Option<Range<u64>>) -> Option<String> {
    if let Some(range) = events {
        world.trace(EventWindow::new(range));
    }
    let world = finished(world, &goes_on)?;
    let mut text = String::new();
    let mut line = |name: &str, c: &Checkpoint| {
        let (time, digest, state) = (c.time.as_nanos(), c.digest, c.state);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name} {} {time} {digest:032x} {state:016x}", c.events);
    };
    world.trail().checkpoints().iter().for_each(|checkpoint| line("checkpoint", checkpoint));
    world.trail().end().iter().for_each(|end| line("end", end));
    for event in world.traced().map_or(&[][..], EventWindow::events) {
        let [a, b, c, d] = event.words;
        let (index, time) = (event.index, event.time.as_nanos());
        let _ = writeln!(text, "event {index} {time} {a:x} {b:x} {c:x} {d:x}");
    }
    Some(text)
}

fn goes_on() -> bool {
    !interrupt::asked()
}

/// Reads what [`write()`] wrote; none if it is something else, or its end is missing.
pub fn read(text: &str) -> Option<Written> {
    let (mut checkpoints, mut end, mut events) = (Vec::new(), None, Vec::new());
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            [name @ ("checkpoint" | "end"), count, time, digest, state] => {
                let checkpoint = Checkpoint {
                    events: count.parse().ok()?,
                    time: Time::from_nanos(time.parse().ok()?),
                    digest: u128::from_str_radix(digest, 16).ok()?,
                    state: u64::from_str_radix(state, 16).ok()?,
                };
                match name {
                    "end" => end = Some(checkpoint),
                    _ => checkpoints.push(checkpoint),
                }
            }
            ["event", index, time, ref rest @ ..] if rest.len() == 4 => {
                let mut words = [0; 4];
                for (word, text) in words.iter_mut().zip(rest) {
                    *word = u64::from_str_radix(text, 16).ok()?;
                }
                let time = Time::from_nanos(time.parse().ok()?);
                events.push(TracedEvent { index: index.parse().ok()?, time, words });
            }
            _ => return None,
        }
    }
    Some(Written { trail: Trail::restored(checkpoints, end?), events })
}

/// Compares what `make` makes with what another command plays: `ask` gives what that one wrote, with
/// the events of a range in the second pass. None when somebody asked for an end before.
///
/// # Errors
/// Those of `ask`.
pub fn against<E>(
    mut make: impl FnMut() -> World<Nobody>,
    ask: impl Fn(Option<&Range<u64>>) -> Result<Written, E>,
) -> Result<Option<Comparison>, E> {
    let Some(ours) = finished(make(), &goes_on) else { return Ok(None) };
    let theirs = ask(None)?;
    let Some(range) = ours.trail().parting(&theirs.trail) else {
        let (digest, events) = (ours.digest(), ours.events());
        return Ok(Some(Comparison::Same { digest, events }));
    };
    let mut again = make();
    again.trace(EventWindow::new(range.clone()));
    let Some(again) = finished(again, &goes_on) else { return Ok(None) };
    let events = again.traced().map_or(&[][..], EventWindow::events);
    let events = first_difference(events, &ask(Some(&range))?.events);
    let digests = [ours.digest(), theirs.trail.end().map_or(0, |end| end.digest)];
    Ok(Some(Comparison::Parted(Parting { runs: ["this", "other"], digests, events, range })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_survives_being_written_down() {
        let text = "checkpoint 4096 17 000000000000000000000000000000ff 0000000000000001\n\
                    checkpoint 8192 29 000000000000000000000000000000fe 0000000000000002\n\
                    end 9000 31 000000000000000000000000000000fd 0000000000000003\n\
                    event 8192 30 a b c d\n";
        let written = read(text).expect("it is one");
        assert_eq!(written.trail.checkpoints().len(), 2);
        assert_eq!(written.events[0].words, [10, 11, 12, 13]);
        let other = text.replace("fe 0000", "ee 0000");
        let parting = written.trail.parting(&read(&other).expect("it is one").trail);
        assert_eq!(parting, Some(4096..8192));
        for wrong in ["", "end", "event 1 2 3", "checkpoint a b c d"] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
    }
}
