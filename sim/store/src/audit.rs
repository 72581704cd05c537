//! Looking at a store's contents from outside: all nodes and relationships, and a digest.
//!
//! Reads what is applied, past the cache's statistics: resident pages first, others from a
//! [`PageSource`]. The digest depends on the graph alone, not on where its records lie.

use alloc::sync::Arc;
use alloc::vec::Vec;
use wavetank_vocabulary::{NodeId, RelationshipId};
use xxhash_rust::xxh3::Xxh3;

use crate::cache::PageKey;
use crate::disk::{FileKind, FileName, PageNumber};
use crate::error::StoreError;
use crate::labels::list_of;
use crate::page::{Page, PageDamage};
use crate::record::{
    ArrayRecord, Dynamic, DynamicRecord, LONGEST, LabelRecord, NONE, NodeRecord, PropertyRecord,
    Record, RelationshipRecord, is_unused, locate, record_size,
};
use crate::store::{Store, live};
use crate::value::{
    Array, TYPE_LONG_ARRAY, TYPE_LONG_TEXT, TokenId, TokenKind, Unpacked, Value, block_key,
    long_text, unpack, values,
};

/// Where pages that are not resident are to be had: the disk, looked at directly.
pub trait PageSource {
    /// A page as the file has it; none behind its end.
    fn page(&self, file: FileName, page: PageNumber) -> Option<Arc<Page>>;
}

/// A node as an audit sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AuditNode<'a> {
    /// Its id.
    pub id: NodeId,
    /// Its labels, ascending.
    pub labels: &'a [TokenId],
    /// Its properties, ascending by key.
    pub properties: &'a [(TokenId, Value)],
}

/// A relationship as an audit sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AuditRelationship<'a> {
    /// Its id.
    pub id: RelationshipId,
    /// Where it begins.
    pub from: NodeId,
    /// Where it ends.
    pub to: NodeId,
    /// Its type.
    pub kind: TokenId,
    /// Its properties, ascending by key.
    pub properties: &'a [(TokenId, Value)],
}

/// Sees everything: first the nodes, then the relationships, each by id.
pub trait AuditVisitor {
    /// A node.
    fn node(&mut self, node: &AuditNode<'_>);
    /// A relationship.
    fn relationship(&mut self, relationship: &AuditRelationship<'_>);
}

/// All that is applied to a store at one moment, every page of it verified once.
#[derive(Debug)]
pub struct Contents<'a> {
    store: &'a Store,
    pages: [Vec<Arc<Page>>; FileKind::TABLE],
    high: [u64; FileKind::TABLE],
}

impl<'a> Contents<'a> {
    /// Whose they are.
    pub(crate) fn store(&self) -> &'a Store {
        self.store
    }

    pub(crate) fn high(&self, kind: FileKind) -> u64 {
        self.high[kind as usize]
    }

    pub(crate) fn read<R: Record>(&self, id: u64) -> R {
        let (page, at) = locate(R::KIND, id);
        match self.pages[R::KIND as usize].get(page as usize) {
            Some(page) if id < self.high(R::KIND) => R::decode(&page.body()[at..at + R::SIZE]),
            _ => R::decode(&[0; LONGEST][..R::SIZE]),
        }
    }

    /// How many pages a file has.
    pub(crate) fn pages(&self, kind: FileKind) -> usize {
        self.pages[kind as usize].len()
    }

    /// What a page holds.
    pub(crate) fn body(&self, kind: FileKind, page: PageNumber) -> Option<&[u8]> {
        self.pages[kind as usize].get(page as usize).map(|page| page.body())
    }

    /// The value under a key in a chain of properties, if it has one that can be read.
    pub(crate) fn property(&self, first: u64, key: u16) -> Option<Value> {
        let mut chain = Vec::new();
        self.chain(first, &mut chain).ok()?;
        for (_, record) in &chain {
            for (at, count) in values(&record.blocks) {
                if block_key(record.blocks[at]).0 == key {
                    return self.value(&record.blocks[at..at + count]).ok();
                }
            }
        }
        None
    }

