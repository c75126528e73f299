//! What is timed: the same work that `tests/peers/bench.py` does in PyTorch.

use std::{
    io::{BufRead, Write},
    sync::Arc,
    time::Instant,
};

use clap::ValueEnum;
use pollster::block_on;

use super::{Common, memory, stable};
use salun_studio::data;
use salun_studio::data::ForgetSet;
use salun_studio::error::{Error, Result};
use salun_studio::gpu::device;
use salun_studio::gpu::kernels::Kernels;
use salun_studio::job_context::JobContext;
use salun_studio::models::{Architecture, Init, Model, ResnetConfig, WeightLayout, registry};
use salun_studio::saliency::Scores;
use salun_studio::sampling::Wanted;
use salun_studio::sampling::sampler::sample;
use salun_studio::subject::Subject;
use salun_studio::train::trainer::finite;
use salun_studio::unlearn::{Plan, Scope, Unlearner};
use salun_studio::words::{Recipe, SampleOptions};

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    #[value(name = "mask-11m")]
    Mask11M,
    #[value(name = "mask-100m")]
    Mask100M,
    #[value(name = "threshold-11m")]
    Threshold11M,
    #[value(name = "salun-step-16")]
    Step16,
    #[value(name = "salun-step-64")]
    Step64,
    #[value(name = "ddpm-step")]
    DdpmStep,
    #[value(name = "sample-50")]
    Sample50,
    #[value(name = "stable-draw")]
    StableDraw,
    #[value(name = "stable-mask")]
    StableMask,
    #[value(name = "stable-updates")]
    StableUpdates,
}

/// The folder of a given model, and how much is done with it.
type OfModel<'a> = (Option<&'a str>, stable::Sizes);

/// What is timed once.
pub type Round = Box<dyn FnMut() -> Result<()>>;

/// Sizes that both sides use.
const BATCH: usize = 128;
const BATCH_DDPM: usize = 32;
const PICTURES: usize = 20;

impl Workload {
    /// The name on the command line and in the peer's script.
    pub fn name(self) -> String {
        self.to_possible_value().map_or(String::new(), |v| v.get_name().to_string())
    }

    /// What is done, for a person.
    pub fn title(self) -> &'static str {
        match self {
            Self::Mask11M | Self::Mask100M => "saliency mask from a gradient",
            Self::Threshold11M => "the density dragged by one step",
            Self::Step16 | Self::Step64 => "SalUn step of a classifier",
            Self::DdpmStep => "SalUn step of the diffusion model",
            Self::Sample50 => "guided sampling, 50 steps",
            Self::StableDraw => "a picture of a prompt",
            Self::StableMask => "saliency mask of a prompt",
            Self::StableUpdates => "SalUn updates of a prompt",
        }
    }

    /// How much of it.
    pub fn size(self, sizes: stable::Sizes) -> String {
        match self {
            Self::Mask11M | Self::Threshold11M => "11,173,962 weights".into(),
            Self::Mask100M => "100,000,000 weights".into(),
            Self::Step16 => format!("ResNet-18 width 16, batch {BATCH}"),
            Self::Step64 => format!("ResNet-18 width 64, batch {BATCH}"),
            Self::DdpmStep => format!("721,889 weights, batch {BATCH_DDPM} + {BATCH_DDPM}"),
            Self::Sample50 => format!("721,889 weights, {PICTURES} pictures"),
            Self::StableDraw => format!("{} guided steps", stable::STEPS),
            Self::StableMask => format!("{} latents, guided, density 0.5", sizes.latents),
            Self::StableUpdates => format!("{} updates, batch 1 + 1", sizes.updates),
        }
    }

    /// What the rival does.
    pub fn rival(self) -> &'static str {
        match self {
            Self::Mask11M | Self::Mask100M | Self::Threshold11M => "PyTorch, double argsort",
            Self::StableDraw | Self::StableMask | Self::StableUpdates => "PyTorch and diffusers",
            _ => "PyTorch",
        }
    }

    /// Whether it is done with a text-to-image model that is given.
    pub fn is_of_model(self) -> bool {
        matches!(self, Self::StableDraw | Self::StableMask | Self::StableUpdates)
    }

    /// Everything that comes before the clock starts.
    fn prepare(self, (model, sizes): OfModel, common: &Common) -> Result<Round> {
        let model =
            || model.ok_or_else(|| Error::argument("work", self.name(), "give --model DIR"));
        match self {
            Self::Mask11M => mask(resnet18(), common),
            Self::Threshold11M => threshold(resnet18()),
            Self::Mask100M => {
                let mut layout = WeightLayout::default();
                layout.param("weight".into(), &[10_000, 10_000], Init::Constant(0.0));
                mask(Arc::new(layout), common)
            }
            Self::Step16 => steps(classifier(16)?, BATCH, common),
            Self::Step64 => steps(classifier(64)?, BATCH, common),
            Self::DdpmStep => steps(registry::open("fashion-ddpm")?, BATCH_DDPM, common),
            Self::Sample50 => samples(common),
            Self::StableDraw => stable::draw(model()?, common),
            Self::StableMask => stable::mask(model()?, sizes.latents, common),
            Self::StableUpdates => stable::updates(model()?, sizes.updates, common),
        }
    }

    /// The other end of [`super::worker::Worker`]: answers each line "go" with the seconds of one
    /// round, and the end of input with the memory in MiB that the rounds took beyond the start; of a given model all
    /// that the process held at its height.
    pub fn serve(self, of: OfModel, common: &Common) -> Result<()> {
        let mut round = self.prepare(of, common)?;
        let lost = |e: std::io::Error| Error::Request(format!("the bench went away: {e}"));
        let say = |line: String| {
            let mut out = std::io::stdout();
            writeln!(out, "{line}").and_then(|()| out.flush()).map_err(lost)
        };
        let start = if self.is_of_model() { Some(0.0) } else { memory::restart() };
        say("ready".into())?;
        for line in std::io::stdin().lock().lines() {
            line.map_err(lost)?;
            let clock = Instant::now();
            round()?;
            say(clock.elapsed().as_secs_f64().to_string())?;
        }
        let extra = memory::peak().zip(start).map(|(peak, start)| peak - start);
        say(extra.map_or("unknown".into(), |mib| mib.to_string()))
    }
}

