//! A node that a test starts by hand, and asks over HTTP.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::support::Folder;

/// Waits until something is so.
pub(crate) fn eventually(what: &str, patience: Duration, mut come: impl FnMut() -> bool) {
    let began = Instant::now();
    while !come() {
        assert!(began.elapsed() < patience, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A node that was started by hand.
pub(crate) struct Node(pub(crate) Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A cluster of one; `SETTINGS` stands where further settings may.
pub(crate) const ONE: &str = r#"
format = 1
duration = "40s"
[cluster]
compat = "2.3.6"
[cluster.settings]
"ha.configuration_timeout" = "100ms"
SETTINGS
[[group]]
count = 1
machine = "aws:r3.xlarge"
page_cache = "64MiB"
[graph]
generate = { kind = "social", users = 200, mean_follows = 5 }
[[operation]]
name = "follow"
pattern = "naive"
[[balancer]]
name = "front"
poll = "1s"
[[clients]]
name = "app"
arrivals = { poisson = "40/s" }
mix = { profile = 50, status = 30, follow = 20 }
"#;

/// Starts a node of a cluster of one; gives its cluster and web port, too.
pub(crate) fn alone(folder: &Folder, log: &str, settings: &str) -> (Node, u16, u16) {
    start(folder, log, &ONE.replace("SETTINGS", settings), "")
}

/// Starts instance 1 of a scenario with these further members.
pub(crate) fn start(folder: &Folder, log: &str, scenario: &str, members: &str) -> (Node, u16, u16) {
    let write = |name: &str, text: &str| fs::write(folder.path(name), text).unwrap();
    write("one.toml", scenario);
    let (cluster, web) = (free_port(), free_port());
    let config = format!(
        "server_id = 1\nscenario = \"one.toml\"\ndirectory = \"data\"\n\
         cluster_server = \"127.0.0.1:{cluster}\"\nweb_server = \"127.0.0.1:{web}\"\n\
         [members]\n1 = \"127.0.0.1:{cluster}\"\n{members}"
    );
    write("node.toml", &config);
    let child = Command::new(env!("CARGO_BIN_EXE_wavetank"))
        .args(["node", "--config", &folder.path("node.toml")])
        .stderr(fs::File::create(folder.path(log)).unwrap())
        .spawn()
        .unwrap();
    (Node(child), cluster, web)
}

/// Sends a request; gives status and body.
pub(crate) fn http(port: u16, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eDp5\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some((status, text.split_once("\r\n\r\n")?.1.to_owned()))
}

pub(crate) fn is_master(web: u16) -> bool {
    http(web, "GET", "/db/manage/server/ha/master", "") == Some((200, "true".to_owned()))
}
