//! Arrays as property values, and their packing.
//!
//! Elements other than texts are packed into bits: each takes as many as the widest needs
//! (integers in zigzag form, so that small negative ones are short). A short array stands in
//! the property record's blocks, a longer one in dynamic records.

use alloc::sync::Arc;
use alloc::vec::Vec;

/// An array of one type of element.
#[derive(Clone, Debug, PartialEq)]
pub enum Array {
    /// Truth values.
    Bool(Arc<[bool]>),
    /// Integers of 8 bits.
    Byte(Arc<[i8]>),
    /// Integers of 16 bits.
    Short(Arc<[i16]>),
    /// Integers of 32 bits.
    Int32(Arc<[i32]>),
    /// Integers of 64 bits.
    Int(Arc<[i64]>),
    /// Floats of 32 bits.
    Float32(Arc<[f32]>),
    /// Floats of 64 bits.
    Float(Arc<[f64]>),
    /// Characters.
    Char(Arc<[char]>),
    /// Texts.
    Text(Arc<[Arc<str>]>),
}

const BOOL: u8 = 1;
const BYTE: u8 = 2;
const SHORT: u8 = 3;
const INT32: u8 = 4;
const INT: u8 = 5;
const FLOAT32: u8 = 6;
const FLOAT: u8 = 7;
const CHAR: u8 = 8;
const TEXT: u8 = 9;

/// Bits for elements in the first block, and in all four.
const FIRST_BITS: usize = 19;
const SHORT_BITS: usize = FIRST_BITS + 3 * 64;
/// The most elements of a short array.
const SHORT_COUNT: usize = 63;
/// Bytes before the elements of a long array: type, width, number of elements.
const HEADER: usize = 6;

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn unzigzag(word: u64) -> i64 {
    (word >> 1) as i64 ^ -((word & 1) as i64)
}

/// An array's elements as words, all as wide.
struct Words {
    kind: u8,
    width: usize,
    words: Vec<u64>,
}

impl Array {
    /// How many elements it has.
    pub fn len(&self) -> usize {
        match self {
            Array::Bool(a) => a.len(),
            Array::Byte(a) => a.len(),
            Array::Short(a) => a.len(),
            Array::Int32(a) => a.len(),
            Array::Int(a) => a.len(),
            Array::Float32(a) => a.len(),
            Array::Float(a) => a.len(),
            Array::Char(a) => a.len(),
            Array::Text(a) => a.len(),
        }
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as words; none of texts.
    fn words(&self) -> Option<Words> {
        let integers = |kind, values: &mut dyn Iterator<Item = i64>| {
            let words: Vec<u64> = values.map(zigzag).collect();
            let bits = words.iter().map(|word| 64 - word.leading_zeros()).max().unwrap_or(0);
            Words { kind, width: bits.max(1) as usize, words }
        };
        Some(match self {
            Array::Bool(a) => {
                Words { kind: BOOL, width: 1, words: a.iter().map(|b| u64::from(*b)).collect() }
            }
            Array::Byte(a) => integers(BYTE, &mut a.iter().map(|n| i64::from(*n))),
            Array::Short(a) => integers(SHORT, &mut a.iter().map(|n| i64::from(*n))),
            Array::Int32(a) => integers(INT32, &mut a.iter().map(|n| i64::from(*n))),
            Array::Int(a) => integers(INT, &mut a.iter().copied()),
            Array::Float32(a) => {
                let words = a.iter().map(|f| u64::from(f.to_bits())).collect();
                Words { kind: FLOAT32, width: 32, words }
            }
            Array::Float(a) => {
                Words { kind: FLOAT, width: 64, words: a.iter().map(|f| f.to_bits()).collect() }
            }
            Array::Char(a) => {
                let words = a.iter().map(|c| u64::from(u32::from(*c))).collect();
                Words { kind: CHAR, width: 21, words }
            }
            Array::Text(_) => return None,
        })
    }

    /// The array as the payload of a first block and further blocks; none if it is too long.
    pub(crate) fn pack_short(&self) -> Option<([u64; 4], usize)> {
        let Words { kind, width, words } = self.words()?;
        if words.len() > SHORT_COUNT || words.len() * width > SHORT_BITS {
            return None;
        }
        let count = words.len() as u64;
        let mut blocks = [u64::from(kind) | (width as u64) << 4 | count << 11, 0, 0, 0];
        for (place, word) in words.iter().enumerate() {
            for bit in 0..width {
                let (block, at) = short_place(place * width + bit);
                blocks[block] |= (word >> bit & 1) << at;
            }
        }
        // The payload stands above key and type.
        blocks[0] <<= 28;
        Some((blocks, short_blocks(blocks[0] >> 28)))
    }

    /// The array as bytes for dynamic records.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let header = |out: &mut Vec<u8>, kind: u8, width: usize, count: usize| {
            out.extend_from_slice(&[kind, width as u8]);
            out.extend_from_slice(&(count as u32).to_le_bytes());
        };
        if let Array::Text(texts) = self {
            header(&mut out, TEXT, 0, texts.len());
            for text in texts.iter() {
                out.extend_from_slice(&(text.len() as u32).to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            return out;
        }
        let Words { kind, width, words } = self.words().expect("texts are handled above");
        header(&mut out, kind, width, words.len());
        out.resize(HEADER + (words.len() * width).div_ceil(8), 0);
        for (place, word) in words.iter().enumerate() {
            for bit in 0..width {
                let at = place * width + bit;
                out[HEADER + at / 8] |= ((word >> bit & 1) as u8) << (at % 8);
            }
        }
        out
    }

    /// The array whose bytes these are; none if they are no array's.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Array> {
        let (header, rest) = bytes.split_at_checked(HEADER)?;
        let (kind, width) = (header[0], usize::from(header[1]));
        let count = u32::from_le_bytes([header[2], header[3], header[4], header[5]]) as usize;
        if kind == TEXT {
            return texts(count, rest);
        }
        if width == 0 || width > 64 || rest.len() != count.checked_mul(width)?.div_ceil(8) {
            return None;
        }
        let bit = |at: usize| u64::from(rest[at / 8] >> (at % 8) & 1);
        from_words(kind, count, width, bit)
    }
}

