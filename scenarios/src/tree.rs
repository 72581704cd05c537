//! TOML as a tree of our own, in which every key and value knows where it was written.
//!
//! Values given without quotes (`--set` and defaults) become the same nodes, so there is one
//! way from text to quantity.

use toml::de::{DeTable, DeValue};

use crate::errors::{Place, Problem};

/// A scenario of more than this many bytes is refused: it would be generated, and by mistake.
pub const LONGEST: usize = 4 << 20;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
    /// The text of a value that was written without quotes where TOML would want them.
    pub(crate) bare: Option<String>,
}

/// A TOML value. Numbers keep their digits.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Integer(String),
    Float(String),
    Flag(bool),
    Moment,
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) node: Node,
}

impl Node {
    /// Reads a whole document.
    pub(crate) fn document(text: &str, source: usize) -> Result<Node, Vec<Problem>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            let place = Place::new(source, 0..0);
            return Ok(Node {
                place,
                value: Value::Table(entries(table.get_ref(), source)),
                bare: None,
            });
        }
        Err(errors
            .iter()
            .map(|error| {
                let place = Place::new(source, error.span().unwrap_or(0..0));
                let message = error.message();
                let (title, label) = message.split_once(", ").unwrap_or((message, "here"));
                Problem::new(format!("this is not TOML: {title}"), place, label)
            })
            .collect())
    }

    /// Reads a value that may lack the quotes of TOML: what TOML does not understand is text.
    pub(crate) fn bare(text: &str, place: Place) -> Node {
        let value = match DeValue::parse(text) {
            Ok(value) => Node::from_toml(value.get_ref(), place).value,
            Err(_) => Value::Text(text.to_string()),
        };
        let mut node = Node { place, value, bare: Some(text.to_string()) };
        node.move_to(place);
        node
    }

    /// A table without entries.
    pub(crate) fn empty_table(place: Place) -> Node {
        Node { place, value: Value::Table(Vec::new()), bare: None }
    }

    /// What the value is, for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "text",
            Value::Integer(_) => "a bare number",
            Value::Float(_) => "a bare number with decimals",
            Value::Flag(_) => "true or false",
            Value::Moment => "a date or time of day",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// The text of a string, or of anything that was written without quotes.
    pub(crate) fn text(&self) -> Option<&str> {
        match (&self.value, &self.bare) {
            (Value::Text(text), _) => Some(text),
            (Value::List(_) | Value::Table(_), _) => None,
            (_, bare) => bare.as_deref(),
        }
    }

    fn from_toml(value: &DeValue<'_>, place: Place) -> Node {
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) if number.radix() == 10 => {
                Value::Integer(number.as_str().trim_start_matches('+').to_string())
            }
            DeValue::Integer(number) => {
                match u128::from_str_radix(number.as_str(), number.radix()) {
                    Ok(value) => Value::Integer(value.to_string()),
                    // Longer than any range allows.
                    Err(_) => Value::Integer(u128::MAX.to_string()),
                }
            }
            DeValue::Float(number) => {
                Value::Float(number.as_str().trim_start_matches('+').to_string())
            }
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Datetime(_) => Value::Moment,
            DeValue::Array(items) => Value::List(
                items
                    .iter()
                    .map(|item| {
                        Node::from_toml(item.get_ref(), Place::new(place.source, item.span()))
                    })
                    .collect(),
            ),
            DeValue::Table(table) => Value::Table(entries(table, place.source)),
        };
        Node { place, value, bare: None }
    }

    /// Gives the node and all below it one place: parts of an unquoted value were numbered
    /// from its own beginning.
    fn move_to(&mut self, place: Place) {
        self.place = place;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.move_to(place)),
            Value::Table(entries) => {
                for entry in entries {
                    entry.key_place = place;
                    entry.node.move_to(place);
                }
            }
            _ => {}
        }
    }
}

fn entries(table: &DeTable<'_>, source: usize) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_place: Place::new(source, key.span()),
            node: Node::from_toml(value.get_ref(), Place::new(source, value.span())),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_place);
    entries
}
