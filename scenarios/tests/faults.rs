//! `[[faults]]`: every kind is read, printed and read back, and what is wrong is told.

use wavetank_scenario::{parse, to_text};
use wavetank_vocabulary::{FaultFamily, FaultKind, InstanceId, Ratio, Span};
use wavetank_world::{FaultPlan, Members, Target};

const LEAST: &str = r#"
format = 1
duration = "2m"

[[group]]
count = 3
machine = "aws:r3.xlarge"
heap = "8GiB"
page_cache = "4GiB"
datacentre = "east"

[[group]]
count = 2
machine = "aws:r3.xlarge"
heap = "8GiB"
page_cache = "4GiB"
datacentre = "west"

[[link]]
between = ["east", "west"]
round_trip = "70ms"
"#;

fn faults(text: &str) -> Vec<FaultPlan> {
    let scenario = parse("s.toml", &format!("{LEAST}{text}")).unwrap_or_else(|e| panic!("{e}"));
    let none = &mut |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    let plan = scenario.draw(1, none).expect("no file is needed");
    let printed = to_text(&plan);
    let again = parse("s.toml", &printed).unwrap_or_else(|e| panic!("{e}\n{printed}"));
    assert_eq!(again.draw(1, none).expect("no file").faults, plan.faults, "{printed}");
    plan.faults
}

fn wrong(text: &str) -> String {
    match parse("s.toml", &format!("{LEAST}{text}")) {
        Ok(_) => panic!("this should be wrong: {text}"),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn every_kind_is_read_and_printed() {
    for kind in FaultKind::ALL {
        let target = match kind.family() {
            FaultFamily::Balancer => "balancer",
            _ => "master",
        };
        let more = match kind {
            FaultKind::PartitionOneWay => "one_way = true",
            FaultKind::WrongHosts => "hosts = [1, 3]",
            FaultKind::ChangeSetting => "settings = { \"ha.pull_interval\" = \"7s\" }",
            _ => "",
        };
        let name = if *kind == FaultKind::PartitionOneWay { "partition" } else { kind.name() };
        let read = faults(&format!(
            "[[faults]]\nat = \"10s\"\nfor = \"20s\"\n{name} = \"{target}\"\n{more}\n"
        ));
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].kind, *kind);
        if let Some(settings) = &read[0].strength.settings {
            assert_eq!(settings.pull_interval, Span::from_secs(7));
        }
    }
}

#[test]
fn targets_are_roles_lists_and_places() {
    let read = faults(
        r#"
[[faults]]
at = "10s"
crash = [1, 4]
[[faults]]
at = "10s"
delay = { datacentre = "west" }
by = "70ms"
[[faults]]
at = "10s"
partition = "minority"
[[faults]]
at = "10s"
loss = "master"
from = "majority"
part = "1/20"
"#,
    );
    let several = Members::default().with(InstanceId(1)).with(InstanceId(4));
    assert_eq!(read[0].target, Target::Several(several));
    assert_eq!(read[1].target, Target::Datacentre(1));
    assert_eq!(read[1].strength.by, Some(Span::from_millis(70)));
    assert_eq!(read[2].target, Target::Minority);
    assert_eq!(
        (read[3].peer, read[3].strength.part),
        (Some(Target::Majority), Some(Ratio::new(1, 20)))
    );
}

#[test]
fn what_is_wrong_is_told() {
    let all: Vec<String> = [
        "crash = \"master\"\nby = \"2s\"",
        "slow-disk = \"master\"\npart = 0.5",
        "delay = { datacentre = \"wets\" }",
        "balancer-down = \"front\"",
        "crash = [1, 9]",
        "crash = []",
        "wrong-hosts = \"any\"",
        "change-setting = \"any\"",
        "flap = \"any\"\nevery = \"0s\"",
        "cras = \"master\"",
        "crash = \"mster\"",
    ]
    .into_iter()
    .map(|lines| wrong(&format!("[[faults]]\nat = \"10s\"\n{lines}\n")))
    .collect();
    insta::assert_snapshot!(all.join("\n"));
}
