//! What every disk must answer, as a suite that any driver's tests can run.
//!
//! The operations of [`DiskRequest`] at random, against plain bytes in memory; and the life of a
//! store that is closed and opened again. What a crash leaves is not asked here: the disks
//! differ in what they let a test do to them.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use wavetank_vocabulary::{Bytes, NodeId};

use crate::config::StoreConfig;
use crate::disk::{DiskError, DiskOp, DiskReply, DiskRequest, FileKind, FileName};
use crate::page::{PAGE_SIZE, Page};
use crate::steps::MicroStep;
use crate::store::{Ledger, Step, Store, StoreState};
use crate::value::{Entity, TokenId, TokenKind, Value};

/// A disk that is tried: does one operation, to its end.
pub type Perform<'a> = dyn FnMut(&DiskRequest) -> Result<DiskReply, DiskError> + 'a;

/// The names that are used: files of pages and logs, each of the live store and set aside.
const NAMES: [FileName; 8] = [
    FileName::live(FileKind::Meta),
    FileName::live(FileKind::Nodes),
    FileName { area: 1, kind: FileKind::Meta, version: 0 },
    FileName { area: 1, kind: FileKind::Nodes, version: 0 },
    FileName::log(0),
    FileName::log(1),
    FileName { area: 1, kind: FileKind::Log, version: 0 },
    FileName { area: 1, kind: FileKind::Log, version: 1 },
];

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % limit
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.below(256) as u8).collect()
    }
}

/// The files as plain bytes.
#[derive(Default)]
struct Model(BTreeMap<FileName, Vec<u8>>);

impl Model {
    fn answer(&mut self, request: &DiskRequest) -> Result<DiskReply, DiskError> {
        let missing = DiskError::NotFound;
        Ok(match request {
            DiskRequest::ReadPage { file, page } => {
                let at = *page as usize * PAGE_SIZE;
                let bytes = self.0.get(file).and_then(|bytes| bytes.get(at..at + PAGE_SIZE));
                let bytes = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(missing)?;
                DiskReply::Page(Arc::new(Page::from_bytes(bytes)))
            }
            DiskRequest::ReadAt { file, offset, len } => {
                let bytes = self.0.get(file).ok_or(missing)?;
                let start = (*offset as usize).min(bytes.len());
                let end = (start + *len as usize).min(bytes.len());
                DiskReply::Bytes(bytes[start..end].into())
            }
            DiskRequest::WritePage { file, page, image } => {
                let (bytes, at) = (self.0.entry(*file).or_default(), *page as usize * PAGE_SIZE);
                bytes.resize(bytes.len().max(at + PAGE_SIZE), 0);
                bytes[at..at + PAGE_SIZE].copy_from_slice(image.bytes());
                DiskReply::Done
            }
            DiskRequest::Append { file, bytes } => {
                self.0.entry(*file).or_default().extend_from_slice(bytes);
                DiskReply::Done
            }
            DiskRequest::SetLen { file, len } => {
                self.0.entry(*file).or_default().resize(*len as usize, 0);
                DiskReply::Done
            }
            DiskRequest::Sync { file } => {
                self.0.get(file).ok_or(missing)?;
                DiskReply::Done
            }
            DiskRequest::SyncDir => DiskReply::Done,
            DiskRequest::Rename { from, to } => {
                let bytes = self.0.remove(from).ok_or(missing)?;
                self.0.insert(*to, bytes);
                DiskReply::Done
            }
            DiskRequest::Unlink { file } => {
                self.0.remove(file).ok_or(missing)?;
                DiskReply::Done
            }
            DiskRequest::List => {
                let files = self.0.iter().map(|(name, bytes)| (*name, bytes.len() as u64));
                DiskReply::Files(files.collect())
            }
        })
    }

    /// An operation as a store may ask for it: files of pages change by pages, logs at their
    /// end; only renaming makes a file that is set aside.
    fn random(&self, dice: &mut Dice) -> DiskRequest {
        let file = NAMES[dice.below(8) as usize];
        let live = FileName { area: 0, ..file };
        let len = self.0.get(&live).map_or(0, |bytes| bytes.len() as u64);
        match (dice.below(20), file.kind) {
            (0..6, FileKind::Log) => {
                let len = 1 + dice.below(9_000) as usize;
                DiskRequest::Append { file: live, bytes: dice.bytes(len).into() }
            }
            (0..6, _) => {
                let bytes = dice.bytes(PAGE_SIZE);
                let bytes: &[u8; PAGE_SIZE] = bytes.as_slice().try_into().expect("a page");
                let (page, image) = (dice.below(6) as u32, Arc::new(Page::from_bytes(bytes)));
                DiskRequest::WritePage { file: live, page, image }
            }
            (6, FileKind::Log) => {
                let len = dice.below(len + 3_000);
                DiskRequest::SetLen { file: live, len }
            }
            (6, _) => DiskRequest::SetLen { file: live, len: dice.below(8) * PAGE_SIZE as u64 },
            (7..10, kind) if kind != FileKind::Log => {
                DiskRequest::ReadPage { file, page: dice.below(8) as u32 }
            }
            (7..13, _) => {
                let (offset, len) = (dice.below(60_000), dice.below(20_000) as u32);
                DiskRequest::ReadAt { file, offset, len }
            }
            (13..16, _) => DiskRequest::Sync { file },
            (16, _) => DiskRequest::SyncDir,
            (17, _) => {
                let to = FileName { area: 1 - file.area, ..file };
                DiskRequest::Rename { from: file, to }
            }
            (18, _) => DiskRequest::Unlink { file },
            _ => DiskRequest::List,
        }
    }
}

