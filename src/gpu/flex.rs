//! Our CPU kernels as operations of Burn's `flex` backend, with their gradients.
//!
//! Burn's own convolution on the CPU unrolls pictures into matrices and normalises in many passes;
//! these kernels ([`super::cpu`]) do each operation in one.

use burn::{
    backend::{
        Autodiff, AutodiffBackend, Backend, Dispatch, Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        flex::FlexTensor,
        tensor::FloatTensor,
    },
    tensor::{Device, Tensor, TensorData},
};

use super::cpu::{
    conv::{self, ConvShape},
    norm::{self, BatchNorm, BatchNormGrads, GroupNorm, GroupNormGrads},
    par::zeros,
};

/// Whether tensors of this device are the CPU's.
pub fn is_cpu(device: &Device) -> bool {
    device.clone().without_autodiff() == Device::flex()
}

/// Operations that the CPU has kernels for. Shapes as in [`super::ops`].
#[backend_extension(Flex, Autodiff)]
pub trait CpuOps: Backend {
    fn cpu_conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: usize,
        pad: [usize; 4],
    ) -> FloatTensor<Self>;

    fn cpu_group_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        groups: usize,
        eps: f32,
        silu: bool,
    ) -> FloatTensor<Self>;

    /// Mean, then biased variance, [2, c]; outside any graph.
    fn cpu_batch_stats(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `mode` is [train, add, relu]: whether `mean` and `var` [c] are the batch's own, whether
    /// `residual` is added, whether ReLU follows.
    #[allow(
        clippy::too_many_arguments,
        reason = "an operation of a backend takes tensors one by one"
    )]
    fn cpu_batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        var: FloatTensor<Self>,
        eps: f32,
        mode: [bool; 3],
    ) -> FloatTensor<Self>;
}

/// A contiguous tensor: its values can be borrowed.
fn flat(t: FlexTensor) -> FlexTensor {
    if t.as_slice::<f32>().is_some() { t } else { t.to_contiguous() }
}

fn values(t: &FlexTensor) -> &[f32] {
    t.as_slice::<f32>().expect("made contiguous before")
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

fn dims4(t: &FlexTensor) -> [usize; 4] {
    std::array::from_fn(|i| t.layout().shape()[i])
}

fn conv_shape(x: &FlexTensor, weight: &FlexTensor, stride: usize, pad: [usize; 4]) -> ConvShape {
    let [batch, c_in, h, w] = dims4(x);
    let [c_out, _, kernel, _] = dims4(weight);
    ConvShape { batch, c_in, h, w, c_out, kernel, stride, pad }
}

fn conv_forward(s: &ConvShape, x: &FlexTensor, w: &FlexTensor, b: &FlexTensor) -> FlexTensor {
    let shape = [s.batch, s.c_out, s.out_h(), s.out_w()];
    let mut out = zeros(shape.iter().product());
    conv::forward(s, values(x), values(w), Some(values(b)), &mut out);
    tensor(out, shape)
}

/// Group normalisation of x [n, c, h, w] as the kernels take it: groups, epsilon, SiLU.
type GroupOptions = (usize, f32, bool);

fn group<'a>(
    x: &FlexTensor,
    w: &'a FlexTensor,
    b: &'a FlexTensor,
    (groups, eps, silu): GroupOptions,
) -> GroupNorm<'a> {
    let [batch, channels, h, w_] = dims4(x);
    let (weight, bias) = (values(w), values(b));
    GroupNorm { batch, channels, spatial: h * w_, groups, eps, weight, bias, silu }
}

/// The output, and the mean and 1 / standard deviation that the gradient needs.
fn group_forward(
    [x, w, b]: [&FlexTensor; 3],
    options: GroupOptions,
) -> (FlexTensor, [Vec<f32>; 2]) {
    let norm = group(x, w, b, options);
    let mut y = zeros(values(x).len());
    let mut stats = [vec![0.0; norm.batch * norm.groups], vec![0.0; norm.batch * norm.groups]];
    let [mean, rstd] = &mut stats;
    norm.forward(values(x), &mut y, mean, rstd);
    (tensor(y, dims4(x)), stats)
}

/// How batch normalisation runs.
#[derive(Debug, Clone, Copy)]
struct BatchOptions {
    eps: f32,
    /// The statistics are the batch's own, so that the gradient runs through them.
    train: bool,
    /// A residual is added.
    add: bool,
    relu: bool,
}

impl BatchOptions {
    fn new(eps: f32, [train, add, relu]: [bool; 3]) -> Self {
        Self { eps, train, add, relu }
    }
}

