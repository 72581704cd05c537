//! Values, and how property values are packed into the blocks of property records.
//!
//! A block has 64 bits: property key 24, type 4, payload 36. Longer values take further
//! blocks (floats, large integers, short texts and arrays) or a chain of dynamic records.

mod array;
mod canonical;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use array::Array;
pub(crate) use canonical::{index_hash, same};
use wavetank_vocabulary::{NodeId, RelationshipId};

use crate::tree::IndexKey;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TokenKind {
    /// A node's label.
    Label = 0,
    /// The type of a relationship.
    RelationshipType = 1,
    /// The key of a property.
    PropertyKey = 2,
}

impl TokenKind {
    /// All kinds.
    pub const ALL: [TokenKind; 3] =
        [TokenKind::Label, TokenKind::RelationshipType, TokenKind::PropertyKey];

    pub(crate) fn from_number(number: u8) -> Option<TokenKind> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// The number of a name; each kind counts from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub u16);

/// A node or a relationship.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// A node.
    Node(NodeId),
    /// A relationship.
    Relationship(RelationshipId),
}

impl From<NodeId> for Entity {
    fn from(id: NodeId) -> Entity {
        Entity::Node(id)
    }
}

impl From<RelationshipId> for Entity {
    fn from(id: RelationshipId) -> Entity {
        Entity::Relationship(id)
    }
}

/// What a step gives back. Those up to `Array` can be property values (setting `Null`
/// removes).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer of 8 bits.
    Byte(i8),
    /// An integer of 16 bits.
    Short(i16),
    /// An integer of 32 bits.
    Int32(i32),
    /// An integer of 64 bits: Neo4j's long.
    Int(i64),
    /// A float of 32 bits.
    Float32(f32),
    /// A float of 64 bits: Neo4j's double.
    Float(f64),
    /// A character.
    Char(char),
    /// A text.
    Text(Arc<str>),
    /// An array.
    Array(Array),
    /// A node.
    Node(NodeId),
    /// A relationship.
    Relationship(RelationshipId),
    /// A token.
    Token(TokenId),
    /// Relationships were put into the transaction's results; see `Store::results`.
    Expanded {
        /// How many this step found.
        found: u32,
        /// Where to go on; none at the end.
        rest: Option<ExpandCursor>,
    },
    /// Nodes were put into the transaction's findings; see `Store::found`.
    Found {
        /// How many this step found.
        found: u32,
        /// Where to go on; none at the end.
        rest: Option<FindCursor>,
    },
}

/// Where a search for nodes goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FindCursor(pub(crate) IndexKey);

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Int(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Value {
        Value::Int(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Float(value)
    }
}

impl From<Array> for Value {
    fn from(value: Array) -> Value {
        Value::Array(value)
    }
}

impl From<char> for Value {
    fn from(value: char) -> Value {
        Value::Char(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::Text(value.into())
    }
}

impl From<alloc::string::String> for Value {
    fn from(value: alloc::string::String) -> Value {
        Value::Text(value.into())
    }
}

/// Where an expansion goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExpandCursor {
    /// How many of the relationships that the transaction created have been looked at.
    pub(crate) created: u32,
    /// The next relationship of the stored chain.
    pub(crate) chain: u64,
    /// Of a dense node: the group at hand, and the next of its chains.
    pub(crate) group: u64,
    pub(crate) which: u8,
    /// How many were found so far.
    pub(crate) found: u32,
    /// How many records were looked at.
    pub(crate) steps: u32,
}

const TYPE_BOOL: u64 = 1;
const TYPE_SMALL_INT: u64 = 2;
const TYPE_INT: u64 = 3;
const TYPE_FLOAT: u64 = 4;
const TYPE_SHORT_TEXT: u64 = 5;
pub(crate) const TYPE_LONG_TEXT: u64 = 6;
const TYPE_BYTE: u64 = 7;
const TYPE_SHORT: u64 = 8;
const TYPE_INT32: u64 = 9;
const TYPE_FLOAT32: u64 = 10;
const TYPE_CHAR: u64 = 11;
const TYPE_SHORT_ARRAY: u64 = 12;
pub(crate) const TYPE_LONG_ARRAY: u64 = 13;
/// Bytes of the longest text that is kept in the property record.
const SHORT_TEXT: usize = 3 + 3 * 8;

/// A value as blocks, or what must go to dynamic records first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Packed<'a> {
    Blocks([u64; 4], usize),
    Long(&'a str),
    LongArray(Vec<u8>),
}

fn head(key: u16, kind: u64, payload: u64) -> u64 {
    u64::from(key) | kind << 24 | payload << 28
}

/// Packs a value; none if it is of a kind that cannot be a property.
pub(crate) fn pack(key: TokenId, value: &Value) -> Option<Packed<'_>> {
    let one = |kind, payload| ([head(key.0, kind, payload), 0, 0, 0], 1);
    let (blocks, len) = match value {
        Value::Byte(value) => one(TYPE_BYTE, u64::from(*value as u8)),
        Value::Short(value) => one(TYPE_SHORT, u64::from(*value as u16)),
        Value::Int32(value) => one(TYPE_INT32, u64::from(*value as u32)),
        Value::Float32(value) => one(TYPE_FLOAT32, u64::from(value.to_bits())),
        Value::Char(value) => one(TYPE_CHAR, u64::from(u32::from(*value))),
        Value::Array(array) => match array.pack_short() {
            Some((mut blocks, len)) => {
                blocks[0] |= head(key.0, TYPE_SHORT_ARRAY, 0);
                (blocks, len)
            }
            None => return Some(Packed::LongArray(array.to_bytes())),
        },
        Value::Bool(value) => ([head(key.0, TYPE_BOOL, u64::from(*value)), 0, 0, 0], 1),
        Value::Int(value) if (-(1 << 35)..1 << 35).contains(value) => {
            let payload = *value as u64 & ((1 << 36) - 1);
            ([head(key.0, TYPE_SMALL_INT, payload), 0, 0, 0], 1)
        }
        Value::Int(value) => ([head(key.0, TYPE_INT, 0), *value as u64, 0, 0], 2),
        Value::Float(value) => ([head(key.0, TYPE_FLOAT, 0), value.to_bits(), 0, 0], 2),
        Value::Text(text) if text.len() <= SHORT_TEXT => {
            let mut bytes = [0u8; 32];
            bytes[5..5 + text.len()].copy_from_slice(text.as_bytes());
            let mut blocks = [0; 4];
            for (block, eight) in blocks.iter_mut().zip(bytes.chunks_exact(8)) {
                *block = crate::record::u64_at(eight, 0);
            }
            let first_bytes = blocks[0] >> 40;
            blocks[0] = head(key.0, TYPE_SHORT_TEXT, text.len() as u64 | first_bytes << 8);
            (blocks, 1 + text.len().saturating_sub(3).div_ceil(8))
        }
        Value::Text(text) => return Some(Packed::Long(text)),
        _ => return None,
    };
    Some(Packed::Blocks(blocks, len))
}

