//! The autoencoder between pictures and latents (Rombach et al. 2022): diffusers'
//! `AutoencoderKL`.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{
    blocks::{Norm, PixelAttention, ResBlock, Upsample, conv1, conv3, downsample},
    layers::GroupNorm,
};
use crate::{
    gpu::ops::Padding,
    models::{
        layers::{Conv, Pass},
        weights::WeightLayout,
    },
};

/// Epsilon of the autoencoder's normalisations, a constant in diffusers.
const EPS: f64 = 1e-6;

/// `vae/config.json`; what is not here must have diffusers' default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AutoencoderConfig {
    pub sample_size: usize,
    pub in_channels: usize,
    pub out_channels: usize,
    pub latent_channels: usize,
    pub block_out_channels: Vec<usize>,
    pub layers_per_block: usize,
    #[serde(default = "groups")]
    pub norm_num_groups: usize,
    /// Latents are multiplied by this before diffusion.
    #[serde(default = "scaling")]
    pub scaling_factor: f64,
}

fn groups() -> usize {
    32
}

fn scaling() -> f64 {
    0.18215
}

impl AutoencoderConfig {
    /// How much smaller a latent's side is than the picture's.
    pub fn factor(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }

    /// What is wrong with the values, if anything is.
    pub fn fault(&self) -> Option<String> {
        let within = |name: &str, v: usize, most: usize| {
            (v == 0 || v > most).then(|| format!("{name} is {v}, 1 to {most} is needed"))
        };
        let levels = self.block_out_channels.len();
        if levels == 0 || levels > 8 {
            return Some(format!("{levels} levels, 1 to 8 are needed"));
        }
        let sizes = within("sample_size", self.sample_size, 4096)
            .or_else(|| within("in_channels", self.in_channels, 16))
            .or_else(|| within("out_channels", self.out_channels, 16))
            .or_else(|| within("latent_channels", self.latent_channels, 64))
            .or_else(|| within("layers_per_block", self.layers_per_block, 8))
            .or_else(|| within("norm_num_groups", self.norm_num_groups, 1 << 12));
        if sizes.is_some() {
            return sizes;
        }
        if !self.sample_size.is_multiple_of(self.factor()) {
            return Some(format!(
                "sample_size {} cannot be halved {} times",
                self.sample_size,
                levels - 1
            ));
        }
        if !(self.scaling_factor > 1e-6 && self.scaling_factor < 1e6) {
            return Some(format!("scaling_factor is {}", self.scaling_factor));
        }
        let wide =
            |c: &&usize| **c == 0 || **c > 1 << 13 || !c.is_multiple_of(self.norm_num_groups);
        self.block_out_channels
            .iter()
            .find(wide)
            .map(|c| format!("{} groups do not divide {c} channels", self.norm_num_groups))
    }
}

#[derive(Debug, Clone)]
struct Middle(ResBlock, PixelAttention, ResBlock);

impl Middle {
    fn new(l: &mut WeightLayout, name: &str, c: usize, norm: Norm) -> Self {
        Self(
            ResBlock::new(l, &format!("{name}.resnets.0"), [c, c], None, norm),
            PixelAttention::new(l, &format!("{name}.attentions.0"), c, norm),
            ResBlock::new(l, &format!("{name}.resnets.1"), [c, c], None, norm),
        )
    }

    fn forward(&self, pass: &Pass, x: Tensor<4>) -> Tensor<4> {
        let x = self.0.forward(pass, x, None);
        self.2.forward(pass, self.1.forward(pass, x), None)
    }
}

/// From pictures to latents and back.
#[derive(Debug, Clone)]
pub struct Autoencoder {
    pub config: AutoencoderConfig,
    enc_in: Conv,
    down: Vec<(Vec<ResBlock>, Option<Conv>)>,
    enc_mid: Middle,
    enc_norm: GroupNorm,
    enc_out: Conv,
    quant: Conv,
    post_quant: Conv,
    dec_in: Conv,
    dec_mid: Middle,
    up: Vec<(Vec<ResBlock>, Option<Upsample>)>,
    dec_norm: GroupNorm,
    dec_out: Conv,
}

