//! Records and their bytes: nodes, relationships, properties, dynamic values, tokens.
//!
//! Sizes are Neo4j's (node 15, relationship 34, property 41, dynamic 128 bytes), so that
//! store sizes and records per page carry over; `FORMAT.md` has the layouts. A record whose
//! bytes are all zero is not in use. Numbers are little-endian; ids have 35 bits (nodes,
//! relationships) or 36 (properties, dynamic), the high ones packed into spare bits.

use crate::disk::{FileKind, PageNumber};
use crate::page::{PAGE_HEADER, PAGE_SIZE};
use crate::tree::IndexKey;

mod group;
mod piece;
mod schema;
pub(crate) use group::{GroupRecord, Which};
pub(crate) use piece::{ArrayRecord, Dynamic, DynamicRecord, LabelRecord};
pub(crate) use schema::SchemaRecord;

/// No record: the end of a chain.
pub(crate) const NONE: u64 = u64::MAX;
const BITS_35: u64 = (1 << 35) - 1;
const BITS_36: u64 = (1 << 36) - 1;
/// The largest number of nodes or of relationships.
pub(crate) const MAX_ENTITIES: u64 = BITS_35;
/// How many ids a committed record may lie behind the last page of its file and the records
/// before it: so many may be in the hands of open transactions.
pub(crate) const FARTHEST: u64 = 1 << 20;
/// The longest record.
pub(crate) const LONGEST: usize = 128;

/// Bytes of a record of that kind; 0 for files without records.
#[inline]
pub(crate) const fn record_size(kind: FileKind) -> usize {
    SIZES[kind as usize] as usize
}

/// By the number of the kind.
const SIZES: [u8; 32] = {
    let mut sizes = [0; 32];
    sizes[FileKind::Nodes as usize] = NodeRecord::SIZE as u8;
    sizes[FileKind::Relationships as usize] = RelationshipRecord::SIZE as u8;
    sizes[FileKind::Properties as usize] = PropertyRecord::SIZE as u8;
    sizes[FileKind::Dynamic as usize] = DynamicRecord::SIZE as u8;
    sizes[FileKind::Tokens as usize] = TokenRecord::SIZE as u8;
    sizes[FileKind::Groups as usize] = GroupRecord::SIZE as u8;
    sizes[FileKind::Arrays as usize] = ArrayRecord::SIZE as u8;
    sizes[FileKind::NodeLabels as usize] = LabelRecord::SIZE as u8;
    sizes[FileKind::Schema as usize] = SchemaRecord::SIZE as u8;
    // In the log; in pages entries stand in a tree.
    sizes[FileKind::Index as usize] = IndexKey::IMAGE as u8;
    sizes
};

/// How many records of that kind a page holds.
pub(crate) const fn records_per_page(kind: FileKind) -> u64 {
    ((PAGE_SIZE - PAGE_HEADER) / record_size(kind)) as u64
}

/// Whether a record's image is that of an unused one.
#[inline]
pub(crate) fn is_unused(kind: FileKind, image: &[u8]) -> bool {
    match kind {
        FileKind::Properties => u64_at(image, 9) == 0,
        _ => image[0] & 1 == 0,
    }
}

/// The page of a record and the record's offset behind the page's header.
#[inline]
pub(crate) fn locate(kind: FileKind, id: u64) -> (PageNumber, usize) {
    // Constant divisors: a match keeps the divisions cheap.
    let (page, slot) = match kind {
        FileKind::Nodes => split::<{ records_per_page(FileKind::Nodes) }>(id),
        FileKind::Relationships => split::<{ records_per_page(FileKind::Relationships) }>(id),
        FileKind::Properties => split::<{ records_per_page(FileKind::Properties) }>(id),
        FileKind::Dynamic => split::<{ records_per_page(FileKind::Dynamic) }>(id),
        FileKind::Groups => split::<{ records_per_page(FileKind::Groups) }>(id),
        FileKind::Arrays => split::<{ records_per_page(FileKind::Arrays) }>(id),
        FileKind::NodeLabels => split::<{ records_per_page(FileKind::NodeLabels) }>(id),
        FileKind::Schema => split::<{ records_per_page(FileKind::Schema) }>(id),
        _ => split::<{ records_per_page(FileKind::Tokens) }>(id),
    };
    (page, slot * record_size(kind))
}

