//! Sessions that read and write keys, without times: what causality alone proves.
//!
//! A transaction comes after those before it in its session, and after those whose writes it
//! read; what follows from that is its past. A value is provably older than another if its
//! writer is in the past of the other's. Then
//! - *read your writes* is violated if a session reads, of a key that it wrote in an earlier
//!   transaction, something older than what it wrote;
//! - *monotonic reads*, if it reads something older than what it read of that key before, or the
//!   same again after another transaction's in between: in no order of the two is that forwards;
//! - *no thin-air reads*, if it reads a value that nobody wrote and that was not there at first;
//! - *causal consistency* (Biswas and Enea, "On the complexity of checking transactional
//!   consistency", 2019), if no order of commits respects every past: if one writer of a key is
//!   in the past of a reader that read another's value, it comes before that other.
//!
//! The past is a vector of how many transactions of each session are in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::graph::Order;
use super::{Finding, Judged};

/// A read or a write.
#[derive(Clone, Debug)]
pub struct Access {
    /// Or a write.
    pub read: bool,
    /// Of what.
    pub key: String,
    /// What was read or written.
    pub value: String,
    /// Whose.
    pub session: String,
    /// In which of the session's transactions; none if that was aborted.
    pub transaction: Option<String>,
    /// Where it stands.
    pub line: usize,
}

/// What sessions did, each in its order.
#[derive(Clone, Debug)]
pub struct Sessions {
    /// In the file's order.
    pub accesses: Vec<Access>,
    /// What every key holds before anybody writes it.
    pub initial: String,
}

impl Sessions {
    /// A write of what its key held at first, if somebody read that of the key: whether that
    /// read saw the write nobody can tell.
    pub(super) fn written_as_at_first(&self) -> Option<usize> {
        let as_at_first = |access: &&Access| access.value == self.initial;
        let reads = self.accesses.iter().filter(|access| access.read).filter(as_at_first);
        let read: BTreeSet<&str> = reads.map(|access| access.key.as_str()).collect();
        self.accesses.iter().position(|access| {
            !access.read && access.value == self.initial && read.contains(access.key.as_str())
        })
    }

    /// An access of a transaction after another one of its session had begun, and the first access
    /// of that: sessions do one thing after the other.
    pub(super) fn taken_up_again(&self) -> Option<(usize, usize)> {
        // Of each session, the transaction that goes on, and where; and those that are over.
        let mut present: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
        let mut over: BTreeSet<(&str, &str)> = BTreeSet::new();
        for (number, access) in self.accesses.iter().enumerate() {
            let Some(name) = access.transaction.as_deref() else { continue };
            let session = access.session.as_str();
            match present.insert(session, (name, number)) {
                Some((before, since)) if before == name => {
                    present.insert(session, (name, since));
                }
                Some((before, since)) => {
                    over.insert((session, before));
                    if over.contains(&(session, name)) {
                        return Some((number, since));
                    }
                }
                None => {}
            }
        }
        None
    }

    /// Two writes of one value to one key, if there are any.
    pub(super) fn written_twice(&self) -> Option<(usize, usize)> {
        let mut known = BTreeMap::new();
        let writes = self.accesses.iter().enumerate().filter(|(_, access)| !access.read);
        for (number, access) in writes {
            if let Some(first) = known.insert((&access.key, &access.value), number) {
                return Some((first, number));
            }
        }
        None
    }
}

struct Transaction {
    session: usize,
    /// Its place in the session.
    ordinal: usize,
    accesses: Vec<usize>,
}

/// Why one transaction comes before another.
#[derive(Clone, Debug)]
enum Why {
    Session,
    /// Its write was read: the reading access.
    Read(usize),
    /// It is in the past of a reader that read the other's value: that access.
    Overwritten(usize),
}

struct Pasts<'a> {
    history: &'a Sessions,
    transactions: Vec<Transaction>,
    /// The transaction of each access that was not aborted.
    of: Vec<Option<usize>>,
    /// The write of a value to a key, aborted ones included.
    writes: BTreeMap<(&'a str, &'a str), usize>,
    /// Reads of what the reader's own transaction had not written before, with the transaction
    /// whose write was read; none for the initial value.
    external: Vec<(usize, Option<usize>)>,
    order: Order<Why>,
    /// How many transactions of each session are in the past of each.
    clocks: Vec<Vec<usize>>,
}

