//! Wrong scenarios, and what their author is told. Each message is a snapshot: read it as
//! somebody would who has just made that slip.

use std::io;
use std::path::Path;

use wavetank_scenario::{parse, parse_with};

/// A sound scenario, to which the slips are added.
const GOOD: &str = r#"format = 1
duration = "2m"

[[group]]
count = 3
machine = "aws:r3.xlarge"

[[clients]]
name = "app"
arrivals = { poisson = "50/s" }
"#;

fn nothing(_: &Path) -> io::Result<Vec<u8>> {
    Err(io::Error::new(io::ErrorKind::NotFound, "no such file"))
}

fn told(text: &str) -> String {
    match parse("wrong.toml", text) {
        Ok(_) => panic!("this should be wrong:\n{text}"),
        Err(errors) => errors.to_string(),
    }
}

/// The slip added to the sound scenario.
fn told_with(slip: &str) -> String {
    told(&format!("{GOOD}{slip}"))
}

/// The sound scenario with one line replaced.
fn told_instead(line: &str, slip: &str) -> String {
    assert!(GOOD.contains(line));
    told(&GOOD.replace(line, slip))
}

fn told_set(set: &str) -> String {
    match parse_with("good.toml", GOOD.as_bytes(), &[set.to_string()], &mut nothing) {
        Ok(_) => panic!("this should be wrong: {set}"),
        Err(errors) => errors.to_string(),
    }
}

/// The sound scenario with each of its groups and clients twice, which leaves it open whose
/// value is meant.
fn told_two(set: &str) -> String {
    let text = format!("{GOOD}{}", &GOOD[GOOD.find("[[group]]").expect("it has one")..]);
    match parse_with("two.toml", text.as_bytes(), &[set.to_string()], &mut nothing) {
        Ok(_) => panic!("this should be wrong: {set}"),
        Err(errors) => errors.to_string(),
    }
}

/// The sound scenario with a configuration file beside it.
fn told_conf(conf: &str) -> String {
    let text = format!("{GOOD}[cluster]\nneo4j_conf = \"neo4j.properties\"\n");
    match parse_with("wrong.toml", text.as_bytes(), &[], &mut |_| Ok(conf.into())) {
        Ok(_) => panic!("this should be wrong:\n{conf}"),
        Err(errors) => errors.to_string(),
    }
}

macro_rules! wrong {
    ($($name:ident: $told:expr;)*) => {
        $(#[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), $told);
        })*
    };
}

