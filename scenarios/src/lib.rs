//! The scenario language: what a person writes, read with errors that point at the spot, and
//! turned into the [`Plan`] that the world plays. [`to_text`] writes a Plan as a scenario.
//!
//! ```
//! let text = r#"
//! format = 1
//! duration = "2m"
//!
//! [[group]]
//! count = 3
//! machine = "aws:r3.xlarge"
//!
//! [[faults]]
//! at = "30s..60s"
//! crash = "master"
//! for = "20s"
//! "#;
//! let scenario = wavetank_scenario::parse("crash.toml", text)?;
//! let plan = scenario.draw(7, &mut |path| std::fs::read(path))?;
//! assert_eq!(plan.instances.len(), 3);
//!
//! // A Plan is a scenario in which nothing is left to draw.
//! let written = wavetank_scenario::to_text(&plan);
//! let again = wavetank_scenario::parse("crash.toml", &written)?;
//! assert_eq!(again.draw(7, &mut |path| std::fs::read(path))?, plan);
//! # Ok::<(), wavetank_scenario::Errors>(())
//! ```
//!
//! The way of a file: `tree` (TOML, with places) → `overlay` (`--set`) → `read`, which walks
//! it with `section`s against the table of `keys` → [`Scenario`] → [`Scenario::draw`] → Plan.

mod brief;
mod checks;
mod edges;
mod errors;
mod keys;
mod library;
mod nemesis;
mod overlay;
mod profiles;
mod properties;
mod read;
mod reference;
mod scenario;
mod schema;
mod section;
mod settings;
mod steps;
mod text;
mod tree;
mod units;
mod workloads;

pub use brief::to_brief_text;
pub use checks::{CHECKS, Check};
pub use edges::{EdgeError, LoadedEdges, parse as parse_edges};
pub use errors::{Errors, Warnings};
pub use keys::{FAULTS, Key, Kind, Need, PROFILE, ROOT, Table};
pub use library::{Builtin, FIRST, LIBRARY, builtin, builtin_folder, nearest_builtin};
pub use profiles::{PROFILES, Profile};
pub use reference::reference;
pub use scenario::{Reader, Scenario, SettingOrigin, SweepPlan, parse, parse_with};
pub use schema::json_schema;
pub use section::nearest;
pub use settings::without_effect as settings_without_effect;
pub use settings::{SETTINGS, Setting};
pub use steps::{StatementError, compile_statement};
pub use text::{seed_rule_text, to_text};
pub use tree::LONGEST as LONGEST_SCENARIO;
pub use units::{SeedError, parse_seed};
pub use wavetank_world::Plan;
pub use workloads::{ALL as WORKLOADS, OPERATIONS, Operation, Workload};
