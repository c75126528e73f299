//! The blocks that U-Nets and the autoencoder are made of: residual ones, and attention after them.

use burn::tensor::Tensor;

use super::attention::{picture, tokens};
use super::{
    Attention, AttentionNames, Beside, Conv, GroupNorm, Groups, LayerNorm, Linear, Pass, Scope,
    Sketch, Style,
};
use crate::gpu::{attend::is_tiled, ops};

/// diffusers' names of an attention's maps.
const ATTENTION: AttentionNames =
    AttentionNames { parts: ["to_q", "to_k", "to_v", "to_out.0"], bias: false };

/// Two convolutions beside a shortcut; between them the embedding is added and dropout is taken.
#[derive(Debug, Clone)]
pub struct ResBlock {
    norm1: GroupNorm,
    conv1: Conv,
    embedding: Option<Linear>,
    norm2: GroupNorm,
    dropout: f64,
    conv2: Conv,
    shortcut: Option<Conv>,
}

impl ResBlock {
    /// From and to so many channels.
    pub fn new(mut at: Scope, c: [usize; 2], style: &Style) -> Self {
        let &Style { groups, names, .. } = style;
        Self {
            norm1: GroupNorm::new(at.part("norm1"), c[0], groups),
            conv1: Conv::same(at.part("conv1"), c, 3),
            embedding: style.embedding.map(|e| Linear::new(at.part(names.embedding), [e, c[1]])),
            norm2: GroupNorm::new(at.part("norm2"), c[1], groups),
            dropout: style.dropout,
            conv2: Conv::same(at.part("conv2"), [c[1]; 2], 3),
            shortcut: (c[0] != c[1]).then(|| Conv::same(at.part(names.shortcut), c, 1)),
        }
    }

    /// `x` [n, c, h, w] to as many of the other channels.
    pub fn forward(&self, pass: &Pass, x: Tensor<4>, beside: Beside) -> Tensor<4> {
        let mut h = self.conv1.forward(pass, self.norm1.forward(pass, x.clone(), true));
        if let (Some(map), Some(embedding)) = (&self.embedding, beside.embedding) {
            let shift = map.forward(pass, embedding.clone());
            let [n, c] = shift.dims();
            h = h + shift.reshape([n, c, 1, 1]);
        }
        let h = self.norm2.forward(pass, h, true);
        let [_, c, height, width] = h.dims();
        let h = pass.dropout(h, self.dropout, [c, height, width]);
        let h = self.conv2.forward(pass, h);
        match &self.shortcut {
            Some(conv) => conv.forward(pass, x) + h,
            None => x + h,
        }
    }
}

impl ResBlock {
    /// Draws [`ResBlock::forward`]; `beside`: the embedding's place.
    pub fn sketch(&self, to: &mut Sketch, x: usize, beside: [Option<usize>; 2]) -> usize {
        let mut h = to.layer(&[self.conv1.params(), self.norm1.params()], &[x]);
        if let (Some(map), Some(embedding)) = (&self.embedding, beside[0]) {
            let shift = to.layer(&[map.params()], &[embedding]);
            h = to.sum(h, shift);
        }
        let h = to.layer(&[self.conv2.params(), self.norm2.params()], &[h]);
        let shortcut = self.shortcut.as_ref().map(|conv| to.layer(&[conv.params()], &[x]));
        to.residual(h, shortcut.unwrap_or(x))
    }
}

/// Which attention follows a residual block.
#[derive(Debug, Clone, Copy)]
pub enum Attends {
    /// Positions to each other, by 1 x 1 convolutions (the DDPM U-Net's).
    Pixels,
    /// Positions to each other, by linear maps (the autoencoder's).
    Tokens,
    /// Positions to each other and to a prompt.
    Prompt(TransformerShape),
}

impl Attends {
    /// Values that a picture of `c` channels and so many positions leaves inside for its gradient: what each of
    /// Burn's operations holds for the way back, counted one by one.
    pub fn inside(self, c: u64, area: u64) -> u64 {
        /// Tokens of a prompt.
        const PROMPT: u64 = 77;
        let scores = |heads: u64| if is_tiled(area, area) { 0 } else { heads * area };
        match self {
            // What comes in and goes out, normalised; queries, keys, values; shares.
            Self::Pixels => area * (7 * c + 2 * scores(1)),
            Self::Tokens => area * (8 * c + scores(1)),
            Self::Prompt(TransformerShape { heads, depth, .. }) => {
                let heads = heads as u64;
                // Two attentions behind normalisations (9 and 6), a GEGLU behind one (20).
                let block = 35 * c + scores(heads) + heads * PROMPT;
                area * (3 * c + depth as u64 * block)
            }
        }
    }

