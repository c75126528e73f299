//! The job of forgetting a prompt: encode, score, cut the mask, measure, train, measure, judge.

use std::sync::Arc;

use web_time::Instant;

use super::{
    Send,
    job::{Event, Grid, Live, LogLine, PromptRun},
    session::Session,
};
use crate::{
    data::emoji::{self, target::Target},
    diffusion::{
        latent::{Asked, LatentWeights, sample},
        sampler::SampleOptions,
    },
    error::{Error, Result},
    eval::{
        emoji::{EmojiJudge, Seen},
        prompts::{Measure, Row, metrics, pane},
        verdict::{Evidence, verdict},
    },
    models::{
        Task,
        latent::{self, LatentModel},
    },
    monitor::Monitor,
    run::{
        budget::Budget,
        recipe::Recipe,
        report::{DeviceReport, Forgotten, Metrics, Report, Seconds, TrainingReport},
    },
    saliency::{change::Change, estimator::Estimator, ranking::Ranking},
    train::trainer::finite,
    unlearn::prompt::{
        PromptMethod, PromptPlan, PromptUnlearner,
        items::{Items, Noising},
        score, within,
    },
};

/// What a budget sets for prompts.
struct Sizes {
    /// Latents of the forget set and of the retain set.
    items: [usize; 2],
    steps: usize,
    batch: usize,
    lr: f64,
    /// Measured prompts, forgotten and kept.
    measured: [usize; 2],
    /// Pictures of each prompt of the pane.
    columns: usize,
    sampler: usize,
}

fn sizes(budget: Budget) -> Sizes {
    let quick = Sizes {
        items: [192, 256],
        steps: 150,
        batch: 16,
        lr: 2e-4,
        measured: [48, 96],
        columns: 4,
        sampler: 20,
    };
    match budget {
        Budget::Tiny => Sizes {
            items: [16, 16],
            steps: 10,
            batch: 8,
            measured: [6, 6],
            columns: 2,
            sampler: 8,
            ..quick
        },
        Budget::Quick => quick,
        Budget::Full => Sizes {
            items: [1024, 2048],
            steps: 1000,
            lr: 1e-4,
            measured: [200, 400],
            sampler: 50,
            ..quick
        },
    }
}

/// Pictures that are sampled at a time.
const BATCH: usize = 32;
/// Guidance of the samples that are shown and measured.
const GUIDANCE: f32 = 2.0;
/// Weight of the retain loss (the official code's README).
const ALPHA: f64 = 0.5;