    pub(crate) fn in_use(&self, kind: FileKind, id: u64) -> bool {
        let (page, at) = locate(kind, id);
        let image = self.pages[kind as usize].get(page as usize);
        image.is_some_and(|page| !is_unused(kind, &page.body()[at..at + record_size(kind)]))
    }

    /// The ids below the highest whose records are not in use.
    #[cfg(test)]
    pub(crate) fn unused(&self, kind: FileKind) -> alloc::collections::BTreeSet<u64> {
        (0..self.high(kind)).filter(|id| !self.in_use(kind, *id)).collect()
    }

    /// The property records of a chain that begins with `first`, in order.
    pub(crate) fn chain(
        &self,
        first: u64,
        out: &mut Vec<(u64, PropertyRecord)>,
    ) -> Result<(), StoreError> {
        out.clear();
        let mut at = first;
        while at != NONE {
            let record: PropertyRecord = self.read(at);
            if !record.in_use() || out.len() as u64 > self.high(FileKind::Properties) {
                return Err(broken("a property chain is broken"));
            }
            out.push((at, record));
            at = record.next;
        }
        Ok(())
    }

    /// The bytes of a long value; `at` is called with each of its records.
    pub(crate) fn bytes<R: Dynamic>(
        &self,
        first: u64,
        out: &mut Vec<u8>,
        mut at: impl FnMut(u64),
    ) -> Result<(), StoreError> {
        out.clear();
        let mut next = first;
        let mut records = 0;
        while next != NONE {
            let record: R = self.read(next);
            records += 1;
            if !record.in_use() || records > self.high(R::KIND) {
                return Err(broken("the chain of a long value is broken"));
            }
            at(next);
            out.extend_from_slice(record.contents());
            next = record.next();
        }
        Ok(())
    }

    /// A value of a property, from its blocks.
    pub(crate) fn value(&self, blocks: &[u64]) -> Result<Value, StoreError> {
        let mut bytes = Vec::new();
        match unpack(blocks) {
            Unpacked::Value(value) => Ok(value),
            Unpacked::Damaged => Err(broken("a property value cannot be read")),
            Unpacked::Long(first) => {
                self.bytes::<DynamicRecord>(first, &mut bytes, |_| {})?;
                long_text(bytes).ok_or_else(|| broken("a text is not UTF-8"))
            }
            Unpacked::LongArray(first) => {
                self.bytes::<ArrayRecord>(first, &mut bytes, |_| {})?;
                let array = Array::from_bytes(&bytes).map(Value::Array);
                array.ok_or_else(|| broken("an array cannot be read"))
            }
        }
    }

    /// The labels of a node, ascending.
    pub(crate) fn labels(&self, node: &NodeRecord, out: &mut Vec<u32>) -> Result<(), StoreError> {
        out.clear();
        match node.labels.dynamic() {
            None => out.extend(node.labels.iter()),
            Some(first) => {
                let mut bytes = Vec::new();
                self.bytes::<LabelRecord>(first, &mut bytes, |_| {})?;
                let (_, labels) =
                    list_of(&bytes).ok_or_else(|| broken("a list of labels cannot be read"))?;
                out.extend(labels);
            }
        }
        Ok(())
    }
}

pub(crate) fn broken(what: &str) -> StoreError {
    StoreError::Inconsistent(what.into())
}