#[inline]
fn split<const PER_PAGE: u64>(id: u64) -> (PageNumber, usize) {
    ((id / PER_PAGE) as PageNumber, (id % PER_PAGE) as usize)
}

/// A record's kind and id in one word: ordered by file, then by place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RecordKey(pub(crate) u64);

impl RecordKey {
    #[inline]
    pub(crate) fn new(kind: FileKind, id: u64) -> RecordKey {
        // Of a damaged pointer's id the kind must not be touched; the commit refuses it.
        RecordKey((kind as u64) << 56 | id & ((1 << 56) - 1))
    }

    #[inline]
    pub(crate) fn kind(self) -> FileKind {
        FileKind::from_number((self.0 >> 56) as u8).expect("keys are made from kinds")
    }

    #[inline]
    pub(crate) fn id(self) -> u64 {
        self.0 & ((1 << 56) - 1)
    }
}

/// A record type: how it is laid out in its `SIZE` bytes.
pub(crate) trait Record: Sized {
    const KIND: FileKind;
    const SIZE: usize;
    fn decode(bytes: &[u8]) -> Self;
    fn encode(&self, bytes: &mut [u8]);
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u64::from(u32::from_le_bytes(word))
}

#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[inline]
fn put_u32(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
}

/// An id of 35 or 36 bits from its parts; all ones mean none.
#[inline]
fn joined(low: u64, high: u64, all_ones: u64) -> u64 {
    let id = low | high << 32;
    if id == all_ones { NONE } else { id }
}

/// A node: where its relationships and properties begin, and its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeRecord {
    pub(crate) in_use: bool,
    /// Its chain's first relationship; of a dense node, its first group.
    pub(crate) first_relationship: u64,
    pub(crate) first_property: u64,
    pub(crate) labels: Labels,
    pub(crate) dense: bool,
}

impl NodeRecord {
    pub(crate) fn new(labels: Labels) -> NodeRecord {
        NodeRecord { in_use: true, labels, ..Self::UNUSED }
    }

    pub(crate) const UNUSED: NodeRecord = NodeRecord {
        in_use: false,
        first_relationship: NONE,
        first_property: NONE,
        labels: Labels(0),
        dense: false,
    };
}

impl Record for NodeRecord {
    const KIND: FileKind = FileKind::Nodes;
    const SIZE: usize = 15;

    #[inline]
    fn decode(b: &[u8]) -> Self {
        let b = &b[..Self::SIZE];
        if b[0] & 1 == 0 {
            return Self::UNUSED;
        }
        let high = u64::from(b[0]);
        NodeRecord {
            in_use: true,
            first_relationship: joined(u32_at(b, 1), high >> 1 & 7, BITS_35),
            first_property: joined(u32_at(b, 5), high >> 4, BITS_36),
            labels: Labels(u32_at(b, 9) | u64::from(b[13]) << 32),
            dense: b[14] & 1 != 0,
        }
    }

    #[inline]
    fn encode(&self, b: &mut [u8]) {
        let b = &mut b[..Self::SIZE];
        b.fill(0);
        if self.in_use {
            let (rel, prop) = (self.first_relationship, self.first_property);
            b[0] = (1 | (rel >> 32 & 7) << 1 | (prop >> 32 & 15) << 4) as u8;
            put_u32(b, 1, rel);
            put_u32(b, 5, prop);
            put_u32(b, 9, self.labels.0);
            b[13] = (self.labels.0 >> 32) as u8;
            b[14] = u8::from(self.dense);
        }
    }
}

/// A node's labels in 40 bits: their number in the top four, then the ids in ascending
/// order, each in an equal share of the other 36. With the topmost bit set, the other 36 are
/// the first record of a list of labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels(u64);

impl Labels {
    pub(crate) const MOST: usize = 7;

