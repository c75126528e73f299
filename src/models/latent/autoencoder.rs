//! The autoencoder between pictures and latents (Rombach et al. 2022): diffusers'
//! `AutoencoderKL`.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::settings::{beyond, halvings};
use crate::gpu::Padding;
use crate::models::{
    Attends, Beside, Conv, DIFFUSERS, GroupNorm, Groups, Level, Middle, Pass, Style, WeightLayout,
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
    pub norm_num_groups: usize,
    /// Latents are multiplied by this before diffusion.
    pub scaling_factor: f64,
}

impl AutoencoderConfig {
    /// How much smaller a latent's side is than the picture's.
    pub fn factor(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }

    /// What is wrong with the values, if anything is.
    pub fn fault(&self) -> Option<String> {
        let levels = self.block_out_channels.len();
        if levels == 0 || levels > 8 {
            return Some(format!("{levels} levels, 1 to 8 are needed"));
        }
        let sizes = beyond(&[
            ("sample_size", self.sample_size, 4096),
            ("in_channels", self.in_channels, 16),
            ("out_channels", self.out_channels, 16),
            ("latent_channels", self.latent_channels, 64),
            ("layers_per_block", self.layers_per_block, 8),
            ("norm_num_groups", self.norm_num_groups, 1 << 12),
        ]);
        if let Some(fault) = sizes.or_else(|| halvings(self.sample_size, levels)) {
            return Some(fault);
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

/// Levels of blocks between two convolutions.
#[derive(Debug, Clone)]
struct Half {
    conv_in: Conv,
    levels: Vec<Level>,
    middle: Middle,
    norm_out: GroupNorm,
    conv_out: Conv,
}

/// From pictures to latents and back.
#[derive(Debug, Clone)]
pub struct Autoencoder {
    pub config: AutoencoderConfig,
    encoder: Half,
    quant: Conv,
    post_quant: Conv,
    decoder: Half,
}

impl Autoencoder {
    /// Declares the weights under diffusers' names.
    pub fn new(config: AutoencoderConfig, l: &mut WeightLayout) -> Self {
        let widths = &config.block_out_channels;
        let (finest, coarsest) = (widths[0], widths[widths.len() - 1]);
        let style = Style {
            names: &DIFFUSERS,
            widths,
            blocks: config.layers_per_block,
            groups: Groups { n: config.norm_num_groups, eps: EPS },
            embedding: None,
            dropout: 0.0,
            padding: Padding::BottomRight,
        };
        let (none, z) = (|_| None, config.latent_channels);
        let encoder = {
            let conv_in = Conv::same(l, "encoder.conv_in", [config.in_channels, finest], 3);
            let (levels, _) = style.down(l, "encoder.", finest, &none);
            let middle = style.middle(l, "encoder.", coarsest, Attends::Tokens);
            let norm_out = GroupNorm::new(l, "encoder.conv_norm_out", coarsest, style.groups);
            let conv_out = Conv::same(l, "encoder.conv_out", [coarsest, 2 * z], 3);
            Half { conv_in, levels, middle, norm_out, conv_out }
        };
        let quant = Conv::same(l, "quant_conv", [2 * z; 2], 1);
        let post_quant = Conv::same(l, "post_quant_conv", [z; 2], 1);
        let decoder = {
            let conv_in = Conv::same(l, "decoder.conv_in", [z, coarsest], 3);
            let middle = style.middle(l, "decoder.", coarsest, Attends::Tokens);
            let levels = style.up(l, "decoder.", coarsest, Vec::new(), &none);
            let norm_out = GroupNorm::new(l, "decoder.conv_norm_out", finest, style.groups);
            let conv_out = Conv::same(l, "decoder.conv_out", [finest, config.out_channels], 3);
            Half { conv_in, levels, middle, norm_out, conv_out }
        };
        Self { config, encoder, quant, post_quant, decoder }
    }

    /// Mean and log variance of the latents of pictures in [-1, 1]: [n, c, h, w] to twice
    /// [n, z, h / f, w / f], not scaled.
    pub fn encode(&self, pass: &Pass, x: Tensor<4>) -> [Tensor<4>; 2] {
        let Half { conv_in, levels, middle, norm_out, conv_out } = &self.encoder;
        let h = through(levels, pass, conv_in.forward(pass, x));
        let h = middle.forward(pass, h, Beside::default());
        let h = conv_out.forward(pass, norm_out.forward(pass, h, true));
        let h = self.quant.forward(pass, h);
        let [n, z2, hh, w] = h.dims();
        let z = z2 / 2;
        let part = |from: usize| h.clone().slice([0..n, from..from + z, 0..hh, 0..w]);
        // diffusers holds the log variance within the same bounds.
        [part(0), part(z).clamp(-30.0, 20.0)]
    }

    /// Pictures in [-1, 1] of latents that are not scaled: [n, z, h, w] to [n, c, f h, f w].
    pub fn decode(&self, pass: &Pass, z: Tensor<4>) -> Tensor<4> {
        let Half { conv_in, levels, middle, norm_out, conv_out } = &self.decoder;
        let h = conv_in.forward(pass, self.post_quant.forward(pass, z));
        let h = middle.forward(pass, h, Beside::default());
        let h = through(levels, pass, h);
        conv_out.forward(pass, norm_out.forward(pass, h, true))
    }
}

fn through(levels: &[Level], pass: &Pass, h: Tensor<4>) -> Tensor<4> {
    let one = |h, level: &Level| level.forward(pass, h, Beside::default(), |h| h, |_| {});
    levels.iter().fold(h, one)
}