/// From the signed gradient sum to the mask, both in memory: the device's, as the rival's.
fn mask(layout: Arc<WeightLayout>, common: &Common) -> Result<Round> {
    if let Some(kernels) = Kernels::of(&device::open(common.device)?.device) {
        let random = Scores::random(layout, "class:Sneaker", 1).scores;
        let bits: Vec<u32> = random.iter().map(|s| (s - 0.5).to_bits()).collect();
        let gradient = kernels.upload(&bits);
        return Ok(Box::new(move || {
            let scores = kernels.zeros(gradient.n);
            kernels.accumulate(&scores, &gradient, true);
            block_on(kernels.top_k(&scores, gradient.n / 2)).map(drop)
        }));
    }
    let mut ranking = Scores::random(layout, "class:Sneaker", 1);
    let gradient: Vec<f32> = ranking.scores.iter().map(|s| s - 0.5).collect();
    Ok(Box::new(move || {
        ranking.scores.iter_mut().zip(&gradient).for_each(|(s, g)| *s = g.abs());
        std::hint::black_box(ranking.mask(0.5)?);
        Ok(())
    }))
}

/// What the studio's bars and counts ask for while the threshold is dragged.
fn threshold(layout: Arc<WeightLayout>) -> Result<Round> {
    let ranking = Scores::random(layout, "class:Sneaker", 1);
    let mut density = 0.5;
    Ok(Box::new(move || {
        density *= 0.99;
        std::hint::black_box(ranking.live.keep(ranking.k(density)?));
        Ok(())
    }))
}

/// The official code's ResNet-18 for CIFAR-10.
pub fn resnet18() -> Arc<WeightLayout> {
    let (width, channels, classes) = (64, 3, 10);
    let (mean, std) = (vec![0.5; 3], vec![0.5; 3]);
    let config = ResnetConfig { width, channels, classes, mean, std };
    Architecture::Resnet(config).build().1
}

/// The shipped classifier with another width and fresh weights.
fn classifier(width: usize) -> Result<Model> {
    let mut card = registry::open("fashion-classifier")?.card;
    if let Architecture::Resnet(config) = &mut card.architecture {
        config.width = width;
    }
    let (network, layout) = card.architecture.build();
    Ok(Model { card, network: Arc::new(network), weights: layout.init(1) })
}

/// Updates of an unlearning run under a mask of half the weights.
fn steps(model: Model, batch: usize, common: &Common) -> Result<Round> {
    let device = device::open(common.device)?.device;
    let data = data::open("fashion-mnist")?;
    let recipe = Recipe {
        batch: Some(batch),
        ..Recipe::new("fashion-classifier", "fashion-mnist", "class:Sneaker")
    };
    let split = data.split(model.card.split_seed);
    let set = ForgetSet::parse(&recipe.forget, &data, &split, recipe.seed)?;
    let architecture = &model.card.architecture;
    let scope = Scope::of_classes(architecture, &data, &set, &recipe.redirect)?;
    let mut plan = Plan::new(&recipe, scope)?;
    plan.steps = usize::MAX;
    let layout = model.weights.layout.clone();
    let mask = Scores::random(layout, &set.spec, 1).mask(0.5)?;
    let mut job = JobContext::silent();
    let subject = Subject::of_classes(&model, data, plan.redirect.clone(), &device);
    let original = model.weights.upload(&device);
    let begin = Unlearner::begin(subject, original, plan, Some(&mask.bits), &mut job);
    let mut unlearner = block_on(begin)?;
    Ok(Box::new(move || {
        block_on(async { finite(unlearner.step(&mut job).await?.whole).await }).map(drop)
    }))
}

/// Guided DDIM sampling from one noise for every class twice.
fn samples(common: &Common) -> Result<Round> {
    let device = device::open(common.device)?.device;
    let model = registry::open("fashion-ddpm")?;
    let weights = model.weights.upload(&device);
    let options = SampleOptions { steps: 50, guidance: 2.0, ..SampleOptions::default() };
    let wanted: Vec<_> =
        (0..PICTURES).map(|i| Wanted { condition: Some(i % 10), noise: i as u64 / 10 }).collect();
    Ok(Box::new(move || {
        let Some(unet) = model.unet() else { return Ok(()) };
        let mut job = JobContext::silent();
        block_on(sample(unet, &weights, &wanted, &options, &mut job)).map(drop)
    }))
}
