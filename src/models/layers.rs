//! Layers as indices into a [`WeightLayout`], and the pass that gives them their weights.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use burn::tensor::Tensor;
use rand::RngExt;

use super::tape::{Tape, Taped};
use super::{Init, Scope, Weights};
use crate::data::rng;
use crate::gpu::kernels::Keep;
use crate::gpu::{Padding, ops};

/// Momentum of batch normalisation's running statistics (PyTorch's default).
const MOMENTUM: f32 = 0.1;
const BN_EPS: f64 = 1e-5;

/// Which statistics batch normalisation uses, and whether dropout is on and what it draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Train(Draws),
    Eval,
}

impl Mode {
    /// Of a network that draws nothing.
    pub const TRAIN: Self = Self::Train(Draws { stream: 0, first: 0 });

    /// Of an update of a run.
    pub fn train(seed: u64, step: usize, part: usize) -> Self {
        let stream = rng::seeded(seed, &format!("dropout {step} {part}")).random();
        Self::Train(Draws { stream, first: 0 })
    }

    /// The same for the items of a batch from `first` on.
    pub fn from(self, first: usize) -> Self {
        match self {
            Self::Train(draws) => Self::Train(Draws { first, ..draws }),
            Self::Eval => Self::Eval,
        }
    }
}

/// What dropout draws in a pass: the same for an item, whatever part of the batch it is in and on
/// whatever device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draws {
    stream: u32,
    /// Place in the batch of the pass's first item.
    first: usize,
}

/// One forward pass: the weights, the mode, and the running statistics that it moves.
pub struct Pass<'a> {
    pub weights: &'a Weights,
    pub mode: Mode,
    moved: RefCell<Vec<(usize, Tensor<1>)>>,
    /// Masks that were drawn so far.
    drawn: Cell<u32>,
    /// What the cross-attentions took in, where somebody watches.
    seen: Option<RefCell<Vec<Tensor<4>>>>,
    /// Where a gradient is wanted: for blocks too large to keep what they make inside.
    taped: Option<Taped>,
}

impl<'a> Pass<'a> {
    /// A pass over these weights.
    pub fn new(weights: &'a Weights, mode: Mode) -> Self {
        let (moved, drawn) = (RefCell::default(), Cell::default());
        Self { weights, mode, moved, drawn, seen: None, taped: None }
    }

    /// The same, whose large blocks are done on a tape: the gradient is whole when that was unwound.
    pub fn taped(self, tape: &Rc<Tape>) -> Self {
        Self { taped: Some(Taped::new(tape.clone(), self.weights)), ..self }
    }

    /// A pass over other weights under the same gradient.
    pub fn over<'b>(&self, weights: &'b Weights, mode: Mode) -> Pass<'b> {
        let pass = Pass::new(weights, mode);
        match &self.taped {
            Some(taped) => pass.taped(taped.tape()),
            None => pass,
        }
    }

    /// The tape, where there is one.
    pub fn tape(&self) -> Option<&Taped> {
        self.taped.as_ref()
    }

    /// How many masks were drawn so far.
    pub(super) fn drawn(&self) -> u32 {
        self.drawn.get()
    }

    /// The same after so many masks.
    pub(super) fn after(self, drawn: u32) -> Self {
        Self { drawn: Cell::new(drawn), ..self }
    }

    /// Goes on where a part of it ended, and takes what that moved.
    pub(super) fn take(&self, part: Pass) {
        self.drawn.set(part.drawn.get());
        self.moved.borrow_mut().extend(part.moved.into_inner());
    }

    /// The same with somebody who watches what cross-attentions look at.
    pub fn watched(self) -> Self {
        Self { seen: Some(RefCell::default()), ..self }
    }

    /// Keeps what a cross-attention looks at, where somebody watches: the share of each token at each place,
    /// [n, tokens, h, w].
    pub fn look(&self, shares: impl FnOnce() -> Tensor<4>) {
        if let Some(seen) = &self.seen {
            let shares = shares();
            seen.borrow_mut().push(shares);
        }
    }

    /// What was looked at, in the order of the forward pass.
    pub fn into_seen(self) -> Vec<Tensor<4>> {
        self.seen.map(RefCell::into_inner).unwrap_or_default()
    }

    /// Drops a share of values, and scales the others up: of each item's own numbers `each`, the
    /// rest of their shape being 1. Nothing happens in evaluation mode.
    pub fn dropout(&self, x: Tensor<4>, share: f64, each: [usize; 3]) -> Tensor<4> {
        let Mode::Train(Draws { stream, first }) = self.mode else { return x };
        if share <= 0.0 {
            return x;
        }
        let drawn = self.drawn.replace(self.drawn.get() + 1);
        let stream = stream.wrapping_add(drawn.wrapping_mul(0x9e37_79b9));
        let first = first * each.iter().product::<usize>();
        let keep = Keep { stream, first, share: 1.0 - share };
        let shape = [x.dims()[0], each[0], each[1], each[2]];
        let kept = ops::kept(&keep, shape, &x.device().without_autodiff());
        x * kept
    }

    /// The running statistics after this pass: (buffer index, new values).
    pub fn into_moved(self) -> Vec<(usize, Tensor<1>)> {
        self.moved.into_inner()
    }
}

