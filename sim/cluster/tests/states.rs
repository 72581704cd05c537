//! Every state machine in every state is given every message that is meant for it, and gives
//! the answer of the HA specification (2.1 to 2.6). The table is `states/cells.rs`; the page
//! `docs/cluster-states.md` is made from it (`UPDATE_STATES=1` writes it).

#[path = "states/cells.rs"]
mod cells;
#[path = "states/differences.rs"]
mod differences;
#[path = "states/machines.rs"]
mod machines;

use std::fmt::Write;

use cells::{CELLS, Cell};
use differences::DIFFERENCES;
use machines::MACHINES;
use wavetank_cluster::{
    Accepted, Address, Candidate, Compat, Configuration, Credentials, Effect, Input, Member,
    MemberSet, Message, Moment, Settings, Timer, Value,
};
use wavetank_vocabulary::{Epoch, InstanceId, PlantedBugs, Time, TxId};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cluster-states.md");
const MOMENT: Moment = Moment { mono: Time::ZERO, wall_ms: 5, tx: Some(TxId(3)) };
const E: Epoch = Epoch(7);
/// What an acceptor has accepted before.
const FOUND: Value = Value::Slave(InstanceId(3));

fn id(number: u16) -> InstanceId {
    InstanceId(number)
}

fn step(member: &mut Member, input: Input) -> Vec<Effect> {
    let mut effects = Vec::new();
    member.step(MOMENT, input, &mut effects);
    effects
}

fn from(sender: u16, message: Message) -> Input {
    Input::Message { from: id(sender), message }
}

/// The next value that is learned.
fn learn(member: &Member, value: Value) -> Input {
    from(3, Message::Learn { instance: member.delivered(), value })
}

fn set(ids: &[u16]) -> MemberSet {
    ids.iter().fold(MemberSet::EMPTY, |set, id| set.with(usize::from(*id) - 1))
}

fn request(sender: u16, address: Address) -> Input {
    from(sender, Message::ConfigurationRequest { address })
}

/// The configuration, with those that are not at their first address.
fn response(known: bool, members: &[u16], moved: MemberSet) -> Input {
    let (members, coordinator) = (set(members), Some(id(1)));
    let message = Message::ConfigurationResponse {
        address: 0,
        known,
        members,
        moved,
        coordinator,
        delivered: 5,
    };
    from(1, message)
}

fn elected(winner: u16) -> Value {
    Value::Elected { winner: Some(id(winner)), elector: id(1), version: 9 }
}

/// Instance 2 of the initial hosts 1 to 4, in that state; 1 to 3 are members, led by 1; where
/// those are that `moved` is not known.
fn member(compat: Compat, state: &str, moved: MemberSet) -> Member {
    let configuration = Configuration::new(id(2), &[1, 2, 3, 4].map(InstanceId)).unwrap();
    let settings = Settings::defaults(compat);
    let member = Member::new(configuration, settings, false, 5, PlantedBugs::NONE);
    let mut m = if state == "ARBITER" { member.arbiter() } else { member };
    if state == "start" {
        return m;
    }
    step(&mut m, Input::Start);
    match state {
        "discovery" => return m,
        "joining" => {
            step(&mut m, response(false, &[1, 3], moved));
            return m;
        }
        _ => drop(step(&mut m, response(true, &[1, 2, 3], moved))),
    }
    let propose = from(3, Message::Propose(Value::Unavailable(id(3))));
    match state {
        "leaving" => drop(step(&mut m, Input::Leave)),
        "p1_pending" => drop(step(&mut m, propose)),
        "p2_pending" => {
            step(&mut m, propose);
            let promise = Message::Promise { instance: 5, ballot: 1002, accepted: None };
            step(&mut m, from(1, promise));
        }
        "promised" => drop(step(&mut m, from(1, Message::Prepare { instance: 5, ballot: 2001 }))),
        "hole" => {
            let value = Value::Unavailable(id(3));
            step(&mut m, from(1, Message::Learn { instance: 6, value }));
        }
        "suspecting 1" => drop(step(&mut m, Input::Timer(Timer::IAmAlive(0)))),
        "1 failed" | "elector" => lose_master(&mut m),
        "refreshing" => drop(step(&mut m, Input::RefreshSnapshot)),
        "TO_MASTER" | "MASTER" => {
            let value = learn(&m, elected(2));
            step(&mut m, value);
            if state == "MASTER" {
                step(&mut m, Input::SwitchedToMaster(E));
                let value = learn(&m, Value::Master(id(2), E));
                step(&mut m, value);
            }
        }
        "TO_SLAVE"
        | "announced"
        | "start, announced before"
        | "joining, announced before"
        | "SLAVE"
        | "no majority"
        | "detached" => {
            let value = learn(&m, Value::Master(id(1), E));
            step(&mut m, value);
            if state == "TO_SLAVE" {
                return m;
            }
            step(&mut m, Input::SwitchedToSlave(id(1)));
            if state.contains("announced") {
                leave(&mut m, state);
            } else {
                let value = learn(&m, Value::Slave(id(2)));
                step(&mut m, value);
            }
            if state == "detached" || state == "no majority" {
                lose_master(&mut m);
            }
            if state == "no majority" {
                step(&mut m, Input::Timer(Timer::IAmAlive(2)));
            }
        }
        _ => {}
    }
    m
}

