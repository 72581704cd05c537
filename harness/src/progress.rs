//! The progress line: virtual time, speed-up, events a second. Only on a terminal.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wavetank_vocabulary::{Span, Time};

/// A line on standard error that is redrawn while a run goes on.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
    drawn: Instant,
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
        if let Ok(style) = ProgressStyle::with_template("  {bar:30} {msg}") {
            bar.set_style(style);
        }
        let now = Instant::now();
        Progress { bar, started: now, drawn: now }
    }

    /// Tells how far the run has come.
    pub fn update(&mut self, at: Time, events: u64) {
        if self.bar.is_hidden() || self.drawn.elapsed() < EVERY {
            return;
        }
        self.drawn = Instant::now();
        let wall = self.started.elapsed().as_secs_f64().max(1e-6);
        self.bar.set_position(at.as_nanos() / 1_000_000);
        self.bar.set_message(format!(
            "{:.0}s of cluster time, {:.0}x life, {:.1} M events/s",
            at.as_secs_f64(),
            at.as_secs_f64() / wall,
            events as f64 / wall / 1e6
        ));
    }

    /// Takes the line away.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
