//! Real processes through the front door: what a cluster of nodes does, what is refused, and
//! that nothing stays behind.

#![cfg(target_os = "linux")]

#[path = "real/absent.rs"]
mod absent;
#[path = "real/ask.rs"]
mod ask;
#[path = "real/damaged.rs"]
mod damaged;
#[path = "real/ends.rs"]
mod ends;
#[path = "real/faults.rs"]
mod faults;
#[path = "real/garbage.rs"]
mod garbage;
#[path = "real/node.rs"]
mod node;
#[path = "real/patience.rs"]
mod patience;
#[path = "real/scenario.rs"]
mod scenario;
#[path = "real/statements.rs"]
mod statements;
mod support;
#[path = "real/wait.rs"]
mod wait;

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use node::{alone, http, is_master};
use patience::{no_excuse, patiently};
use scenario::{calm, master_loss};
use serde_json::Value;
use support::{Done, Folder, run};
use wait::eventually;

fn folder() -> Folder {
    Folder::with("about.txt", "made by a test")
}

fn written(folder: &Folder, name: &str, text: &str) -> String {
    let path = folder.path(name);
    fs::write(&path, text).unwrap();
    path
}

fn result(done: &Done) -> Value {
    let result: Value = serde_json::from_str(&done.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr));
    for expected in result["expectations"].as_array().into_iter().flatten() {
        let word = |key: &str| expected[key].as_str().unwrap_or_default();
        no_excuse(word("check"), word("verdict"), word("why"));
    }
    result
}

/// Processes whose command line names the folder.
fn processes_of(folder: &str) -> Vec<String> {
    let me = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        if line.contains(folder) && entry.file_name() != *me {
            found.push(line.replace('\0', " "));
        }
    }
    found
}

#[test]
fn a_master_is_killed_and_a_slave_takes_over() {
    patiently(|| {
        let folder = folder();
        let scenario = written(&folder, "loss.toml", &master_loss("crash", 10));
        let (work, out) = (folder.path("work"), folder.path("out"));
        let done = run(&[
            "soak",
            &scenario,
            "--time-scale",
            "5",
            "--work",
            &work,
            "--out",
            &out,
            "--json",
        ]);
        let result = result(&done);
        assert_eq!(done.code, 0, "{}{:#}", done.stderr, result["expectations"]);
        assert_eq!(result["real"], true);
        assert_eq!(result["verdict"], "held");
        let faults = result["faults"].as_array().unwrap();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(result["elections"].as_u64().unwrap() >= 1);
        let writes = result["operations"]["app.status"]["ok"].as_u64().unwrap();
        assert!(writes > 100, "{writes} writes");
        assert!(result["processes"].as_array().unwrap().len() >= 9);
        // The report says what it is about, and nothing else stays.
        let page = fs::read_to_string(format!("{out}/report.html")).unwrap();
        assert!(page.contains("Played on real processes."));
        assert_eq!(fs::read_dir(&work).unwrap().count(), 0);
        assert_eq!(processes_of(&work), Vec::<String>::new());
    });
}

