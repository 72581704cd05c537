//! What the disk does below the folder: appends, syncs, reads of pages, and transactions of the
//! store on real files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use wavetank_store::{Graph, PAGE_SIZE};
use wavetank_vocabulary::Span;

use super::{CalibrateError, Clock, Times};

/// No file grows beyond this.
const LONGEST: usize = 64 << 20;
/// What is written in one go.
const PIECE: usize = 1 << 20;
/// A log's append: about what a small transaction logs.
const KIB: usize = 1 << 10;
/// Threads that sync at once.
const AT_ONCE: usize = 4;
/// Nobody waits longer for another thread.
const PATIENCE: Duration = Duration::from_secs(10);
/// What O_DIRECT wants its buffers, offsets and lengths to be multiples of, on any disk of today.
const ALIGNED: usize = 4096;

fn create(path: &Path) -> Result<File, CalibrateError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .map_err(CalibrateError::io(path.display().to_string()))
}

/// The time of a KiB appended in larger pieces, and the bytes per second of such writes with
/// their sync. Leaves the file for [`reads`].
pub(super) fn appends(folder: &Path, clock: &Clock<'_>) -> Result<(Span, u64), CalibrateError> {
    let mut file = create(&folder.join("pages"))?;
    let piece: Vec<u8> = (0..PIECE).map(|n| (n % 251) as u8).collect();
    let (mut written, mut appending) = (0, 0);
    let since = Instant::now();
    while written < LONGEST && (written == 0 || clock.runs()) {
        let started = Instant::now();
        file.write_all(&piece).map_err(CalibrateError::io("a write"))?;
        appending += started.elapsed().as_nanos() as u64;
        written += PIECE;
    }
    file.sync_all().map_err(CalibrateError::io("a sync"))?;
    let seconds = since.elapsed().as_secs_f64();
    let kib = Span::from_nanos(appending / (written / KIB) as u64);
    Ok((kib, (written as f64 / seconds) as u64))
}

/// Appends a KiB, and gives the time of its sync; the file begins anew before it is too long.
fn synced(file: &mut File, written: &mut usize, piece: &[u8]) -> Result<u64, CalibrateError> {
    if *written + piece.len() > LONGEST {
        *written = 0;
        file.set_len(0).map_err(CalibrateError::io("a file's length"))?;
        file.seek(SeekFrom::Start(0)).map_err(CalibrateError::io("a file's place"))?;
    }
    file.write_all(piece).map_err(CalibrateError::io("a write"))?;
    *written += piece.len();
    let started = Instant::now();
    file.sync_all().map_err(CalibrateError::io("a sync"))?;
    Ok(started.elapsed().as_nanos() as u64)
}

/// Times between two syncs: irregular, 1 to 4 ms. A processor that sleeps takes its time to wake,
/// and a cluster at moderate load lets it sleep.
fn rest(n: usize) {
    thread::sleep(Duration::from_micros(1_000 + (n as u64).wrapping_mul(7_919) % 3_000));
}

/// A KiB appended to a file now and then, and synced by another thread, as a node does it: how many
/// nanoseconds each sync took.
pub(super) fn syncs(folder: &Path, clock: &Clock<'_>) -> Result<Vec<u64>, CalibrateError> {
    let path = folder.join("log");
    let failed = |error: io::Error| CalibrateError::io(path.display().to_string())(error);
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .map_err(CalibrateError::io(path.display().to_string()))?;
    let (hand, handed) = channel::<File>();
    let (tell, told) = channel();
    let sync = move || {
        while let Ok(file) = handed.recv() {
            if tell.send(file.sync_all()).is_err() {
                break;
            }
        }
    };
    thread::Builder::new().name("syncs".into()).spawn(sync).map_err(failed)?;
    let mut nanos = Vec::new();
    while nanos.is_empty() || clock.runs() {
        rest(nanos.len());
        if (nanos.len() * KIB).is_multiple_of(LONGEST) {
            file.set_len(0).map_err(failed)?;
        }
        file.write_all(&[7; KIB]).map_err(failed)?;
        let handle = file.try_clone().map_err(failed)?;
        let started = Instant::now();
        // A thread that is gone gives no answer, either.
        let _ = hand.send(handle);
        let gone = |_| failed(io::ErrorKind::TimedOut.into());
        told.recv_timeout(PATIENCE).map_err(gone)?.map_err(failed)?;
        nanos.push(started.elapsed().as_nanos() as u64);
    }
    Ok(nanos)
}