/// Convolution with a square kernel.
#[derive(Debug, Clone)]
pub struct Conv {
    weight: usize,
    bias: Option<usize>,
    stride: usize,
    padding: Padding,
}

impl Conv {
    fn declare(
        mut at: Scope,
        [c_in, c_out]: [usize; 2],
        kernel: usize,
        weight: Init,
        bias: Option<Init>,
    ) -> Self {
        let weight = at.param("weight", &[c_out, c_in, kernel, kernel], weight);
        let bias = bias.map(|init| at.param("bias", &[c_out], init));
        Self { weight, bias, stride: 1, padding: Padding::Same(kernel / 2) }
    }

    /// A bias-free convolution as in the ResNet (Kaiming normal, fan-out).
    pub fn plain(at: Scope, c: [usize; 2], kernel: usize, stride: usize) -> Self {
        Self { stride, ..Self::declare(at, c, kernel, kaiming(c[1], kernel), None) }
    }

    /// A convolution with bias as in VGG, stride 1 (Kaiming normal, fan-out; bias 0).
    pub fn fan_out(at: Scope, c: [usize; 2], kernel: usize) -> Self {
        Self::declare(at, c, kernel, kaiming(c[1], kernel), Some(Init::Constant(0.0)))
    }

    /// A convolution with bias as in the U-Net, which keeps the size of a picture (PyTorch's default
    /// initialisation).
    pub fn same(at: Scope, c: [usize; 2], kernel: usize) -> Self {
        let init = Init::Uniform(((c[0] * kernel * kernel) as f32).powf(-0.5));
        Self::declare(at, c, kernel, init, Some(init))
    }

    /// The same with another stride and padding.
    pub fn strided(self, stride: usize, padding: Padding) -> Self {
        Self { stride, padding, ..self }
    }

    /// The parameter indices of the weight and of the bias, where there is one.
    pub fn params(&self) -> Vec<usize> {
        std::iter::once(self.weight).chain(self.bias).collect()
    }

    /// [n, c_in, h, w] to [n, c_out, h / stride, w / stride].
    pub fn forward(&self, pass: &Pass, x: Tensor<4>) -> Tensor<4> {
        let bias = self.bias.map(|b| pass.weights.params[b].clone());
        ops::conv2d(x, pass.weights.get(self.weight), bias, self.stride, self.padding)
    }
}

/// Kaiming's normal initialisation by what goes out (He et al. 2015).
fn kaiming(c_out: usize, kernel: usize) -> Init {
    Init::Normal((2.0 / (c_out * kernel * kernel) as f32).sqrt())
}

/// Affine map of vectors.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: usize,
    bias: Option<usize>,
    /// Values that come out.
    pub width: usize,
}

impl Linear {
    fn declare(mut at: Scope, [c_in, c_out]: [usize; 2], weight: Init, bias: Option<Init>) -> Self {
        let weight = at.param("weight", &[c_out, c_in], weight);
        let bias = bias.map(|init| at.param("bias", &[c_out], init));
        Self { weight, bias, width: c_out }
    }

    /// PyTorch's default initialisation.
    pub fn new(at: Scope, c: [usize; 2]) -> Self {
        Self::maybe_biased(at, c, true)
    }

    /// The same with a bias or without.
    pub fn maybe_biased(at: Scope, c: [usize; 2], bias: bool) -> Self {
        let init = Init::Uniform((c[0] as f32).powf(-0.5));
        Self::declare(at, c, init, bias.then_some(init))
    }

    /// A layer of a transformer: small normal weights, biases 0.
    pub fn small(at: Scope, c: [usize; 2]) -> Self {
        Self::declare(at, c, Init::Normal(0.02), Some(Init::Constant(0.0)))
    }

    /// The same without a bias.
    pub fn small_unbiased(at: Scope, c: [usize; 2]) -> Self {
        Self::declare(at, c, Init::Normal(0.02), None)
    }

    /// The parameter indices of the weight and of the bias, where there is one.
    pub fn params(&self) -> Vec<usize> {
        std::iter::once(self.weight).chain(self.bias).collect()
    }

    /// [n, c_in] to [n, c_out].
    pub fn forward(&self, pass: &Pass, x: Tensor<2>) -> Tensor<2> {
        let weight = pass.weights.get(self.weight);
        match self.bias {
            Some(bias) => ops::linear(x, weight, pass.weights.params[bias].clone()),
            None => x.matmul(weight.transpose()),
        }
    }

