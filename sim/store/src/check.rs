//! The consistency check: does every record agree with those it points to?

mod index;
mod problem;
mod report;

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use crate::audit::{Contents, PageSource};
use crate::dense::which_chain;
use crate::disk::FileKind;
use crate::error::StoreError;
use crate::labels::list_of;
use crate::record::{
    ArrayRecord, Dynamic, DynamicRecord, GroupRecord, LabelRecord, NONE, NodeRecord,
    PropertyRecord, RelationshipRecord, SchemaRecord, TokenRecord, Which, records_per_page,
};
use crate::store::Store;
use crate::tokens::token_record;
use crate::value::{Array, TokenId, TokenKind, Unpacked, block_key, unpack, values};

pub use problem::Problem;
pub use report::{Inconsistency, RecordType};

impl Store {
    /// Checks everything that is applied: relationship chains doubly linked and whole,
    /// degrees right, every property and dynamic record owned once, tokens known. Returns
    /// what is wrong, in the order of the files.
    ///
    /// # Errors
    /// A page that cannot be read or trusted.
    pub fn check(&self, disk: &dyn PageSource) -> Result<Vec<Inconsistency>, StoreError> {
        self.check_with_progress(disk, &mut |_, _| {})
    }

    /// As [`Store::check`]; `progress` is told now and then how many nodes and relationships
    /// have been looked at, and of how many.
    ///
    /// # Errors
    /// As [`Store::check`].
    pub fn check_with_progress(
        &self,
        disk: &dyn PageSource,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Vec<Inconsistency>, StoreError> {
        Ok(self.contents(disk)?.check(progress))
    }
}

impl Contents<'_> {
    /// What is wrong with them, as [`Store::check_with_progress`].
    pub fn check(&self, progress: &mut dyn FnMut(u64, u64)) -> Vec<Inconsistency> {
        let mut check = Check {
            store: self.store(),
            seen: vec![0; self.high(FileKind::Relationships) as usize],
            owned: FileKind::by_kind(|kind| vec![false; self.high(kind) as usize]),
            contents: self,
            found: Vec::new(),
            progress,
            done: 0,
        };
        check.step(0);
        check.nodes();
        check.relationships();
        check.orphans();
        check.tokens();
        check.schema();
        check.index();
        check.ids();
        check.found
    }
}

struct Check<'a> {
    store: &'a Store,
    contents: &'a Contents<'a>,
    /// By relationship: in which of its chains it was met, one bit each.
    seen: Vec<u8>,
    /// By file and record: it was met.
    owned: [Vec<bool>; FileKind::TABLE],
    found: Vec<Inconsistency>,
    progress: &'a mut dyn FnMut(u64, u64),
    done: u64,
}

/// After so many records the progress is told again.
const TOLD_EVERY: u64 = 1024;

