//! Building a whole store at once, without transactions: for generated and imported graphs.
//!
//! The files that come out are those of a store that has just taken a checkpoint at
//! [`LogMark::BASE`]; `Store::open` finds nothing to recover.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use wavetank_vocabulary::{LogMark, NodeId, RelationshipId};
use xxhash_rust::xxh3::Xxh3;

use crate::dense::which_chain;
use crate::disk::{FileKind, FileName};
use crate::error::StoreError;
use crate::ids::FreeIds;
use crate::journal::LogPosition;
use crate::labels::{list_bytes, sorted};
use crate::log::LogHeader;
use crate::meta::Meta;
use crate::page::Page;
use crate::record::{
    ArrayRecord, Dynamic, DynamicRecord, GroupRecord, LabelRecord, Labels, MAX_ENTITIES, NONE,
    NodeRecord, PropertyRecord, Record, RelationshipRecord, SchemaRecord, locate, records_per_page,
};
use crate::store::live;
use crate::tokens::{Tokens, token_record};
use crate::tree::{self, IndexKey};
use crate::value::{
    Packed, TokenId, TokenKind, Value, blocks_used, index_hash, pack, pack_long, pack_long_array,
};

/// The contents of one file of an [`Image`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageFile {
    /// A file of sealed pages.
    Pages(Vec<Arc<Page>>),
    /// A file of bytes.
    Bytes(Arc<[u8]>),
}

/// All files of a store. Cloning shares the pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The files by name.
    pub files: Vec<(FileName, ImageFile)>,
}

#[cfg(feature = "std")]
impl Image {
    /// The files in the order in which they are to be made durable: the meta file, which makes
    /// a store of the others, comes last. `true` goes with it.
    pub(crate) fn meta_last(&self) -> impl Iterator<Item = (bool, &(FileName, ImageFile))> {
        let of = |last: bool| {
            let files = self.files.iter().map(move |file| (last, file));
            files.filter(|(last, (name, _))| *last == (name.kind == FileKind::Meta))
        };
        of(false).chain(of(true))
    }
}

/// Builds a store in memory.
#[derive(Clone, Debug, Default)]
pub struct ImageBuilder {
    store_id: u64,
    tokens: Tokens,
    /// Token kinds in the order in which the names came.
    token_order: Vec<(TokenKind, TokenId)>,
    nodes: Vec<NodeRecord>,
    relationships: Vec<RelationshipRecord>,
    properties: Vec<PropertyRecord>,
    dynamic: Vec<DynamicRecord>,
    groups: Vec<GroupRecord>,
    arrays: Vec<ArrayRecord>,
    labels: Vec<LabelRecord>,
    /// Entries of the label scan store and of the constraints.
    scan: Vec<IndexKey>,
    constraints: Vec<SchemaRecord>,
    /// The values that are taken, by constraint.
    taken: BTreeSet<(u64, u64)>,
}

/// From how many relationships on a node is dense: Neo4j's default.
const DENSE: u32 = 50;

impl ImageBuilder {
    /// An empty store. The number tells apart stores with the same contents that are not to be
    /// taken for one another; others are told apart by their contents.
    pub fn new(store_id: u64) -> ImageBuilder {
        ImageBuilder { store_id, ..ImageBuilder::default() }
    }

    /// The number of a name, new or known.
    ///
    /// # Errors
    /// [`StoreError::TokenLimit`].
    pub fn token(&mut self, kind: TokenKind, name: &str) -> Result<TokenId, StoreError> {
        if let Some(id) = self.tokens.id(kind, name) {
            return Ok(id);
        }
        let next = u16::try_from(self.tokens.count(kind)).map_err(|_| StoreError::TokenLimit)?;
        token_record(kind, TokenId(next), name).ok_or(StoreError::TokenLimit)?;
        let id = self.tokens.add(kind, name.into());
        self.token_order.push((kind, id));
        Ok(id)
    }

    /// Keeps a uniqueness constraint for nodes that are added from here on.
    ///
    /// # Errors
    /// [`StoreError::IndexExists`].
    pub fn unique(&mut self, label: TokenId, key: TokenId) -> Result<(), StoreError> {
        let new = SchemaRecord { in_use: true, unique: true, label: label.0, key: key.0 };
        if self.constraints.contains(&new) {
            return Err(StoreError::IndexExists { unique: true });
        }
        self.constraints.push(new);
        Ok(())
    }

