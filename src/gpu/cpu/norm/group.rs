//! Group normalisation, optionally followed by SiLU.

use super::super::par::each;
use super::super::simd::{Kernel, Lanes, Simd, dispatch, whole, whole_mut};
use super::{NormGrads, sigmoid, silu_slope, sum, sum_squares};

/// `y = (x - mean) * rstd * weight + bias`, statistics per image and group, then SiLU if asked.
#[derive(Clone, Copy, Debug)]
pub struct GroupNorm<'a> {
    /// Images.
    pub batch: usize,
    /// Channels, a multiple of `groups`.
    pub channels: usize,
    /// Pixels per channel.
    pub spatial: usize,
    /// Groups of channels.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f32,
    /// `[channels]`.
    pub weight: &'a [f32],
    /// `[channels]`.
    pub bias: &'a [f32],
    /// Whether `out = silu(y)` rather than `y`.
    pub silu: bool,
}

impl GroupNorm<'_> {
    /// Floats per image and group.
    fn len(&self) -> usize {
        self.channels / self.groups * self.spatial
    }

    fn check(&self, x: &[f32], mean: &[f32], rstd: &[f32]) {
        assert!(self.groups > 0 && self.channels.is_multiple_of(self.groups), "groups");
        assert_eq!(x.len(), self.batch * self.channels * self.spatial, "x");
        assert!(self.weight.len() == self.channels && self.bias.len() == self.channels, "weight");
        assert_eq!(mean.len(), self.batch * self.groups, "mean");
        assert_eq!(rstd.len(), self.batch * self.groups, "rstd");
    }

    /// Writes `out`, shaped as `x`, and the statistics, `[batch, groups]`, for [`Self::backward`].
    pub fn forward(&self, x: &[f32], out: &mut [f32], mean: &mut [f32], rstd: &mut [f32]) {
        self.check(x, mean, rstd);
        assert_eq!(x.len(), out.len(), "out");
        if x.is_empty() {
            return;
        }
        let groups = x.chunks_exact(self.len()).zip(out.chunks_exact_mut(self.len()));
        let tasks = groups.zip(mean.iter_mut().zip(rstd)).enumerate().collect();
        each(tasks, |(i, ((x, out), (mean, rstd)))| {
            (*mean, *rstd) = dispatch(Forward { norm: self, group: i % self.groups, x, out });
        });
    }

    /// Gradients from `grad_out`, given the input and the statistics that forward wrote.
    pub fn backward(
        &self,
        x: &[f32],
        mean: &[f32],
        rstd: &[f32],
        grad_out: &[f32],
        grads: NormGrads,
    ) {
        self.check(x, mean, rstd);
        assert!(grad_out.len() == x.len() && grads.x.len() == x.len(), "gradients");
        assert_eq!(grads.weight.len(), self.channels, "grad_weight");
        assert_eq!(grads.bias.len(), self.channels, "grad_bias");
        let mut sums = vec![[0.0; 2]; self.batch * self.channels];
        if !x.is_empty() {
            let per_group = sums.chunks_exact_mut(self.channels / self.groups);
            let inputs = x.chunks_exact(self.len()).zip(grad_out.chunks_exact(self.len()));
            let outputs = grads.x.chunks_exact_mut(self.len()).zip(per_group);
            let tasks = inputs.zip(outputs).enumerate().collect();
            each(tasks, |(i, ((x, grad_out), (grad_x, sums)))| {
                let (mean, rstd, group) = (mean[i], rstd[i], i % self.groups);
                dispatch(Backward { norm: self, group, mean, rstd, x, grad_out, grad_x, sums });
            });
        }
        for (c, (w, b)) in grads.weight.iter_mut().zip(grads.bias).enumerate() {
            let images = sums.iter().skip(c).step_by(self.channels);
            let total =
                images.fold([0.0; 2], |t, s| [t[0] + f64::from(s[0]), t[1] + f64::from(s[1])]);
            (*w, *b) = (total[0] as f32, total[1] as f32);
        }
    }
}

/// One image's group; returns its mean and 1 / standard deviation.
struct Forward<'a> {
    norm: &'a GroupNorm<'a>,
    group: usize,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = (f32, f32);
    #[inline(always)]
    fn run<V: Simd>(self) -> (f32, f32) {
        #[inline(always)]
        fn part<V: Simd>(x: &[f32], out: &mut [f32], scale: f32, shift: f32, silu: bool) {
            let (scale, shift) = (V::splat(scale), V::splat(shift));
            for (x, o) in x.chunks_exact(V::LANES).zip(out.chunks_exact_mut(V::LANES)) {
                let y = V::load(x).mul_add(scale, shift);
                if silu { y.mul(sigmoid(y)).store(o) } else { y.store(o) }
            }
        }
        let norm = self.norm;
        let len = self.x.len() as f64;
        let mean = (f64::from(sum::<V>(self.x)) / len) as f32;
        let var = f64::from(sum_squares::<V>(self.x, mean)) / len;
        let rstd = (1.0 / (var + f64::from(norm.eps)).sqrt()) as f32;
        let first = self.group * (norm.channels / norm.groups);
        let params = norm.weight[first..].iter().zip(&norm.bias[first..]);
        let planes = self.x.chunks_exact(norm.spatial).zip(self.out.chunks_exact_mut(norm.spatial));
        for ((x, out), (&weight, &bias)) in planes.zip(params) {
            let scale = rstd * weight;
            let shift = bias - mean * scale;
            let ((x, x_tail), (o, o_tail)) = (whole::<V>(x), whole_mut::<V>(out));
            part::<V>(x, o, scale, shift, norm.silu);
            part::<Lanes<1>>(x_tail, o_tail, scale, shift, norm.silu);
        }
        (mean, rstd)
    }
}

