//! The forward convolution, and the input gradient, which is one with the kernels turned.

use super::super::super::par::{Scratch, each, map, zeros};
use super::super::super::simd::{Kernel, Simd, dispatch, runs, transpose, vector_shape};
use super::super::ConvShape;
use super::{BLOCK, Band, WINDOW, Windows, steps, transform};

/// Which weight a convolution multiplies with.
pub struct Weights<'a> {
    pub values: &'a [f32],
    /// Distance between output channels and between input channels.
    pub strides: [usize; 2],
    /// Whether the kernel is turned by 180 degrees: the input gradient's.
    pub turned: bool,
}

/// `out [batch, c_out, ..] = conv(x [batch, c_in, ..], weights) + bias`.
pub fn run(
    s: &ConvShape,
    windows: &Windows,
    x: &[f32],
    weights: &Weights,
    bias: Option<&[f32]>,
    out: &mut [f32],
) {
    let weights = transformed(s, weights);
    let group = windows.group;
    let bands = windows.bands(s.batch / group);
    let (x_len, plane) = (group * x.len() / s.batch, s.out_h() * s.out_w());
    let multiply = |x, band, result: &mut [f32]| {
        dispatch(Products { s, windows, band, x, weights: &weights, bias, result });
    };
    let write = |result: &[f32], band: &Band, out: &mut [f32]| {
        dispatch(Outputs { s, windows, band, result, out });
    };
    let length = |band: &Band| s.c_out * channel_len(band);
    if let [band] = &bands[..] {
        let tasks = x.chunks(x_len).zip(out.chunks_mut(group * s.c_out * plane)).collect();
        return each(tasks, |(x, out)| {
            let mut result = Scratch::any(length(band));
            multiply(x, band, &mut result);
            for (o, result) in result.chunks_exact(channel_len(band)).enumerate() {
                write(result, band, &mut out[o * plane..]);
            }
        });
    }
    let tasks = x.chunks(x_len).flat_map(|x| bands.iter().map(move |band| (x, band))).collect();
    let results = map(tasks, |(x, band)| {
        let mut result = vec![0.0; length(band)];
        multiply(x, band, &mut result);
        result
    });
    each(out.chunks_mut(plane).enumerate().collect(), |(i, out)| {
        let (image, channel) = (i / s.c_out, i % s.c_out);
        for (result, band) in results[image * bands.len()..].iter().zip(&bands) {
            let len = channel_len(band);
            write(&result[channel * len..][..len], band, out);
        }
    });
}

/// Floats of a channel's four planes of outputs in a band, and what vectors read past the last.
fn channel_len(band: &Band) -> usize {
    let (lanes, _) = vector_shape();
    (4 * band.at.len() + 1) * lanes
}

/// Output channels of a block of weights.
const ROWS: usize = 8;

/// `G g G'` of every kernel, `[block of channels][element][c_in][channel of the block]`; channels
/// that are not there are zeros.
fn transformed(s: &ConvShape, weights: &Weights) -> Vec<f32> {
    let [out_stride, in_stride] = weights.strides;
    let mut all = zeros(s.c_out.div_ceil(ROWS) * WINDOW * s.c_in * ROWS);
    each(all.chunks_mut(WINDOW * s.c_in * ROWS).enumerate().collect(), |(block, to)| {
        for channel in 0..s.c_in {
            let mut g = [[0.0; ROWS]; 9];
            let there = ROWS.min(s.c_out - block * ROWS);
            for (tap, g) in g.iter_mut().enumerate() {
                let tap = if weights.turned { 8 - tap } else { tap };
                let first = block * ROWS * out_stride + channel * in_stride + tap;
                for (o, g) in g.iter_mut().enumerate().take(there) {
                    *g = weights.values[first + o * out_stride];
                }
            }
            // Down the columns, then along the rows.
            let a = spread([g[0], g[3], g[6]]);
            let b = spread([g[1], g[4], g[7]]);
            let c = spread([g[2], g[5], g[8]]);
            for y in 0..4 {
                let row = spread([a[y], b[y], c[y]]);
                for (x, values) in row.iter().enumerate() {
                    let at = ((4 * y + x) * s.c_in + channel) * ROWS;
                    to[at..at + ROWS].copy_from_slice(values);
                }
            }
        }
    });
    all
}

