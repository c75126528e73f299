//! The residual and transformer blocks that the U-Net and the autoencoder are made of.

use burn::tensor::{Tensor, activation};

use super::layers::{Attention, AttentionNames, Dense, GroupNorm, LayerNorm, picture, tokens};
use crate::{
    gpu::ops::{self, Padding},
    models::{
        layers::{Conv, Pass},
        weights::WeightLayout,
    },
};

/// diffusers' names of an attention's maps.
pub const ATTENTION: AttentionNames =
    AttentionNames { parts: ["to_q", "to_k", "to_v", "to_out.0"], bias: false };

/// Groups and epsilon of a model's normalisations.
#[derive(Debug, Clone, Copy)]
pub struct Norm {
    pub groups: usize,
    pub eps: f64,
}

/// A 3 x 3 convolution that keeps the size.
pub fn conv3(l: &mut WeightLayout, name: &str, c: [usize; 2]) -> Conv {
    Conv::biased(l, name.into(), c, 3, 1, Padding::Same(1))
}

/// A 1 x 1 convolution.
pub fn conv1(l: &mut WeightLayout, name: &str, c: [usize; 2]) -> Conv {
    Conv::biased(l, name.into(), c, 1, 1, Padding::Same(0))
}

/// `ResnetBlock2D`.
#[derive(Debug, Clone)]
pub struct ResBlock {
    norm1: GroupNorm,
    conv1: Conv,
    time: Option<Dense>,
    norm2: GroupNorm,
    conv2: Conv,
    shortcut: Option<Conv>,
}

impl ResBlock {
    /// `time` is the width of the time embedding; the autoencoder has none.
    pub fn new(
        l: &mut WeightLayout,
        name: &str,
        c: [usize; 2],
        time: Option<usize>,
        norm: Norm,
    ) -> Self {
        let Norm { groups, eps } = norm;
        Self {
            norm1: GroupNorm::new(l, &format!("{name}.norm1"), c[0], groups, eps),
            conv1: conv3(l, &format!("{name}.conv1"), c),
            time: time.map(|t| Dense::new(l, &format!("{name}.time_emb_proj"), [t, c[1]], true)),
            norm2: GroupNorm::new(l, &format!("{name}.norm2"), c[1], groups, eps),
            conv2: conv3(l, &format!("{name}.conv2"), [c[1]; 2]),
            shortcut: (c[0] != c[1]).then(|| conv1(l, &format!("{name}.conv_shortcut"), c)),
        }
    }

    /// `x` [n, c, h, w]; `time` [n, width], after SiLU.
    pub fn forward(&self, pass: &Pass, x: Tensor<4>, time: Option<&Tensor<2>>) -> Tensor<4> {
        let mut h = self.conv1.forward(pass, self.norm1.forward(pass, x.clone(), true));
        if let (Some(dense), Some(time)) = (&self.time, time) {
            let shift = dense.rows(pass, time.clone());
            let [n, c] = shift.dims();
            h = h + shift.reshape([n, c, 1, 1]);
        }
        let h = self.conv2.forward(pass, self.norm2.forward(pass, h, true));
        match &self.shortcut {
            Some(conv) => conv.forward(pass, x) + h,
            None => x + h,
        }
    }
}

/// `BasicTransformerBlock`: tokens look at each other, then at the prompt, then a GEGLU.
#[derive(Debug, Clone)]
struct TransformerBlock {
    norms: [LayerNorm; 3],
    own: Attention,
    cross: Attention,
    up: Dense,
    down: Dense,
}

impl TransformerBlock {
    fn new(l: &mut WeightLayout, name: &str, c: usize, context: usize, heads: usize) -> Self {
        let norm = |l: &mut WeightLayout, i| LayerNorm::new(l, &format!("{name}.norm{i}"), c, 1e-5);
        let norm1 = norm(l, 1);
        let own = Attention::new(l, &format!("{name}.attn1"), c, c, heads, ATTENTION);
        let norm2 = norm(l, 2);
        let cross = Attention::new(l, &format!("{name}.attn2"), c, context, heads, ATTENTION);
        let norm3 = norm(l, 3);
        let up = Dense::new(l, &format!("{name}.ff.net.0.proj"), [c, 8 * c], true);
        let down = Dense::new(l, &format!("{name}.ff.net.2"), [4 * c, c], true);
        Self { norms: [norm1, norm2, norm3], own, cross, up, down }
    }

