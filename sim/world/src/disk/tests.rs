//! What survives which kind of end.

extern crate std;

use super::*;
use wavetank_kernel::Streams;
use wavetank_store::{FileKind, conformance};
use wavetank_vocabulary::{Bytes, Ratio};

const FILE: FileName = FileName::live(FileKind::Nodes);
const LOG: FileName = FileName::log(0);

struct Rig(SimDisk, Stream, u64);

impl Rig {
    fn new() -> Self {
        let volume = VolumePlan {
            size: Bytes::gib(1),
            iops: 1000,
            throughput: Bytes::mib(100),
            access: Distribution::Constant(Span::from_micros(10)),
            sync: Distribution::Constant(Span::from_micros(20)),
        };
        let disk = SimDisk::new(&volume, &Image { files: Vec::new() });
        Rig(disk, Streams::new(1).stream("test", [0; 3]), 0)
    }

    fn ask(&mut self, request: DiskRequest) -> Result<DiskReply, DiskError> {
        self.2 += 1;
        let op = DiskOp(self.2);
        match self.0.submit(Time::ZERO, op, request, &mut self.1) {
            Submitted::Now(result) => result,
            Submitted::At(_) => self.0.complete(Time::ZERO, op).expect("nothing crashed"),
        }
    }

    fn write(&mut self, page: PageNumber, byte: u8) {
        let image = Arc::new(Page::from_bytes(&[byte; PAGE_SIZE]));
        self.ask(DiskRequest::WritePage { file: FILE, page, image }).unwrap();
    }

    fn read(&mut self, page: PageNumber) -> Option<u8> {
        match self.ask(DiskRequest::ReadPage { file: FILE, page }) {
            Ok(DiskReply::Page(image)) => Some(image.bytes()[0]),
            _ => None,
        }
    }
}

/// The suite that real files pass as well (`wavetank_store::conformance`).
#[test]
fn it_answers_like_every_disk() {
    for seed in 0..40 {
        let mut disk = Rig::new();
        let perform = &mut |request: &DiskRequest| disk.ask(request.clone());
        conformance::answers_are_those_of_plain_bytes(perform, seed, 600);
    }
    let mut disk = Rig::new();
    conformance::a_store_lives_on_it(&mut |request| disk.ask(request.clone()));
}

#[test]
fn what_was_written_is_read_and_a_hole_reads_as_zeros() {
    let mut disk = Rig::new();
    disk.write(3, 7);
    assert_eq!([disk.read(3), disk.read(1), disk.read(4)], [Some(7), Some(0), None]);
    disk.write(3, 8);
    disk.ask(DiskRequest::Sync { file: FILE }).unwrap();
    assert_eq!([disk.read(3), disk.read(1), disk.read(4)], [Some(8), Some(0), None]);
}

#[test]
fn a_killed_process_leaves_its_writes_and_power_loss_only_synced_ones_for_sure() {
    let mut lost = 0;
    for seed in 0..50 {
        let mut disk = Rig::new();
        disk.1 = Streams::new(seed).stream("test", [0; 3]);
        disk.write(0, 1);
        disk.ask(DiskRequest::Sync { file: FILE }).unwrap();
        disk.ask(DiskRequest::SyncDir).unwrap();
        disk.write(0, 2);
        disk.0.crash(Time::ZERO);
        assert_eq!(disk.read(0), Some(2));
        let mut stream = Streams::new(seed).stream("power", [0; 3]);
        disk.0.power_loss(Time::ZERO, &mut stream);
        let byte = disk.read(0);
        assert!(byte == Some(1) || byte == Some(2), "{byte:?}");
        lost += u32::from(byte == Some(1));
    }
    assert!((10..40).contains(&lost), "{lost} of 50");
}

#[test]
fn a_sync_covers_what_was_written_before_it_was_submitted() {
    let mut disk = Rig::new();
    let append = |byte: u8| DiskRequest::Append { file: LOG, bytes: [byte; 4].into() };
    disk.ask(append(1)).unwrap();
    disk.ask(DiskRequest::SyncDir).unwrap();
    let sync = DiskOp(99);
    let Rig(inner, stream, _) = &mut disk;
    inner.submit(Time::ZERO, sync, DiskRequest::Sync { file: LOG }, stream);
    disk.ask(append(2)).unwrap();
    disk.0.complete(Time::ZERO, sync).expect("nothing crashed").unwrap();
    let file = &disk.0.files[disk.0.slot(LOG).unwrap() as usize];
    assert_eq!((file.durable.len, file.len()), (4, 8));
    assert_eq!(file.bytes(2, 100), [1, 1, 2, 2, 2, 2]);
}

