//! Transactions that append to lists and read them: from a read list one sees in which order
//! its elements were appended (Kingsbury and Alvaro, "Elle", 2020), so dependencies between
//! transactions are known, and anomalies are circles among them (Adya 1999).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::graph::Order;
use super::{Finding, Judged};

/// A step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Micro {
    /// To a key's list, an element.
    Append(String, String),
    /// Of a key, the whole list.
    Read(String, Vec<String>),
}

/// A transaction.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Where it ended, or began if it never did.
    pub line: usize,
    /// Committed, aborted, or nobody knows.
    pub outcome: Option<bool>,
    /// Its steps.
    pub micros: Vec<Micro>,
}

/// Why one transaction comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Its element stands just before the other's in the list.
    Appended,
    /// The other read its element.
    Read,
    /// It read a list that lacks the other's element.
    Missed,
}

/// A key, what was read of it, and by whom.
struct Key<'a> {
    /// The longest list that was read.
    order: &'a [String],
    reads: Vec<(usize, &'a [String])>,
    /// Committed transactions and what they appended.
    appends: Vec<(usize, &'a str)>,
}

/// Judges it: read committed, and serializable.
pub fn judge(transactions: &[Transaction]) -> Judged {
    let writers = writers(transactions);
    let bad_read = bad_read(transactions, &writers);
    let keys = match lists(transactions) {
        Ok(keys) => keys,
        Err(story) => {
            let both =
                ["read-committed", "serializable"].map(|p| Finding::of(p, Some(story.clone())));
            return Judged::new(1, transactions.len(), both.to_vec());
        }
    };
    let order = |with_missed: bool| {
        let mut order = Order::new(transactions.len());
        for (name, key) in &keys {
            let writer = |element: &str| writers.get(&(*name, element)).map(|found| found.0);
            for pair in key.order.windows(2) {
                if let (Some(first), Some(second)) = (writer(&pair[0]), writer(&pair[1])) {
                    order.edge(first, second, (Why::Appended, *name));
                }
            }
            for (reader, list) in &key.reads {
                if let Some(before) = list.last().and_then(|element| writer(element)) {
                    order.edge(before, *reader, (Why::Read, *name));
                }
                if !with_missed {
                    continue;
                }
                match key.order.get(list.len()) {
                    Some(next) => {
                        let next = writer(next);
                        next.into_iter().for_each(|n| order.edge(*reader, n, (Why::Missed, *name)));
                    }
                    None => {
                        let unseen =
                            key.appends.iter().filter(|(_, e)| !key.order.iter().any(|o| o == e));
                        unseen.for_each(|(n, _)| order.edge(*reader, *n, (Why::Missed, *name)));
                    }
                }
            }
        }
        order.circle().map(|circle| story(transactions, &circle))
    };
    let committed = bad_read.or_else(|| order(false));
    let serializable =
        committed.clone().or_else(|| unrepeatable(transactions)).or_else(|| order(true));
    let findings =
        vec![Finding::of("read-committed", committed), Finding::of("serializable", serializable)];
    Judged::new(1, transactions.len(), findings)
}

/// Who appended an element, and whether it was that transaction's last to the key.
type Writers<'a> = BTreeMap<(&'a str, &'a str), (usize, bool)>;

fn writers(transactions: &[Transaction]) -> Writers<'_> {
    let mut writers = Writers::new();
    for (number, transaction) in transactions.iter().enumerate() {
        let mut last: BTreeMap<&str, &str> = BTreeMap::new();
        for micro in &transaction.micros {
            if let Micro::Append(key, element) = micro {
                if let Some(before) = last.insert(key, element) {
                    writers.insert((key, before), (number, false));
                }
                writers.insert((key, element), (number, true));
            }
        }
    }
    writers
}

/// Reads of what was never committed, by themselves wrong.
fn bad_read(transactions: &[Transaction], writers: &Writers<'_>) -> Option<String> {
    for (number, key, list) in reads(transactions) {
        let told = |why: String| told(&transactions[number], key, &why);
        for (at, element) in list.iter().enumerate() {
            let Some((writer, last)) = writers.get(&(key, element.as_str())) else {
                return told(format!("{element}, which nobody appended"));
            };
            let line = transactions[*writer].line;
            if transactions[*writer].outcome == Some(false) {
                return told(format!("{element}, which line {line} had taken back"));
            }
            if at + 1 == list.len() && !last && *writer != number {
                return told(format!("{element}, in the middle of line {line}"));
            }
        }
    }
    None
}

