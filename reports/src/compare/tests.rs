use super::{Comparison, Spread, digits, percent};
use crate::report_tests::minute;
use crate::result::RunResult;
use crate::verdict::Overall;

/// Results of the same scenario whose times are these times as long.
fn runs(factors: &[f64]) -> Vec<RunResult> {
    let (_, _, result) = minute();
    let stretched = |(seed, factor): (usize, &f64)| {
        let verdict = Overall::Held;
        let mut result = RunResult { seed: seed as u64, verdict, ..result.clone() };
        for figures in result.operations.values_mut() {
            let times = [&mut figures.p50_ms, &mut figures.p90_ms, &mut figures.p99_ms];
            times.into_iter().flatten().for_each(|time| *time *= factor);
        }
        let recovers = result.expectations.iter_mut().find(|one| one.check == "recovers");
        recovers.expect("it is expected").measured = format!("{:.3}s", 14.0 * factor).into();
        result
    };
    factors.iter().enumerate().map(stretched).collect()
}

fn sample() -> Comparison {
    let mut simulated = runs(&[1.14, 1.15, 1.16, 1.15, 1.15]);
    simulated.iter_mut().for_each(|result| result.costs = "calibrated".into());
    simulated[0].operations.values_mut().for_each(|figures| figures.p999_ms = Some(9.0));
    Comparison::new(&runs(&[0.99, 1.0, 1.01]), &simulated)
}

#[test]
fn the_table_tells_means_spreads_and_errors() {
    insta::assert_snapshot!("text", sample().to_text());
    insta::assert_snapshot!("json", sample().to_json());
}

#[test]
fn errors_are_judged_by_their_goals() {
    let found = sample();
    let row = |quantity: &str| {
        found.rows.iter().find(|row| row.quantity == quantity).expect("it was measured")
    };
    // 15 %: too much at the median, and little enough for a failover.
    assert_eq!(row("app.home_stream p50 [ms]").met(), Some(false));
    assert_eq!(row("recovers [s]").met(), Some(true));
    assert_eq!(row("elections").met(), None);
    assert!(!found.goals_met());
    assert!(Comparison::new(&runs(&[1.0, 1.0]), &runs(&[1.05, 1.05])).goals_met());
    // Means apart by more than three runs' chance; equal ones are not.
    assert_eq!(row("app.home_stream p50 [ms]").parted, Some(true));
    assert_eq!(row("elections").parted, Some(false));
    assert!((row("recovers [s]").error.expect("it is not zero") - 0.15).abs() < 1e-9);
}

#[test]
fn what_is_unfair_is_said() {
    let mut real = runs(&[1.0]);
    real[0].verdict = Overall::NotRecovered;
    real[0].time_scale = Some(4.0);
    let mut simulated = runs(&[1.0]);
    simulated[0].scenario = "other".into();
    simulated[0].version = "9.9.9".into();
    simulated[0].partial = true;
    simulated[0].graph.nodes += 1;
    let told = Comparison::new(&real, &simulated).caveats.join("\n");
    insta::assert_snapshot!("caveats", told);
    // Equally fast on both sides, and still not as on a clock on the wall.
    simulated[0].time_scale = Some(4.0);
    let told = Comparison::new(&real, &simulated).caveats.join("\n");
    assert!(told.contains("the clock ran 4 times as fast as the real one"), "{told}");
}

#[test]
fn goals_without_anything_to_judge_are_not_met() {
    let with_p99 = |p99: bool| {
        let mut results = runs(&[1.0, 1.0]);
        for figures in results.iter_mut().flat_map(|result| result.operations.values_mut()) {
            figures.p99_ms = figures.p99_ms.filter(|_| p99);
        }
        results
    };
    assert!(Comparison::new(&with_p99(true), &with_p99(true)).goals_met());
    assert!(Comparison::new(&with_p99(false), &with_p99(false)).goals_met());
    // One side has too few samples for a percentile with a goal.
    let found = Comparison::new(&with_p99(false), &with_p99(true));
    assert!(found.unjudged.iter().any(|name| name == "app p99 [ms]"), "{:?}", found.unjudged);
    assert!(!found.goals_met());
    let mut bare = runs(&[1.0]);
    bare[0].operations.clear();
    bare[0].expectations.clear();
    let found = Comparison::new(&bare, &bare);
    assert!(!found.rows.is_empty() && found.unjudged.is_empty() && !found.goals_met());
}

#[test]
fn what_only_one_side_has_is_named_and_zero_has_no_error() {
    let mut real = runs(&[1.0]);
    real[0].operations.values_mut().for_each(|figures| figures.p99_ms = None);
    real[0].elections = 0;
    let found = Comparison::new(&real, &runs(&[1.0]));
    assert!(found.one_sided.iter().any(|name| name.ends_with("p99 [ms]")), "{:?}", found.one_sided);
    let elections = found.rows.iter().find(|row| row.quantity == "elections");
    assert_eq!(elections.expect("both have it").error, None);
    let nothing = Comparison::new(&[], &[]);
    assert!(nothing.rows.is_empty() && !nothing.goals_met());
}

#[test]
fn the_page_has_both_figures_and_escapes_what_it_is_given() {
    let mut found = sample();
    found.scenario = "<small>".into();
    let page = found.to_html();
    assert_eq!(page.matches("<svg").count(), 2);
    let pairs = found.rows.iter().filter(|row| matches!(row.unit.as_str(), "ms" | "s")).count();
    assert_eq!(page.matches("<circle").count(), pairs);
    assert!(page.contains("&lt;small&gt;") && !page.contains("<small>"));
    assert!(!Comparison::new(&[], &[]).to_html().contains("<svg"));
}

#[test]
fn figures_have_three_digits() {
    let shown = [0.01234, 1.2345, 12.345, 1234.5, 0.0].map(digits);
    assert_eq!(shown, ["0.012", "1.23", "12.3", "1234", "0"]);
    assert_eq!([0.0512, -0.2, 0.0996].map(percent), ["+5.1 %", "-20 %", "+10 %"]);
    assert_eq!([0.0, -1e-9, 4e-4].map(percent), ["0 %"; 3]);
    let one = Spread::of(&[2.0]).expect("a value");
    assert_eq!((one.shown(), one.interval()), ("2.00".into(), None));
}
