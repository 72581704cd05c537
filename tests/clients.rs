//! What clients take from files and what they meet, through the built command.

#![expect(clippy::print_stderr, reason = "what was skipped is told")]

mod support;

use support::{Folder, run};

/// A cluster of three whose clients have these keys.
fn scenario(clients: &str, more: &str) -> String {
    format!(
        r#"format = 1
about = "Clients."
duration = "60s"
warm_up = "20s"
seed = 1
[cluster.settings]
"ha.pull_interval" = "500ms"
[[group]]
count = 3
machine = {{ cores = 4, memory = "30GiB" }}
heap = "8GiB"
page_cache = "8GiB"
[graph]
generate = {{ kind = "social", users = 200, mean_follows = 5 }}
[[clients]]
name = "app"
workload = "social"
{clients}
{more}
"#
    )
}

fn result(scenario: &str, files: &[(&str, &[u8])]) -> (i32, serde_json::Value, String) {
    let folder = Folder::with("scenario.toml", scenario);
    for (name, contents) in files {
        std::fs::write(folder.path(name), contents).unwrap();
    }
    let out = folder.path("out");
    let done = run(&["run", &folder.path("scenario.toml"), "--json", "--out", &out]);
    (done.code, serde_json::from_str(&done.stdout).unwrap_or_default(), done.stderr)
}

#[test]
fn recorded_arrivals_and_a_table_of_popularity_are_read_from_files() {
    let clients = "arrivals = { recorded = \"sent.txt\", speed = 10, start = \"30s\" }\n\
                   popularity = { table = \"access.dat\", section = \"reads\" }\nmix = { profile = 1 }";
    let sent = b"src dst time\n1 2 1000\n2 3 1010\n3 1 1010\n2 1 1100\n";
    let access = b"writes\n0 100\nreads\n0 50\n7 100\n";
    let files: [(&str, &[u8]); 2] = [("sent.txt", sent), ("access.dat", access)];
    let (code, json, errors) = result(&scenario(clients, ""), &files);
    assert_eq!(code, 0, "{errors}");
    assert_eq!(json["operations"]["app.profile"]["ok"], 4);
    // The Plan reads them again.
    let folder = Folder::with("scenario.toml", &scenario(clients, ""));
    for (name, contents) in files {
        std::fs::write(folder.path(name), contents).unwrap();
    }
    let plan = run(&["plan", &folder.path("scenario.toml"), "--seed", "1"]);
    let recorded = "arrivals = { recorded = \"sent.txt\", speed = 10, start = \"30s\" }";
    assert!(plan.stdout.contains(recorded), "{}", plan.stdout);
    std::fs::write(folder.path("again.toml"), &plan.stdout).unwrap();
    let again = run(&["run", &folder.path("again.toml"), "--json", "--out", &folder.path("o")]);
    let again: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(again["digest"], json["digest"]);
}

#[test]
fn every_write_plays_in_every_pattern_that_it_has() {
    let one_node = ["post", "notify", "change_password", "change_email", "deactivate"];
    let all = [&["follow", "block", "star", "unfollow"][..], &one_node].concat();
    for (pattern, names) in [
        ("naive", all.as_slice()),
        ("locked", &all),
        ("double-checked", &all),
        ("locked-both-ends", &all[..4]),
        ("merge", &all[..3]),
        ("merge-unlocked", &all[..3]),
        ("match-then-merge", &all[..3]),
    ] {
        // Stars need posts, and what is blocked or deleted cannot be followed for ever.
        let weight = |name: &str| match name {
            "deactivate" => 1,
            "block" => 5,
            _ => 20,
        };
        let mut mix: Vec<String> =
            names.iter().map(|name| format!("{name} = {}", weight(name))).collect();
        if !names.contains(&"post") {
            mix.push("post = 20".into());
        }
        let own =
            |name: &&str| format!("[[operation]]\nname = \"{name}\"\npattern = \"{pattern}\"\n");
        let own: String = names.iter().map(own).collect();
        let clients = format!(
            "arrivals = {{ poisson = \"300/s\" }}\nmix = {{ {} }}\nrouting = {{ by = \
             \"all-to-master\" }}\nretry = {{ on = [\"transient\"], attempts = 5 }}",
            mix.join(", ")
        );
        for model in ["monolithic-node", "split-nodes"] {
            let text = scenario(&clients, &own)
                .replace("mean_follows = 5 }", &format!("mean_follows = 5 }}\nmodel = \"{model}\""))
                .replace("60s", "25s");
            let (code, json, errors) = result(&text, &[]);
            assert_eq!(code, 0, "{pattern}, {model}: {errors}");
            for name in names {
                let ok = json["operations"][format!("app.{name}")]["ok"].as_u64();
                assert!(ok.is_some_and(|ok| ok > 0), "{name}, {pattern}, {model}: {ok:?}");
            }
        }
    }
}

