//! `wavetank haproxy`: the configuration through the front door, and the real HAProxy with it,
//! in front of three web servers that answer the HA endpoints as instances do.
//!
//! Where HAProxy is not installed, the second half says so loudly; `.ci/run` installs it.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::{Folder, run};

/// A scenario with clients of this routing.
fn scenario(routing: &str) -> String {
    format!(
        r#"
format = 1
duration = "10s"
[[group]]
count = 3
machine = "aws:r3.xlarge"
heap = "8GiB"
page_cache = "12GiB"
[[balancer]]
name = "front"
poll = "100ms"
rise = 2
fall = 2
[[clients]]
name = "app"
arrivals = {{ poisson = "20/s" }}
routing = {routing}
timeout = "2s"
"#
    )
}

#[test]
fn a_file_is_written_and_only_our_own_is_replaced() {
    let folder = Folder::with("front.toml", &scenario("{ by = \"sticky\" }"));
    let (file, out) = (folder.path("front.toml"), folder.path("haproxy.cfg"));
    let printed = run(&["haproxy", &file]);
    assert_eq!(printed.code, 0, "{}", printed.stderr);
    for line in ["balance hdr(X-User)", "inter 100ms rise 2 fall 2", "server i3 127.0.0.1:7476"] {
        assert!(printed.stdout.contains(line), "{line}: {}", printed.stdout);
    }
    for base in ["7474", "9000"] {
        let done = run(&["haproxy", &file, "-o", &out, "--base-port", base]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stderr.contains("frontend front.sticky at 127.0.0.1:8080"), "{}", done.stderr);
        let text = fs::read_to_string(&out).expect("it was written");
        assert!(text.contains(&format!("server i1 127.0.0.1:{base}")), "{text}");
    }
    let refused = run(&["haproxy", &file, "-o", &file]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("was not written by this command"), "{}", refused.stderr);
    assert_eq!(fs::read_to_string(&file).expect("it is there"), scenario("{ by = \"sticky\" }"));
    let left = fs::read_dir(folder.path("")).expect("a folder").count();
    assert_eq!(left, 2, "no draft stays");
}

#[test]
fn what_cannot_be_written_is_told() {
    let folder = Folder::with("ranges.toml", &scenario("{ by = \"range-sharding\" }"));
    let file = folder.path("ranges.toml");
    for (arguments, needle) in [
        (vec!["haproxy", &file], "clients `app`: HAProxy cannot express routing by range-sharding"),
        (vec!["haproxy", &file, "--base-port", "65534"], "do not suffice"),
        (vec!["haproxy", &file, "--base-port", "0"], "0 is not in 1..=65535"),
        (vec!["haproxy", &file, "--listen", "127.0.0.1:0"], "a port from 1 to 65535"),
        (vec!["haproxy", &file, "--set", "cluster.copies=3"], "3 copies"),
        (vec!["haproxy", &file, "--login", "nobody"], "a name and a password"),
        (vec!["haproxy", "no-such-scenario"], "no scenario of the library"),
    ] {
        let done = run(&arguments);
        assert_eq!(done.code, 2, "{arguments:?}");
        assert!(done.stderr.contains(needle), "{arguments:?}: {}", done.stderr);
    }
}

/// Three web servers at ports that follow each other; one of them is the master.
struct Nodes {
    base: u16,
    master: Arc<AtomicUsize>,
}

const NOBODY: usize = usize::MAX;

impl Nodes {
    fn start() -> Nodes {
        let bound = (20_000..60_000u16).step_by(7).find_map(|base| {
            let all: Result<Vec<_>, _> =
                (base..base + 3).map(|port| TcpListener::bind(("127.0.0.1", port))).collect();
            Some((base, all.ok()?))
        });
        let (base, listeners) = bound.expect("three ports are free");
        let master = Arc::new(AtomicUsize::new(0));
        for (index, listener) in listeners.into_iter().enumerate() {
            let master = Arc::clone(&master);
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    answer(stream, index, &master);
                }
            });
        }
        Nodes { base, master }
    }
}

/// Answers one request as an instance does; anything but an endpoint is told who answers.
fn answer(mut stream: TcpStream, index: usize, master: &AtomicUsize) {
    let Some(head) = head(&mut stream) else { return };
    let path = head.split(' ').nth(1).unwrap_or_default();
    let leader = master.load(Ordering::SeqCst);
    let (is, known) = (leader == index, leader != NOBODY);
    let (status, body) = match path {
        _ if path.starts_with("/db/manage/") && !head.contains("Authorization: Basic ") => {
            (401, "")
        }
        "/db/manage/server/ha/master" if is => (200, "true"),
        "/db/manage/server/ha/slave" if known && !is => (200, "true"),
        "/db/manage/server/ha/available" if known => (200, if is { "master" } else { "slave" }),
        _ if path.starts_with("/db/manage/") => (404, "false"),
        _ => (200, ["i1", "i2", "i3"][index]),
    };
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} Status\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    // A check that has hung up is not answered.
    let _ = stream.write_all(text.as_bytes());
}

