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
use crate::data::corpus::Corpus;
use crate::error::Result;
use crate::job_context::JobContext;
use crate::models::HostWeights;
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

/// What fixes a run, and where it computes.
#[derive(Debug, Clone)]
pub struct Setting {
    pub corpus: Arc<Corpus>,
    pub plan: LatentPlan,
    pub device: Device,
}

/// A run under way: the parts that are done, and the stage that trains others.
pub struct LatentRun {
    pub model: LatentModel,
    setting: Setting,
    pub trainer: Trainer,
}

impl LatentRun {
    /// A run from these weights, all stages of fresh ones or the decoder alone of trained ones; it goes on
    /// from a snapshot where there is one.
    ///
    /// # Errors
    /// A vector is missing or has another length; cancelled, or the device failed.
    pub async fn new(
        mut model: LatentModel,
        setting: Setting,
        fresh: bool,
        from: Option<&Snapshot>,
        job: &mut JobContext,
    ) -> Result<Self> {
        let first = if fresh { Stage::Autoencoder } else { Stage::Decoder };
        let stage = from.map_or(first, |from| from.stage.unwrap_or(Stage::Autoencoder));
        if let Some(from) = from.filter(|_| stage != Stage::Autoencoder) {
            for (name, part) in done(&mut model, stage) {
                part.values = from.vector(name, part.values.len())?.to_vec().into();
            }
            scale(&mut model, from.vector("scaling", 1)?[0] as f64);
        }
        let mut trainer = begin(&mut model, &setting, stage, job).await?;
        from.map_or(Ok(()), |from| trainer.resume(from))?;
        Ok(Self { model, setting, trainer })
    }

    /// Goes on to the next stage, for diffusion by measuring the latents' scale and encoding the
    /// corpus; `false` where there is none.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn next_stage(&mut self, job: &mut JobContext) -> Result<bool> {
        let next = match self.trainer.stage {
            Some(Stage::Autoencoder) => Stage::Diffusion,
            Some(Stage::Diffusion) if self.setting.plan.decoder.steps > 0 => Stage::Decoder,
            _ => return Ok(false),
        };
        let Self { model, setting, trainer } = self;
        *model = result(model, trainer).await?;
        if next == Stage::Diffusion {
            let scaling = autoencoder::scaling(model, setting).await?;
            scale(model, scaling);
        }
        let seconds = trainer.seconds.clone();
        *trainer = begin(model, setting, next, job).await?;
        trainer.seconds[..seconds.len()].copy_from_slice(&seconds);
        Ok(true)
    }
}

/// The start of a stage.
async fn begin(
    model: &mut LatentModel,
    setting: &Setting,
    stage: Stage,
    job: &mut JobContext,
) -> Result<Trainer> {
    let plan = setting.plan;
    let own = match stage {
        Stage::Autoencoder => plan.autoencoder,
        Stage::Diffusion => plan.diffusion,
        Stage::Decoder => plan.decoder,
    };
    let own = own.whole(plan.seed);
    let learner = |name, part| Learner::new(part, &own, name, &setting.device);
    let trainer = if stage == Stage::Diffusion {
        let objective = OfLatents::new(model, setting.clone(), job).await?;
        let learners = vec![learner("text/", &model.text), learner("unet/", &model.unet)];
        Trainer::new(objective, learners, own)
    } else {
        let objective = OfPictures {
            network: model.network.clone(),
            setting: setting.clone(),
            batch: own.batch,
            decoder_alone: stage == Stage::Decoder,
        };
        Trainer::new(objective, vec![learner("vae/", &model.vae)], own)
    };
    let scaling = model.network.vae.config.scaling_factor as f32;
    let parts = done(model, stage).into_iter();
    let mut made: Vectors =
        parts.map(|(name, part)| (name.to_string(), part.values.to_vec())).collect();
    if stage != Stage::Autoencoder {
        made.push(("scaling".to_string(), vec![scaling]));
    }
    Ok(trainer.staged(stage, made))
}

/// The parts that the stages before one made, under the names that they have in a state.
fn done(model: &mut LatentModel, stage: Stage) -> Vec<(&'static str, &mut HostWeights)> {
    let LatentModel { text, unet, vae, .. } = model;
    match stage {
        Stage::Autoencoder => vec![],
        Stage::Diffusion => vec![("vae", vae)],
        Stage::Decoder => vec![("text", text), ("unet", unet)],
    }
}

fn scale(model: &mut LatentModel, scaling: f64) {
    Arc::make_mut(&mut model.network).vae.config.scaling_factor = scaling;
}

/// The model to ship: moving averages of the weights that a stage trains so far.
///
/// # Errors
/// The device failed.
pub async fn result(model: &LatentModel, trainer: &Trainer) -> Result<LatentModel> {
    let mut model = model.clone();
    match &trainer.learners[..] {
        [text, unet] => (model.text, model.unet) = (text.result().await?, unet.result().await?),
        [vae, ..] => model.vae = vae.result().await?,
        [] => {}
    }
    Ok(model)
}
