//! Real input, read where it lies (`../shared/data`, or `WAVETANK_DATA`): a test that does
//! not find it says so and passes.

#![expect(clippy::print_stderr, reason = "what was skipped, and the figure, are told")]

mod support;

use std::path::PathBuf;

use support::{Folder, run};
use wavetank_vocabulary::Ratio;
use wavetank_world::{BaseGraph, EdgeList, GraphModel, GraphPlan, GraphSource};

fn data(file: &str) -> Option<PathBuf> {
    let root = std::env::var_os("WAVETANK_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let path = root.join(file);
    if !path.is_file() {
        eprintln!("SKIPPED: {} is not here (set WAVETANK_DATA)", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn a_run_on_the_facebook_graph_counts_it() {
    let Some(graph) = data("graphs/facebook_combined.txt.gz") else { return };
    let scenario = format!(
        r#"
format = 1
about = "A real social graph."
duration = "20s"
warm_up = "10s"

[cluster.settings]
"ha.pull_interval" = "500ms"

[[group]]
count = 3
machine = "aws:r3.xlarge"
volume = {{ size = "300GB" }}

[graph]
edges = "{}"

[[clients]]
name = "app"
arrivals = {{ poisson = "100/s" }}
workload = "social"
mix = {{ home_stream = 80, follow = 20 }}

[[expect]]
check = "replicas-equal"
"#,
        graph.canonicalize().unwrap().display()
    );
    let folder = Folder::with("real.toml", &scenario);
    let done = run(&["run", &folder.path("real.toml"), "--json", "--out", &folder.path("out")]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let json: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(json["graph"]["nodes"], 4039);
    assert_eq!(json["graph"]["relationships"], 88_234);
    let report = std::fs::read_to_string(folder.path("out/report.html")).unwrap();
    assert!(report.contains("4,039") && report.contains("88,234"));
}

fn degrees(edges: &EdgeList) -> Vec<u32> {
    let mut degrees = vec![0u32; edges.nodes as usize];
    for (from, to) in &edges.edges {
        degrees[*from as usize] += 1;
        degrees[*to as usize] += 1;
    }
    degrees.sort_unstable();
    degrees
}

/// Kolmogorov and Smirnov's distance of two samples.
fn distance(a: &[u32], b: &[u32]) -> f64 {
    let below = |sample: &[u32], degree| {
        sample.partition_point(|d| *d <= degree) as f64 / sample.len() as f64
    };
    a.iter()
        .chain(b)
        .map(|degree| (below(a, *degree) - below(b, *degree)).abs())
        .fold(0.0, f64::max)
}

#[test]
fn the_generator_follows_the_degrees_of_ego_facebook() {
    let Some(path) = data("graphs/facebook_combined.txt.gz") else { return };
    let bytes = std::fs::read(path).unwrap();
    let real = degrees(&wavetank_scenario::parse_edges(&bytes).unwrap().list);
    let mut worst: f64 = 0.0;
    for seed in 1..=5 {
        let source = GraphSource::Social { users: 4039, mean_follows: Ratio::new(2184, 100) };
        let graph = BaseGraph::build(&GraphPlan {
            seed,
            source,
            model: GraphModel::MonolithicNode,
            properties: Vec::new(),
            unique: Vec::new(),
            names: Vec::new(),
        });
        worst = worst.max(distance(&degrees(&graph.edges), &real));
    }
    eprintln!("largest distance of five generated graphs: {worst:.4}");
    assert!(worst < 0.03, "{worst}");
}