/// Tries so many random operations on an empty disk.
///
/// # Panics
/// At the first answer that is wrong.
pub fn answers_are_those_of_plain_bytes(disk: &mut Perform<'_>, seed: u64, operations: u32) {
    let (mut model, mut dice) = (Model::default(), Dice(seed));
    for number in 0..operations {
        let request = model.random(&mut dice);
        let expected = model.answer(&request);
        let mut answer = disk(&request);
        if let Ok(DiskReply::Files(files)) = &mut answer {
            files.sort_unstable();
        }
        assert!(answer == expected, "operation {number} of seed {seed}: {request:?}");
    }
}

/// Runs a store on an empty disk, with rotation, checkpoints, evictions and pruning, and opens
/// it again now and then.
///
/// # Panics
/// If anything fails or is not there later.
pub fn a_store_lives_on_it(disk: &mut Perform<'_>) {
    let config = StoreConfig {
        frames: 8,
        log_rotation_threshold: Bytes::kib(8),
        checkpoint_interval_tx: 20,
        log_retention: crate::LogRetention::Files(2),
        ..StoreConfig::default()
    };
    let mut nodes: Vec<(NodeId, u64)> = vec![];
    for round in 0..4u64 {
        let mut life = Life { store: Store::open(config.clone()), disk, queue: vec![] };
        while life.turn() {}
        if round == 0 {
            assert_eq!(*life.store.state(), StoreState::Empty);
            life.store.create();
            while life.turn() {}
        }
        assert_eq!(*life.store.state(), StoreState::Ready, "round {round}");
        let key = TokenId(0);
        for number in 0..60 {
            let tx = life.store.begin(0, 0);
            if round + number == 0 {
                let step = MicroStep::Token { kind: TokenKind::PropertyKey, name: "text".into() };
                life.step(tx, &step);
            }
            for (node, seed) in &nodes {
                let entity = Entity::from(*node);
                let value = life.step(tx, &MicroStep::ReadProperty { entity, key });
                assert_eq!(value, text(*seed), "{node:?} in round {round}");
            }
            let created = life.step(tx, &MicroStep::CreateNode { labels: vec![] });
            let Value::Node(node) = created else { panic!("no node: {created:?}") };
            let seed = round * 100 + number;
            let (entity, value) = (node.into(), text(seed));
            life.step(tx, &MicroStep::SetProperty { entity, key, value });
            life.step(tx, &MicroStep::Prepare);
            life.store.commit(tx, &mut Ledger::default()).expect("a commit");
            life.finish(|store| store.apply(tx, &mut Ledger::default()));
            nodes.push((node, seed));
        }
    }
}

fn text(seed: u64) -> Value {
    let mut dice = Dice(seed);
    let letters = (0..300).map(|_| char::from(b'a' + dice.below(26) as u8));
    Value::Text(letters.collect::<alloc::string::String>().as_str().into())
}

struct Life<'a, 'b> {
    store: Store,
    disk: &'a mut Perform<'b>,
    queue: Vec<(DiskOp, DiskRequest)>,
}

impl Life<'_, '_> {
    /// Does what the store wants done; false if it wants nothing.
    fn turn(&mut self) -> bool {
        self.store.submissions(&mut self.queue);
        if self.queue.is_empty() {
            let wants = self.store.wants_background();
            if wants {
                self.store.background(8, &mut Ledger::default());
            }
            return wants;
        }
        for (op, request) in self.queue.drain(..) {
            let answer = (self.disk)(&request);
            self.store.complete(op, answer);
        }
        true
    }

    fn finish(&mut self, mut work: impl FnMut(&mut Store) -> Step) -> Value {
        loop {
            match work(&mut self.store) {
                Step::Done(value) => return value,
                Step::Wait(_) => assert!(self.turn(), "a step waits for nothing"),
                Step::Failed(error) => panic!("{error}"),
            }
        }
    }

    fn step(&mut self, tx: crate::transactions::TxHandle, step: &MicroStep) -> Value {
        self.finish(|store| store.step(tx, step, &mut Ledger::default()))
    }
}
