//! The weight gradient: the forward pass turned around, `G' [Σ (A g A') (B' d B)] G` with `g` the
//! gradient of a window's four outputs.
//!
//! Output channels lie along the lanes, so nothing is summed across them.

use super::super::super::par::{Scratch, each, zeros};
use super::super::super::simd::{Kernel, Simd, dispatch, transpose};
use super::super::ConvShape;
use super::{BLOCK, WINDOW, Windows, steps, transform};

/// Chunks of images and ranges of output channels together, at most: enough to spread over
/// threads, few enough to add up.
const TASKS: usize = 8;
/// Sums of more values than this are not kept many times.
const LARGE: usize = 1 << 18;
/// Output channels of a range are a whole number of these: of vectors of any type.
const LINE: usize = 16;

/// `grad_w [c_out, c_in, 3, 3]`, for windows whose images lie side by side.
///
/// The work falls into parts by the shape alone and their sums are added in order, so the result
/// does not depend on the threads.
pub fn grad_weight(
    s: &ConvShape,
    windows: &Windows,
    x: &[f32],
    grad_out: &[f32],
    grad_w: &mut [f32],
) {
    let ranges = if s.c_out * s.c_in * 9 > LARGE { 4 } else { 1 };
    let width = s.c_out.div_ceil(ranges).next_multiple_of(LINE);
    let ranges = s.c_out.div_ceil(width);
    let group = windows.group;
    let images = s.batch.div_ceil(TASKS / ranges).next_multiple_of(group);
    let sum = WINDOW * s.c_in * width;
    let (x_len, g_len) = (x.len() / s.batch, grad_out.len() / s.batch);
    let mut sums = zeros(s.batch.div_ceil(images) * ranges * sum);
    let chunks = x.chunks(images * x_len).zip(grad_out.chunks(images * g_len));
    let tasks = sums.chunks_mut(ranges * sum).zip(chunks).flat_map(|(sums, (x, grad_out))| {
        let ranges = sums.chunks_mut(sum).enumerate();
        ranges.map(move |(i, sums)| (i * width, x, grad_out, sums))
    });
    each(tasks.collect(), |(first, x, grad_out, sums)| {
        let channels = width.min(s.c_out - first);
        for (x, grad_out) in x.chunks(group * x_len).zip(grad_out.chunks(group * g_len)) {
            let range = [first, channels, width];
            dispatch(Group { s, windows, range, x, grad_out, sums: &mut *sums });
        }
    });
    each(grad_w.chunks_mut(LINE * s.c_in * 9).enumerate().collect(), |(i, grad_w)| {
        let (range, at) = (i * LINE / width, i * LINE % width);
        let parts = sums.chunks_exact(ranges * sum).map(|all| &all[range * sum + at..]);
        collect(&parts.collect::<Vec<_>>(), [s.c_in, width], grad_w);
    });
}

/// A group of images and a range of output channels.
struct Group<'a> {
    s: &'a ConvShape,
    windows: &'a Windows,
    /// The first channel, how many there are, and how many are computed.
    range: [usize; 3],
    x: &'a [f32],
    grad_out: &'a [f32],
    /// `[element][c_in][width]`
    sums: &'a mut [f32],
}

