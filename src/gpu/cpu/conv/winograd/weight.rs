//! The weight gradient: the forward pass turned around, `G' [Σ (A g A') (B' d B)] G` with `g` the
//! gradients of a window's outputs.

use std::marker::PhantomData;

use super::super::super::par::Scratch;
use super::super::super::simd::{Kernel, Simd, dispatch, transpose};
use super::super::ConvShape;
use super::super::sums::{LINE, Parts, Products, Totals, columns, scatter};
use super::{BLOCK, ByFour, ByTwo, Filter, Windows, steps, transform};

/// `grad_w [c_out, c_in, 3, 3]`, for windows whose images lie side by side.
pub fn grad_weight(
    s: &ConvShape,
    windows: &Windows,
    x: &[f32],
    grad_out: &[f32],
    grad_w: &mut [f32],
) {
    match windows.side {
        2 => grad_weight_by::<ByTwo, 2, 4>(s, windows, x, grad_out, grad_w),
        _ => grad_weight_by::<ByFour, 4, 6>(s, windows, x, grad_out, grad_w),
    }
}

fn grad_weight_by<F: Filter<M, W>, const M: usize, const W: usize>(
    s: &ConvShape,
    windows: &Windows,
    x: &[f32],
    grad_out: &[f32],
    grad_w: &mut [f32],
) {
    let parts = Parts::new(s, W * W * s.c_in, windows.group);
    let add = |first, [x, grad_out]: [&[f32]; 2], sums: &mut [f32]| {
        let range = [first, parts.width.min(s.c_out - first), parts.width];
        dispatch(Group::<F, M, W> { s, windows, range, x, grad_out, sums, filter: PhantomData });
    };
    let write = |totals: Totals, grad_w: &mut [f32]| write::<F, M, W>(&totals, s.c_in, grad_w);
    parts.run(s, [x, grad_out], grad_w, add, write);
}

/// A group of images and a range of output channels.
struct Group<'a, F, const M: usize, const W: usize> {
    s: &'a ConvShape,
    windows: &'a Windows,
    /// The first channel, how many there are, and how many are computed.
    range: [usize; 3],
    x: &'a [f32],
    grad_out: &'a [f32],
    /// `[element][c_in][width]`
    sums: &'a mut [f32],
    filter: PhantomData<F>,
}

impl<F: Filter<M, W>, const M: usize, const W: usize> Kernel for Group<'_, F, M, W> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        let Self { s, windows, range: [first, channels, width], .. } = self;
        let (h, w) = (s.out_h(), s.out_w());
        let band = windows.whole();
        let mut cells = Scratch::any(s.c_in * band.stride);
        windows.pack::<V, M>(&band, self.x, &mut cells);
        // The gradient with channels innermost, `[image][pixel][width]`.
        let mut pixels = Scratch::any(V::LANES * h * w * width);
        let images = self.grad_out.chunks_exact(s.c_out * h * w);
        for (from, to) in images.zip(pixels.chunks_exact_mut(h * w * width)) {
            turn::<V>(&from[first * h * w..(first + channels) * h * w], h * w, width, to);
        }
        let most = (BLOCK / (s.c_in.max(width) * V::LANES)).clamp(4, band.at.len().max(4));
        let mut input = Scratch::any(W * W * s.c_in * most * V::LANES);
        let mut gradient = Scratch::any(W * W * width * most * V::LANES);
        for start in (0..band.at.len()).step_by(most) {
            let at = &band.at[start..band.at.len().min(start + most)];
            let len = at.len() * V::LANES;
            let input = &mut input[..W * W * s.c_in * len];
            transform::<V, F, M, W>(
                &windows.offsets::<M, W>(&band),
                at,
                band.stride,
                &cells,
                input,
            );
            let gradient = &mut gradient[..W * W * width * len];
            for i in 0..at.len() {
                let (y, x) = ((start + i) / band.pitch * M, (start + i) % band.pitch * M);
                for (n, image) in pixels.chunks_exact(h * w * width).enumerate() {
                    let place = (i * V::LANES + n) * width;
                    let to = &mut gradient[place..];
                    outputs::<V, F, M, W>(image, [h, w], [y, x], width, to, len * width);
                }
            }
            let (places, rows): (Vec<_>, Vec<_>) =
                ((0..len).collect(), (0..s.c_in).map(|c| c * len).collect());
            let elements = input.chunks_exact(s.c_in * len).zip(gradient.chunks_exact(width * len));
            let sums = self.sums.chunks_exact_mut(s.c_in * width);
            for ((x, g), sums) in elements.zip(sums) {
                for (first, vectors) in columns::<V>(width) {
                    let (cells, places) = (x.len(), &places);
                    let products = Products::<false> { x, cells, places, g, first, width };
                    products.add::<V>(vectors, &rows, &mut sums[first..]);
                }
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

/// `A g A'` of the window at an output pixel of an image, `[pixel][width]`, to its elements' places, `plane`
/// apart. Outputs past the image's edges are zeros.
#[inline(always)]
fn outputs<V: Simd, F: Filter<M, W>, const M: usize, const W: usize>(
    image: &[f32],
    [h, w]: [usize; 2],
    [y, x]: [usize; 2],
    width: usize,
    to: &mut [f32],
    plane: usize,
) {
    for c in (0..width).step_by(V::LANES) {
        let mut g = [[V::splat(0.0); M]; M];
        for (dy, row) in g.iter_mut().enumerate() {
            for (dx, v) in row.iter_mut().enumerate() {
                if y + dy < h && x + dx < w {
                    *v = V::load(&image[((y + dy) * w + x + dx) * width + c..]);
                }
            }
        }
        let mut rows = [[V::splat(0.0); W]; M];
        for y in 0..M {
            rows[y] = F::gradients(g[y]);
        }
        for x in 0..W {
            let mut column = [V::splat(0.0); M];
            for y in 0..M {
                column[y] = rows[y][x];
            }
            let column = F::gradients(column);
            for y in 0..W {
                column[y].store(&mut to[(W * y + x) * plane + c..]);
            }
        }
    }
}

/// Turns the sums `[element][c_in]` into `grad_w [channel][c_in][9]`: `G' u G`.
fn write<F: Filter<M, W>, const M: usize, const W: usize>(
    totals: &Totals,
    c_in: usize,
    grad_w: &mut [f32],
) {
    for c in 0..c_in {
        let rows: [[[f32; LINE]; W]; W] =
            std::array::from_fn(|y| totals.rows(|x| (W * y + x) * c_in + c));
        let columns: [[[f32; LINE]; 3]; W] =
            std::array::from_fn(|x| F::taps_gradients(rows.map(|row| row[x])));
        for y in 0..3 {
            let row = F::taps_gradients(columns.map(|column| column[y]));
            for (x, values) in row.iter().enumerate() {
                scatter(values, &mut grad_w[c * 9 + 3 * y + x..], c_in * 9);
            }
        }
    }
}
