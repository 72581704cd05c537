//! The progress of a campaign: a line that is redrawn on a terminal, and elsewhere (a CI job's
//! log) one line now and then.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use wavetank_reports::{Coverage, Point, SeedResult};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::tell;

/// How often a line is written where none can be redrawn.
const EVERY: Duration = Duration::from_secs(10);

/// Tells how far a campaign has come; may be told by several workers.
pub(super) struct CampaignProgress {
    bar: ProgressBar,
    quiet: bool,
    total: u64,
    over: AtomicU64,
    /// Results that were there before it began.
    before: u64,
    failed: AtomicU64,
    /// What the runs have covered, those that were there before included.
    covered: Mutex<Coverage>,
    started: Instant,
    told: Mutex<Instant>,
}

fn message(
    over: u64,
    total: u64,
    played: u64,
    failed: u64,
    covered: Option<(usize, usize)>,
    seconds: f64,
) -> String {
    let rate = played as f64 / seconds.max(1e-6);
    let left = (total.saturating_sub(over)) as f64 / rate.max(1e-6);
    let failed = if failed == 0 { "none failed".to_owned() } else { format!("{failed} FAILED") };
    let covered = covered.map_or_else(String::new, |(cells, points)| {
        format!(", {cells} cells and {points} of {} points covered", Point::ALL.len())
    });
    format!("{over} of {total} runs, {rate:.1}/s, {failed}{covered}, {left:.0}s left")
}

impl CampaignProgress {
    pub(super) fn new(total: u64, before: u64, quiet: bool) -> Self {
        let visible = !quiet && std::io::stderr().is_terminal();
        let target =
            if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        if let Ok(style) = ProgressStyle::with_template("  {bar:18} {msg}") {
            bar.set_style(style);
        }
        let now = Instant::now();
        CampaignProgress {
            bar,
            quiet,
            total,
            over: AtomicU64::new(before),
            before,
            failed: AtomicU64::new(0),
            covered: Mutex::new(Coverage::default()),
            started: now,
            told: Mutex::new(now),
        }
    }

    /// What runs have covered that were there before, and how many of them failed.
    pub(super) fn there_before<'a>(&self, results: impl Iterator<Item = &'a SeedResult>) {
        let mut covered = self.covered.lock().unwrap_or_else(PoisonError::into_inner);
        for result in results {
            covered.merge(&result.coverage);
            self.failed.fetch_add(u64::from(!result.held()), Ordering::Relaxed);
        }
    }

    /// A run of a campaign is over.
    pub(super) fn played(&self, result: &SeedResult) {
        let cells = {
            let mut covered = self.covered.lock().unwrap_or_else(PoisonError::into_inner);
            covered.merge(&result.coverage);
            (covered.cells(), covered.points())
        };
        self.tell(result.held(), Some(cells));
    }

    /// Something is over that covers nothing by itself, and everything held or not.
    pub(super) fn over(&self, held: bool) {
        self.tell(held, None);
    }

    fn tell(&self, held: bool, covered: Option<(usize, usize)>) {
        let over = self.over.fetch_add(1, Ordering::Relaxed) + 1;
        let new = u64::from(!held);
        let failed = self.failed.fetch_add(new, Ordering::Relaxed) + new;
        let text = || {
            let seconds = self.started.elapsed().as_secs_f64();
            message(over, self.total, over - self.before, failed, covered, seconds)
        };
        if !self.bar.is_hidden() {
            self.bar.set_position(over);
            self.bar.set_message(text());
        } else if !self.quiet {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.elapsed() >= EVERY {
                *told = Instant::now();
                tell(&text());
            }
        }
    }

    /// Takes the line away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_counts_what_was_played_now() {
        let text = message(600, 1000, 100, 0, None, 10.0);
        assert_eq!(text, "600 of 1000 runs, 10.0/s, none failed, 40s left");
        let text = message(600, 1000, 100, 3, Some((212, 20)), 10.0);
        let points = Point::ALL.len();
        assert!(text.contains(&format!("3 FAILED, 212 cells and 20 of {points} points covered")));
    }

    #[test]
    fn what_failed_before_counts_after_a_resume() {
        let result = |exit: u8| -> SeedResult {
            let none = serde_json::json!({
                "schema": 1, "version": "", "scenario": "a.toml", "scenario_digest": "", "seed": 1,
                "digest": "", "exit": exit, "failures": [], "waiting": null, "error": null,
                "rules": [], "found": {}, "faults": {}, "coverage": Coverage::default().to_json(),
                "simulated_seconds": 1.0, "events": 1, "twice": false, "wall_seconds": 1.0,
            });
            serde_json::from_value(none).expect("it is a result")
        };
        let progress = CampaignProgress::new(3, 2, true);
        progress.there_before([result(0), result(1)].iter());
        progress.played(&result(1));
        assert_eq!(progress.failed.load(Ordering::Relaxed), 2);
    }
}
