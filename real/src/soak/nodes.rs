//! The processes of a soak: started, told what to do, listened to, and ended, whatever
//! happens.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use wavetank_store::PAGE_SIZE;
use wavetank_vocabulary::{InstanceId, Time};
use wavetank_world::{DiskState, Surroundings};

use super::{Event, NodeSize};
use crate::clock::Clock;
use crate::config::NodeFile;
use crate::node::{STORE_STOPPED, wipe};
use crate::system::{Process, Signal};
use crate::wire::control::{Down, Up};
use crate::wire::{VERSION, frame, read_frame};

/// How many lines of a node's log tell why it has ended.
const LAST_LINES: usize = 6;

/// How a process has ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// Whether it had called before.
    pub(super) started: bool,
    /// None when it ended in order.
    pub(super) why: Option<String>,
    /// Whether that is what the soak did to it: told to stop, it ended in order, or its store
    /// stopped itself while its disk failed.
    pub(super) expected: bool,
    /// How: its exit code, or the signal that ended it.
    pub(super) how: String,
    /// The last lines of its log.
    pub(super) words: String,
}

/// A node and its process.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: InstanceId,
    pub(super) web_server: SocketAddr,
    file: NodeFile,
    config: PathBuf,
    log: PathBuf,
    /// What it is to be signalled by is none if it was over when it was looked for.
    child: Option<(Child, Option<Process>)>,
    /// When its process was started, or last let go on.
    since: Instant,
    /// Its process was made to stand still.
    still: bool,
    orders: Option<Sender<Down>>,
    /// Pages in the cache of its process, as it said last.
    pub(super) resident: u64,
    /// The numbers of all processes that it has had.
    had: BTreeSet<u32>,
    /// Its process was told to stop.
    stopping: bool,
    /// The disk of its process has failed operations, or could have.
    failing: bool,
    /// The surroundings that its process believes in.
    believes: Surroundings,
    /// Those of a node to which nothing is done.
    healthy: Surroundings,
}

impl Node {
    /// A node whose files are in `folder`; nothing runs yet.
    pub(super) fn new(folder: &Path, file: NodeFile, healthy: Surroundings) -> io::Result<Node> {
        let name = format!("node-{}", file.server_id.0);
        let config = folder.join(format!("{name}.toml"));
        fs::write(&config, file.to_text())?;
        Ok(Node {
            id: file.server_id,
            web_server: file.web_server,
            log: folder.join(format!("{name}.log")),
            config,
            file,
            child: None,
            since: Instant::now(),
            still: false,
            orders: None,
            resident: 0,
            had: BTreeSet::new(),
            stopping: false,
            failing: false,
            believes: healthy,
            healthy,
        })
    }

