//! The graph on real files.

use super::*;
use crate::disk::{FileKind, FileName};
use crate::page::PAGE_SIZE;
use crate::steps::Direction;
use std::fs;
use std::vec;
use wavetank_vocabulary::NodeId;

#[test]
fn nodes_are_found_by_label_and_value() {
    let directory = tempfile::tempdir().unwrap();
    let mut graph = Graph::open(directory.path()).unwrap();
    graph.create_index("User", "name", true).unwrap();
    let make = |graph: &mut Graph| {
        graph.write(|tx| {
            let ada = tx.create_node(&["User"])?;
            tx.set(ada, "name", "Ada")?;
            Ok(ada)
        })
    };
    let ada = make(&mut graph).unwrap();
    let Err(GraphError::Store(error)) = make(&mut graph) else { panic!("a second Ada") };
    assert!(matches!(error, StoreError::ConstraintViolation { node, .. } if node == ada));
    drop(graph);
    let mut graph = Graph::open(directory.path()).unwrap();
    graph
        .read(|tx| {
            assert_eq!(tx.find_nodes("User", "name", "Ada")?, [ada]);
            assert_eq!(tx.nodes_with("User")?, [ada], "the second was rolled back");
            assert!(tx.find_nodes("User", "age", 7)?.is_empty());
            Ok(())
        })
        .unwrap();
    graph.drop_index("User", "name").unwrap();
    assert!(graph.drop_index("User", "name").is_err());
    assert!(graph.check().unwrap().is_empty());
}

#[test]
fn a_transaction_that_fails_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut graph = Graph::open(directory.path()).unwrap();
    let node = graph.write(|tx| tx.create_node(&["User"])).unwrap();
    let failed: Result<(), _> = graph.write(|tx| {
        tx.set(node, "name", "Ada")?;
        tx.create_node(&["Group"])?;
        tx.delete_node(NodeId(77))
    });
    assert!(matches!(failed, Err(GraphError::Store(StoreError::NodeNotFound(NodeId(77))))));
    graph
        .read(|tx| {
            assert_eq!(tx.get(node, "name")?, None);
            assert_eq!(tx.nodes()?, [node]);
            assert!(tx.has_label(node, "User")? && !tx.has_label(node, "Group")?);
            Ok(())
        })
        .unwrap();
    assert_eq!(graph.store.held_locks(), 0);
}

#[test]
fn a_transaction_sees_what_it_has_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut graph = Graph::open(directory.path()).unwrap();
    graph
        .write(|tx| {
            let (a, b) = (tx.create_node(&[])?, tx.create_node(&[])?);
            let r = tx.create_relationship(a, "knows", b)?;
            tx.add_label(a, "Admin")?;
            tx.set(r, "weight", 0.5)?;
            assert_eq!(tx.get(r, "weight")?, Some(Value::from(0.5)));
            assert_eq!(tx.ends(r)?, (a, b));
            assert!(tx.has_label(a, "Admin")?);
            assert_eq!(tx.relationships(b, Direction::Incoming, Some("knows"))?.len(), 1);
            assert_eq!(tx.relationships(b, Direction::Both, Some("likes"))?, vec![]);
            tx.remove_label(a, "Admin")?;
            tx.set(r, "weight", Value::Null)?;
            assert_eq!((tx.get(r, "weight")?, tx.degree(a)?), (None, 1));
            tx.delete_relationship(r)?;
            tx.delete_node(b)?;
            assert!(!tx.has_node(b)? && tx.has_node(a)?);
            Ok(())
        })
        .unwrap();
    assert_eq!(graph.check().unwrap(), []);
}

#[test]
fn many_transactions_survive_without_a_checkpoint_and_with_one() {
    let directory = tempfile::tempdir().unwrap();
    let config = StoreConfig { frames: 12, checkpoint_interval_tx: 40, ..StoreConfig::default() };
    for round in 0..3 {
        let mut graph = Graph::open_with(directory.path(), config.clone()).unwrap();
        for number in 0..70 {
            graph
                .write(|tx| {
                    let node = tx.create_node(&["Item"])?;
                    tx.set(node, "number", number)?;
                    tx.set(node, "text", "words ".repeat(50))
                })
                .unwrap();
        }
        if round == 1 {
            graph.checkpoint().unwrap();
            assert!(graph.counters().checkpoints >= 2);
        }
        let nodes = graph.read(|tx| tx.nodes()).unwrap();
        assert_eq!(nodes.len(), 70 * (round + 1));
        assert_eq!(graph.check().unwrap(), []);
    }
}

