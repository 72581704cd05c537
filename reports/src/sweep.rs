//! What a sweep comes to: outcomes by point, and their differences from the first point.
//!
//! Every point is played with the same seeds, and a seed gives every point the same workload and
//! faults (common random numbers): so differences are taken seed by seed, and what seeds have in
//! common falls out of them (paired t). Each interval holds with 95 % on its own, not all of them
//! together.

mod chart;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use maud::{Markup, PreEscaped, html};
use serde::{Deserialize, Serialize};

use crate::campaign::Ended;
use crate::ink::Ink;
use crate::page::page;
use crate::student::Mean;
use chart::Curve;

/// The version of the form of a sweep's results.
pub const SWEEP_SCHEMA: u32 = 1;

/// One seed at one point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepRun {
    /// The place of the point.
    pub point: usize,
    /// The seed.
    pub seed: u64,
    /// The digest of the run.
    pub digest: String,
    /// What went wrong inside wavetank, if something did; then there are no outcomes.
    pub error: Option<String>,
    /// What was measured, by name and unit; what there were too few samples of is not in it.
    pub outcomes: BTreeMap<String, f64>,
}

/// A sweep that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepResult {
    /// [`SWEEP_SCHEMA`].
    pub schema: u32,
    /// The version of wavetank.
    pub version: String,
    /// The scenario, as the user named it.
    pub scenario: String,
    /// What is varied, with the values of each in order.
    pub vary: Vec<(String, Vec<String>)>,
    /// The values of each point, in the order of `vary`.
    pub points: Vec<Vec<String>>,
    /// How it came to its end.
    pub ended: Ended,
    /// All runs, by point and seed.
    pub runs: Vec<SweepRun>,
}

/// An outcome at a point.
struct Cell {
    mean: Option<Mean>,
    /// From the first point, over the seeds that both have.
    difference: Option<Mean>,
}

impl SweepResult {
    /// The values of a point, as a person would set them.
    pub fn point_name(&self, point: usize) -> String {
        let Some(values) = self.points.get(point) else { return String::new() };
        let named = self.vary.iter().zip(values).map(|((key, _), value)| format!("{key}={value}"));
        named.collect::<Vec<_>>().join(" ")
    }

    fn outcomes(&self) -> BTreeSet<&str> {
        self.runs.iter().flat_map(|run| run.outcomes.keys().map(String::as_str)).collect()
    }

    /// By seed, what was measured at a point.
    fn measured(&self, outcome: &str, point: usize) -> BTreeMap<u64, f64> {
        let here = self.runs.iter().filter(|run| run.point == point);
        here.filter_map(|run| Some((run.seed, *run.outcomes.get(outcome)?))).collect()
    }

    fn cell(&self, outcome: &str, point: usize) -> Cell {
        let values = self.measured(outcome, point);
        let mean = Mean::of(&values.values().copied().collect::<Vec<_>>());
        let first = self.measured(outcome, 0);
        let differences: Vec<f64> =
            values.iter().filter_map(|(seed, value)| Some(value - first.get(seed)?)).collect();
        let difference = if point == 0 { None } else { Mean::of(&differences) };
        Cell { mean, difference }
    }

