//! Convolutions with far more weights than pixels, as the products of matrices that they are: a picture is unrolled to
//! `[input channel and tap][output pixel]`, which is small there, and every weight is read once.

use super::super::par::{each, unset};
use super::ConvShape;

/// Kernels (pairs of channels) from which on unrolling pays, and how many for each output pixel of all pictures: at
/// Stable Diffusion's shapes it takes a half to a fifth of the other ways' time there, and more than theirs elsewhere.
const KERNELS: usize = 512 * 512;
const EACH: usize = 2000;

/// Whether a convolution is better computed this way.
pub fn pays(s: &ConvShape) -> bool {
    let pixels = s.batch * s.out_h() * s.out_w();
    pixels > 0 && s.c_in * s.c_out >= KERNELS.max(EACH * pixels)
}

impl ConvShape {
    /// Weights of an output channel: its rows of the unrolled picture.
    fn taps(&self) -> usize {
        self.c_in * self.kernel * self.kernel
    }

    /// The image's column that each output column reads with a tap's column `x`, those outside left out: the first
    /// output column, the image's column there, and how many.
    fn columns(&self, x: usize) -> [usize; 3] {
        let [_, left, ..] = self.pad;
        let first = left.saturating_sub(x).div_ceil(self.stride);
        let end = (self.w + left).saturating_sub(x).div_ceil(self.stride).min(self.out_w());
        [first, (first * self.stride + x).saturating_sub(left), end.saturating_sub(first)]
    }

    /// Calls `f(pixel of the image, output pixel, how many)` for every run of outputs that a tap makes of a channel's
    /// image; from one to the next it is `stride` pixels of the image.
    fn runs(&self, tap: usize, mut f: impl FnMut(usize, usize, usize)) {
        let (y, x) = (tap / self.kernel, tap % self.kernel);
        let [first, from, n] = self.columns(x);
        for row in 0..self.out_h() {
            let source = (row * self.stride + y).checked_sub(self.pad[0]);
            if let Some(source) = source.filter(|source| *source < self.h && n > 0) {
                f(source * self.w + from, row * self.out_w() + first, n);
            }
        }
    }
}

/// A matrix, row after row, or its transpose.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    /// Rows and columns, as they are multiplied.
    size: [usize; 2],
    turned: bool,
}

impl<'a> Matrix<'a> {
    fn new(values: &'a [f32], size: [usize; 2]) -> Self {
        assert_eq!(values.len(), size[0] * size[1], "a matrix");
        Self { values, size, turned: false }
    }

    fn turned(self) -> Self {
        let [rows, columns] = self.size;
        Self { size: [columns, rows], turned: !self.turned, ..self }
    }

    /// From a column to the next, and from a row to the next.
    fn steps(&self) -> [isize; 2] {
        let [rows, columns] = self.size.map(|n| n as isize);
        if self.turned { [rows, 1] } else { [1, columns] }
    }

    /// `out = self times other`, added to what `out` holds where `adds`.
    fn times(self, other: Self, adds: bool, out: &mut [f32]) {
        let ([m, k], n) = (self.size, other.size[1]);
        assert!(other.size[0] == k && out.len() == m * n, "matrices that fit");
        let ([lhs_cs, lhs_rs], [rhs_cs, rhs_rs]) = (self.steps(), other.steps());
        let (lhs, rhs) = (self.values.as_ptr(), other.values.as_ptr());
        #[cfg(not(target_arch = "wasm32"))]
        let threads = gemm::Parallelism::Rayon(super::super::par::threads());
        #[cfg(target_arch = "wasm32")]
        let threads = gemm::Parallelism::None;
        // SAFETY: both matrices are as large as their sizes say, and so is what is written.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                out.as_mut_ptr(),
                1,
                n as isize,
                adds,
                lhs,
                lhs_cs,
                lhs_rs,
                rhs,
                rhs_cs,
                rhs_rs,
                1.0,
                1.0,
                false,
                false,
                false,
                threads,
            );
        }
    }
}

/// `[input channel and tap][output pixel]` of an image.
fn unroll(s: &ConvShape, image: &[f32]) -> Vec<f32> {
    let (taps, pixels) = (s.kernel * s.kernel, s.out_h() * s.out_w());
    let mut all = unset(s.taps() * pixels);
    let channels = all.chunks_mut(taps * pixels).zip(image.chunks_exact(s.h * s.w));
    each(channels.collect(), |(rows, plane)| {
        for (tap, row) in rows.chunks_exact_mut(pixels).enumerate() {
            row.fill(0.0);
            s.runs(tap, |from, to, n| {
                let from = plane[from..].iter().step_by(s.stride);
                row[to..to + n].iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            });
        }
    });
    all
}

/// [`super::forward`].
pub fn forward(s: &ConvShape, x: &[f32], weight: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
    let (taps, pixels) = (s.taps(), s.out_h() * s.out_w());
    let weights = Matrix::new(weight, [s.c_out, taps]);
    let images = x.chunks_exact(s.c_in * s.h * s.w).zip(out.chunks_exact_mut(s.c_out * pixels));
    for (image, out) in images {
        for (o, out) in out.chunks_exact_mut(pixels).enumerate() {
            out.fill(bias.map_or(0.0, |bias| bias[o]));
        }
        let unrolled = unroll(s, image);
        weights.times(Matrix::new(&unrolled, [taps, pixels]), true, out);
    }
}

/// [`super::grad_input`].
pub fn grad_input(s: &ConvShape, grad_out: &[f32], weight: &[f32], grad_x: &mut [f32]) {
    let (taps, pixels) = (s.taps(), s.out_h() * s.out_w());
    let weights = Matrix::new(weight, [s.c_out, taps]).turned();
    let mut unrolled = unset(taps * pixels);
    let images = grad_out.chunks_exact(s.c_out * pixels);
    for (grad, grad_x) in images.zip(grad_x.chunks_exact_mut(s.c_in * s.h * s.w)) {
        weights.times(Matrix::new(grad, [s.c_out, pixels]), false, &mut unrolled);
        let channels = unrolled.chunks_exact(s.kernel * s.kernel * pixels);
        each(channels.zip(grad_x.chunks_exact_mut(s.h * s.w)).collect(), |(rows, plane)| {
            plane.fill(0.0);
            for (tap, row) in rows.chunks_exact(pixels).enumerate() {
                s.runs(tap, |to, from, n| {
                    let to = plane[to..].iter_mut().step_by(s.stride);
                    to.zip(&row[from..from + n]).for_each(|(to, from)| *to += from);
                });
            }
        });
    }
}

/// [`super::grad_weight`].
pub fn grad_weight(s: &ConvShape, x: &[f32], grad_out: &[f32], grad_w: &mut [f32]) {
    let (taps, pixels) = (s.taps(), s.out_h() * s.out_w());
    let images = x.chunks_exact(s.c_in * s.h * s.w).zip(grad_out.chunks_exact(s.c_out * pixels));
    for (n, (image, grad)) in images.enumerate() {
        let unrolled = unroll(s, image);
        let unrolled = Matrix::new(&unrolled, [taps, pixels]).turned();
        Matrix::new(grad, [s.c_out, pixels]).times(unrolled, n > 0, grad_w);
    }
}