#[test]
fn damage_and_unusable_directories_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "no directory").unwrap();
    assert!(matches!(Graph::open(&file), Err(GraphError::Files { .. })));

    let path = directory.path().join("graph");
    let mut graph = Graph::open(&path).unwrap();
    graph.write(|tx| tx.create_node(&["User"])).unwrap();
    graph.write(|tx| tx.create_node(&["User"])).unwrap();
    drop(graph);
    let log = path.join(FileName::log(0).to_string());
    let mut bytes = fs::read(&log).unwrap();
    bytes[80] ^= 1;
    fs::write(&log, bytes).unwrap();
    let opened = Graph::open(&path);
    assert!(matches!(opened, Err(GraphError::Store(StoreError::DamagedLog { .. }))), "{opened:?}");
    fs::remove_file(path.join(FileName::live(FileKind::Log).to_string())).unwrap();
    assert!(matches!(Graph::open(&path), Err(GraphError::Store(StoreError::MissingFile(_)))));
}

#[test]
fn a_full_disk_is_told_and_all_goes_on_when_there_is_space() {
    let directory = tempfile::tempdir().unwrap();
    let mut graph = Graph::open(directory.path().join("graph")).unwrap();
    graph.write(|tx| tx.create_node(&["User"])).unwrap();
    let full = |error: GraphError| {
        assert!(error.is_disk_full(), "{error:?}");
        error.to_string()
    };
    graph.disk.full = true;
    full(graph.write(|tx| tx.create_node(&["User"])).unwrap_err());
    let said = full(graph.checkpoint().unwrap_err());
    assert!(said.starts_with(&directory.path().display().to_string()), "{said}");
    graph.disk.full = false;
    graph.checkpoint().unwrap();
    graph.write(|tx| tx.create_node(&["User"])).unwrap();

    // A full backup that finds no space, at its source and at its target, and one that does.
    let to = directory.path().join("backup");
    let config = graph.store.config.clone();
    let open = || Graph::begin_open(&to, config.clone()).unwrap();
    let mut target = open();
    target.disk.full = true;
    full(graph.backup_into(&mut target).unwrap_err());
    drop(target);
    graph.disk.full = true;
    full(graph.checkpoint().unwrap_err());
    graph.disk.full = false;
    assert!(graph.backup(&to).unwrap().full);

    // An incremental one.
    graph.write(|tx| tx.create_node(&["User"])).unwrap();
    let mut target = open();
    target.disk.full = true;
    full(graph.backup_into(&mut target).unwrap_err());
    drop(target);
    assert!(!graph.backup(&to).unwrap().full);
    let mut copy = Graph::open(&to).unwrap();
    assert_eq!(copy.read(|tx| tx.nodes_with("User")).unwrap().len(), 3);
    assert_eq!(copy.check().unwrap(), []);
}

#[test]
fn a_damaged_meta_page_costs_no_graph() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let mut other = Graph::open(path("other")).unwrap();
    other.write(|tx| tx.create_node(&["Other"])).unwrap();
    let mut image = crate::ImageBuilder::new(7);
    let label = image.token(TokenKind::Label, "User").unwrap();
    image.add_node(&[label], &[]).unwrap();
    drop(Graph::import(path("imported"), &image.finish()).unwrap());
    drop(Graph::open(path("made")).unwrap());
    other.backup(path("full")).unwrap();
    for name in ["imported", "made", "full"] {
        let file = path(name).join("neostore");
        let whole = fs::read(&file).unwrap();
        assert_eq!(whole.len(), 2 * PAGE_SIZE, "{name}");
        for at in [100, PAGE_SIZE + 100] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&file, bytes).unwrap();
            let graph = Graph::open_existing(path(name)).unwrap();
            assert_eq!(graph.check().unwrap(), [], "{name}");
            let nodes = graph.info().unwrap().nodes;
            assert_eq!(nodes, u64::from(name != "made"), "{name}");
        }
        // One page alone and damaged looks like that of a store that was never whole.
        let mut bytes = whole[..PAGE_SIZE].to_vec();
        bytes[100] ^= 1;
        fs::write(&file, &bytes).unwrap();
        let refused = other.backup(path(name));
        assert!(matches!(refused, Err(GraphError::Incomplete(_))), "{name}: {refused:?}");
        assert_eq!(fs::read(&file).unwrap(), bytes, "{name}");
        // A backup that did not come to its end has none, and may be begun again.
        fs::write(&file, []).unwrap();
        assert!(other.backup(path(name)).unwrap().full, "{name}");
    }
}

