//! Why a run failed: by this a smaller one is known to fail for the same reason.

use std::fmt;

use wavetank_reports::{ExpectationResult, Verdict};

use crate::checks::LESS;

/// What broke, and in which way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The check that broke; none when the cluster just did not recover.
    pub check: Option<String>,
    /// In which way: a loss without an explanation is not one that HA may have.
    pub kind: String,
    /// Whether the cluster recovered in the end.
    pub recovered: bool,
}

impl Reason {
    /// Why a run failed, with the place of the expectation that broke first. What need not hold
    /// for every seed (`must_hold` says no) is the reason only if nothing else is. None when
    /// nothing broke: what was not exercised has no reason in the run.
    pub fn of(
        expectations: &[ExpectationResult],
        must_hold: impl Fn(usize) -> bool,
        waiting: Option<&str>,
    ) -> Option<(Option<usize>, Reason)> {
        let recovered = waiting.is_none();
        let broke = |must: bool| {
            let mut all = expectations.iter().enumerate();
            all.find(|(at, e)| e.verdict == Verdict::Broke && must_hold(*at) == must)
        };
        let first = broke(true).or_else(|| recovered.then(|| broke(false)).flatten());
        if let Some((index, result)) = first {
            let check = Some(result.check.clone());
            return Some((Some(index), Reason { check, kind: kind(result), recovered }));
        }
        let waiting = waiting?;
        Some((None, Reason { check: None, kind: clause(waiting), recovered }))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.check {
            Some(check) => write!(f, "{check} ({})", self.kind)?,
            None => write!(f, "did not recover ({})", self.kind)?,
        }
        if self.check.is_some() && !self.recovered {
            f.write_str(", and the cluster did not recover")?;
        }
        Ok(())
    }
}

/// In which way an expectation broke.
fn kind(result: &ExpectationResult) -> String {
    let measured = |key: &str| result.measured.get(key).and_then(serde_json::Value::as_u64);
    let check = result.check.split(' ').next().unwrap_or_default();
    match check {
        "acknowledged-writes-lost" if measured("unexplained").is_some_and(|n| n > 0) => {
            if result.why.contains("does not show") {
                "unexplained: in the log, not in the store".into()
            } else {
                "unexplained: not in the log".into()
            }
        }
        "acknowledged-writes-lost" if result.why.contains("to have failed") => {
            "done, though it failed for certain".into()
        }
        "acknowledged-writes-lost" if too_little(&result.why) => "explained, but too few".into(),
        "acknowledged-writes-lost" => "explained, but too many".into(),
        "latency" => match (result.why.contains(", above "), result.why.contains(", below ")) {
            (true, true) => "too slow and too fast".into(),
            (false, true) => "too fast".into(),
            (_, false) => "too slow".into(),
        },
        "recovers" if result.measured == "never" => "never".into(),
        "recovers" => "too late".into(),
        _ if too_little(&result.why) => format!("{}, too little", clause(&result.why)),
        _ => clause(&result.why),
    }
}

/// Whether a bound was missed from below: checks say so in the same words.
fn too_little(why: &str) -> bool {
    why.contains(LESS)
}

/// The first clause of a sentence, with every word that has a digit in it left open.
fn clause(sentence: &str) -> String {
    let first = sentence.split([':', ';', '.']).next().unwrap_or_default();
    let open = |word: &str| {
        if word.contains(|c: char| c.is_ascii_digit()) { "#".to_owned() } else { word.to_owned() }
    };
    first.split_whitespace().map(open).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn broke(check: &str, measured: Value, why: &str) -> Vec<ExpectationResult> {
        let limit = Value::Null;
        let why = why.to_owned();
        vec![ExpectationResult {
            check: check.into(),
            verdict: Verdict::Broke,
            measured,
            limit,
            why,
        }]
    }

    fn reason(check: &str, measured: Value, why: &str) -> Reason {
        Reason::of(&broke(check, measured, why), |_| true, None).unwrap().1
    }

    #[test]
    fn an_explained_loss_is_not_an_unexplained_one() {
        let lost = |explained: u64, unexplained: u64, why: &str| {
            let measured = json!({"explained": explained, "unexplained": unexplained});
            reason("acknowledged-writes-lost", measured, why)
        };
        let in_log = lost(1, 2, "it is in the log, but its store does not show it.");
        assert_ne!(lost(3, 0, "3 went"), in_log);
        assert_ne!(lost(0, 1, "it is not in the final master's log"), in_log);
        assert_eq!(lost(3, 0, "3 went"), lost(1, 0, "1 went"));
    }

    #[test]
    fn numbers_do_not_tell_reasons_apart_and_words_do() {
        let differ =
            reason("replicas-equal", json!(2), "The contents differ: instance 1: ab at 7.");
        let again = reason("replicas-equal", json!(3), "The contents differ: instance 2: cd at 9.");
        let unread = reason("replicas-equal", json!(1), "Not every store could be read: 1.");
        assert_eq!(differ, again);
        assert_ne!(differ, unread);
        let stuck = |what: &str| Reason::of(&[], |_| true, Some(what)).unwrap().1;
        assert_eq!(stuck("instance 2 is down"), stuck("instance 3 is down"));
        assert_ne!(stuck("instance 2 is down"), stuck("no instance is master"));
    }

    #[test]
    fn what_holds_has_no_reason() {
        assert_eq!(Reason::of(&[], |_| true, None), None);
    }

    #[test]
    fn what_must_hold_for_every_seed_is_the_reason_before_what_need_not() {
        let mut both = broke("happens branch begins", json!(0), "It did not happen.");
        both.extend(broke("replicas-equal", json!(2), "The contents differ."));
        let second = |at: usize| at == 1;
        let (index, reason) = Reason::of(&both, second, None).unwrap();
        assert_eq!((index, reason.check.as_deref()), (Some(1), Some("replicas-equal")));
        let alone = Reason::of(&both[..1], second, None).unwrap().1;
        assert_eq!(alone.check.as_deref(), Some("happens branch begins"));
        let stuck = Reason::of(&both[..1], second, Some("no instance is master")).unwrap().1;
        assert_eq!(stuck.check, None, "a seed fails by that, and not by the other");
    }

    #[test]
    fn too_many_are_not_too_few() {
        let lasted = |why: &str| reason("two-masters", json!("9s"), why);
        let long = lasted("From 3s on, for 9.000s. That is more than 5s.");
        assert_eq!(long, lasted("From 4s on, for 7.000s. That is more than 5s."));
        assert_ne!(long, lasted("From 3s on, for 1.000s. That is less than 2s."));
        let slow = |why: &str| reason("latency app", json!({}), why);
        let high = slow("Of 200 operations, p50 is 7.0 ms, above 5ms.");
        assert_ne!(high, slow("Of 200 operations, p50 is 1.0 ms, below 2ms."));
        let none = json!({"explained": 1, "unexplained": 0});
        let lost = |why: &str| reason("acknowledged-writes-lost", none.clone(), why);
        assert_ne!(lost("1 went."), lost("1 went. That is less than 3."));
    }
}
