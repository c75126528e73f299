//! Convolution as a product of shifted planes: no unrolling into matrices.
//!
//! A zero-padded plane of pitch w is read as one flat vector; a kernel tap (i, j) is the same
//! vector shifted by i · w + j. The result has a few junk columns that are dropped when it is
//! written. With stride 2 a plane is first split into its four even/odd phases, after which every
//! tap is again a shift. So all convolutions and their gradients are two loops:
//! out[co][p] += W[co][j] · X[shift_j + p], and dW[co][j] += G[co][p] · X[shift_j + p].

use rayon::prelude::*;

use super::simd::{Lanes, Level, dispatch, level};

/// Vectors are at most this long: planes carry as much slack.
const SLACK: usize = 64;
/// Output channels that the forward loop holds in registers.
const ROWS: usize = 8;
/// Output channels and shifts that the weight loop holds in registers.
const WROWS: usize = 3;
const WCOLS: usize = 9;
/// Floats of padded planes that one chunk of the weight gradient works on (stays in cache).
const CHUNK: usize = 160_000;

/// A convolution: NCHW, square kernel, no dilation, no groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    pub batch: usize,
    pub c_in: usize,
    pub h: usize,
    pub w: usize,
    pub c_out: usize,
    /// 1 or 3 or any other side.
    pub kernel: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Zeros at the top, left, bottom and right.
    pub pad: [usize; 4],
}

impl ConvShape {
    /// Height of the output.
    pub fn out_h(&self) -> usize {
        (self.h + self.pad[0] + self.pad[2] - self.kernel) / self.stride + 1
    }

    /// Width of the output.
    pub fn out_w(&self) -> usize {
        (self.w + self.pad[1] + self.pad[3] - self.kernel) / self.stride + 1
    }

    fn x_len(&self) -> usize {
        self.c_in * self.h * self.w
    }

    fn out_len(&self) -> usize {
        self.c_out * self.out_h() * self.out_w()
    }

    fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// How the input lies in its padded scratch.
    fn planes(&self) -> Planes {
        let up = |n: usize| n.div_ceil(self.stride);
        let rows = up(self.h + self.pad[0] + self.pad[2]);
        let pitch = up(self.w + self.pad[1] + self.pad[3]);
        Planes { stride: self.stride, pitch, len: rows * pitch }
    }

    /// The shift of each weight [ci, kh, kw] into the scratch.
    fn shifts(&self, planes: &Planes) -> Vec<usize> {
        let s = self.stride;
        let mut shifts = Vec::with_capacity(self.c_in * self.taps());
        for ci in 0..self.c_in {
            for kh in 0..self.kernel {
                for kw in 0..self.kernel {
                    let phase = (kh % s) * s + kw % s;
                    let plane = (ci * s * s + phase) * planes.len;
                    shifts.push(plane + (kh / s) * planes.pitch + kw / s);
                }
            }
        }
        shifts
    }
}

/// Padded planes: for each channel `stride²` phases of `len` floats in rows of `pitch`.
struct Planes {
    stride: usize,
    pitch: usize,
    len: usize,
}

impl Planes {
    fn total(&self, channels: usize) -> usize {
        channels * self.stride * self.stride * self.len + self.pitch * 4 + SLACK
    }

    /// Copies [c, h, w] into the scratch (zeroed before) with `top` and `left` zeros.
    fn fill(&self, x: &[f32], [h, w]: [usize; 2], [top, left]: [usize; 2], out: &mut [f32]) {
        let s = self.stride;
        for (c, plane) in x.chunks_exact(h * w).enumerate() {
            for (y, row) in plane.chunks_exact(w).enumerate() {
                let py = y + top;
                if s == 1 {
                    let at = c * self.len + py * self.pitch + left;
                    out[at..at + w].copy_from_slice(row);
                } else {
                    let base = (c * s * s + (py % s) * s) * self.len + (py / s) * self.pitch;
                    for (x, v) in row.iter().enumerate() {
                        let px = x + left;
                        out[base + (px % s) * self.len + px / s] = *v;
                    }
                }
            }
        }
    }
}

/// Weights in blocks of [`ROWS`] output channels: [block][column][row], missing rows zero.
fn pack(rows: usize, columns: usize, weight: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let mut packed = vec![0.0; rows.div_ceil(ROWS) * columns * ROWS];
    for r in 0..rows {
        for j in 0..columns {
            packed[(r / ROWS * columns + j) * ROWS + r % ROWS] = weight(r, j);
        }
    }
    packed
}

