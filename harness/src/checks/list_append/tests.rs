use super::super::told::Told;
use super::*;

const APPEND: OperationKind = OperationKind(0);
const READ: OperationKind = OperationKind(1);

fn begun() -> Told<ListAppend> {
    let mut check = ListAppend::new(&crate::testing::plan(), "element");
    check.appends = vec![Some(Appends { wrote: 0, counted: Some(1) }), None];
    check.lists = vec![None, Some(Lists { place: 0, limit: 1_000 })];
    Told::new(check)
}

impl Told<ListAppend> {
    /// The element has the number of its operation.
    fn appends(&mut self, element: u32, counted: i64, outcome: OperationOutcome) {
        self.call(element, APPEND);
        self.report(element, Observation::Wrote, 0, i64::from(element));
        self.report(element, Observation::Read, 1, counted);
        self.end(element, APPEND, outcome);
    }

    /// A read of the newest first.
    fn reads(&mut self, index: u32, values: &[i64]) {
        self.call(index, READ);
        self.read_of(index, values);
    }

    fn read_of(&mut self, index: u32, values: &[i64]) {
        for value in values {
            self.report(index, Observation::Listed, 0, *value);
        }
        self.report(index, Observation::End, 0, 0);
        self.end(index, READ, OperationOutcome::Ok);
    }
}

const OK: OperationOutcome = OperationOutcome::Ok;

#[test]
fn reads_that_agree_on_one_order_are_right() {
    let mut told = begun();
    told.appends(1, 0, OK);
    told.reads(101, &[1]);
    told.call(102, READ);
    told.appends(2, 1, OK);
    told.read_of(102, &[1]);
    told.reads(103, &[2, 1]);
    assert_eq!(told.counts(), (5, 0));
}

#[test]
fn an_append_that_was_read_before_it_was_acknowledged_is_not_looked_for_again() {
    let mut told = begun();
    told.epoch();
    told.call(1, APPEND);
    told.report(1, Observation::Wrote, 0, 1);
    told.report(1, Observation::Read, 1, 0);
    told.reads(101, &[1]);
    told.end(1, APPEND, OK);
    told.reads(102, &[1]);
    told.reads(103, &[1]);
    assert_eq!(told.tally.found, 0, "{}", told.story());
}

#[test]
fn an_acknowledged_append_that_is_not_read_is_told() {
    let mut told = begun();
    told.appends(1, 0, OK);
    told.reads(101, &[]);
    assert_eq!(told.tally.found, 1);
    assert!(told.story().starts_with("`element` 1, appended by"), "{}", told.story());
    let mut told = begun();
    told.appends(1, 0, OK);
    told.reads(101, &[1]);
    told.reads(102, &[]);
    assert_eq!(told.tally.found, 1, "it was there before");
}

#[test]
fn another_order_a_stranger_and_one_too_many_are_told() {
    for (second, what) in [
        (&[1, 2][..], "Earlier reads had `element` 1 where one has 2:"),
        (&[9, 2, 1], "nobody has appended `element` 9 there:"),
        (&[2, 2, 1], "`element` 2 is there twice:"),
    ] {
        let mut told = begun();
        told.appends(1, 0, OK);
        told.appends(2, 1, OK);
        told.reads(101, &[2, 1]);
        told.reads(102, second);
        assert_eq!(told.tally.found, 1, "{second:?}");
        assert!(told.story().starts_with(what), "{}", told.story());
    }
}

#[test]
fn one_that_failed_is_not_there_and_one_that_ended_unknown_may_be() {
    let mut told = begun();
    told.appends(1, 0, OperationOutcome::Unknown);
    told.reads(101, &[]);
    told.reads(102, &[1]);
    assert_eq!(told.tally.found, 0);
    let mut told = begun();
    told.appends(1, 0, OperationOutcome::Failed);
    told.reads(101, &[1]);
    assert!(told.story().contains("although its append"), "{}", told.story());
}

#[test]
fn an_append_that_reports_after_its_client_gave_up_is_known() {
    let mut told = begun();
    told.call(1, APPEND);
    told.end(1, APPEND, OperationOutcome::Unknown);
    told.report(1, Observation::Wrote, 0, 1);
    told.reads(101, &[1]);
    assert_eq!(told.counts(), (1, 0));
}

#[test]
fn two_that_counted_the_same_are_told() {
    let mut told = begun();
    told.appends(1, 0, OK);
    told.appends(2, 0, OK);
    told.reads(101, &[2, 1]);
    assert_eq!(told.counts(), (3, 1));
    let story = told.story();
    assert!(story.contains("counted 0 in the list of node 7"), "{story}");
    assert!(story.contains("stands at place 1, behind"), "{story}");
}

#[test]
fn after_a_failover_a_list_may_have_lost_what_it_held() {
    let mut told = begun();
    told.appends(1, 0, OK);
    told.appends(2, 1, OK);
    told.reads(101, &[2, 1]);
    told.epoch();
    told.reads(102, &[1]);
    told.appends(3, 1, OK);
    told.reads(103, &[3, 1]);
    assert_eq!(told.tally.found, 0, "{}", told.story());
    told.reads(104, &[1]);
    assert_eq!(told.tally.found, 1);
}

#[test]
fn what_an_attempt_appended_before_it_failed_may_be_there_twice() {
    for (may_have_done, found) in [(true, 0), (false, 1)] {
        let mut told = begun();
        told.call(1, APPEND);
        told.report(1, Observation::Wrote, 0, 1);
        told.report(1, Observation::Read, 1, 0);
        told.retried(1, may_have_done);
        told.report(1, Observation::Wrote, 0, 1);
        told.report(1, Observation::Read, 1, 0);
        told.end(1, APPEND, OK);
        told.reads(101, &[1, 1]);
        assert_eq!(told.tally.found, found);
    }
}
