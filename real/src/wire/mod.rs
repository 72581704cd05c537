//! What passes between processes, as bytes.
//!
//! Everything travels in frames: length, CRC-32C, contents. The first frame of a connection
//! says who speaks and in which version; it is answered, so that one who is refused learns
//! why. Reading is total: whatever the bytes are, the answer is a value or a [`Garbage`]
//! with its reason, and who sent it is cut off.
//!
//! * here: frames, and how plain values are written
//! * `messages`: what instances say to each other
//! * `facts`: what an instance tells of itself
//! * `control`: what a node and the one who started it say to each other

pub(crate) mod control;
mod facts;
mod messages;

use std::io::{self, ErrorKind, Read};

use wavetank_store::LARGEST_TRANSACTION;
use wavetank_vocabulary::InstanceId;

/// The version of everything in this module: both ends must have the same.
pub(crate) const VERSION: u16 = 5;

/// No frame is longer. A chunk of a store copy is 16 MiB at the most (`ha.com_chunk_size`), what a
/// pull brings 8 MiB or one transaction.
pub(crate) const LONGEST_FRAME: usize = 64 << 20;

// The largest transaction fits, with what is said beside it.
const _: () = assert!(LARGEST_TRANSACTION + (64 << 10) <= LONGEST_FRAME);

/// Bytes before a frame's contents.
const HEADER: usize = 8;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Garbage(pub(crate) &'static str);

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The other end, or the way to it, is gone.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What came makes no sense.
    #[error("garbage: {0}")]
    Garbage(#[from] Garbage),
}

/// A value that can be sent.
pub(crate) trait Wire: Sized {
    /// Appends it.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads it.
    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage>;
}

/// The contents of a frame that are still to be read.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Garbage> {
        let (taken, rest) =
            self.bytes.split_at_checked(count).ok_or(Garbage("a message is cut off"))?;
        self.bytes = rest;
        Ok(taken)
    }
}

/// Reads all of a frame's contents as one value.
pub(crate) fn decode<T: Wire>(bytes: &[u8]) -> Result<T, Garbage> {
    let mut reader = Reader { bytes };
    let value = T::get(&mut reader)?;
    if !reader.bytes.is_empty() {
        return Err(Garbage("a message is longer than it should be"));
    }
    Ok(value)
}

/// Appends a value in a frame of its own.
pub(crate) fn frame<T: Wire>(value: &T, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    value.put(out);
    let contents = start + HEADER;
    let length = (out.len() - contents) as u32;
    let sum = crc32c::crc32c(&out[contents..]);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..contents].copy_from_slice(&sum.to_le_bytes());
}

/// Reads the next frame; none when the other end has closed the connection between two.
/// `contents` is reused from frame to frame.
pub(crate) fn read_frame<T: Wire>(
    from: &mut impl Read,
    contents: &mut Vec<u8>,
) -> Result<Option<T>, WireError> {
    let mut header = [0; HEADER];
    match from.read_exact(&mut header) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let [a, b, c, d, sum @ ..] = header;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length > LONGEST_FRAME {
        return Err(Garbage("a frame is too long").into());
    }
    contents.clear();
    // As much as comes and no more: a length alone makes nobody reserve memory.
    from.take(length as u64).read_to_end(contents)?;
    if contents.len() < length {
        return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
    }
    if crc32c::crc32c(contents) != u32::from_le_bytes(sum) {
        return Err(Garbage("the checksum of a frame is wrong").into());
    }
    Ok(Some(decode(contents)?))
}

/// The first frame of a connection between two instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    /// Of the sender.
    pub(crate) version: u16,
    /// Which cluster it believes to be in.
    pub(crate) cluster: u64,
    /// Who it is.
    pub(crate) from: InstanceId,
    /// Whom it wants to talk to.
    pub(crate) to: InstanceId,
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Go on.
    Welcome,
    /// No, and why.
    Refused(String),
}

const MAGIC: [u8; 4] = *b"wvtk";

impl Wire for Hello {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        self.version.put(out);
        self.cluster.put(out);
        self.from.put(out);
        self.to.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        if from.take(4)? != MAGIC {
            return Err(Garbage("the connection does not begin as one of wavetank's"));
        }
        let version = u16::get(from)?;
        if version != VERSION {
            // What follows may look different.
            from.bytes = &[];
            let nobody = InstanceId::NOBODY;
            return Ok(Hello { version, cluster: 0, from: nobody, to: nobody });
        }
        let cluster = u64::get(from)?;
        Ok(Hello { version, cluster, from: Wire::get(from)?, to: Wire::get(from)? })
    }
}

