//! Our CPU kernels as operations of Burn's `flex` backend, with their gradients.
//!
//! Burn's own convolution on the CPU unrolls pictures into matrices and normalises in many passes;
//! these kernels ([`super::cpu`]) do each operation in one.

use std::fmt::Debug;

use burn::{
    backend::{
        Autodiff, Backend, BackendTensor, Dispatch, DispatchTensorKind, Flex,
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

use super::cpu::conv::ConvShape;
use super::cpu::norm::NormGrads;
use super::cpu::par::unset;
use super::cpu::{conv, norm};

mod tokens;

pub use tokens::{Geglu, LayerNorm};

/// Whether tensors of this device are the CPU's.
pub fn is_cpu(device: &Device) -> bool {
    device.clone().without_autodiff() == Device::flex()
}

/// An operation that the CPU has kernels for, on an input, a weight, a bias and a residual, which some
/// ignore. Shapes as in [`super::ops`]; the output's gradient has the output's.
pub trait Operation: Clone + Debug + Send + 'static {
    /// What the gradients need beside the input, weight and bias.
    type Kept: Clone + Debug + Send + 'static;

    /// Computes the output.
    fn forward(&self, operands: [&FlexTensor; 4]) -> (FlexTensor, Self::Kept);

    /// Computes the operands' gradients, those at least that are wanted.
    fn backward(&self, made: Made<Self::Kept>) -> [Option<Vec<f32>>; 4];
}

/// What an operation made, as its gradients need it.
pub struct Made<'a, K> {
    /// Input, weight and bias.
    operands: [&'a FlexTensor; 3],
    kept: &'a K,
    /// The output's gradient.
    grad: &'a [f32],
    /// Which operands' gradients are.
    wanted: [bool; 4],
}

/// Operations of backends that the CPU has kernels for.
#[backend_extension(Flex, Autodiff)]
pub trait CpuOps: Backend {
    fn cpu_op<O: Operation>(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        operation: O,
    ) -> FloatTensor<Self>;
}

impl CpuOps for Flex {
    fn cpu_op<O: Operation>(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
        operation: O,
    ) -> FlexTensor {
        operation.forward([x, weight, bias, residual].map(flat).each_ref()).0
    }
}

impl<C: CheckpointStrategy> CpuOps for Autodiff<Flex, C> {
    fn cpu_op<O: Operation>(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        operation: O,
    ) -> FloatTensor<Self> {
        let operands = [x, weight, bias, residual];
        let nodes = operands.each_ref().map(|t| t.node());
        let operands = operands.map(|t| flat(t.primitive().clone()));
        let (out, kept) = operation.forward(operands.each_ref());
        let [x, weight, bias, _] = operands;
        match Tracked(operation).prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(([x, weight, bias], kept), out),
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }
}

/// An operation in a graph.
#[derive(Debug)]
struct Tracked<O>(O);

impl<O: Operation> Backward<Flex, 4> for Tracked<O> {
    type State = ([FlexTensor; 3], O::Kept);

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let ([x, weight, bias], kept) = ops.state;
        let grad = flat(grads.consume::<Flex>(&ops.node));
        let operands = [&x, &weight, &bias];
        let wanted = ops.parents.each_ref().map(|node| node.is_some());
        let made = Made { operands, kept: &kept, grad: values(&grad), wanted };
        let made = self.0.backward(made);
        // A residual has the shape of the input.
        for ((node, grad), like) in ops.parents.into_iter().zip(made).zip([&x, &weight, &bias, &x])
        {
            if let (Some(node), Some(grad)) = (node, grad) {
                let shape = like.layout().shape().clone();
                let grad = FlexTensor::from_data(TensorData::new(grad, shape));
                grads.register::<Flex>(node.id, grad);
            }
        }
    }
}

/// A contiguous tensor: its values can be borrowed.
fn flat(t: FlexTensor) -> FlexTensor {
    if t.as_slice::<f32>().is_some() { t } else { t.to_contiguous() }
}

/// The values of a contiguous tensor.
pub fn values(t: &FlexTensor) -> &[f32] {
    t.as_slice::<f32>().expect("made contiguous before")
}