/// The product of packed weights and shifted planes.
struct Product<'a> {
    shifts: &'a [usize],
    packed: &'a [f32],
    rows: usize,
    /// Flat positions to compute.
    len: usize,
}

impl Product<'_> {
    /// Room for the result: rows in whole blocks, each with slack.
    fn room(&self) -> usize {
        self.rows.div_ceil(ROWS) * ROWS * self.pitch()
    }

    /// Distance between two rows of the result.
    fn pitch(&self) -> usize {
        self.len + SLACK
    }
}

dispatch!(product, product_at, (p: &Product, x: &[f32], out: &mut [f32]));

/// # Safety
/// Runs at a level that the processor has.
#[inline(always)]
unsafe fn product_at<L: Lanes>(p: &Product, x: &[f32], out: &mut [f32]) {
    let reach = p.shifts.iter().max().copied().unwrap_or(0) + p.len.next_multiple_of(L::N);
    assert!(x.len() >= reach && out.len() >= p.room());
    let pitch = p.pitch();
    let columns = p.shifts.len();
    for (block, weights) in p.packed.chunks_exact(columns * ROWS).enumerate() {
        let out = &mut out[block * ROWS * pitch..][..ROWS * pitch];
        let vectors = p.len.div_ceil(L::N);
        let mut v = 0;
        while v < vectors {
            let at = v * L::N;
            // SAFETY: reads stay below `reach`, writes below the row's slack.
            v += unsafe {
                match vectors - v {
                    1 => tile::<L, 1>(p.shifts, weights, x, out, at, pitch),
                    2 | 4 => tile::<L, 2>(p.shifts, weights, x, out, at, pitch),
                    _ => tile::<L, 3>(p.shifts, weights, x, out, at, pitch),
                }
            };
        }
    }
}

/// [`ROWS`] output channels times `V` vectors of positions, all in registers.
///
/// # Safety
/// As [`product_at`]; the slices reach as far as it asserted.
#[inline(always)]
unsafe fn tile<L: Lanes, const V: usize>(
    shifts: &[usize],
    weights: &[f32],
    x: &[f32],
    out: &mut [f32],
    at: usize,
    pitch: usize,
) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sum = [[L::splat(0.0); V]; ROWS];
        let base = x.as_ptr().add(at);
        for (shift, w) in shifts.iter().zip(weights.chunks_exact(ROWS)) {
            let from = base.add(*shift);
            let mut xs = [L::splat(0.0); V];
            for (i, x) in xs.iter_mut().enumerate() {
                *x = L::load(from.add(i * L::N));
            }
            for (r, row) in sum.iter_mut().enumerate() {
                let w = L::splat(*w.get_unchecked(r));
                for (s, x) in row.iter_mut().zip(xs) {
                    *s = x.mul_add(w, *s);
                }
            }
        }
        for (r, row) in sum.iter().enumerate() {
            for (i, s) in row.iter().enumerate() {
                s.store(out.as_mut_ptr().add(r * pitch + at + i * L::N));
            }
        }
        V
    }
}

thread_local! {
    /// Scratch of a thread, kept between calls.
    static SCRATCH: std::cell::RefCell<[Vec<f32>; 2]> = const { std::cell::RefCell::new([Vec::new(), Vec::new()]) };
}

/// Hands out two scratch buffers of the thread; the first is zeroed.
fn with_scratch<R>(sizes: [usize; 2], work: impl FnOnce(&mut [f32], &mut [f32]) -> R) -> R {
    SCRATCH.with_borrow_mut(|[a, b]| {
        a.clear();
        a.resize(sizes[0], 0.0);
        if b.len() < sizes[1] {
            b.resize(sizes[1], 0.0);
        }
        work(a, &mut b[..sizes[1]])
    })
}

/// out [n, c_out, oh, ow] = conv(x [n, c_in, h, w], weight [c_out, c_in, k, k]) + bias [c_out].
pub fn forward(s: &ConvShape, x: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    forward_at(level(), s, x, weight, bias, out);
}

