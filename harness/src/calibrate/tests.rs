use super::fit::{Costs, costs};
use super::{CalibrateError, MEDIAN, Times, Workload, shifted, without, written};
use wavetank_vocabulary::Span;

#[test]
fn costs_that_explain_everything_are_found() {
    let real = [150.0, 40.0, 12.0, 900.0, 300.0];
    let works = [
        [1.0, 1.0, 2.0, 0.0, 0.0],
        [1.0, 40.0, 9.0, 0.0, 0.0],
        [2.0, 1.0, 0.0, 1.0, 0.0],
        [7.0, 9.0, 14.0, 0.0, 0.5],
        [24.0, 40.0, 31.0, 0.0, 3.0],
        [9.0, 41.0, 20.0, 8.0, 0.0],
    ];
    let workloads = works.map(|each| Workload {
        name: "made up",
        nanos: real.iter().zip(each).map(|(cost, units)| cost * units).sum(),
        each,
    });
    let Costs { step, record, hit, fault, logged_kib } = costs(&workloads);
    for (found, real) in [step, record, hit, fault, logged_kib].into_iter().zip(real) {
        let found = found.as_nanos() as f64;
        assert!((found - real).abs() <= 1.0, "{found} for {real}");
    }
}

#[test]
fn no_cost_is_below_zero() {
    // More records took less time: noise, and no reason to pay for records.
    let work = |nanos, records| Workload { name: "", nanos, each: [1.0, records, 0.0, 0.0, 0.0] };
    let found = costs(&[work(100.0, 1.0), work(90.0, 2.0)]);
    assert_eq!(found.record, Span::ZERO);
    assert!((90..=100).contains(&found.step.as_nanos()));
}

#[test]
fn percentiles_become_a_distribution_with_the_same() {
    let nanos: Vec<u64> = (1..=1000).map(|n| n * 1000).collect();
    let times = Times::of(nanos, "samples").expect("there are some");
    assert_eq!((times.samples, times.p50.as_nanos()), (1000, 500_000));
    let thousands = [1, 100, 250, 500, 750, 900, 990, 999, 1_000];
    assert_eq!(times.quantiles, thousands.map(Span::from_micros));
    let text = written(&times.quantiles);
    assert!(text.starts_with("{ quantiles = [\"1us\", \"100us\", "), "{text}");
    let shorter = without(times.quantiles, Span::from_micros(300));
    assert_eq!((shorter[MEDIAN], shorter[0]), (Span::from_micros(200), Span::from_nanos(1)));
    let (low, high) = (Span::from_micros(200), Span::from_micros(300));
    assert_eq!(shifted(times.quantiles, low, high)[MEDIAN], Span::from_micros(600));
    assert_eq!(shifted(times.quantiles, high, low)[MEDIAN], Span::from_micros(400));
    assert!(matches!(Times::of(Vec::new(), "x"), Err(CalibrateError::TooShort("x"))));
}
