//! Training a text-to-image model: first the autoencoder, then the U-Net and the text encoder on
//! its latents, then the decoder alone. Resumable at any step with the same result.

mod autoencoder;
mod diffusion;
pub mod preset;

pub use preset::{NAME, PLAN};

use std::sync::Arc;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use self::{autoencoder::OfPictures, diffusion::OfLatents};
use super::losses::Augment;
use super::snapshot::Vectors;
use super::{Learner, LrSchedule, Rule, Snapshot, TrainPlan, Trainer};
use crate::data::emoji::Emoji;
use crate::error::Result;
use crate::job_context::JobContext;
use crate::models::latent::LatentModel;

/// Which part is being trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    Autoencoder,
    Diffusion,
    Decoder,
}

impl Stage {
    /// What a person is told that is done.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Autoencoder => "Training the autoencoder",
            Self::Diffusion => "Training the U-Net and the text encoder",
            Self::Decoder => "Training the decoder",
        }
    }
}

/// The numbers of one stage.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StagePlan {
    pub steps: usize,
    pub batch: usize,
    pub lr: f64,
    /// Decay of the moving average of the weights.
    pub ema: f64,
}

impl StagePlan {
    /// The plan of a run of this stage.
    pub fn whole(self, seed: u64) -> TrainPlan {
        let Self { steps, batch, lr, ema } = self;
        let (rule, schedule, augment) = (Rule::ADAM, LrSchedule::WarmCosine, Augment::None);
        TrainPlan { steps, batch, rule, lr, schedule, ema, augment, seed }
    }
}

/// Everything that fixes a training run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LatentPlan {
    pub autoencoder: StagePlan,
    pub diffusion: StagePlan,
    /// Of the decoder on latents that stay as they are; no steps leave it out.
    pub decoder: StagePlan,
    /// How many of the corpus's concepts, the commonest first.
    pub concepts: usize,
    pub seed: u64,
}

/// A run under way: the parts that are done, and the stage that trains others.
pub struct LatentRun {
    pub model: LatentModel,
    emoji: Arc<Emoji>,
    plan: LatentPlan,
    device: Device,
    pub trainer: Trainer,
}

impl LatentRun {
    /// A run from these weights: all stages of fresh ones, or the decoder alone of trained ones.
    pub fn new(
        model: LatentModel,
        emoji: Arc<Emoji>,
        plan: LatentPlan,
        fresh: bool,
        device: &Device,
    ) -> Self {
        let stage = if fresh { Stage::Autoencoder } else { Stage::Decoder };
        let trainer = of_pictures(&model, &emoji, &plan, stage, device);
        Self { model, emoji, plan, device: device.clone(), trainer }
    }

    /// Goes on from a snapshot.
    ///
    /// # Errors
    /// A vector is missing or has another length; cancelled, or the device failed.
    pub async fn resume(&mut self, from: &Snapshot, job: &mut JobContext) -> Result<()> {
        let stage = from.stage.unwrap_or(Stage::Autoencoder);
        let LatentModel { text, unet, vae, .. } = &mut self.model;
        let done = match stage {
            Stage::Autoencoder => vec![],
            Stage::Diffusion => vec![("vae", vae)],
            Stage::Decoder => vec![("text", text), ("unet", unet)],
        };
        for (name, part) in done {
            part.values = from.vector(name, part.values.len())?.to_vec();
        }
        if stage != Stage::Autoencoder {
            self.scale(from.vector("scaling", 1)?[0] as f64);
        }
        self.trainer = self.stage(stage, job).await?;
        self.trainer.resume(from)
    }

    /// Goes on to the next stage, for diffusion by measuring the latents' scale and encoding the
    /// corpus; `false` where there is none.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn next_stage(&mut self, job: &mut JobContext) -> Result<bool> {
        let next = match self.trainer.stage {
            Some(Stage::Autoencoder) => Stage::Diffusion,
            Some(Stage::Diffusion) if self.plan.decoder.steps > 0 => Stage::Decoder,
            _ => return Ok(false),
        };
        self.model = result(&self.model, &self.trainer).await?;
        if next == Stage::Diffusion {
            self.scale(autoencoder::scaling(&self.model, &self.emoji, &self.device).await?);
        }
        let seconds = self.trainer.seconds.clone();
        self.trainer = self.stage(next, job).await?;
        self.trainer.seconds[..seconds.len()].copy_from_slice(&seconds);
        Ok(true)
    }

    /// The start of a stage.
    async fn stage(&self, stage: Stage, job: &mut JobContext) -> Result<Trainer> {
        let Self { model, emoji, plan, device, .. } = self;
        if stage != Stage::Diffusion {
            return Ok(of_pictures(model, emoji, plan, stage, device));
        }
        let objective = OfLatents::new(model, emoji.clone(), *plan, device, job).await?;
        let own = plan.diffusion.whole(plan.seed);
        let learners = [("text/", &model.text), ("unet/", &model.unet)];
        let learners = learners.map(|(name, w)| Learner::new(w, own.rule, own.ema, name, device));
        let trainer = Trainer::new(objective, learners.into(), own);
        Ok(trainer.staged(stage, made(model, stage)))
    }

    fn scale(&mut self, scaling: f64) {
        let mut network = (*self.model.network).clone();
        network.vae.config.scaling_factor = scaling;
        self.model.network = Arc::new(network);
    }
}

/// The first stage or the last.
fn of_pictures(
    model: &LatentModel,
    emoji: &Arc<Emoji>,
    plan: &LatentPlan,
    stage: Stage,
    device: &Device,
) -> Trainer {
    let own = if stage == Stage::Decoder { plan.decoder } else { plan.autoencoder };
    let own = own.whole(plan.seed);
    let learner = Learner::new(&model.vae, own.rule, own.ema, "vae/", device);
    let objective = OfPictures {
        network: model.network.clone(),
        emoji: emoji.clone(),
        plan: own,
        concepts: plan.concepts,
        decoder_alone: stage == Stage::Decoder,
        device: device.clone(),
    };
    Trainer::new(objective, vec![learner], own).staged(stage, made(model, stage))
}

/// What the stages before one made.
fn made(model: &LatentModel, stage: Stage) -> Vectors {
    let parts = match stage {
        Stage::Autoencoder => return Vec::new(),
        Stage::Diffusion => vec![("vae", &model.vae)],
        Stage::Decoder => vec![("text", &model.text), ("unet", &model.unet)],
    };
    let parts = parts.into_iter().map(|(name, part)| (name.to_string(), part.values.clone()));
    let scaling = model.network.vae.config.scaling_factor as f32;
    parts.chain([("scaling".to_string(), vec![scaling])]).collect()
}

/// The model to ship: moving averages of the weights that a stage trains so far.
///
/// # Errors
/// The device failed.
pub async fn result(model: &LatentModel, trainer: &Trainer) -> Result<LatentModel> {
    let mut model = model.clone();
    match &trainer.learners[..] {
        [text, unet] => (model.text, model.unet) = (text.result().await?, unet.result().await?),
        alone => {
            for vae in alone {
                model.vae = vae.result().await?;
            }
        }
    }
    Ok(model)
}
