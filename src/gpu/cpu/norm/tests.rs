//! Every kernel against plain loops in `f64`, at every level the CPU has.
#![allow(clippy::needless_range_loop)]

use super::super::simd::testing::at_each_level;
use super::*;

/// Reproducible numbers in -1..1.
fn random(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761);
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(next).collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().copied().map(f64::from).collect()
}

/// The difference, relative to the reference's root mean square, is rounding.
fn close(got: &[f32], want: &[f64], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    let rms = (want.iter().map(|w| w * w).sum::<f64>() / want.len() as f64).sqrt().max(1e-3);
    for (i, (&g, w)) in got.iter().zip(want).enumerate() {
        let e = (f64::from(g) - w).abs() / rms;
        assert!(e < 2e-5, "{what}[{i}]: {g} instead of {w}");
    }
}

fn silu64(y: f64) -> f64 {
    y / (1.0 + (-y).exp())
}

fn slope64(y: f64) -> f64 {
    let s = 1.0 / (1.0 + (-y).exp());
    s * (1.0 + y * (1.0 - s))
}

/// Mean and biased variance at `at`.
fn moments(x: &[f64], at: &[usize]) -> (f64, f64) {
    let n = at.len() as f64;
    let mean = at.iter().map(|&i| x[i]).sum::<f64>() / n;
    (mean, at.iter().map(|&i| (x[i] - mean).powi(2)).sum::<f64>() / n)
}

/// Reference gradients of `y = xhat * w + b` over sets of elements that share statistics: of x, and
/// of weight and bias per channel. `g` is the gradient of `y`.
struct Reference {
    y: Vec<f64>,
    xhat: Vec<f64>,
    rstd: Vec<f64>,
}

fn normalise(
    x: &[f64],
    sets: &[Vec<usize>],
    stats: impl Fn(usize) -> (f64, f64),
    eps: f64,
) -> Reference {
    let mut r =
        Reference { y: vec![0.0; x.len()], xhat: vec![0.0; x.len()], rstd: vec![0.0; x.len()] };
    for (s, set) in sets.iter().enumerate() {
        let (mean, var) = stats(s);
        for &i in set {
            r.rstd[i] = 1.0 / (var + eps).sqrt();
            r.xhat[i] = (x[i] - mean) * r.rstd[i];
        }
    }
    r
}

fn input_grad(r: &Reference, g: &[f64], sets: &[Vec<usize>], w: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut out = vec![0.0; g.len()];
    for set in sets {
        let n = set.len() as f64;
        let mean = set.iter().map(|&i| g[i] * w(i)).sum::<f64>() / n;
        let dot = set.iter().map(|&i| g[i] * w(i) * r.xhat[i]).sum::<f64>() / n;
        for &i in set {
            out[i] = r.rstd[i] * (g[i] * w(i) - mean - r.xhat[i] * dot);
        }
    }
    out
}

#[test]
fn group_norm() {
    for (batch, channels, spatial, groups) in
        [(2, 16, 784, 4), (3, 8, 49, 8), (1, 6, 17, 1), (5, 32, 16, 8), (2, 1, 1, 1), (1, 4, 3, 2)]
    {
        for silu in [false, true] {
            let (per, eps) = (channels / groups, 1e-5f32);
            let n = batch * channels * spatial;
            let x: Vec<f32> = random(n, 1).iter().map(|v| v * 3.0 + 2.0).collect();
            let (grad, w, b) = (random(n, 2), random(channels, 3), random(channels, 4));
            let channel = |i: usize| i / spatial % channels;
            let len = per * spatial;
            let sets: Vec<Vec<usize>> =
                (0..batch * groups).map(|s| (s * len..(s + 1) * len).collect()).collect();
            let x64 = wide(&x);
            let mut r = normalise(&x64, &sets, |s| moments(&x64, &sets[s]), eps.into());
            let (mut g, mut gw, mut gb) = (wide(&grad), vec![0.0; channels], vec![0.0; channels]);
            for i in 0..n {
                let c = channel(i);
                let y = r.xhat[i] * f64::from(w[c]) + f64::from(b[c]);
                if silu {
                    g[i] *= slope64(y);
                }
                r.y[i] = if silu { silu64(y) } else { y };
                gw[c] += g[i] * r.xhat[i];
                gb[c] += g[i];
            }
            let gx = input_grad(&r, &g, &sets, |i| w[channel(i)].into());
            at_each_level(|_| {
                let norm =
                    GroupNorm { batch, channels, spatial, groups, eps, weight: &w, bias: &b, silu };
                let mut out = vec![f32::NAN; n];
                let (mut mean, mut rstd) = (vec![0.0; batch * groups], vec![0.0; batch * groups]);
                norm.forward(&x, &mut out, &mut mean, &mut rstd);
                close(&out, &r.y, "out");
                let mut dx = vec![f32::NAN; n];
                let (mut dw, mut db) = (vec![f32::NAN; channels], vec![f32::NAN; channels]);
                let grads =
                    NormGrads { x: &mut dx, residual: None, weight: &mut dw, bias: &mut db };
                norm.backward(&x, &mean, &rstd, &grad, grads);
                if len > 1 {
                    close(&dx, &gx, "grad_x");
                }
                close(&dw, &gw, "grad_w");
                close(&db, &gb, "grad_b");
            });
        }
    }
}

