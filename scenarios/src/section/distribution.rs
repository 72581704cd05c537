//! Distributions of lengths of time, as people write them.

use wavetank_kernel::{Distribution, QUANTILES};
use wavetank_vocabulary::Span;

use super::Wrong;
use super::values::{between, helped, items, quantity, real, this_is};
use crate::tree::{Node, Value};
use crate::units;

/// The keys of each form that is a table.
pub(crate) const FORMS: [&[&str]; 6] = [
    &["uniform"],
    &["exponential"],
    &["normal", "deviation"],
    &["lognormal", "sigma"],
    &["pareto", "shape"],
    &["quantiles"],
];

/// `"1ms"`, or a table whose first key names the distribution.
pub(super) fn read(node: &Node) -> Result<Distribution, Wrong> {
    const EXAMPLES: &str = "one of \"1ms\", { uniform = [\"1ms\", \"2ms\"] }, { exponential = \"1ms\" }, \
        { normal = \"1ms\", deviation = \"100us\" }, { lognormal = \"1ms\", sigma = 0.3 }, \
        { pareto = \"1ms\", shape = 2.5 }, \
        { quantiles = [...] }";
    if let Some(text) = node.text() {
        return Ok(Distribution::Constant(most_an_hour(units::span(text)?)?));
    }
    let Value::Table(entries) = &node.value else {
        return Err(helped(this_is(node).label, EXAMPLES));
    };
    let of = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node);
    let span = |node: &Node| quantity(node, "s", units::span).and_then(most_an_hour);
    let named: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    let has =
        |keys: &[&str]| named.len() == keys.len() && keys.iter().all(|key| named.contains(key));
    let value = |key: &str| of(key).ok_or_else(|| helped("incomplete", EXAMPLES));
    if has(&["uniform"]) {
        let [low, high] = items(value("uniform")?)? else {
            return Err(helped("a range has two ends", EXAMPLES));
        };
        let (low, high) = (span(low)?, span(high)?);
        if low > high {
            return Err(String::from("the range ends before it begins").into());
        }
        Ok(Distribution::Uniform { low, high })
    } else if has(&["exponential"]) {
        Ok(Distribution::Exponential { mean: span(value("exponential")?)? })
    } else if has(&["normal", "deviation"]) {
        let (mean, deviation) = (span(value("normal")?)?, span(value("deviation")?)?);
        Ok(Distribution::Normal { mean, deviation })
    } else if has(&["lognormal", "sigma"]) {
        let (median, sigma) = (span(value("lognormal")?)?, real(value("sigma")?, 5.0)?);
        Ok(Distribution::LogNormal { median, sigma })
    } else if has(&["pareto", "shape"]) {
        let (scale, shape) = (span(value("pareto")?)?, real(value("shape")?, 1000.0)?);
        if shape == 0.0 {
            return Err(String::from("the shape must be more than 0").into());
        }
        Ok(Distribution::Pareto { scale, shape })
    } else if has(&["quantiles"]) {
        let values: Vec<Span> =
            items(value("quantiles")?)?.iter().map(span).collect::<Result<_, _>>()?;
        if !values.is_sorted() {
            return Err(String::from("each must be at least the one before it").into());
        }
        let count = values.len();
        values.try_into().map(Distribution::Quantiles).map_err(|_| {
            let wanted = QUANTILES.len();
            let help = "the least, the 10th, 25th, 50th, 75th, 90th, 99th and 99.9th percentile, \
                and the greatest";
            helped(format!("{count} times, and not {wanted}"), help)
        })
    } else {
        let form = FORMS.iter().find(|form| form.iter().any(|key| named.contains(key)));
        let lacks = form.and_then(|form| form.iter().find(|key| !named.contains(key)));
        match lacks {
            Some(key) => Err(helped(format!("`{key}` is missing"), EXAMPLES)),
            None => Err(helped("no such distribution", EXAMPLES)),
        }
    }
}

fn most_an_hour(span: Span) -> Result<Span, Wrong> {
    between(span, &Span::ZERO, &Span::from_secs(3600), Span::to_string)
}
