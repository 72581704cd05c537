//! Facts, values and verdicts in words, the same in every report.

use serde_json::Value;
use wavetank_vocabulary::{Fact, InstanceId, Observation, OperationId, Role, SecondWrite};

use crate::result::{FaultEffect, FaultResult, RunResult};
use crate::user_log::user_log;
use crate::verdict::{Overall, Verdict};

/// The verdict on a run in a sentence or two: what held, what broke.
pub fn verdict_sentence(result: &RunResult) -> String {
    let with = |verdict: Verdict| {
        result.expectations.iter().filter(move |result| result.verdict == verdict)
    };
    let names = |verdict: Verdict| {
        listed(with(verdict).map(|result| result.check.as_str()).collect::<Vec<_>>().as_slice())
    };
    let total = result.expectations.len();
    if result.partial {
        return interrupted(result);
    }
    let mut text = match result.verdict {
        Overall::Held if total == 0 => return "Nothing was expected of this run.".to_owned(),
        Overall::Held if total == 1 => {
            return format!("The one expectation held: {}.", names(Verdict::Held));
        }
        Overall::Held => return format!("All {total} expectations held."),
        Overall::NotRecovered => match &result.waiting {
            Some(waiting) => format!("The cluster did not recover: {waiting}."),
            None => String::from("The cluster did not recover."),
        },
        Overall::Broke => String::new(),
    };
    for (verdict, verb) in [(Verdict::Broke, "broke"), (Verdict::NotExercised, "not exercised")] {
        let count = with(verdict).count();
        if count > 0 {
            let space = if text.is_empty() { "" } else { " " };
            let verb = match (verdict, count) {
                (Verdict::NotExercised, 1) => "was not exercised",
                (Verdict::NotExercised, _) => "were not exercised",
                _ => verb,
            };
            text += &format!("{space}{count} of {total} {verb}: {}.", names(verdict));
        }
    }
    match with(Verdict::Held).count() {
        0 => {}
        1 => text += " The other held.",
        _ => text += " The others held.",
    }
    text
}

/// The verdict on a run that was broken off: never more than a preliminary one.
fn interrupted(result: &RunResult) -> String {
    let broke = result.expectations.iter().filter(|known| known.verdict == Verdict::Broke);
    let names: Vec<&str> = broke.map(|known| known.check.as_str()).collect();
    let at = result.simulated_seconds;
    let until_then = if names.is_empty() {
        String::from("nothing had broken until then, which proves nothing about the rest")
    } else {
        format!(
            "until then {} of {} broke: {}",
            names.len(),
            result.expectations.len(),
            listed(&names)
        )
    };
    format!("Interrupted at {at:.1} s of virtual time: {until_then}.")
}