    fn forward(&self, pass: &Pass, mut x: Tensor<3>, context: &Tensor<3>) -> Tensor<3> {
        let y = self.norms[0].forward(pass, x.clone());
        x = x + self.own.forward(pass, y.clone(), y, None);
        let y = self.norms[1].forward(pass, x.clone());
        x = x + self.cross.forward(pass, y, context.clone(), None);
        let y = self.up.forward(pass, self.norms[2].forward(pass, x.clone()));
        let mut halves = y.chunk(2, 2).into_iter();
        let (value, gate) = (halves.next(), halves.next());
        let (value, gate) = value.zip(gate).expect("the width is even");
        x + self.down.forward(pass, value * activation::gelu(gate))
    }
}

/// The map into and out of a transformer: 1 x 1 convolutions (1.x) or linear maps (2.x).
#[derive(Debug, Clone)]
enum Projection {
    Conv([Conv; 2]),
    Linear([Dense; 2]),
}

/// `Transformer2DModel`.
#[derive(Debug, Clone)]
pub struct Transformer {
    norm: GroupNorm,
    projection: Projection,
    blocks: Vec<TransformerBlock>,
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

impl Transformer {
    pub fn new(l: &mut WeightLayout, name: &str, c: usize, shape: TransformerShape) -> Self {
        let TransformerShape { context, heads, depth, linear, groups } = shape;
        let norm = GroupNorm::new(l, &format!("{name}.norm"), c, groups, 1e-6);
        let [into, out_of] = ["proj_in", "proj_out"].map(|part| format!("{name}.{part}"));
        let blocks = |l: &mut WeightLayout| {
            let block = |i| format!("{name}.transformer_blocks.{i}");
            (0..depth).map(|i| TransformerBlock::new(l, &block(i), c, context, heads)).collect()
        };
        let (projection, blocks) = if linear {
            let into = Dense::new(l, &into, [c, c], true);
            let blocks = blocks(l);
            (Projection::Linear([into, Dense::new(l, &out_of, [c, c], true)]), blocks)
        } else {
            let into = conv1(l, &into, [c, c]);
            let blocks = blocks(l);
            (Projection::Conv([into, conv1(l, &out_of, [c, c])]), blocks)
        };
        Self { norm, projection, blocks }
    }

    /// `x` [n, c, h, w], `context` [n, t, d] to [n, c, h, w].
    pub fn forward(&self, pass: &Pass, x: Tensor<4>, context: &Tensor<3>) -> Tensor<4> {
        let [_, _, h, w] = x.dims();
        let normed = self.norm.forward(pass, x.clone(), false);
        let mut y = match &self.projection {
            Projection::Conv([into, _]) => tokens(into.forward(pass, normed)),
            Projection::Linear([into, _]) => into.forward(pass, tokens(normed)),
        };
        for block in &self.blocks {
            y = block.forward(pass, y, context);
        }
        let y = match &self.projection {
            Projection::Conv([_, out_of]) => out_of.forward(pass, picture(y, [h, w])),
            Projection::Linear([_, out_of]) => picture(out_of.forward(pass, y), [h, w]),
        };
        x + y
    }
}

/// The autoencoder's attention in the middle: one head, over pixels.
#[derive(Debug, Clone)]
pub struct PixelAttention {
    norm: GroupNorm,
    attention: Attention,
}

impl PixelAttention {
    pub fn new(l: &mut WeightLayout, name: &str, c: usize, norm: Norm) -> Self {
        let names = AttentionNames { bias: true, ..ATTENTION };
        Self {
            norm: GroupNorm::new(l, &format!("{name}.group_norm"), c, norm.groups, norm.eps),
            attention: Attention::new(l, name, c, c, 1, names),
        }
    }

    /// [n, c, h, w] to the same.
    pub fn forward(&self, pass: &Pass, x: Tensor<4>) -> Tensor<4> {
        let [_, _, h, w] = x.dims();
        let y = tokens(self.norm.forward(pass, x.clone(), false));
        x + picture(self.attention.forward(pass, y.clone(), y, None), [h, w])
    }
}

/// Enlargement by two, then a convolution.
#[derive(Debug, Clone)]
pub struct Upsample(Conv);

impl Upsample {
    pub fn new(l: &mut WeightLayout, name: &str, c: usize) -> Self {
        Self(conv3(l, &format!("{name}.upsamplers.0.conv"), [c, c]))
    }

    /// [n, c, h, w] to [n, c, 2 h, 2 w].
    pub fn forward(&self, pass: &Pass, x: Tensor<4>) -> Tensor<4> {
        self.0.forward(pass, ops::upsample(x))
    }
}

/// A convolution with stride two.
pub fn downsample(l: &mut WeightLayout, name: &str, c: usize, padding: Padding) -> Conv {
    Conv::biased(l, format!("{name}.downsamplers.0.conv"), [c, c], 3, 2, padding)
}
