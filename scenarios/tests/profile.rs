//! `profile`: figures measured on a machine, from a file of their own.

use std::io;
use std::path::Path;

use wavetank_kernel::Distribution;
use wavetank_scenario::{Scenario, parse_with, to_text};
use wavetank_vocabulary::{Bytes, Span};
use wavetank_world::Plan;

const SCENARIO: &str = r#"format = 1
duration = "10s"
profile = "here.toml"
[[group]]
count = 3
machine = "aws:r3.xlarge"
heap = "8GiB"
page_cache = "12GiB"
volume = { size = "300GB", iops = 3000, ebs_optimised = true }
[network]
bandwidth = "10Gbit/s"
"#;

const PROFILE: &str = r#"about = "By hand."
[machine]
cores = 2
[costs]
name = "calibrated"
step = "900ns"
record = "80ns"
[volume]
iops = 25000
access = { lognormal = "90us", sigma = 0.4 }
sync = { quantiles = ["1us", "2us", "3us", "4us", "5us", "6us", "7us", "8us", "2ms"] }
[network]
latency = { lognormal = "15us", sigma = 0.5 }
"#;

fn read(scenario: &str, profile: &str, sets: &[&str]) -> Result<Scenario, String> {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let mut file = |path: &Path| match path.to_str() {
        Some("scenarios/here.toml" | "there.toml") => Ok(profile.as_bytes().to_vec()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    parse_with("scenarios/unit.toml", scenario.as_bytes(), &sets, &mut file)
        .map_err(|errors| errors.render(false))
}

fn plan(scenario: &Scenario) -> Plan {
    scenario.draw(1, &mut |_| unreachable!("no edge list")).expect("it can be drawn")
}

#[test]
fn its_figures_come_in_place_of_the_scenarios() {
    let scenario = read(SCENARIO, PROFILE, &[]).unwrap_or_else(|error| panic!("{error}"));
    let plan = plan(&scenario);
    for instance in &plan.instances {
        assert_eq!((instance.cores, &*instance.machine), (2, "calibrated"));
        assert_eq!(instance.memory, Bytes::mib(31_232), "memory is the scenario's");
        let volume = &instance.volume;
        assert_eq!((volume.iops, volume.size), (25_000, Bytes(300_000_000_000)));
        let sync = [1, 2, 3, 4, 5, 6, 7, 8, 2_000].map(Span::from_micros);
        assert_eq!(volume.sync, Distribution::Quantiles(sync));
        assert_eq!(volume.throughput, Bytes(62_500_000), "what it does not say stays");
    }
    assert_eq!(plan.costs.name, "calibrated");
    assert_eq!(plan.costs.step, Span::from_nanos(900));
    assert_eq!(plan.costs.fault, Span::from_micros(10), "the default of the cost table");
    let median = Span::from_micros(15);
    assert_eq!(plan.network.local, Distribution::LogNormal { median, sigma: 0.5 });
    assert_eq!(plan.network.bandwidth, Bytes(1_250_000_000));
    // The Plan says it all, and needs the profile no more.
    let again = to_text(&plan);
    assert!(!again.contains("profile"), "{again}");
    let again = wavetank_scenario::parse("unit.toml", &again);
    let again = again.unwrap_or_else(|errors| panic!("{}", errors.render(false)));
    assert_eq!(self::plan(&again), plan);
}

#[test]
fn one_that_is_set_is_found_where_the_command_is_run() {
    let without = SCENARIO.replace("profile = \"here.toml\"\n", "");
    let scenario = read(&without, PROFILE, &["profile=there.toml"]);
    let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(plan(&scenario).instances[0].cores, 2);
    assert_eq!(scenario.texts().count(), 3, "its text is part of what was played");
}

#[test]
fn what_is_wrong_is_told_where_it_stands() {
    let told = |scenario: &str, profile: &str| {
        read(scenario, profile, &[]).expect_err("something is wrong")
    };
    let mut texts = vec![
        told(SCENARIO, "[costs]\nrecrod = \"1us\"\n[disk]\n"),
        told(SCENARIO, "[volume]\nsync = 3\niops = 0\n"),
        told(SCENARIO, "[machine\ncores = 2\n"),
        told(&SCENARIO.replace("here.toml", "gone.toml"), PROFILE),
    ];
    let both = format!("{SCENARIO}[costs]\nstep = \"1us\"\n");
    let both = read(&both, PROFILE, &[]).unwrap_or_else(|error| panic!("{error}"));
    texts.push(both.warnings().render(false));
    insta::assert_snapshot!(texts.join("\n\n"));
}
