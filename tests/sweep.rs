//! Sweeps and clusters that stand several times, through the front door.

mod support;

use std::fs;

use serde_json::Value;
use support::{Done, Folder, run};

/// Short, with a fault, and with what is to be varied.
const SWEPT: &str = r#"
format = 1
about = "How often slaves pull, and how many clients there are."
duration = "20s"
warm_up = "5s"

[cluster.settings]
"ha.pull_interval" = "500ms"

[[group]]
count = 3
machine = "aws:r3.xlarge"

[graph]
generate = { kind = "social", users = 100, mean_follows = 5 }

[[clients]]
name = "app"
arrivals = { poisson = "40/s" }
mix = { profile = 60, status = 40 }
routing = { by = "reads-to-slaves" }

[[faults]]
at = "8s..12s"
crash = "slave"
for = "4s"

[[expect]]
check = "replicas-equal"

[sweep]
seeds = 3
[sweep.vary]
"ha.pull_interval" = ["100ms", "3s"]
clients.app.arrivals.poisson = ["20/s", "60/s"]
"#;

fn json(done: &Done) -> Value {
    serde_json::from_str(&done.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr))
}

#[test]
fn the_table_says_what_the_flags_say() {
    let folder = Folder::with("swept.toml", SWEPT);
    let file = folder.path("swept.toml");
    let table = run(&["sweep", &file, "--json"]);
    assert_eq!(table.code, 0, "{}", table.stderr);
    let table = json(&table);
    assert_eq!(table["points"].as_array().unwrap().len(), 4);
    assert_eq!(table["runs"].as_array().unwrap().len(), 12);
    // Without the table; the digest of a run does not depend on where its values came from.
    let (bare, _) = SWEPT.split_once("[sweep]").unwrap();
    fs::write(folder.path("bare.toml"), bare).unwrap();
    let bare = folder.path("bare.toml");
    let pulls = "ha.pull_interval=100ms,3s";
    let clients = "clients.app.arrivals.poisson=20/s,60/s";
    let flags = ["sweep", &bare, "--vary", pulls, "--vary", clients, "--seeds", "0..3", "--json"];
    let flags = json(&run(&[&flags[..], &["--jobs", "2"]].concat()));
    for key in ["vary", "points", "runs"] {
        assert_eq!(table[key], flags[key], "{key}");
    }
    let stale = |point: usize| {
        let runs = table["runs"].as_array().unwrap().iter();
        let of = runs.filter(|run| run["point"] == point);
        of.map(|run| run["outcomes"]["stale reads [%]"].as_f64().unwrap()).sum::<f64>()
    };
    assert!(stale(0) < stale(2) && stale(1) < stale(3), "slower pulls make staler reads");
    // A flag comes before the table.
    let other = run(&["sweep", &file, "--vary", "ha.pull_interval=1s,2s", "--json"]);
    assert_eq!(json(&other)["runs"].as_array().unwrap().len(), 6);
    // Other commands play the scenario as it stands.
    let plain = run(&["test", &file, "--seeds", "0..1"]);
    assert_eq!(plain.code, 0, "{}{}", plain.stdout, plain.stderr);
    let nothing = run(&["sweep", &bare]);
    assert_eq!(nothing.code, 2);
    assert!(nothing.stderr.contains("nothing is varied"), "{}", nothing.stderr);
}

#[test]
fn a_slip_in_the_table_is_told_where_it_stands() {
    for (slip, told) in [("\"3 s.\"", "3 s."), ("\"100ms\"", "twice"), ("[1]", "a list is in it")] {
        let folder = Folder::with("swept.toml", &SWEPT.replace("\"3s\"", slip));
        let checked = run(&["check-scenario", &folder.path("swept.toml")]);
        assert_eq!(checked.code, 2, "{slip}: {}", checked.stdout);
        assert!(checked.stderr.contains("swept.toml:34:"), "{slip}: {}", checked.stderr);
        assert!(checked.stderr.contains(told), "{slip}: {}", checked.stderr);
    }
    let folder = Folder::with(
        "swept.toml",
        &SWEPT.replace("\"ha.pull_interval\" = [\"100ms\"", "\"ha.pull_intervall\" = [\"100ms\""),
    );
    let checked = run(&["sweep", &folder.path("swept.toml")]);
    assert_eq!(checked.code, 2);
    assert!(checked.stderr.contains("swept.toml:34:1"), "{}", checked.stderr);
    assert!(checked.stderr.contains("`ha.pull_interval`"), "{}", checked.stderr);
}