impl Kernel for Group<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        let Self { s, windows, range: [first, channels, width], .. } = self;
        let (h, w) = (s.out_h(), s.out_w());
        let mut cells = Scratch::any(s.c_in * windows.stride);
        windows.pack::<V>(self.x, &mut cells);
        // The gradient with channels innermost, `[image][pixel][width]`.
        let mut pixels = Scratch::any(V::LANES * h * w * width);
        let images = self.grad_out.chunks_exact(s.c_out * h * w);
        for (from, to) in images.zip(pixels.chunks_exact_mut(h * w * width)) {
            turn::<V>(&from[first * h * w..(first + channels) * h * w], h * w, width, to);
        }
        let most = (BLOCK / (s.c_in.max(width) * V::LANES)).clamp(4, windows.at.len().max(4));
        let mut input = Scratch::any(WINDOW * s.c_in * most * V::LANES);
        let mut gradient = Scratch::any(WINDOW * width * most * V::LANES);
        for start in (0..windows.at.len()).step_by(most) {
            let at = &windows.at[start..windows.at.len().min(start + most)];
            let len = at.len() * V::LANES;
            let input = &mut input[..WINDOW * s.c_in * len];
            transform::<V>(&windows.offsets(), at, windows.stride, &cells, input);
            let gradient = &mut gradient[..WINDOW * width * len];
            for i in 0..at.len() {
                let (y, x) = ((start + i) / windows.pitch * 2, (start + i) % windows.pitch * 2);
                for (n, image) in pixels.chunks_exact(h * w * width).enumerate() {
                    let place = (i * V::LANES + n) * width;
                    outputs::<V>(image, [h, w], [y, x], width, &mut gradient[place..], len * width);
                }
            }
            let elements = input.chunks_exact(s.c_in * len).zip(gradient.chunks_exact(width * len));
            for ((input, gradient), sums) in
                elements.zip(self.sums.chunks_exact_mut(s.c_in * width))
            {
                multiply::<V>(input, gradient, len, width, sums);
            }
        }
    }
}

/// `[channel][pixel]` to `[pixel][width]`; channels that are not there become zeros.
#[inline(always)]
fn turn<V: Simd>(from: &[f32], pixels: usize, width: usize, to: &mut [f32]) {
    let channels = from.len() / pixels;
    for c in (0..width).step_by(V::LANES) {
        for first in steps(pixels, V::LANES) {
            let mut block = [V::splat(0.0); 16];
            let there = channels.saturating_sub(c).min(V::LANES);
            for (i, row) in block.iter_mut().take(there).enumerate() {
                *row = V::load(&from[(c + i) * pixels + first..]);
            }
            transpose(&mut block);
            for (i, row) in block.into_iter().take(V::LANES).enumerate() {
                row.store(&mut to[(first + i) * width + c..]);
            }
        }
    }
}

/// `A g A'` of the window at an output pixel of an image, `[pixel][width]`, to 16 places `plane`
/// apart. Outputs past the image's edges are zeros.
#[inline(always)]
fn outputs<V: Simd>(
    image: &[f32],
    [h, w]: [usize; 2],
    [y, x]: [usize; 2],
    width: usize,
    to: &mut [f32],
    plane: usize,
) {
    for c in (0..width).step_by(V::LANES) {
        let mut g = [[V::splat(0.0); 2]; 2];
        for (dy, row) in g.iter_mut().enumerate() {
            for (dx, v) in row.iter_mut().enumerate() {
                if y + dy < h && x + dx < w {
                    *v = V::load(&image[((y + dy) * w + x + dx) * width + c..]);
                }
            }
        }
        let [upper, lower] = [along(g[0]), along(g[1])];
        for x in 0..4 {
            let column = along([upper[x], lower[x]]);
            for (y, v) in column.iter().enumerate() {
                v.store(&mut to[(4 * y + x) * plane + c..]);
            }
        }
    }
}

/// `A` times two values.
#[inline(always)]
fn along<V: Simd>([a, b]: [V; 2]) -> [V; 4] {
    [a, a.add(b), a.sub(b), V::splat(0.0).sub(b)]
}

/// Adds to `sums [c_in][width]` the product of `input [c_in][len]` and `gradient [len][width]`.
#[inline(always)]
fn multiply<V: Simd>(input: &[f32], gradient: &[f32], len: usize, width: usize, sums: &mut [f32]) {
    let vectors = width / V::LANES;
    let mut at = 0;
    while at < vectors {
        // Threes, but rather two twos than a three and a one.
        let left = vectors - at;
        let size = if left == 4 { 2 } else { left.min(V::VECTORS) };
        let c = at * V::LANES;
        let (gradient, sums) = (&gradient[c..], &mut sums[c..]);
        match size {
            3 if V::VECTORS == 3 => rows::<V, 3>(input, gradient, len, width, sums),
            2 => rows::<V, 2>(input, gradient, len, width, sums),
            _ => rows::<V, 1>(input, gradient, len, width, sums),
        }
        at += size;
    }
}