impl Check<'_> {
    /// So many more records have been looked at.
    fn step(&mut self, more: u64) {
        self.done += more;
        if self.done.is_multiple_of(TOLD_EVERY) {
            let nodes = self.contents.high(FileKind::Nodes);
            (self.progress)(self.done, nodes + self.contents.high(FileKind::Relationships));
        }
    }

    fn report(&mut self, kind: FileKind, record: u64, problem: Problem) {
        self.report_as(RecordType::of(kind), kind, record, problem);
    }

    fn report_as(
        &mut self,
        record_type: RecordType,
        kind: FileKind,
        record: u64,
        problem: Problem,
    ) {
        self.found.push(Inconsistency { kind, record, problem, record_type });
    }

    fn knows(&self, kind: TokenKind, id: u32) -> bool {
        (id as usize) < self.store.token_names(kind).len()
    }

    fn nodes(&mut self) {
        for id in 0..self.contents.high(FileKind::Nodes) {
            self.step(1);
            let node: NodeRecord = self.contents.read(id);
            if node.in_use {
                self.labels_of(id, &node);
                if node.dense {
                    self.groups_of(id, node.first_relationship);
                } else {
                    self.chain_of(id, node.first_relationship, None);
                }
                self.properties_of(node.first_property);
            }
        }
    }

    /// Follows the groups of a dense node.
    fn groups_of(&mut self, node: u64, first: u64) {
        let (mut at, mut last) = (first, None);
        while at != NONE {
            let group: GroupRecord = self.contents.read(at);
            if !group.in_use || group.owner != node {
                return self.report(FileKind::Nodes, node, Problem::ForeignGroup);
            }
            if core::mem::replace(&mut self.owned[FileKind::Groups as usize][at as usize], true) {
                return self.report(FileKind::Groups, at, Problem::GroupTwice);
            }
            if last.is_some_and(|last| last >= group.kind) {
                self.report(FileKind::Groups, at, Problem::TypeOutOfOrder);
            }
            if group.is_empty() {
                self.report(FileKind::Groups, at, Problem::EmptyGroup);
            }
            for which in Which::ALL {
                self.chain_of(node, group.first[which as usize], Some((group.kind, which)));
            }
            (last, at) = (Some(group.kind), group.next);
        }
    }

    /// Follows a chain of a node: all its relationships, or those of a type and direction.
    fn chain_of(&mut self, node: u64, first: u64, only: Option<(u32, Which)>) {
        let (mut at, mut previous, mut length, mut degree) = (first, NONE, 0, 0);
        while at != NONE {
            let record: RelationshipRecord = self.contents.read(at);
            let Some(side) = record.side(node).filter(|_| record.in_use) else {
                return self.report(FileKind::Nodes, node, Problem::ForeignChain);
            };
            let side = side as usize;
            if only.is_some_and(|only| only != (record.kind, which_chain(&record, side))) {
                self.report(FileKind::Relationships, at, Problem::OtherGroup);
            }
            if self.seen[at as usize] & 1 << side != 0 {
                return self.report(FileKind::Relationships, at, Problem::ChainTwice);
            }
            self.seen[at as usize] |= 1 << side;
            if record.is_first[side] != (previous == NONE) {
                self.report(FileKind::Relationships, at, Problem::FirstFlag);
            }
            if previous == NONE {
                degree = record.previous[side];
            } else if record.previous[side] != previous {
                self.report(FileKind::Relationships, at, Problem::NoWayBack);
            }
            length += 1;
            (previous, at) = (at, record.next[side]);
        }
        if degree != length {
            self.report(FileKind::Nodes, node, Problem::Degree);
        }
    }

    fn relationships(&mut self) {
        for id in 0..self.contents.high(FileKind::Relationships) {
            self.step(1);
            let record: RelationshipRecord = self.contents.read(id);
            let expected = match (record.in_use, record.is_loop()) {
                (false, _) => 0,
                (true, true) => 1,
                (true, false) => 3,
            };
            if self.seen[id as usize] != expected {
                self.report(FileKind::Relationships, id, Problem::MissingFromChain);
            }
            if record.in_use {
                if !self.knows(TokenKind::RelationshipType, record.kind) {
                    self.report(FileKind::Relationships, id, Problem::UnknownType);
                }
                self.properties_of(record.first_property);
            }
        }
    }

    /// Follows the properties of an entity.
    fn properties_of(&mut self, first: u64) {
        let (mut at, mut previous) = (first, NONE);
        let mut keys: Vec<TokenId> = Vec::new();
        while at != NONE {
            let record: PropertyRecord = self.contents.read(at);
            if !record.in_use() {
                return self.report(FileKind::Properties, at, Problem::NotInUse);
            }
            if core::mem::replace(&mut self.owned[FileKind::Properties as usize][at as usize], true)
            {
                return self.report(FileKind::Properties, at, Problem::TwoOwners);
            }
            if record.previous != previous {
                self.report(FileKind::Properties, at, Problem::NoWayBack);
            }
            for (place, count) in values(&record.blocks) {
                let key = block_key(record.blocks[place]);
                if keys.contains(&key) {
                    self.report(FileKind::Properties, at, Problem::KeyTwice);
                }
                keys.push(key);
                if !self.knows(TokenKind::PropertyKey, u32::from(key.0)) {
                    self.report(FileKind::Properties, at, Problem::UnknownKey);
                }
                match unpack(&record.blocks[place..place + count]) {
                    Unpacked::Value(_) => {}
                    Unpacked::Damaged => {
                        self.report(FileKind::Properties, at, Problem::UnreadableValue);
                    }
                    Unpacked::Long(first) => {
                        let text =
                            self.pieces_of::<DynamicRecord>((FileKind::Properties, at), first);
                        if text.is_some_and(|text| core::str::from_utf8(&text).is_err()) {
                            self.report(FileKind::Properties, at, Problem::NotUtf8);
                        }
                    }
                    Unpacked::LongArray(first) => {
                        let array =
                            self.pieces_of::<ArrayRecord>((FileKind::Properties, at), first);
                        if array.is_some_and(|bytes| Array::from_bytes(&bytes).is_none()) {
                            self.report(FileKind::Properties, at, Problem::NoArray);
                        }
                    }
                }
            }
            (previous, at) = (at, record.next);
        }
    }

    /// Follows the dynamic records of a value; its bytes, if they are whole.
    fn pieces_of<R: Dynamic>(&mut self, owner: (FileKind, u64), first: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut twice = false;
        let owned = &mut self.owned[R::KIND as usize];
        let walked = self.contents.bytes::<R>(first, &mut bytes, |record| {
            twice |= core::mem::replace(&mut owned[record as usize], true);
        });
        if walked.is_err() {
            self.report(owner.0, owner.1, Problem::BrokenLongValue);
        } else if twice {
            self.report(owner.0, owner.1, Problem::SharedLongValue);
        }
        (walked.is_ok() && !twice).then_some(bytes)
    }

    fn labels_of(&mut self, id: u64, node: &NodeRecord) {
        let mut labels: Vec<u32> = node.labels.iter().collect();
        if let Some(first) = node.labels.dynamic() {
            let Some(bytes) = self.pieces_of::<LabelRecord>((FileKind::Nodes, id), first) else {
                return;
            };
            match list_of(&bytes) {
                Some((owner, list)) if owner == id => labels.extend(list),
                _ => return self.report(FileKind::Nodes, id, Problem::OtherLabels),
            }
        }
        if labels.windows(2).any(|two| two[0] >= two[1]) {
            self.report(FileKind::Nodes, id, Problem::LabelsOutOfOrder);
        }
        if labels.iter().any(|label| !self.knows(TokenKind::Label, *label)) {
            self.report(FileKind::Nodes, id, Problem::UnknownLabel);
        }
    }

    /// Records in use that nothing pointed to.
    fn orphans(&mut self) {
        for kind in [
            FileKind::Properties,
            FileKind::Groups,
            FileKind::Dynamic,
            FileKind::Arrays,
            FileKind::NodeLabels,
        ] {
            for id in 0..self.contents.high(kind) {
                if !self.owned[kind as usize][id as usize] && self.contents.in_use(kind, id) {
                    self.report(kind, id, Problem::Orphan);
                }
            }
        }
    }

    /// The token records must say what is in memory.
    fn tokens(&mut self) {
        let mut next = [0u32; 3];
        for id in 0..self.contents.high(FileKind::Tokens) {
            let record: TokenRecord = self.contents.read(id);
            if !record.in_use {
                continue;
            }
            let kind = TokenKind::ALL.get(usize::from(record.kind)).copied();
            let known = kind.and_then(|kind| {
                let number = next[kind as usize];
                next[kind as usize] += 1;
                let token = TokenId(u16::try_from(number).ok()?);
                token_record(kind, token, self.store.token_name(kind, token)?)
            });
            if known != Some(record) {
                let record_type = match kind {
                    Some(TokenKind::Label) => RecordType::Label,
                    Some(TokenKind::RelationshipType) => RecordType::RelationshipType,
                    Some(TokenKind::PropertyKey) => RecordType::PropertyKey,
                    None => RecordType::NeoStore,
                };
                self.report_as(record_type, FileKind::Tokens, id, Problem::OtherToken);
            }
        }
    }

    /// The rules must be about labels and keys that there are, each pair once.
    fn schema(&mut self) {
        let mut pairs = BTreeSet::new();
        for id in 0..self.contents.high(FileKind::Schema) {
            let rule: SchemaRecord = self.contents.read(id);
            if !rule.in_use {
                continue;
            }
            if !self.knows(TokenKind::Label, u32::from(rule.label)) {
                self.report(FileKind::Schema, id, Problem::RuleUnknownLabel);
            }
            if !self.knows(TokenKind::PropertyKey, u32::from(rule.key)) {
                self.report(FileKind::Schema, id, Problem::RuleUnknownKey);
            }
            if !pairs.insert((rule.label, rule.key)) {
                self.report(FileKind::Schema, id, Problem::RuleTwice);
            }
        }
    }

    /// Next free and unused ids must not be those of records in use: they would be written
    /// over.
    fn ids(&mut self) {
        for kind in FileKind::RECORDS.into_iter().filter(|kind| *kind != FileKind::Index) {
            let end = self.contents.pages(kind) as u64 * records_per_page(kind);
            for id in self.contents.high(kind)..end {
                if self.contents.in_use(kind, id) {
                    let problem = Problem::BehindNextFree;
                    self.report_as(RecordType::NeoStore, kind, id, problem);
                }
            }
            for id in self.store.free.unused(kind) {
                if self.contents.in_use(kind, id) {
                    let problem = Problem::ListedAsUnused;
                    self.report_as(RecordType::NeoStore, kind, id, problem);
                }
            }
        }
    }
}
