//! From text to Plan and back.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use wavetank_scenario::{Errors, Plan, parse, parse_with, to_text};
use wavetank_vocabulary::{Bytes, FaultKind, Rate, Ratio, Span, Time};
use wavetank_world::{Bounds, Expectation, GraphSource, PushStrategy, Routing, Target, Trigger};

fn no_files(path: &Path) -> std::io::Result<Vec<u8>> {
    panic!("{} is read, though there is no edge list", path.display())
}

fn draw(text: &str, seed: u64) -> Plan {
    let scenario = parse("test.toml", text).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    scenario.draw(seed, &mut no_files).unwrap_or_else(|errors| panic!("{errors}"))
}

const LEAST: &str =
    "format = 1\nduration = \"2m\"\n[[group]]\ncount = 3\nmachine = \"aws:r3.xlarge\"\n";

fn library() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("quickstart.toml")];
    for entry in std::fs::read_dir(root.join("quick")).expect("scenarios/quick") {
        files.push(entry.expect("a file").path());
    }
    files.sort();
    files
}

#[test]
fn every_scenario_of_the_library_is_sound_and_comes_back_from_its_plan() {
    let files = library();
    assert!(files.len() >= 4);
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a scenario");
        let name = file.to_string_lossy();
        let scenario = parse(&name, &text).unwrap_or_else(|errors| panic!("{errors}"));
        for seed in [0, 1, u64::MAX] {
            let plan = scenario.draw(seed, &mut no_files).expect("a plan");
            let written = to_text(&plan);
            let again = parse(&name, &written).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(again.seed(), Some(seed));
            assert_eq!(again.draw(seed, &mut no_files).expect("a plan"), plan, "{written}");
        }
    }
}

#[test]
fn the_quickstart_says_what_it_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("quickstart.toml");
    let plan = draw(&std::fs::read_to_string(file).expect("the quickstart"), 1);
    assert_eq!(plan.duration, Span::from_secs(300));
    assert_eq!(plan.instances.len(), 3);
    let one = &plan.instances[0];
    assert_eq!((one.id.0, one.cores, one.memory), (1, 4, Bytes::mib(31_232)));
    assert_eq!(plan.settings.pull_interval, Span::from_millis(500));
    assert_eq!(plan.settings.cluster.heartbeat_timeout, Span::from_secs(11));
    assert_eq!(plan.clients[0].rate, Rate::per_second(200));
    assert_eq!(plan.clients[0].mix.iter().map(|(_, weight)| weight).sum::<u32>(), 100);
    let fault = &plan.faults[0];
    assert_eq!((fault.kind, fault.target), (FaultKind::PowerLoss, Target::Master));
    assert_eq!(fault.at, Time::ZERO + Span::from_secs(120));
    assert_eq!(
        plan.expectations[0].check,
        Expectation::AcknowledgedWritesLost { explained: Bounds::at_most(20) }
    );
    insta::assert_snapshot!("the_plan_of_the_quickstart", to_text(&plan));
}

#[test]
fn what_is_left_out_has_its_default() {
    let plan = draw(LEAST, 3);
    let one = &plan.instances[0];
    assert_eq!(one.heap, Bytes(Bytes::mib(31_232).0 / 4));
    assert_eq!(one.page_cache, Bytes((one.memory.0 - one.heap.0) / 2));
    assert_eq!(one.volume.iops, 300);
    assert_eq!(plan.balancers.len(), 1);
    assert_eq!(plan.balancers[0].name, "balancer");
    assert_eq!(plan.datacentres, ["local"]);
    assert_eq!(plan.sample_every, Span::from_secs(1));
    assert_eq!(plan.costs.name, "assumed");
    assert!(plan.clients.is_empty() && plan.faults.is_empty());
    let GraphSource::Social { users, mean_follows } = plan.graph.source else { panic!("edges") };
    assert_eq!((users, mean_follows), (4000, Ratio::new(22, 1)));
}

