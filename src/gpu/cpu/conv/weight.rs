//! The weight gradient: dot products of `grad_out` and shifted input along flat pixels.

use super::super::par::{Scratch, each};
use super::super::simd::{Kernel, Simd, dispatch};
use super::ConvShape;
use super::pack::{copy, pack};
use super::plan::Plan;

/// `grad_w [c_out, c_in, k, k]`: the sum over images and pixels.
///
/// The images fall into chunks by the shape alone; each chunk's sum is added in chunk order, so the
/// result does not depend on the threads.
pub fn grad_weight(s: &ConvShape, x: &[f32], grad_out: &[f32], grad_w: &mut [f32]) {
    s.check(x, grad_w, grad_out);
    grad_w.fill(0.0);
    if s.batch == 0 || grad_w.is_empty() {
        return;
    }
    let plan = Plan::forward(s);
    let unit = Unit::images(s, &plan);
    // At most 8 chunks, each a whole number of units.
    let chunk = s.batch.div_ceil(unit).div_ceil(MAX_CHUNKS) * unit;
    let (x_len, g_len) = (x.len() / s.batch, grad_out.len() / s.batch);
    let mut sums = vec![0.0; s.batch.div_ceil(chunk) * grad_w.len()];
    let tasks = sums.chunks_mut(grad_w.len()).zip(x.chunks(chunk * x_len));
    let tasks = tasks.zip(grad_out.chunks(chunk * g_len)).collect();
    each(tasks, |((sums, x), grad_out)| {
        for (x, grad_out) in x.chunks(unit * x_len).zip(grad_out.chunks(unit * g_len)) {
            dispatch(Unit { plan: &plan, x, grad_out, sums });
        }
    });
    let len = grad_w.len();
    let part = len.div_ceil(8).max(4096);
    each(grad_w.chunks_mut(part).enumerate().collect(), |(i, grad_w)| {
        for sums in sums.chunks_exact(len) {
            for (g, s) in grad_w.iter_mut().zip(&sums[i * part..]) {
                *g += s;
            }
        }
    });
}

/// Partial sums kept: enough to spread over threads, few enough to add up.
const MAX_CHUNKS: usize = 8;

/// Some images, whose products are summed in registers.
struct Unit<'a> {
    plan: &'a Plan,
    x: &'a [f32],
    grad_out: &'a [f32],
    sums: &'a mut [f32],
}

impl Unit<'_> {
    /// Images per unit: enough pixels to outweigh the sums across lanes at the end, little enough
    /// data to stay in the cache.
    fn images(s: &ConvShape, plan: &Plan) -> usize {
        let vectors = plan.passes[0].pixels.len().max(1);
        let floats = (plan.source.stride * s.c_in) + s.c_out * vectors * 16;
        let groups = 48usize.div_ceil(vectors).min((160 << 10) / floats).max(1);
        // Not so many that there are fewer chunks than threads.
        let group = plan.source.group;
        groups.min((s.batch / (4 * group)).max(1)) * group
    }
}

impl Kernel for Unit<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        let (plan, pass) = (self.plan, &self.plan.passes[0]);
        let layout = &plan.source;
        let [c_in, h, w] = layout.dims;
        let [c_out, out_h, out_w] = plan.out;
        let (x_len, g_len) = (layout.group * c_in * h * w, layout.group * c_out * out_h * out_w);
        let groups = self.x.len().div_ceil(x_len);
        let (x_cells, g_plane) = (c_in * layout.stride, pass.pixels.len() * V::LANES);
        let mut x = Scratch::zeroed(groups * x_cells);
        let mut g = Scratch::zeroed(groups * c_out * g_plane);
        let pairs = self.x.chunks(x_len).zip(self.grad_out.chunks(g_len));
        let cells = x.chunks_exact_mut(x_cells).zip(g.chunks_exact_mut(c_out * g_plane));
        for ((from_x, from_g), (to_x, to_g)) in pairs.zip(cells) {
            pack(layout, from_x, to_x);
            pack_grad(plan, from_g, to_g, g_plane);
        }
        let rows: Vec<usize> = (0..c_in)
            .flat_map(|c| pass.taps.iter().map(move |t| c * layout.stride + t.0))
            .collect();
        let mut co = 0;
        while co < c_out {
            let size = match c_out - co {
                8.. if V::ROWS == 8 => 8,
                4.. => 4,
                2.. => 2,
                _ => 1,
            };
            let sums = &mut self.sums[co * rows.len()..][..size * rows.len()];
            let job = Job { pixels: &pass.pixels, x: &x, x_cells, g: &g, g_plane, c_out, co };
            match size {
                8 => job.block::<V, 8>(&rows, sums),
                4 => job.block::<V, 4>(&rows, sums),
                2 => job.block::<V, 2>(&rows, sums),
                _ => job.block::<V, 1>(&rows, sums),
            }
            co += size;
        }
    }
}

