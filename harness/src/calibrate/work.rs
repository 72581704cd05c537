//! What the store does on a core: it runs on a disk in memory that answers at once, and its
//! ledger tells how much was done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use wavetank_store::{
    Direction, DiskError, DiskOp, DiskReply, DiskRequest, Entity, FileName, Image, ImageBuilder,
    ImageFile, Ledger, MicroStep, PAGE_SIZE, Page, Step, Store, StoreConfig, StoreError, TokenId,
    TokenKind, TxHandle, Value,
};
use wavetank_vocabulary::NodeId;

use super::fit::Units;
use super::{CalibrateError, Clock};

/// A piece of work.
#[derive(Clone, Debug)]
pub struct Workload {
    /// What it is.
    pub name: &'static str,
    /// The median time of one, in nanoseconds.
    pub nanos: f64,
    /// What one comes to.
    pub(super) each: Units,
}

const NODES: u64 = 10_000;
/// So many that a node has 40, fewer than make it dense.
const RELATIONSHIPS: u64 = 200_000;
/// Frames that hold the whole graph.
const ROOM: usize = 10_000;
/// How many pieces of work are timed together: more than the clock's grain.
const AT_ONCE: u32 = 200;

/// A store on a disk in memory.
struct Rig {
    store: Store,
    image: BTreeMap<FileName, ImageFile>,
    queue: Vec<(DiskOp, DiskRequest)>,
    ledger: Ledger,
    steps: u32,
    key: TokenId,
    follows: TokenId,
}

type Worked = Result<(), CalibrateError>;

fn failed(error: StoreError) -> CalibrateError {
    CalibrateError::Store(error.into())
}

/// Measures every piece of work, each until its clock stops.
pub(super) fn measure<'a>(clock: &dyn Fn() -> Clock<'a>) -> Result<Vec<Workload>, CalibrateError> {
    let (image, key, follows) = graph().map_err(failed)?;
    let pages: usize = image.files.iter().map(|(_, file)| pages_of(file)).sum();
    let open = |frames| Rig::open(&image, frames, key, follows);
    let mut hot = open(ROOM);
    // Once around, so that every page is resident.
    let tx = hot.store.begin(0, 0);
    for node in 0..NODES {
        hot.expand(tx, node)?;
        hot.property(tx, node)?;
    }
    let mut found = vec![
        timed("read of a record, hot", &clock(), &mut hot, |rig, n| {
            rig.step(tx, &MicroStep::ReadNode { node: node(n) }).map(drop)
        })?,
        timed("read of a property, hot", &clock(), &mut hot, |rig, n| rig.property(tx, node(n).0))?,
        timed("neighbours of a node, hot", &clock(), &mut hot, |rig, n| rig.expand(tx, node(n).0))?,
    ];
    hot.store.rollback(tx);
    found.push(timed("transaction of 3 writes", &clock(), &mut hot, |rig, n| rig.write(n, 3))?);
    found.push(timed("transaction of 20 writes", &clock(), &mut hot, |rig, n| rig.write(n, 20))?);
    drop(hot);
    let mut cold = open((pages / 10).max(64));
    let tx = cold.store.begin(0, 0);
    found.push(timed("read of a record, page faults", &clock(), &mut cold, |rig, n| {
        rig.property(tx, node(n).0)?;
        rig.background();
        Ok(())
    })?);
    found.push(timed("neighbours, page faults", &clock(), &mut cold, |rig, n| {
        rig.expand(tx, node(n).0)?;
        rig.background();
        Ok(())
    })?);
    Ok(found)
}

/// Nodes far from each other, one after the other.
fn node(n: u64) -> NodeId {
    NodeId(n.wrapping_mul(7919) % NODES)
}

fn graph() -> Result<(Image, TokenId, TokenId), StoreError> {
    let mut builder = ImageBuilder::new(1);
    let key = builder.token(TokenKind::PropertyKey, "count")?;
    let follows = builder.token(TokenKind::RelationshipType, "FOLLOWS")?;
    for n in 0..NODES {
        builder.add_node(&[], &[(key, Value::Int(n as i64))])?;
    }
    for n in 0..RELATIONSHIPS {
        let to = NodeId(n.wrapping_mul(104_729) % NODES);
        builder.add_relationship(NodeId(n % NODES), to, follows, &[])?;
    }
    Ok((builder.finish(), key, follows))
}

fn pages_of(file: &ImageFile) -> usize {
    match file {
        ImageFile::Pages(pages) => pages.len(),
        ImageFile::Bytes(_) => 0,
    }
}