#[test]
fn settings_go_by_the_names_and_in_the_syntax_of_neo4j() {
    let settings = r#"[cluster]
compat = "3.2"
[cluster.settings]
ha.pull_interval = 10 # without quotes, too
"ha.role_switch_timeout" = "2m"
"ha.pull_batch_size" = 50
"ha.tx_push_strategy" = "round_robin"
"logical_log_rotation_threshold" = "100M"
"wrapper.java.maxmemory" = 4096
"dbms.pagecache.memory" = "2g"
"#;
    let plan = draw(&format!("{LEAST}{settings}"), 1);
    assert_eq!(plan.settings.pull_interval, Span::from_secs(10));
    assert_eq!(plan.settings.state_switch_timeout, Span::from_secs(120));
    assert_eq!(plan.settings.pull_apply_batch_size, 50);
    assert_eq!(plan.settings.tx_push_strategy, PushStrategy::RoundRobin);
    assert_eq!(plan.settings.log_rotation_threshold, Bytes::mib(100));
    assert_eq!(plan.settings.cluster.heartbeat_timeout, Span::from_secs(40));
    assert_eq!(plan.instances[0].heap, Bytes::gib(4));
    assert_eq!(plan.instances[0].page_cache, Bytes::gib(2));
}

#[test]
fn links_join_data_centres() {
    let text = r#"format = 1
duration = "1m"
[[group]]
count = 2
machine = "aws:i2.xlarge"
datacentre = "us-east"
volume = { size = "300GB", iops = 9000, ebs_optimised = true }
[[group]]
count = 1
machine = { cores = 2, memory = "8GiB" }
datacentre = "eu-west"
slave_only = true
[[link]]
between = ["us-east", "eu-west"]
round_trip = "70ms"
bandwidth = "100Mbit/s"
[[balancer]]
name = "far"
datacentre = "eu-west"
"#;
    let plan = draw(text, 1);
    assert_eq!(plan.datacentres, ["us-east", "eu-west"]);
    assert_eq!(plan.network.links[0].between, [0, 1]);
    assert_eq!(plan.network.links[0].bandwidth, Bytes(12_500_000));
    assert_eq!(plan.instances[0].volume.throughput, Bytes(62_500_000));
    assert_eq!(plan.instances[0].volume.iops, 9000);
    assert_eq!(plan.instances[2].datacentre, 1);
    assert!(plan.instances[2].slave_only);
    assert_eq!(plan.balancers[0].datacentre, 1);
}

const THREE_FAULTS: &str = r#"
[[faults]]
id = 1
at = "10s..20s"
crash = "slave"
for = "1s..9s"
[[faults]]
id = 2
at = "30s..40s"
partition = 1
from = 3
one_way = true
[[faults]]
id = 3
at = "50s..60s"
isolate = "any"
for = "5s"
"#;

#[test]
fn the_plan_of_a_run_shorter_than_a_monitoring_interval_reads_back() {
    let plan = draw(&LEAST.replace("2m", "8s"), 1);
    assert_eq!(plan.monitor_every, Span::from_secs(8));
    assert_eq!(draw(&to_text(&plan), 1).monitor_every, plan.monitor_every);
}

#[test]
fn leaving_one_fault_out_does_not_move_the_others() {
    let all = draw(&format!("{LEAST}{THREE_FAULTS}"), 9);
    assert_eq!(all.faults.len(), 3);
    assert_eq!(all.faults[1].kind, FaultKind::PartitionOneWay);
    assert_eq!(all.faults[2].peer, None);
    let (first, rest) =
        THREE_FAULTS.split_at(THREE_FAULTS.find("[[faults]]\nid = 2").expect("two"));
    let third = &rest[rest.find("[[faults]]\nid = 3").expect("three")..];
    let fewer = draw(&format!("{LEAST}{first}{third}"), 9);
    assert_eq!(fewer.faults, [all.faults[0].clone(), all.faults[2].clone()]);
    let other = draw(&format!("{LEAST}{THREE_FAULTS}"), 10);
    assert_ne!(other.faults, all.faults);
}

#[test]
fn values_can_be_set_from_outside() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("quickstart.toml");
    let text = std::fs::read(file).expect("the quickstart");
    let sets: Vec<String> = [
        "ha.pull_interval=2s",
        "duration=4m",
        "seed=56294fc",
        "cluster.compat=3.2",
        "clients.app.arrivals.poisson=400/s",
        "clients.1.routing.by=all-to-master",
        "graph.generate.users=100",
        "graph.generate.mean_follows=7.5",
        "group.1.slave_only=false",
        "faults.1.for=30s",
        "monitor.every=5s",
        "monitor.sample=2s",
        "cluster.settings.ha.tx_push_factor=2",
    ]
    .map(String::from)
    .to_vec();
    let scenario = parse_with("q.toml", &text, &sets, &mut |path| std::fs::read(path))
        .unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(scenario.seed(), Some(0x56294fc));
    let plan = scenario.draw(1, &mut no_files).expect("a plan");
    assert_eq!(plan.settings.pull_interval, Span::from_secs(2));
    assert_eq!(plan.settings.compat().name(), "3.2");
    assert_eq!(plan.settings.tx_push_factor, 2);
    assert_eq!(plan.duration, Span::from_secs(240));
    assert_eq!(plan.clients[0].rate, Rate::per_second(400));
    assert_eq!(plan.clients[0].routing, Routing::AllToMaster);
    assert_eq!(plan.faults[0].lasts, Some(Span::from_secs(30)));
    assert_eq!(plan.monitor_every, Span::from_secs(5));
    assert_eq!(plan.sample_every, Span::from_secs(2));
    let GraphSource::Social { users, mean_follows } = plan.graph.source else { panic!("edges") };
    assert_eq!((users, mean_follows), (100, Ratio::new(15, 2)));
}

