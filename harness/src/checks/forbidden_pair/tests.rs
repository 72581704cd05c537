use super::*;
use wavetank_vocabulary::{
    Epoch, LogMark, Observation, OperationKind, OperationOutcome, Span, Status, Subject,
};

const BEFRIEND: &str = "match a(id = $me); match b(id = $other)";
const CREATES: &str = "create (a)-[:FOLLOWS]->(b)";
const RETIRES: &str = "match u(id = $me); add u:Gone; return u.n";

/// Operations `befriend` and `retire` with these statements, and no others.
fn plan_of(befriend: &[&str], retire: &[&str]) -> Plan {
    let mut plan = crate::testing::plan_with(&format!(
        "[[operation]]\nname = \"befriend\"\nsteps = {befriend:?}\n\
         [[operation]]\nname = \"retire\"\nsteps = {retire:?}\n\
         [[clients]]\nname = \"rest\"\narrivals = {{ poisson = \"1/s\" }}\n\
         workload = \"social\"\nmix = {{ befriend = 1, retire = 1 }}\n"
    ));
    // The other clients' `follow` does not tell whom it follows.
    plan.operations.retain(|program| ["befriend", "retire"].contains(&program.name.as_str()));
    plan
}

/// What the check hears of operations on one node, and what it makes of it.
struct Play {
    plan: Plan,
    check: ForbiddenPair,
    tally: Tally,
    clock: Time,
}

impl Play {
    fn of(plan: Plan) -> Play {
        let by = Forbidden::Label("Gone".into());
        let check = ForbiddenPair::new(&plan, "FOLLOWS", &by, |_| 0);
        Play { plan, check, tally: Tally::default(), clock: Time::ZERO }
    }

    fn tell(&mut self, fact: Fact) {
        self.clock += Span::from_secs(1);
        self.check.observe(self.clock, &fact, &mut self.tally);
    }

    fn kind(&self, name: &str) -> OperationKind {
        let place = self.plan.operations.iter().position(|program| program.name == name);
        OperationKind(place.expect("it is there") as u16)
    }

    fn begins(&mut self, number: u32, name: &str) {
        let kind = self.kind(name);
        self.tell(Fact::Invoked { operation: operation(number), kind });
    }

    fn reports(&mut self, number: u32, attempt: u16, found: u32) {
        self.tell(Fact::Observed {
            operation: operation(number),
            attempt,
            instance: InstanceId(1),
            what: Observation::Read,
            place: 0,
            index: found,
            node: NodeId(7),
            value: None,
        });
    }

    fn commits(&mut self, number: u32, tx: u64) {
        let (instance, operation) = (InstanceId(1), Some(operation(number)));
        self.tell(Fact::Committed { instance, log: mark(tx), operation });
    }

    fn ends(&mut self, number: u32, name: &str, attempts: u16, tx: u64) {
        self.tell(Fact::Completed {
            operation: operation(number),
            kind: self.kind(name),
            outcome: OperationOutcome::Ok,
            status: Status::Ok,
            attempts,
            instance: Some(InstanceId(1)),
            tx: TxId(tx),
            subject: Subject::Nothing,
            intended: Time::ZERO,
        });
    }

    /// One of one transaction.
    fn whole(&mut self, number: u32, name: &str, tx: u64) {
        self.begins(number, name);
        self.reports(number, 1, 0);
        self.commits(number, tx);
        self.ends(number, name, 1, tx);
    }

    fn counts(&self) -> (u64, u64) {
        (self.tally.looked, self.tally.found)
    }

    fn undecided(&self) -> Option<String> {
        let mut tally = self.tally.clone();
        self.check.close(&mut tally);
        tally.undecided
    }
}

fn operation(index: u32) -> OperationId {
    OperationId { index, ..OperationId::default() }
}

fn mark(tx: u64) -> LogMark {
    LogMark { tx: TxId(tx), checksum: tx }
}

#[test]
fn a_merge_that_found_its_relationship_has_led_nobody_there() {
    let merges = format!("{BEFRIEND}; merge (a)-[:FOLLOWS]->(b); set a.n = $fresh; return b.n");
    let plan = plan_of(&[&merges], &[RETIRES]);
    let befriend = plan.operations.iter().find(|program| program.name == "befriend");
    let tells = befriend.expect("it is there").tells_led("FOLLOWS");
    assert!(tells.always);
    let [(0, bits)] = tells.places[..] else { panic!("{tells:?}") };
    assert!(bits.is_power_of_two());
    for (found, broken) in [(bits, 0), (0, 1), (!bits, 1)] {
        let mut play = Play::of(plan.clone());
        play.whole(1, "retire", 11);
        play.begins(2, "befriend");
        play.reports(2, 1, found);
        play.ends(2, "befriend", 1, 12);
        assert_eq!(play.counts(), (broken, broken), "{found:b} of {bits:b}");
    }
}

