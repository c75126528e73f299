//! Scores of all weights, computed once; every density follows without another gradient.

use std::sync::{Arc, Mutex, PoisonError};

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::live::LayerHistograms;
use super::mask::Mask;
use super::top_k;
use crate::data::rng;
use crate::error::{Error, Result};
use crate::gpu::kernels::{Kernels, Slice};
use crate::models::{Bits, HostWeights, WeightEntry, WeightLayout};
use crate::words::Estimator;

/// Non-negative scores of all N weights, larger is more salient.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scores {
    pub layout: Arc<WeightLayout>,
    pub estimator: Estimator,
    /// The forget set that the scores are for.
    pub forget: String,
    /// Items that the scores were taken over.
    pub n_forget: usize,
    #[serde(with = "crate::wire::numbers")]
    pub scores: Vec<f32>,
    /// Seconds that scoring took.
    pub seconds: f64,
    /// Histograms of the scores.
    pub live: LayerHistograms,
    /// The scores on the GPU where they were taken there.
    #[serde(skip)]
    pub resident: Resident,
}

/// Scores on a GPU and what works on them there, for all who hold the ranking, until they are
/// released for all of them.
#[derive(Debug, Clone, Default)]
pub struct Resident(Arc<Mutex<Option<(Kernels, Slice)>>>);

impl Resident {
    /// The scores, while they are there.
    pub fn get(&self) -> Option<(Kernels, Slice)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives the GPU's memory back.
    pub fn release(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Scores {
    /// A ranking by these scores, which are in main memory and took no pictures and no time.
    pub fn new(
        layout: Arc<WeightLayout>,
        estimator: Estimator,
        forget: &str,
        scores: Vec<f32>,
    ) -> Self {
        let live = LayerHistograms::of(&layout, &scores);
        let (forget, resident) = (forget.into(), Resident::default());
        Self { layout, estimator, forget, n_forget: 0, scores, seconds: 0.0, live, resident }
    }

    /// The same of scores that are on a GPU, too.
    ///
    /// # Errors
    /// The device was lost.
    pub async fn resident(
        layout: Arc<WeightLayout>,
        estimator: Estimator,
        forget: &str,
        scores: Vec<f32>,
        (kernels, on_gpu): (Kernels, Slice),
    ) -> Result<Self> {
        let layers: Vec<_> = layout.params.iter().map(|e| e.range()).collect();
        let live = LayerHistograms::from_counts(&kernels.layer_histograms(&on_gpu, &layers).await?);
        let resident = Resident(Arc::new(Mutex::new(Some((kernels, on_gpu)))));
        let forget = forget.into();
        Ok(Self { layout, estimator, forget, n_forget: 0, scores, seconds: 0.0, live, resident })
    }

    /// The same without the scores themselves, of which only the histograms stay.
    pub fn without_scores(&self) -> Self {
        let Self { layout, estimator, forget, n_forget, seconds, live, .. } = self;
        self.resident.release();
        Self {
            layout: layout.clone(),
            estimator: *estimator,
            forget: forget.clone(),
            n_forget: *n_forget,
            scores: Vec::new(),
            seconds: *seconds,
            live: live.clone(),
            resident: Resident::default(),
        }
    }

    /// The control: a random order, selected by the same code.
    pub fn random(layout: Arc<WeightLayout>, forget: &str, seed: u64) -> Self {
        let mut rng = rng::seeded(seed, "random mask");
        let scores = (0..layout.n()).map(|_| rng.random::<f32>()).collect();
        Self::new(layout, Estimator::Random, forget, scores)
    }

    /// By the size of the weights themselves.
    pub fn magnitude(weights: &HostWeights, forget: &str) -> Self {
        let scores = weights.values.iter().map(|w| w.abs()).collect();
        Self::new(weights.layout.clone(), Estimator::Magnitude, forget, scores)
    }

    /// The mask with exactly k = floor(density · N) ones over all weights together.
    ///
    /// # Errors
    /// The density is not in 0..=1, or a score is not a finite number.
    pub fn mask(&self, density: f64) -> Result<Mask> {
        let k = self.k(density)?;
        let cut = top_k(&self.scores, k)?;
        Ok(self.made(density, k, cut.threshold(), cut.mark(&self.scores)))
    }

    /// The same mask, selected where the scores are.
    ///
    /// # Errors
    /// As [`Scores::mask`], or the device was lost.
    pub async fn cut(&self, density: f64) -> Result<Mask> {
        let Some((kernels, scores)) = self.resident.get() else { return self.mask(density) };
        let k = self.k(density)?;
        let selection = kernels.top_k(&scores, k).await?;
        let words = kernels.read(&selection.mask).await?;
        let bits = Bits::from_words(words, self.scores.len());
        Ok(self.made(density, k, selection.threshold, bits))
    }

    /// The mask of some layers alone, by name: a share of their weights, and of no others.
    ///
    /// # Errors
    /// As [`Scores::mask`].
    pub fn mask_of(&self, density: f64, layer: impl Fn(&str) -> bool) -> Result<Mask> {
        let params = || self.layout.params.iter().filter(|e| layer(&e.name));
        let scores: Vec<f32> = params().flat_map(|e| &self.scores[e.range()]).copied().collect();
        let k = count(density, scores.len())?;
        let cut = top_k(&scores, k)?;
        let (mut bits, kept) = (Bits::zeros(self.scores.len()), cut.mark(&scores));
        let places = params().flat_map(WeightEntry::range).zip(kept.iter());
        places.filter(|(_, kept)| *kept).for_each(|(at, _)| bits.set(at));
        let density = k as f64 / bits.len() as f64;
        Ok(self.made(density, k, cut.threshold(), bits))
    }

    /// How many weights a density keeps: floor(density · N).
    ///
    /// # Errors
    /// The density is not in 0..=1.
    pub fn k(&self, density: f64) -> Result<usize> {
        count(density, self.scores.len())
    }

    fn made(&self, density: f64, k: usize, threshold: f32, bits: Bits) -> Mask {
        let (layout, estimator) = (self.layout.clone(), self.estimator);
        Mask { layout, estimator, density, k, threshold, bits }
    }
}

/// floor(density · n).
pub(super) fn count(density: f64, n: usize) -> Result<usize> {
    if !(0.0..=1.0).contains(&density) {
        return Err(Error::argument("density", density, "a share from 0 to 1 is needed"));
    }
    Ok((n as f64 * density) as usize)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_papers_networks_keep_as_many_weights_as_its_code() {
        let golden = [
            1_117_396, 2_234_792, 3_352_188, 4_469_584, 5_586_981, 6_704_377, 7_821_773, 8_939_169,
            10_056_565, 11_173_962,
        ];
        for (tenth, k) in (1..).zip(golden) {
            assert_eq!(super::count(f64::from(tenth) / 10.0, 11_173_962).unwrap(), k);
        }
        assert_eq!(super::count(0.5, 38_632_323).unwrap(), 19_316_161);
    }
}