    /// Values of its largest tensor: a picture's GEGLU, or the scores of all positions.
    pub fn widest(self, c: u64, area: u64) -> u64 {
        let (values, heads) = match self {
            Self::Pixels | Self::Tokens => (c, 1),
            Self::Prompt(shape) => (8 * c, shape.heads as u64),
        };
        let scores = if is_tiled(area, area) { 0 } else { heads * area };
        area * values.max(scores)
    }
}

/// Attention over a picture's positions, beside a shortcut.
#[derive(Debug, Clone)]
pub enum Spatial {
    Pixels { norm: GroupNorm, qkv: [Conv; 3], out: Conv },
    Tokens { norm: GroupNorm, attention: Attention },
    Prompt(Transformer),
}

impl Spatial {
    /// Over `c` channels.
    pub fn new(mut at: Scope, c: usize, groups: Groups, attends: Attends) -> Self {
        match attends {
            Attends::Pixels => {
                let norm = GroupNorm::new(at.part("norm"), c, groups);
                let mut map = |part: &str| Conv::same(at.part(part), [c, c], 1);
                Self::Pixels { norm, qkv: ["q", "k", "v"].map(&mut map), out: map("proj_out") }
            }
            Attends::Tokens => {
                let names = AttentionNames { bias: true, ..ATTENTION };
                Self::Tokens {
                    norm: GroupNorm::new(at.part("group_norm"), c, groups),
                    attention: Attention::new(at, [c, c], 1, names),
                }
            }
            Attends::Prompt(shape) => Self::Prompt(Transformer::new(at, c, shape)),
        }
    }

    /// [n, c, h, w] to the same.
    pub fn forward(&self, pass: &Pass, x: Tensor<4>, beside: Beside) -> Tensor<4> {
        let [n, c, h, w] = x.dims();
        match self {
            Self::Pixels { norm, qkv, out } => {
                let normed = norm.forward(pass, x.clone(), false);
                let map = |map: &Conv| map.forward(pass, normed.clone()).reshape([n, c, h * w]);
                let [q, k, v] = qkv.each_ref().map(map);
                x + out.forward(pass, ops::attention(q, k, v).reshape([n, c, h, w]))
            }
            Self::Tokens { norm, attention } => {
                let y = tokens(norm.forward(pass, x.clone(), false));
                x + picture(attention.forward(pass, y.clone(), y, None), [h, w])
            }
            Self::Prompt(transformer) => {
                let context = beside.context.expect("a network with transformers reads prompts");
                transformer.forward(pass, x, context)
            }
        }
    }
}

impl Spatial {
    /// Draws [`Spatial::forward`]; `beside`: the prompt's place comes second.
    pub fn sketch(&self, to: &mut Sketch, x: usize, beside: [Option<usize>; 2]) -> usize {
        let made = match self {
            Self::Pixels { norm, qkv: [q, k, v], out } => {
                let q = to.layer(&[q.params(), norm.params()], &[x]);
                let [k, v] = [k, v].map(|map| to.layer(&[map.params()], &[x]));
                to.layer(&[out.params()], &[q, k, v])
            }
            Self::Tokens { norm, attention } => attention.sketch(to, norm.params(), x, x),
            Self::Prompt(transformer) => transformer.sketch(to, x, beside[1].unwrap_or(x)),
        };
        to.residual(made, x)
    }
}

/// `BasicTransformerBlock`: tokens look at each other, then at the prompt, then a GEGLU.
#[derive(Debug, Clone)]
struct TransformerBlock {
    norms: [LayerNorm; 3],
    own: Attention,
    cross: Attention,
    up: Linear,
    down: Linear,
}

impl TransformerBlock {
    fn new(mut at: Scope, c: usize, context: usize, heads: usize) -> Self {
        let norm1 = LayerNorm::new(at.part("norm1"), c, 1e-5);
        let own = Attention::new(at.part("attn1"), [c, c], heads, ATTENTION);
        let norm2 = LayerNorm::new(at.part("norm2"), c, 1e-5);
        let cross = Attention::new(at.part("attn2"), [c, context], heads, ATTENTION);
        let norm3 = LayerNorm::new(at.part("norm3"), c, 1e-5);
        let up = Linear::new(at.part("ff.net.0.proj"), [c, 8 * c]);
        let down = Linear::new(at.part("ff.net.2"), [4 * c, c]);
        Self { norms: [norm1, norm2, norm3], own, cross, up, down }
    }

