//! The progress line: virtual time, speed-up, what is left. Only on a terminal.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wavetank_vocabulary::{Span, Time};

/// A line on standard error that is redrawn while a run goes on.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// In seconds of virtual time.
    duration: f64,
    started: Instant,
    drawn: Instant,
}

/// What the line says; at most 59 characters for anything that plays within a day.
fn message(at: f64, duration: f64, wall: f64, events: u64) -> String {
    let speed = at / wall.max(1e-6);
    let left = ((duration - at).max(0.0) / speed.max(1e-9)).ceil();
    format!(
        "{at:.0}s of {duration:.0}s, {speed:.0}x life, {:.1} M events/s, {left:.0}s left",
        events as f64 / wall / 1e6
    )
}

/// How often the line is drawn.
const EVERY: Duration = Duration::from_millis(100);

impl Progress {
    /// A line for a run of that length; invisible when standard error is no terminal.
    pub fn new(duration: Span, quiet: bool) -> Self {
        let visible = !quiet && std::io::stderr().is_terminal();
        let target =
            if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(duration.as_nanos() / 1_000_000), target);
        if let Ok(style) = ProgressStyle::with_template("  {bar:18} {msg}") {
            bar.set_style(style);
        }
        let now = Instant::now();
        Progress { bar, duration: duration.as_secs_f64(), started: now, drawn: now }
    }

    /// Tells how far the run has come.
    pub fn update(&mut self, at: Time, events: u64) {
        if self.bar.is_hidden() || self.drawn.elapsed() < EVERY {
            return;
        }
        self.drawn = Instant::now();
        let wall = self.started.elapsed().as_secs_f64().max(1e-6);
        self.bar.set_position(at.as_nanos() / 1_000_000);
        self.bar.set_message(message(at.as_secs_f64(), self.duration, wall, events));
    }

    /// Takes the line away.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_is_left_and_fits_a_terminal() {
        let text = message(30.0, 300.0, 2.0, 9_000_000);
        assert_eq!(text, "30s of 300s, 15x life, 4.5 M events/s, 18s left");
        let long = message(3_628_799.0, 3_628_800.0, 900.0, 9_000_000_000);
        assert!(long.len() <= 59, "{}: {long}", long.len());
    }
}
