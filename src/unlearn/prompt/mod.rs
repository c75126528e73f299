//! Forgetting a prompt: saliency over the U-Net, then one step a batch (SalUn on Stable Diffusion;
//! ALGORITHMS 9, ESD 6.11).

pub mod embedding;
pub mod items;
pub mod uce;

use burn::tensor::Tensor;
use web_time::Instant;

use self::{
    items::{Items, Noised, Noising},
    uce::Vectors,
};
use crate::{
    data::rng,
    error::{Error, Result},
    gpu::pace::Pace,
    models::{
        latent::{LatentNetwork, unet::is_cross_attention},
        layers::{Mode, Pass},
        weights::{WeightEntry, WeightLayout, Weights, read},
    },
    monitor::Monitor,
    saliency::{ranking::Ranking, score::Sum},
    sampling::latent::{LatentWeights, predict},
    train::{
        losses::mse,
        optimizer::{Freeze, Optimizer, Rule, plus},
        shards,
    },
    unlearn::salun_soft::{put_back, shrunk},
    words::estimator::Estimator,
};

/// Guidance of the predictions that weights are scored on, w of (1 + w) c - w null.
const SCORE_GUIDANCE: f32 = 7.5;
/// Items in one gradient while scoring.
const SCORE_BATCH: usize = 32;
/// Captions that equations are made of, at the most, forgotten and kept.
const SOLVED: usize = 256;

/// A way to forget a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptMethod {
    /// Redirect the prompt's prediction (`salun` under a mask, `rl` without one).
    Redirect,
    /// The same without a mask; after each update the smallest movements are taken back (SalUn-soft).
    Soft,
    /// Ascend the loss of the forget set.
    Ascend,
    /// Train on the retain set alone.
    Finetune,
    /// Push the prediction away from the prompt (Gandikota et al. 2023).
    Esd,
    /// Solve for cross-attention's keys and values, without updates.
    Uce,
    Nothing,
}

impl PromptMethod {
    /// By the name of the registry.
    ///
    /// # Errors
    /// The method is not one for prompts.
    pub fn find(name: &str) -> Result<Self> {
        let all = [
            ("salun", Self::Redirect),
            ("salun-soft", Self::Soft),
            ("rl", Self::Redirect),
            ("ga", Self::Ascend),
            ("ft", Self::Finetune),
            ("esd", Self::Esd),
            ("uce", Self::Uce),
            ("noop", Self::Nothing),
        ];
        let found = all.iter().find(|(n, _)| *n == name).map(|(_, m)| *m);
        found.ok_or_else(|| Error::unknown("method for prompts", name, all.map(|(n, _)| n)))
    }

    /// Whether it is a loop of updates.
    pub fn trains(self) -> bool {
        !matches!(self, Self::Nothing | Self::Uce)
    }

    /// Whether the forgotten prompt is sent somewhere else, which a person may choose.
    pub fn redirects(self) -> bool {
        matches!(self, Self::Redirect | Self::Soft | Self::Uce)
    }
}

/// The sum of signed gradients of the guided prediction's error over the forget set, in evaluation
/// mode, as absolute values (ALGORITHMS 9).
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn score(
    noising: &Noising<'_>,
    items: &Items,
    weights: &LatentWeights,
    (forget, seed): (&str, u64),
    monitor: &mut Monitor,
) -> Result<Ranking> {
    let started = Instant::now();
    let network = noising.network;
    let mut sum = Sum::new(&weights.unet.device(), network.unet_layout.n());
    let batches = items.len().div_ceil(SCORE_BATCH);
    let mut pace = Pace::start();
    monitor.phase("Scoring weights", items.len());
    let all: Vec<usize> = (0..items.len()).collect();
    for (i, batch) in all.chunks(SCORE_BATCH).enumerate() {
        let mut rng = rng::seeded(seed, &format!("prompt saliency {i}"));
        let noised = noising.batch(items, batch, &mut rng);
        let size = shards::size(&weights.unet, batch.len());
        let n = batch.len() as f64;
        let (_, gradient) =
            shards::gradients(&weights.unet, Mode::Eval, noised.split(size), |pass, b: Noised| {
                let share = b.t.len() as f64 / n;
                let context = contexts(network, weights, &b.ids);
                let nothing = contexts(network, weights, &nothing(network, b.t.len()));
                let guided = predict(network, pass, b.z, &b.t, [context, nothing], SCORE_GUIDANCE);
                mse(guided, b.target) * share
            });
        pace.step(&gradient[0]).await?;
        sum.add(gradient, i + 1 == batches)?;
        monitor.advance(batch.len()).await?;
    }
    let layout = network.unet_layout.clone();
    let ranking = sum.ranking(layout, Estimator::AbsSumGrad, forget).await?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(Ranking { n_forget: items.len(), seconds, ..ranking })
}