fn tensor(values: Vec<f32>, shape: [usize; 4]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

fn dims4(t: &FlexTensor) -> [usize; 4] {
    std::array::from_fn(|i| t.layout().shape()[i])
}

/// Floats for a kernel to write, in the shape of a tensor.
fn unset_like(t: &FlexTensor) -> Vec<f32> {
    unset(values(t).len())
}

/// A tensor of the CPU's, outside any graph.
pub fn on_cpu<const D: usize>(t: Tensor<D>) -> FlexTensor {
    match t.without_autodiff().into_dispatch().kind {
        DispatchTensorKind::Flex(BackendTensor::Float(t)) => flat(t),
        _ => unreachable!("asked for with `is_cpu` before"),
    }
}

/// Changes a vector of the CPU's in place; where others hold it, too, a copy of it.
pub fn edit(vector: Tensor<1>, change: impl FnOnce(&mut [f32])) -> Tensor<1> {
    let mut tensor = vector.without_autodiff().into_dispatch();
    match &mut tensor.kind {
        DispatchTensorKind::Flex(BackendTensor::Float(t)) => {
            // A part of a longer vector becomes a vector of its own.
            if t.bytes().len() != size_of::<f32>() * t.layout().num_elements() {
                *t = t.to_contiguous();
            }
            change(t.storage_mut());
        }
        _ => unreachable!("asked for with `is_cpu` before"),
    }
    Tensor::from_dispatch(tensor)
}

/// The values of a vector of the CPU's at `n` places, one after another.
pub fn picked(vector: Tensor<1>, n: usize, places: impl Iterator<Item = usize>) -> Tensor<1> {
    let device = vector.device().without_autodiff();
    let vector = on_cpu(vector);
    let values = values(&vector);
    let mut picked = Vec::with_capacity(n);
    picked.extend(places.map(|at| values[at]));
    Tensor::from_data(TensorData::new(picked, [n]), &device)
}

/// Whether two vectors of the CPU's are one in memory, and so equal.
pub fn are_one(a: &Tensor<1>, b: &Tensor<1>) -> bool {
    let [a, b] = [a, b].map(|vector| on_cpu(vector.clone()));
    let [start, other] = [&a, &b].map(values);
    std::ptr::eq(start, other)
}

/// Convolution.
#[derive(Debug, Clone)]
pub struct Conv {
    pub stride: usize,
    /// Zeros at the top, left, bottom and right.
    pub pad: [usize; 4],
}

impl Conv {
    fn shape(&self, x: &FlexTensor, weight: &FlexTensor) -> ConvShape {
        let [batch, c_in, h, w] = dims4(x);
        let [c_out, _, kernel, _] = dims4(weight);
        ConvShape { batch, c_in, h, w, c_out, kernel, stride: self.stride, pad: self.pad }
    }
}

impl Operation for Conv {
    type Kept = ();

    fn forward(&self, [x, weight, bias, _]: [&FlexTensor; 4]) -> (FlexTensor, ()) {
        let s = self.shape(x, weight);
        let shape = [s.batch, s.c_out, s.out_h(), s.out_w()];
        let mut out = unset(shape.iter().product());
        conv::forward(&s, values(x), values(weight), Some(values(bias)), &mut out);
        (tensor(out, shape), ())
    }

    fn backward(&self, made: Made<()>) -> [Option<Vec<f32>>; 4] {
        let Made { operands: [x, weight, bias], grad, wanted, .. } = made;
        let s = self.shape(x, weight);
        let made = |i: usize, like, fill: &dyn Fn(&mut [f32])| {
            wanted[i].then(|| {
                let mut out = unset_like(like);
                fill(&mut out);
                out
            })
        };
        [
            made(0, x, &|out| conv::grad_input(&s, grad, values(weight), out)),
            made(1, weight, &|out| conv::grad_weight(&s, values(x), grad, out)),
            made(2, bias, &|out| conv::grad_bias(&s, grad, out)),
            None,
        ]
    }
}

/// Group normalisation, then SiLU if asked.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    pub groups: usize,
    pub eps: f32,
    pub silu: bool,
}

impl GroupNorm {
    fn kernel<'a>(&self, [x, weight, bias]: [&'a FlexTensor; 3]) -> norm::GroupNorm<'a> {
        let [batch, channels, h, w] = dims4(x);
        let (weight, bias) = (values(weight), values(bias));
        let Self { groups, eps, silu } = *self;
        norm::GroupNorm { batch, channels, spatial: h * w, groups, eps, weight, bias, silu }
    }
}

