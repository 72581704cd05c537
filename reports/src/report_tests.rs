//! What comes out at the end, for a made-up run.

use serde_json::{Value, json};
use wavetank_vocabulary::{Fact, FaultId, FaultKind, InstanceId, Rate, Role, Span, Time};
use wavetank_world::Plan;

use crate::synthetic;
use crate::{
    Capsule, Ending, ExpectationResult, GraphResult, Overall, Provenance, Recorder, RunResult,
    Verdict, report_html, series_csv, summary, verdict_sentence,
};

const COMMAND: &str = "wavetank run scenarios/master-loss.toml --seed 7";

fn expectation(check: &str, verdict: Verdict, measured: Value, limit: Value) -> ExpectationResult {
    let why = format!("{check}: this is why.");
    ExpectationResult { check: check.to_owned(), verdict, measured, limit, why }
}

fn ended(
    plan: &Plan,
    recorder: &Recorder,
    waiting: Option<&str>,
    expectations: Vec<ExpectationResult>,
) -> RunResult {
    let ending = Ending {
        queues: Vec::new(),
        recovered: waiting.is_none(),
        waiting: waiting.map(str::to_owned),
        digest: 0xabc,
        expectations,
        graph: GraphResult::new(plan, 4_000, 88_000),
        simulated: recorder.now(),
        wall_seconds: 0.25,
        events: 123_456,
    };
    RunResult::new(plan, recorder, ending)
}

/// A minute in which one expectation breaks.
pub(crate) fn minute() -> (Plan, Recorder, RunResult) {
    let plan = synthetic::plan(60);
    let recorder = synthetic::voyage(&plan).play(Recorder::new(&plan));
    let expectations = vec![
        expectation(
            "acknowledged-writes-lost",
            Verdict::Held,
            json!({"explained": 2, "unexplained": 0}),
            json!({"explained": 20, "unexplained": 0}),
        ),
        expectation("latency app.follow p99", Verdict::Broke, json!("73ms"), json!("50ms")),
        expectation("recovers", Verdict::NotExercised, Value::Null, json!("60s")),
    ];
    let result = ended(&plan, &recorder, None, expectations);
    (plan, recorder, result)
}

fn page() -> String {
    let (plan, recorder, result) = minute();
    report_html(&plan, &recorder, &result, COMMAND, &Provenance::default())
}

#[test]
fn result_json_keeps_its_form() {
    let (_, _, result) = minute();
    insta::assert_snapshot!("result", result.to_json());
    let read: Result<RunResult, _> = serde_json::from_str(&result.to_json());
    assert_eq!(read.ok(), Some(result));
}

/// Checks a value against a schema, as far as ours uses the language. Keys that the schema
/// does not know are told too: it must not fall behind.
pub(crate) fn conform(schema: &Value, root: &Value, value: &Value, path: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.trim_start_matches("#/$defs/");
        return conform(&root["$defs"][name], root, value, path);
    }
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{path}: {value}");
    }
    if let Some(only) = schema.get("const") {
        assert_eq!(only, value, "{path}");
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = |wanted: &Value| wanted == kind || (wanted == "number" && kind == "integer");
    match &schema["type"] {
        Value::Null => {}
        Value::Array(kinds) => assert!(kinds.iter().any(fits), "{path}: {value}"),
        wanted => assert!(fits(wanted), "{path}: {value} is no {wanted}"),
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        conform(&schema["items"], root, item, &format!("{path}[{index}]"));
    }
    // Of what may be null as well, fields are required when it is not.
    let required = schema["required"].as_array().filter(|_| !value.is_null());
    for required in required.into_iter().flatten() {
        assert!(required.as_str().is_some_and(|key| value.get(key).is_some()), "{path}.{required}");
    }
    let Some(fields) = value.as_object().filter(|_| schema["type"] == "object") else { return };
    for (key, field) in fields {
        let known = schema["properties"].get(key).or_else(|| schema.get("additionalProperties"));
        let known = known.unwrap_or_else(|| panic!("{path}.{key} is not in the schema"));
        conform(known, root, field, &format!("{path}.{key}"));
    }
}

#[test]
fn results_conform_to_their_schema() {
    let schema: Value = serde_json::from_str(crate::RESULT_SCHEMA).expect("it is JSON");
    assert_eq!(schema["properties"]["schema"]["const"], crate::SCHEMA);
    let result = serde_json::to_value(minute().2.interrupted()).expect("a result is JSON");
    conform(&schema, &schema, &result, "result");
}

