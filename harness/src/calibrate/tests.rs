use super::fit::{Costs, costs};
use super::{CalibrateError, Times, Workload};
use wavetank_vocabulary::Span;
use wavetank_world::Distribution;

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
    let written = times.measured();
    assert!(written.starts_with("{ quantiles = [\"1us\", \"100us\", "), "{written}");
    let shorter = times.without(Span::from_micros(300));
    assert_eq!((shorter.p50, shorter.quantiles[0]), (Span::from_micros(200), Span::from_nanos(1)));
    let skewed = Times { p50: Span::from_micros(100), p99: Span::from_micros(400), ..times };
    let at_99 = 100.0 * (skewed.sigma() * 2.326).exp();
    assert!((395.0..405.0).contains(&at_99), "{at_99}");
    assert_eq!(skewed.lognormal(1), "{ lognormal = \"100us\", sigma = 0.596 }");
    // Four draws together have these percentiles again.
    let (median, sigma) = skewed.part(4);
    let one = Distribution::LogNormal { median, sigma };
    let mut stream = wavetank_kernel::Streams::new(7).stream("test", [0; 3]);
    let sum = |_| (0..4).map(|_| one.sample(&mut stream).as_nanos()).sum::<u64>();
    let sums = Times::of((0..20_000).map(sum).collect(), "sums").expect("there are some");
    for (found, wanted) in [(sums.p50, skewed.p50), (sums.p99, skewed.p99)] {
        let error = found.as_nanos() as f64 / wanted.as_nanos() as f64 - 1.0;
        assert!(error.abs() < 0.08, "{found} for {wanted}");
    }
    assert!(matches!(Times::of(Vec::new(), "x"), Err(CalibrateError::TooShort("x"))));
}