/// Of the writers of a key, by session: ordinals in it, and transactions.
type BySession = BTreeMap<usize, Vec<(usize, usize)>>;

/// Judges it: the promises to a session and, if asked, causal consistency.
pub fn judge(history: &Sessions, causal: bool) -> Judged {
    let mut pasts = Pasts::new(history);
    let mut findings = Vec::new();
    let wrong = pasts.nonsense();
    pasts.reach();
    if causal {
        findings.push(Finding::of("causal", wrong.or_else(|| pasts.causal())));
    }
    findings.push(Finding::of("read-your-writes", pasts.own_writes()));
    findings.push(Finding::of("monotonic-reads", pasts.back_in_time()));
    findings.push(Finding::of("no-thin-air-reads", pasts.out_of_thin_air()));
    let line = history.accesses.first().map_or(1, |access| access.line);
    Judged::new(line, history.accesses.len(), findings)
}

impl<'a> Pasts<'a> {
    fn new(history: &'a Sessions) -> Pasts<'a> {
        let mut sessions: BTreeMap<&str, usize> = BTreeMap::new();
        let mut known: BTreeMap<(usize, &str), usize> = BTreeMap::new();
        let mut lengths: Vec<usize> = Vec::new();
        let mut last: Vec<Option<usize>> = Vec::new();
        let mut transactions: Vec<Transaction> = Vec::new();
        let mut follows = Vec::new();
        let mut of = Vec::with_capacity(history.accesses.len());
        for (number, access) in history.accesses.iter().enumerate() {
            let Some(name) = &access.transaction else {
                of.push(None);
                continue;
            };
            let next = sessions.len();
            let session = *sessions.entry(&access.session).or_insert(next);
            if session == lengths.len() {
                lengths.push(0);
                last.push(None);
            }
            let transaction = *known.entry((session, name)).or_insert_with(|| {
                let ordinal = lengths[session];
                lengths[session] += 1;
                let this = transactions.len();
                follows.extend(last[session].replace(this).map(|before| (before, this)));
                transactions.push(Transaction { session, ordinal, accesses: Vec::new() });
                this
            });
            transactions[transaction].accesses.push(number);
            of.push(Some(transaction));
        }
        let mut order = Order::new(transactions.len());
        for (before, after) in follows {
            order.edge(before, after, Why::Session);
        }
        let writes = history
            .accesses
            .iter()
            .enumerate()
            .filter(|(_, access)| !access.read)
            .map(|(number, access)| ((access.key.as_str(), access.value.as_str()), number))
            .collect();
        let clocks = vec![vec![0; lengths.len()]; transactions.len()];
        let mut pasts =
            Pasts { history, transactions, of, writes, external: Vec::new(), order, clocks };
        pasts.trace_reads();
        pasts
    }

    fn access(&self, number: usize) -> &'a Access {
        &self.history.accesses[number]
    }

    /// Finds whose write each read saw.
    fn trace_reads(&mut self) {
        for (reader, transaction) in self.transactions.iter().enumerate() {
            let mut own: BTreeSet<&str> = BTreeSet::new();
            for number in &transaction.accesses {
                let access = &self.history.accesses[*number];
                if !access.read {
                    own.insert(&access.key);
                } else if !own.contains(access.key.as_str()) {
                    if access.value == self.history.initial {
                        self.external.push((*number, None));
                        continue;
                    }
                    let write = self.writes.get(&(access.key.as_str(), access.value.as_str()));
                    if let Some(writer) = write.and_then(|write| self.of[*write]) {
                        self.external.push((*number, Some(writer)));
                        self.order.edge(writer, reader, Why::Read(*number));
                    }
                }
            }
        }
        self.external.sort_unstable();
    }

