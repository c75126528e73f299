//! Measured runs beside what they are compared with, and their statistics over seeds.

use super::Numbers;
use crate::eval::{Metric, MetricKind, Spread, spread};
use crate::words::Metrics;

/// A measured run and what it is compared with.
pub struct Sample<'a> {
    pub seed: u64,
    pub forget: usize,
    pub numbers: &'a Numbers,
    pub reference: Option<Metrics>,
}

impl Sample<'_> {
    /// The distance of a metric to the reference's.
    pub fn gap(&self, metric: &Metric) -> Option<f64> {
        let reference = metric.value(self.reference.as_ref()?)?;
        Some((metric.value(&self.numbers.metrics)? - reference).abs())
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
