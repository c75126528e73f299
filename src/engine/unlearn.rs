//! The job of forgetting, of every kind of model: score, cut the mask, train, measure before and after, judge.

use std::{borrow::Cow, sync::Arc};

use burn::tensor::{Device, Tensor};
use web_time::Instant;

use super::foreseen::{Ahead, PREVIEW};
use super::{Asked, Client, Event, GpuLossCheck, LiveStep, LogLine, LossParts, Request, Run, Work};
use crate::data::Augment;
use crate::error::{Error, Result};
use crate::eval::Evidence;
use crate::eval::verdict::verdict;
use crate::job_context::JobContext;
use crate::models::weights::read;
use crate::models::{WeightLayout, Weights};
use crate::saliency::{Change, Mask, Scores};
use crate::train::LrSchedule;
use crate::train::trainer::number;
use crate::unlearn::{Plan, Unlearner, UpdateLoss};
use crate::words::{
    Estimator, Gap, MaskReport, Recipe, Report, Seconds, TrainingReport, Verdict, VerdictLabel,
};

impl Work<'_> {
    /// Runs a recipe.
    ///
    /// # Errors
    /// What is wrong with it or happened on the way; cancelled.
    pub async fn unlearn(&mut self, recipe: &Recipe) -> Result<Run> {
        let mut request = self.resolve(recipe).await?;
        let own = match request.asked().plan.estimator {
            Estimator::Given => Some(given(recipe, &request.original().layout)?),
            _ => None,
        };
        if let Some(mask) = &own {
            // Its control is as large.
            request.asked_mut().recipe.density = mask.density;
        }
        let given = recipe.given.as_ref().map(|file| self.given(&request, file)).transpose()?;
        self.doubt(&request).await?;
        let clock = Instant::now();
        self.foresee(&request, Ahead::Run);
        self.introduce(&request).await?;
        let looked = clock.elapsed().as_secs_f64();

        let clock = Instant::now();
        self.prepare(&mut request).await?;
        let request = &request;
        let (scores, mask) = self.mask(request, own).await?;
        // Scores from an earlier job cost what they cost then.
        let mask_seconds =
            clock.elapsed().as_secs_f64().max(scores.as_ref().map_or(0.0, |s| s.seconds));

        let ended = match given {
            Some(weights) => Ended::given(weights.upload(&self.session.device)),
            None => self.train_free(request, mask.as_ref()).await?,
        };
        let seconds = Seconds { mask: mask_seconds, unlearn: ended.seconds, evaluate: looked };
        self.judge_run(request, Trained { scores, mask, ended, seconds }).await
    }

    /// Makes all updates of a request; only weights in the mask will change.
    async fn train_free(&mut self, request: &Request, mask: Option<&Mask>) -> Result<Ended> {
        let clock = Instant::now();
        let free = free(request, mask);
        let free = free.as_deref();
        let mut unlearner = begin(request, free, &self.session.device, self.job).await?;
        let plan = &request.asked().plan;
        if plan.few {
            self.job.note(plan.suited());
        }
        let begun = clock.elapsed().as_secs_f64();
        // What the first losses are on the CPU.
        let mut trial = GpuLossCheck::default();
        if GpuLossCheck::wanted(&self.session.info, plan.steps, request.original().layout.n()) {
            let mut twin = begin(request, free, &Device::flex(), self.job).await?;
            let update = async |job: &mut JobContext| Ok(twin.step(job).await?.whole);
            trial = GpuLossCheck::run(plan.steps, self.job, update).await?;
        }
        let (log, seconds) = self.updates(request, &mut unlearner, trial, begun).await?;
        let (augment, weights) = (unlearner.augment(), unlearner.weights());
        Ok(Ended { augment, weights, log, seconds })
    }

    /// Makes all updates of a run whose first losses should be those of `trial`. The log, and the seconds of all
    /// updates after `seconds` before them.
    ///
    /// # Errors
    /// Cancelled, the device failed, a loss is not a number or not the CPU's.
    pub async fn updates(
        &mut self,
        request: &Request,
        unlearner: &mut Unlearner,
        mut trial: GpuLossCheck,
        mut seconds: f64,
    ) -> Result<(Vec<LogLine>, f64)> {
        let (plan, every) = (&request.asked().plan, request.every());
        let Client { id, send } = self.on;
        let mut log = Vec::with_capacity(plan.steps);
        self.job.phase(plan.method.title, plan.steps);
        while !unlearner.finished() {
            let clock = Instant::now();
            let (loss, parts) = told(unlearner.step(self.job).await?).await?;
            seconds += clock.elapsed().as_secs_f64();
            let step = unlearner.step;
            log.push(LogLine { step, loss, parts, seconds });
            trial.check(loss)?;
            let due = every.is_some_and(|every| step.is_multiple_of(every));
            let grid = match due && self.job.wants_previews() && !unlearner.finished() {
                // A preview is not progress of the training phase.
                true => {
                    let (clock, job) = (Instant::now(), &mut self.job.quiet());
                    let mut within = Work { session: self.session, job, on: self.on };
                    let grid = within.look(request, &unlearner.weights()).await?;
                    self.job.beside(PREVIEW, 1, clock.elapsed());
                    Some(Arc::new(grid))
                }
                false => None,
            };
            let live = LiveStep { step, steps: plan.steps, loss, parts, grid };
            send(Event::Step { id, live });
            self.job.advance(1).await?;
        }
        Ok((log, seconds))
    }

    /// Measures and judges a run whose updates are done.
    async fn judge_run(&mut self, request: &Request, trained: Trained) -> Result<Run> {
        let Trained { scores, mask, ended, seconds } = trained;
        let Ended { augment, weights: done, log, .. } = ended;
        let Asked { recipe, plan, forget, .. } = request.asked();
        let original = request.original();
        let weights = done.download().await?;
        if recipe.given.is_none() {
            weights.check(original)?;
        }
        // The original is measured now and not before: who pressed Forget wants to see it forget; and over the
        // pictures that told enough of the run.
        let clock = Instant::now();
        let after = self.after(request, &done).await?;
        let before = self.before(request, after.n).await?;
        let retrain = self.retrain(request, after.n).await?;
        let found = self.findings(request, &done, [&before, &after]).await?;
        let evaluate = seconds.evaluate + clock.elapsed().as_secs_f64();

        let scored = scores.as_ref().map_or(0, |scores| scores.n_forget);
        let change = Change::between(original, &weights);
        let masked = |m: &Mask| MaskReport {
            given: recipe.given.as_ref().map(|_| m.share_of(original, &weights, &change)),
            ..m.report(scored, m.frozen_changed(original, &weights))
        };
        let mut report = Report {
            format: Default::default(),
            task: plan.how.task.name().into(),
            model: recipe.model.clone(),
            data: recipe.data.clone(),
            forget: forget.clone(),
            method: recipe.method.clone(),
            training: training(plan, augment),
            mask: mask.as_ref().map(masked),
            gap: retrain
                .as_ref()
                .filter(|_| after.metrics.judged())
                .map(|r| Gap::between(&after.metrics, r)),
            before: before.metrics,
            after: after.metrics,
            earlier: found.earlier,
            retrain,
            seconds: Seconds { evaluate, ..seconds },
            verdict: Verdict { label: VerdictLabel::UnderForgot, why: String::new() },
            notes: Vec::new(),
            audit: found.audit.map(Box::new),
            attacks: found.attacks.iter().map(|attack| attack.report.clone()).collect(),
            changed: found.changed,
            device: (&self.session.info).into(),
            seed: recipe.seed,
            protocol: recipe.protocol(),
            version: env!("CARGO_PKG_VERSION").into(),
            files: Default::default(),
        };
        report.verdict = verdict(&Evidence::of(&report));
        if let Some(next) = advice(plan, &report) {
            self.job.note(next);
        }
        report.notes = self.job.notes().to_vec();
        Ok(Run {
            forgotten: found.forgotten,
            mine: found.mine,
            changed: found.pixels,
            change,
            model: request.unlearned(weights, &report),
            attacks: found.attacks,
            recipe: recipe.clone(),
            report,
            mask,
            ranking: scores,
            before: before.grid,
            after: after.grid,
            log,
        })
    }

    /// A request's scores and its mask, where its estimator makes them; `own` is the mask that was given.
    pub async fn mask(
        &mut self,
        request: &Request,
        own: Option<Mask>,
    ) -> Result<(Option<Arc<Scores>>, Option<Mask>)> {
        let Asked { recipe, plan, .. } = request.asked();
        if matches!(plan.estimator, Estimator::None | Estimator::Given) {
            return Ok((None, own));
        }
        let scores = self.rank(request, false).await?;
        let mask = match request.only() {
            Some(only) => scores.mask_of(recipe.density, only)?,
            None => scores.cut(recipe.density).await?,
        };
        Ok((Some(scores), Some(mask)))
    }
}

