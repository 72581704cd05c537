//! `--set KEY=VALUE`: values put into a scenario's tree before it is read, so that they meet
//! the same checks as if they stood in the file.

use crate::errors::{Place, Problem};
use crate::keys::{Kind, ROOT, Table};
use crate::section::nearest;
use crate::settings::{KNOWN, Setting};
use crate::tree::{Entry, Node, Value};
use crate::units::brief;

/// Puts one setting into the tree; `source` is the number of its text.
pub(crate) fn set(root: &mut Node, text: &str, source: usize) -> Result<(), Problem> {
    let whole = Place::new(source, 0..text.len());
    let Some((key, value)) = text.split_once('=') else {
        return Err(Problem::new("--set takes KEY=VALUE", whole, "there is no `=` in it")
            .help("for example --set ha.pull_interval=500ms"));
    };
    let start = key.len() + 1;
    let key_place = Place::new(source, 0..key.len());
    let node = Node::bare(value.trim(), Place::new(source, start..text.len()));
    // Quotes around a part, as TOML wants them, are not part of the name.
    let unquoted = key.trim().replace(['"', '\''], "");
    place(root, &unquoted, key_place, node)
}

/// Puts a value under one of Neo4j's settings, or under a path into the scenario.
pub(crate) fn place(
    root: &mut Node,
    key: &str,
    key_place: Place,
    node: Node,
) -> Result<(), Problem> {
    let first = key.split('.').next().unwrap_or_default();
    let (path, last): (Vec<&str>, &str) = if Setting::by_name(key).is_some()
        || KNOWN.iter().any(|(known, _)| *known == key)
    {
        (vec!["cluster", "settings"], key)
    } else if ROOT.key(first).is_some() {
        match key.strip_prefix("cluster.settings.") {
            Some(setting) => (vec!["cluster", "settings"], setting),
            None => match key.rsplit_once('.') {
                Some((path, last)) => (path.split('.').collect(), last),
                None => (Vec::new(), key),
            },
        }
    } else {
        let names = Setting::names().chain(ROOT.keys.iter().map(|key| key.name));
        let problem =
            Problem::new(format!("unknown key `{}`", brief(key)), key_place, "no setting or key");
        return Err(match nearest(key, names) {
            Some(near) => problem.help(format!("a similar name is `{near}`")),
            None => problem.help(match table_with(key.rsplit('.').next().unwrap_or_default()) {
                Some(path) => format!("the scenario has `{path}`"),
                None => "a setting such as ha.pull_interval, or a path such as clients.app.timeout"
                    .into(),
            }),
        });
    };
    put(root, Some(&ROOT), &path, last, node, key_place)
}

/// The path to a key that stands in one of the scenario's tables.
fn table_with(last: &str) -> Option<String> {
    ROOT.keys.iter().find_map(|key| {
        let (table, step) = match &key.kind {
            Kind::Table(table) | Kind::NameOr(table) => (table, ""),
            Kind::Tables(table) => (table, if has_names(table) { ".NAME" } else { ".NUMBER" }),
            _ => return None,
        };
        table.key(last).map(|_| format!("{}{step}.{last}", key.name))
    })
}

fn has_names(table: &Table) -> bool {
    table.key("name").is_some()
}

/// Goes down the path, making tables that are missing, and puts the value there.
fn put(
    node: &mut Node,
    spec: Option<&'static Table>,
    path: &[&str],
    last: &str,
    value: Node,
    key_place: Place,
) -> Result<(), Problem> {
    let Value::Table(entries) = &mut node.value else {
        let label = format!("it is {}", node.describe());
        return Err(Problem::new("there is no table to set this in", key_place, label));
    };
    let Some((step, rest)) = path.split_first() else {
        match entries.iter_mut().find(|entry| entry.key == last) {
            Some(entry) => {
                entry.node = value;
                entry.key_place = key_place;
            }
            None => entries.push(Entry { key: last.into(), key_place, node: value }),
        }
        return Ok(());
    };
    let kind = spec.and_then(|spec| spec.key(step)).map(|key| &key.kind);
    let below = match kind {
        Some(Kind::Table(table) | Kind::NameOr(table) | Kind::Tables(table)) => Some(*table),
        _ => None,
    };
    let index = match entries.iter().position(|entry| entry.key == *step) {
        Some(index) => index,
        None if matches!(kind, Some(Kind::Tables(_))) => {
            let label = format!("the scenario has no [[{step}]]");
            return Err(Problem::new(format!("there is no `{}`", brief(step)), key_place, label));
        }
        None => {
            let node = Node::empty_table(key_place);
            entries.push(Entry { key: (*step).into(), key_place, node });
            entries.len() - 1
        }
    };
    let child = &mut entries[index].node;
    if !matches!(kind, Some(Kind::Tables(_))) {
        return put(child, below, rest, last, value, key_place);
    }
    // A list of one table needs no number.
    let next = rest.first().copied().unwrap_or(last);
    let is_key = below.is_some_and(|table| table.key(next).is_some());
    if is_key && let Some(only) = only(child, next) {
        return put(only, below, rest, last, value, key_place);
    }
    let (chosen, rest) = match rest.split_first() {
        Some((chosen, rest)) => (*chosen, rest),
        None => {
            let named = below.is_some_and(has_names);
            let name = if named { format!("{step}.NAME.{last} or ") } else { String::new() };
            let label = format!("which [[{step}]]? Write {name}{step}.NUMBER.{last}");
            return Err(Problem::new("a step is missing on the way", key_place, label));
        }
    };
    let known = names(child);
    let element = element(child, chosen).ok_or_else(|| {
        let label = "no table has this name, and none this number (they count from 1)";
        let title = format!("there is no [[{step}]] `{}`", brief(chosen));
        let problem = Problem::new(title, key_place, label);
        match nearest(chosen, known.iter().map(String::as_str)) {
            Some(near) => problem.help(format!("a similar name is `{near}`")),
            None => problem,
        }
    })?;
    put(element, below, rest, last, value, key_place)
}

/// The names of the tables of a list.
fn names(list: &Node) -> Vec<String> {
    let Value::List(items) = &list.value else { return Vec::new() };
    let name = |node: &Node| match &node.value {
        Value::Table(entries) => entries
            .iter()
            .find(|entry| entry.key == "name")
            .and_then(|entry| entry.node.text().map(str::to_owned)),
        _ => None,
    };
    items.iter().filter_map(name).collect()
}

/// The table of a list that has no other, unless that is its name.
fn only<'n>(list: &'n mut Node, name: &str) -> Option<&'n mut Node> {
    if names(list).iter().any(|known| known == name) {
        return None;
    }
    let Value::List(items) = &mut list.value else { return None };
    if let [only] = items.as_mut_slice() { Some(only) } else { None }
}

/// The table of a list that has this name or, counted from 1, this number.
fn element<'n>(list: &'n mut Node, chosen: &str) -> Option<&'n mut Node> {
    let Value::List(items) = &mut list.value else { return None };
    let named = |node: &Node| match &node.value {
        Value::Table(entries) => {
            entries.iter().any(|entry| entry.key == "name" && entry.node.text() == Some(chosen))
        }
        _ => false,
    };
    let number = chosen.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let index = items.iter().position(named).or(number)?;
    items.get_mut(index)
}
