//! How a harness may end before its time: whatever ends it, no process and no folder stays.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::scenario::{calm, master_loss};
use crate::support::{Done, Folder, done, run};
use crate::wait::eventually;
use crate::{folder, processes_of, written};

/// A harness that a test has started, with the folder in which it works.
struct Harness {
    child: Child,
    work: String,
}

impl Harness {
    fn start(arguments: &[&str], work: &str) -> Harness {
        let child = Command::new(env!("CARGO_BIN_EXE_wavetank"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the built command can be run");
        Harness { child, work: work.to_owned() }
    }

    fn nodes(&self) -> usize {
        processes_of(&self.work).iter().filter(|line| line.contains(" node ")).count()
    }

    fn until_nodes_run(&self, count: usize) {
        eventually("its nodes", Duration::from_secs(60), || self.nodes() == count);
    }

    /// Sends it a signal; what became of it.
    fn signal(self, signal: &str) -> Done {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("it can be sent");
        assert!(sent.success());
        done(&self.child.wait_with_output().expect("it ends"))
    }
}

/// What lies in a folder.
fn entries(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

/// The hidden folders of results that are being written.
fn hidden(folder: &Folder) -> Vec<String> {
    let mut found = entries(&folder.path(""));
    found.retain(|name| name.starts_with(".out."));
    found
}

#[test]
fn nothing_survives_a_soak_that_is_interrupted() {
    for signal in ["-INT", "-TERM"] {
        let folder = folder();
        let scenario = written(&folder, "calm.toml", &calm());
        let (work, out) = (folder.path("work"), folder.path("out"));
        let harness = Harness::start(&["soak", &scenario, "--work", &work, "--out", &out], &work);
        harness.until_nodes_run(3);
        assert_eq!(hidden(&folder).len(), 1);
        let done = harness.signal(signal);
        assert_eq!(done.code, 75, "{signal}: {}{}", done.stdout, done.stderr);
        assert_eq!(processes_of(&work), Vec::<String>::new(), "{signal}");
        assert_eq!(entries(&work), Vec::<String>::new(), "{signal}");
        assert_eq!(hidden(&folder), Vec::<String>::new(), "{signal}");
        // What it had so far is not lost.
        let result = fs::read_to_string(Path::new(&out).join("result.json")).expect("a result");
        let result: Value = serde_json::from_str(&result).expect("it is JSON");
        assert_eq!((&result["partial"], &result["real"]), (&true.into(), &true.into()));
    }
}

#[test]
fn nothing_survives_a_calibration_that_is_interrupted() {
    for signal in ["-INT", "-TERM"] {
        let folder = folder();
        fs::create_dir(folder.path("disk")).expect("a folder");
        let (disk, profile) = (folder.path("disk"), folder.path("profile.toml"));
        let arguments = ["calibrate", "--seconds", "3", "--dir", &disk, "--out", &profile];
        let harness = Harness::start(&arguments, &disk);
        harness.until_nodes_run(3);
        let done = harness.signal(signal);
        assert_eq!(done.code, 75, "{signal}: {}", done.stderr);
        assert!(done.stderr.contains("interrupted: nothing was written"), "{}", done.stderr);
        assert_eq!(processes_of(&disk), Vec::<String>::new(), "{signal}");
        assert_eq!(entries(&disk), Vec::<String>::new(), "{signal}");
        assert!(!Path::new(&profile).exists());
    }
}

#[test]
fn what_a_calibration_left_that_was_killed_is_taken_away_by_the_next() {
    let folder = folder();
    fs::create_dir(folder.path("disk")).expect("a folder");
    let (disk, profile) = (folder.path("disk"), folder.path("profile.toml"));
    let arguments = ["calibrate", "--seconds", "1", "--dir", &disk, "--out", &profile];
    let harness = Harness::start(&arguments, &disk);
    harness.until_nodes_run(3);
    harness.signal("-KILL");
    eventually("no node", Duration::from_secs(5), || processes_of(&disk).is_empty());
    assert_eq!(entries(&disk).len(), 1);
    assert_eq!(run(&arguments).code, 0);
    assert_eq!(entries(&disk), Vec::<String>::new());
}

#[test]
fn nothing_survives_a_soak_that_is_killed() {
    let folder = folder();
    let scenario = written(&folder, "pause.toml", &master_loss("pause", 10));
    let (work, out) = (folder.path("work"), folder.path("out"));
    let arguments = ["soak", &scenario, "--time-scale", "4", "--work", &work, "--out", &out];
    let harness = Harness::start(&arguments, &work);
    harness.until_nodes_run(3);
    // By then the master stands still, too.
    let stands_still = || {
        fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            line.contains(&work) && stat.contains(") T ")
        })
    };
    eventually("a node that stands still", Duration::from_secs(30), stands_still);
    harness.signal("-KILL");
    eventually("no node", Duration::from_secs(5), || processes_of(&work).is_empty());
    // Its folders are taken away by the next soak, however that ends.
    assert_eq!((entries(&work).len(), hidden(&folder).len()), (1, 1));
    let next = run(&["soak", &scenario, "--limit", "1", "--work", &work, "--out", &out]);
    assert_eq!(next.code, 75, "{}", next.stderr);
    assert!(next.stderr.contains("which a soak that was killed had left"), "{}", next.stderr);
    assert!(next.stdout.contains("took longer than 1 s: broken off"), "{}", next.stdout);
    // What it had so far is not lost.
    assert!(Path::new(&out).join("report.html").exists());
    assert_eq!(entries(&work), Vec::<String>::new());
    assert_eq!(hidden(&folder), Vec::<String>::new());
}
