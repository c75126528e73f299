//! Layer normalisation, of rows by themselves.

use super::super::par::each;
use super::super::simd::{Kernel, Lanes, Simd, dispatch, whole, whole_mut};
use super::{NormGrads, sum, sum_squares};

/// Rows of a task, which has sums of its own for the gradients of weight and bias.
const ROWS: usize = 64;

/// `y = (x - mean) * rstd * weight + bias`, statistics per row of `x [rows, width]`.
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm<'a> {
    /// Added to the variance.
    pub eps: f32,
    /// `[width]`.
    pub weight: &'a [f32],
    /// `[width]`.
    pub bias: &'a [f32],
}

impl LayerNorm<'_> {
    fn width(&self) -> usize {
        self.weight.len()
    }

    /// Writes `out`, shaped as `x`, and the statistics, mean and 1 / standard deviation of each row, for
    /// [`Self::backward`].
    pub fn forward(&self, x: &[f32], out: &mut [f32], stats: &mut [[f32; 2]]) {
        let width = self.width();
        assert!(self.bias.len() == width && out.len() == x.len(), "sizes");
        assert_eq!(stats.len() * width, x.len(), "statistics");
        let parts = x.chunks(ROWS * width).zip(out.chunks_mut(ROWS * width));
        let tasks = parts.zip(stats.chunks_mut(ROWS)).collect();
        each(tasks, |((x, out), stats)| dispatch(Forward { norm: self, x, out, stats }));
    }

    /// Gradients from `grad_out`, given the input and the statistics that forward wrote.
    pub fn backward(&self, x: &[f32], stats: &[[f32; 2]], grad_out: &[f32], grads: NormGrads) {
        let width = self.width();
        assert!(grad_out.len() == x.len() && grads.x.len() == x.len(), "gradients");
        assert!(grads.weight.len() == width && grads.bias.len() == width, "gradients of weights");
        let mut sums = vec![0.0; stats.len().div_ceil(ROWS) * 2 * width];
        let inputs = x.chunks(ROWS * width).zip(grad_out.chunks(ROWS * width));
        let outputs = grads.x.chunks_mut(ROWS * width).zip(sums.chunks_mut(2 * width));
        let tasks = inputs.zip(stats.chunks(ROWS)).zip(outputs).collect();
        each(tasks, |(((x, grad_out), stats), (grad_x, sums))| {
            dispatch(Backward { norm: self, x, stats, grad_out, grad_x, sums });
        });
        let total = |at: usize| {
            let parts = sums.iter().skip(at).step_by(2 * width);
            parts.map(|sum| f64::from(*sum)).sum::<f64>() as f32
        };
        grads.weight.iter_mut().enumerate().for_each(|(i, to)| *to = total(i));
        grads.bias.iter_mut().enumerate().for_each(|(i, to)| *to = total(width + i));
    }
}

struct Forward<'a> {
    norm: &'a LayerNorm<'a>,
    x: &'a [f32],
    out: &'a mut [f32],
    stats: &'a mut [[f32; 2]],
}

impl Kernel for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        /// `out = x̂ * weight + bias`, where `x̂ = x * rstd + shift`.
        #[inline(always)]
        fn part<V: Simd>(x: &[f32], [rstd, shift]: [f32; 2], [w, b]: [&[f32]; 2], out: &mut [f32]) {
            let [rstd, shift] = [rstd, shift].map(V::splat);
            let affine = w.chunks_exact(V::LANES).zip(b.chunks_exact(V::LANES));
            let rows = x.chunks_exact(V::LANES).zip(out.chunks_exact_mut(V::LANES));
            for ((x, out), (w, b)) in rows.zip(affine) {
                let xhat = V::load(x).mul_add(rstd, shift);
                xhat.mul_add(V::load(w), V::load(b)).store(out);
            }
        }
        let LayerNorm { eps, weight, bias } = *self.norm;
        let width = weight.len();
        let rows = self.x.chunks_exact(width).zip(self.out.chunks_exact_mut(width));
        for ((x, out), stats) in rows.zip(self.stats) {
            let mean = (f64::from(sum::<V>(x)) / width as f64) as f32;
            let var = f64::from(sum_squares::<V>(x, mean)) / width as f64;
            let rstd = (1.0 / (var + f64::from(eps)).sqrt()) as f32;
            *stats = [mean, rstd];
            let scale = [rstd, -mean * rstd];
            let ((x, x_tail), (o, o_tail)) = (whole::<V>(x), whole_mut::<V>(out));
            let [(w, w_tail), (b, b_tail)] = [weight, bias].map(whole::<V>);
            part::<V>(x, scale, [w, b], o);
            part::<Lanes<1>>(x_tail, scale, [w_tail, b_tail], o_tail);
        }
    }
}

