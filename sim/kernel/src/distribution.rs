//! Random quantities: our own code over `libm`, so that a value depends on the stream only
//! and never on the platform's floating-point library.
//!
//! Where one uniform number suffices, one is drawn: inversion for the exponential, the
//! Pareto and, through the normal quantile, the normal and lognormal. So a changed parameter
//! stretches the values of a stream and does not shift them, which paired comparisons need.

use wavetank_vocabulary::Span;

use crate::normal;
pub use crate::normal::normal_quantile;
use crate::streams::Stream;

/// A distribution of lengths of time. Samples are rounded to nanoseconds, and cut at zero
/// and at [`Span::FOREVER`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// Always the same; draws nothing.
    Constant(Span),
    /// Every nanosecond from `low` to `high` equally likely, both included. With `high`
    /// before `low`, always `low`.
    Uniform {
        /// The least value.
        low: Span,
        /// The greatest value.
        high: Span,
    },
    /// The time between two events that come independently of each other.
    Exponential {
        /// The mean, and the standard deviation too.
        mean: Span,
    },
    /// The normal distribution, with negative values taken as zero.
    Normal {
        /// The mean of the uncut distribution.
        mean: Span,
        /// Its standard deviation.
        deviation: Span,
    },
    /// A value whose logarithm is normally distributed.
    LogNormal {
        /// Half of all values are below it.
        median: Span,
        /// The standard deviation of the natural logarithm.
        sigma: f64,
    },
    /// Pareto's distribution: P(X > x) = (scale / x)^shape for x from `scale` on.
    Pareto {
        /// The least value.
        scale: Span,
        /// The exponent of the tail; the mean is finite above 1, the variance above 2.
        shape: f64,
    },
    /// What was measured: its values at [`QUANTILES`], ascending, and all values between two of
    /// them equally likely. One that is less than the one before it counts as that.
    Quantiles([Span; QUANTILES.len()]),
}

/// In thousandths: the least value, the 10th, 25th, 50th, 75th, 90th, 99th and 99.9th percentile,
/// and the greatest.
pub const QUANTILES: [u64; 9] = [0, 100, 250, 500, 750, 900, 990, 999, 1_000];

impl Distribution {
    /// Draws a value.
    #[inline]
    pub fn sample(&self, stream: &mut Stream) -> Span {
        match *self {
            Distribution::Constant(span) => span,
            Distribution::Uniform { low, high } => {
                let width = high.saturating_sub(low).as_nanos();
                low + Span::from_nanos(stream.up_to(width))
            }
            Distribution::Exponential { mean } => scaled(mean, exponential(stream)),
            Distribution::Normal { mean, deviation } => {
                let offset = deviation.as_nanos() as f64 * normal(stream);
                rounded(mean.as_nanos() as f64 + offset)
            }
            Distribution::LogNormal { median, sigma } => {
                scaled(median, normal::exp(sigma * normal(stream)))
            }
            Distribution::Pareto { scale, shape } => scaled(scale, pareto(stream, shape)),
            Distribution::Quantiles(ref values) => between(values, stream),
        }
    }
}

/// A value between two quantiles, by inversion and in whole numbers only.
fn between(values: &[Span; QUANTILES.len()], stream: &mut Stream) -> Span {
    /// Parts of a thousandth.
    const PARTS: u64 = 1 << 32;
    let place = stream.up_to(1_000 * PARTS - 1);
    let inner = &QUANTILES[1..QUANTILES.len() - 1];
    let index = inner.partition_point(|quantile| quantile * PARTS <= place);
    let (from, to) = (QUANTILES[index] * PARTS, QUANTILES[index + 1] * PARTS);
    let low = values[index];
    let width = values[index + 1].saturating_sub(low).as_nanos();
    let part = u128::from(width) * u128::from(place - from) / u128::from(to - from);
    low + Span::from_nanos(part as u64)
}

fn scaled(span: Span, factor: f64) -> Span {
    rounded(span.as_nanos() as f64 * factor)
}

/// The nearest span; the cast saturates, and takes NaN as zero.
fn rounded(nanos: f64) -> Span {
    Span::from_nanos((nanos + 0.5) as u64)
}

/// An exponentially distributed number with mean 1, by inversion.
#[inline]
pub fn exponential(stream: &mut Stream) -> f64 {
    -libm::log(stream.open_unit())
}

/// A Pareto-distributed number of scale 1, by inversion.
pub fn pareto(stream: &mut Stream, shape: f64) -> f64 {
    libm::exp(exponential(stream) / shape)
}

