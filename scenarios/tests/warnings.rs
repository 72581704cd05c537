//! What Neo4j would accept and its operator regret. Each message is a snapshot: read it as
//! the operator would.

use wavetank_scenario::{Scenario, parse, parse_with};

/// A scenario without anything to regret, to which the regrettable is added.
const GOOD: &str = r#"format = 1
duration = "2m"

[cluster]
edition = "enterprise"

[cluster.settings]
"ha.pull_interval" = "500ms"

[[group]]
count = 3
machine = "aws:r3.xlarge"
heap = "8GiB"
page_cache = "12GiB"
"#;

fn told(scenario: &Scenario) -> String {
    let warnings = scenario.warnings();
    assert!(warnings.count() > 0, "nothing is regretted");
    assert_eq!(warnings.lines().count(), warnings.count());
    warnings.render(false)
}

fn with(slip: &str) -> String {
    told(&parse("regretted.toml", &format!("{GOOD}{slip}")).unwrap_or_else(|e| panic!("{e}")))
}

fn instead(line: &str, slip: &str) -> String {
    assert!(GOOD.contains(line));
    told(&parse("regretted.toml", &GOOD.replace(line, slip)).unwrap_or_else(|e| panic!("{e}")))
}

fn conf(conf: &str) -> String {
    let text = GOOD.replace(
        "edition = \"enterprise\"",
        "edition = \"enterprise\"\nneo4j_conf = \"neo4j.properties\"",
    );
    let scenario = parse_with("regretted.toml", text.as_bytes(), &[], &mut |_| Ok(conf.into()));
    told(&scenario.unwrap_or_else(|e| panic!("{e}")))
}

macro_rules! regretted {
    ($($name:ident: $told:expr;)*) => {
        $(#[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), $told);
        })*
    };
}

const PULL: &str = "\"ha.pull_interval\" = \"500ms\"";

regretted! {
    pull_interval_off: instead(PULL, "");
    pull_interval_set_to_zero: instead(PULL, "\"ha.pull_interval\" = 0");
    heartbeat_timeout_short: instead(PULL, "\"ha.pull_interval\" = \"1s\"\n\"ha.heartbeat_timeout\" = \"9s\"");
    heartbeat_timeout_inverted: instead(PULL, "\"ha.pull_interval\" = \"1s\"\n\"ha.heartbeat_interval\" = \"20s\"");
    heap_small: instead("8GiB", "2GiB");
    heap_large: instead("8GiB", "16GiB");
    heap_and_page_cache_implicit: instead("heap = \"8GiB\"\npage_cache = \"12GiB\"\n", "");
    iops_without_ebs_optimisation: with("volume = { size = \"300GB\", iops = 9000 }\n");
    two_instances: instead("count = 3", "count = 2");
    four_instances: instead("count = 3", "count = 4");
    settings_without_effect: instead(PULL, "\"ha.pull_interval\" = \"1s\"\n\"cache_type\" = \"none\"\n\"ha.server_id\" = 1");
    group_never_pulls: with("settings = { \"ha.pull_interval\" = \"0s\" }\n");
    more_pushes_than_slaves: instead(PULL, "\"ha.pull_interval\" = \"1s\"\n\"ha.tx_push_factor\" = 5");
    nothing_to_recover_from: with("[[expect]]\ncheck = \"recovers\"\nwithin = \"1m\"\n");
    balancer_without_credentials: with("[[balancer]]\ncredentials = false\n");
    timeout_in_wrong_units: instead(PULL, "\"ha.pull_interval\" = \"1s\"\n\"ha.heartbeat_timeout\" = 40000\n[[faults]]\nat = \"1m\"\ncrash = 1\n");
    settings_of_the_file_not_used: conf("ha.pull_interval=10\ndbms.pagecache.memory=2g\nwrapper.java.maxmemory=4096\n");
    set_but_a_group_comes_before: told(&parse_with("s.toml", format!("{GOOD}settings = {{ \"ha.tx_push_factor\" = 2 }}\n").as_bytes(), &["ha.tx_push_factor=1".into(), "dbms.pagecache.memory=2g".into()], &mut |_| unreachable!()).expect("sound"));
    stock_file: conf("dbms.windows_service_name=neo4j\ndbms.connector.bolt.enabled=true\nha.heartbeat_intervl=3s\n");
    only_slaves: instead("count = 3", "count = 3\nslave_only = true");
    initial_hosts_in_part: instead(PULL, "\"ha.pull_interval\" = \"1s\"\n\"ha.initial_hosts\" = \"1,2\"");
    nobody_creates_the_cluster: instead(PULL, "\"ha.pull_interval\" = \"1s\"\n\"ha.allow_init_cluster\" = false");
    initial_host_replaced: instead(PULL, "\"ha.pull_interval\" = \"1s\"\n\"ha.initial_hosts\" = \"1,2,9\"");
    initial_host_down: instead(PULL, "\"ha.pull_interval\" = \"1s\"\n\"ha.initial_hosts\" = \"a:5001,b:5001,c:5001,d:5001\"");
    community_with_many_cores: told(&parse("one.toml", &GOOD.replace("enterprise", "community").replace("count = 3", "count = 1").replace("aws:r3.xlarge", "aws:r3.2xlarge")).expect("sound"));
    file_as_it_is: conf("# HA\nha.server_id=1\nha.initial_hosts=a:5001,b:5001,c:5001\nha.pull_interval=10\nha.tx_push_fctor=2\norg.neo4j.server.webserver.port=7474\nha.heartbeat_timeout=11s\nha.heartbeat_timeout=6s\n");
}

