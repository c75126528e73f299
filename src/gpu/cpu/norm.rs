//! Normalisations: PyTorch's semantics, of pictures `[batch, channels, spatial]` fused with the activation after
//! them, of tokens `[rows, width]`.
//!
//! Sums run in `f32` over a few vectors of lanes, per plane, and are put together in `f64`, in an
//! order that the shape alone decides.

mod batch;
mod group;
mod layer;
#[cfg(test)]
mod tests;

use super::simd::{Lanes, Simd, exp, whole};

pub use batch::{BatchNorm, batch_stats};
pub use group::GroupNorm;
pub use layer::LayerNorm;

/// Where the backward passes write.
#[derive(Debug)]
pub struct NormGrads<'a> {
    /// Shaped as the input.
    pub x: &'a mut [f32],
    /// The same, where there was a residual.
    pub residual: Option<&'a mut [f32]>,
    /// `[channels]` or `[width]`, and so the next.
    pub weight: &'a mut [f32],
    pub bias: &'a mut [f32],
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
fn sigmoid<V: Simd>(x: V) -> V {
    V::splat(1.0).div(V::splat(1.0).add(exp(V::splat(0.0).sub(x))))
}

/// The derivative of `x * sigmoid(x)`.
#[inline(always)]
fn silu_slope<V: Simd>(x: V) -> V {
    let s = sigmoid(x);
    s.mul(x.mul(V::splat(1.0).sub(s)).add(V::splat(1.0)))
}

/// `Σ x`.
#[inline(always)]
fn sum<V: Simd>(x: &[f32]) -> f32 {
    #[inline(always)]
    fn part<V: Simd>(x: &[f32]) -> f32 {
        let (mut a, mut b) = (V::splat(0.0), V::splat(0.0));
        let (pairs, last) = x.split_at(x.len() / (2 * V::LANES) * 2 * V::LANES);
        for x in pairs.chunks_exact(2 * V::LANES) {
            a = a.add(V::load(x));
            b = b.add(V::load(&x[V::LANES..]));
        }
        for x in last.chunks_exact(V::LANES) {
            a = a.add(V::load(x));
        }
        a.add(b).sum()
    }
    let (vectors, tail) = whole::<V>(x);
    part::<V>(vectors) + part::<Lanes<1>>(tail)
}

/// `Σ (x - mean)²`.
#[inline(always)]
fn sum_squares<V: Simd>(x: &[f32], mean: f32) -> f32 {
    #[inline(always)]
    fn part<V: Simd>(x: &[f32], mean: f32) -> f32 {
        let (mut a, mut b, mean) = (V::splat(0.0), V::splat(0.0), V::splat(mean));
        let (pairs, last) = x.split_at(x.len() / (2 * V::LANES) * 2 * V::LANES);
        for x in pairs.chunks_exact(2 * V::LANES) {
            let (x, y) = (V::load(x).sub(mean), V::load(&x[V::LANES..]).sub(mean));
            a = x.mul_add(x, a);
            b = y.mul_add(y, b);
        }
        for x in last.chunks_exact(V::LANES) {
            let x = V::load(x).sub(mean);
            a = x.mul_add(x, a);
        }
        a.add(b).sum()
    }
    let (vectors, tail) = whole::<V>(x);
    part::<V>(vectors, mean) + part::<Lanes<1>>(tail, mean)
}