fn forward_at(
    level: Level,
    s: &ConvShape,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    out: &mut [f32],
) {
    let planes = s.planes();
    let shifts = s.shifts(&planes);
    let columns = shifts.len();
    let packed = pack(s.c_out, columns, |r, j| weight[r * columns + j]);
    let (oh, ow) = (s.out_h(), s.out_w());
    let product_of =
        Product { shifts: &shifts, packed: &packed, rows: s.c_out, len: (oh - 1) * planes.pitch + ow };
    out.par_chunks_mut(s.out_len()).zip(x.par_chunks(s.x_len())).for_each(|(out, x)| {
        with_scratch([planes.total(s.c_in), product_of.room()], |pad, sums| {
            planes.fill(x, [s.h, s.w], [s.pad[0], s.pad[1]], pad);
            product(level, &product_of, pad, sums);
            for (c, plane) in out.chunks_exact_mut(oh * ow).enumerate() {
                let from = &sums[c * product_of.pitch()..];
                for (y, row) in plane.chunks_exact_mut(ow).enumerate() {
                    let from = &from[y * planes.pitch..][..ow];
                    for (o, v) in row.iter_mut().zip(from) {
                        *o = v + bias[c];
                    }
                }
            }
        });
    });
}

/// Gradient with respect to the input.
pub fn grad_input(s: &ConvShape, grad: &[f32], weight: &[f32], out: &mut [f32]) {
    grad_input_at(level(), s, grad, weight, out);
}

/// Row `a` of phase `ph` of the padded input receives from output row a - i through tap
/// ph + i · stride: for each phase this is a convolution of the gradient with some of the taps.
fn grad_input_at(level: Level, s: &ConvShape, grad: &[f32], weight: &[f32], out: &mut [f32]) {
    let (oh, ow) = (s.out_h(), s.out_w());
    let st = s.stride;
    // Zeros above and to the left of the gradient: as far as a tap can reach back.
    let reach = (s.kernel - 1) / st;
    let rows = (s.h + s.pad[0] + s.pad[2]).div_ceil(st);
    let cols = (s.w + s.pad[1] + s.pad[3]).div_ceil(st);
    let pitch = (ow + reach).max(cols + reach);
    let planes = Planes { stride: 1, pitch, len: (rows.max(oh) + reach) * pitch };
    let taps = s.taps();
    let phases: Vec<(usize, usize, Vec<usize>, Vec<f32>)> = (0..st * st)
        .map(|phase| {
            let (ph, pw) = (phase / st, phase % st);
            let mut shifts = Vec::new();
            let mut source = Vec::new();
            for co in 0..s.c_out {
                for (i, kh) in (ph..s.kernel).step_by(st).enumerate() {
                    for (j, kw) in (pw..s.kernel).step_by(st).enumerate() {
                        shifts.push(co * planes.len + (reach - i) * pitch + reach - j);
                        source.push(co * s.c_in * taps + kh * s.kernel + kw);
                    }
                }
            }
            let packed = pack(s.c_in, shifts.len(), |ci, j| weight[source[j] + ci * taps]);
            (ph, pw, shifts, packed)
        })
        .collect();
    out.par_chunks_mut(s.x_len()).zip(grad.par_chunks(s.out_len())).for_each(|(out, grad)| {
        let len = (rows - 1) * pitch + cols;
        let room = s.c_in.div_ceil(ROWS) * ROWS * (len + SLACK);
        with_scratch([planes.total(s.c_out), room], |pad, sums| {
            planes.fill(grad, [oh, ow], [reach, reach], pad);
            for (ph, pw, shifts, packed) in &phases {
                let p = Product { shifts, packed, rows: s.c_in, len };
                if shifts.is_empty() {
                    sums.fill(0.0);
                } else {
                    product(level, &p, pad, sums);
                }
                for (c, plane) in out.chunks_exact_mut(s.h * s.w).enumerate() {
                    let from = &sums[c * p.pitch()..];
                    for (y, row) in plane.chunks_exact_mut(s.w).enumerate() {
                        let py = y + s.pad[0];
                        if py % st != *ph {
                            continue;
                        }
                        let from = &from[py / st * pitch..];
                        if st == 1 {
                            row.copy_from_slice(&from[s.pad[1]..s.pad[1] + s.w]);
                            continue;
                        }
                        let first = (pw + st - s.pad[1] % st) % st;
                        for x in (first..s.w).step_by(st) {
                            row[x] = from[(x + s.pad[1]) / st];
                        }
                    }
                }
            }
        });
    });
}

/// Gradient with respect to the weight [c_out, c_in, k, k], summed over the batch in a fixed order.
pub fn grad_weight(s: &ConvShape, x: &[f32], grad: &[f32], out: &mut [f32]) {
    grad_weight_at(level(), s, x, grad, out);
}

