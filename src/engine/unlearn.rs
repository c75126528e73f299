//! The job of forgetting, of every kind of model: score, cut the mask, train, measure before and after, judge.

use std::{borrow::Cow, sync::Arc};

use burn::tensor::{Device, Tensor};
use web_time::Instant;

use super::foreseen::{Ahead, PREVIEW};
use super::past::Past;
use super::request::Look;
use super::under_way::{At, Found, Safekeeping, StateFile, UnderWay};
use super::{Asked, Client, Event, GpuLossCheck, LiveStep, LogLine, LossParts, Request, Run, Work};
use crate::data::Augment;
use crate::error::{Error, Result};
use crate::eval::Evidence;
use crate::eval::verdict::verdict;
use crate::job_context::JobContext;
use crate::models::delta::Snapshots;
use crate::models::weights::read;
use crate::models::{Bits, HostWeights, WeightLayout, Weights};
use crate::saliency::{Change, Mask, Scores};
use crate::train::LrSchedule;
use crate::train::trainer::number;
use crate::unlearn::{Plan, Unlearner, UpdateLoss};
use crate::words::{
    Estimator, Gap, MaskReport, Recipe, Report, Seconds, TrainingReport, Verdict, VerdictLabel,
};

impl Work<'_> {
    /// Runs a recipe. Its state is kept in a file now and then, where one is named, and it goes on from what is there
    /// where that is asked for.
    ///
    /// # Errors
    /// What is wrong with the recipe or the state, or happened on the way; cancelled.
    pub async fn unlearn(&mut self, recipe: &Recipe, state: Option<&StateFile>) -> Result<Run> {
        let mut found = match state.filter(|state| state.resume) {
            Some(state) => Some(Found::open(&state.path)?.of(recipe)?),
            None => None,
        };
        // What the data were then is in the state's.
        let recipe = &found.as_ref().map_or(recipe, Found::recipe).clone();
        self.afford(recipe, Ahead::Run)?;
        let mut request = self.resolve(recipe).await?;
        let own = own_mask(&mut request)?;
        let given = recipe.given.as_ref().map(|file| self.given(&request, file)).transpose()?;
        self.doubt(&request).await?;
        let clock = Instant::now();
        self.foresee(&request, Ahead::Run);
        self.introduce(&request).await?;
        let looked = clock.elapsed().as_secs_f64();

        let clock = Instant::now();
        self.prepare(&mut request).await?;
        let request = &request;
        request.asked().plan.check_end()?;
        let (scores, mask) = self.mask(request, own).await?;
        let mask = match (&mut found, mask) {
            (Some(found), Some(mask)) => Some(found.mask(mask)?),
            (_, mask) => mask,
        };
        let scores = scores.map(|scores| self.session.lightened(scores));
        // Scores from an earlier job cost what they cost then.
        let mask_seconds =
            clock.elapsed().as_secs_f64().max(scores.as_ref().map_or(0.0, |s| s.seconds));

        let ended = match given {
            Some(weights) => Ended::given(weights.upload(&self.session.device)),
            None => {
                let start = self.branch(request).await?;
                // A whole run is made anew.
                match recipe.until.and_then(|_| self.session.recall(request)) {
                    Some(found) => Ended { start, ..found },
                    None => {
                        let run = (request, recipe, mask.as_ref());
                        let info = &self.session.info;
                        let safe = state.map(|file| Safekeeping::of(file, run, found, info));
                        let safe = safe.transpose()?;
                        self.train_free(request, mask.as_ref(), start, safe).await?
                    }
                }
            }
        };
        let seconds = Seconds { mask: mask_seconds, unlearn: ended.seconds, evaluate: looked };
        self.judge_run(request, Trained { scores, mask, ended, seconds }).await
    }

    /// Makes all updates of a request from the original, or from another `start`; only weights in the mask will
    /// change. What it comes to on the way is kept safe, and it goes on from what was found.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn train_free(
        &mut self,
        request: &Request,
        mask: Option<&Mask>,
        start: Option<HostWeights>,
        safe: Option<Safekeeping<'_>>,
    ) -> Result<Ended> {
        let clock = Instant::now();
        let plan = &request.asked().plan;
        let free = free(request, mask);
        let free = free.as_deref();
        let mut unlearner =
            begin(request, start.as_ref(), free, &self.session.device, self.job).await?;
        if plan.few {
            self.job.note(plan.suited());
        }
        let mut under_way = UnderWay::new(Past::of(request, free), safe);
        let resumed = under_way.resume(&mut unlearner, self.job).await?;
        under_way.seconds += clock.elapsed().as_secs_f64();
        // What the first losses are on the CPU.
        let mut trial = GpuLossCheck::default();
        let wanted =
            GpuLossCheck::wanted(&self.session.info, plan.end(), request.original().layout.n());
        if wanted && !resumed {
            let cpu = Device::flex();
            let mut twin = begin(request, start.as_ref(), free, &cpu, self.job).await?;
            let update = async |job: &mut JobContext| Ok(twin.step(job).await?.whole);
            trial = GpuLossCheck::run(plan.end(), self.job, update).await?;
        }
        let made = self.updates(request, &mut unlearner, trial, &mut under_way).await;
        match made {
            Ok(()) => under_way.keep(&mut unlearner, At::End, self.job),
            Err(Error::Cancelled) => under_way.keep(&mut unlearner, At::Stop, self.job),
            Err(_) => {}
        }
        let UnderWay { past, seconds, .. } = under_way;
        // Of a run that was cancelled, too: another may go on from where it was.
        self.session.remember(&request.asked().recipe, &past);
        made?;
        let (augment, weights) = (unlearner.augment(), unlearner.weights());
        let Past { snapshots, log } = past;
        Ok(Ended { augment, weights, log, seconds, start, snapshots })
    }

    /// Makes the updates that a run still has before it, whose first losses should be those of `trial`, and notes
    /// its past.
    ///
    /// # Errors
    /// Cancelled, the device failed, a loss is not a number or not the CPU's.
    pub async fn updates(
        &mut self,
        request: &Request,
        unlearner: &mut Unlearner,
        mut trial: GpuLossCheck,
        under_way: &mut UnderWay<'_>,
    ) -> Result<()> {
        let plan = &request.asked().plan;
        let steps = plan.end();
        let keeps = request.every().unwrap_or(plan.steps.div_ceil(KEPT).max(1));
        let Client { id, send } = self.on;
        self.job.resume_phase(plan.method.title, steps, unlearner.step);
        while !unlearner.finished() {
            let clock = Instant::now();
            let (loss, parts) = told(unlearner.step(self.job).await?).await?;
            let UnderWay { seconds, past, .. } = under_way;
            *seconds += clock.elapsed().as_secs_f64();
            let step = unlearner.step;
            past.log.push(LogLine { step, loss, parts, seconds: *seconds });
            trial.check(loss)?;
            let due = request.look_after(step);
            if due.is_some() || step.is_multiple_of(keeps) || unlearner.finished() {
                past.keep(request, &unlearner.weights(), step).await?;
            }
            let wanted = self.job.wants_previews() && !unlearner.finished();
            let mut live = LiveStep { step, steps, loss, parts, grid: None, glimpse: None };
            // A preview is not progress of the training phase.
            if let Some(look) = due.filter(|_| wanted) {
                let (clock, job) = (Instant::now(), &mut self.job.quiet());
                let mut within = Work { session: self.session, job, on: self.on };
                let grid = Arc::new(within.look(request, &unlearner.weights(), look).await?);
                match look {
                    Look::Glimpse => live.glimpse = Some(grid),
                    Look::Whole => live.grid = Some(grid),
                }
                let units = usize::from(look == Look::Whole);
                self.job.beside(PREVIEW, units, clock.elapsed());
            }
            send(Event::Step { id, live });
            under_way.keep(unlearner, At::Update, self.job);
            self.job.advance(1).await?;
        }
        Ok(())
    }

    /// Measures and judges a run whose updates are done.
    async fn judge_run(&mut self, request: &Request, trained: Trained) -> Result<Run> {
        let Trained { scores, mask, ended, seconds } = trained;
        let Ended { augment, weights: done, log, start, snapshots, .. } = ended;
        let Asked { recipe, plan, forget, .. } = request.asked();
        let original = request.original();
        let (weights, done) = done.settled().await?;
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
            // What is frozen stays as it was where the run began.
            ..m.report(scored, m.frozen_changed(start.as_ref().unwrap_or(original), &weights))
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
            snapshots,
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
pub struct Ended {
    /// How pictures were varied, where they are pictures.
    pub augment: Option<Augment>,
    pub weights: Weights,
    pub log: Vec<LogLine>,
    pub seconds: f64,
    /// What the run began with, where that is not the original.
    pub start: Option<HostWeights>,
    pub snapshots: Snapshots,
}

impl Ended {
    /// Weights of which others know how they came about.
    fn given(weights: Weights) -> Self {
        let (log, snapshots) = (Vec::new(), Snapshots::default());
        Self { augment: None, weights, log, seconds: 0.0, start: None, snapshots }
    }
}

/// A run from its beginning on a device, which is the original where it is not said; only weights with a 1 in
/// `free` will change.
async fn begin(
    request: &Request,
    start: Option<&HostWeights>,
    free: Option<&Bits>,
    device: &Device,
    job: &mut JobContext,
) -> Result<Unlearner> {
    let (subject, original) = request.on(device);
    let start = start.map_or_else(|| original.clone(), |start| start.upload(device));
    let plan = request.asked().plan.clone();
    Unlearner::begin_at(start, subject, original, plan, free, job).await
}

/// A 1 for every weight that may change; `None` where all may.
fn free<'a>(request: &Request, mask: Option<&'a Mask>) -> Option<Cow<'a, Bits>> {
    let layout = &request.original().layout;
    let of = |only| Cow::Owned(layout.bits_of(only));
    mask.map(|mask| Cow::Borrowed(&mask.bits)).or_else(|| request.only().map(of))
}

/// How a run trained; `augment` is how its pictures were varied, where they are pictures.
pub fn training(plan: &Plan, augment: Option<Augment>) -> TrainingReport {
    TrainingReport {
        steps: plan.end(),
        batch: plan.batch,
        lr: plan.lr,
        augmentation: augment.map_or("", |augment| augment.name()).into(),
        company: !plan.company.is_empty(),
        anneal: plan.schedule != LrSchedule::Constant,
        each_epoch: plan.each,
        knobs: plan.knobs.all().map(|(name, value)| (name.into(), value)).collect(),
    }
}

/// The mask out of a recipe's file, where it names one. The control is as large.
///
/// # Errors
/// It cannot be read, or is none of this network.
pub fn own_mask(request: &mut Request) -> Result<Option<Mask>> {
    let Asked { recipe, plan, .. } = request.asked();
    let own = match plan.estimator {
        Estimator::Given => Some(given(recipe, &request.original().layout)?),
        _ => None,
    };
    if let Some(mask) = &own {
        request.asked_mut().recipe.density = mask.density;
    }
    Ok(own)
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

/// Steps of a run that are kept where nobody looks at it.
const KEPT: usize = 8;

/// Points of UA that are hardly a movement.
const MOVED: f64 = 10.0;
