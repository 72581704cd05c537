//! `wavetank check-history` through the built command: exit codes, and every labelled history.

#![expect(clippy::print_stderr, reason = "what was skipped is told")]

mod support;

use std::path::{Path, PathBuf};

use support::{Folder, run};

fn judge(file: &str, model: &str, more: &[&str]) -> support::Done {
    let mut arguments = vec!["check-history", file, "--model", model];
    arguments.extend(more);
    run(&arguments)
}

const HELD: &str = "[{:process 0, :type :invoke, :f :write, :value 1}
 {:process 0, :type :ok, :f :write, :value 1}
 {:process 1, :type :invoke, :f :read, :value nil}
 {:process 1, :type :ok, :f :read, :value 1}]
";

#[test]
fn every_verdict_has_its_exit_code() {
    let folder = Folder::with("held.edn", HELD);
    let done = judge(&folder.path("held.edn"), "register", &[]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "2 operations.\nlinearizable: held\n"));

    std::fs::write(folder.path("violated.edn"), HELD.replace(":read, :value 1", ":read, :value 2"))
        .unwrap();
    let done = judge(&folder.path("violated.edn"), "register", &[]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert_eq!(
        done.stdout,
        "2 operations.\nlinearizable: violated\n  \
         Nothing explains read 2 of process 1 (lines 3 to 4), though the 1 operations that \
         ended before can be put in order.\n  \
         Before it the register could hold: 1.\n    Nobody had set 2 until then.\n"
    );

    std::fs::write(folder.path("cut.edn"), &HELD[..120]).unwrap();
    let done = judge(&folder.path("cut.edn"), "register", &[]);
    assert_eq!(done.code, 2, "{}", done.stdout);
    assert!(done.stderr.contains("cut.edn:3:") && done.stderr.contains("breaks off"));

    let done = judge(&folder.path("held.edn"), "register", &["--budget", "0"]);
    assert_eq!(done.code, 3, "{}", done.stdout);
    assert!(done.stdout.contains("undecided"), "{}", done.stdout);

    let done = judge(&folder.path("absent.edn"), "register", &[]);
    assert_eq!(done.code, 2);
    let done = judge(&folder.path("held.edn"), "register", &["--initial", "5", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(json["verdict"], "held");
    assert_eq!(json["format"], "jepsen-edn");
}

#[test]
fn a_read_of_what_nobody_wrote_is_told_with_its_place() {
    let folder = Folder::with("thin.txt", "w(1,5,0,0)\nr(1,5,1,0)\nr(1,7,1,1)\n");
    let done = judge(&folder.path("thin.txt"), "session", &[]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert_eq!(
        done.stdout,
        "3 operations.\nread-your-writes: held\nmonotonic-reads: held\n\
         no-thin-air-reads: violated\n  \
         session 1 read 7 of key 1 (line 3, transaction 1), although nobody wrote that.\n"
    );
}

/// The folder of labelled histories, where it lies.
fn histories() -> Option<PathBuf> {
    let root = std::env::var_os("WAVETANK_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let folder = root.join("histories");
    if !folder.is_dir() {
        eprintln!("SKIPPED: {} is not here (set WAVETANK_DATA)", folder.display());
        return None;
    }
    Some(folder)
}

fn files(folder: &Path) -> Vec<String> {
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

/// The rows of a table, by column.
fn rows(file: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[track_caller]
fn expect(file: &str, model: &str, held: bool) {
    let done = judge(file, model, &[]);
    assert_eq!(done.code, i32::from(!held), "{model}: {file}\n{}{}", done.stdout, done.stderr);
}

#[test]
fn every_labelled_register_is_judged_as_labelled() {
    let Some(folder) = histories() else { return };
    for row in rows(&folder.join("etcd/expected.csv")) {
        let file = folder.join("etcd").join(&row[0]);
        expect(&file.to_string_lossy(), "register", row[1] == "true");
    }
    for (part, held) in [("knossos/good", true), ("knossos/bad", false)] {
        for file in files(&folder.join(part)) {
            expect(&file, "register", held);
        }
    }
    let file = folder.join("register/random_500.jsonl");
    let labels: Vec<bool> = std::fs::read_to_string(&file)
        .unwrap()
        .lines()
        .map(|line| {
            let json: serde_json::Value = serde_json::from_str(line).unwrap();
            json["linearizable"].as_bool().unwrap()
        })
        .collect();
    let done = judge(&file.to_string_lossy(), "register", &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let judged: Vec<bool> =
        json["histories"].as_array().unwrap().iter().map(|h| h["verdict"] == "held").collect();
    assert_eq!(judged, labels);
}

#[test]
fn every_labelled_session_and_list_is_judged_as_labelled() {
    let Some(folder) = histories() else { return };
    for row in rows(&folder.join("causal/labels.csv")) {
        let file = folder.join("causal").join(&row[0]).to_string_lossy().into_owned();
        let ok = |column: usize| row[column] == "ok";
        expect(&file, "causal", ok(3));
        let done = judge(&file, "session", &["--json"]);
        let json: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        for (at, promise, column) in [(0, "read-your-writes", 5), (1, "monotonic-reads", 6)] {
            let finding = &json["histories"][0]["findings"][at];
            assert_eq!(finding["promise"], promise);
            assert_eq!(finding["verdict"] == "held", ok(column), "{file}: {finding}");
        }
        // None of them reads what nobody wrote.
        let thin = &json["histories"][0]["findings"][2];
        assert_eq!(
            (&thin["promise"], &thin["verdict"]),
            (&"no-thin-air-reads".into(), &"held".into())
        );
        assert_eq!(done.code, i32::from(!(ok(5) && ok(6))), "{file}: {}", done.stdout);
    }
    for (file, committed, serializable) in [
        ("paper-example.edn", true, false),
        ("sim-serializable.jsonl", true, true),
        ("sim-read-committed.jsonl", true, false),
        ("sim-lost-update.jsonl", false, false),
    ] {
        let path = folder.join("list-append").join(file).to_string_lossy().into_owned();
        let done = judge(&path, "list-append", &["--json"]);
        assert_eq!(done.code, i32::from(!serializable), "{file}: {}", done.stderr);
        let json: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        for (at, held) in [(0, committed), (1, serializable)] {
            let finding = &json["histories"][0]["findings"][at];
            assert_eq!(finding["verdict"] == "held", held, "{file}: {finding}");
        }
    }
}
