//! The files that an operator of Neo4j would read: user logs and metrics of each instance.

#[path = "support/command.rs"]
mod command;

use std::fs;
use std::path::Path;

use command::run;

/// All writes go to slaves, and the master dies.
const SCENARIO: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../scenarios/neo4j-ha/slave-writes-survive-master-loss.toml"
);

fn play(out: &Path, compat: &str) {
    let out = out.display().to_string();
    let set = format!("cluster.compat={compat}");
    // In every version the master's absence of 20 s is noticed.
    let timeout = "ha.heartbeat_timeout=11s";
    let done =
        run(&["run", SCENARIO, "--seed", "3", "--set", &set, "--set", timeout, "--out", &out]);
    assert!([0, 1].contains(&done.code), "{}{}", done.stdout, done.stderr);
}

/// The last row of an instance's metrics, by the names of its columns.
fn last_row(out: &Path, instance: u32) -> Vec<(String, Option<f64>)> {
    let text = fs::read_to_string(out.join(format!("metrics/i{instance}.csv"))).expect("a file");
    let names = text.lines().next().expect("a head").split(',').map(str::to_owned);
    let values = text.lines().last().expect("rows").split(',').map(|value| value.parse().ok());
    names.zip(values).collect()
}

#[test]
fn a_master_that_dies_is_told_in_every_log_and_counted_in_the_metrics() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    play(&out, "3.2");

    let logs =
        [1, 2, 3].map(|id| fs::read_to_string(out.join(format!("logs/i{id}.log"))).expect("a log"));
    let elected: Vec<usize> = (1..=3)
        .filter(|id| logs[1].contains(&format!("Instance {id} was elected as coordinator")))
        .collect();
    assert!(elected.len() > 1, "a second one was elected: {elected:?}");
    for (place, log) in logs.iter().enumerate() {
        let me = place + 1;
        assert!(log.contains(&format!("Instance {me} joined the cluster")), "i{me}: {log}");
        // Who comes later finds the others in the cluster; the first one saw them come.
        let came = format!("Instance {me} joined the cluster");
        assert!(logs[elected[0] - 1].contains(&came), "i{me}: {}", logs[0]);
        assert!(log.contains("is available as master at ha://i"), "i{me}: {log}");
        assert!(log.contains("is available as slave at ha://i"), "i{me}: {log}");
    }
    // The master that died came back as a slave, and caught up.
    let old = elected[0] - 1;
    let all = [
        "moving to slave for master ha://i",
        "Checking store consistency with master",
        "Catching up with master. I'm at transaction",
        "Now caught up with master at transaction",
        "successfully moved to slave",
    ];
    let mut rest = logs[old].as_str();
    for line in all {
        let place = rest.find(line).unwrap_or_else(|| panic!("no `{line}` in {rest}"));
        rest = &rest[place..];
    }
    let witness = if old == 1 { 2 } else { 1 };
    let [failed, demoted] = ["has failed", "was demoted as coordinator"]
        .map(|end| format!("Instance {} {end}", old + 1));
    for line in [failed, demoted] {
        assert!(logs[witness].contains(&line), "{}", logs[witness]);
    }

    let rows = [1, 2, 3].map(|id| last_row(&out, id));
    let sum = |name: &str| -> f64 {
        let of = |row: &Vec<(String, Option<f64>)>| {
            let name = format!("neo4j.{name}");
            let found = row.iter().find(|(column, _)| *column == name);
            found.unwrap_or_else(|| panic!("no column {name}")).1.expect("a number")
        };
        rows.iter().map(of).sum()
    };
    let ended = sum("transaction.committed") + sum("transaction.rollbacks");
    assert!(sum("transaction.started") > 500.0);
    assert_eq!(sum("transaction.started"), ended + sum("transaction.active"));
    assert_eq!(
        sum("transaction.committed"),
        sum("transaction.committed_read") + sum("transaction.committed_write")
    );
    assert!(sum("network.slave_network_tx_writes") > 10_000.0, "all writes are handed over");
    assert!(sum("network.master_network_tx_writes") > 10_000.0, "and pulled back");
    assert!(sum("cluster.slave_pull_updates") > 20.0);
    assert_eq!(sum("cluster.is_master"), 1.0);
    assert_eq!(sum("cluster.is_available"), 3.0);
    assert!(sum("ids_in_use.node") > 3_000.0, "a thousand users on each of three");
    assert_eq!(sum("page_cache.pins"), sum("page_cache.unpins"));
    let usage = sum("page_cache.usage_ratio") / 3.0;
    assert!(usage > 0.0 && usage <= 1.0, "{usage}");
}

#[test]
fn a_version_reports_what_it_had() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    play(&out, "2.3.0");
    let columns: Vec<String> = last_row(&out, 2).into_iter().map(|(name, _)| name).collect();
    assert!(columns.contains(&String::from("neo4j.transaction.peak_concurrent")));
    assert!(!columns.iter().any(|name| name.contains("check_point") || name.contains("cluster")));
}

/// The store is copied, then the transactions since are pulled; the checkpoint that follows leaves
/// no line.
#[test]
fn a_store_copy_is_finished_before_the_rest_is_caught_up_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("run");
    let path = out.display().to_string();
    let done = run(&["run", "old-master-returns-branched", "--seed", "1", "--out", &path]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let log = fs::read_to_string(out.join("logs/i1.log")).expect("a log");
    let (_, mut rest) = log.split_once("branched data").expect("it branched");
    for line in [
        "Copying store from master",
        "Finished copying store from master",
        "Catching up with master",
        "Now caught up with master",
        "successfully moved to slave",
    ] {
        let place = rest.find(line).unwrap_or_else(|| panic!("no `{line}` in {rest}"));
        rest = &rest[place + line.len()..];
    }
}