impl Operation for GroupNorm {
    /// Mean and 1 / standard deviation.
    type Kept = [Vec<f32>; 2];

    fn forward(&self, [x, weight, bias, _]: [&FlexTensor; 4]) -> (FlexTensor, Self::Kept) {
        let norm = self.kernel([x, weight, bias]);
        let mut y = unset_like(x);
        let [mut mean, mut rstd] = [0, 1].map(|_| vec![0.0; norm.batch * norm.groups]);
        norm.forward(values(x), &mut y, &mut mean, &mut rstd);
        (tensor(y, dims4(x)), [mean, rstd])
    }

    fn backward(&self, made: Made<Self::Kept>) -> [Option<Vec<f32>>; 4] {
        let Made { operands, kept: [mean, rstd], grad, .. } = made;
        let [mut dx, mut dw, mut db] = operands.map(unset_like);
        let to = NormGrads { x: &mut dx, residual: None, weight: &mut dw, bias: &mut db };
        self.kernel(operands).backward(values(operands[0]), mean, rstd, grad, to);
        [Some(dx), Some(dw), Some(db), None]
    }
}

/// Batch normalisation by these statistics [c], then plus the residual, then ReLU if asked.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    /// Mean and variance.
    pub stats: [FlexTensor; 2],
    pub eps: f32,
    /// The statistics are the batch's own, so that the gradient runs through them.
    pub train: bool,
    /// The residual is added.
    pub add: bool,
    pub relu: bool,
}

impl BatchNorm {
    fn kernel<'a>(&'a self, [x, weight, bias]: [&'a FlexTensor; 3]) -> norm::BatchNorm<'a> {
        let [batch, channels, h, w] = dims4(x);
        let [mean, var, weight, bias] = [&self.stats[0], &self.stats[1], weight, bias].map(values);
        let (spatial, eps, relu) = (h * w, self.eps, self.relu);
        norm::BatchNorm { batch, channels, spatial, eps, mean, var, weight, bias, relu }
    }
}

impl Operation for BatchNorm {
    /// The output.
    type Kept = FlexTensor;

    fn forward(&self, [x, weight, bias, residual]: [&FlexTensor; 4]) -> (FlexTensor, FlexTensor) {
        let mut y = unset_like(x);
        let residual = self.add.then(|| values(residual));
        self.kernel([x, weight, bias]).forward(values(x), residual, &mut y);
        let y = tensor(y, dims4(x));
        (y.clone(), y)
    }

    fn backward(&self, made: Made<FlexTensor>) -> [Option<Vec<f32>>; 4] {
        let Made { operands, kept: y, grad, wanted } = made;
        let x = values(operands[0]);
        let [mut dx, mut dw, mut db] = operands.map(unset_like);
        let mut residual = (self.add && wanted[3]).then(|| unset(x.len()));
        let to = NormGrads {
            x: &mut dx,
            residual: residual.as_deref_mut(),
            weight: &mut dw,
            bias: &mut db,
        };
        self.kernel(operands).backward(self.train, x, Some(values(y)), grad, to);
        [Some(dx), Some(dw), Some(db), residual]
    }
}

/// Does an operation on the CPU.
pub fn apply<const D: usize>(
    operation: impl Operation,
    x: Tensor<4>,
    weight: Tensor<D>,
    bias: Tensor<1>,
    residual: Option<Tensor<4>>,
) -> Tensor<4> {
    // An operation without a residual still takes a tensor there.
    let residual =
        residual.unwrap_or_else(|| Tensor::zeros([1; 4], &x.device().without_autodiff()));
    Tensor::from_dispatch(<Dispatch as CpuOps>::cpu_op(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        residual.into_dispatch(),
        operation,
    ))
}

/// Mean and biased variance [c] of each channel of x [n, c, h, w], outside any graph.
pub fn batch_stats(x: Tensor<4>) -> [Tensor<1>; 2] {
    let device = x.device().without_autodiff();
    let [_, c, h, w] = x.dims();
    let [mut mean, mut var] = [0, 1].map(|_| vec![0.0; c]);
    norm::batch_stats(h * w, values(&on_cpu(x)), &mut mean, &mut var);
    [mean, var].map(|values| Tensor::from_data(TensorData::new(values, [c]), &device))
}