/// A column of `W` vectors of output channels, for all input channels.
#[inline(always)]
fn rows<V: Simd, const W: usize>(
    input: &[f32],
    gradient: &[f32],
    len: usize,
    width: usize,
    sums: &mut [f32],
) {
    let mut channel = 0;
    while channel * len < input.len() {
        let (input, sums) = (&input[channel * len..], &mut sums[channel * width..]);
        channel += match input.len() / len {
            8.. if V::ROWS == 8 => tile::<V, 8, W>(input, gradient, len, width, sums),
            6.. => tile::<V, 6, W>(input, gradient, len, width, sums),
            2.. => tile::<V, 2, W>(input, gradient, len, width, sums),
            _ => tile::<V, 1, W>(input, gradient, len, width, sums),
        };
    }
}

/// `R` input channels by `W` vectors of output channels in registers, over all windows.
#[inline(always)]
fn tile<V: Simd, const R: usize, const W: usize>(
    input: &[f32],
    gradient: &[f32],
    len: usize,
    width: usize,
    sums: &mut [f32],
) -> usize {
    // Equally long views, so that one bounds check serves all the rows of a window.
    let mut views = [input; R];
    for (r, view) in views.iter_mut().enumerate() {
        *view = &input[r * len..(r + 1) * len];
    }
    let mut acc = [[V::splat(0.0); W]; R];
    for (t, gradient) in gradient.chunks(width).take(len).enumerate() {
        let mut g = [V::splat(0.0); W];
        for (i, g) in g.iter_mut().enumerate() {
            *g = V::load(&gradient[i * V::LANES..]);
        }
        for (acc, view) in acc.iter_mut().zip(views) {
            let x = V::splat(view[t]);
            for (a, &g) in acc.iter_mut().zip(&g) {
                *a = x.mul_add(g, *a);
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
            let sum = &mut sums[r * width + i * V::LANES..];
            V::load(sum).add(V::load(lanes)).store(sum);
        }
    }
    R
}

/// Adds the parts up and turns them into `grad_w [channel][c_in][9]` of up to [`LINE`] channels:
/// `G' u G`. Each part begins at the first channel, `[element][c_in][width]`.
fn collect(parts: &[&[f32]], [c_in, width]: [usize; 2], grad_w: &mut [f32]) {
    for c in 0..c_in {
        let mut u = [[0.0f32; LINE]; WINDOW];
        for part in parts {
            for (element, u) in u.iter_mut().enumerate() {
                let from = &part[(element * c_in + c) * width..][..LINE];
                u.iter_mut().zip(from).for_each(|(u, from)| *u += from);
            }
        }
        let columns: [_; 4] =
            std::array::from_fn(|x| gathered([u[x], u[4 + x], u[8 + x], u[12 + x]]));
        for y in 0..3 {
            let row = gathered(std::array::from_fn(|x| columns[x][y]));
            for (x, values) in row.iter().enumerate() {
                let places = grad_w[c * 9 + 3 * y + x..].iter_mut().step_by(c_in * 9);
                for (to, from) in places.zip(values) {
                    *to = *from;
                }
            }
        }
    }
}

/// `G'` times four values, for each channel.
#[inline(always)]
fn gathered([a, b, c, d]: [[f32; LINE]; 4]) -> [[f32; LINE]; 3] {
    let mut all = [[0.0; LINE]; 3];
    for o in 0..LINE {
        let (sum, difference) = (0.5 * (b[o] + c[o]), 0.5 * (b[o] - c[o]));
        [all[0][o], all[1][o], all[2][o]] = [a[o] + sum, difference, sum + d[o]];
    }
    all
}