#[test]
fn graphs_with_one_number_and_other_contents_are_different_stores() {
    let directory = tempfile::tempdir().unwrap();
    let make = |name: &str, nodes: usize| {
        let mut image = crate::ImageBuilder::new(1);
        for _ in 0..nodes {
            image.add_node(&[], &[]).unwrap();
        }
        Graph::import(directory.path().join(name), &image.finish()).unwrap()
    };
    let (mut one, mut same, mut other) = (make("one", 3), make("same", 3), make("other", 4));
    let to = directory.path().join("backup");
    assert!(one.backup(&to).unwrap().full);
    // All of them are at the first transaction.
    other.write(|tx| tx.create_node(&["User"])).unwrap();
    let refused = other.backup(&to);
    let different = |refused: &_| {
        matches!(refused, Err(GraphError::Backup(BackupError::DifferentStore { .. })))
    };
    assert!(different(&refused), "{refused:?}");
    assert_eq!(Graph::open_to_read(&to).unwrap().info().unwrap().nodes, 3);
    assert!(!same.backup(&to).unwrap().full, "the same graph, built twice");
}

#[test]
fn an_image_that_is_laid_down_by_half_is_no_store() {
    let directory = tempfile::tempdir().unwrap();
    let mut image = crate::ImageBuilder::new(7);
    image.add_node(&[], &[]).unwrap();
    let image = image.finish();
    for (number, (name, _)) in image.files.iter().enumerate() {
        if name.kind == FileKind::Meta {
            continue;
        }
        // The file cannot be made.
        let path = directory.path().join(number.to_string());
        fs::create_dir_all(path.join(name.to_string())).unwrap();
        let mut disk = Directory::new(&path).unwrap();
        assert!(disk.lay_down(&image).is_err());
        assert!(!disk.holds_store(), "{name}");
    }
    let mut disk = Directory::new(&directory.path().join("whole")).unwrap();
    disk.lay_down(&image).unwrap();
    assert!(disk.holds_store());
}

#[test]
fn a_directory_is_open_once_to_write_or_often_to_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("graph");
    let busy = |opened: Result<Graph, GraphError>| match opened {
        Err(GraphError::InUse(busy)) => assert_eq!(busy, path),
        other => panic!("{other:?}"),
    };
    let mut graph = Graph::open(&path).unwrap();
    graph.write(|tx| tx.create_node(&["User"])).unwrap();
    busy(Graph::open(&path));
    busy(Graph::open_existing(&path));
    busy(Graph::open_to_read(&path));
    let mut other = Graph::open(directory.path().join("other")).unwrap();
    assert!(matches!(other.backup(&path), Err(GraphError::InUse(_))));
    let restored = Graph::restore(&path, directory.path().join("copy"));
    assert!(matches!(restored, Err(GraphError::InUse(_))));
    drop(graph);
    let readers = [Graph::open_to_read(&path).unwrap(), Graph::open_to_read(&path).unwrap()];
    busy(Graph::open(&path));
    drop(readers);
    Graph::open(&path).unwrap();
}

