//! Runs beside what they are compared with, and their statistics over seeds.

use super::Cell;
use crate::eval::{Metric, MetricKind, Spread, spread};
use crate::words::Metrics;

/// A run and what it is compared with.
pub struct Sample<'a> {
    pub seed: u64,
    /// The place of its forget set.
    pub forget: usize,
    pub cell: &'a Cell,
    pub reference: Option<Metrics>,
}

impl<'a> Sample<'a> {
    /// What was measured, unless the run failed.
    pub fn metrics(&self) -> Option<&'a Metrics> {
        Some(&self.cell.numbers()?.metrics)
    }

    /// The distance of a metric to the reference's.
    pub fn gap(&self, metric: &Metric) -> Option<f64> {
        let reference = metric.value(self.reference.as_ref()?)?;
        Some((metric.value(self.metrics()?)? - reference).abs())
    }

    /// The mean gap of the metrics in percent.
    pub fn average(&self, metrics: &[&Metric]) -> Option<f64> {
        let percent = metrics
            .iter()
            .filter(|m| [MetricKind::Accuracy, MetricKind::Percentage].contains(&m.kind));
        let gaps: Vec<f64> = percent.filter_map(|m| self.gap(m)).collect();
        spread(&gaps).map(|s| s.mean)
    }

    /// ToW: how close all accuracies are at once.
    pub fn tow(&self) -> Option<f64> {
        Metric::accuracies()
            .try_fold(1.0, |product, m| Some(product * (1.0 - self.gap(m)? / 100.0)))
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
