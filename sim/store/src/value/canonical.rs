//! When two values are equal: the form of a value that an index hashes and a constraint
//! compares. Numbers are equal by their value whatever their type, a character is equal to
//! the text of that character, and NaN equals nothing; arrays are equal element by element.

use alloc::vec::Vec;

use super::{Array, Value};

fn integer(value: i64, out: &mut Vec<u8>) {
    out.push(1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn float(value: f64, out: &mut Vec<u8>) {
    // 2^63 itself is no i64; every float below it in size that is whole is one exactly.
    let limit = 9_223_372_036_854_775_808.0;
    if value >= -limit && value < limit && value as i64 as f64 == value {
        return integer(value as i64, out);
    }
    out.push(2);
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

fn text(value: &str, out: &mut Vec<u8>) {
    out.push(4);
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(value.as_bytes());
}

/// Writes the form; false if the value is none, is no property, or equals nothing.
pub(crate) fn canonical(value: &Value, out: &mut Vec<u8>) -> bool {
    match value {
        Value::Bool(value) => out.extend_from_slice(&[3, u8::from(*value)]),
        Value::Byte(value) => integer(i64::from(*value), out),
        Value::Short(value) => integer(i64::from(*value), out),
        Value::Int32(value) => integer(i64::from(*value), out),
        Value::Int(value) => integer(*value, out),
        Value::Float32(value) if !value.is_nan() => float(f64::from(*value), out),
        Value::Float(value) if !value.is_nan() => float(*value, out),
        Value::Char(value) => text(value.encode_utf8(&mut [0; 4]), out),
        Value::Text(value) => text(value, out),
        Value::Array(array) => {
            out.push(5);
            out.extend_from_slice(&(array.len() as u32).to_le_bytes());
            return elements(array).all(|element| canonical(&element, out));
        }
        _ => return false,
    }
    true
}

fn elements(array: &Array) -> alloc::boxed::Box<dyn Iterator<Item = Value> + '_> {
    use alloc::boxed::Box;
    match array {
        Array::Bool(a) => Box::new(a.iter().map(|e| Value::Bool(*e))),
        Array::Byte(a) => Box::new(a.iter().map(|e| Value::Byte(*e))),
        Array::Short(a) => Box::new(a.iter().map(|e| Value::Short(*e))),
        Array::Int32(a) => Box::new(a.iter().map(|e| Value::Int32(*e))),
        Array::Int(a) => Box::new(a.iter().map(|e| Value::Int(*e))),
        Array::Float32(a) => Box::new(a.iter().map(|e| Value::Float32(*e))),
        Array::Float(a) => Box::new(a.iter().map(|e| Value::Float(*e))),
        Array::Char(a) => Box::new(a.iter().map(|e| Value::Char(*e))),
        Array::Text(a) => Box::new(a.iter().map(|e| Value::Text(e.clone()))),
    }
}

/// The hash of a value in an index; none if it is in none.
pub(crate) fn index_hash(value: &Value, scratch: &mut Vec<u8>) -> Option<u64> {
    scratch.clear();
    canonical(value, scratch).then(|| xxhash_rust::xxh3::xxh3_64(scratch))
}

/// Whether an index takes the two for the same.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    canonical(a, &mut left) && canonical(b, &mut right) && left == right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_equal_across_types_where_they_mean_the_same() {
        let text = |text: &str| Value::Text(text.into());
        assert!(same(&Value::Int(1), &Value::Float(1.0)));
        assert!(same(&Value::Byte(1), &Value::Int32(1)));
        assert!(same(&Value::Float(0.0), &Value::Float(-0.0)));
        assert!(same(&Value::Char('a'), &text("a")));
        assert!(same(&Value::Float32(0.5), &Value::Float(0.5)));
        assert!(!same(&Value::Float32(0.1), &Value::Float(0.1)));
        assert!(!same(&Value::Int((1 << 53) + 1), &Value::Float((1u64 << 53) as f64)));
        assert!(!same(&Value::Int(i64::MAX), &Value::Float(9_223_372_036_854_775_808.0)));
        assert!(!same(&Value::Float(f64::NAN), &Value::Float(f64::NAN)));
        assert!(!same(&Value::Int(1), &text("1")));
        assert!(!same(&Value::Bool(true), &Value::Int(1)));
        let (ints, floats) = (Array::Int([1, 2].into()), Array::Float([1.0, 2.0].into()));
        assert!(same(&ints.clone().into(), &floats.into()));
        assert!(!same(&ints.into(), &Array::Text(["1".into(), "2".into()].into()).into()));
        assert!(!same(&Value::Null, &Value::Null));
    }
}
