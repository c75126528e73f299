//! What both weight gradients share: sums over images and pixels with output channels along the
//! lanes, so that nothing is summed across them.
//!
//! The work falls into parts by the shape alone and their sums are added in order, so the result does
//! not depend on the threads.

use super::super::par::{each, zeros};
use super::super::simd::{Simd, runs};
use super::ConvShape;

/// Chunks of images and ranges of output channels together, at most: enough to spread over
/// threads, few enough to add up.
const TASKS: usize = 8;
/// Sums of more values than this are not kept many times.
const LARGE: usize = 1 << 18;
/// Output channels that one task adds up at the end: a whole number of vectors of any type.
pub const LINE: usize = 16;

/// How the work is divided.
pub struct Parts {
    /// Sums of an output channel.
    rows: usize,
    /// Images that are worked on at a time.
    unit: usize,
    /// Images of a chunk, which has sums of its own.
    images: usize,
    /// Ranges of output channels, and how many each has room for: a whole number of lines.
    ranges: usize,
    pub width: usize,
}

impl Parts {
    /// Parts for `rows` sums of every output channel.
    pub fn new(s: &ConvShape, rows: usize, unit: usize) -> Self {
        let weights = s.c_out * s.c_in * s.kernel * s.kernel;
        let ranges = if weights > LARGE { 4 } else { 1 };
        let width = s.c_out.div_ceil(ranges).next_multiple_of(LINE);
        let ranges = s.c_out.div_ceil(width);
        let images = s.batch.div_ceil(TASKS / ranges).next_multiple_of(unit);
        Self { rows, unit, images, ranges, width }
    }

    /// Fills `grad_w [c_out][..]`. `add` adds a unit's part to the sums `[row][width]` of the output
    /// channels from the first on; `write` makes the weights of up to [`LINE`] channels of their
    /// [`Totals`].
    pub fn run(
        &self,
        s: &ConvShape,
        [x, grad_out]: [&[f32]; 2],
        grad_w: &mut [f32],
        add: impl Fn(usize, [&[f32]; 2], &mut [f32]) + Sync + Send,
        write: impl Fn(Totals, &mut [f32]) + Sync + Send,
    ) {
        let (images, unit, width) = (self.images, self.unit, self.width);
        let sum = self.rows * width;
        let (x_len, g_len) = (x.len() / s.batch, grad_out.len() / s.batch);
        let mut sums = zeros(s.batch.div_ceil(images) * self.ranges * sum);
        let chunks = x.chunks(images * x_len).zip(grad_out.chunks(images * g_len));
        let chunks = sums.chunks_mut(self.ranges * sum).zip(chunks);
        let tasks = chunks.flat_map(|(sums, (x, grad_out))| {
            let ranges = sums.chunks_mut(sum).enumerate();
            ranges.map(move |(i, sums)| (i * width, x, grad_out, sums))
        });
        each(tasks.collect(), |(first, x, grad_out, sums)| {
            for (x, grad_out) in x.chunks(unit * x_len).zip(grad_out.chunks(unit * g_len)) {
                add(first, [x, grad_out], sums);
            }
        });
        let line = LINE * s.c_in * s.kernel * s.kernel;
        each(grad_w.chunks_mut(line).enumerate().collect(), |(i, grad_w)| {
            let at = i * LINE / width * sum + i * LINE % width;
            let chunks = sums.chunks_exact(self.ranges * sum).map(|all| &all[at..]);
            write(Totals { chunks: chunks.collect(), width }, grad_w);
        });
    }
}

/// The sums of all chunks for a line of output channels.
pub struct Totals<'a> {
    /// From the first channel on, `[row][width]`.
    chunks: Vec<&'a [f32]>,
    width: usize,
}

impl Totals<'_> {
    /// The totals of rows.
    #[inline(always)]
    pub fn rows<const N: usize>(&self, row: impl Fn(usize) -> usize) -> [[f32; LINE]; N] {
        let mut totals = [[0.0; LINE]; N];
        for chunk in &self.chunks {
            for (i, total) in totals.iter_mut().enumerate() {
                let from = &chunk[row(i) * self.width..][..LINE];
                total.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            }
        }
        totals
    }
}

/// Writes a value of each channel to weights that are `apart`.
#[inline(always)]
pub fn scatter(values: &[f32; LINE], weights: &mut [f32], apart: usize) {
    for (to, from) in weights.iter_mut().step_by(apart).zip(values) {
        *to = *from;
    }
}

