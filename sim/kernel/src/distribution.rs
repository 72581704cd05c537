//! Random quantities: our own code over `libm`, so that a value depends on the stream only
//! and never on the platform's floating-point library.
//!
//! Where one uniform number suffices, one is drawn: inversion for the exponential, the
//! Pareto and, through the normal quantile, the normal and lognormal. So a changed parameter
//! stretches the values of a stream and does not shift them, which paired comparisons need.

use wavetank_vocabulary::Span;

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
}

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
                scaled(median, libm::exp(sigma * normal(stream)))
            }
            Distribution::Pareto { scale, shape } => scaled(scale, pareto(stream, shape)),
        }
    }
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
    normal_quantile(lower)
}

/// The value below which a standard normal variable lies with probability `p`: algorithm
/// AS 241 (PPND16) of Wichura, Applied Statistics 37, 1988, about 16 digits. Infinite at 0
/// and 1, NaN outside.
pub fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        return q * polynomial(r, &CENTRE.0) / polynomial(r, &CENTRE.1);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    if tail == 0.0 {
        return if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let r = libm::sqrt(-libm::log(tail));
    let value = if r <= 5.0 {
        polynomial(r - 1.6, &NEAR_TAIL.0) / polynomial(r - 1.6, &NEAR_TAIL.1)
    } else {
        polynomial(r - 5.0, &FAR_TAIL.0) / polynomial(r - 5.0, &FAR_TAIL.1)
    };
    if q < 0.0 { -value } else { value }
}

/// Horner's rule, coefficients from the constant one up.
#[inline]
fn polynomial(x: f64, coefficients: &[f64; 8]) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

/// Numerator and denominator of the rational approximations of AS 241.
type Rational = ([f64; 8], [f64; 8]);

const CENTRE: Rational = (
    [
        3.387_132_872_796_366_5,
        1.331_416_678_917_843_8e2,
        1.971_590_950_306_551_3e3,
        1.373_169_376_550_946e4,
        4.592_195_393_154_987e4,
        6.726_577_092_700_87e4,
        3.343_057_558_358_813e4,
        2.509_080_928_730_122_7e3,
    ],
    [
        1.0,
        4.231_333_070_160_091e1,
        6.871_870_074_920_579e2,
        5.394_196_021_424_751e3,
        2.121_379_430_158_659_7e4,
        3.930_789_580_009_271e4,
        2.872_908_573_572_194_3e4,
        5.226_495_278_852_854e3,
    ],
);

const NEAR_TAIL: Rational = (
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        2.417_807_251_774_506e-1,
        2.272_384_498_926_918_4e-2,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        6.897_673_349_851e-1,
        1.481_039_764_274_800_8e-1,
        1.519_866_656_361_645_7e-2,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
);

const FAR_TAIL: Rational = (
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        2.965_605_718_285_048_7e-1,
        2.653_218_952_657_612_4e-2,
        1.242_660_947_388_078_4e-3,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        5.998_322_065_558_88e-1,
        1.369_298_809_227_358e-1,
        1.487_536_129_085_061_5e-2,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_7e-15,
    ],
);

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
