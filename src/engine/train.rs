//! The training job.

use std::{collections::BTreeMap, sync::Arc};

use burn::tensor::Device;
use web_time::{Duration, Instant};

use super::safe::Safe;
use super::{Client, Event, GpuLossCheck, LiveStep, LossParts, Work};
use crate::data;
use crate::data::{Dataset, ForgetSet};
use crate::error::{Error, Result};
use crate::eval::classify::percent;
use crate::eval::{Evaluator, Shown, emoji_judge};
use crate::models::latent::LatentModel;
use crate::models::{AnyModel, Card, HostWeights, Model, Network, Training, Weights};
use crate::train::trainer::finite;
use crate::train::{Preset, Snapshot, TrainPlan, TrainRequest, Trainer, latent};
use crate::words::SampleOptions;

/// The split that the shipped models share.
const SPLIT_SEED: u64 = 1;
/// How often a run's state is handed out for safe-keeping.
const SAFE: Duration = Duration::from_secs(30);
/// Updates between two looks at the loss.
const LOOK: usize = 20;

impl Work<'_> {
    /// Trains a model from data; it carries its card.
    ///
    /// # Errors
    /// What is wrong with the request; cancelled, training diverged, or the device failed.
    pub async fn train(
        &mut self,
        request: TrainRequest,
        resume: Option<Box<Snapshot>>,
    ) -> Result<AnyModel> {
        Ok(match request.preset.as_str() {
            latent::preset::NAME => {
                AnyModel::Latent(self.train_prompts(request, resume).await?.into())
            }
            // Small: in one go, and its state is not kept.
            emoji_judge::NAME => {
                let corpus = data::corpus::find(&request.data)?;
                let steps = request.steps.unwrap_or(emoji_judge::STEPS);
                let device = &self.session.device;
                let judge = emoji_judge::train(&corpus, steps, request.seed, device, self.job);
                let mut judge = judge.await?;
                judge.card.device = self.session.info.label();
                AnyModel::Plain(judge.into())
            }
            _ => AnyModel::Plain(self.train_classes(request, resume).await?.into()),
        })
    }

    /// Trains a preset; the result is measured.
    async fn train_classes(
        &mut self,
        request: TrainRequest,
        resume: Option<Box<Snapshot>>,
    ) -> Result<Model> {
        let preset = Preset::find(&request.preset)?;
        let data = data::open(&request.data)?;
        let architecture = preset.architecture(&data, request.width)?;
        let split = data.split(SPLIT_SEED);
        let without = match &request.without {
            Some(spec) => Some(ForgetSet::parse(spec, &data, &split, request.seed)?),
            None => None,
        };
        let items = without.as_ref().map_or(&split.train, |set| &set.retain).clone();
        let plan = plan(preset, &request, &data, items.len())?;
        let (network, layout) = architecture.build();
        let network = Arc::new(network);
        let start = match &request.from {
            None => layout.init(plan.seed),
            Some(name) => {
                let model = self.session.model(name)?;
                if model.card.architecture != architecture {
                    let reason = format!("is not a {} of this shape and data", preset.name);
                    return Err(Error::file(name, reason));
                }
                HostWeights { layout, ..model.weights.clone() }
            }
        };
        let from = request.from.as_ref().map(|name| format!("{name} {}", start.hash()));
        let begin = |device: &Device| {
            let (network, start, items) = (network.clone(), start.clone(), items.clone());
            let mut trainer =
                Trainer::of_classes(network, start, data.clone(), items, plan, device);
            resume.iter().try_for_each(|snapshot| trainer.resume(snapshot))?;
            Ok::<_, Error>(trainer)
        };
        let mut trainer = begin(&self.session.device)?;
        let mut trial = GpuLossCheck::default();
        let (left, n) = (plan.steps.saturating_sub(trainer.step), start.layout.n());
        if GpuLossCheck::wanted(&self.session.info, left, n) {
            let mut twin = begin(&Device::flex())?;
            trial = GpuLossCheck::run(left, self.job, async |_| twin.step()).await?;
        }
        let phase = format!("Training {}", preset.name);
        self.drive(&mut trainer, phase, trial, None).await?;
        let weights = trainer.learners[0].result().await?;
        weights.check(&start)?;
        let name = match &without {
            Some(set) => format!("{} without {}", preset.name, set.spec),
            None => preset.name.to_string(),
        };
        let mut model = Model {
            card: Card {
                fingerprint: data.fingerprint.clone(),
                split_seed: SPLIT_SEED,
                training: Some(Training { from, ..plan.done(trainer.seconds[0]) }),
                device: self.session.info.label(),
                version: env!("CARGO_PKG_VERSION").into(),
                without: without.map(|set| set.spec),
                ..Card::new(&name, architecture, &request.data, data.classes.clone())
            },
            network,
            weights,
        };
        model.card.metrics = self.card_metrics(&model, &data).await?;
        Ok(model)
    }

    /// Final metrics: test accuracy, or the share of samples that show the asked-for class.
    async fn card_metrics(
        &mut self,
        model: &Model,
        data: &Dataset,
    ) -> Result<BTreeMap<String, f64>> {
        let weights: Weights = model.weights.upload(&self.session.device);
        let mut metrics = BTreeMap::new();
        match &*model.network {
            Network::Classifier(net) => {
                // A class that was left out is not asked for.
                let out = model.card.without.as_ref().and_then(|w| w.strip_prefix("class:"));
                let out = out.map(|name| data.class(name)).transpose()?;
                let all: Vec<usize> = (0..data.test.len())
                    .filter(|&i| Some(data.test.labels[i] as usize) != out)
                    .collect();
                self.job.phase("Evaluating", all.len());
                let asked = Evaluator { net: &**net, weights: &weights };
                metrics
                    .insert("TA".into(), asked.accuracy(Shown(&data.test, &all), self.job).await?);
                metrics.insert("TA_n".into(), all.len() as f64);
            }
            Network::Unet(net)
                if self
                    .session
                    .judge(&model.card, &model.card.data, net.config.channels)?
                    .is_some() =>
            {
                const EACH: usize = 20;
                let options = SampleOptions::default();
                self.job.phase("Evaluating", net.config.classes * EACH * options.steps);
                let rows = (0..net.config.classes).map(Some).collect();
                let grid = self.samples(model, &weights, rows, EACH, &options).await?;
                let seen = grid.seen.iter().enumerate();
                let hits = seen.map(|(i, seen)| seen.map(|(c, _)| c) == grid.rows[i / EACH]);
                metrics.insert("class_share".into(), percent(hits));
                metrics.insert("class_share_n".into(), (net.config.classes * EACH) as f64);
            }
            Network::Unet(_) => {}
        }
        Ok(metrics)
    }

    /// Drives a run, or a stage of one, to its end, and hands its state out now and then; with it the
    /// text-to-image model so far, of which the stages before made `model`.
    ///
    /// # Errors
    /// Cancelled, training diverged, or the device failed.
    pub async fn drive(
        &mut self,
        trainer: &mut Trainer,
        phase: String,
        mut trial: GpuLossCheck,
        model: Option<&LatentModel>,
    ) -> Result<()> {
        let Client { id, send } = self.on;
        let keep = async |trainer: &Trainer| {
            let model = match model {
                Some(model) => Some(Arc::new(latent::result(model, trainer).await?)),
                None => None,
            };
            let snapshot = Arc::new(trainer.snapshot().await?);
            send(Event::Snapshot { id, snapshot, model });
            Ok::<_, Error>(())
        };
        let (steps, place) = (trainer.plan.steps, trainer.seconds.len() - 1);
        let (before, started) = (trainer.seconds[place], Instant::now());
        // A whole model is written beside the state.
        let mut safe = Safe::new(if model.is_some() { 2 * SAFE } else { SAFE });
        self.job.resume_phase(phase, steps, trainer.step);
        while trainer.step < steps {
            let loss = trainer.step()?;
            trainer.seconds[place] = before + started.elapsed().as_secs_f64();
            let looks = trainer.step.is_multiple_of(LOOK) || trainer.step == steps;
            if trial.goes_on() || looks {
                let loss = finite(loss).await?;
                trial.check(loss)?;
                let (step, parts) = (trainer.step, LossParts::default());
                let live = LiveStep { step, steps, loss, parts, grid: None, glimpse: None };
                send(Event::Step { id, live });
            }
            let stop = self.job.advance(1).await;
            if safe.due() || stop.is_err() {
                keep(trainer).await?;
                safe.kept();
            }
            stop?;
        }
        if safe.behind() {
            keep(trainer).await?;
        }
        Ok(())
    }
}

fn plan(
    preset: &Preset,
    request: &TrainRequest,
    data: &Dataset,
    items: usize,
) -> Result<TrainPlan> {
    let positive = |name: &'static str, value: Option<usize>| match value {
        Some(0) => Err(Error::argument(name, 0, "at least 1 is needed")),
        other => Ok(other),
    };
    let batch = positive("batch", request.batch)?.unwrap_or_else(|| preset.batch_for(items));
    let batch = batch.min(4096);
    let per_epoch = items.div_ceil(batch);
    let usual = || preset.epochs_for(items, per_epoch);
    let epochs = positive("epochs", request.epochs)?.unwrap_or_else(usual);
    let steps = positive("steps", request.steps)?.unwrap_or(epochs * per_epoch);
    let lr = request.lr.unwrap_or_else(|| preset.lr_for(request.batch, batch));
    if !(lr.is_finite() && lr > 0.0) {
        return Err(Error::argument("lr", lr, "a number above 0 is needed"));
    }
    let augment = request.augment.unwrap_or_else(|| preset.augment(data));
    let &Preset { rule, schedule, .. } = preset;
    let ema = preset.ema_for(steps);
    Ok(TrainPlan { steps, batch, rule, lr, schedule, ema, augment, seed: request.seed })
}
