//! The language as a JSON Schema (draft 2020-12), for editors: made from the table of keys,
//! so that it cannot say anything else.

use serde_json::{Map, Value as Json, json};

use wavetank_world::BranchedDataPolicy;

use crate::errors::Place;
use crate::keys::{Key, Kind, Need, ROOT, Table};
use crate::section::distribution::FORMS;
use crate::settings::{Field, KNOWN, SETTINGS, STRATEGIES};
use crate::tree::{Node, Value};

const TIME: &str = r"^\s*[0-9]+(\.[0-9]+)?\s*(ns|us|ms|s|m|h|d)\s*$";
const WINDOW: &str = r"^\s*[0-9]+(\.[0-9]+)?\s*(ns|us|ms|s|m|h|d)(\s*\.\.\s*[0-9]+(\.[0-9]+)?\s*(ns|us|ms|s|m|h|d))?\s*$";
const SIZE: &str = r"^\s*[0-9]+(\.[0-9]+)?\s*(B|[KMGT]i?B)\s*$";
const BANDWIDTH: &str = r"^\s*[0-9]+(\.[0-9]+)?\s*([kMG]?bit|B|[KMG]i?B)/s\s*$";
const RATE: &str = r"^\s*[0-9]+(\.[0-9]+)?\s*/[smhd]\s*$";
const RATIO: &str = r"^\s*[0-9]+(\.[0-9]+)?\s*(%|/\s*[0-9]+)?\s*$";

/// The schema of a scenario file. Numbers beyond 2^53 have no limit in it: JSON has none.
pub fn json_schema() -> Json {
    let mut schema = table(&ROOT);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("A scenario of wavetank");
    schema
}

