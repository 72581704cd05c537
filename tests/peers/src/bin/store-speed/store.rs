//! The store of this project: everything in its page cache, a disk that answers at once.

use std::collections::BTreeMap;

use wavetank_store::{
    DiskError, DiskOp, DiskReply, DiskRequest, Entity, FileName, ImageBuilder, ImageFile, Ledger,
    MicroStep, PAGE_SIZE, Step, Store, StoreConfig, StoreState, TokenId, TokenKind, TxHandle,
    Value,
};
use wavetank_vocabulary::NodeId;

use crate::Keeper;

/// A store over an image in memory.
pub(crate) struct Kept {
    store: Store,
    image: BTreeMap<FileName, ImageFile>,
    submissions: Vec<(DiskOp, DiskRequest)>,
    reader: TxHandle,
    number: TokenId,
    follows: TokenId,
}

impl Kept {
    pub(crate) fn new(nodes: u64) -> Self {
        let mut builder = ImageBuilder::new(1);
        let number = builder.token(TokenKind::PropertyKey, "number").expect("one token fits");
        let follows = builder.token(TokenKind::RelationshipType, "FOLLOWS").expect("two do");
        for _ in 0..nodes {
            builder.add_node(&[], &[(number, Value::Int(-1))]).expect("a number is a property");
        }
        for n in 0..nodes {
            let (from, to) = (NodeId(n), NodeId(n.wrapping_mul(7919) % nodes));
            builder.add_relationship(from, to, follows, &[]).expect("both exist");
        }
        let image = builder.finish().files.into_iter().collect();
        let mut store = Store::open(StoreConfig { frames: 100_000, ..StoreConfig::default() });
        let mut submissions = Vec::new();
        serve(&mut store, &image, &mut submissions);
        assert!(matches!(store.state(), StoreState::Ready), "{:?}", store.state());
        let reader = store.begin(0, 0);
        let mut kept = Kept { store, image, submissions, reader, number, follows };
        for node in 0..nodes {
            kept.read(node);
        }
        kept
    }

    fn step(&mut self, tx: TxHandle, step: &MicroStep) -> Value {
        loop {
            match self.store.step(tx, step, &mut Ledger::default()) {
                Step::Done(value) => return value,
                Step::Wait(_) => self.serve(),
                Step::Failed(error) => panic!("{error}"),
            }
        }
    }

    fn serve(&mut self) {
        serve(&mut self.store, &self.image, &mut self.submissions);
    }
}

/// Answers the disk's part until the store is quiet.
fn serve(
    store: &mut Store,
    image: &BTreeMap<FileName, ImageFile>,
    submissions: &mut Vec<(DiskOp, DiskRequest)>,
) {
    loop {
        store.submissions(submissions);
        if submissions.is_empty() {
            return;
        }
        for (op, request) in submissions.drain(..) {
            let answer = answer(image, &request);
            store.complete(op, answer);
        }
    }
}

/// Only the image is read again: whatever is written stays in the page cache.
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
                let page = pages.get(*page as usize).cloned();
                page.map(DiskReply::Page).ok_or(DiskError::NotFound)
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

impl Keeper for Kept {
    fn name(&self) -> String {
        "wavetank-store".to_owned()
    }

    fn transaction(&mut self, from: u64, to: u64, number: i64) {
        let (from, to) = (NodeId(from), NodeId(to));
        let tx = self.store.begin(0, 0);
        self.step(tx, &MicroStep::CreateRelationship { from, to, kind: self.follows });
        for node in [from, to] {
            let (entity, key, value) = (Entity::Node(node), self.number, Value::Int(number));
            self.step(tx, &MicroStep::SetProperty { entity, key, value });
        }
        self.step(tx, &MicroStep::Prepare);
        self.store.commit(tx, &mut Ledger::default()).expect("it was prepared");
        self.serve();
        while let Step::Wait(_) = self.store.apply(tx, &mut Ledger::default()) {
            self.serve();
        }
        self.store.completed(&mut Vec::new());
    }

    fn read(&mut self, node: u64) -> i64 {
        let entity = Entity::Node(NodeId(node));
        match self.step(self.reader, &MicroStep::ReadProperty { entity, key: self.number }) {
            Value::Int(number) => number,
            other => panic!("no number: {other:?}"),
        }
    }
}
