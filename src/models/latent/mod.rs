//! Latent text-to-image diffusion in the architecture of Stable Diffusion 1.x (Rombach et al.
//! 2022): a text encoder, a conditional U-Net over latents, an autoencoder. Every width comes from
//! diffusers' own configs, every weight keeps diffusers' name.

mod autoencoder;
pub mod folder;
pub mod lora;
pub mod parts;
pub mod settings;
pub mod single;
mod text;
mod tokenizer;
mod unet;
mod vocabulary;

pub use autoencoder::{Autoencoder, AutoencoderConfig};
pub use folder::Files;
#[cfg(not(target_arch = "wasm32"))]
pub use folder::{OnDisk, on_disk};
pub use single::Single;
pub use text::{EncoderLayer, TextConfig, TextEncoder};
pub use tokenizer::Tokenizer;
pub use unet::{LatentUnet, PerLevel, UnetConfig, is_cross_attention};
pub use vocabulary::tokenizer;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{HostWeights, Training, WeightLayout};
use crate::data::corpus;
use crate::data::corpus::Corpus;
use crate::diffusion::SchedulerConfig;
use crate::error::{Error, Result, ensure};
use crate::words::{Format, Report};

/// Tensors of a level's size that a transformer's block holds at once: eight of its GEGLU, four of its
/// product, and what goes round it. A residual block of the decoder has half as many.
const WORKING: u64 = 16;

/// A text-to-image model without its weights.
#[derive(Debug, Clone)]
pub struct LatentNetwork {
    pub tokenizer: Tokenizer,
    pub text: TextEncoder,
    pub unet: LatentUnet,
    pub vae: Autoencoder,
    pub scheduler: SchedulerConfig,
    /// Of the text encoder's weights, the U-Net's and the autoencoder's.
    pub layouts: [Arc<WeightLayout>; 3],
    /// What a person should know of how the folder was read.
    pub notes: Vec<String>,
}

impl LatentNetwork {
    /// The networks of these configs, which were checked.
    pub fn new(
        tokenizer: Tokenizer,
        text: TextConfig,
        unet: UnetConfig,
        vae: AutoencoderConfig,
        scheduler: SchedulerConfig,
    ) -> Self {
        let mut layouts = [(); 3].map(|()| WeightLayout::default());
        let text = TextEncoder::new(text, layouts[0].root());
        let unet = LatentUnet::new(unet, layouts[1].root());
        let vae = Autoencoder::new(vae, layouts[2].root());
        let layouts = layouts.map(Arc::new);
        Self { tokenizer, text, unet, vae, scheduler, layouts, notes: Vec::new() }
    }

    /// Channels, height and width of a latent.
    pub fn latent_shape(&self) -> [usize; 3] {
        let side = self.unet.config.sample_size;
        [self.vae.config.latent_channels, side, side]
    }

    /// The same networks for square pictures of another side; no weight depends on it.
    ///
    /// # Errors
    /// No latent is of that side, or the U-Net cannot halve it between its levels.
    pub fn sized(&self, side: usize) -> Result<Self> {
        let step = self.vae.config.factor() << (self.unet.config.block_out_channels.len() - 1);
        if side == 0 || side > 4096 || !side.is_multiple_of(step) {
            let right = format!("a multiple of {step} is needed, up to 4096");
            return Err(Error::argument("size", side, right));
        }
        let mut other = self.clone();
        other.unet.config.sample_size = side / self.vae.config.factor();
        Ok(other)
    }

    /// Bytes of memory that a picture takes while it is drawn with guidance, beside the weights: the
    /// most of the U-Net's and of the decoder's passes, attention in tiles (`layers`).
    pub fn drawing(&self) -> u64 {
        let unet = &self.unet.config;
        let skips = unet.layers_per_block as u64 + 1;
        // Values at each level of the U-Net and of the decoder, finest first.
        let values = |side: usize, widths: &[usize]| -> Vec<u64> {
            let side = |level| (side >> level) as u64;
            widths.iter().enumerate().map(|(i, &c)| c as u64 * side(i) * side(i)).collect()
        };
        let levels = values(unet.sample_size, &unet.block_out_channels);
        let finest = levels.iter().max().copied().unwrap_or(0);
        let unet = 2 * (skips * levels.iter().sum::<u64>() + WORKING * finest);
        let vae = &self.vae.config;
        let levels = values(self.picture_shape()[1], &vae.block_out_channels);
        // A level begins with what the coarser one before it had, twice as large.
        let enlarged = levels.iter().skip(1).map(|n| 4 * n).max().unwrap_or(0);
        let decoder = WORKING / 2 * levels.into_iter().max().unwrap_or(0).max(enlarged);
        4 * unet.max(decoder)
    }

