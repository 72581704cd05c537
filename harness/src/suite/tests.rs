use wavetank_kernel::Stream;
use wavetank_vocabulary::{Classes, Fact, Observer, OperationOutcome, Seq, Time};
use wavetank_world::{Call, Ended, Plan, Turn, Workload};

use super::{Check, Finding, Suite, SuiteError, scenario, scenario_text};

const SMALL: &str = r#"
format = 1
duration = "20s"
warm_up = "5s"

[cluster.settings]
"ha.pull_interval" = "500ms"

[[group]]
count = 3
machine = "aws:r3.large"

[graph]
generate = { kind = "social", users = 50, mean_follows = 5 }

[[clients]]
name = "app"
arrivals = { poisson = "20/s" }
mix = { follow = 1, profile = 1 }

[[expect]]
check = "replicas-equal"
"#;

fn small() -> Suite {
    scenario_text(SMALL).seeds(0..3).jobs(1)
}

/// Only follows, and counts what it was told.
#[derive(Clone, Debug, Default)]
struct Follows {
    ended: u32,
}

impl Workload for Follows {
    fn operations(&self) -> &[&str] {
        &["follow"]
    }

    fn next(&mut self, turn: &Turn, stream: &mut Stream) -> Option<Call> {
        assert!(self.ended <= turn.index, "{turn:?}");
        let me = stream.below(turn.users);
        Some(Call { operation: 0, me, other: (me + 1) % turn.users })
    }

    fn ended(&mut self, ended: &Ended) {
        self.ended += u32::from(ended.outcome == OperationOutcome::Ok);
    }
}

/// Asks for what it did not announce.
#[derive(Clone, Debug)]
struct Beyond;

impl Workload for Beyond {
    fn operations(&self) -> &[&str] {
        &["follow"]
    }

    fn next(&mut self, _: &Turn, _: &mut Stream) -> Option<Call> {
        Some(Call { operation: 1, me: 0, other: 1 })
    }
}

/// No operation of that name is asked for.
#[derive(Clone, Debug)]
struct Never {
    name: &'static str,
    kind: Option<usize>,
    asked: u32,
}

impl Never {
    fn new(name: &'static str) -> Self {
        Never { name, kind: None, asked: 0 }
    }
}

impl Observer for Never {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS
    }

    fn observe(&mut self, _: Time, _: Seq, fact: &Fact) {
        if let Fact::Invoked { kind, .. } = fact {
            self.asked += u32::from(Some(kind.index()) == self.kind);
        }
    }
}

impl Check for Never {
    fn name(&self) -> &str {
        "never"
    }

    fn begin(&mut self, plan: &Plan) {
        self.kind = plan.operations.iter().position(|program| program.name == self.name);
    }

    fn finish(&self) -> Finding {
        match (self.kind, self.asked) {
            (None, _) => Finding::not_exercised(format!("There is no {}.", self.name)),
            (_, 0) => Finding::held("Nobody asked."),
            (_, n) => Finding::broke(format!("Somebody asked for {}.", self.name)).measured(n, 0),
        }
    }
}

#[test]
fn what_holds_holds_for_any_number_of_workers() {
    small().check();
    let digest = |jobs| small().jobs(jobs).run().unwrap().digest;
    assert_eq!(digest(1), digest(3));
}

#[test]
fn a_workload_takes_the_place_of_the_mix() {
    small().workload("app", Follows::default()).expect(Never::new("profile")).check();
    let other = small().workload("app", Follows::default()).run().unwrap();
    assert_ne!(other.digest, small().run().unwrap().digest);
}

#[test]
fn a_check_of_ones_own_fails_the_test() {
    let text = small().expect(Never::new("follow")).verdict().unwrap_err();
    assert!(text.starts_with("3 of 3 seeds of scenario failed\n  seed 0: never broke: "), "{text}");
    assert!(text.contains("WAVETANK_SEEDS=0 cargo test -- --exact suite::tests::a_check_of"));
    assert!(!text.contains("wavetank run"), "that would not play the check: {text}");
    let text = small().expect(Never::new("nothing")).verdict().unwrap_err();
    assert!(text.contains("never not-exercised: There is no nothing."), "{text}");
}

#[test]
fn a_failure_says_what_plays_it_again() {
    let suite = scenario("quick/slave-crash").set("expect.3.p99.max=1us").seeds(4..5);
    let text = suite.verdict().unwrap_err();
    let again = "  wavetank run quick/slave-crash --seed 4 --set expect.3.p99.max=1us\n";
    assert!(text.contains("latency app.home_stream: broke") && text.contains(again), "{text}");
    assert!(text.contains("What happened last:"), "{text}");
}

#[test]
fn what_is_kept_of_a_failure_is_the_folder_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let suite = small().seeds(1..2).expect(Never::new("follow")).keep(folder.path());
    let text = suite.verdict().unwrap_err();
    assert!(text.contains("kept: "), "{text}");
    let result = std::fs::read_to_string(folder.path().join("scenario-1/result.json")).unwrap();
    assert!(result.contains("\"never\""), "{result}");
}

#[test]
fn what_does_not_fit_is_told_before_anything_is_played() {
    let error = |suite: Suite| suite.run().unwrap_err().to_string();
    let follows = Follows::default();
    assert_eq!(
        error(small().workload("ap", follows.clone())),
        "no [[clients]] has the name `ap`; known: app"
    );
    let wrong = error(small().set("clients.app.mix.follow=0").workload("app", follows));
    assert!(wrong.contains("asks for `follow`") && wrong.ends_with("in it: profile"), "{wrong}");
    assert!(error(scenario("quick/slave-crsh")).contains("`quick/slave-crash`"));
    assert!(error(small().set("duration=20")).contains("--set"));
    let none = small().seeds(Default::default()).run().unwrap_err();
    assert!(matches!(none, SuiteError::NoSeeds(_)), "{none}");
}

#[test]
fn a_workload_that_asks_for_what_it_did_not_announce_is_an_error_of_the_seed() {
    let text = small().seeds(0..1).workload("app", Beyond).verdict().unwrap_err();
    assert!(text.contains("a workload of 1 operations asked for number 1: Beyond"), "{text}");
}

#[test]
fn a_scenario_with_a_seed_is_played_with_that_one() {
    let shrunk = scenario_text(format!("seed = 7\n{SMALL}")).jobs(1);
    let seeds = |suite: &Suite| suite.range(Some(7)).map(|range| (range.first, range.count));
    assert_eq!(seeds(&shrunk).unwrap(), (7, 1));
    assert_eq!(seeds(&shrunk.clone().seeds(2..4)).unwrap(), (2, 2));
    assert_eq!(shrunk.run().unwrap().runs, 1);
}

#[test]
fn an_expectation_over_seeds_that_is_not_met_names_one() {
    let never = "check = \"latency\"\nof = \"app\"\np50 = { max = \"1us\" }\nseeds = \"any\"\n";
    let suite = scenario_text(format!("{SMALL}\n[[expect]]\n{never}")).seeds(3..5).jobs(1);
    let said = suite.verdict().unwrap_err();
    assert!(said.contains("held for 0 of 2 seeds, any asked for"), "{said}");
    assert!(said.contains("not for seed 3") && said.contains("WAVETANK_SEEDS=3"), "{said}");
}
