use super::*;
use crate::checks::told::Told;
use wavetank_vocabulary::Observation::{Read, Wrote};

const READ_AT: u8 = 0;
const WRITTEN_AT: u8 = 1;
const ADDED_AT: u8 = 2;
const TAKEN_AT: u8 = 3;
const KIND: OperationKind = OperationKind(0);

fn begun() -> Told<Linearizable> {
    let mut plan = crate::testing::plan();
    plan.graph.properties = vec![("register".into(), 0)];
    let mut check = Linearizable::new(&plan, "register");
    let place = |number, wrote, adds| Place { number, wrote, adds };
    check.several = vec![false];
    check.places = vec![vec![
        place(READ_AT, false, None),
        place(WRITTEN_AT, true, None),
        place(ADDED_AT, true, Some(1)),
        place(TAKEN_AT, true, Some(-1)),
    ]];
    Told::new(check)
}

impl Told<Linearizable> {
    fn calls(&mut self, index: u32) {
        self.call(index, KIND);
    }

    fn wrote(&mut self, index: u32, value: i64) {
        self.report(index, Wrote, WRITTEN_AT, value);
    }

    fn ends(&mut self, index: u32, outcome: OperationOutcome) {
        self.end(index, KIND, outcome);
    }

    fn whole(&mut self, index: u32, wrote: bool, value: i64) {
        self.calls(index);
        match wrote {
            true => self.wrote(index, value),
            false => self.report(index, Read, READ_AT, value),
        }
        self.ends(index, OperationOutcome::Ok);
    }
}

#[test]
fn a_read_of_what_was_overwritten_is_told() {
    let mut told = begun();
    told.whole(1, true, 5);
    told.whole(2, true, 6);
    told.whole(3, false, 6);
    assert_eq!(told.counts(), (3, 0));
    told.whole(4, false, 5);
    assert_eq!(told.tally.found, 1);
    let story = told.story();
    assert!(story.contains("read 5 in `register` of node 7 at instance 1"), "{story}");
    assert!(story.ends_with("before it there could be 6."), "{story}");
}

#[test]
fn what_an_operation_did_to_two_nodes_is_two_things() {
    let mut told = begun();
    told.calls(1);
    told.wrote(1, 5);
    told.report_of(1, Wrote, WRITTEN_AT, (8, 6));
    told.ends(1, OperationOutcome::Ok);
    told.whole(2, false, 5);
    told.calls(3);
    told.report_of(3, Read, READ_AT, (8, 6));
    told.ends(3, OperationOutcome::Ok);
    assert_eq!(told.counts(), (4, 0));
    told.whole(4, false, 6);
    assert_eq!(told.tally.found, 1, "that is the other's");
}

#[test]
fn two_that_add_to_the_same_number_are_told() {
    let mut told = begun();
    for index in 1..=2 {
        told.calls(index);
        told.report(index, Wrote, ADDED_AT, 5);
    }
    told.whole(3, true, 4);
    told.ends(1, OperationOutcome::Ok);
    told.ends(2, OperationOutcome::Ok);
    assert_eq!(told.counts(), (3, 1));
    let story = told.story();
    assert!(story.contains("found 4 and wrote 5 in `register` of node 7"), "{story}");
}

#[test]
fn what_is_read_after_ones_own_write_is_not_what_it_found() {
    let mut told = begun();
    told.whole(1, true, 4);
    told.calls(2);
    told.report(2, Wrote, WRITTEN_AT, 5);
    told.report(2, Read, READ_AT, 5);
    told.ends(2, OperationOutcome::Ok);
    assert_eq!(told.counts(), (2, 0));
}

#[test]
fn what_adds_to_a_node_twice_wrote_it_somehow() {
    let mut told = begun();
    told.calls(1);
    told.report(1, Wrote, ADDED_AT, 5);
    told.report(1, Wrote, ADDED_AT, 5);
    told.ends(1, OperationOutcome::Ok);
    assert_eq!(told.counts(), (1, 0));
}

#[test]
fn nothing_counts_as_0_to_what_adds() {
    let mut told = begun();
    for (index, value) in [(1, 1), (2, 2)] {
        told.calls(index);
        told.report_of(index, Wrote, ADDED_AT, (1 << 40, value));
        told.ends(index, OperationOutcome::Ok);
    }
    told.whole(3, false, 0);
    assert_eq!(told.counts(), (2, 0), "of a new node the first is only learned from");
}