    /// What a new node enters under the constraints, unless another has it.
    fn entries(
        &self,
        id: u64,
        labels: &[TokenId],
        properties: &[(TokenId, Value)],
    ) -> Result<Vec<(u64, u64)>, StoreError> {
        let (mut scratch, mut entries) = (Vec::new(), Vec::new());
        for (rule, record) in self.constraints.iter().enumerate() {
            let (label, key) = (TokenId(record.label), TokenId(record.key));
            let value = properties.iter().find(|(of, _)| *of == key).map(|(_, value)| value);
            let hash = value.and_then(|value| index_hash(value, &mut scratch));
            let Some(hash) = hash.filter(|_| labels.contains(&label)) else { continue };
            let rule = rule as u64;
            if self.taken.contains(&(rule, hash)) {
                return Err(StoreError::ConstraintViolation { label, key, node: NodeId(id) });
            }
            entries.push((rule, hash));
        }
        Ok(entries)
    }

    /// Adds a node. A builder that has refused something is as it was before.
    ///
    /// # Errors
    /// [`StoreError::NotAProperty`]; [`StoreError::NoSuchToken`] for a label or a key that
    /// [`Self::token`] has not given; [`StoreError::Inconsistent`] for a key that comes twice;
    /// [`StoreError::ConstraintViolation`] with the new node if another has its value.
    pub fn add_node(
        &mut self,
        labels: &[TokenId],
        properties: &[(TokenId, Value)],
    ) -> Result<NodeId, StoreError> {
        self.refuse_unknown(TokenKind::Label, labels)?;
        self.refuse_properties(properties)?;
        let id = next_id(self.nodes.len())?;
        for (rule, hash) in self.entries(id, labels, properties)? {
            self.taken.insert((rule, hash));
            self.scan.push(IndexKey::value(rule, hash, id));
        }
        let labels = sorted(labels);
        self.scan.extend(labels.iter().map(|label| IndexKey::label(*label, id)));
        let labels = Labels::pack(&labels)
            .unwrap_or_else(|| Labels::at(add_pieces(&mut self.labels, &list_bytes(id, &labels))));
        let mut node = NodeRecord::new(labels);
        node.first_property = self.add_properties(properties)?;
        self.nodes.push(node);
        Ok(NodeId(id))
    }

    /// Adds a relationship between nodes that have been added.
    ///
    /// # Errors
    /// [`StoreError::NodeNotFound`]; as [`Self::add_node`].
    pub fn add_relationship(
        &mut self,
        from: NodeId,
        to: NodeId,
        kind: TokenId,
        properties: &[(TokenId, Value)],
    ) -> Result<RelationshipId, StoreError> {
        for node in [from, to] {
            if node.0 >= self.nodes.len() as u64 {
                return Err(StoreError::NodeNotFound(node));
            }
        }
        self.refuse_unknown(TokenKind::RelationshipType, &[kind])?;
        self.refuse_properties(properties)?;
        let id = next_id(self.relationships.len())?;
        let new = RelationshipRecord {
            in_use: true,
            nodes: [from.0, to.0],
            kind: u32::from(kind.0),
            first_property: self.add_properties(properties)?,
            ..RelationshipRecord::UNUSED
        };
        self.relationships.push(new);
        Ok(RelationshipId(id))
    }

    fn refuse_unknown(&self, kind: TokenKind, ids: &[TokenId]) -> Result<(), StoreError> {
        match ids.iter().find(|id| self.tokens.name(kind, **id).is_none()) {
            Some(id) => Err(StoreError::NoSuchToken { kind, id: *id }),
            None => Ok(()),
        }
    }

    /// Fails for properties that [`Self::add_properties`] could not add whole, so that it never
    /// leaves half of them behind.
    fn refuse_properties(&self, properties: &[(TokenId, Value)]) -> Result<(), StoreError> {
        for (place, (key, value)) in properties.iter().enumerate() {
            self.refuse_unknown(TokenKind::PropertyKey, &[*key])?;
            if properties[..place].iter().any(|(other, _)| other == key) {
                let what = format!("property key {} is given twice", key.0);
                return Err(StoreError::Inconsistent(what));
            }
            pack(*key, value).ok_or(StoreError::NotAProperty)?;
        }
        Ok(())
    }

    /// Puts values into new records; returns the first.
    fn add_properties(&mut self, properties: &[(TokenId, Value)]) -> Result<u64, StoreError> {
        let first = self.properties.len();
        for (key, value) in properties {
            let (blocks, count) = match pack(*key, value).ok_or(StoreError::NotAProperty)? {
                Packed::Blocks(blocks, count) => (blocks, count),
                Packed::Long(text) => {
                    (pack_long(*key, add_pieces(&mut self.dynamic, text.as_bytes())), 1)
                }
                Packed::LongArray(bytes) => {
                    (pack_long_array(*key, add_pieces(&mut self.arrays, &bytes)), 1)
                }
            };
            let used = match self.properties[first..].last() {
                Some(record) => blocks_used(&record.blocks),
                None => 4,
            };
            if used + count <= 4 {
                let last = self.properties.last_mut().expect("used counts its blocks");
                last.blocks[used..used + count].copy_from_slice(&blocks[..count]);
                continue;
            }
            let id = self.properties.len() as u64;
            let mut record = PropertyRecord::UNUSED;
            record.blocks[..count].copy_from_slice(&blocks[..count]);
            if let Some(last) = self.properties[first..].last_mut() {
                last.next = id;
                record.previous = id - 1;
            }
            self.properties.push(record);
        }
        Ok(if self.properties.len() == first { NONE } else { first as u64 })
    }