/// One image's group; `sums [channels of the group]` are its weight and bias gradients.
struct Backward<'a> {
    norm: &'a GroupNorm<'a>,
    group: usize,
    mean: f32,
    rstd: f32,
    x: &'a [f32],
    grad_out: &'a [f32],
    grad_x: &'a mut [f32],
    sums: &'a mut [[f32; 2]],
}

/// What normalises one channel: `xhat = x * rstd + shift`, `y = xhat * weight + bias`.
#[derive(Clone, Copy)]
struct Channel {
    rstd: f32,
    shift: f32,
    weight: f32,
    bias: f32,
}

impl Channel {
    /// Writes `g`, the gradient of `y`, to `out`; returns `Σ g * xhat` and `Σ g`.
    #[inline(always)]
    fn first<V: Simd>(self, silu: bool, x: &[f32], grad: &[f32], out: &mut [f32]) -> [f32; 2] {
        let (rstd, shift) = (V::splat(self.rstd), V::splat(self.shift));
        let (weight, bias) = (V::splat(self.weight), V::splat(self.bias));
        let (mut dot, mut sum) = (V::splat(0.0), V::splat(0.0));
        let inputs = x.chunks_exact(V::LANES).zip(grad.chunks_exact(V::LANES));
        for ((x, g), o) in inputs.zip(out.chunks_exact_mut(V::LANES)) {
            let xhat = V::load(x).mul_add(rstd, shift);
            let mut g = V::load(g);
            if silu {
                g = g.mul(silu_slope(xhat.mul_add(weight, bias)));
            }
            g.store(o);
            dot = g.mul_add(xhat, dot);
            sum = sum.add(g);
        }
        [dot.sum(), sum.sum()]
    }

    /// `out = rstd * weight * out + x * slope + offset`.
    #[inline(always)]
    fn second<V: Simd>(self, x: &[f32], out: &mut [f32], slope: f32, offset: f32) {
        let scale = V::splat(self.rstd * self.weight);
        let (slope, offset) = (V::splat(slope), V::splat(offset));
        for (x, o) in x.chunks_exact(V::LANES).zip(out.chunks_exact_mut(V::LANES)) {
            let rest = V::load(x).mul_add(slope, offset);
            V::load(o).mul_add(scale, rest).store(o);
        }
    }
}

impl Kernel for Backward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        let (norm, n) = (self.norm, self.norm.spatial);
        let (rstd, shift) = (self.rstd, -self.mean * self.rstd);
        let first = self.group * (norm.channels / norm.groups);
        let channel = |c: usize| Channel {
            rstd,
            shift,
            weight: norm.weight[first + c],
            bias: norm.bias[first + c],
        };
        let (mut dots, mut totals) = (0.0, 0.0);
        let inputs = self.x.chunks_exact(n).zip(self.grad_out.chunks_exact(n));
        let outputs = self.grad_x.chunks_exact_mut(n).zip(self.sums);
        for (c, ((x, grad), (out, sums))) in inputs.zip(outputs).enumerate() {
            let channel = channel(c);
            let ((x, x_tail), (g, g_tail)) = (whole::<V>(x), whole::<V>(grad));
            let (o, o_tail) = whole_mut::<V>(out);
            let a = channel.first::<V>(norm.silu, x, g, o);
            let b = channel.first::<Lanes<1>>(norm.silu, x_tail, g_tail, o_tail);
            *sums = [a[0] + b[0], a[1] + b[1]];
            dots += f64::from(sums[0] * channel.weight);
            totals += f64::from(sums[1] * channel.weight);
        }
        // grad_x = rstd * (weight * g - mean(weight * g) - xhat * mean(weight * g * xhat)).
        let len = self.x.len() as f64;
        let (dot, mean) = ((dots / len) as f32, (totals / len) as f32);
        let (slope, offset) = (-rstd * rstd * dot, -rstd * (mean + shift * dot));
        let planes = self.x.chunks_exact(n).zip(self.grad_x.chunks_exact_mut(n));
        for (c, (x, out)) in planes.enumerate() {
            let ((x, x_tail), (o, o_tail)) = (whole::<V>(x), whole_mut::<V>(out));
            channel(c).second::<V>(x, o, slope, offset);
            channel(c).second::<Lanes<1>>(x_tail, o_tail, slope, offset);
        }
    }
}
