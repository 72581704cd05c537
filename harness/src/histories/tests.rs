//! The judges against models that are too simple to be wrong, and bad texts.

use proptest::prelude::*;

use super::linearizable::{Linearizer, Op, Step};
use super::{Model, Options, Verdict, judge};

/// An operation, its call and its return; without a return nobody knows whether it happened.
type Timed = (Op, usize, Option<usize>);

/// Tries every order.
fn by_force(ops: &[Timed], done: u32, state: u64) -> bool {
    let open = |n: usize| done & (1 << n) == 0;
    let Some(deadline) = (0..ops.len()).filter(|n| open(*n)).filter_map(|n| ops[n].2).min() else {
        return true;
    };
    (0..ops.len()).filter(|n| open(*n) && ops[*n].1 < deadline).any(|n| {
        let next = match ops[n].0 {
            Op::Read(v) => (v == state).then_some(state),
            Op::Write(v) => Some(v),
            Op::Cas(a, b) => (a == state).then_some(b),
            Op::CasMiss(a) => (a != state).then_some(state),
        };
        next.is_some_and(|next| by_force(ops, done | 1 << n, next))
    })
}

fn by_search(ops: &[Timed]) -> Step {
    let mut moments: Vec<(usize, bool, usize)> = Vec::new();
    for (n, (_, call, ret)) in ops.iter().enumerate() {
        moments.push((*call, false, n));
        moments.extend(ret.map(|at| (at, true, n)));
    }
    moments.sort_unstable();
    let mut search = Linearizer::new(0, 1_000_000);
    let mut tickets = vec![0; ops.len()];
    for (_, returns, n) in moments {
        if returns {
            match search.returned(tickets[n]) {
                Step::Explained => {}
                other => return other,
            }
        } else if ops[n].2.is_some() {
            tickets[n] = search.call(ops[n].0);
        } else {
            search.call_open(ops[n].0);
        }
    }
    Step::Explained
}

/// Operations with made-up results, times all different.
fn made_up(most: usize) -> impl Strategy<Value = Vec<Timed>> {
    let op = prop_oneof![
        (0u64..3).prop_map(Op::Read),
        (0u64..3).prop_map(Op::Write),
        (0u64..3, 0u64..3).prop_map(|(a, b)| Op::Cas(a, b)),
        (0u64..3).prop_map(Op::CasMiss),
    ];
    prop::collection::vec((op, 0usize..20, 1usize..8, 0u8..6), 1..most).prop_map(|list| {
        let unique = |at: usize, n: usize, ret: usize| (at * 16 + n) * 2 + ret;
        list.into_iter()
            .enumerate()
            .map(|(n, (op, call, lasts, fate))| {
                let ret = (fate > 0).then(|| unique(call + lasts, n, 1));
                (op, unique(call, n, 0), ret)
            })
            .collect()
    })
}