/// Writes a group's `grad_out` as pixel vectors, `[channel][vector]`; junk columns stay zero.
#[inline(always)]
fn pack_grad(plan: &Plan, from: &[f32], to: &mut [f32], plane: usize) {
    let [channels, h, w] = plan.out;
    let (g, pitch) = (plan.source.group, plan.passes[0].out_pitch);
    for (n, image) in from.chunks_exact(channels * h * w).enumerate() {
        for (from, to) in image.chunks_exact(h * w).zip(to.chunks_exact_mut(plane)) {
            for (i, row) in from.chunks_exact(w).enumerate() {
                let to = &mut to[i * pitch * g + n..];
                if g == 1 {
                    copy(row, to, w);
                } else {
                    for (t, f) in to.iter_mut().step_by(g).zip(row) {
                        *t = *f;
                    }
                }
            }
        }
    }
}

/// A unit's images in scratch, for a block of output channels from `co`.
struct Job<'a> {
    pixels: &'a [usize],
    /// `[group][x_cells]`.
    x: &'a [f32],
    x_cells: usize,
    /// `[group][c_out][g_plane]`.
    g: &'a [f32],
    g_plane: usize,
    c_out: usize,
    co: usize,
}

impl Job<'_> {
    /// Adds to `sums [C][rows]`. A row of the input is a channel shifted by a tap, given by its
    /// first float.
    #[inline(always)]
    fn block<V: Simd, const C: usize>(&self, rows: &[usize], sums: &mut [f32]) {
        // The block's gradients in the order of use, `[group][vector][C]`.
        let groups = self.g.len() / (self.c_out * self.g_plane);
        let mut g = Scratch::any(groups * C * self.g_plane);
        let planes = self.g.chunks_exact(self.c_out * self.g_plane);
        for (from, to) in planes.zip(g.chunks_exact_mut(C * self.g_plane)) {
            let planes = from[self.co * self.g_plane..].chunks_exact(self.g_plane);
            for (c, plane) in planes.take(C).enumerate() {
                let to = to.chunks_exact_mut(C * V::LANES);
                for (from, to) in plane.chunks_exact(V::LANES).zip(to) {
                    V::load(from).store(&mut to[c * V::LANES..]);
                }
            }
        }
        let (threes, rest) = rows.as_chunks::<3>();
        for (i, &r) in threes.iter().enumerate() {
            self.tile::<V, C, 3>(&g, r, &mut sums[3 * i..], rows.len());
        }
        for (i, &r) in rest.iter().enumerate() {
            self.tile::<V, C, 1>(&g, [r], &mut sums[3 * threes.len() + i..], rows.len());
        }
    }

    /// `C` output channels by `R` rows of the input in registers, over all pixels and images.
    #[inline(always)]
    fn tile<V: Simd, const C: usize, const R: usize>(
        &self,
        g: &[f32],
        rows: [usize; R],
        sums: &mut [f32],
        pitch: usize,
    ) {
        let mut acc = [[V::splat(0.0); R]; C];
        let groups = self.x.chunks_exact(self.x_cells);
        let span = self.pixels.last().map_or(0, |last| last + V::LANES);
        for (x, g) in groups.zip(g.chunks_exact(C * self.g_plane)) {
            // Equally long views, so that one bounds check serves all the rows of a pixel.
            let mut views = [x; R];
            for (view, row) in views.iter_mut().zip(rows) {
                *view = &x[row..row + span];
            }
            for (&pixel, g) in self.pixels.iter().zip(g.chunks_exact(C * V::LANES)) {
                let mut xs = [V::splat(0.0); R];
                for (v, view) in xs.iter_mut().zip(views) {
                    *v = V::load(&view[pixel..]);
                }
                for (acc, g) in acc.iter_mut().zip(g.chunks_exact(V::LANES)) {
                    let g = V::load(g);
                    for (a, &x) in acc.iter_mut().zip(&xs) {
                        *a = g.mul_add(x, *a);
                    }
                }
            }
        }
        // Through memory: a loop over `acc` that is too large to unroll would keep it there, above.
        let mut lanes = [0.0; 8 * 3 * 16];
        for (row, lanes) in acc.iter().zip(lanes.chunks_exact_mut(R * V::LANES)) {
            for (v, lanes) in row.iter().zip(lanes.chunks_exact_mut(V::LANES)) {
                v.store(lanes);
            }
        }
        for (lanes, sums) in lanes.chunks_exact(R * V::LANES).zip(sums.chunks_mut(pitch)).take(C) {
            for (lanes, sum) in lanes.chunks_exact(V::LANES).zip(sums) {
                *sum += V::load(lanes).sum();
            }
        }
    }
}
