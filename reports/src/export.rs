//! The data behind the report as files of their own: a CSV per figure, latencies in
//! HdrHistogram's forms.

use std::fmt::Write;

use wavetank_vocabulary::Time;
use wavetank_world::Plan;

use crate::chart::Line;
use crate::figures::{self, Figure};
use crate::hdr_log::{hgrm, hlog};
use crate::metrics::metrics_csv;
use crate::operations::OperationStats;
use crate::percentiles;
use crate::recorder::Recorder;
use crate::slowest::Breakdown;
use crate::user_log::user_logs;

/// The data files of a run, each with its path in the folder of results, which has only the
/// characters `a-z A-Z 0-9 . _ -` and one `/`: `figures/latency.csv`,
/// `latency/app.follow.hgrm`, `latency/app.follow.hlog`, `metrics/i1.csv` (as Neo4j's CSV
/// reporter names them), `logs/i1.log` (Neo4j's user log). Figures for which nothing was
/// measured and operations that never succeeded have none.
pub fn data_files(plan: &Plan, recorder: &Recorder) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for figure in figures::lines(plan, recorder) {
        files.push((format!("figures/{}.csv", figure.id), figure_csv(&figure)));
    }
    files.push((String::from("figures/roles.csv"), roles_csv(recorder)));
    let curves = percentiles::chart(plan, recorder).curves;
    if !curves.is_empty() {
        let mut text = String::from("operation,percentile,one_in,latency_ms\n");
        for curve in &curves {
            for &(decades, ms) in &curve.points {
                let one_in = 10f64.powf(decades);
                let name = cell(&curve.name);
                // Writing to a string cannot fail.
                let _ =
                    writeln!(text, "{name},{:.6},{one_in:.4},{ms}", 100.0 * (1.0 - 1.0 / one_in));
            }
        }
        files.push((String::from("figures/percentiles.csv"), text));
    }
    if recorder.visibility().curves().iter().any(|curve| curve.totals().0 > 0) {
        files.push((String::from("figures/visibility.csv"), visibility_csv(plan, recorder)));
    }
    if !recorder.slowest().is_empty() {
        files.push((String::from("figures/slowest.csv"), slowest_csv(plan, recorder)));
    }
    latencies(plan, recorder, &mut files);
    for (place, instance) in plan.instances.iter().enumerate() {
        let text = metrics_csv(plan, recorder, place);
        // One line is the head alone.
        if text.lines().nth(1).is_some() {
            files.push((format!("metrics/{}.csv", instance.id), text));
        }
    }
    for (instance, text) in user_logs(recorder) {
        files.push((format!("logs/{instance}.log"), text));
    }
    files
}

/// One row for each client and bin of ages; the last bin has no end.
fn visibility_csv(plan: &Plan, recorder: &Recorder) -> String {
    let mut text = String::from("client,routing,age_from_ms,age_to_ms,reads,stale\n");
    for (client, curve) in plan.clients.iter().zip(recorder.visibility().curves()) {
        for bin in curve.bins() {
            let to =
                if bin.to_ms.is_finite() { format!("{:.3}", bin.to_ms) } else { String::new() };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{},{},{:.3},{to},{},{}",
                cell(&client.name),
                client.routing.name(),
                bin.from_ms,
                bin.reads,
                bin.stale
            );
        }
    }
    text
}

fn latencies(plan: &Plan, recorder: &Recorder, files: &mut Vec<(String, String)>) {
    let from = Time::ZERO + plan.warm_up;
    let length = plan.duration.saturating_sub(plan.warm_up);
    let mut add = |name: &str, stats: &OperationStats| {
        let Some(longest) = stats.longest() else { return };
        let mut stem = format!("latency/{}", file_name(name));
        // Two names may become one without their special characters.
        while files.iter().any(|(path, _)| *path == format!("{stem}.hgrm")) {
            stem.push('_');
        }
        files.push((format!("{stem}.hgrm"), hgrm(stats.latency())));
        files.push((format!("{stem}.hlog"), hlog(stats.latency(), longest, from, length)));
    };
    for (index, client) in plan.clients.iter().enumerate() {
        if let Some(stats) = recorder.client(index) {
            add(&client.name, stats);
        }
        for &(kind, _) in &client.mix {
            let program = plan.operations.get(kind.index());
            if let Some((program, stats)) = program.zip(recorder.operation(index, kind)) {
                add(&format!("{}.{}", client.name, program.name), stats);
            }
        }
    }
}

/// The name with nothing in it that a file system or a shell might take amiss.
fn file_name(name: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let text: String = name.chars().map(|c| if safe(c) { c } else { '_' }).take(100).collect();
    if text.starts_with('.') { text.replacen('.', "_", 1) } else { text }
}

