//! A block of a Swin Transformer, and what halves the sides between stages.

use burn::tensor::{Tensor, activation, ops::PadMode};

use super::EPS;
use super::window::{Windows, relative_rows};
use crate::models::{Init, LayerNorm, Linear, Pass, Scope, Sketch};

/// Spread of fresh position tables.
const SPREAD: f32 = 0.02;

/// Attention within windows, then an MLP, each after a norm and beside a shortcut.
#[derive(Debug, Clone)]
pub struct Block {
    norm1: LayerNorm,
    attention: Attention,
    norm2: LayerNorm,
    mlp: [Linear; 2],
    /// Probability that a picture skips a branch while training.
    skip: f64,
}

impl Block {
    pub fn new(mut at: Scope, c: usize, heads: usize, window: [usize; 2], skip: f64) -> Self {
        Self {
            norm1: LayerNorm::new(at.part("norm1"), c, EPS),
            attention: Attention::new(at.part("attn"), c, heads, window),
            norm2: LayerNorm::new(at.part("norm2"), c, EPS),
            // torchvision has GELU and dropout between them.
            mlp: [
                Linear::small(at.part("mlp.0"), [c, 4 * c]),
                Linear::small(at.part("mlp.3"), [4 * c, c]),
            ],
            skip,
        }
    }

    /// [n, h, w, c] to the same.
    pub fn forward(&self, pass: &Pass, x: Tensor<4>) -> Tensor<4> {
        let h = self.attention.forward(pass, self.norm1.forward(pass, x.clone()));
        let x = x + self.stochastic(pass, h);
        let [n, height, width, c] = x.dims();
        let h = self.norm2.forward(pass, x.clone()).reshape([n * height * width, c]);
        let h = activation::gelu(self.mlp[0].forward(pass, h));
        let h = self.mlp[1].forward(pass, h).reshape([n, height, width, c]);
        x + self.stochastic(pass, h)
    }

    /// Draws [`Block::forward`].
    pub fn sketch(&self, to: &mut Sketch, x: usize) -> usize {
        let Attention { table, qkv, proj, .. } = &self.attention;
        let h = to.layer(&[qkv.params(), self.norm1.params(), vec![*table]], &[x]);
        let h = to.layer(&[proj.params()], &[h]);
        let x = to.residual(h, x);
        let h = to.layer(&[self.mlp[0].params(), self.norm2.params()], &[x]);
        let h = to.layer(&[self.mlp[1].params()], &[h]);
        to.residual(h, x)
    }

    /// Stochastic depth (Huang et al. 2016), each picture by itself.
    fn stochastic(&self, pass: &Pass, h: Tensor<4>) -> Tensor<4> {
        pass.dropout(h, self.skip, [1; 3])
    }
}

/// Multi-head attention within windows, with a learned bias for each relative position.
#[derive(Debug, Clone)]
struct Attention {
    table: usize,
    qkv: Linear,
    proj: Linear,
    heads: usize,
    /// Side of a window, and its shift.
    window: [usize; 2],
}

impl Attention {
    fn new(mut at: Scope, c: usize, heads: usize, window: [usize; 2]) -> Self {
        let size = [(2 * window[0] - 1).pow(2), heads];
        let table = at.param("relative_position_bias_table", &size, Init::Normal(SPREAD));
        let qkv = Linear::small(at.part("qkv"), [c, 3 * c]);
        let proj = Linear::small(at.part("proj"), [c, c]);
        Self { table, qkv, proj, heads, window }
    }

    /// [n, h, w, c] to the same.
    fn forward(&self, pass: &Pass, x: Tensor<4>) -> Tensor<4> {
        let [_, h, w, c] = x.dims();
        let [side, shift] = self.window;
        let device = x.device().without_autodiff();
        let windows = Windows::new([h, w], side, shift);
        let [below, right] = [windows.padded[0] - h, windows.padded[1] - w];
        let x = match below + right {
            0 => x,
            _ => x.pad([(0, below), (0, right), (0, 0)], PadMode::Constant(0.0)),
        };
        let x = windows.divide(windows.roll(x, false));
        let [all, tokens, _] = x.dims();
        let (heads, each) = (self.heads, c / self.heads);

        let qkv = self.qkv.forward(pass, x.reshape([all * tokens, c]));
        let qkv = qkv.reshape([all, tokens, 3, heads, each]).permute([2, 0, 3, 1, 4]);
        let part = |i| qkv.clone().narrow(0, i, 1).reshape([all, heads, tokens, each]);
        let (q, k, v) = (part(0) * (each as f32).powf(-0.5), part(1), part(2));
        let bias = pass
            .weights
            .get::<2>(self.table)
            .select(0, relative_rows(side, &device))
            .reshape([tokens, tokens, heads])
            .permute([2, 0, 1])
            .reshape([1, heads, tokens, tokens]);
        let mut scores = q.matmul(k.swap_dims(2, 3)) + bias;
        if let Some(mask) = windows.mask(&device) {
            let count = windows.count();
            scores = (scores.reshape([all / count, count, heads, tokens, tokens])
                + mask.reshape([1, count, 1, tokens, tokens]))
            .reshape([all, heads, tokens, tokens]);
        }
        let out = activation::softmax(scores, 3).matmul(v).swap_dims(1, 2);
        let out = self.proj.forward(pass, out.reshape([all * tokens, c]));
        let out = windows.roll(windows.join(out.reshape([all, tokens, c])), true);
        out.narrow(1, 0, h).narrow(2, 0, w)
    }
}

/// Four neighbouring tokens become one of twice the length.
#[derive(Debug, Clone)]
pub struct Merge {
    reduction: Linear,
    norm: LayerNorm,
}

impl Merge {
    pub fn new(mut at: Scope, c: usize) -> Self {
        Self {
            reduction: Linear::small_unbiased(at.part("reduction"), [4 * c, 2 * c]),
            norm: LayerNorm::new(at.part("norm"), 4 * c, EPS),
        }
    }

    /// Draws [`Merge::forward`].
    pub fn sketch(&self, to: &mut Sketch, x: usize) -> usize {
        to.layer(&[self.reduction.params(), self.norm.params()], &[x])
    }

    /// [n, h, w, c] to [n, ⌈h / 2⌉, ⌈w / 2⌉, 2 c]; odd sides are padded with zeros.
    pub fn forward(&self, pass: &Pass, x: Tensor<4>) -> Tensor<4> {
        let [_, h, w, _] = x.dims();
        let x = match h % 2 + w % 2 {
            0 => x,
            _ => x.pad([(0, h % 2), (0, w % 2), (0, 0)], PadMode::Constant(0.0)),
        };
        let [n, h, w, c] = x.dims();
        // Of each square: top left, bottom left, top right, bottom right.
        let squares = x.reshape([n, h / 2, 2, w / 2, 2, c]).permute([0, 1, 3, 4, 2, 5]);
        let joined = self.norm.forward(pass, squares.reshape([n, h / 2, w / 2, 4 * c]));
        let rows = joined.reshape([n * (h / 2) * (w / 2), 4 * c]);
        self.reduction.forward(pass, rows).reshape([n, h / 2, w / 2, 2 * c])
    }
}