    /// Puts every relationship into its chains, in order, each at the front.
    fn link(&mut self) {
        let mut degrees = alloc::vec![0u32; self.nodes.len()];
        for new in &self.relationships {
            degrees[new.nodes[0] as usize] += 1;
            degrees[new.nodes[1] as usize] += u32::from(!new.is_loop());
        }
        for (node, degree) in self.nodes.iter_mut().zip(degrees) {
            node.dense = degree >= DENSE;
        }
        for id in 0..self.relationships.len() {
            let mut new = self.relationships[id];
            for side in 0..if new.is_loop() { 1 } else { 2 } {
                let head = self.head(&new, side);
                let next = core::mem::replace(head, id as u64);
                let mut degree = 0;
                if next != NONE {
                    let first = &mut self.relationships[next as usize];
                    let at = first.side(new.nodes[side]).expect("chains are built here") as usize;
                    degree = first.previous[at];
                    first.previous[at] = id as u64;
                    first.is_first[at] = false;
                }
                new.previous[side] = degree + 1;
                new.is_first[side] = true;
                new.next[side] = next;
            }
            self.relationships[id] = new;
        }
    }

    /// Where the chain begins in which this side of the relationship stands.
    fn head(&mut self, new: &RelationshipRecord, side: usize) -> &mut u64 {
        let node = &mut self.nodes[new.nodes[side] as usize];
        if !node.dense {
            return &mut node.first_relationship;
        }
        let (mut before, mut at) = (NONE, node.first_relationship);
        while at != NONE && self.groups[at as usize].kind < new.kind {
            (before, at) = (at, self.groups[at as usize].next);
        }
        if at == NONE || self.groups[at as usize].kind != new.kind {
            let made = self.groups.len() as u64;
            self.groups.push(GroupRecord::new(new.nodes[side], new.kind, at));
            match before {
                NONE => node.first_relationship = made,
                before => self.groups[before as usize].next = made,
            }
            at = made;
        }
        &mut self.groups[at as usize].first[which_chain(new, side) as usize]
    }

    /// The files of the store. Its identity is made of the one that was given and of all that
    /// is in it.
    pub fn finish(mut self) -> Image {
        self.link();
        let tokens: Vec<_> = self
            .token_order
            .iter()
            .map(|(kind, id)| {
                let name = self.tokens.name(*kind, *id).expect("added here");
                token_record(*kind, *id, name).expect("checked when it was added")
            })
            .collect();
        let all = [
            pages(&self.nodes),
            pages(&self.relationships),
            pages(&self.properties),
            pages(&self.dynamic),
            pages(&tokens),
            pages(&self.groups),
            pages(&self.arrays),
            pages(&self.labels),
            pages(&self.constraints),
            tree_pages(self.scan),
        ];
        let high = [
            self.nodes.len() as u64,
            self.relationships.len() as u64,
            self.properties.len() as u64,
            self.dynamic.len() as u64,
            tokens.len() as u64,
            self.groups.len() as u64,
            self.arrays.len() as u64,
            self.labels.len() as u64,
            self.constraints.len() as u64,
            0,
        ];
        let store_id = identity(self.store_id, all.iter().flatten());
        let header = LogHeader { version: 0, store_id, base: LogMark::BASE, base_time_ms: 0 };
        let header = header.encode();
        let meta = Meta {
            store_id,
            position: LogPosition {
                mark: LogMark::BASE,
                version: 0,
                offset: LogHeader::SIZE as u64,
            },
            high,
            pages: core::array::from_fn(|place| all[place].len() as u32),
            // No write of these pages can have been lost: there were none before them.
            versions: Default::default(),
        };
        let meta = ImageFile::Pages(Vec::from([Arc::new(meta.to_page(&FreeIds::default(), 0, 1))]));
        let mut files = Vec::from([(live(FileKind::Meta), meta)]);
        for (kind, pages) in FileKind::RECORDS.into_iter().zip(all) {
            if !pages.is_empty() {
                files.push((live(kind), ImageFile::Pages(pages)));
            }
        }
        files.push((FileName::log(0), ImageFile::Bytes(header.as_slice().into())));
        Image { files }
    }
}