fn table(table: &Table) -> Json {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in table.keys {
        properties.insert(key.name.into(), described(key));
        if matches!(key.need, Need::Required) {
            required.push(key.name);
        }
    }
    json!({
        "type": "object",
        "description": table.about,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn described(key: &Key) -> Json {
    let mut schema = kind(&key.kind);
    let later = matches!(key.kind, Kind::Later | Kind::LaterTable(_));
    let about = if later {
        format!("{} Not in this version.", sentence(key.about))
    } else {
        sentence(key.about)
    };
    schema["description"] = json!(about);
    if let Need::Default(text) = key.need {
        schema["default"] = to_json(&Node::bare(text, Place::new(0, 0..0)));
    }
    schema
}

fn sentence(text: &str) -> String {
    if text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

fn text(pattern: &str) -> Json {
    json!({ "type": "string", "pattern": pattern })
}

fn whole(low: u64, high: u64) -> Json {
    let mut schema = json!({ "type": "integer", "minimum": low });
    if high < 1 << 53 {
        schema["maximum"] = json!(high);
    }
    schema
}

fn kind(kind: &Kind) -> Json {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Name => text("^[A-Za-z0-9_-]{1,64}$"),
        Kind::Pair => {
            json!({ "type": "array", "items": { "type": "string" }, "minItems": 2, "maxItems": 2 })
        }
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Count(low, high) => whole(*low, *high),
        Kind::Counts(most) => json!({ "type": "array", "items": whole(0, *most) }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Grid => json!({ "type": "object", "additionalProperties": { "type": "array" } }),
        Kind::Time(..) => text(TIME),
        Kind::Window(_) => text(WINDOW),
        Kind::Windows(_) => json!({ "type": "array", "items": text(WINDOW) }),
        Kind::Size(..) => text(SIZE),
        Kind::Bandwidth => text(BANDWIDTH),
        Kind::Rate(_) => text(RATE),
        Kind::Ratio(low, high) => json!({ "anyOf": [
            { "type": "number", "minimum": low, "maximum": high },
            text(RATIO),
        ] }),
        Kind::Choice(now, _) => json!({ "enum": now }),
        Kind::Choices(names) => {
            json!({ "type": "array", "items": { "enum": names }, "uniqueItems": true })
        }
        Kind::Distribution => json!({ "anyOf": [text(TIME), distribution()] }),
        Kind::SeedRule => text(r"^(every|any|>=.*)$"),
        Kind::Target => json!({ "anyOf": [
            { "type": "integer", "minimum": 1 },
            { "enum": ["master", "slave", "any", "trigger", "minority", "majority", "all"] },
            { "type": "array", "items": whole(1, 64), "minItems": 1 },
            {
                "type": "object",
                "properties": { "datacentre": { "type": "string" } },
                "required": ["datacentre"],
                "additionalProperties": false,
            },
        ] }),
        Kind::Seed => json!({ "anyOf": [
            { "type": "integer", "minimum": 0 },
            text("^[0-9a-fA-F]+$"),
        ] }),
        Kind::Weights => json!({
            "type": "object",
            "additionalProperties": { "type": "integer", "minimum": 0 },
        }),
        Kind::NameOr(inner) => json!({ "anyOf": [{ "type": "string" }, table(inner)] }),
        Kind::Table(inner) => table(inner),
        Kind::Tables(inner) => json!({ "type": "array", "items": table(inner) }),
        Kind::Settings => settings(),
        Kind::Later => json!({}),
        Kind::LaterTable(inner) => {
            json!({ "anyOf": [table(inner), { "type": "array", "items": table(inner) }] })
        }
    }
}

fn distribution() -> Json {
    let names: Map<String, Json> = FORMS
        .iter()
        .flat_map(|keys| keys.iter())
        .map(|key| ((*key).to_owned(), json!({})))
        .collect();
    json!({ "type": "object", "properties": names, "additionalProperties": false })
}

/// Settings by their names; unquoted ones are tables within tables to TOML.
fn settings() -> Json {
    let mut properties = Map::new();
    for setting in SETTINGS {
        let mut schema = match &setting.field {
            Field::Count(_, low, high) => whole(u64::from(*low), u64::from(*high)),
            Field::LongCount(_, low, high) => whole(*low, *high),
            Field::Strategy(_) => json!({ "enum": STRATEGIES.map(|(name, _)| name) }),
            Field::Flag(_) => json!({ "enum": [true, false, "true", "false"] }),
            Field::Policy(_) => {
                json!({ "enum": BranchedDataPolicy::ALL.map(BranchedDataPolicy::name) })
            }
            _ => json!({ "type": ["string", "number"] }),
        };
        schema["description"] = json!(setting.about);
        for name in std::iter::once(&setting.name).chain(setting.also) {
            properties.insert((*name).to_owned(), schema.clone());
        }
    }
    for (name, _) in KNOWN {
        properties.insert((*name).to_owned(), json!({ "description": "Has no effect here." }));
    }
    json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": { "type": "object" },
    })
}

/// A value of the tree as JSON.
fn to_json(node: &Node) -> Json {
    match &node.value {
        Value::Text(text) => json!(text),
        Value::Integer(digits) | Value::Float(digits) => {
            digits.parse::<serde_json::Number>().map_or(Json::Null, Json::Number)
        }
        Value::Flag(flag) => json!(flag),
        Value::Moment => Json::Null,
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Table(entries) => {
            Json::Object(entries.iter().map(|e| (e.key.clone(), to_json(&e.node))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::{FIRST, LIBRARY};

    /// Whether a value meets a schema, as far as this schema goes; says where it does not.
    fn meets(schema: &Json, value: &Json, path: &str) -> Result<(), String> {
        if let Some(any) = schema["anyOf"].as_array() {
            let mut errors = any.iter().map(|schema| meets(schema, value, path));
            return if errors.any(|result| result.is_ok()) { Ok(()) } else { Err(path.into()) };
        }
        if let Some(names) = schema["enum"].as_array()
            && !names.contains(value)
        {
            return Err(format!("{path}: {value} is none of {names:?}"));
        }
        match schema["type"].as_str() {
            Some("string") if !value.is_string() => return Err(format!("{path} is no text")),
            Some("integer") if !value.is_u64() => return Err(format!("{path} is no number")),
            Some("boolean") if !value.is_boolean() => return Err(format!("{path} is no flag")),
            Some("array") => {
                let Some(items) = value.as_array() else {
                    return Err(format!("{path} is no list"));
                };
                for item in items {
                    meets(&schema["items"], item, &format!("{path}[]"))?;
                }
            }
            Some("object") => {
                let Some(entries) = value.as_object() else {
                    return Err(format!("{path} is no table"));
                };
                for (key, value) in entries {
                    let path = format!("{path}.{key}");
                    match schema["properties"].get(key) {
                        Some(schema) => meets(schema, value, &path)?,
                        None if schema["additionalProperties"] == json!(false) => {
                            return Err(format!("{path} is unknown"));
                        }
                        None => meets(&schema["additionalProperties"], value, &path)?,
                    }
                }
                for key in schema["required"].as_array().into_iter().flatten() {
                    if !entries.contains_key(key.as_str().unwrap_or_default()) {
                        return Err(format!("{path} lacks {key}"));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn check(text: &str) -> Result<(), String> {
        let node = Node::document(text, 0).map_err(|_| "no TOML")?;
        meets(&json_schema(), &to_json(&node), "")
    }

    #[test]
    fn the_library_meets_the_schema() {
        for (name, text) in LIBRARY.iter().map(|b| (b.name, b.text)).chain([("first", FIRST)]) {
            check(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn what_the_parser_refuses_the_schema_does() {
        for wrong in [
            "format = 1\n",
            "format = 1\nduration = 3\n[[group]]\ncount = 1\nmachine = \"x\"\n",
            "format = 1\nduration = \"3m\"\ncolour = 1\n[[group]]\ncount = 1\nmachine = \"x\"\n",
            "format = 1\nduration = \"3m\"\n[[group]]\ncount = \"1\"\nmachine = \"x\"\n",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
