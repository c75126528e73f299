//! The first stage: pictures through the bottleneck and back. And the last: the way back alone.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use rand::RngExt;

use super::{LatentPlan, LatentSnapshot, StagePlan, WARM, learner::Learner};
use crate::{
    data::{
        emoji::{
            Emoji,
            captions::{Placement, compose},
        },
        rng::{self, normals},
    },
    error::Result,
    gpu::tensor4,
    models::{
        latent::{LatentModel, LatentNetwork},
        layers::{Mode, Pass},
        weights::{HostWeights, read},
    },
    train::{optimizer::warm_cosine, shards},
};

/// Weight of the latents' Kullback-Leibler divergence, a mean over their values.
const KL: f64 = 1e-3;
/// Pictures of a part on the CPU: few, because their activations are large.
const SHARD: usize = 4;

/// Training of the autoencoder.
pub struct AutoencoderRun {
    network: Arc<LatentNetwork>,
    emoji: Arc<Emoji>,
    learner: Learner,
    plan: StagePlan,
    concepts: usize,
    seed: u64,
    /// Latents keep their meaning: the encoder does not change.
    decoder_alone: bool,
    device: Device,
    pub step: usize,
}

/// Pictures [n, 3, s, s] in [-1, 1] and the noise of their latents.
type Part = (Tensor<4>, Tensor<4>);

impl AutoencoderRun {
    pub fn new(
        model: &LatentModel,
        emoji: Arc<Emoji>,
        whole: LatentPlan,
        decoder_alone: bool,
        device: &Device,
    ) -> Self {
        let plan = if decoder_alone { whole.decoder } else { whole.autoencoder };
        Self {
            learner: Learner::new(&model.vae, plan.ema, device),
            network: model.network.clone(),
            device: device.clone(),
            step: 0,
            concepts: whole.concepts,
            seed: whole.seed,
            decoder_alone,
            emoji,
            plan,
        }
    }

    /// One update: mean absolute error and, while the encoder learns, a little divergence.
    ///
    /// # Errors
    /// The device failed.
    pub fn step(&mut self) -> Result<Tensor<1>> {
        let plan = self.plan;
        let stage = if self.decoder_alone { "decoder" } else { "autoencoder" };
        let mut rng = rng::seeded(self.seed, &format!("{stage} step {}", self.step));
        let [z, h, w] = self.network.latent_shape();
        let side = self.emoji.index.side;
        // Held-out pairs are for the generator; the autoencoder may see every picture.
        let all: Vec<_> = self.emoji.all().filter(|p| p.concept < self.concepts).collect();
        let mut pixels = Vec::with_capacity(plan.batch * 3 * side * side);
        for _ in 0..plan.batch {
            let pair = all[rng.random_range(0..all.len())];
            let at = Placement::random(side, &mut rng);
            pixels.extend(compose(&self.emoji, pair, at).iter().map(|v| 2.0 * v - 1.0));
        }
        let x = tensor4(pixels, [plan.batch, 3, side, side], &self.device);
        let noise = normals(&mut rng, plan.batch * z * h * w);
        let noise = tensor4(noise, [plan.batch, z, h, w], &self.device);
        let size = shards::size(&self.learner.weights, plan.batch).min(match self.on_cpu() {
            true => SHARD,
            false => plan.batch,
        });
        let parts: Vec<Part> = x.split(size, 0).into_iter().zip(noise.split(size, 0)).collect();
        let vae = &self.network.vae;
        let loss = |pass: &Pass, (x, noise): Part| {
            let share = x.dims()[0] as f64 / plan.batch as f64;
            if self.decoder_alone {
                let fixed = Pass::new(&self.learner.weights, Mode::Eval);
                let [mean, logvar] = vae.encode(&fixed, x.clone());
                let latent = mean + (logvar * 0.5).exp() * noise;
                return (vae.decode(pass, latent) - x).abs().mean() * share;
            }
            let [mean, logvar] = vae.encode(pass, x.clone());
            let latent = mean.clone() + (logvar.clone() * 0.5).exp() * noise;
            let error = (vae.decode(pass, latent) - x).abs().mean();
            let divergence = (mean.square() + logvar.clone().exp() - logvar - 1.0).mean() * 0.5;
            (error + divergence * KL) * share
        };
        let (loss, gradients) = shards::gradients(&self.learner.weights, Mode::TRAIN, parts, loss);
        self.learner.update(gradients, warm_cosine(plan.lr, WARM, self.step, plan.steps))?;
        self.step += 1;
        Ok(loss)
    }

    fn on_cpu(&self) -> bool {
        crate::gpu::flex::is_cpu(&self.device)
    }

    pub async fn result(&self) -> Result<HostWeights> {
        self.learner.result().await
    }

    pub async fn vectors(&self) -> Result<Vec<(String, Vec<f32>)>> {
        self.learner.vectors("vae").await
    }

    pub fn resume(&mut self, snapshot: &LatentSnapshot) -> Result<()> {
        self.step = snapshot.step;
        self.learner.resume(snapshot, "vae")
    }
}

/// What latents are multiplied by so that their standard deviation is 1.
pub async fn scaling(model: &LatentModel, emoji: &Emoji, device: &Device) -> Result<f64> {
    let weights = model.vae.upload(device);
    let side = emoji.index.side;
    let all: Vec<_> = emoji.all().collect();
    let mut rng = rng::seeded(1, "latent scale");
    let (mut sum, mut squares, mut n) = (0.0, 0.0, 0.0);
    for _ in 0..16 {
        let mut pixels = Vec::new();
        for _ in 0..8 {
            let pair = all[rng.random_range(0..all.len())];
            let picture = compose(emoji, pair, Placement::random(side, &mut rng));
            pixels.extend(picture.iter().map(|v| 2.0 * v - 1.0));
        }
        let x = tensor4(pixels, [8, 3, side, side], device);
        let [mean, _] = model.network.vae.encode(&Pass::new(&weights, Mode::Eval), x);
        for v in read(mean).await? {
            sum += v as f64;
            squares += (v * v) as f64;
            n += 1.0;
        }
    }
    let mean: f64 = sum / n;
    Ok(1.0 / (squares / n - mean * mean).max(1e-12).sqrt())
}