#[test]
fn names_are_certain_only_after_the_sync_of_the_directory() {
    let mut kept = 0;
    for seed in 0..50 {
        let mut disk = Rig::new();
        disk.write(0, 1);
        disk.ask(DiskRequest::Sync { file: FILE }).unwrap();
        disk.0.power_loss(Time::ZERO, &mut Streams::new(seed).stream("power", [0; 3]));
        kept += u32::from(disk.read(0).is_some());
    }
    assert!((10..40).contains(&kept), "{kept} of 50");
}

/// Reads that come by chance at a disk that serves each in the same time wait as Pollaczek and
/// Khinchine say (M/D/1): rho S / (2 (1 - rho)), beside the latency.
#[expect(clippy::print_stdout, reason = "the page about truth quotes what was found")]
#[test]
fn reads_queue_as_the_closed_form_says() {
    for (rho, waits) in [(0.5, 0.5), (0.8, 2.0)] {
        let mut rig = Rig::new();
        let mut arrivals = Streams::new(3).stream("arrivals", [0; 3]);
        let gap = Distribution::Exponential { mean: Span::from_secs_f64(0.001 / rho) };
        let mut under_way: alloc::collections::VecDeque<(Time, DiskOp)> = Default::default();
        let (mut now, mut total) = (Time::ZERO, 0.0);
        let reads = 400_000;
        for number in 0..reads {
            now += gap.sample(&mut arrivals);
            while let Some((at, op)) = under_way.front().copied().filter(|(at, _)| *at <= now) {
                under_way.pop_front();
                rig.0.complete(at, op).expect("nothing crashed").unwrap_err();
            }
            let request = DiskRequest::ReadAt { file: LOG, offset: 0, len: 512 };
            let Submitted::At(at) = rig.0.submit(now, DiskOp(number), request, &mut rig.1) else {
                panic!("a read takes time");
            };
            total += at.since(now).as_secs_f64() * 1e3;
            under_way.push_back((at, DiskOp(number)));
        }
        // One operation of a thousand a second, and ten microseconds of latency.
        let wait = total / reads as f64 - 1.0 - 0.01;
        let off = (wait / waits - 1.0) * 100.0;
        std::println!(
            "M/D/1 at {rho}, wait in ms: {wait:.4}, closed form {waits:.4} ({off:+.2} %)"
        );
        assert!(off.abs() < 2.0, "rho {rho}: {wait} is not {waits}");
        let totals = rig.0.totals(now, InstanceId(1));
        assert!(totals.little_holds(), "{totals:?}");
        assert_eq!(totals.arrivals, reads);
    }
}

#[test]
fn what_a_slow_disk_has_queued_up_is_served_when_it_is_healed() {
    let mut rig = Rig::new();
    rig.write(0, 1);
    let stream = || Streams::new(1).stream("test", [1; 3]);
    let second = |n: u64| Time::ZERO + Span::from_secs(n);
    rig.0.sicken(1, DiskIll::Slow(Ratio::new(1000, 1)), stream());
    // A second of service and 10 ms of latency each.
    let mut due = Vec::new();
    for op in 101..104 {
        let request = DiskRequest::ReadPage { file: FILE, page: 0 };
        match rig.0.submit(Time::ZERO, DiskOp(op), request, &mut rig.1) {
            Submitted::At(at) => due.push(at),
            Submitted::Now(_) => panic!("a read takes time"),
        }
    }
    assert!(due[0] > second(1) && due[2] > second(3), "{due:?}");
    let healed = second(2);
    let sooner = rig.0.cure(1, healed);
    // The first one is through already; the others need 1 ms each, and 10 us.
    let after = |us: u64| healed + Span::from_micros(us);
    assert_eq!(sooner, [(DiskOp(102), after(1_010)), (DiskOp(103), after(2_010))]);
    let request = DiskRequest::ReadPage { file: FILE, page: 0 };
    let next = rig.0.submit(healed, DiskOp(104), request, &mut rig.1);
    assert!(matches!(next, Submitted::At(at) if at == after(3_010)));
}
