//! An instance alone with its disk, for tests: inputs in, and all that follows from them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use wavetank_cluster::{Configuration, MemberSet, Message};
use wavetank_instance::{
    Compat, Effect, Input, Instance, InstanceConfig, Name, Now, Operand, OperationStep,
    PeerMessage, Program, Settings, Timer,
};
use wavetank_store::{
    CachePolicy, DiskError, DiskOp, DiskReply, DiskRequest, Entity, FileName, ImageBuilder,
    ImageFile, Ledger, MicroStep, Need, PAGE_SIZE, Page, PageNumber, PageSource, Step, Store,
    StoreConfig, TokenId, TokenKind, TxRecord, Value,
};
use wavetank_vocabulary::{
    Epoch, Fact, InstanceId, LogMark, NodeId, PlantedBugs, Role, Span, Time,
};

pub(crate) const ME: InstanceId = InstanceId(2);

/// What a joiner hears of a cluster of three that has formed.
pub(crate) fn formed(coordinator: InstanceId) -> Message {
    Message::ConfigurationResponse {
        address: 0,
        known: true,
        members: MemberSet::first(3),
        moved: MemberSet::EMPTY,
        coordinator: Some(coordinator),
        delivered: 0,
    }
}

/// A disk in memory.
#[derive(Clone, Debug)]
pub(crate) enum Disk {
    /// Answers, and forgets everything: its store is never whole.
    Forgetful,
    /// Keeps its files.
    Files(BTreeMap<FileName, Vec<u8>>),
}

impl Disk {
    /// With a store of nine nodes that have a property each.
    pub(crate) fn with_graph() -> Disk {
        let mut builder = ImageBuilder::new(1);
        let key = builder.token(TokenKind::PropertyKey, "n").expect("a name");
        for n in 0..9 {
            builder.add_node(&[], &[(key, Value::Int(n))]).expect("a node");
        }
        let bytes = |file: ImageFile| match file {
            ImageFile::Bytes(bytes) => bytes.to_vec(),
            ImageFile::Pages(pages) => pages.iter().flat_map(|page| *page.bytes()).collect(),
        };
        let files = builder.finish().files;
        Disk::Files(files.into_iter().map(|(name, file)| (name, bytes(file))).collect())
    }

    fn perform(&mut self, request: DiskRequest) -> Result<DiskReply, DiskError> {
        let Disk::Files(files) = self else {
            return match request {
                DiskRequest::List => Ok(DiskReply::Files(Vec::new())),
                DiskRequest::ReadPage { .. } | DiskRequest::ReadAt { .. } => {
                    Err(DiskError::NotFound)
                }
                _ => Ok(DiskReply::Done),
            };
        };
        match request {
            DiskRequest::ReadPage { file, page } => {
                let at = page as usize * PAGE_SIZE;
                let bytes = files.get(&file).and_then(|bytes| bytes.get(at..at + PAGE_SIZE));
                let bytes = bytes.ok_or(DiskError::NotFound)?.try_into().expect("a page");
                return Ok(DiskReply::Page(Arc::new(Page::from_bytes(bytes))));
            }
            DiskRequest::ReadAt { file, offset, len } => {
                let bytes = files.get(&file).ok_or(DiskError::NotFound)?;
                let from = bytes.len().min(offset as usize);
                let to = bytes.len().min(from + len as usize);
                return Ok(DiskReply::Bytes(bytes[from..to].into()));
            }
            DiskRequest::List => {
                let all = files.iter().map(|(name, bytes)| (*name, bytes.len() as u64));
                return Ok(DiskReply::Files(all.collect()));
            }
            DiskRequest::WritePage { file, page, image } => {
                let (bytes, at) = (files.entry(file).or_default(), page as usize * PAGE_SIZE);
                bytes.resize(bytes.len().max(at + PAGE_SIZE), 0);
                bytes[at..at + PAGE_SIZE].copy_from_slice(image.bytes());
            }
            DiskRequest::Append { file, bytes } => files.entry(file).or_default().extend(&*bytes),
            DiskRequest::SetLen { file, len } => {
                files.entry(file).or_default().resize(len as usize, 0);
            }
            DiskRequest::Rename { from, to } => {
                let bytes = files.remove(&from).ok_or(DiskError::NotFound)?;
                files.insert(to, bytes);
            }
            DiskRequest::Unlink { file } => {
                files.remove(&file).ok_or(DiskError::NotFound)?;
            }
            DiskRequest::Sync { .. } | DiskRequest::SyncDir => {}
        }
        Ok(DiskReply::Done)
    }
}

