use std::collections::BTreeSet;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

const SMALL: &[u8] = b"# a comment\n10 20\n20\t7 \r\n\n7 7\n10 20\n20 10 # back\n";

#[test]
fn nodes_are_renumbered_in_order_and_edges_keep_theirs() {
    let loaded = parse(SMALL).expect("an edge list");
    assert_eq!(loaded.list.nodes, 3);
    // 7, 10, 20 are 0, 1, 2.
    assert_eq!(loaded.list.edges, [(1, 2), (2, 0), (2, 1)]);
    assert_eq!((loaded.self_loops, loaded.repeated), (1, 1));
}

#[test]
fn gzip_is_known_by_its_first_bytes() {
    assert_eq!(parse(&gzip(SMALL)), parse(SMALL));
    let mut two = gzip(b"1 2\n");
    two.extend(gzip(b"2 3\n"));
    assert_eq!(parse(&two).expect("two members").list.edges.len(), 2);
}

#[test]
fn huge_numbers_are_only_names() {
    let loaded = parse(b"18446744073709551615 0\n").expect("an edge list");
    assert_eq!(loaded.list, EdgeList { nodes: 2, edges: vec![(1, 0)] });
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (text, line, why) in [
        ("1 2\n3\n", Some(2), "the second node is missing"),
        ("from to\n1 2\n", Some(1), "a node is named by a number"),
        ("1 2\n\n-3 4\n", Some(3), "a node number cannot be negative"),
        ("18446744073709551616 1\n", Some(1), "a node number has 64 bits at the most"),
        ("1 2 3\n", Some(1), "more than two numbers"),
        ("1,2\n", Some(1), "nodes are separated by blanks, not by commas"),
        ("\u{fffd}\n", Some(1), "a node is named by a number"),
        ("\u{0}\u{1} \u{2}\n", Some(1), "a node is named by a number"),
        ("", None, "it has no edges"),
        ("# nothing\n", None, "it has no edges"),
    ] {
        let error = parse(text.as_bytes()).expect_err(text);
        assert_eq!((error.line.map(|(n, _)| n), error.why.as_str()), (line, why), "{text:?}");
    }
}

#[test]
fn damaged_and_oversized_files_are_refused() {
    let mut packed = gzip(&SMALL.repeat(100));
    packed.truncate(packed.len() / 2);
    assert!(parse(&packed).expect_err("cut off").why.starts_with("the gzip file is damaged"));
    let long = [b'7'; LONGEST_LINE as usize + 1];
    assert_eq!(parse(&long).expect_err("long").why, "this line is too long");
    assert!(parse_up_to(b"1 2\n3 4\n", 3, 10).expect_err("nodes").why.contains("4 nodes"));
    assert!(parse_up_to(b"1 2\n3 4\n", 10, 1).expect_err("edges").why.contains("more than 1"));
}

/// The ego networks of Facebook that SNAP publishes: 4,039 nodes and 88,234 edges.
#[test]
fn a_real_graph_is_loaded_whole() {
    let data = std::env::var_os("WAVETANK_DATA").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        std::path::PathBuf::from,
    );
    let path = data.join("graphs/facebook_combined.txt.gz");
    let Ok(bytes) = std::fs::read(&path) else {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: a_real_graph_is_loaded_whole: no {} (set WAVETANK_DATA)",
            path.display()
        );
        return;
    };
    let loaded = parse(&bytes).expect("an edge list");
    assert_eq!((loaded.list.nodes, loaded.list.edges.len()), (4_039, 88_234));
    assert_eq!((loaded.self_loops, loaded.repeated), (0, 0));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), pack in any::<bool>()) {
        let _ = parse(&bytes);
        if pack {
            let _ = parse(&gzip(&bytes));
        }
    }

    #[test]
    fn every_edge_but_loops_and_repeats_is_there(
        edges in prop::collection::vec((0u64..50, 0u64..50), 1..200)
    ) {
        let text: String = edges.iter().map(|(a, b)| format!("{a} {b}\n")).collect();
        let loaded = parse(text.as_bytes()).expect("an edge list");
        let names: BTreeSet<u64> = edges.iter().flat_map(|(a, b)| [*a, *b]).collect();
        let names: Vec<u64> = names.into_iter().collect();
        let back: BTreeSet<(u64, u64)> = loaded
            .list
            .edges
            .iter()
            .map(|(a, b)| (names[*a as usize], names[*b as usize]))
            .collect();
        let wanted: BTreeSet<(u64, u64)> = edges.iter().copied().filter(|(a, b)| a != b).collect();
        prop_assert_eq!(&back, &wanted);
        let left_out = (loaded.self_loops + loaded.repeated) as usize;
        prop_assert_eq!(loaded.list.edges.len() + left_out, edges.len());
    }
}
