//! Latencies for other tools: HdrHistogram's percentile text (`.hgrm`) and its interval log
//! with V2 compressed histograms (`.hlog`).
//!
//! Written after the published format of HdrHistogram (Gil Tene; the V2 encoding of
//! `Histogram.encodeIntoByteBuffer` and log format version 1.3): a header of 40 bytes in
//! network order, then the counts as ZigZag LEB128 numbers of at most nine bytes, runs of
//! empty slots as negative numbers; deflated under a cookie of its own, in Base64.

use std::fmt::Write;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use hdrhistogram::Histogram;
use wavetank_vocabulary::{Span, Time};

/// V2 encoding; the 0x10 says that counts are LEB128 words.
const V2: i32 = 0x1c84_9303 | 0x10;
/// The same, deflated.
const V2_COMPRESSED: i32 = 0x1c84_9304 | 0x10;
/// Latencies are kept in nanoseconds and written in milliseconds.
const PER_MILLI: f64 = 1e6;
/// Lines of the percentile text per halved distance to 100 %: the usual number.
const TICKS: u32 = 5;

/// Appends a number as ZigZag LEB128, the ninth byte with all its eight bits.
fn put_number(number: i64, into: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    for _ in 0..8 {
        if rest < 0x80 {
            into.push(rest as u8);
            return;
        }
        into.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}

/// The V2 encoding of a histogram.
fn encoded(histogram: &Histogram<u64>) -> Vec<u8> {
    let mut counts = Vec::new();
    let mut empty = 0i64;
    for slot in histogram.iter_all() {
        let count = slot.count_at_value();
        if count == 0 {
            empty += 1;
            continue;
        }
        if empty > 0 {
            put_number(-empty, &mut counts);
            empty = 0;
        }
        put_number(count as i64, &mut counts);
    }
    let mut bytes = Vec::with_capacity(40 + counts.len());
    bytes.extend(V2.to_be_bytes());
    bytes.extend((counts.len() as i32).to_be_bytes());
    bytes.extend(0i32.to_be_bytes());
    bytes.extend(i32::from(histogram.sigfig()).to_be_bytes());
    bytes.extend((histogram.low() as i64).to_be_bytes());
    bytes.extend((histogram.high() as i64).to_be_bytes());
    bytes.extend(1f64.to_be_bytes());
    bytes.extend(counts);
    bytes
}

/// The same, deflated, with the cookie and length before it.
fn compressed(histogram: &Histogram<u64>) -> Vec<u8> {
    let mut deflater = ZlibEncoder::new(Vec::new(), Compression::default());
    deflater.write_all(&encoded(histogram)).expect("writing to memory cannot fail");
    let deflated = deflater.finish().expect("nor can ending it");
    let mut bytes = Vec::with_capacity(8 + deflated.len());
    bytes.extend(V2_COMPRESSED.to_be_bytes());
    bytes.extend((deflated.len() as i32).to_be_bytes());
    bytes.extend(deflated);
    bytes
}

/// Base64 of RFC 4648, padded.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for letter in 0..4 {
            let six = (word >> (18 - 6 * letter)) & 63;
            let padded = letter > three.len();
            text.push(if padded { '=' } else { char::from(LETTERS[six as usize]) });
        }
    }
    text
}

/// The interval log of one histogram: what was due from `from` for `length`. Times count
/// from the start of the run, which stands for the epoch; values are nanoseconds,
/// `Interval_Max` is in milliseconds, as other tools expect it.
pub(crate) fn hlog(histogram: &Histogram<u64>, longest: Span, from: Time, length: Span) -> String {
    format!(
        "#[Histogram log format version 1.3]\n\
         #[StartTime: 0.000 (seconds since epoch), Thu Jan 01 00:00:00 UTC 1970]\n\
         #[BaseTime: 0.000 (seconds since epoch)]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n\
         {:.3},{:.3},{:.3},{}\n",
        from.as_secs_f64(),
        length.as_secs_f64(),
        longest.as_millis_f64(),
        base64(&compressed(histogram))
    )
}

/// The percentile text, in milliseconds.
pub(crate) fn hgrm(histogram: &Histogram<u64>) -> String {
    let mut text = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut total = 0;
    for step in histogram.iter_quantiles(TICKS) {
        total += step.count_since_last_iteration();
        let quantile = step.quantile_iterated_to();
        let ms = step.value_iterated_to() as f64 / PER_MILLI;
        // Writing to a string cannot fail.
        let _ = write!(text, "{ms:12.3} {quantile:2.12} {total:10}");
        if quantile < 1.0 {
            let _ = write!(text, " {:14.2}", 1.0 / (1.0 - quantile));
        }
        text.push('\n');
    }
    let sub_buckets =
        2usize.pow((2.0 * 10f64.powi(histogram.sigfig().into())).log2().ceil() as u32);
    let _ = write!(
        text,
        "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]\n\
         #[Max     = {:12.3}, Total count    = {:12}]\n\
         #[Buckets = {:12}, SubBuckets     = {:12}]\n",
        histogram.mean() / PER_MILLI,
        histogram.stdev() / PER_MILLI,
        histogram.max() as f64 / PER_MILLI,
        histogram.len(),
        histogram.buckets(),
        sub_buckets
    );
    text
}

#[cfg(test)]
#[path = "hdr_log_tests.rs"]
mod tests;