impl PageSource for Disk {
    fn page(&self, file: FileName, page: PageNumber) -> Option<Arc<Page>> {
        let Disk::Files(files) = self else { return None };
        let at = page as usize * PAGE_SIZE;
        let bytes = files.get(&file)?.get(at..at + PAGE_SIZE)?;
        Some(Arc::new(Page::from_bytes(bytes.try_into().expect("a page"))))
    }
}

/// Programs that read, lock, write in two transactions, and create.
fn programs() -> Vec<Program> {
    use OperationStep as Do;
    let me = || Do::Node { into: 0, label: None, id: Operand::Me.into() };
    let of = |steps: Vec<Do>| Program { steps, ..Program::default() };
    vec![
        of(vec![me(), Do::Read(0)]),
        of(vec![me(), Do::Lock([Some(0), None, None, None])]),
        of(vec![me(), Do::DetachDelete(0), Do::Commit, Do::Statement, Do::Delete(7)]),
        Program {
            names: vec![(TokenKind::PropertyKey, "n".into())],
            ..of(vec![
                Do::Create { into: 0, labels: Vec::new() },
                Do::Set { of: 0, key: Name(0), value: Operand::Operation.into() },
            ])
        },
    ]
}

/// Instance 2 of three.
#[derive(Clone, Debug)]
pub(crate) struct Rig {
    pub(crate) instance: Instance,
    disk: Disk,
    pub(crate) now: Now,
    /// When set, what is written is not made durable until [`Rig::release`].
    pub(crate) hold: bool,
    held: Vec<(DiskOp, DiskRequest)>,
    /// What was sent since this was last taken.
    pub(crate) sent: Vec<(InstanceId, PeerMessage)>,
    /// The last epoch that began here.
    pub(crate) epoch: Epoch,
    /// The process is to end.
    pub(crate) ended: bool,
    /// The timers that are armed.
    pub(crate) armed: BTreeSet<Timer>,
}

impl Rig {
    /// Started, and no more than that.
    pub(crate) fn started(disk: Disk) -> Rig {
        let configuration = Configuration::new(ME, &[1, 2, 3].map(InstanceId)).expect("three");
        let mut settings = Settings::defaults(Compat::V2_3_6);
        if matches!(disk, Disk::Files(_)) {
            settings.cluster.initial_hosts = vec![ME];
            // Beside the author of a slave's transaction one more slave has to get it.
            settings.tx_push_factor = 2;
        }
        let instance = Instance::new(InstanceConfig {
            configuration,
            settings: Arc::new(settings),
            slave_only: false,
            arbiter: false,
            address: 0,
            frames: 64,
            cache_policy: CachePolicy::ClockSweep,
            programs: programs().into(),
            bugs: PlantedBugs::NONE,
            watch_locks: true,
        });
        let now = Now { mono: Time::ZERO, wall_ms: 1_000 };
        let (held, sent) = (Vec::new(), Vec::new());
        let (hold, epoch, ended, armed) = (false, Epoch(0), false, BTreeSet::new());
        let mut rig = Rig { instance, disk, now, hold, held, sent, epoch, ended, armed };
        rig.step(Input::Start);
        rig
    }

    /// Another process over the same files.
    pub(crate) fn restarted(&self) -> Rig {
        Rig::started(self.disk.clone())
    }

    /// The master of a cluster that nobody has joined yet.
    pub(crate) fn master() -> Rig {
        static MASTER: OnceLock<Rig> = OnceLock::new();
        MASTER.get_or_init(|| Rig::started(Disk::with_graph()).elected()).clone()
    }

