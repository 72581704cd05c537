//! What Neo4j's user log would say of a fact: the lines of `HighAvailabilityLogger` and of
//! the role switches (HA specification 5), so that a run reads like the log of a cluster.

use std::fmt::Write;

use wavetank_vocabulary::{Date, Fact, InstanceId, LogLine, Role, Time, WALL_START_MS};

use crate::recorder::Recorder;

/// The lines that an instance logs for a fact, and which instance it is. Most facts leave
/// none; some leave two.
pub fn user_log(fact: &Fact) -> Option<(InstanceId, Vec<String>)> {
    let lines = |instance, lines: &[String]| Some((instance, lines.to_vec()));
    match *fact {
        Fact::RoleChanged { instance, from, to, .. } => {
            let id = instance.0;
            let mut all = Vec::new();
            if from == Role::Master {
                all.push("Write transactions to database disabled".to_owned());
            }
            match to {
                Role::ToMaster => all.push(format!("I am {id}, moving to master")),
                Role::Master => {
                    all.push(format!("I am {id}, successfully moved to master"));
                    all.push("Database available for write transactions".to_owned());
                }
                Role::Slave => {
                    all.push(format!("ServerId {id}, successfully moved to slave"));
                }
                _ => {}
            }
            (!all.is_empty()).then_some((instance, all))
        }
        Fact::Told { instance, line } => lines(instance, &[told(instance, line)]),
        Fact::MemberFailed { by, whom } => lines(by, &[format!("Instance {} has failed", whom.0)]),
        Fact::MemberAlive { by, whom } => lines(by, &[format!("Instance {} is alive", whom.0)]),
        Fact::Left { instance } => {
            lines(instance, &[format!("Instance {} has left the cluster", instance.0)])
        }
        Fact::JoinFailed { instance, denied: true } => {
            lines(instance, &[format!("Instance {} is already in the cluster", instance.0)])
        }
        Fact::JoinFailed { instance, denied: false } => lines(
            instance,
            &[format!("Another instance is starting with server id {}", instance.0)],
        ),
        Fact::ElectionEnded { elector, winner: None, .. } => {
            lines(elector, &["Election could not pick a winner".to_owned()])
        }
        Fact::StoreCopy { instance, master, pages: 0, done: false } => {
            lines(instance, &[format!("Copying store from master {}", master.0)])
        }
        Fact::StoreCopy { instance, done: true, .. } => {
            lines(instance, &["Finished copying store from master".to_owned()])
        }
        Fact::Branched { instance, master, log } => lines(
            instance,
            &[format!(
                "The store does not have the same history as master {} at transaction {}: \
                 branched data",
                master.0, log.tx.0
            )],
        ),
        Fact::StoreFailed { instance } => {
            lines(instance, &["The store stopped itself; a restart is needed".to_owned()])
        }
        _ => None,
    }
}

fn told(me: InstanceId, line: LogLine) -> String {
    match line {
        LogLine::Joined(id) => format!("Instance {} joined the cluster", id.0),
        LogLine::HasLeft(id) => format!("Instance {} has left the cluster", id.0),
        LogLine::Elected(id) => format!("Instance {} was elected as coordinator", id.0),
        LogLine::Demoted(id) => format!("Instance {} was demoted as coordinator", id.0),
        LogLine::Available(id, role) => {
            format!("Instance {} is available as {} at ha://{id}:6001", id.0, role.name())
        }
        LogLine::Unavailable(id, role) => {
            format!("Instance {} is unavailable as {}", id.0, role.name())
        }
        LogLine::MovingToSlave(master) => {
            format!("ServerId {}, moving to slave for master ha://{master}:6001", me.0)
        }
        LogLine::CheckingConsistency => String::from("Checking store consistency with master"),
        LogLine::CatchingUp(tx) => {
            format!("Catching up with master. I'm at transaction {}", tx.0)
        }
        LogLine::CaughtUp(tx) => format!("Now caught up with master at transaction {}", tx.0),
        LogLine::DamagedStoreSetAside => {
            String::from("The store is damaged: no page of neostore is whole. It is set aside")
        }
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