fn nothing(network: &LatentNetwork, n: usize) -> Vec<Vec<u32>> {
    vec![network.tokenizer.encode("").ids; n]
}

/// The frozen text encoder's vectors of prompts.
pub fn contexts(network: &LatentNetwork, weights: &LatentWeights, ids: &[Vec<u32>]) -> Tensor<3> {
    network.text.forward(&Pass::new(&weights.text, Mode::Eval), ids)
}

/// A 1 for every weight of the cross-attention layers.
pub fn cross_attention(layout: &WeightLayout) -> Vec<u8> {
    let reads = |e: &WeightEntry| vec![u8::from(is_cross_attention(&e.name)); e.n()];
    layout.params.iter().flat_map(reads).collect()
}

/// The numbers of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PromptPlan {
    pub method: PromptMethod,
    pub steps: usize,
    pub batch: usize,
    pub lr: f64,
    /// Weight of the retain loss, which [`PromptMethod::Finetune`] has alone.
    pub alpha: f64,
    /// Share of weights that [`PromptMethod::Soft`] takes back at first.
    pub share: f64,
    /// Whether the other prompt's answer is the original's: the current model's may drift away.
    pub anchor: bool,
    /// How far [`PromptMethod::Esd`] pushes away from the prompt.
    pub eta: f64,
    /// [`Freeze::drift`].
    pub drift: bool,
    pub seed: u64,
}

/// A run under way; only the U-Net learns.
pub struct PromptUnlearner<'a> {
    noising: Noising<'a>,
    forget: &'a Items,
    retain: &'a Items,
    plan: PromptPlan,
    pub weights: LatentWeights,
    original: Weights,
    optimizer: Optimizer,
    pub step: usize,
}

