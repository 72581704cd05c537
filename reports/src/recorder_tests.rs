//! The recorder against small streams of facts whose numbers are known.

use wavetank_vocabulary::Status;

use super::*;
use crate::synthetic::{self, Facts};

fn ms(n: u64) -> Span {
    Span::from_millis(n)
}

fn at(millis: u64) -> Time {
    Time::ZERO + ms(millis)
}

const READ: OperationKind = OperationKind(0);
const WRITE: OperationKind = OperationKind(1);

/// A Plan of 60 s with 10 s of warm-up, three instances, clients `app` and `batch`.
fn recorded(tell: impl FnOnce(&mut Facts)) -> Recorder {
    let mut facts = Facts::default();
    tell(&mut facts);
    facts.play(Recorder::new(&synthetic::plan(60)))
}

#[test]
fn operations_are_counted_when_due_in_the_measured_window() {
    let recorder = recorded(|facts| {
        // Due in the warm-up, ended in the window: left out.
        facts.operation((0, READ), at(9_999), ms(50), (Status::Ok, 1));
        // Due at the first moment, and the last: counted.
        facts.operation((0, READ), at(10_000), ms(5), (Status::Ok, 1));
        let reset = Status::ConnectionReset;
        facts.operation((0, WRITE), at(20_000), ms(7), (reset, 3));
        facts.operation((1, WRITE), at(30_000), ms(9), (Status::NoMaster, 2));
        facts.operation((0, READ), at(59_999), ms(5), (Status::Ok, 1));
        // Due when the clients have stopped: left out.
        facts.operation((0, READ), at(60_000), ms(5), (Status::Ok, 1));
        // Due in the window, still open.
        facts.invoked(0, READ, at(59_999));
    });
    let counts = |stats: &OperationStats| {
        (stats.offered, stats.ok, stats.failed, stats.unknown, stats.retries, stats.open())
    };
    assert_eq!(counts(recorder.all()), (5, 2, 1, 1, 3, 1));
    assert_eq!(recorder.client(0).map(counts), Some((4, 2, 0, 1, 2, 1)));
    assert_eq!(recorder.operation(0, READ).map(counts), Some((3, 2, 0, 0, 0, 1)));
    assert_eq!(recorder.operation(1, WRITE).map(counts), Some((1, 0, 1, 0, 1, 0)));
    assert!(recorder.operation(1, READ).is_none());
    assert_eq!(recorder.all().longest(), Some(ms(5)));
}

#[test]
fn percentiles_agree_with_an_exact_sort_to_three_digits() {
    let mut exact = Vec::new();
    let recorder = recorded(|facts| {
        for i in 0..20_000u64 {
            let micros = 200 + (i * 7_919) % 1_009 * ((i % 50) + 1);
            exact.push(micros);
            let due = at(10_000) + Span::from_micros(i * 2_000);
            let latency = Span::from_micros(micros);
            facts.operation((0, READ), due, latency, (Status::Ok, 1));
        }
    });
    exact.sort_unstable();
    for (thousandths, rank) in
        [(50_000, 10_000), (90_000, 18_000), (99_000, 19_800), (99_900, 19_980)]
    {
        let want = exact[rank - 1] as f64 * 1e3;
        let got = recorder.all().percentile(thousandths).map_or(0.0, |p| p.as_nanos() as f64);
        assert!((got / want - 1.0).abs() < 1e-3, "{thousandths}: {got} is not {want}");
    }
    assert_eq!(recorder.all().longest(), exact.last().map(|&us| Span::from_micros(us)));
}

#[test]
fn buckets_hold_what_ended_in_them() {
    let recorder = recorded(|facts| {
        facts.operation((0, READ), at(900), ms(50), (Status::Ok, 1));
        facts.operation((0, READ), at(990), ms(50), (Status::Ok, 1));
        let refused = Status::ConnectionRefused;
        facts.operation((0, READ), at(1_100), ms(50), (refused, 1));
        facts.operation((0, READ), at(3_100), ms(50), (Status::Ok, 1));
    });
    let series = recorder.series();
    let ended: Vec<_> = series.buckets().iter().map(|b| (b.ok, b.failed)).collect();
    assert_eq!(ended, [(1, 0), (1, 1), (0, 0), (1, 0)]);
    let slot = Status::ALL.iter().position(|&s| s == Status::ConnectionRefused);
    let errors = &series.buckets()[1].errors;
    assert_eq!(slot.map(|slot| errors[slot]), Some(1));
    assert_eq!(errors.iter().sum::<u64>(), 1);
}