/// It is let go as the state wants it, with its announcement under way.
fn leave(m: &mut Member, state: &str) {
    if state.starts_with("start") {
        step(m, Input::Leave);
    }
    if state != "announced" {
        let value = learn(m, Value::Leave(id(2)));
        step(m, value);
    }
    if state.starts_with("joining") {
        step(m, response(false, &[1, 3], MemberSet::EMPTY));
    }
}

/// Two of three suspect 1.
fn lose_master(m: &mut Member) {
    step(m, Input::Timer(Timer::IAmAlive(0)));
    step(m, from(3, Message::Suspicions(set(&[1]))));
}

/// The input that stands for a message of the specification.
fn input(member: &Member, message: &str) -> Input {
    let (instance, accepted) = (5, None);
    let value = Value::Unavailable(id(3));
    let credentials = Credentials::Electable(Candidate { tx: TxId(3), master: false });
    match message {
        "create, join" => Input::Start,
        "leave" => Input::Leave,
        "configurationRequest" => request(3, 0),
        "configurationRequest of a stranger" => request(4, 0),
        "configurationRequest from another address" => request(3, 1),
        "configurationRequest of a stranger from another address" => request(4, 1),
        "configurationResponse, a stranger" => response(false, &[1, 3], MemberSet::EMPTY),
        "configurationResponse, a member" => response(true, &[1, 2, 3], MemberSet::EMPTY),
        "MemberAt(3)" => from(1, Message::MemberAt { whom: id(3), address: 1 }),
        "configurationTimeout" => Input::Timer(Timer::Configuration),
        "configurationChanged, I join" => learn(member, Value::Join(id(2), 0)),
        "configurationChanged, 4 joins" => learn(member, Value::Join(id(4), 0)),
        "configurationChanged, 3 leaves" => learn(member, Value::Leave(id(3))),
        "configurationChanged, I leave" => learn(member, Value::Leave(id(2))),
        "joinDenied" => from(3, Message::JoinDenied),
        "joiningTimeout" => Input::Timer(Timer::Join),
        "leaveTimedout" => Input::Timer(Timer::Leave),
        "i_am_alive of 1" => from(1, Message::IAmAlive { learned: 5 }),
        "i_am_alive of 1, ahead" => from(1, Message::IAmAlive { learned: 8 }),
        "i_am_alive of 4" => from(4, Message::IAmAlive { learned: 5 }),
        "i_am_alive of 4, behind" => from(4, Message::IAmAlive { learned: 4 }),
        "timed_out(1)" => Input::Timer(Timer::IAmAlive(0)),
        "sendHeartbeat(1)" => Input::Timer(Timer::SendHeartbeat(0)),
        "suspicions of 3: 1" => from(3, Message::Suspicions(set(&[1]))),
        "suspicions of 3: me" => from(3, Message::Suspicions(set(&[2]))),
        "propose" => from(3, Message::Propose(value)),
        "promise" => from(1, Message::Promise { instance, ballot: 1002, accepted }),
        "promise, with a value accepted before" => {
            let accepted = Some(Accepted { ballot: 1001, value: FOUND });
            from(1, Message::Promise { instance, ballot: 1002, accepted })
        }
        "promise of another ballot" => {
            from(1, Message::Promise { instance, ballot: 4002, accepted })
        }
        "rejectPrepare" => {
            from(1, Message::RejectPrepare { instance, ballot: 1002, promised: 3001 })
        }
        "accepted" => from(1, Message::Accepted { instance, ballot: 1002 }),
        "rejectAccept" => from(1, Message::RejectAccept { instance, ballot: 1002 }),
        "phase1Timeout, phase2Timeout" => Input::Timer(Timer::Paxos(0)),
        "prepare, ballot 1001" => from(1, Message::Prepare { instance, ballot: 1001 }),
        "prepare, ballot 3001" => from(1, Message::Prepare { instance, ballot: 3001 }),
        "accept, ballot 2001" => from(1, Message::Accept { instance, ballot: 2001, value }),
        "accept, ballot 1001" => from(1, Message::Accept { instance, ballot: 1001, value }),
        "learn, the next" => from(1, Message::Learn { instance, value }),
        "learn, a later one" => from(1, Message::Learn { instance: 9, value }),
        "learn, an old one" => from(1, Message::Learn { instance: 2, value }),
        "learnRequest" => from(3, Message::LearnRequest { instance: 6 }),
        "learnFailed" => from(3, Message::LearnFailed { instance }),
        "learnTimedout" => Input::Timer(Timer::Learn),
        "broadcast" => Input::Leave,
        "broadcastTimeout" => Input::Timer(Timer::Broadcast),
        "performRoleElections" => from(3, Message::PerformRoleElections),
        "vote" => from(3, Message::Vote { version: 9 }),
        "voted" => from(3, Message::Voted { version: 5121, credentials }),
        "voted, another version" => from(3, Message::Voted { version: 1, credentials }),
        "electionTimeout" => Input::Timer(Timer::Election),
        "demote(1)" => from(3, Message::Suspicions(set(&[1]))),
        "refreshSnapshot" => Input::RefreshSnapshot,
        "sendSnapshot" => from(3, Message::SnapshotRequest),
        "snapshot" => {
            let (master, slaves) = (Some((id(1), E)), set(&[3]));
            from(1, Message::Snapshot { delivered: 5, master, slaves })
        }
        "masterIsElected(me)" => learn(member, elected(2)),
        "masterIsElected(1)" => learn(member, elected(1)),
        "masterIsElected(3)" => learn(member, elected(3)),
        "masterIsAvailable(me)" => learn(member, Value::Master(id(2), E)),
        "masterIsAvailable(1)" => learn(member, Value::Master(id(1), E)),
        "masterIsAvailable(3)" => learn(member, Value::Master(id(3), Epoch(8))),
        "slaveIsAvailable(me)" => learn(member, Value::Slave(id(2))),
        "memberIsFailed(1), a majority left" => from(3, Message::Suspicions(set(&[1]))),
        "memberIsFailed, no majority left" => Input::Timer(Timer::IAmAlive(2)),
        "switch to master done" => Input::SwitchedToMaster(E),
        "switch to slave done" => Input::SwitchedToSlave(id(1)),
        "InvalidEpoch" => Input::StaleEpoch,
        other => panic!("no input stands for `{other}`"),
    }
}

