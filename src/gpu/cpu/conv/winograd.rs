//! 3 x 3 convolutions with stride 1 in 4 multiplications where the sum takes 9: Winograd's minimal
//! filtering F(2x2, 3x3) (Lavin and Gray, CVPR 2016).
//!
//! Every 2 x 2 outputs come from a 4 x 4 window `d` of the input: `A'[(G g G') * (B' d B)]A`, whose
//! product is element by element. Summed over input channels, each of the 16 elements is a matrix
//! product of its own, `[c_out, c_in]` by `[c_in, windows]`. The scratch holds the even and the odd
//! rows and columns apart, so that a vector of windows is 16 vectors of contiguous floats.

mod forward;
mod weight;

pub use forward::{Weights, run};
pub use weight::grad_weight;

use std::ops::Range;

use super::super::par::{self, Scratch};
use super::super::simd::{Simd, transpose, vector_shape};
use super::ConvShape;
use super::pack::copy;
use super::plan::vectors;

/// Elements of a window.
const WINDOW: usize = 16;
/// Floats of transformed input that one block of windows takes, about: a part of a core's cache.
const BLOCK: usize = 24 << 10;

/// Some rows of windows, in scratch of their own.
pub struct Band {
    pub rows: Range<usize>,
    /// Floats of a phase, and of a channel.
    phase: usize,
    pub stride: usize,
    /// The first float of each vector of windows, in a channel's first phase.
    pub at: Vec<usize>,
    /// Windows from one row to the next in the (dense) list of vectors.
    pub pitch: usize,
}

/// Where the windows lie in scratch: `[channel][phase][row][col][image]`.
pub struct Windows {
    /// Channels, rows and columns of the dense images.
    dims: [usize; 3],
    /// Images side by side in the innermost axis: 1 or `LANES`.
    pub group: usize,
    /// Zero rows above and columns before the image.
    pad: [usize; 2],
    /// Rows and columns of windows, and cells from a row of a phase to the next.
    size: [usize; 2],
    cols: usize,
}

impl Windows {
    /// The windows that cover a convolution's outputs. Images share vectors where one alone would
    /// leave much of them empty, and where there are groups of them for this many threads.
    fn new(s: &ConvShape, threads: usize) -> Self {
        let (lanes, _) = vector_shape();
        let [rows, cols] = [s.out_h(), s.out_w()].map(|n| n.div_ceil(2));
        let flat = (rows - 1) * (cols + 1) + cols;
        let few = s.batch > lanes && s.batch / lanes < threads;
        let wasteful = flat.next_multiple_of(lanes) * 5 > rows * cols * 6;
        // A vector of pixels must fit an image, coming in and going out.
        let small = s.h * s.w < lanes || s.out_h() * s.out_w() < lanes;
        let group =
            if (wasteful || !few) && !small && s.batch.is_multiple_of(lanes) { lanes } else { 1 };
        let (dims, pad) = ([s.c_in, s.h, s.w], [s.pad[0], s.pad[1]]);
        Self { dims, group, pad, size: [rows, cols], cols: cols + 1 }
    }

    fn band(&self, rows: Range<usize>) -> Band {
        let (lanes, _) = vector_shape();
        let (at, pitch) = vectors([rows.len(), self.size[1]], self.cols, self.group);
        // A row more than of windows, what vectors read and write past the end, and an odd number of cache
        // lines, so that phases do not fall on the same sets.
        let cells = (rows.len() + 1) * self.cols * self.group + 2 * lanes;
        let phase = (cells.div_ceil(16) | 1) * 16;
        Band { rows, phase, stride: 4 * phase, at, pitch }
    }

    /// All windows.
    pub fn whole(&self) -> Band {
        self.band(0..self.size[0])
    }

    /// Whether this way takes clearly fewer multiplications than the sum over all taps would,
    /// counted with the lanes that stay empty.
    fn pays(&self, s: &ConvShape) -> bool {
        let (lanes, _) = vector_shape();
        let windows = (self.whole().at.len() * lanes) as f64 / self.group as f64;
        let taps = (s.out_h() * s.out_w()) as f64 * 9.0;
        s.c_in.min(s.c_out) >= 8 && windows * (WINDOW as f64) < 0.8 * taps
    }

    /// The windows of a convolution that is better computed this way. Images of a group share
    /// nothing but vectors: the numbers are the same however many threads there are.
    pub fn of(s: &ConvShape) -> Option<Self> {
        Self::fitting(s, par::threads())
    }

    /// The same with images side by side, over which a sum is taken: in an order that must not
    /// depend on the threads.
    pub fn grouped(s: &ConvShape) -> Option<Self> {
        Self::fitting(s, 1).filter(|windows| windows.group > 1)
    }

    fn fitting(s: &ConvShape, threads: usize) -> Option<Self> {
        let fits = s.kernel == 3 && s.stride == 1 && s.batch > 0 && s.out_h() * s.out_w() > 0;
        fits.then(|| Self::new(s, threads)).filter(|windows| windows.pays(s))
    }

