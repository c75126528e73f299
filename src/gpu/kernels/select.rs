//! Exact selection of the k largest on the device: three digits of a radix histogram, then marks.

use super::{Kernels, Shader, Slice, bindings, shader};
use crate::error::{Error, Result, ensure};

const HISTOGRAM: Shader = shader!("select_histogram");
const DIGIT: Shader = shader!("select_digit");
const TIES: Shader = shader!("select_ties");
const SCAN: Shader = shader!("select_scan");
const MARK: Shader = shader!("select_mark");

/// Values that one workgroup marks.
const BLOCK: usize = 8192;
/// Counts of a digit.
const BINS: usize = 2048;

/// What is known of the threshold, as the shaders see it.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct State {
    prefix: u32,
    known: u32,
    left: u32,
    shift: u32,
    digit: u32,
    bad: u32,
}

/// The k largest of some scores.
#[derive(Debug, Clone)]
pub struct Selection {
    /// One bit a score, the lowest bit of a word first; exactly k are set.
    pub mask: Slice,
    /// The smallest selected score; infinite where none is selected.
    pub threshold: f32,
}

impl Kernels {
    /// Selects exactly the `k` largest scores (all, where there are fewer), ties by position:
    /// the same selection as on the CPU. Takes five passes over the scores and a
    /// scratch of 8 KiB and 4 bytes for 8,192 scores; no sort.
    ///
    /// # Errors
    /// A score is negative, infinite or not a number; or the device was lost.
    pub async fn top_k(&self, scores: &Slice, k: usize) -> Result<Selection> {
        let mask = self.zeros(scores.n.div_ceil(32));
        let threshold = self.select(scores, k, Some(&mask)).await?;
        Ok(Selection { mask, threshold })
    }

    /// The k-th largest score alone, in three passes; infinite where `k` is 0.
    ///
    /// # Errors
    /// As for [`Kernels::top_k`].
    pub async fn kth_largest(&self, scores: &Slice, k: usize) -> Result<f32> {
        self.select(scores, k, None).await
    }

    async fn select(&self, scores: &Slice, k: usize, mask: Option<&Slice>) -> Result<f32> {
        let n = scores.n;
        if n == 0 {
            return Ok(f32::INFINITY);
        }
        let counts = self.zeros(BINS);
        let ties = self.zeros(n.div_ceil(BLOCK));
        let start = State {
            prefix: 0,
            known: 0,
            left: k.clamp(1, n) as u32,
            shift: 21,
            digit: 0x7ff,
            bad: u32::MAX,
        };
        let state = self.upload(bytemuck::cast_slice(&[start]));
        let parts: Vec<_> = self.parts(n, BLOCK).collect();
        let places: Vec<_> = parts.iter().map(|(at, n)| vec![*at as u32, *n as u32]).collect();
        let places = self.uniforms(&places);
        let blocks = |n: usize| n.div_ceil(BLOCK) as u64;
        type Groups = fn(usize) -> u64;
        let each = |pass: &mut wgpu::ComputePass, shader, groups: Groups, whole: &[&Slice]| {
            for (i, part) in parts.iter().enumerate() {
                let all = bindings(&[scores], *part, whole, places.at(i));
                self.dispatch(pass, shader, &all, groups(part.1));
            }
        };
        self.submit(|pass| {
            for _ in 0..3 {
                each(pass, HISTOGRAM, Self::walk, &[&counts, &state]);
                self.dispatch(pass, DIGIT, &[counts.whole(), state.whole()], 1);
            }
            let Some(mask) = mask.filter(|_| k > 0) else { return };
            each(pass, TIES, blocks, &[&ties, &state]);
            self.dispatch(pass, SCAN, &[ties.whole()], 1);
            each(pass, MARK, blocks, &[&ties, &state, mask]);
        });
        let state: State =
            bytemuck::pod_read_unaligned(bytemuck::cast_slice(&self.read(&state).await?));
        let bad = state.bad;
        let why = || format!("the score of weight {bad} is negative or not a finite number");
        ensure(bad == u32::MAX, || Error::Diverged(why()))?;
        Ok(if k == 0 { f32::INFINITY } else { f32::from_bits(state.prefix) })
    }
}
