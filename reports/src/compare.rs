//! Real runs beside simulated ones of the same scenario: how far the model is from life.
//!
//! Every quantity is taken from each result and set side by side with its spread over the runs;
//! the error is that of the simulated mean, as a part of the real one. Where both sides have two
//! runs or more, it is said whether their 95 % confidence intervals (Student's t) part.

mod chart;
mod page;
mod quantities;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::result::RunResult;
use crate::student::Mean;
use crate::verdict::Overall;
use quantities::{Quantity, quantities};

/// Fewer real runs say little of how much they differ among themselves.
const ENOUGH_REAL: usize = 3;
/// The same of simulated ones.
const ENOUGH_SIMULATED: usize = 5;

/// Real and simulated results of one scenario, side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The scenario's name.
    pub scenario: String,
    /// How many real results there are.
    pub real_runs: usize,
    /// How many simulated ones.
    pub simulated_runs: usize,
    /// The cost table of the simulated ones.
    pub costs: String,
    /// What keeps the two from being compared fairly; empty if nothing does.
    pub caveats: Vec<String>,
    /// The quantities that both sides have.
    pub rows: Vec<Row>,
    /// Those that only one side has, often for want of samples.
    pub one_sided: Vec<String>,
    /// Those that have a goal and no error to hold against it: only one side has them, or the real
    /// one has zero.
    #[serde(default)]
    pub unjudged: Vec<String>,
}

/// A quantity on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What it is, with its unit.
    pub quantity: String,
    /// Its unit.
    pub unit: String,
    /// In the real runs.
    pub real: Spread,
    /// In the simulated ones.
    pub simulated: Spread,
    /// The simulated mean over the real one, less one; none where the real one is zero.
    pub error: Option<f64>,
    /// How large the error may be, where there is a goal: 0.1 is 10 %.
    pub goal: Option<f64>,
    /// Whether the 95 % confidence intervals of the means part; none where one side has a single
    /// run.
    pub parted: Option<bool>,
}

/// A quantity over the runs of one side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// In how many runs it was measured.
    pub runs: usize,
    /// The mean.
    pub mean: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
    /// How far the 95 % confidence interval of the mean reaches to each side; none from one run.
    pub margin: Option<f64>,
}

impl Spread {
    fn of(values: &[f64]) -> Option<Spread> {
        let mean = Mean::of(values)?;
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Spread { runs: mean.n, mean: mean.mean, low, high, margin: mean.margin })
    }

    fn interval(&self) -> Option<[f64; 2]> {
        self.margin.map(|margin| [self.mean - margin, self.mean + margin])
    }

    fn shown(&self) -> String {
        let [mean, low, high] = [self.mean, self.low, self.high].map(digits);
        if low == high { mean } else { format!("{mean} ({low} to {high})") }
    }
}

impl Row {
    fn new(quantity: &Quantity, real: Spread, simulated: Spread) -> Row {
        let error = (real.mean != 0.0).then(|| simulated.mean / real.mean - 1.0);
        let parted = real.interval().zip(simulated.interval());
        Row {
            quantity: quantity.name.clone(),
            unit: quantity.unit.to_owned(),
            real,
            simulated,
            error,
            goal: quantity.goal,
            parted: parted
                .map(|(real, simulated)| real[1] < simulated[0] || simulated[1] < real[0]),
        }
    }

    /// Whether the error is within its goal; none where there is no goal or no error.
    pub fn met(&self) -> Option<bool> {
        self.goal.zip(self.error).map(|(goal, error)| error.abs() <= goal)
    }

    /// What there is to say of the error.
    fn remark(&self) -> String {
        let goal = self.goal.map(|goal| format!("{} %", goal * 100.0)).unwrap_or_default();
        match self.met() {
            Some(true) => format!("within {goal}"),
            Some(false) => format!("beyond {goal}"),
            None => String::new(),
        }
    }
}

impl Comparison {
    /// Real results beside simulated ones.
    pub fn new(real: &[RunResult], simulated: &[RunResult]) -> Comparison {
        let of = |results: &[RunResult]| results.iter().map(quantities).collect::<Vec<_>>();
        let (of_real, of_simulated) = (of(real), of(simulated));
        let mut known: Vec<Quantity> = Vec::new();
        for quantity in of_real.iter().chain(&of_simulated).flatten() {
            if known.iter().all(|other| other.name != quantity.name) {
                known.push(quantity.clone());
            }
        }
        let spread = |side: &[Vec<Quantity>], name: &str| {
            let of = |run: &Vec<Quantity>| run.iter().find(|q| q.name == name).map(|q| q.value);
            Spread::of(&side.iter().filter_map(of).collect::<Vec<f64>>())
        };
        let (mut rows, mut one_sided) = (Vec::new(), Vec::new());
        for quantity in &known {
            let sides = spread(&of_real, &quantity.name).zip(spread(&of_simulated, &quantity.name));
            match sides {
                Some((real, simulated)) => rows.push(Row::new(quantity, real, simulated)),
                None => one_sided.push(quantity.name.clone()),
            }
        }
        let judged = |quantity: &&Quantity| {
            rows.iter().any(|row| row.quantity == quantity.name && row.met().is_some())
        };
        let unjudged = known.iter().filter(|quantity| quantity.goal.is_some() && !judged(quantity));
        let unjudged = unjudged.map(|quantity| quantity.name.clone()).collect();
        let any = real.iter().chain(simulated).next();
        Comparison {
            scenario: any.map(|result| result.scenario.clone()).unwrap_or_default(),
            real_runs: real.len(),
            simulated_runs: simulated.len(),
            costs: simulated.first().map(|result| result.costs.clone()).unwrap_or_default(),
            caveats: caveats(real, simulated),
            rows,
            one_sided,
            unjudged,
        }
    }

