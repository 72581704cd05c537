//! A disk in memory, and a store that is driven on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_store::{
    DiskError, DiskOp, DiskReply, DiskRequest, FileName, Ledger, MicroStep, PAGE_SIZE, Page,
    PageNumber, PageSource, Step, Store, StoreConfig, StoreError, TxHandle, Value,
};

/// Files by name.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// What they hold.
    pub files: BTreeMap<FileName, Vec<u8>>,
}

impl Disk {
    fn perform(&mut self, request: &DiskRequest) -> Result<DiskReply, DiskError> {
        match request {
            DiskRequest::List => {
                let files = self.files.iter().map(|(name, bytes)| (*name, bytes.len() as u64));
                return Ok(DiskReply::Files(files.collect()));
            }
            DiskRequest::ReadPage { file, page } => {
                return self.page(*file, *page).map(DiskReply::Page).ok_or(DiskError::NotFound);
            }
            DiskRequest::ReadAt { file, offset, len } => {
                let bytes = self.files.get(file).ok_or(DiskError::NotFound)?;
                let from = (*offset as usize).min(bytes.len());
                let to = (from + *len as usize).min(bytes.len());
                return Ok(DiskReply::Bytes(bytes[from..to].into()));
            }
            DiskRequest::WritePage { file, page, image } => {
                let bytes = self.files.entry(*file).or_default();
                let at = *page as usize * PAGE_SIZE;
                bytes.resize(bytes.len().max(at + PAGE_SIZE), 0);
                bytes[at..at + PAGE_SIZE].copy_from_slice(image.bytes());
            }
            DiskRequest::Append { file, bytes } => {
                self.files.entry(*file).or_default().extend_from_slice(bytes);
            }
            DiskRequest::SetLen { file, len } => {
                self.files.entry(*file).or_default().resize(*len as usize, 0);
            }
            DiskRequest::Rename { from, to } => {
                let bytes = self.files.remove(from).ok_or(DiskError::NotFound)?;
                self.files.insert(*to, bytes);
            }
            DiskRequest::Unlink { file } => {
                self.files.remove(file).ok_or(DiskError::NotFound)?;
            }
            DiskRequest::Sync { .. } | DiskRequest::SyncDir => {}
        }
        Ok(DiskReply::Done)
    }
}

impl PageSource for Disk {
    fn page(&self, file: FileName, page: PageNumber) -> Option<Arc<Page>> {
        let at = page as usize * PAGE_SIZE;
        let bytes = self.files.get(&file)?.get(at..at + PAGE_SIZE)?;
        Some(Arc::new(Page::from_bytes(bytes.try_into().ok()?)))
    }
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Done.
    Value(Value),
    /// Refused or failed.
    Error(StoreError),
    /// It waits for another transaction.
    Blocked,
}

/// A store on its disk.
#[derive(Clone, Debug)]
pub struct Driver {
    /// The store.
    pub store: Store,
    /// Its disk.
    pub disk: Disk,
    queue: Vec<(DiskOp, DiskRequest)>,
}

impl Driver {
    /// Opens what is on the disk.
    pub fn open(config: StoreConfig, disk: Disk) -> Driver {
        let mut driver = Driver { store: Store::open(config), disk, queue: Vec::new() };
        driver.run();
        driver
    }

    fn turn(&mut self) -> bool {
        self.store.submissions(&mut self.queue);
        let mut any = false;
        for (op, request) in self.queue.drain(..) {
            any = true;
            let result = self.disk.perform(&request);
            self.store.complete(op, result);
        }
        any
    }

    /// Serves the disk and does background work until there is none.
    pub fn run(&mut self) {
        while self.advance() {}
    }

    fn advance(&mut self) -> bool {
        if self.turn() {
            return true;
        }
        let wants = self.store.wants_background();
        if wants {
            self.store.background(8, &mut Ledger::default());
        }
        wants
    }

    fn finish(&mut self, mut step: impl FnMut(&mut Store) -> Step) -> Outcome {
        loop {
            match step(&mut self.store) {
                Step::Done(value) => return Outcome::Value(value),
                Step::Failed(error) => return Outcome::Error(error),
                Step::Wait(_) if !self.advance() => return Outcome::Blocked,
                Step::Wait(_) => {}
            }
        }
    }

    /// Runs a step until it is done, fails, or waits for another transaction.
    pub fn step(&mut self, tx: TxHandle, step: &MicroStep) -> Outcome {
        self.finish(|store| store.step(tx, step, &mut Ledger::default()))
    }

    /// Prepares, commits and applies.
    pub fn commit(&mut self, tx: TxHandle) -> Outcome {
        match self.step(tx, &MicroStep::Prepare) {
            Outcome::Value(_) => {}
            other => return other,
        }
        match self.store.commit(tx, &mut Ledger::default()) {
            Ok(_) => self.finish(|store| store.apply(tx, &mut Ledger::default())),
            Err(error) => Outcome::Error(error),
        }
    }
}