fn batch<'a>(
    x: &FlexTensor,
    [w, b, mean, var]: [&'a FlexTensor; 4],
    options: BatchOptions,
) -> BatchNorm<'a> {
    let [batch, channels, h, width] = dims4(x);
    let [weight, bias, mean, var] = [w, b, mean, var].map(values);
    let BatchOptions { eps, relu, .. } = options;
    BatchNorm { batch, channels, spatial: h * width, eps, mean, var, weight, bias, relu }
}

fn batch_forward(
    [x, w, b, residual, mean, var]: [&FlexTensor; 6],
    options: BatchOptions,
) -> FlexTensor {
    let mut y = zeros(values(x).len());
    let residual = options.add.then(|| values(residual));
    batch(x, [w, b, mean, var], options).forward(values(x), residual, &mut y);
    tensor(y, dims4(x))
}

impl CpuOps for Flex {
    fn cpu_conv(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        stride: usize,
        pad: [usize; 4],
    ) -> FlexTensor {
        let [x, weight, bias] = [x, weight, bias].map(flat);
        conv_forward(&conv_shape(&x, &weight, stride, pad), &x, &weight, &bias)
    }

    fn cpu_group_norm(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        groups: usize,
        eps: f32,
        silu: bool,
    ) -> FlexTensor {
        let [x, weight, bias] = [x, weight, bias].map(flat);
        group_forward([&x, &weight, &bias], (groups, eps, silu)).0
    }

    fn cpu_batch_stats(x: FlexTensor) -> FlexTensor {
        let x = flat(x);
        let [_, c, h, w] = dims4(&x);
        let mut stats = vec![0.0; 2 * c];
        let (mean, var) = stats.split_at_mut(c);
        norm::batch_stats(h * w, values(&x), mean, var);
        tensor(stats, [2, c])
    }

    fn cpu_batch_norm(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
        mean: FlexTensor,
        var: FlexTensor,
        eps: f32,
        mode: [bool; 3],
    ) -> FlexTensor {
        let all = [x, weight, bias, residual, mean, var].map(flat);
        batch_forward(all.each_ref(), BatchOptions::new(eps, mode))
    }
}

#[derive(Debug)]
struct ConvBackward;

impl Backward<Flex, 3> for ConvBackward {
    type State = (FlexTensor, FlexTensor, ConvShape);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight, s) = ops.state;
        let grad = flat(grads.consume::<Flex>(&ops.node));
        let [of_x, of_weight, of_bias] = ops.parents;
        if let Some(node) = of_x {
            let mut out = zeros(values(&x).len());
            conv::grad_input(&s, values(&grad), values(&weight), &mut out);
            grads.register::<Flex>(node.id, tensor(out, dims4(&x)));
        }
        if let Some(node) = of_weight {
            let mut out = zeros(values(&weight).len());
            conv::grad_weight(&s, values(&x), values(&grad), &mut out);
            grads.register::<Flex>(node.id, tensor(out, dims4(&weight)));
        }
        if let Some(node) = of_bias {
            let mut out = vec![0.0; s.c_out];
            conv::grad_bias(&s, values(&grad), &mut out);
            grads.register::<Flex>(node.id, tensor(out, [s.c_out]));
        }
    }
}

#[derive(Debug)]
struct GroupBackward;

impl Backward<Flex, 3> for GroupBackward {
    type State = ([FlexTensor; 3], [Vec<f32>; 2], GroupOptions);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let ([x, weight, bias], [mean, rstd], options) = ops.state;
        let grad = flat(grads.consume::<Flex>(&ops.node));
        let norm = group(&x, &weight, &bias, options);
        let c = norm.channels;
        let (mut dx, mut dw, mut db) = (zeros(values(&x).len()), vec![0.0; c], vec![0.0; c]);
        let to = GroupNormGrads { x: &mut dx, weight: &mut dw, bias: &mut db };
        norm.backward(values(&x), &mean, &rstd, values(&grad), to);
        let made = [tensor(dx, dims4(&x)), tensor(dw, [c]), tensor(db, [c])];
        for (node, grad) in ops.parents.into_iter().zip(made) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, grad);
            }
        }
    }
}

#[derive(Debug)]
struct BatchBackward;