    /// `x` [n, h · w, c] of a picture of `size` [h, w] to the same.
    fn forward(
        &self,
        pass: &Pass,
        mut x: Tensor<3>,
        context: &Tensor<3>,
        size: [usize; 2],
    ) -> Tensor<3> {
        let y = self.norms[0].forward(pass, x.clone());
        x = x + self.own.forward(pass, y.clone(), y, None);
        let y = self.norms[1].forward(pass, x.clone());
        pass.look(|| picture(self.cross.shares(pass, y.clone(), context.clone()), size));
        x = x + self.cross.forward(pass, y, context.clone(), None);
        let y = self.up.tokens(pass, self.norms[2].forward(pass, x.clone()));
        x + self.down.tokens(pass, ops::geglu(y))
    }
}

impl TransformerBlock {
    fn sketch(&self, to: &mut Sketch, x: usize, context: usize) -> usize {
        let [norm1, norm2, norm3] = self.norms.each_ref().map(LayerNorm::params);
        let h = self.own.sketch(to, norm1, x, x);
        let x = to.residual(h, x);
        let h = self.cross.sketch(to, norm2, x, context);
        let x = to.residual(h, x);
        let h = to.layer(&[self.up.params(), norm3], &[x]);
        let h = to.layer(&[self.down.params()], &[h]);
        to.residual(h, x)
    }
}

/// The map into or out of a transformer: a 1 x 1 convolution (1.x) or a linear map (2.x).
#[derive(Debug, Clone)]
enum Projection {
    Conv(Conv),
    Linear(Linear),
}

impl Projection {
    fn new(at: Scope, c: usize, linear: bool) -> Self {
        match linear {
            true => Self::Linear(Linear::new(at, [c, c])),
            false => Self::Conv(Conv::same(at, [c, c], 1)),
        }
    }

    fn params(&self) -> Vec<usize> {
        match self {
            Self::Conv(conv) => conv.params(),
            Self::Linear(linear) => linear.params(),
        }
    }

    fn tokens(&self, pass: &Pass, x: Tensor<4>) -> Tensor<3> {
        match self {
            Self::Conv(conv) => tokens(conv.forward(pass, x)),
            Self::Linear(linear) => linear.tokens(pass, tokens(x)),
        }
    }

    fn picture(&self, pass: &Pass, y: Tensor<3>, size: [usize; 2]) -> Tensor<4> {
        match self {
            Self::Conv(conv) => conv.forward(pass, picture(y, size)),
            Self::Linear(linear) => picture(linear.tokens(pass, y), size),
        }
    }
}

/// What shapes the transformers of a U-Net.
#[derive(Debug, Clone, Copy)]
pub struct TransformerShape {
    pub context: usize,
    pub heads: usize,
    pub depth: usize,
    pub linear: bool,
    pub groups: usize,
}

/// `Transformer2DModel`.
#[derive(Debug, Clone)]
pub struct Transformer {
    norm: GroupNorm,
    into: Projection,
    blocks: Vec<TransformerBlock>,
    out_of: Projection,
}

impl Transformer {
    fn new(mut at: Scope, c: usize, shape: TransformerShape) -> Self {
        let TransformerShape { context, heads, depth, linear, groups } = shape;
        Self {
            norm: GroupNorm::new(at.part("norm"), c, Groups { n: groups, eps: 1e-6 }),
            into: Projection::new(at.part("proj_in"), c, linear),
            blocks: (0..depth)
                .map(|i| {
                    let at = at.part(format!("transformer_blocks.{i}"));
                    TransformerBlock::new(at, c, context, heads)
                })
                .collect(),
            out_of: Projection::new(at.part("proj_out"), c, linear),
        }
    }

    /// Draws [`Transformer::forward`] but for the shortcut around it.
    fn sketch(&self, to: &mut Sketch, x: usize, context: usize) -> usize {
        let mut y = to.layer(&[self.into.params(), self.norm.params()], &[x]);
        for block in &self.blocks {
            y = block.sketch(to, y, context);
        }
        to.layer(&[self.out_of.params()], &[y])
    }

    /// `x` [n, c, h, w], `context` [n, t, d] to [n, c, h, w].
    fn forward(&self, pass: &Pass, x: Tensor<4>, context: &Tensor<3>) -> Tensor<4> {
        let [_, _, h, w] = x.dims();
        let mut y = self.into.tokens(pass, self.norm.forward(pass, x.clone(), false));
        for block in &self.blocks {
            y = block.forward(pass, y, context, [h, w]);
        }
        x + self.out_of.picture(pass, y, [h, w])
    }
}
