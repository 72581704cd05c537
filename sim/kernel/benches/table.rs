//! Interleaved rounds, medians, and the table that is printed.

use std::io::Write;

use crate::workloads::Outcome;

/// An engine: a name and a run of it.
pub(crate) type Engine<'a> = (&'a str, &'a mut dyn FnMut() -> Outcome);

/// Rows of (workload, engine, events per second, ratio to the first engine).
pub(crate) struct Table {
    rounds: usize,
    /// Only workloads whose name contains this are run.
    only: String,
    rows: Vec<(String, String, f64, f64)>,
}

impl Table {
    pub(crate) fn new(rounds: usize, only: String) -> Self {
        Table { rounds, only, rows: Vec::new() }
    }

    /// Runs each engine once per round. All engines that play the same schedule must come
    /// to the same state; one that draws from other streams says so by giving none.
    pub(crate) fn workload(&mut self, name: &str, engines: &mut [Engine<'_>]) {
        if !name.contains(&self.only) {
            return;
        }
        let mut speeds = vec![Vec::new(); engines.len()];
        for _ in 0..self.rounds {
            let mut state = None;
            for ((engine, run), speeds) in engines.iter_mut().zip(&mut speeds) {
                let outcome = run();
                speeds.push(outcome.events as f64 / outcome.elapsed.as_secs_f64());
                let known = *state.get_or_insert(outcome.state);
                assert!(
                    known.is_none() || outcome.state.is_none() || known == outcome.state,
                    "{engine} plays {name} differently"
                );
            }
        }
        let base = speeds[0].clone();
        for ((engine, _), speeds) in engines.iter().zip(&speeds) {
            let ratios = speeds.iter().zip(&base).map(|(speed, base)| speed / base).collect();
            let row =
                (name.to_owned(), (*engine).to_owned(), median(speeds.clone()), median(ratios));
            self.rows.push(row);
        }
    }

    pub(crate) fn print(&self) {
        let mut out = std::io::stdout().lock();
        let mut line = |text: String| writeln!(out, "{text}").expect("standard output");
        line("| workload | engine | M events/s | ns/event | ratio |".to_owned());
        line("|---|---|---:|---:|---:|".to_owned());
        for (workload, engine, speed, ratio) in &self.rows {
            let (millions, nanos) = (speed / 1e6, 1e9 / speed);
            line(format!("| {workload} | {engine} | {millions:.1} | {nanos:.1} | {ratio:.2} |"));
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
