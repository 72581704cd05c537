//! Every byte of a small store flipped, one at a time: each is detected or harmless.

use alloc::vec;
use alloc::vec::Vec;
use std::collections::BTreeMap;
use std::string::{String, ToString};

use crate::testing::Rig;
use crate::testing::model::random_transactions;
use crate::testing::{Dice, MemoryDisk};
use crate::*;

const HARMLESS: &str = "harmless: repaired or not in use";
const REFUSED: &str = "refused at the opening";
const TOLD: &str = "told when the page is read";
const CUT: &str = "cut off as the torn end of the log, and said so";

/// What the bytes of a file must come to, from its first to its last.
fn expected(kind: FileKind, double_write: bool) -> &'static [&'static str] {
    match kind {
        // The other of its two pages counts; the images repair nothing here.
        FileKind::Meta | FileKind::DoubleWrite => &[HARMLESS],
        FileKind::Versions => &[REFUSED],
        // What is before the checkpoint is not read; the last entry has none behind it.
        FileKind::Log => &[REFUSED, HARMLESS, REFUSED, CUT],
        _ if double_write => &[HARMLESS],
        // The opening reads no long value.
        FileKind::Dynamic | FileKind::Arrays => &[TOLD],
        _ => &[REFUSED],
    }
}

/// What a flipped byte came to.
fn verdict(config: &StoreConfig, disk: MemoryDisk, digest: u128) -> Result<&'static str, String> {
    let rig = Rig::open(config.clone(), disk);
    match rig.store.state() {
        StoreState::Failed(_) => Ok(REFUSED),
        StoreState::Ready => match rig.store.contents_digest(&rig.disk) {
            Err(_) => Ok(TOLD),
            Ok(found) if found == digest => match rig.store.check(&rig.disk) {
                Ok(problems) if problems.is_empty() => Ok(HARMLESS),
                Ok(_) => Ok("told by the check"),
                Err(_) => Ok(TOLD),
            },
            // The last entry of a log has nobody behind it to say that it was durable.
            Ok(_) if rig.store.recovery().is_some_and(|recovery| recovery.cut > 0) => Ok(CUT),
            Ok(_) => Err("served wrongly".into()),
        },
        other => Err(std::format!("{other:?}")),
    }
}

#[test]
fn every_flipped_byte_is_detected_or_harmless() {
    let config = StoreConfig { dense_node_threshold: 4, ..StoreConfig::default() };
    let (mut rig, mut history) = Rig::with_tokens(config);
    let mut dice = Dice(5);
    random_transactions(&mut rig, &mut history, 12, &mut dice).unwrap();
    rig.store.request_checkpoint();
    rig.run();
    // Some of it is only in the log.
    random_transactions(&mut rig, &mut history, 6, &mut dice).unwrap();
    let mut bare = rig.clone();
    bare.disk.bytes_mut(FileName::live(FileKind::DoubleWrite)).clear();
    for (rig, what) in [(rig, "with double-write area"), (bare, "without")] {
        census(&rig, what, what.starts_with("with "));
    }
}

#[expect(clippy::print_stdout, reason = "the census is printed")]
fn census(rig: &Rig, what: &str, double_write: bool) {
    let config = &rig.store.config;
    let digest = rig.digest();
    let every = std::env::var_os("WAVETANK_LONG").is_some();
    let mut census: BTreeMap<(String, &str), u64> = BTreeMap::new();
    for file in rig.disk.names() {
        let length = rig.disk.clone().bytes_mut(file).len();
        let mut runs: Vec<&str> = vec![];
        // Of a page, every byte of the header and the records; of what is zero, each 61st,
        // unless all are asked for.
        for at in 0..length {
            let mut disk = rig.disk.clone();
            let byte = &mut disk.bytes_mut(file)[at];
            let is_header = file.kind != FileKind::Log && at % PAGE_SIZE < PAGE_HEADER;
            if !every && *byte == 0 && !is_header && at % 61 != 0 {
                continue;
            }
            *byte ^= 1 << (at % 8);
            let found = verdict(config, disk, digest);
            let found = found.unwrap_or_else(|how| panic!("byte {at} of {file}: {how}"));
            if runs.last() != Some(&found) {
                runs.push(found);
            }
            *census.entry((file.to_string(), found)).or_default() += 1;
        }
        if length > 0 {
            assert_eq!(runs, expected(file.kind, double_write), "{file}, {what}");
        }
    }
    for ((file, found), count) in &census {
        std::println!("{count:>7} {file}, {what}: {found}");
    }
    assert_eq!(rig.digest(), digest, "the store itself is as it was");
}