#[test]
fn many_that_add_one_after_the_other_are_judged() {
    let mut told = begun();
    let mut register = 0;
    // All are called first, and three have committed and are not yet answered.
    for number in 0..6_000 {
        if number % 60 == 0 {
            (number..number + 60).for_each(|number| told.calls(number));
        }
        let by = if number % 4 == 0 { -1 } else { 1 };
        register += by;
        told.report(number, Wrote, if by < 0 { TAKEN_AT } else { ADDED_AT }, register);
        if number >= 3 {
            told.ends(number - 3, OperationOutcome::Ok);
        }
    }
    (5_997..6_000).for_each(|number| told.ends(number, OperationOutcome::Ok));
    assert_eq!((told.counts(), told.tally.undecided.take()), ((6_000, 0), None));
}

#[test]
fn a_write_happens_after_it_was_reported() {
    for (several, found) in [(false, 1), (true, 0)] {
        let mut told = begun();
        told.check.several = vec![several];
        told.calls(1);
        told.whole(2, true, 6);
        told.wrote(1, 5);
        told.whole(3, false, 6);
        told.ends(1, OperationOutcome::Ok);
        told.whole(4, false, 6);
        assert_eq!(told.counts(), (4, found), "{several}");
    }
}

#[test]
fn a_new_node_begins_with_what_it_is_first_seen_to_have() {
    let mut told = begun();
    for (index, value) in [(1, 9), (2, 9), (3, 0)] {
        told.calls(index);
        told.report_of(index, Read, READ_AT, (1 << 40, value));
        told.ends(index, OperationOutcome::Ok);
    }
    assert_eq!(told.counts(), (2, 1));
}

#[test]
fn nothing_is_said_where_somebody_writes_unseen() {
    let mut plan = crate::testing::plan();
    let mut known = wavetank_scenario::OPERATIONS.iter();
    let program = known.find(|known| known.program.name == "status").expect("the library has it");
    plan.operations = vec![program.program.clone()];
    let check = Linearizable::new(&plan, "last_write");
    let mut tally = Tally::default();
    check.close(&mut tally);
    let why = tally.undecided.expect("a reason");
    assert!(why.ends_with("writes `last_write` and does not report what it wrote."), "{why}");
}

#[test]
fn what_is_under_way_may_have_happened_or_not() {
    let mut told = begun();
    told.calls(1);
    told.wrote(1, 5);
    told.whole(2, false, 0);
    told.whole(3, false, 5);
    told.ends(1, OperationOutcome::Ok);
    assert_eq!(told.counts(), (3, 0));
}

#[test]
fn an_unknown_write_explains_what_is_read_later() {
    let mut told = begun();
    told.calls(1);
    told.wrote(1, 5);
    told.ends(1, OperationOutcome::Unknown);
    told.whole(2, false, 0);
    told.whole(3, false, 5);
    told.whole(4, false, 0);
    assert_eq!(told.counts(), (3, 1), "it does not go away again");
}

#[test]
fn a_write_that_reports_after_its_client_gave_up_explains_the_first_read() {
    let mut told = begun();
    told.calls(1);
    told.ends(1, OperationOutcome::Unknown);
    told.wrote(1, 5);
    told.whole(2, false, 5);
    assert_eq!(told.counts(), (1, 0));
}

#[test]
fn after_a_failover_a_register_may_have_lost_what_it_held() {
    let mut told = begun();
    told.whole(1, true, 5);
    told.epoch();
    told.whole(2, false, 0);
    told.whole(3, false, 0);
    assert_eq!(told.counts(), (2, 0));
    told.whole(4, false, 5);
    assert_eq!(told.tally.found, 1);
}

#[test]
fn what_an_attempt_committed_before_it_failed_may_be_read() {
    for (may_have_done, found) in [(true, 0), (false, 1)] {
        let mut told = begun();
        told.check.several = vec![true];
        told.calls(1);
        told.report(1, Wrote, ADDED_AT, 1);
        told.retried(1, may_have_done);
        told.report(1, Wrote, ADDED_AT, 2);
        told.ends(1, OperationOutcome::Ok);
        told.whole(2, false, 2);
        assert_eq!(told.tally.found, found);
    }
}