    /// Whether there is an error that has a goal, and every one is within it; none of the
    /// quantities that have a goal may be without an error.
    pub fn goals_met(&self) -> bool {
        let mut met = self.rows.iter().filter_map(Row::met).peekable();
        self.unjudged.is_empty() && met.peek().is_some() && met.all(|met| met)
    }

    /// The comparison as JSON.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("keys are text, floats finite");
        text.push('\n');
        text
    }

    /// The comparison as a table for a terminal.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{}: real, {}; simulated, {} ({} costs)\n",
            self.scenario,
            runs(self.real_runs),
            runs(self.simulated_runs),
            self.costs
        );
        for caveat in &self.caveats {
            let _ = writeln!(text, "  note: {caveat}");
        }
        let heads = ["", "real", "simulated", "error", ""].map(str::to_owned);
        let cells = self.rows.iter().map(|row| {
            let error = row.error.map_or_else(|| "–".into(), percent);
            let apart = if row.parted == Some(true) { format!("{error} *") } else { error };
            [row.quantity.clone(), row.real.shown(), row.simulated.shown(), apart, row.remark()]
        });
        let lines: Vec<[String; 5]> = std::iter::once(heads).chain(cells).collect();
        let width = |column: usize| {
            lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..5).map(width).collect();
        for line in &lines {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        text += "mean (lowest to highest run); * the 95 % confidence intervals of the means part\n";
        if !self.one_sided.is_empty() {
            let _ = writeln!(text, "on one side only: {}", self.one_sided.join(", "));
        }
        text
    }
}

/// What a reader must know before believing the table.
fn caveats(real: &[RunResult], simulated: &[RunResult]) -> Vec<String> {
    let mut caveats = Vec::new();
    for (side, results, enough) in
        [("real", real, ENOUGH_REAL), ("simulated", simulated, ENOUGH_SIMULATED)]
    {
        if results.len() < enough {
            let count = runs(results.len());
            caveats.push(format!("{count} on the {side} side: {enough} show how much they differ"));
        }
        for result in results.iter().filter(|result| result.partial) {
            caveats.push(format!("a {side} result (seed {}) was broken off", result.seed));
        }
        for result in results.iter().filter(|it| it.verdict != Overall::Held && !it.partial) {
            let verdict = result.verdict.name();
            caveats
                .push(format!("the verdict on a {side} result (seed {}): {verdict}", result.seed));
        }
    }
    let all = || real.iter().chain(simulated);
    let Some(first) = all().next() else { return caveats };
    if let Some(other) = all().find(|result| result.scenario != first.scenario) {
        caveats.push(format!("two scenarios: `{}` and `{}`", first.scenario, other.scenario));
    }
    if all().any(|result| result.graph != first.graph) {
        caveats.push("the graphs at the start differ".into());
    }
    if all().any(|result| result.version != first.version) {
        caveats.push("results of several versions of wavetank".into());
    }
    // A simulation has no clock but its own.
    let scale = |result: &RunResult| result.time_scale.unwrap_or(1.0);
    if all().any(|result| scale(result) != scale(first)) {
        caveats.push(
            "the clocks do not all run equally fast: in a real run with `--time-scale X` latencies \
             read X times as long"
                .into(),
        );
    } else if scale(first) != 1.0 {
        let scale = scale(first);
        caveats.push(format!(
            "the clock ran {scale} times as fast as the real one: latencies read {scale} times as \
             long"
        ));
    }
    for (name, setting) in &first.settings {
        let differs = |result: &RunResult| {
            result.settings.get(name).is_some_and(|other| other.value != setting.value)
        };
        if all().any(differs) {
            caveats.push(format!("`{name}` differs"));
        }
    }
    if simulated.iter().any(|result| result.costs == "assumed") {
        caveats.push(
            "the simulated runs use assumed costs: `wavetank calibrate` measures those of this \
             machine"
                .into(),
        );
    }
    caveats
}

fn runs(count: usize) -> String {
    if count == 1 { "1 run".into() } else { format!("{count} runs") }
}

/// Three digits that mean something.
fn digits(value: f64) -> String {
    let places = match value.abs() {
        v if v >= 100.0 || v == 0.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.places$}")
}

/// An error, with its sign.
fn percent(error: f64) -> String {
    let percent = error * 100.0;
    let places = usize::from(percent.abs() < 9.95);
    let text = format!("{percent:+.places$} %");
    if text == "-0.0 %" || text == "+0.0 %" { "0 %".into() } else { text }
}