#[test]
fn with_look_ups_each_request_costs_a_round_trip_to_the_master_whatever_the_rule() {
    let median = |by: &str, look_up: &str| {
        let clients = format!(
            "arrivals = {{ poisson = \"100/s\" }}\nmix = {{ profile = 1 }}\nrouting = {{ by = \
             \"{by}\"{look_up} }}"
        );
        let (code, json, errors) = result(&scenario(&clients, "").replace("60s", "30s"), &[]);
        assert_eq!(code, 0, "{by}: {errors}");
        let profile = &json["operations"]["app.profile"];
        assert!(profile["ok"].as_u64().is_some_and(|ok| ok > 800), "{profile}");
        let median = profile["p50_ms"].as_f64();
        median.unwrap_or_else(|| panic!("{profile}"))
    };
    for by in ["all-to-master", "reads-to-slaves", "sticky", "hash-sharding", "anywhere"] {
        let (with, without) = (median(by, ", auth_lookup = true"), median(by, ""));
        assert!(with > 1.6 * without && with < 2.6 * without, "{by}: {with} and {without} ms");
    }
}

#[test]
fn a_table_that_asks_for_nobody_of_an_edge_list_is_refused_when_that_is_read() {
    let clients = "arrivals = { poisson = \"1/s\" }\npopularity = { table = \"few.dat\" }";
    let generated = "generate = { kind = \"social\", users = 200, mean_follows = 5 }";
    let text = scenario(clients, "").replace(generated, "edges = \"edges.txt\"");
    let files = [("few.dat", &b"0 99\n5 100\n"[..]), ("edges.txt", b"0 1\n1 2\n")];
    let (code, _, errors) = result(&text, &files);
    assert_eq!(code, 2, "{errors}");
    let said = ["`app` asks for none of the users", "this graph has 3", "scenario.toml:"];
    assert!(said.iter().all(|words| errors.contains(words)), "{errors}");
}

#[test]
fn who_is_deleted_is_no_longer_counted() {
    let own = ["follow", "unfollow"]
        .map(|name| format!("[[operation]]\nname = \"{name}\"\npattern = \"double-checked\"\n"));
    let clients = "arrivals = { poisson = \"200/s\" }\n\
                   mix = { follow = 90, unfollow = 8, delete_user = 2 }\n\
                   deployment = \"server\"\nrouting = { by = \"all-to-master\" }\n\
                   retry = { on = [\"transient\"], attempts = 20, backoff = \"10ms\" }";
    let expects = [("followers", "in"), ("following", "out")].map(|(property, direction)| {
        format!(
            "[[expect]]\ncheck = \"counter-equals-count\"\nproperty = \"{property}\"\n\
             type = \"FOLLOWS\"\ndirection = \"{direction}\"\n"
        )
    });
    for model in ["monolithic-node", "split-nodes"] {
        let text = scenario(clients, &(own.concat() + &expects.concat()))
            .replace(
                "users = 200, mean_follows = 5 }",
                "users = 400, mean_follows = 5 }\nmodel = \"MODEL\"",
            )
            .replace("MODEL", model)
            .replace("60s", "40s");
        let (code, json, errors) = result(&text, &[]);
        assert_eq!(code, 0, "{model}: {errors}{:#}", json["expectations"]);
        let deleted = json["operations"]["app.delete_user"]["ok"].as_u64();
        assert!(deleted.is_some_and(|ok| ok > 20), "{model}: {deleted:?}");
    }
}