impl Backward<Flex, 4> for BatchBackward {
    /// Input, output, weight, bias, mean, variance.
    type State = ([FlexTensor; 6], BatchOptions);

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let ([x, y, weight, bias, mean, var], options) = ops.state;
        let grad = flat(grads.consume::<Flex>(&ops.node));
        let norm = batch(&x, [&weight, &bias, &mean, &var], options);
        let (n, c) = (values(&x).len(), norm.channels);
        let (mut dx, mut dw, mut db) = (zeros(n), vec![0.0; c], vec![0.0; c]);
        let [of_x, of_weight, of_bias, of_residual] = ops.parents;
        let mut residual = (options.add && of_residual.is_some()).then(|| zeros(n));
        let to = BatchNormGrads {
            x: &mut dx,
            residual: residual.as_deref_mut(),
            weight: &mut dw,
            bias: &mut db,
        };
        norm.backward(options.train, values(&x), Some(values(&y)), values(&grad), to);
        let shape = dims4(&x);
        let made = [
            (of_x, Some(tensor(dx, shape))),
            (of_weight, Some(tensor(dw, [c]))),
            (of_bias, Some(tensor(db, [c]))),
            (of_residual, residual.map(|r| tensor(r, shape))),
        ];
        for (node, grad) in made {
            if let (Some(node), Some(grad)) = (node, grad) {
                grads.register::<Flex>(node.id, grad);
            }
        }
    }
}

impl<C: CheckpointStrategy> CpuOps for Autodiff<Flex, C> {
    fn cpu_conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: usize,
        pad: [usize; 4],
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let [x, weight, bias] = [x, weight, bias].map(|t| flat(t.primitive().clone()));
        let s = conv_shape(&x, &weight, stride, pad);
        let out = conv_forward(&s, &x, &weight, &bias);
        match ConvBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight, s), out),
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }

    fn cpu_group_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        groups: usize,
        eps: f32,
        silu: bool,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let [x, weight, bias] = [x, weight, bias].map(|t| flat(t.primitive().clone()));
        let options = (groups, eps, silu);
        let (out, stats) = group_forward([&x, &weight, &bias], options);
        match GroupBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(([x, weight, bias], stats, options), out),
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }

    fn cpu_batch_stats(x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::from_inner(Flex::cpu_batch_stats(x.primitive().clone()))
    }

    fn cpu_batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        var: FloatTensor<Self>,
        eps: f32,
        mode: [bool; 3],
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node(), residual.node()];
        let all = [x, weight, bias, residual, mean, var].map(|t| flat(t.primitive().clone()));
        let options = BatchOptions::new(eps, mode);
        let out = batch_forward(all.each_ref(), options);
        let [x, weight, bias, _, mean, var] = all;
        match BatchBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                prep.finish(([x, out.clone(), weight, bias, mean, var], options), out)
            }
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }
}

/// [`super::ops::conv2d`] on the CPU.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    pad: [usize; 4],
) -> Tensor<4> {
    let bias =
        bias.unwrap_or_else(|| Tensor::zeros([weight.dims()[0]], &x.device().without_autodiff()));
    Tensor::from_dispatch(<Dispatch as CpuOps>::cpu_conv(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        stride,
        pad,
    ))
}

/// [`super::ops::group_norm`] on the CPU.
pub fn group_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    eps: f64,
    silu: bool,
) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as CpuOps>::cpu_group_norm(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        groups,
        eps as f32,
        silu,
    ))
}

/// Mean and biased variance [c] of each channel of x [n, c, h, w], outside any graph.
pub fn batch_stats(x: Tensor<4>) -> (Tensor<1>, Tensor<1>) {
    let x = x.without_autodiff().into_dispatch();
    let stats = Tensor::<2>::from_dispatch(<Dispatch as CpuOps>::cpu_batch_stats(x));
    let [_, c] = stats.dims();
    let row = |i| stats.clone().slice([i..i + 1, 0..c]).flatten(0, 1);
    (row(0), row(1))
}

/// [`super::ops::batch_norm`] on the CPU.
pub fn batch_norm(
    x: Tensor<4>,
    [weight, bias]: [Tensor<1>; 2],
    [mean, var]: [Tensor<1>; 2],
    train: bool,
    eps: f64,
    residual: Option<Tensor<4>>,
    relu: bool,
) -> Tensor<4> {
    let add = residual.is_some();
    // Without a residual the operation still takes a tensor there, and ignores it.
    let residual =
        residual.unwrap_or_else(|| Tensor::zeros([1, 1, 1, 1], &x.device().without_autodiff()));
    Tensor::from_dispatch(<Dispatch as CpuOps>::cpu_batch_norm(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        residual.into_dispatch(),
        mean.into_dispatch(),
        var.into_dispatch(),
        eps as f32,
        [train, add, relu],
    ))
}