impl Store {
    /// All that is applied, to be looked at more than once.
    ///
    /// # Errors
    /// A page that cannot be read or trusted.
    pub fn contents(&self, disk: &dyn PageSource) -> Result<Contents<'_>, StoreError> {
        let mut contents = Contents { store: self, pages: Default::default(), high: self.high };
        for kind in FileKind::RECORDS {
            let count = self.counts.logical[kind as usize];
            let pages = &mut contents.pages[kind as usize];
            pages.reserve(count as usize);
            for number in 0..count {
                pages.push(self.page_of(disk, kind, number)?);
            }
        }
        Ok(contents)
    }

    /// A page, verified: as it is in the cache, or on the disk.
    fn page_of(
        &self,
        disk: &dyn PageSource,
        kind: FileKind,
        number: PageNumber,
    ) -> Result<Arc<Page>, StoreError> {
        let key = PageKey(kind, number);
        if let Some(frame) = self.cache.find(key) {
            return Ok(self.cache.frame(frame).page().clone());
        }
        let (file, damage) = (live(kind), PageDamage::Blank);
        let blank = StoreError::DamagedPage { file, page: number, damage };
        let page = disk.page(file, number).ok_or(blank)?;
        self.verified(key, file, Ok(crate::disk::DiskReply::Page(page)))
    }

    /// Reads and verifies every page, one after the other.
    #[cfg(feature = "std")]
    pub(crate) fn verify_pages(&self, disk: &dyn PageSource) -> Result<(), StoreError> {
        for kind in FileKind::RECORDS {
            for number in 0..self.counts.logical[kind as usize] {
                self.page_of(disk, kind, number)?;
            }
        }
        Ok(())
    }

    /// Shows everything that is applied to `visitor`.
    ///
    /// # Errors
    /// A damaged page, or a chain that leads nowhere.
    pub fn audit(
        &self,
        disk: &dyn PageSource,
        visitor: &mut dyn AuditVisitor,
    ) -> Result<(), StoreError> {
        self.contents(disk)?.show(visitor)
    }

    /// A hash of all that is applied: [`Contents::digest`].
    ///
    /// # Errors
    /// As [`Store::audit`].
    pub fn contents_digest(&self, disk: &dyn PageSource) -> Result<u128, StoreError> {
        self.contents(disk)?.digest()
    }
}

impl Contents<'_> {
    /// Shows everything to `visitor`.
    ///
    /// # Errors
    /// A chain that leads nowhere.
    pub fn show(&self, visitor: &mut dyn AuditVisitor) -> Result<(), StoreError> {
        let mut reader = PropertyReader::default();
        let (mut labels, mut ids) = (Vec::new(), Vec::new());
        for id in 0..self.high(FileKind::Nodes) {
            let node: NodeRecord = self.read(id);
            if node.in_use {
                self.labels(&node, &mut ids)?;
                labels.clear();
                labels.extend(ids.iter().map(|label| TokenId(*label as u16)));
                reader.read(self, node.first_property)?;
                let properties = &reader.values;
                visitor.node(&AuditNode { id: NodeId(id), labels: &labels, properties });
            }
        }
        for id in 0..self.high(FileKind::Relationships) {
            let record: RelationshipRecord = self.read(id);
            if record.in_use {
                reader.read(self, record.first_property)?;
                visitor.relationship(&AuditRelationship {
                    id: RelationshipId(id),
                    from: NodeId(record.nodes[0]),
                    to: NodeId(record.nodes[1]),
                    kind: TokenId(record.kind as u16),
                    properties: &reader.values,
                });
            }
        }
        Ok(())
    }

    /// Whether these are, byte for byte, the records, tokens and indexes of another store, as those
    /// of replicas are. Their digests are equal then, and this takes a small part of one's time.
    pub fn same_records(&self, other: &Contents<'_>) -> bool {
        let same = |(page, other): (&Arc<Page>, &Arc<Page>)| {
            Arc::ptr_eq(page, other) || page.body() == other.body()
        };
        let mut kinds = FileKind::RECORDS.iter().map(|kind| *kind as usize);
        // Ids that were given to what was rolled back differ, and no record in use is behind them.
        TokenKind::ALL
            .iter()
            .all(|kind| self.store.token_names(*kind) == other.store.token_names(*kind))
            && self.store.indexes().eq(other.store.indexes())
            && kinds.all(|kind| {
                let (pages, others) = (&self.pages[kind], &other.pages[kind]);
                pages.len() == others.len() && pages.iter().zip(others).all(same)
            })
    }

    /// A hash of everything: tokens, indexes, nodes and relationships with their ids, labels and
    /// properties. Equal for equal contents, wherever the records lie.
    ///
    /// # Errors
    /// A chain that leads nowhere.
    pub fn digest(&self) -> Result<u128, StoreError> {
        let mut hash = Xxh3::new();
        for kind in TokenKind::ALL {
            for name in self.store.token_names(kind) {
                hash.update(&[kind as u8, name.len() as u8]);
                hash.update(name.as_bytes());
            }
        }
        for rule in self.store.indexes() {
            hash.update(&rule.label.0.to_le_bytes());
            hash.update(&rule.key.0.to_le_bytes());
            hash.update(&[4 + u8::from(rule.unique)]);
        }
        let mut properties = PropertyHasher::default();
        let mut labels = Vec::new();
        for id in 0..self.high(FileKind::Nodes) {
            let node: NodeRecord = self.read(id);
            if node.in_use {
                self.labels(&node, &mut labels)?;
                properties.words.extend([1, id, labels.len() as u64]);
                properties.words.extend(labels.iter().copied().map(u64::from));
                properties.hash(self, node.first_property, &mut hash)?;
            }
        }
        for id in 0..self.high(FileKind::Relationships) {
            let record: RelationshipRecord = self.read(id);
            if record.in_use {
                let kind = u64::from(record.kind);
                properties.words.extend([2, id, record.nodes[0], record.nodes[1], kind]);
                properties.hash(self, record.first_property, &mut hash)?;
            }
        }
        Ok(hash.digest128())
    }
}