/// What to look at when this check broke, and where in the report.
pub(crate) fn look_at(check: &str) -> (&'static str, &'static str) {
    // A check's name may go on with what it is about: "latency app.follow".
    match check.split([' ', ':', '.']).next().unwrap_or(check) {
        "recovers" => (
            "Look at the roles after the fault ended, at the elections among the events, and at the lag of the instances that came back.",
            "roles",
        ),
        "latency" => (
            "Look at the latency figure for when it was exceeded, at where the time of the slowest went, then at hit rate, disk and cores at that time.",
            "latency",
        ),
        "acknowledged-writes-lost" => (
            "Look at the faults and the elections after them: a branch that was discarded explains losses, a recovery that cut the log may hide others.",
            "faults",
        ),
        "replicas-equal" => (
            "Look at the contents row of the instances, then at recoveries and store copies among the events.",
            "instances",
        ),
        "two-masters" | "does-not-recover" | "happens" => {
            ("Look at the roles and at the elections among the events.", "roles")
        }
        "availability" => (
            "Look at the roles in that time: without a master there is no writing, and pending instances do not even read.",
            "roles",
        ),
        "slave-lag" => (
            "Look at the lag of that instance, at ha.pull_interval, and at which slaves are pushed to.",
            "lag",
        ),
        _ => ("Look at the figures around the faults.", "figures"),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn listed(items: &[&str]) -> String {
    match items {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// `1 node`, `2 nodes`, `4,039 nodes`.
pub(crate) fn counted(n: u64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(n))
}

/// A number with its thousands set apart.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Milliseconds with three significant digits, as far as they are needed.
pub(crate) fn millis(ms: Option<f64>) -> String {
    match ms {
        None => String::from("–"),
        Some(ms) if ms >= 99.95 => grouped(ms.round() as u64),
        Some(ms) if ms >= 9.995 => format!("{ms:.1}"),
        Some(ms) if ms >= 0.995 => format!("{ms:.2}"),
        Some(ms) => format!("{ms:.3}"),
    }
}

/// A measured value or limit as people read it.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::Null => String::from("–"),
        Value::Bool(flag) => String::from(if *flag { "yes" } else { "no" }),
        Value::Number(number) => number.as_u64().map_or_else(|| number.to_string(), grouped),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(self::value).collect::<Vec<_>>().join(", "),
        Value::Object(parts) => {
            let part = |(key, part): (&String, &Value)| format!("{key} {}", self::value(part));
            parts.iter().map(part).collect::<Vec<_>>().join(", ")
        }
    }
}

/// A fault in words: `power-loss of i1 at 120.000 s, healed at 180.000 s`.
pub(crate) fn fault(fault: &FaultResult) -> String {
    let kind = &fault.kind;
    match (fault.effect, fault.on) {
        (FaultEffect::Skipped, _) => {
            format!("{kind} at {:.3} s: not exercised, nobody to hit or no trigger", fault.began_s)
        }
        (FaultEffect::NotReached, _) => {
            format!("{kind} at {:.3} s: not reached", fault.began_s)
        }
        (FaultEffect::TookEffect, on) => {
            let on = on.map_or_else(String::new, |id| format!(" of i{id}"));
            let peer = fault.peer.map_or_else(String::new, |id| format!(" from i{id}"));
            let end = fault
                .ended_s
                .map_or_else(|| String::from("never healed"), |s| format!("healed at {s:.3} s"));
            format!("{kind}{on}{peer} at {:.3} s, {end}", fault.began_s)
        }
    }
}

/// A fact in a short sentence, without its time.
pub fn sentence(fact: &Fact) -> String {
    let link = |on: InstanceId, peer: Option<InstanceId>| {
        peer.map_or_else(|| on.to_string(), |peer| format!("{on} from {peer}"))
    };
    match *fact {
        // Where its log stands is not known before its store is open.
        Fact::RoleChanged { instance, from, to, .. }
            if to == Role::Starting || (from == Role::Starting && to == Role::Down) =>
        {
            format!("{instance}: {} → {}", from.name(), to.name())
        }
        Fact::RoleChanged { instance, from, to, log } => {
            format!("{instance}: {} → {}, log at {}", from.name(), to.name(), log.tx)
        }
        Fact::Suspected { by, whom } => format!("{by} suspects {whom}"),
        Fact::Cleared { by, whom } => format!("{by} no longer suspects {whom}"),
        Fact::MemberFailed { by, whom } => format!("for {by}, {whom} has failed"),
        Fact::MemberAlive { by, whom } => format!("for {by}, {whom} is alive again"),
        Fact::JoinFailed { instance, denied: true } => {
            format!("{instance} is denied: its server id is alive at another address")
        }
        Fact::JoinFailed { instance, denied: false } => {
            format!("{instance} gives up: another instance starts with the same server id")
        }
        Fact::Left { instance } => format!("{instance} has left the cluster"),
        Fact::ValuesDiffer { instance, paxos } => {
            format!("{instance} is told of another value of Paxos instance {paxos} than it knows")
        }
        Fact::ElectionBegan { elector, version } => {
            format!("{elector} begins an election (version {version})")
        }
        Fact::ElectionEnded { elector, version, winner } => match winner {
            Some(winner) => {
                format!("{elector} counts the votes: {winner} wins (version {version})")
            }
            None => format!("{elector} counts the votes: nobody wins (version {version})"),
        },
        Fact::EpochBegan { instance, epoch, log } => {
            format!("{instance} begins epoch {:#x} at {}", epoch.0, log.tx)
        }
        Fact::Logged { instance, log, .. } => format!("{instance} logs {}", log.tx),
        Fact::Committed { instance, log, .. } => format!("{instance} commits {}", log.tx),
        Fact::Applied { instance, log, transactions } => {
            format!("{instance} applies {transactions} up to {}", log.tx)
        }
        Fact::Pushed { instance, to, tx, ok } => {
            let end = if ok { "arrives" } else { "is given up" };
            format!("{instance} pushes {tx} to {to}: it {end}")
        }
        Fact::Branched { instance, master, log } => {
            format!("{instance} differs from the master {master} at {}", log.tx)
        }
        Fact::BranchDiscarded { instance, log } => {
            format!("{instance} sets its branch aside, which ended at {}", log.tx)
        }
        Fact::StoreCopy { instance, master, pages, done } => {
            if !done && pages == 0 {
                format!("{instance} begins to copy the store of {master}")
            } else if done {
                format!("{instance} has copied the store of {master}, {}", counted(pages, "page"))
            } else {
                format!(
                    "{instance} copies the store of {master}, {} so far",
                    counted(pages, "page")
                )
            }
        }
        Fact::Recovered { instance, log, replayed, cut } => {
            let replayed = counted(replayed, "transaction");
            format!("{instance} opens its store at {}: {replayed} replayed, {cut} B cut", log.tx)
        }
        Fact::Checkpoint { instance, tx, pages } => {
            format!("{instance} takes a checkpoint at {tx}, {}", counted(pages, "page"))
        }
        Fact::StoreFailed { instance } => format!("the store of {instance} fails"),
        Fact::Invoked { operation, .. } => format!("{operation} is due"),
        Fact::Retried { operation, status, attempt, .. } => {
            format!("{operation} failed ({}): attempt {attempt}", status.name())
        }
        Fact::Completed { operation, status, instance, .. } => {
            let by = instance.map_or_else(String::new, |id| format!(" by {id}"));
            format!("{operation} ends{by}: {}", status.name())
        }
        Fact::Served { operation, instance, status, time, .. } => {
            format!("{instance} answers {operation} after {}: {}", time.total(), status.name())
        }
        Fact::Session { operation, user, seen, instance, .. } => {
            format!("{operation} of user {} saw {instance} at {seen}", user.0)
        }
        Fact::Observed { operation, instance, what, node, value, .. } => {
            let value = value.map_or_else(|| String::from("nothing"), |value| value.to_string());
            match what {
                Observation::Read => format!("{operation} reads {value} of {node} at {instance}"),
                Observation::Wrote => format!("{operation} writes {value} to {node} at {instance}"),
                Observation::Listed => {
                    format!("{operation} reads {value} in the list of {node} at {instance}")
                }
                Observation::End => {
                    format!("{operation} has read the list of {node} at {instance}")
                }
            }
        }
        Fact::LockWaited { instance, lock, operation, waited, granted, .. } => {
            let end = if granted { "gets" } else { "gives up to wait for" };
            format!("{} {end} the lock of {lock} at {instance} after {waited}", asker(operation))
        }
        Fact::Deadlock { instance, lock, operation, .. } => {
            let whose = asker(operation);
            format!("{whose} may not wait for the lock of {lock} at {instance}: a deadlock")
        }
        Fact::LockReleased { instance, lock, held, .. } => {
            format!("the lock of {lock} at {instance} was held for {held}")
        }
        Fact::SecondStore { operation, store, what, node, .. } => match what {
            SecondWrite::Written => format!("{operation} writes {node} to second store {store}"),
            SecondWrite::TakenBack => {
                format!("{operation} takes back what it wrote for {node} to second store {store}")
            }
        },
        Fact::Spent { operation, server, .. } => {
            format!("of the time of {operation}, {} were at an instance", server.total())
        }
        Fact::FaultBegan { kind, on, peer, .. } => {
            format!("fault begins: {} of {}", kind.name(), link(on, peer))
        }
        Fact::StruckIn { kind, on, states, .. } => {
            let names: Vec<&str> = states.iter().map(|state| state.name()).collect();
            format!("{} strikes {on} in {}", kind.name(), names.join(", "))
        }
        Fact::FaultEnded { kind, on, peer, .. } => {
            format!("fault ends: {} of {}", kind.name(), link(on, peer))
        }
        Fact::FaultSkipped { kind, .. } => {
            format!("fault not exercised: {}, nobody to hit or no trigger", kind.name())
        }
        Fact::Told { instance, .. } => {
            let lines = user_log(fact).map_or_else(Vec::new, |(_, lines)| lines);
            format!("{instance} logs: {}", lines.join("; "))
        }
        Fact::Sample { instance, metric, value } => format!("{instance} {metric:?} = {value}"),
        Fact::LockSessionReaped { instance, slave } => {
            format!("{instance} ends an idle lock session of {slave}")
        }
        Fact::Monitored { instance, bean: None } => {
            format!("{instance} gives monitoring no answer")
        }
        Fact::Monitored { instance, bean: Some(bean) } => {
            let role = bean.role.name();
            format!("monitoring reads of {instance}: {role}, at {}", bean.last_committed)
        }
        Fact::Healed => String::from("clients stop, every fault is healed"),
        Fact::Converged => String::from("the cluster has recovered"),
        Fact::Final { instance, role, log, .. } => {
            format!("at the end {instance} is {}, log at {}", role.name(), log.tx)
        }
        Fact::Inconsistent { instance, records } => {
            format!("in the store of {instance}, {records} records contradict others")
        }
        Fact::Found { operation, .. } => format!("{operation} is found in the final store"),
        Fact::FinalValue { node, value, .. } => format!("node {} has {value} in the end", node.0),
        Fact::FinalRelationship { from, to, .. } => {
            format!("a relationship leads from node {} to node {} in the end", from.0, to.0)
        }
    }
}

/// For whom a transaction is.
fn asker(operation: Option<OperationId>) -> String {
    operation.map_or_else(|| String::from("a transaction"), |operation| operation.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let groups = [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (88_234, "88,234"),
            (1_234_567, "1,234,567"),
        ];
        for (n, text) in groups {
            assert_eq!(grouped(n), text);
        }
        let latencies = [
            (0.0124, "0.012"),
            (1.234, "1.23"),
            (12.34, "12.3"),
            (123.4, "123"),
            (10_000.0, "10,000"),
        ];
        for (ms, text) in latencies {
            assert_eq!(millis(Some(ms)), text);
        }
        assert_eq!(counted(1, "node"), "1 node");
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
    }

    #[test]
    fn values_of_every_form_have_a_text() {
        let text = |json: &str| serde_json::from_str(json).map(|json| value(&json)).ok();
        assert_eq!(text("null").as_deref(), Some("–"));
        assert_eq!(text("12345").as_deref(), Some("12,345"));
        assert_eq!(text("\"12.4ms\"").as_deref(), Some("12.4ms"));
        let object = r#"{"explained": 3, "unexplained": 0}"#;
        assert_eq!(text(object).as_deref(), Some("explained 3, unexplained 0"));
        assert_eq!(text("[1, true]").as_deref(), Some("1, yes"));
    }
}
