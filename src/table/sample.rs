//! Measured runs beside what they are compared with, and their statistics over seeds.

use super::cell::Numbers;
use crate::{
    eval::stats::{Spread, spread},
    words::{report::Metrics, task::Task},
};

/// A measured run and what it is compared with.
pub struct Sample<'a> {
    pub seed: u64,
    pub forget: usize,
    pub numbers: &'a Numbers,
    pub reference: Option<Metrics>,
}

/// The columns of a task: what is read of the metrics.
pub fn columns(task: Task) -> &'static [&'static str] {
    match task {
        Task::Classify => &["UA", "RA", "TA", "MIA"],
        Task::Generate => &["UA", "kept", "FD"],
        Task::TextToImage => &["UA", "RA", "TA"],
    }
}

pub fn value(metrics: &Metrics, column: &str) -> Option<f64> {
    match column {
        "UA" => Some(metrics.UA),
        "RA" | "kept" => Some(metrics.RA),
        "TA" => Some(metrics.TA),
        "MIA" => metrics.MIA,
        "FD" => metrics.FD.map(|f| f.value),
        _ => None,
    }
}

impl Sample<'_> {
    pub fn gap(&self, column: &str) -> Option<f64> {
        let reference = value(self.reference.as_ref()?, column)?;
        Some((value(&self.numbers.metrics, column)? - reference).abs())
    }

    pub fn average(&self, columns: &[&str]) -> Option<f64> {
        // A Frechet distance is not in percent.
        let gaps: Vec<f64> =
            columns.iter().filter(|c| **c != "FD").filter_map(|c| self.gap(c)).collect();
        (!gaps.is_empty()).then(|| gaps.iter().sum::<f64>() / gaps.len() as f64)
    }

    pub fn tow(&self) -> Option<f64> {
        let gaps = ["UA", "RA", "TA"].map(|c| self.gap(c).map(|g| 1.0 - g / 100.0));
        gaps.into_iter().try_fold(1.0, |product, g| Some(product * g?))
    }
}

/// A statistic over seeds of what `read` finds in the samples.
pub fn over(samples: &[Sample], read: impl Fn(&Sample) -> Option<f64>) -> Option<Spread> {
    let mut seeds: Vec<u64> = samples.iter().map(|s| s.seed).collect();
    seeds.dedup();
    let mean = |seed: u64| {
        let of = samples.iter().filter(|s| s.seed == seed).filter_map(&read);
        spread(&of.collect::<Vec<_>>()).map(|s| s.mean)
    };
    spread(&seeds.into_iter().filter_map(mean).collect::<Vec<_>>())
}
