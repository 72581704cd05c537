//! How fast a report is drawn and how large it is: five minutes, a day, and a day of storms,
//! all made up. A plain program, so that what it prints is the figure that the documentation
//! quotes: `cargo bench -p wavetank-reports`.

use std::io::Write;
use std::time::{Duration, Instant};

use wavetank_reports::{
    Ending, GraphResult, Provenance, Recorder, RunResult, data_files, report_html,
};
use wavetank_vocabulary::{Fact, FaultId, FaultKind, InstanceId, Role, Span, Time};
use wavetank_world::Plan;

#[path = "../src/synthetic.rs"]
mod synthetic;

/// A pause of the second instance and a change of its role every nineteen seconds.
fn storm(facts: &mut synthetic::Facts) {
    let (fault, kind, on) = (FaultId(1), FaultKind::Pause, InstanceId(2));
    for n in 0..4_500u64 {
        let at = Time::ZERO + Span::from_millis(5_000 + n * 19_000);
        facts.tell(at, Fact::FaultBegan { fault, kind, on, peer: None });
        facts.role(at, on, if n % 2 == 0 { Role::Pending } else { Role::Slave }, n);
        facts.tell(at + Span::from_secs(9), Fact::FaultEnded { fault, kind, on, peer: None });
    }
}

fn result(plan: &Plan, recorder: &Recorder) -> RunResult {
    let ending = Ending {
        digest: 0,
        expectations: Vec::new(),
        graph: GraphResult::new(plan, 4_000, 88_000),
        queues: Vec::new(),
        recovered: true,
        waiting: None,
        simulated: recorder.now(),
        wall_seconds: 0.0,
        events: 0,
    };
    RunResult::new(plan, recorder, ending)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (name, seconds, stormy) in
        [("five minutes", 300, false), ("a day", 86_400, false), ("a day of storms", 86_400, true)]
    {
        let mut plan = synthetic::plan(seconds);
        // What is drawn depends on time, not on the number of operations.
        for client in &mut plan.clients {
            let micros = client.rate.as_micros() * 300 / seconds;
            client.rate = wavetank_vocabulary::Rate::from_micros(micros);
        }
        let mut facts = synthetic::voyage(&plan);
        if stormy {
            storm(&mut facts);
        }
        let recorder = facts.play(Recorder::new(&plan));
        let result = result(&plan, &recorder);
        let (mut page, mut data) = (String::new(), Vec::new());
        let (mut drawing, mut writing) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            let begun = Instant::now();
            page = report_html(&plan, &recorder, &result, "", &Provenance::default());
            drawing.push(begun.elapsed());
            let begun = Instant::now();
            data = data_files(&plan, &recorder);
            writing.push(begun.elapsed());
        }
        let bytes: usize = data.iter().map(|(_, text)| text.len()).sum();
        writeln!(
            out,
            "{name:<16} report {:.1} ms, {} bytes; {} data files {:.1} ms, {bytes} bytes",
            median(drawing).as_secs_f64() * 1e3,
            page.len(),
            data.len(),
            median(writing).as_secs_f64() * 1e3,
        )?;
    }
    Ok(())
}
