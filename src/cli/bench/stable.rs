//! A text-to-image model's picture, mask and updates, beside `tests/peers/stable.py`.

use pollster::block_on;

use super::work::Round;
use super::{Common, args, device};
use salun_studio::data::corpus;
use salun_studio::data::corpus::Target;
use salun_studio::error::Result;
use salun_studio::job_context::JobContext;
use salun_studio::models::{HostWeights, Weights, registry};
use salun_studio::saliency::{Scores, Scoring, rank};
use salun_studio::sampling::{LatentWeights, Wanted};
use salun_studio::subject::{Items, Noising, Prompts, Subject};
use salun_studio::train::trainer::finite;
use salun_studio::unlearn::{Plan, Scope, Unlearner};
use salun_studio::words::{Estimator, Recipe, SampleOptions};

/// Sizes that both sides use.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Sizes {
    /// Latents that are scored, with --model
    #[arg(long, value_name = "N", default_value = "32", requires = "model", value_parser = args::whole("latents", 1..=100_000), allow_negative_numbers = true)]
    pub latents: usize,
    /// Updates that are timed together, with --model
    #[arg(long, value_name = "N", default_value = "10", requires = "model", value_parser = args::whole("updates", 1..=100_000), allow_negative_numbers = true)]
    pub updates: usize,
}

impl Sizes {
    /// As the other side's arguments.
    pub fn said(&self) -> [String; 2] {
        [self.latents, self.updates].map(|n| n.to_string())
    }
}

pub const STEPS: usize = 2;
const FORGET: &str = "prompt:cat";
/// Pictures of each set that are encoded, before the clock starts.
const ENCODED: usize = 2;

/// A model with latents of pictures to forget and to keep.
struct Stable {
    /// Of the U-Net.
    original: HostWeights,
    weights: Weights,
    recipe: Recipe,
    subject: Subject,
}

impl Stable {
    fn open(folder: &str, common: &Common) -> Result<Self> {
        let device = device::open(common.device)?.device;
        let model = registry::open_latent(folder)?;
        let weights = LatentWeights::upload(&model, &device);
        let recipe = Recipe { batch: Some(1), ..Recipe::new(folder, "emoji", FORGET) };
        let corpus = corpus::find(&recipe.data)?;
        let known = model.known(&corpus);
        let target = Target::parse(FORGET, &recipe.redirect, &corpus, known)?;
        let (network, schedule) = (model.network.clone(), model.network.scheduler.schedule());
        let noising = Noising { network, corpus: corpus.clone(), target, schedule, device };
        let mut job = JobContext::silent();
        let mut sets = Vec::new();
        for (pairs, purpose) in noising.pairs(known)?.iter().zip(["forget", "retain"]) {
            let of = Items::of_pairs(&weights, &corpus, pairs, ENCODED, (1, purpose), &mut job);
            sets.push(block_on(of)?);
        }
        let sets: [Items; 2] = std::array::from_fn(|_| sets.remove(0));
        let LatentWeights { text, unet, .. } = weights;
        let subject = Subject::Diffusion(Box::new(Prompts { noising, text, sets: sets.into() }));
        Ok(Self { original: model.unet, weights: unet, recipe, subject })
    }
}

/// A picture, with guidance.
pub fn draw(folder: &str, common: &Common) -> Result<Round> {
    let model = registry::open_latent(folder)?;
    let weights = LatentWeights::upload(&model, &device::open(common.device)?.device);
    let options = SampleOptions { steps: STEPS, guidance: 7.5, ..SampleOptions::default() };
    let wanted = [Wanted { condition: "a cat".to_string(), noise: 0 }];
    let mut job = JobContext::silent();
    Ok(Box::new(move || block_on(weights.sample(&wanted, &options, None, &mut job)).map(drop)))
}

/// Scores of every weight over the latents, and the mask of half of them.
pub fn mask(folder: &str, latents: usize, common: &Common) -> Result<Round> {
    let Stable { original, weights, subject, .. } = Stable::open(folder, common)?;
    let items: Vec<usize> = (0..latents).map(|i| i % ENCODED).collect();
    let mut job = JobContext::silent();
    Ok(Box::new(move || {
        let of = Scoring {
            subject: &subject,
            original: &original,
            weights: &weights,
            forget: FORGET,
            items: &items,
            retain: &[],
            seed: 1,
        };
        let scores = block_on(rank(Estimator::AbsSumGrad, &of, &mut job, None))?;
        std::hint::black_box(scores.mask(0.5)?);
        Ok(())
    }))
}

/// Updates under a mask of half the weights.
pub fn updates(folder: &str, n: usize, common: &Common) -> Result<Round> {
    let Stable { original, weights, recipe, subject } = Stable::open(folder, common)?;
    let mut plan = Plan::new(&recipe, Scope::of_prompts([ENCODED; 2]))?;
    plan.steps = usize::MAX;
    let mask = Scores::random(original.layout, FORGET, 1).mask(0.5)?;
    let mut job = JobContext::silent();
    let begin = Unlearner::begin(subject, weights, plan, Some(&mask.bits), &mut job);
    let mut unlearner = block_on(begin)?;
    Ok(Box::new(move || {
        for _ in 0..n {
            block_on(async { finite(unlearner.step(&mut job).await?.whole).await })?;
        }
        Ok(())
    }))
}
