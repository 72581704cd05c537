//! The storage core as a product: `wavetank store` on real directories.

mod support;

use std::fs;

use support::{Folder, run};

const EDGES: &str = "# a small graph\n10 20\n20 30\n30 10\n10 10\n10 20\n40 10\n";

/// A folder with a graph made from [`EDGES`].
fn imported() -> (Folder, String) {
    let folder = Folder::with("edges.txt", EDGES);
    let graph = folder.path("graph");
    let made = run(&["store", "import", &graph, "--edges", &folder.path("edges.txt")]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(made.stdout.contains("4 nodes, 4 relationships"), "{}", made.stdout);
    assert!(made.stdout.contains("1 edges of a node to itself, 1 repeated"), "{}", made.stdout);
    (folder, graph)
}

#[test]
fn a_graph_is_made_looked_at_backed_up_and_restored() {
    let (folder, graph) = imported();
    let info = run(&["store", "info", &graph]);
    assert_eq!(info.code, 0, "{}", info.stderr);
    for line in ["nodes             4", "relationships     4", "last transaction  1"] {
        assert!(info.stdout.contains(line), "{}", info.stdout);
    }
    let check = run(&["store", "check", &graph]);
    assert_eq!(check.code, 0, "{}{}", check.stdout, check.stderr);

    let (backup, copy) = (folder.path("backup"), folder.path("copy"));
    let full = run(&["store", "backup", &graph, &backup]);
    assert!(full.stdout.starts_with("full backup"), "{}{}", full.stdout, full.stderr);
    let more = run(&["store", "backup", &graph, &backup]);
    assert!(more.stdout.starts_with("incremental backup"), "{}{}", more.stdout, more.stderr);
    let restored = run(&["store", "restore", &backup, &copy]);
    assert_eq!(restored.code, 0, "{}", restored.stderr);

    let dumps = [&graph, &backup, &copy].map(|graph| run(&["store", "dump", graph]).stdout);
    assert!(dumps[0].contains("node 3 :\"Node\" {\"id\": 40}"), "{}", dumps[0]);
    assert!(dumps[0].contains("relationship 3 -> 0 :\"LINKS_TO\""), "{}", dumps[0]);
    assert!(dumps.iter().all(|dump| *dump == dumps[0]));
}

#[test]
fn wrong_directories_and_files_are_refused_and_left_as_they_are() {
    let (folder, graph) = imported();
    let edges = folder.path("edges.txt");
    let garbage = folder.path("garbage.txt");
    fs::write(&garbage, "1 2\nthree four\n").expect("a file");
    fs::create_dir(folder.path("mine")).expect("a folder");
    fs::write(folder.path("mine/thesis.txt"), "years of work").expect("a file");
    let before = run(&["store", "dump", &graph]).stdout;
    let (mine, nowhere, fresh) =
        (folder.path("mine"), folder.path("nowhere"), folder.path("fresh"));
    for (arguments, needle) in [
        (vec!["store", "import", &graph, "--edges", &edges], "something in it already"),
        (vec!["store", "import", &mine, "--edges", &edges], "something in it already"),
        (vec!["store", "import", &fresh, "--edges", &garbage], "line 2"),
        (vec!["store", "import", &fresh, "--edges", &nowhere], "cannot read"),
        (vec!["store", "import", &fresh, "--edges", &edges, "--label", ""], "--label"),
        (vec!["store", "import", &fresh, "--edges", &edges, "--type", ""], "--type"),
        (vec!["store", "info", &nowhere], "no graph"),
        (vec!["store", "check", &mine], "no graph"),
        (vec!["store", "dump", &edges], "no graph"),
        (vec!["store", "restore", &mine, &fresh], "no graph"),
        (vec!["store", "restore", &graph, &graph], "something in it already"),
    ] {
        let done = run(&arguments);
        assert_eq!(done.code, 2, "{arguments:?}: {}{}", done.stdout, done.stderr);
        assert!(done.stderr.contains(needle), "{arguments:?}: {}", done.stderr);
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
    }
    assert_eq!(run(&["store", "dump", &graph]).stdout, before);
    assert_eq!(fs::read_dir(&mine).expect("it is there").count(), 1);
    assert!(!fs::exists(&nowhere).expect("a look") && !fs::exists(&fresh).expect("a look"));
}

#[test]
fn names_are_printed_so_that_they_do_nothing_to_a_terminal() {
    let folder = Folder::with("edges.txt", EDGES);
    let (graph, edges) = (folder.path("graph"), folder.path("edges.txt"));
    let names = ["--label", "Two\nlines", "--type", "\u{1b}[31mred"];
    let made = run(&[&["store", "import", &graph, "--edges", &edges], &names[..]].concat());
    assert_eq!(made.code, 0, "{}", made.stderr);
    let info = run(&["store", "info", &graph]).stdout;
    for name in ["  Two\\nlines ", "  \\u{1b}[31mred "] {
        assert!(info.contains(name), "{info}");
    }
    assert!(!info.contains('\u{1b}'), "{info}");
}

/// As a process leaves it that is killed while it imports: the meta file comes last.
#[test]
fn an_import_that_was_killed_is_told_as_that() {
    let (folder, graph) = imported();
    fs::remove_file(folder.path("graph/neostore")).expect("it was there");
    let edges = folder.path("edges.txt");
    let check = run(&["store", "check", &graph]);
    assert_eq!(check.code, 1, "{}{}", check.stdout, check.stderr);
    assert!(check.stdout.contains("remove the directory and do it again"), "{}", check.stdout);
    for arguments in
        [vec!["store", "info", &graph], vec!["store", "import", &graph, "--edges", &edges]]
    {
        let refused = run(&arguments);
        assert_eq!(refused.code, 2, "{arguments:?}: {}{}", refused.stdout, refused.stderr);
        let said = "remove the directory and do it again";
        assert!(refused.stderr.contains(said), "{arguments:?}: {}", refused.stderr);
    }
}

#[test]
fn one_process_at_a_time_may_have_a_graph_open() {
    let (folder, graph) = imported();
    let backup = folder.path("backup");
    let open = wavetank_store::Graph::open_existing(&graph).expect("a graph");
    let edges = folder.path("edges.txt");
    for arguments in [
        vec!["store", "info", &graph],
        vec!["store", "check", &graph],
        vec!["store", "dump", &graph],
        vec!["store", "backup", &graph, &backup],
        vec!["store", "restore", &graph, &backup],
    ] {
        let refused = run(&arguments);
        assert_eq!((refused.code, refused.stdout.as_str()), (75, ""), "{arguments:?}");
        let said = format!("error: {graph}: a graph is open in it, maybe in another process");
        assert!(refused.stderr.starts_with(&said), "{arguments:?}: {}", refused.stderr);
    }
    assert!(!fs::exists(&backup).expect("a look"));
    // Nothing may be put over it, either.
    assert_eq!(run(&["store", "import", &graph, "--edges", &edges]).code, 2);
    drop(open);
    let reader = wavetank_store::Graph::open_to_read(&graph).expect("a graph");
    assert_eq!(run(&["store", "check", &graph]).code, 0, "many may look at it");
    drop(reader);
}

/// As `recovered` says, nothing is written by those that only look.
#[test]
fn looking_at_a_graph_that_was_not_closed_leaves_it_as_it_is() {
    let (folder, graph) = imported();
    let made = wavetank_store::Graph::open_existing(&graph).expect("a graph");
    drop(made);
    let log = folder.path("graph/neostore.transaction.db.0");
    let mut bytes = fs::read(&log).expect("a file");
    bytes.extend([7; 40]);
    fs::write(&log, &bytes).expect("a file");
    for what in ["info", "check", "dump"] {
        let looked = run(&["store", what, &graph]);
        assert_eq!(looked.code, 0, "{}{}", looked.stdout, looked.stderr);
        assert!(looked.stderr.contains("40 bytes of a torn log left out"), "{}", looked.stderr);
        assert!(fs::read(&log).expect("a file") == bytes, "{what}");
    }
}

#[test]
fn a_dump_does_not_depend_on_the_order_of_the_edges() {
    let (folder, graph) = imported();
    let other = folder.path("other");
    fs::write(folder.path("turned.txt"), "40 10\n30 10\n20 30\n10 20\n").expect("a file");
    let made = run(&["store", "import", &other, "--edges", &folder.path("turned.txt")]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let [one, two] = [graph, other].map(|graph| run(&["store", "dump", &graph]).stdout);
    assert_eq!(one, two);
}

#[test]
fn a_backup_of_another_graph_is_refused() {
    let (folder, graph) = imported();
    fs::write(folder.path("other.txt"), "1 2\n").expect("a file");
    let other = folder.path("other");
    let made = run(&["store", "import", &other, "--edges", &folder.path("other.txt")]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let backup = folder.path("backup");
    assert_eq!(run(&["store", "backup", &graph, &backup]).code, 0);
    let before = run(&["store", "dump", &backup]).stdout;
    let refused = run(&["store", "backup", &other, &backup]);
    assert_eq!(refused.code, 2, "{}{}", refused.stdout, refused.stderr);
    assert_eq!(run(&["store", "dump", &backup]).stdout, before);
}

#[test]
fn graphs_of_one_edge_list_with_other_names_are_different_stores() {
    let (folder, graph) = imported();
    let edges = folder.path("edges.txt");
    let backup = folder.path("backup");
    assert_eq!(run(&["store", "backup", &graph, &backup]).code, 0);
    let before = run(&["store", "dump", &backup]).stdout;
    for (place, option, name) in [("label", "--label", "User"), ("type", "--type", "KNOWS")] {
        let other = folder.path(place);
        let made = run(&["store", "import", &other, "--edges", &edges, option, name]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        let refused = run(&["store", "backup", &other, &backup]);
        assert_eq!(refused.code, 2, "{}{}", refused.stdout, refused.stderr);
        assert!(refused.stderr.contains("logically different store"), "{}", refused.stderr);
    }
    assert_eq!(run(&["store", "dump", &backup]).stdout, before);
}

#[test]
fn damage_is_found_and_told_where_it_is() {
    let (folder, graph) = imported();
    let nodes = folder.path("graph/neostore.nodestore.db");
    let mut bytes = fs::read(&nodes).expect("a file");
    bytes[40] ^= 1;
    fs::write(&nodes, bytes).expect("a file");
    let check = run(&["store", "check", &graph]);
    assert_eq!(check.code, 1, "{}{}", check.stdout, check.stderr);
    assert!(check.stdout.contains("neostore.nodestore.db, page 0"), "{}", check.stdout);
    let dump = run(&["store", "dump", &graph]);
    assert_eq!((dump.code, dump.stdout.as_str()), (2, ""), "{}", dump.stderr);
    let backup = folder.path("backup");
    assert_ne!(run(&["store", "backup", &graph, &backup]).code, 0, "damage is not spread");
}

#[test]
fn every_file_that_is_cut_off_is_told_with_the_directory() {
    for (file, length, needle) in [
        ("neostore", 5000, "no whole `neostore`"),
        ("neostore.nodestore.db", 5000, "neostore.nodestore.db is missing or incomplete"),
        ("neostore.tokenstore.db", 0, "neostore.tokenstore.db is missing or incomplete"),
        ("neostore.indexes.db", 1, "neostore.indexes.db is missing or incomplete"),
        ("neostore.transaction.db.0", 30, "its header is cut off"),
        ("neostore.transaction.db.0", 0, "its header is cut off"),
    ] {
        let (folder, graph) = imported();
        let path = folder.path(&format!("graph/{file}"));
        let whole = fs::read(&path).expect("a file");
        fs::write(&path, &whole[..length]).expect("a file");
        let check = run(&["store", "check", &graph]);
        assert_eq!(check.code, 1, "{file}: {}{}", check.stdout, check.stderr);
        assert!(check.stdout.contains(needle), "{file}: {}", check.stdout);
        let backup = folder.path("backup");
        for arguments in [
            vec!["store", "info", &graph],
            vec!["store", "dump", &graph],
            vec!["store", "backup", &graph, &backup],
        ] {
            let refused = run(&arguments);
            assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{file}: {arguments:?}");
            assert!(refused.stderr.contains(&format!("error: {graph}: ")), "{}", refused.stderr);
            assert!(refused.stderr.contains(needle), "{file}: {}", refused.stderr);
        }
        assert_eq!(fs::read(&path).expect("a file"), &whole[..length], "{file} stays as it was");
        assert!(!fs::exists(&backup).expect("a look"), "{file}");
        if file == "neostore" {
            // Records without a whole meta file are not removed to make room.
            let (_kept, other) = imported();
            for what in ["restore", "backup"] {
                let refused = run(&["store", what, &other, &graph]);
                assert_eq!(refused.code, 2, "{}{}", refused.stdout, refused.stderr);
                assert!(refused.stderr.contains(needle), "{}", refused.stderr);
                assert_eq!(fs::read(&path).expect("a file"), &whole[..length]);
            }
        }
    }
}

#[test]
fn another_format_is_named() {
    let (folder, graph) = imported();
    let path = folder.path("graph/neostore");
    let mut bytes = fs::read(&path).expect("a file");
    for page in bytes.chunks_exact_mut(8192).filter(|page| page.iter().any(|byte| *byte != 0)) {
        page[32 + 8..32 + 16].copy_from_slice(&99u64.to_le_bytes());
        let sum = crc32c(&page[4..]);
        page[..4].copy_from_slice(&sum.to_le_bytes());
    }
    fs::write(&path, bytes).expect("a file");
    for what in ["info", "check", "dump"] {
        let refused = run(&["store", what, &graph]);
        assert_eq!(refused.code, 2, "{}{}", refused.stdout, refused.stderr);
        let needle = "the store has format 99, and this program reads format 3";
        assert!(refused.stderr.contains(needle), "{}", refused.stderr);
    }
}

#[test]
fn a_backup_goes_neither_into_its_graph_nor_into_a_file() {
    let (folder, graph) = imported();
    let here = run(&["store", "backup", &graph, &folder.path("graph/.")]);
    assert_eq!(here.code, 2, "{}{}", here.stdout, here.stderr);
    assert!(here.stderr.contains("this is the graph itself"), "{}", here.stderr);
    let file = folder.path("edges.txt");
    let there = run(&["store", "backup", &graph, &file]);
    assert_eq!(there.code, 2, "{}{}", there.stdout, there.stderr);
    assert!(
        there.stderr.starts_with(&format!("error: {file}: not a directory")),
        "{}",
        there.stderr
    );
}

/// Bit by bit, as the format's document has it: CRC-32C, reflected.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[test]
fn contradicting_records_are_counted_by_their_types() {
    let (folder, graph) = imported();
    let nodes = folder.path("graph/neostore.nodestore.db");
    let mut bytes = fs::read(&nodes).expect("a file");
    // The second node's first relationship, with a right checksum: a program's mistake.
    bytes[32 + 15 + 1..][..4].copy_from_slice(&99u32.to_le_bytes());
    let sum = crc32c(&bytes[4..8192]);
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
    fs::write(&nodes, bytes).expect("a file");
    let check = run(&["store", "check", &graph]);
    assert_eq!(check.code, 1, "{}{}", check.stdout, check.stderr);
    for line in [
        "NODE 1: its chain leads to a foreign record",
        "Number of inconsistent NODE records: 1",
        "Number of inconsistent RELATIONSHIP records: 2",
    ] {
        assert!(check.stdout.contains(line), "{line}: {}", check.stdout);
    }
}
