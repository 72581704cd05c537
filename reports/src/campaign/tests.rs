use super::*;
use serde_json::{Value, json};

fn covered(seed: u64) -> Coverage {
    let states = if seed == 3 { json!({"push": 2}) } else { json!({}) };
    let crash = json!({"took_effect": 1, "skipped": 0, "in": states});
    let points = json!({"election won": seed + 1});
    let coverage = json!({"runs": 1, "faults": {"crash": crash}, "points": points});
    Coverage::from_json(&coverage).expect("it is coverage")
}

fn seed(scenario: &str, seed: u64) -> SeedResult {
    let count = FaultCount { planned: 2, took_effect: 1 };
    SeedResult {
        schema: CAMPAIGN_SCHEMA,
        version: "0.1.0".into(),
        scenario: scenario.into(),
        scenario_digest: "c0ffee".into(),
        seed,
        digest: format!("{:032x}", u128::from(seed) + 7),
        exit: 0,
        failures: Vec::new(),
        copy_seed: None,
        waiting: None,
        error: None,
        rules: vec![RuleVerdict {
            check: "recovers".into(),
            seeds: ">= 95%".into(),
            part: Some((95, 100)),
            verdict: Verdict::Held,
            copy_seed: None,
        }],
        found: [("lost-updates".to_owned(), seed)].into(),
        faults: [
            ("crash".to_owned(), count),
            ("pause".to_owned(), FaultCount { planned: 1, took_effect: 0 }),
        ]
        .into(),
        coverage: covered(seed),
        simulated_seconds: 60.0,
        events: 1000,
        twice: false,
        wall_seconds: 0.25,
    }
}

/// Two scenarios: one breaks for one seed, whose text tries to be markup; one has an internal
/// error and does not recover.
fn results() -> Vec<SeedResult> {
    let mut broke = seed("a <b> & \"c\"", 3);
    broke.exit = 1;
    broke.failures.push(ExpectationResult {
        check: "latency app".into(),
        verdict: Verdict::Broke,
        measured: json!("9ms"),
        limit: json!("1ms"),
        why: "p99 | is <9ms> & more than 1ms]]>\u{1}".into(),
    });
    broke.rules[0].verdict = Verdict::Broke;
    let mut stuck = seed("z", 1);
    stuck.exit = 3;
    stuck.waiting = Some("instance 2 is down".into());
    let mut error = seed("z", 2);
    error.exit = 4;
    error.digest = "0".repeat(32);
    error.rules.clear();
    error.error = Some("index out of bounds".into());
    vec![error, seed("a <b> & \"c\"", 1), broke, stuck, seed("z", 0)]
}

/// A digest of the digests, good enough to tell one order from another.
fn hash(results: &[SeedResult]) -> String {
    let add = |sum: u128, r: &SeedResult| {
        sum.wrapping_mul(31) ^ u128::from_str_radix(&r.digest, 16).unwrap()
    };
    format!("{:032x}", results.iter().fold(0, add))
}

fn campaign(results: Vec<SeedResult>) -> CampaignResult {
    let mut campaign = CampaignResult::new(results, Ended::Whole, 1.5, hash, |result| {
        format!("wavetank run '{}' --seed {}", result.scenario, result.seed)
    });
    if let Some(first) = campaign.failures.first_mut() {
        first.folder = Some("out/failures/a-3".into());
        first.smallest = Some(Smallest {
            file: "out/failures/a-3/smallest.toml".into(),
            faults: 1,
            instances: 2,
            operations: 3,
            seconds: 10.0,
        });
    }
    campaign
}

#[test]
fn the_result_does_not_depend_on_the_order_of_the_seeds() {
    let mut reversed = results();
    reversed.reverse();
    assert_eq!(campaign(results()), campaign(reversed));
    let mut other = results();
    other[0].digest = "1".repeat(32);
    assert_ne!(campaign(results()).digest, campaign(other).digest);
}

#[test]
fn the_digest_is_that_of_files_and_of_names_of_the_library() {
    let digest = |names: [&str; 2]| {
        let results = names.iter().zip([1, 2]).map(|(name, number)| seed(name, number));
        CampaignResult::new(results.collect(), Ended::Whole, 1.0, hash, |_| String::new()).digest
    };
    assert_eq!(
        digest(["hot-node", "hot-node-split"]),
        digest(["a/hot-node.toml", "a/hot-node-split.toml"])
    );
}

#[test]
fn the_digest_does_not_depend_on_the_folder_that_a_scenario_is_named_from() {
    let named = |one: &str, other: &str| {
        let runs = vec![seed(one, 1), seed(one, 2), seed(other, 3), seed(other, 4)];
        campaign(runs).digest
    };
    let digest = named("quick/b.toml", "storms/a.toml");
    assert_eq!(named("../quick/b.toml", "./storms/a.toml"), digest);
    assert_eq!(named("z/b.toml", "a.toml"), digest);
}

#[test]
fn an_internal_error_is_no_seed_for_which_a_rule_held() {
    let campaign = campaign(results());
    let held: Vec<_> = campaign.rules.iter().map(|rule| (rule.held, rule.runs)).collect();
    assert_eq!(held, [(1, 2), (2, 3)]);
    assert!(campaign.rules.iter().all(|rule| !rule.satisfied));
}

#[test]
fn junit() {
    insta::assert_snapshot!(campaign(results()).to_junit());
}

