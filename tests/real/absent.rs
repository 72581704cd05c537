//! Nodes that do not come up again: the soak ends with the reason.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::patience::patiently;
use crate::scenario::master_loss;
use crate::support::{Done, Folder, done};
use crate::wait::eventually;
use crate::{folder, processes_of, written};

/// A soak that a test meddles with while its master is down.
struct Soak {
    folder: Folder,
    work: PathBuf,
    harness: Child,
    /// Which instance is down.
    down: u16,
}

impl Soak {
    fn with_the_master_down() -> Soak {
        let folder = folder();
        let scenario = written(&folder, "loss.toml", &master_loss("crash", 24));
        let work = folder.path("work");
        let harness = Command::new(env!("CARGO_BIN_EXE_wavetank"))
            .args(["soak", &scenario, "--time-scale", "4", "--json", "--work", &work, "--out"])
            .arg(folder.path("out"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the built command can be run");
        let running = |id: u16| {
            let name = format!("node-{id}.toml");
            processes_of(&work).iter().any(|line| line.contains(&name))
        };
        eventually("three nodes", Duration::from_secs(30), || (1..=3).all(running));
        let mut down = 0;
        eventually("a crash", Duration::from_secs(60), || {
            down = (1..=3).find(|id| !running(*id)).unwrap_or_default();
            down > 0
        });
        let inside = fs::read_dir(&work).expect("it is there").flatten().next();
        let work = inside.expect("the nodes have a folder").path();
        Soak { folder, work, harness, down }
    }

    /// What became of it; nothing is left over.
    fn end(self) -> Done {
        let done = done(&self.harness.wait_with_output().expect("it ends"));
        assert_eq!(processes_of(&self.folder.path("work")), Vec::<String>::new());
        assert_eq!(fs::read_dir(self.folder.path("work")).expect("it is there").count(), 0);
        done
    }

    fn node(&self) -> PathBuf {
        self.work.join(format!("node-{}", self.down))
    }
}

#[test]
fn a_port_that_is_taken_ends_the_soak() {
    patiently(|| {
        let soak = Soak::with_the_master_down();
        let file = fs::read_to_string(soak.node().with_extension("toml")).expect("its file");
        let address = file.lines().find_map(|line| line.strip_prefix("cluster_server = "));
        let address = address.expect("an address").trim_matches('"').to_owned();
        let taken = TcpListener::bind(&address).expect("nobody listens there");
        let down = soak.down;
        let done = soak.end();
        drop(taken);
        assert_eq!(done.code, 75, "{}", done.stderr);
        let first = format!("instance {down} does not come up: exit status: 75: ");
        let why = format!("cannot listen at {address} (ha.cluster_server): Address already in use");
        assert!(done.stderr.contains(&first) && done.stderr.contains(&why), "{}", done.stderr);
    });
}

#[test]
fn a_damaged_note_ends_the_soak() {
    patiently(|| {
        let soak = Soak::with_the_master_down();
        fs::write(soak.node().join("wavetank-node"), [0xFF; 40]).expect("it can be written");
        let down = soak.down;
        let done = soak.end();
        assert_eq!(done.code, 75, "{}", done.stderr);
        let first = format!("instance {down} does not come up: exit status: 2: ");
        let why = "wavetank-node: it does not say whose directory this is";
        assert!(done.stderr.contains(&first) && done.stderr.contains(why), "{}", done.stderr);
    });
}
