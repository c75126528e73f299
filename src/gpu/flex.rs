//! Our CPU kernels as operations of Burn's `flex` backend, with their gradients.
//!
//! Burn's own convolution on the CPU unrolls pictures into matrices and normalises in many passes;
//! these kernels ([`super::kernels`]) do each operation in one.

use burn::{
    backend::{
        Autodiff, Backend, Dispatch, Flex,
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

use super::kernels::{
    conv::{self, ConvShape},
    norm::{self, BatchBack, BatchShape, GroupShape},
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

    /// `stats` [c, 2] are mean and variance; `train` says that they are the batch's own.
    /// `residual` is added where `add` says so.
    #[allow(clippy::too_many_arguments, reason = "an operation of a backend takes tensors one by one")]
    fn cpu_batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        stats: FloatTensor<Self>,
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
    let mut out = vec![0.0; shape.iter().product()];
    conv::forward(s, values(x), values(w), values(b), &mut out);
    tensor(out, shape)
}

fn group_shape(x: &FlexTensor, groups: usize, eps: f32, silu: bool) -> GroupShape {
    let [_, c, h, w] = dims4(x);
    GroupShape { c, plane: h * w, groups, eps, silu }
}

fn group_forward(
    s: GroupShape,
    x: &FlexTensor,
    w: &FlexTensor,
    b: &FlexTensor,
) -> (FlexTensor, FlexTensor) {
    let shape = dims4(x);
    let mut y = vec![0.0; shape.iter().product()];
    let mut stats = vec![0.0; shape[0] * s.groups * 2];
    norm::group_forward(s, values(x), values(w), values(b), &mut y, &mut stats);
    (tensor(y, shape), tensor(stats, [shape[0], s.groups, 2]))
}

/// What the gradient of batch normalisation needs from the forward pass.
type BatchState = (FlexTensor, FlexTensor, FlexTensor, FlexTensor, BatchShape, [bool; 3]);

fn batch_forward(
    [x, w, b, residual, stats]: [&FlexTensor; 5],
    eps: f32,
    [_, add, relu]: [bool; 3],
) -> (FlexTensor, BatchShape) {
    let shape = dims4(x);
    let s = BatchShape { c: shape[1], plane: shape[2] * shape[3], eps, relu };
    let mut y = vec![0.0; shape.iter().product()];
    let residual = add.then(|| values(residual));
    norm::batch_forward(s, values(x), values(w), values(b), values(stats), residual, &mut y);
    (tensor(y, shape), s)
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
        group_forward(group_shape(&x, groups, eps, silu), &x, &weight, &bias).0
    }

    fn cpu_batch_norm(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
        stats: FlexTensor,
        eps: f32,
        mode: [bool; 3],
    ) -> FlexTensor {
        let all = [x, weight, bias, residual, stats].map(flat);
        batch_forward(all.each_ref(), eps, mode).0
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
            let mut out = vec![0.0; values(&x).len()];
            conv::grad_input(&s, values(&grad), values(&weight), &mut out);
            grads.register::<Flex>(node.id, tensor(out, dims4(&x)));
        }
        if let Some(node) = of_weight {
            let mut out = vec![0.0; values(&weight).len()];
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
    type State = ([FlexTensor; 4], GroupShape);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let ([x, weight, bias, stats], s) = ops.state;
        let grad = flat(grads.consume::<Flex>(&ops.node));
        let mut dx = vec![0.0; values(&x).len()];
        let (mut dw, mut db) = (vec![0.0; s.c], vec![0.0; s.c]);
        let [xs, ws, bs, st] = [&x, &weight, &bias, &stats].map(values);
        norm::group_backward(s, xs, ws, bs, st, values(&grad), &mut dx, &mut dw, &mut db);
        let made = [tensor(dx, dims4(&x)), tensor(dw, [s.c]), tensor(db, [s.c])];
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
    type State = BatchState;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (x, y, weight, stats, s, [train, add, _]) = ops.state;
        let grad = flat(grads.consume::<Flex>(&ops.node));
        let n = values(&x).len();
        let (mut dx, mut dw, mut db) = (vec![0.0; n], vec![0.0; s.c], vec![0.0; s.c]);
        let [of_x, of_weight, of_bias, of_residual] = ops.parents;
        let mut residual = (add && of_residual.is_some()).then(|| vec![0.0; n]);
        let back = BatchBack {
            s,
            x: values(&x),
            y: values(&y),
            weight: values(&weight),
            stats: values(&stats),
            dy: values(&grad),
            train,
        };
        norm::batch_backward(back, &mut dx, residual.as_deref_mut(), &mut dw, &mut db);
        let shape = dims4(&x);
        let made = [
            (of_x, Some(tensor(dx, shape))),
            (of_weight, Some(tensor(dw, [s.c]))),
            (of_bias, Some(tensor(db, [s.c]))),
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
        let s = group_shape(&x, groups, eps, silu);
        let (out, stats) = group_forward(s, &x, &weight, &bias);
        match GroupBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(([x, weight, bias, stats], s), out),
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }

    fn cpu_batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        stats: FloatTensor<Self>,
        eps: f32,
        mode: [bool; 3],
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node(), residual.node()];
        let all = [x, weight, bias, residual, stats].map(|t| flat(t.primitive().clone()));
        let (out, s) = batch_forward(all.each_ref(), eps, mode);
        let [x, weight, _, _, stats] = all;
        match BatchBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, out.clone(), weight, stats, s, mode), out),
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
    let bias = bias.unwrap_or_else(|| {
        Tensor::zeros([weight.dims()[0]], &x.device().without_autodiff())
    });
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

/// Mean and biased variance of each channel of x [n, c, h, w], as [c, 2], outside any graph.
pub fn batch_stats(x: Tensor<4>) -> Tensor<2> {
    let [_, c, h, w] = x.dims();
    let device = x.device().without_autodiff();
    let data = x.without_autodiff().into_data();
    let mut stats = vec![0.0; 2 * c];
    if let Ok(x) = data.as_slice::<f32>() {
        let shape = BatchShape { c, plane: h * w, eps: 0.0, relu: false };
        norm::batch_stats(shape, x, &mut stats);
    }
    Tensor::from_data(TensorData::new(stats, [c, 2]), &device)
}

/// [`super::ops::batch_norm`] on the CPU.
pub fn batch_norm(
    x: Tensor<4>,
    [weight, bias]: [Tensor<1>; 2],
    stats: Tensor<2>,
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
        stats.into_dispatch(),
        eps as f32,
        [train, add, relu],
    ))
}
