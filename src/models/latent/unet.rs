//! The conditional U-Net of Stable Diffusion 1.x (Rombach et al. 2022): diffusers'
//! `UNet2DConditionModel`.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{
    blocks::{Norm, ResBlock, Transformer, TransformerShape, Upsample, conv3, downsample},
    layers::{Dense, GroupNorm},
};
use crate::{
    gpu::ops::{self, Padding},
    models::{
        layers::{Conv, Pass},
        weights::{WeightEntry, WeightLayout},
    },
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
    #[serde(default = "groups")]
    pub norm_num_groups: usize,
    #[serde(default = "eps")]
    pub norm_eps: f64,
    #[serde(default = "one", deserialize_with = "one_for_all")]
    pub transformer_layers_per_block: usize,
    #[serde(default)]
    pub use_linear_projection: bool,
    #[serde(default = "one")]
    pub downsample_padding: usize,
    #[serde(default = "yes")]
    pub flip_sin_to_cos: bool,
    #[serde(default)]
    pub freq_shift: f64,
}

fn groups() -> usize {
    32
}

fn eps() -> f64 {
    1e-5
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
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
    /// What is wrong with the values, if anything is.
    pub fn fault(&self) -> Option<String> {
        let levels = self.block_out_channels.len();
        let within = |name: &str, v: usize, most: usize| {
            (v == 0 || v > most).then(|| format!("{name} is {v}, 1 to {most} is needed"))
        };
        if levels == 0 || levels > 8 {
            return Some(format!("{levels} levels, 1 to 8 are needed"));
        }
        if self.down_block_types.len() != levels || self.up_block_types.len() != levels {
            return Some(format!("{levels} levels need as many block types down and up"));
        }
        let known = |types: &[String], known: &[&str]| {
            types.iter().find(|t| !known.contains(&t.as_str())).cloned()
        };
        if let Some(kind) =
            known(&self.down_block_types, &DOWN).or(known(&self.up_block_types, &UP))
        {
            return Some(format!("block type '{kind}' is not supported"));
        }
        let sizes = within("sample_size", self.sample_size, 512)
            .or_else(|| within("in_channels", self.in_channels, 64))
            .or_else(|| within("out_channels", self.out_channels, 64))
            .or_else(|| within("layers_per_block", self.layers_per_block, 8))
            .or_else(|| within("cross_attention_dim", self.cross_attention_dim, 1 << 13))
            .or_else(|| within("norm_num_groups", self.norm_num_groups, 1 << 12))
            .or_else(|| {
                within("transformer_layers_per_block", self.transformer_layers_per_block, 16)
            });
        if sizes.is_some() {
            return sizes;
        }
        if !self.sample_size.is_multiple_of(1 << (levels - 1)) {
            return Some(format!(
                "sample_size {} cannot be halved {} times",
                self.sample_size,
                levels - 1
            ));
        }
        if self.downsample_padding != 1 {
            return Some(format!(
                "downsample_padding {} is not supported",
                self.downsample_padding
            ));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps < 1.0) {
            return Some(format!("norm_eps is {}", self.norm_eps));
        }
        if !self.attention_head_dim.fits(levels) {
            return Some(format!("attention_head_dim needs one number or {levels}"));
        }
        for (level, &c) in self.block_out_channels.iter().enumerate() {
            let heads = self.attention_head_dim.at(level);
            if c == 0 || c > 1 << 13 || c % 2 != 0 {
                return Some(format!("{c} channels at level {level}"));
            }
            if !c.is_multiple_of(self.norm_num_groups) {
                return Some(format!("{} groups do not divide {c} channels", self.norm_num_groups));
            }
            if heads == 0 || !c.is_multiple_of(heads) {
                return Some(format!("{heads} heads do not divide {c} channels"));
            }
        }
        None
    }
}

/// A level's residual blocks, each with a transformer or without.
type Layers = Vec<(ResBlock, Option<Transformer>)>;

/// The network that predicts the noise in z_t given the time step and the prompt.
#[derive(Debug, Clone)]
pub struct LatentUnet {
    pub config: UnetConfig,
    conv_in: Conv,
    time: [Dense; 2],
    down: Vec<(Layers, Option<Conv>)>,
    mid: (ResBlock, Transformer, ResBlock),
    up: Vec<(Layers, Option<Upsample>)>,
    norm_out: GroupNorm,
    conv_out: Conv,
}