#[test]
fn a_real_run_says_so_everywhere() {
    let (plan, recorder, mut result) = minute();
    result.real = true;
    result.time_scale = Some(4.0);
    result.notes = vec!["power-loss was played as a kill.".to_owned()];
    let size = crate::ProcessSize {
        at: 1.0,
        instance: 2,
        memory_mib: 17,
        page_cache_mib: 5,
        open_files: 40,
    };
    result.processes = vec![size, crate::ProcessSize { at: 3.0, ..size }];
    let runs = std::slice::from_ref(&result);
    result.comparison = Some(crate::Comparison::new(runs, runs));
    let schema: Value = serde_json::from_str(crate::RESULT_SCHEMA).expect("it is JSON");
    let json = serde_json::to_value(&result).expect("a result is JSON");
    conform(&schema, &schema, &json, "result");
    assert_eq!(json["real"], true);
    let text = summary(&result, false);
    assert!(text.contains("on real processes") && text.contains("Note: power-loss"), "{text}");
    assert!(!text.contains("digest"), "{text}");
    let page = report_html(&plan, &recorder, &result, COMMAND, &Provenance::default());
    assert!(page.contains("Played on real processes.") && page.contains("4 times as fast"));
    assert!(page.contains("Memory of each process") && page.contains("Beside the simulation"));
    let read: RunResult = serde_json::from_value(json).expect("it is read again");
    assert!(read.comparison.is_some_and(|found| !found.rows.is_empty()));
}

#[test]
fn a_run_that_was_broken_off_says_so_everywhere() {
    let (plan, recorder, result) = minute();
    let result = result.interrupted();
    assert!(summary(&result, false).starts_with("Interrupted at"));
    let page = report_html(&plan, &recorder, &result, COMMAND, &Provenance::default());
    assert!(page.contains("class=\"partial\"") && page.contains("Interrupted at"));
    let mut old: Value = serde_json::from_str(&result.to_json()).expect("a result is JSON");
    old.as_object_mut().map(|fields| fields.remove("partial"));
    let old: RunResult = serde_json::from_value(old).expect("results before had no such field");
    assert!(!old.partial);
}

#[test]
fn the_summary_fits_a_terminal() {
    let (_, _, result) = minute();
    let plain = summary(&result, false);
    insta::assert_snapshot!("summary", plain);
    assert!(!plain.contains('\x1b'));
    for line in plain.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let mut coloured = summary(&result, true);
    assert!(coloured.contains('\x1b'));
    for code in ["\x1b[1;31m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[1m", "\x1b[0m"] {
        coloured = coloured.replace(code, "");
    }
    assert_eq!(coloured, plain, "colour changes nothing else");
}

#[test]
fn the_verdict_is_a_sentence() {
    let (plan, recorder, _) = minute();
    let verdict = |waiting: Option<&str>, verdicts: &[(&str, Verdict)]| {
        let expectations = verdicts
            .iter()
            .map(|&(check, verdict)| expectation(check, verdict, Value::Null, Value::Null));
        let result = ended(&plan, &recorder, waiting, expectations.collect());
        (result.verdict, verdict_sentence(&result))
    };
    use Verdict::{Broke, Held, NotExercised};
    for (verdicts, overall, sentence) in [
        (&[][..], Overall::Held, "Nothing was expected of this run."),
        (&[("a", Held)], Overall::Held, "The one expectation held: a."),
        (&[("a", Held), ("b", Held)], Overall::Held, "All 2 expectations held."),
        (&[("a", Held), ("b", Broke)], Overall::Broke, "1 of 2 broke: b. The other held."),
        (
            &[("a", NotExercised), ("b", Broke), ("c", Broke)],
            Overall::Broke,
            "2 of 3 broke: b and c. 1 of 3 was not exercised: a.",
        ),
    ] {
        assert_eq!(verdict(None, verdicts), (overall, sentence.to_owned()));
    }
    let lagging = Some("instance 2 is at transaction 7, the master at 9");
    let sentence = "The cluster did not recover: instance 2 is at transaction 7, the master \
                    at 9. 1 of 2 broke: b. The other held.";
    assert_eq!(
        verdict(lagging, &[("a", Held), ("b", Broke)]),
        (Overall::NotRecovered, sentence.to_owned())
    );
}

