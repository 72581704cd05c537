//! A way through the model as text: one action a line, what it caused as a comment behind it.
//!
//! `deliver 1 2` takes the message in flight from member 1 to member 2 (on an unordered
//! network with its number: `deliver 1 2 17`), likewise `drop` and `repeat`; `crash 3`,
//! `restart 3`, `cut 3`, `mend 3`; `fire 2 IAmAlive 1` and `fire 2 Election` let a timer of
//! member 2 run out; `finish 2` completes its switch of roles. `sim/cluster/tests/agreement.rs`
//! replays the same text on its own.

use std::fmt::Write;

use wavetank_cluster::{MemberSet, Message, Timer, Value};

use crate::model::{Action, Model, Network, State, Violation, route};
use crate::nodes::{N, id};

fn timer_name(timer: Timer) -> String {
    match timer {
        Timer::SendHeartbeat(to) => format!("SendHeartbeat {}", to + 1),
        Timer::IAmAlive(from) => format!("IAmAlive {}", from + 1),
        Timer::Paxos(place) => format!("Paxos {place}"),
        other => format!("{other:?}"),
    }
}

fn action_text(action: Action, network: Network) -> String {
    let one = |verb: &str, n: u8| format!("{verb} {}", n + 1);
    let message = |verb: &str, flight: u32| {
        let (from, to, number) = route(flight);
        match network {
            Network::Fifo => format!("{verb} {} {}", from + 1, to + 1),
            Network::Unordered => format!("{verb} {} {} {number}", from + 1, to + 1),
        }
    };
    match action {
        Action::Deliver(flight) => message("deliver", flight),
        Action::Repeat(flight) => message("repeat", flight),
        Action::Drop(flight) => message("drop", flight),
        Action::Crash(n) => one("crash", n),
        Action::Restart(n) => one("restart", n),
        Action::Cut(n) => one("cut", n),
        Action::Mend(n) => one("mend", n),
        Action::Finish(n) => one("finish", n),
        Action::Fire(n, slot) => {
            let timer = Timer::at_slot(usize::from(slot), N).map(timer_name).unwrap_or_default();
            format!("fire {} {timer}", n + 1)
        }
    }
}

fn set_text(set: MemberSet) -> String {
    let ids: Vec<_> = set.iter().map(|index| id(index).0.to_string()).collect();
    format!("{{{}}}", ids.join(", "))
}

/// A value, in short.
pub fn value_text(value: Value) -> String {
    match value {
        Value::Elected { winner, elector, version } => {
            let winner = winner.map_or("nobody".to_owned(), |id| id.0.to_string());
            format!("elected {winner} (elector {}, version {version})", elector.0)
        }
        Value::Join(who, _) => format!("join {}", who.0),
        Value::Leave(who) => format!("leave {}", who.0),
        Value::Master(who, epoch) => format!("master {} (epoch {})", who.0, epoch.0),
        Value::Slave(who) => format!("slave {}", who.0),
        Value::Unavailable(who) => format!("unavailable {}", who.0),
    }
}

fn message_text(message: Message) -> String {
    match message {
        Message::Suspicions(set) => format!("suspicions {}", set_text(set)),
        Message::Propose(value) => format!("propose {}", value_text(value)),
        Message::Prepare { instance, ballot } => format!("prepare #{instance} at {ballot}"),
        Message::Promise { instance, ballot, accepted } => {
            let accepted = accepted.map_or(String::new(), |a| {
                format!(", having accepted {} at {}", value_text(a.value), a.ballot)
            });
            format!("promise #{instance} at {ballot}{accepted}")
        }
        Message::Accept { instance, ballot, value } => {
            format!("accept #{instance} at {ballot}: {}", value_text(value))
        }
        Message::Accepted { instance, ballot } => format!("accepted #{instance} at {ballot}"),
        Message::Learn { instance, value } => format!("learn #{instance}: {}", value_text(value)),
        Message::ConfigurationResponse { coordinator, delivered, .. } => {
            let coordinator = coordinator.map_or("nobody".to_owned(), |id| id.0.to_string());
            format!("configuration: coordinator {coordinator}, delivered below #{delivered}")
        }
        other => format!("{other:?}"),
    }
}

/// The way from `root` as a script.
pub fn write(model: &mut Model, root: &State, way: &[Action]) -> String {
    let mut text = String::new();
    let mut state = root.clone();
    for action in way {
        let before = state.net.clone();
        let mut line = action_text(*action, model.network);
        if let Action::Deliver(flight) | Action::Repeat(flight) | Action::Drop(flight) = *action {
            let (.., number) = route(flight);
            let what = message_text(model.library.message(number));
            line = format!("{line:<24} # {what}");
        }
        let known = model.chosen(&state).len();
        let (next, violation) = model.apply(&state, *action);
        let mut old = before;
        let mut notes = Vec::new();
        for flight in &next.net {
            if let Some(at) = old.iter().position(|other| other == flight) {
                old.remove(at);
                continue;
            }
            let (from, to, number) = route(*flight);
            let what = message_text(model.library.message(number));
            notes.push(format!("{} to {}: {what}", from + 1, to + 1));
        }
        let chosen = model.chosen(&next);
        if chosen.len() > known {
            let learned = chosen.iter().rev().take(chosen.len() - known);
            for (instance, value) in learned {
                notes.push(format!("LEARNED #{instance}: {}", value_text(*value)));
            }
        }
        match violation {
            Some(Violation::ChosenTwice(instance, first, second)) => notes.push(format!(
                "CHOSEN TWICE #{instance}: {} and {}",
                value_text(first),
                value_text(second)
            )),
            Some(Violation::ElectedTwice(first, second)) => notes.push(format!(
                "ELECTED TWICE: {} and {}",
                value_text(first),
                value_text(second)
            )),
            _ => {}
        }
        let _ = writeln!(text, "{line}");
        for note in notes {
            let _ = writeln!(text, "    # {note}");
        }
        state = next;
    }
    text
}
