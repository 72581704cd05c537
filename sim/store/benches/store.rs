//! What the simulator pays for the store: a graph transaction, a point read, the image of a
//! social network. Everything is in the page cache; the disk is memory and answers at once.
//! A plain program: `cargo bench -p wavetank-store`. With `-- count` it does each of the first
//! two a few thousand times only, for an instruction counter.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use wavetank_store::{
    DiskError, DiskOp, DiskReply, DiskRequest, Entity, FileName, Image, ImageBuilder, ImageFile,
    Ledger, MicroStep, PAGE_SIZE, Step, Store, StoreConfig, StoreState, TokenId, TokenKind,
    TxHandle, Value,
};
use wavetank_vocabulary::{NodeId, RelationshipId, TxId};

const NODES: u64 = 100_000;

struct Rig {
    store: Store,
    image: BTreeMap<FileName, ImageFile>,
    submissions: Vec<(DiskOp, DiskRequest)>,
}

impl Rig {
    fn open(image: Image, frames: usize) -> Self {
        let store = Store::open(StoreConfig { frames, ..StoreConfig::default() });
        let image = image.files.into_iter().collect();
        let mut rig = Rig { store, image, submissions: Vec::new() };
        rig.serve();
        assert!(matches!(rig.store.state(), StoreState::Ready), "{:?}", rig.store.state());
        rig
    }

    /// A store of its own on an empty disk.
    fn create() -> Self {
        let mut rig = Rig {
            store: Store::open(StoreConfig::default()),
            image: BTreeMap::new(),
            submissions: Vec::new(),
        };
        rig.serve();
        rig.store.create();
        rig.serve();
        assert!(matches!(rig.store.state(), StoreState::Ready), "{:?}", rig.store.state());
        rig
    }

    /// Answers the disk's part until the store is quiet.
    fn serve(&mut self) {
        loop {
            let mut submissions = std::mem::take(&mut self.submissions);
            self.store.submissions(&mut submissions);
            if submissions.is_empty() {
                self.submissions = submissions;
                return;
            }
            for (op, request) in submissions.drain(..) {
                let result = self.answer(&request);
                self.store.complete(op, result);
            }
            self.submissions = submissions;
        }
    }

