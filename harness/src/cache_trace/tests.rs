//! Formats, garbage, and misses counted by hand.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::reader::{Column, TraceFormat};
use super::*;

fn open(bytes: &[u8]) -> Result<TraceReader, TraceError> {
    TraceReader::new("trace", Cursor::new(bytes.to_vec()), None, None)
}

fn keys(mut trace: TraceReader) -> Result<Vec<u32>, TraceError> {
    let mut keys = Vec::new();
    while let Some(key) = trace.next_key()? {
        keys.push(key);
    }
    Ok(keys)
}

/// The format that was told and the keys.
fn read(bytes: &[u8]) -> (TraceFormat, Vec<u32>) {
    let trace = open(bytes).unwrap();
    (trace.format(), keys(trace).unwrap())
}

fn refused(bytes: &[u8]) -> String {
    let error = open(bytes).and_then(keys).unwrap_err();
    error.to_string()
}

fn record(key: u64, next: i64) -> Vec<u8> {
    let mut bytes = 7u32.to_le_bytes().to_vec();
    bytes.extend(key.to_le_bytes());
    bytes.extend(512u32.to_le_bytes());
    bytes.extend(next.to_le_bytes());
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn keys_are_numbered_as_they_are_met() {
    assert_eq!(read(b"30\n7\n\n30\r\n  9"), (TraceFormat::Lines, vec![0, 1, 0, 2]));
    assert_eq!(read(b"a/b\nc\n12\na/b\n"), (TraceFormat::Lines, vec![0, 1, 2, 0]));
    let max = u64::MAX.to_string();
    assert_eq!(read(format!("{max}\n0\n{max}").as_bytes()).1, [0, 1, 0]);
    assert_eq!(read(b"lbn\n5\n6\n5\n"), (TraceFormat::Csv, vec![0, 1, 0]));
}

#[test]
fn csv_columns_are_found_by_name_or_by_place() {
    let csv = TraceFormat::Csv;
    // The header of libCacheSim's example trace.
    assert_eq!(read(b"version,time,op,size,lbn\n1,2,2a,512,8\n1,2,2a,99,8\n"), (csv, vec![0, 0]));
    assert_eq!(read(b"# time, object, size\n1, x, 5\n2, y, 5\n"), (csv, vec![0, 1]));
    // No header: time, key, size.
    assert_eq!(read(b"1,10,4\n2,11,4\n3,10,4\n"), (csv, vec![0, 1, 0]));
    assert_eq!(read(b"1\t10\t4\n2\t11\t4\n"), (csv, vec![0, 1]));
    assert_eq!(read(b"time;key\n1;\"a;b\"\n2;\"a \"\"b\"\n3;a;b\n"), (csv, vec![0, 1, 2]));

    let with = |bytes: &[u8], column: Column| {
        let bytes = Cursor::new(bytes.to_vec());
        TraceReader::new("trace", bytes, None, Some(&column)).and_then(keys)
    };
    let trace = b"Start,Volume\n1,5\n2,5\n1,6\n";
    assert_eq!(with(trace, Column::Name("volume".to_owned())).unwrap(), [0, 0, 1]);
    assert_eq!(with(trace, Column::Number(1)).unwrap(), [0, 1, 0]);
    assert_eq!(with(b"9,5\n8,5\n", Column::Number(2)).unwrap(), [0, 0]);
    let no_such = with(trace, Column::Name("size".to_owned())).unwrap_err().to_string();
    assert_eq!(no_such, "trace: line 1: no column is called `size`: start, volume");
    let too_far = with(trace, Column::Number(3)).unwrap_err().to_string();
    assert_eq!(too_far, "trace: line 1: there is no column 3, only 2");
    let none = with(b"1\n2\n", Column::Number(2)).unwrap_err().to_string();
    assert_eq!(none, "trace: it has no columns: it is read as lines");
}

#[test]
fn binary_and_compressed_traces_are_told_by_their_bytes() {
    let bytes = [record(30, 2), record(7, -1), record(30, i64::MAX)].concat();
    assert_eq!(read(&bytes), (TraceFormat::Oracle, vec![0, 1, 0]));
    assert_eq!(read(&gzip(&bytes)), (TraceFormat::Oracle, vec![0, 1, 0]));
    assert_eq!(read(&gzip(b"1\n2\n1\n")), (TraceFormat::Lines, vec![0, 1, 0]));
    // Several gzip files in one, as `cat` joins them.
    let joined = [gzip(b"1\n"), gzip(b"2\n1\n")].concat();
    assert_eq!(read(&joined).1, [0, 1, 0]);
}

#[test]
fn garbage_is_refused_with_its_place() {
    let cases: [(&[u8], &str); 9] = [
        (b"", "trace: it is empty"),
        (b"1\n2\nx\n", "trace: line 3: `x` is no key: those before it are numbers"),
        (b"1\n-2\n", "trace: line 2: `-2` is no key: those before it are numbers"),
        (b"time,key\n1,5\n2\n", "trace: line 3: there is no column 2"),
        (b"a,b\nc,d\n", "trace: line 1: which column is the key is not clear: a, b"),
        (b"a\nb\x07\n", "trace: line 2: `b\\u{7}` is no key: it is not text"),
        (b"\n\n", "trace: line 3: there is no request"),
        (&[0x28, 0xb5, 0x2f, 0xfd, 0], "trace: it is compressed with zstd, which is not read"),
        (b"BZh91AY", "trace: only gzip is unpacked"),
    ];
    for (bytes, message) in cases {
        let told = refused(bytes);
        assert!(told.starts_with(message), "{told}");
    }
    let mut cut = [record(1, -1), record(2, -1)].concat();
    cut.truncate(40);
    assert_eq!(refused(&cut), "trace: record 2: ends after 16 of 24 bytes");
    let backwards = [record(1, -1), record(1, 1), record(1, -5)].concat();
    let told = refused(&backwards);
    assert!(told.starts_with("trace: record 2: the next request for its key is 1"), "{told}");
    let mut damaged = gzip("12345\n".repeat(5000).as_bytes());
    damaged.truncate(damaged.len() - 20);
    let told = refused(&damaged);
    assert!(told.contains("line ") && told.contains("cannot be read"), "{told}");
    let long = refused(&vec![b'7'; 70_000]);
    assert!(long.contains("longer than 65536 bytes"), "{long}");
    assert_eq!(
        replay(&mut open(b"key\n").unwrap(), &TracePolicy::all(), &[3]).unwrap_err().to_string(),
        "trace: there is no request in it"
    );
}

/// Bytes of all kinds, cut and mixed, read in every format: an answer or an error, always.
#[test]
fn no_bytes_bring_the_reader_down() {
    let seeds: [&[u8]; 4] = [
        &[record(30, 2), record(7, -1), record(30, 9)].concat(),
        b"time,key\n1,\"5\"\n2,6\n",
        &gzip(b"1\n2\n1\n"),
        b"8\n9\n\n8",
    ];
    let formats =
        [None, Some(TraceFormat::Csv), Some(TraceFormat::Lines), Some(TraceFormat::Oracle)];
    let columns = [None, Some(Column::Number(2)), Some(Column::Name("key".to_owned()))];
    let mut state = 7u64;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    let (mut good, mut bad) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = seeds[draw(4)].to_vec();
        for _ in 0..draw(4) {
            let place = draw(bytes.len());
            match draw(3) {
                0 => bytes[place] = draw(256) as u8,
                1 => bytes.truncate(place.max(1)),
                _ => bytes.insert(place, b"\n,;\t\"\0#-\xff"[draw(9)]),
            }
        }
        let source = Cursor::new(bytes);
        let (format, column) = (formats[draw(4)], &columns[draw(3)]);
        match TraceReader::new("trace", source, format, column.as_ref()).and_then(keys) {
            Ok(_) => good += 1,
            Err(error) => {
                assert!(error.to_string().contains("trace"));
                bad += 1;
            }
        }
    }
    assert!(good > 2000 && bad > 2000, "{good} and {bad}");
}

