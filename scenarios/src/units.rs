//! Quantities as people write them, to exact integers and back.
//!
//! Numbers are decimal fractions of whole numbers, never floats, and every product is
//! checked, so that `"0.1s"` is exactly 100 ms and an absurd figure is an error and not
//! another figure. The printing half writes what the reading half reads back unchanged.

use wavetank_vocabulary::{Bytes, Rate, Ratio, Span};

/// Units of time, in nanoseconds.
const TIME: &[(&str, u128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Units of storage, in bytes: decimal and binary ones by their proper names.
const SIZE: &[(&str, u128)] = &[
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// What Neo4j's configuration takes for sizes besides: binary, in either case.
const NEO4J_SIZE: &[(&str, u128)] = &[
    ("", 1),
    ("k", 1 << 10),
    ("K", 1 << 10),
    ("m", 1 << 20),
    ("M", 1 << 20),
    ("g", 1 << 30),
    ("G", 1 << 30),
];

/// Units of bandwidth, in bits per second.
const BANDWIDTH: &[(&str, u128)] = &[
    ("bit/s", 1),
    ("kbit/s", 1_000),
    ("Mbit/s", 1_000_000),
    ("Gbit/s", 1_000_000_000),
    ("B/s", 8),
    ("KB/s", 8_000),
    ("MB/s", 8_000_000),
    ("GB/s", 8_000_000_000),
    ("KiB/s", 8 << 10),
    ("MiB/s", 8 << 20),
    ("GiB/s", 8 << 30),
];

/// Units of rates, as (name, seconds).
const RATE: &[(&str, u128)] = &[("/s", 1), ("/m", 60), ("/h", 3600), ("/d", 86_400)];

/// Why a text is no quantity: a sentence for the place where it stands.
pub(crate) type Wrong = String;

/// A number with up to 18 decimals: `digits / 10^scale`.
struct Decimal {
    digits: u128,
    scale: u32,
}

impl Decimal {
    fn parse(text: &str) -> Result<Decimal, Wrong> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(part) || text.ends_with('.') {
            return Err(if text.starts_with('-') {
                "it cannot be negative".into()
            } else {
                "this is not a number".into()
            });
        }
        if whole.len() + part.len() > 24 || part.len() > 18 {
            return Err("the number has too many digits".into());
        }
        // At most 24 digits: far below the 38 of a u128.
        let digits =
            whole.bytes().chain(part.bytes()).fold(0u128, |n, b| n * 10 + u128::from(b - b'0'));
        Ok(Decimal { digits, scale: part.len() as u32 })
    }

    /// `self * factor / divisor`, and whether that left no remainder.
    fn times(&self, factor: u128, divisor: u128) -> Result<(u64, bool), Wrong> {
        let too_large = || Wrong::from("the number is too large");
        let product = self.digits.checked_mul(factor).ok_or_else(too_large)?;
        let divisor = 10u128.pow(self.scale) * divisor;
        // Rounded to the nearest.
        let value = (product + divisor / 2) / divisor;
        Ok((u64::try_from(value).map_err(|_| too_large())?, product % divisor == 0))
    }
}

/// Splits a text where its number ends.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let sign = usize::from(text.starts_with('-'));
    let end = text[sign..]
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .map_or(text.len(), |found| found + sign);
    (&text[..end], text[end..].trim_start())
}

fn names(units: &[(&str, u128)]) -> String {
    let names: Vec<&str> = units.iter().map(|(name, _)| *name).filter(|n| !n.is_empty()).collect();
    names.join(", ")
}

/// The number and the unit of a text.
fn measure(
    text: &str,
    units: &[&'static [(&'static str, u128)]],
) -> Result<(Decimal, u128), Wrong> {
    let (number, unit) = split(text);
    if number.is_empty() || number == "-" {
        return Err("this does not begin with a number".into());
    }
    let decimal = Decimal::parse(number)?;
    let found = units.iter().flat_map(|list| list.iter()).find(|(name, _)| *name == unit);
    match (found, similar(unit, units[0])) {
        (None, Some(meant)) => {
            Err(format!("`{}` is not a unit: probably `{meant}` is meant", brief(unit)))
        }
        (Some((_, factor)), _) => Ok((decimal, *factor)),
        _ if unit.is_empty() => Err(format!("the unit is missing: one of {}", names(units[0]))),
        _ => Err(format!("`{}` is not one of the units {}", brief(unit), names(units[0]))),
    }
}

