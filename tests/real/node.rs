//! A node that a test starts by hand, and asks over HTTP.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command};

use crate::ask::ask;
use crate::scenario::one;
use crate::support::Folder;

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

/// Starts a node of a cluster of one; gives its cluster and web port, too.
pub(crate) fn alone(folder: &Folder, log: &str, settings: &str) -> (Node, u16, u16) {
    start(folder, log, &one(settings), "")
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

/// Sends a request of a user; gives status and body.
pub(crate) fn http(port: u16, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    ask(("127.0.0.1", port), (method, path), body, true)
}

pub(crate) fn is_master(web: u16) -> bool {
    http(web, "GET", "/db/manage/server/ha/master", "") == Some((200, "true".to_owned()))
}