/// The loss of an update and its parts, read at once.
///
/// # Errors
/// The device failed, or training diverged.
async fn told(loss: UpdateLoss) -> Result<(f32, LossParts)> {
    let UpdateLoss { whole, parts } = loss;
    let there = parts.each_ref().map(Option::is_some);
    let all = [Some(whole)].into_iter().chain(parts).flatten().collect();
    let mut values = read(Tensor::cat(all, 0)).await?.into_iter();
    let whole = number(values.next().unwrap_or(f32::NAN))?;
    let [forget, retain] = there.map(|there| there.then(|| values.next()).flatten());
    Ok((whole, LossParts { forget, retain }))
}

/// A run whose updates are done.
struct Trained {
    scores: Option<Arc<Scores>>,
    mask: Option<Mask>,
    ended: Ended,
    /// Seconds so far.
    seconds: Seconds,
}

/// What updates ended with.
struct Ended {
    /// How pictures were varied, where they are pictures.
    augment: Option<Augment>,
    weights: Weights,
    log: Vec<LogLine>,
    seconds: f64,
}

impl Ended {
    /// Weights of which others know how they came about.
    fn given(weights: Weights) -> Self {
        Self { augment: None, weights, log: Vec::new(), seconds: 0.0 }
    }
}

/// A run from its beginning on a device; only weights with a 1 in `free` will change.
async fn begin(
    request: &Request,
    free: Option<&[u8]>,
    device: &Device,
    job: &mut JobContext,
) -> Result<Unlearner> {
    let (subject, original) = request.on(device);
    Unlearner::begin(subject, original, request.asked().plan.clone(), free, job).await
}