    /// Each token's vector: [n, t, c_in] to [n, t, c_out].
    pub fn tokens(&self, pass: &Pass, x: Tensor<3>) -> Tensor<3> {
        let [n, t, c] = x.dims();
        let y = self.forward(pass, x.reshape([n * t, c]));
        let [_, c] = y.dims();
        y.reshape([n, t, c])
    }
}

/// Scale and shift of a normalisation's channels.
#[derive(Debug, Clone)]
struct Affine([usize; 2]);

impl Affine {
    fn new(at: &mut Scope, channels: usize) -> Self {
        let param = |(name, v)| at.param(name, &[channels], Init::Constant(v));
        Self([("weight", 1.0), ("bias", 0.0)].map(param))
    }

    /// Both, [channels] each.
    fn of(&self, pass: &Pass) -> [Tensor<1>; 2] {
        self.0.map(|i| pass.weights.params[i].clone())
    }
}

/// Batch normalisation with running statistics.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    affine: Affine,
    mean: usize,
    var: usize,
    eps: f64,
    momentum: f32,
}

impl BatchNorm {
    pub fn new(mut at: Scope, channels: usize) -> Self {
        Self {
            affine: Affine::new(&mut at, channels),
            mean: at.buffer("running_mean", channels, 0.0),
            var: at.buffer("running_var", channels, 1.0),
            eps: BN_EPS,
            momentum: MOMENTUM,
        }
    }

    /// The same with another epsilon and momentum than PyTorch's defaults.
    pub fn settled(self, eps: f64, momentum: f32) -> Self {
        Self { eps, momentum, ..self }
    }

    /// The parameter indices of scale and shift.
    pub fn params(&self) -> Vec<usize> {
        self.affine.0.to_vec()
    }

    /// [n, c, h, w] to the same, then plus `residual`, then ReLU if asked.
    pub fn forward(
        &self,
        pass: &Pass,
        x: Tensor<4>,
        residual: Option<Tensor<4>>,
        relu: bool,
    ) -> Tensor<4> {
        let places = [self.mean, self.var];
        let stats = places.map(|i| pass.weights.buffers[i].clone());
        let [n, _, h, w] = x.dims();
        let running = (pass.mode == Mode::Eval).then(|| stats.clone());
        let affine = self.affine.of(pass);
        let (y, batch) = ops::batch_norm(x, affine, running, self.eps, residual, relu);
        if let Some(batch) = batch {
            let [mean, var] = batch.map(Tensor::without_autodiff);
            let count = (n * h * w) as f32;
            let unbiased = var * (count / (count - 1.0).max(1.0));
            let new = stats.into_iter().zip([mean, unbiased]);
            let momentum = self.momentum;
            let moved = new.map(|(old, new)| old * (1.0 - momentum) + new * momentum);
            pass.moved.borrow_mut().extend(places.into_iter().zip(moved));
        }
        y
    }
}

/// Groups and epsilon of a network's group normalisations.
#[derive(Debug, Clone, Copy)]
pub struct Groups {
    /// Used where it divides the channels, else 4, else 1.
    pub n: usize,
    pub eps: f64,
}

/// Group normalisation.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    affine: Affine,
    groups: Groups,
}

impl GroupNorm {
    pub fn new(mut at: Scope, channels: usize, groups: Groups) -> Self {
        let n = [groups.n, 4].into_iter().find(|g| channels.is_multiple_of(*g)).unwrap_or(1);
        Self { affine: Affine::new(&mut at, channels), groups: Groups { n, ..groups } }
    }

    /// The parameter indices of scale and shift.
    pub fn params(&self) -> Vec<usize> {
        self.affine.0.to_vec()
    }

    /// [n, c, h, w] to the same, through SiLU if asked.
    pub fn forward(&self, pass: &Pass, x: Tensor<4>, silu: bool) -> Tensor<4> {
        ops::group_norm(x, self.affine.of(pass), self.groups.n, self.groups.eps, silu)
    }
}

/// Layer normalisation over the last axis.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    affine: Affine,
    eps: f64,
}

impl LayerNorm {
    pub fn new(mut at: Scope, channels: usize, eps: f64) -> Self {
        Self { affine: Affine::new(&mut at, channels), eps }
    }

    /// The parameter indices of scale and shift.
    pub fn params(&self) -> Vec<usize> {
        self.affine.0.to_vec()
    }

    /// [.., c] to the same.
    pub fn forward<const D: usize>(&self, pass: &Pass, x: Tensor<D>) -> Tensor<D> {
        ops::layer_norm(x, self.affine.of(pass), self.eps)
    }
}
