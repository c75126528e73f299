//! What every run of a method is: updates, looked at now and then.

use std::sync::Arc;

use web_time::Instant;

use super::gpu_loss_check::GpuLossCheck;
use super::request::Request;
use super::session::{Client, Work};
use super::{Event, LiveStep, LogLine};
use crate::data::Augment;
use crate::error::Result;
use crate::train::LrSchedule;
use crate::train::trainer::finite;
use crate::unlearn::{Plan, Unlearner};
use crate::words::TrainingReport;

impl Work<'_> {
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
            let loss = finite(unlearner.step(self.job).await?).await?;
            seconds += clock.elapsed().as_secs_f64();
            let step = unlearner.step;
            log.push(LogLine { step, loss, seconds });
            trial.check(loss)?;
            let due = every.is_some_and(|every| step.is_multiple_of(every));
            let grid = match due && self.job.wants_previews() && !unlearner.finished() {
                // A preview is not progress of the training phase.
                true => {
                    let job = &mut self.job.quiet();
                    let mut within = Work { session: self.session, job, on: self.on };
                    Some(Arc::new(within.look(request, &unlearner.weights()).await?))
                }
                false => None,
            };
            let live = LiveStep { step, steps: plan.steps, loss, grid };
            send(Event::Step { id, live });
            self.job.advance(1).await?;
        }
        Ok((log, seconds))
    }
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