/// The name of a message or timer, without what it holds.
fn name(debug: &impl std::fmt::Debug) -> String {
    let text = format!("{debug:?}");
    text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

/// What the member did, in a line; what every message causes (a sign of life, an idle timer
/// put off) is told of heartbeats only.
fn answer(machine: &str, before: &Member, after: &Member, effects: &[Effect]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut sends: Vec<(String, Vec<String>)> = Vec::new();
    let mut timers: Vec<String> = Vec::new();
    for effect in effects {
        match effect {
            Effect::Send { to, message } => {
                let mut name = name(message);
                if matches!(message, Message::Accept { value: FOUND, .. }) {
                    name.push_str(" of that value");
                }
                match sends.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, whom)) => whom.push(to.0.to_string()),
                    None => sends.push((name, vec![to.0.to_string()])),
                }
            }
            Effect::Arm { timer: Timer::SendHeartbeat(_), .. } => {}
            Effect::Arm { timer: Timer::IAmAlive(of), .. } if machine == "heartbeat" => {
                timers.push(format!("waits for a sign of {}", of + 1));
            }
            Effect::Arm { timer: Timer::IAmAlive(_), .. } => {}
            Effect::Arm { timer, .. } => {
                let arms = format!("arms {}", name(timer));
                if !timers.contains(&arms) {
                    timers.push(arms);
                }
            }
            Effect::JoinFailed(why) => parts.push(format!("start fails: {why:?}")),
            Effect::Left => parts.push("is out of the cluster".into()),
            Effect::Cancel(_) | Effect::Switch(_) | Effect::Fact(_) | Effect::Keep(_) => {}
        }
    }
    parts.extend(sends.into_iter().map(|(name, whom)| format!("{name} to {}", whom.join(", "))));
    parts.extend(timers);
    let ids =
        |set: MemberSet| set.iter().map(|i| (i + 1).to_string()).collect::<Vec<_>>().join(", ");
    let failed = |m: &Member| ids(m.members().difference(m.alive()));
    let mut changed = |what: &str, old: String, new: String| {
        if old != new {
            let new = if new.is_empty() { "none".to_owned() } else { new };
            parts.push(format!("{what}: {new}"));
        }
    };
    let state = |m: &Member| format!("{:?}", m.cluster_state()).to_lowercase();
    changed("state", state(before), state(after));
    changed("members", ids(before.members()), ids(after.members()));
    changed("failed", failed(before), failed(after));
    let coordinator = |m: &Member| m.coordinator().map(|id| id.0.to_string()).unwrap_or_default();
    changed("coordinator", coordinator(before), coordinator(after));
    changed("role", before.role().name().into(), after.role().name().into());
    if parts.is_empty() && before != after {
        parts.push("notes it".into());
    }
    if parts.is_empty() { "ignored".into() } else { parts.join("; ") }
}

