//! A ranking and the mask that the density of the moment cuts from it.

use std::sync::Arc;

use crate::{
    error::Result,
    run::report::LayerReport,
    saliency::{
        Mask,
        ranking::{Histogram, Ranking},
    },
};

/// Bars of the histogram.
const BINS: usize = 64;

/// What the saliency panel shows.
#[derive(Debug)]
pub struct Saliency {
    pub ranking: Arc<Ranking>,
    /// Whether all pictures are in the scores, or only the first ones yet.
    pub whole: bool,
    pub histogram: Histogram,
    pub mask: Mask,
    /// Kept weights of every layer, in forward order.
    pub layers: Vec<LayerReport>,
    /// Grows with every cut, so that pictures of the mask know when they are old.
    pub revision: u64,
}

impl Saliency {
    /// Cuts the first mask.
    ///
    /// # Errors
    /// A score is not a finite number.
    pub fn new(ranking: Arc<Ranking>, whole: bool, density: f64) -> Result<Self> {
        let mask = ranking.mask(density)?;
        let histogram = ranking.histogram(BINS);
        Ok(Self { whole, histogram, layers: mask.layers(), mask, ranking, revision: 0 })
    }

    /// Cuts another mask from the same scores.
    ///
    /// # Errors
    /// The density is not in 0..=1.
    pub fn cut(&mut self, density: f64) -> Result<()> {
        self.mask = self.ranking.mask(density)?;
        self.layers = self.mask.layers();
        self.revision += 1;
        Ok(())
    }
}
