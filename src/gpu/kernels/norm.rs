//! Group and batch normalisation with what follows them, forward and backward.
//!
//! Loops are plain; compiled at each vector level they become vector code.

use rayon::prelude::*;

use super::simd::{Lanes, dispatch, level};

/// Lanes of a sum: fixed, so that sums do not depend on the processor's width.
const LANES: usize = 16;

/// Sums `f` of each position in fixed lanes.
#[inline(always)]
fn sums<const K: usize>(n: usize, f: impl Fn(usize) -> [f32; K]) -> [f32; K] {
    let mut lanes = [[0.0f32; LANES]; K];
    let whole = n / LANES * LANES;
    for i in (0..whole).step_by(LANES) {
        for l in 0..LANES {
            let v = f(i + l);
            for k in 0..K {
                lanes[k][l] += v[k];
            }
        }
    }
    let mut total = lanes.map(|l| l.iter().sum::<f32>());
    for i in whole..n {
        let v = f(i);
        for k in 0..K {
            total[k] += v[k];
        }
    }
    total
}

/// The sum of a slice.
pub fn sum(values: &[f32]) -> f32 {
    sums(values.len(), |i| [values[i]])[0]
}

/// exp(x) by 2^n · p(r), relative error below 3e-7; vectorises.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let n = (x * std::f32::consts::LOG2_E + 12_582_912.0) - 12_582_912.0;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 0.166_666_65;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    p * f32::from_bits(((n as i32 + 127) << 23) as u32)
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Group normalisation of [n, c, plane] with an affine map [c], then SiLU if asked.
#[derive(Debug, Clone, Copy)]
pub struct GroupShape {
    pub c: usize,
    pub plane: usize,
    pub groups: usize,
    pub eps: f32,
    pub silu: bool,
}

/// Slices of one picture in a pass of [`group_forward`].
struct GroupPass<'a> {
    s: GroupShape,
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    /// Mean and 1 / standard deviation of each group.
    stats: &'a mut [f32],
}

/// y [n, c, plane]; `stats` [n, groups, 2] keeps mean and 1 / standard deviation for the gradient.
pub fn group_forward(
    s: GroupShape,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    y: &mut [f32],
    stats: &mut [f32],
) {
    let (level, each) = (level(), s.c * s.plane);
    y.par_chunks_mut(each)
        .zip(x.par_chunks(each))
        .zip(stats.par_chunks_mut(2 * s.groups))
        .for_each(|((y, x), stats)| {
            group_picture(level, GroupPass { s, x, weight, bias, stats }, y);
        });
}

dispatch!(group_picture, group_picture_at, (p: GroupPass, y: &mut [f32]));

/// # Safety
/// Runs at a level that the processor has.
#[inline(always)]
unsafe fn group_picture_at<L: Lanes>(p: GroupPass, y: &mut [f32]) {
    let GroupShape { c, plane, groups, eps, silu } = p.s;
    let (per, n) = (c / groups, c / groups * plane);
    for g in 0..groups {
        let x = &p.x[g * n..][..n];
        let mean = sums(n, |i| [x[i]])[0] / n as f32;
        let var = sums(n, |i| [(x[i] - mean) * (x[i] - mean)])[0] / n as f32;
        let rstd = 1.0 / (var + eps).sqrt();
        p.stats[2 * g..2 * g + 2].copy_from_slice(&[mean, rstd]);
        for k in 0..per {
            let scale = p.weight[g * per + k] * rstd;
            let shift = p.bias[g * per + k] - mean * scale;
            let x = &x[k * plane..][..plane];
            let y = &mut y[g * n + k * plane..][..plane];
            if silu {
                for i in 0..plane {
                    let z = x[i] * scale + shift;
                    y[i] = z * sigmoid(z);
                }
            } else {
                for i in 0..plane {
                    y[i] = x[i] * scale + shift;
                }
            }
        }
    }
}

/// Gradients of [`group_forward`]: of x into `dx`, of weight and bias (summed) into `dw`, `db`.
#[allow(clippy::too_many_arguments, reason = "a gradient has these slices")]
pub fn group_backward(
    s: GroupShape,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    stats: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    dw: &mut [f32],
    db: &mut [f32],
) {
    let (level, each) = (level(), s.c * s.plane);
    let n = x.len() / each;
    let mut affine = vec![0.0; n * 2 * s.c];
    dx.par_chunks_mut(each)
        .zip(x.par_chunks(each))
        .zip(dy.par_chunks(each))
        .zip(stats.par_chunks(2 * s.groups))
        .zip(affine.par_chunks_mut(2 * s.c))
        .for_each(|((((dx, x), dy), stats), affine)| {
            let p = GroupBack { s, x, weight, bias, stats, dy };
            group_back_picture(level, p, dx, affine);
        });
    dw.fill(0.0);
    db.fill(0.0);
    for picture in affine.chunks_exact(2 * s.c) {
        for k in 0..s.c {
            dw[k] += picture[2 * k];
            db[k] += picture[2 * k + 1];
        }
    }
}

