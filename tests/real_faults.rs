//! Faults of links, disks, clocks and page caches on real processes.

#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeSet;

use serde_json::Value;
use support::{Folder, run};

const BEGIN: &str = r#"
format = 1
duration = "60s"
warm_up = "5s"
[cluster.settings]
"ha.heartbeat_interval" = "1s"
"ha.heartbeat_timeout" = "5s"
"ha.pull_interval" = "500ms"
[[group]]
count = 3
machine = "aws:r3.xlarge"
page_cache = "64MiB"
[graph]
generate = { kind = "social", users = 200, mean_follows = 5 }
[[balancer]]
name = "front"
poll = "1s"
[[clients]]
name = "app"
arrivals = { poisson = "40/s" }
mix = { profile = 50, status = 30, follow = 20 }
routing = { by = "reads-to-slaves" }
timeout = "5s"
retry = { on = ["transient", "connection"], attempts = 4, backoff = "50ms", factor = 2.0, jitter = 0.5 }
[[expect]]
check = "acknowledged-writes-lost"
explained = { max = 200 }
[[expect]]
check = "replicas-equal"
[[expect]]
check = "recovers"
within = "60s"
"#;

/// The fault, and what else its table says.
const FAULTS: [(&str, &str); 11] = [
    ("loss = \"slave\"", "part = 0.2"),
    ("jitter = \"slave\"", "by = \"200ms\""),
    ("throttle = \"slave\"", "bandwidth = \"20KB/s\""),
    ("slow-disk = \"master\"", "factor = 20"),
    ("stall-disk = \"slave\"", ""),
    ("full-disk = \"slave\"", ""),
    ("sync-error = \"slave\"", ""),
    ("write-error = \"slave\"", ""),
    ("clock-offset = \"master\"", "by = \"1h\""),
    ("clock-jump = \"slave\"", "by = \"1h\""),
    ("shrink-cache = \"slave\"", "part = 0.1"),
];

#[test]
fn faults_of_links_disks_and_clocks_strike_real_processes() {
    let mut scenario = BEGIN.to_owned();
    for (number, (fault, strength)) in FAULTS.iter().enumerate() {
        let at = 8 + 4 * number;
        scenario += &format!("[[faults]]\nat = \"{at}s\"\n{fault}\nfor = \"3s\"\n{strength}\n");
    }
    let folder = Folder::with("faults.toml", &scenario);
    let (file, out) = (folder.path("faults.toml"), folder.path("out"));
    let done = run(&["soak", &file, "--time-scale", "4", "--out", &out, "--json"]);
    let result: Value = serde_json::from_str(&done.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr));
    assert_eq!(done.code, 0, "{}{:#}", done.stderr, result["expectations"]);
    let faults = result["faults"].as_array().expect("faults");
    let kinds: BTreeSet<&str> = faults.iter().filter_map(|fault| fault["kind"].as_str()).collect();
    for (fault, _) in FAULTS {
        let kind = fault.split(' ').next().expect("a name");
        assert!(kinds.contains(kind), "{kind} did nothing: {kinds:?}");
    }
}
