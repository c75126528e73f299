//! Differentiable operations of the models, one place for each device's best path.

use burn::tensor::{
    Device, Tensor, TensorData, activation,
    module::{self},
    ops::{ConvOptions, InterpolateMode, InterpolateOptions, MaxPoolOptions, PadMode},
};

use super::attend::{attend, is_tiled};
use super::kernels::{Keep, Kernels};
use super::{buffers, flex};

/// Zero padding of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// The same number of rows and columns on all sides.
    Same(usize),
    /// One row below and one column to the right (DDPM's down-sampling).
    BottomRight,
}

/// Dropout's mask, outside any graph: 1 / share where a value stays, else 0.
pub fn kept<const D: usize>(keep: &Keep, shape: [usize; D], device: &Device) -> Tensor<D> {
    let n = shape.iter().product();
    let Some(kernels) = Kernels::of(device) else {
        return Tensor::from_data(TensorData::new(keep.values(n), shape), device);
    };
    let mask = Tensor::<1>::empty([n], device);
    // As every operation of Burn's, which has no other way to tell of a lost device.
    kernels.keep(keep, &buffers::slice(&mask).expect("the device is there"));
    mask.reshape(shape)
}

/// 2-D convolution. `x` [n, c, h, w], `weight` [k, c, r, r], `bias` [k] to [n, k, h', w'].
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: Padding,
) -> Tensor<4> {
    if flex::is_cpu(&x.device()) {
        let pad = match padding {
            Padding::Same(p) => [p; 4],
            Padding::BottomRight => [0, 0, 1, 1],
        };
        let none = || Tensor::zeros([weight.dims()[0]], &x.device().without_autodiff());
        let bias = bias.unwrap_or_else(none);
        return flex::apply(flex::Conv { stride, pad }, x, weight, bias, None);
    }
    let (x, pad) = match padding {
        Padding::Same(p) => (x, p),
        Padding::BottomRight => (x.pad((0, 1, 0, 1), PadMode::Constant(0.0)), 0),
    };
    module::conv2d(x, weight, bias, ConvOptions::new([stride; 2], [pad; 2], [1; 2], 1))
}

/// Affine map. `x` [n, c], `weight` [k, c], `bias` [k] to [n, k].
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    x.matmul(weight.transpose()) + bias.unsqueeze()
}

/// Group normalisation, then SiLU if asked. `x` [n, c, h, w], weight and bias [c].
pub fn group_norm(
    x: Tensor<4>,
    [weight, bias]: [Tensor<1>; 2],
    groups: usize,
    eps: f64,
    silu: bool,
) -> Tensor<4> {
    if flex::is_cpu(&x.device()) {
        let norm = flex::GroupNorm { groups, eps: eps as f32, silu };
        return flex::apply(norm, x, weight, bias, None);
    }
    let [n, c, h, w] = x.dims();
    let g = x.reshape([n, groups, c / groups * h * w]);
    let centred = g.clone() - g.mean_dim(2);
    let variance = centred.clone().square().mean_dim(2);
    let y = (centred / (variance + eps).sqrt()).reshape([n, c, h, w]);
    let y = y * weight.reshape([1, c, 1, 1]) + bias.reshape([1, c, 1, 1]);
    if silu { activation::silu(y) } else { y }
}

/// Layer normalisation over the last axis. `x` [.., c], weight and bias [c].
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    [weight, bias]: [Tensor<1>; 2],
    eps: f64,
) -> Tensor<D> {
    if flex::is_cpu(&x.device()) {
        let shape = x.dims();
        let rows = by_rows(x);
        return flex::apply(flex::LayerNorm { eps: eps as f32 }, rows, weight, bias, None)
            .reshape(shape);
    }
    let centred = x.clone() - x.mean_dim(D - 1);
    let variance = centred.clone().square().mean_dim(D - 1);
    centred / (variance + eps).sqrt() * weight.unsqueeze() + bias.unsqueeze()
}

/// GEGLU. `x` [n, t, 2 c], values and behind them their gates, to [n, t, c].
pub fn geglu(x: Tensor<3>) -> Tensor<3> {
    let [n, t, c] = x.dims();
    if flex::is_cpu(&x.device()) {
        let none = || Tensor::<1>::zeros([1], &x.device().without_autodiff());
        let (weight, bias) = (none(), none());
        return flex::apply(flex::Geglu, by_rows(x), weight, bias, None).reshape([n, t, c / 2]);
    }
    let (value, gate) = (x.clone().narrow(2, 0, c / 2), x.narrow(2, c / 2, c / 2));
    value * activation::gelu(gate)
}