/// What a register answered to operations that happen one after the other, each at a moment of
/// its own, with calls before and returns after.
fn answered(most: usize) -> impl Strategy<Value = Vec<Timed>> {
    prop::collection::vec((0u8..3, 0u64..4, 0u64..4, 1usize..40, 1usize..40, 0u8..8), 1..most)
        .prop_map(|list| {
            let mut state = 0;
            let mut ops = Vec::new();
            for (n, (f, a, b, before, after, fate)) in list.into_iter().enumerate() {
                let moment = 1_000 + n * 10;
                let op = match f {
                    0 => Op::Read(state),
                    1 => Op::Write(a),
                    _ if state == a => Op::Cas(a, b),
                    _ => Op::CasMiss(a),
                };
                match op {
                    Op::Write(v) | Op::Cas(_, v) => state = v,
                    Op::Read(_) | Op::CasMiss(_) => {}
                }
                // A read of an unknown outcome tells nothing; others may stay open for ever.
                let ret = (fate > 0).then_some((moment + after) * 64 + n * 2 + 1);
                if ret.is_some() || matches!(op, Op::Write(_) | Op::Cas(..)) {
                    ops.push((op, (moment - before) * 64 + n * 2, ret));
                }
            }
            ops
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_search_judges_as_trying_every_order_does(ops in made_up(9)) {
        let expected = if by_force(&ops, 0, 0) { Step::Explained } else { Step::Impossible };
        prop_assert_eq!(by_search(&ops), expected, "{:?}", ops);
    }

    #[test]
    fn one_wrong_answer_is_judged_as_by_trying(
        ops in answered(9), which in 0usize..9, value in 0u64..4,
    ) {
        let mut ops = ops;
        let count = ops.len().max(1);
        if let Some(op) = ops.get_mut(which % count) {
            op.0 = match op.0 {
                Op::Read(_) => Op::Read(value),
                Op::Cas(_, to) => Op::Cas(value, to),
                other => other,
            };
        }
        let expected = if by_force(&ops, 0, 0) { Step::Explained } else { Step::Impossible };
        prop_assert_eq!(by_search(&ops), expected, "{:?}", ops);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_a_register_answered_is_accepted(ops in answered(200)) {
        prop_assert_eq!(by_search(&ops), Step::Explained);
    }
}

fn judged(model: Model, text: &str) -> Result<(Verdict, String), String> {
    judged_from(model, text, None)
}

fn judged_from(
    model: Model,
    text: &str,
    initial: Option<&str>,
) -> Result<(Verdict, String), String> {
    let options = Options { model, budget: 100_000, initial: initial.map(str::to_owned) };
    let (_, judged) = judge("t", text, &options).map_err(|error| error.to_string())?;
    let stories: Vec<&str> =
        judged.iter().flat_map(|one| &one.findings).map(|f| f.story.as_str()).collect();
    Ok((judged[0].verdict, stories.concat()))
}

#[test]
fn a_violation_tells_who_read_what_after_whom() {
    let log = "INFO  jepsen.util - 0\t:invoke\t:write\t1\nINFO  jepsen.util - 0\t:ok\t:write\t1\n\
               INFO  jepsen.util - 1\t:invoke\t:read\tnil\nINFO  jepsen.util - 1\t:ok\t:read\tnil\n";
    let (verdict, story) = judged(Model::Register, log).unwrap();
    assert_eq!(verdict, Verdict::Violated);
    assert_eq!(
        story,
        "Nothing explains read nil of process 1 (lines 3 to 4), though the 1 operations that \
         ended before can be put in order.\nBefore it the register could hold: 1."
    );
    let session = "w(5,1,0,0)\nr(5,1,1,0)\nr(5,0,0,1)\n";
    let (verdict, story) = judged(Model::Session, session).unwrap();
    assert_eq!(verdict, Verdict::Violated);
    assert_eq!(
        story,
        "session 0 wrote 1 of key 5 (line 1, transaction 0); later session 0 read 0 of key 5 \
         (line 3, transaction 1), the initial value."
    );
    let back = "w(5,1,0,0)\nw(5,2,0,1)\nr(5,2,1,0)\nr(5,1,1,1)\n";
    assert_eq!(judged(Model::Session, back).unwrap().0, Verdict::Violated);
    let circle = "w(1,1,0,0)\nr(1,1,1,0)\nw(2,1,1,1)\nr(2,1,2,0)\nr(1,0,2,1)\n";
    assert_eq!(judged(Model::Session, circle).unwrap().0, Verdict::Held);
    assert_eq!(judged(Model::Causal, circle).unwrap().0, Verdict::Violated);
}

#[test]
fn a_session_that_reads_one_value_another_and_the_first_again_went_back() {
    let (one, other) = ("w(1,5,9,9)\nw(1,6,8,8)\n", "r(1,5,1,1)\nr(1,6,1,2)\n");
    let flaps = format!("{one}{other}r(1,5,1,3)\n");
    let (verdict, story) = judged(Model::Session, &flaps).unwrap();
    assert_eq!(verdict, Verdict::Violated);
    assert_eq!(
        story,
        "session 1 read 5 of key 1 (line 3, transaction 1); then session 1 read 6 of key 1 (line 4, \
         transaction 2); and session 1 read 5 of key 1 (line 5, transaction 3)."
    );
    assert_eq!(judged(Model::Causal, &flaps).unwrap().0, Verdict::Violated);
    // Neither another session, nor another key, nor reading the last one again is going back.
    for forwards in ["r(1,6,1,3)", "r(1,5,2,1)", "w(2,7,9,10)\nr(2,7,1,3)\nr(1,6,1,4)"] {
        let text = format!("{one}{other}{forwards}\n");
        assert_eq!(judged(Model::Session, &text).unwrap().0, Verdict::Held, "{forwards}");
        assert_eq!(judged(Model::Causal, &text).unwrap().0, Verdict::Held, "{forwards}");
    }
}

#[test]
fn a_value_that_nobody_wrote_is_a_violation_of_what_sessions_are_promised() {
    let thin = "w(1,5,0,0)\nr(1,5,1,0)\nr(1,7,1,1)\n";
    let (verdict, story) = judged(Model::Session, thin).unwrap();
    assert_eq!(verdict, Verdict::Violated);
    assert_eq!(
        story,
        "session 1 read 7 of key 1 (line 3, transaction 1), although nobody wrote that."
    );
    assert_eq!(judged(Model::Causal, thin).unwrap().0, Verdict::Violated);
    // Neither is what was there at first, what was taken back, nor what an aborted one read.
    for there in ["r(1,0,1,1)", "w(1,7,2,-1)\nr(1,7,1,1)", "r(1,7,1,-1)"] {
        let text = format!("w(1,5,0,0)\n{there}\n");
        assert_eq!(judged(Model::Session, &text).unwrap().0, Verdict::Held, "{there}");
    }
    let first = "r(1,7,1,0)\nw(1,5,0,0)\n";
    assert_eq!(judged_from(Model::Session, first, Some("7")).unwrap().0, Verdict::Held);
    // Another key's value is not this one's; not even to who has written this one itself.
    let own = "w(2,7,0,0)\nw(1,5,1,0)\nr(1,7,1,0)\n";
    assert_eq!(judged(Model::Session, own).unwrap().0, Verdict::Violated);
    // Of events: an unknown outcome may have been a write, a failure was none.
    let event = |p: u32, kind: &str, f: &str, value: &str| {
        format!("{{:process {p}, :type :{kind}, :f :{f}, :value {value}}}\n")
    };
    for (end, expected) in [("info", Verdict::Held), ("fail", Verdict::Violated)] {
        let text = [
            event(0, "invoke", "write", "7"),
            event(0, end, "write", "7"),
            event(1, "invoke", "read", "nil"),
            event(1, "ok", "read", "7"),
        ];
        assert_eq!(judged(Model::Session, &text.concat()).unwrap().0, expected, "{end}");
    }
}

#[test]
fn what_keys_hold_at_first_can_be_said_and_need_not_be_told_from_a_write() {
    let zero = "w(1,5,0,0)\nw(1,0,0,1)\nr(1,0,0,2)\n";
    for model in [Model::Session, Model::Causal] {
        let error = judged(model, zero).unwrap_err();
        assert!(error.contains("held 0 already") && error.contains("--> t:2:1"), "{error}");
        assert_eq!(judged_from(model, zero, Some("7")).unwrap().0, Verdict::Held);
        let elsewhere = "w(1,0,0,0)\nr(2,0,0,1)\n";
        assert_eq!(judged(model, elsewhere).unwrap().0, Verdict::Held, "another key");
        let seven = "r(1,7,0,0)\nw(1,1,0,1)\nr(1,7,1,0)\n";
        assert_eq!(judged_from(model, seven, Some("7")).unwrap().0, Verdict::Held);
    }
    let nobodys = judged(Model::Causal, "r(1,7,0,0)\n").unwrap();
    assert_eq!(nobodys.0, Verdict::Violated, "{}", nobodys.1);
    let list = "{:process 0, :type :invoke, :value [[:append 1 2]]}";
    let error = judged_from(Model::ListAppend, list, Some("7")).unwrap_err();
    assert!(error.contains("lists are empty at first"), "{error}");
}

#[test]
fn a_key_without_a_name_is_called_the_register() {
    let event = |kind: &str, f: &str, value: &str| {
        format!("{{:process 0, :type :{kind}, :f :{f}, :value {value}}}\n")
    };
    let text = [
        event("invoke", "write", "1"),
        event("ok", "write", "1"),
        event("invoke", "read", "nil"),
        event("ok", "read", "0"),
    ];
    let (_, story) = judged(Model::Session, &text.concat()).unwrap();
    assert!(story.starts_with("session 0 wrote 1 of the register (line 1"), "{story}");
}

#[test]
fn histories_that_contradict_themselves_are_refused_with_the_place() {
    let said = |model, text: &str, place: &str, reason: &str| {
        let error = judged(model, text).unwrap_err();
        assert!(error.contains(reason) && error.contains(&format!("--> t:{place}")), "{error}");
    };
    let event = |more: &str, kind: &str, f: &str, value: &str| {
        format!("{{:process 0, :type :{kind}, :f :{f}, :value {value}{more}}}\n")
    };
    let (write, txn) = ("write", "txn");
    let of = |first: String, second: String| first + &second;
    let backwards =
        of(event(", :time 9", "invoke", write, "1"), event(", :time 5", "ok", write, "1"));
    said(Model::Register, &backwards, "2:1", "ends a write at 5, before it began at 9 (line 1)");
    let turned =
        of(event(", :index 4", "invoke", write, "1"), event(", :index 3", "ok", write, "1"));
    said(Model::Register, &turned, "2:1", "event 3 stands behind event 4");
    let another = of(event("", "invoke", write, "1"), event("", "ok", write, "2"));
    for model in [Model::Register, Model::Session, Model::Causal] {
        said(model, &another, "2:", "writes 2 but began with 1");
    }
    for (asked, answered) in [
        ("[[:append 1 2]]", "[[:append 1 3]]"),
        ("[[:append 1 2]]", "[[:append 2 2]]"),
        ("[[:r 1 nil]]", "[[:append 1 2]]"),
        ("[[:r 1 nil] [:append 1 2]]", "[[:r 1 []]]"),
    ] {
        let text = of(event("", "invoke", txn, asked), event("", "ok", txn, answered));
        said(Model::ListAppend, &text, "2:", "began with something else in this place");
    }
    let again = "w(1,1,0,0)\nw(1,2,0,1)\nw(1,3,0,1)\nr(1,3,0,0)\n";
    said(Model::Causal, again, "4:1", "of session 0 was over in line 2, where another one began");
    let beside = "w(1,1,0,0)\nw(1,2,1,1)\nr(1,1,0,0)\nr(1,1,0,-1)\nr(1,1,0,0)\n";
    assert_eq!(judged(Model::Causal, beside).unwrap().0, Verdict::Held);
}

#[test]
fn keys_are_judged_apart() {
    let event = |p: u32, kind: &str, f: &str, key: u32, value: &str| {
        format!("{{:process {p}, :type :{kind}, :f :{f}, :key {key}, :value {value}}}\n")
    };
    let two = [
        event(0, "invoke", "write", 1, "7"),
        event(0, "ok", "write", 1, "7"),
        event(1, "invoke", "read", 2, "nil"),
        event(1, "ok", "read", 2, "0"),
    ];
    assert_eq!(judged(Model::Register, &two.concat()).unwrap().0, Verdict::Held);
    let one: Vec<String> = two.iter().map(|line| line.replace(":key 2", ":key 1")).collect();
    let (verdict, story) = judged(Model::Register, &one.concat()).unwrap();
    assert_eq!(verdict, Verdict::Violated);
    assert!(story.starts_with("Register 1. Nothing explains read 0"), "{story}");
}

#[test]
fn texts_that_are_no_histories_say_where_and_why() {
    for (model, text, expected) in [
        (Model::Register, "", "nothing in it"),
        (Model::Register, "hello\n", "not a history of a known kind"),
        (Model::Register, "[{:process 1, :type :invoke, :f :read", "breaks off"),
        (Model::Register, "{:process 1, :type :ok, :f :read, :value 1}", "that never began"),
        (
            Model::Register,
            "{:process 1, :type :invoke, :f :read, :value nil}\n\
             {:process 1, :type :invoke, :f :write, :value 2}",
            "process 1 begins a write while its read of line 1 is under way",
        ),
        (
            Model::Register,
            "{:process 1, :type :invoke, :f :write, :value 1}\n\
             {:process 1, :type :ok, :f :write, :value 2}",
            "writes 2 but began with 1",
        ),
        (Model::Register, "{:process 1, :type :odd, :f :read, :value 1}", "`odd` is no type"),
        (Model::Register, "{:process 1, :type :invoke, :f :pop, :value 1}", "`pop` is nothing"),
        (Model::Register, "{\"ops\":[{\"p\":1,\"f\":\"r\"", "breaks off inside"),
        (
            Model::Register,
            "{\"ops\":[{\"p\":1,\"f\":\"w\",\"a\":1,\"call\":4,\"ret\":3}]}",
            "before",
        ),
        (Model::Register, "r(1,0,0,0)\n", "has no times"),
        (Model::Register, "INFO  jepsen.util - 0\t:invoke\n", "breaks off before its function"),
        (Model::Session, "w(1,2,0,0)\nr(1,2,0", "the line breaks off"),
        (Model::Session, "w(1,2,0,0)\nr(1,x,0,1)\n", "expected a number"),
        (Model::Session, "w(1,2,0,0)\nr(1,2,0)\n", "expected four numbers"),
        (Model::Session, "w(1,2,0,0)\nw(1,2,1,1)\n", "written to this key in line 1 already"),
        (Model::ListAppend, "r(1,0,0,0)\n", "no transactions over lists"),
        (Model::ListAppend, "{:type :invoke, :value [[:pop 1 2]]}", "expected [:append key value]"),
    ] {
        let error = judged(model, text).expect_err(text);
        assert!(error.contains(expected), "{text}\n{error}");
        assert!(error.contains("--> t:") && error.ends_with('^'), "{error}");
    }
}
