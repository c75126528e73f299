//! The second stage: the U-Net learns to take noise off latents, the text encoder what to say.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use rand::RngExt;

use super::{LatentPlan, Setting};
use crate::data::corpus::{Pair, Placement};
use crate::data::{normals, rng};
use crate::diffusion::{Prediction, Schedule};
use crate::error::Result;
use crate::gpu::tensor4;
use crate::job_context::JobContext;
use crate::models::latent::{LatentModel, LatentNetwork};
use crate::models::{Mode, Pass};
use crate::sampling::encoded;
use crate::train::{CONDITION_DROP, Descent, Epochs, Learner, Objective, clip_norm, shards};

/// Latents of each (concept, style) pair: the first as drawn, the others shifted, scaled and on a
/// background.
const VARIANTS: usize = 8;
/// Cap on the signal-to-noise ratio that weighs a time step (Hang et al. 2023, min-SNR).
const SNR_CAP: f64 = 5.0;

/// Of the U-Net and the text encoder together.
pub struct OfLatents {
    network: Arc<LatentNetwork>,
    setting: Setting,
    schedule: Schedule,
    epochs: Epochs,
    /// The corpus, encoded and scaled: (pair, background) of each latent, and their values.
    items: Vec<(Pair, Option<usize>)>,
    values: Vec<f32>,
}

/// A part of a batch.
struct Part {
    z: Tensor<4>,
    target: Tensor<4>,
    t: Vec<f32>,
    weight: Vec<f32>,
    ids: Vec<Vec<u32>>,
}

impl Objective for OfLatents {
    fn gradients(&mut self, learners: &mut [Learner], step: usize) -> Result<Descent> {
        let (n, LatentPlan { diffusion, seed, .. }) = (self.items.len(), self.setting.plan);
        let batch = diffusion.batch;
        let per_epoch = (n / batch).max(1);
        let items = self.epochs.batch(step, [n, batch, per_epoch], seed, "latent epoch").to_vec();
        let mut rng = rng::seeded(seed, &format!("diffusion step {step}"));
        let weights = [&learners[0].weights, &learners[1].weights];
        let network = &self.network;
        let size = shards::size(weights[1], batch).min(network.unet.activations().together());
        let parts = items.chunks(size).map(|part| self.part(part, &mut rng)).collect();
        let loss = |[text, unet]: [&Pass; 2], part: Part| {
            let n = part.t.len();
            let context = network.text.forward(text, &part.ids);
            let out = network.unet.forward(unet, part.z, &part.t, &context);
            let device = out.device().without_autodiff();
            let weight =
                Tensor::<4>::from_data(TensorData::new(part.weight, [n, 1, 1, 1]), &device);
            let error = (out - part.target).square() * weight;
            error.mean() * (n as f64 / batch as f64)
        };
        let (loss, gradients) = shards::joint(weights, Mode::TRAIN, (parts, size), loss);
        Ok((loss, gradients.map(|gradients| clip_norm(gradients, 1.0)).into()))
    }
}

impl OfLatents {
    /// Encodes every pair that may be trained on, in its variants.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn new(model: &LatentModel, setting: Setting, job: &mut JobContext) -> Result<Self> {
        let Setting { corpus, plan, device } = &setting;
        let vae = model.vae.upload(device);
        let side = corpus.index.side;
        // A person's pictures are as they are.
        let variants = if corpus.has_styles() { VARIANTS } else { 1 };
        let mut rng = rng::seeded(plan.seed, "latent variants");
        let mut wanted = Vec::new();
        for pair in corpus.pairs().into_iter().filter(|p| p.concept < plan.concepts) {
            for variant in 0..variants {
                let at = match variant {
                    0 => Placement::PLAIN,
                    _ => Placement::random(side, &mut rng),
                };
                wanted.push((pair, at));
            }
        }
        job.phase("Encoding pictures", wanted.len());
        let values = encoded(&model.network, &vae, corpus, &wanted, job).await?;
        Ok(Self {
            items: wanted.into_iter().map(|(pair, at)| (pair, at.background)).collect(),
            schedule: model.network.scheduler.schedule(),
            network: model.network.clone(),
            epochs: Epochs::default(),
            setting,
            values,
        })
    }

    fn part(&self, items: &[usize], rng: &mut rng::Rng) -> Part {
        let [c, h, w] = self.network.latent_shape();
        let (n, each) = (items.len(), c * h * w);
        let noise = normals(rng, n * each);
        let (mut z, mut target) = (Vec::with_capacity(n * each), Vec::with_capacity(n * each));
        let (mut t, mut weight, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for (i, &item) in items.iter().enumerate() {
            // Stratified times: every part of the schedule in every batch.
            let share = (i as f64 + rng.random::<f64>()) / n as f64;
            let step =
                ((share * self.schedule.steps() as f64) as usize).min(self.schedule.steps() - 1);
            let (signal, sigma) = self.schedule.mix(step);
            let x0 = &self.values[item * each..][..each];
            let eps = &noise[i * each..][..each];
            let prediction = self.network.scheduler.prediction;
            prediction.noised([signal, sigma], x0, eps, [&mut z, &mut target]);
            let snr = f64::from(signal * signal) / f64::from(sigma * sigma).max(1e-12);
            let capped = snr.min(SNR_CAP);
            let scale = match prediction {
                Prediction::Epsilon => snr,
                Prediction::VPrediction => snr + 1.0,
            };
            weight.push((capped / scale) as f32);
            t.push(step as f32);
            let (pair, background) = self.items[item];
            let caption = self.setting.corpus.varied(pair, background, rng);
            let dropped = rng.random::<f64>() < CONDITION_DROP;
            let text = if dropped { "" } else { caption.as_str() };
            ids.push(self.network.tokenizer.encode(text).ids);
        }
        let shape = [n, c, h, w];
        let [z, target] = [z, target].map(|values| tensor4(values, shape, &self.setting.device));
        Part { z, target, t, weight, ids }
    }
}
