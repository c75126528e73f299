//! The finished runs of a task: what the forget map shows, and what can be shown again.

use std::sync::Arc;

use super::Arm;
use super::attempt::Attempt;
use crate::engine::{Opened, PromptPane, Run};
use crate::words::{Recipe, Report, Verdict};

/// Bytes of weights, masks and changes that are kept; older runs keep their figures alone.
const KEPT: usize = if cfg!(target_arch = "wasm32") { 200_000_000 } else { 800_000_000 };

/// The method that trains anew.
const RETRAIN: &str = "retrain";

/// A finished run and its control.
#[derive(Debug)]
pub struct Entry {
    /// Counted from 1, never given twice.
    pub number: usize,
    pub recipe: Recipe,
    /// Of the method and of its control.
    pub reports: [Option<Report>; 2],
    /// What shows the run again; `None` once it was let go.
    pub kept: Option<Kept>,
}

/// All that is needed to show a run again.
#[derive(Debug, Clone)]
pub struct Kept {
    pub opened: Arc<Opened>,
    /// What the request's prompts showed before it.
    pub pane: Option<PromptPane>,
    pub attempts: [Option<Attempt>; 2],
}

/// Runs in the order in which they finished.
#[derive(Debug, Default)]
pub struct History {
    /// The oldest first.
    pub entries: Vec<Entry>,
    /// The run whose pictures are shown.
    pub shown: Option<usize>,
}

impl History {
    /// Takes in a method's run, or the control of the latest one.
    pub fn push(&mut self, arm: Arm, kept: Kept, attempt: &Attempt, run: &Run) {
        if arm == Arm::Method {
            let number = self.entries.last().map_or(1, |e| e.number + 1);
            let kept = Some(kept);
            let recipe = run.recipe.clone();
            self.entries.push(Entry { number, recipe, reports: [None, None], kept });
            self.shown = Some(number);
        }
        let Some(entry) = self.entries.last_mut() else { return };
        entry.reports[arm as usize] = Some(run.report.clone());
        if let Some(kept) = &mut entry.kept {
            kept.attempts[arm as usize] = Some(attempt.clone());
        }
        self.trim(KEPT);
    }

    /// A finished Retrain of a model without a forget set.
    pub fn retrain(&self, model: &str, spec: &str) -> Option<&Arc<Run>> {
        let is_it = |e: &&Entry| {
            let Recipe { method, forget, .. } = &e.recipe;
            e.recipe.start() == model && method == RETRAIN && forget == spec
        };
        let entries = self.entries.iter().rev().filter(is_it);
        let mut runs = entries.filter_map(|e| e.kept.as_ref()?.attempts[0].as_ref()?.run.as_ref());
        runs.next()
    }

    /// Takes in what an audit says of a run.
    pub fn judge(&mut self, run: &Run, verdict: &Verdict) {
        let reports = self.entries.iter_mut().flat_map(|e| e.reports.iter_mut().flatten());
        for report in reports.filter(|r| r.protocol == run.report.protocol) {
            report.verdict = verdict.clone();
        }
    }

    /// Lets go of the weights of old runs, never of the latest's.
    fn trim(&mut self, most: usize) {
        let mut sum = 0;
        for (age, entry) in self.entries.iter_mut().rev().enumerate() {
            sum += entry.kept.as_ref().map_or(0, Kept::bytes);
            if age > 0 && sum > most {
                entry.kept = None;
            }
        }
    }
}

impl Entry {
    /// The report of the method's run.
    pub fn report(&self) -> Option<&Report> {
        self.reports[Arm::Method as usize].as_ref()
    }
}

impl Kept {
    /// Weights, change, mask and snapshots; the scores are shared with the engine.
    fn bytes(&self) -> usize {
        let of = |run: &Arc<Run>| {
            let snapshots = run.snapshots.bytes();
            let mask = run.mask.as_ref().map_or(0, |m| m.bits.len() / 8);
            4 * (run.model.weights().values.len() + run.change.values.len()) + mask + snapshots
        };
        self.attempts.iter().flatten().filter_map(|a| a.run.as_ref()).map(of).sum()
    }
}