fn grad_weight_at(level: Level, s: &ConvShape, x: &[f32], grad: &[f32], out: &mut [f32]) {
    let planes = s.planes();
    let shifts = s.shifts(&planes);
    let (oh, ow) = (s.out_h(), s.out_w());
    // The gradient lies in the same pitch, with zeros in the junk columns.
    let len = ((oh - 1) * planes.pitch + ow).next_multiple_of(16);
    let (each_x, each_g) = (planes.total(s.c_in), s.c_out.next_multiple_of(WROWS) * len);
    let per_chunk = (CHUNK / (each_x + each_g)).clamp(1, s.batch);
    let work = Correlation { shifts: &shifts, rows: s.c_out, len, each_x, each_g };
    let partial: Vec<Vec<f32>> = x
        .par_chunks(per_chunk * s.x_len())
        .zip(grad.par_chunks(per_chunk * s.out_len()))
        .map(|(x, grad)| {
            let n = x.len() / s.x_len();
            let mut sums = vec![0.0; out.len()];
            let mut pad_g = vec![0.0; n * each_g];
            with_scratch([n * each_x, 0], |pad_x, _| {
                for (i, x) in x.chunks_exact(s.x_len()).enumerate() {
                    let to = &mut pad_x[i * each_x..(i + 1) * each_x];
                    planes.fill(x, [s.h, s.w], [s.pad[0], s.pad[1]], to);
                }
                for (i, grad) in grad.chunks_exact(s.out_len()).enumerate() {
                    for (c, plane) in grad.chunks_exact(oh * ow).enumerate() {
                        let to = &mut pad_g[i * each_g + c * len..][..len];
                        for (y, row) in plane.chunks_exact(ow).enumerate() {
                            to[y * planes.pitch..y * planes.pitch + ow].copy_from_slice(row);
                        }
                    }
                }
                correlate(level, &work, pad_x, &pad_g, &mut sums);
            });
            sums
        })
        .collect();
    out.fill(0.0);
    for sums in partial {
        out.iter_mut().zip(sums).for_each(|(o, s)| *o += s);
    }
}

/// Sums of products of gradient planes and shifted input planes over some pictures.
struct Correlation<'a> {
    shifts: &'a [usize],
    rows: usize,
    len: usize,
    each_x: usize,
    each_g: usize,
}

dispatch!(correlate, correlate_at, (c: &Correlation, x: &[f32], g: &[f32], out: &mut [f32]));

/// # Safety
/// Runs at a level that the processor has.
#[inline(always)]
unsafe fn correlate_at<L: Lanes>(c: &Correlation, x: &[f32], g: &[f32], out: &mut [f32]) {
    let columns = c.shifts.len();
    let reach = c.shifts.iter().max().copied().unwrap_or(0) + c.len;
    assert!(c.each_x >= reach && c.each_g >= c.rows.next_multiple_of(WROWS) * c.len);
    assert!(x.len() / c.each_x == g.len() / c.each_g && c.len.is_multiple_of(L::N));
    for j in (0..columns).step_by(WCOLS) {
        // Missing shifts of the last block repeat the first; their sums are dropped.
        let shift: [usize; WCOLS] =
            std::array::from_fn(|i| c.shifts.get(j + i).copied().unwrap_or(c.shifts[j]));
        for r in (0..c.rows).step_by(WROWS) {
            // SAFETY: shifts and lengths stay within each picture's part, as asserted.
            let sums = unsafe {
                let mut sums = [[L::splat(0.0); WCOLS]; WROWS];
                for (x, g) in x.chunks_exact(c.each_x).zip(g.chunks_exact(c.each_g)) {
                    let (x, g) = (x.as_ptr(), g.as_ptr().add(r * c.len));
                    for p in (0..c.len).step_by(L::N) {
                        let mut gs = [L::splat(0.0); WROWS];
                        for (i, v) in gs.iter_mut().enumerate() {
                            *v = L::load(g.add(i * c.len + p));
                        }
                        for i in 0..WCOLS {
                            let v = L::load(x.add(shift[i] + p));
                            for (row, g) in sums.iter_mut().zip(gs) {
                                row[i] = v.mul_add(g, row[i]);
                            }
                        }
                    }
                }
                sums
            };
            for (i, row) in sums.iter().enumerate().take(c.rows - r) {
                for (k, sum) in row.iter().enumerate().take(columns - j) {
                    // SAFETY: the level is the processor's.
                    out[(r + i) * columns + j + k] += unsafe { sum.sum() };
                }
            }
        }
    }
}