#[test]
fn a_sweep_leaves_tables_and_goes_on() {
    let folder = Folder::with("swept.toml", SWEPT);
    let (file, out) = (folder.path("swept.toml"), folder.path("out"));
    let play = |more: &[&str]| {
        let vary = ["sweep", &file, "--vary", "ha.pull_interval=100ms,3s", "--out", &out];
        run(&[&vary[..], more].concat())
    };
    let first = play(&[]);
    assert_eq!(first.code, 0, "{}{}", first.stdout, first.stderr);
    assert!(first.stdout.contains("stale reads"), "{}", first.stdout);
    let left = |name: &str| fs::read_to_string(folder.path(&format!("out/{name}"))).unwrap();
    let (runs, table) = (left("runs.csv"), left("sweep.csv"));
    assert_eq!(runs.lines().count() % 6, 1, "a head, and six runs of each outcome");
    assert!(table.contains("stale reads"), "{table}");
    assert!(left("report.html").contains("<svg"));
    fs::remove_file(folder.path("out/runs/1-2.json")).unwrap();
    let again = play(&[]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!((left("runs.csv"), left("sweep.csv")), (runs, table));
    let other = play(&["--set", "duration=21s"]);
    assert_eq!(other.code, 2);
    assert!(other.stderr.contains("choose another --out"), "{}", other.stderr);
}

#[test]
fn copies_are_clusters_of_their_own_with_one_verdict() {
    let folder = Folder::with("swept.toml", SWEPT);
    let (file, out) = (folder.path("swept.toml"), folder.path("out"));
    let three = ["--set", "cluster.copies=3"];
    let done = run(&[&["run", &file, "--seed", "5", "--out", &out][..], &three].concat());
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let text = fs::read_to_string(folder.path("out/copies.json")).unwrap();
    let whole: Value = serde_json::from_str(&text).unwrap();
    let copies = whole["copies"].as_array().unwrap();
    let digests: std::collections::BTreeSet<_> =
        copies.iter().map(|copy| copy["digest"].to_string()).collect();
    assert_eq!((copies.len(), digests.len()), (3, 3), "no two play the same");
    assert_eq!(
        (&copies[0]["seed"], &whole["faults"]["crash"]["took_effect"]),
        (&5.into(), &3.into())
    );
    // Each is the run of its own seed.
    let alone = copies[1]["seed"].to_string();
    let one = json(&run(&["run", &file, "--seed", &alone, "--json", "--out", &folder.path("one")]));
    assert_eq!(one["digest"], copies[1]["digest"]);
    // A campaign takes all of them for one seed.
    let campaign = run(&[&["test", &file, "--seeds", "5..6", "--json"][..], &three].concat());
    let campaign = json(&campaign);
    assert_eq!((&campaign["runs"], &campaign["held"]), (&1.into(), &1.into()));
    // What one of them breaks is broken, and told with the command that plays that one alone.
    let strict = format!(
        "{}\n[[expect]]\ncheck = \"latency\"\nof = \"app\"\np50 = {{ max = \"1us\" }}\n",
        SWEPT
    );
    fs::write(folder.path("strict.toml"), strict).unwrap();
    let broken = run(&[&["run", &folder.path("strict.toml"), "--seed", "5"][..], &three].concat());
    assert_eq!(broken.code, 1, "{}", broken.stderr);
    assert!(broken.stdout.contains("alone:") && broken.stdout.contains("cluster.copies=1"));
    // What looks into one run takes none of them for all.
    for command in ["explain", "shrink", "trail"] {
        let done = run(&[&[command, &file, "--seed", "5"][..], &three].concat());
        assert_eq!(done.code, 2, "{command}: {}", done.stdout);
        assert!(done.stderr.contains("--set cluster.copies=1"), "{command}: {}", done.stderr);
    }
}

#[test]
fn of_several_clusters_one_is_kept_in_which_the_expectation_did_not_hold() {
    let folder = Folder::with("swept.toml", SWEPT);
    let (file, out) = (folder.path("swept.toml"), folder.path("out"));
    let two = ["--set", "cluster.copies=2"];
    let done = run(&[&["run", &file, "--seed", "5", "--json"][..], &two].concat());
    let seeds = [0, 1].map(|copy| json(&done)["copies"][copy]["seed"].as_u64().unwrap());
    let medians = seeds.map(|seed| {
        let (seed, out) = (seed.to_string(), folder.path(&format!("alone-{seed}")));
        let alone = json(&run(&["run", &file, "--seed", &seed, "--json", "--out", &out]));
        ["app", "app.profile"].map(|of| alone["operations"][of]["p50_ms"].as_f64().unwrap())
    });
    // A bound between the medians of both that the copy breaks.
    let rule = |at: usize, of: &str, breaks: usize| {
        let bound = (500.0 * (medians[0][at] + medians[1][at])) as u64;
        let above = medians[breaks][at] > medians[1 - breaks][at];
        let side = if above { "max" } else { "min" };
        format!(
            "[[expect]]\ncheck = \"latency\"\nof = \"{of}\"\np50 = {{ {side} = \"{bound}us\" }}\n\
             seeds = \"any\"\n"
        )
    };
    let text = format!("{SWEPT}\n{}{}", rule(0, "app", 1), rule(1, "app.profile", 0));
    fs::write(folder.path("some.toml"), text).unwrap();
    let some = folder.path("some.toml");
    let test = ["test", &some, "--seeds", "5..6", "--json", "--out", &out];
    let unmet = json(&run(&[&test[..], &two].concat()));
    assert_eq!(unmet["runs"], unmet["held"]);
    let merged = json(&run(&["merge", &out, "--out", &folder.path("whole"), "--json"]));
    for (at, copy) in [seeds[1], seeds[0]].into_iter().enumerate() {
        let failing = &unmet["rules"][at]["failing"];
        assert_eq!(failing["copy_seed"], copy, "{unmet:#}");
        let kept = failing["folder"].as_str().unwrap();
        let text = fs::read_to_string(format!("{kept}/result.json")).unwrap();
        let result: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&result["seed"], &result["verdict"]),
            (&copy.into(), &"broke".into()),
            "{kept}"
        );
        assert!(result["expectations"][at + 1]["verdict"] == "broke", "{text}");
        let name = if copy == 5 { "some-5".to_owned() } else { format!("some-5-{copy}") };
        assert_eq!(kept, format!("{out}/failures/{name}"));
        assert_eq!(merged["rules"][at]["failing"]["folder"], kept);
    }
}

