//! What kind of history a text is, and its operations as each model wants them.

use std::collections::BTreeMap;

use super::HistoryError;
use super::edn::{Form, Kind, read_json};
use super::jepsen::{self, Operation, Outcome, lines};
use super::linearizable::Op;
use super::list_append::{Micro, Transaction};
use super::register::{Deed, History};
use super::sessions::{Access, Sessions};

/// A kind of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Jepsen's events in EDN, as Knossos and Elle take them.
    JepsenEdn,
    /// Jepsen's events as JSON lines.
    JepsenJson,
    /// Jepsen's events as it logs them.
    JepsenLog,
    /// A register's history in each line: `{"init": .., "ops": [{p, f, call, ret, ..}]}`.
    RegisterLines,
    /// `r(key,value,session,transaction)`, `w(..)`, one a line.
    Accesses,
}

/// Tells the kind of a text.
pub(super) fn recognise(name: &str, text: &str) -> Result<Format, HistoryError> {
    let Some((at, first)) = lines(text).find(|(_, line)| !line.trim_start().starts_with(';'))
    else {
        return Err(HistoryError::at(name, text, 0, "nothing in it"));
    };
    let line = first.trim_start();
    if line.starts_with('{') && line[1..].trim_start().starts_with('"') {
        let lines = line.contains("\"ops\"");
        return Ok(if lines { Format::RegisterLines } else { Format::JepsenJson });
    }
    if line.starts_with(['{', '[', '(', '#']) {
        return Ok(Format::JepsenEdn);
    }
    if line.starts_with("r(") || line.starts_with("w(") {
        return Ok(Format::Accesses);
    }
    if line.contains("jepsen.") {
        return Ok(Format::JepsenLog);
    }
    let reason = "not a history of a known kind: Jepsen's events (EDN, JSON lines, log lines), \
                  registers in JSON lines, or r(key,value,session,transaction) lines";
    Err(HistoryError::at(name, text, at, reason))
}

fn events(name: &str, text: &str, format: Format) -> Result<Vec<Operation>, HistoryError> {
    match format {
        Format::JepsenEdn => jepsen::from_edn(name, text),
        Format::JepsenJson => jepsen::from_json(name, text),
        Format::JepsenLog => jepsen::from_log(name, text),
        Format::RegisterLines | Format::Accesses => Err(HistoryError::at(
            name,
            text,
            0,
            "this kind of history has no transactions over lists",
        )),
    }
}

/// A line's number for every byte of a text, found fast.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Lines {
        Lines(text.match_indices('\n').map(|(at, _)| at).collect())
    }
    fn of(&self, at: usize) -> usize {
        self.0.partition_point(|end| *end < at) + 1
    }
}

/// Histories of registers.
pub(super) fn registers(
    name: &str,
    text: &str,
    format: Format,
    initial: Option<&str>,
) -> Result<Vec<History>, HistoryError> {
    match format {
        Format::RegisterLines => {
            let places = Lines::new(text);
            let one = |(at, line)| register_line(name, text, (at, places.of(at)), line, initial);
            lines(text).map(one).collect()
        }
        Format::Accesses => Err(HistoryError::at(
            name,
            text,
            0,
            "this kind of history has no times, so nothing says what must come first; \
             try --model session or --model causal",
        )),
        _ => {
            let log = format == Format::JepsenLog;
            let at_first = initial.unwrap_or(if log { "nil" } else { "0" });
            let mut history = History::new(1, "line", at_first);
            let places = Lines::new(text);
            for operation in events(name, text, format)? {
                let deed = register_deed(name, text, &operation, log, &mut history)?;
                if let Some(mut deed) = deed {
                    deed.called_at = places.of(operation.call.1);
                    deed.returned_at = operation.end.map(|(_, at)| places.of(at));
                    history.deeds.push(deed);
                }
            }
            Ok(vec![history])
        }
    }
}