/// The verdict of the first expectation, and why, where clients of a server far from it play these
/// operations at the master.
fn judged(users: u32, operations: &[&str], keys: &str, check: &str) -> (String, String) {
    let clients = format!(
        "deployment = \"server\"\nrouting = {{ by = \"all-to-master\" }}\n\
         retry = {{ on = [\"transient\"], attempts = 20, backoff = \"20ms\" }}\n{keys}"
    );
    let operations = operations.iter().map(|it| format!("[[operation]]\nname = {it}\n"));
    let network = "[network]\nlatency = \"2ms\"\n";
    let more = operations.collect::<String>() + network + "[[expect]]\ncheck = " + check;
    let users = format!("users = {users},");
    let text = scenario(&clients, &more).replace("users = 200,", &users).replace("60s", "40s");
    let (_, json, errors) = result(&text, &[]);
    let first = &json["expectations"][0];
    let word = |name: &str| first[name].as_str().unwrap_or(&errors).to_owned();
    (word("verdict"), word("why"))
}

#[test]
fn who_was_followed_after_deletion_goes_by_the_transaction_that_did_it() {
    let finds = "match a:User(id = $me); match b:User(id = $other); lock a, b";
    let creates = "create (a)-[:FOLLOWS(op = $operation)]->(b)";
    let verifies = "verify a:User; verify b:User; done if (a)-[:FOLLOWS]->(b)";
    let follow = |steps: &str| format!("\"follow\"\nsteps = [{steps}]");
    let late = "\"commit\", \"lock a\", \"lock a\", \"lock a\", \"lock a\", \"set a.x = 1\"";
    let careful = follow(&format!("\"{finds}; {verifies}; {creates}; return b.x\", {late}"));
    let untold = follow(&format!("\"{finds}; if b:User then {creates}; return b.x\""));
    let (naive, deactivate) =
        ("\"follow\"\npattern = \"naive\"", "\"deactivate\"\npattern = \"double-checked\"");
    let check = "\"forbidden-pair\"\ntype = \"FOLLOWS\"\nunless_label = \"DeletedUser\"\n";
    let mix = |other: &str| {
        format!("arrivals = {{ poisson = \"200/s\" }}\nmix = {{ follow = 97, {other} = 3 }}")
    };
    for (operations, other, expected, said) in [
        (&[&*careful, deactivate][..], "deactivate", "held", "None among"),
        (&[&*careful], "delete_user", "held", "None among"),
        (&[naive], "delete_user", "broke", "after that (transaction"),
        (&[&*untold, deactivate], "deactivate", "not-exercised", "does not report where they lead"),
    ] {
        let (verdict, why) = judged(400, operations, &mix(other), check);
        assert_eq!(verdict, expected, "{operations:?}: {why}");
        assert!(why.contains(said), "{operations:?}: {why}");
    }
}

#[test]
fn what_an_attempt_committed_before_it_failed_is_no_lost_update() {
    let bump = "\"bump\"\nsteps = [\"match c(id = $me); lock c; let n = c.counter; \
                set c.counter = n + 1; return wrote c.counter\", \"commit\", \
                \"match x(id = $me); match y(id = $other); set x.k = 1\", \"set y.k = 1\"]";
    let keys = "arrivals = { poisson = \"14/s\" }\nmix = { bump = 1 }";
    for check in ["lost-updates", "linearizable"] {
        let check = format!("\"{check}\"\nproperty = \"counter\"\n");
        let (verdict, why) = judged(6, &[bump], keys, &check);
        assert_eq!(verdict, "held", "{check}: {why}");
    }
}