/// What stands before the body.
fn head(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    // HAProxy writes the names of headers in small letters.
    Some(String::from_utf8_lossy(&head).replace("authorization: ", "Authorization: "))
}

/// A process that ends with the test.
struct Balancer {
    process: Child,
    port: u16,
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Balancer {
    fn start(folder: &Folder, routing: &str, nodes: &Nodes) -> Balancer {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = port.expect("a port is free").port();
        fs::write(folder.path("real.toml"), scenario(routing)).expect("a file can be written");
        let config = folder.path("haproxy.cfg");
        let written = run(&[
            "haproxy",
            &folder.path("real.toml"),
            "-o",
            &config,
            "--base-port",
            &nodes.base.to_string(),
            "--listen",
            &format!("127.0.0.1:{port}"),
        ]);
        assert_eq!(written.code, 0, "{}", written.stderr);
        let checked = Command::new("haproxy").args(["-c", "-f", &config]).output();
        let checked = checked.expect("it can be run");
        let complaint = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success() && !complaint.contains("ALERT"), "{routing}: {complaint}");
        let process = Command::new("haproxy")
            .args(["-f", &config])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it can be run");
        Balancer { process, port }
    }

    /// Who answers, if anybody does.
    fn ask(&self, access: &str, user: u32) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let request = format!(
            "GET /db/data/?user={user} HTTP/1.1\r\nHost: front\r\nX-Access: {access}\r\n\
             X-User: {user}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
    }

    /// Asks until that one answers.
    fn until(&self, access: &str, wanted: Option<&str>) {
        let since = Instant::now();
        while self.ask(access, 1).as_deref() != wanted {
            assert!(since.elapsed() < Duration::from_secs(5), "no {access} came to {wanted:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Who answers each of 40 users.
    fn readers(&self) -> Vec<String> {
        (0..40).map(|user| self.ask("read", user).expect("an answer")).collect()
    }
}

#[test]
fn the_real_haproxy_routes_as_the_scenario_says() {
    if Command::new("haproxy").arg("-v").output().is_err() {
        // Past the test harness, which shows nothing that a passing test prints.
        let said = writeln!(std::io::stderr(), "SKIPPED: haproxy is not installed");
        return said.expect("standard error is open");
    }
    let folder = Folder::with("note.txt", "");
    let nodes = Nodes::start();
    for routing in ["all-to-master", "reads-to-all", "anywhere", "all-to-slaves", "hash-sharding"] {
        nodes.master.store(0, Ordering::SeqCst);
        let balancer = Balancer::start(&folder, &format!("{{ by = \"{routing}\" }}"), &nodes);
        let at_slaves = matches!(routing, "anywhere" | "all-to-slaves");
        if !at_slaves {
            balancer.until("write", Some("i1"));
        }
        // The first checks of all pools are behind it.
        std::thread::sleep(Duration::from_millis(500));
        let readers = balancer.readers();
        let met = |name: &str| readers.iter().any(|one| one == name);
        let expected = match routing {
            "all-to-master" => [true, false, false],
            "reads-to-all" | "anywhere" => [true, true, true],
            _ => [false, true, true],
        };
        assert_eq!(["i1", "i2", "i3"].map(met), expected, "{routing}");
        if routing == "hash-sharding" {
            assert_eq!(readers, balancer.readers(), "each stays where it is");
        }
    }

    // A failover under stickiness: writes follow the master, users stay at a slave.
    nodes.master.store(0, Ordering::SeqCst);
    let balancer = Balancer::start(&folder, "{ by = \"sticky\" }", &nodes);
    balancer.until("write", Some("i1"));
    std::thread::sleep(Duration::from_millis(500));
    let before = balancer.readers();
    assert!(before.iter().all(|one| one != "i1"), "{before:?}");
    assert_eq!(before, balancer.readers(), "each stays where it is");
    nodes.master.store(NOBODY, Ordering::SeqCst);
    balancer.until("write", None);
    nodes.master.store(1, Ordering::SeqCst);
    balancer.until("write", Some("i2"));
    std::thread::sleep(Duration::from_millis(500));
    assert!(balancer.readers().iter().all(|one| one != "i2"));
    drop(balancer);

    // Who has written reads at the master for a while, and nobody else does.
    nodes.master.store(0, Ordering::SeqCst);
    let rule = "{ by = \"consistency\", read_after_write = \"1s\" }";
    let balancer = Balancer::start(&folder, rule, &nodes);
    balancer.until("write", Some("i1"));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(balancer.ask("write", 7).as_deref(), Some("i1"));
    assert_eq!(balancer.ask("read", 7).as_deref(), Some("i1"));
    assert_eq!(balancer.ask("latest", 8).as_deref(), Some("i1"));
    assert_ne!(balancer.ask("read", 8).as_deref(), Some("i1"));
    std::thread::sleep(Duration::from_millis(1500));
    assert_ne!(balancer.ask("read", 7).as_deref(), Some("i1"));
}
