//! The values behind the figures, for the page's script: one compact JSON text. Without a
//! script nothing of it is needed.

use serde_json::{Value, json};
use wavetank_vocabulary::Role;

use crate::axis::TimeAxis;
use crate::figures::Figure;
use crate::recorder::Recorder;

/// The JSON for the page. `<` is escaped, so that no text of a scenario ends the element.
pub(crate) fn page_data(time: &TimeAxis, recorder: &Recorder, figures: &[Figure]) -> String {
    let series = recorder.series();
    let mut all = serde_json::Map::new();
    let names: Vec<String> =
        recorder.instances().iter().map(|instance| instance.id.to_string()).collect();
    let roles: Vec<Vec<usize>> = (0..names.len())
        .map(|slot| {
            let role = |instance: usize| series.buckets()[instance].instances[slot].role;
            (0..series.buckets().len()).map(|index| role_number(role(index))).collect()
        })
        .collect();
    all.insert("roles".into(), json!({"unit": "role", "names": names, "values": roles}));
    for figure in figures {
        let lines = &figure.chart.lines;
        let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
        let inks: Vec<&str> = lines.iter().map(|line| line.ink.variable()).collect();
        let values: Vec<Vec<Value>> = lines
            .iter()
            .map(|line| line.points.iter().map(|point| short(point.1)).collect())
            .collect();
        let figure_data =
            json!({"unit": figure.unit, "names": names, "inks": inks, "values": values});
        all.insert(figure.id.into(), figure_data);
    }
    let width = series.width().as_secs_f64();
    let data = json!({
        "end": time.end,
        "start": width / 2.0,
        "step": width,
        "roles": ROLES.map(Role::name),
        "figures": all,
    });
    data.to_string().replace('<', "\\u003c")
}

const ROLES: [Role; 9] = [
    Role::Down,
    Role::Starting,
    Role::Pending,
    Role::Detached,
    Role::ToMaster,
    Role::Master,
    Role::ToSlave,
    Role::Slave,
    Role::Arbiter,
];

fn role_number(role: Role) -> usize {
    ROLES.iter().position(|known| *known == role).unwrap_or(0)
}

/// Four significant digits: more than anyone reads off a figure.
fn short(value: Option<f64>) -> Value {
    let Some(value) = value else { return Value::Null };
    let digits = (3.0 - value.abs().max(1e-9).log10().floor()).clamp(0.0, 9.0);
    let factor = 10f64.powf(digits);
    let rounded = (value * factor).round() / factor;
    if rounded == rounded.trunc() && rounded.abs() < 1e15 {
        json!(rounded as i64)
    } else {
        json!(rounded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short_and_true_to_four_digits() {
        let text = |value| short(value).to_string();
        assert_eq!(text(None), "null");
        assert_eq!(text(Some(12.0)), "12");
        assert_eq!(text(Some(0.123_456)), "0.1235");
        assert_eq!(text(Some(1_234.567)), "1235");
        assert_eq!(text(Some(99.987_65)), "99.99");
    }
}