impl Session {
    /// Runs a recipe that forgets a prompt.
    pub async fn unlearn_prompt(
        &mut self,
        id: u64,
        recipe: Recipe,
        send: &Send,
        monitor: &mut Monitor,
    ) -> Result<PromptRun> {
        recipe.check()?;
        let method = PromptMethod::find(&recipe.method)?;
        let estimator = match (recipe.mask, recipe.method.as_str()) {
            (Some(given), _) => given,
            (None, "salun") => Estimator::AbsSumGrad,
            (None, _) => Estimator::None,
        };
        let known = [Estimator::AbsSumGrad, Estimator::Random, Estimator::None];
        if !known.contains(&estimator) {
            let names = known.map(Estimator::name);
            return Err(Error::unknown("mask for prompts", estimator.name(), names));
        }
        let emoji = emoji::find(&recipe.data)?;
        let target = Target::parse(&recipe.forget, &recipe.redirect.to_string(), &emoji)?;
        let model = Arc::new(latent::open(&recipe.model)?);
        let judge = self.emoji_judge(&recipe.model)?;
        let judge = EmojiJudge::new(&judge, &emoji, &self.device)?;
        let device = self.device.clone();
        let network = &model.network;
        let known = model.card.as_ref().map_or(0, |c| c.concepts.len());
        let known = if known == 0 { emoji.index.concepts.len() } else { known };
        let size = sizes(recipe.budget);
        let options = recipe.sampling.unwrap_or(SampleOptions {
            steps: size.sampler,
            guidance: GUIDANCE,
            seed: recipe.seed,
            ..SampleOptions::default()
        });
        let schedule = network.scheduler.schedule();
        let noising = || Noising {
            network,
            emoji: &emoji,
            target: &target,
            schedule: &schedule,
            device: &device,
        };
        let pairs = noising().pairs(known)?;
        let weights = LatentWeights::upload(&model, &device);

        let clock = Instant::now();
        monitor.phase("Encoding pictures", size.items.iter().sum());
        let of = async |pairs: &[_], n, purpose, monitor: &mut Monitor| {
            let seed = (recipe.seed, purpose);
            Items::of_pairs(&model, &emoji, pairs, n, seed, &device, monitor).await
        };
        let forget = if pairs[0].is_empty() {
            let n = size.items[0].min(32);
            monitor.phase("Sampling what is to be forgotten", n * options.steps);
            Items::of_prompt(network, &weights, &target.prompt, n, &options, monitor).await?
        } else {
            of(&pairs[0], size.items[0], "forget items", monitor).await?
        };
        let retain = of(&pairs[1], size.items[1], "retain items", monitor).await?;
        let ranking = match estimator {
            Estimator::None => None,
            Estimator::Random => {
                Some(Ranking::random(network.unet_layout.clone(), &recipe.forget, recipe.seed))
            }
            _ => {
                let named = (recipe.forget.as_str(), recipe.seed);
                Some(score(&noising(), &forget, &weights, named, monitor).await?)
            }
        };
        let mask = match &ranking {
            Some(ranking) => Some(ranking.cut(recipe.density).await?),
            None => None,
        };
        let mask_seconds = clock.elapsed().as_secs_f64();

        let clock = Instant::now();
        let rows = pane(&target, &emoji, known);
        let measure = Measure::draw(&target, &pairs, &emoji, size.measured, recipe.seed);
        let look = Look { model: &model, judge: &judge, options, columns: size.columns };
        let before = look.at(&weights, &target, &rows, &measure, monitor).await?;
        let mut evaluate_seconds = clock.elapsed().as_secs_f64();

        let plan = PromptPlan {
            method,
            steps: recipe.steps.unwrap_or(size.steps),
            batch: recipe.batch.unwrap_or(size.batch),
            lr: recipe.lr.unwrap_or(size.lr),
            alpha: recipe.alpha.unwrap_or(ALPHA),
            seed: recipe.seed,
        };
        // ESD trains cross-attention alone, as its authors do for prompts.
        let free = within(mask.clone(), network, method == PromptMethod::Esd);
        let mut unlearner =
            PromptUnlearner::new(noising(), [&forget, &retain], plan, weights, free.as_deref());
        let mut log = Vec::with_capacity(plan.steps);
        let mut unlearn_seconds = 0.0;
        monitor.phase(format!("Forgetting with {}", recipe.method), plan.steps);
        if method == PromptMethod::Uce {
            let clock = Instant::now();
            unlearner.solve().await?;
            unlearn_seconds = clock.elapsed().as_secs_f64();
        }
        while !unlearner.finished() {
            let clock = Instant::now();
            let loss = finite(unlearner.update()).await?;
            unlearn_seconds += clock.elapsed().as_secs_f64();
            let step = unlearner.step;
            log.push(LogLine { step, loss, seconds: unlearn_seconds });
            let live = Live { step, steps: plan.steps, loss, grid: None, metrics: None };
            send(Event::Live { id, live });
            monitor.advance(1).await?;
        }

        let clock = Instant::now();
        let after = look.at(&unlearner.weights, &target, &rows, &measure, monitor).await?;
        evaluate_seconds += clock.elapsed().as_secs_f64();
        let unet = unlearner.weights.unet.download().await?;
        let scored = ranking.as_ref().map_or(0, |r| r.n_forget);
        let report = Report {
            task: Task::TextToImage.name().into(),
            model: recipe.model.clone(),
            data: recipe.data.clone(),
            forget: Forgotten { spec: recipe.forget.clone(), n: forget.len() },
            method: recipe.method.clone(),
            training: TrainingReport {
                steps: log.len(),
                batch: plan.batch,
                lr: plan.lr,
                anneal: false,
                each_epoch: [forget.len(), retain.len()],
                knobs: [("alpha".to_string(), plan.alpha)].into(),
            },
            mask: mask.as_ref().map(|m| m.report(scored, m.frozen_changed(&model.unet, &unet))),
            gap: None,
            verdict: verdict(&Evidence {
                task: Task::TextToImage,
                whole_class: true,
                before: &before.metrics,
                after: &after.metrics,
                retrain: None,
                audit: None,
            }),
            before: before.metrics,
            after: after.metrics,
            earlier: Vec::new(),
            audit: None,
            changed: Vec::new(),
            retrain: None,
            seconds: Seconds {
                mask: mask_seconds,
                unlearn: unlearn_seconds,
                evaluate: evaluate_seconds,
            },
            device: DeviceReport { name: self.info.name.clone(), api: self.info.api.clone() },
            seed: recipe.seed,
            protocol: recipe.protocol(),
            version: env!("CARGO_PKG_VERSION").into(),
        };
        let change = Change::between(&model.unet, &unet);
        let mut card = model.card.clone();
        if let Some(card) = &mut card {
            card.name = format!("{}, {} forgot {}", card.name, recipe.method, recipe.forget);
            card.metrics.clear();
        }
        Ok(PromptRun {
            names: rows.into_iter().map(|r| r.prompt).collect(),
            model: LatentModel { unet, card, ..LatentModel::clone(&model) },
            ranking: ranking.map(Arc::new),
            before: before.grid,
            after: after.grid,
            recipe,
            report,
            mask,
            change,
            log,
        })
    }
}

