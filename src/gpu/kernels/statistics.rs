//! Statistics of a layer's scores, and the scores themselves from gradients.

use super::{GROUPS, Kernels, LANES, Part, Shader, Slice, shader};
use crate::error::Result;

const ADD: Shader = shader!("accumulate", "add");
const FINISH: Shader = shader!("accumulate", "finish");
const STATISTICS: Shader = shader!("layer_statistics");

/// Bins of [`Statistics`]: the exponent and the first four bits of the mantissa.
pub const BINS: usize = 4096;

/// One layer's scores in short.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// How many scores fall into each bin; a score's bin is its bits shifted right by 19.
    pub counts: Vec<u32>,
    /// The largest score.
    pub largest: f32,
}

/// The bin of a score with these bits.
pub fn bin_of(bits: u32) -> usize {
    ((bits >> 19) as usize).min(BINS - 1)
}

impl Statistics {
    /// The same on the CPU.
    pub fn of(scores: &[f32]) -> Self {
        let mut counts = vec![0; BINS];
        let mut largest = 0;
        for bits in scores.iter().map(|s| s.to_bits()) {
            counts[bin_of(bits)] += 1;
            largest = largest.max(bits);
        }
        Self { counts, largest: f32::from_bits(largest) }
    }
}

impl Kernels {
    /// Adds a gradient to the running sum; after the `last` the sum becomes scores, its absolute
    /// values (SalUn eq. 3).
    pub fn accumulate(&self, sum: &Slice, gradient: &Slice, last: bool) {
        let shader = if last { FINISH } else { ADD };
        self.submit(|pass| {
            for (start, n) in self.parts(sum.n, LANES as usize) {
                let part = self.uniform(Part { start: start as u32, n: n as u32 });
                let all = [sum.part(start, n), gradient.part(start, n), part.as_entire_binding()];
                self.dispatch(pass, shader, &all, Self::walk(n));
            }
        });
    }

    /// Statistics of a layer.
    ///
    /// # Errors
    /// The device was lost.
    pub async fn statistics(&self, scores: &Slice) -> Result<Statistics> {
        let (counts, largest) = (self.zeros(BINS), self.zeros(1));
        self.submit(|pass| {
            for (start, n) in self.parts(scores.n, LANES as usize) {
                let part = self.uniform(Part { start: start as u32, n: n as u32 });
                let all = [
                    scores.part(start, n),
                    counts.whole(),
                    largest.whole(),
                    part.as_entire_binding(),
                ];
                self.dispatch(pass, STATISTICS, &all, (n as u64).div_ceil(LANES).min(GROUPS / 4));
            }
        });
        let largest = f32::from_bits(self.read(&largest).await?[0]);
        Ok(Statistics { counts: self.read(&counts).await?, largest })
    }
}
