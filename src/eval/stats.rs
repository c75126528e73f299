//! Spread over seeds, and the difference between paired runs with its interval (docs/methods.md#metrics).

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::data::rng;
use crate::words::Metrics;

/// Fewer pairs than this have too few distinct resamples (ten for three pairs) to bootstrap.
const FEWEST: usize = 6;
/// Resamples of a bootstrap.
const RESAMPLES: usize = 2_000;
/// The 97.5 % quantile of Student's t for 1 to 4 degrees of freedom.
const T: [f64; 4] = [12.706, 4.303, 3.182, 2.776];

/// Mean and standard deviation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub mean: f64,
    /// Of the sample (n - 1); absent for one value.
    pub sd: Option<f64>,
    pub n: usize,
}

/// Mean and standard deviation of some values; `None` of nothing.
pub fn spread(values: &[f64]) -> Option<Spread> {
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n as f64;
    let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    let sd = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
    (n > 0).then_some(Spread { mean, sd, n })
}

/// The 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_964;

/// The 95 % interval of a share of `n`, all in percent, by its score (Wilson 1927): of 0 and of 100 % it has a
/// width, too.
pub fn wilson(percent: f64, n: usize) -> [f64; 2] {
    if n == 0 {
        return [0.0, 100.0];
    }
    let (p, n) = (percent / 100.0, n as f64);
    let squared = Z * Z / n;
    let middle = (p + squared / 2.0) / (1.0 + squared);
    let reach = Z * (p * (1.0 - p) / n + squared / (4.0 * n)).sqrt() / (1.0 + squared);
    [middle - reach, middle + reach].map(|share| (100.0 * share).clamp(0.0, 100.0))
}

impl Metrics {
    /// The same with the intervals of UA, RA and TA.
    pub fn with_intervals(self) -> Self {
        let Self { UA, RA, TA, n, .. } = self;
        let of = |(value, n)| wilson(value, n);
        let intervals = match self.judged() {
            true => [UA, RA, TA].into_iter().zip(n).map(of).collect(),
            false => Vec::new(),
        };
        Self { intervals, ..self }
    }
}

/// The mean difference of paired runs with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// Mean of ours less the control's.
    pub difference: f64,
    pub low: f64,
    pub high: f64,
    pub n: usize,
    pub how: How,
}

/// Where an interval comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Studentised bootstrap over the pairs (Efron and Tibshirani 1993, chapter 12).
    Bootstrap,
    /// Student's t: too few pairs for a bootstrap.
    T,
}

impl Paired {
    /// Whether 0 lies outside the interval.
    pub fn differs(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// Compares runs with their controls: `ours[i]` and `control[i]` share everything but the mask, and
/// the pair is what is resampled. `None` for fewer than two pairs or lists of two lengths.
pub fn paired(ours: &[f64], control: &[f64], seed: u64) -> Option<Paired> {
    if ours.len() != control.len() {
        return None;
    }
    let differences: Vec<f64> = ours.iter().zip(control).map(|(a, b)| a - b).collect();
    let all = spread(&differences)?;
    let (n, difference) = (all.n, all.mean);
    let error = all.sd? / (n as f64).sqrt();
    if n < FEWEST {
        let reach = T[n - 2] * error;
        let (low, high) = (difference - reach, difference + reach);
        return Some(Paired { difference, low, high, n, how: How::T });
    }
    let mut rng = rng::seeded(seed, "paired bootstrap");
    let mut pivots = Vec::with_capacity(RESAMPLES);
    let mut sample = vec![0.0; n];
    for _ in 0..RESAMPLES {
        sample.iter_mut().for_each(|v| *v = differences[rng.random_range(0..n)]);
        let Some(Spread { mean, sd: Some(sd), .. }) = spread(&sample) else { continue };
        // A sample of one value n times has no error to divide by.
        if sd > 0.0 {
            pivots.push((mean - difference) / (sd / (n as f64).sqrt()));
        }
    }
    pivots.sort_unstable_by(f64::total_cmp);
    // Equal differences leave no pivot: the interval is that one value.
    let at = |q: f64| pivots.get(((pivots.len() as f64) * q) as usize).copied().unwrap_or(0.0);
    let (low, high) = (difference - at(0.975) * error, difference - at(0.025) * error);
    Some(Paired { difference, low, high, n, how: How::Bootstrap })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_that_of_a_sample() {
        let s = spread(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert!(
            (s.mean - 5.0).abs() < 1e-12 && (s.sd.unwrap() - (32.0f64 / 7.0).sqrt()).abs() < 1e-12
        );
        assert_eq!(spread(&[3.0]).unwrap().sd, None);
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn intervals_cover_the_true_difference_as_often_as_they_say() {
        const TRIALS: usize = 1_500;
        const TRUE: f64 = -0.7;
        for n in [3, 10, 20] {
            let mut rng = rng::seeded(n as u64, "coverage");
            let covered = (0..TRIALS)
                .filter(|&trial| {
                    let mut pair = || {
                        // What a pair shares is larger than what it differs in.
                        let shared = 3.0 * f64::from(rng::normal(&mut rng));
                        let ours = shared + TRUE + f64::from(rng::normal(&mut rng));
                        (ours, shared + 0.5 * f64::from(rng::normal(&mut rng)))
                    };
                    let (ours, control): (Vec<f64>, Vec<f64>) = (0..n).map(|_| pair()).unzip();
                    let p = paired(&ours, &control, trial as u64).unwrap();
                    assert_eq!(p.how == How::T, n == 3);
                    p.low <= TRUE && TRUE <= p.high
                })
                .count();
            let share = covered as f64 / TRIALS as f64;
            assert!((0.93..=0.97).contains(&share), "{n} pairs: {share}");
        }
    }

    #[test]
    fn the_interval_of_a_share_is_wilsons() {
        // Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        for (part, n, [low, high]) in [
            (81.0, 263, [25.53, 36.62]),
            (15.0, 148, [6.24, 16.05]),
            (0.0, 20, [0.0, 16.11]),
            (1.0, 29, [0.61, 17.18]),
        ] {
            let got = wilson(100.0 * part / n as f64, n);
            assert!((got[0] - low).abs() < 0.01 && (got[1] - high).abs() < 0.01, "{got:?}");
        }
        assert_eq!(wilson(50.0, 0), [0.0, 100.0]);
        assert!(Metrics::unjudged().with_intervals().intervals.is_empty());
    }

    #[test]
    fn pairs_are_needed() {
        assert_eq!(paired(&[1.0], &[2.0], 1), None);
        assert_eq!(paired(&[1.0, 2.0], &[2.0], 1), None);
        let same = paired(&[2.0; 8], &[1.0; 8], 1).unwrap();
        assert_eq!((same.low, same.high, same.differs()), (1.0, 1.0, true));
    }
}