#[test]
fn what_is_wrong_with_clients_is_said_with_its_place() {
    let wrong: [(&str, &[&str]); 12] = [
        (
            "arrivals = { recorded = \"many.txt\" }",
            &["the recorded arrivals are of 201 users", "the graph has 200"],
        ),
        (
            "arrivals = { poisson = \"1/s\" }\n\
             routing = { by = \"consistency\", read_after_write = \"1s\", auth_lookup = true }\n\
             [[operation]]\nname = \"auth\"\nsteps = [\"match me(id = $me); read me\"]",
            &["this look-up returns nothing", "let it end with `return me.last_write`"],
        ),
        ("arrivals = { recorded = \"no.txt\" }", &["recorded arrivals cannot be used", "no.txt"]),
        ("arrivals = { recorded = \"bad.txt\" }", &["line 2: a user is a number: `1 b 3`"]),
        ("arrivals = { recorded = \"bad.txt\", poisson = \"1/s\" }", &["either drawn or recorded"]),
        ("arrivals = { poisson = \"1/s\", speed = 2 }", &["`speed` goes with `recorded`"]),
        ("arrivals = { speed = 2 }", &["`poisson` is missing, or `recorded`"]),
        (
            "arrivals = { poisson = \"1/s\" }\npopularity = { table = \"t.dat\", section = \"x\" }",
            &["it has no section `x`; there are: reads, few"],
        ),
        (
            "arrivals = { poisson = \"1/s\" }\npopularity = { zipf = 1, degree = true }",
            &["users are popular for one reason"],
        ),
        (
            "arrivals = { poisson = \"1/s\" }\npopularity = { table = \"t.dat\", section = \"few\" }",
            &["none of the users is ever asked for", "so says this table of a graph of 200"],
        ),
        (
            "arrivals = { poisson = \"1/s\" }\nrouting = { by = \"sticky\", auth_lookup = true }\n\
             [[operation]]\nname = \"auth\"\nsteps = [\"match me(id = $me); read me\"]",
            &["this look-up returns nothing", "let it end with `return me.last_write`"],
        ),
        (
            "arrivals = { poisson = \"1/s\" }\npopularity = {}",
            &["one of `zipf`, `degree` and `table` is missing"],
        ),
    ];
    for (clients, said) in wrong {
        let folder = Folder::with("scenario.toml", &scenario(clients, ""));
        std::fs::write(folder.path("bad.txt"), "1 2 3\n1 b 3\n").unwrap();
        std::fs::write(folder.path("t.dat"), "reads\n1 100\nfew\n0 99.9\n5 100\n").unwrap();
        let many: String = (0..201).map(|user| format!("{user} 0 {user}\n")).collect();
        std::fs::write(folder.path("many.txt"), many).unwrap();
        let done = run(&["check-scenario", &folder.path("scenario.toml")]);
        assert_eq!(done.code, 2, "{clients}: {}", done.stderr);
        for words in said {
            assert!(done.stderr.contains(words), "{clients}: {}", done.stderr);
        }
        assert!(done.stderr.contains("scenario.toml:"), "{}", done.stderr);
    }
}

