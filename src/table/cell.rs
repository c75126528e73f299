//! What one run of a table came to: a small JSON file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rows::Row;
use super::{ORIGINAL, RETRAIN, Run};
use crate::eval::{Metric, spread};
use crate::words::{DeviceReport, MaskReport, Metrics, Report, Seconds};

/// The result of one [`Run`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// [`super::Table::hash`].
    pub protocol: String,
    pub forget: String,
    pub row: Row,
    pub seed: u64,
    pub outcome: Outcome,
    /// Wall-clock seconds of the whole cell.
    pub seconds: f64,
    pub device: DeviceReport,
}

/// Numbers, or why there are none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Done(Box<Numbers>),
    Failed(String),
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    pub metrics: Metrics,
    /// Pictures of the forget set.
    pub forgotten: usize,
    pub seconds: Seconds,
    /// Updates of the run; 0 where nothing was trained.
    pub steps: usize,
    pub batch: usize,
    pub lr: f64,
    pub mask: Option<MaskNumbers>,
}

/// The mask without its layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaskNumbers {
    pub estimator: String,
    pub k: usize,
    pub n: usize,
    /// 0, or it is a bug.
    pub frozen_changed: usize,
    pub hash: String,
}

impl Numbers {
    /// The numbers of a whole run.
    pub fn of_run(report: &Report) -> Self {
        let mask = |MaskReport { estimator, k, n, frozen_changed, hash, .. }: MaskReport| {
            MaskNumbers { estimator, k, n, frozen_changed, hash }
        };
        Self {
            metrics: report.after.clone(),
            forgotten: report.forget.n,
            seconds: report.seconds.clone(),
            steps: report.training.steps,
            batch: report.training.batch,
            lr: report.training.lr,
            mask: report.mask.clone().map(mask),
        }
    }

    /// The numbers of a model that was only measured, and trained in `seconds`.
    pub fn of_model(metrics: Metrics, seconds: f64) -> Self {
        Self {
            forgotten: metrics.n[0],
            metrics,
            seconds: Seconds { unlearn: seconds, ..Seconds::default() },
            steps: 0,
            batch: 0,
            lr: 0.0,
            mask: None,
        }
    }

    /// Run-time efficiency: seconds of the mask and of unlearning.
    pub fn rte(&self) -> f64 {
        self.seconds.mask + self.seconds.unlearn
    }
}

impl Cell {
    /// Its numbers, if it has any.
    pub fn numbers(&self) -> Option<&Numbers> {
        match &self.outcome {
            Outcome::Done(numbers) => Some(numbers),
            Outcome::Failed(_) => None,
        }
    }

    /// One line for a person.
    pub fn line(&self) -> String {
        match &self.outcome {
            Outcome::Failed(why) => format!("failed: {why}"),
            Outcome::Done(n) => {
                let numbers = n.metrics.line(Metric::told(&[&n.metrics]), " ");
                format!("{numbers} ({:.1} s)", self.seconds)
            }
        }
    }
}

/// The cells of a table by the name of their run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cells(BTreeMap<String, Cell>);

impl Cells {
    /// The cell of a run.
    pub fn get(&self, run: &Run) -> Option<&Cell> {
        self.0.get(&run.name())
    }

    /// Adds a cell.
    pub fn put(&mut self, name: String, cell: Cell) {
        self.0.insert(name, cell);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Cell> {
        self.0.values()
    }

    /// How long a run like this took on average: of the same method, or else of any that is not
    /// Retrain, which trains a model first.
    pub fn expected(&self, run: &Run) -> Option<f64> {
        let mean = |fits: &dyn Fn(&Cell) -> bool| {
            let all: Vec<f64> = self.iter().filter(|c| fits(c)).map(|c| c.seconds).collect();
            spread(&all).map(|s| s.mean)
        };
        let method = &run.row.method;
        let like = |c: &Cell| c.row.method == *method && c.row.estimator() == run.row.estimator();
        mean(&like)
            .or_else(|| mean(&|c| c.row.method == *method))
            .or_else(|| mean(&|c| ![RETRAIN, ORIGINAL].contains(&&*c.row.method)))
    }
}