/// Products of every row of inputs with every output channel's gradient, to be summed over images
/// and places. Packed, nothing but the vectors of channels that are worked on lies at a place.
pub struct Products<'a, const PACKED: bool> {
    /// `[image][cells]`
    pub x: &'a [f32],
    pub cells: usize,
    /// Where the inputs of each place lie, from a row's first float.
    pub places: &'a [usize],
    /// `[image][place][width]`, and the first channel there that counts.
    pub g: &'a [f32],
    pub first: usize,
    /// From a row of sums to the next, and from a place to the next that is not packed.
    pub width: usize,
}

impl<const PACKED: bool> Products<'_, PACKED> {
    /// Adds the products with `vectors` of output channels to `sums`, `width` apart for each of the
    /// rows, which are given by their first float.
    #[inline(always)]
    pub fn add<V: Simd>(&self, vectors: usize, rows: &[usize], sums: &mut [f32]) {
        match vectors {
            3 if V::VECTORS == 3 => self.column::<V, 3>(rows, sums),
            2 => self.column::<V, 2>(rows, sums),
            _ => self.column::<V, 1>(rows, sums),
        }
    }

    #[inline(always)]
    fn column<V: Simd, const W: usize>(&self, rows: &[usize], sums: &mut [f32]) {
        let mut at = 0;
        while at < rows.len() {
            let (rows, sums) = (&rows[at..], &mut sums[at * self.width..]);
            at += match rows.len() {
                8.. if V::ROWS == 8 => self.tile::<V, 8, W>(rows, sums),
                6.. => self.tile::<V, 6, W>(rows, sums),
                3 | 5 => self.tile::<V, 3, W>(rows, sums),
                2.. => self.tile::<V, 2, W>(rows, sums),
                _ => self.tile::<V, 1, W>(rows, sums),
            };
        }
    }

    /// `R` rows by `W` vectors of output channels in registers, over all images and places.
    #[inline(always)]
    fn tile<V: Simd, const R: usize, const W: usize>(
        &self,
        rows: &[usize],
        sums: &mut [f32],
    ) -> usize {
        let span = self.places.last().map_or(0, |last| last + 1);
        let mut acc = [[V::splat(0.0); W]; R];
        let pitch = if PACKED { W * V::LANES } else { self.width };
        let g = self.g.chunks_exact(self.places.len() * pitch);
        for (x, g) in self.x.chunks_exact(self.cells).zip(g) {
            // Equally long views, so that one bounds check serves all the rows of a place.
            let mut views = [x; R];
            for (view, row) in views.iter_mut().zip(rows) {
                *view = &x[*row..*row + span];
            }
            for (&place, g) in self.places.iter().zip(g.chunks_exact(pitch)) {
                // So long that the loops over it are unrolled, and `acc` stays in registers.
                let g = &g[self.first..self.first + W * V::LANES];
                let mut gs = [V::splat(0.0); W];
                for (v, g) in gs.iter_mut().zip(g.chunks_exact(V::LANES)) {
                    *v = V::load(g);
                }
                for (acc, view) in acc.iter_mut().zip(views) {
                    let x = V::splat(view[place]);
                    for (a, &g) in acc.iter_mut().zip(&gs) {
                        *a = x.mul_add(g, *a);
                    }
                }
            }
        }
        // Through memory: a loop over `acc` that is too large to unroll would keep it there, above.
        let mut lanes = [0.0; 8 * 3 * 16];
        for (r, row) in acc.iter().enumerate() {
            for (i, v) in row.iter().enumerate() {
                v.store(&mut lanes[(r * W + i) * V::LANES..]);
            }
        }
        for r in 0..R {
            for i in 0..W {
                let lanes = &lanes[(r * W + i) * V::LANES..];
                let sum = &mut sums[r * self.width + i * V::LANES..];
                V::load(sum).add(V::load(lanes)).store(sum);
            }
        }
        R
    }
}

/// Vectors of output channels that products are made with at a time: their first, and how many.
#[inline(always)]
pub fn columns<V: Simd>(channels: usize) -> impl Iterator<Item = (usize, usize)> {
    runs::<V>(channels.div_ceil(V::LANES)).map(|(at, size)| (at * V::LANES, size))
}