/// A 1 for every weight that may change; `None` where all may.
fn free<'a>(request: &Request, mask: Option<&'a Mask>) -> Option<Cow<'a, [u8]>> {
    let layout = &request.original().layout;
    let of = |only| Cow::Owned(layout.bits_of(only));
    mask.map(|mask| Cow::Borrowed(&mask.bits[..])).or_else(|| request.only().map(of))
}

/// How a run trained; `augment` is how its pictures were varied, where they are pictures.
pub fn training(plan: &Plan, augment: Option<Augment>) -> TrainingReport {
    TrainingReport {
        steps: plan.steps,
        batch: plan.batch,
        lr: plan.lr,
        augmentation: augment.map_or("", |augment| augment.name()).into(),
        company: !plan.company.is_empty(),
        anneal: plan.schedule != LrSchedule::Constant,
        each_epoch: plan.each,
        knobs: plan.knobs.all().map(|(name, value)| (name.into(), value)).collect(),
    }
}

/// The mask out of a recipe's file.
fn given(recipe: &Recipe, layout: &Arc<WeightLayout>) -> Result<Mask> {
    let needed =
        || Error::argument("mask", "given", "mask_file, the mask's file, is needed beside it");
    let file = recipe.mask_file.as_ref().ok_or_else(needed)?;
    Mask::given(file, layout)
}

/// What to try where a run hardly moved UA.
fn advice(plan: &Plan, report: &Report) -> Option<String> {
    let (found, [before, after]) = (&report.verdict, [report.before.UA, report.after.UA]);
    let under = matches!(found.label, VerdictLabel::UnderForgot | VerdictLabel::TooFew);
    let stuck = under && after - before < MOVED;
    if !stuck || plan.steps == 0 {
        return None;
    }
    let others = if plan.method.name == "salun" { "" } else { ", or --method salun" };
    let longer = match plan.how.draws() {
        true => format!("--steps {}", 3 * plan.steps),
        false => format!("--epochs {}", 3 * plan.epochs),
    };
    Some(format!(
        "UA went from {before:.1} to {after:.1} in {} updates of {} at a rate of {}; try {longer}, \
         --lr {}{others}",
        plan.steps,
        plan.batch,
        plan.lr,
        (3e6 * plan.lr).round() / 1e6
    ))
}

/// Points of UA that are hardly a movement.
const MOVED: f64 = 10.0;