#[test]
fn an_edge_list_is_looked_for_beside_the_scenario() {
    let text = format!("{LEAST}[graph]\nedges = \"graphs/small.txt\"\n");
    let scenario = parse("some/where/test.toml", &text).expect("sound");
    let mut asked = Vec::new();
    let plan = scenario
        .draw(1, &mut |path| {
            asked.push(path.to_path_buf());
            Ok(b"1 2\n2 3\n".to_vec())
        })
        .expect("a plan");
    assert_eq!(asked, [Path::new("some/where/graphs/small.txt")]);
    let GraphSource::Edges { path, edges } = &plan.graph.source else { panic!("generated") };
    assert_eq!((path.as_str(), edges.nodes, edges.edges.len()), ("graphs/small.txt", 3, 2));
    assert!(to_text(&plan).contains("edges = \"graphs/small.txt\""));
}

fn broken_edges(contents: std::io::Result<Vec<u8>>) -> Errors {
    let text = format!("{LEAST}[graph]\nedges = \"small.txt\"\n");
    let scenario = parse("test.toml", &text).expect("sound");
    let mut contents = Some(contents);
    scenario.draw(1, &mut |_| contents.take().expect("read once")).expect_err("no edge list")
}

#[test]
fn a_broken_edge_list_is_shown_at_its_line() {
    insta::assert_snapshot!("edges_garbage", broken_edges(Ok(b"# ok\n1 2\nfoo bar\n".to_vec())));
    insta::assert_snapshot!("edges_empty", broken_edges(Ok(Vec::new())));
    let missing = std::io::Error::new(std::io::ErrorKind::NotFound, "No such file or directory");
    insta::assert_snapshot!("edges_missing", broken_edges(Err(missing)));
}

#[cfg(feature = "planted-bugs")]
#[test]
fn bugs_can_be_planted_in_a_build_for_it() {
    use wavetank_vocabulary::PlantedBugs;
    let text = format!("{LEAST}[cluster]\nplanted_bugs = [\"sync-skipped\", \"lowest-tx-wins\"]\n");
    let plan = draw(&text, 1);
    assert_eq!(plan.bugs, PlantedBugs::SYNC_SKIPPED | PlantedBugs::LOWEST_TX_WINS);
    assert_eq!(draw(&to_text(&plan), 1), plan);
}

