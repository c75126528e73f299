//! Dropout's mask from a counter: the same on every device, in parts or whole.

use super::{Kernels, Shader, Slice, Work, constants, shader};

const KEEP: Shader = shader!("keep");

/// Which values of which stream are drawn, and how many of them are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Keep {
    pub stream: u32,
    /// Place in the stream of the first value.
    pub first: usize,
    /// Share of values that are kept, above 0.
    pub share: f64,
}

impl Keep {
    /// Numbers below this one are kept, and the value of what is.
    fn below(&self) -> (u32, f32) {
        ((self.share * f64::from(u32::MAX)) as u32, (1.0 / self.share) as f32)
    }

    /// `n` values on the CPU.
    pub fn values(&self, n: usize) -> Vec<f32> {
        let (below, scale) = self.below();
        let kept = |i| pcg(pcg((self.first as u32).wrapping_add(i)) ^ self.stream) < below;
        (0..n as u32).map(|i| if kept(i) { scale } else { 0.0 }).collect()
    }
}

/// A number from a number (PCG-RXS-M-XS; Jarzynski and Olano 2020).
fn pcg(value: u32) -> u32 {
    let state = value.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

impl Kernels {
    /// Fills `mask` with the values that [`Keep::values`] has.
    pub fn keep(&self, keep: &Keep, mask: &Slice) {
        let (below, scale) = keep.below();
        let work = Work { parts: vec![mask], whole: vec![], start: keep.first };
        self.walk_over(KEEP, &[work], |at, n| constants(&[at, n, keep.stream, below], &[scale]));
    }
}