#[test]
fn what_one_of_several_transactions_did_is_that_ones() {
    let creates = format!("{BEFRIEND}; {CREATES}; return b.n");
    let (twice, later) = ([&*creates, "commit", "set a.n = 1"], [RETIRES, "commit", "set u.n = 1"]);
    // It led there before the label was given, and ended after that.
    let mut play = Play::of(plan_of(&twice, &[RETIRES]));
    play.begins(1, "befriend");
    play.reports(1, 1, 0);
    play.commits(1, 11);
    play.whole(2, "retire", 12);
    play.commits(1, 13);
    play.ends(1, "befriend", 1, 13);
    assert_eq!((play.counts(), play.undecided()), ((1, 0), None));
    // The label was there before it led there, and its operation ended after that.
    let mut play = Play::of(plan_of(&[&creates], &later));
    play.begins(1, "retire");
    play.reports(1, 1, 0);
    play.commits(1, 11);
    play.whole(2, "befriend", 12);
    play.commits(1, 13);
    play.ends(1, "retire", 1, 13);
    assert_eq!(play.counts(), (1, 1));
    let (story, _) = play.tally.first.expect("a story");
    assert!(story.contains("by c0#1 (transaction 11,"), "{story}");
}

#[test]
fn what_an_earlier_attempt_committed_counts() {
    let creates = format!("{BEFRIEND}; {CREATES}; return b.n");
    for (first, found) in [(true, 1), (false, 0)] {
        let plan = plan_of(&[&creates], &[RETIRES, "commit", "set u.n = 1"]);
        let mut play = Play::of(plan);
        play.begins(1, "retire");
        play.reports(1, 1, 0);
        if first {
            play.commits(1, 11);
        }
        let (operation, status) = (operation(1), Status::DeadlockDetected);
        play.tell(Fact::Retried { operation, status, attempt: 2, may_have_done: first });
        play.whole(2, "befriend", 12);
        play.reports(1, 2, 0);
        play.commits(1, 13);
        play.commits(1, 14);
        play.ends(1, "retire", 2, 14);
        assert_eq!((play.counts(), play.undecided()), ((1, found), None));
    }
}

#[test]
fn another_attempt_beside_it_makes_one_of_several_transactions_undecided() {
    let creates = format!("{BEFRIEND}; {CREATES}; return b.n");
    let twice = [&*creates, "commit", "set a.n = 1"];
    for (status, known) in [(Status::DeadlockDetected, true), (Status::ClientTimeout, false)] {
        for (statements, decided) in [(&twice[..1], true), (&twice[..], known)] {
            let mut play = Play::of(plan_of(statements, &[RETIRES]));
            play.begins(1, "befriend");
            play.reports(1, 1, 0);
            let operation = operation(1);
            play.tell(Fact::Retried { operation, status, attempt: 2, may_have_done: true });
            play.reports(1, 2, 0);
            play.commits(1, 12);
            play.ends(1, "befriend", 2, 12);
            let why = play.undecided();
            assert_eq!(why.is_none(), decided, "{status:?}: {why:?}");
            assert_eq!(play.tally.looked, u64::from(decided), "{status:?}");
        }
    }
}

#[test]
fn the_first_label_counts_whoever_is_told_of_first() {
    let creates = format!("{BEFRIEND}; {CREATES}; return b.n");
    let mut play = Play::of(plan_of(&[&creates], &[RETIRES]));
    play.whole(1, "retire", 14);
    play.whole(2, "befriend", 12);
    assert_eq!(play.counts(), (1, 0));
    play.whole(3, "retire", 11);
    assert_eq!(play.counts(), (1, 1));
    // Another label before or after that is no further find.
    play.whole(4, "retire", 11);
    play.whole(5, "retire", 10);
    assert_eq!(play.counts(), (1, 1));
    // Nor does a later one hide the first.
    play.whole(6, "befriend", 13);
    assert_eq!(play.counts(), (2, 2));
}