/// What an operation on a register did; none if it tells nothing.
fn register_deed(
    name: &str,
    text: &str,
    operation: &Operation,
    log: bool,
    history: &mut History,
) -> Result<Option<Deed>, HistoryError> {
    let wrong = |form: &Form, reason: String| HistoryError::at(name, text, form.at, reason);
    let (asked, answer) = (&operation.asked, &operation.answer);
    let (op, returns) = match (operation.function.as_str(), operation.outcome) {
        // A read that failed or was never answered says nothing. In Knossos' histories a read
        // of nil was completed without a value; in a log, nil is what an absent key reads as.
        ("read", Outcome::Ok) if answer.kind != Kind::Nil || log => {
            (Op::Read(history.value(&answer.text())), true)
        }
        ("read", _) => return Ok(None),
        ("write", outcome) => {
            if outcome == Outcome::Ok && answer != asked && answer.text() != asked.text() {
                let reason = format!("writes {} but began with {}", answer.text(), asked.text());
                return Err(wrong(answer, reason));
            }
            if outcome == Outcome::Failed {
                return Ok(None);
            }
            (Op::Write(history.value(&asked.text())), outcome == Outcome::Ok)
        }
        ("cas", outcome) => {
            let Some([from, to]) = asked.list() else {
                return Err(wrong(asked, "a cas has two values, [from to]".to_owned()));
            };
            let (from, to) = (history.value(&from.text()), history.value(&to.text()));
            match outcome {
                // A log's failed compare found something else; otherwise it may have failed for
                // any reason.
                Outcome::Failed if log => (Op::CasMiss(from), true),
                Outcome::Failed => return Ok(None),
                Outcome::Ok if answer.text() != asked.text() => {
                    let reason =
                        format!("compares {} but began with {}", answer.text(), asked.text());
                    return Err(wrong(answer, reason));
                }
                outcome => (Op::Cas(from, to), outcome == Outcome::Ok),
            }
        }
        (other, _) => {
            let reason = format!("`{other}` is nothing a register does; expected read, write, cas");
            return Err(HistoryError::at(name, text, operation.call.1, reason));
        }
    };
    Ok(Some(Deed {
        process: operation.process.clone(),
        key: operation.key.clone(),
        op,
        called: operation.call.0,
        called_at: 0,
        returned: operation.end.map(|(number, _)| number).filter(|_| returns),
        returned_at: None,
    }))
}

/// A whole history in one line.
fn register_line(
    name: &str,
    text: &str,
    (at, number): (usize, usize),
    line: &str,
    initial: Option<&str>,
) -> Result<History, HistoryError> {
    let form = read_json(name, text, at, line)?;
    let wrong = |reason: String| HistoryError::at(name, text, at, reason);
    let ops = form.get("ops").and_then(Form::list).ok_or_else(|| wrong("no `ops`".to_owned()))?;
    let at_first = initial.map_or_else(
        || form.get("init").map_or_else(|| "nil".to_owned(), Form::text),
        str::to_owned,
    );
    let mut history = History::new(number, "time", &at_first);
    let mut busy: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
    for (number, op) in ops.iter().enumerate() {
        let here = |reason: &str| wrong(format!("operation {number}: {reason}"));
        let position = |key: &str| match op.get(key).map(|form| &form.kind) {
            Some(Kind::Int(value)) => usize::try_from(*value).ok(),
            _ => None,
        };
        let called = position("call").ok_or_else(|| here("no position `call`"))?;
        let returned = match op.get("ret") {
            None | Some(Form { kind: Kind::Nil, .. }) => None,
            Some(_) => Some(position("ret").ok_or_else(|| here("`ret` is no position"))?),
        };
        if returned.is_some_and(|returned| returned <= called) {
            return Err(here("it returns before it is called"));
        }
        let process = op.get("p").map_or_else(String::new, Form::text);
        busy.entry(process.clone()).or_default().push((called, returned.unwrap_or(called)));
        let mut value = |key: &str| {
            let form = op.get(key).ok_or_else(|| here(&format!("no value `{key}`")))?;
            Ok(history.value(&form.text()))
        };
        let op = match op.get("f").and_then(Form::word) {
            Some("r") if returned.is_none() => continue,
            Some("r") => Op::Read(value("res")?),
            Some("w") => Op::Write(value("a")?),
            Some("c") => {
                let missed = op.get("ok").and_then(Form::word) == Some("false");
                let (from, to) = (value("a")?, value("b")?);
                if missed { Op::CasMiss(from) } else { Op::Cas(from, to) }
            }
            _ => return Err(here("`f` is none of r, w, c")),
        };
        history.deeds.push(Deed {
            process,
            key: None,
            op,
            called,
            called_at: called,
            returned,
            returned_at: returned,
        });
    }
    for (process, mut spans) in busy {
        spans.sort_unstable();
        if let Some(pair) = spans.windows(2).find(|pair| pair[1].0 < pair[0].1) {
            let reason = format!("process {process} does two things at once, at {}", pair[1].0);
            return Err(wrong(reason));
        }
    }
    Ok(history)
}