#[test]
fn layer_norm() {
    for (rows, width) in [(1, 5), (3, 16), (200, 37), (65, 192)] {
        let (n, eps) = (rows * width, 1e-5f32);
        let x: Vec<f32> = random(n, 1).iter().map(|v| v * 3.0 + 2.0).collect();
        let (grad, w, b) = (random(n, 2), random(width, 3), random(width, 4));
        let sets: Vec<Vec<usize>> =
            (0..rows).map(|s| (s * width..(s + 1) * width).collect()).collect();
        let (x64, g) = (wide(&x), wide(&grad));
        let mut r = normalise(&x64, &sets, |s| moments(&x64, &sets[s]), eps.into());
        let (mut gw, mut gb) = (vec![0.0; width], vec![0.0; width]);
        for i in 0..n {
            let c = i % width;
            r.y[i] = r.xhat[i] * f64::from(w[c]) + f64::from(b[c]);
            gw[c] += g[i] * r.xhat[i];
            gb[c] += g[i];
        }
        let gx = input_grad(&r, &g, &sets, |i| w[i % width].into());
        at_each_level(|_| {
            let norm = LayerNorm { eps, weight: &w, bias: &b };
            let (mut out, mut stats) = (vec![f32::NAN; n], vec![[0.0; 2]; rows]);
            norm.forward(&x, &mut out, &mut stats);
            close(&out, &r.y, "out");
            let mut dx = vec![f32::NAN; n];
            let (mut dw, mut db) = (vec![f32::NAN; width], vec![f32::NAN; width]);
            let grads = NormGrads { x: &mut dx, residual: None, weight: &mut dw, bias: &mut db };
            norm.backward(&x, &stats, &grad, grads);
            close(&dx, &gx, "grad_x");
            close(&dw, &gw, "grad_w");
            close(&db, &gb, "grad_b");
        });
    }
}

#[test]
fn batch_norm() {
    for (batch, channels, spatial) in [(4, 16, 784), (7, 5, 49), (3, 2, 17), (9, 3, 1), (1, 4, 16)]
    {
        for case in 0..8 {
            let (relu, with_residual, train) = (case & 1 > 0, case & 2 > 0, case & 4 > 0);
            let (eps, n) = (1e-5f32, batch * channels * spatial);
            let x: Vec<f32> = random(n, 1).iter().map(|v| v * 3.0 + 2.0).collect();
            let (grad, w, b) = (random(n, 2), random(channels, 3), random(channels, 4));
            let residual = with_residual.then(|| random(n, 5));
            let running = (random(channels, 6), vec![0.7; channels]);
            let channel = |i: usize| i / spatial % channels;
            let sets: Vec<Vec<usize>> =
                (0..channels).map(|c| (0..n).filter(|&i| channel(i) == c).collect()).collect();
            let x64 = wide(&x);
            let stats = |c: usize| {
                let given = (running.0[c].into(), f64::from(running.1[c]));
                if train { moments(&x64, &sets[c]) } else { given }
            };
            let mut r = normalise(&x64, &sets, stats, eps.into());
            let (mut g, mut gw, mut gb) = (wide(&grad), vec![0.0; channels], vec![0.0; channels]);
            for i in 0..n {
                let c = channel(i);
                let added = residual.as_ref().map_or(0.0, |r| r[i]);
                r.y[i] = r.xhat[i] * f64::from(w[c]) + f64::from(b[c]) + f64::from(added);
                if relu && r.y[i] <= 0.0 {
                    (r.y[i], g[i]) = (0.0, 0.0);
                }
                gw[c] += g[i] * r.xhat[i];
                gb[c] += g[i];
            }
            let gx = if train {
                input_grad(&r, &g, &sets, |i| w[channel(i)].into())
            } else {
                (0..n).map(|i| g[i] * r.rstd[i] * f64::from(w[channel(i)])).collect()
            };
            at_each_level(|_| {
                let (mut mean, mut var) = running.clone();
                if train {
                    batch_stats(spatial, &x, &mut mean, &mut var);
                }
                let norm = BatchNorm {
                    batch,
                    channels,
                    spatial,
                    eps,
                    mean: &mean,
                    var: &var,
                    weight: &w,
                    bias: &b,
                    relu,
                };
                let mut out = vec![f32::NAN; n];
                norm.forward(&x, residual.as_deref(), &mut out);
                close(&out, &r.y, "out");
                let (mut dx, mut dr) = (vec![f32::NAN; n], vec![f32::NAN; n]);
                let (mut dw, mut db) = (vec![f32::NAN; channels], vec![f32::NAN; channels]);
                let grads = NormGrads {
                    x: &mut dx,
                    residual: with_residual.then_some(&mut dr[..]),
                    weight: &mut dw,
                    bias: &mut db,
                };
                norm.backward(train, &x, Some(&out), &grad, grads);
                close(&dx, &gx, "grad_x");
                close(&dw, &gw, "grad_w");
                close(&db, &gb, "grad_b");
                if with_residual {
                    close(&dr, &g, "grad_residual");
                }
            });
        }
    }
}