fn page() -> String {
    let mut page = String::from(machines::INTRODUCTION);
    for (machine, title, text) in MACHINES {
        let _ =
            write!(page, "\n## {title}\n\n{text}\n\n| state | message | answer |\n|---|---|---|\n");
        for (_, state, message, answer) in CELLS.iter().filter(|cell| cell.0 == *machine) {
            let _ = writeln!(page, "| {state} | {message} | {answer} |");
        }
    }
    page.push_str(differences::INTRODUCTION);
    for (versions, machine, state, message, answer) in DIFFERENCES {
        let title = MACHINES.iter().find(|(key, ..)| key == machine).map_or("", |of| of.1);
        let _ = writeln!(page, "| {versions} | {title} | {state} | {message} | {answer} |");
    }
    page
}

/// What a member of that version does.
fn played(compat: Compat, (machine, state, message, _): &Cell) -> String {
    let moved = if *message == "MemberAt(3)" { set(&[3]) } else { MemberSet::EMPTY };
    let mut before = member(compat, state, moved);
    if let (true, Input::Message { from, .. }) =
        (message.ends_with("from another address"), input(&before, message))
    {
        // It asked from its first one before.
        step(&mut before, request(from.0, 0));
    }
    let mut after = before.clone();
    let mut effects = Vec::new();
    if message.starts_with("memberIsFailed") {
        // Instance 1 fell silent before.
        effects = step(&mut after, Input::Timer(Timer::IAmAlive(0)));
    }
    let input = input(&before, message);
    effects.extend(step(&mut after, input));
    answer(machine, &before, &after, &effects)
}

#[test]
fn every_state_answers_every_message() {
    let mut wrong = String::new();
    for cell in CELLS {
        let (machine, state, message, expected) = cell;
        let found = played(Compat::V2_3_6, cell);
        if found != *expected {
            let _ =
                writeln!(wrong, "    (\"{machine}\", \"{state}\", \"{message}\", \"{found}\"),");
        }
    }
    assert!(wrong.is_empty(), "other answers than the table's:\n{wrong}");
}

