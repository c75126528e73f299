//! The forward kernel: register tiles of output channels by pixel vectors.

use std::ops::Range;

use super::super::par::{Scratch, each, threads, zeros};
use super::super::simd::{Kernel, Simd, dispatch, runs, vector_shape};
use super::pack::{pack, unpack};
use super::plan::{Layout, Pass, Plan};

/// Computes `plan` for every image: `x [batch, channels in, ..]` to `out [batch, channels out, ..]`.
pub fn run(
    plan: &Plan,
    batch: usize,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    out: &mut [f32],
) {
    if batch == 0 || out.is_empty() {
        return;
    }
    let group = plan.source.group;
    let (x_len, out_len) = (group * x.len() / batch, group * out.len() / batch);
    let weights = pack_weights(plan, weight);
    let images = x.chunks(x_len).zip(out.chunks_mut(out_len));
    let [channels, h, w] = plan.source.dims;
    let cells = channels * plan.source.stride;
    if group > 1 || batch >= threads() {
        return each(images.collect(), |(x, out)| {
            let mut cells = Scratch::zeroed(cells);
            pack(&plan.source, x, &mut cells);
            let channels = 0..plan.out[0];
            dispatch(Group { plan, cells: &cells, channels, weights: &weights, bias, out });
        });
    }
    // An image after another, each of which is packed once; its output channels go to all threads in whole blocks.
    let (_, rows) = vector_shape();
    let width = plan.out[0].div_ceil(rows).div_ceil(threads()) * rows;
    let plane = plan.out[1] * plan.out[2];
    let one = Layout { dims: [1, h, w], ..plan.source };
    for (x, out) in images {
        let mut cells = zeros(cells);
        let planes = x.chunks(h * w).zip(cells.chunks_mut(plan.source.stride));
        each(planes.collect(), |(plane, cells)| pack(&one, plane, cells));
        each(out.chunks_mut(width * plane).enumerate().collect(), |(i, out)| {
            let channels = i * width..plan.out[0].min((i + 1) * width);
            dispatch(Group { plan, cells: &cells, channels, weights: &weights, bias, out });
        });
    }
}

/// Sizes of the blocks of output channels.
fn blocks(channels: usize) -> impl Iterator<Item = (usize, usize)> {
    let (_, rows) = vector_shape();
    let mut first = 0;
    std::iter::from_fn(move || {
        let left = channels - first;
        let size = [8, 6, 4, 2, 1].into_iter().find(|&b| b <= left && b <= rows)?;
        first += size;
        Some((first - size, size))
    })
}

/// Per pass, `[block][in][tap][channel of the block]`, so that a tile broadcasts from one stream.
fn pack_weights(plan: &Plan, weight: &[f32]) -> Vec<Vec<f32>> {
    let [out_stride, in_stride] = plan.weight_strides;
    let one = |pass: &Pass| {
        let mut packed = Vec::with_capacity(plan.out[0] * plan.source.dims[0] * pass.taps.len());
        for (first, size) in blocks(plan.out[0]) {
            for c in 0..plan.source.dims[0] {
                for cell in &pass.kernel {
                    let at = first * out_stride + c * in_stride + cell;
                    packed.extend((0..size).map(|o| weight[at + o * out_stride]));
                }
            }
        }
        packed
    };
    plan.passes.iter().map(one).collect()
}

/// One group of images, some output channels: whole blocks of them.
struct Group<'a> {
    plan: &'a Plan,
    /// `[channel][stride]`
    cells: &'a [f32],
    channels: Range<usize>,
    weights: &'a [Vec<f32>],
    bias: Option<&'a [f32]>,
    out: &'a mut [f32],
}

impl Kernel for Group<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        let plan = self.plan;
        let (channels, stride) = (plan.source.dims[0], plan.source.stride);
        let plane = plan.out[1] * plan.out[2];
        for (pass, weights) in plan.passes.iter().zip(self.weights) {
            let len = pass.pixels.len() * V::LANES;
            if len == 0 {
                continue;
            }
            let mut acc = Scratch::any(V::ROWS * len);
            let mut weights = weights.as_slice();
            for (first, size) in blocks(plan.out[0]) {
                let (block, rest) = weights.split_at(channels * pass.taps.len() * size);
                weights = rest;
                if !self.channels.contains(&first) {
                    continue;
                }
                let mut bias = [0.0; 8];
                if let Some(b) = self.bias {
                    bias[..size].copy_from_slice(&b[first..first + size]);
                }
                let job = Job { pass, stride, cells: self.cells, weights: block, bias };
                match size {
                    8 if V::ROWS == 8 => job.run::<V, 8>(&mut acc),
                    6 => job.run::<V, 6>(&mut acc),
                    4 => job.run::<V, 4>(&mut acc),
                    2 => job.run::<V, 2>(&mut acc),
                    _ => job.run::<V, 1>(&mut acc),
                }
                for (c, src) in acc.chunks_exact(len).take(size).enumerate() {
                    unpack(
                        plan,
                        pass,
                        src,
                        &mut self.out[(first - self.channels.start + c) * plane..],
                    );
                }
            }
        }
    }
}

/// A block of output channels over all pixels of a pass.
struct Job<'a> {
    pass: &'a Pass,
    stride: usize,
    cells: &'a [f32],
    weights: &'a [f32],
    bias: [f32; 8],
}

impl Job<'_> {
    /// `acc [C][pixels]`.
    #[inline(always)]
    fn run<V: Simd, const C: usize>(&self, acc: &mut [f32]) {
        for (at, size) in runs::<V>(self.pass.pixels.len()) {
            match size {
                3 if V::VECTORS == 3 => self.tile::<V, C, 3>(at, acc),
                2 => self.tile::<V, C, 2>(at, acc),
                _ => self.tile::<V, C, 1>(at, acc),
            }
        }
    }

    /// `C` channels by `P` vectors in registers, over all input channels and taps.
    #[inline(always)]
    fn tile<V: Simd, const C: usize, const P: usize>(&self, at: usize, out: &mut [f32]) {
        let (taps, pixels) = (self.pass.taps.as_slice(), &self.pass.pixels);
        let mut base = [0; P];
        base.copy_from_slice(&pixels[at..at + P]);
        let mut acc = [[V::splat(0.0); P]; C];
        for (row, &bias) in acc.iter_mut().zip(&self.bias) {
            *row = [V::splat(bias); P];
        }
        // Equally long views, so that one bounds check serves all the vectors of a tap.
        let span = taps.iter().max().unwrap_or(&0) + V::LANES;
        // A phase of the input that no tap reaches has no weights either.
        let per_channel = self.weights.chunks_exact((taps.len() * C).max(1));
        for (cells, weights) in self.cells.chunks_exact(self.stride).zip(per_channel) {
            let mut views = [cells; P];
            for (view, base) in views.iter_mut().zip(base) {
                *view = &cells[base..base + span];
            }
            for (&offset, w) in taps.iter().zip(weights.as_chunks::<C>().0) {
                let mut x = [V::splat(0.0); P];
                for (x, view) in x.iter_mut().zip(views) {
                    *x = V::load(&view[offset..]);
                }
                for (row, &w) in acc.iter_mut().zip(w) {
                    let w = V::splat(w);
                    for (a, &x) in row.iter_mut().zip(&x) {
                        *a = w.mul_add(x, *a);
                    }
                }
            }
        }
        let len = pixels.len() * V::LANES;
        for (row, out) in acc.iter().zip(out.chunks_exact_mut(len)) {
            for (p, v) in row.iter().enumerate() {
                v.store(&mut out[(at + p) * V::LANES..]);
            }
        }
    }
}
