//! How pictures are sampled.

use crate::error::{Error, Result};

/// How to sample.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleOptions {
    /// Uniform steps out of the schedule's 1,000.
    pub steps: usize,
    /// w in (1 + w) eps(x|c) - w eps(x|null) (Ho and Salimans 2022; 0 skips the null pass).
    pub guidance: f32,
    /// 0 is DDIM, 1 is ancestral sampling.
    pub eta: f64,
    pub seed: u64,
    /// Hold the predicted picture within the range of pictures at every step (Ho et al. 2020).
    /// Strong guidance leaves that range and saturates without it; the official code's sampler
    /// does not clip.
    #[serde(default = "clipped")]
    pub clip: bool,
}

fn clipped() -> bool {
    true
}

impl SampleOptions {
    /// The same for a look in between: half the steps, and four at the least.
    pub fn quick(self) -> Self {
        Self { steps: (self.steps / 2).max(4).min(self.steps), ..self }
    }

    /// Refuses values that are out of range.
    ///
    /// # Errors
    /// The argument is named.
    pub fn check(&self) -> Result<()> {
        if !(1..=1000).contains(&self.steps) {
            return Err(Error::argument("steps", self.steps, "1 to 1000 is needed"));
        }
        if !(0.0..=100.0).contains(&self.guidance) {
            return Err(Error::argument("guidance", self.guidance, "0 to 100 is needed"));
        }
        if !(0.0..=1.0).contains(&self.eta) {
            return Err(Error::argument("eta", self.eta, "0 to 1 is needed"));
        }
        Ok(())
    }
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self { steps: 25, guidance: 2.0, eta: 0.0, seed: 1, clip: true }
    }
}