/// A model's metrics and its pane.
struct Looked {
    metrics: Metrics,
    grid: Arc<Grid>,
}

/// How models are looked at.
struct Look<'a> {
    model: &'a LatentModel,
    judge: &'a EmojiJudge<'a>,
    options: SampleOptions,
    columns: usize,
}

impl Look<'_> {
    async fn at(
        &self,
        weights: &LatentWeights,
        target: &Target,
        rows: &[Row],
        measure: &Measure,
        monitor: &mut Monitor,
    ) -> Result<Looked> {
        let shown: Vec<Asked> = rows
            .iter()
            .flat_map(|r| {
                (0..self.columns).map(|i| Asked { prompt: r.prompt.clone(), noise: i as u64 })
            })
            .collect();
        let measured: Vec<Asked> = measure
            .forgotten
            .iter()
            .chain(&measure.kept)
            .enumerate()
            .map(|(i, r)| Asked { prompt: r.prompt.clone(), noise: 100 + i as u64 })
            .collect();
        monitor.phase("Evaluating", (shown.len() + measured.len()) * self.options.steps);
        let (pixels, seen_in_pane) = self.make(weights, &shown, monitor).await?;
        let (_, seen) = self.make(weights, &measured, monitor).await?;
        let [channels, height, width] = self.model.network.picture_shape();
        // A tile's frame says whether the row's concept, or its style, is seen.
        let by_concept = !target.named.concepts.is_empty();
        let tiles = seen_in_pane.iter().enumerate().map(|(i, s)| {
            let row = i / self.columns;
            let pair = rows[row].pair?;
            let hit = match by_concept {
                true => pair.concept == s.concept.0,
                false => pair.style == s.style.0,
            };
            let certain = if by_concept { s.concept.1 } else { s.style.1 };
            // Rows are their own classes here; a miss is any other one.
            Some((if hit { row } else { usize::MAX }, certain))
        });
        let grid = Grid {
            rows: (0..rows.len()).map(Some).collect(),
            columns: self.columns,
            channels,
            tile: [height, width],
            seen: tiles.collect(),
            pixels,
        };
        Ok(Looked { metrics: metrics(&target.named, measure, &seen), grid: Arc::new(grid) })
    }

    async fn make(
        &self,
        weights: &LatentWeights,
        asked: &[Asked],
        monitor: &mut Monitor,
    ) -> Result<(Vec<u8>, Vec<Seen>)> {
        let (mut pixels, mut seen) = (Vec::new(), Vec::new());
        let network = &self.model.network;
        for batch in asked.chunks(BATCH) {
            let values = sample(network, weights, batch, &self.options, None, monitor).await?;
            seen.extend(self.judge.look(&values, network.picture_shape()[1]).await?);
            pixels.extend(values.iter().map(|v| (v * 255.0).round() as u8));
        }
        Ok((pixels, seen))
    }
}
