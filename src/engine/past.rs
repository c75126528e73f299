//! What runs were on their way, so that another goes on from there, or ends there, without making their updates again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::store::Kept;
use super::unlearn::{Ended, own_mask};
use super::{Client, LogLine, Request, Send, Session, Work};
use crate::error::{Error, Result};
use crate::models::delta;
use crate::models::delta::Snapshots;
use crate::models::{Bits, HostWeights, Weights};
use crate::unlearn::Rate;
use crate::words::{ForgetKind, Recipe};

/// A run so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Past {
    pub snapshots: Snapshots,
    pub log: Vec<LogLine>,
}

impl Kept for Past {
    fn bytes(&self) -> usize {
        self.snapshots.bytes() + size_of_val(&self.log[..])
    }
}

impl Past {
    /// That of a run before its first update; weights with a 1 in `free` will change.
    pub fn of(request: &Request, free: Option<&Bits>) -> Self {
        // As the official code was before, weight decay moves frozen weights, too.
        let free = free.filter(|_| !request.asked().plan.knobs.on("drift"));
        Self { snapshots: Snapshots::of(free), log: Vec::new() }
    }

    /// Keeps the weights after an update, where they are not too large for that.
    ///
    /// # Errors
    /// The device failed.
    pub async fn keep(&mut self, request: &Request, weights: &Weights, step: usize) -> Result<()> {
        if !self.snapshots.fits(request.original()) {
            return Ok(());
        }
        self.snapshots.keep(request.original(), &weights.download().await?, step)
    }
}

/// What a run's past is known by: the whole run's recipe, audited or not. A file that it names may be another by
/// now.
fn key(recipe: &Recipe) -> Option<(&'static str, String)> {
    (!names_files(recipe)).then(|| ("past", Recipe { audit: None, ..recipe.whole() }.end()))
}

/// Whether files stand behind a recipe, a run that it goes on from, or a request before it: a list of items, a mask,
/// weights that others made. In its hash they go by their last names, and what is in them may have changed.
pub fn names_files(recipe: &Recipe) -> bool {
    let indices = ForgetKind::of(&recipe.forget) == Some(ForgetKind::Indices);
    let own = indices || recipe.mask_file.is_some() || recipe.given.is_some();
    own || recipe.branch.as_deref().into_iter().chain(&recipe.after).any(names_files)
}

impl Session {
    /// Remembers what a run was on its way.
    pub fn remember(&mut self, recipe: &Recipe, past: &Past) {
        let Some(key) = key(recipe).filter(|_| past.snapshots.steps().next().is_some()) else {
            return;
        };
        // Of a run that was cancelled earlier less is known.
        let known = self.store.get::<Past>(&key).map_or(0, |known| known.log.len());
        if past.log.len() > known {
            self.store.put(&key, past.clone());
        }
    }

    /// What the updates of a request come to, where a run that made them is remembered; what it began with is not
    /// in it.
    pub fn recall(&mut self, request: &Request) -> Option<Ended> {
        let (weights, past) = self.known(request)?;
        let end = request.asked().plan.end();
        let log: Vec<LogLine> = past.log.iter().take_while(|l| l.step <= end).cloned().collect();
        Some(Ended {
            augment: request.subject(&self.device).settings().augment,
            weights: weights.upload(&self.device),
            seconds: log.last().map_or(0.0, |line| line.seconds),
            log,
            start: None,
            snapshots: past.snapshots.until(end),
        })
    }

    /// The weights that the updates of a request end with, and the run, where one that made them is remembered.
    fn known(&mut self, request: &Request) -> Option<(HostWeights, Arc<Past>)> {
        let (recipe, end) = (&request.asked().recipe, request.asked().plan.end());
        let past = self.store.get::<Past>(&key(recipe)?)?;
        // Of other weights than these, such as those of a file that has changed, it is made again.
        let weights = past.snapshots.at(request.original(), end).ok()??;
        Some((weights, past))
    }
}

impl Work<'_> {
    /// What a run goes on from: what the one before it ended with. Where that is not remembered, its updates are
    /// made again.
    ///
    /// # Errors
    /// The run before is wrong, or this one cannot go on from it; cancelled.
    pub async fn branch(&mut self, request: &Request) -> Result<Option<HostWeights>> {
        let Some(parent) = request.asked().recipe.parent() else { return Ok(None) };
        let plan = &request.asked().plan;
        if plan.end() == 0 || plan.how.rate == Rate::AsTrained {
            let right = format!(
                "{} does not go on from a run: it changes weights at once, or begins with fresh ones",
                plan.method.title
            );
            return Err(Error::argument("branch", &parent.method, right));
        }
        let at = parent.until.map_or("the end".into(), |until| format!("update {until}"));
        self.job.note(format!(
            "goes on from {at} of a run with {}: the optimiser begins afresh, and what the mask freezes stays as it \
             was there",
            parent.method
        ));
        let weights = Box::pin(self.ended(&parent)).await?;
        delta::alike(request.original(), &weights)?;
        Ok(Some(weights))
    }

    /// What a run ends with, without measuring it.
    async fn ended(&mut self, recipe: &Recipe) -> Result<HostWeights> {
        let mut request = self.resolve(recipe).await?;
        let own = own_mask(&mut request)?;
        self.prepare(&mut request).await?;
        request.asked().plan.check_end()?;
        if let Some((weights, _)) = self.session.known(&request) {
            return Ok(weights);
        }
        let (_, mask) = self.mask(&request, own).await?;
        let start = self.branch(&request).await?;
        // Nobody waits for its pictures.
        let nobody: Send = Arc::new(|_| {});
        let on = Client { id: 0, send: &nobody };
        let mut within = Work { session: self.session, job: self.job, on };
        within.train_free(&request, mask.as_ref(), start, None).await?.weights.download().await
    }
}
