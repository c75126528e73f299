//! One unlearning run as it is seen from outside: losses, pictures on the way, the result.

use std::{ops::Range, path::PathBuf, sync::Arc};

use crate::engine::{Grid, LiveStep, Run};
use crate::words::Metrics;

/// What the curves of a loss's parts are called, behind the run's name.
pub const FORGET: &str = " forget";
pub const RETAIN: &str = " retain";

/// A run that was asked for.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    /// The name of the method.
    pub method: String,
    /// (step, loss), one for each update so far.
    pub losses: Vec<[f64; 2]>,
    /// The same of the forget and of the retain set, of the updates that see them apart.
    pub parts: [Vec<[f64; 2]>; 2],
    /// Updates in all, once known.
    pub steps: usize,
    /// Pictures by the number of updates before them; step 0 is the unchanged model.
    pub snapshots: Vec<(usize, Arc<Grid>)>,
    /// What was measured of what it ended with, while that goes on.
    pub measured: Option<Metrics>,
    pub run: Option<Arc<Run>>,
    pub cancelled: bool,
    /// Where the run was saved.
    pub saved: Option<PathBuf>,
}

/// What the tiles of a snapshot show, in percent: a glance, not a measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Glance {
    pub step: usize,
    /// Tiles of the forget set that are not recognised; `None` where none of it is shown.
    pub gone: Option<f64>,
    /// Other tiles that are. What a model was trained on and what not is not told apart here.
    pub kept: Option<f64>,
    /// Tiles that were looked at.
    pub n: usize,
}

impl Glance {
    /// Counts a snapshot's tiles, of which the rows `forgotten` are of the forget set.
    pub fn of(step: usize, grid: &Grid, forgotten: &Range<usize>) -> Self {
        let mut found = [[0, 0]; 2];
        for (row, class) in grid.rows.iter().enumerate() {
            let Some(class) = class else { continue };
            for (seen, _) in (0..grid.columns).filter_map(|column| grid.seen_in(row, column)) {
                found[usize::from(forgotten.contains(&row))][usize::from(*class == seen)] += 1;
            }
        }
        let [[lost, kept], [gone, there]] = found;
        let share = |part: usize, n: usize| (n > 0).then(|| 100.0 * part as f64 / n as f64);
        let n = [gone + there, lost + kept];
        Self { step, gone: share(gone, n[0]), kept: share(kept, n[1]), n: n[0] + n[1] }
    }
}

impl Attempt {
    /// A run that has yet to start; until it does, the model shows what it showed before.
    pub fn new(method: String, before: Arc<Grid>) -> Self {
        Self { method, snapshots: vec![(0, before)], ..Self::default() }
    }

    /// Takes in news from the engine.
    pub fn push(&mut self, live: LiveStep) {
        self.steps = live.steps;
        let step = live.step as f64;
        self.losses.push([step, f64::from(live.loss)]);
        for (all, part) in self.parts.iter_mut().zip([live.parts.forget, live.parts.retain]) {
            all.extend(part.map(|part| [step, f64::from(part)]));
        }
        if let Some(grid) = live.grid {
            self.snapshots.push((live.step, grid));
        }
    }

    /// The curves of the loss by what they are of: the forget and the retain set, or all where they are not apart.
    pub fn curves(&self) -> Vec<(&'static str, &[[f64; 2]])> {
        let parts = [FORGET, RETAIN].into_iter().zip(&self.parts);
        let parts: Vec<_> = parts.filter(|(_, part)| !part.is_empty()).collect();
        match parts[..] {
            [] | [_] => vec![("", &self.losses[..])],
            _ => parts.into_iter().map(|(name, part)| (name, &part[..])).collect(),
        }
    }

    /// Takes in what the run ended with: its pictures, and what was measured so far.
    pub fn show(&mut self, grid: Option<Arc<Grid>>, metrics: Option<Metrics>) {
        if let Some(grid) = grid {
            self.snapshots.retain(|(step, _)| *step == 0 || *step < self.steps);
            self.snapshots.push((self.steps, grid));
        }
        self.measured = metrics.or(self.measured.take());
    }

    /// Takes in the result.
    pub fn finish(&mut self, run: Arc<Run>) {
        self.steps = self.steps.max(run.log.len());
        self.show(Some(run.after.clone()), None);
        self.run = Some(run);
    }

    /// The latest picture at or before a step, and its step; the latest of all without one.
    pub fn at(&self, step: Option<usize>) -> (usize, &Arc<Grid>) {
        let upto = step.unwrap_or(usize::MAX);
        let last = self.snapshots.iter().rposition(|(s, _)| *s <= upto).unwrap_or(0);
        let (step, grid) = &self.snapshots[last];
        (*step, grid)
    }
}