    pub(super) fn start(&mut self, program: &Path) -> io::Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(program);
        command.arg0("wavetank").arg("node").arg("--config").arg(&self.config);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        // What is typed at the terminal is for the one who plays, not for its nodes.
        command.process_group(0);
        let child = command.spawn()?;
        (self.since, self.still, self.resident) = (Instant::now(), false, 0);
        self.had.insert(child.id());
        (self.stopping, self.failing) = (false, false);
        let process = Process::find(child.id());
        self.child = Some((child, process));
        Ok(())
    }

    /// The number of its process, if one runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(|(child, _)| child.id())
    }

    /// Whether a process with that number is its, or was.
    pub(super) fn had(&self, pid: u32) -> bool {
        self.had.contains(&pid)
    }

    /// Why it is given up: its process runs for longer than `patience` and has not called.
    pub(super) fn silent(&self, patience: Duration) -> Option<String> {
        let runs = self.child.is_some() && self.orders.is_none() && !self.still;
        (runs && self.since.elapsed() > patience).then(|| {
            let words = self.last_words();
            let said = if words.is_empty() { "it said nothing" } else { &words };
            format!("its process has not called within {} s: {said}", patience.as_secs())
        })
    }

    /// The last lines of its log.
    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n  ")
    }

    /// Tells its process to leave the cluster and to end.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
        self.tell(Down::Stop);
    }

    /// Its process has called: from now on it takes orders.
    pub(super) fn connected(&mut self, stream: TcpStream, clock: Clock) -> io::Result<()> {
        let (orders, waiting) = channel();
        let write = move || {
            let mut stream = stream;
            let mut bytes = Vec::new();
            while let Ok(order) = waiting.recv() {
                bytes.clear();
                frame(&order, &mut bytes);
                while bytes.len() < 64 << 10
                    && let Ok(more) = waiting.try_recv()
                {
                    frame(&more, &mut bytes);
                }
                if stream.write_all(&bytes).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name(format!("orders to {}", self.id)).spawn(write)?;
        // The thread that was just started takes it.
        let _ = orders.send(Down::Welcome(clock.origin, clock.scale));
        if self.stopping {
            // It was told before it could hear.
            let _ = orders.send(Down::Stop);
        }
        self.orders = Some(orders);
        self.believes = self.healthy;
        Ok(())
    }

    /// Has its process believe in these surroundings. Milliseconds that a clock drifts between two
    /// looks are not worth a word.
    pub(super) fn surround(&mut self, now: Surroundings) {
        let near = now.wall_ahead_ms.abs_diff(self.believes.wall_ahead_ms) < 5;
        let same = Surroundings { wall_ahead_ms: now.wall_ahead_ms, ..self.believes } == now;
        let zero = now.wall_ahead_ms == 0 && self.believes.wall_ahead_ms != 0;
        if (!near || !same || zero) && self.tell(Down::Surroundings(now)) {
            self.believes = now;
            self.failing |= fails(&now.disk);
        }
    }

    /// Tells it something. False when nobody is there to be told.
    pub(super) fn tell(&self, order: Down) -> bool {
        self.orders.as_ref().is_some_and(|orders| orders.send(order).is_ok())
    }

    /// Lets it stand still, or go on.
    pub(super) fn hold(&mut self, still: bool) -> io::Result<()> {
        (self.since, self.still) = (Instant::now(), still);
        match &self.child {
            Some((_, Some(process))) => {
                process.signal(if still { Signal::Stop } else { Signal::Continue })
            }
            Some((_, None)) | None => Ok(()),
        }
    }

    /// Kills its process and waits for its end.
    pub(super) fn kill(&mut self) -> io::Result<()> {
        self.orders = None;
        if let Some((mut child, process)) = self.child.take() {
            if let Some(process) = process {
                process.signal(Signal::Kill)?;
            }
            child.wait()?;
        }
        Ok(())
    }

    /// Takes its store. Its process must have ended.
    pub(super) fn wipe(&self) -> io::Result<()> {
        wipe(&self.file.directory)
    }

    /// How its process has ended by itself, if it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<Ended>> {
        let Some((child, _)) = &mut self.child else { return Ok(None) };
        let Some(status) = child.try_wait()? else { return Ok(None) };
        self.child = None;
        // One that never called was not able to start.
        let started = self.orders.take().is_some();
        let words = self.last_words();
        let how = status.to_string();
        if status.success() {
            return Ok(Some(Ended { started, why: None, expected: self.stopping, how, words }));
        }
        let stopped_itself = status.code() == Some(i32::from(STORE_STOPPED));
        let (why, expected) = (format!("{how}: {words}"), self.failing && stopped_itself);
        Ok(Some(Ended { started, why: Some(why), expected, how, words }))
    }

    /// How large its process is, at a time of the run.
    pub(super) fn size(&self, at: Time) -> Option<NodeSize> {
        let pid = self.pid()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes = resident.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
        let page_cache_kib = self.resident * (PAGE_SIZE as u64 >> 10);
        Some(NodeSize { at, instance: self.id, pid, kibibytes, page_cache_kib, files })
    }
}

/// Whether such a disk fails operations. One that is slow or stalled does not.
fn fails(disk: &DiskState) -> bool {
    *disk != DiskState { slower: disk.slower, stalled: disk.stalled, ..DiskState::default() }
}

impl Drop for Node {
    fn drop(&mut self) {
        // There is nobody to be told: it was started here and is not to stay.
        let _ = self.kill();
    }
}

/// Takes the calls of nodes, and passes on what they tell.
pub(super) fn listen(listener: TcpListener, tell: Sender<Event>) -> io::Result<()> {
    let accept = move || {
        for stream in listener.incoming().flatten() {
            let tell = tell.clone();
            // Without a thread the node finds nobody, and ends.
            let _ = thread::Builder::new().name("reports".into()).spawn(move || {
                // A connection that breaks is that of a node that ends.
                let _ = read(&stream, &tell);
            });
        }
    };
    thread::Builder::new().name("control port".into()).spawn(accept)?;
    Ok(())
}

fn read(stream: &TcpStream, tell: &Sender<Event>) -> Result<(), crate::wire::WireError> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::with_capacity(64 << 10, stream);
    let mut contents = Vec::new();
    let Some(Up::Here(version, id, pid)) = read_frame(&mut reader, &mut contents)? else {
        return Ok(());
    };
    let id = InstanceId(id);
    let matches = version == VERSION;
    let called = Event::Called { id, pid, matches, stream: stream.try_clone()? };
    if tell.send(called).is_err() || !matches {
        return Ok(());
    }
    stream.set_read_timeout(None)?;
    while let Some(what) = read_frame::<Up>(&mut reader, &mut contents)? {
        if tell.send(Event::Told { id, pid, what }).is_err() {
            break;
        }
    }
    Ok(())
}

