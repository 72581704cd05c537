//! What Neo4j's user log would say of a fact: the lines of `HighAvailabilityLogger` and of
//! the role switches (HA specification 5), so that a run reads like the log of a cluster.

mod lines;

use std::fmt::{Display, Write};

use wavetank_vocabulary::{Date, Fact, InstanceId, LogLine, Role, Time, WALL_START_MS};

use crate::recorder::Recorder;

/// The lines that an instance logs for a fact, and which instance it is. Most facts leave
/// none; some leave two.
pub fn user_log(fact: &Fact) -> Option<(InstanceId, Vec<String>)> {
    let line = |instance, line: String| Some((instance, vec![line]));
    match *fact {
        Fact::RoleChanged { instance, from, to, .. } => {
            let me: Values<'_> = &[("N", &instance.0)];
            let mut all = Vec::new();
            if from == Role::Master {
                all.push(lines::NO_WRITES.with(&[]));
            }
            match to {
                Role::ToMaster => all.push(lines::TO_MASTER.with(me)),
                Role::Master => {
                    all.push(lines::MASTER.with(me));
                    all.push(lines::WRITES.with(&[]));
                }
                Role::Slave => all.push(lines::SLAVE.with(me)),
                _ => {}
            }
            (!all.is_empty()).then_some((instance, all))
        }
        Fact::Told { instance, line: told_line } => line(instance, told(instance, told_line)),
        Fact::MemberFailed { by, whom } => line(by, lines::FAILED.with(&[("N", &whom.0)])),
        Fact::MemberAlive { by, whom } => line(by, lines::ALIVE.with(&[("N", &whom.0)])),
        Fact::Left { instance } => line(instance, lines::LEFT.with(&[("N", &instance.0)])),
        Fact::JoinFailed { instance, denied } => {
            let why = if denied { lines::DENIED } else { lines::SAME_ID };
            line(instance, why.with(&[("N", &instance.0)]))
        }
        Fact::ElectionEnded { elector, winner: None, .. } => {
            line(elector, lines::NO_WINNER.with(&[]))
        }
        Fact::StoreCopy { instance, master, pages: 0, done: false } => {
            line(instance, lines::COPYING.with(&[("M", &master.0)]))
        }
        Fact::Branched { instance, master, log } => {
            line(instance, lines::BRANCHED.with(&[("M", &master.0), ("T", &log.tx.0)]))
        }
        Fact::StoreFailed { instance } => line(instance, lines::STORE_FAILED.with(&[])),
        _ => None,
    }
}

/// What stands in the places of a line.
type Values<'a> = &'a [(&'a str, &'a dyn Display)];

fn told(me: InstanceId, line: LogLine) -> String {
    match line {
        LogLine::Joined(id) => lines::JOINED.with(&[("N", &id.0)]),
        LogLine::HasLeft(id) => lines::LEFT.with(&[("N", &id.0)]),
        LogLine::Elected(id) => lines::ELECTED.with(&[("N", &id.0)]),
        LogLine::Demoted(id) => lines::DEMOTED.with(&[("N", &id.0)]),
        LogLine::Available(id, role) => {
            lines::AVAILABLE.with(&[("N", &id.0), ("ROLE", &role.name())])
        }
        LogLine::Unavailable(id, role) => {
            lines::UNAVAILABLE.with(&[("N", &id.0), ("ROLE", &role.name())])
        }
        LogLine::MovingToSlave(master) => lines::TO_SLAVE.with(&[("N", &me.0), ("M", &master.0)]),
        LogLine::CheckingConsistency => lines::CHECKING.with(&[]),
        LogLine::Copied => lines::COPIED.with(&[]),
        LogLine::CatchingUp(tx) => lines::CATCHING_UP.with(&[("T", &tx.0)]),
        LogLine::CaughtUp(tx) => lines::CAUGHT_UP.with(&[("T", &tx.0)]),
        LogLine::DamagedStoreSetAside => lines::STORE_DAMAGED.with(&[]),
    }
}

