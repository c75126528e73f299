//! The weight gradient: for every pixel, a vector of output channels times one input value.
//!
//! Output channels lie along the lanes, so nothing is summed across them, and only real pixels are
//! walked over.

use super::super::par::{Scratch, each};
use super::super::simd::{Kernel, Simd, dispatch};
use super::ConvShape;
use super::pack::pack;
use super::plan::Layout;

/// `grad_w [c_out, c_in, k, k]`: the sum over images and pixels.
///
/// The work falls into parts by the shape alone and their sums are added in order, so the result
/// does not depend on the threads.
pub fn grad_weight(s: &ConvShape, x: &[f32], grad_out: &[f32], grad_w: &mut [f32]) {
    grad_w.fill(0.0);
    if s.batch == 0 || grad_w.is_empty() {
        return;
    }
    let parts = Parts::new(s);
    let (x_len, g_len) = (x.len() / s.batch, grad_out.len() / s.batch);
    let mut sums = vec![0.0; s.batch.div_ceil(parts.images) * parts.sum];
    let chunks = sums.chunks_mut(parts.sum).zip(x.chunks(parts.images * x_len));
    let chunks = chunks.zip(grad_out.chunks(parts.images * g_len));
    let tasks = chunks.flat_map(|((sums, x), grad_out)| {
        let ranges = sums.chunks_mut(parts.rows() * parts.width).enumerate();
        ranges.map(move |(i, sums)| (i * parts.width, x, grad_out, sums))
    });
    each(tasks.collect(), |(first, x, grad_out, sums)| {
        let units = x.chunks(parts.unit * x_len).zip(grad_out.chunks(parts.unit * g_len));
        for (x, grad_out) in units {
            dispatch(Unit { parts: &parts, first, x, grad_out, sums });
        }
    });
    each(grad_w.chunks_mut(BLOCK * parts.rows()).enumerate().collect(), |(i, grad_w)| {
        parts.collect(&sums, i * BLOCK, grad_w);
    });
}

/// Chunks of images and ranges of output channels together, at most: enough to spread over
/// threads, few enough to add up.
const TASKS: usize = 8;
/// Sums of more values than this are not kept many times.
const LARGE: usize = 1 << 18;
/// Output channels that one task adds up at the end: a whole number of vectors of any type.
const BLOCK: usize = 16;

/// How the work is divided.
struct Parts<'a> {
    shape: &'a ConvShape,
    layout: Layout,
    /// Where each tap finds a pixel's input, from the pixel's cell.
    taps: Vec<usize>,
    /// The cell of every output pixel.
    pixels: Vec<usize>,
    /// Images of a chunk, which has sums of its own.
    images: usize,
    /// Images that are worked on at a time.
    unit: usize,
    /// Output channels of a range, a whole number of blocks.
    width: usize,
    /// Floats of a chunk's sums, `[range][input channel and tap][output channel]`.
    sum: usize,
}

impl<'a> Parts<'a> {
    fn new(s: &'a ConvShape) -> Self {
        let (layout, taps) = Layout::source(s, 1);
        let pixels: Vec<usize> = (0..s.out_h())
            .flat_map(|i| (0..s.out_w()).map(move |j| (i, j)))
            .map(|(i, j)| i * layout.pitch + j)
            .collect();
        let weights = s.c_out * s.c_in * taps.len();
        let ranges = if weights > LARGE { 4 } else { 1 };
        let width = s.c_out.div_ceil(ranges).next_multiple_of(BLOCK);
        let ranges = s.c_out.div_ceil(width);
        // Enough pixels to outweigh loading and storing the sums.
        let unit = 512usize.div_ceil(pixels.len().max(1));
        let images = s.batch.div_ceil((TASKS / ranges).max(1)).next_multiple_of(unit);
        let sum = ranges * width * s.c_in * taps.len();
        Self { shape: s, layout, taps, pixels, images, unit, width, sum }
    }

    /// Weights of one output channel.
    fn rows(&self) -> usize {
        self.shape.c_in * self.taps.len()
    }

    /// Adds all chunks' sums for the output channels from `first`, `grad_w [channel][rows]`.
    fn collect(&self, sums: &[f32], first: usize, grad_w: &mut [f32]) {
        let rows = self.rows();
        let at = first / self.width * self.width * rows + first % self.width;
        for sums in sums.chunks_exact(self.sum) {
            for row in 0..rows {
                let from = &sums[at + row * self.width..];
                for (to, from) in grad_w[row..].iter_mut().step_by(rows).zip(from) {
                    *to += from;
                }
            }
        }
    }
}

/// Some images and a range of output channels.
struct Unit<'a> {
    parts: &'a Parts<'a>,
    /// The first output channel.
    first: usize,
    x: &'a [f32],
    grad_out: &'a [f32],
    /// `[rows][width]`
    sums: &'a mut [f32],
}