    /// Reads that no order of commits explains, whatever the past.
    fn nonsense(&self) -> Option<String> {
        for (reader, transaction) in self.transactions.iter().enumerate() {
            let mut own: BTreeMap<&str, usize> = BTreeMap::new();
            for number in &transaction.accesses {
                let access = self.access(*number);
                let key = access.key.as_str();
                if !access.read {
                    own.insert(key, *number);
                    continue;
                }
                let story = |why: &str| Some(format!("{} {why}.", self.words(*number)));
                if let Some(wrote) = own.get(key) {
                    if self.access(*wrote).value != access.value {
                        let line = self.access(*wrote).line;
                        let value = &self.access(*wrote).value;
                        return story(&format!(
                            "although the same transaction had written {value} before (line {line})"
                        ));
                    }
                    continue;
                }
                if access.value == self.history.initial {
                    continue;
                }
                let Some(write) = self.writes.get(&(key, access.value.as_str())) else {
                    return story("although nobody wrote that");
                };
                let line = self.access(*write).line;
                match self.of[*write] {
                    None => {
                        return story(&format!("which was written and taken back (line {line})"));
                    }
                    Some(writer) if writer == reader => {
                        return story(&format!("before the transaction wrote that (line {line})"));
                    }
                    Some(writer) => {
                        let later = self.transactions[writer].accesses.iter().find(|later| {
                            let later_one = self.access(**later);
                            **later > *write && !later_one.read && later_one.key == key
                        });
                        if let Some(later) = later {
                            return story(&format!(
                                "which its writer (line {line}) replaced before it committed \
                                 (line {})",
                                self.access(*later).line
                            ));
                        }
                    }
                }
            }
        }
        None
    }

