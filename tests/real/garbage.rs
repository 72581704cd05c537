//! Garbage on the cluster port of a real node: it comes from a member that has gone mad, so to
//! speak, which knows how frames are made and what the node itself says. `WAVETANK_LONG=1` goes on
//! for minutes.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::node::{alone, http, is_master, start};
use crate::scenario::one;
use crate::support::Folder;
use crate::wait::eventually;

/// CRC-32C, bit by bit (Castagnoli 1993).
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0x82F6_3B78 } else { sum >> 1 }
        })
    })
}

fn frame(contents: &[u8]) -> Vec<u8> {
    let length = (contents.len() as u32).to_le_bytes();
    [&length[..], &crc32c(contents).to_le_bytes(), contents].concat()
}

fn read_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut header = [0; 8];
    stream.read_exact(&mut header)?;
    let length = u32::from_le_bytes(header[..4].try_into().expect("four bytes"));
    let mut contents = vec![0; length as usize];
    stream.read_exact(&mut contents)?;
    Ok(contents)
}

/// Marsaglia's xorshift64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// A member that listens, says welcome, and keeps what it is told.
fn listening(heard: Arc<Mutex<Vec<Vec<u8>>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it has one").port();
    let keep = move |mut stream: TcpStream| -> io::Result<()> {
        heard.lock().expect("nobody panics").push(read_frame(&mut stream)?);
        stream.write_all(&frame(&[0]))?;
        loop {
            let contents = read_frame(&mut stream)?;
            let mut heard = heard.lock().expect("nobody panics");
            if heard.len() < 2_000 {
                heard.push(contents);
            }
        }
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let keep = keep.clone();
            // It ends with the connection.
            std::thread::spawn(move || keep(stream));
        }
    });
    port
}

/// Open files, and megabytes of memory.
fn size(pid: u32) -> (usize, u64) {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    let kib: u64 = resident.trim().trim_end_matches(" kB").parse().expect("a number");
    (files, kib / 1_024)
}

#[test]
fn garbage_on_the_cluster_port_harms_nobody() {
    let folder = Folder::with("about.txt", "made by a test");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let member = listening(heard.clone());
    let scenario = one("").replace("count = 1", "count = 2");
    let members = format!("2 = \"127.0.0.1:{member}\"\n");
    let (mut node, cluster, web) = start(&folder, "node.log", &scenario, &members);
    eventually("words of the node", Duration::from_secs(20), || {
        heard.lock().expect("nobody panics").len() > 3
    });
    // Its greeting, as the other one would say it: from and to change places.
    let mut hello = heard.lock().expect("nobody panics")[0].clone();
    let last = hello.len();
    hello.swap(last - 4, last - 2);

    // Another version is told so.
    let mut old = hello.clone();
    old[4] = 99;
    let mut stream = TcpStream::connect(("127.0.0.1", cluster)).expect("it listens");
    stream.write_all(&frame(&old)).expect("it reads");
    let answer = read_frame(&mut stream).expect("it answers");
    let told = String::from_utf8_lossy(&answer).into_owned();
    assert!(told.contains("it speaks version 99, and this node version"), "{told}");
    drop(stream);

    let long = std::env::var_os("WAVETANK_LONG").is_some();
    let until = Instant::now() + Duration::from_secs(if long { 180 } else { 3 });
    let (files, memory) = size(node.0.id());
    let (mut dice, mut rounds) = (Dice(0x5EED), 0);
    while Instant::now() < until || rounds < 50 {
        rounds += 1;
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", cluster)) else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        let mut bytes = Vec::new();
        if dice.below(8) > 0 {
            bytes.extend(frame(&hello));
        }
        for _ in 0..1 + dice.below(4) {
            let words = heard.lock().expect("nobody panics");
            let mut contents = words[dice.below(words.len())].clone();
            drop(words);
            for _ in 0..dice.below(4) {
                let place = dice.below(contents.len());
                match dice.below(3) {
                    0 => contents.truncate(place),
                    1 => contents.insert(place, dice.below(256) as u8),
                    _ if contents.is_empty() => {}
                    _ => contents[place] = dice.below(256) as u8,
                }
            }
            let mut whole = frame(&contents);
            if dice.below(8) == 0 {
                // The frame itself is wrong.
                let place = dice.below(whole.len());
                whole[place] ^= 1 << dice.below(8);
            }
            bytes.extend(whole);
        }
        // It may close the connection before all is said.
        let _ = stream.write_all(&bytes);
        if dice.below(4) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let ended = node.0.try_wait().expect("it is ours");
    assert!(ended.is_none(), "{ended:?} {}", log(&folder));
    assert!(http(web, "GET", "/metrics", "").is_some(), "{}", log(&folder));
    assert!(log(&folder).contains("closed: garbage"), "{}", log(&folder));
    eventually("closed connections", Duration::from_secs(30), || size(node.0.id()).0 <= files + 8);
    let grown = size(node.0.id()).1.saturating_sub(memory);
    assert!(grown < 64, "{grown} MiB after {rounds} rounds");
}

#[test]
fn silence_locks_nobody_out() {
    let folder = Folder::with("about.txt", "made by a test");
    let (_node, cluster, web) = alone(&folder, "node.log", "");
    eventually("a master", Duration::from_secs(20), || is_master(web));
    let silent = |port: u16, count: usize| -> Vec<TcpStream> {
        (0..count).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("a place")).collect()
    };
    let on_the_web = silent(web, 300);
    assert!(is_master(web), "{}", log(&folder));
    drop(on_the_web);
    // A greeting is heard, and refused only for its version.
    let among_peers = silent(cluster, 100);
    let mut stream = TcpStream::connect(("127.0.0.1", cluster)).expect("it listens");
    stream.write_all(&frame(b"wvtk\x63\0")).expect("it reads");
    let answer = read_frame(&mut stream).expect("it answers");
    let told = String::from_utf8_lossy(&answer).into_owned();
    assert!(told.contains("it speaks version 99, and this node version"), "{told}");
    // Who says nothing is not kept for long.
    let mut last = among_peers.into_iter().next_back().expect("a hundred");
    last.set_read_timeout(Some(Duration::from_secs(10))).expect("a connection");
    assert!(matches!(last.read(&mut [0; 1]), Ok(0)), "it is closed");
    let log = log(&folder);
    for line in
        ["256 HTTP connections: the longest silent one", "64 connections that have not said"]
    {
        assert!(log.contains(line), "{line}: {log}");
    }
}

/// The end of the node's log.
fn log(folder: &Folder) -> String {
    let log = fs::read_to_string(folder.path("node.log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