impl LatentUnet {
    /// Declares the weights under diffusers' names, in the order of the forward pass.
    pub fn new(config: UnetConfig, l: &mut WeightLayout) -> Self {
        let widths = config.block_out_channels.clone();
        let (first, last) = (widths[0], widths.len() - 1);
        let norm = Norm { groups: config.norm_num_groups, eps: config.norm_eps };
        let width = 4 * first;
        let shape = |level: usize| TransformerShape {
            context: config.cross_attention_dim,
            heads: config.attention_head_dim.at(level),
            depth: config.transformer_layers_per_block,
            linear: config.use_linear_projection,
            groups: config.norm_num_groups,
        };
        let conv_in = conv3(l, "conv_in", [config.in_channels, first]);
        let time = [
            Dense::new(l, "time_embedding.linear_1", [first, width], true),
            Dense::new(l, "time_embedding.linear_2", [width, width], true),
        ];
        let mut c = first;
        let mut skips = vec![c];
        let mut down = Vec::new();
        for (level, &out) in widths.iter().enumerate() {
            let name = format!("down_blocks.{level}");
            let attends = config.down_block_types[level] == DOWN[0];
            let layers = (0..config.layers_per_block)
                .map(|i| {
                    let block = ResBlock::new(
                        l,
                        &format!("{name}.resnets.{i}"),
                        [c, out],
                        Some(width),
                        norm,
                    );
                    c = out;
                    skips.push(c);
                    let attention = format!("{name}.attentions.{i}");
                    (block, attends.then(|| Transformer::new(l, &attention, c, shape(level))))
                })
                .collect();
            let resample = (level < last).then(|| {
                skips.push(c);
                downsample(l, &name, c, Padding::Same(1))
            });
            down.push((layers, resample));
        }
        let mid = (
            ResBlock::new(l, "mid_block.resnets.0", [c, c], Some(width), norm),
            Transformer::new(l, "mid_block.attentions.0", c, shape(last)),
            ResBlock::new(l, "mid_block.resnets.1", [c, c], Some(width), norm),
        );
        let mut up = Vec::new();
        for (i, &out) in widths.iter().rev().enumerate() {
            let name = format!("up_blocks.{i}");
            let attends = config.up_block_types[i] == UP[0];
            let layers = (0..=config.layers_per_block)
                .map(|j| {
                    let skip = skips.pop().expect("one skip for each up block");
                    let block = format!("{name}.resnets.{j}");
                    let block = ResBlock::new(l, &block, [c + skip, out], Some(width), norm);
                    c = out;
                    let attention = format!("{name}.attentions.{j}");
                    (block, attends.then(|| Transformer::new(l, &attention, c, shape(last - i))))
                })
                .collect();
            up.push((layers, (i < last).then(|| Upsample::new(l, &name, c))));
        }
        let norm_out = GroupNorm::new(l, "conv_norm_out", c, norm.groups, norm.eps);
        let conv_out = conv3(l, "conv_out", [c, config.out_channels]);
        Self { config, conv_in, time, down, mid, up, norm_out, conv_out }
    }

    /// `z` [n, c, h, w], `t` n time steps, `context` [n, tokens, d] to [n, c, h, w].
    pub fn forward(&self, pass: &Pass, z: Tensor<4>, t: &[f32], context: &Tensor<3>) -> Tensor<4> {
        let device = z.device().without_autodiff();
        let first = self.config.block_out_channels[0];
        let rows = TensorData::new(self.embed(t), [t.len(), first]);
        let time = self.time[0].rows(pass, Tensor::from_data(rows, &device));
        let time = ops::silu(self.time[1].rows(pass, ops::silu(time)));
        let time = Some(&time);
        let layer = |(block, attention): &(ResBlock, Option<Transformer>), h| {
            let h = block.forward(pass, h, time);
            match attention {
                Some(transformer) => transformer.forward(pass, h, context),
                None => h,
            }
        };
        let mut h = self.conv_in.forward(pass, z);
        let mut skips = vec![h.clone()];
        for (layers, resample) in &self.down {
            for l in layers {
                h = layer(l, h);
                skips.push(h.clone());
            }
            if let Some(conv) = resample {
                h = conv.forward(pass, h);
                skips.push(h.clone());
            }
        }
        h = self.mid.0.forward(pass, h, time);
        h = self.mid.1.forward(pass, h, context);
        h = self.mid.2.forward(pass, h, time);
        for (layers, resample) in &self.up {
            for l in layers {
                let skip = skips.pop().expect("one skip for each up block");
                h = layer(l, Tensor::cat(vec![h, skip], 1));
            }
            if let Some(up) = resample {
                h = up.forward(pass, h);
            }
        }
        self.conv_out.forward(pass, self.norm_out.forward(pass, h, true))
    }

    /// Rows of sines and cosines of the time steps (diffusers' `Timesteps`).
    fn embed(&self, t: &[f32]) -> Vec<f32> {
        let half = self.config.block_out_channels[0] / 2;
        let scale = -(10_000f64.ln()) / (half as f64 - self.config.freq_shift);
        let mut rows = Vec::with_capacity(2 * half * t.len());
        for &t in t {
            let angles = (0..half).map(|i| t as f64 * (scale * i as f64).exp());
            let sin = angles.clone().map(|a| a.sin() as f32);
            let cos = angles.map(|a| a.cos() as f32);
            if self.config.flip_sin_to_cos {
                rows.extend(cos.chain(sin));
            } else {
                rows.extend(sin.chain(cos));
            }
        }
        rows
    }
}

/// Whether a weight belongs to cross-attention, which reads the prompt (ESD's and UCE's `xattn`).
pub fn is_cross_attention(name: &str) -> bool {
    name.contains(".attn2.")
}

/// A 1 for every weight of the cross-attention layers.
pub fn cross_attention(layout: &WeightLayout) -> Vec<u8> {
    let reads = |e: &WeightEntry| vec![u8::from(is_cross_attention(&e.name)); e.n()];
    layout.params.iter().flat_map(reads).collect()
}
