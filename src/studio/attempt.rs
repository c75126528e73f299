//! One unlearning run as it is seen from outside: losses, pictures on the way, the result.

use std::{ops::Range, path::PathBuf, sync::Arc};

use super::request::controlled;
use crate::engine::{Grid, LiveStep, LogLine, Run};
use crate::run::Record;
use crate::run::record::Recorded;
use crate::words::{Recipe, Report};

/// A run that was asked for.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    /// The name of the method.
    pub method: String,
    /// Whether a random mask of equal size does the same afterwards.
    pub controlled: bool,
    /// (step, loss), one for each update so far.
    pub losses: Vec<[f64; 2]>,
    /// Updates in all, once known.
    pub steps: usize,
    /// Pictures by the number of updates before them; step 0 is the unchanged model.
    pub snapshots: Vec<(usize, Arc<Grid>)>,
    pub run: Option<Arc<Run>>,
    /// What is known of a run that was recorded, and not made here.
    pub recorded: Option<Arc<Recorded>>,
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

/// The curve of a log.
fn losses(log: &[LogLine]) -> Vec<[f64; 2]> {
    log.iter().map(|line| [line.step as f64, line.loss.into()]).collect()
}

impl Attempt {
    /// A run that has yet to start; until it does, the model shows what it showed before.
    pub fn new(recipe: &Recipe, before: Arc<Grid>) -> Self {
        let (method, controlled) = (recipe.method.clone(), controlled(recipe));
        Self { method, controlled, snapshots: vec![(0, before)], ..Self::default() }
    }

    /// A run that was recorded, with what it showed.
    pub fn recorded(recipe: &Recipe, record: &Record, told: &Arc<Recorded>) -> Self {
        let snapshots = record.steps(told);
        Self {
            losses: losses(&told.log),
            steps: told.log.len(),
            recorded: Some(told.clone()),
            snapshots,
            ..Self::new(recipe, Arc::default())
        }
    }

    /// What is known of the run once it is finished.
    pub fn report(&self) -> Option<&Report> {
        let recorded = self.recorded.as_ref().map(|recorded| &recorded.report);
        self.run.as_ref().map(|run| &run.report).or(recorded)
    }

    /// Takes in news from the engine.
    pub fn push(&mut self, live: LiveStep) {
        self.steps = live.steps;
        self.losses.push([live.step as f64, f64::from(live.loss)]);
        if let Some(grid) = live.grid {
            self.snapshots.push((live.step, grid));
        }
    }

    /// Takes in the result.
    pub fn finish(&mut self, run: Arc<Run>) {
        self.steps = self.steps.max(run.log.len());
        self.snapshots.push((self.steps, run.after.clone()));
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