#[test]
fn a_slip_in_a_text_with_escapes_is_shown_where_it_stands() {
    let steps = "[[operation]]\nname = \"find\"\n\
                 steps = [\"match a:User(id = $me);\\n\\tverify a.name = \\u0027x\\u0027; sett a.x = 1\"]";
    let clients = format!("users = 300\nmix = {{ profile = 1 }}\n{steps}");
    let folder = Folder::with("scenario.toml", &scenario(&clients, ""));
    let done = run(&["check-scenario", &folder.path("scenario.toml")]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    let lines: Vec<&str> = done.stderr.lines().collect();
    let text = lines.iter().position(|line| line.contains("sett a.x")).expect("the line is shown");
    let (shown, under) = (lines[text], lines[text + 1]);
    let place = |line: &str, what: char| line.char_indices().position(|(_, c)| c == what);
    let sett = shown[..shown.find("sett").unwrap()].chars().count();
    assert_eq!(place(under, '^'), Some(sett), "{}", done.stderr);
    // What is only regrettable is told once the scenario is sound.
    let sound = scenario("users = 300\nmix = { profile = 1 }", "");
    let folder = Folder::with("scenario.toml", &sound);
    let done = run(&["check-scenario", &folder.path("scenario.toml")]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("more users than the graph has"), "{}", done.stderr);
}

#[test]
fn locks_are_reported_with_who_waited_behind_whom() {
    let clients = "arrivals = { poisson = \"240/s\" }\ndeployment = \"server\"\n\
                   popularity = { zipf = 1.1 }\nmix = { notify = 1, swap = 1 }";
    let own = r#"
[[operation]]
name = "notify"
steps = ["match u:User(id = $other); lock u", "set u.notifications = u.notifications + 1"]
[[operation]]
name = "swap"
steps = ["match a:User(id = $me); match b:User(id = $other); lock a", "lock b", "set a.posts = b.posts"]
"#;
    let (code, json, errors) = result(&scenario(clients, own), &[]);
    assert_eq!(code, 0, "{errors}");
    let locks = &json["locks"];
    let hottest = locks["hottest"].as_array().unwrap();
    assert_eq!(hottest.len(), 10);
    let waited = |lock: &serde_json::Value| lock["waited_ms"].as_f64().unwrap();
    assert!(hottest.windows(2).all(|two| waited(&two[0]) >= waited(&two[1])));
    let first = &hottest[0];
    assert_eq!((first["kind"].as_str(), first["label"].as_str()), (Some("node"), Some("User")));
    assert!(first["waits"].as_u64() > Some(100) && first["acquisitions"].as_u64() > Some(100));
    assert!(first["held_ms"].as_f64() > first["longest_hold_ms"].as_f64());
    let pairs = locks["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), 4, "each behind each: {pairs:?}");
    let sum: f64 = pairs.iter().map(waited).sum();
    assert!((sum - waited(locks)).abs() < 1.0, "{sum}");
    let deadlocks = locks["deadlocks"].as_u64().unwrap();
    assert!(deadlocks > 0);
    let victims = locks["victims"].as_array().unwrap();
    assert_eq!(victims.len(), 20.min(deadlocks as usize));
    assert!(victims.iter().all(|victim| victim["name"] == "swap"), "one that waits holds a lock");
    // The meter of the queues counts the same.
    let queue = json["queues"].as_array().unwrap();
    let through: u64 = queue
        .iter()
        .filter(|queue| queue["queue"] == "locks")
        .map(|queue| queue["arrivals"].as_u64().unwrap())
        .sum();
    let waits = locks["waits"].as_u64().unwrap();
    assert_eq!(through, waits + deadlocks, "a victim stood in the queue for no time");
}

#[test]
fn what_others_measured_can_be_played() {
    let data = std::env::var("WAVETANK_DATA").unwrap_or_else(|_| "../../shared/data".to_owned());
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(data);
    let files =
        [data.join("graphs/CollegeMsg.txt.gz"), data.join("workloads/linkbench_distribution.dat")];
    if let Some(absent) = files.iter().find(|file| !file.exists()) {
        eprintln!("SKIPPED: {} is not there; WAVETANK_DATA names the folder", absent.display());
        return;
    }
    let [sent, access] = files.map(|file| std::fs::read(file).unwrap());
    // 193 days in ten minutes; the first half of the messages comes in the first month.
    let clients = "arrivals = { recorded = \"sent.gz\", speed = 28000, start = \"20s\" }\nmix = { follow = 1 }";
    let long = scenario(clients, "").replace("60s", "12m").replace("users = 200", "users = 1899");
    let (code, json, errors) = result(&long, &[("sent.gz", &sent)]);
    assert_eq!(code, 0, "{errors}");
    assert_eq!(json["operations"]["app.follow"]["offered"], 59_835);
    let clients = "arrivals = { poisson = \"500/s\" }\nmix = { status = 1 }\n\
                   popularity = { table = \"access.dat\", section = \"node_nwrites\" }";
    let (code, json, errors) = result(&scenario(clients, ""), &[("access.dat", &access)]);
    assert_eq!(code, 0, "{errors}");
    // 95 % of the nodes are never written to: ten users get it all.
    let hottest = json["locks"]["hottest"].as_array().unwrap();
    let users: std::collections::BTreeSet<_> =
        hottest.iter().filter_map(|lock| lock["id"].as_u64()).collect();
    assert!(users.len() <= 10 && hottest[0]["acquisitions"].as_u64() > Some(1_000), "{hottest:?}");
}