/// Slices of one picture in a pass of [`group_backward`].
struct GroupBack<'a> {
    s: GroupShape,
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    stats: &'a [f32],
    dy: &'a [f32],
}

dispatch!(group_back_picture, group_back_at, (p: GroupBack, dx: &mut [f32], affine: &mut [f32]));

/// # Safety
/// Runs at a level that the processor has.
#[inline(always)]
unsafe fn group_back_at<L: Lanes>(p: GroupBack, dx: &mut [f32], affine: &mut [f32]) {
    let GroupShape { c, plane, groups, silu, .. } = p.s;
    let (per, n) = (c / groups, c / groups * plane);
    for g in 0..groups {
        let (mean, rstd) = (p.stats[2 * g], p.stats[2 * g + 1]);
        let (mut sum_d, mut sum_dh) = (0.0, 0.0);
        for k in 0..per {
            let ch = g * per + k;
            let (w, b) = (p.weight[ch], p.bias[ch]);
            let (x, dy) = (&p.x[ch * plane..][..plane], &p.dy[ch * plane..][..plane]);
            let dz = &mut dx[ch * plane..][..plane];
            if silu {
                for i in 0..plane {
                    let z = (x[i] - mean) * rstd * w + b;
                    let s = sigmoid(z);
                    dz[i] = dy[i] * s * (1.0 + z * (1.0 - s));
                }
            } else {
                dz.copy_from_slice(dy);
            }
            let [d, dh] = sums(plane, |i| [dz[i], dz[i] * ((x[i] - mean) * rstd)]);
            affine[2 * ch] = dh;
            affine[2 * ch + 1] = d;
            sum_d += w * d;
            sum_dh += w * dh;
        }
        let (mean_d, mean_dh) = (sum_d / n as f32, sum_dh / n as f32);
        for k in 0..per {
            let ch = g * per + k;
            let w = p.weight[ch];
            let x = &p.x[ch * plane..][..plane];
            let dz = &mut dx[ch * plane..][..plane];
            for i in 0..plane {
                let h = (x[i] - mean) * rstd;
                dz[i] = rstd * (w * dz[i] - mean_d - h * mean_dh);
            }
        }
    }
}

/// Batch normalisation of [n, c, plane] with an affine map [c], plus a residual, then ReLU.
#[derive(Debug, Clone, Copy)]
pub struct BatchShape {
    pub c: usize,
    pub plane: usize,
    pub eps: f32,
    pub relu: bool,
}

/// Mean and biased variance of each channel into `stats` [c, 2].
pub fn batch_stats(s: BatchShape, x: &[f32], stats: &mut [f32]) {
    let level = level();
    stats.par_chunks_mut(2).enumerate().for_each(|(ch, stats)| {
        channel_stats(level, s, ch, x, stats);
    });
}

dispatch!(channel_stats, channel_stats_at, (s: BatchShape, ch: usize, x: &[f32], out: &mut [f32]));

/// # Safety
/// Runs at a level that the processor has.
#[inline(always)]
unsafe fn channel_stats_at<L: Lanes>(s: BatchShape, ch: usize, x: &[f32], out: &mut [f32]) {
    let planes = || x.chunks_exact(s.c * s.plane).map(|p| &p[ch * s.plane..][..s.plane]);
    let count = (x.len() / s.c) as f64;
    let total: f64 = planes().map(|p| f64::from(sums(s.plane, |i| [p[i]])[0])).sum();
    let mean = (total / count) as f32;
    let square = |p: &[f32]| sums(s.plane, |i| [(p[i] - mean) * (p[i] - mean)])[0];
    let var = planes().map(|p| f64::from(square(p))).sum::<f64>() / count;
    out.copy_from_slice(&[mean, var as f32]);
}

/// y = relu(x · scale + shift + residual), with mean and variance in `stats` [c, 2].
pub fn batch_forward(
    s: BatchShape,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    stats: &[f32],
    residual: Option<&[f32]>,
    y: &mut [f32],
) {
    let (level, each) = (level(), s.c * s.plane);
    let affine: Vec<[f32; 2]> = (0..s.c)
        .map(|ch| {
            let scale = weight[ch] / (stats[2 * ch + 1] + s.eps).sqrt();
            [scale, bias[ch] - stats[2 * ch] * scale]
        })
        .collect();
    y.par_chunks_mut(each).enumerate().for_each(|(i, y)| {
        let residual = residual.map(|r| &r[i * each..][..each]);
        batch_picture(level, s, &affine, &x[i * each..][..each], residual, y);
    });
}

dispatch!(batch_picture, batch_picture_at, (
    s: BatchShape, affine: &[[f32; 2]], x: &[f32], residual: Option<&[f32]>, y: &mut [f32],
));

