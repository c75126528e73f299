//! What every run of a method is: updates, looked at now and then, and a report.

use std::sync::Arc;

use web_time::Instant;

use super::gpu_loss_check::GpuLossCheck;
use super::request::Request;
use super::{Event, Grid, LiveStep, LogLine, Send};
use crate::data::Augment;
use crate::error::Result;
use crate::gpu::DeviceInfo;
use crate::job_context::JobContext;
use crate::train::LrSchedule;
use crate::train::trainer::finite;
use crate::unlearn::{Plan, Unlearner};
use crate::words::{
    Forgotten, Metrics, Recipe, Report, Seconds, TrainingReport, Verdict, VerdictLabel,
};

/// A run under way and who hears of it.
pub struct Forgetting<'a> {
    pub id: u64,
    pub unlearner: &'a mut Unlearner,
    /// What its first losses should be.
    pub trial: GpuLossCheck,
    /// Updates between two looks; `None` looks never.
    pub every: Option<usize>,
    pub send: &'a Send,
}

impl Forgetting<'_> {
    /// Makes all updates. `look` draws what the model makes now. The log, and the seconds of all updates
    /// after `seconds` before them.
    ///
    /// # Errors
    /// Cancelled, the device failed, a loss is not a number or not the CPU's.
    pub async fn run(
        self,
        plan: &Plan,
        mut seconds: f64,
        job: &mut JobContext,
        mut look: impl AsyncFnMut(&Unlearner, &mut JobContext) -> Result<Grid>,
    ) -> Result<(Vec<LogLine>, f64)> {
        let Self { id, unlearner, mut trial, every, send } = self;
        let mut log = Vec::with_capacity(plan.steps);
        job.phase(plan.method.title, plan.steps);
        while !unlearner.finished() {
            let clock = Instant::now();
            let loss = finite(unlearner.step(job).await?).await?;
            seconds += clock.elapsed().as_secs_f64();
            let step = unlearner.step;
            log.push(LogLine { step, loss, seconds });
            trial.check(loss)?;
            let due = every.is_some_and(|every| step.is_multiple_of(every));
            let grid = match due && job.wants_previews() && !unlearner.finished() {
                // A preview is not progress of the training phase.
                true => Some(Arc::new(look(unlearner, &mut job.quiet()).await?)),
                false => None,
            };
            let live = LiveStep { step, steps: plan.steps, loss, grid };
            send(Event::Step { id, live });
            job.advance(1).await?;
        }
        Ok((log, seconds))
    }
}

/// The report of a request with the metrics before and after, and how its pictures were varied where they are
/// pictures; what a run found out besides is not in it yet.
pub fn report(
    recipe: &Recipe,
    request: &Request,
    augment: Option<Augment>,
    [before, after]: [Metrics; 2],
    device: &DeviceInfo,
) -> Report {
    let plan = request.plan();
    Report {
        format: Default::default(),
        task: request.task().name().into(),
        model: recipe.model.clone(),
        data: recipe.data.clone(),
        forget: Forgotten { spec: request.spec().into(), n: request.n() },
        method: plan.method.name.into(),
        training: TrainingReport {
            steps: plan.steps,
            batch: plan.batch,
            lr: plan.lr,
            augmentation: augment.map_or("", |augment| augment.name()).into(),
            company: !plan.company.is_empty(),
            anneal: plan.schedule != LrSchedule::Constant,
            each_epoch: plan.each,
            knobs: plan.knobs.all().map(|(name, value)| (name.into(), value)).collect(),
        },
        mask: None,
        before,
        after,
        earlier: Vec::new(),
        retrain: None,
        gap: None,
        seconds: Seconds::default(),
        verdict: Verdict { label: VerdictLabel::UnderForgot, why: String::new() },
        notes: Vec::new(),
        audit: None,
        attacks: Vec::new(),
        changed: Vec::new(),
        device: device.into(),
        seed: recipe.seed,
        protocol: recipe.protocol(),
        version: env!("CARGO_PKG_VERSION").into(),
        files: Default::default(),
    }
}
