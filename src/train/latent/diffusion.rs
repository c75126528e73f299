//! The second stage: the U-Net learns to take noise off latents, the text encoder what to say.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;

use super::{LatentPlan, LatentSnapshot, WARM, learner::Learner};
use crate::{
    data::{
        emoji::{
            Emoji, Pair,
            captions::{Placement, varied},
        },
        rng::{self, normals, shuffled},
    },
    diffusion::{schedule::Schedule, scheduler::Prediction},
    error::Result,
    gpu::{cpu::par, flex, tensor4},
    job_context::JobContext,
    models::{
        latent::{LatentModel, LatentNetwork},
        layers::{Mode, Pass},
        weights::{HostWeights, Weights},
    },
    sampling::latent::encoded,
    train::{
        optimizer::{plus, warm_cosine},
        preset::CONDITION_DROP,
        shards,
    },
};

/// Latents of each (concept, style) pair: the first as drawn, the others shifted, scaled and on a
/// background.
const VARIANTS: usize = 8;
/// Cap on the signal-to-noise ratio that weighs a time step (Hang et al. 2023, min-SNR).
const SNR_CAP: f64 = 5.0;

/// The corpus as latents, scaled, in main memory.
pub struct Latents {
    /// (pair, background) of each latent.
    items: Vec<(Pair, Option<usize>)>,
    values: Vec<f32>,
    each: usize,
}

impl Latents {
    /// Encodes every pair that may be trained on, in its variants.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn encode(
        model: &LatentModel,
        emoji: &Emoji,
        plan: &LatentPlan,
        device: &Device,
        job: &mut JobContext,
    ) -> Result<Self> {
        let vae = model.vae.upload(device);
        let side = emoji.index.side;
        let mut rng = rng::seeded(plan.seed, "latent variants");
        let mut wanted = Vec::new();
        for pair in emoji.pairs().into_iter().filter(|p| p.concept < plan.concepts) {
            for variant in 0..VARIANTS {
                let at = match variant {
                    0 => Placement::PLAIN,
                    _ => Placement::random(side, &mut rng),
                };
                wanted.push((pair, at));
            }
        }
        job.phase("Encoding pictures", wanted.len());
        let each = model.network.latent_shape().iter().product();
        let values = encoded(&model.network, &vae, emoji, &wanted, job).await?;
        let items = wanted.into_iter().map(|(pair, at)| (pair, at.background)).collect();
        Ok(Self { items, values, each })
    }
}

/// Training of the U-Net and the text encoder together.
pub struct DiffusionRun {
    network: Arc<LatentNetwork>,
    emoji: Arc<Emoji>,
    latents: Latents,
    schedule: Schedule,
    unet: Learner,
    text: Learner,
    plan: LatentPlan,
    device: Device,
    order: (usize, Vec<usize>),
    pub step: usize,
}

/// A part of a batch.
struct Part {
    z: Tensor<4>,
    target: Tensor<4>,
    t: Vec<f32>,
    weight: Vec<f32>,
    ids: Vec<Vec<u32>>,
}

impl DiffusionRun {
    pub fn new(
        model: &LatentModel,
        emoji: Arc<Emoji>,
        latents: Latents,
        plan: LatentPlan,
        device: &Device,
    ) -> Self {
        Self {
            unet: Learner::new(&model.unet, plan.diffusion.ema, device),
            text: Learner::new(&model.text, plan.diffusion.ema, device),
            schedule: model.network.scheduler.schedule(),
            network: model.network.clone(),
            device: device.clone(),
            order: (usize::MAX, Vec::new()),
            step: 0,
            emoji,
            latents,
            plan,
        }
    }

    /// One update of both parts.
    ///
    /// # Errors
    /// The device failed.
    pub fn step(&mut self) -> Result<Tensor<1>> {
        let plan = self.plan.diffusion;
        let parts = self.parts();
        let (network, batch) = (self.network.clone(), plan.batch as f64);
        let loss = |text: &Pass, unet: &Pass, part: Part| {
            let n = part.t.len();
            let context = network.text.forward(text, &part.ids);
            let out = network.unet.forward(unet, part.z, &part.t, &context);
            let device = out.device().without_autodiff();
            let weight =
                Tensor::<4>::from_data(TensorData::new(part.weight, [n, 1, 1, 1]), &device);
            let error = (out - part.target).square() * weight;
            error.mean() * (n as f64 / batch)
        };
        let (loss, [of_text, of_unet]) =
            gradients([&self.text.weights, &self.unet.weights], parts, loss);
        let lr = warm_cosine(plan.lr, WARM, self.step, plan.steps);
        self.text.update(of_text, lr)?;
        self.unet.update(of_unet, lr)?;
        self.step += 1;
        Ok(loss)
    }