macro_rules! wire_number {
    ($($number:ty),+) => {$(
        impl Wire for $number {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            #[inline]
            fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
                let mut bytes = [0; size_of::<$number>()];
                bytes.copy_from_slice(from.take(size_of::<$number>())?);
                Ok(<$number>::from_le_bytes(bytes))
            }
        }
    )+};
}
wire_number!(u8, u16, u32, u64, i64);

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        match u8::get(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Garbage("neither true nor false")),
        }
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        Ok(if bool::get(from)? { Some(T::get(from)?) } else { None })
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        for value in self {
            value.put(out);
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        // Nothing is reserved for what is only announced.
        let mut values = Vec::new();
        for _ in 0..u32::get(from)? {
            values.push(T::get(from)?);
        }
        Ok(values)
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        Ok((A::get(from)?, B::get(from)?))
    }
}

impl<T: Wire + Copy + Default, const N: usize> Wire for [T; N] {
    fn put(&self, out: &mut Vec<u8>) {
        for value in self {
            value.put(out);
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        let mut values = [T::default(); N];
        for value in &mut values {
            *value = T::get(from)?;
        }
        Ok(values)
    }
}

impl Wire for String {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        let length = u32::get(from)? as usize;
        let bytes = from.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| Garbage("a text is not UTF-8"))?;
        Ok(text.to_owned())
    }
}

/// An enum: a number for each variant, then its parts in order.
macro_rules! wire_enum {
    ($type:ty, $what:literal {$(
        $tag:literal => $variant:ident $(($($item:ident),+))? $({$($field:ident),+})?;
    )+}) => {
        impl $crate::wire::Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                match self {$(
                    Self::$variant $(($($item),+))? $({$($field),+})? => {
                        out.push($tag);
                        $($($item.put(out);)+)?
                        $($($field.put(out);)+)?
                    }
                )+}
            }

            fn get(
                from_wire: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::Garbage> {
                Ok(match u8::get(from_wire)? {
                    $($tag => {
                        $($(let $item = $crate::wire::Wire::get(from_wire)?;)+)?
                        $($(let $field = $crate::wire::Wire::get(from_wire)?;)+)?
                        Self::$variant $(($($item),+))? $({$($field),+})?
                    })+
                    _ => return Err($crate::wire::Garbage(concat!("an unknown kind of ", $what))),
                })
            }
        }
    };
}

/// A struct with public fields: one after the other.
macro_rules! wire_struct {
    ($type:ident {$($field:tt),+}) => {
        impl $crate::wire::Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)+
            }

            fn get(from: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::Garbage> {
                Ok($type { $($field: $crate::wire::Wire::get(from)?),+ })
            }
        }
    };
}
pub(crate) use {
    facts::Told,
    messages::{HERE, is_of_a_member},
    wire_enum, wire_struct,
};

wire_enum!(Answer, "answer" {
    0 => Welcome;
    1 => Refused(why);
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed<T: Wire>(value: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame(value, &mut bytes);
        bytes
    }

    fn read<T: Wire>(mut bytes: &[u8]) -> Result<Option<T>, WireError> {
        read_frame(&mut bytes, &mut Vec::new())
    }

    #[test]
    fn a_frame_that_changed_on_the_way_is_refused() {
        let hello = Hello { version: VERSION, cluster: 7, from: InstanceId(1), to: InstanceId(2) };
        let bytes = framed(&hello);
        assert_eq!(read(&bytes).unwrap(), Some(hello));
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 1;
            assert!(read::<Hello>(&broken).is_err(), "byte {at}");
        }
        for length in 1..bytes.len() {
            assert!(!matches!(read::<Hello>(&bytes[..length]), Ok(Some(_))), "{length} bytes");
        }
        assert!(read::<Hello>(&[]).unwrap().is_none());
    }

    #[test]
    fn another_version_is_told_from_garbage() {
        let mut contents = Vec::new();
        contents.extend_from_slice(&MAGIC);
        (VERSION + 1).put(&mut contents);
        contents.extend_from_slice(b"whatever comes then");
        assert_eq!(decode::<Hello>(&contents).unwrap().version, VERSION + 1);
        assert!(decode::<Hello>(b"GET / HTTP/1.1\r\n").is_err());
    }

    #[test]
    fn a_length_alone_reserves_nothing() {
        let mut bytes = framed(&String::from("text"));
        bytes[..4].copy_from_slice(&(LONGEST_FRAME as u32 + 1).to_le_bytes());
        let error = read::<String>(&bytes).unwrap_err();
        assert_eq!(error.to_string(), "garbage: a frame is too long");
        let announced = u32::MAX.to_le_bytes();
        assert_eq!(decode::<Vec<u64>>(&announced), Err(Garbage("a message is cut off")));
    }

    proptest! {
        #[test]
        fn plain_values_survive(
            value in any::<(Vec<(u64, bool)>, (String, Option<i64>))>()
        ) {
            let mut bytes = Vec::new();
            value.put(&mut bytes);
            prop_assert_eq!(decode::<(Vec<(u64, bool)>, (String, Option<i64>))>(&bytes), Ok(value));
        }
    }
}
