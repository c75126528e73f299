//! One unlearning run as it is seen from outside: losses, pictures on the way, the result.

use std::{path::PathBuf, sync::Arc};

use crate::{
    engine::job::{Grid, Live, Run},
    run::{
        audit::Audit,
        report::{Metrics, Verdict},
    },
};

/// A run that was asked for.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The name of the method.
    pub method: String,
    /// (step, loss), one for each update so far.
    pub losses: Vec<[f64; 2]>,
    /// Updates in all, once known.
    pub steps: usize,
    /// Pictures by the number of updates before them; step 0 is the unchanged model.
    pub snapshots: Vec<(usize, Arc<Grid>)>,
    /// (step, UA, RA and TA over the shown tiles), of every look so far.
    pub glances: Vec<(usize, Metrics)>,
    pub run: Option<Arc<Run>>,
    /// What the model still holds, once that was looked for.
    pub audit: Option<Arc<Audit>>,
    /// What came of the run, and of its audit.
    pub verdict: Option<Verdict>,
    pub cancelled: bool,
    /// Where the run was saved.
    pub saved: Option<PathBuf>,
}

impl Attempt {
    /// A run that has yet to start; until it does, the model shows what it showed before.
    pub fn new(method: String, before: Arc<Grid>) -> Self {
        Self {
            method,
            losses: Vec::new(),
            steps: 0,
            snapshots: vec![(0, before)],
            glances: Vec::new(),
            run: None,
            audit: None,
            verdict: None,
            cancelled: false,
            saved: None,
        }
    }

    /// Takes in news from the engine.
    pub fn push(&mut self, live: Live) {
        self.steps = live.steps;
        self.losses.push([live.step as f64, f64::from(live.loss)]);
        if let Some(grid) = live.grid {
            self.snapshots.push((live.step, grid));
        }
        self.glances.extend(live.metrics.map(|m| (live.step, m)));
    }

    /// Takes in the result.
    pub fn finish(&mut self, run: Arc<Run>) {
        self.steps = self.steps.max(run.log.len());
        self.snapshots.push((self.steps, run.after.clone()));
        self.audit = run.report.audit.clone().map(Arc::from);
        self.verdict = Some(run.report.verdict.clone());
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
