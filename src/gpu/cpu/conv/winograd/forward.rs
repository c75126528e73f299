//! The forward convolution, and the input gradient, which is one with the kernels turned.

use std::marker::PhantomData;

use super::super::super::par::{Scratch, each, map, zeros};
use super::super::super::simd::{Kernel, Simd, dispatch, runs, transpose, vector_shape};
use super::super::ConvShape;
use super::{BLOCK, Band, ByFour, ByTwo, Filter, Windows, steps, together, transform};

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
    match windows.side {
        2 => run_by::<ByTwo, 2, 4>(s, windows, x, weights, bias, out),
        _ => run_by::<ByFour, 4, 6>(s, windows, x, weights, bias, out),
    }
}

fn run_by<F: Filter<M, W>, const M: usize, const W: usize>(
    s: &ConvShape,
    windows: &Windows,
    x: &[f32],
    weights: &Weights,
    bias: Option<&[f32]>,
    out: &mut [f32],
) {
    let weights = transformed::<F, M, W>(s, weights);
    let group = windows.group;
    let bands = windows.bands(s.batch / group);
    let (x_len, plane) = (group * x.len() / s.batch, s.out_h() * s.out_w());
    let multiply = |x, band, result: &mut [f32]| {
        let (weights, filter) = (&weights[..], PhantomData::<F>);
        dispatch(Products { s, windows, band, x, weights, bias, result, filter });
    };
    let places = windows.places::<M>(s);
    let write = |result: &[f32], band: &Band, out: &mut [f32]| {
        dispatch(Outputs::<M> { s, places: &places, band, result, out });
    };
    let channel_len = channel_len::<M>;
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

/// Floats of a channel's planes of outputs in a band, one for each place in a tile, and what vectors read past the
/// last.
fn channel_len<const M: usize>(band: &Band) -> usize {
    let (lanes, _) = vector_shape();
    (M * M * band.at.len() + 1) * lanes
}

/// Output channels of a block of weights.
const ROWS: usize = 8;

/// `G g G'` of every kernel, `[block of channels][element][c_in][channel of the block]`; channels
/// that are not there are zeros.
fn transformed<F: Filter<M, W>, const M: usize, const W: usize>(
    s: &ConvShape,
    weights: &Weights,
) -> Vec<f32> {
    let [out_stride, in_stride] = weights.strides;
    let mut all = zeros(s.c_out.div_ceil(ROWS) * W * W * s.c_in * ROWS);
    each(all.chunks_mut(W * W * s.c_in * ROWS).enumerate().collect(), |(block, to)| {
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
            let columns = [0, 1, 2].map(|x| F::taps([g[x], g[3 + x], g[6 + x]]));
            for y in 0..W {
                let row = F::taps(columns.map(|column| column[y]));
                for (x, values) in row.iter().enumerate() {
                    let at = ((W * y + x) * s.c_in + channel) * ROWS;
                    to[at..at + ROWS].copy_from_slice(values);
                }
            }
        }
    });
    all
}

/// One group of images, a band, all output channels.
struct Products<'a, F, const M: usize, const W: usize> {
    s: &'a ConvShape,
    windows: &'a Windows,
    band: &'a Band,
    x: &'a [f32],
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    /// `[channel][plane of outputs][window]`
    result: &'a mut [f32],
    filter: PhantomData<F>,
}