#[test]
fn nothing_to_regret() {
    let scenario = parse("good.toml", GOOD).expect("sound");
    assert_eq!(scenario.warnings().render(false), "");
}

#[test]
fn settings_know_where_they_come_from() {
    let text = GOOD
        .replace("edition = \"enterprise\"", "edition = \"enterprise\"\nneo4j_conf = \"n.conf\"");
    let conf = "ha.tx_push_factor=2\nha.pull_interval=10\nha.default_timeout=3s\n";
    let sets = ["ha.read_timeout=7s".to_owned()];
    let scenario =
        parse_with("dir/s.toml", text.as_bytes(), &sets, &mut |_| Ok(conf.into())).expect("sound");
    let rows = scenario.settings();
    let row = |name: &str| {
        let row = rows.iter().find(|row| row.name == name).expect("a setting");
        (row.value.as_str(), row.origin.as_str())
    };
    assert_eq!(row("ha.tx_push_factor"), ("2", "dir/n.conf:1"));
    assert_eq!(row("ha.pull_interval"), ("500ms", "dir/s.toml:9"));
    assert_eq!(row("ha.read_timeout"), ("7s", "--set"));
    assert_eq!(row("ha.heartbeat_timeout"), ("11s", "default of 2.3.6"));
    assert_eq!(row("ha.heartbeat_interval"), ("3s", "dir/n.conf:3"));
}

#[test]
fn neither_the_library_nor_the_first_scenario_leaves_anything_to_regret() {
    use wavetank_scenario::{FIRST, LIBRARY};
    for (name, text) in LIBRARY.iter().map(|b| (b.name, b.text)).chain([("first", FIRST)]) {
        let scenario = parse(name, text).unwrap_or_else(|errors| panic!("{errors}"));
        // The known outages are about what others would regret.
        let regretted: &[&str] = match name.split_once('/') {
            Some(("neo4j-ha", _)) => &[
                "a listed initial host does not exist",
                "slaves never pull",
                "the page cache is left to Neo4j",
                "two instances cannot outvote each other",
            ],
            _ => &[],
        };
        let warnings = scenario.warnings().render(false);
        for title in warnings.lines().filter_map(|line| line.strip_prefix("warning: ")) {
            assert!(regretted.contains(&title), "{name}: {title}");
        }
    }
}

#[test]
fn a_groups_settings_leave_the_clusters_timeouts_alone() {
    let text = GOOD
        .replace(PULL, "\"ha.pull_interval\" = \"1s\"\n\"ha.default_timeout\" = \"10s\"\n\"ha.heartbeat_interval\" = \"1s\"\n\"ha.election_timeout\" = \"2s\"")
        + "settings = { \"ha.tx_push_factor\" = 2 }\n";
    let scenario = parse("s.toml", &text).expect("sound");
    assert_eq!(scenario.warnings().render(false), "");
    let plan = scenario.draw(1, &mut |_| unreachable!("no file is named")).expect("a plan");
    let own = plan.settings_of(&plan.instances[0]);
    assert_eq!(own.tx_push_factor, 2);
    assert_eq!(own.cluster, plan.settings.cluster);
    assert_eq!(own.cluster.heartbeat_interval.to_string(), "1s");
}
