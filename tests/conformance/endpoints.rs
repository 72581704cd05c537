//! What the HA endpoints say (HA specification 5): of a master, a slave, an instance on the way,
//! one that has lost its quorum, one that is down, and an arbiter. Both drivers play the same
//! scenario and are asked all the time; the same must be found in what they said.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use wavetank_instance::Endpoint;
use wavetank_scenario::parse;
use wavetank_vocabulary::{Classes, Fact, InstanceId, Observer, Seq, Span, Time};
use wavetank_world::{BaseGraph, World};

use crate::TIME_SCALE;
use crate::ask::ask;
use crate::patience::patiently;
use crate::support::Folder;

/// Two instances and an arbiter. The master is killed: the other one takes over. Then all but the
/// new master are, and no quorum is left.
const SCENARIO: &str = r#"
format = 1
about = "What the endpoints say of each state."
duration = "60s"
warm_up = "0s"

[cluster]
compat = "2.3.6"
[cluster.settings]
"ha.heartbeat_interval" = "1s"
"ha.heartbeat_timeout" = "3s"
"ha.configuration_timeout" = "200ms"
"ha.pull_interval" = "500ms"

[[group]]
count = 2
machine = "aws:r3.xlarge"
page_cache = "64MiB"

[[group]]
count = 1
machine = "aws:r3.xlarge"
page_cache = "64MiB"
arbiter = true

[graph]
generate = { kind = "social", users = 200, mean_follows = 5 }

[[faults]]
at = "12s"
crash = "master"
for = "12s"

[[faults]]
at = "40s"
crash = "slave"
for = "12s"

[[faults]]
at = "40s"
crash = 3
for = "12s"
"#;

const ARBITER: u16 = 3;

/// What was asked of whom: the endpoint, and whether with credentials.
type Question = (u16, Endpoint, bool);

/// Status and body; none when nobody serves there.
type Said = Option<(u16, String)>;