/// The block of a text that begins in dynamic record `first`.
pub(crate) fn pack_long(key: TokenId, first: u64) -> [u64; 4] {
    [head(key.0, TYPE_LONG_TEXT, first), 0, 0, 0]
}

/// The block of an array that begins in array record `first`.
pub(crate) fn pack_long_array(key: TokenId, first: u64) -> [u64; 4] {
    [head(key.0, TYPE_LONG_ARRAY, first), 0, 0, 0]
}

/// A value as it stands in a property record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Unpacked {
    Value(Value),
    /// A text whose bytes begin in this dynamic record.
    Long(u64),
    /// An array whose bytes begin in this array record.
    LongArray(u64),
    Damaged,
}

/// Reads the value that begins at the first of these blocks.
pub(crate) fn unpack(blocks: &[u64]) -> Unpacked {
    let payload = blocks[0] >> 28;
    let second = blocks.get(1).copied();
    match (blocks[0] >> 24 & 15, second) {
        (TYPE_BOOL, _) => Unpacked::Value(Value::Bool(payload != 0)),
        (TYPE_SMALL_INT, _) => Unpacked::Value(Value::Int((payload << 28) as i64 >> 28)),
        (TYPE_INT, Some(word)) => Unpacked::Value(Value::Int(word as i64)),
        (TYPE_FLOAT, Some(word)) => Unpacked::Value(Value::Float(f64::from_bits(word))),
        (TYPE_SHORT_TEXT, _) => {
            let len = (payload & 31) as usize;
            let mut bytes = [0u8; 27];
            bytes[..3].copy_from_slice(&(payload >> 8).to_le_bytes()[..3]);
            for (eight, block) in bytes[3..].chunks_exact_mut(8).zip(blocks.iter().skip(1)) {
                eight.copy_from_slice(&block.to_le_bytes());
            }
            match bytes.get(..len).map(core::str::from_utf8) {
                Some(Ok(text)) => Unpacked::Value(Value::Text(text.into())),
                _ => Unpacked::Damaged,
            }
        }
        (TYPE_LONG_TEXT, _) => Unpacked::Long(payload),
        (TYPE_LONG_ARRAY, _) => Unpacked::LongArray(payload),
        (TYPE_BYTE, _) => Unpacked::Value(Value::Byte(payload as i8)),
        (TYPE_SHORT, _) => Unpacked::Value(Value::Short(payload as i16)),
        (TYPE_INT32, _) => Unpacked::Value(Value::Int32(payload as i32)),
        (TYPE_FLOAT32, _) => Unpacked::Value(Value::Float32(f32::from_bits(payload as u32))),
        (TYPE_CHAR, _) => match u32::try_from(payload).ok().and_then(char::from_u32) {
            Some(value) => Unpacked::Value(Value::Char(value)),
            None => Unpacked::Damaged,
        },
        (TYPE_SHORT_ARRAY, _) => match array::unpack_short(blocks) {
            Some(array) => Unpacked::Value(Value::Array(array)),
            None => Unpacked::Damaged,
        },
        _ => Unpacked::Damaged,
    }
}