#[test]
fn what_went_with_a_failover_leads_nowhere() {
    let creates = format!("{BEFRIEND}; {CREATES}; return b.n");
    let mut play = Play::of(plan_of(&[&creates, "commit", "set a.n = 1"], &[RETIRES]));
    play.whole(1, "retire", 11);
    play.begins(2, "befriend");
    play.reports(2, 1, 0);
    play.commits(2, 13);
    play.tell(Fact::EpochBegan { instance: InstanceId(2), epoch: Epoch(1), log: mark(12) });
    // The old master goes on.
    play.reports(2, 1, 0);
    play.commits(2, 13);
    play.ends(2, "befriend", 1, 13);
    assert_eq!(play.counts(), (0, 0));
}

#[test]
fn nothing_is_held_of_what_is_not_told() {
    let silent = |befriend: &[&str], retire: &[&str]| {
        let befriend: Vec<String> = befriend.iter().map(|it| format!("{BEFRIEND}; {it}")).collect();
        let befriend: Vec<&str> = befriend.iter().map(String::as_str).collect();
        Play::of(plan_of(&befriend, retire)).undecided()
    };
    let always = format!("done if b:Gone; {CREATES}; set a.n = 1; return b.n");
    assert_eq!(silent(&[&always], &[RETIRES]), None);
    assert_eq!(silent(&[&format!("return b.n; {CREATES}")], &[RETIRES]), None);
    for creates in [
        CREATES.to_owned(),
        format!("{CREATES}; return a.n"),
        format!("if b:User then {CREATES}; return b.n"),
        format!("{CREATES}; if b:User then return b.n"),
        format!("{CREATES}; done if b:User; return b.n"),
        format!("return b.n; done if b:User; {CREATES}"),
        "return b.n; merge (a)-[:FOLLOWS]->(b)".to_owned(),
    ] {
        assert_eq!(
            silent(&[&creates], &[RETIRES]).as_deref(),
            Some(
                "`befriend` creates relationships `FOLLOWS` and does not report where they lead, \
                 in the same transaction and under the same tests."
            ),
            "{creates}"
        );
    }
    for retires in [
        &["match u(id = $me); add u:Gone"][..],
        &["match u(id = $me); add u:Gone", "commit", "return u.n"],
        &["match u(id = $me); if u:User then add u:Gone; return u.n"],
        &["create u:Gone(n = 1)"],
    ] {
        let why = silent(&[&always], retires).unwrap_or_default();
        assert!(why.starts_with("`retire` gives the label `Gone`"), "{retires:?}: {why}");
    }
}

#[test]
fn who_created_the_two_is_told() {
    let plan = crate::testing::plan();
    let by = Forbidden::Type("BLOCKS".into());
    let place = |name: &str| u8::from(name == "BLOCKS");
    let (mut check, mut tally) =
        (ForbiddenPair::new(&plan, "FOLLOWS", &by, place), Tally::default());
    let follow = plan.operations.iter().position(|program| program.name == "follow");
    let operation = |index| OperationId { index, ..OperationId::default() };
    for (index, tx) in [(1, 11), (2, 12)] {
        let ended = Fact::Completed {
            operation: operation(index),
            kind: OperationKind(follow.expect("it is there") as u16),
            outcome: OperationOutcome::Ok,
            status: Status::Ok,
            attempts: 1,
            instance: Some(InstanceId(3)),
            tx: TxId(tx),
            subject: Subject::Created,
            intended: Time::ZERO,
        };
        check.observe(Time::ZERO + Span::from_secs(tx), &ended, &mut tally);
    }
    let (from, to) = (NodeId(5), NodeId(6));
    let first = Fact::FinalRelationship { kind: 0, from, to, operation: Some(operation(1)) };
    let second = |operation| Fact::FinalRelationship { kind: 1, from: to, to: from, operation };
    check.observe(Time::ZERO, &first, &mut tally);
    for (by, ends) in [
        (Some(operation(2)), "c0#2 (from 0.000s to 12.000s, instance 3, transaction 12)."),
        (Some(operation(4)), "the second was created by c0#4."),
        (None, "the second was there at the start or does not say by whom."),
    ] {
        check.observe(Time::ZERO, &second(by), &mut tally);
        let mut tally = Tally::default();
        check.close(&mut tally);
        assert_eq!((tally.looked, tally.found), (1, 1));
        let (story, _) = tally.first.expect("a story");
        assert!(
            story.contains("by c0#1 (from 0.000s to 11.000s, instance 3, transaction 11)"),
            "{story}"
        );
        assert!(story.ends_with(ends), "{story}");
    }
}
