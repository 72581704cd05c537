//! `list-append`: did operations that append to lists and read them see one list each?
//!
//! Elements are put at the head of a node's list; reads give the newest first. What reads at the
//! master see is put together to one order of the list, which each of them must agree with: the
//! shorter is the beginning of the longer. Every element was appended, to that list, by an
//! operation that did not fail, and once; an append that was acknowledged before a read was due is
//! in it; and one that counted the elements before it stands behind so many. Judged is what the
//! master answered between two failovers: after one, the order is learnt again from the first read.
//!
//! Exercised: a read at the master, or an append that had counted. Memory: one entry for each
//! element, and what operations under way have reported.

use std::collections::BTreeMap;

use wavetank_vocabulary::{
    Classes, Fact, InstanceId, NodeId, Observation, OperationId, OperationKind, OperationOutcome,
    Time,
};
use wavetank_world::{Appends, Lists, Plan};

use super::anomalies::{Tally, Watch};

/// An operation under way: what its present attempt has reported.
#[derive(Clone, Debug)]
struct Open {
    kind: OperationKind,
    due: Time,
    attempt: u16,
    instance: Option<InstanceId>,
    /// All of it by the master, in this reign.
    at_master: bool,
    reign: u32,
    list: NodeId,
    read: Vec<i64>,
    whole: bool,
    wrote: Option<i64>,
    length: Option<i64>,
    /// An earlier attempt, or a part of one, may have been done, too.
    ambiguous: bool,
}

#[derive(Clone, Copy, Debug)]
struct Element {
    list: NodeId,
    by: OperationId,
    /// When its append was acknowledged by the present master.
    acknowledged: Option<(Time, InstanceId)>,
    failed: bool,
    /// It may be there twice.
    ambiguous: bool,
    /// How many its append had counted before it.
    counted: Option<i64>,
    /// Where it stands in the order, from the oldest.
    place: Option<usize>,
}

#[derive(Clone, Debug)]
struct List {
    /// From the oldest.
    order: Vec<i64>,
    /// The order was learnt since the failover.
    known: bool,
    /// It begins with the oldest of all.
    from_start: bool,
    /// Acknowledged, and in no read yet.
    unseen: Vec<i64>,
}

#[derive(Clone, Debug)]
pub(super) struct ListAppend {
    name: String,
    appends: Vec<Option<Appends>>,
    lists: Vec<Option<Lists>>,
    open: BTreeMap<OperationId, Open>,
    /// Operations that have ended, and may still append.
    late: BTreeMap<OperationId, OperationKind>,
    elements: BTreeMap<i64, Element>,
    orders: BTreeMap<NodeId, List>,
    master: Option<InstanceId>,
    reign: u32,
    began: Time,
}

/// A read that counts.
struct Read {
    operation: OperationId,
    due: Time,
    at: Time,
    instance: InstanceId,
}

impl ListAppend {
    pub(super) fn new(plan: &Plan, name: &str) -> Self {
        ListAppend {
            name: name.to_owned(),
            appends: plan.operations.iter().map(|program| program.appends(name)).collect(),
            lists: plan.operations.iter().map(|program| program.lists(name)).collect(),
            open: BTreeMap::new(),
            late: BTreeMap::new(),
            elements: BTreeMap::new(),
            orders: BTreeMap::new(),
            master: None,
            reign: 0,
            began: Time::ZERO,
        }
    }

    fn reported(&mut self, fact: &Fact) {
        let Fact::Observed { operation, attempt, instance, what, place, node, value, .. } = *fact
        else {
            return;
        };
        let is_master = self.master == Some(instance);
        let of = self.open.get(&operation).map(|open| open.kind);
        let Some(kind) = of.or_else(|| self.late.get(&operation).copied()) else { return };
        let (appends, lists) = (self.appends[kind.index()], self.lists[kind.index()]);
        let appends = appends.filter(|of| of.wrote == place || of.counted == Some(place));
        if let (Observation::Wrote, Some(_), Some(value)) = (what, appends, value) {
            self.elements.entry(value).or_insert(Element {
                list: node,
                by: operation,
                acknowledged: None,
                failed: false,
                // Nobody waits for it any more.
                ambiguous: of.is_none(),
                counted: None,
                place: None,
            });
        }
        let Some(open) = self.open.get_mut(&operation) else { return };
        if attempt < open.attempt {
            return;
        }
        if attempt > open.attempt {
            (open.attempt, open.instance, open.at_master) = (attempt, Some(instance), is_master);
            open.reign = self.reign;
            open.read.clear();
            (open.whole, open.wrote, open.length) = (false, None, None);
        }
        open.at_master &= is_master && open.reign == self.reign;
        match what {
            Observation::Listed | Observation::End => {
                if lists.is_none_or(|lists| lists.place != place) {
                    return;
                }
                open.list = node;
                match (what, value) {
                    (Observation::Listed, Some(value)) => open.read.push(value),
                    (Observation::End, _) => open.whole = true,
                    _ => {}
                }
            }
            Observation::Wrote if appends.is_some() => (open.list, open.wrote) = (node, value),
            Observation::Read if appends.is_some() => open.length = value,
            _ => {}
        }
    }