impl<'a> PromptUnlearner<'a> {
    /// A run from these weights; only weights with a 1 in `free` ever change.
    pub fn new(
        noising: Noising<'a>,
        [forget, retain]: [&'a Items; 2],
        plan: PromptPlan,
        weights: LatentWeights,
        free: Option<&[u8]>,
    ) -> Self {
        let layout = &noising.network.unet_layout;
        let freeze =
            free.map(|bits| Freeze::new(bits, layout, &weights.unet, &weights.unet, plan.drift));
        Self {
            original: weights.unet.clone(),
            optimizer: Optimizer::new(Rule::ADAM, freeze),
            step: 0,
            noising,
            forget,
            retain,
            plan,
            weights,
        }
    }

    /// Whether there is nothing more to do.
    pub fn finished(&self) -> bool {
        !self.plan.method.trains() || self.step >= self.plan.steps
    }

    /// What follows an update: for [`PromptMethod::Soft`] the proximal step towards the original.
    ///
    /// # Errors
    /// The device failed, or a weight is not a finite number.
    pub async fn settle(&mut self) -> Result<()> {
        let PromptPlan { method, steps, share, .. } = self.plan;
        let k = put_back(share, self.step, steps, self.original.layout.n());
        if method == PromptMethod::Soft && k > 0 {
            let unet = &mut self.weights.unet;
            unet.params = shrunk(&unet.params, &self.original.params, k).await?;
            self.optimizer.hold(unet);
        }
        Ok(())
    }

    /// Solves for the keys and values that make the forget set's captions read as what they are
    /// sent to, for [`PromptMethod::Uce`].
    ///
    /// # Errors
    /// The captions are too alike, or the device failed.
    pub async fn solve(&mut self) -> Result<()> {
        let mut rng = rng::seeded(self.plan.seed, "prompt solve");
        let network = self.noising.network;
        let mut vectors = [(); 3].map(|()| Vectors::default());
        for (items, kept) in [(self.forget, false), (self.retain, true)] {
            let all: Vec<usize> = (0..items.len().min(SOLVED)).collect();
            let b = self.noising.batch(items, &all, &mut rng);
            let pairs = match kept {
                false => vec![(0, &b.ids), (1, &b.redirected)],
                true => vec![(2, &b.ids)],
            };
            for (i, ids) in pairs {
                let context = contexts(network, &self.weights, ids);
                let [n, tokens, width] = context.dims();
                // The start token is the same in every prompt.
                let rest = context.slice([0..n, 1..tokens, 0..width]);
                vectors[i] = Vectors { width, values: read(rest).await? };
            }
        }
        let mut unet = self.weights.unet.download().await?;
        let [from, to, keep] = &vectors;
        uce::edit(&mut unet, [from, to, keep])?;
        self.weights.unet = unet.upload(self.noising.device);
        self.optimizer.hold(&mut self.weights.unet);
        Ok(())
    }

    /// One update; returns the loss as a tensor so that a GPU need not be waited for.
    pub fn update(&mut self) -> Result<Tensor<1>> {
        let PromptPlan { method, batch, alpha, .. } = self.plan;
        let mut rng = rng::seeded(self.plan.seed, &format!("prompt step {}", self.step));
        let draw = |items: &Items, rng: &mut rng::Rng| -> Vec<usize> {
            use rand::RngExt;
            (0..batch).map(|_| rng.random_range(0..items.len())).collect()
        };
        let mut total: Option<(Tensor<1>, Vec<Tensor<1>>)> = None;
        let mut add = |(loss, gradients): (Tensor<1>, Vec<Tensor<1>>)| {
            total = Some(match total.take() {
                Some((l, g)) => (l + loss, plus(g, gradients)),
                None => (loss, gradients),
            });
        };
        if method != PromptMethod::Finetune {
            let indices = draw(self.forget, &mut rng);
            let noised = self.noising.batch(self.forget, &indices, &mut rng);
            add(self.gradients(noised, |this, pass, b| this.forget_loss(pass, b)));
        }
        if alpha > 0.0 {
            let indices = draw(self.retain, &mut rng);
            let noised = self.noising.batch(self.retain, &indices, &mut rng);
            add(self.gradients(noised, |this, pass, b| {
                let context = contexts(this.noising.network, &this.weights, &b.ids);
                mse(this.noising.network.unet.forward(pass, b.z, &b.t, &context), b.target) * alpha
            }));
        }
        let (loss, gradients) = total.expect("every method has a loss");
        self.optimizer.step(&mut self.weights.unet, gradients, self.plan.lr)?;
        self.step += 1;
        Ok(loss)
    }

    fn gradients(
        &self,
        noised: Noised,
        loss: impl Fn(&Self, &Pass, Noised) -> Tensor<1> + Sync,
    ) -> (Tensor<1>, Vec<Tensor<1>>)
    where
        Self: Sync,
    {
        let n = noised.t.len();
        let size = shards::size(&self.weights.unet, n);
        shards::gradients(&self.weights.unet, Mode::TRAIN, noised.split(size), |pass, b| {
            let share = b.t.len() as f64 / n as f64;
            loss(self, pass, b) * share
        })
    }

    fn forget_loss(&self, pass: &Pass, b: Noised) -> Tensor<1> {
        let (network, unet) = (self.noising.network, &self.noising.network.unet);
        let context = contexts(network, &self.weights, &b.ids);
        let out = unet.forward(pass, b.z.clone(), &b.t, &context);
        match self.plan.method {
            PromptMethod::Ascend => -mse(out, b.target),
            PromptMethod::Esd => {
                let original = Pass::new(&self.original, Mode::Eval);
                let null = contexts(network, &self.weights, &nothing(network, b.t.len()));
                let of_prompt = unet.forward(&original, b.z.clone(), &b.t, &context);
                let of_nothing = unet.forward(&original, b.z, &b.t, &null);
                let away = of_nothing.clone() - (of_prompt - of_nothing) * self.plan.eta;
                mse(out, away)
            }
            _ => {
                // The answer to the other prompt, for the same latent, time and noise; nothing is
                // learnt through it.
                let of = if self.plan.anchor { &self.original } else { &self.weights.unet };
                let current = Pass::new(of, Mode::Eval);
                let other = contexts(network, &self.weights, &b.redirected);
                mse(out, unet.forward(&current, b.z, &b.t, &other))
            }
        }
    }
}

#[cfg(test)]
mod tests;
