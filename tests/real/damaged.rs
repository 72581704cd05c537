//! A node whose store is damaged: nothing of it is thrown away without a word.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::folder;
use crate::node::{Node, alone, is_master};
use crate::support::{Folder, run};
use crate::wait::eventually;

/// Bytes of a page.
const PAGE: usize = 8_192;

/// A cluster of one that was killed; its `neostore` holds so many bytes of garbage then.
fn damaged(folder: &Folder, bytes: usize) {
    let (node, _, web) = alone(folder, "first.log", "");
    eventually("a master", Duration::from_secs(20), || is_master(web));
    // Killed, and its end waited for.
    drop::<Node>(node);
    fs::write(folder.path("data/store/neostore"), vec![0x5A; bytes]).expect("it can be written");
}

#[test]
fn a_store_without_a_whole_meta_page_is_refused() {
    let folder = folder();
    damaged(&folder, 2 * PAGE);
    let done = run(&["node", "--config", &folder.path("node.toml")]);
    assert_eq!(done.code, 74, "{}", done.stderr);
    assert!(done.stderr.contains("the store stopped: "), "{}", done.stderr);
    assert!(done.stderr.contains("neostore"), "{}", done.stderr);
    assert_eq!(fs::read(folder.path("data/store/neostore")).unwrap(), vec![0x5A; 2 * PAGE]);
}

#[test]
fn a_store_whose_meta_file_is_short_is_set_aside() {
    let folder = folder();
    damaged(&folder, 100);
    let nodes = fs::read(folder.path("data/store/neostore.nodestore.db")).expect("its nodes");
    let (_node, _, web) = alone(&folder, "second.log", "");
    let aside = folder.path("data/store/branched/1");
    let meta = Path::new(&aside).join("neostore");
    // The meta file follows the others.
    eventually("a branch", Duration::from_secs(20), || meta.exists());
    let log = fs::read_to_string(folder.path("second.log")).expect("a log");
    assert!(log.contains("no page of neostore is whole; it is set aside"), "{log}");
    // It waits for a master that it can copy, and makes no new store in the place of this one.
    assert!(!is_master(web));
    let kept = |name: &str| fs::read(Path::new(&aside).join(name)).expect("it was kept");
    assert_eq!(kept("neostore"), vec![0x5A; 100]);
    assert_eq!(kept("neostore.nodestore.db"), nodes);
}
