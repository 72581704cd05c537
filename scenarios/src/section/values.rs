//! One method for each kind of value that a key takes.

use wavetank_world::{Members, SeedRule};

use super::*;

/// Length that a name may have.
const LONGEST_NAME: usize = 64;

/// Weights by name, each name with its place.
pub(crate) type Weights = Vec<(At<String>, u32)>;

/// What each kind is called in messages, with an example.
fn wants(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text in quotes".into(),
        Kind::NameOr(_) => "a name in quotes, or a table".into(),
        Kind::Name => "a name of letters, digits, `-` and `_`".into(),
        Kind::Pair => "a list of two names".into(),
        Kind::Flag => "true or false".into(),
        Kind::Count(..) => "a whole number".into(),
        Kind::Counts(_) => "a list of whole numbers".into(),
        Kind::Time(..) => "a length of time such as \"30s\" or \"500ms\"".into(),
        Kind::Window(_) => "a time such as \"2m\", or a range such as \"1m..2m\"".into(),
        Kind::Size(..) => "a number of bytes such as \"300GB\" or \"30.5GiB\"".into(),
        Kind::Bandwidth => "a bandwidth such as \"1Gbit/s\" or \"100MB/s\"".into(),
        Kind::Windows(_) => "a list of ranges of time such as \"10s..20s\"".into(),
        Kind::Rate(_) => "a rate such as \"200/s\" or \"10/m\"".into(),
        Kind::Ratio(..) => "a number such as 0.5, or a fraction such as \"1/64\"".into(),
        Kind::Choice(now, _) => format!("one of {}", quoted(now)),
        Kind::Choices(names) => format!("a list of {}", quoted(names)),
        Kind::Distribution => "a length of time, or a distribution of them".into(),
        Kind::Target => crate::keys::TARGETS.into(),
        Kind::Seed => "a number, or a git commit hash in quotes".into(),
        Kind::Weights => "a table of weights".into(),
        Kind::Texts => "a list of texts".into(),
        Kind::Grid => "a table of lists".into(),
        Kind::SeedRule => "\"every\", \"any\" or a part such as \">= 95%\"".into(),
        Kind::Table(_) | Kind::Settings | Kind::Later | Kind::LaterTable(_) => "a table".into(),
        Kind::Tables(table) => format!("tables, each headed {}", table.name),
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

pub(super) fn this_is(node: &Node) -> Wrong {
    format!("this is {}", node.describe()).into()
}

pub(super) fn helped(label: impl Into<String>, help: impl Into<String>) -> Wrong {
    Wrong { label: label.into(), help: Some(help.into()), title: None }
}

fn text(node: &Node) -> Result<&str, Wrong> {
    node.text().ok_or_else(|| this_is(node))
}

fn out_of_range(label: String) -> Wrong {
    Wrong { label, help: None, title: Some("is out of range".into()) }
}

/// A quantity with its unit.
pub(super) fn quantity<T>(
    node: &Node,
    unit: &str,
    parse: fn(&str) -> Result<T, String>,
) -> Result<T, Wrong> {
    match (node.text(), &node.value) {
        (Some(text), _) => Ok(parse(text)?),
        (None, Value::Integer(digits)) => Err(helped(
            "this is a bare number",
            format!(
                "write it in quotes and with its unit, for example \"{}{unit}\"",
                brief(digits)
            ),
        )),
        _ => Err(this_is(node)),
    }
}

pub(crate) fn between<T: Ord>(
    value: T,
    low: &T,
    high: &T,
    show: impl Fn(&T) -> String,
) -> Result<T, Wrong> {
    if value < *low {
        Err(out_of_range(format!("it must be at least {}", show(low))))
    } else if value > *high {
        Err(out_of_range(format!("it must be at most {}", show(high))))
    } else {
        Ok(value)
    }
}

pub(crate) fn whole(node: &Node, low: u64, high: u64) -> Result<u64, Wrong> {
    let digits = match &node.value {
        Value::Integer(digits) => digits.as_str(),
        Value::Text(_) => return Err(helped("this is text", "write it without quotes")),
        _ => return Err(this_is(node)),
    };
    // What is longer than an i128 is out of every range, too.
    let limit = if digits.starts_with('-') { i128::MIN } else { i128::MAX };
    let number = digits.parse::<i128>().unwrap_or(limit);
    let number = between(number, &i128::from(low), &i128::from(high), i128::to_string)?;
    Ok(number as u64)
}

/// The digits of a number, in or out of quotes.
pub(crate) fn digits(node: &Node) -> Result<&str, Wrong> {
    match &node.value {
        Value::Integer(digits) | Value::Float(digits) => Ok(digits),
        _ => text(node),
    }
}

pub(super) fn real(node: &Node, most: f64) -> Result<f64, Wrong> {
    let number: f64 = digits(node)?.parse().map_err(|_| String::from("this is not a number"))?;
    if number.is_finite() && (0.0..=most).contains(&number) {
        Ok(number)
    } else {
        Err(out_of_range(format!("it must be between 0 and {most}")))
    }
}

fn name(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.is_empty() {
        Err(String::from("it is empty").into())
    } else if text.len() > LONGEST_NAME {
        Err(format!("it is longer than {LONGEST_NAME} characters").into())
    } else if let Some(c) = text.chars().find(|c| !allowed(*c)) {
        Err(format!("`{}` cannot stand in a name", brief(&c.to_string())).into())
    } else {
        Ok(text.to_string())
    }
}

pub(crate) fn one_of(
    node: &Node,
    now: &[&'static str],
    later: &[&'static str],
) -> Result<&'static str, Wrong> {
    let text = text(node)?;
    if let Some(found) = now.iter().find(|choice| **choice == text) {
        return Ok(found);
    }
    if later.contains(&text) {
        return Err(Wrong {
            label: "not in this version".into(),
            help: Some(format!("the language knows `{text}`, this version cannot do it yet")),
            title: Some("asks for what is not there yet".into()),
        });
    }
    match nearest(text, now.iter().chain(later).copied()) {
        Some(near) => Err(helped("no such name", format!("a similar name is \"{near}\""))),
        None => Err(String::from("no such name").into()),
    }
}

pub(super) fn items(node: &Node) -> Result<&[Node], Wrong> {
    match &node.value {
        Value::List(items) => Ok(items),
        _ => Err(this_is(node)),
    }
}

/// Who is hit, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    Is(Target),
    /// The instances of that data centre.
    Datacentre(String),
}

fn target(node: &Node) -> Result<Whom, Wrong> {
    match &node.value {
        Value::Integer(_) => {
            let number = whole(node, 1, u64::from(u16::MAX))?;
            return Ok(Whom::Is(Target::Instance(InstanceId(number as u16))));
        }
        Value::List(items) => {
            let mut members = Members::default();
            for item in items {
                members = members.with(InstanceId(whole(item, 1, 64)? as u16));
            }
            if members.is_empty() {
                return Err(String::from("this list is empty").into());
            }
            return Ok(Whom::Is(Target::Several(members)));
        }
        Value::Table(entries) => {
            return match entries.as_slice() {
                [one] if one.key == "datacentre" => Ok(Whom::Datacentre(name(&one.node)?)),
                _ => Err(helped("this is another table", "write { datacentre = \"NAME\" }")),
            };
        }
        _ => {}
    }
    let text = text(node)?;
    let names = [
        ("master", Target::Master),
        ("slave", Target::Slave),
        ("any", Target::Any),
        ("trigger", Target::Trigger),
        ("minority", Target::Minority),
        ("majority", Target::Majority),
        ("all", Target::All),
    ];
    match names.iter().find(|(name, _)| *name == text) {
        Some((_, target)) => Ok(Whom::Is(*target)),
        None => Err(match nearest(text, names.map(|(name, _)| name)) {
            Some(near) => helped("no such role", format!("a similar name is \"{near}\"")),
            None => String::from("no such role").into(),
        }),
    }
}

/// Reads a key for its problems alone; the kinds are those of the tables that cannot be
/// played yet.
pub(super) fn check(section: &Section<'_>, key: &'static Key) {
    match &key.kind {
        Kind::Text => drop(section.text(key.name)),
        Kind::Name => drop(section.name(key.name)),
        Kind::Time(..) => drop(section.span(key.name)),
        Kind::Rate(_) => drop(section.rate(key.name)),
        Kind::Choice(..) => drop(section.choice(key.name)),
        Kind::Texts => drop(section.read(key.name, wants, |node, _| {
            items(node)?.iter().map(|item| text(item).map(drop)).collect::<Result<Vec<_>, _>>()
        })),
        _ => section.mismatch(key.name),
    }
}

fn seed_rule(node: &Node) -> Result<SeedRule, Wrong> {
    match text(node)? {
        "every" => Ok(SeedRule::Every),
        "any" => Ok(SeedRule::Any),
        rule => {
            let Some(part) = rule.strip_prefix(">=") else {
                return Err(match nearest(rule, ["every", "any"]) {
                    Some(near) => helped("no such rule", format!("a similar one is \"{near}\"")),
                    None => String::from("no such rule").into(),
                });
            };
            let part = units::ratio(part)?;
            if part.numerator == 0 || part.numerator > part.denominator {
                return Err(out_of_range("it must be more than 0 and at most 100 %".into()));
            }
            Ok(SeedRule::AtLeast(part))
        }
    }
}

impl<'a> Section<'a> {
    pub(crate) fn seed_rule(&self, key: &str) -> Option<At<SeedRule>> {
        self.read(key, wants, |node, _| seed_rule(node))
    }

    pub(crate) fn text(&self, key: &str) -> Option<At<String>> {
        self.read(key, wants, |node, _| text(node).map(String::from))
    }

    pub(crate) fn name(&self, key: &str) -> Option<At<String>> {
        self.read(key, wants, |node, _| name(node))
    }

    pub(crate) fn pair(&self, key: &str) -> Option<At<[At<String>; 2]>> {
        let one = |item: &Node| Ok::<_, Wrong>(At { value: name(item)?, place: item.place });
        self.read(key, wants, |node, _| match items(node)? {
            [a, b] => Ok([one(a)?, one(b)?]),
            list => Err(format!("this is a list of {}", list.len()).into()),
        })
    }

    pub(crate) fn flag(&self, key: &str) -> Option<At<bool>> {
        self.read(key, wants, |node, _| match node.value {
            Value::Flag(flag) => Ok(flag),
            _ => Err(this_is(node)),
        })
    }

    pub(crate) fn count(&self, key: &str) -> Option<At<u64>> {
        self.read(key, wants, |node, kind| match *kind {
            Kind::Count(low, high) => whole(node, low, high),
            _ => self.mismatch(key),
        })
    }

    pub(crate) fn counts(&self, key: &str) -> Option<At<Vec<u64>>> {
        self.read(key, wants, |node, kind| match *kind {
            Kind::Counts(most) => items(node)?.iter().map(|item| whole(item, 0, most)).collect(),
            _ => self.mismatch(key),
        })
    }

    /// A list of texts, each with its place.
    pub(crate) fn texts(&self, key: &str) -> Option<At<Vec<At<String>>>> {
        self.read(key, wants, |node, _| {
            let one = |item: &Node| {
                Ok::<_, Wrong>(At { value: text(item)?.to_string(), place: item.place })
            };
            items(node)?.iter().map(one).collect()
        })
    }

    pub(crate) fn span(&self, key: &str) -> Option<At<Span>> {
        self.read(key, wants, |node, kind| match kind {
            Kind::Time(low, high) => {
                between(quantity(node, "s", units::span)?, low, high, Span::to_string)
            }
            _ => self.mismatch(key),
        })
    }

    /// Ranges of time.
    pub(crate) fn windows(&self, key: &str) -> Option<At<Vec<(Span, Span)>>> {
        self.read(key, wants, |node, kind| {
            let Kind::Windows(most) = kind else { self.mismatch(key) };
            let one = |item: &Node| -> Result<(Span, Span), Wrong> {
                let Some((from, to)) = text(item)?.split_once("..") else {
                    return Err(String::from("this is no range").into());
                };
                let (from, to) = (units::span(from)?, units::span(to)?);
                let to = between(to, &Span::ZERO, most, Span::to_string)?;
                if from >= to {
                    return Err(String::from("this range is empty").into());
                }
                Ok((from, to))
            };
            items(node)?.iter().map(one).collect()
        })
    }

    pub(crate) fn drawn(&self, key: &str) -> Option<At<Drawn>> {
        self.read(key, wants, |node, kind| {
            let Kind::Window(most) = kind else { self.mismatch(key) };
            let one = |text: &str| -> Result<Span, Wrong> {
                between(units::span(text)?, &Span::ZERO, most, Span::to_string)
            };
            let (low, high) = match node.text().and_then(|text| text.split_once("..")) {
                Some((low, high)) => (one(low)?, one(high)?),
                None => {
                    let span = between(
                        quantity(node, "s", units::span)?,
                        &Span::ZERO,
                        most,
                        Span::to_string,
                    )?;
                    (span, span)
                }
            };
            if low > high {
                return Err(String::from("the range ends before it begins").into());
            }
            Ok(Drawn { low, high })
        })
    }

    pub(crate) fn size(&self, key: &str) -> Option<At<Bytes>> {
        self.read(key, wants, |node, kind| match kind {
            Kind::Size(low, high) => {
                between(quantity(node, "GB", units::bytes)?, low, high, |b| units::bytes_text(*b))
            }
            _ => self.mismatch(key),
        })
    }

    pub(crate) fn bandwidth(&self, key: &str) -> Option<At<Bytes>> {
        self.read(key, wants, |node, _| {
            let most = Bytes(1_000_000_000_000);
            between(quantity(node, "MB/s", units::bandwidth)?, &Bytes(1), &most, |b| {
                format!("{}/s", units::decimal_bytes_text(*b))
            })
        })
    }

    pub(crate) fn rate(&self, key: &str) -> Option<At<Rate>> {
        self.read(key, wants, |node, kind| match kind {
            Kind::Rate(most) => {
                between(quantity(node, "/s", units::rate)?, &Rate::from_micros(1), most, |rate| {
                    units::rate_text(*rate)
                })
            }
            _ => self.mismatch(key),
        })
    }

    pub(crate) fn ratio(&self, key: &str) -> Option<At<Ratio>> {
        self.read(key, wants, |node, kind| {
            let Kind::Ratio(low, high) = *kind else { self.mismatch(key) };
            let ratio = units::ratio(digits(node)?)?;
            let (upper, lower) = (u64::from(ratio.numerator), u64::from(ratio.denominator));
            if upper < lower * u64::from(low) {
                Err(out_of_range(format!("it must be at least {low}")))
            } else if upper > lower * u64::from(high) {
                Err(out_of_range(format!("it must be at most {high}")))
            } else {
                Ok(ratio)
            }
        })
    }

    pub(crate) fn choice(&self, key: &str) -> Option<At<&'static str>> {
        self.read(key, wants, |node, kind| match *kind {
            Kind::Choice(now, later) => one_of(node, now, later),
            _ => self.mismatch(key),
        })
    }

    /// A list of names, each at most once.
    pub(crate) fn choices(&self, key: &str) -> Option<At<Vec<&'static str>>> {
        self.read(key, wants, |node, kind| {
            let Kind::Choices(names) = *kind else { self.mismatch(key) };
            let mut chosen = Vec::new();
            for item in items(node)? {
                let name = one_of(item, names, &[])?;
                if chosen.contains(&name) {
                    return Err(format!("\"{name}\" stands in it twice").into());
                }
                chosen.push(name);
            }
            Ok(chosen)
        })
    }

    pub(crate) fn target(&self, key: &str) -> Option<At<Whom>> {
        self.read(key, wants, |node, _| target(node))
    }

    pub(crate) fn seed(&self, key: &str) -> Option<At<u64>> {
        self.read(key, wants, |node, _| {
            let digits = digits(node)?;
            units::parse_seed(digits).map_err(|_| {
                helped(
                    "not a seed",
                    "a seed is a number from 0 to 18446744073709551615, or 7 to 40 hexadecimal digits",
                )
            })
        })
    }

    /// A table of weights: the entries, with the place of each name.
    pub(crate) fn weights(&self, key: &str) -> Option<At<Weights>> {
        self.read(key, wants, |node, _| {
            let Value::Table(entries) = &node.value else { return Err(this_is(node)) };
            entries
                .iter()
                .map(|entry| {
                    let weight = whole(&entry.node, 0, 1_000_000_000).map_err(|wrong| Wrong {
                        label: format!("{}: {}", brief(&entry.key), wrong.label),
                        ..wrong
                    })?;
                    Ok((At { value: entry.key.clone(), place: entry.key_place }, weight as u32))
                })
                .collect()
        })
    }

    /// The settings table as it stands: (key, its place, value).
    pub(crate) fn settings(&self, key: &str) -> Vec<Entry> {
        let read = self.read(key, wants, |node, _| match &node.value {
            Value::Table(entries) => Ok(entries.clone()),
            _ => Err(this_is(node)),
        });
        read.map(|at| at.value).unwrap_or_default()
    }

    pub(crate) fn distribution(&self, key: &str) -> Option<At<Distribution>> {
        self.read(key, wants, |node, _| distribution::read(node))
    }

    /// The table under a key; an empty one where there is none and none is needed.
    pub(crate) fn table_or_empty(&self, key: &str) -> Section<'a> {
        self.table(key).unwrap_or_else(|| self.empty(key))
    }

    /// A table of this key in which nothing is written, so that defaults hold.
    pub(crate) fn empty(&self, key: &str) -> Section<'a> {
        let (Kind::Table(spec) | Kind::NameOr(spec) | Kind::Tables(spec)) = self.key(key).kind
        else {
            self.mismatch(key)
        };
        Section { spec, place: self.place, entries: Vec::new(), findings: self.findings }
    }

    /// The table under a key.
    pub(crate) fn table(&self, key: &str) -> Option<Section<'a>> {
        let (spec, node) = self.node(key)?;
        let (Kind::Table(table) | Kind::NameOr(table)) = &spec.kind else { self.mismatch(key) };
        if !matches!(node.value, Value::Table(_)) {
            let first = table.keys.first().map_or("", |key| key.name);
            let wrong =
                helped(this_is(&node).label, format!("write it as {key} = {{ {first} = ... }}"));
            self.findings.add(wrong.problem(key, "a table", node.place));
            return None;
        }
        Some(Section::open(table, node.into_owned(), self.findings))
    }

    /// Whether a table stands where a name might, too.
    pub(crate) fn is_table(&self, key: &str) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.key == key && matches!(entry.node.value, Value::Table(_)))
    }

    /// The tables under a key.
    pub(crate) fn tables(&self, key: &str) -> Vec<Section<'a>> {
        let Some((spec, node)) = self.node(key) else { return Vec::new() };
        let Kind::Tables(table) = &spec.kind else { self.mismatch(key) };
        match node.into_owned() {
            Node { value: Value::List(items), .. } => {
                items.into_iter().map(|item| Section::open(table, item, self.findings)).collect()
            }
            other => {
                let problem = Problem::new(
                    format!("`{key}` takes {}", wants(&spec.kind)),
                    other.place,
                    this_is(&other).label,
                );
                self.findings.add(problem.help(format!("write {}, with two brackets", table.name)));
                Vec::new()
            }
        }
    }
}
