//! The weight gradient: for every pixel, a vector of output channels times one input value. Only real
//! pixels are walked over.

use super::super::par::Scratch;
use super::super::simd::{Kernel, Simd, dispatch};
use super::ConvShape;
use super::pack::pack;
use super::plan::Layout;
use super::sums::{Parts, Products, columns, scatter};

/// `grad_w [c_out, c_in, k, k]`: the sum over images and pixels.
pub fn grad_weight(s: &ConvShape, x: &[f32], grad_out: &[f32], grad_w: &mut [f32]) {
    if s.batch == 0 || grad_w.is_empty() {
        return grad_w.fill(0.0);
    }
    let (layout, taps) = Layout::source(s, 1);
    let pixels = (0..s.out_h()).flat_map(|i| (0..s.out_w()).map(move |j| (i, j)));
    let pixels: Vec<usize> = pixels.map(|(i, j)| i * layout.pitch + j).collect();
    let channel = |c| taps.iter().map(move |tap| (c, tap));
    let rows: Vec<usize> =
        (0..s.c_in).flat_map(channel).map(|(c, tap)| c * layout.stride + tap).collect();
    // Enough pixels to outweigh loading and storing the sums.
    let parts = Parts::new(s, rows.len(), 512usize.div_ceil(pixels.len().max(1)));
    let geometry = Geometry { c_out: s.c_out, layout, rows, pixels, width: parts.width };
    let add = |first, [x, grad_out]: [&[f32]; 2], sums: &mut [f32]| {
        dispatch(Unit { geometry: &geometry, first, x, grad_out, sums });
    };
    parts.run(s, [x, grad_out], grad_w, add, |totals, grad_w| {
        let rows = geometry.rows.len();
        for row in 0..rows {
            let [total] = totals.rows(|_| row);
            scatter(&total, &mut grad_w[row..], rows);
        }
    });
}

/// Where everything lies.
struct Geometry {
    c_out: usize,
    layout: Layout,
    /// The first float of each row: an input channel shifted by a tap.
    rows: Vec<usize>,
    /// The cell of every output pixel.
    pixels: Vec<usize>,
    /// From a row of sums to the next.
    width: usize,
}

/// Some images and a range of output channels.
struct Unit<'a> {
    geometry: &'a Geometry,
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
        let Self {
            first, geometry: Geometry { c_out, layout, rows, pixels: places, width }, ..
        } = self;
        let (width, pixels) = (*width, places.len());
        let [c_in, h, w] = layout.dims;
        let images = self.x.len() / (c_in * h * w);
        let cells = c_in * layout.stride;
        let mut x = Scratch::zeroed(images * cells);
        for (from, to) in self.x.chunks_exact(c_in * h * w).zip(x.chunks_exact_mut(cells)) {
            pack(layout, from, to);
        }
        let channels = width.min(c_out - first);
        for (c, vectors) in columns::<V>(channels) {
            let pitch = vectors * V::LANES;
            let mut g = Scratch::any(images * pixels * pitch);
            let planes = self.grad_out.chunks_exact(c_out * pixels);
            for (from, to) in planes.zip(g.chunks_exact_mut(pixels * pitch)) {
                let from = &from[(first + c) * pixels..(first + channels) * pixels];
                transpose(from, pixels, pitch, to);
            }
            let products = Products::<true> { x: &x, cells, places, g: &g, first: 0, width };
            products.add::<V>(vectors, rows, &mut self.sums[c..]);
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