/// A cell of a CSV, quoted where RFC 4180 asks for it.
fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// One row per bucket, with the middle of its time (`series.csv` has its start), then a column per line; where a line has
/// extremes, two more for the smallest and the largest.
fn figure_csv(figure: &Figure) -> String {
    let lines: Vec<&Line> = figure.chart.lines.iter().collect();
    let mut text = String::from("time_s");
    for line in &lines {
        let name = format!("{} [{}]", line.name, figure.unit);
        let _ = write!(text, ",{}", cell(&name));
        if !line.spread.is_empty() {
            let (low, high) = (format!("{name} lowest"), format!("{name} highest"));
            let _ = write!(text, ",{},{}", cell(&low), cell(&high));
        }
    }
    text.push('\n');
    // Parts are drawn as percentages, and written as such.
    let scale = if figure.unit == "%" { 100.0 } else { 1.0 };
    let number = |text: &mut String, value: Option<f64>| {
        text.push(',');
        if let Some(value) = value {
            let _ = write!(text, "{}", (value * scale * 1e6).round() / 1e6);
        }
    };
    let rows = lines.first().map_or(0, |line| line.points.len());
    for row in 0..rows {
        let _ = write!(text, "{}", lines[0].points[row].0);
        for line in &lines {
            number(&mut text, line.points[row].1);
            if !line.spread.is_empty() {
                let spread = line.spread.get(row).copied().flatten();
                number(&mut text, spread.map(|ends| ends.0));
                number(&mut text, spread.map(|ends| ends.1));
            }
        }
        text.push('\n');
    }
    text
}

/// One row per change of a role.
fn roles_csv(recorder: &Recorder) -> String {
    let mut text = String::from("time_s,instance,role\n");
    for instance in recorder.instances() {
        for (at, role) in &instance.roles {
            let _ = writeln!(text, "{},{},{}", at.as_secs_f64(), instance.id, role.name());
        }
    }
    text
}

fn slowest_csv(plan: &Plan, recorder: &Recorder) -> String {
    let mut text = String::from("due_s,client,operation,latency_ms,attempts,instance");
    for name in Breakdown::names() {
        let _ = write!(text, ",{name} [ms]");
    }
    text.push('\n');
    for slow in recorder.slowest() {
        let client = plan.clients.get(slow.operation.client.index());
        let program = plan.operations.get(slow.kind.index());
        let _ = write!(
            text,
            "{},{},{},{},{},{}",
            slow.intended.as_secs_f64(),
            cell(client.map_or("", |client| &client.name)),
            cell(program.map_or("", |program| &program.name)),
            slow.latency.as_millis_f64(),
            slow.attempts,
            slow.instance.map_or_else(String::new, |instance| instance.to_string())
        );
        for span in slow.breakdown.spans() {
            let _ = write!(text, ",{}", span.as_millis_f64());
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    fn minute() -> (Plan, Recorder) {
        let plan = synthetic::plan(60);
        let recorder = synthetic::voyage(&plan).play(Recorder::new(&plan));
        (plan, recorder)
    }

    #[test]
    fn every_file_has_a_harmless_name_of_its_own() {
        let (mut plan, recorder) = minute();
        plan.clients[0].name = String::from("../../etc/pass wd");
        plan.operations[0].name = String::from("a/b");
        plan.operations[2].name = String::from("a:b");
        let mut names: Vec<String> =
            data_files(&plan, &recorder).into_iter().map(|(path, _)| path).collect();
        for name in &names {
            let (folder, file) = name.split_once('/').expect("one folder");
            assert!(["figures", "latency", "logs", "metrics"].contains(&folder), "{name}");
            assert!(!file.contains('/') && !file.starts_with('.'), "{name}");
            assert!(
                file.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
                "{name}"
            );
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn every_figure_has_its_rows() {
        let (plan, recorder) = minute();
        let files = data_files(&plan, &recorder);
        let text = |name: &str| {
            let found = files.iter().find(|(path, _)| path == name);
            found.map(|(_, text)| text.as_str()).expect("the file is there")
        };
        for (path, text) in files.iter().filter(|(path, _)| path.ends_with(".csv")) {
            let cells: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
            assert!(cells.len() > 1 && cells.iter().all(|count| *count == cells[0]), "{path}");
        }
        let rows = text("figures/latency.csv").lines().count();
        assert_eq!(rows, 1 + recorder.series().buckets().len());
        assert!(text("figures/throughput.csv").starts_with("time_s,offered [/s],ok [/s]"));
        assert!(text("latency/app.hgrm").contains("Percentile"));
        assert!(text("latency/app.hlog").starts_with("#[Histogram log format version 1.3]"));
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        assert_eq!(cell("plain"), "plain");
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
