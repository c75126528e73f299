//! The conditional U-Net of Stable Diffusion 1.x (Rombach et al. 2022): diffusers'
//! `UNet2DConditionModel`.

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

use super::settings::{bounded, halves};
use crate::error::ensure;
use crate::gpu::Padding;
use crate::models::{
    Activations, Attends, Beside, Conv, DIFFUSERS, Groups, Mlp, Pass, Scope, Sinusoid, Sketch,
    Style, TransformerShape, Trunk,
};

/// One number for all levels, or one for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerLevel {
    All(usize),
    Each(Vec<usize>),
}

impl PerLevel {
    /// The value of a level; 0 where there is none.
    pub fn at(&self, level: usize) -> usize {
        match self {
            Self::All(v) => *v,
            Self::Each(all) => all.get(level).copied().unwrap_or(0),
        }
    }

    fn fits(&self, levels: usize) -> bool {
        matches!(self, Self::All(_)) || matches!(self, Self::Each(all) if all.len() == levels)
    }
}

/// `unet/config.json`; what is not here must have diffusers' default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnetConfig {
    /// Side of the latent picture.
    pub sample_size: usize,
    pub in_channels: usize,
    pub out_channels: usize,
    pub block_out_channels: Vec<usize>,
    pub down_block_types: Vec<String>,
    pub up_block_types: Vec<String>,
    pub layers_per_block: usize,
    pub cross_attention_dim: usize,
    /// Heads of each level; diffusers 1.x configs call the number of heads the head's dimension.
    pub attention_head_dim: PerLevel,
    pub norm_num_groups: usize,
    pub norm_eps: f64,
    #[serde(deserialize_with = "one_for_all")]
    pub transformer_layers_per_block: usize,
    pub use_linear_projection: bool,
    pub downsample_padding: usize,
    pub flip_sin_to_cos: bool,
    pub freq_shift: f64,
}

/// A number, or a list of equal ones.
fn one_for_all<'de, D: serde::Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let other = || serde::de::Error::custom("transformer_layers_per_block differs between levels");
    match PerLevel::deserialize(from)? {
        PerLevel::All(n) => Ok(n),
        PerLevel::Each(all) if all.windows(2).all(|pair| pair[0] == pair[1]) => {
            all.first().copied().ok_or_else(other)
        }
        PerLevel::Each(_) => Err(other()),
    }
}

const DOWN: [&str; 2] = ["CrossAttnDownBlock2D", "DownBlock2D"];
const UP: [&str; 2] = ["CrossAttnUpBlock2D", "UpBlock2D"];

impl UnetConfig {
    /// Refuses values that this network cannot have.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), String> {
        let levels = self.block_out_channels.len();
        ensure((1..=8).contains(&levels), || format!("{levels} levels, 1 to 8 are needed"))?;
        let types = [(&self.down_block_types, DOWN), (&self.up_block_types, UP)];
        let as_many = types.iter().all(|(types, _)| types.len() == levels);
        ensure(as_many, || format!("{levels} levels need as many block types down and up"))?;
        for (types, known) in types {
            let unknown = types.iter().find(|kind| !known.contains(&kind.as_str()));
            unknown.map_or(Ok(()), |kind| Err(format!("block type '{kind}' is not supported")))?;
        }
        bounded(&[
            ("sample_size", self.sample_size, 512),
            ("in_channels", self.in_channels, 64),
            ("out_channels", self.out_channels, 64),
            ("layers_per_block", self.layers_per_block, 8),
            ("cross_attention_dim", self.cross_attention_dim, 1 << 13),
            ("norm_num_groups", self.norm_num_groups, 1 << 12),
            ("transformer_layers_per_block", self.transformer_layers_per_block, 16),
        ])?;
        halves(self.sample_size, levels)?;
        let (padding, eps) = (self.downsample_padding, self.norm_eps);
        ensure(padding == 1, || format!("downsample_padding {padding} is not supported"))?;
        ensure(eps > 0.0 && eps < 1.0, || format!("norm_eps is {eps}"))?;
        let each = self.attention_head_dim.fits(levels);
        ensure(each, || format!("attention_head_dim needs one number or {levels}"))?;
        for (level, &c) in self.block_out_channels.iter().enumerate() {
            let (heads, groups) = (self.attention_head_dim.at(level), self.norm_num_groups);
            let even = c > 0 && c <= 1 << 13 && c % 2 == 0;
            ensure(even, || format!("{c} channels at level {level}"))?;
            let divide = |n: usize| n > 0 && c.is_multiple_of(n);
            ensure(divide(groups), || format!("{groups} groups do not divide {c} channels"))?;
            ensure(divide(heads), || format!("{heads} heads do not divide {c} channels"))?;
        }
        Ok(())
    }
}

