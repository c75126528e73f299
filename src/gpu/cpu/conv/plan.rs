//! Where everything lies in scratch, and which taps make up which output pixels.

use super::super::simd::vector_shape;
use super::ConvShape;

/// How the images of one group lie in scratch: `[channel][phase][row][col][image]`.
#[derive(Clone, Copy)]
pub struct Layout {
    /// Channels, rows and columns of the dense images.
    pub dims: [usize; 3],
    /// Images side by side in the innermost axis: 1 or `LANES`.
    pub group: usize,
    /// The stride: phase `(y % step, x % step)` of the padded image holds cell `(y, x) / step`.
    pub step: usize,
    /// Phases kept per axis: those that taps reach.
    pub phases: usize,
    /// Zero rows above and columns before the image.
    pub pad: [usize; 2],
    /// Rows of a phase.
    pub rows: usize,
    /// Cells from one row of a phase to the next.
    pub pitch: usize,
    /// Floats per channel, all phases, and what vectors read past their end.
    pub stride: usize,
}

impl Layout {
    /// The forward convolution's input, and each tap's distance from the output pixel's cell.
    /// A channel takes just its cells: nothing is read past their end.
    pub fn source(s: &ConvShape, group: usize) -> (Self, Vec<usize>) {
        let [top, left, ..] = s.pad;
        let (k, step, pitch) = (s.kernel, s.stride, Self::pitch(s));
        let rows = s.out_h() + (k - 1) / step;
        let phases = step.min(k);
        let tap = |cell| {
            let (y, x) = (cell / k, cell % k);
            let phase = (y % step) * phases + x % step;
            ((phase * rows + y / step) * pitch + x / step) * group
        };
        let taps: Vec<usize> = (0..k * k).map(tap).collect();
        // With stride 1 the last pixel's taps reach into the next row.
        let last = ((s.out_h().max(1) - 1) * pitch + s.out_w()) * group;
        let reach = taps.iter().max().map_or(0, |tap| tap + last);
        let stride = (phases * phases * rows * pitch * group).max(reach);
        let dims = [s.c_in, s.h, s.w];
        (Self { dims, group, step, phases, pad: [top, left], rows, pitch, stride }, taps)
    }

    /// Cells from one row to the next; with stride 1 a row's right padding is the next row's left.
    fn pitch(s: &ConvShape) -> usize {
        if s.stride == 1 {
            s.w + s.pad[1].max(s.pad[3])
        } else {
            s.out_w() + (s.kernel - 1) / s.stride
        }
    }
}

/// Output pixels that share a list of taps.
pub struct Pass {
    /// Each tap's distance from the output pixel's cell, in floats.
    pub taps: Vec<usize>,
    /// Each tap's place in the kernel.
    pub kernel: Vec<usize>,
    /// Rows and columns computed.
    pub size: [usize; 2],
    /// The first row and column in the dense output.
    pub origin: [usize; 2],
    /// The first float of each vector of pixels, in a channel's scratch.
    pub pixels: Vec<usize>,
    /// Pixels from one row to the next in the (dense) list of vectors.
    pub out_pitch: usize,
}

/// A convolution as shifted GEMMs.
pub struct Plan {
    /// The input's scratch.
    pub source: Layout,
    /// What to compute: one pass, or one per phase of the output.
    pub passes: Vec<Pass>,
    /// Channels, rows and columns of the dense output.
    pub out: [usize; 3],
    /// Distance between a pass's neighbours in the dense output, along both axes.
    pub out_step: usize,
    /// Distance in `weight` between output channels and between input channels.
    pub weight_strides: [usize; 2],
}

impl Plan {
    /// The forward convolution.
    pub fn forward(s: &ConvShape) -> Self {
        let (lanes, _) = vector_shape();
        let size = [s.out_h(), s.out_w()];
        let group = group_size(s.batch, lanes, size, Layout::pitch(s));
        let (mut source, taps) = Layout::source(s, group);
        let taps = taps.into_iter().zip(0..);
        let pass = Pass::new(taps, size, [0, 0], source.pitch, group);
        source.stride = channel_stride(source.stride, [&pass], lanes);
        Self {
            source,
            passes: vec![pass],
            out: [s.c_out, s.out_h(), s.out_w()],
            out_step: 1,
            weight_strides: [s.c_in * s.kernel * s.kernel, s.kernel * s.kernel],
        }
    }

