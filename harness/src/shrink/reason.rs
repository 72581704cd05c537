//! Why a run failed: by this a smaller one is known to fail for the same reason.

use std::fmt;

use wavetank_reports::{ExpectationResult, Verdict};

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
    /// Why a run failed, with the place of the expectation that broke first. None when nothing
    /// broke: what was not exercised has no reason in the run.
    pub fn of(
        expectations: &[ExpectationResult],
        waiting: Option<&str>,
    ) -> Option<(Option<usize>, Reason)> {
        let recovered = waiting.is_none();
        let broke = expectations.iter().enumerate().find(|(_, e)| e.verdict == Verdict::Broke);
        if let Some((index, result)) = broke {
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
        "acknowledged-writes-lost" => "explained, but too many".into(),
        "latency" => "too slow".into(),
        "recovers" if result.measured == "never" => "never".into(),
        "recovers" => "too late".into(),
        _ => clause(&result.why),
    }
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
        Reason::of(&broke(check, measured, why), None).unwrap().1
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
        let stuck = |what: &str| Reason::of(&[], Some(what)).unwrap().1;
        assert_eq!(stuck("instance 2 is down"), stuck("instance 3 is down"));
        assert_ne!(stuck("instance 2 is down"), stuck("no instance is master"));
    }

    #[test]
    fn what_holds_has_no_reason() {
        assert_eq!(Reason::of(&[], None), None);
    }
}
