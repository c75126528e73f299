//! Scores from gradients, and histograms of the scores of every layer.

use std::ops::Range;

use super::{ALIGNED, GROUPS, Kernels, LANES, Shader, Slice, Work, bindings, shader};
use crate::error::Result;

const ADD: Shader = shader!("accumulate");
const HISTOGRAM: Shader = shader!("layer_histogram");

/// Bit patterns in a bin.
pub const BIN: u32 = 1 << 19;
/// Bins of a histogram: the exponent and the first four bits of the mantissa.
pub const BINS: usize = 4096;

/// The bin of a score with these bits.
pub fn bin_of(bits: u32) -> usize {
    ((bits / BIN) as usize).min(BINS - 1)
}

/// How many scores fall into each bin; the twin of [`Kernels::layer_histograms`] on the CPU.
pub fn layer_histogram(scores: &[f32]) -> Vec<u32> {
    let mut counts = vec![0; BINS];
    scores.iter().for_each(|s| counts[bin_of(s.to_bits())] += 1);
    counts
}

impl Kernels {
    /// Adds a gradient to the running sum; after the `last` the sum becomes scores, its absolute
    /// values (SalUn eq. 3).
    pub fn accumulate(&self, sum: &Slice, gradient: &Slice, last: bool) {
        let work = Work { parts: vec![sum, gradient], whole: vec![], start: 0 };
        self.walk_over(ADD, &[work], |_, n| vec![n, last.into()]);
    }

    /// [`BINS`] counts of every layer, one layer after another; `layers` are their places among the
    /// scores.
    ///
    /// # Errors
    /// The device was lost.
    pub async fn layer_histograms(
        &self,
        scores: &Slice,
        layers: &[Range<usize>],
    ) -> Result<Vec<u32>> {
        let counts = self.zeros(BINS * layers.len());
        let mut parts = Vec::new();
        for (range, layer) in layers.iter().zip(0..) {
            // A binding begins where the device lets it, a layer anywhere.
            let from = range.start - range.start % ALIGNED;
            for (at, n) in self.parts(range.end - from, LANES as usize) {
                let start = (range.start - from).saturating_sub(at) as u32;
                parts.push((from + at, n, vec![start, n as u32, layer]));
            }
        }
        let places = parts.iter().map(|(.., place)| place.clone()).collect::<Vec<_>>();
        let places = self.uniforms(&places);
        self.submit(|pass| {
            for (i, &(at, n, _)) in parts.iter().enumerate() {
                let all = bindings(&[scores], (at, n), &[&counts], places.at(i));
                // Each group clears and adds up 4096 counts of its own.
                let groups = (n as u64).div_ceil(16 * LANES).min(GROUPS / 4);
                self.dispatch(pass, HISTOGRAM, &all, groups);
            }
        });
        self.read(&counts).await
    }
}
