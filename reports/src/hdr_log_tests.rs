//! Reads the logs back with a decoder written from the format's description alone.

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::*;

fn from_base64(text: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => u32::from(letter - b'A'),
        b'a'..=b'z' => u32::from(letter - b'a') + 26,
        b'0'..=b'9' => u32::from(letter - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let given = four.iter().filter(|letter| **letter != b'=').count();
        let word = four.iter().fold(0, |word, letter| word << 6 | value(*letter));
        bytes.extend(&word.to_be_bytes()[1..given]);
    }
    bytes
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) = self.0.split_at(N);
        self.0 = rest;
        head.try_into().expect("as long as asked for")
    }

    fn int(&mut self) -> i32 {
        i32::from_be_bytes(self.take())
    }

    fn long(&mut self) -> i64 {
        i64::from_be_bytes(self.take())
    }

    fn zigzag(&mut self) -> i64 {
        let (mut word, mut shift) = (0u64, 0);
        loop {
            let [byte] = self.take();
            if shift == 56 {
                word |= u64::from(byte) << 56;
                break;
            }
            word |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
        }
        (word >> 1) as i64 ^ -((word & 1) as i64)
    }
}

/// The highest value that falls into a slot, from the geometry that digits define.
fn highest_of(slot: usize, digits: i32, lowest: i64) -> u64 {
    let unit = lowest.ilog2();
    let largest = 2.0 * 10f64.powi(digits);
    let sub_buckets = 1usize << (largest.log2().ceil() as u32);
    let half = sub_buckets / 2;
    let (bucket, sub) = if slot < sub_buckets {
        (0, slot)
    } else {
        ((slot - sub_buckets) / half + 1, half + (slot - sub_buckets) % half)
    };
    let width = 1u64 << (bucket as u32 + unit);
    (sub as u64) * width + width - 1
}

/// Counts with the highest value that each stands for.
fn decoded(text: &str) -> Vec<(u64, u64)> {
    let bytes = from_base64(text);
    let mut outer = Reader(&bytes);
    assert_eq!(outer.int(), 0x1c84_9314);
    assert_eq!(outer.int() as usize, outer.0.len());
    let mut inner = Vec::new();
    ZlibDecoder::new(outer.0).read_to_end(&mut inner).expect("a zlib stream");
    let mut reader = Reader(&inner);
    assert_eq!(reader.int(), 0x1c84_9313);
    let payload = reader.int() as usize;
    assert_eq!(reader.int(), 0, "normalizing offset");
    let digits = reader.int();
    let (lowest, highest) = (reader.long(), reader.long());
    assert!(highest >= 2 * lowest && lowest >= 1);
    assert_eq!(f64::from_be_bytes(reader.take()), 1.0);
    assert_eq!(reader.0.len(), payload);
    let (mut slot, mut counts) = (0usize, Vec::new());
    while !reader.0.is_empty() {
        match reader.zigzag() {
            zeros if zeros < 0 => slot += zeros.unsigned_abs() as usize,
            count => {
                counts.push((highest_of(slot, digits, lowest), count as u64));
                slot += 1;
            }
        }
    }
    counts
}

fn sample() -> Histogram<u64> {
    let mut histogram = Histogram::new(3).expect("three digits");
    for n in 1..=20_000u64 {
        histogram.record(700_000 + n * n % 9_000_017 * (1 + n % 7)).expect("it grows");
    }
    histogram.record_n(10_000_000_000, 1 << 40).expect("it grows");
    histogram
}

#[test]
fn a_log_reads_back_as_it_was() {
    let histogram = sample();
    let (from, length) = (Time::ZERO + Span::from_secs(10), Span::from_secs(290));
    let text = hlog(&histogram, Span::from_secs(10), from, length);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[..3].iter().all(|line| line.starts_with("#[")));
    let cells: Vec<&str> = lines[4].split(',').collect();
    assert_eq!(cells[..3], ["10.000", "290.000", "10000.000"]);
    let counts = decoded(cells[3]);
    let expected: Vec<(u64, u64)> = histogram
        .iter_recorded()
        .map(|slot| (slot.value_iterated_to(), slot.count_at_value()))
        .collect();
    assert_eq!(counts, expected);
}

#[test]
fn an_empty_histogram_can_be_written() {
    let histogram = Histogram::new(3).expect("three digits");
    let text = hlog(&histogram, Span::ZERO, Time::ZERO, Span::ZERO);
    let cells = text.lines().last().map(|line| line.split(',').nth(3).map(decoded));
    assert_eq!(cells, Some(Some(Vec::new())));
    assert!(hgrm(&histogram).contains("Total count    =            0"));
}

#[test]
fn numbers_of_all_sizes_survive() {
    for number in [0, 1, -1, 63, 64, -64, -65, 8_191, 1 << 40, i64::MAX, i64::MIN] {
        let mut bytes = Vec::new();
        put_number(number, &mut bytes);
        assert!(bytes.len() <= 9);
        let mut reader = Reader(&bytes);
        assert_eq!(reader.zigzag(), number);
        assert!(reader.0.is_empty());
    }
}

#[test]
fn base64_is_that_of_the_rfc() {
    let words = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
    for (plain, text) in words {
        assert_eq!(base64(plain.as_bytes()), text);
    }
    assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
}

#[test]
fn the_percentile_text_ends_with_all_samples() {
    let mut histogram = Histogram::new(3).expect("three digits");
    for ms in 1..=1_000u64 {
        histogram.record(ms * 1_000_000).expect("it grows");
    }
    let text = hgrm(&histogram);
    let rows: Vec<Vec<f64>> = text
        .lines()
        .skip(2)
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_whitespace().filter_map(|cell| cell.parse().ok()).collect())
        .collect();
    let last = &rows[rows.len() - 1];
    assert_eq!((last[1], last[2]), (1.0, 1_000.0));
    assert!((last[0] - 1_000.0).abs() < 1.0);
    let median = rows.iter().find(|row| row[1] >= 0.5).expect("a row for the median");
    assert!((median[0] - 500.0).abs() < 1.0 && (median[3] - 2.0).abs() < 1e-9, "{median:?}");
    assert!(rows.windows(2).all(|two| two[0][0] <= two[1][0] && two[0][2] <= two[1][2]));
    assert!(text.contains("SubBuckets     =         2048]"));
}
