//! The recipe of the shipped text-to-image model: `salun train text-to-image`.

use std::collections::BTreeMap;

use super::{LatentPlan, StagePlan};
use crate::data::corpus::{Corpus, words};
use crate::diffusion::{SchedulerConfig, SolverKind};
use crate::error::{Error, Result, ensure};
use crate::models::latent::{
    AutoencoderConfig, LatentNetwork, PerLevel, TextConfig, Tokenizer, UnetConfig,
};
use crate::train::TrainRequest;

/// What to train, by name.
pub const NAME: &str = "text-to-image";

/// Tokens of a prompt, start and end included: of emoji, and the most that longer captions get.
const LENGTH: usize = 16;
const LONGEST: usize = 77;
/// Width of a token's vector.
const CONTEXT: usize = 96;
/// How much smaller a latent's side is.
const FACTOR: usize = 4;
const LATENT_CHANNELS: usize = 4;
/// Channels of the U-Net's levels.
const WIDTHS: [usize; 3] = [48, 96, 128];

/// How long and how fast, unless a person says otherwise.
pub const PLAN: LatentPlan = LatentPlan {
    autoencoder: StagePlan { steps: 1200, batch: 16, lr: 2e-3, ema: 0.99 },
    diffusion: StagePlan { steps: 2400, batch: 64, lr: 1e-3, ema: 0.998 },
    decoder: StagePlan { steps: 0, batch: 16, lr: 1e-3, ema: 0.995 },
    concepts: 96,
    seed: 1,
};

/// How long and how fast a person asks for it. A person's own pictures are all learnt, unless they say otherwise.
pub fn plan(request: &TrainRequest, corpus: &Corpus) -> LatentPlan {
    let mut plan = LatentPlan { seed: request.seed, ..PLAN };
    let own = (!corpus.has_styles()).then_some(corpus.index.concepts.len());
    plan.concepts = request.concepts.or(own).unwrap_or(plan.concepts);
    plan.autoencoder.steps = request.autoencoder_steps.unwrap_or(plan.autoencoder.steps);
    plan.decoder.steps = request.decoder_steps.unwrap_or(plan.decoder.steps);
    plan.diffusion.steps = request.steps.unwrap_or(plan.diffusion.steps);
    plan.diffusion.batch = request.batch.unwrap_or(plan.diffusion.batch);
    plan.diffusion.lr = request.lr.unwrap_or(plan.diffusion.lr);
    plan
}

/// The request that asks for all of a plan.
pub fn request(plan: &LatentPlan, data: String, from: Option<String>) -> TrainRequest {
    TrainRequest {
        preset: NAME.into(),
        data,
        steps: Some(plan.diffusion.steps),
        batch: Some(plan.diffusion.batch),
        lr: Some(plan.diffusion.lr),
        from,
        seed: plan.seed,
        concepts: Some(plan.concepts),
        autoencoder_steps: Some(plan.autoencoder.steps),
        decoder_steps: Some(plan.decoder.steps),
        ..TrainRequest::default()
    }
}

/// A tokenizer for a corpus, whose captions' words are a token each. It takes as many tokens as the longest caption
/// has; beside them start and end, and a few for words of other prompts.
fn tokenizer(corpus: &Corpus) -> Tokenizer {
    if corpus.has_styles() {
        return Tokenizer::train(&words(corpus), LENGTH);
    }
    let (mut counts, mut most) = (BTreeMap::new(), 0);
    for pair in corpus.all() {
        let pieces = Tokenizer::split(&corpus.caption(pair));
        most = most.max(pieces.len());
        pieces.into_iter().for_each(|piece| *counts.entry(piece).or_default() += 1);
    }
    let words: Vec<(String, usize)> = counts.into_iter().collect();
    Tokenizer::train(&words, (most + 4).clamp(LENGTH, LONGEST))
}

/// Refuses what no model can be trained on.
///
/// # Errors
/// There are no pictures, or they cannot be halved as often as the network does.
pub fn trainable(corpus: &Corpus) -> Result<()> {
    let (side, step) = (corpus.index.side, FACTOR << (WIDTHS.len() - 1));
    let none = || {
        let right = "a model is trained on pictures: emoji or folder:PATH";
        Error::argument("data", &corpus.name, right)
    };
    ensure(corpus.has_pictures(), none)?;
    let wrong = || {
        let right =
            format!("a side that is a multiple of {step} is needed, as in ?size={}", 2 * step);
        Error::argument("data", &corpus.name, right)
    };
    ensure(side.is_multiple_of(step), wrong)
}

/// The network for a corpus: its vocabulary is the captions' words.
pub fn network(corpus: &Corpus) -> LatentNetwork {
    let tokenizer = tokenizer(corpus);
    let length = tokenizer.length;
    let text = TextConfig {
        vocab_size: tokenizer.vocabulary_size(),
        hidden_size: CONTEXT,
        intermediate_size: 4 * CONTEXT,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        max_position_embeddings: length,
        hidden_act: "quick_gelu".into(),
        layer_norm_eps: 1e-5,
    };
    let types = |levels: [&str; 3]| levels.map(String::from).to_vec();
    let unet = UnetConfig {
        sample_size: corpus.index.side / FACTOR,
        in_channels: LATENT_CHANNELS,
        out_channels: LATENT_CHANNELS,
        block_out_channels: WIDTHS.to_vec(),
        down_block_types: types(["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"]),
        up_block_types: types(["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"]),
        layers_per_block: 1,
        cross_attention_dim: CONTEXT,
        attention_head_dim: PerLevel::All(4),
        norm_num_groups: 8,
        norm_eps: 1e-5,
        transformer_layers_per_block: 1,
        use_linear_projection: false,
        downsample_padding: 1,
        flip_sin_to_cos: true,
        freq_shift: 0.0,
    };
    let vae = AutoencoderConfig {
        sample_size: corpus.index.side,
        in_channels: 3,
        out_channels: 3,
        latent_channels: LATENT_CHANNELS,
        block_out_channels: vec![16, 32, 64],
        layers_per_block: 1,
        norm_num_groups: 8,
        scaling_factor: 1.0,
    };
    let scheduler = SchedulerConfig::stable_diffusion(SolverKind::Ddim);
    LatentNetwork::new(tokenizer, text, unet, vae, scheduler)
}