#[test]
fn a_graph_that_is_only_read_is_recovered_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("graph");
    let config = StoreConfig { frames: 6, ..StoreConfig::default() };
    let mut graph = Graph::open_with(&path, config).unwrap();
    for number in 0..200 {
        graph
            .write(|tx| {
                let node = tx.create_node(&["Item"])?;
                tx.set(node, "text", "words ".repeat(number))
            })
            .unwrap();
    }
    drop(graph);
    // What a crash leaves at the log's end.
    let log = path.join(FileName::log(0).to_string());
    let mut bytes = fs::read(&log).unwrap();
    bytes.extend([7; 40]);
    fs::write(&log, bytes).unwrap();
    let files = || -> Vec<_> {
        let mut files: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = files();
    let mut graph = Graph::open_to_read(&path).unwrap();
    let recovery = graph.recovery().unwrap();
    assert_eq!((recovery.replayed > 100, recovery.cut), (true, 40), "{recovery:?}");
    assert_eq!(graph.read(|tx| tx.nodes_with("Item")).unwrap().len(), 200);
    assert_eq!((graph.check().unwrap(), graph.info().unwrap().nodes), (vec![], 200));
    for refused in [
        graph.write(|tx| tx.create_node(&[])).map(|_| ()),
        graph.create_index("Item", "text", false),
        graph.checkpoint(),
    ] {
        assert!(matches!(refused, Err(GraphError::OpenToRead(_))), "{refused:?}");
    }
    let mut text = vec![];
    graph.dump(&mut text).unwrap();
    let report = graph.backup(directory.path().join("backup")).unwrap();
    assert_eq!((report.full, report.mark.tx.0), (true, graph.info().unwrap().last.tx.0));
    drop(graph);
    assert!(files() == before, "nothing was written");
    let mut again = vec![];
    Graph::open(directory.path().join("backup")).unwrap().dump(&mut again).unwrap();
    assert!(text == again);
    assert_eq!(Graph::open(&path).unwrap().recovery(), Some(recovery));
}

#[test]
fn a_damaged_backup_gets_nothing_added() {
    let directory = tempfile::tempdir().unwrap();
    let to = directory.path().join("backup");
    let mut graph = Graph::open(directory.path().join("graph")).unwrap();
    graph
        .write(|tx| {
            let node = tx.create_node(&["User"])?;
            tx.set(node, "text", "long ".repeat(100))
        })
        .unwrap();
    assert!(graph.backup(&to).unwrap().full);
    graph.write(|tx| tx.create_node(&["User"])).unwrap();
    let texts = to.join(FileName::live(FileKind::Dynamic).to_string());
    let mut bytes = fs::read(&texts).unwrap();
    bytes[50] ^= 1;
    fs::write(&texts, &bytes).unwrap();
    // Its double-write area would repair it.
    fs::write(to.join(FileName::live(FileKind::DoubleWrite).to_string()), []).unwrap();
    let refused = graph.backup(&to).unwrap_err();
    let file = FileName::live(FileKind::Dynamic);
    assert!(
        matches!(&refused, GraphError::Backup(BackupError::Target(
            StoreError::DamagedPage { file: found, page: 0, .. })) if *found == file),
        "{refused:?}"
    );
    let said = refused.to_string();
    assert!(said.contains("neostore.propertystore.db.strings, page 0"), "{said}");
    bytes[50] ^= 1;
    fs::write(&texts, &bytes).unwrap();
    assert_eq!(graph.backup(&to).unwrap().transactions, 1);
}

#[test]
fn a_restore_that_failed_may_be_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let mut graph = Graph::open(path("graph")).unwrap();
    graph.write(|tx| tx.create_node(&["User"])).unwrap();
    graph.backup(path("backup")).unwrap();
    let mut backup = Graph::open_to_read(path("backup")).unwrap();
    let mut target = Graph::begin_open(&path("copy"), StoreConfig::default()).unwrap();
    target.disk.full = true;
    assert!(backup.backup_into(&mut target).unwrap_err().is_disk_full());
    drop((backup, target));
    // And as a dead process leaves it: records, and no meta file yet.
    Graph::restore(path("backup"), path("dead")).unwrap();
    fs::remove_file(path("dead").join(FileName::live(FileKind::Meta).to_string())).unwrap();
    for name in ["copy", "dead"] {
        assert!(Graph::restore(path("backup"), path(name)).unwrap().full, "{name}");
        assert_eq!(Graph::open(path(name)).unwrap().info().unwrap().nodes, 1);
        let again = Graph::restore(path("backup"), path(name));
        assert!(matches!(again, Err(GraphError::NotEmpty(_))), "{again:?}");
    }
    let missing = Graph::restore(path("missing"), path("new"));
    assert!(matches!(missing, Err(GraphError::NoGraph(_))), "{missing:?}");
    assert!(!path("missing").exists() && !path("new").exists());
    let itself = Graph::restore(path("backup"), path("backup/."));
    assert!(matches!(itself, Err(GraphError::NotEmpty(_))), "{itself:?}");
}

#[test]
fn a_used_up_quota_is_told_as_a_full_disk() {
    let source = io::ErrorKind::QuotaExceeded.into();
    assert!(GraphError::Files { what: String::new(), source }.is_disk_full());
}