#[test]
fn what_plays_for_hours_is_played_when_it_is_named_and_not_with_its_folder() {
    let folder = Folder::with("short.toml", SWEPT);
    let long = folder.path("long.toml");
    fs::write(&long, SWEPT.replace("format = 1", "format = 1\nsoak = true")).unwrap();
    let all = run(&["test", &folder.path(""), "--seeds", "0..1"]);
    assert_eq!(all.code, 0, "{}{}", all.stdout, all.stderr);
    assert!(all.stdout.contains("1 of 1 runs held"), "{}", all.stdout);
    assert!(all.stderr.contains("left out, for they play for hours"), "{}", all.stderr);
    assert!(all.stderr.contains("long.toml; name one to play it"), "{}", all.stderr);
    let named = run(&["test", &folder.path(""), &long, "--seeds", "0..1"]);
    assert!(named.stdout.contains("2 of 2 runs held"), "{}{}", named.stdout, named.stderr);
    fs::remove_file(folder.path("short.toml")).unwrap();
    let nothing = run(&["test", &folder.path("")]);
    assert_eq!(nothing.code, 2);
    assert!(nothing.stderr.contains("name the one that you mean"), "{}", nothing.stderr);
    // Checking is not playing.
    let checked = run(&["check-scenario", &folder.path("")]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(run(&["test", "soak"]).stderr.contains("soak/six-weeks"));
}