    /// Only the image is read again: whatever is written stays in the page cache.
    fn answer(&self, request: &DiskRequest) -> Result<DiskReply, DiskError> {
        match request {
            DiskRequest::List => {
                let len = |file: &ImageFile| match file {
                    ImageFile::Pages(pages) => (pages.len() * PAGE_SIZE) as u64,
                    ImageFile::Bytes(bytes) => bytes.len() as u64,
                };
                Ok(DiskReply::Files(self.image.iter().map(|(n, f)| (*n, len(f))).collect()))
            }
            DiskRequest::ReadPage { file, page } => match self.image.get(file) {
                Some(ImageFile::Pages(pages)) => pages
                    .get(*page as usize)
                    .cloned()
                    .map(DiskReply::Page)
                    .ok_or(DiskError::NotFound),
                _ => Err(DiskError::NotFound),
            },
            DiskRequest::ReadAt { file, offset, len } => match self.image.get(file) {
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

    /// Runs a step to its end, waiting for pages.
    fn step(&mut self, tx: TxHandle, step: &MicroStep) -> Value {
        loop {
            match self.store.step(tx, step, &mut Ledger::default()) {
                Step::Done(value) => return value,
                Step::Wait(_) => self.serve(),
                Step::Failed(error) => panic!("{error}"),
            }
        }
    }
}

struct Tokens {
    key: TokenId,
    follows: TokenId,
}

fn graph(nodes: u64, relationships: u64) -> (Image, Tokens) {
    let mut builder = ImageBuilder::new(1);
    let key = builder.token(TokenKind::PropertyKey, "count").expect("one token fits");
    let follows = builder.token(TokenKind::RelationshipType, "FOLLOWS").expect("two do");
    for n in 0..nodes {
        builder.add_node(&[], &[(key, Value::Int(n as i64))]).expect("a number is a property");
    }
    for n in 0..relationships {
        let (from, to) = (n % nodes, n.wrapping_mul(7919) % nodes);
        builder.add_relationship(NodeId(from), NodeId(to), follows, &[]).expect("both exist");
    }
    (builder.finish(), Tokens { key, follows })
}

/// Create a relationship, two node updates and one property: committed, applied.
#[inline(never)]
fn transaction(rig: &mut Rig, tokens: &Tokens, n: u64) -> TxId {
    let (from, to) = (NodeId(n % NODES), NodeId(n.wrapping_mul(7919) % NODES));
    let tx = rig.store.begin(0, 0);
    rig.step(tx, &MicroStep::CreateRelationship { from, to, kind: tokens.follows });
    for node in [from, to] {
        let (entity, value) = (Entity::Node(node), Value::Int(n as i64));
        rig.step(tx, &MicroStep::SetProperty { entity, key: tokens.key, value });
    }
    rig.step(tx, &MicroStep::Prepare);
    let committing = rig.store.commit(tx, &mut Ledger::default()).expect("it was prepared");
    rig.serve();
    while let Step::Wait(_) = rig.store.apply(tx, &mut Ledger::default()) {
        rig.serve();
    }
    let mut tickets = Vec::new();
    rig.store.completed(&mut tickets);
    committing.mark.tx
}

#[inline(never)]
fn point_read(rig: &mut Rig, tx: TxHandle, node: u64) -> Value {
    rig.step(tx, &MicroStep::ReadNode { node: NodeId(node) })
}

fn property_read(rig: &mut Rig, tx: TxHandle, node: u64, key: TokenId) -> Value {
    rig.step(tx, &MicroStep::ReadProperty { entity: Entity::Node(NodeId(node)), key })
}

fn pages_of(file: &ImageFile) -> usize {
    match file {
        ImageFile::Pages(pages) => pages.len(),
        ImageFile::Bytes(_) => 0,
    }
}

/// Runs a piece of work in five rounds and prints the median time of one.
#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn measure(name: &str, times: u64, mut work: impl FnMut()) {
    let mut rounds: Vec<f64> = (0..5)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..times {
                work();
            }
            started.elapsed().as_nanos() as f64 / times as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("{name:<48} {:>12.0} ns ({:.0} to {:.0})", rounds[2], rounds[0], rounds[4]);
}

/// Clones the store again and again; the clones live on until the end.
#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn clones(store: &mut Store) {
    // Whoever drives a store takes the tickets that are done; else each clone takes them along.
    store.completed(&mut Vec::new());
    let mut kept = Vec::with_capacity(500);
    let before = resident();
    measure("clone of a store of 1,100,000 records", 100, || kept.push(store.clone()));
    if let Some((before, after)) = before.zip(resident()) {
        let each = after.saturating_sub(before) as f64 / kept.len() as f64;
        println!("{:<48} {each:>12.1} KiB", "memory of such a clone");
    }
    black_box(kept);
}

/// The kilobytes that this process occupies; none where the system does not say.
fn resident() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    pages.split(' ').nth(1)?.parse::<u64>().ok().map(|pages| pages * 4)
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn memory() {
    let Some(before) = resident() else { return };
    let stores: Vec<Rig> = (0..300).map(|_| Rig::create()).collect();
    let per_store = (resident().unwrap_or(before) - before) as f64 / stores.len() as f64;
    println!("{:<48} {per_store:>12.1} KiB", "an empty store, open, of 300");
}

fn main() {
    let count = std::env::args().any(|arg| arg == "count");
    if !count {
        memory();
    }
    let (image, tokens) = graph(NODES, NODES);
    let pages: usize = image.files.iter().map(|(_, file)| pages_of(file)).sum();
    let mut rig = Rig::open(image, 100_000);
    let mut n = 0;
    // Once around, so that every page is resident.
    for _ in 0..if count { 20_000 } else { NODES } {
        n += 1;
        transaction(&mut rig, &tokens, n);
    }
    if count {
        let tx = rig.store.begin(0, 0);
        for node in 0..20_000 {
            black_box(point_read(&mut rig, tx, node));
        }
        return;
    }
    measure("graph transaction, hot", 100_000, || {
        n += 1;
        black_box(transaction(&mut rig, &tokens, n));
    });
    let tx = rig.store.begin(0, 0);
    let mut node = 0;
    measure("point read, hot", 5_000_000, || {
        node = (node + 7919) % NODES;
        black_box(point_read(&mut rig, tx, node));
    });
    let mut small = Rig::open(graph(NODES, NODES).0, pages / 10);
    let tx = small.store.begin(0, 0);
    measure("point read, cache of a tenth of the store", 100_000, || {
        node = (node + 7919) % NODES;
        black_box(property_read(&mut small, tx, node, tokens.key));
        small.store.background(4, &mut Ledger::default());
    });
    let mut large = Rig::open(graph(300_000, 500_000).0, 100_000);
    let tx = large.store.begin(0, 0);
    for node in (0..300_000).step_by(50) {
        black_box(property_read(&mut large, tx, node, tokens.key));
    }
    for relationship in (0..500_000).step_by(100).map(RelationshipId) {
        black_box(large.step(tx, &MicroStep::ReadRelationship { relationship }));
    }
    clones(&mut large.store);
    measure("image of 4,000 nodes and 88,000 relationships", 5, || {
        black_box(graph(4_000, 88_000));
    });
}
