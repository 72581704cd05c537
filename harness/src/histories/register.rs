//! Histories of registers, each key judged by itself: linearizability is compositional
//! (Herlihy and Wing 1990), so the whole is linearizable exactly if every register is.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::linearizable::{Linearizer, Op, Step, Value};
use super::{Finding, Judged, Verdict};

/// An operation, its result, and when it was under way.
#[derive(Clone, Debug)]
pub struct Deed {
    /// Who.
    pub process: String,
    /// On which register, if there are several.
    pub key: Option<String>,
    /// What.
    pub op: Op,
    /// The call's position in time.
    pub called: usize,
    /// What the file calls that position: a line, or a time.
    pub called_at: usize,
    /// The return's position; none if nobody knows whether it happened.
    pub returned: Option<usize>,
    /// What the file calls that.
    pub returned_at: Option<usize>,
}

/// A history of one or more registers.
#[derive(Clone, Debug)]
pub struct History {
    line: usize,
    unit: &'static str,
    values: Vec<String>,
    known: BTreeMap<String, Value>,
    initial: Value,
    /// The operations, in any order.
    pub deeds: Vec<Deed>,
}

impl History {
    /// One that begins at that line of a file, whose positions are `unit`s, and whose registers
    /// hold `initial` at first.
    pub fn new(line: usize, unit: &'static str, initial: &str) -> History {
        let mut history = History {
            line,
            unit,
            values: Vec::new(),
            known: BTreeMap::new(),
            initial: 0,
            deeds: Vec::new(),
        };
        history.initial = history.value(initial);
        history
    }

    /// The number of a value.
    pub fn value(&mut self, text: &str) -> Value {
        if let Some(value) = self.known.get(text) {
            return *value;
        }
        let value = self.values.len() as Value;
        self.values.push(text.to_owned());
        self.known.insert(text.to_owned(), value);
        value
    }

    fn name(&self, value: Value) -> &str {
        &self.values[value as usize]
    }

    fn words(&self, op: Op) -> String {
        match op {
            Op::Read(value) => format!("read {}", self.name(value)),
            Op::Write(value) => format!("write {}", self.name(value)),
            Op::Cas(from, to) => {
                format!("cas from {} to {}", self.name(from), self.name(to))
            }
            Op::CasMiss(from) => format!("cas that did not find {}", self.name(from)),
        }
    }

    /// E.g. `read 3 of process 2 (lines 5 to 9)`.
    fn story_of(&self, deed: &Deed) -> String {
        let end = match deed.returned_at {
            Some(end) if deed.returned.is_some() => {
                format!("{}s {} to {end}", self.unit, deed.called_at)
            }
            _ => format!("from {} {}, outcome unknown", self.unit, deed.called_at),
        };
        format!("{} of process {} ({end})", self.words(deed.op), deed.process)
    }
}

/// Operations named in a story, at most, of each sort.
const NAMED: usize = 6;

/// Judges it, with that budget for each of its registers.
pub fn judge(history: &History, budget: u64) -> Judged {
    let mut by_key: BTreeMap<Option<&str>, Vec<&Deed>> = BTreeMap::new();
    for deed in &history.deeds {
        by_key.entry(deed.key.as_deref()).or_default().push(deed);
    }
    let mut finding = Finding::held("linearizable");
    for (key, deeds) in by_key {
        match judge_one(history, &deeds, budget) {
            Ok(()) => {}
            Err((verdict, story)) => {
                let named = key.map_or_else(String::new, |key| format!("Register {key}. "));
                let story = format!("{named}{story}");
                let worse = verdict == Verdict::Violated || finding.verdict == Verdict::Held;
                if worse {
                    finding = Finding { promise: "linearizable", verdict, story };
                }
                if verdict == Verdict::Violated {
                    break;
                }
            }
        }
    }
    Judged::new(history.line, history.deeds.len(), vec![finding])
}

fn judge_one(history: &History, deeds: &[&Deed], budget: u64) -> Result<(), (Verdict, String)> {
    // In the order of time; at one position calls come first, so that the two overlap.
    let mut moments: Vec<(usize, bool, usize)> = Vec::with_capacity(2 * deeds.len());
    for (number, deed) in deeds.iter().enumerate() {
        moments.push((deed.called, false, number));
        moments.extend(deed.returned.map(|at| (at, true, number)));
    }
    moments.sort_unstable();
    let mut search = Linearizer::new(history.initial, budget);
    let mut tickets: Vec<usize> = vec![usize::MAX; deeds.len()];
    let mut explained = 0usize;
    for (at, returns, number) in moments {
        let deed = deeds[number];
        if !returns {
            match deed.returned {
                Some(_) => tickets[number] = search.call(deed.op),
                None => search.call_open(deed.op),
            }
            continue;
        }
        match search.returned(tickets[number]) {
            Step::Explained => explained += 1,
            Step::Impossible => {
                let story = tell(history, deeds, number, at, explained, &search.possible());
                return Err((Verdict::Violated, story));
            }
            Step::Spent => {
                let place = deed.returned_at.unwrap_or(deed.called_at);
                let story = format!(
                    "The budget was spent at {} {place}, with {explained} operations explained.",
                    history.unit
                );
                return Err((Verdict::Undecided, story));
            }
        }
    }
    Ok(())
}

/// Why nothing explains the return of `deeds[last]`.
fn tell(
    history: &History,
    deeds: &[&Deed],
    last: usize,
    at: usize,
    explained: usize,
    possible: &[Value],
) -> String {
    let deed = deeds[last];
    let mut story = String::new();
    let _ = writeln!(
        story,
        "Nothing explains {}, though the {explained} operations that ended before can be put in \
         order.",
        history.story_of(deed)
    );
    let before: Vec<&str> = possible.iter().map(|value| history.name(*value)).collect();
    let _ = writeln!(story, "Before it the register could hold: {}.", before.join(", "));
    let list = |story: &mut String, what: &str, found: &[&&Deed]| {
        let skipped = found.len().saturating_sub(NAMED);
        for deed in found.iter().skip(skipped) {
            let _ = writeln!(story, "  {what}: {}", history.story_of(deed));
        }
        if skipped > 0 {
            let _ = writeln!(story, "  ({skipped} earlier ones not shown)");
        }
    };
    let wanted = match deed.op {
        Op::Read(value) | Op::Cas(value, _) => Some(value),
        Op::Write(_) | Op::CasMiss(_) => None,
    };
    if let Some(wanted) = wanted {
        let sets = |op: Op| match op {
            Op::Write(to) | Op::Cas(_, to) => to == wanted,
            Op::Read(_) | Op::CasMiss(_) => false,
        };
        let setters: Vec<&&Deed> = deeds.iter().filter(|d| sets(d.op) && d.called < at).collect();
        if setters.is_empty() && wanted != history.initial {
            let _ = writeln!(story, "  Nobody had set {} until then.", history.name(wanted));
        }
        list(&mut story, &format!("could set {}", history.name(wanted)), &setters);
    }
    let changes = |op: Op| matches!(op, Op::Write(_) | Op::Cas(..));
    let beside: Vec<&&Deed> = deeds
        .iter()
        .enumerate()
        .filter(|(number, d)| {
            *number != last
                && changes(d.op)
                && d.called < at
                && d.returned.is_some_and(|end| end > deed.called)
        })
        .map(|(_, d)| d)
        .collect();
    list(&mut story, "under way at the time", &beside);
    story.trim_end().to_owned()
}