/// Addresses on loopback that nobody has and that nobody gets while one of these nodes is down: on
/// a host of this process's own (all of 127.0.0.0/8 is loopback on Linux), below the ports that the
/// system gives out by itself, and not the same again before all others had their turn.
pub(super) fn free_addresses(count: usize) -> io::Result<Vec<SocketAddr>> {
    const FIRST: u16 = 20_000;
    const PORTS: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let [_, a, b, c] = std::process::id().to_be_bytes();
    // A process number has 22 bits at the most (proc(5), pid_max).
    let own = Ipv4Addr::new(127, 64 | (a & 0x3F), b, c);
    // Where there is no such host, ports are shared with all other processes.
    let host = match TcpListener::bind((own, 0)) {
        Ok(_) => own,
        Err(_) => Ipv4Addr::LOCALHOST,
    };
    let mut found = Vec::new();
    for _ in 0..PORTS {
        let port = FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS;
        let address = SocketAddr::from((host, port));
        if TcpListener::bind(address).is_ok() {
            found.push(address);
        }
        if found.len() == count {
            return Ok(found);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, format!("no {count} free ports at {host}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Waits for the end of a process whose number is given, too.
    fn end(node: &mut Node, program: &Path, more: impl FnOnce(&mut Node)) -> (u32, Ended) {
        node.start(program).unwrap();
        let pid = node.pid().unwrap();
        more(node);
        loop {
            if let Some(ended) = node.ended().unwrap() {
                return (pid, ended);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn addresses_are_free_and_not_given_twice() {
        let first = free_addresses(10).unwrap();
        let held: Vec<TcpListener> =
            first.iter().map(|address| TcpListener::bind(address).unwrap()).collect();
        let second = free_addresses(10).unwrap();
        drop(held);
        let all: BTreeSet<SocketAddr> = first.iter().chain(&second).copied().collect();
        assert_eq!(all.len(), 20, "{all:?}");
    }

    #[test]
    fn a_node_that_is_told_to_stop_before_it_calls_hears_it_then() {
        let folder = tempfile::tempdir().unwrap();
        let mut node =
            Node::new(folder.path(), file(folder.path()), Surroundings::default()).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let heard = |node: &mut Node| {
            let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            node.connected(listener.accept().unwrap().0, Clock::starting(1_000)).unwrap();
            node.orders = None;
            let (mut reader, mut contents) = (BufReader::new(there), Vec::new());
            let mut orders = Vec::new();
            while let Some(order) = read_frame::<Down>(&mut reader, &mut contents).unwrap() {
                orders.push(order);
            }
            orders
        };
        assert!(matches!(heard(&mut node)[..], [Down::Welcome(..)]));
        node.stop();
        assert!(matches!(heard(&mut node)[..], [Down::Welcome(..), Down::Stop]));
    }

    /// The file of a node that listens nowhere.
    fn file(folder: &Path) -> NodeFile {
        let at = SocketAddr::from(([127, 0, 0, 1], 1));
        NodeFile {
            server_id: InstanceId(1),
            scenario: "none.toml".into(),
            seed: None,
            directory: folder.join("node-1"),
            cluster_server: at,
            web_server: at,
            members: Vec::new(),
            control: None,
        }
    }

    #[test]
    fn an_end_is_expected_if_the_soak_brought_it_about() {
        let folder = tempfile::tempdir().unwrap();
        let mut node =
            Node::new(folder.path(), file(folder.path()), Surroundings::default()).unwrap();
        let script = |name: &str, last: &str| {
            let path = folder.path().join(name);
            fs::write(&path, format!("#!/bin/sh\nsleep 0.2\n{last}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
            path
        };
        node.start(&script("silent", "exec sleep 60")).unwrap();
        assert_eq!(node.silent(Duration::from_secs(60)), None);
        let told = node.silent(Duration::ZERO).unwrap();
        assert!(told.contains("has not called within 0 s: it said nothing"), "{told}");
        node.kill().unwrap();
        assert_eq!(node.silent(Duration::ZERO), None);
        let full = Surroundings {
            disk: DiskState { full: Some(0), ..DiskState::default() },
            ..Surroundings::default()
        };
        let slow = DiskState { slower: 5, stalled: true, ..DiskState::default() };
        assert!(fails(&full.disk) && !fails(&slow));

        let (first, ended) = end(&mut node, &script("in-order", "exit 0"), |_| {});
        assert!(!ended.expected && ended.why.is_none(), "{ended:?}");
        let (_, ended) = end(&mut node, &script("told", "exit 0"), Node::stop);
        assert!(ended.expected, "{ended:?}");
        let failed = script("failed", "echo 'the store stopped: no space' >&2; exit 74");
        let (_, ended) = end(&mut node, &failed, |_| {});
        assert!(!ended.expected && ended.words.contains("no space"), "{ended:?}");
        let while_failing = |node: &mut Node| {
            node.orders = Some(channel().0);
            node.failing = fails(&full.disk);
        };
        let (_, ended) = end(&mut node, &failed, while_failing);
        assert!(ended.started && ended.expected, "{ended:?}");
        // Whatever its log says.
        let other = script("other", "echo 'the store stopped: no space' >&2; exit 75");
        let (_, ended) = end(&mut node, &other, while_failing);
        assert!(!ended.expected, "{ended:?}");
        // A disk that fails is no reason for anything else.
        let (last, ended) = end(&mut node, &script("killed", "kill -9 $$"), |node| {
            node.failing = true;
        });
        assert!(!ended.expected && ended.how.contains("SIGKILL"), "{ended:?}");
        assert!(node.had(first) && node.had(last) && !node.had(std::process::id()));
    }
}