/// The unit that was probably meant: in other cases, or as people write it elsewhere.
fn similar(unit: &str, units: &'static [(&'static str, u128)]) -> Option<&'static str> {
    const ELSEWHERE: [(&str, &str); 16] = [
        ("sec", "s"),
        ("secs", "s"),
        ("seconds", "s"),
        ("min", "m"),
        ("minutes", "m"),
        ("hours", "h"),
        ("days", "d"),
        ("G", "GiB"),
        ("M", "MiB"),
        ("K", "KiB"),
        ("/sec", "/s"),
        ("/min", "/m"),
        ("Gbps", "Gbit/s"),
        ("Mbps", "Mbit/s"),
        ("MBps", "MB/s"),
        ("µs", "us"),
    ];
    let same = |name: &str| unit.eq_ignore_ascii_case(name) && !unit.is_empty();
    let known =
        |name: &str| units.iter().find(|(known, _)| *known == name).map(|(known, _)| *known);
    units
        .iter()
        .find(|(name, _)| same(name))
        .map(|(name, _)| *name)
        .or_else(|| ELSEWHERE.iter().find(|(name, _)| same(name)).and_then(|(_, unit)| known(unit)))
}

/// A length of time: `"1.5s"`, `"500ms"`, `"2m"`.
pub(crate) fn span(text: &str) -> Result<Span, Wrong> {
    let (decimal, factor) = measure(text, &[TIME])?;
    match decimal.times(factor, 1)? {
        (nanos, true) => Ok(Span::from_nanos(nanos)),
        (_, false) => Err("time is counted in whole nanoseconds".into()),
    }
}

/// A length of time in a Neo4j setting: as [`span`], and a bare number is in seconds
/// (`TimeUtil.DEFAULT_TIME_UNIT`).
pub(crate) fn setting_span(text: &str) -> Result<Span, Wrong> {
    let (number, unit) = split(text);
    if unit.is_empty() && !number.is_empty() { span(&format!("{number}s")) } else { span(text) }
}

/// A number of bytes: `"300GB"`, `"30.5GiB"`. Fractions of a byte are rounded.
pub(crate) fn bytes(text: &str) -> Result<Bytes, Wrong> {
    let (decimal, factor) = measure(text, &[SIZE])?;
    Ok(Bytes(decimal.times(factor, 1)?.0))
}

/// A number of bytes in a Neo4j setting: as [`bytes`], with `k`, `M` and `G` for the binary
/// units, and bare numbers for bytes.
pub(crate) fn setting_bytes(text: &str) -> Result<Bytes, Wrong> {
    let (decimal, factor) = measure(text, &[SIZE, NEO4J_SIZE])?;
    Ok(Bytes(decimal.times(factor, 1)?.0))
}

/// Bytes per second: `"1Gbit/s"`, `"100MB/s"`.
pub(crate) fn bandwidth(text: &str) -> Result<Bytes, Wrong> {
    let (decimal, factor) = measure(text, &[BANDWIDTH])?;
    Ok(Bytes(decimal.times(factor, 8)?.0))
}

/// Events per time: `"200/s"`, `"10/m"`.
pub(crate) fn rate(text: &str) -> Result<Rate, Wrong> {
    let (decimal, seconds) = measure(text, &[RATE])?;
    Ok(Rate::from_micros(decimal.times(1_000_000, seconds)?.0))
}