prop_compose! {
    /// A scenario of figures that people might write.
    fn scenario()(
        count in 1u16..6, duration in 10u64..1000, nanos in any::<bool>(), heap in 1u64..2000,
        pull in prop_oneof![Just(0u64), 1_000u64..100_000], users in 2u32..5000, (upper, lower) in (0u32..1000, 1u32..1000),
        rate in 1u64..1_000_000_000, weights in prop::array::uniform5(0u32..5), attempts in 1u16..9,
        skip in prop::collection::vec(any::<u32>(), 0..4), sigma in 0.0f64..2.0,
        faults in prop::collection::vec((0u64..9, 0u64..9, 0usize..5, 1u16..9), 0..5),
        about in "\\PC{0,20}", limit in 0u64..10_000_000, limit_part in 1u32..=100, seed in any::<u64>(),
    ) -> (String, u64) {
        let unit = if nanos { "us" } else { "ms" };
        let [a, b, c, d, e] = weights;
        let about = toml_text(&about);
        let mut text = format!(
            "format = 1\nabout = {about}\nduration = \"{duration}s\"\n\
             [cluster.settings]\n\"ha.pull_interval\" = \"{pull}{unit}\"\n\
             [[group]]\nsettings = {{ \"ha.tx_push_factor\" = {attempts} }}\ncount = {count}\nheap = \"{heap}MiB\"\ncache_policy = \"s3-fifo\"\nmachine = \"aws:r3.large\"\n\
             [group.volume]\nsync = {{ lognormal = \"2ms\", sigma = {sigma:?} }}\n\
             access = {{ uniform = [\"1us\", \"{heap}us\"] }}\n\
             [graph.generate]\nusers = {users}\nmean_follows = \"1/{lower}\"\n\
             [[clients]]\nname = \"app\"\narrivals = {{ poisson = \"{}.{:06}/s\" }}\n\
             mix = {{ home_stream = {}, profile = {b}, follow = {c}, status = {d}, sign_up = {e} }}\n\
             popularity = {{ zipf = \"{}/{lower}\" }}\nskip = {skip:?}\nonly = {skip:?}\n\
             retry = {{ on = [\"timeout\"], attempts = {attempts} }}\n\
             [[expect]]\ncheck = \"latency\"\nof = \"app\"\np50 = {{ max = \"{limit}ns\" }}\n\
             p99 = {{ min = \"{limit}ns\" }}\nseeds = \">= {limit_part}%\"\n\
             [[expect]]\ncheck = \"acknowledged-writes-lost\"\nexplained = {{ min = 1 }}\nseeds = \"any\"\n",
            rate / 1_000_000, rate % 1_000_000, a + 1, upper.min(lower),
        );
        let triggers = Trigger::ALL.map(|(_, name)| name);
        for (at, lasts, kind, target) in faults {
            let key = ["crash", "power-loss", "pause", "crash", "pause"][kind];
            let target = target.min(count);
            text.push_str(&format!(
                "[[faults]]\n{key} = {target}\nat = \"{at}ms..{}s\"\nfor = \"1ns..{}us\"\n",
                at, lasts + 1,
            ));
            if kind % 2 == 1 {
                let trigger = triggers[(at * 9 + lasts) as usize % triggers.len()];
                text.push_str(&format!("when = \"{trigger}\"\nafter = \"0s..{lasts}ms\"\n"));
            }
        }
        (text, seed)
    }
}

fn toml_text(text: &str) -> String {
    let text: String = text.chars().filter(|c| !"'\\".contains(*c)).collect();
    format!("'{text}'")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_plan_comes_back_from_its_text((text, seed) in scenario()) {
        let plan = draw(&text, seed);
        let written = to_text(&plan);
        prop_assert_eq!(draw(&written, seed), plan, "{}", written);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}", set in "[ -~]{0,30}") {
        let _ = parse("any.toml", &text).map_err(|errors| errors.render(true));
        let _ = parse_with("any.toml", LEAST.as_bytes(), &[set], &mut |path| std::fs::read(path)).map_err(|errors| errors.render(false));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_with("any.toml", &bytes, &[], &mut |path| std::fs::read(path)).map_err(|errors| errors.render(false));
    }

    /// Scenarios with one stretch cut out or written over are where slips are found.
    #[test]
    fn no_damaged_scenario_panics(from in 0usize..2500, length in 0usize..60, put in "[ -~\n]{0,12}") {
        let text = include_str!("../quickstart.toml");
        let floor = |mut at: usize| {
            at = at.min(text.len());
            while !text.is_char_boundary(at) { at -= 1; }
            at
        };
        let damaged = format!("{}{put}{}", &text[..floor(from)], &text[floor(from + length)..]);
        if let Ok(scenario) = parse("any.toml", &damaged) {
            let plan = scenario.draw(1, &mut |_| Ok(b"1 2\n".to_vec())).expect("a plan");
            let _ = to_text(&plan);
        }
    }
}

