//! Real files answer as the disk of the tests does, are locked, and may be only read.

use super::*;
use std::collections::VecDeque;
use std::io;
use std::vec;

use crate::testing::model::{History, create_tokens, random_transactions};
use crate::testing::{Dice, MemoryDisk, Rig};
use crate::*;

/// Everything that a store asks of a disk in a long, varied life.
fn recorded_life() -> Vec<(DiskRequest, Result<DiskReply, DiskError>)> {
    let config = StoreConfig {
        frames: 5,
        log_rotation_threshold: wavetank_vocabulary::Bytes::kib(8),
        checkpoint_interval_tx: 20,
        log_retention: crate::LogRetention::None,
        free_frames: 1,
        ..StoreConfig::default()
    };
    let mut disk = MemoryDisk::default();
    disk.record = Some(Vec::new());
    let mut rig = Rig::open(config, disk);
    rig.store.create();
    rig.run();
    let mut history = History::default();
    create_tokens(&mut rig, &mut history).unwrap();
    random_transactions(&mut rig, &mut history, 60, &mut Dice(11)).unwrap();
    let mut rig = rig.crash();
    random_transactions(&mut rig, &mut history, 30, &mut Dice(12)).unwrap();
    // A torn tail to cut, and a branch to set aside.
    let log = rig.disk.names().into_iter().rfind(|file| file.kind == FileKind::Log).unwrap();
    let torn = DiskRequest::Append { file: log, bytes: [7; 40].as_slice().into() };
    rig.disk.perform(&torn).unwrap();
    let mut rig = rig.crash();
    rig.store.set_aside(1);
    rig.run();
    rig.store.create();
    rig.run();
    rig.disk.record.take().unwrap()
}

#[test]
fn real_files_answer_like_the_disk_of_the_tests() {
    let life = recorded_life();
    assert!(life.iter().any(|(request, _)| matches!(request, DiskRequest::SetLen { .. })));
    assert!(life.iter().any(|(request, _)| matches!(request, DiskRequest::Unlink { .. })));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/store");
    let written = Directory::new(&path).unwrap();
    fs::create_dir(directory.path().join("empty")).unwrap();
    let kept = Directory::to_read(&directory.path().join("empty")).unwrap();
    for mut disk in [written, kept] {
        for (request, expected) in &life {
            let mut answer = disk.perform(request);
            if let Ok(DiskReply::Files(files)) = &mut answer {
                files.sort_unstable();
            }
            assert_eq!(answer, *expected, "{request:?}");
        }
    }
    assert_eq!(fs::read_dir(directory.path().join("empty")).unwrap().count(), 0);
}

/// The second half of a life on what the first has written, with nothing written.
#[test]
fn a_directory_that_is_only_read_stays_as_it_is() {
    let life = recorded_life();
    let directory = tempfile::tempdir().unwrap();
    for half in [life.len() / 3, life.len() / 2, life.len() * 9 / 10] {
        let path = directory.path().join(half.to_string());
        let mut disk = Directory::new(&path).unwrap();
        for (request, _) in &life[..half] {
            let _ = disk.perform(request);
        }
        drop(disk);
        let bytes = |name: FileName| fs::read(path.join(name.to_string())).unwrap();
        let files = list(&path).unwrap();
        let before: Vec<Vec<u8>> = files.iter().map(|(name, _)| bytes(*name)).collect();
        let mut disk = Directory::to_read(&path).unwrap();
        for (request, expected) in &life[half..] {
            let mut answer = disk.perform(request);
            if let Ok(DiskReply::Files(files)) = &mut answer {
                files.sort_unstable();
            }
            assert_eq!(answer, *expected, "{request:?}");
            if let (DiskRequest::ReadPage { file, page }, Ok(DiskReply::Page(image))) =
                (request, &answer)
            {
                assert_eq!(disk.page(*file, *page).as_ref(), Some(image));
            }
        }
        assert_eq!(list(&path).unwrap(), files);
        assert!(files.iter().zip(before).all(|((name, _), before)| bytes(*name) == before));
    }
}

#[test]
fn a_directory_is_open_for_one_that_writes_or_many_that_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let busy = |opened: io::Result<Directory>| {
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::ResourceBusy);
    };
    let writer = Directory::new(path).unwrap();
    busy(Directory::new(path));
    busy(Directory::to_read(path));
    drop(writer);
    let readers = [Directory::to_read(path).unwrap(), Directory::to_read(path).unwrap()];
    busy(Directory::new(path));
    drop(readers);
    Directory::new(path).unwrap();
}

/// A file that reads and writes a few bytes at a time, and is interrupted between them.
struct Stuttering {
    file: io::Cursor<Vec<u8>>,
    /// How many bytes the next calls take; none where one is interrupted.
    most: VecDeque<Option<usize>>,
}

impl Stuttering {
    fn next(&mut self) -> io::Result<usize> {
        let next = self.most.pop_front().expect("an endless line");
        self.most.push_back(next);
        next.ok_or_else(|| ErrorKind::Interrupted.into())
    }
}