/// Where the dynamic records of a value begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Long {
    /// A text's.
    Text(u64),
    /// An array's.
    Array(u64),
}

/// The dynamic records of the value with this first block, if it has any.
pub(crate) fn long_value(head: u64) -> Option<Long> {
    match head >> 24 & 15 {
        TYPE_LONG_TEXT => Some(Long::Text(head >> 28)),
        TYPE_LONG_ARRAY => Some(Long::Array(head >> 28)),
        _ => None,
    }
}

pub(crate) fn block_key(head: u64) -> TokenId {
    TokenId(head as u16)
}

/// How many blocks the value takes that begins with this one.
pub(crate) fn block_count(head: u64) -> usize {
    match head >> 24 & 15 {
        TYPE_INT | TYPE_FLOAT => 2,
        TYPE_SHORT_ARRAY => array::short_blocks(head >> 28),
        TYPE_SHORT_TEXT => 1 + ((head >> 28 & 31) as usize).saturating_sub(3).div_ceil(8),
        _ => 1,
    }
}

/// The values of a property record: where each begins and how many blocks it takes.
pub(crate) fn values(blocks: &[u64; 4]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut at = 0;
    core::iter::from_fn(move || {
        let head = *blocks.get(at)?;
        if head == 0 {
            return None;
        }
        let count = block_count(head).min(4 - at);
        let found = (at, count);
        at += count;
        Some(found)
    })
}

/// How many blocks of a property record are taken.
pub(crate) fn blocks_used(blocks: &[u64; 4]) -> usize {
    values(blocks).map(|(at, count)| at + count).last().unwrap_or(0)
}

/// The blocks without the value that begins at `at`, packed again.
pub(crate) fn without(blocks: &[u64; 4], at: usize) -> [u64; 4] {
    let count = block_count(blocks[at]).min(4 - at);
    let mut left = [0; 4];
    left[..at].copy_from_slice(&blocks[..at]);
    left[at..4 - count].copy_from_slice(&blocks[at + count..]);
    left
}

/// A text from the bytes of its dynamic records.
pub(crate) fn long_text(bytes: Vec<u8>) -> Option<Value> {
    alloc::string::String::from_utf8(bytes).ok().map(|text| Value::Text(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec;
    use array::tests::array as any_array;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-70_000_000_000i64..70_000_000_000).prop_map(Value::Int),
            (-1e300..1e300f64).prop_map(Value::Float),
            ".{0,12}".prop_map(|text| Value::Text(text.into())),
            any::<i8>().prop_map(Value::Byte),
            any::<i16>().prop_map(Value::Short),
            any::<i32>().prop_map(Value::Int32),
            (-1e9f32..1e9).prop_map(Value::Float32),
            any::<char>().prop_map(Value::Char),
            any_array().prop_map(Value::Array),
        ]
    }

    proptest! {
        #[test]
        fn values_survive_packing(key in any::<u16>(), value in value()) {
            match pack(TokenId(key), &value).unwrap() {
                Packed::Long(text) => prop_assert!(text.len() > SHORT_TEXT),
                Packed::LongArray(bytes) => {
                    prop_assert_eq!(Array::from_bytes(&bytes).map(Value::Array), Some(value));
                }
                Packed::Blocks(blocks, len) => {
                    prop_assert_eq!(block_count(blocks[0]), len);
                    prop_assert_eq!(block_key(blocks[0]), TokenId(key));
                    prop_assert_eq!(unpack(&blocks[..len]), Unpacked::Value(value));
                }
            }
        }

        #[test]
        fn any_blocks_unpack_without_panic(blocks in any::<[u64; 4]>()) {
            for (at, count) in values(&blocks) {
                let _ = unpack(&blocks[at..at + count]);
                let _ = without(&blocks, at);
            }
            prop_assert!(blocks_used(&blocks) <= 4);
        }
    }

    #[test]
    fn values_are_taken_out_of_the_middle() {
        let Some(Packed::Blocks(a, 1)) = pack(TokenId(1), &Value::Int(5)) else { panic!() };
        let Some(Packed::Blocks(b, 2)) = pack(TokenId(2), &Value::Float(0.5)) else { panic!() };
        let Some(Packed::Blocks(c, 1)) = pack(TokenId(3), &Value::Bool(true)) else { panic!() };
        let all = [a[0], b[0], b[1], c[0]];
        assert_eq!(without(&all, 1), [a[0], c[0], 0, 0]);
        assert_eq!(blocks_used(&all), 4);
        assert_eq!(blocks_used(&without(&all, 0)), 3);
    }

    #[test]
    fn texts_of_27_bytes_stay_inline() {
        let text = String::from("abcdefghijklmnopqrstuvwxyz0");
        let value = Value::Text(text.as_str().into());
        assert!(matches!(pack(TokenId(0), &value), Some(Packed::Blocks(_, 4))));
        let value = Value::Text((text + "1").into());
        assert!(matches!(pack(TokenId(0), &value), Some(Packed::Long(_))));
        assert_eq!(pack(TokenId(0), &Value::Node(NodeId(1))), None);
    }
}
