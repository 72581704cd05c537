//! `wavetank list`: what there is, read off the tables that the parser reads by.

use wavetank_scenario::{
    CHECKS, FAULTS, LIBRARY, OPERATIONS, PROFILES, SETTINGS, WORKLOADS, parse, reference,
    settings_without_effect,
};
use wavetank_world::{Compat, Flaws, Settings, Trigger};

use super::{Failure, Listed, say};
use crate::exit::Exit;

pub(super) fn list(what: Listed) -> Result<Exit, Failure> {
    let text = match what {
        Listed::Settings => settings(),
        Listed::Checks => checks(),
        Listed::Faults => faults(),
        Listed::Flaws => flaws(),
        Listed::Profiles => profiles(),
        Listed::Operations => operations(),
        Listed::Scenarios => scenarios(),
        Listed::Reference => reference(),
    };
    say(&text);
    Ok(Exit::Held)
}

/// A paragraph, indented and no wider than a terminal of 80 columns.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        if width == 0 || width + 1 + word.len() > 80 {
            if width > 0 {
                lines.push('\n');
            }
            lines.push_str(&" ".repeat(indent));
            width = indent;
        } else {
            lines.push(' ');
            width += 1;
        }
        lines.push_str(word);
        width += word.len();
    }
    lines
}

fn settings() -> String {
    let mut text = String::from("Settings by Neo4j's names. Defaults are those of each compat.\n");
    for setting in SETTINGS {
        text += &format!("\n{}\n", setting.name);
        if !setting.also.is_empty() {
            text += &format!("    also: {}\n", setting.also.join(", "));
        }
        text += &format!("{}\n", wrapped(setting.about, 4));
        text += &format!("    takes: {}\n    since: Neo4j {}\n", setting.takes(), setting.since);
        let defaults = Compat::ALL.map(|compat| (compat.name(), setting.default(compat)));
        let (_, first) = &defaults[0];
        if defaults.iter().all(|(_, default)| default == first) {
            text += &format!("    default: {first}\n");
        } else {
            let each = defaults.map(|(name, default)| format!("{default} in {name}"));
            text += &format!("{}\n", wrapped(&format!("default: {}", each.join(", ")), 4));
        }
    }
    let known: Vec<&str> = settings_without_effect().collect();
    text += "\nKnown, and without effect here:\n\n";
    text += &wrapped(&known.join(", "), 4);
    text
}

fn checks() -> String {
    let mut text = String::from("What `check` of an [[expect]] can be.\n");
    for check in &CHECKS {
        text += &format!("\n{}\n{}\n", check.name, wrapped(check.about, 4));
        if !check.keys.is_empty() {
            text += &format!("    keys: {}\n", check.keys.join(", "));
        }
    }
    text
}

fn faults() -> String {
    let mut text = String::from("What can go wrong: a key of [[faults]], with whom it hits.\n\n");
    for (name, about) in FAULTS.iter() {
        text += &format!("  {name:<18}{}\n", wrapped(about, 20).trim_start());
    }
    text += "\nWho: an instance's number, a list of numbers, \"master\", \"slave\", \"any\",\n\
        \"trigger\", \"minority\", \"majority\", \"all\" or { datacentre = \"NAME\" }; of the\n\
        balancers' faults, a balancer's name.\n";
    text += "\nWhat `when` can wait for:\n\n";
    for (trigger, name) in Trigger::ALL {
        let state = if trigger.is_told() { "" } else { " (an instance is in the middle of it)" };
        text += &format!("  {name}{state}\n");
    }
    text
}

fn flaws() -> String {
    let mut text = String::from(
        "Flaws of old releases: names for `flaws` of [cluster]. All are off, but for\n\
         those that a compat has.\n",
    );
    for (flaw, name, source, about) in Flaws::ALL {
        text += &format!("\n{name} ({source})\n{}\n", wrapped(about, 4));
        let has = |compat: &&Compat| Settings::defaults(**compat).cluster.flaws.contains(*flaw);
        for compat in Compat::ALL.iter().filter(has) {
            text += &format!("    on in compat {}\n", compat.name());
        }
    }
    text
}

fn profiles() -> String {
    let mut text = String::from("Machines by name.\n\n");
    text += &format!("  {:<16}{:>5}  {:>9}  disk when EBS-optimised\n", "name", "cores", "memory");
    for profile in PROFILES {
        let disk = profile.disk_mbit.map_or("not on offer".into(), |mbit| format!("{mbit} Mbit/s"));
        let memory = profile.memory.to_string();
        text += &format!("  {:<16}{:>5}  {memory:>9}  {disk}\n", profile.name, profile.cores);
    }
    text
}

fn operations() -> String {
    let mut text = String::from(
        "Operations of the workloads, as [[operation]] would define them. Of several\n\
         patterns the first is the default.\n",
    );
    for workload in WORKLOADS.iter() {
        let mix: Vec<String> =
            workload.mix.iter().map(|(name, weight)| format!("{name} = {weight}")).collect();
        let mix = wrapped(&format!("mix = {{ {} }}", mix.join(", ")), 4);
        text += &format!("\nworkload = \"{}\"\n{mix}\n", workload.name);
        for operation in OPERATIONS.iter().filter(|known| known.workload == workload.name) {
            let program = &operation.program;
            text += &format!("\n  {}", program.name);
            if let Some(pattern) = &operation.pattern {
                text += &format!(", pattern = \"{pattern}\"");
            }
            if let Some(model) = operation.model {
                text += &format!(", model = \"{}\"", model.name());
            }
            text += &format!("\n{}\n", wrapped(&program.about, 4));
            for statement in &program.source {
                let steps: Vec<&str> = statement.split(';').map(str::trim).collect();
                text += &format!("{}\n", wrapped(&steps.join("; "), 6));
            }
        }
    }
    text
}

fn scenarios() -> String {
    let mut text = String::from("Scenarios of the library; `wavetank run NAME` plays one.\n");
    for builtin in LIBRARY {
        // The library is parsed by this crate's own tests.
        let about = parse(builtin.name, builtin.text)
            .map_or_else(|_| String::new(), |scenario| scenario.about().to_owned());
        text += &format!("\n{}\n{}\n", builtin.name, wrapped(&about, 4));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_list_is_wider_than_a_terminal() {
        let all = [settings(), checks(), faults(), flaws(), profiles(), scenarios(), operations()];
        for text in all {
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
        }
    }

    #[test]
    fn lists_name_what_there_is() {
        assert!(settings().contains("ha.pull_interval"));
        assert!(settings().contains("40s in 3.2"), "{}", settings());
        assert!(faults().contains("misdirected-write ") && faults().contains("store-copy begins"));
        assert!(flaws().contains("stale-epochs (PR #1813") && flaws().contains("in compat 2.3.0"));
        assert!(operations().contains("follow, pattern = \"double-checked\""));
        assert!(scenarios().contains("The master loses power under load"));
    }
}
