//! Intervals over seeds by Student's t.
//!
//! For a whole number of degrees of freedom the distribution is a finite sum of powers of a cosine
//! (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4), so nothing is approximated but the root.

/// The part of Student's distribution with `freedom` degrees of freedom that lies between `-t` and
/// `t`.
fn within(t: f64, freedom: u64) -> f64 {
    let angle = (t / (freedom as f64).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let square = cosine * cosine;
    let odd = freedom % 2 == 1;
    // The first term, and by what each following one grows.
    let mut term = if odd { cosine } else { 1.0 };
    let mut sum = 0.0;
    let mut n = if odd { 3 } else { 2 };
    while n <= freedom && term > 1e-18 {
        sum += term;
        term *= square * (n - 1) as f64 / n as f64;
        n += 2;
    }
    if odd { (angle + sine * sum) * std::f64::consts::FRAC_2_PI } else { sine * sum }
}

/// The `t` between whose negative and itself 95 % of the distribution lie.
fn t95(freedom: u64) -> f64 {
    // 12.706 is the largest of all, that of one degree.
    let (mut low, mut high) = (1.0, 13.0);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if within(middle, freedom) < 0.95 { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// A mean over seeds with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mean {
    /// Over how many seeds.
    pub(crate) n: usize,
    pub(crate) mean: f64,
    /// How far the interval reaches to each side; none from one seed.
    pub(crate) margin: Option<f64>,
}

impl Mean {
    /// Of these values; none of none.
    pub(crate) fn of(values: &[f64]) -> Option<Mean> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let margin = (n > 1).then(|| {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            let variance = squares / (n - 1) as f64;
            t95(n as u64 - 1) * (variance / n as f64).sqrt()
        });
        Some(Mean { n, mean, margin })
    }

    /// Whether zero lies outside the interval.
    pub(crate) fn differs(&self) -> bool {
        self.margin.is_some_and(|margin| self.mean.abs() > margin)
    }

    /// The interval, or the mean alone.
    pub(crate) fn interval(&self) -> [f64; 2] {
        let margin = self.margin.unwrap_or(0.0);
        [self.mean - margin, self.mean + margin]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        // Abramowitz and Stegun, table 26.10; the last is near the normal distribution's 1.95996.
        for (freedom, t) in [
            (1, 12.706),
            (2, 4.303),
            (3, 3.182),
            (4, 2.776),
            (9, 2.262),
            (10, 2.228),
            (19, 2.093),
            (30, 2.042),
            (120, 1.980),
            (1_000_000, 1.960),
        ] {
            assert!((t95(freedom) - t).abs() < 6e-4, "{freedom}: {} {t}", t95(freedom));
        }
    }

    #[test]
    fn a_paired_difference_is_that_of_student() {
        // Student (1908): hours of sleep gained by ten patients under two drugs, t = 4.0621.
        let first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        let gained: Vec<f64> = second.iter().zip(first).map(|(b, a)| b - a).collect();
        let mean = Mean::of(&gained).unwrap();
        assert!((mean.mean - 1.58).abs() < 1e-9 && mean.differs(), "{mean:?}");
        let [low, high] = mean.interval();
        assert!((low - 0.7001).abs() < 1e-4 && (high - 2.4599).abs() < 1e-4, "{low} {high}");
    }

    #[test]
    fn one_seed_says_nothing_about_chance() {
        let mean = Mean::of(&[3.0]).unwrap();
        assert_eq!((mean.interval(), mean.differs()), ([3.0, 3.0], false));
        assert_eq!(Mean::of(&[]), None);
        // No spread at all: the interval is the mean.
        assert!(Mean::of(&[2.0, 2.0]).unwrap().differs());
    }
}
