//! `profile`: a file of figures measured on a machine, which come in place of the scenario's.

use std::path::Path;

use wavetank_kernel::Distribution;
use wavetank_vocabulary::Bytes;
use wavetank_world::{CostTable, Plan};

use super::{cost_table, or};
use crate::errors::{Problem, Source};
use crate::keys::PROFILE;
use crate::scenario::Reader;
use crate::section::{At, Section};
use crate::tree::{LONGEST, Node};

/// What a profile says; what it does not say stays the scenario's.
pub(super) struct Profile {
    machine: String,
    cores: Option<u32>,
    costs: Option<CostTable>,
    iops: Option<u32>,
    throughput: Option<Bytes>,
    access: Option<Distribution>,
    sync: Option<Distribution>,
    latency: Option<Distribution>,
    bandwidth: Option<Bytes>,
}

/// Reads the file that the scenario names, if it does; its text is added to the sources. A path
/// in the file is relative to the scenario, one of `--set` to where the command is run.
pub(super) fn read(
    top: &Section<'_>,
    directory: &Path,
    sources: &mut Vec<Source>,
    read: Reader<'_>,
) -> Option<Profile> {
    let At { value, place } = top.text("profile")?;
    let set = sources.get(place.source).is_some_and(|source| source.name == "--set");
    let file = if set { value.into() } else { directory.join(value) };
    let refuse = |title: &str, why: String| {
        top.note(title, place, format!("{}: {why}", file.display()));
    };
    let bytes = match read(&file) {
        Ok(bytes) if bytes.len() > LONGEST => {
            refuse("the profile cannot be used", format!("it has {} bytes", bytes.len()));
            return None;
        }
        Ok(bytes) => bytes,
        Err(error) => {
            refuse("the profile cannot be read", error.to_string());
            return None;
        }
    };
    let Ok(text) = String::from_utf8(bytes) else {
        refuse("the profile cannot be used", "this is no text".into());
        return None;
    };
    let number = sources.len();
    let root = Node::document(&text, number);
    sources.push(Source { name: file.display().to_string(), text, first_line: 1 });
    let root = match root {
        Ok(root) => root,
        Err(problems) => {
            problems.into_iter().for_each(|problem| top.findings().add(problem));
            return None;
        }
    };
    let section = Section::open(&PROFILE, root, top.findings());
    // Read so that a wrong one is noted.
    let _about = section.text("about");
    let machine = section.table_or_empty("machine");
    let volume = section.table_or_empty("volume");
    let network = section.table_or_empty("network");
    let costs = section.table("costs").map(|costs| cost_table(&costs));
    if let (Some(_), Some(place)) = (&costs, top.has("costs")) {
        top.findings().add(
            Problem::warning("these costs have no effect", place, "the profile has others")
                .help("leave out either `[costs]` or `profile`"),
        );
    }
    let cores = machine.count("cores").map(|at| at.value as u32);
    Some(Profile {
        machine: or(machine.text("name"), String::new()),
        cores,
        costs,
        iops: volume.count("iops").map(|at| at.value as u32),
        throughput: volume.bandwidth("throughput").map(|at| at.value),
        access: volume.distribution("access").map(|at| at.value),
        sync: volume.distribution("sync").map(|at| at.value),
        latency: network.distribution("latency").map(|at| at.value),
        bandwidth: network.bandwidth("bandwidth").map(|at| at.value),
    })
}

impl Profile {
    /// Puts its figures in place of the Plan's.
    pub(super) fn apply(self, plan: &mut Plan) {
        for instance in &mut plan.instances {
            if let Some(cores) = self.cores {
                instance.cores = cores;
                instance.machine.clone_from(&self.machine);
            }
            let volume = &mut instance.volume;
            volume.iops = self.iops.unwrap_or(volume.iops);
            volume.throughput = self.throughput.unwrap_or(volume.throughput);
            volume.access = self.access.unwrap_or(volume.access);
            volume.sync = self.sync.unwrap_or(volume.sync);
        }
        plan.network.local = self.latency.unwrap_or(plan.network.local);
        plan.network.bandwidth = self.bandwidth.unwrap_or(plan.network.bandwidth);
        if let Some(costs) = self.costs {
            plan.costs = costs;
        }
    }
}