/// The network that predicts the noise in z_t given the time step and the prompt.
#[derive(Debug, Clone)]
pub struct LatentUnet {
    pub config: UnetConfig,
    time: Mlp,
    trunk: Trunk,
}

impl LatentUnet {
    /// Declares the weights under diffusers' names, in the order of the forward pass.
    pub fn new(config: UnetConfig, mut at: Scope) -> Self {
        let widths = &config.block_out_channels;
        let (first, last) = (widths[0], widths.len() - 1);
        let conv_in = Conv::same(at.part("conv_in"), [config.in_channels, first], 3);
        let time = Mlp::new(at.part("time_embedding"), ["linear_1", "linear_2"], first);
        let style = Style {
            names: &DIFFUSERS,
            widths,
            blocks: config.layers_per_block,
            groups: Groups { n: config.norm_num_groups, eps: config.norm_eps },
            embedding: Some(4 * first),
            dropout: 0.0,
            padding: Padding::Same(1),
        };
        let prompt = |level: usize| {
            Attends::Prompt(TransformerShape {
                context: config.cross_attention_dim,
                heads: config.attention_head_dim.at(level),
                depth: config.transformer_layers_per_block,
                linear: config.use_linear_projection,
                groups: config.norm_num_groups,
            })
        };
        let (down, up) = (&config.down_block_types, &config.up_block_types);
        let down = |level: usize| (down[level] == DOWN[0]).then(|| prompt(level));
        let up = |level: usize| (up[last - level] == UP[0]).then(|| prompt(level));
        let attends = (Some(&down as _), prompt(last), Some(&up as _));
        let trunk = Trunk::new(at, &style, (conv_in, first), config.out_channels, attends);
        Self { config, time, trunk }
    }

    /// What a latent's gradient keeps of the way forward.
    pub fn activations(&self) -> Activations {
        self.trunk.activations([self.config.sample_size; 2])
    }

    /// Draws [`LatentUnet::forward`].
    pub fn sketch(&self, to: &mut Sketch) {
        to.beside("Time");
        let time = to.input("time step");
        let time = self.time.sketch(to, time);
        to.beside("Prompt");
        let prompt = to.input("prompt");
        to.block("In", 0);
        let z = to.input("noisy latent");
        self.trunk.sketch(to, z, [Some(time), Some(prompt)]);
    }

    /// `z` [n, c, h, w], `t` n time steps, `context` [n, tokens, d] to [n, c, h, w].
    pub fn forward(&self, pass: &Pass, z: Tensor<4>, t: &[f32], context: &Tensor<3>) -> Tensor<4> {
        let rows = Sinusoid {
            width: self.config.block_out_channels[0],
            shift: self.config.freq_shift,
            cosines_first: self.config.flip_sin_to_cos,
        };
        let rows = rows.rows(t, &z.device().without_autodiff());
        let time = activation::silu(self.time.forward(pass, rows));
        let beside = Beside { embedding: Some(&time), context: Some(context) };
        self.trunk.forward(pass, z, beside)
    }
}

/// Whether a weight belongs to cross-attention, which reads the prompt (ESD's and UCE's `xattn`).
pub fn is_cross_attention(name: &str) -> bool {
    name.contains(".attn2.")
}
