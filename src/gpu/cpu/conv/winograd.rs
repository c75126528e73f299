//! 3 x 3 convolutions with stride 1 in 4 or 2.25 multiplications where the sum takes 9: Winograd's minimal
//! filtering F(2x2, 3x3) and F(4x4, 3x3) (Lavin and Gray, CVPR 2016).
//!
//! Every tile of M x M outputs comes from a window `d` of W x W cells, W = M + 2: `A'[(G g G') * (B' d B)]A`, whose
//! product is element by element. Summed over input channels, each of the W x W elements is a matrix
//! product of its own, `[c_out, c_in]` by `[c_in, windows]`. The scratch holds every M-th row and column
//! together, in M x M phases, so that a vector of windows is W x W vectors of contiguous floats.

mod filter;
mod forward;
mod weight;

pub use filter::{ByFour, ByTwo, Filter};
pub use forward::{Weights, run};
pub use weight::grad_weight;

use std::ops::Range;

use super::super::par::{self, Scratch};
use super::super::simd::{Simd, transpose, vector_shape};
use super::ConvShape;
use super::pack::copy;
use super::plan::vectors;

/// Floats of transformed input that one block of windows takes, about: a part of a core's cache. Of many channels a block
/// is no less than one tile of registers.
const BLOCK: usize = 24 << 10;
/// Where tiles of four outputs a side pay, found by timing the shapes of the networks here and of Stable Diffusion's:
/// transformed kernels, and the sums of their gradients, are four times as many numbers, which few windows do not make up
/// for.
struct Four {
    /// Windows of an image, at least.
    windows: usize,
    /// Kernels (pairs of channels), at most, whatever the windows, and for each of them.
    kernels: usize,
    each: usize,
}

