//! Jepsen's histories: events of processes, each an invocation or how one ended, as EDN maps,
//! as JSON lines, or as the lines that Jepsen logs.

use std::collections::BTreeMap;

use super::HistoryError;
use super::edn::{Form, Kind, read_edn, read_json};

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    /// It did not happen.
    Failed,
    /// Nobody knows whether it happened.
    Unknown,
}

/// An operation: its invocation and, if there is one, its end.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) process: String,
    /// Of the register or list, if the history names one.
    pub(super) key: Option<String>,
    pub(super) function: String,
    /// The event's number and byte.
    pub(super) call: (usize, usize),
    /// The same, of the end. An operation that was never heard of again has none.
    pub(super) end: Option<(usize, usize)>,
    pub(super) outcome: Outcome,
    pub(super) asked: Form,
    pub(super) answer: Form,
}

struct Event {
    at: usize,
    process: Option<String>,
    kind: String,
    function: String,
    key: Option<String>,
    value: Form,
    /// Its number in the history and when it was, where they are given.
    index: Option<i64>,
    time: Option<i64>,
}

/// Events in EDN: a collection of maps, or one map after another.
pub(super) fn from_edn(name: &str, text: &str) -> Result<Vec<Operation>, HistoryError> {
    let forms = read_edn(name, text)?;
    let mut events = Vec::new();
    for form in &forms {
        match &form.kind {
            Kind::List(list) => {
                for item in list {
                    events.push(event(name, text, item)?);
                }
            }
            _ => events.push(event(name, text, form)?),
        }
    }
    operations(name, text, events)
}

/// Events as JSON, one a line.
pub(super) fn from_json(name: &str, text: &str) -> Result<Vec<Operation>, HistoryError> {
    let mut events = Vec::new();
    for (at, line) in lines(text) {
        events.push(event(name, text, &read_json(name, text, at, line)?)?);
    }
    operations(name, text, events)
}

/// Events as logged: `INFO  jepsen.util - PROCESS :TYPE :FUNCTION VALUE`, tabs between.
pub(super) fn from_log(name: &str, text: &str) -> Result<Vec<Operation>, HistoryError> {
    let mut events = Vec::new();
    for (at, line) in lines(text) {
        let Some((head, rest)) = line.split_once(" - ") else {
            return Err(HistoryError::at(name, text, at, "not a line of a Jepsen log"));
        };
        if !head.contains("jepsen.") {
            continue;
        }
        let mut fields = rest.split('\t').map(str::trim).filter(|field| !field.is_empty());
        let mut field = |what: &str| {
            let end = at + line.len();
            let reason = format!("the line breaks off before its {what}");
            fields.next().ok_or_else(|| HistoryError::at(name, text, end, reason))
        };
        let process = field("process")?.to_owned();
        let kind = field("type")?.trim_start_matches(':').to_owned();
        let function = field("function")?.trim_start_matches(':').to_owned();
        let value = field("value")?;
        let begin = at + (value.as_ptr() as usize - line.as_ptr() as usize);
        let value = read_edn(name, &text[begin..begin + value.len()])
            .ok()
            .and_then(|forms| forms.into_iter().next())
            .ok_or_else(|| HistoryError::at(name, text, begin, "not a value"))?;
        let value = Form { at: begin, kind: value.kind };
        let process = Some(process);
        let (key, index, time) = (None, None, None);
        events.push(Event { at, process, kind, function, key, value, index, time });
    }
    operations(name, text, events)
}

/// Lines with something on them, and where they begin.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let begin = at;
        at += line.len();
        let line = line.trim_end();
        (!line.trim().is_empty()).then_some((begin, line))
    })
}

fn event(name: &str, text: &str, form: &Form) -> Result<Event, HistoryError> {
    let missing = |what: &str| {
        let reason = format!("an event is a map with a `{what}`");
        HistoryError::at(name, text, form.at, reason)
    };
    let kind = form.get("type").and_then(Form::word).ok_or_else(|| missing("type"))?;
    let value = form.get("value").ok_or_else(|| missing("value"))?;
    let number = |key: &str| match form.get(key).map(|form| &form.kind) {
        Some(Kind::Int(number)) => Some(*number),
        _ => None,
    };
    Ok(Event {
        at: form.at,
        index: number("index"),
        time: number("time"),
        process: form.get("process").map(Form::text),
        kind: kind.to_owned(),
        function: form.get("f").map_or_else(|| "txn".to_owned(), Form::text),
        key: form.get("key").filter(|key| key.kind != Kind::Nil).map(Form::text),
        value: value.clone(),
    })
}

/// Puts invocations and ends together.
fn operations(name: &str, text: &str, events: Vec<Event>) -> Result<Vec<Operation>, HistoryError> {
    let line = |at: usize| text[..at].matches('\n').count() + 1;
    let mut operations: Vec<Operation> = Vec::new();
    let mut under_way: BTreeMap<String, (usize, Option<i64>)> = BTreeMap::new();
    let mut last = None;
    for (number, event) in events.into_iter().enumerate() {
        let wrong = |reason: String| HistoryError::at(name, text, event.at, reason);
        if let Some(index) = event.index
            && let Some(last) = last.replace(index)
            && index <= last
        {
            return Err(wrong(format!("event {index} stands behind event {last}")));
        }
        // What breaks the system speaks too; a client has a number, or no name at all.
        let process = event.process.unwrap_or_default();
        if !process.is_empty() && process.parse::<i64>().is_err() {
            continue;
        }
        let who =
            if process.is_empty() { "a client".to_owned() } else { format!("process {process}") };
        let outcome = match event.kind.as_str() {
            "invoke" => {
                let begun = (operations.len(), event.time);
                if let Some((other, _)) = under_way.insert(process.clone(), begun) {
                    let other = &operations[other];
                    return Err(wrong(format!(
                        "{who} begins a {} while its {} of line {} is under way",
                        event.function,
                        other.function,
                        line(other.call.1)
                    )));
                }
                operations.push(Operation {
                    process,
                    key: event.key,
                    function: event.function,
                    call: (number, event.at),
                    end: None,
                    outcome: Outcome::Unknown,
                    answer: event.value.clone(),
                    asked: event.value,
                });
                continue;
            }
            "ok" => Outcome::Ok,
            "fail" => Outcome::Failed,
            "info" => Outcome::Unknown,
            other => {
                return Err(wrong(format!(
                    "`{other}` is no type of an event; expected invoke, ok, fail or info"
                )));
            }
        };
        let Some((begun, since)) = under_way.remove(&process) else {
            return Err(wrong(format!("{who} ends a {} that never began", event.function)));
        };
        let operation = &mut operations[begun];
        if let (Some(since), Some(time)) = (since, event.time)
            && time < since
        {
            return Err(wrong(format!(
                "{who} ends a {} at {time}, before it began at {since} (line {})",
                event.function,
                line(operation.call.1)
            )));
        }
        if operation.function != event.function || operation.key != event.key {
            return Err(wrong(format!(
                "{who} ends a {} but began a {} in line {}",
                event.function,
                operation.function,
                line(operation.call.1)
            )));
        }
        operation.outcome = outcome;
        operation.end = Some((number, event.at));
        operation.answer = event.value;
    }
    Ok(operations)
}
