//! `wavetank store`: the storage core on its own, on real directories.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wavetank_reports::grouped;
use wavetank_scenario::parse_edges;
use wavetank_store::{Graph, GraphError, ImageBuilder, Inconsistency, TokenKind, Value};

use super::{Failure, say, tell};
use crate::exit::Exit;

#[derive(Args, Debug)]
pub(super) struct StoreArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Makes a graph from an edge list.
    Import(ImportArgs),
    /// Says what is in a graph: counts, sizes, the last transaction.
    Info {
        /// The graph's directory.
        dir: PathBuf,
    },
    /// Checks every record and index entry against those around it; exit code 1 if any is wrong.
    Check {
        /// The graph's directory.
        dir: PathBuf,
    },
    /// Backs a graph up: everything into a directory without a graph, else what is new since the
    /// last backup into it.
    Backup {
        /// The graph's directory.
        dir: PathBuf,
        /// The backup's directory.
        to: PathBuf,
    },
    /// Puts a backup into a directory without a graph.
    Restore {
        /// The backup's directory.
        from: PathBuf,
        /// The graph's directory.
        dir: PathBuf,
    },
    /// Prints the whole graph as sorted text: the same for the same content.
    Dump {
        /// The graph's directory.
        dir: PathBuf,
    },
}

#[derive(Args, Debug)]
struct ImportArgs {
    /// The graph's directory: it must be empty, or not be there.
    dir: PathBuf,
    /// An edge list: two node numbers a line, # begins a comment; plain or gzip.
    #[arg(long, value_name = "FILE")]
    edges: PathBuf,
    /// The label of every node. Its number in the file becomes the property `id`.
    #[arg(long, value_name = "NAME", default_value = "Node", value_parser = NonEmptyStringValueParser::new())]
    label: String,
    /// The type of every relationship.
    #[arg(long = "type", value_name = "NAME", default_value = "LINKS_TO", value_parser = NonEmptyStringValueParser::new())]
    kind: String,
}

pub(super) fn store(args: &StoreArgs) -> Result<Exit, Failure> {
    match &args.what {
        What::Import(args) => import(args),
        What::Info { dir } => info(dir),
        What::Check { dir } => check(dir),
        What::Backup { dir, to } => backup(dir, to),
        What::Restore { from, dir } => restore(from, dir),
        What::Dump { dir } => dump(dir),
    }
}

/// Wrong directories and damage are the input's fault; a full disk may pass, and so may another
/// process that has the graph open.
fn failed(error: &GraphError) -> Failure {
    let may_pass = error.is_disk_full() || matches!(error, GraphError::InUse(_));
    let exit = if may_pass { Exit::Surroundings } else { Exit::Input };
    Failure { exit, message: error.to_string() }
}

/// The same, of a graph in that directory.
fn failed_in(directory: &Path) -> impl Fn(GraphError) -> Failure {
    let directory = directory.display().to_string();
    move |error| {
        let failure = failed(&error);
        if failure.message.starts_with(&format!("{directory}: ")) {
            return failure;
        }
        Failure { message: format!("{directory}: {}", failure.message), ..failure }
    }
}

/// Opens a graph to look at it, and says if it was not closed.
fn open(directory: &Path) -> Result<Graph, Failure> {
    open_graph(directory).map_err(failed_in(directory))
}

fn open_graph(directory: &Path) -> Result<Graph, GraphError> {
    let graph = Graph::open_to_read(directory)?;
    if let Some(recovery) =
        graph.recovery().filter(|recovery| recovery.replayed > 0 || recovery.cut > 0)
    {
        tell(&format!(
            "recovered in memory: {} transactions replayed, {} bytes of a torn log left out",
            grouped(recovery.replayed),
            grouped(recovery.cut)
        ));
    }
    Ok(graph)
}

fn import(args: &ImportArgs) -> Result<Exit, Failure> {
    let started = Instant::now();
    let name = args.edges.display();
    let bytes = std::fs::read(&args.edges)
        .map_err(|error| Failure::input(format!("cannot read {name}: {error}")))?;
    let loaded = parse_edges(&bytes).map_err(|error| Failure::input(format!("{name}: {error}")))?;
    let image = build(&loaded, args).map_err(|error| Failure::input(format!("{name}: {error}")))?;
    Graph::import(&args.dir, &image).map_err(|error| failed(&error))?;
    say(&format!(
        "{}: {} nodes, {} relationships in {:.0} ms",
        args.dir.display(),
        grouped(u64::from(loaded.list.nodes)),
        grouped(loaded.list.edges.len() as u64),
        started.elapsed().as_secs_f64() * 1e3
    ));
    if loaded.self_loops + loaded.repeated > 0 {
        say(&format!(
            "left out: {} edges of a node to itself, {} repeated ones",
            grouped(loaded.self_loops),
            grouped(loaded.repeated)
        ));
    }
    Ok(Exit::Held)
}

fn build(
    loaded: &wavetank_scenario::LoadedEdges,
    args: &ImportArgs,
) -> Result<wavetank_store::Image, wavetank_store::StoreError> {
    // The identity tells stores of different contents apart.
    let mut identity = wavetank_kernel::Digest::new();
    let edges = loaded.list.edges.iter().map(|(from, to)| u64::from(*from) << 32 | u64::from(*to));
    identity.absorb(&edges.collect::<Vec<u64>>());
    identity.absorb(&loaded.numbers);
    for name in [&args.label, &args.kind] {
        let bytes = name.bytes().map(u64::from);
        identity.absorb(&[name.len() as u64]);
        identity.absorb(&bytes.collect::<Vec<u64>>());
    }
    let mut image = ImageBuilder::new(identity.value() as u64);
    let label = image.token(TokenKind::Label, &args.label)?;
    let kind = image.token(TokenKind::RelationshipType, &args.kind)?;
    let id = image.token(TokenKind::PropertyKey, "id")?;
    let mut nodes = Vec::with_capacity(loaded.numbers.len());
    for number in &loaded.numbers {
        // Numbers beyond 63 bits stay what they are to a reader of the text.
        let value = match i64::try_from(*number) {
            Ok(number) => Value::Int(number),
            Err(_) => Value::from(number.to_string().as_str()),
        };
        nodes.push(image.add_node(&[label], &[(id, value)])?);
    }
    for (from, to) in &loaded.list.edges {
        image.add_relationship(nodes[*from as usize], nodes[*to as usize], kind, &[])?;
    }
    Ok(image.finish())
}