#[test]
fn the_report_needs_nothing_from_outside() {
    let page = page();
    for outside in ["http:", "https:", "src=", "url(", "@import", "<link", "fetch(", "XMLHttp"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let links = page.split("href=\"").skip(1);
    for link in links {
        let target = link.split('"').next().and_then(|link| link.strip_prefix('#'));
        let target = target.expect("links lead to places in the page");
        assert!(page.contains(&format!("id=\"{target}\"")), "{target}");
    }
    assert!(!page.contains("#0102"), "a sentinel colour is left");
    assert!(page.contains(&verdict_sentence(&minute().2)));
    assert!(page.contains(COMMAND));
    for figure in [
        "roles",
        "throughput",
        "errors",
        "latency",
        "server-time",
        "lag",
        "heartbeat-gap",
        "hit-rate",
        "page-faults",
        "disk-queue",
        "disk",
        "cores",
        "percentiles",
        "slowest",
    ] {
        assert!(page.contains(&format!("id=\"{figure}\"")), "{figure}");
    }
}

#[test]
fn every_tag_of_the_report_is_closed() {
    let page = page();
    let mut open: Vec<&str> = Vec::new();
    // Scripts hold what looks like tags.
    let (mut without, mut rest) = (String::new(), page.as_str());
    while let Some((before, script)) = rest.split_once("<script") {
        without.push_str(before);
        rest = script.split_once("</script>").expect("a script ends").1;
    }
    without.push_str(rest);
    let without_style = without.split("<style>").flat_map(|part| part.split("</style>"));
    // What follows "<style>" is the style; it has no tags.
    for tag in without_style.flat_map(|part| part.split('<').skip(1)) {
        let (tag, _) = tag.split_once('>').expect("a tag that is opened ends");
        let name = tag.split([' ', '\n']).next().unwrap_or_default();
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !(tag.ends_with('/') || ["meta", "!DOCTYPE"].contains(&name)) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn text_from_the_scenario_cannot_become_markup() {
    let (mut plan, recorder, _) = minute();
    let bad = "<script>alert('&')</script>";
    plan.about = bad.to_owned();
    plan.name = bad.to_owned();
    plan.clients[0].name = bad.to_owned();
    plan.operations[0].name = bad.to_owned();
    plan.datacentres[0] = bad.to_owned();
    plan.instances[0].machine = bad.to_owned();
    let broken = expectation(bad, Verdict::Broke, json!(bad), json!({bad: bad}));
    let result = ended(&plan, &recorder, None, vec![broken]);
    let page = report_html(&plan, &recorder, &result, bad, &Provenance::default());
    assert_eq!(page.matches("<script").count(), 2, "the data and the script of the page");
    assert!(!page.contains("<script>alert"));
}

#[test]
fn every_part_of_the_time_has_a_colour_in_light_and_dark() {
    let style = include_str!("style.css");
    for part in 0..crate::Breakdown::PARTS {
        assert_eq!(style.matches(&format!("--p{part}: ")).count(), 2, "{part}");
    }
}

#[test]
fn equal_runs_give_equal_reports() {
    let (plan, recorder, result) = minute();
    let (again_plan, again_recorder, mut again) = minute();
    again.wall_seconds = 99.0;
    let first = report_html(&plan, &recorder, &result, COMMAND, &Provenance::default());
    assert_eq!(
        report_html(&again_plan, &again_recorder, &again, COMMAND, &Provenance::default()),
        first
    );
    assert_eq!(series_csv(&again_plan, &again_recorder), series_csv(&plan, &recorder));
}

/// Times are measured by the bench `report`: a limit on them would fail on a busy machine.
#[test]
fn a_day_stays_small() {
    for (seconds, most) in [(300, 1_500_000), (86_400, 3_000_000)] {
        let mut plan = synthetic::plan(seconds);
        // As many operations as in five minutes: what is drawn depends on buckets, not on them.
        for client in &mut plan.clients {
            client.rate = Rate::from_micros(client.rate.as_micros() * 300 / seconds);
        }
        let recorder = synthetic::voyage(&plan).play(Recorder::new(&plan));
        let result = ended(&plan, &recorder, None, Vec::new());
        let page = report_html(&plan, &recorder, &result, COMMAND, &Provenance::default());
        assert!(page.len() < most, "{}", page.len());
    }
}

#[test]
fn a_day_of_storms_stays_small() {
    let mut plan = synthetic::plan(86_400);
    for client in &mut plan.clients {
        client.rate = Rate::from_micros(client.rate.as_micros() / 288);
    }
    let mut facts = synthetic::voyage(&plan);
    let (kind, on) = (FaultKind::Pause, InstanceId(2));
    for n in 0..4_500u64 {
        let at = Time::ZERO + Span::from_millis(5_000 + n * 19_000);
        let fault = FaultId(1);
        facts.tell(at, Fact::FaultBegan { fault, kind, on, peer: None });
        facts.role(at, on, if n % 2 == 0 { Role::Pending } else { Role::Slave }, n);
        facts.tell(at + Span::from_secs(9), Fact::FaultEnded { fault, kind, on, peer: None });
    }
    let recorder = facts.play(Recorder::new(&plan));
    let result = ended(&plan, &recorder, None, Vec::new());
    let length = report_html(&plan, &recorder, &result, COMMAND, &Provenance::default()).len();
    assert!(length < 3_000_000, "{length}");
}

#[test]
fn ten_instances_and_the_finest_buckets_stay_below_three_megabytes() {
    let mut plan = synthetic::plan(600);
    for id in 4..=10 {
        let mut another = plan.instances[0].clone();
        another.id = InstanceId(id);
        plan.instances.push(another);
    }
    let recorder = synthetic::voyage(&plan).play(Recorder::new(&plan));
    let result = ended(&plan, &recorder, None, Vec::new());
    let length = report_html(&plan, &recorder, &result, COMMAND, &Provenance::default()).len();
    assert!(length < 3_000_000, "{length}");
}

#[test]
fn a_run_in_which_nothing_happened_has_a_report() {
    let mut plan = synthetic::plan(60);
    plan.instances.clear();
    plan.clients.clear();
    plan.duration = Span::ZERO;
    let recorder = Recorder::new(&plan);
    let result = ended(&plan, &recorder, None, Vec::new());
    let page = report_html(&plan, &recorder, &result, COMMAND, &Provenance::default());
    assert!(page.contains("Nothing was expected of this run."));
    assert!(!page.contains("NaN"));
    assert!(result.operations.is_empty());
    assert_eq!(result.faults.len(), 1, "the fault of the Plan that was not reached");
    assert!(page.contains("not reached"));
}

#[test]
fn the_series_has_a_row_per_bucket_and_a_cell_per_column() {
    let (plan, recorder, _) = minute();
    let csv = series_csv(&plan, &recorder);
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap_or_default();
    let rows: Vec<_> = lines.collect();
    assert_eq!(rows.len(), recorder.series().buckets().len());
    assert!(rows.iter().all(|row| row.len() == header.len()));
    let column = |name: &str| header.iter().position(|&known| known == name);
    let role = column("i1_role").expect("a column for the role of i1");
    // The fault lasts from 24 s to 36 s; the copy of the store ends at 44.2 s.
    assert_eq!([20, 30, 50].map(|row: usize| rows[row][role]), ["master", "down", "slave"]);
    let lag = column("i1_lag_tx").expect("a column for the lag of i1");
    assert_eq!((rows[20][lag], rows[30][lag]), ("0", ""));
    let ok = column("ok_per_s").expect("a column for throughput");
    let total: f64 = rows.iter().filter_map(|row| row[ok].parse::<f64>().ok()).sum();
    let all: u64 = recorder.series().buckets().iter().map(|bucket| bucket.ok).sum();
    assert_eq!(total, all as f64 / recorder.series().width().as_secs_f64());
}

#[test]
fn a_capsule_tells_the_failure_and_what_was_around_it() {
    let (_, recorder, result) = minute();
    let at = Some(Time::ZERO + Span::from_secs(36));
    let capsule = Capsule::new(&result, &recorder, at, "d1".to_owned(), COMMAND.to_owned())
        .expect("an expectation broke");
    assert_eq!(capsule.expectation.check, "latency app.follow p99", "broke before not exercised");
    assert_eq!(capsule.faults.len(), 1);
    assert!(capsule.facts.iter().any(|fact| fact.contains("i3 wins")), "{:?}", capsule.facts);
    insta::assert_snapshot!("capsule", capsule.to_text());

    let before = Some(Time::ZERO + Span::from_secs(5));
    let capsule = Capsule::new(&result, &recorder, before, String::new(), String::new());
    assert_eq!(capsule.map(|capsule| capsule.faults.len()), Some(0), "no fault was active");

    let mut held = result;
    held.expectations.retain(|expectation| expectation.verdict == Verdict::Held);
    assert!(Capsule::new(&held, &recorder, None, String::new(), String::new()).is_none());
}
