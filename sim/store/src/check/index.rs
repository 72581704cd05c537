//! The check of the index tree: its shape, and its entries against the nodes.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{Check, Problem, RecordType};
use crate::disk::FileKind;
use crate::index::DEEPEST;
use crate::record::NodeRecord;
use crate::tree::{self, IndexKey};
use crate::value::{Value, index_hash, same};

impl Check<'_> {
    /// Compares the tree's entries with those that the nodes call for.
    pub(super) fn index(&mut self) {
        let mut entries = BTreeSet::new();
        if self.contents.pages(FileKind::Index) > 0 {
            let mut walk = Walk { met: BTreeSet::new(), entries: &mut entries, leaf: None };
            self.tree_page(0, None, [None, None], &mut walk);
            if let Some((last, _)) = walk.leaf.filter(|(_, next)| *next != 0) {
                self.report(FileKind::Index, u64::from(last), Problem::WrongNextLeaf);
            }
        }
        let mut scratch = Vec::new();
        // By unique rule and hash: values and their nodes.
        let mut unique: BTreeMap<(u64, u64), Vec<(u64, Value)>> = BTreeMap::new();
        for id in 0..self.contents.high(FileKind::Nodes) {
            let node: NodeRecord = self.contents.read(id);
            let mut labels = Vec::new();
            if !node.in_use || self.contents.labels(&node, &mut labels).is_err() {
                continue;
            }
            for label in &labels {
                if !entries.remove(&IndexKey::label(*label, id)) {
                    let problem = Problem::MissingFromScan;
                    self.report_as(RecordType::LabelScanDocument, FileKind::Nodes, id, problem);
                }
            }
            for (rule, record) in self.store.schema.rules() {
                if !labels.contains(&u32::from(record.label)) {
                    continue;
                }
                let Some(value) = self.contents.property(node.first_property, record.key) else {
                    continue;
                };
                let Some(hash) = index_hash(&value, &mut scratch) else { continue };
                if !entries.remove(&IndexKey::value(*rule, hash, id)) {
                    self.report(FileKind::Nodes, id, Problem::MissingFromIndex);
                }
                if record.unique {
                    let others = unique.entry((*rule, hash)).or_default();
                    if others.iter().any(|(_, other)| same(other, &value)) {
                        self.report(FileKind::Nodes, id, Problem::NotUnique);
                    }
                    others.push((id, value));
                }
            }
        }
        for entry in entries {
            let node: NodeRecord = self.contents.read(entry.node);
            let problem = match (node.in_use, entry.rule()) {
                (false, _) => Problem::IndexedNotInUse,
                (true, None) => Problem::ScannedWithoutLabel,
                (true, Some(_)) => Problem::IndexedWithoutValue,
            };
            let record_type = match entry.rule() {
                None => RecordType::LabelScanDocument,
                Some(_) => RecordType::Index,
            };
            self.report_as(record_type, FileKind::Nodes, entry.node, problem);
        }
    }

    /// Walks a page of the tree; `level` is what it must have, and all below it stands from the
    /// first of the `bounds` on and before the second.
    fn tree_page(
        &mut self,
        number: u32,
        level: Option<u16>,
        bounds: [Option<IndexKey>; 2],
        walk: &mut Walk<'_>,
    ) {
        let Some(body) = self.contents.body(FileKind::Index, number) else {
            return self.report(FileKind::Index, u64::from(number), Problem::MissingTreePage);
        };
        let own = tree::level(body);
        let wrong = level.is_some_and(|level| level != own) || own >= DEEPEST;
        if !walk.met.insert(number) || wrong {
            return self.report(FileKind::Index, u64::from(number), Problem::MisplacedTreePage);
        }
        let keys: Vec<IndexKey> =
            (0..tree::count(body)).map(|place| tree::key_at(body, place)).collect();
        // The first child of an inner page has no lower bound of its own.
        let counted = if own > 0 { keys.get(1..).unwrap_or_default() } else { &keys };
        if counted.windows(2).any(|two| two[0] >= two[1]) {
            self.report(FileKind::Index, u64::from(number), Problem::EntriesOutOfOrder);
        }
        let [lower, upper] = bounds;
        let within = |key: &IndexKey| {
            lower.is_none_or(|lower| lower <= *key) && upper.is_none_or(|upper| *key < upper)
        };
        if !counted.iter().all(within) {
            self.report(FileKind::Index, u64::from(number), Problem::OutOfBounds);
        }
        if own == 0 {
            if let Some((last, next)) = walk.leaf.replace((number, tree::next_leaf(body)))
                && next != number
            {
                self.report(FileKind::Index, u64::from(last), Problem::WrongNextLeaf);
            }
            let before = walk.entries.last().copied();
            if before.zip(keys.first().copied()).is_some_and(|(before, first)| before >= first) {
                self.report(FileKind::Index, u64::from(number), Problem::EntriesOutOfOrder);
            }
            walk.entries.extend(keys);
            return;
        }
        if keys.is_empty() {
            self.report(FileKind::Index, u64::from(number), Problem::NoChildren);
        }
        for place in 0..keys.len() {
            let lower = if place == 0 { lower } else { Some(keys[place]) };
            let upper = keys.get(place + 1).copied().or(upper);
            self.tree_page(tree::child_at(body, place), Some(own - 1), [lower, upper], walk);
        }
    }
}

/// The tree as far as it was walked, from the left to the right.
struct Walk<'a> {
    met: BTreeSet<u32>,
    entries: &'a mut BTreeSet<IndexKey>,
    /// The last leaf, and the one that it says comes next; 0: none.
    leaf: Option<(u32, u32)>,
}