    /// The next batch: each epoch is one shuffled pass over the latents.
    fn parts(&mut self) -> Vec<Part> {
        let batch = self.plan.diffusion.batch;
        let per_epoch = self.latents.items.len() / batch;
        let (epoch, at) = (self.step / per_epoch.max(1), self.step % per_epoch.max(1));
        if self.order.0 != epoch {
            let mut rng = rng::seeded(self.plan.seed, &format!("latent epoch {epoch}"));
            self.order = (epoch, shuffled(&mut rng, self.latents.items.len()));
        }
        let mut rng = rng::seeded(self.plan.seed, &format!("diffusion step {}", self.step));
        let items: Vec<usize> = self.order.1[at * batch..].iter().take(batch).copied().collect();
        let size = shards::size(&self.unet.weights, batch);
        items.chunks(size).map(|part| self.part(part, &mut rng)).collect()
    }

    fn part(&self, items: &[usize], rng: &mut rng::Rng) -> Part {
        let [c, h, w] = self.network.latent_shape();
        let (n, each) = (items.len(), self.latents.each);
        let noise = normals(rng, n * each);
        let (mut z, mut target) = (Vec::with_capacity(n * each), Vec::with_capacity(n * each));
        let (mut t, mut weight, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for (i, &item) in items.iter().enumerate() {
            // Stratified times: every part of the schedule in every batch.
            let share = (i as f64 + rng.random::<f64>()) / n as f64;
            let step =
                ((share * self.schedule.steps() as f64) as usize).min(self.schedule.steps() - 1);
            let (signal, sigma) = self.schedule.mix(step);
            let x0 = &self.latents.values[item * each..][..each];
            let eps = &noise[i * each..][..each];
            z.extend(x0.iter().zip(eps).map(|(x, e)| signal * x + sigma * e));
            let snr = f64::from(signal * signal) / f64::from(sigma * sigma).max(1e-12);
            let capped = snr.min(SNR_CAP);
            let prediction = self.network.scheduler.prediction;
            let of = |(x, e): (&f32, &f32)| prediction.target([signal, sigma], *x, *e);
            target.extend(x0.iter().zip(eps).map(of));
            let scale = match prediction {
                Prediction::Epsilon => snr,
                Prediction::VPrediction => snr + 1.0,
            };
            weight.push((capped / scale) as f32);
            t.push(step as f32);
            let (pair, background) = self.latents.items[item];
            let caption = varied(&self.emoji, pair, background, rng).text;
            let dropped = rng.random::<f64>() < CONDITION_DROP;
            let text = if dropped { "" } else { caption.as_str() };
            ids.push(self.network.tokenizer.encode(text).ids);
        }
        let shape = [n, c, h, w];
        let (z, target) = (tensor4(z, shape, &self.device), tensor4(target, shape, &self.device));
        Part { z, target, t, weight, ids }
    }

    pub async fn result(&self) -> Result<[HostWeights; 2]> {
        Ok([self.text.result().await?, self.unet.result().await?])
    }

    pub async fn vectors(&self) -> Result<Vec<(String, Vec<f32>)>> {
        let mut all = self.text.vectors("text").await?;
        all.extend(self.unet.vectors("unet").await?);
        Ok(all)
    }

    pub fn resume(&mut self, snapshot: &LatentSnapshot) -> Result<()> {
        self.step = snapshot.step;
        self.text.resume(snapshot, "text")?;
        self.unet.resume(snapshot, "unet")
    }
}

/// As [`shards::gradients`], for two sets of weights under one loss.
fn gradients<P: Send>(
    weights: [&Weights; 2],
    parts: Vec<P>,
    loss: impl Fn(&Pass, &Pass, P) -> Tensor<1> + Sync,
) -> (Tensor<1>, [Vec<Tensor<1>>; 2]) {
    let one = |part| {
        let tracked = weights.map(Weights::tracked);
        let [first, second] = tracked.each_ref().map(|w| Pass::new(w, Mode::TRAIN));
        let loss = loss(&first, &second, part);
        let mut all = loss.backward();
        let gradients = tracked.each_ref().map(|w| w.gradients(&mut all));
        (loss.without_autodiff(), gradients)
    };
    let done = if flex::is_cpu(&weights[0].device()) {
        par::map(parts, one)
    } else {
        parts.into_iter().map(one).collect()
    };
    let mut sums = done.into_iter();
    let first = sums.next().expect("a batch has parts");
    sums.fold(first, |(loss, [a, b]), (l, [c, d])| (loss + l, [plus(a, c), plus(b, d)]))
}
