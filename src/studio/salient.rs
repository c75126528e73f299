//! A ranking and what the density of the moment keeps of it.

use std::sync::Arc;

use crate::{
    error::Result,
    run::report::LayerReport,
    saliency::{
        live::Live,
        ranking::{Histogram, Ranking},
    },
};

/// Bars of the histogram.
const BARS: usize = 64;

/// What the saliency panel shows.
#[derive(Debug)]
pub struct Saliency {
    pub ranking: Arc<Ranking>,
    /// Whether all pictures are in the scores, or only the first ones yet.
    pub whole: bool,
    pub histogram: Histogram,
    live: Live,
    density: f64,
    /// How many weights are kept, always exact.
    pub k: usize,
    /// The smallest kept score.
    pub threshold: f32,
    /// Kept weights of every layer, in forward order.
    pub layers: Vec<LayerReport>,
    /// Whether threshold and layers are the mask's, and not the histogram's answer.
    pub exact: bool,
    /// Grows with every change, so that pictures know when they are old.
    pub revision: u64,
}

impl Saliency {
    /// Takes the histograms and cuts the first mask.
    ///
    /// # Errors
    /// A score is not a finite number.
    pub fn new(ranking: Arc<Ranking>, whole: bool, density: f64) -> Result<Self> {
        let (live, histogram) = (Live::new(&ranking), ranking.histogram(BARS));
        let (k, threshold, layers) = (0, 0.0, Vec::new());
        let (exact, revision) = (false, 0);
        let mut saliency = Self {
            ranking,
            whole,
            histogram,
            live,
            density,
            k,
            threshold,
            layers,
            exact,
            revision,
        };
        saliency.settle()?;
        Ok(saliency)
    }

    /// Follows a density on the move: from the histograms, however many weights there are.
    pub fn aim(&mut self, density: f64) {
        let density = density.clamp(0.0, 1.0);
        self.density = density;
        self.k = (self.ranking.scores.len() as f64 * density) as usize;
        let kept = self.live.keep(self.k);
        self.threshold = kept.threshold;
        self.layers.iter_mut().zip(kept.layers).for_each(|(layer, kept)| layer.kept = kept);
        self.exact = false;
        self.revision += 1;
    }

    /// Cuts the exact mask of a density that has come to rest.
    ///
    /// # Errors
    /// A score is not a finite number.
    pub fn settle(&mut self) -> Result<()> {
        if !self.exact {
            let mask = self.ranking.mask(self.density)?;
            (self.k, self.threshold, self.layers) = (mask.k, mask.threshold, mask.layers());
            self.exact = true;
            self.revision += 1;
        }
        Ok(())
    }

    /// The density whose mask has this threshold, nearly.
    pub fn density_at(&self, threshold: f32) -> f64 {
        self.live.density_at(threshold)
    }
}
