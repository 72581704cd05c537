//! Writes a sample report of a made-up run, to look at: `cargo run -p wavetank-reports
//! --example sample -- DIR`.

use std::path::PathBuf;
use std::time::Instant;

use wavetank_reports::{
    Capsule, Ending, ExpectationResult, GraphResult, Provenance, Recorder, RunResult, Verdict,
    report_html, series_csv, summary,
};

#[path = "../src/synthetic.rs"]
mod synthetic;

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| String::from(".")));
    let plan = synthetic::plan(300);
    let recorder = synthetic::voyage(&plan).play(Recorder::new(&plan));
    let expectation =
        |check: &str, verdict, measured: &str, limit: &str, why: &str| ExpectationResult {
            check: check.to_owned(),
            verdict,
            measured: measured.into(),
            limit: limit.into(),
            why: why.to_owned(),
        };
    let expectations = vec![
        expectation(
            "acknowledged-writes-lost",
            Verdict::Held,
            "2 explained, 0 unexplained",
            "20 explained, 0 unexplained",
            "2 of 9,123 acknowledged writes were in a branch that i1 discarded at 184.150 s.",
        ),
        expectation(
            "replicas-equal",
            Verdict::Held,
            "3 of 3 equal",
            "3 of 3 equal",
            "All have 4,310 nodes and 92,118 relationships.",
        ),
        expectation(
            "latency app.follow p99",
            Verdict::Broke,
            "1,090ms",
            "50ms",
            "p99 of 8,120 operations; 212 of them waited for the election after the fault at 120.000 s.",
        ),
        expectation(
            "recovers",
            Verdict::Held,
            "11.9s",
            "60s",
            "After power-loss of i1 at 120.000 s, i3 was master at 131.900 s.",
        ),
    ];
    let ending = Ending {
        digest: 0x0123_4567_89ab_cdef_0011_2233_4455_6677,
        expectations,
        graph: GraphResult::new(&plan, 4_000, 88_000),
        queues: Vec::new(),
        recovered: true,
        waiting: None,
        simulated: recorder.now(),
        wall_seconds: 0.41,
        events: 1_284_113,
    };
    let result = RunResult::new(&plan, &recorder, ending);
    let command = "wavetank run scenarios/master-loss.toml --seed 7";

    let begun = Instant::now();
    let html = report_html(&plan, &recorder, &result, command, &Provenance::default());
    let csv = series_csv(&plan, &recorder);
    let json = result.to_json();
    let took = begun.elapsed();
    let capsule = Capsule::new(&result, &recorder, None, String::from("none"), command.to_owned());

    for (name, text) in [("report.html", &html), ("series.csv", &csv), ("result.json", &json)] {
        std::fs::write(folder.join(name), text)?;
    }
    if let Some(capsule) = capsule {
        std::fs::write(folder.join("capsule.txt"), capsule.to_text())?;
    }
    let mut out = std::io::stdout().lock();
    use std::io::Write;
    write!(out, "{}", summary(&result, true))?;
    writeln!(out, "report, series and result of {} bytes in {took:?}", html.len())
}