/// Syncs per second by several threads, each with a file of its own.
pub(super) fn syncs_at_once(folder: &Path, clock: &Clock<'_>) -> Result<u64, CalibrateError> {
    let until = clock.until;
    let done = AtomicU64::new(0);
    let since = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE)
            .map(|number| {
                let (done, path) = (&done, folder.join(format!("log-{number}")));
                scope.spawn(move || -> Result<(), CalibrateError> {
                    let (mut file, mut written) = (create(&path)?, 0);
                    loop {
                        synced(&mut file, &mut written, &[7; KIB])?;
                        done.fetch_add(1, Ordering::Relaxed);
                        if Instant::now() >= until {
                            return Ok(());
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    Ok((done.load(Ordering::Relaxed) as f64 / since.elapsed().as_secs_f64()) as u64)
}

/// Reads of single pages, here and there in the file that [`appends`] left: past the system's
/// cache if `direct`, and none where the file system does not offer that.
pub(super) fn reads(
    folder: &Path,
    direct: bool,
    clock: &Clock<'_>,
) -> Result<Option<Times>, CalibrateError> {
    let path = folder.join("pages");
    let mut options = OpenOptions::new();
    options.read(true);
    if direct && !past_the_cache(&mut options) {
        return Ok(None);
    }
    // A file system without it refuses to open, or to read.
    let mut file = match options.open(&path) {
        Ok(file) => file,
        Err(_) if direct => return Ok(None),
        Err(error) => return Err(CalibrateError::io(path.display().to_string())(error)),
    };
    let length = file.metadata().map_err(CalibrateError::io("a file's length"))?.len();
    let pages = length / PAGE_SIZE as u64;
    let mut room = vec![0; PAGE_SIZE + ALIGNED];
    let offset = room.as_ptr().align_offset(ALIGNED).min(ALIGNED);
    let mut read = |n: u64| -> io::Result<u64> {
        // Multiples of an odd number visit all pages of a power of two.
        let page = n.wrapping_mul(40_503) % pages;
        let started = Instant::now();
        file.seek(SeekFrom::Start(page * PAGE_SIZE as u64))?;
        file.read_exact(&mut room[offset..offset + PAGE_SIZE])?;
        Ok(started.elapsed().as_nanos() as u64)
    };
    let mut nanos = Vec::new();
    while nanos.is_empty() || clock.runs() {
        match read(nanos.len() as u64) {
            Ok(time) => nanos.push(time),
            Err(_) if direct && nanos.is_empty() => return Ok(None),
            Err(error) => return Err(CalibrateError::io("a read")(error)),
        }
    }
    Times::of(nanos, "reads").map(Some)
}

#[cfg(target_os = "linux")]
fn past_the_cache(options: &mut OpenOptions) -> bool {
    use std::os::unix::fs::OpenOptionsExt;
    options.custom_flags(libc::O_DIRECT);
    true
}

#[cfg(not(target_os = "linux"))]
fn past_the_cache(_: &mut OpenOptions) -> bool {
    false
}

/// Nodes that the transactions write to.
const NODES: usize = 1_000;

/// Transactions of the store on real files, one property each.
pub(super) fn commits(folder: &Path, clock: &Clock<'_>) -> Result<Times, CalibrateError> {
    let place = folder.join("graph");
    let mut graph = Graph::open(&place)?;
    let nodes = graph
        .write(|tx| (0..NODES).map(|_| tx.create_node(&["User"])).collect::<Result<Vec<_>, _>>())?;
    let mut nanos = Vec::new();
    while nanos.is_empty() || clock.runs() {
        let node = nodes[nanos.len() % NODES];
        let value = nanos.len() as i64;
        let started = Instant::now();
        graph.write(|tx| tx.set(node, "status", value))?;
        nanos.push(started.elapsed().as_nanos() as u64);
    }
    drop(graph);
    fs::remove_dir_all(&place).map_err(CalibrateError::io("the folder of a graph"))?;
    Times::of(nanos, "transactions")
}