/// What each instance said to each question, as often as that changed.
#[derive(Default)]
struct History(BTreeMap<(u16, &'static str, bool), Vec<Said>>);

impl History {
    fn note(&mut self, (id, endpoint, credentials): Question, said: Said) {
        let said_so_far = self.0.entry((id, endpoint.path(), credentials)).or_default();
        if said_so_far.last() != Some(&said) {
            said_so_far.push(said);
        }
    }

    fn of(&self, (id, endpoint, credentials): Question) -> &[Said] {
        self.0.get(&(id, endpoint.path(), credentials)).expect("it was asked")
    }
}

fn questions() -> impl Iterator<Item = Question> {
    let endpoints = [Endpoint::Master, Endpoint::Slave, Endpoint::Available];
    (1..=3).flat_map(move |id| {
        let each = endpoints.into_iter();
        each.flat_map(move |endpoint| [(id, endpoint, true), (id, endpoint, false)])
    })
}

/// Nobody reads the facts: the instances themselves are asked.
struct Nobody;

impl Observer for Nobody {
    fn interests(&self) -> Classes {
        Classes::NONE
    }

    fn observe(&mut self, _: Time, _: Seq, _: &Fact) {}
}

/// How often the simulated instances are asked.
const EVERY: Span = Span::from_millis(20);

fn simulated() -> History {
    let scenario = parse("endpoints.toml", SCENARIO).expect("it is sound");
    let plan = scenario.draw(1, &mut |_| unreachable!("no edge list")).expect("it is drawn");
    let base = Arc::new(BaseGraph::build(&plan.graph));
    let mut world = World::new(Arc::new(plan), base, Nobody);
    let (mut history, mut next) = (History::default(), Time::ZERO);
    while world.advance(1) {
        if world.now() < next {
            continue;
        }
        next = world.now() + EVERY;
        for question in questions() {
            let (id, endpoint, credentials) = question;
            let instance = world.instance(InstanceId(id));
            let answer = instance.and_then(|instance| instance.http(endpoint, credentials));
            history.note(question, answer.map(|it| (it.status, it.body.into_owned())));
        }
    }
    history
}

fn real() -> History {
    let folder = Folder::with("endpoints.toml", SCENARIO);
    let work = folder.path("work");
    let mut soak = Command::new(env!("CARGO_BIN_EXE_wavetank"))
        .args(["soak", &folder.path("endpoints.toml"), "--time-scale", TIME_SCALE, "--json"])
        .args(["--work", &work, "--out", &folder.path("out")])
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the built command can be run");
    let mut webs = BTreeMap::new();
    let mut history = History::default();
    while soak.try_wait().expect("it can be waited for").is_none() {
        for id in 1..=3 {
            if !webs.contains_key(&id)
                && let Some(at) = web_server(&work, id)
            {
                webs.insert(id, at);
            }
        }
        if webs.len() == 3 {
            for question in questions() {
                let (id, endpoint, credentials) = question;
                let said = ask(webs[&id].as_str(), ("GET", endpoint.path()), "", credentials);
                // A node's web server listens where Neo4j's does not yet, or never; it says so.
                history.note(question, said.filter(|(status, _)| *status != 503));
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
    assert!(soak.wait().expect("it has ended").success());
    history
}

/// Where an instance's web server listens, once its file is written.
fn web_server(work: &str, id: u16) -> Option<String> {
    let inside = fs::read_dir(work).ok()?.flatten().next()?.path();
    let file = fs::read_to_string(inside.join(format!("node-{id}.toml"))).ok()?;
    let line = file.lines().find_map(|line| line.strip_prefix("web_server = "))?;
    Some(line.trim_matches('"').to_owned())
}

fn said(status: u16, body: &str) -> Said {
    Some((status, body.to_owned()))
}

/// Whether these come in that order, whatever lies between them.
fn in_order(history: &[Said], wanted: &[Said]) -> bool {
    let mut rest = history.iter();
    wanted.iter().all(|wanted| rest.any(|said| said == wanted))
}

/// The driver whose time is not ours to stop.
const REAL: &str = "real";

fn judge(driver: &str, history: &History) {
    use Endpoint::{Available, Master, Slave};
    // Nothing is ever said but what the table has.
    for (id, endpoint, credentials) in questions() {
        let may = match (endpoint, credentials) {
            (_, false) => vec![None, said(401, "")],
            (Available, _) => {
                vec![None, said(404, "UNKNOWN"), said(200, "master"), said(200, "slave")]
            }
            _ => vec![None, said(404, "UNKNOWN"), said(404, "false"), said(200, "true")],
        };
        let all = history.of((id, endpoint, credentials));
        for one in all {
            let of = (driver, id, endpoint.path(), credentials);
            assert!(may.contains(one), "{of:?} said {one:?}: {all:?}");
            assert!(id != ARBITER || one.is_none(), "{of:?}: an arbiter serves nobody: {all:?}");
        }
    }
    let (unknown, lacks, is) = (said(404, "UNKNOWN"), said(404, "false"), said(200, "true"));
    let first = |id: u16| {
        let all = history.of((id, Available, true));
        all.iter().find(|it| matches!(it, Some((200, _)))).cloned().flatten()
    };
    let master = if first(1).is_some_and(|(_, role)| role == "master") { 1 } else { 2 };
    let other = 3 - master;
    // It was killed, and came back as the other one's slave; it was killed again.
    let wanted = [
        (
            master,
            Available,
            vec![
                unknown.clone(),
                said(200, "master"),
                None,
                unknown.clone(),
                said(200, "slave"),
                None,
            ],
        ),
        (master, Master, vec![unknown.clone(), is.clone(), None, unknown.clone(), lacks.clone()]),
        (master, Slave, vec![unknown.clone(), lacks.clone(), None, unknown.clone(), is.clone()]),
        // It followed, took over, and then was alone.
        (
            other,
            Available,
            vec![unknown.clone(), said(200, "slave"), said(200, "master"), unknown.clone()],
        ),
        (other, Master, vec![unknown.clone(), lacks.clone(), is.clone(), unknown.clone()]),
        (other, Slave, vec![unknown.clone(), is, lacks, unknown.clone()]),
    ];
    for (id, endpoint, mut wanted) in wanted {
        if driver == REAL {
            // What it says while it starts may be over between two questions; what it says once
            // it is alone stays.
            let stays = wanted.pop();
            wanted.retain(|said| *said != unknown);
            wanted.extend(stays);
        }
        let all = history.of((id, endpoint, true));
        let of = (driver, id, endpoint.path());
        assert!(in_order(all, &wanted), "{of:?}: expected {wanted:?}, found {all:?}");
    }
    for id in [1, 2] {
        let all = history.of((id, Available, false));
        assert!(all.contains(&said(401, "")), "{driver}, {id}: {all:?}");
    }
}

#[test]
fn endpoints_say_the_same_of_each_state() {
    judge("simulated", &simulated());
    patiently(|| judge(REAL, &real()));
}
