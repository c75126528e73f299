//! Batch normalisation, optionally with a residual added and ReLU applied after it.

use super::super::par::each;
use super::super::simd::{Kernel, Lanes, Simd, dispatch, whole, whole_mut};
use super::{NormGrads, sum, sum_squares};

/// `y = (x - mean) / sqrt(var + eps) * weight + bias [+ residual]`, then ReLU if asked.
///
/// `mean` and `var [channels]` come from [`batch_stats`] in training, and are the running ones in
/// evaluation.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm<'a> {
    /// Images.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// Pixels per channel.
    pub spatial: usize,
    /// Added to the variance.
    pub eps: f32,
    /// `[channels]`.
    pub mean: &'a [f32],
    /// `[channels]`, biased.
    pub var: &'a [f32],
    /// `[channels]`.
    pub weight: &'a [f32],
    /// `[channels]`.
    pub bias: &'a [f32],
    /// Whether `out = max(y, 0)` rather than `y`.
    pub relu: bool,
}

/// Mean and biased variance per channel of `x [batch, mean.len(), spatial]`.
pub fn batch_stats(spatial: usize, x: &[f32], mean: &mut [f32], var: &mut [f32]) {
    assert_eq!(mean.len(), var.len(), "var");
    let channels = mean.len();
    if x.is_empty() {
        return;
    }
    assert_eq!(x.len() % (channels * spatial), 0, "x");
    each(mean.iter_mut().zip(var).enumerate().collect(), |(channel, (mean, var))| {
        (*mean, *var) = dispatch(Stats { x, spatial, channels, channel });
    });
}

/// One channel's mean and variance.
struct Stats<'a> {
    x: &'a [f32],
    spatial: usize,
    channels: usize,
    channel: usize,
}

impl Kernel for Stats<'_> {
    type Output = (f32, f32);
    #[inline(always)]
    fn run<V: Simd>(self) -> (f32, f32) {
        let planes = self.x.chunks_exact(self.spatial).skip(self.channel).step_by(self.channels);
        let len = (self.x.len() / self.channels) as f64;
        let mut total = 0.0;
        for plane in planes.clone() {
            total += f64::from(sum::<V>(plane));
        }
        let mean = (total / len) as f32;
        let mut total = 0.0;
        for plane in planes {
            total += f64::from(sum_squares::<V>(plane, mean));
        }
        (mean, (total / len) as f32)
    }
}

impl BatchNorm<'_> {
    fn check(&self, x: &[f32], like_x: &[Option<&[f32]>]) {
        assert_eq!(x.len(), self.batch * self.channels * self.spatial, "x");
        assert!(like_x.iter().flatten().all(|t| t.len() == x.len()), "tensors shaped as x");
        for params in [self.mean, self.var, self.weight, self.bias] {
            assert_eq!(params.len(), self.channels, "per-channel parameters");
        }
    }

    /// 1 / standard deviation.
    fn rstd(&self, channel: usize) -> f32 {
        1.0 / (self.var[channel] + self.eps).sqrt()
    }

    /// Writes `out`; `residual` and `out` are shaped as `x`.
    pub fn forward(&self, x: &[f32], residual: Option<&[f32]>, out: &mut [f32]) {
        self.check(x, &[residual, Some(out)]);
        if x.is_empty() {
            return;
        }
        let image = self.channels * self.spatial;
        let tasks = x.chunks_exact(image).zip(out.chunks_exact_mut(image)).enumerate().collect();
        each(tasks, |(n, (x, out))| {
            let residual = residual.map(|r| &r[n * image..][..image]);
            dispatch(Forward { norm: self, x, residual, out });
        });
    }

    /// Gradients from `grad_out`, given the input and, where `relu`, the output. With `train` the
    /// statistics are those of `x`, else constants.
    pub fn backward(
        &self,
        train: bool,
        x: &[f32],
        out: Option<&[f32]>,
        grad_out: &[f32],
        grads: NormGrads,
    ) {
        let out = out.filter(|_| self.relu);
        let NormGrads { x: grad_x, residual, weight: grad_w, bias: grad_b } = grads;
        self.check(x, &[out, Some(grad_out), Some(grad_x), residual.as_deref()]);
        assert!(out.is_some() || !self.relu, "the gradient of ReLU needs its output");
        assert!(grad_w.len() == self.channels && grad_b.len() == self.channels, "gradients");
        if x.is_empty() {
            grad_w.fill(0.0);
            grad_b.fill(0.0);
            return;
        }
        let params = grad_w.iter_mut().zip(grad_b.iter_mut()).enumerate().collect();
        each(params, |(channel, (w, b))| {
            (*w, *b) = dispatch(Sums { norm: self, channel, x, out, grad_out });
        });
        let (grad_w, grad_b) = (&*grad_w, &*grad_b);
        let image = self.channels * self.spatial;
        let residuals: Vec<Option<&mut [f32]>> = match residual {
            Some(r) => r.chunks_exact_mut(image).map(Some).collect(),
            None => (0..self.batch).map(|_| None).collect(),
        };
        let images = x.chunks_exact(image).zip(grad_out.chunks_exact(image));
        let outputs = grad_x.chunks_exact_mut(image).zip(residuals);
        each(
            images.zip(outputs).enumerate().collect(),
            |(n, ((x, grad_out), (grad_x, residual)))| {
                let out = out.map(|o| &o[n * image..][..image]);
                let sums = train.then_some((grad_w, grad_b));
                dispatch(Backward { norm: self, sums, x, out, grad_out, grad_x, residual });
            },
        );
    }
}

