//! A ranking and what the density of the moment keeps of it.

use std::sync::Arc;

use crate::error::Result;
use crate::models::WeightEntry;
use crate::saliency::{Common, Histogram, Kept, Scores};
use crate::words::LayerReport;

/// Bars of the histogram.
const BARS: usize = 64;

/// What the saliency panel shows.
#[derive(Debug)]
pub struct Saliency {
    pub ranking: Arc<Scores>,
    /// Whether all pictures are in the scores, or only the first ones yet.
    pub whole: bool,
    pub histogram: Histogram,
    /// How many weights are kept, always exact.
    pub k: usize,
    /// The smallest kept score.
    pub threshold: f32,
    /// Weights with just that score are kept before this position.
    pub ties_end: usize,
    /// Kept weights of every layer, in forward order.
    pub layers: Vec<LayerReport>,
    /// Whether threshold and layers are the mask's, and not the histogram's answer.
    pub exact: bool,
    /// Grows with every change, so that pictures know when they are old.
    pub revision: u64,
}

impl Saliency {
    /// Cuts the first mask.
    ///
    /// # Errors
    /// A score is not a finite number.
    pub fn new(ranking: Arc<Scores>, whole: bool, density: f64) -> Result<Self> {
        ranking.live.check(&ranking)?;
        let layer = |e: &WeightEntry| {
            let (name, shape) = (e.name.clone(), e.shape.clone());
            LayerReport { name, shape, kept: 0, n: e.n() }
        };
        let mut saliency = Self {
            layers: ranking.layout.params.iter().map(layer).collect(),
            k: ranking.k(density)?,
            histogram: ranking.live.histogram(BARS),
            ranking,
            whole,
            threshold: 0.0,
            ties_end: 0,
            exact: false,
            revision: 0,
        };
        saliency.settle();
        Ok(saliency)
    }

    /// Follows a density on the move: from the histograms, however many weights there are.
    ///
    /// # Errors
    /// The density is not in 0..=1.
    pub fn aim(&mut self, density: f64) -> Result<()> {
        self.k = self.ranking.k(density)?;
        self.keep(self.ranking.live.keep(self.k), false);
        Ok(())
    }

    /// Finds the exact mask of a density that has come to rest.
    pub fn settle(&mut self) {
        if !self.exact {
            let Scores { layout, scores, .. } = &*self.ranking;
            // Scores that are none were refused at the beginning.
            if let Ok(kept) = Kept::exact(layout, scores, self.k) {
                self.keep(kept, true);
            }
        }
    }

    fn keep(&mut self, kept: Kept, exact: bool) {
        (self.threshold, self.ties_end, self.exact) = (kept.threshold, kept.ties_end, exact);
        self.layers.iter_mut().zip(kept.layers).for_each(|(layer, kept)| layer.kept = kept);
        self.revision += 1;
    }

    /// What both keep of every layer; nothing where they are of other networks.
    pub fn common(&self, other: &Self) -> Option<Vec<Common>> {
        let layout = &self.ranking.layout;
        let alike = layout.params == other.ranking.layout.params;
        let free: [&(dyn Fn(usize) -> bool + Sync); 2] =
            [&|at| self.free(at), &|at| other.free(at)];
        alike.then(|| Common::of_layers(layout, free))
    }

    /// Whether a weight, by its position among all N, may change.
    pub fn free(&self, at: usize) -> bool {
        let score = self.ranking.scores[at];
        score > self.threshold || score == self.threshold && at < self.ties_end
    }
}