#[test]
fn timeouts_that_are_not_set_follow_those_they_are_derived_from() {
    let with = |settings: &str| {
        let text = format!("{LEAST}[cluster.settings]\n{settings}");
        draw(&text, 1).settings
    };
    let secs = Span::from_secs;
    let set = with("\"ha.default_timeout\" = 2\n\"ha.broadcast_timeout\" = \"20s\"\n");
    let cluster = &set.cluster;
    for derived in [
        cluster.heartbeat_interval,
        cluster.learn_timeout,
        cluster.election_timeout,
        cluster.phase1_timeout,
        cluster.phase2_timeout,
    ] {
        assert_eq!(derived, secs(2));
    }
    assert_eq!((cluster.join_timeout, cluster.leave_timeout), (secs(20), secs(20)));
    assert_eq!(cluster.configuration_timeout, secs(1));
    let paxos =
        with("\"ha.default_timeout\" = 2\n\"ha.paxos_timeout\" = 3\n\"ha.phase2_timeout\" = 4\n");
    let cluster = &paxos.cluster;
    assert_eq!((cluster.phase1_timeout, cluster.phase2_timeout), (secs(3), secs(4)));
    assert_eq!((cluster.election_timeout, cluster.learn_timeout), (secs(3), secs(2)));

    // A group's timeout comes before the cluster's, and so does what follows from it.
    let text = format!(
        "{LEAST}[cluster.settings]\n\"ha.default_timeout\" = 2\n[[group]]\ncount = 2\n\
         machine = \"aws:r3.xlarge\"\nsettings = {{ \"ha.default_timeout\" = 3 }}\n"
    );
    let plan = draw(&text, 1);
    let own = plan.settings_of(&plan.instances[3]);
    assert_eq!(own.cluster.heartbeat_interval, secs(3));
    assert_eq!(plan.settings.cluster.heartbeat_interval, secs(2));

    for (compat, switch) in [("2.3.0", 7), ("2.3.6", 10)] {
        let text = format!(
            "{LEAST}[cluster]\ncompat = \"{compat}\"\n[cluster.settings]\n\"ha.state_switch_timeout\" = 7\n"
        );
        let settings = draw(&text, 1).settings;
        assert_eq!(settings.internal_state_switch_timeout, secs(switch), "{compat}");
    }
}

#[test]
fn initial_hosts_are_ids_or_hosts_in_their_order() {
    for (list, ids) in [("2, 1", vec![2, 1]), ("a:5001,b:5001", vec![1, 2])] {
        let text = format!("{LEAST}[cluster.settings]\n\"ha.initial_hosts\" = \"{list}\"\n");
        let plan = draw(&text, 1);
        let hosts: Vec<u16> = plan.settings.cluster.initial_hosts.iter().map(|id| id.0).collect();
        assert_eq!(hosts, ids);
        assert_eq!(draw(&to_text(&plan), 1).settings, plan.settings);
    }
    for (list, told) in [
        ("1,70000", "no server id is as high as 70000"),
        ("1,b:5001", "`b:5001` stands among server ids"),
        ("1,1", "`1` is listed twice"),
        ("1,01,2", "1 is listed twice"),
    ] {
        let text = format!("{LEAST}[cluster.settings]\n\"ha.initial_hosts\" = \"{list}\"\n");
        let errors = parse("test.toml", &text).unwrap_err().to_string();
        assert!(errors.contains(told), "{errors}");
    }
}

#[test]
fn measured_round_trips_make_the_links_that_nobody_wrote() {
    let groups = ["a", "b", "c"].map(|name| {
        format!("[[group]]\ncount = 1\nmachine = \"aws:r3.xlarge\"\ndatacentre = \"{name}\"\n")
    });
    let text = format!(
        "format = 1\nduration = \"2m\"\n{}[network]\nrtt = \"rtt.csv\"\n[[link]]\n\
         between = [\"a\", \"b\"]\nround_trip = \"8ms\"\n",
        groups.concat()
    );
    let file = "from,to,avg_ms\na,b,99\na,c,10\nb,c,20\nc,b,22\n";
    let mut read = |path: &Path| {
        assert_eq!(path, Path::new("there/rtt.csv"), "relative to the scenario");
        Ok(file.as_bytes().to_vec())
    };
    let scenario = parse_with("there/s.toml", text.as_bytes(), &[], &mut read).expect("sound");
    let plan = scenario.draw(1, &mut no_files).expect("a plan");
    let found: Vec<_> =
        plan.network.links.iter().map(|link| (link.between, link.latency)).collect();
    assert_eq!(found.len(), 3);
    let constant = |micros| wavetank_world::Distribution::Constant(Span::from_micros(micros));
    assert_eq!(found[1], ([0, 2], constant(5_000)));
    assert_eq!(found[2], ([1, 2], constant(10_500)), "the mean of both ways");
    let refused = |bytes: &'static [u8]| {
        let mut read = |_: &Path| Ok(bytes.to_vec());
        let Err(errors) = parse_with("s.toml", text.as_bytes(), &[], &mut read) else {
            panic!("this should be wrong")
        };
        errors.render(false)
    };
    insta::assert_snapshot!("no_matrix", refused(b"from,to\n"));
    insta::assert_snapshot!("not_measured", refused(b"from,to,avg_ms\na,c,10\n"));
}
