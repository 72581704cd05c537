//! Damaged logs: bytes are changed, cut, or repeated, with right checksums or wrong ones. The
//! store opens with what it can vouch for, or refuses with a typed error; and a store that is
//! sent a damaged transaction refuses it or takes it without falling over.

use std::process::ExitCode;
use std::sync::Arc;

use wavetank_store::{FileKind, Step, StoreConfig, StoreState, TxRecord};
use wavetank_store_fuzz::{Dice, Driver, corpus, explore, mutate, run};

/// See FORMAT.md: the log's header, and a frame's header with its checksum.
const HEADER: usize = 56;
const FRAME: usize = 20;

fn frames(log: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = HEADER;
    while let Some(frame) = log.get(at..at + FRAME) {
        let length = u32::from_le_bytes([frame[4], frame[5], frame[6], frame[7]]) as usize;
        let end = at + FRAME + length;
        if end > log.len() {
            break;
        }
        found.push((at, end));
        at = end;
    }
    found
}

/// Bytes of an after-image, by the number of its kind.
const IMAGES: [usize; 11] = [0, 15, 34, 41, 128, 128, 25, 128, 68, 64, 24];
const CONTENT: usize = 44;

/// Changes after-images of a transaction, and now and then for which records they are.
fn mutate_images(content: &mut [u8], dice: &mut Dice) {
    let mut at = CONTENT;
    while let Some(kind) = content.get(at + 7).copied() {
        let end = at + 8 + IMAGES[usize::from(kind) % IMAGES.len()];
        let Some(image) = content.get_mut(at + 8..end) else { return };
        if dice.below(3) == 0 {
            mutate(image, dice);
        }
        if dice.below(8) == 0 {
            mutate(&mut content[at..at + 8], dice);
        }
        at = end;
    }
}

fn seal(frame: &mut [u8]) {
    let sum = crc32c::crc32c_append(crc32c::crc32c(&frame[..16]), &frame[FRAME..]);
    frame[16..FRAME].copy_from_slice(&sum.to_le_bytes());
}

fn damage(log: &mut Vec<u8>, dice: &mut Dice) {
    let frames = frames(log);
    match (dice.below(6), frames.is_empty()) {
        (0, _) | (_, true) => mutate(log, dice),
        (1, _) => log.truncate(dice.place(log.len())),
        (2, _) => {
            let (from, to) = frames[dice.place(frames.len())];
            let again = log[from..to].to_vec();
            log.extend(again);
        }
        // Mostly the last, which no later one contradicts.
        (3, _) => {
            let (from, to) = frames[dice.place(frames.len())];
            mutate_images(&mut log[from + FRAME..to], dice);
            seal(&mut log[from..to]);
        }
        _ => {
            let (from, to) = frames[frames.len() - 1];
            mutate_images(&mut log[from + FRAME..to], dice);
            seal(&mut log[from..to]);
        }
    }
}

fn main() -> ExitCode {
    let corpus = corpus();
    run("log", |dice: &mut Dice| {
        let mut disk = corpus[dice.place(corpus.len())].clone();
        let logs: Vec<_> =
            disk.files.keys().copied().filter(|file| file.kind == FileKind::Log).collect();
        let last = *logs.last().ok_or("the corpus has logs")?;
        let log = if dice.below(3) == 0 { logs[dice.place(logs.len())] } else { last };
        let bytes = disk.files.get_mut(&log).ok_or("it was listed")?;
        let whole = bytes.clone();
        damage(bytes, dice);
        let config = StoreConfig { frames: 6, dense_node_threshold: 5, ..StoreConfig::default() };
        let mut driver = Driver::open(config.clone(), disk);
        if matches!(driver.store.state(), StoreState::Empty | StoreState::Opening) {
            return Err(format!("{:?}", driver.store.state()));
        }
        explore(&mut driver, dice)?;
        // The same as if it came from another instance.
        let mut replica = Driver::open(config, corpus[0].clone());
        for (from, to) in frames(&whole).into_iter().rev().take(2) {
            let mut content = whole[from + FRAME..to].to_vec();
            mutate_images(&mut content, dice);
            let after = replica.store.last_committed();
            content[..8].copy_from_slice(&after.tx.next().0.to_le_bytes());
            content[8..16].copy_from_slice(&after.checksum.to_le_bytes());
            let Ok(record) = TxRecord::from_content(&content) else { continue };
            if replica.store.receive(&[Arc::new(record)]).is_err() {
                continue;
            }
            replica.run();
            while let Step::Wait(_) = replica.store.apply_received(&mut Default::default()) {
                replica.run();
            }
        }
        explore(&mut replica, dice)
    })
}