    /// The result as `result.json` has it.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("keys are text, floats finite");
        text.push('\n');
        text
    }

    /// Each outcome with a line for each point, for a terminal.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let names: Vec<String> = (0..self.points.len()).map(|n| self.point_name(n)).collect();
        let width = names.iter().map(String::len).max().unwrap_or(0);
        for outcome in self.outcomes() {
            let _ = writeln!(text, "{outcome}");
            for (point, name) in names.iter().enumerate() {
                let cell = self.cell(outcome, point);
                let mean = cell.mean.map_or_else(|| "not measured".into(), |mean| shown(&mean));
                let _ = write!(text, "  {name:<width$}  {mean:<22}");
                if let Some(difference) = cell.difference {
                    let mark = if difference.differs() { '*' } else { ' ' };
                    let _ = write!(text, "  {mark} {}", signed(&difference));
                }
                while text.ends_with(' ') {
                    text.pop();
                }
                text.push('\n');
            }
        }
        text += "mean ± half of its 95 % interval over seeds, then the difference from the first \
                 point, seed\nby seed; * the interval of the difference does not hold zero\n";
        text
    }

    /// A row for each outcome and point.
    pub fn to_csv(&self) -> String {
        let keys: Vec<String> = self.vary.iter().map(|(key, _)| quoted(key)).collect();
        let mut text = format!(
            "outcome,{},seeds,mean,low,high,pairs,difference,difference_low,difference_high\n",
            keys.join(",")
        );
        let figures = |mean: Option<Mean>| match mean {
            None => "0,,,".to_owned(),
            Some(mean) => match mean.margin {
                None => format!("{},{},,", mean.n, mean.mean),
                Some(_) => {
                    let [low, high] = mean.interval();
                    format!("{},{},{low},{high}", mean.n, mean.mean)
                }
            },
        };
        for outcome in self.outcomes() {
            for (point, values) in self.points.iter().enumerate() {
                let cell = self.cell(outcome, point);
                let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
                let _ = writeln!(
                    text,
                    "{},{},{},{}",
                    quoted(outcome),
                    values.join(","),
                    figures(cell.mean),
                    figures(cell.difference)
                );
            }
        }
        text
    }

    /// A row for each run.
    pub fn runs_csv(&self) -> String {
        let mut text = String::from("point,seed,outcome,value\n");
        for run in &self.runs {
            for (outcome, value) in &run.outcomes {
                let point = quoted(&self.point_name(run.point));
                let _ = writeln!(text, "{point},{},{},{value}", run.seed, quoted(outcome));
            }
        }
        text
    }

    /// A page with a chart of each outcome; `command` plays the sweep again.
    pub fn to_html(&self, command: &str) -> String {
        let title = format!("Sweep of {}", self.scenario);
        let seeds: BTreeSet<u64> = self.runs.iter().map(|run| run.seed).collect();
        let body = html! {
            h1 { (title) }
            p.soft {
                (self.points.len()) " points, " (seeds.len()) " seeds. Every point has the "
                "same workload and faults, seed by seed; bands and intervals are 95 % "
                "confidence intervals over seeds, each on its own."
            }
            @if self.ended != Ended::Whole {
                p.verdict.open { "Not all runs were played: the sweep was ended early." }
            }
            @for outcome in self.outcomes() { (self.figure(outcome)) }
            h2 { "Reproduce" }
            p { code { (command) } }
        };
        page(&title, &body)
    }

    fn figure(&self, outcome: &str) -> Markup {
        let Some((axis, values)) = self.vary.first() else { return html! {} };
        // The first parameter varies slowest: a curve is every point with the same others.
        let others = self.points.len() / values.len().max(1);
        let curve = |other: usize| {
            let at = |value: usize| value * others + other;
            let values_of = self.points.get(other).into_iter().flatten();
            let named = self.vary.iter().zip(values_of).skip(1);
            Curve {
                name: named.map(|((key, _), v)| format!("{key}={v}")).collect::<Vec<_>>().join(" "),
                means: (0..values.len()).map(|value| self.cell(outcome, at(value)).mean).collect(),
            }
        };
        let curves: Vec<Curve> = (0..others).map(curve).collect();
        html! {
            h2 { (outcome) }
            figure {
                (PreEscaped(chart::svg(outcome, values, &curves)))
                figcaption {
                    p {
                        (axis)
                        @for (number, curve) in curves.iter().enumerate() {
                            @if !curve.name.is_empty() {
                                " · " span style={ "color:var(" (Ink::Nth(number).variable()) ")" } {
                                    (curve.name)
                                }
                            }
                        }
                    }
                }
            }
            div.scroll { table {
                tr { th { "Point" } th.n { "Seeds" } th.n { "Mean" } th.n { "From the first" } }
                @for point in 0..self.points.len() {
                    @let cell = self.cell(outcome, point);
                    tr {
                        td { code { (self.point_name(point)) } }
                        td.n { (cell.mean.map_or(0, |mean| mean.n)) }
                        td.n { @if let Some(mean) = cell.mean { (shown(&mean)) } @else { "–" } }
                        td.n {
                            @if let Some(difference) = cell.difference {
                                @if difference.differs() { b { (signed(&difference)) } }
                                @else { (signed(&difference)) }
                            }
                        }
                    }
                }
            } }
        }
    }
}