/// Every cell is played in the other versions, too: where one answers otherwise, the second table
/// says so, and nowhere else.
#[test]
fn other_versions_differ_where_the_table_says() {
    let mut found: Vec<(String, &str, &str, &str, String)> = Vec::new();
    for cell in CELLS {
        let (machine, state, message, expected) = *cell;
        for compat in [Compat::V2_2, Compat::V2_3_0, Compat::V3_2] {
            let answer = played(compat, cell);
            if answer == expected {
                continue;
            }
            let same = |row: &&mut (String, &str, &str, &str, String)| {
                (row.1, row.2, row.3) == (machine, state, message) && row.4 == answer
            };
            match found.last_mut().filter(same) {
                Some((versions, ..)) => versions.push_str(&format!(", {}", compat.name())),
                None => found.push((compat.name().into(), machine, state, message, answer)),
            }
        }
    }
    let found: Vec<String> = found.iter().map(|row| format!("{row:?}")).collect();
    let told: Vec<String> = DIFFERENCES.iter().map(|row| format!("{row:?}")).collect();
    assert!(
        found == told,
        "other differences than the table's:
    {},",
        found.join(
            ",
    "
        )
    );
}

/// No state of a machine lacks a message that another state of it has. (That no message lacks a
/// row is [`every_message_has_a_row`].)
#[test]
fn the_table_has_no_holes() {
    for (machine, ..) in MACHINES {
        let of = |what: fn(&cells::Cell) -> &'static str| {
            let mut names: Vec<_> =
                CELLS.iter().filter(|cell| cell.0 == *machine).map(what).collect();
            names.sort_unstable();
            names.dedup();
            names
        };
        for state in of(|cell| cell.1) {
            for message in of(|cell| cell.2) {
                let cells = CELLS.iter().filter(|c| (c.0, c.1, c.2) == (*machine, state, message));
                assert_eq!(cells.count(), 1, "{machine}, {state}, {message}");
            }
        }
    }
}

/// A row for each message.
macro_rules! rows {
    ($($message:pat => $machine:literal, $row:literal;)*) => {
        /// Does not compile while a message has no row.
        fn row_of(message: &Message) -> (&'static str, &'static str) {
            match message {
                $($message => ($machine, $row),)*
            }
        }

        const ROWS: &[(&str, &str)] = &[$(($machine, $row)),*];
    };
}

rows! {
    Message::IAmAlive { .. } => "heartbeat", "i_am_alive of 1";
    Message::Suspicions(_) => "heartbeat", "suspicions of 3: 1";
    Message::PerformRoleElections => "election", "performRoleElections";
    Message::Vote { .. } => "election", "vote";
    Message::Voted { .. } => "election", "voted";
    Message::ConfigurationRequest { .. } => "cluster", "configurationRequest";
    Message::ConfigurationResponse { .. } => "cluster", "configurationResponse, a member";
    Message::MemberAt { .. } => "cluster", "MemberAt(3)";
    Message::JoinDenied => "cluster", "joinDenied";
    Message::Propose(_) => "proposer", "propose";
    Message::Prepare { .. } => "acceptor", "prepare, ballot 1001";
    Message::Promise { .. } => "proposer", "promise";
    Message::RejectPrepare { .. } => "proposer", "rejectPrepare";
    Message::Accept { .. } => "acceptor", "accept, ballot 1001";
    Message::Accepted { .. } => "proposer", "accepted";
    Message::RejectAccept { .. } => "proposer", "rejectAccept";
    Message::Learn { .. } => "learner", "learn, the next";
    Message::LearnRequest { .. } => "learner", "learnRequest";
    Message::LearnFailed { .. } => "learner", "learnFailed";
    Message::SnapshotRequest => "snapshot", "sendSnapshot";
    Message::Snapshot { .. } => "snapshot", "snapshot";
}

#[test]
fn every_message_has_a_row() {
    let member = member(Compat::V2_3_6, "entered", MemberSet::EMPTY);
    for (machine, row) in ROWS {
        assert!(CELLS.iter().any(|cell| (cell.0, cell.2) == (*machine, *row)), "{machine}, {row}");
        let Input::Message { message, .. } = input(&member, row) else { panic!("{row}") };
        assert_eq!(row_of(&message), (*machine, *row));
    }
}

#[test]
fn the_page_tells_the_table() {
    let page = page();
    if std::env::var_os("UPDATE_STATES").is_some() {
        std::fs::write(PAGE, &page).expect("the page can be written");
    }
    let written = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(page == written, "docs/cluster-states.md is old: run this test with UPDATE_STATES=1");
}