/// A ratio: `"1/64"` is kept as it stands, decimals and `"95%"` are brought to their lowest
/// terms.
pub(crate) fn ratio(text: &str) -> Result<Ratio, Wrong> {
    let text = text.trim();
    if let Some((upper, lower)) = text.split_once('/') {
        let part = |s: &str| -> Result<u32, Wrong> {
            let (value, whole) = Decimal::parse(s.trim())?.times(1, 1)?;
            match u32::try_from(value) {
                Ok(value) if whole => Ok(value),
                Ok(_) => Err("both parts of a ratio are whole numbers".into()),
                Err(_) => Err("the number is too large".into()),
            }
        };
        return match (part(upper)?, part(lower)?) {
            (_, 0) => Err("nothing can be divided by zero".into()),
            (numerator, denominator) => Ok(Ratio::new(numerator, denominator)),
        };
    }
    let (number, hundredths) = match text.strip_suffix('%') {
        Some(number) => (number.trim_end(), 100),
        None => (text, 1),
    };
    let decimal = Decimal::parse(number)?;
    let below = 10u128.pow(decimal.scale) * hundredths;
    let (mut a, mut b) = (decimal.digits, below);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let reduce = |n: u128| {
        u32::try_from(n / a.max(1)).map_err(|_| Wrong::from("the number has too many digits"))
    };
    Ok(Ratio::new(reduce(decimal.digits)?, reduce(below)?))
}

/// A seed: a decimal number, or 7 to 40 hexadecimal digits of a git commit hash, of which
/// the first 16 count.
pub fn parse_seed(text: &str) -> Result<u64, SeedError> {
    let text = text.trim();
    // Digits alone are a number, unless there are as many as a whole hash has.
    if text.bytes().all(|b| b.is_ascii_digit()) && text.len() != 40 {
        return text.parse().map_err(|_| SeedError(brief(text)));
    }
    if (7..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        let first = &text[..text.len().min(16)];
        return u64::from_str_radix(first, 16).map_err(|_| SeedError(brief(text)));
    }
    Err(SeedError(brief(text)))
}

/// A text that is no seed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a seed: expected a number up to 18446744073709551615, or a git commit hash of 7 to 40 hexadecimal digits"
)]
pub struct SeedError(String);

/// Foreign text for a message: without control characters, and not without end.
pub(crate) fn brief(text: &str) -> String {
    let mut clean: String =
        text.chars().take(60).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(60).is_some() {
        clean.push_str("...");
    }
    clean
}

/// The size in the largest binary unit that leaves no fraction.
pub(crate) fn bytes_text(bytes: Bytes) -> String {
    for (unit, size) in [("TiB", 1u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
    {
        if bytes.0 != 0 && bytes.0.is_multiple_of(size) {
            return format!("{}{unit}", bytes.0 / size);
        }
    }
    format!("{}B", bytes.0)
}

/// A size as disks and links are sold: in decimal units where that leaves no fraction.
pub(crate) fn decimal_bytes_text(bytes: Bytes) -> String {
    for (unit, size) in [("TB", 1_000_000_000_000u64), ("GB", 1_000_000_000), ("MB", 1_000_000)] {
        if bytes.0 != 0 && bytes.0.is_multiple_of(size) {
            return format!("{}{unit}", bytes.0 / size);
        }
    }
    bytes_text(bytes)
}

/// The rate per second with as many decimals as it needs.
pub(crate) fn rate_text(rate: Rate) -> String {
    let (whole, part) = (rate.as_micros() / 1_000_000, rate.as_micros() % 1_000_000);
    if part == 0 {
        return format!("{whole}/s");
    }
    let part = format!("{part:06}");
    format!("{whole}.{}/s", part.trim_end_matches('0'))
}

/// The ratio as a decimal where that reads back as the same ratio, else as a fraction.
pub(crate) fn ratio_text(of: Ratio) -> String {
    let millionths = u64::from(of.numerator) * 1_000_000 / u64::from(of.denominator);
    let decimal = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
    let decimal = decimal.trim_end_matches('0').trim_end_matches('.');
    if ratio(decimal) == Ok(of) {
        decimal.into()
    } else {
        format!("\"{}/{}\"", of.numerator, of.denominator)
    }
}

#[cfg(test)]
#[path = "units_tests.rs"]
mod tests;
