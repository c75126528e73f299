//! The job of forgetting, of every kind of model: score, cut the mask, train, measure before and after, judge.

use std::{borrow::Cow, sync::Arc};

use burn::tensor::Device;
use web_time::Instant;

use super::forgetting::Forgetting;
use super::gpu_loss_check::GpuLossCheck;
use super::request::{Client, Request};
use super::{LogLine, Run, Session, forgetting};
use crate::data::Augment;
use crate::error::{Error, Result};
use crate::eval::Evidence;
use crate::eval::verdict::verdict;
use crate::job_context::JobContext;
use crate::models::{WeightLayout, Weights};
use crate::saliency::{Change, Mask, Scores};
use crate::unlearn::{Plan, Unlearner};
use crate::words::{Estimator, Gap, Recipe, Report, Seconds, VerdictLabel};

impl Session {
    /// Runs a recipe.
    ///
    /// # Errors
    /// What is wrong with it or happened on the way; cancelled.
    pub async fn unlearn(
        &mut self,
        recipe: Recipe,
        on: Client<'_>,
        job: &mut JobContext,
    ) -> Result<Run> {
        let mut request = self.resolve(&recipe, job).await?;
        let own = match request.plan().estimator {
            Estimator::Given => Some(given(&recipe, &request.original().layout)?),
            _ => None,
        };
        // Its control is as large.
        let density = own.as_ref().map_or(recipe.density, |mask| mask.density);
        let recipe = Recipe { density, fingerprint: request.fingerprint(), ..recipe };
        request.doubt(self, &recipe, job).await?;
        let clock = Instant::now();
        request.introduce(self, on, job).await?;
        let looked = clock.elapsed().as_secs_f64();

        let clock = Instant::now();
        request.prepare(self, &recipe, job).await?;
        let request = &request;
        let plan = request.plan();
        let (scores, mask) = self.mask(&recipe, request, own, job).await?;
        // Scores from an earlier job cost what they cost then.
        let mask_seconds =
            clock.elapsed().as_secs_f64().max(scores.as_ref().map_or(0.0, |s| s.seconds));

        let clock = Instant::now();
        let free = free(request, mask.as_ref());
        let mut unlearner = begin(request, free.as_deref(), &self.device, job).await?;
        if plan.few {
            job.note(plan.suited());
        }
        let begun = clock.elapsed().as_secs_f64();
        let trial = self.trial(request, free.as_deref(), job).await?;
        let every = request.every(recipe.budget);
        let forgetting =
            Forgetting { id: on.id, unlearner: &mut unlearner, trial, every, send: on.send };
        let look = async |unlearner: &Unlearner, quiet: &mut JobContext| {
            request.look(self, &unlearner.weights(), &recipe, quiet).await
        };
        let (log, unlearn_seconds) = forgetting.run(plan, begun, job, look).await?;
        let trained = Trained {
            scores,
            mask,
            augment: unlearner.augment(),
            weights: unlearner.weights(),
            log,
            seconds: Seconds { mask: mask_seconds, unlearn: unlearn_seconds, evaluate: looked },
        };
        self.judge_run(recipe, request, trained, job).await
    }

    /// Measures and judges a run whose updates are done.
    async fn judge_run(
        &mut self,
        recipe: Recipe,
        request: &Request,
        trained: Trained,
        job: &mut JobContext,
    ) -> Result<Run> {
        let Trained { scores, mask, augment, weights: done, log, seconds } = trained;
        let weights = done.download().await?;
        weights.check(request.original())?;
        let retrain = request.retrain(self, &recipe, job).await?;
        // The original is measured now and not before: who pressed Forget wants to see it forget.
        let clock = Instant::now();
        let before = request.before(self, &recipe, job).await?;
        let after = request.after(self, &done, &recipe, job).await?;
        let found = request.findings(self, &done, [&before, &after], &recipe, job).await?;
        let evaluate = seconds.evaluate + clock.elapsed().as_secs_f64();

        let scored = scores.as_ref().map_or(0, |scores| scores.n_forget);
        let frozen = |m: &Mask| m.frozen_changed(request.original(), &weights);
        let masked = mask.as_ref().map(|m| m.report(scored, frozen(m)));
        let metrics = [before.metrics, after.metrics];
        let report = forgetting::report(&recipe, request, augment, metrics, &self.info);
        let mut report = Report {
            mask: masked,
            seconds: Seconds { evaluate, ..seconds },
            gap: retrain.as_ref().map(|r| Gap::between(&report.after, r)),
            audit: found.audit.map(Box::new),
            attacks: found.attacks.iter().map(|attack| attack.report.clone()).collect(),
            changed: found.changed,
            earlier: found.earlier,
            retrain,
            ..report
        };
        report.verdict = verdict(&Evidence::of(&report));
        if let Some(next) = advice(request.plan(), &report) {
            job.note(next);
        }
        report.notes = job.notes().to_vec();
        Ok(Run {
            forgotten: request.forgotten(),
            changed: request.pixels(&report.changed),
            change: Change::between(request.original(), &weights),
            model: request.unlearned(weights, &report),
            attacks: found.attacks,
            recipe,
            report,
            mask,
            ranking: scores,
            before: before.grid,
            after: after.grid,
            log,
        })
    }

    /// A request's scores and its mask, where its estimator makes them; `own` is the mask that was given.
    pub(super) async fn mask(
        &mut self,
        recipe: &Recipe,
        request: &Request,
        own: Option<Mask>,
        job: &mut JobContext,
    ) -> Result<(Option<Arc<Scores>>, Option<Mask>)> {
        if matches!(request.plan().estimator, Estimator::None | Estimator::Given) {
            return Ok((None, own));
        }
        let scores = self.rank(recipe, request, job, &mut |_| {}).await?;
        let mask = match request.only() {
            Some(only) => scores.mask_of(recipe.density, only)?,
            None => scores.cut(recipe.density).await?,
        };
        Ok((Some(scores), Some(mask)))
    }

    /// What a run's first losses are on the CPU.
    async fn trial(
        &self,
        request: &Request,
        free: Option<&[u8]>,
        job: &mut JobContext,
    ) -> Result<GpuLossCheck> {
        let steps = request.plan().steps;
        if !GpuLossCheck::wanted(&self.info, steps, request.original().layout.n()) {
            return Ok(GpuLossCheck::default());
        }
        let mut twin = begin(request, free, &Device::flex(), job).await?;
        GpuLossCheck::run(steps, job, async |job| twin.step(job).await).await
    }
}

/// A run whose updates are done.
struct Trained {
    scores: Option<Arc<Scores>>,
    mask: Option<Mask>,
    /// How pictures were varied, where they are pictures.
    augment: Option<Augment>,
    weights: Weights,
    log: Vec<LogLine>,
    /// Seconds so far.
    seconds: Seconds,
}

/// A run from its beginning on a device; only weights with a 1 in `free` will change.
async fn begin(
    request: &Request,
    free: Option<&[u8]>,
    device: &Device,
    job: &mut JobContext,
) -> Result<Unlearner> {
    let (subject, plan) = (request.subject(device), request.plan().clone());
    Unlearner::of(subject, request.on(device), plan, free, job).await
}

/// A 1 for every weight that may change; `None` where all may.
fn free<'a>(request: &Request, mask: Option<&'a Mask>) -> Option<Cow<'a, [u8]>> {
    let layout = &request.original().layout;
    let of = |only| Cow::Owned(layout.bits_of(only));
    mask.map(|mask| Cow::Borrowed(&mask.bits[..])).or_else(|| request.only().map(of))
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