/// Does a piece of work again and again.
fn timed(
    name: &'static str,
    clock: &Clock<'_>,
    rig: &mut Rig,
    mut work: impl FnMut(&mut Rig, u64) -> Worked,
) -> Result<Workload, CalibrateError> {
    let (mut rounds, mut n) = (Vec::new(), 0);
    let mut done: Units = [0.0; 5];
    while rounds.is_empty() || clock.runs() {
        (rig.ledger, rig.steps) = (Ledger::default(), 0);
        let since = Instant::now();
        for _ in 0..AT_ONCE {
            n += 1;
            work(rig, n)?;
        }
        rounds.push(since.elapsed().as_nanos() as f64 / f64::from(AT_ONCE));
        let Ledger { records, hits, faults, logged, .. } = rig.ledger;
        let units = [rig.steps, records, hits, faults].map(f64::from);
        let round = [units[0], units[1], units[2], units[3], logged as f64 / 1024.0];
        done.iter_mut().zip(round).for_each(|(sum, units)| *sum += units);
    }
    rounds.sort_by(f64::total_cmp);
    let nanos = rounds[rounds.len() / 2];
    Ok(Workload { name, nanos, each: done.map(|sum| sum / n as f64) })
}

impl Rig {
    fn open(image: &Image, frames: usize, key: TokenId, follows: TokenId) -> Rig {
        let config = StoreConfig { frames, ..StoreConfig::default() };
        let mut rig = Rig {
            store: Store::open(config),
            image: image.files.iter().cloned().collect(),
            queue: Vec::new(),
            ledger: Ledger::default(),
            steps: 0,
            key,
            follows,
        };
        rig.serve();
        rig
    }

    /// Answers the disk's part until the store is quiet.
    fn serve(&mut self) {
        loop {
            self.store.submissions(&mut self.queue);
            if self.queue.is_empty() {
                return;
            }
            for (op, request) in std::mem::take(&mut self.queue) {
                let result = answer(&self.image, &request);
                self.store.complete(op, result);
            }
        }
    }

    fn background(&mut self) {
        self.store.background(4, &mut self.ledger);
        self.serve();
    }

    fn step(&mut self, tx: TxHandle, step: &MicroStep) -> Result<Value, CalibrateError> {
        loop {
            self.steps += 1;
            match self.store.step(tx, step, &mut self.ledger) {
                Step::Done(value) => return Ok(value),
                Step::Wait(_) => self.serve(),
                Step::Failed(error) => return Err(failed(error)),
            }
        }
    }

    fn property(&mut self, tx: TxHandle, node: u64) -> Worked {
        let entity = Entity::Node(NodeId(node));
        self.step(tx, &MicroStep::ReadProperty { entity, key: self.key }).map(drop)
    }

    fn expand(&mut self, tx: TxHandle, node: u64) -> Worked {
        let (direction, kind) = (Direction::Both, Some(self.follows));
        let (node, limit) = (NodeId(node), u32::MAX);
        let mut from = None;
        loop {
            let step = MicroStep::Expand { node, direction, kind, limit, from };
            // A step ends where a page is missing, too: the next one goes on from there.
            from = match self.step(tx, &step)? {
                Value::Expanded { rest: Some(rest), .. } => Some(rest),
                _ => return Ok(()),
            };
        }
    }

    /// A transaction that writes so many properties, committed and applied.
    fn write(&mut self, n: u64, writes: u64) -> Worked {
        let tx = self.store.begin(0, 0);
        for place in 0..writes {
            let (entity, value) = (Entity::Node(node(n + place)), Value::Int(n as i64));
            self.step(tx, &MicroStep::SetProperty { entity, key: self.key, value })?;
        }
        self.step(tx, &MicroStep::Prepare)?;
        self.steps += 2;
        self.store.commit(tx, &mut self.ledger).map_err(failed)?;
        self.serve();
        while let Step::Wait(_) = self.store.apply(tx, &mut self.ledger) {
            self.serve();
        }
        self.store.completed(&mut Vec::new());
        while self.store.wants_background() {
            self.background();
        }
        Ok(())
    }
}

/// Only the image is read again; a page is made from its bytes as the driver of real files does.
fn answer(
    image: &BTreeMap<FileName, ImageFile>,
    request: &DiskRequest,
) -> Result<DiskReply, DiskError> {
    match request {
        DiskRequest::List => {
            let len = |file: &ImageFile| match file {
                ImageFile::Pages(pages) => (pages.len() * PAGE_SIZE) as u64,
                ImageFile::Bytes(bytes) => bytes.len() as u64,
            };
            Ok(DiskReply::Files(image.iter().map(|(name, file)| (*name, len(file))).collect()))
        }
        DiskRequest::ReadPage { file, page } => match image.get(file) {
            Some(ImageFile::Pages(pages)) => {
                let page = pages.get(*page as usize).ok_or(DiskError::NotFound)?;
                Ok(DiskReply::Page(Arc::new(Page::from_bytes(page.bytes()))))
            }
            _ => Err(DiskError::NotFound),
        },
        DiskRequest::ReadAt { file, offset, len } => match image.get(file) {
            Some(ImageFile::Bytes(bytes)) => {
                let from = (*offset as usize).min(bytes.len());
                let to = (from + *len as usize).min(bytes.len());
                Ok(DiskReply::Bytes(bytes[from..to].into()))
            }
            _ => Err(DiskError::NotFound),
        },
        _ => Ok(DiskReply::Done),
    }
}