#[test]
fn markdown() {
    insta::assert_snapshot!(campaign(results()).to_markdown());
}

#[test]
fn what_is_required_and_not_covered_is_told_in_every_form() {
    let cell = json!({"took_effect": 1, "skipped": 0, "in": {"push": 1, "election": 1}});
    let least = json!({"runs": 1, "faults": {"crash": cell}, "points": {"branch found": 1}});
    let least = Coverage::from_json(&least).expect("it is coverage");
    let mut campaign = campaign(vec![seed("z", 3)]);
    assert!(!campaign.to_json().contains("lacking"), "nothing was required");
    campaign.require(&covered(3));
    assert_eq!(campaign.coverage.lacking, Some(Vec::new()));
    assert!(
        campaign
            .to_junit()
            .contains("name=\"required coverage\" classname=\"coverage\" time=\"0.000\"/>")
    );
    assert!(campaign.to_markdown().starts_with("# wavetank: all 1 runs held\n"));
    campaign.require(&least);
    let lacking = ["crash in election", "branch found"];
    assert_eq!(campaign.lacking(), lacking);
    let value: Value = serde_json::from_str(&campaign.to_json()).unwrap();
    assert_eq!(value["coverage"]["lacking"], json!(lacking));
    let schema: Value = serde_json::from_str(CAMPAIGN_RESULT_SCHEMA).unwrap();
    crate::report_tests::conform(&schema, &schema, &value, "campaign");
    let text = campaign.to_markdown();
    assert!(text.starts_with("# wavetank: all 1 runs held, required coverage not reached\n"));
    assert!(
        text.contains("\n## Not covered, though required\n\n- crash in election\n- branch found\n")
    );
    let junit = campaign.to_junit();
    assert!(junit.contains("<testsuites name=\"wavetank\" tests=\"3\" failures=\"1\""), "{junit}");
    assert!(junit.contains(
        "<failure type=\"coverage\" message=\"2 of what is required not covered\">crash in \
         election\nbranch found</failure>"
    ));
}

#[test]
fn what_was_asked_for_and_not_played_is_told_in_every_form() {
    let mut campaign = campaign(vec![seed("z", 3)]);
    assert!(!campaign.to_json().contains("missing"), "nothing is missing");
    assert!(campaign.to_junit().contains("failures=\"0\" errors=\"0\" time=\"1.500\">"));
    campaign.ended = Ended::Incomplete;
    campaign.missing = vec!["z: shard 2/2 of seeds 0..4 <is> missing".into()];
    let value: Value = serde_json::from_str(&campaign.to_json()).unwrap();
    assert_eq!(
        (&value["ended"], &value["missing"]),
        (&json!("incomplete"), &json!(campaign.missing))
    );
    let schema: Value = serde_json::from_str(CAMPAIGN_RESULT_SCHEMA).unwrap();
    crate::report_tests::conform(&schema, &schema, &value, "campaign");
    let junit = campaign.to_junit();
    assert!(
        junit.contains("<testsuites name=\"wavetank\" tests=\"3\" failures=\"0\" errors=\"1\"")
    );
    assert!(junit.contains(
        "<error type=\"campaign\" message=\"too little was played\">z: shard 2/2 of seeds 0..4 \
         &lt;is&gt; missing</error>"
    ));
    let text = campaign.to_markdown();
    let head = "# wavetank: all 1 runs held, but not all that was asked for was played\n";
    assert!(text.starts_with(head), "{text}");
    assert!(!text.contains("Interrupted"), "{text}");
    let section =
        "## Not played, though asked for\n\n- z: shard 2/2 of seeds 0..4 \\<is> missing\n";
    assert!(text.contains(section), "{text}");
}

#[test]
fn an_unmet_rule_says_which_seed_to_look_at_and_one_shard_judges_none() {
    let mut campaign = campaign(results());
    let one = campaign.rules[0].failing.as_mut().unwrap();
    (one.folder, one.copy_seed) = (Some("out/failures/a-3-77".into()), Some(77));
    let told = "\\<b> & \"c\": recovers did not hold for seed 3\n\n- in the cluster with seed 77\n- \
                kept: `out/failures/a-3-77`\n\n```sh\nwavetank run 'a <b> & \"c\"' --seed 3\n```\n";
    let text = campaign.to_markdown();
    assert!(text.contains(told), "{text}");
    assert!(campaign.to_junit().contains("--seed 3\nkept: out/failures/a-3-77</failure>"));
    campaign.one_shard = true;
    assert!(!campaign.to_markdown().contains("recovers did not hold"));
    let junit = campaign.to_junit();
    assert!(!junit.contains("over all seeds"), "{junit}");
    assert!(junit.contains("<testsuites name=\"wavetank\" tests=\"5\" failures=\"2\""), "{junit}");
}

#[test]
fn json_keeps_what_the_schema_promises_and_reads_back() {
    let campaign = campaign(results());
    let text = campaign.to_json();
    insta::assert_snapshot!(text);
    assert_eq!(serde_json::from_str::<CampaignResult>(&text).unwrap(), campaign);
    let schema: Value = serde_json::from_str(CAMPAIGN_RESULT_SCHEMA).unwrap();
    assert_eq!(schema["properties"]["schema"]["const"], CAMPAIGN_SCHEMA);
    let value = serde_json::from_str(&text).unwrap();
    crate::report_tests::conform(&schema, &schema, &value, "campaign");
}
