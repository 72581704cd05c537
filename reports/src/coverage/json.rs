//! Coverage as JSON: written, read, and looked through for what people mistyped.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value, json};
use wavetank_vocabulary::{FaultKind, ProtocolState};

use super::{Coverage, Point};

/// A name in a coverage file that means nothing, or has something else than it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotUnderstood {
    /// What it should be: a kind of fault, a protocol state, a point.
    pub what: &'static str,
    /// As it was written.
    pub name: String,
    /// Those that there are.
    pub names: Vec<&'static str>,
    /// What it should have, if it is one of them.
    pub expected: &'static str,
}

/// What must stand beside a name.
#[derive(Clone, Copy)]
enum Shape {
    Count,
    Object,
}

impl Shape {
    fn fits(self, value: &Value) -> bool {
        match self {
            Shape::Count => value.is_u64(),
            Shape::Object => value.is_object(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Shape::Count => "a whole number",
            Shape::Object => "an object",
        }
    }
}

impl Coverage {
    /// As JSON: `runs`, `faults` (by kind: `took_effect`, `skipped`, `in` by state), `points`.
    pub fn to_json(&self) -> Value {
        let mut faults = Map::new();
        for kind in FaultKind::ALL {
            let (hits, misses) = (self.took_effect.get(kind), self.skipped.get(kind));
            if hits.is_none() && misses.is_none() {
                continue;
            }
            let mut states = Map::new();
            for state in ProtocolState::ALL {
                if self.struck(*kind, *state) > 0 {
                    states.insert(state.name().into(), self.struck(*kind, *state).into());
                }
            }
            let fault = json!({
                "took_effect": hits.copied().unwrap_or(0),
                "skipped": misses.copied().unwrap_or(0),
                "in": states,
            });
            faults.insert(kind.name().into(), fault);
        }
        let points = Point::ALL.iter().filter(|point| self.reached(**point) > 0);
        let points: Map<String, Value> =
            points.map(|point| (point.name().into(), self.reached(*point).into())).collect();
        json!({ "runs": self.runs, "faults": faults, "points": points })
    }

    /// What of [`Self::to_json`] is not understood: a kind, state, point or key that this version
    /// does not know, or one with something else beside it than it should have. For files that
    /// people edit.
    pub fn not_understood(value: &Value) -> Vec<NotUnderstood> {
        let mut wrong = Vec::new();
        let mut check = |value: &Value, what, name: &str, names: &[&'static str], shape: Shape| {
            if !names.contains(&name) || !shape.fits(value) {
                let (name, names) = (name.to_owned(), names.to_vec());
                wrong.push(NotUnderstood { what, name, names, expected: shape.name() });
            }
        };
        let of = |value: &Value, key: &str| value.get(key).and_then(Value::as_object).cloned();
        let kinds: Vec<_> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
        let states: Vec<_> = ProtocolState::ALL.iter().map(|state| state.name()).collect();
        let points: Vec<_> = Point::ALL.iter().map(|point| point.name()).collect();
        for (name, part) in value.as_object().into_iter().flatten() {
            let shape = if name == "runs" { Shape::Count } else { Shape::Object };
            check(part, "key", name, &["runs", "faults", "points"], shape);
        }
        for (name, fault) in of(value, "faults").unwrap_or_default() {
            check(&fault, "kind of fault", &name, &kinds, Shape::Object);
            for (name, part) in fault.as_object().into_iter().flatten() {
                let shape = if name == "in" { Shape::Object } else { Shape::Count };
                check(part, "key of a fault", name, &["took_effect", "skipped", "in"], shape);
            }
            for (name, count) in of(&fault, "in").unwrap_or_default() {
                check(&count, "protocol state", &name, &states, Shape::Count);
            }
        }
        for (name, count) in of(value, "points").unwrap_or_default() {
            check(&count, "point", &name, &points, Shape::Count);
        }
        wrong
    }

    /// Reads [`Self::to_json`]; names that this version does not know are left out, and what
    /// is no coverage at all gives none.
    pub fn from_json(value: &Value) -> Option<Coverage> {
        let mut coverage = Coverage { runs: value.get("runs")?.as_u64()?, ..Coverage::default() };
        for (name, fault) in value.get("faults")?.as_object()? {
            let Some(kind) = FaultKind::from_name(name) else { continue };
            let count = |key| fault.get(key).and_then(Value::as_u64).filter(|count| *count > 0);
            coverage.took_effect.extend(count("took_effect").map(|count| (kind, count)));
            coverage.skipped.extend(count("skipped").map(|count| (kind, count)));
            let states = fault.get("in").and_then(Value::as_object);
            for (name, count) in states.into_iter().flatten() {
                let state = ProtocolState::ALL.iter().find(|state| state.name() == name);
                if let (Some(state), Some(count)) = (state, count.as_u64()) {
                    coverage.matrix.insert((kind, *state), count);
                }
            }
        }
        for (name, count) in value.get("points")?.as_object()? {
            let point = Point::ALL.iter().find(|point| point.name() == name);
            if let (Some(point), Some(count)) = (point, count.as_u64()) {
                coverage.points.insert(*point, count);
            }
        }
        Some(coverage)
    }
}

impl Serialize for Coverage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Coverage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Coverage::from_json(&value).ok_or_else(|| de::Error::custom("this is no coverage"))
    }
}