    /// It finds no cluster, and becomes the master of its own.
    pub(crate) fn elected(mut self) -> Rig {
        for _ in 0..3 {
            self.wait(Span::from_secs(1));
            self.step(Input::Timer(Timer::Cluster(wavetank_cluster::Timer::Configuration)));
        }
        assert_eq!(self.instance.role(), Role::Master);
        self.sent.clear();
        self
    }

    /// A hash of all that is applied.
    pub(crate) fn contents(&self) -> u128 {
        self.instance.store().contents_digest(&self.disk).expect("its pages are whole")
    }

    /// What was held back is lost with the process; another starts over what is durable.
    pub(crate) fn crash(&mut self) {
        *self = Rig { now: self.now, ..self.restarted() };
    }

    pub(crate) fn wait(&mut self, span: Span) {
        self.now.mono += span;
        self.now.wall_ms += span.as_nanos() / 1_000_000;
    }

    /// Gives the instance an input and serves its disk and its tasks until it is quiet.
    pub(crate) fn step(&mut self, input: Input) {
        self.serve(vec![input]);
    }

    /// What was held back is durable now.
    pub(crate) fn release(&mut self) {
        self.hold = false;
        let held = core::mem::take(&mut self.held);
        let inputs = held.into_iter().map(|(op, request)| self.answer(op, request)).collect();
        self.serve(inputs);
    }

    fn answer(&mut self, op: DiskOp, request: DiskRequest) -> Input {
        Input::Disk { op, result: self.disk.perform(request) }
    }

    fn serve(&mut self, mut inputs: Vec<Input>) {
        let mut turns = 0;
        while let Some(input) = inputs.pop() {
            turns += 1;
            assert!(turns < 10_000, "the instance never comes to rest");
            let mut effects = Vec::new();
            if let Input::Timer(timer) = input {
                self.armed.remove(&timer);
            }
            self.instance.step(self.now, input, &mut effects);
            for effect in effects {
                match effect {
                    Effect::Disk { op, request } if self.hold => self.held.push((op, request)),
                    Effect::Disk { op, request } => {
                        let answer = self.answer(op, request);
                        inputs.insert(0, answer);
                    }
                    Effect::Ready(task) => inputs.insert(0, Input::Run(task)),
                    Effect::Spend { task, .. } => inputs.insert(0, Input::Ran(task)),
                    Effect::Send { to, message } => self.sent.push((to, message)),
                    Effect::Fact(Fact::EpochBegan { epoch, .. }) => self.epoch = epoch,
                    Effect::Exit => self.ended = true,
                    Effect::Arm { timer, .. } => {
                        self.armed.insert(timer);
                    }
                    Effect::Cancel(timer) => {
                        self.armed.remove(&timer);
                    }
                    _ => {}
                }
            }
        }
    }
}

/// What a slave prepared: one node's property is removed.
pub(crate) fn prepared() -> Arc<TxRecord> {
    static RECORD: OnceLock<Arc<TxRecord>> = OnceLock::new();
    RECORD.get_or_init(prepare).clone()
}

fn prepare() -> Arc<TxRecord> {
    let (mut store, mut disk) = (Store::open(StoreConfig::default()), Disk::with_graph());
    let mut ledger = Ledger::default();
    let mut run = |store: &mut Store| {
        let mut submitted = Vec::new();
        while store.stirs() {
            store.submissions(&mut submitted);
            for (op, request) in submitted.drain(..) {
                store.complete(op, disk.perform(request));
            }
            store.completed(&mut Vec::new());
        }
    };
    run(&mut store);
    assert_eq!(store.mark(), LogMark::BASE);
    let tx = store.begin_guarded(7, 0);
    let change = MicroStep::RemoveProperty { entity: Entity::Node(NodeId(3)), key: TokenId(0) };
    for step in [change, MicroStep::Prepare] {
        loop {
            match store.step(tx, &step, &mut ledger) {
                Step::Done(_) => break,
                Step::Failed(error) => panic!("{error}"),
                Step::Wait(_) => match store.need(tx) {
                    Some(Need::Lock(_)) => store.lock_granted(tx),
                    Some(Need::Ids(kind)) => panic!("ids of {kind:?}: nothing is made"),
                    None => run(&mut store),
                },
            }
        }
    }
    store.prepared(tx, &mut ledger).expect("it is prepared").expect("it wrote")
}
