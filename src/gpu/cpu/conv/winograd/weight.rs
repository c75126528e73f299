//! The weight gradient: the forward pass turned around, `G' [Σ (A g A') (B' d B)] G` with `g` the
//! gradient of a window's four outputs.

use super::super::super::par::Scratch;
use super::super::super::simd::{Kernel, Simd, dispatch, transpose};
use super::super::ConvShape;
use super::super::sums::{LINE, Parts, Products, Totals, columns, scatter};
use super::{BLOCK, WINDOW, Windows, steps, transform};

/// `grad_w [c_out, c_in, 3, 3]`, for windows whose images lie side by side.
pub fn grad_weight(
    s: &ConvShape,
    windows: &Windows,
    x: &[f32],
    grad_out: &[f32],
    grad_w: &mut [f32],
) {
    let parts = Parts::new(s, WINDOW * s.c_in, windows.group);
    let add = |first, [x, grad_out]: [&[f32]; 2], sums: &mut [f32]| {
        let range = [first, parts.width.min(s.c_out - first), parts.width];
        dispatch(Group { s, windows, range, x, grad_out, sums });
    };
    parts.run(s, [x, grad_out], grad_w, add, |totals, grad_w| write(&totals, s.c_in, grad_w));
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
        let band = windows.whole();
        let mut cells = Scratch::any(s.c_in * band.stride);
        windows.pack::<V>(&band, self.x, &mut cells);
        // The gradient with channels innermost, `[image][pixel][width]`.
        let mut pixels = Scratch::any(V::LANES * h * w * width);
        let images = self.grad_out.chunks_exact(s.c_out * h * w);
        for (from, to) in images.zip(pixels.chunks_exact_mut(h * w * width)) {
            turn::<V>(&from[first * h * w..(first + channels) * h * w], h * w, width, to);
        }
        let most = (BLOCK / (s.c_in.max(width) * V::LANES)).clamp(4, band.at.len().max(4));
        let mut input = Scratch::any(WINDOW * s.c_in * most * V::LANES);
        let mut gradient = Scratch::any(WINDOW * width * most * V::LANES);
        for start in (0..band.at.len()).step_by(most) {
            let at = &band.at[start..band.at.len().min(start + most)];
            let len = at.len() * V::LANES;
            let input = &mut input[..WINDOW * s.c_in * len];
            transform::<V>(&windows.offsets(&band), at, band.stride, &cells, input);
            let gradient = &mut gradient[..WINDOW * width * len];
            for i in 0..at.len() {
                let (y, x) = ((start + i) / band.pitch * 2, (start + i) % band.pitch * 2);
                for (n, image) in pixels.chunks_exact(h * w * width).enumerate() {
                    let place = (i * V::LANES + n) * width;
                    outputs::<V>(image, [h, w], [y, x], width, &mut gradient[place..], len * width);
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

/// Turns the sums `[element][c_in]` into `grad_w [channel][c_in][9]`: `G' u G`.
fn write(totals: &Totals, c_in: usize, grad_w: &mut [f32]) {
    for c in 0..c_in {
        let u: [_; WINDOW] = totals.rows(|element| element * c_in + c);
        let columns: [_; 4] =
            std::array::from_fn(|x| gathered([u[x], u[4 + x], u[8 + x], u[12 + x]]));
        for y in 0..3 {
            let row = gathered(std::array::from_fn(|x| columns[x][y]));
            for (x, values) in row.iter().enumerate() {
                scatter(values, &mut grad_w[c * 9 + 3 * y + x..], c_in * 9);
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
