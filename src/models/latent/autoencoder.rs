//! The autoencoder between pictures and latents (Rombach et al. 2022): diffusers'
//! `AutoencoderKL`.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::settings::{bounded, halves};
use crate::error::ensure;
use crate::gpu::Padding;
use crate::models::{Attends, Beside, Conv, DIFFUSERS, Groups, OfLevel, Pass, Scope, Style, Trunk};

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

    /// Refuses values that this network cannot have.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), String> {
        let levels = self.block_out_channels.len();
        ensure((1..=8).contains(&levels), || format!("{levels} levels, 1 to 8 are needed"))?;
        bounded(&[
            ("sample_size", self.sample_size, 4096),
            ("in_channels", self.in_channels, 16),
            ("out_channels", self.out_channels, 16),
            ("latent_channels", self.latent_channels, 64),
            ("layers_per_block", self.layers_per_block, 8),
            ("norm_num_groups", self.norm_num_groups, 1 << 12),
        ])?;
        halves(self.sample_size, levels)?;
        let (scaling, groups) = (self.scaling_factor, self.norm_num_groups);
        ensure(scaling > 1e-6 && scaling < 1e6, || format!("scaling_factor is {scaling}"))?;
        self.block_out_channels.iter().try_for_each(|&c| {
            let divides = c > 0 && c <= 1 << 13 && c.is_multiple_of(groups);
            ensure(divides, || format!("{groups} groups do not divide {c} channels"))
        })
    }
}

/// From pictures to latents and back.
#[derive(Debug, Clone)]
pub struct Autoencoder {
    pub config: AutoencoderConfig,
    encoder: Trunk,
    quant: Conv,
    post_quant: Conv,
    decoder: Trunk,
}

impl Autoencoder {
    /// Declares the weights under diffusers' names.
    pub fn new(config: AutoencoderConfig, mut at: Scope) -> Self {
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
        let none: OfLevel = &|_| None;
        let z = config.latent_channels;
        let half = |mut at: Scope, c: [usize; 3], [down, up]: [Option<OfLevel>; 2]| {
            let conv_in = Conv::same(at.part("conv_in"), [c[0], c[1]], 3);
            Trunk::new(at, &style, (conv_in, c[1]), c[2], (down, Attends::Tokens, up))
        };
        let encoder =
            half(at.part("encoder"), [config.in_channels, finest, 2 * z], [Some(none), None]);
        let quant = Conv::same(at.part("quant_conv"), [2 * z; 2], 1);
        let post_quant = Conv::same(at.part("post_quant_conv"), [z; 2], 1);
        let decoder =
            half(at.part("decoder"), [z, coarsest, config.out_channels], [None, Some(none)]);
        Self { config, encoder, quant, post_quant, decoder }
    }

    /// Mean and log variance of the latents of pictures in [-1, 1]: [n, c, h, w] to twice
    /// [n, z, h / f, w / f], not scaled.
    pub fn encode(&self, pass: &Pass, x: Tensor<4>) -> [Tensor<4>; 2] {
        let h = self.quant.forward(pass, self.encoder.forward(pass, x, Beside::default()));
        let [n, z2, hh, w] = h.dims();
        let z = z2 / 2;
        let part = |from: usize| h.clone().slice([0..n, from..from + z, 0..hh, 0..w]);
        // diffusers holds the log variance within the same bounds.
        [part(0), part(z).clamp(-30.0, 20.0)]
    }

    /// Pictures in [-1, 1] of latents that are not scaled: [n, z, h, w] to [n, c, f h, f w].
    pub fn decode(&self, pass: &Pass, z: Tensor<4>) -> Tensor<4> {
        self.decoder.forward(pass, self.post_quant.forward(pass, z), Beside::default())
    }
}