/// # Safety
/// Runs at a level that the processor has.
#[inline(always)]
unsafe fn batch_picture_at<L: Lanes>(
    s: BatchShape,
    affine: &[[f32; 2]],
    x: &[f32],
    residual: Option<&[f32]>,
    y: &mut [f32],
) {
    let floor = if s.relu { 0.0 } else { f32::NEG_INFINITY };
    for (ch, [scale, shift]) in affine.iter().enumerate() {
        let x = &x[ch * s.plane..][..s.plane];
        let y = &mut y[ch * s.plane..][..s.plane];
        match residual {
            Some(r) => {
                let r = &r[ch * s.plane..][..s.plane];
                for i in 0..s.plane {
                    y[i] = (x[i] * scale + shift + r[i]).max(floor);
                }
            }
            None => {
                for i in 0..s.plane {
                    y[i] = (x[i] * scale + shift).max(floor);
                }
            }
        }
    }
}

/// What [`batch_backward`] reads.
#[derive(Clone, Copy)]
pub struct BatchBack<'a> {
    pub s: BatchShape,
    pub x: &'a [f32],
    /// The output, whose zeros are where ReLU cut.
    pub y: &'a [f32],
    pub weight: &'a [f32],
    pub stats: &'a [f32],
    pub dy: &'a [f32],
    /// Whether the statistics are the batch's own, so that the gradient runs through them.
    pub train: bool,
}

/// Gradients of [`batch_forward`]: of x, of the residual (the gradient after ReLU), weight and bias.
pub fn batch_backward(
    p: BatchBack,
    dx: &mut [f32],
    residual: Option<&mut [f32]>,
    dw: &mut [f32],
    db: &mut [f32],
) {
    let (level, each) = (level(), p.s.c * p.s.plane);
    let mut sums = vec![0.0; 2 * p.s.c];
    sums.par_chunks_mut(2).enumerate().for_each(|(ch, out)| batch_back_sums(level, p, ch, out));
    for ch in 0..p.s.c {
        (db[ch], dw[ch]) = (sums[2 * ch], sums[2 * ch + 1]);
    }
    dx.par_chunks_mut(each)
        .enumerate()
        .for_each(|(i, dx)| batch_back_picture(level, p, i * each, &sums, dx));
    if let Some(residual) = residual {
        residual.par_chunks_mut(each).enumerate().for_each(|(i, dr)| {
            let (y, dy) = (&p.y[i * each..][..each], &p.dy[i * each..][..each]);
            for i in 0..each {
                dr[i] = if p.s.relu && y[i] <= 0.0 { 0.0 } else { dy[i] };
            }
        });
    }
}

dispatch!(batch_back_sums, batch_back_sums_at, (p: BatchBack, ch: usize, out: &mut [f32]));

/// # Safety
/// Runs at a level that the processor has.
#[inline(always)]
unsafe fn batch_back_sums_at<L: Lanes>(p: BatchBack, ch: usize, out: &mut [f32]) {
    let BatchShape { c, plane, eps, relu } = p.s;
    let (mean, rstd) = (p.stats[2 * ch], 1.0 / (p.stats[2 * ch + 1] + eps).sqrt());
    let cut = if relu { 0.0 } else { f32::NEG_INFINITY };
    let (mut d, mut dh) = (0.0f64, 0.0f64);
    for at in (ch * plane..p.x.len()).step_by(c * plane) {
        let (x, y, dy) = (&p.x[at..][..plane], &p.y[at..][..plane], &p.dy[at..][..plane]);
        let [a, b] = sums(plane, |i| {
            let dz = if y[i] > cut { dy[i] } else { 0.0 };
            [dz, dz * ((x[i] - mean) * rstd)]
        });
        d += f64::from(a);
        dh += f64::from(b);
    }
    out.copy_from_slice(&[d as f32, dh as f32]);
}

dispatch!(batch_back_picture, batch_back_picture_at, (
    p: BatchBack, at: usize, sums: &[f32], dx: &mut [f32],
));

/// # Safety
/// Runs at a level that the processor has.
#[inline(always)]
unsafe fn batch_back_picture_at<L: Lanes>(
    p: BatchBack,
    at: usize,
    sums: &[f32],
    dx: &mut [f32],
) {
    let BatchShape { c, plane, eps, relu } = p.s;
    let count = (p.x.len() / c) as f32;
    let cut = if relu { 0.0 } else { f32::NEG_INFINITY };
    for ch in 0..c {
        let (mean, rstd) = (p.stats[2 * ch], 1.0 / (p.stats[2 * ch + 1] + eps).sqrt());
        let scale = p.weight[ch] * rstd;
        let (mean_d, mean_dh) =
            if p.train { (sums[2 * ch] / count, sums[2 * ch + 1] / count) } else { (0.0, 0.0) };
        let from = at + ch * plane;
        let (x, y, dy) = (&p.x[from..][..plane], &p.y[from..][..plane], &p.dy[from..][..plane]);
        let dx = &mut dx[ch * plane..][..plane];
        for i in 0..plane {
            let dz = if y[i] > cut { dy[i] } else { 0.0 };
            dx[i] = scale * (dz - mean_d - (x[i] - mean) * rstd * mean_dh);
        }
    }
}