/// `G` times three values, for each channel of a block.
#[inline(always)]
fn spread([a, b, c]: [[f32; ROWS]; 3]) -> [[f32; ROWS]; 4] {
    let mut all = [a, [0.0; ROWS], [0.0; ROWS], c];
    for o in 0..ROWS {
        let (even, odd) = (0.5 * (a[o] + c[o]), 0.5 * b[o]);
        all[1][o] = even + odd;
        all[2][o] = even - odd;
    }
    all
}

/// One group of images, a band, all output channels.
struct Products<'a> {
    s: &'a ConvShape,
    windows: &'a Windows,
    band: &'a Band,
    x: &'a [f32],
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    /// `[channel][plane of outputs][window]`
    result: &'a mut [f32],
}

impl Kernel for Products<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        let Self { s, windows, band, .. } = self;
        let mut cells = Scratch::any(s.c_in * band.stride);
        windows.pack::<V>(band, self.x, &mut cells);
        let vectors = band.at.len();
        // Whole tiles of vectors, as many as the cache holds.
        let most = BLOCK / (WINDOW * s.c_in * V::LANES) / V::VECTORS * V::VECTORS;
        let most = most.clamp(V::VECTORS, vectors.next_multiple_of(V::VECTORS));
        let channels = s.c_out.next_multiple_of(ROWS);
        let mut input = Scratch::any(WINDOW * s.c_in * most * V::LANES);
        let mut products = Scratch::any(WINDOW * channels * most * V::LANES);
        let apart = vectors * V::LANES;
        for first in (0..vectors).step_by(most) {
            let at = &band.at[first..vectors.min(first + most)];
            let len = at.len() * V::LANES;
            let input = &mut input[..WINDOW * s.c_in * len];
            transform::<V>(&windows.offsets(band), at, band.stride, &cells, input);
            let all =
                input.chunks_exact(s.c_in * len).zip(products.chunks_exact_mut(channels * len));
            for (element, (input, products)) in all.take(WINDOW).enumerate() {
                for (block, products) in products.chunks_exact_mut(ROWS * len).enumerate() {
                    let weights = &self.weights[(block * WINDOW + element) * s.c_in * ROWS..];
                    multiply::<V>(&weights[..s.c_in * ROWS], input, at.len(), products);
                }
            }
            let results = self.result.chunks_exact_mut(self.result.len() / s.c_out);
            for (o, result) in results.enumerate() {
                let bias = self.bias.map_or(0.0, |b| b[o]);
                let to = &mut result[first * V::LANES..];
                gather::<V>(&products[o * len..], channels * len, at.len(), bias, to, apart);
            }
        }
    }
}

/// `out [ROWS][windows]` = `weights [c_in][ROWS]` transposed times `input [c_in][windows]`.
#[inline(always)]
fn multiply<V: Simd>(weights: &[f32], input: &[f32], vectors: usize, out: &mut [f32]) {
    for (at, size) in runs::<V>(vectors) {
        // Both halves of a block where the registers do not hold all of it.
        match (size, V::ROWS) {
            (3, 8) if V::VECTORS == 3 => tile::<V, 8, 3>(weights, 0, input, vectors, at, out),
            (2, 8) => tile::<V, 8, 2>(weights, 0, input, vectors, at, out),
            (1, 8) => tile::<V, 8, 1>(weights, 0, input, vectors, at, out),
            (2, _) => {
                tile::<V, 4, 2>(weights, 0, input, vectors, at, out);
                tile::<V, 4, 2>(weights, 4, input, vectors, at, out);
            }
            _ => {
                tile::<V, 4, 1>(weights, 0, input, vectors, at, out);
                tile::<V, 4, 1>(weights, 4, input, vectors, at, out);
            }
        }
    }
}