    /// Bytes of memory that the U-Net's gradient of `n` latents in one graph keeps of the way forward.
    pub fn learning(&self, n: usize) -> u64 {
        n as u64 * self.unet.activations().peak()
    }

    /// Refuses a model that does not draw in colour: pictures with words are.
    ///
    /// # Errors
    /// It does not.
    pub fn is_coloured(&self) -> Result<()> {
        let [channels, ..] = self.picture_shape();
        let other = || {
            let right = "pictures with words have 3";
            Error::Request(format!("the model makes pictures in {channels} channels; {right}"))
        };
        ensure(channels == 3, other)
    }

    /// Channels, height and width of a picture.
    pub fn picture_shape(&self) -> [usize; 3] {
        let side = self.unet.config.sample_size * self.vae.config.factor();
        [self.vae.config.out_channels, side, side]
    }
}

/// A text-to-image model. As a message it is the files of its folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "folder::Packed")]
pub struct LatentModel {
    pub network: Arc<LatentNetwork>,
    pub text: HostWeights,
    pub unet: HostWeights,
    pub vae: HostWeights,
    pub card: Option<LatentCard>,
    /// The pictures with words that it is about, where a person said which.
    pub pictures: Option<String>,
    /// How it was laid out where it came as a single file; nothing of a diffusers folder.
    pub single: Option<Arc<Single>>,
}

impl LatentModel {
    /// Fresh weights, the same for the same seed on every machine.
    pub fn fresh(network: Arc<LatentNetwork>, seed: u64) -> Self {
        let [text, unet, vae] = network.layouts.each_ref().map(|layout| layout.init(seed));
        Self { network, text, unet, vae, card: None, pictures: None, single: None }
    }

    /// The corpus that it is about: the one that a person named, else the one that it was trained on.
    pub fn data(&self) -> &str {
        let own = self.card.as_ref().map_or(corpus::NAME, |card| &card.data);
        self.pictures.as_deref().unwrap_or(own)
    }

    /// How many of a corpus's concepts it was shown, the first ones; all where no card says.
    pub fn known(&self, corpus: &Corpus) -> usize {
        corpus.known(self.card.as_ref().map_or(&[], |card| &card.concepts))
    }

    /// The weights of the text encoder, the U-Net and the autoencoder.
    pub fn parts(&self) -> [&HostWeights; 3] {
        [&self.text, &self.unet, &self.vae]
    }

    /// Whether its weights go into another's network.
    pub fn fits(&self, other: &Self) -> bool {
        self.parts().iter().zip(other.parts()).all(|(a, b)| a.layout.params == b.layout.params)
    }

    /// Weights of its three parts.
    pub fn params(&self) -> usize {
        self.parts().iter().map(|part| part.values.len()).sum()
    }
}

/// Where a text-to-image model comes from; `card.json` in its folder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LatentCard {
    #[serde(default)]
    pub format: Format,
    pub name: String,
    pub data: String,
    /// What it was shown, the corpus's concepts by name.
    #[serde(default)]
    pub concepts: Vec<String>,
    pub autoencoder: Option<Training>,
    pub diffusion: Option<Training>,
    /// Of the decoder alone, at the end.
    #[serde(default)]
    pub decoder: Option<Training>,
    /// What it was made to forget.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlearned: Vec<String>,
    /// Measured values by name.
    #[serde(default)]
    pub metrics: std::collections::BTreeMap<String, f64>,
    pub device: String,
    pub version: String,
}

impl LatentCard {
    /// The card of weights that a run ended with.
    pub fn forgot(mut self, report: &Report) -> Self {
        let Report { method, forget, .. } = report;
        self.name = format!("{}, {method} forgot {}", self.name, forget.spec);
        self.metrics.clear();
        self.unlearned.push(forget.spec.clone());
        self
    }
}