/// The user logs of a run, each with its instance; those without a line are left out. Of a
/// very long run the middle is missing, as in [`Recorder::events`], and the log says so.
pub fn user_logs(recorder: &Recorder) -> Vec<(InstanceId, String)> {
    let mut logs: Vec<(InstanceId, String)> = Vec::new();
    let mut line = |instance: InstanceId, at: Time, text: &str| {
        let place = logs.iter().position(|(of, _)| *of == instance).unwrap_or_else(|| {
            logs.push((instance, String::new()));
            logs.len() - 1
        });
        let date = Date::from_unix_ms(WALL_START_MS + at.as_nanos() / 1_000_000);
        // Writing to a string cannot fail.
        let _ = writeln!(logs[place].1, "{date} INFO  {text}");
    };
    let log = recorder.log();
    for (place, event) in log.iter().enumerate() {
        if Some(place) == log.gap() {
            for instance in recorder.instances() {
                let text =
                    format!("... {} events of the cluster are left out here ...", log.left_out());
                line(instance.id, event.at, &text);
            }
        }
        let Some((instance, texts)) = user_log(&event.fact) else { continue };
        for text in texts {
            line(instance, event.at, &text);
        }
    }
    logs.sort_by_key(|(instance, _)| *instance);
    logs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;
    use wavetank_vocabulary::{HaRole, LogMark, TxId};

    #[test]
    fn a_failover_reads_like_the_log_of_a_cluster() {
        let plan = synthetic::plan(60);
        let recorder = synthetic::voyage(&plan).play(Recorder::new(&plan));
        let logs = user_logs(&recorder);
        let ids: Vec<u16> = logs.iter().map(|(instance, _)| instance.0).collect();
        assert_eq!(ids, [1, 2, 3]);
        insta::assert_snapshot!("user_log", logs[2].1);
    }

    #[test]
    fn a_master_that_steps_down_says_that_it_takes_no_writes() {
        let log = LogMark::BASE;
        let instance = InstanceId(4);
        let fact = Fact::RoleChanged { instance, from: Role::Master, to: Role::Pending, log };
        let (of, lines) = user_log(&fact).expect("it is logged");
        assert_eq!(of, instance);
        assert_eq!(lines, ["Write transactions to database disabled"]);
        assert_eq!(user_log(&Fact::Healed), None);
    }

    #[test]
    fn lines_read_as_neo4j_writes_them() {
        let (me, other) = (InstanceId(2), InstanceId(3));
        let lines = [
            (LogLine::Joined(other), "Instance 3 joined the cluster"),
            (LogLine::HasLeft(other), "Instance 3 has left the cluster"),
            (LogLine::Elected(me), "Instance 2 was elected as coordinator"),
            (LogLine::Demoted(other), "Instance 3 was demoted as coordinator"),
            (
                LogLine::Available(other, HaRole::Master),
                "Instance 3 is available as master at ha://i3:6001",
            ),
            (LogLine::Unavailable(me, HaRole::Slave), "Instance 2 is unavailable as slave"),
            (LogLine::MovingToSlave(other), "ServerId 2, moving to slave for master ha://i3:6001"),
            (LogLine::CheckingConsistency, "Checking store consistency with master"),
            (LogLine::Copied, "Finished copying store from master"),
            (LogLine::CatchingUp(TxId(7)), "Catching up with master. I'm at transaction 7"),
            (LogLine::CaughtUp(TxId(9)), "Now caught up with master at transaction 9"),
            (
                LogLine::DamagedStoreSetAside,
                "The store is damaged: no page of neostore is whole. It is set aside",
            ),
        ];
        for (line, text) in lines {
            let logged = user_log(&Fact::Told { instance: me, line });
            assert_eq!(logged, Some((me, vec![text.to_owned()])));
        }
    }
}