/// Gradient with respect to the bias [c_out].
pub fn grad_bias(s: &ConvShape, grad: &[f32], out: &mut [f32]) {
    let plane = s.out_h() * s.out_w();
    out.fill(0.0);
    for picture in grad.chunks_exact(s.out_len()) {
        for (o, plane) in out.iter_mut().zip(picture.chunks_exact(plane)) {
            *o += super::norm::sum(plane);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    /// Calls `f(out index, x index, weight index)` for every product of the convolution.
    fn each(s: &ConvShape, mut f: impl FnMut(usize, usize, usize)) {
        let (oh, ow) = (s.out_h(), s.out_w());
        for n in 0..s.batch {
            for co in 0..s.c_out {
                for y in 0..oh {
                    for x in 0..ow {
                        for ci in 0..s.c_in {
                            for kh in 0..s.kernel {
                                for kw in 0..s.kernel {
                                    let iy = (y * s.stride + kh) as isize - s.pad[0] as isize;
                                    let ix = (x * s.stride + kw) as isize - s.pad[1] as isize;
                                    let inside = (0..s.h as isize).contains(&iy)
                                        && (0..s.w as isize).contains(&ix);
                                    if inside {
                                        let o = ((n * s.c_out + co) * oh + y) * ow + x;
                                        let i = ((n * s.c_in + ci) * s.h + iy as usize) * s.w
                                            + ix as usize;
                                        let w = ((co * s.c_in + ci) * s.kernel + kh) * s.kernel + kw;
                                        f(o, i, w);
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn close(got: &[f32], expected: &[f64], what: &str) {
        let scale = expected.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
        for (i, (a, b)) in got.iter().zip(expected).enumerate() {
            assert!((*a as f64 - b).abs() < 2e-5 * scale, "{what} at {i}: {a} for {b}");
        }
    }

    #[test]
    fn agrees_with_the_definition_at_every_level() {
        let same = [1; 4];
        let shapes = [
            (2, 3, 28, 28, 5, 3, 1, same),
            (3, 16, 14, 14, 17, 3, 1, same),
            (5, 9, 7, 7, 8, 3, 1, same),
            (2, 4, 4, 4, 3, 3, 1, same),
            (1, 1, 1, 1, 1, 3, 1, same),
            (3, 6, 28, 28, 10, 3, 2, same),
            (3, 6, 7, 7, 10, 3, 2, same),
            (2, 5, 28, 28, 7, 3, 2, [0, 0, 1, 1]),
            (2, 5, 14, 14, 7, 3, 2, [0, 0, 1, 1]),
            (2, 5, 14, 14, 7, 1, 1, [0; 4]),
            (2, 5, 28, 28, 12, 1, 2, [0; 4]),
            (2, 5, 7, 7, 12, 1, 2, [0; 4]),
            (1, 2, 9, 5, 2, 3, 1, same),
        ];
        let mut levels = vec![Level::Plain];
        if level() != Level::Plain {
            levels.push(Level::Avx2);
        }
        levels.push(level());
        for (batch, c_in, h, w, c_out, kernel, stride, pad) in shapes {
            let s = ConvShape { batch, c_in, h, w, c_out, kernel, stride, pad };
            let x = noise(batch * s.x_len(), 1);
            let weight = noise(c_out * c_in * s.taps(), 2);
            let bias = noise(c_out, 3);
            let grad = noise(batch * s.out_len(), 4);
            let plane = s.out_h() * s.out_w();
            let mut y: Vec<f64> =
                (0..grad.len()).map(|i| f64::from(bias[i / plane % c_out])).collect();
            let (mut dx, mut dw) = (vec![0.0f64; x.len()], vec![0.0f64; weight.len()]);
            each(&s, |o, i, k| {
                y[o] += x[i] as f64 * weight[k] as f64;
                dx[i] += grad[o] as f64 * weight[k] as f64;
                dw[k] += grad[o] as f64 * x[i] as f64;
            });
            for &level in &levels {
                let mut out = vec![f32::NAN; grad.len()];
                forward_at(level, &s, &x, &weight, &bias, &mut out);
                close(&out, &y, &format!("forward {s:?} {level:?}"));
                let mut out = vec![f32::NAN; x.len()];
                grad_input_at(level, &s, &grad, &weight, &mut out);
                close(&out, &dx, &format!("input gradient {s:?} {level:?}"));
                let mut out = vec![f32::NAN; weight.len()];
                grad_weight_at(level, &s, &x, &grad, &mut out);
                close(&out, &dw, &format!("weight gradient {s:?} {level:?}"));
            }
        }
    }
}