    /// Where each element of a window lies from the window's first float in the scratch.
    fn offsets(&self, band: &Band) -> [usize; WINDOW] {
        std::array::from_fn(|i| {
            let (y, x) = (i / 4, i % 4);
            (y % 2 * 2 + x % 2) * band.phase + (y / 2 * self.cols + x / 2) * self.group
        })
    }

    /// The windows in bands of whole rows, which are computed by themselves where there are fewer groups of images
    /// than threads.
    pub fn bands(&self, groups: usize) -> Vec<Band> {
        let ([rows, _], threads) = (self.size, par::threads());
        // Images side by side are packed all at once.
        if groups >= threads || self.group > 1 {
            return vec![self.whole()];
        }
        let each = rows.div_ceil((2 * threads).div_ceil(groups));
        (0..rows).step_by(each).map(|first| self.band(first..rows.min(first + each))).collect()
    }

    /// Copies a group's images (dense), as far as a band's windows need them, to scratch, `[channel][stride]`.
    #[inline(always)]
    pub fn pack<V: Simd>(&self, band: &Band, x: &[f32], cells: &mut [f32]) {
        let [channels, h, w] = self.dims;
        if self.group > 1 {
            // Of every pixel: its place in a channel's scratch.
            let [top, left] = self.pad;
            let place = |i| {
                let (y, x) = (i / w + top, i % w + left);
                (y % 2 * 2 + x % 2) * band.phase + (y / 2 * self.cols + x / 2) * self.group
            };
            let places: Vec<usize> = (0..h * w).map(place).collect();
            for (c, cells) in cells.chunks_exact_mut(band.stride).enumerate() {
                // The padding around the pixels.
                cells.fill(0.0);
                for first in steps(h * w, V::LANES) {
                    let mut pixels = [V::splat(0.0); 16];
                    for (n, pixels) in pixels.iter_mut().take(V::LANES).enumerate() {
                        *pixels = V::load(&x[(n * channels + c) * h * w + first..]);
                    }
                    transpose(&mut pixels);
                    for (pixel, place) in pixels.into_iter().zip(&places[first..][..V::LANES]) {
                        pixel.store(&mut cells[*place..]);
                    }
                }
            }
            return;
        }
        let mut padded = Scratch::zeroed(2 * self.cols + 2 * V::LANES + w);
        for (plane, cells) in x.chunks_exact(h * w).zip(cells.chunks_exact_mut(band.stride)) {
            for y in 2 * band.rows.start..2 * (band.rows.end + 1) {
                let row = &mut padded[self.pad[1]..][..w];
                match y.checked_sub(self.pad[0]).filter(|y| *y < h) {
                    Some(y) => copy(&plane[y * w..], row, w),
                    None => row.fill(0.0),
                }
                let (even, odd) = cells[y % 2 * 2 * band.phase..].split_at_mut(band.phase);
                let to = (y / 2 - band.rows.start) * self.cols;
                for j in (0..self.cols).step_by(V::LANES) {
                    let [first, second] = [0, V::LANES].map(|i| V::load(&padded[2 * j + i..]));
                    let [e, o] = first.deinterleave(second);
                    // Past the row's end lies the next row, which comes later.
                    e.store(&mut even[to + j..]);
                    o.store(&mut odd[to + j..]);
                }
            }
        }
    }
}

/// Starts of runs of `lanes` that cover `n`; the last two may overlap.
#[inline(always)]
fn steps(n: usize, lanes: usize) -> impl Iterator<Item = usize> {
    (0..n.div_ceil(lanes)).map(move |i| (i * lanes).min(n - lanes))
}

/// `B' d B` of the windows `at`: from `cells [channel][stride]` to `[element][channel][window]`.
#[inline(always)]
fn transform<V: Simd>(
    offsets: &[usize; WINDOW],
    at: &[usize],
    stride: usize,
    cells: &[f32],
    to: &mut [f32],
) {
    let len = at.len() * V::LANES;
    let plane = to.len() / WINDOW;
    for (c, cells) in cells.chunks_exact(stride).enumerate() {
        for (i, &first) in at.iter().enumerate() {
            let mut d = [V::splat(0.0); WINDOW];
            for (d, offset) in d.iter_mut().zip(offsets) {
                *d = V::load(&cells[first + offset..]);
            }
            for x in 0..4 {
                let [a, b, c, e] = [d[x], d[4 + x], d[8 + x], d[12 + x]];
                [d[x], d[4 + x], d[8 + x], d[12 + x]] = [a.sub(c), b.add(c), c.sub(b), b.sub(e)];
            }
            for y in 0..4 {
                let [a, b, c, e] = [d[4 * y], d[4 * y + 1], d[4 * y + 2], d[4 * y + 3]];
                d[4 * y] = a.sub(c);
                d[4 * y + 1] = b.add(c);
                d[4 * y + 2] = c.sub(b);
                d[4 * y + 3] = b.sub(e);
            }
            let place = c * len + i * V::LANES;
            for (element, d) in d.into_iter().enumerate() {
                d.store(&mut to[element * plane + place..]);
            }
        }
    }
}
