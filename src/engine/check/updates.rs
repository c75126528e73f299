//! The first updates of a task as the engine makes them on a device.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use web_time::Instant;

use super::{Off, distance};
use crate::data::corpus;
use crate::engine::{Client, Event, Job, LiveStep, LogLine, Send, Session, Work};
use crate::error::Result;
use crate::gpu::Compute;
use crate::job_context::{JobContext, Switches};
use crate::models::registry;
use crate::words::{Budget, Recipe, SampleOptions, Task};

/// Updates that are made: the second depends on the gradients of the first, the third on the
/// optimiser's state.
const UPDATES: usize = 3;
/// How far a loss may be, as a share of it.
const LIMIT: f32 = 0.02;

type Log = Mutex<Vec<LogLine>>;

fn lock(log: &Log) -> MutexGuard<'_, Vec<LogLine>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is unlearned: by the task's first shipped model, with few pictures and hardly drawn.
fn recipe(task: Task) -> Recipe {
    let model = registry::first(task);
    let data = registry::shipped(model).map_or("", |shipped| shipped.data);
    let prompt = data == corpus::NAME;
    let forget = if prompt { "prompt:a cat" } else { "class:Bag" };
    let (budget, batch) = (Budget::Tiny, prompt.then_some(2));
    let sampling = Some(SampleOptions { steps: 2, guidance: 0.0, ..Default::default() });
    Recipe { budget, batch, sampling, ..Recipe::new(model, data, forget) }
}

/// Makes the first updates of an unlearning run: score, mask and train, as [`Job::Unlearn`] does;
/// seconds are from its start.
///
/// # Errors
/// The device failed, its first losses are far from the CPU's, or cancelled.
pub async fn updates(task: Task, compute: &Compute, job: &mut JobContext) -> Result<Vec<LogLine>> {
    let (log, start) = (Arc::new(Log::default()), Instant::now());
    let heard = log.clone();
    let send: Send = Arc::new(move |event| {
        if let Event::Step { live, .. } = event {
            let (LiveStep { step, loss, parts, .. }, seconds) =
                (live, start.elapsed().as_secs_f64());
            lock(&heard).push(LogLine { step, loss, parts, seconds });
        }
    });
    let mut session = Session::new(compute, Switches::default());
    {
        let work = Work { session: &mut session, job, on: Client { id: 1, send: &send } };
        let mut run = work.run(Job::Unlearn(recipe(task)));
        // Every update ends with a turn of the job: the run is dropped there.
        let enough = || lock(&log).len() >= UPDATES;
        poll_fn(|context| match run.as_mut().poll(context) {
            _ if enough() => Poll::Ready(Ok(())),
            Poll::Ready(end) => Poll::Ready(end.map(drop)),
            Poll::Pending => Poll::Pending,
        })
        .await?;
    }
    let made = std::mem::take(&mut *lock(&log));
    Ok(made)
}

/// How far the losses of [`updates`] on a device are from the CPU's.
pub fn losses(seen: &[LogLine], right: &[LogLine]) -> Vec<Off> {
    let each = right.iter().enumerate().map(|(i, right)| {
        let by = seen.get(i).map_or(f32::MAX, |seen| distance(&[seen.loss], &[right.loss]));
        Off { what: format!("loss of update {}", right.step), by, limit: LIMIT }
    });
    each.collect()
}