impl<F: Filter<M, W>, const M: usize, const W: usize> Kernel for Products<'_, F, M, W> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        let Self { s, windows, band, .. } = self;
        let mut cells = Scratch::any(s.c_in * band.stride);
        windows.pack::<V, M>(band, self.x, &mut cells);
        let vectors = band.at.len();
        // Whole tiles of vectors, as many as the cache holds.
        let most = BLOCK / (W * W * s.c_in * V::LANES) / V::VECTORS * V::VECTORS;
        let most = most.clamp(V::VECTORS, vectors.next_multiple_of(V::VECTORS));
        let channels = s.c_out.next_multiple_of(ROWS);
        let mut input = Scratch::any(W * W * s.c_in * most * V::LANES);
        let mut products = Scratch::any(W * W * channels * most * V::LANES);
        let apart = vectors * V::LANES;
        for first in (0..vectors).step_by(most) {
            let at = &band.at[first..vectors.min(first + most)];
            let len = at.len() * V::LANES;
            let input = &mut input[..W * W * s.c_in * len];
            transform::<V, F, M, W>(&windows.offsets::<M, W>(band), at, band.stride, &cells, input);
            let all =
                input.chunks_exact(s.c_in * len).zip(products.chunks_exact_mut(channels * len));
            for (element, (input, products)) in all.take(W * W).enumerate() {
                for (block, products) in products.chunks_exact_mut(ROWS * len).enumerate() {
                    let weights = &self.weights[(block * W * W + element) * s.c_in * ROWS..];
                    multiply::<V>(&weights[..s.c_in * ROWS], input, at.len(), products);
                }
            }
            let results = self.result.chunks_exact_mut(self.result.len() / s.c_out);
            for (o, result) in results.enumerate() {
                let bias = self.bias.map_or(0.0, |b| b[o]);
                let to = &mut result[first * V::LANES..];
                let products = (&products[o * len..], channels * len);
                gather::<V, F, M, W>(products, at.len(), bias, to, apart);
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

/// `A' m A` of a channel's windows, whose elements are `plane` apart: the outputs of each go to planes of their own,
/// `apart` from each other.
#[inline(always)]
fn gather<V: Simd, F: Filter<M, W>, const M: usize, const W: usize>(
    (products, plane): (&[f32], usize),
    vectors: usize,
    bias: f32,
    to: &mut [f32],
    apart: usize,
) {
    let bias = V::splat(bias);
    for i in 0..vectors {
        let at = i * V::LANES;
        let mut rows = [[V::splat(0.0); W]; M];
        for x in 0..W {
            let mut column = [V::splat(0.0); W];
            for y in 0..W {
                column[y] = V::load(&products[(W * y + x) * plane + at..]);
            }
            let column = F::outputs(column);
            for y in 0..M {
                rows[y][x] = column[y];
            }
        }
        for y in 0..M {
            let row = F::outputs(rows[y]);
            for x in 0..M {
                row[x].add(bias).store(&mut to[(M * y + x) * apart + at..]);
            }
        }
    }
}

/// Writes a channel's outputs in a band, a plane for each place in a tile, to the dense planes of a group's
/// images; `out` starts at the channel's plane in the first.
struct Outputs<'a, const M: usize> {
    s: &'a ConvShape,
    /// [`Windows::places`].
    places: &'a [usize],
    band: &'a Band,
    /// `[plane of outputs][window]`
    result: &'a [f32],
    out: &'a mut [f32],
}

impl<const M: usize> Kernel for Outputs<'_, M> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        let Self { s, places, band, result: from, out } = self;
        let (h, w, apart) = (s.out_h(), s.out_w(), band.at.len() * V::LANES);
        if !places.is_empty() {
            for first in steps(h * w, V::LANES) {
                let mut pixels = [V::splat(0.0); 16];
                for (pixels, place) in pixels.iter_mut().zip(&places[first..][..V::LANES]) {
                    *pixels = V::load(&from[*place..]);
                }
                transpose(&mut pixels);
                for (n, pixels) in pixels.into_iter().take(V::LANES).enumerate() {
                    pixels.store(&mut out[n * s.c_out * h * w + first..]);
                }
            }
            return;
        }
        let mut last = Scratch::any(M * V::LANES);
        for y in M * band.rows.start..h.min(M * band.rows.end) {
            for j in (0..w.div_ceil(M)).step_by(V::LANES) {
                let at = y % M * M * apart + (y / M - band.rows.start) * band.pitch + j;
                let mut pixels = [V::splat(0.0); M];
                for (i, pixels) in pixels.iter_mut().enumerate() {
                    *pixels = V::load(&from[at + i * apart..]);
                }
                let pixels = together(pixels);
                let to = &mut out[y * w + M * j..];
                // What is written past the row's end is overwritten by the next.
                let whole = to.len() >= M * V::LANES;
                let place = if whole { &mut *to } else { &mut last[..] };
                for (pixels, place) in pixels.into_iter().zip(place.chunks_exact_mut(V::LANES)) {
                    pixels.store(place);
                }
                if !whole {
                    let n = to.len().min(w - M * j);
                    to[..n].copy_from_slice(&last[..n]);
                }
            }
        }
    }
}
