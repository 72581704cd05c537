//! How long it takes to read a scenario: `cargo bench -p wavetank-scenario`.

use std::io::Write;
use std::time::Instant;

use wavetank_scenario::{LIBRARY, json_schema, parse, reference};

/// Rounds, of which the median is told.
const ROUNDS: usize = 200;

fn main() {
    let mut out = std::io::stdout().lock();
    let mut told = |what: &str, run: &mut dyn FnMut()| {
        let mut times: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                run();
                start.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let _ = writeln!(out, "{what:<48} {:>9.0} us", times[ROUNDS / 2]);
    };
    for builtin in LIBRARY {
        told(&format!("parse, check, draw {}", builtin.name), &mut || {
            let scenario = parse(builtin.name, builtin.text).expect("the library is sound");
            let plan = scenario.draw(1, &mut |_| unreachable!("no file is named"));
            assert!(plan.is_ok());
        });
    }
    let wrong: String = (0..500).map(|n| format!("slip{n} = {n}\n")).collect();
    told("refuse 500 slips, and say so", &mut || {
        let errors = parse("wrong", &wrong).expect_err("slips");
        assert!(errors.render(false).len() > 1_000);
    });
    told("JSON Schema", &mut || assert!(json_schema().is_object()));
    told("reference", &mut || assert!(reference().len() > 1_000));
}