/// Reads property chains as values, with buffers that are used again.
#[derive(Default)]
struct PropertyReader {
    chain: Vec<(u64, PropertyRecord)>,
    values: Vec<(TokenId, Value)>,
}

impl PropertyReader {
    fn read(&mut self, contents: &Contents<'_>, first: u64) -> Result<(), StoreError> {
        contents.chain(first, &mut self.chain)?;
        self.values.clear();
        for (_, record) in &self.chain {
            for (at, count) in values(&record.blocks) {
                let value = contents.value(&record.blocks[at..at + count])?;
                self.values.push((block_key(record.blocks[at]), value));
            }
        }
        self.values.sort_by_key(|(key, _)| *key);
        Ok(())
    }
}

/// Hashes an entity's words and its properties, in the order of their keys. A value's
/// blocks are a function of the value, except that a long text names its first record.
#[derive(Default)]
struct PropertyHasher {
    words: Vec<u64>,
    chain: Vec<(u64, PropertyRecord)>,
    found: Vec<(TokenId, [u64; 4], usize)>,
    text: Vec<u8>,
    bytes: Vec<u8>,
}

impl PropertyHasher {
    fn hash(
        &mut self,
        contents: &Contents<'_>,
        first: u64,
        hash: &mut Xxh3,
    ) -> Result<(), StoreError> {
        self.bytes.clear();
        for word in self.words.drain(..) {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        contents.chain(first, &mut self.chain)?;
        self.found.clear();
        for (_, record) in &self.chain {
            for (at, count) in values(&record.blocks) {
                let mut blocks = [0; 4];
                blocks[..count].copy_from_slice(&record.blocks[at..at + count]);
                self.found.push((block_key(blocks[0]), blocks, count));
            }
        }
        self.found.sort_unstable_by_key(|(key, _, _)| *key);
        for (_, blocks, count) in &self.found {
            // The key and the type; a long value is then told by its bytes.
            let (kind, first) = (blocks[0] >> 24 & 15, blocks[0] >> 28);
            match kind {
                TYPE_LONG_TEXT | TYPE_LONG_ARRAY => {
                    if kind == TYPE_LONG_TEXT {
                        contents.bytes::<DynamicRecord>(first, &mut self.text, |_| {})?;
                    } else {
                        contents.bytes::<ArrayRecord>(first, &mut self.text, |_| {})?;
                    }
                    let head = blocks[0] & ((1 << 28) - 1);
                    self.bytes.extend_from_slice(&head.to_le_bytes());
                    self.bytes.extend_from_slice(&(self.text.len() as u64).to_le_bytes());
                    self.bytes.extend_from_slice(&self.text);
                }
                _ => {
                    for block in &blocks[..*count] {
                        self.bytes.extend_from_slice(&block.to_le_bytes());
                    }
                }
            }
        }
        hash.update(&self.bytes);
        Ok(())
    }
}