#[test]
fn hit_rate_is_of_the_interval_and_survives_a_restart() {
    let one = InstanceId(1);
    let recorder = recorded(|facts| {
        facts.role(at(0), one, Role::Slave, 1);
        let mut pages = |millis, hits, faults| {
            facts.sample(at(millis), one, Metric::PageCacheHits, hits);
            facts.sample(at(millis), one, Metric::PageCacheFaults, faults);
        };
        pages(1_000, 80, 20);
        pages(2_000, 180, 20);
        facts.role(at(2_500), one, Role::Down, 1);
        // A reading while nothing runs means nothing.
        facts.sample(at(3_000), one, Metric::PageCacheHits, 999);
        facts.role(at(4_500), one, Role::Starting, 1);
        let mut pages = |millis, hits, faults| {
            facts.sample(at(millis), one, Metric::PageCacheHits, hits);
            facts.sample(at(millis), one, Metric::PageCacheFaults, faults);
        };
        // More than before the restart, so that only the role tells.
        pages(5_000, 200, 200);
    });
    let series = recorder.series();
    let rates: Vec<_> =
        series.buckets().iter().map(|bucket| bucket.instances[0].hit_rate()).collect();
    assert_eq!(rates, [None, Some(0.8), Some(1.0), None, None, Some(0.5)]);
    let stats = &recorder.instances()[0];
    assert_eq!((stats.hits, stats.faults), (380, 220));
}

#[test]
fn lag_is_measured_against_the_longest_log_and_not_while_down() {
    let recorder = recorded(|facts| {
        for (id, role) in [(1, Role::Master), (2, Role::Slave), (3, Role::Down)] {
            facts.role(at(0), InstanceId(id), role, 1);
        }
        for (id, tx) in [(1, 120), (2, 100), (3, 7)] {
            facts.sample(at(1_000), InstanceId(id), Metric::LastCommittedTx, tx);
        }
    });
    let series = recorder.series();
    let lags: Vec<_> = series.buckets()[1].instances.iter().map(|i| i.lag).collect();
    assert_eq!(lags, [Some(0), Some(20), None]);
}

#[test]
fn utilisation_is_growth_over_the_time_between_samples() {
    let one = InstanceId(1);
    let recorder = recorded(|facts| {
        let second = 1_000_000_000;
        for (millis, disk, core) in [(1_000, second / 2, second), (2_000, second, 4 * second)] {
            facts.sample(at(millis), one, Metric::DiskBusy, disk);
            facts.sample(at(millis), one, Metric::CoreBusy, core);
            facts.sample(at(millis), one, Metric::DiskQueue, millis);
        }
    });
    let series = recorder.series();
    let bucket = |index: usize| series.buckets()[index].instances[0];
    assert_eq!(bucket(1).disk_utilisation(), Some(0.5));
    assert_eq!(bucket(1).core_utilisation(4), Some(0.25));
    assert_eq!(bucket(2).core_utilisation(4), Some(0.75));
    assert_eq!(bucket(2).disk_queue, Some(2_000));
    assert_eq!(bucket(0).disk_utilisation(), None);
}

#[test]
fn roles_and_faults_keep_their_times() {
    let two = InstanceId(2);
    let fault = FaultId(3);
    let kind = FaultKind::Crash;
    let recorder = recorded(|facts| {
        facts.role(at(100), two, Role::Slave, 1);
        facts.tell(at(5_000), Fact::FaultBegan { fault, kind, on: two, peer: None });
        facts.role(at(5_000), two, Role::Down, 9);
        facts.tell(at(8_000), Fact::FaultEnded { fault, kind, on: two, peer: None });
        facts.tell(at(9_000), Fact::FaultBegan { fault, kind, on: two, peer: None });
        facts.tell(at(9_500), Fact::FaultSkipped { fault: FaultId(4), kind });
    });
    let stats = &recorder.instances()[1];
    let bands = [(at(0), Role::Down), (at(100), Role::Slave), (at(5_000), Role::Down)];
    assert_eq!(stats.roles, bands);
    assert_eq!((stats.role_changes, stats.last_tx), (2, 9));
    let spans: Vec<_> = recorder.faults().iter().map(|span| (span.began, span.ended)).collect();
    assert_eq!(spans, [(at(5_000), Some(at(8_000))), (at(9_000), None)]);
    assert_eq!(recorder.missed_faults(), [FaultMiss { fault: FaultId(4), kind, at: at(9_500) }]);
    let roles: Vec<_> =
        recorder.series().buckets().iter().map(|bucket| bucket.instances[1].role).collect();
    assert_eq!(roles[..4], [Role::Slave; 4]);
    assert_eq!(roles[5..], [Role::Down; 5]);
}

#[test]
fn events_keep_the_first_and_the_last() {
    let recorder = recorded(|facts| {
        for i in 0..2_500 {
            let (by, whom) = (InstanceId(1), InstanceId(2));
            facts.tell(at(i), Fact::Suspected { by, whom });
        }
    });
    let kept: Vec<_> = recorder.events().map(|event| event.seq).collect();
    assert_eq!(kept.len(), 2_000);
    assert_eq!((kept[0], kept[999], kept[1_000], kept[1_999]), (0, 999, 1_500, 2_499));
    assert_eq!(recorder.events_left_out(), 500);
}

#[test]
fn facts_about_unknown_things_are_left_aside() {
    let recorder = recorded(|facts| {
        facts.operation((9, READ), at(20_000), ms(1), (Status::Ok, 1));
        facts.operation((0, OperationKind(99)), at(20_000), ms(1), (Status::Ok, 1));
        facts.role(at(21_000), InstanceId(0), Role::Master, 5);
        facts.sample(at(21_000), InstanceId(77), Metric::LastCommittedTx, 5);
    });
    assert_eq!(recorder.all().offered, 0);
    assert!(recorder.instances().iter().all(|instance| instance.role_changes == 0));
}
