use std::time::Duration;

use super::fit::{Costs, costs};
use super::{CalibrateError, MARK, Times, Workload, calibrate};
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
    let skewed = Times { samples: 9, p50: Span::from_micros(100), p99: Span::from_micros(400) };
    let at_99 = 100.0 * (skewed.sigma() * 2.326).exp();
    assert!((395.0..405.0).contains(&at_99), "{at_99}");
    assert_eq!(skewed.lognormal(4), "{ lognormal = \"25us\", sigma = 0.596 }");
    assert!(matches!(Times::of(Vec::new(), "x"), Err(CalibrateError::TooShort("x"))));
}

#[test]
fn what_is_measured_is_a_profile_that_a_scenario_takes() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut told = 0;
    let time = Duration::from_millis(500);
    let found = calibrate(folder.path(), time, &mut |_| told += 1, &|| true);
    let found = found.expect("it can be measured");
    assert_eq!(told, 5);
    let left = std::fs::read_dir(folder.path()).expect("it is there").count();
    assert_eq!(left, 0, "it cleans up");
    for times in [found.sync, found.read_cached, found.commit, found.round_trip, found.http] {
        assert!(times.samples > 0 && times.p50 <= times.p99 && !times.p50.is_zero(), "{times:?}");
    }
    let profile = found.to_toml();
    assert!(profile.starts_with(MARK));
    let scenario = "format = 1\nduration = \"10s\"\nprofile = \"mine.toml\"\n[[group]]\n\
                    count = 3\nmachine = \"aws:r3.xlarge\"\nvolume = { iops = 300 }\n";
    let mut read = |path: &std::path::Path| {
        assert_eq!(path, std::path::Path::new("mine.toml"));
        Ok(profile.clone().into_bytes())
    };
    let scenario = wavetank_scenario::parse_with("x.toml", scenario.as_bytes(), &[], &mut read);
    let scenario = scenario.unwrap_or_else(|errors| panic!("{}", errors.render(false)));
    let plan = scenario.draw(1, &mut |_| unreachable!("no edge list")).expect("it can be drawn");
    assert_eq!(plan.costs.name, "calibrated");
    assert_eq!(plan.costs.record, found.costs.record);
    assert_eq!(plan.instances[0].cores as usize, found.cores);
    let sync = plan.instances[0].volume.sync;
    assert_eq!(sync, Distribution::LogNormal { median: found.sync.p50, sigma: found.sync.sigma() });
}

#[test]
fn an_interrupt_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let ended = calibrate(folder.path(), Duration::from_secs(9), &mut |_| {}, &|| false);
    assert!(matches!(ended, Err(CalibrateError::Interrupted)), "{ended:?}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0);
}
