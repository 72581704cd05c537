//! The one table of keys: every table and key of the scenario language, what it takes, its
//! default and what it means. The parser walks a file against it; unknown keys, ranges and
//! defaults all come from here.

mod tables;

use wavetank_vocabulary::{Bytes, Rate, Span};

use crate::units::{bytes_text, rate_text};

pub use tables::{PROFILE, ROOT};

/// What can go wrong: the keys of `[[faults]]` that say so, each with its sentence.
pub static FAULTS: std::sync::LazyLock<Vec<(&'static str, &'static str)>> =
    std::sync::LazyLock::new(tables::actions);
pub(crate) use tables::{ACTIONS, MOST_INSTANCES};

/// What a target may be, in words.
pub(crate) const TARGETS: &str = "an instance: its number, a list of numbers, \"master\", \"slave\", \"any\", \"trigger\", \"minority\", \"majority\", \"all\" or { datacentre = \"NAME\" }";

/// A table of the language.
#[derive(Debug)]
pub struct Table {
    /// As it is written, e.g. `[[group]]`.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Its keys, in the order in which people write them.
    pub keys: &'static [Key],
}

/// A key of a table.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds when it is left out.
    pub need: Need,
    /// One sentence.
    pub about: &'static str,
    /// The version of wavetank that it came with.
    pub since: &'static str,
}

/// What holds when a key is left out.
#[derive(Debug)]
pub enum Need {
    /// It must be there.
    Required,
    /// There is a rule for that case; the sentence of the key says which.
    Optional,
    /// This value, as it would be written, without quotes.
    Default(&'static str),
}

/// What a key takes.
#[derive(Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// A name of letters, digits, `-` and `_`.
    Name,
    /// A list of two names.
    Pair,
    /// `true` or `false`.
    Flag,
    /// A whole number in this range.
    Count(u64, u64),
    /// A list of whole numbers up to this.
    Counts(u64),
    /// A list of texts.
    Texts,
    /// A table of lists by name.
    Grid,
    /// A length of time in this range.
    Time(Span, Span),
    /// A length of time up to this, or a range to draw one from.
    Window(Span),
    /// A list of ranges of time up to this.
    Windows(Span),
    /// A number of bytes in this range.
    Size(Bytes, Bytes),
    /// Bits or bytes per second.
    Bandwidth,
    /// Events per time, more than zero, up to this.
    Rate(Rate),
    /// A fraction in this range.
    Ratio(u32, u32),
    /// One of the first names; the second ones are known and not there yet.
    Choice(&'static [&'static str], &'static [&'static str]),
    /// A list of these names.
    Choices(&'static [&'static str]),
    /// A distribution of lengths of time.
    Distribution,
    /// How many seeds of a campaign something must hold for.
    SeedRule,
    /// An instance: its number, or a role.
    Target,
    /// A number or a git commit hash.
    Seed,
    /// A table of weights by name.
    Weights,
    /// A name, or this table.
    NameOr(&'static Table),
    /// This table.
    Table(&'static Table),
    /// Any number of these tables.
    Tables(&'static Table),
    /// Settings by Neo4j's names.
    Settings,
    /// Part of the language, but not of this version.
    Later,
    /// A table, or any number of them, that is read and cannot be played by this version.
    LaterTable(&'static Table),
}

impl Table {
    /// The key of that name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Kind {
    /// What it takes, with its range, in a few words.
    pub fn takes(&self) -> String {
        let quoted = |names: &[&str]| {
            names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
        };
        match self {
            Kind::Text => "text".into(),
            Kind::Name => "a name".into(),
            Kind::Pair => "a list of two names".into(),
            Kind::Flag => "true or false".into(),
            Kind::Count(low, u64::MAX) => format!("a whole number, at least {low}"),
            Kind::Count(low, high) => format!("a whole number, {low} to {high}"),
            Kind::Counts(_) => "a list of whole numbers".into(),
            Kind::Texts => "a list of texts".into(),
            Kind::Grid => "a table of lists".into(),
            Kind::Time(low, high) => format!("a time, {low} to {high}"),
            Kind::Window(high) => format!("a time or a range of times, up to {high}"),
            Kind::Windows(_) => "a list of ranges of time".into(),
            Kind::Size(low, high) => {
                format!("a size, {} to {}", bytes_text(*low), bytes_text(*high))
            }
            Kind::Bandwidth => "a bandwidth".into(),
            Kind::Rate(most) => format!("a rate, up to {}", rate_text(*most)),
            Kind::Ratio(low, high) => format!("a ratio, {low} to {high}"),
            Kind::Choice(now, []) => quoted(now),
            Kind::Choice(now, later) => format!("{}; not yet: {}", quoted(now), quoted(later)),
            Kind::Choices(names) => format!("a list of {}", quoted(names)),
            Kind::Distribution => "a time or a distribution of times".into(),
            Kind::SeedRule => "\"every\", \"any\" or \">= 95%\"".into(),
            Kind::Target => TARGETS.into(),
            Kind::Seed => "a number or a git commit hash".into(),
            Kind::Weights => "a table of weights".into(),
            Kind::NameOr(table) => format!("a name, or a table {}", table.name),
            Kind::Table(table) => format!("the table {}", table.name),
            Kind::Tables(table) => format!("tables {}", table.name),
            Kind::Settings => "settings".into(),
            Kind::Later | Kind::LaterTable(_) => "not yet".into(),
        }
    }

    /// The table that it takes, if it takes one.
    pub fn table(&self) -> Option<&'static Table> {
        match self {
            Kind::NameOr(table)
            | Kind::Table(table)
            | Kind::Tables(table)
            | Kind::LaterTable(table) => Some(table),
            _ => None,
        }
    }
}