impl Autoencoder {
    /// Declares the weights under diffusers' names.
    pub fn new(config: AutoencoderConfig, l: &mut WeightLayout) -> Self {
        let widths = config.block_out_channels.clone();
        let last = widths.len() - 1;
        let norm = Norm { groups: config.norm_num_groups, eps: EPS };
        let z = config.latent_channels;
        let block = |l: &mut WeightLayout, name: String, c| ResBlock::new(l, &name, c, None, norm);

        let enc_in = conv3(l, "encoder.conv_in", [config.in_channels, widths[0]]);
        let mut c = widths[0];
        let mut down = Vec::new();
        for (level, &out) in widths.iter().enumerate() {
            let name = format!("encoder.down_blocks.{level}");
            let mut blocks = Vec::new();
            for i in 0..config.layers_per_block {
                blocks.push(block(l, format!("{name}.resnets.{i}"), [c, out]));
                c = out;
            }
            let resample = (level < last).then(|| downsample(l, &name, c, Padding::BottomRight));
            down.push((blocks, resample));
        }
        let enc_mid = Middle::new(l, "encoder.mid_block", c, norm);
        let enc_norm = GroupNorm::new(l, "encoder.conv_norm_out", c, norm.groups, norm.eps);
        let enc_out = conv3(l, "encoder.conv_out", [c, 2 * z]);
        let quant = conv1(l, "quant_conv", [2 * z; 2]);
        let post_quant = conv1(l, "post_quant_conv", [z; 2]);
        let dec_in = conv3(l, "decoder.conv_in", [z, c]);
        let dec_mid = Middle::new(l, "decoder.mid_block", c, norm);
        let mut up = Vec::new();
        for (level, &out) in widths.iter().rev().enumerate() {
            let name = format!("decoder.up_blocks.{level}");
            let mut blocks = Vec::new();
            for i in 0..=config.layers_per_block {
                blocks.push(block(l, format!("{name}.resnets.{i}"), [c, out]));
                c = out;
            }
            up.push((blocks, (level < last).then(|| Upsample::new(l, &name, c))));
        }
        let dec_norm = GroupNorm::new(l, "decoder.conv_norm_out", c, norm.groups, norm.eps);
        let dec_out = conv3(l, "decoder.conv_out", [c, config.out_channels]);
        Self {
            config,
            enc_in,
            down,
            enc_mid,
            enc_norm,
            enc_out,
            quant,
            post_quant,
            dec_in,
            dec_mid,
            up,
            dec_norm,
            dec_out,
        }
    }

    /// Mean and log variance of the latents of pictures in [-1, 1]: [n, c, h, w] to twice
    /// [n, z, h / f, w / f], not scaled.
    pub fn encode(&self, pass: &Pass, x: Tensor<4>) -> [Tensor<4>; 2] {
        let mut h = self.enc_in.forward(pass, x);
        for (blocks, resample) in &self.down {
            for block in blocks {
                h = block.forward(pass, h, None);
            }
            if let Some(conv) = resample {
                h = conv.forward(pass, h);
            }
        }
        h = self.enc_norm.forward(pass, self.enc_mid.forward(pass, h), true);
        h = self.quant.forward(pass, self.enc_out.forward(pass, h));
        let [n, z2, hh, w] = h.dims();
        let z = z2 / 2;
        let part = |from: usize| h.clone().slice([0..n, from..from + z, 0..hh, 0..w]);
        // diffusers holds the log variance within the same bounds.
        [part(0), part(z).clamp(-30.0, 20.0)]
    }

    /// Pictures in [-1, 1] of latents that are not scaled: [n, z, h, w] to [n, c, f h, f w].
    pub fn decode(&self, pass: &Pass, z: Tensor<4>) -> Tensor<4> {
        let h = self.dec_in.forward(pass, self.post_quant.forward(pass, z));
        let mut h = self.dec_mid.forward(pass, h);
        for (blocks, resample) in &self.up {
            for block in blocks {
                h = block.forward(pass, h, None);
            }
            if let Some(up) = resample {
                h = up.forward(pass, h);
            }
        }
        self.dec_out.forward(pass, self.dec_norm.forward(pass, h, true))
    }
}