fn info(directory: &Path) -> Result<Exit, Failure> {
    let graph = open(directory)?;
    let info = graph.info().map_err(failed_in(directory))?;
    let mut text = format!(
        "store             {:016x}\nlast transaction  {}\n",
        info.store_id,
        grouped(info.last.tx.0)
    );
    let mut row = |what: &str, count: u64| text += &format!("{what:<17} {}\n", grouped(count));
    row("nodes", info.nodes);
    row("relationships", info.relationships);
    row("properties", info.properties);
    row("property keys", info.keys);
    for (title, counts) in [("labels", &info.labels), ("types", &info.types)] {
        text += &format!("{title}\n");
        for (name, count) in counts {
            // Names are anybody's, and go to a terminal.
            let name = name.escape_debug().to_string();
            text += &format!("  {name:<30} {:>14}\n", grouped(*count));
        }
    }
    if !info.indexes.is_empty() {
        text += "indexes\n";
        for index in &info.indexes {
            text += &format!("  {index}\n");
        }
    }
    text += "files\n";
    for (name, size) in &info.files {
        text += &format!("  {name:<40} {:>14}\n", grouped(*size));
    }
    text += &format!("  {:<40} {:>14}\n", "all", grouped(info.files.values().sum()));
    say(&text);
    Ok(Exit::Held)
}

/// How far a check has come; drawn on a terminal only.
fn records_bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    match ProgressStyle::with_template("  {bar:18} {human_pos} of {human_len} records checked") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn check(directory: &Path) -> Result<Exit, Failure> {
    let checked = open_graph(directory).and_then(|graph| {
        let bar = records_bar();
        let found = graph.check_with_progress(&mut |done, of| {
            bar.set_length(of);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        Ok((found?, graph))
    });
    let (found, graph) = match checked {
        Ok(checked) => checked,
        // What cannot be trusted is as bad as what contradicts itself.
        Err(GraphError::Store(error)) if error.is_damage() => {
            say(&format!("damaged: {error}"));
            return Ok(Exit::Broke);
        }
        Err(error @ GraphError::Incomplete(_)) => {
            say(&format!("damaged: {error}"));
            return Ok(Exit::Broke);
        }
        Err(error) => return Err(failed_in(directory)(error)),
    };
    if found.is_empty() {
        let info = graph.info().map_err(failed_in(directory))?;
        say(&format!(
            "consistent: {} nodes, {} relationships, {} properties",
            grouped(info.nodes),
            grouped(info.relationships),
            grouped(info.properties)
        ));
        return Ok(Exit::Held);
    }
    let mut text = String::new();
    for inconsistency in &found {
        text += &format!("{inconsistency}\n");
    }
    text += &format!("{} inconsistencies\n", grouped(found.len() as u64));
    for (record_type, count) in Inconsistency::summary(&found) {
        text += &format!("Number of inconsistent {record_type} records: {}\n", grouped(count));
    }
    say(&text);
    Ok(Exit::Broke)
}

fn backup(directory: &Path, to: &Path) -> Result<Exit, Failure> {
    let mut graph = open(directory)?;
    let report = graph.backup(to).map_err(|error| match error {
        // These say which directory they are about.
        GraphError::Files { .. } | GraphError::SameDirectory(_) | GraphError::InUse(_) => {
            failed(&error)
        }
        error => failed_in(directory)(error),
    })?;
    say(&report.to_string());
    Ok(Exit::Held)
}

fn restore(from: &Path, directory: &Path) -> Result<Exit, Failure> {
    drop(open(from)?);
    let report = Graph::restore(from, directory).map_err(|error| failed(&error))?;
    say(&format!("restored up to transaction {}", grouped(report.mark.tx.0)));
    Ok(Exit::Held)
}

fn dump(directory: &Path) -> Result<Exit, Failure> {
    let graph = open(directory)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let written = graph.dump(&mut out).and_then(|()| {
        out.flush().map_err(|source| GraphError::Files { what: "standard output".into(), source })
    });
    match written {
        // Whoever reads it has seen enough.
        Err(GraphError::Files { source, .. })
            if source.kind() == std::io::ErrorKind::BrokenPipe =>
        {
            Ok(Exit::Held)
        }
        Err(error) => Err(failed_in(directory)(error)),
        Ok(()) => Ok(Exit::Held),
    }
}

#[cfg(test)]
mod tests {
    use wavetank_store::{BackupError, DiskError, FileKind, FileName, StoreError};

    use super::*;

    #[test]
    fn a_full_disk_may_pass_and_other_failures_may_not() {
        let exit = |error| {
            let file = FileName::live(FileKind::Nodes);
            let error = StoreError::Disk { operation: "write", file, error };
            failed(&GraphError::Backup(BackupError::Target(error))).exit
        };
        assert_eq!(exit(DiskError::NoSpace), Exit::Surroundings);
        assert_eq!(exit(DiskError::Io), Exit::Input);
        assert_eq!(failed(&GraphError::InUse("graph".into())).exit, Exit::Surroundings);
    }
}