/// `C` channels from `row` on by `P` vectors from `at` on.
#[inline(always)]
fn tile<V: Simd, const C: usize, const P: usize>(
    weights: &[f32],
    row: usize,
    input: &[f32],
    vectors: usize,
    at: usize,
    out: &mut [f32],
) {
    let len = vectors * V::LANES;
    let span = at * V::LANES..(at + P) * V::LANES;
    let mut acc = [[V::splat(0.0); P]; C];
    for (w, input) in weights.as_chunks::<ROWS>().0.iter().zip(input.chunks_exact(len)) {
        let input = &input[span.clone()];
        let mut x = [V::splat(0.0); P];
        for (p, x) in x.iter_mut().enumerate() {
            *x = V::load(&input[p * V::LANES..]);
        }
        for (c, acc) in acc.iter_mut().enumerate() {
            let w = V::splat(w[row + c]);
            for (a, &x) in acc.iter_mut().zip(&x) {
                *a = w.mul_add(x, *a);
            }
        }
    }
    for (acc, out) in acc.iter().zip(out.chunks_exact_mut(len).skip(row)) {
        for (p, a) in acc.iter().enumerate() {
            a.store(&mut out[(at + p) * V::LANES..]);
        }
    }
}

/// `A' m A` of a channel's windows, whose elements are `plane` apart: the four outputs of each go to
/// four planes, `apart` from each other.
#[inline(always)]
fn gather<V: Simd>(
    products: &[f32],
    plane: usize,
    vectors: usize,
    bias: f32,
    to: &mut [f32],
    apart: usize,
) {
    let bias = V::splat(bias);
    for i in 0..vectors {
        let at = i * V::LANES;
        let mut m = [V::splat(0.0); WINDOW];
        for (element, m) in m.iter_mut().enumerate() {
            *m = V::load(&products[element * plane + at..]);
        }
        let mut upper = [bias; 4];
        let mut lower = [bias; 4];
        for x in 0..4 {
            let [a, b, c, e] = [m[x], m[4 + x], m[8 + x], m[12 + x]];
            upper[x] = a.add(b).add(c);
            lower[x] = b.sub(c).sub(e);
        }
        for (y, [a, b, c, e]) in [upper, lower].into_iter().enumerate() {
            a.add(b).add(c).add(bias).store(&mut to[2 * y * apart + at..]);
            b.sub(c).sub(e).add(bias).store(&mut to[(2 * y + 1) * apart + at..]);
        }
    }
}

/// Writes a channel's outputs in a band, even and odd rows and columns apart, to the dense planes of a group's
/// images; `out` starts at the channel's plane in the first.
struct Outputs<'a> {
    s: &'a ConvShape,
    windows: &'a Windows,
    band: &'a Band,
    /// `[plane of outputs][window]`
    result: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Outputs<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        let Self { s, windows, band, result: from, out } = self;
        let (h, w, apart) = (s.out_h(), s.out_w(), band.at.len() * V::LANES);
        if windows.group > 1 {
            for first in steps(h * w, V::LANES) {
                let mut pixels = [V::splat(0.0); 16];
                for (i, pixels) in pixels.iter_mut().take(V::LANES).enumerate() {
                    let (y, x) = ((first + i) / w, (first + i) % w);
                    let at = (y / 2 * band.pitch + x / 2) * V::LANES;
                    *pixels = V::load(&from[(y % 2 * 2 + x % 2) * apart + at..]);
                }
                transpose(&mut pixels);
                for (n, pixels) in pixels.into_iter().take(V::LANES).enumerate() {
                    pixels.store(&mut out[n * s.c_out * h * w + first..]);
                }
            }
            return;
        }
        let mut pair = Scratch::any(2 * V::LANES);
        for y in 2 * band.rows.start..h.min(2 * band.rows.end) {
            for j in (0..w.div_ceil(2)).step_by(V::LANES) {
                let at = y % 2 * 2 * apart + (y / 2 - band.rows.start) * band.pitch + j;
                let even = V::load(&from[at..]);
                let [first, second] = even.interleave(V::load(&from[at + apart..]));
                let to = &mut out[y * w + 2 * j..];
                // What is written past the row's end is overwritten by the next.
                if to.len() >= 2 * V::LANES {
                    first.store(to);
                    second.store(&mut to[V::LANES..]);
                } else {
                    first.store(&mut pair);
                    second.store(&mut pair[V::LANES..]);
                    let n = to.len().min(w - 2 * j);
                    to[..n].copy_from_slice(&pair[..n]);
                }
            }
        }
    }
}