/// The reads of what is known to have been committed.
fn reads(transactions: &[Transaction]) -> impl Iterator<Item = (usize, &str, &[String])> {
    let committed = transactions.iter().enumerate().filter(|(_, t)| t.outcome == Some(true));
    committed.flat_map(|(number, transaction)| {
        transaction.micros.iter().filter_map(move |micro| match micro {
            Micro::Read(key, list) => Some((number, key.as_str(), &list[..])),
            Micro::Append(..) => None,
        })
    })
}

fn told(transaction: &Transaction, key: &str, why: &str) -> Option<String> {
    Some(format!("The transaction of line {} read {key}: {why}.", transaction.line))
}

/// What a transaction knows of a list: what it read, and what it appended since.
#[derive(Default)]
struct Expected<'a> {
    read: Option<&'a [String]>,
    own: Vec<&'a str>,
}

/// Reads that do not fit what the same transaction read and appended before: nothing serial
/// does that.
fn unrepeatable(transactions: &[Transaction]) -> Option<String> {
    for transaction in transactions.iter().filter(|t| t.outcome == Some(true)) {
        let mut expected: BTreeMap<&str, Expected<'_>> = BTreeMap::new();
        for micro in &transaction.micros {
            match micro {
                Micro::Append(key, element) => expected.entry(key).or_default().own.push(element),
                Micro::Read(key, list) => {
                    let Expected { read, own } = expected.entry(key).or_default();
                    let fits = list.len().checked_sub(own.len()).is_some_and(|tail| {
                        list[tail..].iter().eq(own.iter())
                            && read.is_none_or(|read| *read == list[..tail])
                    });
                    if !fits {
                        return told(transaction, key, "not what it had read and appended before");
                    }
                    *read = Some(list);
                    own.clear();
                }
            }
        }
    }
    None
}

/// The order of every key's elements, or why there is none.
fn lists(transactions: &[Transaction]) -> Result<BTreeMap<&str, Key<'_>>, String> {
    let mut keys: BTreeMap<&str, Key<'_>> = BTreeMap::new();
    let mut longest: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, transaction) in transactions.iter().enumerate() {
        if transaction.outcome != Some(true) {
            continue;
        }
        for micro in &transaction.micros {
            let (Micro::Append(name, _) | Micro::Read(name, _)) = micro;
            let key = keys.entry(name).or_insert(Key {
                order: &[],
                reads: Vec::new(),
                appends: Vec::new(),
            });
            match micro {
                Micro::Append(_, element) => key.appends.push((number, element)),
                Micro::Read(_, list) => {
                    let (short, long) = if list.len() < key.order.len() {
                        (&list[..], key.order)
                    } else {
                        (key.order, &list[..])
                    };
                    if !long.starts_with(short) {
                        let other = longest.get(name.as_str()).map_or(0, |n| transactions[*n].line);
                        return Err(format!(
                            "The transactions of lines {other} and {} read {name} in orders that \
                             exclude each other: [{}] and [{}].",
                            transaction.line,
                            key.order.join(" "),
                            list.join(" ")
                        ));
                    }
                    let mut seen = BTreeSet::new();
                    if let Some(twice) = list.iter().find(|element| !seen.insert(*element)) {
                        return Err(format!(
                            "The transaction of line {} read {twice} twice in {name}.",
                            transaction.line
                        ));
                    }
                    if list.len() > key.order.len() {
                        key.order = list;
                        longest.insert(name, number);
                    }
                    key.reads.push((number, list));
                }
            }
        }
    }
    Ok(keys)
}

fn story(transactions: &[Transaction], circle: &[(usize, (Why, &str))]) -> String {
    let mut story = "These transactions come before one another in a circle:".to_owned();
    for (at, (node, (why, key))) in circle.iter().enumerate() {
        let (next, _) = &circle[(at + 1) % circle.len()];
        let (from, to) = (transactions[*node].line, transactions[*next].line);
        let why = match why {
            Why::Appended => "its element stands before the other's in",
            Why::Read => "the other read its element in",
            Why::Missed => "it did not see the other's element in",
        };
        let _ = write!(story, "\n  line {from} before line {to}: {why} {key}");
    }
    story
}