const FOUR: Four = Four { windows: 4, kernels: 200 * 200, each: 400 };
/// Of the weights' gradient, which keeps several such sums.
const FOUR_SUMMED: Four = Four { windows: 16, kernels: 100 * 100, each: 0 };

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
    /// Rows and columns of outputs that a window makes: 2 or 4.
    pub side: usize,
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
    fn new(s: &ConvShape, side: usize, threads: usize) -> Self {
        let (lanes, _) = vector_shape();
        let [rows, cols] = [s.out_h(), s.out_w()].map(|n| n.div_ceil(side));
        let flat = (rows - 1) * (cols + 1) + cols;
        let few = s.batch > lanes && s.batch / lanes < threads;
        let wasteful = flat.next_multiple_of(lanes) * 5 > rows * cols * 6;
        // A vector of pixels must fit an image, coming in and going out.
        let small = s.h * s.w < lanes || s.out_h() * s.out_w() < lanes;
        let group =
            if (wasteful || !few) && !small && s.batch.is_multiple_of(lanes) { lanes } else { 1 };
        let (dims, pad) = ([s.c_in, s.h, s.w], [s.pad[0], s.pad[1]]);
        Self { side, dims, group, pad, size: [rows, cols], cols: cols + 1 }
    }

    fn band(&self, rows: Range<usize>) -> Band {
        let (lanes, _) = vector_shape();
        let (at, pitch) = vectors([rows.len(), self.size[1]], self.cols, self.group);
        // A row more than of windows, what vectors read and write past the end, and an odd number of cache
        // lines, so that phases do not fall on the same sets.
        let cells = (rows.len() + 1) * self.cols * self.group + 2 * lanes;
        let phase = (cells.div_ceil(16) | 1) * 16;
        Band { rows, phase, stride: self.side * self.side * phase, at, pitch }
    }

    /// All windows.
    pub fn whole(&self) -> Band {
        self.band(0..self.size[0])
    }

    /// Elements of a window.
    fn elements(&self) -> usize {
        (self.side + 2) * (self.side + 2)
    }

    /// Where a cell of the padded image lies in a channel's scratch, from the first of its windows on.
    fn place<const M: usize>(&self, band: &Band, [y, x]: [usize; 2]) -> usize {
        (y % M * M + x % M) * band.phase + (y / M * self.cols + x / M) * self.group
    }

    /// Whether this way takes clearly fewer multiplications than the sum over all taps would,
    /// counted with the lanes that stay empty.
    fn pays(&self, s: &ConvShape) -> bool {
        let (lanes, _) = vector_shape();
        let windows = (self.whole().at.len() * lanes) as f64 / self.group as f64;
        let taps = (s.out_h() * s.out_w()) as f64 * 9.0;
        s.c_in.min(s.c_out) >= 8 && windows * (self.elements() as f64) < 0.8 * taps
    }

    /// The windows of a convolution that is better computed this way. Images of a group share
    /// nothing but vectors: the numbers are the same however many threads there are.
    pub fn of(s: &ConvShape) -> Option<Self> {
        Self::fitting(s, &FOUR, par::threads())
    }

    /// The same with images side by side, over which a sum is taken: in an order that must not
    /// depend on the threads.
    pub fn grouped(s: &ConvShape) -> Option<Self> {
        Self::fitting(s, &FOUR_SUMMED, 1).filter(|windows| windows.group > 1)
    }

    fn fitting(s: &ConvShape, four: &Four, threads: usize) -> Option<Self> {
        let fits = s.kernel == 3 && s.stride == 1 && s.batch > 0 && s.out_h() * s.out_w() > 0;
        let windows = fits.then(|| Self::new(s, side(s, four), threads));
        windows.filter(|windows| windows.pays(s))
    }

    /// Where each element of a window lies from the window's first float in the scratch.
    fn offsets<const M: usize, const W: usize>(&self, band: &Band) -> [[usize; W]; W] {
        std::array::from_fn(|y| std::array::from_fn(|x| self.place::<M>(band, [y, x])))
    }

    /// Where each output of a group's windows lies in what they make, `[place in a tile][window][image]`; none where
    /// images are alone.
    fn places<const M: usize>(&self, s: &ConvShape) -> Vec<usize> {
        let (h, w) = if self.group > 1 { (s.out_h(), s.out_w()) } else { (0, 0) };
        let [rows, cols] = self.size;
        let place = |y: usize, x: usize| {
            ((y % M * M + x % M) * rows * cols + y / M * cols + x / M) * self.group
        };
        (0..h).flat_map(|y| (0..w).map(move |x| place(y, x))).collect()
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
    pub fn pack<V: Simd, const M: usize>(&self, band: &Band, x: &[f32], cells: &mut [f32]) {
        let [channels, h, w] = self.dims;
        if self.group > 1 {
            // The places of the pixels in a channel's scratch, and of the zeros around them.
            let [top, left] = self.pad;
            let [mut places, mut around] = [0, 1].map(|_| Vec::with_capacity(h * w));
            for y in 0..M * (self.size[0] + 1) {
                for x in 0..M * self.cols {
                    let inside = (top..top + h).contains(&y) && (left..left + w).contains(&x);
                    let of = if inside { &mut places } else { &mut around };
                    of.push(self.place::<M>(band, [y, x]));
                }
            }
            for (c, cells) in cells.chunks_exact_mut(band.stride).enumerate() {
                for place in &around {
                    V::splat(0.0).store(&mut cells[*place..]);
                }
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
        let mut padded = Scratch::zeroed(M * (self.cols + V::LANES) + w);
        for (plane, cells) in x.chunks_exact(h * w).zip(cells.chunks_exact_mut(band.stride)) {
            for y in M * band.rows.start..M * (band.rows.end + 1) {
                let row = &mut padded[self.pad[1]..][..w];
                match y.checked_sub(self.pad[0]).filter(|y| *y < h) {
                    Some(y) => copy(&plane[y * w..], row, w),
                    None => row.fill(0.0),
                }
                let phases = &mut cells[y % M * M * band.phase..];
                let to = (y / M - band.rows.start) * self.cols;
                for j in (0..self.cols).step_by(V::LANES) {
                    let mut columns = [V::splat(0.0); M];
                    for (i, column) in columns.iter_mut().enumerate() {
                        *column = V::load(&padded[M * j + i * V::LANES..]);
                    }
                    let columns = apart(columns);
                    // Past the row's end lies the next row, which comes later.
                    for (i, column) in columns.into_iter().enumerate() {
                        column.store(&mut phases[i * band.phase + to + j..]);
                    }
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

/// The side of the tiles that a convolution's outputs are made in: by its shape alone, so that the numbers do not
/// depend on the threads.
fn side(s: &ConvShape, four: &Four) -> usize {
    let count = |side: usize| s.out_h().div_ceil(side) * s.out_w().div_ceil(side);
    // Products, with those of outputs past the edges; fewer of them are not yet less work.
    let fewer = 3 * 36 * count(4) < 2 * 16 * count(2);
    let most = four.kernels.max(four.each * count(4));
    if fewer && count(4) >= four.windows && s.c_in * s.c_out <= most { 4 } else { 2 }
}

/// Every `M`-th lane of `M` vectors, from each of the first `M` on.
#[inline(always)]
fn apart<V: Simd, const M: usize>(mut all: [V; M]) -> [V; M] {
    for _ in 0..M.ilog2() {
        let old = all;
        for i in 0..M / 2 {
            [all[i], all[i + M / 2]] = old[2 * i].deinterleave(old[2 * i + 1]);
        }
    }
    all
}

/// [`apart`] undone.
#[inline(always)]
fn together<V: Simd, const M: usize>(mut all: [V; M]) -> [V; M] {
    for _ in 0..M.ilog2() {
        let old = all;
        for i in 0..M / 2 {
            [all[2 * i], all[2 * i + 1]] = old[i].interleave(old[i + M / 2]);
        }
    }
    all
}

/// `B' d B` of the windows `at`: from `cells [channel][stride]` to `[element][channel][window]`.
#[inline(always)]
fn transform<V: Simd, F: Filter<M, W>, const M: usize, const W: usize>(
    offsets: &[[usize; W]; W],
    at: &[usize],
    stride: usize,
    cells: &[f32],
    to: &mut [f32],
) {
    let len = at.len() * V::LANES;
    let plane = to.len() / (W * W);
    for (c, cells) in cells.chunks_exact(stride).enumerate() {
        for (i, &first) in at.iter().enumerate() {
            let mut d = [[V::splat(0.0); W]; W];
            for x in 0..W {
                let mut column = [V::splat(0.0); W];
                for y in 0..W {
                    column[y] = V::load(&cells[first + offsets[y][x]..]);
                }
                let column = F::cells(column);
                for y in 0..W {
                    d[y][x] = column[y];
                }
            }
            let place = c * len + i * V::LANES;
            for y in 0..W {
                let row = F::cells(d[y]);
                for x in 0..W {
                    row[x].store(&mut to[(y * W + x) * plane + place..]);
                }
            }
        }
    }
}
