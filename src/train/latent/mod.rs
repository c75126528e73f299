//! Training a text-to-image model: first the autoencoder, then the U-Net and the text encoder on
//! its latents, then the decoder alone. Resumable at any step with the same result.

mod autoencoder;
mod diffusion;
mod learner;
pub mod preset;

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use self::{autoencoder::AutoencoderRun, diffusion::DiffusionRun};
use crate::{
    data::emoji::Emoji,
    error::Result,
    job_context::JobContext,
    models::{
        latent::{LatentModel, LatentNetwork},
        weights::HostWeights,
    },
};

/// Share of the schedule that is linear warm-up.
pub const WARM: f64 = 0.1;

/// Which part is being trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    Autoencoder,
    Diffusion,
    Decoder,
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

/// The state of a run after some steps: named vectors in main memory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LatentSnapshot {
    pub stage: Stage,
    pub step: usize,
    /// Seconds that each stage took so far.
    pub seconds: [f64; 3],
    pub vectors: Vec<(String, Vec<f32>)>,
}

/// A run under way.
pub struct LatentTrainer {
    model: LatentModel,
    emoji: Arc<Emoji>,
    plan: LatentPlan,
    device: Device,
    /// Seconds spent on each stage; the loop that drives the run keeps them.
    pub seconds: [f64; 3],
    run: Run,
}

enum Run {
    Autoencoder(Box<AutoencoderRun>),
    Diffusion(Box<DiffusionRun>),
    Decoder(Box<AutoencoderRun>),
}

impl LatentTrainer {
    /// A run from fresh weights.
    pub fn new(
        network: Arc<LatentNetwork>,
        emoji: Arc<Emoji>,
        plan: LatentPlan,
        device: &Device,
    ) -> Self {
        let model = LatentModel {
            text: network.text_layout.init(plan.seed),
            unet: network.unet_layout.init(plan.seed),
            vae: network.vae_layout.init(plan.seed),
            network,
            card: None,
        };
        let run = AutoencoderRun::new(&model, emoji.clone(), plan, false, device);
        let run = Run::Autoencoder(Box::new(run));
        Self { model, emoji, plan, device: device.clone(), seconds: [0.0; 3], run }
    }

    /// The decoder alone, of a trained model.
    pub fn decoder(
        model: LatentModel,
        emoji: Arc<Emoji>,
        plan: LatentPlan,
        device: &Device,
    ) -> Self {
        let run = AutoencoderRun::new(&model, emoji.clone(), plan, true, device);
        let run = Run::Decoder(Box::new(run));
        Self { model, emoji, plan, device: device.clone(), seconds: [0.0; 3], run }
    }

    /// Goes on from a snapshot.
    ///
    /// # Errors
    /// A vector is missing or has another length; cancelled, or the device failed.
    pub async fn resume(&mut self, snapshot: &LatentSnapshot, job: &mut JobContext) -> Result<()> {
        self.seconds = snapshot.seconds;
        if snapshot.stage == Stage::Diffusion {
            let n = self.model.vae.values.len();
            self.model.vae.values = learner::vector_of(snapshot, "vae", n)?;
            self.start_diffusion(snapshot.scaling()?, job).await?;
        }
        if snapshot.stage == Stage::Decoder {
            for (name, part) in [("text", &mut self.model.text), ("unet", &mut self.model.unet)] {
                part.values = learner::vector_of(snapshot, name, part.values.len())?;
            }
            self.scale(snapshot.scaling()?);
            self.start_decoder();
        }
        match &mut self.run {
            Run::Autoencoder(run) | Run::Decoder(run) => run.resume(snapshot),
            Run::Diffusion(run) => run.resume(snapshot),
        }
    }