/// [.., c] as rows, [n, 1, 1, c].
fn by_rows<const D: usize>(x: Tensor<D>) -> Tensor<4> {
    let c = x.dims()[D - 1];
    let values = x.shape().num_elements();
    x.reshape([values / c, 1, 1, c])
}

/// Batch normalisation over [n, h, w]; with `running` mean and variance it is the evaluation mode.
/// Then plus `residual` [n, c, h, w], then ReLU if asked. In training mode the batch's mean and biased
/// variance [c] come with it.
pub fn batch_norm(
    x: Tensor<4>,
    [weight, bias]: [Tensor<1>; 2],
    running: Option<[Tensor<1>; 2]>,
    eps: f64,
    residual: Option<Tensor<4>>,
    relu: bool,
) -> (Tensor<4>, Option<[Tensor<1>; 2]>) {
    if flex::is_cpu(&x.device()) {
        let (train, add, eps) = (running.is_none(), residual.is_some(), eps as f32);
        let batch = running.unwrap_or_else(|| flex::batch_stats(x.clone()));
        let stats = batch.clone().map(flex::on_cpu);
        let norm = flex::BatchNorm { stats, eps, train, add, relu };
        return (flex::apply(norm, x, weight, bias, residual), train.then_some(batch));
    }
    let c = x.dims()[1];
    let (y, batch) = match running {
        Some([mean, var]) => {
            let scale = weight / (var + eps).sqrt();
            let shift = bias - mean * scale.clone();
            let y = x * scale.reshape([1, c, 1, 1]) + shift.reshape([1, c, 1, 1]);
            (y, None)
        }
        None => {
            let out = module::batch_norm_train(x, weight, bias, eps);
            (out.output, Some([out.mean, out.variance]))
        }
    };
    let y = match residual {
        Some(r) => y + r,
        None => y,
    };
    (if relu { activation::relu(y) } else { y }, batch)
}

/// The largest of every two by two positions. [n, c, h, w] to [n, c, ⌊h / 2⌋, ⌊w / 2⌋].
pub fn max_pool(x: Tensor<4>) -> Tensor<4> {
    module::max_pool2d(x, MaxPoolOptions::new([2; 2]))
}

/// The largest of every three by three positions, two apart, beside one row and column of nothing.
/// [n, c, h, w] to [n, c, ⌈h / 2⌉, ⌈w / 2⌉].
pub fn max_pool_3(x: Tensor<4>) -> Tensor<4> {
    let every = MaxPoolOptions::new([3; 2]).with_stride([2; 2]);
    module::max_pool2d(x, every.with_padding([1; 2]))
}

/// Zeros around pictures so that a kernel with a stride makes ⌈side / stride⌉ positions of a side: as TensorFlow
/// lays them, where they are odd in number one more below and on the right.
pub fn around(x: Tensor<4>, kernel: usize, stride: usize) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    let zeros = |side: usize| {
        let all = ((side.div_ceil(stride) - 1) * stride + kernel).saturating_sub(side);
        (all / 2, all - all / 2)
    };
    match [zeros(h), zeros(w)] {
        [(0, 0), (0, 0)] => x,
        zeros => x.pad(zeros, PadMode::Constant(0.0)),
    }
}

/// Convolution of each channel by itself, with zeros [`around`]. `x` [n, c, h, w], `weight` [c, 1, r, r] to
/// [n, c, ⌈h / stride⌉, ⌈w / stride⌉].
pub fn depthwise(x: Tensor<4>, weight: Tensor<4>, stride: usize) -> Tensor<4> {
    let [c, _, kernel, _] = weight.dims();
    let (x, pad) = match stride {
        1 => (x, kernel / 2),
        _ => (around(x, kernel, stride), 0),
    };
    module::conv2d(x, weight, None, ConvOptions::new([stride; 2], [pad; 2], [1; 2], c))
}

/// Nearest-neighbour enlargement by two.
pub fn upsample(x: Tensor<4>) -> Tensor<4> {
    module::interpolate(
        x,
        InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0, 2.0]),
    )
}

/// Single-head attention over positions. `q`, `k`, `v` [n, c, p] to [n, c, p] (docs/methods.md#models).
pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>) -> Tensor<3> {
    let p = q.dims()[2] as u64;
    if is_tiled(p, p) {
        let one_head = |t: Tensor<3>| t.swap_dims(1, 2).unsqueeze_dim::<4>(1);
        return attend(one_head(q), one_head(k), one_head(v)).squeeze_dim::<3>(1).swap_dims(1, 2);
    }
    let scale = (q.dims()[1] as f32).powf(-0.5);
    let weights = activation::softmax(q.swap_dims(1, 2).matmul(k) * scale, 2);
    v.matmul(weights.swap_dims(1, 2))
}