impl Read for Stuttering {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = self.next()?.min(out.len());
        self.file.read(&mut out[..most])
    }
}

impl Write for Stuttering {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = self.next()?.min(bytes.len());
        self.file.write(&bytes[..most])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Stuttering {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        self.file.seek(place)
    }
}

#[test]
fn short_and_interrupted_reads_and_writes_go_on() {
    let most = [Some(1), None, Some(700), None, None, Some(3)].into();
    let mut file = Stuttering { file: io::Cursor::new(vec![]), most };
    let pages: Vec<Page> = (0..3).map(|n| Page::empty(FileKind::Nodes, n).sealed(9)).collect();
    for number in [2, 0, 1] {
        let place = SeekFrom::Start((number * PAGE_SIZE) as u64);
        write_at(&mut file, place, pages[number].bytes()).unwrap();
    }
    write_at(&mut file, SeekFrom::End(0), b"half a page").unwrap();
    for (number, page) in pages.iter().enumerate() {
        assert_eq!(read_page(&mut file, number as u32).unwrap().bytes(), page.bytes());
    }
    let behind = read_page(&mut file, 3).unwrap_err();
    assert_eq!(behind.kind(), ErrorKind::NotFound);
    assert_eq!(read_at(&mut file, 3 * PAGE_SIZE as u64 + 5, 100).unwrap(), b"a page");
    assert_eq!(read_at(&mut file, 0, 5_000).unwrap(), pages[0].bytes()[..5_000]);
    // A file that takes no more, and one that fails.
    file.most = [Some(0)].into();
    let full = write_at(&mut file, SeekFrom::Start(0), b"more").unwrap_err();
    assert_eq!(full.kind(), ErrorKind::WriteZero);
}

#[test]
fn a_used_up_quota_is_a_full_disk() {
    assert!(is_full(ErrorKind::StorageFull) && is_full(ErrorKind::QuotaExceeded));
    #[cfg(target_os = "linux")]
    for (number, full) in [(28, true), (122, true), (5, false), (30, false)] {
        // ENOSPC, EDQUOT, EIO, EROFS.
        assert_eq!(is_full(io::Error::from_raw_os_error(number).kind()), full, "{number}");
    }
}

/// The disk of the tests, real files, and real files that are only read.
#[test]
fn every_disk_passes_the_suite() {
    for seed in 0..8 {
        let mut memory = MemoryDisk::default();
        let directory = tempfile::tempdir().unwrap();
        let mut real = Directory::new(&directory.path().join("real")).unwrap();
        let mut kept = Directory::to_read(directory.path()).unwrap();
        let disks: [&mut conformance::Perform<'_>; 3] = [
            &mut |request| memory.perform(request),
            &mut |request| real.perform(request),
            &mut |request| kept.perform(request),
        ];
        for disk in disks {
            conformance::answers_are_those_of_plain_bytes(disk, seed, 600);
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let mut real = Directory::new(&directory.path().join("real")).unwrap();
    let mut kept = Directory::to_read(directory.path()).unwrap();
    let mut memory = MemoryDisk::default();
    conformance::a_store_lives_on_it(&mut |request| memory.perform(request));
    conformance::a_store_lives_on_it(&mut |request| real.perform(request));
    conformance::a_store_lives_on_it(&mut |request| kept.perform(request));
}

/// The suite itself finds a disk that does not cut its files.
#[test]
#[should_panic(expected = "of seed 1:")]
fn the_suite_finds_a_wrong_disk() {
    let mut memory = MemoryDisk::default();
    let disk = &mut |request: &DiskRequest| match request {
        DiskRequest::SetLen { file, .. } if memory.names().contains(file) => Ok(DiskReply::Done),
        request => memory.perform(request),
    };
    conformance::answers_are_those_of_plain_bytes(disk, 1, 600);
}

#[test]
fn what_is_missing_is_reported_as_missing() {
    let directory = tempfile::tempdir().unwrap();
    let mut disk = Directory::new(directory.path()).unwrap();
    let file = FileName::live(FileKind::Nodes);
    let missing = [
        DiskRequest::ReadPage { file, page: 0 },
        DiskRequest::Sync { file },
        DiskRequest::Unlink { file },
        DiskRequest::Rename { from: file, to: FileName { area: 1, ..file } },
    ];
    for request in missing {
        assert_eq!(disk.perform(&request), Err(DiskError::NotFound), "{request:?}");
    }
    let image = Arc::new(Page::empty(FileKind::Nodes, 0).sealed(1));
    disk.perform(&DiskRequest::WritePage { file, page: 0, image }).unwrap();
    let behind = DiskRequest::ReadPage { file, page: 1 };
    assert_eq!(disk.perform(&behind), Err(DiskError::NotFound));
    assert!(PageSource::page(&disk, file, 0).is_some() && disk.page(file, 1).is_none());
}