    /// The stage, its steps done, and how many it has.
    pub fn progress(&self) -> (Stage, usize, usize) {
        match &self.run {
            Run::Autoencoder(run) => (Stage::Autoencoder, run.step, self.plan.autoencoder.steps),
            Run::Diffusion(run) => (Stage::Diffusion, run.step, self.plan.diffusion.steps),
            Run::Decoder(run) => (Stage::Decoder, run.step, self.plan.decoder.steps),
        }
    }

    /// One update; returns the loss as a tensor so that a GPU need not be waited for.
    ///
    /// # Errors
    /// The device failed.
    pub fn step(&mut self) -> Result<Tensor<1>> {
        match &mut self.run {
            Run::Autoencoder(run) | Run::Decoder(run) => run.step(),
            Run::Diffusion(run) => run.step(),
        }
    }

    /// Goes on to the next stage, for diffusion by measuring the latents' scale and encoding the
    /// corpus; `false` where there is none.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn next_stage(&mut self, job: &mut JobContext) -> Result<bool> {
        match &self.run {
            Run::Autoencoder(run) => {
                self.model.vae = run.result().await?;
                let scaling = autoencoder::scaling(&self.model, &self.emoji, &self.device).await?;
                self.start_diffusion(scaling, job).await?;
            }
            Run::Diffusion(run) if self.plan.decoder.steps > 0 => {
                [self.model.text, self.model.unet] = run.result().await?;
                self.start_decoder();
            }
            Run::Diffusion(_) | Run::Decoder(_) => return Ok(false),
        }
        Ok(true)
    }

    fn start_decoder(&mut self) {
        let run =
            AutoencoderRun::new(&self.model, self.emoji.clone(), self.plan, true, &self.device);
        self.run = Run::Decoder(Box::new(run));
    }

    fn scale(&mut self, scaling: f64) {
        let mut network = (*self.model.network).clone();
        network.vae.config.scaling_factor = scaling;
        self.model.network = Arc::new(network);
    }

    async fn start_diffusion(&mut self, scaling: f64, job: &mut JobContext) -> Result<()> {
        self.scale(scaling);
        let latents =
            diffusion::Latents::encode(&self.model, &self.emoji, &self.plan, &self.device, job);
        let latents = latents.await?;
        let run =
            DiffusionRun::new(&self.model, self.emoji.clone(), latents, self.plan, &self.device);
        self.run = Run::Diffusion(Box::new(run));
        Ok(())
    }

    /// The state now.
    ///
    /// # Errors
    /// The device failed.
    pub async fn snapshot(&self) -> Result<LatentSnapshot> {
        let (stage, step, _) = self.progress();
        let mut vectors = match &self.run {
            Run::Autoencoder(run) | Run::Decoder(run) => run.vectors().await?,
            Run::Diffusion(run) => run.vectors().await?,
        };
        let model = &self.model;
        let done: &[(&str, &HostWeights)] = match stage {
            Stage::Autoencoder => &[],
            Stage::Diffusion => &[("vae", &model.vae)],
            Stage::Decoder => &[("text", &model.text), ("unet", &model.unet)],
        };
        vectors.extend(done.iter().map(|(name, part)| (name.to_string(), part.values.clone())));
        if stage != Stage::Autoencoder {
            let scaling = model.network.vae.config.scaling_factor;
            vectors.push(("scaling".into(), vec![scaling as f32]));
        }
        Ok(LatentSnapshot { stage, step, seconds: self.seconds, vectors })
    }

    /// The model to ship: moving averages of the weights.
    ///
    /// # Errors
    /// The device failed.
    pub async fn result(&self) -> Result<LatentModel> {
        let mut model = self.model.clone();
        match &self.run {
            Run::Autoencoder(run) | Run::Decoder(run) => model.vae = run.result().await?,
            Run::Diffusion(run) => [model.text, model.unet] = run.result().await?,
        }
        Ok(model)
    }
}

impl LatentSnapshot {
    fn scaling(&self) -> Result<f64> {
        Ok(learner::vector_of(self, "scaling", 1)?[0] as f64)
    }
}