/// Reads and writes of sessions.
pub(super) fn sessions(
    name: &str,
    text: &str,
    format: Format,
    initial: Option<&str>,
) -> Result<Sessions, HistoryError> {
    let initial = initial.unwrap_or("0").to_owned();
    let mut history = Sessions { accesses: Vec::new(), initial };
    let mut place = Vec::new();
    match format {
        Format::Accesses => {
            for (number, (at, line)) in lines(text).enumerate() {
                let access = access(name, text, at, line, number)?;
                place.push(at);
                history.accesses.push(access);
            }
        }
        Format::RegisterLines => {
            let reason = "the values of these histories are not unique: try --model register";
            return Err(HistoryError::at(name, text, 0, reason));
        }
        _ => {
            let places = Lines::new(text);
            for (number, operation) in events(name, text, format)?.into_iter().enumerate() {
                let read = match (operation.function.as_str(), operation.outcome) {
                    ("read", Outcome::Ok) if operation.answer.kind != Kind::Nil => true,
                    ("write", Outcome::Ok | Outcome::Unknown) => false,
                    ("read" | "write", _) => continue,
                    (other, _) => {
                        let reason = format!("a session reads and writes; `{other}` is neither");
                        return Err(HistoryError::at(name, text, operation.call.1, reason));
                    }
                };
                let (asked, answer) = (&operation.asked, &operation.answer);
                let ended = operation.outcome == Outcome::Ok;
                if !read && ended && answer.text() != asked.text() {
                    let reason =
                        format!("writes {} but began with {}", answer.text(), asked.text());
                    return Err(HistoryError::at(name, text, answer.at, reason));
                }
                let form = if read { answer } else { asked };
                place.push(operation.call.1);
                history.accesses.push(Access {
                    read,
                    key: operation.key.clone().unwrap_or_default(),
                    value: form.text(),
                    session: operation.process.clone(),
                    transaction: Some(number.to_string()),
                    line: places.of(operation.call.1),
                });
            }
        }
    }
    if let Some((again, between)) = history.taken_up_again() {
        let access = &history.accesses[between];
        let reason = format!(
            "this transaction of session {} was over in line {}, where another one began",
            access.session, access.line
        );
        return Err(HistoryError::at(name, text, place[again], reason));
    }
    if let Some(write) = history.written_as_at_first() {
        let reason = format!(
            "this key held {} already before anybody wrote it: nobody can tell which of the two a \
             read saw (`--initial` names what keys hold at first)",
            history.initial
        );
        return Err(HistoryError::at(name, text, place[write], reason));
    }
    match history.written_twice() {
        None => Ok(history),
        Some((first, second)) => {
            let line = history.accesses[first].line;
            let reason = format!(
                "this value was written to this key in line {line} already: nobody can tell \
                 which of the two a read saw"
            );
            Err(HistoryError::at(name, text, place[second], reason))
        }
    }
}

