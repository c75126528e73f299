//! 2-d convolutions and their gradients, without im2col where there is a better way.
//!
//! An image is copied into zero-padded scratch with row pitch `pitch`; there a convolution is a sum
//! of shifted GEMMs over flat pixels, `out[p] = Σ w[co,ci,tap] * in[ci][p + offset(tap)]`, whose few
//! columns past the row's end are computed and dropped. With stride 2 the scratch holds the even and
//! odd rows and columns apart ("phases"), so that the same contiguous kernel serves. Maps too small
//! to fill vectors hold `LANES` images side by side in the innermost axis instead.
//! 3 x 3 kernels with stride 1, most of every network here, go by way of [`winograd`]. Only where there are far more
//! weights than pixels, in the depth of large networks, pictures are [`unrolled`].

mod pack;
mod plan;
mod sums;
#[cfg(test)]
mod tests;
mod tile;
mod unrolled;
mod weight;
mod winograd;

use super::par::each;
use super::simd::{Kernel, Simd, dispatch};
use plan::Plan;
use winograd::{Weights, Windows};

/// The sizes of a square convolution: `x [batch, c_in, h, w]`, `weight [c_out, c_in, kernel,
/// kernel]`, `out [batch, c_out, out_h, out_w]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// Images.
    pub batch: usize,
    /// Input channels.
    pub c_in: usize,
    /// Input height.
    pub h: usize,
    /// Input width.
    pub w: usize,
    /// Output channels.
    pub c_out: usize,
    /// Kernel side.
    pub kernel: usize,
    /// Stride along both axes.
    pub stride: usize,
    /// Zero padding: top, left, bottom, right; each less than `kernel`.
    pub pad: [usize; 4],
}

impl ConvShape {
    /// Output height.
    pub fn out_h(&self) -> usize {
        (self.h + self.pad[0] + self.pad[2] - self.kernel) / self.stride + 1
    }

    /// Output width.
    pub fn out_w(&self) -> usize {
        (self.w + self.pad[1] + self.pad[3] - self.kernel) / self.stride + 1
    }

    /// The convolution of `grad_out` that is the input gradient, where the stride is 1.
    fn turned(&self) -> Option<Self> {
        let pad = self.pad.map(|p| self.kernel - 1 - p);
        (self.stride == 1).then_some(Self {
            c_in: self.c_out,
            h: self.out_h(),
            w: self.out_w(),
            c_out: self.c_in,
            pad,
            ..*self
        })
    }

    /// The same with all pixels in one row, where no neighbour counts: longer runs to copy.
    fn flat(self) -> Self {
        let alone = self.kernel == 1 && self.stride == 1;
        if alone { Self { h: 1, w: self.h * self.w, ..self } } else { self }
    }

    fn check(&self, x: &[f32], weight: &[f32], out: &[f32]) {
        assert!(self.pad.iter().all(|&p| p < self.kernel), "padding wider than the kernel's reach");
        assert_eq!(x.len(), self.batch * self.c_in * self.h * self.w, "x");
        assert_eq!(weight.len(), self.c_out * self.c_in * self.kernel * self.kernel, "weight");
        assert_eq!(out.len(), self.batch * self.c_out * self.out_h() * self.out_w(), "out");
    }
}

/// `out = conv(x, weight) + bias`; `bias [c_out]`.
pub fn forward(s: &ConvShape, x: &[f32], weight: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
    s.check(x, weight, out);
    assert!(bias.is_none_or(|b| b.len() == s.c_out), "bias");
    if unrolled::pays(s) {
        return unrolled::forward(s, x, weight, bias, out);
    }
    let Some(windows) = Windows::of(s) else {
        return tile::run(&Plan::forward(&s.flat()), s.batch, x, weight, bias, out);
    };
    let weights = Weights { values: weight, strides: [s.c_in * 9, 9], turned: false };
    winograd::run(s, &windows, x, &weights, bias, out);
}

/// `grad_x [batch, c_in, h, w]` from `grad_out [batch, c_out, out_h, out_w]`.
pub fn grad_input(s: &ConvShape, grad_out: &[f32], weight: &[f32], grad_x: &mut [f32]) {
    s.check(grad_x, weight, grad_out);
    if unrolled::pays(s) {
        return unrolled::grad_input(s, grad_out, weight, grad_x);
    }
    let Some((turned, windows)) = s.turned().and_then(|t| Some((t, Windows::of(&t)?))) else {
        return tile::run(&Plan::grad_input(&s.flat()), s.batch, grad_out, weight, None, grad_x);
    };
    let weights = Weights { values: weight, strides: [9, s.c_in * 9], turned: true };
    winograd::run(&turned, &windows, grad_out, &weights, None, grad_x);
}

/// `grad_w [c_out, c_in, kernel, kernel]`: the sum over images and pixels.
pub fn grad_weight(s: &ConvShape, x: &[f32], grad_out: &[f32], grad_w: &mut [f32]) {
    s.check(x, grad_w, grad_out);
    if unrolled::pays(s) {
        return unrolled::grad_weight(s, x, grad_out, grad_w);
    }
    match Windows::grouped(s) {
        Some(windows) => winograd::grad_weight(s, &windows, x, grad_out, grad_w),
        None => weight::grad_weight(&s.flat(), x, grad_out, grad_w),
    }
}

/// `grad_b [c_out]`: the sum of `grad_out` over images and pixels.
pub fn grad_bias(s: &ConvShape, grad_out: &[f32], grad_b: &mut [f32]) {
    let plane = s.out_h() * s.out_w();
    assert_eq!(grad_out.len(), s.batch * s.c_out * plane, "grad_out");
    assert_eq!(grad_b.len(), s.c_out, "grad_b");
    each(grad_b.iter_mut().enumerate().collect(), |(co, b)| {
        let planes = grad_out.chunks_exact(plane).skip(co).step_by(s.c_out);
        *b = planes.map(|p| f64::from(dispatch(Sum(p)))).sum::<f64>() as f32;
    });
}

/// Sum of a slice.
struct Sum<'a>(&'a [f32]);

impl Kernel for Sum<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<V: Simd>(self) -> f32 {
        let (vectors, tail) = self.0.split_at(self.0.len() / V::LANES * V::LANES);
        let mut acc = [V::splat(0.0); 4];
        for (i, v) in vectors.chunks_exact(V::LANES).enumerate() {
            acc[i % 4] = acc[i % 4].add(V::load(v));
        }
        acc[0].add(acc[1]).add(acc[2].add(acc[3])).sum() + tail.iter().sum::<f32>()
    }
}
