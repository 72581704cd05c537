//! For tests: a disk in memory that can crash and lose power, and a driver for one store.

use std::vec;
use std::vec::Vec;

pub(crate) mod disk;
pub(crate) mod faults;
pub(crate) mod model;

pub(crate) use disk::MemoryDisk;

use crate::*;

/// A small generator for tests: SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }
}

/// A store on its disk. Operations are performed one by one, in order, as they come.
#[derive(Clone, Debug)]
pub(crate) struct Rig {
    pub(crate) store: Store,
    pub(crate) disk: MemoryDisk,
    queue: Vec<(DiskOp, DiskRequest)>,
    /// Stop when the disk has done this many operations.
    pub(crate) stop_at: u64,
    /// Performs operations under way in any order, if set: the store may not rely on one.
    pub(crate) shuffle: Option<Dice>,
    pub(crate) ledger: Ledger,
    /// If set, the disk as it was before each operation, with the last transaction that was
    /// durable then.
    pub(crate) crashes: Option<Vec<(MemoryDisk, u64)>>,
    /// Power losses that were tried.
    pub(crate) power_losses: u64,
    /// The master of a guarded transaction, and the transaction that stands for it there.
    pub(crate) master: Option<(std::boxed::Box<Rig>, TxHandle)>,
}

impl Rig {
    pub(crate) fn open(config: StoreConfig, disk: MemoryDisk) -> Rig {
        Rig::open_until(config, disk, u64::MAX, None)
    }

    /// Opens until the disk has done `stop_at` operations.
    pub(crate) fn open_until(
        config: StoreConfig,
        disk: MemoryDisk,
        stop_at: u64,
        shuffle: Option<Dice>,
    ) -> Rig {
        let store = Store::open(config);
        let queue = vec![];
        let mut rig = Rig {
            store,
            disk,
            queue,
            stop_at,
            shuffle,
            ledger: Ledger::default(),
            crashes: None,
            power_losses: 0,
            master: None,
        };
        rig.run();
        rig
    }

    /// A new store on an empty disk.
    pub(crate) fn create(config: StoreConfig) -> Rig {
        let mut rig = Rig::open(config, MemoryDisk::default());
        assert_eq!(*rig.store.state(), StoreState::Empty);
        rig.store.create();
        rig.run();
        assert_eq!(*rig.store.state(), StoreState::Ready);
        rig
    }

    /// A store over an image.
    pub(crate) fn from_image(config: StoreConfig, image: &Image) -> Rig {
        let mut disk = MemoryDisk::default();
        for (name, file) in &image.files {
            let bytes = match file {
                ImageFile::Bytes(bytes) => bytes.to_vec(),
                ImageFile::Pages(pages) => pages.iter().flat_map(|page| *page.bytes()).collect(),
            };
            disk.perform(&DiskRequest::Append { file: *name, bytes: bytes.into() })
                .expect("append");
        }
        Rig::open(config, disk)
    }

    /// Performs one operation, if there is one and the limit is not reached.
    pub(crate) fn turn(&mut self) -> bool {
        self.store.submissions(&mut self.queue);
        if self.queue.is_empty() || self.disk.done >= self.stop_at {
            return false;
        }
        let place = match &mut self.shuffle {
            Some(dice) => dice.below(self.queue.len() as u64) as usize,
            None => 0,
        };
        // The next one that the disk does not leave lying.
        let ahead = self.queue[place..].iter().position(|(_, asked)| !self.disk.stalls(asked));
        let Some(place) = ahead.map(|ahead| place + ahead) else { return false };
        if let Some(crashes) = &mut self.crashes {
            crashes.push((self.disk.clone(), self.store.mark().tx.0));
        }
        let (op, request) = self.queue.remove(place);
        let result = self.disk.perform(&request);
        self.store.complete(op, result);
        true
    }

    /// Goes on until nothing is left to do, background work included.
    pub(crate) fn run(&mut self) {
        loop {
            while self.turn() {}
            if self.disk.done >= self.stop_at || !self.store.wants_background() {
                return;
            }
            self.store.background(8, &mut self.ledger);
        }
    }

    /// Whether the store gave up because of the failure that the disk was told to have.
    pub(crate) fn failed(&self) -> bool {
        let disk = matches!(self.store.state(), StoreState::Failed(StoreError::Disk { .. }));
        disk && self.disk.fail_at.is_some()
    }

    pub(crate) fn stopped(&self) -> bool {
        self.disk.done >= self.stop_at
    }