/// One line, `r(key,value,session,transaction)`.
fn access(
    name: &str,
    text: &str,
    at: usize,
    line: &str,
    number: usize,
) -> Result<Access, HistoryError> {
    let wrong =
        |column: usize, reason: &str| HistoryError::at(name, text, at + column, reason.to_owned());
    let indent = line.len() - line.trim_start().len();
    let body = &line[indent..];
    let read = body.starts_with("r(");
    if !read && !body.starts_with("w(") {
        return Err(wrong(indent, "expected r(key,value,session,transaction) or w(..)"));
    }
    let Some(inner) = body[2..].strip_suffix(')') else {
        return Err(wrong(line.len(), "the line breaks off: expected `)`"));
    };
    let mut fields = Vec::with_capacity(4);
    let mut column = indent + 2;
    for field in inner.split(',') {
        let number: i64 = field.trim().parse().map_err(|_| wrong(column, "expected a number"))?;
        fields.push(number);
        column += field.len() + 1;
    }
    let [key, value, session, transaction] = fields[..] else {
        let column = line.len() - 1;
        return Err(wrong(column, "expected four numbers: key, value, session, transaction"));
    };
    Ok(Access {
        read,
        key: key.to_string(),
        value: value.to_string(),
        session: session.to_string(),
        transaction: (transaction != -1).then(|| transaction.to_string()),
        line: number + 1,
    })
}

/// The first micro-operation of a transaction that ended well which is not the one that it began
/// with: reads have their lists at the end only.
fn other_than_asked(operation: &Operation) -> Option<&Form> {
    let (asked, answer) = (operation.asked.list()?, operation.answer.list()?);
    let same = |(one, other): (&Form, &Form)| match (one.list(), other.list()) {
        (Some([f, key, value]), Some([other_f, other_key, other_value])) => {
            let appends = f.word() == Some("append");
            (f.text(), key.text()) == (other_f.text(), other_key.text())
                && (!appends || value.text() == other_value.text())
        }
        // What it is instead is said elsewhere.
        _ => true,
    };
    let differs = answer.iter().zip(asked).find(|(answer, asked)| !same((answer, asked)));
    let differs = differs.map(|(answer, _)| answer);
    differs.or_else(|| (answer.len() != asked.len()).then_some(&operation.answer))
}

/// Transactions over lists.
pub(super) fn transactions(
    name: &str,
    text: &str,
    format: Format,
) -> Result<Vec<Transaction>, HistoryError> {
    let places = Lines::new(text);
    let mut transactions = Vec::new();
    let mut appended: BTreeMap<(String, String), usize> = BTreeMap::new();
    for operation in events(name, text, format)? {
        let done =
            if operation.outcome == Outcome::Ok { &operation.answer } else { &operation.asked };
        let wrong = |form: &Form, reason: &str| HistoryError::at(name, text, form.at, reason);
        let Some(list) = done.list() else {
            return Err(wrong(
                done,
                "a transaction is a list of [:append key value] and [:r key list]",
            ));
        };
        if let Some(item) = other_than_asked(&operation) {
            let reason = "this transaction began with something else in this place";
            return Err(wrong(item, reason));
        }
        let mut micros = Vec::with_capacity(list.len());
        for item in list {
            let micro = match item.list() {
                Some([f, key, value]) if f.word() == Some("append") => {
                    let (key, value) = (key.text(), value.text());
                    let line = places.of(item.at);
                    if let Some(first) = appended.insert((key.clone(), value.clone()), line) {
                        let reason = format!(
                            "this was appended to this key in line {first} already: nobody can \
                             tell which of the two a read saw"
                        );
                        return Err(wrong(item, &reason));
                    }
                    Micro::Append(key, value)
                }
                Some([f, key, value]) if f.word() == Some("r") => match &value.kind {
                    Kind::Nil if operation.outcome == Outcome::Ok => {
                        Micro::Read(key.text(), Vec::new())
                    }
                    Kind::List(list) => {
                        Micro::Read(key.text(), list.iter().map(Form::text).collect())
                    }
                    Kind::Nil => continue,
                    _ => return Err(wrong(value, "a read returns a list")),
                },
                _ => return Err(wrong(item, "expected [:append key value] or [:r key list]")),
            };
            micros.push(micro);
        }
        transactions.push(Transaction {
            line: places.of(operation.end.map_or(operation.call.1, |(_, at)| at)),
            outcome: match operation.outcome {
                Outcome::Ok => Some(true),
                Outcome::Failed => Some(false),
                Outcome::Unknown => None,
            },
            micros,
        });
    }
    Ok(transactions)
}