    /// Computes every past. On circles everything is in the past of everything.
    fn reach(&mut self) {
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); self.transactions.len()];
        let sorted = self.order.sorted();
        self.order.for_each(|from, to| before[to].push(from));
        for node in &sorted {
            self.learn(*node, &before);
        }
        let mut placed = vec![false; self.transactions.len()];
        sorted.into_iter().for_each(|node| placed[node] = true);
        let rest: Vec<usize> = (0..placed.len()).filter(|node| !placed[*node]).collect();
        let mut changed = true;
        while changed {
            changed = false;
            for node in &rest {
                changed |= self.learn(*node, &before);
            }
        }
    }

    fn learn(&mut self, node: usize, before: &[Vec<usize>]) -> bool {
        let mut clock = std::mem::take(&mut self.clocks[node]);
        let mut changed = false;
        for earlier in &before[node] {
            // A circle of one was never put in.
            for (mine, theirs) in clock.iter_mut().zip(&self.clocks[*earlier]) {
                if *theirs > *mine {
                    *mine = *theirs;
                    changed = true;
                }
            }
            let Transaction { session, ordinal, .. } = self.transactions[*earlier];
            if clock[session] <= ordinal {
                clock[session] = ordinal + 1;
                changed = true;
            }
        }
        self.clocks[node] = clock;
        changed
    }

    /// Whether `earlier` is in the past of `later`.
    fn past(&self, earlier: usize, later: usize) -> bool {
        let Transaction { session, ordinal, .. } = self.transactions[earlier];
        self.clocks[later][session] > ordinal
    }

    fn own_writes(&self) -> Option<String> {
        let external: BTreeMap<usize, Option<usize>> = self.external.iter().copied().collect();
        let mut wrote: BTreeMap<(usize, &str), usize> = BTreeMap::new();
        for (number, access) in self.history.accesses.iter().enumerate() {
            let Some(here) = self.of[number] else { continue };
            let place = (self.transactions[here].session, access.key.as_str());
            if !access.read {
                wrote.insert(place, number);
                continue;
            }
            let Some(own) = wrote.get(&place) else { continue };
            let Some(writer) = self.of[*own].filter(|writer| *writer != here) else { continue };
            let Some(source) = external.get(&number) else { continue };
            if self.access(*own).value != access.value && self.older(*source, writer) {
                let own = self.words(*own);
                return Some(format!("{own}; later {}", self.of_older(number, *source)));
            }
        }
        None
    }

    fn back_in_time(&self) -> Option<String> {
        // What a session has read of a key, of each writer once; and what it read last.
        type Seen = (BTreeMap<usize, usize>, (usize, usize));
        let mut read: BTreeMap<(usize, &str), Seen> = BTreeMap::new();
        for (number, source) in &self.external {
            let Some(here) = self.of[*number] else { continue };
            let place = (self.transactions[here].session, self.access(*number).key.as_str());
            let (known, last) = read.entry(place).or_default();
            let newer = known
                .iter()
                .find(|(writer, _)| Some(**writer) != *source && self.older(*source, **writer));
            if let Some((_, first)) = newer {
                let first = self.words(*first);
                return Some(format!("{first}; later {}", self.of_older(*number, *source)));
            }
            let Some(source) = source else { continue };
            if let Some(first) = known.get(source)
                && last.0 != *source
            {
                let (first, between) = (self.words(*first), self.words(last.1));
                let again = self.words(*number);
                return Some(format!("{first}; then {between}; and {again}."));
            }
            known.entry(*source).or_insert(*number);
            *last = (*source, *number);
        }
        None
    }

    /// The first read in the file of what nobody wrote. What was written and taken back again
    /// was written; and an aborted transaction was promised nothing.
    fn out_of_thin_air(&self) -> Option<String> {
        let committed = (0..self.of.len()).filter(|number| self.of[*number].is_some());
        let mut reads = committed.filter(|number| self.access(*number).read);
        let thin = reads.find(|number| {
            let Access { key, value, .. } = self.access(*number);
            *value != self.history.initial && !self.writes.contains_key(&(key, value))
        })?;
        Some(format!("{}, although nobody wrote that.", self.words(thin)))
    }

    /// Whether what `source` wrote is provably older than what `other` did.
    fn older(&self, source: Option<usize>, other: usize) -> bool {
        source.is_none_or(|source| source == other || self.past(source, other))
    }

    fn causal(&self) -> Option<String> {
        if let Some(circle) = self.order.circle() {
            return Some(self.circle_story(&circle));
        }
        let mut writers: BTreeMap<&str, BySession> = BTreeMap::new();
        for (node, transaction) in self.transactions.iter().enumerate() {
            for number in &transaction.accesses {
                let access = self.access(*number);
                if !access.read {
                    let of = writers.entry(&access.key).or_default();
                    of.entry(transaction.session).or_default().push((transaction.ordinal, node));
                }
            }
        }
        let mut order = self.order.clone();
        for (number, source) in &self.external {
            let Some(reader) = self.of[*number] else { continue };
            let Some(sessions) = writers.get(self.access(*number).key.as_str()) else { continue };
            for (session, list) in sessions {
                let seen = self.clocks[reader][*session];
                let latest = list.partition_point(|(ordinal, _)| *ordinal < seen);
                let Some((_, other)) = latest.checked_sub(1).map(|at| list[at]) else { continue };
                match source {
                    Some(source) if *source == other => {}
                    Some(source) => order.edge(other, *source, Why::Overwritten(*number)),
                    None => {
                        let key = &self.access(*number).key;
                        let wrote = self.transactions[other]
                            .accesses
                            .iter()
                            .rfind(|n| !self.access(**n).read && self.access(**n).key == *key);
                        let wrote = wrote.map_or_else(String::new, |n| self.words(*n));
                        let read = self.words(*number);
                        return Some(format!(
                            "{read}, the initial value, although it comes after this: {wrote}."
                        ));
                    }
                }
            }
        }
        order.circle().map(|circle| self.circle_story(&circle))
    }

    fn circle_story(&self, circle: &[(usize, Why)]) -> String {
        let mut story = "These transactions come before one another in a circle:".to_owned();
        for (at, (node, why)) in circle.iter().enumerate() {
            let (next, _) = &circle[(at + 1) % circle.len()];
            let (from, to) = (self.name(*node), self.name(*next));
            let _ = match why {
                Why::Session => write!(story, "\n  {from} before {to}: the session's order"),
                Why::Read(number) => {
                    write!(story, "\n  {from} before {to}: {}", self.words(*number))
                }
                Why::Overwritten(number) => write!(
                    story,
                    "\n  {from} before {to}: both wrote {}, and {}, although it comes after {from}",
                    self.key(*number),
                    self.words(*number)
                ),
            };
        }
        story
    }

    fn of_older(&self, number: usize, source: Option<usize>) -> String {
        let read = self.words(number);
        match source {
            None => format!("{read}, the initial value."),
            Some(source) => format!("{read}, which {} had written before that.", self.name(source)),
        }
    }

    fn name(&self, node: usize) -> String {
        let first = self.access(self.transactions[node].accesses[0]);
        let name = first.transaction.as_deref().unwrap_or("");
        format!("transaction {name} of session {} (line {})", first.session, first.line)
    }

    /// Histories of a single key do not name it.
    fn key(&self, number: usize) -> String {
        match self.access(number).key.as_str() {
            "" => "the register".to_owned(),
            key => format!("key {key}"),
        }
    }

    fn words(&self, number: usize) -> String {
        let access = self.access(number);
        let did = if access.read { "read" } else { "wrote" };
        let transaction = access.transaction.as_deref().unwrap_or("");
        format!(
            "session {} {did} {} of {} (line {}, transaction {transaction})",
            access.session,
            access.value,
            self.key(number),
            access.line
        )
    }
}
