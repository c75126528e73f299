//! A finished run beside its control as it is shown, without weights: what the gallery keeps of it.
//!
//! Pictures are kept in 32 levels a channel, those on the way and after as what they differ in from those before
//! (nothing, for a classifier), and of many columns the first: a record is there to be looked at. What the run was is
//! in its hashes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::figures;
use crate::engine::{Grid, LogLine, Run};
use crate::gpu;
use crate::saliency::Histogram;
use crate::words::{Recipe, Report};

/// Pictures by the number of updates before them.
pub type Steps = Vec<(usize, Arc<Grid>)>;

/// What one of both runs was.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recorded {
    pub report: Report,
    pub log: Vec<LogLine>,
    /// SHA-256 of the weights that it ended with.
    pub weights: String,
    shown: Vec<Shown>,
}

/// A run and its control.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    pub recipe: Recipe,
    /// Names of the model's classes, and how many weights it has.
    pub classes: Vec<String>,
    pub params: usize,
    /// Rows from the first on that are to be forgotten, and where they begin.
    pub forgotten: [usize; 2],
    /// The scores that the mask was cut from.
    pub scores: Option<Histogram>,
    /// Mean movement of a weight of every layer.
    pub change: Vec<f32>,
    pub run: Arc<Recorded>,
    pub control: Option<Arc<Recorded>>,
    /// The processor's instructions that it was computed with: sums differ between them.
    pub instructions: String,
    /// The pane before, in levels.
    pane: Grid,
}

/// What a pane showed at a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Shown {
    step: usize,
    /// Levels that its pictures are above those before, of 32 in a ring; nothing where they are the same.
    #[serde(with = "crate::wire::numbers")]
    above: Vec<u8>,
    /// Per tile: what was seen, and how surely in percent.
    seen: Vec<Option<(usize, u8)>>,
}

/// How much of a run is kept.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Pictures of a row, and rows, at the most.
    pub columns: usize,
    pub rows: usize,
    /// Steps on the way with pictures of their own, beside the first and the last.
    pub steps: usize,
}

/// The low bits of a channel that are not kept, and the levels that are left.
const DROPPED: u32 = 3;
const LEVELS: u8 = 32;

impl Record {
    /// What there is to keep of a run, of its control and of what they showed on the way. `forgotten`: the rows of a
    /// pane that are to be forgotten.
    pub fn of(
        run: (&Run, &Steps),
        control: Option<(&Run, &Steps)>,
        forgotten: std::ops::Range<usize>,
        extent: Extent,
    ) -> Self {
        let (model, before) = (&run.0.model, &run.0.before);
        let pane = thin(before, extent);
        let told = |run, steps| told(run, Extent { steps, ..extent }, &pane);
        let (first, control) = (told(run, extent.steps), control.map(|control| told(control, 0)));
        let rows = pane.rows.len();
        Self {
            recipe: Recipe { fingerprint: None, ..run.0.recipe.clone() },
            classes: model.classes().to_vec(),
            params: model.weights().values.len(),
            forgotten: [forgotten.start.min(rows), forgotten.end.min(rows)],
            scores: run.0.ranking.as_deref().and_then(figures::scores),
            change: run.0.change.layers.clone(),
            run: first.into(),
            control: control.map(Arc::new),
            instructions: gpu::instructions().into(),
            pane,
        }
    }

    /// What a run showed: before it, on the way, after it.
    pub fn steps(&self, told: &Recorded) -> Steps {
        let pane = |shown: &Shown| {
            let above = shown.above.iter().copied().chain(std::iter::repeat(0));
            let level = |(before, above): (&u8, u8)| {
                let level = (before % LEVELS + above % LEVELS) % LEVELS;
                (level << DROPPED) | (level >> (5 - DROPPED))
            };
            let pixels = self.pane.pixels.iter().zip(above).map(level).collect();
            let seen = shown.seen.iter();
            let seen: Vec<_> =
                seen.map(|seen| seen.map(|(class, p)| (class, f32::from(p) / 100.0))).collect();
            let grid = Grid { pixels, seen, ..self.pane.clone() };
            grid.is_whole().then(|| (shown.step, Arc::new(grid)))
        };
        told.shown.iter().filter_map(pane).collect()
    }

    /// What a run that was asked for again came to, in a line: whether its weights are those of what it `was`.
    pub fn compared(&self, was: &Recorded, run: &Run) -> String {
        if run.model.weights().hash() == was.weights {
            return "Replayed: the same bytes as the recorded run".into();
        }
        let (device, now) = (&run.report.device, gpu::instructions());
        let why = if device.api != "cpu" {
            format!("it was recorded on a CPU, and {} sums in another order", device.name)
        } else if now != self.instructions {
            format!(
                "it was recorded with {}, this processor has {now}, and sums in another order",
                self.instructions
            )
        } else {
            "this program computes otherwise than the one that recorded it".into()
        };
        format!("Replayed: other bytes than the recorded run; {why}")
    }
}

/// What is kept of one run, whose first pane in levels is `pane`.
fn told((run, steps): (&Run, &Steps), extent: Extent, pane: &Grid) -> Recorded {
    let (first, last) = ((0, run.before.clone()), (run.log.len(), run.after.clone()));
    let same =
        |grid: &Grid| grid.rows == run.before.rows && grid.pixels.len() == run.before.pixels.len();
    let between: Steps = steps
        .iter()
        .filter(|(step, grid)| *step > 0 && *step < run.log.len() && same(grid))
        .cloned()
        .collect();
    // Pictures that stay the same cost nothing.
    let free = between.iter().all(|(_, grid)| grid.pixels == run.before.pixels);
    let most = if free { between.len() } else { extent.steps.min(between.len()) };
    let even = (0..most).map(|i| between[(2 * i + 1) * between.len() / (2 * most)].clone());
    let all = [first].into_iter().chain(even).chain([last]);
    let shown = all.map(|(step, grid)| {
        let grid = thin(&grid, extent);
        let pairs = grid.pixels.iter().zip(&pane.pixels);
        let above: Vec<u8> = pairs.map(|(now, then)| (now + LEVELS - then) % LEVELS).collect();
        let same = above.iter().all(|above| *above == 0);
        let percent = |p: f32| (100.0 * p).round().clamp(0.0, 100.0) as u8;
        let seen =
            grid.seen.iter().map(|seen| seen.map(|(class, p)| (class, percent(p)))).collect();
        Shown { step, above: if same { Vec::new() } else { above }, seen }
    });
    let shown = shown.collect();
    let log = run.log.clone();
    Recorded { report: run.report.clone(), log, weights: run.model.weights().hash(), shown }
}

/// A pane's first rows and columns, in levels.
fn thin(grid: &Grid, extent: Extent) -> Grid {
    let (rows, columns) = (grid.rows.len().min(extent.rows), grid.columns.min(extent.columns));
    let places = || (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    Grid {
        rows: grid.rows[..rows].to_vec(),
        names: grid.names.iter().take(rows).cloned().collect(),
        columns,
        channels: grid.channels,
        tile: grid.tile,
        pixels: places()
            .flat_map(|(row, column)| grid.pixels_of(row, column))
            .map(|value| value >> DROPPED)
            .collect(),
        seen: places().map(|(row, column)| grid.seen_in(row, column)).collect(),
    }
}
