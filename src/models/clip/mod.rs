//! CLIP (Radford et al. 2021) from a folder in transformers' layout: pictures and words as vectors of one space,
//! whose angles say what a picture shows. Every width comes from `config.json`, every weight keeps its name.

mod config;
mod vision;

pub use config::{ClipConfig, VisionConfig};
use vision::VisionTower;

use std::sync::Arc;

use burn::tensor::{Tensor, activation};

use super::classifier::normalised;
use super::latent::{Files, TextEncoder, Tokenizer, parts, tokenizer};
use super::{HostWeights, Init, Linear, Pass, WeightLayout};
use crate::error::{Error, Result, ensure};
use crate::words::gib;

/// Bytes that a model may need at most where nobody knows what is free.
const MOST: u64 = 64 << 30;

/// Texts that go through the text encoder together: a person's pictures may have thousands of captions.
const TEXTS: usize = 64;

/// Both towers without their weights.
#[derive(Debug)]
pub struct Clip {
    pub config: ClipConfig,
    pub layout: Arc<WeightLayout>,
    tokenizer: Tokenizer,
    text: TextEncoder,
    vision: VisionTower,
    /// Into the common space, of pictures and of words.
    projections: [Linear; 2],
    /// The logarithm of what cosines are multiplied with.
    scale: usize,
}

impl Clip {
    /// The networks of a config that was checked.
    pub fn new(config: ClipConfig, tokenizer: Tokenizer) -> Self {
        let mut layout = WeightLayout::default();
        let common = config.projection_dim;
        let scale = layout.param("logit_scale".into(), &[], Init::Constant(2.6592));
        let text = TextEncoder::new(config.text.clone(), layout.root());
        let vision = VisionTower::new(config.vision.clone(), layout.root());
        let mut root = layout.root();
        let projections = [
            ("visual_projection", config.vision.hidden_size),
            ("text_projection", config.text.hidden_size),
        ];
        let projections = projections
            .map(|(name, width)| Linear::small_unbiased(root.part(name), [width, common]));
        Self { config, layout: Arc::new(layout), tokenizer, text, vision, projections, scale }
    }

    /// Reads a folder. `room` is the memory that is free, where that is known.
    ///
    /// # Errors
    /// A file is missing or damaged, it is another kind of model, a size is not supported, or it needs more
    /// memory than there is; the file is named.
    pub fn read(files: &dyn Files, room: Option<u64>) -> Result<(Self, HostWeights)> {
        let config = ClipConfig::read(files)?;
        let length = config.text.max_position_embeddings;
        let tokenizer = tokenizer(files, "", length, None)?;
        let (has, takes) = (tokenizer.vocabulary_size(), config.text.vocab_size);
        let more = || format!("has {has} tokens, but the text encoder takes {takes}");
        ensure(has <= takes, || files.bad("vocab.json", more()))?;
        let clip = Self::new(config, tokenizer);
        // In main memory and on the device.
        let need = 8 * clip.layout.n() as u64;
        let room = room.unwrap_or(MOST);
        let large = || {
            let [need, room] = [need, room].map(gib);
            let reason = format!("it needs {need:.1} GiB, {room:.1} GiB are there");
            Error::file(files.path(), format!("is too large for this device: {reason}"))
        };
        ensure(need <= room, large)?;
        let weights = parts::weights(files, "model", &clip.layout)?;
        Ok((clip, weights))
    }

    /// Pictures as vectors of length 1. `x` [n, 3, side, side] in [0, 1] to [n, projection].
    pub fn pictures(&self, pass: &Pass, x: Tensor<4>) -> Tensor<2> {
        let x = normalised(x, &self.config.mean, &self.config.std);
        unit(self.projections[0].forward(pass, self.vision.forward(pass, x)))
    }

    /// What the vision tower makes of pictures before they go into the common space: [n, width].
    pub fn features(&self, pass: &Pass, x: Tensor<4>) -> Tensor<2> {
        self.vision.forward(pass, normalised(x, &self.config.mean, &self.config.std))
    }

    /// Texts as vectors of length 1: [n, projection]. What does not fit a text's tokens is dropped.
    pub fn words(&self, pass: &Pass, texts: &[String]) -> Tensor<2> {
        let some = texts.chunks(TEXTS).map(|texts| self.few_words(pass, texts));
        Tensor::cat(some.collect(), 0)
    }

    fn few_words(&self, pass: &Pass, texts: &[String]) -> Tensor<2> {
        let ids: Vec<Vec<u32>> = texts.iter().map(|text| self.tokenizer.encode(text).ids).collect();
        let hidden = self.text.forward(pass, &ids);
        let [_, _, d] = hidden.dims();
        // A text is what stands at its end.
        let end = |ids: &[u32]| ids.iter().position(|id| *id == self.tokenizer.end()).unwrap_or(0);
        let at = |(i, ids): (usize, &Vec<u32>)| {
            let t = end(ids);
            hidden.clone().slice([i..i + 1, t..t + 1, 0..d]).reshape([1, d])
        };
        let pooled = Tensor::cat(ids.iter().enumerate().map(at).collect(), 0);
        unit(self.projections[1].forward(pass, pooled))
    }

    /// How surely pictures [n, projection] show what words [m, projection] say: [n, m], each row sums to 1.
    pub fn shares(&self, pass: &Pass, pictures: Tensor<2>, words: Tensor<2>) -> Tensor<2> {
        let scale = pass.weights.params[self.scale].clone().exp();
        activation::softmax(pictures.matmul(words.transpose()) * scale.unsqueeze(), 1)
    }
}

/// Rows of length 1.
fn unit(x: Tensor<2>) -> Tensor<2> {
    let length = x.clone().square().sum_dim(1).sqrt();
    x / length.clamp_min(1e-12)
}