/// One image.
struct Forward<'a> {
    norm: &'a BatchNorm<'a>,
    x: &'a [f32],
    residual: Option<&'a [f32]>,
    out: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(self) {
        #[inline(always)]
        fn part<V: Simd>(
            x: &[f32],
            residual: Option<&[f32]>,
            out: &mut [f32],
            scale: f32,
            shift: f32,
            floor: f32,
        ) {
            let (scale, shift, floor) = (V::splat(scale), V::splat(shift), V::splat(floor));
            for (i, o) in out.chunks_exact_mut(V::LANES).enumerate() {
                let mut y = V::load(&x[i * V::LANES..]).mul_add(scale, shift);
                if let Some(r) = residual {
                    y = y.add(V::load(&r[i * V::LANES..]));
                }
                floor.max(y).store(o);
            }
        }
        let (norm, n) = (self.norm, self.norm.spatial);
        let floor = if norm.relu { 0.0 } else { f32::NEG_INFINITY };
        for (c, (x, out)) in self.x.chunks_exact(n).zip(self.out.chunks_exact_mut(n)).enumerate() {
            let scale = norm.rstd(c) * norm.weight[c];
            let shift = norm.bias[c] - norm.mean[c] * scale;
            let residual = self.residual.map(|r| whole::<V>(&r[c * n..(c + 1) * n]));
            let ((x, x_tail), (o, o_tail)) = (whole::<V>(x), whole_mut::<V>(out));
            part::<V>(x, residual.map(|r| r.0), o, scale, shift, floor);
            part::<Lanes<1>>(x_tail, residual.map(|r| r.1), o_tail, scale, shift, floor);
        }
    }
}

/// One channel's weight and bias gradients.
struct Sums<'a> {
    norm: &'a BatchNorm<'a>,
    channel: usize,
    x: &'a [f32],
    out: Option<&'a [f32]>,
    grad_out: &'a [f32],
}

impl Kernel for Sums<'_> {
    type Output = (f32, f32);
    #[inline(always)]
    fn run<V: Simd>(self) -> (f32, f32) {
        #[inline(always)]
        fn part<V: Simd>(x: &[f32], out: Option<&[f32]>, grad: &[f32], mean: f32) -> [f32; 2] {
            let (mut dot, mut sum, mean) = (V::splat(0.0), V::splat(0.0), V::splat(mean));
            for (i, x) in x.chunks_exact(V::LANES).enumerate() {
                let mut g = V::load(&grad[i * V::LANES..]);
                if let Some(out) = out {
                    g = g.where_positive(V::load(&out[i * V::LANES..]));
                }
                dot = g.mul_add(V::load(x).sub(mean), dot);
                sum = sum.add(g);
            }
            [dot.sum(), sum.sum()]
        }
        let (norm, c, n) = (self.norm, self.channel, self.norm.spatial);
        let (mut dot, mut sum) = (0.0, 0.0);
        for image in 0..norm.batch {
            let at = (image * norm.channels + c) * n;
            let (x, x_tail) = whole::<V>(&self.x[at..at + n]);
            let (g, g_tail) = whole::<V>(&self.grad_out[at..at + n]);
            let out = self.out.map(|o| whole::<V>(&o[at..at + n]));
            let a = part::<V>(x, out.map(|o| o.0), g, norm.mean[c]);
            let b = part::<Lanes<1>>(x_tail, out.map(|o| o.1), g_tail, norm.mean[c]);
            dot += f64::from(a[0]) + f64::from(b[0]);
            sum += f64::from(a[1]) + f64::from(b[1]);
        }
        ((dot * f64::from(norm.rstd(c))) as f32, sum as f32)
    }
}