/// L. A. Belady, R. A. Nelson, G. S. Shedler, CACM 12(6), 1969: the string of the anomaly.
#[test]
fn misses_of_beladys_string() {
    let text: String = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5].map(|n| format!("{n}\n")).concat();
    let policies = ["opt", "fifo", "lru"].map(|name| TracePolicy::from_name(name).unwrap());
    let replay = replay(&mut open(text.as_bytes()).unwrap(), &policies, &[3, 4]).unwrap();
    assert_eq!((replay.requests, replay.distinct), (12, 5));
    let misses: Vec<u64> = replay.outcomes.iter().map(|outcome| outcome.misses).collect();
    assert_eq!(misses, [7, 6, 9, 10, 10, 8]);
    assert_eq!(replay.outcomes[2].miss_ratio, 0.75);
}

/// The optimum against what it is defined by: the victim is wanted last, found by looking.
#[test]
fn the_optimum_is_what_looking_ahead_gives() {
    let mut state = 1u64;
    let pages: Vec<u32> = (0..600)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u32 % 20
        })
        .collect();
    let next = optimal::next_requests(&pages, 20);
    for frames in [1, 2, 7, 19, 20] {
        let mut resident: Vec<u32> = Vec::new();
        let mut misses = 0;
        for (place, page) in pages.iter().enumerate() {
            if resident.contains(page) {
                continue;
            }
            misses += 1;
            if resident.len() == frames {
                let when = |page: &u32| {
                    pages[place..].iter().position(|p| p == page).unwrap_or(usize::MAX)
                };
                let last = (0..frames).max_by_key(|slot| when(&resident[*slot])).unwrap();
                resident.swap_remove(last);
            }
            resident.push(*page);
        }
        assert_eq!(optimal::misses(&pages, &next, 20, frames), misses, "{frames} frames");
        for policy in CachePolicy::ALL {
            let mut cache = TraceCache::new(policy, frames);
            let online = pages.iter().filter(|page| !cache.access(**page)).count() as u64;
            assert!(online >= misses, "{} beats the optimum", policy.name());
        }
    }
}