    /// The gradient with respect to the input: per phase of the padded input, a convolution of
    /// `grad_out` with those taps, flipped, that reach it.
    pub fn grad_input(s: &ConvShape) -> Self {
        let (lanes, _) = vector_shape();
        let (k, step) = (s.kernel, s.stride);
        let axis = |pad, len, out| Axis::all(k, step, pad, len, out);
        let (rows, row_pad, row_end) = axis(s.pad[0], s.h, s.out_h());
        let (cols, col_pad, col_end) = axis(s.pad[1], s.w, s.out_w());
        let pitch = s.out_w() + col_pad.max(col_end);
        let height = s.out_h() + row_pad + row_end;
        let group = group_size(s.batch, lanes, [rows[0].count, cols[0].count], pitch);
        let mut passes = Vec::new();
        for row in &rows {
            for col in &cols {
                let mut taps = Vec::new();
                for y in (row.phase..k).step_by(step) {
                    for x in (col.phase..k).step_by(step) {
                        let r = row.first + row_pad - y / step;
                        let c = col.first + col_pad - x / step;
                        taps.push(((r * pitch + c) * group, y * k + x));
                    }
                }
                let size = [row.count, col.count];
                let origin = [row.origin, col.origin];
                passes.push(Pass::new(taps, size, origin, pitch, group));
            }
        }
        let stride = channel_stride(height * pitch * group, &passes, lanes);
        Self {
            source: Layout {
                dims: [s.c_out, s.out_h(), s.out_w()],
                group,
                step: 1,
                phases: 1,
                pad: [row_pad, col_pad],
                rows: height,
                pitch,
                stride,
            },
            passes,
            out: [s.c_in, s.h, s.w],
            out_step: step,
            weight_strides: [k * k, s.c_in * k * k],
        }
    }
}

impl Pass {
    fn new(
        taps: impl IntoIterator<Item = (usize, usize)>,
        size: [usize; 2],
        origin: [usize; 2],
        pitch: usize,
        group: usize,
    ) -> Self {
        let (taps, kernel) = taps.into_iter().unzip();
        let (pixels, out_pitch) = vectors(size, pitch, group);
        Self { taps, kernel, size, origin, pixels, out_pitch }
    }
}

/// The first float of each vector that covers pixels (of so many rows and columns, in cells `pitch`
/// from row to row), and pixels from one row to the next in the list of these vectors.
pub fn vectors([rows, cols]: [usize; 2], pitch: usize, group: usize) -> (Vec<usize>, usize) {
    if group == 1 {
        let (lanes, _) = vector_shape();
        // Up to the last pixel that counts; the columns past each row's end are junk.
        let flat = if rows * cols == 0 { 0 } else { (rows - 1) * pitch + cols };
        return ((0..flat).step_by(lanes).collect(), pitch);
    }
    let row = |i| (0..cols).map(move |j| (i * pitch + j) * group);
    ((0..rows).flat_map(row).collect(), cols)
}

/// One phase of one axis of the input, seen from the gradient's side.
struct Axis {
    /// Padded coordinates `step * i + phase`.
    phase: usize,
    /// The first `i` inside the image.
    first: usize,
    /// How many.
    count: usize,
    /// The first one's unpadded coordinate.
    origin: usize,
}

impl Axis {
    /// Every phase, and the zeros `grad_out` needs before and after it.
    fn all(k: usize, step: usize, pad: usize, len: usize, out: usize) -> (Vec<Self>, usize, usize) {
        let (mut before, mut after, mut axes) = (0, 0, Vec::new());
        for phase in 0..step {
            let first = pad.saturating_sub(phase).div_ceil(step);
            let end = (len + pad).saturating_sub(phase).div_ceil(step).max(first);
            let reach = if phase < k { (k - 1 - phase) / step } else { 0 };
            before = before.max(reach.saturating_sub(first));
            after = after.max(end.saturating_sub(out));
            let origin = step * first + phase - pad;
            axes.push(Self { phase, first, count: end - first, origin });
        }
        (axes, before, after)
    }
}

/// `LANES` images side by side where one alone would leave much of its vectors empty.
fn group_size(batch: usize, lanes: usize, size: [usize; 2], pitch: usize) -> usize {
    let [rows, cols] = size;
    let alone = (rows * pitch).div_ceil(lanes) * lanes;
    let wasteful = alone * 5 > rows * cols * 6;
    if wasteful && batch >= 4 * lanes { lanes } else { 1 }
}

/// Floats per channel: the cells, and as far as any vector reads.
fn channel_stride<'a>(
    cells: usize,
    passes: impl IntoIterator<Item = &'a Pass>,
    lanes: usize,
) -> usize {
    let reach = |p: &Pass| {
        let tap = p.taps.iter().max().unwrap_or(&0);
        tap + p.pixels.last().map_or(0, |last| last + lanes)
    };
    // An odd number of cache lines, so that channels do not fall on the same sets.
    let lines = passes.into_iter().map(reach).fold(cells, usize::max).div_ceil(16);
    (lines | 1) * 16
}