impl Kernel for Unit<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        let Self { parts, first, .. } = self;
        let (layout, pixels) = (&parts.layout, parts.pixels.len());
        let [c_in, h, w] = layout.dims;
        let images = self.x.len() / (c_in * h * w);
        let cells = c_in * layout.stride;
        let mut x = Scratch::zeroed(images * cells);
        for (from, to) in self.x.chunks_exact(c_in * h * w).zip(x.chunks_exact_mut(cells)) {
            pack(layout, from, to);
        }
        let rows: Vec<usize> =
            (0..c_in).flat_map(|c| parts.taps.iter().map(move |t| c * layout.stride + t)).collect();
        let channels = parts.shape.c_out.min(first + parts.width) - first;
        let vectors = channels.div_ceil(V::LANES);
        let mut at = 0;
        while at < vectors {
            // Threes, but rather two twos than a three and a one.
            let left = vectors - at;
            let size = if left == 4 { 2 } else { left.min(V::VECTORS) };
            let c = at * V::LANES;
            let mut g = Scratch::any(images * pixels * size * V::LANES);
            let planes = self.grad_out.chunks_exact(parts.shape.c_out * pixels);
            for (from, to) in planes.zip(g.chunks_exact_mut(pixels * size * V::LANES)) {
                let from = &from[(first + c) * pixels..(first + channels) * pixels];
                transpose(from, pixels, size * V::LANES, to);
            }
            let job = Job { parts, x: &x, cells, g: &g };
            let sums = &mut self.sums[c..];
            match size {
                3 if V::VECTORS == 3 => job.rows::<V, 3>(&rows, sums),
                2 => job.rows::<V, 2>(&rows, sums),
                _ => job.rows::<V, 1>(&rows, sums),
            }
            at += size;
        }
    }
}

/// `[channel][pixel]` to `[pixel][width]`; channels that are not there become zeros.
#[inline(always)]
fn transpose(from: &[f32], pixels: usize, width: usize, to: &mut [f32]) {
    if from.len() < width * pixels {
        to.fill(0.0);
    }
    // As many pixels at a time as floats in a cache line.
    for (i, to) in to.chunks_mut(16 * width).enumerate() {
        for (c, plane) in from.chunks_exact(pixels).take(width).enumerate() {
            for (to, from) in to[c..].iter_mut().step_by(width).zip(&plane[16 * i..]) {
                *to = *from;
            }
        }
    }
}

/// A unit's images in scratch, and a block of output channels.
struct Job<'a> {
    parts: &'a Parts<'a>,
    /// `[image][cells]`
    x: &'a [f32],
    cells: usize,
    /// `[image][pixel][channel of the block]`
    g: &'a [f32],
}

impl Job<'_> {
    /// Adds to `sums`, whose rows are `width` apart. A row is an input channel shifted by a tap,
    /// given by its first float.
    #[inline(always)]
    fn rows<V: Simd, const W: usize>(&self, rows: &[usize], sums: &mut [f32]) {
        let width = self.parts.width;
        let mut at = 0;
        while at < rows.len() {
            let (rows, sums) = (&rows[at..], &mut sums[at * width..]);
            at += match rows.len() {
                8.. if V::ROWS == 8 => self.tile::<V, 8, W>(rows, sums),
                6.. => self.tile::<V, 6, W>(rows, sums),
                3.. => self.tile::<V, 3, W>(rows, sums),
                _ => self.tile::<V, 1, W>(rows, sums),
            };
        }
    }

    /// `R` rows by `W` vectors of output channels in registers, over all images and pixels.
    #[inline(always)]
    fn tile<V: Simd, const R: usize, const W: usize>(
        &self,
        rows: &[usize],
        sums: &mut [f32],
    ) -> usize {
        let pixels = &self.parts.pixels;
        let span = pixels.last().map_or(0, |last| last + 1);
        let mut acc = [[V::splat(0.0); W]; R];
        let g = self.g.chunks_exact(pixels.len() * W * V::LANES);
        for (x, g) in self.x.chunks_exact(self.cells).zip(g) {
            // Equally long views, so that one bounds check serves all the rows of a pixel.
            let mut views = [x; R];
            for (view, row) in views.iter_mut().zip(rows) {
                *view = &x[*row..*row + span];
            }
            for (&pixel, g) in pixels.iter().zip(g.chunks_exact(W * V::LANES)) {
                let mut gs = [V::splat(0.0); W];
                for (v, g) in gs.iter_mut().zip(g.chunks_exact(V::LANES)) {
                    *v = V::load(g);
                }
                for (acc, view) in acc.iter_mut().zip(views) {
                    let x = V::splat(view[pixel]);
                    for (a, &g) in acc.iter_mut().zip(&gs) {
                        *a = x.mul_add(g, *a);
                    }
                }
            }
        }
        // Through memory: a loop over `acc` that is too large to unroll would keep it there, above.
        let mut lanes = [0.0; 8 * 3 * 16];
        for (row, lanes) in acc.iter().zip(lanes.chunks_exact_mut(W * V::LANES)) {
            for (v, lanes) in row.iter().zip(lanes.chunks_exact_mut(V::LANES)) {
                v.store(lanes);
            }
        }
        let rows = lanes.chunks_exact(W * V::LANES).zip(sums.chunks_mut(self.parts.width));
        for (lanes, sums) in rows.take(R) {
            let pairs = lanes.chunks_exact(V::LANES).zip(sums.chunks_exact_mut(V::LANES));
            for (lanes, sum) in pairs {
                V::load(sum).add(V::load(lanes)).store(sum);
            }
        }
        R
    }
}