    fn ended(&mut self, at: Time, fact: &Fact, tally: &mut Tally) {
        let Fact::Completed { operation, outcome, attempts, .. } = *fact else { return };
        let Some(open) = self.open.remove(&operation) else { return };
        let well = outcome == OperationOutcome::Ok
            && open.attempt == attempts
            && open.at_master
            && open.reign == self.reign;
        if outcome == OperationOutcome::Unknown || open.ambiguous {
            self.late.insert(operation, open.kind);
        }
        let Some(instance) = open.instance else { return };
        if let Some(value) = open.wrote
            && let Some(element) = self.elements.get_mut(&value)
        {
            element.failed = outcome == OperationOutcome::Failed;
            element.ambiguous |= open.ambiguous;
            if well {
                element.acknowledged = Some((at, instance));
                element.counted = open.length;
                let list = self.orders.entry(open.list).or_default();
                // A read may have seen it already, and where it stands is not always known.
                if element.place.is_none() && !list.order.contains(&value) {
                    list.unseen.push(value);
                }
                self.counted(value, at, tally);
            }
        } else if well && open.whole && open.due >= self.began {
            let read = Read { operation, due: open.due, at, instance };
            let limit = self.lists[open.kind.index()].map_or(0, |lists| lists.limit as usize);
            let mut values = open.read;
            values.reverse();
            self.read(&read, open.list, &values, values.len() < limit, tally);
        }
    }

    /// Whether an element stands where its append had counted that it would.
    fn counted(&self, value: i64, at: Time, tally: &mut Tally) {
        let Some(element) = self.elements.get(&value).filter(|element| !element.ambiguous) else {
            return;
        };
        let (Some(counted), Some(place)) = (element.counted, element.place) else { return };
        let Some((_, instance)) = element.acknowledged else { return };
        tally.looked += 1;
        if counted == place as i64 {
            return;
        }
        let list = element.list;
        let before = self.orders.get(&list).zip(place.checked_sub(1));
        let before = before.and_then(|(list, place)| list.order.get(place));
        let before = before.and_then(|before| self.elements.get(before));
        let operations = before.map(|before| before.by).into_iter().chain([element.by]).collect();
        tally.find(1, Some(at), operations, vec![instance], || {
            let behind =
                before.map_or_else(String::new, |before| format!(", behind {}", before.by));
            format!(
                "{} counted {counted} in the list of node {} before it appended to it (instance \
                 {}), and its `{}` stands at place {place}{behind}.",
                element.by, list.0, instance.0, self.name
            )
        });
    }

