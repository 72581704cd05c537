//! Damaged records in whole pages: bytes of a page are changed and its checksum made right,
//! as a faulty program or memory would. Reading, changing and checking the store must end in
//! typed errors.

use std::process::ExitCode;

use wavetank_store::{FileKind, FileName, PAGE_HEADER, PAGE_SIZE, Page, StoreConfig};
use wavetank_store_fuzz::{Dice, Driver, corpus, explore, mutate, run};

fn main() -> ExitCode {
    let corpus = corpus();
    run("records", |dice: &mut Dice| {
        let mut disk = corpus[dice.place(corpus.len())].clone();
        // An older image of the page must not repair it.
        disk.files.remove(&FileName::live(FileKind::DoubleWrite));
        for _ in 0..1 + dice.below(3) {
            // The meta pages among them.
            let place = dice.place(FileKind::RECORDS.len() + 1);
            let kind = FileKind::RECORDS.get(place).copied().unwrap_or(FileKind::Meta);
            let Some(bytes) = disk.files.get_mut(&FileName::live(kind)) else { continue };
            let at = dice.place(bytes.len() / PAGE_SIZE) * PAGE_SIZE;
            let Some(bytes) = bytes.get_mut(at..at + PAGE_SIZE) else { continue };
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            mutate(&mut bytes[PAGE_HEADER.min(used)..used], dice);
            let page = Page::from_bytes((&*bytes).try_into().expect("it is a page"));
            bytes.copy_from_slice(page.sealed(1 << 40).bytes());
        }
        let config = StoreConfig { frames: 6, dense_node_threshold: 5, ..StoreConfig::default() };
        explore(&mut Driver::open(config, disk), dice)
    })
}