    /// Runs a step to its end; none if the disk stopped.
    pub(crate) fn step(
        &mut self,
        tx: TxHandle,
        step: &MicroStep,
    ) -> Option<Result<Value, StoreError>> {
        loop {
            let result = self.store.step(tx, step, &mut self.ledger);
            match result {
                Step::Done(value) => return Some(Ok(value)),
                Step::Failed(StoreError::Disk { .. }) if self.disk.fail_at.is_some() => {
                    return None;
                }
                Step::Failed(error) => return Some(Err(error)),
                Step::Wait(_) => {
                    if !self.ask_master(tx) && !self.advance() {
                        return None;
                    }
                }
            }
        }
    }

    /// Gets what a guarded transaction waits for; false if it waits for nothing of the kind.
    fn ask_master(&mut self, tx: TxHandle) -> bool {
        let (Some(need), Some((master, session))) = (self.store.need(tx), &mut self.master) else {
            return false;
        };
        match need {
            Need::Lock(request) => {
                assert_eq!(master.store.lock_for(*session, request), Step::Done(Value::Null));
                self.store.lock_granted(tx);
            }
            Need::Ids(kind) => {
                let ids = master.store.allocate_ids(kind, 64).expect("ids of that kind");
                self.store.allot(kind, ids);
            }
        }
        true
    }

    /// One disk operation, or background work; false if the disk stopped.
    pub(crate) fn advance(&mut self) -> bool {
        if self.turn() {
            return true;
        }
        if self.stopped() || self.failed() {
            return false;
        }
        assert!(
            self.store.wants_background(),
            "a step waits for nothing: {:?}",
            self.store.state()
        );
        self.store.background(8, &mut self.ledger);
        true
    }

    /// Prepares, commits and applies; the mark once it is durable; none if the disk stopped.
    pub(crate) fn commit(&mut self, tx: TxHandle) -> Option<wavetank_vocabulary::LogMark> {
        self.step(tx, &MicroStep::Prepare)?.expect("prepare");
        if self.failed() {
            return None;
        }
        let committing = self.store.commit(tx, &mut self.ledger).expect("commit");
        if let Some(ticket) = committing.ticket {
            self.wait(ticket)?;
            if self.store.mark().tx < committing.mark.tx {
                // The disk was full.
                self.store.apply(tx, &mut self.ledger);
                return None;
            }
        }
        Some(committing.mark)
    }

    pub(crate) fn wait(&mut self, ticket: Ticket) -> Option<()> {
        let mut done = vec![];
        loop {
            self.store.completed(&mut done);
            if done.contains(&ticket) {
                return Some(());
            }
            if !self.advance() {
                return None;
            }
        }
    }

    pub(crate) fn apply(&mut self, tx: TxHandle) -> Option<()> {
        loop {
            match self.store.apply(tx, &mut self.ledger) {
                Step::Done(_) => return Some(()),
                Step::Wait(_) => {
                    if !self.advance() {
                        return None;
                    }
                }
                Step::Failed(_) if self.disk.fail_at.is_some() => return None,
                Step::Failed(error) => panic!("apply: {error}"),
            }
        }
    }

    /// Commits and applies on a disk that does not stop.
    pub(crate) fn finish(&mut self, tx: TxHandle) -> wavetank_vocabulary::LogMark {
        let mark = self.commit(tx).expect("the disk does not stop");
        self.apply(tx).expect("the disk does not stop");
        mark
    }

    /// A step that must succeed on a disk that does not stop.
    pub(crate) fn must(&mut self, tx: TxHandle, step: &MicroStep) -> Value {
        self.step(tx, step).expect("the disk does not stop").expect("the step succeeds")
    }

    /// The machine dies and starts again.
    pub(crate) fn lose_power(mut self, dice: &mut Dice) -> Rig {
        self.disk.lose_power(dice);
        self.crash()
    }

    /// The process dies and starts again on the same files.
    pub(crate) fn crash(mut self) -> Rig {
        let config = self.store.config.clone();
        let mut disk = core::mem::take(&mut self.disk);
        disk.fail_at = None;
        Rig::open(config, disk)
    }

    /// Without open transactions nothing is locked, awaited or pinned.
    pub(crate) fn assert_nothing_leaked(&self) {
        let store = &self.store;
        if store.open_transactions() == 0 && *store.state() == StoreState::Ready {
            assert_eq!((store.held_locks(), store.lock_waiters()), (0, 0), "locks leaked");
            if store.received_left() == 0 {
                assert_eq!(store.pinned_pages(), 0, "frames leaked");
            }
        }
    }
}

impl Drop for Rig {
    /// Every test ends with the question whether anything leaked.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.assert_nothing_leaked();
        }
    }
}