struct Backward<'a> {
    norm: &'a LayerNorm<'a>,
    x: &'a [f32],
    stats: &'a [[f32; 2]],
    grad_out: &'a [f32],
    grad_x: &'a mut [f32],
    /// The gradients of weight and bias.
    sums: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        /// Adds to the sums of weight and bias; returns `Σ g * weight * x̂` and `Σ g * weight`.
        #[inline(always)]
        fn first<V: Simd>(
            [x, g, w]: [&[f32]; 3],
            [rstd, shift]: [f32; 2],
            [to_w, to_b]: [&mut [f32]; 2],
        ) -> [f32; 2] {
            let [rstd, shift] = [rstd, shift].map(V::splat);
            let (mut dot, mut sum) = (V::splat(0.0), V::splat(0.0));
            let [x, g, w] = [x, g, w].map(|s| s.chunks_exact(V::LANES));
            let [to_w, to_b] = [to_w, to_b].map(|s| s.chunks_exact_mut(V::LANES));
            for (((x, g), w), (to_w, to_b)) in x.zip(g).zip(w).zip(to_w.zip(to_b)) {
                let [x, g, w] = [x, g, w].map(V::load);
                let xhat = x.mul_add(rstd, shift);
                g.mul_add(xhat, V::load(to_w)).store(to_w);
                V::load(to_b).add(g).store(to_b);
                let weighed = g.mul(w);
                dot = weighed.mul_add(xhat, dot);
                sum = sum.add(weighed);
            }
            [dot.sum(), sum.sum()]
        }
        /// `out = rstd * weight * g + x * slope + offset`.
        #[inline(always)]
        fn second<V: Simd>(
            [x, g, w]: [&[f32]; 3],
            [rstd, slope, offset]: [f32; 3],
            out: &mut [f32],
        ) {
            let [rstd, slope, offset] = [rstd, slope, offset].map(V::splat);
            let [x, g, w] = [x, g, w].map(|s| s.chunks_exact(V::LANES));
            for (((x, g), w), out) in x.zip(g).zip(w).zip(out.chunks_exact_mut(V::LANES)) {
                let [x, g, w] = [x, g, w].map(V::load);
                g.mul(w).mul_add(rstd, x.mul_add(slope, offset)).store(out);
            }
        }
        let weight = self.norm.weight;
        let n = weight.len() as f64;
        let (to_w, to_b) = self.sums.split_at_mut(weight.len());
        let rows = self.x.chunks_exact(weight.len()).zip(self.grad_out.chunks_exact(weight.len()));
        let rows = rows.zip(self.grad_x.chunks_exact_mut(weight.len()));
        for (((x, g), out), &[mean, rstd]) in rows.zip(self.stats) {
            let shift = -mean * rstd;
            let [(x, x_tail), (g, g_tail), (w, w_tail)] = [x, g, weight].map(whole::<V>);
            let (tw, tw_tail) = whole_mut::<V>(to_w);
            let (tb, tb_tail) = whole_mut::<V>(to_b);
            let a = first::<V>([x, g, w], [rstd, shift], [tw, tb]);
            let tails = [x_tail, g_tail, w_tail];
            let b = first::<Lanes<1>>(tails, [rstd, shift], [tw_tail, tb_tail]);
            // grad_x = rstd * (weight * g - mean(weight * g) - x̂ * mean(weight * g * x̂)).
            let [dot, mean] = [0, 1].map(|i| ((f64::from(a[i]) + f64::from(b[i])) / n) as f32);
            let by = [rstd, -rstd * rstd * dot, -rstd * (mean + shift * dot)];
            let (o, o_tail) = whole_mut::<V>(out);
            second::<V>([x, g, w], by, o);
            second::<Lanes<1>>(tails, by, o_tail);
        }
    }
}