/// One image; `sums` are the weight and bias gradients where the statistics depend on `x`.
struct Backward<'a> {
    norm: &'a BatchNorm<'a>,
    sums: Option<(&'a [f32], &'a [f32])>,
    x: &'a [f32],
    out: Option<&'a [f32]>,
    grad_out: &'a [f32],
    grad_x: &'a mut [f32],
    residual: Option<&'a mut [f32]>,
}

/// A plane's tensors, whole vectors or tail.
struct Plane<'a> {
    x: &'a [f32],
    out: Option<&'a [f32]>,
    grad: &'a [f32],
    grad_x: &'a mut [f32],
    residual: Option<&'a mut [f32]>,
}

impl Plane<'_> {
    /// With `g` the gradient before ReLU: `grad_x = g * scale + x * slope + offset`, `residual = g`.
    #[inline(always)]
    fn run<V: Simd>(mut self, scale: f32, slope: f32, offset: f32) {
        let (scale, slope, offset) = (V::splat(scale), V::splat(slope), V::splat(offset));
        for (i, o) in self.grad_x.chunks_exact_mut(V::LANES).enumerate() {
            let mut g = V::load(&self.grad[i * V::LANES..]);
            if let Some(out) = self.out {
                g = g.where_positive(V::load(&out[i * V::LANES..]));
            }
            if let Some(r) = self.residual.as_deref_mut() {
                g.store(&mut r[i * V::LANES..]);
            }
            g.mul_add(scale, V::load(&self.x[i * V::LANES..]).mul_add(slope, offset)).store(o);
        }
    }
}

impl Kernel for Backward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Simd>(mut self) {
        let (norm, n) = (self.norm, self.norm.spatial);
        let len = (norm.batch * n) as f32;
        for (c, grad_x) in self.grad_x.chunks_exact_mut(n).enumerate() {
            let (rstd, at) = (norm.rstd(c), c * n..(c + 1) * n);
            let scale = rstd * norm.weight[c];
            // grad_x = rstd * weight * (g - mean(g) - xhat * mean(g * xhat)).
            let (slope, offset) = match self.sums {
                Some((dot, sum)) => {
                    let slope = -scale * rstd * dot[c] / len;
                    (slope, -scale * sum[c] / len - norm.mean[c] * slope)
                }
                None => (0.0, 0.0),
            };
            let (x, x_tail) = whole::<V>(&self.x[at.clone()]);
            let (grad, grad_tail) = whole::<V>(&self.grad_out[at.clone()]);
            let out = self.out.map(|o| whole::<V>(&o[at.clone()]));
            let (grad_x, grad_x_tail) = whole_mut::<V>(grad_x);
            let (residual, residual_tail) = match self.residual.as_deref_mut() {
                Some(r) => {
                    let (r, tail) = whole_mut::<V>(&mut r[at]);
                    (Some(r), Some(tail))
                }
                None => (None, None),
            };
            let (out, out_tail) = (out.map(|o| o.0), out.map(|o| o.1));
            Plane { x, out, grad, grad_x, residual }.run::<V>(scale, slope, offset);
            let tail = Plane {
                x: x_tail,
                out: out_tail,
                grad: grad_tail,
                grad_x: grad_x_tail,
                residual: residual_tail,
            };
            tail.run::<Lanes<1>>(scale, slope, offset);
        }
    }
}
