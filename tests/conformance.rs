//! One instance, two drivers: behaviours that are written once and must show in the simulation
//! and on real processes alike.

#![cfg(target_os = "linux")]

#[path = "real/ask.rs"]
mod ask;
#[path = "conformance/endpoints.rs"]
mod endpoints;
#[path = "real/patience.rs"]
mod patience;
mod support;

use patience::{no_excuse, patiently};
use serde_json::Value;
use support::{Folder, run};

/// How much faster than life the processes play: a behaviour takes five to eight seconds. What is
/// tried is behaviour, so a busy machine is left time for it.
const TIME_SCALE: &str = "4";

/// What all behaviours begin with.
const CLUSTER: &str = r#"
format = 1
about = "A behaviour that both drivers show."
duration = "20s"
warm_up = "0s"

[cluster]
compat = "2.3.6"
[cluster.settings]
"ha.heartbeat_interval" = "1s"
"ha.heartbeat_timeout" = "3s"
"ha.configuration_timeout" = "200ms"
"ha.pull_interval" = "PULL"
"ha.tx_push_factor" = PUSH

[[group]]
count = 3
machine = "aws:r3.xlarge"
page_cache = "64MiB"
volume = { size = "300GB" }

[graph]
generate = { kind = "social", users = 200, mean_follows = 5 }

[[balancer]]
name = "front"
poll = "500ms"

[[clients]]
name = "app"
arrivals = { poisson = "30/s" }
workload = "social"
mix = { profile = 40, status = 40, follow = 20 }
routing = { by = "ROUTING" }
timeout = "5s"
retry = { on = ["transient", "connection"], attempts = 8, backoff = "100ms", factor = 2.0, jitter = 0.5 }

[[expect]]
check = "replicas-equal"

[[expect]]
check = "availability"
of = "app"
outage = { max = "15s" }
"#;

/// A behaviour: how the cluster differs, and what happens to it.
struct Behaviour {
    name: &'static str,
    pull: &'static str,
    push: &'static str,
    routing: &'static str,
    more: &'static str,
}

const PLAIN: Behaviour =
    Behaviour { name: "", pull: "500ms", push: "1", routing: "reads-to-slaves", more: "" };

const BEHAVIOURS: [Behaviour; 9] = [
    Behaviour {
        name: "members join, one is elected, two follow it, and all serve",
        more: r#"
[[expect]]
check = "happens"
event = "slave begins"
count = { min = 2, max = 2 }
[[expect]]
check = "two-masters"
lasts = { max = "0s" }
"#,
        ..PLAIN
    },
    Behaviour {
        name: "slaves pull what was committed",
        push: "0",
        more: r#"
[[expect]]
check = "slave-lag"
lag = { max = "5s" }
"#,
        ..PLAIN
    },
    Behaviour {
        name: "commits are pushed to slaves that never pull",
        pull: "0s",
        push: "2",
        ..PLAIN
    },
    Behaviour {
        name: "slaves take writes, with locks and commit at the master",
        routing: "all-to-slaves",
        more: r#"
[[expect]]
check = "acknowledged-writes-lost"
"#,
        ..PLAIN
    },
    Behaviour {
        name: "a slave that lost its store copies the master's",
        more: r#"
[[faults]]
at = "9s"
wipe = "slave"
for = "2s"
[[expect]]
check = "happens"
event = "store-copy ends"
count = { min = 1 }
[[expect]]
check = "recovers"
within = "40s"
"#,
        ..PLAIN
    },
    Behaviour {
        name: "a master that crashes is replaced, and comes back as slave",
        more: r#"
[[faults]]
at = "9s"
crash = "master"
for = "4s"
[[expect]]
check = "acknowledged-writes-lost"
explained = { max = 10 }
[[expect]]
check = "happens"
event = "reign begins"
count = { min = 2 }
[[expect]]
check = "recovers"
within = "40s"
"#,
        ..PLAIN
    },
    Behaviour {
        name: "a slave that loses power recovers what it had synced",
        more: r#"
[[faults]]
at = "9s"
power-loss = "slave"
for = "2s"
[[expect]]
check = "happens"
event = "recovery ends"
count = { min = 1 }
[[expect]]
check = "acknowledged-writes-lost"
[[expect]]
check = "recovers"
within = "40s"
"#,
        ..PLAIN
    },
    Behaviour {
        name: "a master that is cut off is replaced",
        more: r#"
[[faults]]
at = "9s"
partition = "master"
for = "6s"
[[expect]]
check = "happens"
event = "member fails"
count = { min = 1 }
[[expect]]
check = "happens"
event = "reign begins"
count = { min = 2 }
[[expect]]
check = "recovers"
within = "40s"
"#,
        ..PLAIN
    },
    Behaviour {
        // It is away for longer than a failed member is given; who leaves is none.
        name: "an instance that is stopped leaves, and joins again",
        more: r#"
[[faults]]
at = "7s"
stop = "slave"
for = "6s"
[[expect]]
check = "happens"
event = "member fails"
count = { max = 0 }
[[expect]]
check = "happens"
event = "slave begins"
count = { min = 3 }
[[expect]]
check = "recovers"
within = "40s"
"#,
        ..PLAIN
    },
];

impl Behaviour {
    fn scenario(&self) -> String {
        let cluster = CLUSTER
            .replace("PULL", self.pull)
            .replace("PUSH", self.push)
            .replace("ROUTING", self.routing);
        format!("{cluster}{}", self.more)
    }

    /// Plays it; gives the verdict on each expectation.
    fn verdicts(&self, command: &[&str]) -> Vec<(String, String, String)> {
        let folder = Folder::with("behaviour.toml", &self.scenario());
        let (scenario, out) = (folder.path("behaviour.toml"), folder.path("out"));
        let mut arguments = vec![command[0], scenario.as_str(), "--out", out.as_str(), "--json"];
        arguments.extend(&command[1..]);
        let done = run(&arguments);
        let result: Value = serde_json::from_str(&done.stdout)
            .unwrap_or_else(|_| panic!("{}, {command:?}: {}", self.name, done.stderr));
        assert!(matches!(done.code, 0 | 1), "{}, {command:?}: {}", self.name, done.stderr);
        assert_eq!(result["waiting"], Value::Null, "{}, {command:?}", self.name);
        let expectations = result["expectations"].as_array().unwrap();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        expectations
            .iter()
            .map(|it| (word(&it["check"]), word(&it["verdict"]), word(&it["why"])))
            .collect()
    }
}

fn conforms(behaviour: &Behaviour) {
    let holds = |command: &[&str]| {
        let verdicts = behaviour.verdicts(command);
        for (check, verdict, why) in &verdicts {
            no_excuse(check, verdict, why);
        }
        for (check, verdict, why) in verdicts {
            assert_eq!(verdict, "held", "{}, {}: {check}: {why}", behaviour.name, command[0]);
        }
    };
    holds(&["run"]);
    patiently(|| holds(&["soak", "--time-scale", TIME_SCALE]));
}

macro_rules! behaviours {
    ($($name:ident: $index:literal;)+) => {
        $(#[test]
        fn $name() {
            conforms(&BEHAVIOURS[$index]);
        })+

        #[test]
        fn every_behaviour_is_tried() {
            assert_eq!([$($index),+].len(), BEHAVIOURS.len());
        }
    };
}

behaviours! {
    join_and_elect: 0;
    pull: 1;
    push: 2;
    slave_write: 3;
    store_copy: 4;
    crash: 5;
    power_loss: 6;
    partition: 7;
    stop: 8;
}