/// As many digits as the interval leaves meaning to.
fn digits(mean: &Mean) -> usize {
    let scale = mean.margin.filter(|margin| *margin > 0.0).unwrap_or(mean.mean.abs() / 100.0);
    if scale <= 0.0 { 0 } else { (1.0 - scale.log10().floor()).clamp(0.0, 6.0) as usize }
}

fn shown(mean: &Mean) -> String {
    let digits = digits(mean);
    match mean.margin {
        Some(margin) => format!("{:.digits$} ± {margin:.digits$}", mean.mean),
        None => format!("{:.digits$}", mean.mean),
    }
}

fn signed(mean: &Mean) -> String {
    let sign = if mean.mean >= 0.0 { "+" } else { "" };
    format!("{sign}{}", shown(mean))
}

/// A field of a CSV file.
fn quoted(text: &str) -> String {
    let plain = !text.contains([',', '"', '\n', '\r']);
    if plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SweepResult {
        let run = |point: usize, seed: u64, value: f64| SweepRun {
            point,
            seed,
            digest: "0".into(),
            error: None,
            outcomes: BTreeMap::from([("latency app p50 [ms]".to_owned(), value)]),
        };
        // Seeds differ much from each other, points little and always in the same way.
        let base = [10.0, 40.0, 25.0, 60.0];
        let runs = (0..3usize).flat_map(|point| {
            base.iter().enumerate().map(move |(seed, value)| {
                let noise = if seed % 2 == 0 { 0.1 } else { -0.1 } * (point > 1) as u8 as f64;
                run(point, seed as u64, value + if point == 1 { 0.5 } else { noise })
            })
        });
        let values: Vec<String> = ["100ms", "500ms", "2s"].map(str::to_owned).to_vec();
        SweepResult {
            schema: SWEEP_SCHEMA,
            version: "0.1.0".into(),
            scenario: "<small>".into(),
            points: values.iter().map(|value| vec![value.clone()]).collect(),
            vary: vec![("ha.pull_interval".into(), values)],
            ended: Ended::Whole,
            runs: runs.collect(),
        }
    }

    #[test]
    fn pairs_show_what_means_hide() {
        let text = sample().to_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "latency app p50 [ms]");
        // The means' intervals overlap almost wholly; the difference is sure all the same.
        assert!(lines[2].contains("± ") && lines[2].ends_with("* +0.5000 ± 0.0000"), "{text}");
        assert!(!lines[3].contains('*'), "{text}");
    }

    #[test]
    fn the_table_for_programs_has_a_row_for_each_point() {
        let csv = sample().to_csv();
        let rows: Vec<&str> = csv.lines().collect();
        assert_eq!(rows.len(), 4);
        assert!(rows[0].starts_with("outcome,ha.pull_interval,seeds,mean,"));
        assert!(rows[2].starts_with("latency app p50 [ms],500ms,4,34.25,"), "{csv}");
        assert!(rows[2].ends_with(",4,0.5,0.5,0.5"), "{csv}");
        assert_eq!(sample().runs_csv().lines().count(), 13);
    }

    #[test]
    fn the_page_has_a_chart_and_escapes_what_it_is_given() {
        let page = sample().to_html("wavetank sweep <small>");
        assert!(page.contains("<polygon") && page.contains("<polyline"), "{page}");
        assert!(page.contains("Sweep of &lt;small&gt;") && !page.contains("<small>"));
    }

    #[test]
    fn a_point_that_was_not_measured_says_so() {
        let mut result = sample();
        result.runs.retain(|run| run.point != 1);
        assert!(result.to_text().contains("500ms  not measured"), "{}", result.to_text());
        assert!(result.to_html("").matches("<polyline").count() == 2);
    }
}
