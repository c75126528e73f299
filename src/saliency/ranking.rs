//! Scores of all weights, computed once; every density follows without another gradient.

use std::sync::Arc;

use super::{estimator::Estimator, mask::Mask, select::top_k};
use crate::{
    data::rng,
    error::{Error, Result},
    models::weights::WeightLayout,
};
use rand::RngExt;

/// Non-negative scores of all N weights, larger is more salient.
#[derive(Debug, Clone)]
pub struct Ranking {
    pub layout: Arc<WeightLayout>,
    pub estimator: Estimator,
    /// The forget set that the scores are for.
    pub forget: String,
    /// Items that the scores were taken over.
    pub n_forget: usize,
    pub scores: Vec<f32>,
    /// Seconds that scoring took.
    pub seconds: f64,
}

/// Counts of scores in equal steps of their base-10 logarithm.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Base-10 logarithm of the left edge of the first bin.
    pub start: f64,
    /// Width of a bin in powers of ten.
    pub step: f64,
    pub counts: Vec<usize>,
    /// Scores that are exactly zero or below the first bin.
    pub below: usize,
}

impl Ranking {
    /// The control: a random order, selected by the same code.
    pub fn random(layout: Arc<WeightLayout>, forget: &str, seed: u64) -> Self {
        let mut rng = rng::seeded(seed, "random mask");
        let scores = (0..layout.n()).map(|_| rng.random::<f32>()).collect();
        Self {
            layout,
            estimator: Estimator::Random,
            forget: forget.into(),
            n_forget: 0,
            scores,
            seconds: 0.0,
        }
    }

    /// The mask with exactly k = floor(density · N) ones over all weights together.
    ///
    /// # Errors
    /// The density is not in 0..=1, or a score is not a finite number.
    pub fn mask(&self, density: f64) -> Result<Mask> {
        if !(0.0..=1.0).contains(&density) {
            return Err(Error::argument("density", density, "a share from 0 to 1 is needed"));
        }
        let k = (self.scores.len() as f64 * density) as usize;
        let cut = top_k(&self.scores, k)?;
        let mut bits = Vec::new();
        cut.mark(&self.scores, &mut bits);
        Ok(Mask {
            layout: self.layout.clone(),
            estimator: self.estimator,
            density,
            k,
            threshold: cut.threshold(),
            bits,
        })
    }

    /// Eight powers of ten below the largest score, in `bins` steps.
    pub fn histogram(&self, bins: usize) -> Histogram {
        let top = self.scores.iter().copied().fold(0.0f32, f32::max).max(f32::MIN_POSITIVE);
        let end = f64::from(top).log10();
        let (start, step) = (end - 8.0, 8.0 / bins as f64);
        let mut counts = vec![0; bins];
        let mut below = 0;
        for s in &self.scores {
            let bin = (f64::from(*s).log10() - start) / step;
            if bin < 0.0 {
                below += 1;
            } else {
                counts[(bin as usize).min(bins - 1)] += 1;
            }
        }
        Histogram { start, step, counts, below }
    }

    /// The density whose mask has this threshold: the share of scores at or above it.
    pub fn density_at(&self, threshold: f32) -> f64 {
        let kept = self.scores.iter().filter(|s| **s >= threshold).count();
        kept as f64 / self.scores.len().max(1) as f64
    }
}