    /// Packs sorted, distinct label ids; none if they do not fit and need a list.
    pub(crate) fn pack(sorted: &[u32]) -> Option<Labels> {
        if sorted.is_empty() {
            return Some(Labels(0));
        }
        if sorted.len() > Self::MOST {
            return None;
        }
        let width = 36 / sorted.len();
        let mut word = (sorted.len() as u64) << 36;
        for (place, id) in sorted.iter().enumerate() {
            if u64::from(*id) >> width != 0 {
                return None;
            }
            word |= u64::from(*id) << (place * width);
        }
        Some(Labels(word))
    }

    /// Labels that stand in the list which begins with this record.
    pub(crate) fn at(first: u64) -> Labels {
        Labels(1 << 39 | first & BITS_36)
    }

    /// Where the list of labels begins; none if they stand here.
    pub(crate) fn dynamic(self) -> Option<u64> {
        (self.0 >> 39 != 0).then_some(self.0 & BITS_36)
    }

    /// How many stand here.
    pub(crate) fn len(self) -> usize {
        if self.0 >> 39 == 0 { (self.0 >> 36) as usize } else { 0 }
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u32> {
        let width = 36 / self.len().max(1);
        (0..self.len()).map(move |place| (self.0 >> (place * width) & ((1 << width) - 1)) as u32)
    }
}

/// Which of its two chains a relationship is looked at in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    First,
    Second,
}

/// A relationship: its ends and its places in the chains of both. The first relationship of
/// a node's chain keeps the chain's length in the field for the previous one. A loop stands
/// once in its node's chain, by its first side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RelationshipRecord {
    pub(crate) in_use: bool,
    pub(crate) nodes: [u64; 2],
    pub(crate) kind: u32,
    pub(crate) previous: [u64; 2],
    pub(crate) next: [u64; 2],
    pub(crate) first_property: u64,
    pub(crate) is_first: [bool; 2],
}

impl RelationshipRecord {
    pub(crate) const UNUSED: RelationshipRecord = RelationshipRecord {
        in_use: false,
        nodes: [NONE; 2],
        kind: 0,
        previous: [NONE; 2],
        next: [NONE; 2],
        first_property: NONE,
        is_first: [false; 2],
    };

    /// The side by which it stands in the chain of `node`; none if it has no end there.
    #[inline]
    pub(crate) fn side(&self, node: u64) -> Option<Side> {
        if self.nodes[0] == node {
            Some(Side::First)
        } else if self.nodes[1] == node {
            Some(Side::Second)
        } else {
            None
        }
    }

    pub(crate) fn is_loop(&self) -> bool {
        self.nodes[0] == self.nodes[1]
    }

    /// The end that is not `node`; `node` itself for a loop.
    #[inline]
    pub(crate) fn other(&self, node: u64) -> u64 {
        if self.nodes[0] == node { self.nodes[1] } else { self.nodes[0] }
    }
}

impl Record for RelationshipRecord {
    const KIND: FileKind = FileKind::Relationships;
    const SIZE: usize = 34;

    #[inline]
    fn decode(b: &[u8]) -> Self {
        let b = &b[..Self::SIZE];
        if b[0] & 1 == 0 {
            return Self::UNUSED;
        }
        let word = u32_at(b, 9);
        let id = |at: usize, shift: u32| joined(u32_at(b, at), word >> shift & 7, BITS_35);
        RelationshipRecord {
            in_use: true,
            nodes: [joined(u32_at(b, 1), u64::from(b[0]) >> 1 & 7, BITS_35), id(5, 16)],
            kind: (word & 0xffff) as u32,
            previous: [id(13, 19), id(21, 25)],
            next: [id(17, 22), id(25, 28)],
            first_property: joined(u32_at(b, 29), u64::from(b[0]) >> 4, BITS_36),
            is_first: [b[33] & 1 != 0, b[33] & 2 != 0],
        }
    }