/// The id of the next node or relationship.
fn next_id(count: usize) -> Result<u64, StoreError> {
    let id = count as u64;
    (id < MAX_ENTITIES)
        .then_some(id)
        .ok_or_else(|| StoreError::Inconsistent("all ids are in use".into()))
}

/// All stores begin at the same mark, so the identity alone tells those apart that begin with
/// other contents.
fn identity<'a>(given: u64, pages: impl Iterator<Item = &'a Arc<Page>>) -> u64 {
    let mut hash = Xxh3::with_seed(given);
    pages.for_each(|page| hash.update(page.bytes()));
    // Zero is the identity of nothing.
    hash.digest().max(1)
}

/// Adds a long value; returns its first record.
fn add_pieces<R: Dynamic>(records: &mut Vec<R>, bytes: &[u8]) -> u64 {
    let first = records.len() as u64;
    let count = bytes.len().div_ceil(R::DATA) as u64;
    for (place, piece) in bytes.chunks(R::DATA).enumerate() {
        let next = first + place as u64 + 1;
        records.push(R::with(piece, if next < first + count { next } else { NONE }));
    }
    first
}

/// The index tree with these entries.
fn tree_pages(mut entries: Vec<IndexKey>) -> Vec<Arc<Page>> {
    if entries.is_empty() {
        return Vec::new();
    }
    entries.sort_unstable();
    let page = |(number, body): (usize, Vec<u8>)| {
        let mut page = Page::empty(FileKind::Index, number as u32);
        page.body_mut().copy_from_slice(&body);
        page.touch(LogMark::BASE.tx.0);
        Arc::new(page.sealed(1))
    };
    tree::build(&entries).into_iter().enumerate().map(page).collect()
}

/// Sealed pages with these records in order.
fn pages<R: Record>(records: &[R]) -> Vec<Arc<Page>> {
    let per_page = records_per_page(R::KIND) as usize;
    let page = |(number, records): (usize, &[R])| {
        let mut page = Page::empty(R::KIND, number as u32);
        let body = page.body_mut();
        for (slot, record) in records.iter().enumerate() {
            let (_, at) = locate(R::KIND, slot as u64);
            record.encode(&mut body[at..at + R::SIZE]);
        }
        page.touch(LogMark::BASE.tx.0);
        Arc::new(page.sealed(1))
    };
    records.chunks(per_page).enumerate().map(page).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> (ImageBuilder, TokenId, TokenId, TokenId) {
        let mut builder = ImageBuilder::new(1);
        let label = builder.token(TokenKind::Label, "User").unwrap();
        let kind = builder.token(TokenKind::RelationshipType, "knows").unwrap();
        let key = builder.token(TokenKind::PropertyKey, "name").unwrap();
        (builder, label, kind, key)
    }

    #[test]
    fn what_is_refused_leaves_nothing_behind() {
        let long = Value::Text("long ".repeat(90).as_str().into());
        let build = |with_refused: bool| {
            let (mut builder, label, kind, key) = builder();
            let a = builder.add_node(&[label], &[(key, long.clone())]).unwrap();
            if with_refused {
                let good = (key, long.clone());
                let other = builder.token(TokenKind::PropertyKey, "age").unwrap();
                let no_property = (other, Value::Node(NodeId(0)));
                let unknown = TokenId(9);
                for (labels, properties, expected) in [
                    (label, [good.clone(), no_property.clone()], StoreError::NotAProperty),
                    (
                        label,
                        [good.clone(), (unknown, Value::Int(1))],
                        StoreError::NoSuchToken { kind: TokenKind::PropertyKey, id: unknown },
                    ),
                    (
                        unknown,
                        [good.clone(), (other, Value::Int(1))],
                        StoreError::NoSuchToken { kind: TokenKind::Label, id: unknown },
                    ),
                    (
                        label,
                        [good.clone(), good.clone()],
                        StoreError::Inconsistent("property key 0 is given twice".into()),
                    ),
                ] {
                    assert_eq!(builder.add_node(&[labels], &properties), Err(expected));
                }
                let refused = builder.add_relationship(a, a, kind, &[good, no_property]);
                assert_eq!(refused, Err(StoreError::NotAProperty));
                let refused = builder.add_relationship(a, a, unknown, &[]);
                let kind = TokenKind::RelationshipType;
                assert_eq!(refused, Err(StoreError::NoSuchToken { kind, id: unknown }));
            } else {
                builder.token(TokenKind::PropertyKey, "age").unwrap();
            }
            let b = builder.add_node(&[label], &[(key, Value::Int(2))]).unwrap();
            builder.add_relationship(a, b, kind, &[(key, Value::Int(3))]).unwrap();
            builder.finish()
        };
        assert_eq!(build(true), build(false));
    }
}