wrong! {
    // TOML itself.
    toml_unclosed_string: told("format = 1\nduration = \"2m\nabout = \"x\"\n");
    toml_missing_value: told("format = 1\nduration =\n");
    toml_key_twice: told("format = 1\nduration = \"2m\"\nduration = \"3m\"\n");
    toml_table_closed_wrongly: told("format = 1\n[[group]\ncount = 3\n");
    toml_nested_too_deeply: told(&format!("about = {}\n", "[".repeat(400)));
    empty_file: told("");
    not_utf8: parse_with("wrong.toml", b"format = 1\nabout = \"caf\xe9\"\n", &[], &mut nothing).map(|_| ()).unwrap_err();
    binary_file: parse_with("wrong.toml", b"\x7fELF\x02\x01\x01\x00\xff\xfe", &[], &mut nothing).map(|_| ()).unwrap_err();

    // Keys.
    format_of_the_future: told_instead("format = 1", "format = 2");
    format_missing: told_instead("format = 1\n", "");
    key_misspelt: told_instead("duration =", "duraton =");
    key_unknown: told_with("colour = \"blue\"\n");
    table_unknown: told_with("[clutser]\ncompat = \"3.2\"\n");
    table_for_tables: told_with("[balancer]\nname = \"front\"\n");
    text_for_table: told_instead("machine = \"aws:r3.xlarge\"", "machine = \"aws:r3.xlarge\"\nvolume = \"300GB\"");
    later_tables: told_with("[sweep]\nx = 1\n[[operations]]\nbackup = \"a\"\n");
    later_tables_wrong_inside: told_with("[[operations]]\nbackup = \"master\"\nevry = \"1h\"\n[targets]\nload = \"900\"\n[sweep]\nvary = { \"ha.pull_interval\" = \"1s\" }\n");
    trigger_misspelt: told_with("[[faults]]\nwhen = \"store copy begins\"\ncrash = \"trigger\"\n");
    trigger_missing: told_with("[[faults]]\nat = \"1m\"\ncrash = \"trigger\"\n");
    after_nothing: told_with("[[faults]]\nat = \"1m\"\nafter = \"1s\"\ncrash = 1\n");
    fault_without_time: told_with("[[faults]]\ncrash = 1\n");
    several_at_once: told("format = 1\nduration = 300\nwarmup = \"1s\"\n[[group]]\ncount = 0\nmachine = \"aws:r3.xlage\"\n[cluster]\ncompat = \"2.4\"\n");

    // Quantities.
    time_without_unit: told_instead("\"2m\"", "120");
    time_with_wrong_unit: told_instead("\"2m\"", "\"2 minutes\"");
    time_negative: told_instead("\"2m\"", "\"-2m\"");
    time_absurd: told_instead("\"2m\"", "\"99999999999999999999h\"");
    time_too_long: told_instead("\"2m\"", "\"1000000h\"");
    units_of_elsewhere: told("format = 1\nduration = \"120sec\"\nwarm_up = \"5S\"\n[[group]]\ncount = 1\nmachine = \"r3.xlarge\"\nheap = \"8gb\"\n[[clients]]\nname = \"a\"\narrivals = { poisson = \"50/sec\" }\n[network]\nbandwidth = \"1Gbps\"\n");
    distribution_incomplete: told_with("[network]\nlatency = { lognormal = \"1ms\" }\n");
    quantiles_too_few: told_with("[network]\nlatency = { quantiles = [\"1ms\", \"2ms\"] }\n");
    quantiles_fall: told_with("[network]\nlatency = { quantiles = [\"2ms\", \"1ms\"] }\n");
    rate_without_unit: told_instead("\"50/s\"", "50");
    rate_of_zero: told_instead("\"50/s\"", "\"0/s\"");
    rate_absurd: told_instead("\"50/s\"", "\"1000000000/s\"");
    size_with_time_unit: told_instead("machine = \"aws:r3.xlarge\"", "machine = \"aws:r3.xlarge\"\nvolume = { size = \"300s\" }");
    count_absurd: told_instead("count = 3", "count = 1000000000");
    count_in_quotes: told_instead("count = 3", "count = \"3\"");
    count_with_decimals: told_instead("count = 3", "count = 2.5");
    ratio_too_large: told_with("retry = { on = [\"timeout\"], jitter = 1.5 }\n");
    distribution_unknown: told_with("[network]\nlatency = { gaussian = \"1ms\" }\n");
    seed_no_number: told_with("[graph]\nseed = \"lucky\"\n");

    // Settings.
    setting_misspelt: told_with("[cluster.settings]\n\"ha.pull_intervall\" = \"5s\"\n");
    setting_unquoted_and_misspelt: told_with("[cluster.settings]\nha.pull_intervl = \"5s\"\n");
    setting_in_two_ways: told_with("[cluster.settings]\nha.pull_interval = \"5s\"\n\"ha.pull_interval\" = \"6s\"\n");
    setting_with_wrong_unit: told_with("[cluster.settings]\n\"ha.pull_interval\" = \"5 lightyears\"\n");
    setting_twice: told_with("[cluster.settings]\n\"ha.pull_apply_batch_size\" = 10\n\"ha.pull_batch_size\" = 20\n");
    strategy_unknown: told_with("[cluster.settings]\n\"ha.tx_push_strategy\" = \"fixed_decending\"\n");
    setting_of_a_group_misspelt: told_instead("count = 3", "count = 3\nsettings = { \"ha.pull_intrval\" = \"5s\" }");
    conf_not_there: told_with("[cluster]\nneo4j_conf = \"neo4j.properties\"\n");
    conf_with_wrong_values: told_conf("# settings\nha.pull_interval = soon\nha.tx_push_factor=-1\ndbms.pagecache.memory=8 pounds\n");
    community_cluster: told_with("[cluster]\nedition = \"community\"\n");

    // What is built.
    machine_misspelt: told_instead("aws:r3.xlarge", "aws:r3.xlagre");
    machine_incomplete: told_instead("\"aws:r3.xlarge\"", "{ cores = 4 }");
    memory_overbooked: told_with("[cluster.settings]\n\"dbms.pagecache.memory\" = \"40g\"\n");
    iops_beyond_the_volume: told_instead("machine = \"aws:r3.xlarge\"", "machine = \"aws:r3.xlarge\"\nvolume = { size = \"100GB\", iops = 9000 }");
    only_arbiters: told_instead("count = 3", "count = 3\narbiter = true");
    initial_hosts_twice: told_with("[cluster.settings]\n\"ha.initial_hosts\" = \"1,2,2\"\n");
    branch_policy_unknown: told_with("[cluster.settings]\n\"ha.branched_data_policy\" = \"keep_most\"\n");
    not_a_flag: told_with("[cluster.settings]\n\"ha.allow_init_cluster\" = 1\n");
    too_many_in_two_groups: told_with("[[group]]\ncount = 62\nmachine = \"aws:r3.large\"\n");
    link_missing: told_with("[[group]]\ncount = 1\nmachine = \"aws:r3.large\"\ndatacentre = \"eu\"\n");
    link_to_nowhere: told_with("[[link]]\nbetween = [\"local\", \"locale\"]\nround_trip = \"1ms\"\n");
    two_graphs: told_with("[graph]\nedges = \"a.txt\"\ngenerate = { users = 10 }\n");
    too_many_to_follow: told_with("[graph.generate]\nusers = 10\nmean_follows = 22\n");

    // Clients.
    mix_of_nothing: told_with("mix = { profile = 0 }\n");
    mix_misspelt: told_with("mix = { home_steam = 80, follow = 20 }\n");
    balancer_unknown: told_with("balancer = \"frnt\"\n[[balancer]]\nname = \"front\"\n");
    balancer_to_choose: told_with("[[balancer]]\nname = \"a\"\n[[balancer]]\nname = \"b\"\n");
    routing_without_window: told_with("routing = { by = \"consistency\" }\n");
    routing_window_of_another: told_with("routing = { by = \"sticky\", read_after_write = \"2s\" }\n");
    retry_code_misspelt: told_with("retry = { on = [\"Neo.TransientError.Transaction.DeadlockDetekted\"] }\n");
    retry_of_nothing: told_with("retry = { on = [], attempts = 3 }\n");
    clients_twice: told_with("[[clients]]\nname = \"app\"\narrivals = { poisson = \"1/s\" }\n");

    // Faults.
    warm_up_too_long: told_instead("duration = \"2m\"", "duration = \"2m\"\nwarm_up = \"2m\"");
    fault_after_the_end: told_with("[[faults]]\nat = \"3m\"\ncrash = \"master\"\n");
    fault_beyond_the_end: told_with("[[faults]]\nat = \"90s..100s\"\ncrash = \"master\"\nfor = \"30s\"\n");
    fault_backwards: told_with("[[faults]]\nat = \"60s..30s\"\ncrash = \"master\"\n");
    fault_on_nobody: told_with("[[faults]]\nat = \"1m\"\ncrash = 7\n");
    fault_of_no_kind: told_with("[[faults]]\nat = \"1m\"\n");
    fault_misspelt: told_with("[[faults]]\nat = \"1m\"\npower_loss = \"master\"\n");
    fault_of_two_kinds: told_with("[[faults]]\nat = \"1m\"\ncrash = 1\npause = 2\n");
    fault_with_a_strange_key: told_with("[[faults]]\nat = \"1m\"\ncrash = 1\nfrom = 2\n");
    fault_role_misspelt: told_with("[[faults]]\nat = \"1m\"\ncrash = \"mastre\"\n");
    fault_ids_twice: told_with("[[faults]]\nid = 2\nat = \"1m\"\ncrash = 1\n[[faults]]\nat = \"1m\"\ncrash = 1\n");
    cut_off_from_itself: told_with("[[faults]]\nat = \"1m\"\npartition = 2\nfrom = 2\n");

    // Expectations.
    check_misspelt: told_with("[[expect]]\ncheck = \"replica-equal\"\n");
    check_later: told_with("[[expect]]\ncheck = \"two-masters\"\n");
    latency_of_nobody: told_with("[[expect]]\ncheck = \"latency\"\nof = \"ap.home_stream\"\np99 = { max = \"50ms\" }\n");
    latency_of_nothing: told_with("mix = { profile = 1 }\n[[expect]]\ncheck = \"latency\"\nof = \"app.home_stream\"\np99 = { max = \"50ms\" }\n");
    latency_without_limit: told_with("[[expect]]\ncheck = \"latency\"\nof = \"app\"\n");
    latency_without_table: told_with("[[expect]]\ncheck = \"latency\"\nof = \"app\"\np99 = \"50ms\"\n");
    percentiles_out_of_order: told_with("[[expect]]\ncheck = \"latency\"\nof = \"app\"\np50 = { max = \"100ms\" }\np99 = { max = \"50ms\" }\n");
    recovers_without_time: told_with("[[expect]]\ncheck = \"recovers\"\n");
    limit_of_another_check: told_with("[[expect]]\ncheck = \"replicas-equal\"\nwithin = \"10s\"\n");
    limit_backwards: told_with("[[expect]]\ncheck = \"latency\"\nof = \"app\"\np99 = { min = \"60ms\", max = \"50ms\" }\n");
    limit_of_nothing: told_with("[[expect]]\ncheck = \"acknowledged-writes-lost\"\nexplained = {}\n");
    property_misspelt: told_with("[[expect]]\ncheck = \"lost-updates\"\nproperty = \"statuss\"\n");
    property_missing: told_with("[[expect]]\ncheck = \"linearizable\"\n");
    property_of_a_step_that_cannot_be_read: told_with("mix = { bump = 1 }\n[[operation]]\nname = \"bump\"\nsteps = [\"match me(id = $me); set me.count = me.count +\"]\n[[expect]]\ncheck = \"lost-updates\"\nproperty = \"count\"\n");
    type_of_an_operation_misspelt: told_with("mix = { folow = 1 }\n[[expect]]\ncheck = \"unique-relationship\"\ntype = \"FOLLOWS\"\n[[expect]]\ncheck = \"latency\"\nof = \"app.follow\"\np99 = { max = \"50ms\" }\n");
    type_misspelt: told_with("[[expect]]\ncheck = \"unique-relationship\"\ntype = \"FOLOWS\"\n");
    forbidden_by_two: told_with("[[expect]]\ncheck = \"forbidden-pair\"\ntype = \"FOLLOWS\"\nunless = \"FOLLOWS\"\nunless_label = \"User\"\n");
    forbidden_by_nothing: told_with("[[expect]]\ncheck = \"forbidden-pair\"\ntype = \"FOLLOWS\"\n");
    second_store_unknown: told_with("[[expect]]\ncheck = \"stores-agree\"\nstore = \"search\"\nproperty = \"status\"\n");
    status_misspelt: told_with("[[expect]]\ncheck = \"failed-operations\"\nstatus = \"Neo.TransientError.Transaction.DeadlockDetekted\"\n");
    counter_of_unequal_starts: told_with("mix = { follow = 1 }\n[[operation]]\nname = \"follow\"\npattern = \"naive\"\n[[expect]]\ncheck = \"lost-updates\"\nproperty = \"followers\"\n");
    stuck_without_time: told_with("[[expect]]\ncheck = \"stuck-transactions\"\n");
    seed_rule_unknown: told_with("[[expect]]\ncheck = \"replicas-equal\"\nseeds = \"evry\"\n");
    seed_rule_without_number: told_with("[[expect]]\ncheck = \"replicas-equal\"\nseeds = \">= most\"\n");
    seed_rule_of_nothing: told_with("[[expect]]\ncheck = \"replicas-equal\"\nseeds = \">= 0%\"\n");
    expected_twice: told_with("[[expect]]\ncheck = \"replicas-equal\"\n[[expect]]\ncheck = \"replicas-equal\"\n");

    // Values from outside.
    set_without_value: told_set("ha.pull_interval");
    set_misspelt: told_set("ha.pull_intervl=5s");
    set_wrong_unit: told_set("ha.pull_interval=5 parsecs");
    set_against_the_file: told_set("warm_up=10m");
    set_on_nobody: told_set("clients.web.timeout=5s");
    set_on_somebody_misspelt: told_set("clients.apq.timeout=5s");
    set_without_number: told_two("group.count=5");
    set_half_a_path: told_two("clients.timeout=5s");
    set_below_an_unknown_table: told_set("instances.page_cache=1GiB");
}

#[test]
fn a_list_of_one_table_needs_no_number() {
    let told = told_set("group.count=0");
    assert!(told.contains(" --> --set:1:13\n"), "the value is looked at: {told}");
    let told = told_set("clients.timeout=5 parsecs");
    assert!(told.contains(" --> --set:1:17\n"), "the value is looked at: {told}");
}

#[cfg(not(feature = "planted-bugs"))]
#[test]
fn planted_bugs_need_a_build_for_them() {
    let told = told_with("[cluster]\nplanted_bugs = [\"sync-skipped\"]\n");
    assert!(told.contains("planted bugs need a command built with the feature `planted-bugs`"));
}

#[test]
fn colours_come_only_when_asked_for() {
    let errors = parse("wrong.toml", "format = 1\n").expect_err("nothing in it");
    assert!(!errors.render(false).contains('\u{1b}'));
    assert!(errors.render(true).contains('\u{1b}'));
    assert_eq!(errors.count(), 2);
}

#[test]
fn a_file_full_of_slips_is_not_shown_whole() {
    let text: String = (0..500).map(|n| format!("slip{n} = {n}\n")).collect();
    let told = told(&text);
    assert!(told.ends_with("wrong.toml: 503 errors, 483 of them not shown\n"), "{told}");
}