    #[inline]
    fn encode(&self, b: &mut [u8]) {
        let b = &mut b[..Self::SIZE];
        b.fill(0);
        if !self.in_use {
            return;
        }
        let high = |id: u64, shift: u32| (id >> 32 & 7) << shift;
        let property = self.first_property;
        b[0] = (1 | high(self.nodes[0], 1) | (property >> 32 & 15) << 4) as u8;
        put_u32(b, 1, self.nodes[0]);
        put_u32(b, 5, self.nodes[1]);
        let word = u64::from(self.kind & 0xffff)
            | high(self.nodes[1], 16)
            | high(self.previous[0], 19)
            | high(self.next[0], 22)
            | high(self.previous[1], 25)
            | high(self.next[1], 28);
        put_u32(b, 9, word);
        put_u32(b, 13, self.previous[0]);
        put_u32(b, 17, self.next[0]);
        put_u32(b, 21, self.previous[1]);
        put_u32(b, 25, self.next[1]);
        put_u32(b, 29, property);
        b[33] = u8::from(self.is_first[0]) | u8::from(self.is_first[1]) << 1;
    }
}

/// Up to four blocks of eight bytes with the property values of one entity, in a doubly
/// linked chain. In use if its first block is not zero: blocks are kept packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PropertyRecord {
    pub(crate) next: u64,
    pub(crate) previous: u64,
    pub(crate) blocks: [u64; 4],
}

impl PropertyRecord {
    pub(crate) const UNUSED: PropertyRecord =
        PropertyRecord { next: NONE, previous: NONE, blocks: [0; 4] };

    pub(crate) fn in_use(&self) -> bool {
        self.blocks[0] != 0
    }
}

impl Record for PropertyRecord {
    const KIND: FileKind = FileKind::Properties;
    const SIZE: usize = 41;

    #[inline]
    fn decode(b: &[u8]) -> Self {
        let b = &b[..Self::SIZE];
        let mut blocks = [0; 4];
        for (place, block) in blocks.iter_mut().enumerate() {
            *block = u64_at(b, 9 + 8 * place);
        }
        if blocks[0] == 0 {
            return Self::UNUSED;
        }
        let high = u64::from(b[0]);
        PropertyRecord {
            next: joined(u32_at(b, 1), high & 15, BITS_36),
            previous: joined(u32_at(b, 5), high >> 4, BITS_36),
            blocks,
        }
    }

    #[inline]
    fn encode(&self, b: &mut [u8]) {
        let b = &mut b[..Self::SIZE];
        b.fill(0);
        if self.in_use() {
            b[0] = (self.next >> 32 & 15 | (self.previous >> 32 & 15) << 4) as u8;
            put_u32(b, 1, self.next);
            put_u32(b, 5, self.previous);
            for (place, block) in self.blocks.iter().enumerate() {
                b[9 + 8 * place..17 + 8 * place].copy_from_slice(&block.to_le_bytes());
            }
        }
    }
}

/// The name of a label, relationship type or property key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenRecord {
    pub(crate) in_use: bool,
    pub(crate) kind: u8,
    pub(crate) token: u16,
    pub(crate) length: u8,
    pub(crate) name: [u8; TokenRecord::LONGEST_NAME],
}

impl TokenRecord {
    /// Bytes of the longest name.
    pub(crate) const LONGEST_NAME: usize = 120;
    pub(crate) const UNUSED: TokenRecord =
        TokenRecord { in_use: false, kind: 0, token: 0, length: 0, name: [0; Self::LONGEST_NAME] };
}

impl Record for TokenRecord {
    const KIND: FileKind = FileKind::Tokens;
    const SIZE: usize = 128;

    fn decode(b: &[u8]) -> Self {
        let b = &b[..Self::SIZE];
        if b[0] & 1 == 0 {
            return Self::UNUSED;
        }
        let mut name = [0; Self::LONGEST_NAME];
        name.copy_from_slice(&b[8..128]);
        let token = u16::from_le_bytes([b[2], b[3]]);
        TokenRecord { in_use: true, kind: b[1], token, length: b[4], name }
    }

    #[inline]
    fn encode(&self, b: &mut [u8]) {
        let b = &mut b[..Self::SIZE];
        b.fill(0);
        if self.in_use {
            b[0] = 1;
            b[1] = self.kind;
            b[2..4].copy_from_slice(&self.token.to_le_bytes());
            b[4] = self.length;
            b[8..128].copy_from_slice(&self.name);
        }
    }
}

#[cfg(test)]
mod tests;
