//! Round trips between data centres from a measured matrix: a CSV file with the columns
//! `from`, `to`, `avg_ms` and perhaps `mdev_ms`, as `ping` sums up many probes. It gives the
//! links between the data centres that stand in it, where no `[[link]]` does.

use std::collections::BTreeMap;

use wavetank_kernel::Distribution;
use wavetank_vocabulary::{Bytes, Span};
use wavetank_world::LinkPlan;

/// The longest round trip that is believed.
const MOST_MILLISECONDS: f64 = 3_600_000.0;

/// What a link carries where nobody says: the default of `[[link]]`.
const BANDWIDTH: Bytes = Bytes(125_000_000);

/// Means and mean deviations of round trips, in milliseconds, by the two ends.
pub(super) struct Matrix<'t>(BTreeMap<(&'t str, &'t str), (f64, f64)>);

impl<'t> Matrix<'t> {
    /// Reads the file.
    ///
    /// # Errors
    /// With a sentence that names the line, when it is not such a file.
    pub(super) fn parse(text: &'t str) -> Result<Self, String> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let header: Vec<&str> = match lines.next() {
            Some((_, line)) => line.split(',').map(str::trim).collect(),
            None => return Err("it is empty".into()),
        };
        let column = |name: &str| header.iter().position(|known| *known == name);
        let needed = |name: &str| column(name).ok_or(format!("there is no column `{name}`"));
        let (from, to, mean) = (needed("from")?, needed("to")?, needed("avg_ms")?);
        let deviation = column("mdev_ms");
        let mut rows = BTreeMap::new();
        for (number, line) in lines {
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            let wrong = |what: &str| format!("line {}: {what}", number + 1);
            let cell = |index: usize| cells.get(index).copied().ok_or(wrong("a column is missing"));
            let milliseconds = |index: usize| -> Result<f64, String> {
                let value: f64 = cell(index)?.parse().map_err(|_| wrong("this is no number"))?;
                if (0.0..=MOST_MILLISECONDS).contains(&value) {
                    Ok(value)
                } else {
                    Err(wrong("a round trip takes 0 to 3600000 ms"))
                }
            };
            let deviation = deviation.map_or(Ok(0.0), milliseconds)?;
            rows.insert((cell(from)?, cell(to)?), (milliseconds(mean)?, deviation));
        }
        Ok(Matrix(rows))
    }

    /// The link between the data centres of these names and indexes, as it was measured from
    /// either end, or from both: then their mean.
    pub(super) fn link(&self, names: [&str; 2], between: [u16; 2]) -> Option<LinkPlan> {
        let [a, b] = names;
        let ways: Vec<_> = [(a, b), (b, a)].iter().filter_map(|ends| self.0.get(ends)).collect();
        if ways.is_empty() {
            return None;
        }
        let count = ways.len() as f64;
        let mean = ways.iter().map(|way| way.0).sum::<f64>() / count;
        let deviation = ways.iter().map(|way| way.1).sum::<f64>() / count;
        let median = Span::from_nanos((mean / 2.0 * 1e6).round() as u64);
        // Half of the way, with the same relative spread.
        let latency = if deviation > 0.0 && mean > 0.0 {
            Distribution::LogNormal { median, sigma: (deviation / mean).min(1.0) }
        } else {
            Distribution::Constant(median)
        };
        Some(LinkPlan { between, latency, bandwidth: BANDWIDTH })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "from,to,min_ms,avg_ms,max_ms,mdev_ms\na,b,9,10,11,0.5\nb,a,9,12,15,0.7\na,c,1,2,3,0\n";

    #[test]
    fn both_ways_are_averaged() {
        let matrix = Matrix::parse(FILE).unwrap();
        let link = matrix.link(["b", "a"], [1, 0]).unwrap();
        let Distribution::LogNormal { median, sigma } = link.latency else { panic!("{link:?}") };
        assert_eq!(median, Span::from_micros(5_500));
        assert!((sigma - 0.6 / 11.0).abs() < 1e-9, "{sigma}");
        let constant = matrix.link(["c", "a"], [2, 0]).unwrap().latency;
        assert_eq!(constant, Distribution::Constant(Span::from_millis(1)));
        assert_eq!(matrix.link(["b", "c"], [1, 2]), None);
    }

    #[test]
    fn what_is_no_matrix_is_refused_with_its_line() {
        for (text, why) in [
            ("", "it is empty"),
            ("from,avg_ms\n", "there is no column `to`"),
            ("from,to,avg_ms\na,b\n", "line 2: a column is missing"),
            ("from,to,avg_ms\n\na,b,x\n", "line 3: this is no number"),
            ("from,to,avg_ms\na,b,-1\n", "line 2: a round trip takes 0 to 3600000 ms"),
        ] {
            assert_eq!(Matrix::parse(text).err().as_deref(), Some(why));
        }
    }
}