    fn read(&mut self, read: &Read, node: NodeId, r: &[i64], all: bool, tally: &mut Tally) {
        tally.looked += 1;
        let list = self.orders.entry(node).or_default();
        let offset = match r.first() {
            _ if all => Some(0),
            Some(first) => list.order.iter().rposition(|value| value == first),
            None => None,
        };
        let (name, node_id) = (&self.name, node.0);
        let said = |what: String| {
            format!(
                "{what} {} read the list of node {node_id} at instance {} (from {} to {}).",
                read.operation, read.instance.0, read.due, read.at
            )
        };
        let mut find = |other: Option<&Element>, what: &dyn Fn() -> String| {
            let by = other.map(|element| element.by);
            let operations = by.into_iter().chain([read.operation]).collect();
            let by = other.and_then(|element| element.acknowledged);
            let instances = by.map(|(_, by)| by).into_iter().chain([read.instance]).collect();
            tally.find(1, Some(read.at), operations, instances, || said(what()));
        };
        let Some(offset) = offset.filter(|_| list.known) else {
            // What a new master has is the list from now on.
            list.order.clear();
            list.order.extend_from_slice(r);
            (list.known, list.from_start) = (true, all);
            list.unseen.retain(|value| !r.contains(value));
            return;
        };
        let common = r.len().min(list.order.len() - offset);
        let known = &list.order[offset..];
        if let Some(place) = (0..common).find(|place| r[*place] != known[*place]) {
            let (one, other) = (known[place], r[place]);
            find(self.elements.get(&one), &|| {
                format!("Earlier reads had `{name}` {one} where one has {other}:")
            });
            return;
        }
        let since = |element: &Element| {
            element.acknowledged.filter(|(acknowledged, _)| *acknowledged <= read.due)
        };
        let lost = |element: &Element, (at, by): (Time, InstanceId), value: i64| {
            format!(
                "`{name}` {value}, appended by {} and acknowledged by instance {} at {at}, is not \
                 there:",
                element.by, by.0
            )
        };
        for value in known.get(r.len()..).unwrap_or_default() {
            if let Some(element) = self.elements.get(value)
                && let Some(acknowledged) = since(element)
            {
                find(Some(element), &|| lost(element, acknowledged, *value));
            }
        }
        let new: Vec<i64> = r.get(known.len()..).unwrap_or_default().to_vec();
        list.unseen.retain(|value| {
            if new.contains(value) {
                return false;
            }
            let Some(element) = self.elements.get(value) else { return false };
            let Some(acknowledged) = since(element) else { return true };
            find(Some(element), &|| lost(element, acknowledged, *value));
            false
        });
        for value in &new {
            match self.elements.get(value) {
                Some(element) if element.list == node && !element.failed => {
                    if element.place.is_some() && !element.ambiguous {
                        find(Some(element), &|| format!("`{name}` {value} is there twice:"));
                    }
                }
                Some(element) if element.list == node => {
                    let by = element.by;
                    find(Some(element), &|| {
                        format!("`{name}` {value} is there, although its append {by} failed:")
                    });
                }
                other => {
                    find(other, &|| format!("nobody has appended `{name}` {value} there:"));
                }
            }
            let place = list.order.len();
            list.order.push(*value);
            if list.from_start
                && let Some(element) = self.elements.get_mut(value)
            {
                element.place.get_or_insert(place);
            }
        }
        for value in new {
            self.counted(value, read.at, tally);
        }
    }
}

impl Default for List {
    /// One that nobody has asked for yet.
    fn default() -> List {
        List { order: Vec::new(), known: true, from_start: true, unseen: Vec::new() }
    }
}

impl Watch for ListAppend {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS | Classes::VALUES | Classes::CLUSTER
    }

    fn observe(&mut self, at: Time, fact: &Fact, tally: &mut Tally) {
        match *fact {
            Fact::EpochBegan { instance, .. } => {
                if self.master.replace(instance).is_none() {
                    return;
                }
                self.reign += 1;
                self.began = at;
                for list in self.orders.values_mut() {
                    (list.known, list.from_start) = (false, false);
                    list.order.clear();
                    list.unseen.clear();
                }
                for element in self.elements.values_mut() {
                    (element.acknowledged, element.place) = (None, None);
                }
            }
            Fact::Invoked { operation, kind } => {
                let (place, concerns) = (kind.index(), |place: usize| {
                    self.appends[place].is_some() || self.lists[place].is_some()
                });
                if concerns(place) {
                    let open = Open {
                        kind,
                        due: at,
                        attempt: 0,
                        instance: None,
                        at_master: false,
                        reign: 0,
                        list: NodeId(0),
                        read: Vec::new(),
                        whole: false,
                        wrote: None,
                        length: None,
                        ambiguous: false,
                    };
                    self.open.insert(operation, open);
                }
            }
            Fact::Observed { .. } => self.reported(fact),
            Fact::Retried { operation, may_have_done: true, .. } => {
                if let Some(open) = self.open.get_mut(&operation) {
                    open.ambiguous = true;
                }
            }
            Fact::Completed { .. } => self.ended(at, fact, tally),
            _ => {}
        }
    }

    fn looks_at(&self) -> &'static str {
        "reads and appends"
    }
}

#[cfg(test)]
mod tests;