/// A normally distributed number with mean 0 and deviation 1, by inversion.
#[inline]
pub fn normal(stream: &mut Stream) -> f64 {
    // The middle of one of 2^53 equal parts: never 0 or 1.
    let lower = stream.unit() + 0.5 / (1u64 << 53) as f64;
    normal::quick_quantile(lower)
}

/// How many events come in a span in which `mean` are expected. By multiplication of
/// uniform numbers below a mean of 10, from there on by Hörmann's transformed rejection
/// (PTRS, "The transformed rejection method for generating Poisson random variables",
/// 1993). A mean that is zero, negative or NaN gives zero and draws nothing.
pub fn poisson(stream: &mut Stream, mean: f64) -> u64 {
    if mean >= 10.0 {
        return poisson_by_rejection(stream, mean);
    }
    if mean <= 0.0 || mean.is_nan() {
        return 0;
    }
    let floor = libm::exp(-mean);
    let mut count = 0;
    let mut product = stream.open_unit();
    while product > floor {
        count += 1;
        product *= stream.open_unit();
    }
    count
}

fn poisson_by_rejection(stream: &mut Stream, mean: f64) -> u64 {
    let log_mean = libm::log(mean);
    let b = 0.931 + 2.53 * libm::sqrt(mean);
    let a = -0.059 + 0.02483 * b;
    let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    let quick = 0.9277 - 3.6224 / (b - 2.0);
    loop {
        let u = stream.unit() - 0.5;
        let v = stream.open_unit();
        let side = 0.5 - u.abs();
        let k = libm::floor((2.0 * a / side + b) * u + mean + 0.43);
        if side >= 0.07 && v <= quick {
            return k as u64;
        }
        if k < 0.0 || (side < 0.013 && v > side) {
            continue;
        }
        let left = libm::log(v) + libm::log(inverse_alpha) - libm::log(a / (side * side) + b);
        if left <= k * log_mean - mean - libm::lgamma(k + 1.0) {
            return k as u64;
        }
    }
}

/// Zipf's distribution: rank `k` of `1..=n` with a probability in proportion to
/// k^-exponent. Sampled by rejection-inversion (Hörmann and Derflinger, "Rejection-inversion
/// to generate variates from monotone discrete distributions", ACM TOMACS 6, 1996): no
/// table, and about 1.1 draws each at worst.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zipf {
    n: u64,
    exponent: f64,
    /// The integral of the hat over the first rank begins here...
    first: f64,
    /// ...and the last rank ends here.
    last: f64,
    /// Within this distance below its rank a point is accepted without a look.
    shortcut: f64,
}

impl Zipf {
    /// Ranks `1..=n`. `n` of zero is taken as one; an exponent below zero, or none at all
    /// (NaN), as zero, which makes all ranks equally likely.
    pub fn new(n: u64, exponent: f64) -> Self {
        let n = n.max(1);
        let exponent = exponent.max(0.0);
        let mut zipf = Zipf { n, exponent, first: 0.0, last: 0.0, shortcut: 0.0 };
        zipf.first = zipf.integral(1.5) - 1.0;
        zipf.last = zipf.integral(n as f64 + 0.5);
        zipf.shortcut = 2.0 - zipf.inverse_integral(zipf.integral(2.5) - zipf.weight(2.0));
        zipf
    }

    /// Draws a rank.
    pub fn sample(&self, stream: &mut Stream) -> u64 {
        loop {
            let area = self.last + stream.unit() * (self.first - self.last);
            let x = self.inverse_integral(area);
            let rank = libm::floor(x + 0.5).clamp(1.0, self.n as f64);
            if rank - x <= self.shortcut || area >= self.integral(rank + 0.5) - self.weight(rank) {
                return (rank as u64).min(self.n);
            }
        }
    }

    /// x^-exponent.
    fn weight(&self, x: f64) -> f64 {
        libm::exp(-self.exponent * libm::log(x))
    }

    /// The integral of the weight from 1 to `x`: (x^(1-e) - 1) / (1-e), or ln x for e = 1.
    fn integral(&self, x: f64) -> f64 {
        let log = libm::log(x);
        let power = (1.0 - self.exponent) * log;
        if power.abs() < 1e-8 {
            log * (1.0 + power / 2.0)
        } else {
            libm::expm1(power) / power * log
        }
    }

    /// The `x` whose integral is `area`.
    fn inverse_integral(&self, area: f64) -> f64 {
        let scaled = ((1.0 - self.exponent) * area).max(-1.0);
        let log = if scaled.abs() < 1e-8 {
            area * (1.0 - scaled / 2.0)
        } else {
            libm::log1p(scaled) / scaled * area
        };
        libm::exp(log)
    }
}

#[cfg(test)]
#[path = "distribution_tests.rs"]
mod tests;