#[test]
fn a_node_that_ends_by_itself_is_told_and_nothing_has_held() {
    patiently(|| {
        let folder = folder();
        let scenario = written(&folder, "calm.toml", &calm());
        let (work, out) = (folder.path("work"), folder.path("out"));
        let harness = Command::new(env!("CARGO_BIN_EXE_wavetank"))
            .args([
                "soak",
                &scenario,
                "--time-scale",
                "2",
                "--json",
                "--work",
                &work,
                "--out",
                &out,
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let is_slave = || {
            let folders = fs::read_dir(&work).into_iter().flatten().flatten();
            let mut logs =
                folders.filter_map(|it| fs::read_to_string(it.path().join("node-3.log")).ok());
            logs.any(|log| log.contains("-> slave"))
        };
        eventually("a slave", Duration::from_secs(20), is_slave);
        // Nobody but this test's own harness has a node in that folder.
        let pid = fs::read_dir("/proc").unwrap().flatten().find(|entry| {
            let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            line.contains(&work) && line.contains("node-3.toml")
        });
        let pid = pid.expect("it runs").file_name().into_string().unwrap();
        assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        let done = harness.wait_with_output().unwrap();
        let json: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(done.status.code(), Some(1), "{json:#}");
        assert_eq!(json["verdict"], "broke");
        let found = json["expectations"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&found["check"], &found["measured"]),
            (&"processes-ended-by-themselves".into(), &1.into())
        );
        let note = json["notes"][0].as_str().unwrap();
        let told = note.starts_with("instance 3 ended by itself at ") && note.contains("SIGKILL");
        assert!(told && note.contains("-> slave"), "{note}");
    });
}

#[test]
fn real_runs_stand_beside_simulated_ones() {
    patiently(|| {
        let folder = folder();
        let scenario = written(&folder, "calm.toml", &calm());
        let (profile, out) = (folder.path("profile.toml"), folder.path("out"));
        let measured =
            run(&["calibrate", "--seconds", "1", "--out", &profile, "--dir", &folder.path("")]);
        assert_eq!(measured.code, 0, "{}", measured.stderr);
        let (work, beside) = (folder.path("work"), ["--beside", &profile, "--simulated", "2"]);
        let mut arguments = vec!["soak", &scenario, "--time-scale", "10", "--runs", "2"];
        arguments.extend(beside);
        arguments.extend(["--work", &work, "--out", &out]);
        let done = run(&arguments);
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
        let table = "calm: real, 2 runs; simulated, 2 runs (calibrated costs)";
        for line in [table, "app.profile p50 [ms]", "app throughput [/s]", "out-2/report.html"] {
            assert!(done.stdout.contains(line), "{line}: {}", done.stdout);
        }
        for place in [out.clone(), format!("{out}-2")] {
            let json = fs::read_to_string(format!("{place}/result.json")).unwrap();
            let json: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(json["comparison"]["real_runs"], 2);
            let page = fs::read_to_string(format!("{place}/report.html")).unwrap();
            for part in
                ["Beside the simulation", "Memory of each process", "Error of the simulation"]
            {
                assert!(page.contains(part), "{part}");
            }
        }
        let missing = run(&["soak", &scenario, "--beside", &folder.path("none.toml")]);
        assert_eq!(missing.code, 2, "{}", missing.stderr);
    });
}

#[test]
fn a_node_answers_its_clients_and_keeps_what_it_committed() {
    let folder = folder();
    let (mut node, cluster, web) = alone(&folder, "first.log", "");
    eventually("a master", Duration::from_secs(20), || is_master(web));
    let statement = |name: &str| {
        format!(r#"{{"statements":[{{"statement":"{name}","parameters":{{"me":1,"other":2}}}}]}}"#)
    };
    let post = |path: &str, body: &str| http(web, "POST", path, body).expect("an answer");

    // One request.
    let (status, body) = post("/db/data/transaction/commit", &statement("follow"));
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &answer["errors"]), (200, &serde_json::json!([])), "{body}");
    let committed = answer["results"][0]["committed"].as_u64().expect("a transaction");

    // Statement by statement, and rolled back: who follows already is found by the second.
    let open = |me: u32| {
        let body = statement("follow").replace("\"me\":1", &format!("\"me\":{me}"));
        let (status, body) = post("/db/data/transaction", &body);
        assert_eq!(status, 201, "{body}");
        let opened: Value = serde_json::from_str(&body).unwrap();
        let id = opened["transaction"]["id"].as_str().expect("an open transaction");
        format!("/db/data/transaction/{id}")
    };
    let place = open(3);
    assert_eq!(post(&place, "").0, 200);
    assert_eq!(http(web, "DELETE", &place, "").unwrap().0, 200);
    let (status, body) = post(&format!("{place}/commit"), "");
    assert_eq!(status, 404);
    assert!(body.contains("Neo.ClientError.Transaction.UnknownId"), "{body}");
    let again: Value = serde_json::from_str(&post(&format!("{}/commit", open(3)), "").1).unwrap();
    assert_eq!(again["results"][0]["committed"], committed + 1, "the other left nothing: {again}");
    let committed = committed + 1;

    // What makes no sense is told apart, and the node goes on.
    assert_eq!(post("/db/data/transaction/commit", "{").0, 400);
    let (status, body) = post("/db/data/transaction/commit", &statement("folow"));
    assert!(status == 400 && body.contains("no operation is called `folow`"), "{body}");
    for size in [(1 << 20) + 1, 1 << 21, 1 << 24] {
        let large = http(web, "POST", "/db/data/transaction", &"x".repeat(size));
        assert_eq!(large.map(|(status, _)| status), Some(413), "{size} bytes");
    }
    let mut garbage = TcpStream::connect(("127.0.0.1", cluster)).unwrap();
    garbage.write_all(&[0x5A; 4_000]).unwrap();
    drop(garbage);
    let (_, metrics) = http(web, "GET", "/metrics", "").unwrap();
    assert!(metrics.contains("wavetank_master{instance=\"1\"} 1\n"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"));
    let bean =
        "/db/manage/server/jmx/domain/org.neo4j/instance%3Dkernel%230%2Cname%3DHigh+Availability";
    let (_, bean) = http(web, "GET", bean, "").unwrap();
    assert!(bean.contains(&format!("\"value\":{committed}}}")), "{bean}");
    eventually("a line about garbage", Duration::from_secs(5), || {
        fs::read_to_string(folder.path("first.log")).unwrap().contains("closed: garbage")
    });

    // Its directory is its own while it runs.
    let second = run(&["node", "--config", &folder.path("node.toml")]);
    assert_eq!(second.code, 75, "{}", second.stderr);
    assert!(second.stderr.contains("cannot listen at 127.0.0.1"), "{}", second.stderr);

    // Killed, it has kept what it had acknowledged.
    node.0.kill().unwrap();
    node.0.wait().unwrap();
    drop(node);
    let (mut node, _, web) = alone(&folder, "second.log", "");
    eventually("a master", Duration::from_secs(20), || is_master(web));
    let (_, metrics) = http(web, "GET", "/metrics", "").unwrap();
    let line = format!("wavetank_last_committed_tx{{instance=\"1\"}} {committed}\n");
    assert!(metrics.contains(&line), "{metrics}");

    // Asked to end, it leaves the cluster.
    let pid = node.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(node.0.wait().unwrap().success());
    let log = fs::read_to_string(folder.path("second.log")).unwrap();
    assert!(log.contains("leaving the cluster"), "{log}");
}

#[test]
fn members_that_are_not_those_of_the_scenario_are_refused() {
    let folder = folder();
    let other = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let two = scenario::one("").replace("count = 1", "count = 2");
    for (scenario, members, why) in [
        (&two, String::new(), "`[members]` does not say where server id 2 is to be reached"),
        (&two, format!("2 = \"{other}\"\n9 = \"{other}\"\n"), "`[members]` has server id 9"),
        (&two, format!("02 = \"{other}\"\n"), "expected a server id from 1 to 64"),
    ] {
        let (mut node, _, _) = node::start(&folder, "members.log", scenario, &members);
        let mut code = None;
        eventually("its end", Duration::from_secs(10), || {
            code = node.0.try_wait().unwrap().map(|status| status.code());
            code.is_some()
        });
        let log = fs::read_to_string(folder.path("members.log")).unwrap();
        assert_eq!(code, Some(Some(2)), "{log}");
        assert!(log.contains(why), "{why}: {log}");
    }
}

#[test]
fn what_cannot_be_played_for_real_is_refused() {
    let folder = folder();
    let scenario = written(&folder, "disk.toml", &master_loss("bit-flip", 10));
    let done = run(&["soak", &scenario, "--out", &folder.path("out")]);
    assert_eq!(done.code, 2);
    assert!(
        done.stderr.contains("these faults cannot be played on processes: bit-flip"),
        "{}",
        done.stderr
    );
    assert!(!Path::new(&folder.path("out")).exists());
}