/// Where a bit of a short array stands: block, and bit of it (of the payload in the first).
fn short_place(bit: usize) -> (usize, usize) {
    match bit.checked_sub(FIRST_BITS) {
        None => (0, 17 + bit),
        Some(bit) => (1 + bit / 64, bit % 64),
    }
}

/// How many blocks the short array takes that has this payload.
pub(crate) fn short_blocks(payload: u64) -> usize {
    let (width, count) = (payload >> 4 & 127, payload >> 11 & 63);
    1 + ((width * count) as usize).saturating_sub(FIRST_BITS).div_ceil(64)
}

/// A short array from its blocks; none if they are no array's.
pub(crate) fn unpack_short(blocks: &[u64]) -> Option<Array> {
    let payload = blocks[0] >> 28;
    let (width, count) = ((payload >> 4 & 127) as usize, (payload >> 11 & 63) as usize);
    if width == 0
        || width > 64
        || width * count > SHORT_BITS
        || short_blocks(payload) > blocks.len()
    {
        return None;
    }
    let bit = |at: usize| match short_place(at) {
        (0, at) => payload >> at & 1,
        (block, at) => blocks[block] >> at & 1,
    };
    from_words((payload & 15) as u8, count, width, bit)
}

fn texts(count: usize, mut rest: &[u8]) -> Option<Array> {
    let mut texts: Vec<Arc<str>> = Vec::new();
    for _ in 0..count {
        let (length, behind) = rest.split_at_checked(4)?;
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
        let (text, behind) = behind.split_at_checked(length as usize)?;
        texts.push(core::str::from_utf8(text).ok()?.into());
        rest = behind;
    }
    rest.is_empty().then(|| Array::Text(texts.into()))
}

fn from_words(kind: u8, count: usize, width: usize, bit: impl Fn(usize) -> u64) -> Option<Array> {
    let words =
        (0..count).map(|place| (0..width).fold(0, |word, at| word | bit(place * width + at) << at));
    fn integers<T: TryFrom<i64>>(words: impl Iterator<Item = u64>) -> Option<Arc<[T]>> {
        words.map(|word| T::try_from(unzigzag(word)).ok()).collect()
    }
    Some(match kind {
        BOOL => Array::Bool(words.map(|word| word != 0).collect()),
        BYTE => Array::Byte(integers(words)?),
        SHORT => Array::Short(integers(words)?),
        INT32 => Array::Int32(integers(words)?),
        INT => Array::Int(integers(words)?),
        FLOAT32 => Array::Float32(words.map(|word| f32::from_bits(word as u32)).collect()),
        FLOAT => Array::Float(words.map(f64::from_bits).collect()),
        CHAR => Array::Char(
            words.map(|word| char::from_u32(u32::try_from(word).ok()?)).collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::collection::vec;
    use proptest::prelude::*;

    pub(crate) fn array() -> impl Strategy<Value = Array> {
        let text = vec(".{0,9}", 0..9)
            .prop_map(|texts: Vec<String>| Array::Text(texts.into_iter().map(Arc::from).collect()));
        prop_oneof![
            vec(any::<bool>(), 0..90).prop_map(|a| Array::Bool(a.into())),
            vec(any::<i8>(), 0..40).prop_map(|a| Array::Byte(a.into())),
            vec(any::<i16>(), 0..40).prop_map(|a| Array::Short(a.into())),
            vec(any::<i32>(), 0..40).prop_map(|a| Array::Int32(a.into())),
            vec(-9i64..9, 0..40).prop_map(|a| Array::Int(a.into())),
            vec(any::<i64>(), 0..40).prop_map(|a| Array::Int(a.into())),
            vec(-1e9f32..1e9, 0..40).prop_map(|a| Array::Float32(a.into())),
            vec(-1e300f64..1e300, 0..40).prop_map(|a| Array::Float(a.into())),
            vec(any::<char>(), 0..40).prop_map(|a| Array::Char(a.into())),
            text,
        ]
    }

    proptest! {
        #[test]
        fn arrays_survive_packing(array in array()) {
            if let Some((blocks, count)) = array.pack_short() {
                prop_assert!(count <= 4);
                prop_assert_eq!(unpack_short(&blocks[..count]), Some(array.clone()));
            }
            prop_assert_eq!(Array::from_bytes(&array.to_bytes()), Some(array));
        }

        #[test]
        fn any_bytes_are_refused_without_panic(bytes in vec(any::<u8>(), 0..80), blocks in any::<[u64; 4]>()) {
            let _ = Array::from_bytes(&bytes);
            let _ = unpack_short(&blocks);
        }
    }

    #[test]
    fn short_arrays_are_short() {
        let small: Array = Array::Int((0..20).collect());
        assert_eq!(small.pack_short().map(|(_, count)| count), Some(3));
        assert!(Array::Float([1.0; 4].into()).pack_short().is_none());
        assert_eq!(Array::Bool([true; 19].into()).pack_short().map(|(_, count)| count), Some(1));
    }
}
