//! One unlearning run as it is seen from outside: losses, pictures on the way, the result.

use std::{ops::Range, path::PathBuf, sync::Arc};

use crate::engine::{Grid, LiveStep, LogLine, LossParts, Run};
use crate::run::Record;
use crate::run::record::Recorded;
use crate::words::{Metrics, Recipe, Report};

/// What the curves of a loss's parts are called, behind the run's name.
pub const FORGET: &str = " forget";
pub const RETAIN: &str = " retain";

/// A run that was asked for.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    /// What was asked for.
    pub recipe: Recipe,
    /// (step, loss), one for each update so far.
    pub losses: Vec<[f64; 2]>,
    /// The same of the forget and of the retain set, of the updates that see them apart.
    pub parts: [Vec<[f64; 2]>; 2],
    /// Updates in all, once known.
    pub steps: usize,
    /// Pictures by the number of updates before them; step 0 is the unchanged model.
    pub snapshots: Vec<(usize, Arc<Grid>)>,
    /// After how many updates the first row of what is to be forgotten was seen, before all were: which row, and the
    /// unchanged model's pictures with it.
    pub glimpse: Option<(usize, usize, Arc<Grid>)>,
    /// What was measured of what it ended with, while that goes on.
    pub measured: Option<Metrics>,
    pub run: Option<Arc<Run>>,
    /// What is known of a run that was recorded, and not made here.
    pub recorded: Option<Arc<Recorded>>,
    pub cancelled: bool,
    /// How much of the finished run's change is shown.
    pub dial: Dial,
    /// Where the run was saved.
    pub saved: Option<PathBuf>,
}

/// How much of a finished run's change its pane shows.
#[derive(Debug, Clone)]
pub struct Dial {
    /// What is asked for: 0 is the original, 1 the run.
    pub strength: f64,
    /// What was drawn last, and at which strength.
    pub drawn: Option<(f64, Arc<Grid>)>,
}

impl Default for Dial {
    fn default() -> Self {
        Self { strength: 1.0, drawn: None }
    }
}

impl Dial {
    /// Goes back to what is shown: what was asked for is not drawn.
    pub fn give_up(&mut self) {
        self.strength = self.drawn.as_ref().map_or(1.0, |(strength, _)| *strength);
    }
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
    pub fn new(recipe: Recipe, before: Arc<Grid>) -> Self {
        Self { recipe, snapshots: vec![(0, before)], ..Self::default() }
    }

    /// The same of a run that goes on, whose first updates are known.
    pub fn going_on(self, log: &[LogLine]) -> Self {
        let mut attempt = self;
        log.iter().for_each(|line| attempt.note(line.step, line.loss, line.parts));
        attempt
    }

    /// A run that was recorded, with what it showed.
    pub fn recorded(recipe: &Recipe, record: &Record, told: &Arc<Recorded>) -> Self {
        let snapshots = record.steps(told);
        let attempt = Self {
            steps: told.log.len(),
            recorded: Some(told.clone()),
            snapshots,
            ..Self::new(recipe.clone(), Arc::default())
        };
        attempt.going_on(&told.log)
    }

    /// Notes the loss of an update.
    fn note(&mut self, step: usize, loss: f32, of: LossParts) {
        let step = step as f64;
        self.losses.push([step, loss.into()]);
        for (all, part) in self.parts.iter_mut().zip([of.forget, of.retain]) {
            all.extend(part.map(|part| [step, part.into()]));
        }
    }

    /// Leaves out the losses of the updates after one.
    fn cut(&mut self, end: usize) {
        let [forget, retain] = &mut self.parts;
        for curve in [&mut self.losses, forget, retain] {
            curve.retain(|loss| loss[0] <= end as f64);
        }
    }

    /// What is known of the run once it is finished.
    pub fn report(&self) -> Option<&Report> {
        let recorded = self.recorded.as_ref().map(|recorded| &recorded.report);
        self.run.as_ref().map(|run| &run.report).or(recorded)
    }

    /// The recipe of the run: as it was asked for, or as it was made.
    pub fn recipe(&self) -> &Recipe {
        self.run.as_ref().map_or(&self.recipe, |run| &run.recipe)
    }

    /// Takes in news from the engine.
    pub fn push(&mut self, live: LiveStep) {
        self.steps = live.steps;
        // Of a way that was made before, this is made again.
        self.cut(live.step.saturating_sub(1));
        self.snapshots.retain(|(step, _)| *step < live.step.max(1));
        self.note(live.step, live.loss, live.parts);
        if let Some(seen) = live.glimpse {
            let with = self.at(None).1.with_row_of(&seen);
            self.glimpse = with.map(|(row, grid)| (live.step, row, grid.into()));
        }
        if let Some(grid) = live.grid {
            self.glimpse = None;
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
            self.glimpse = None;
            self.snapshots.retain(|(step, _)| *step == 0 || *step < self.steps);
            self.snapshots.push((self.steps, grid));
        }
        self.measured = metrics.or(self.measured.take());
    }

    /// Takes over the way of another run until where this one ends, whose way it is, too.
    pub fn begin_with(&mut self, way: &Self) {
        let end = self.recipe.until.unwrap_or(usize::MAX);
        (self.losses, self.parts) = (way.losses.clone(), way.parts.clone());
        self.cut(end);
        self.snapshots = way.snapshots.iter().filter(|(step, _)| *step < end).cloned().collect();
        self.steps = end.min(way.steps);
    }

    /// Takes in the result.
    pub fn finish(&mut self, run: Arc<Run>) {
        self.steps = self.steps.max(run.log.len());
        // What was seen on the way is looked at less closely.
        self.show(Some(run.after.clone()), None);
        self.run = Some(run);
    }

    /// What the finished run shows at another strength than its own, once that is drawn; `before` is what the
    /// original shows.
    pub fn part<'a>(&'a self, before: Option<&'a Arc<Grid>>) -> Option<(&'a Arc<Grid>, f64)> {
        let Dial { strength, drawn } = &self.dial;
        if self.run.is_none() || *strength == 1.0 {
            return None;
        }
        match drawn {
            _ if *strength == 0.0 => Some((before?, 0.0)),
            Some((strength, grid)) => Some((grid, *strength)),
            None => None,
        }
    }

    /// The latest picture at or before a step, and its step; the latest of all without one.
    pub fn at(&self, step: Option<usize>) -> (usize, &Arc<Grid>) {
        let upto = step.unwrap_or(usize::MAX);
        let last = self.snapshots.iter().rposition(|(s, _)| *s <= upto).unwrap_or(0);
        let (step, grid) = &self.snapshots[last];
        (*step, grid)
    }
}
