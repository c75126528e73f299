//! The metrics of a report, a row each: what is printed, tables, figures and the studio read them here.
//! A new one that follows from a classifier's answers is a row.

use std::collections::BTreeMap;

use super::{Answers, wilson};
use crate::words::{Metrics, Task};

/// What kind of number a metric is, and so where it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// An accuracy in percent: in every summary, in average gaps and in ToW.
    Accuracy,
    /// Another percentage: among a run's metrics, and in average gaps.
    Percentage,
    /// Of no fixed range: a column of its tables.
    Distance,
    /// Whatever else is worth knowing: told where it was measured, and in no gap.
    Aside,
}

/// Where a metric's number comes from.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// A field of the metrics.
    Field(fn(&Metrics) -> Option<f64>),
    /// A classifier's answers, of which it is computed; kept by its key in [`Metrics::more`].
    Answers(fn(&Answers) -> f64),
}

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// The field in a report's JSON, and the short title.
    pub key: &'static str,
    pub kind: MetricKind,
    /// The long title and what is measured.
    about: &'static str,
    /// A task for which it means something else, and what.
    apart: Option<(Task, &'static str)>,
    /// The tasks in whose tables it is a column, and the column's title.
    columns: &'static [(Task, &'static str)],
    pub source: Source,
    /// Pictures behind it, and those that they are told apart from.
    pub n: fn(&Metrics) -> (usize, Option<usize>),
}

/// Every metric, in the order in which they are shown.
pub static METRICS: [Metric; 6] = [
    Metric {
        key: "UA",
        kind: MetricKind::Accuracy,
        about: "Unlearning accuracy: share of the forget set no longer recognised",
        apart: None,
        columns: &[(Task::Classify, "UA"), (Task::Generate, "UA"), (Task::TextToImage, "UA")],
        source: Source::Field(|m| m.judged().then_some(m.UA)),
        n: |m| (m.n[0], None),
    },
    Metric {
        key: "RA",
        kind: MetricKind::Accuracy,
        about: "Remaining accuracy: on what was to be kept",
        apart: Some((
            Task::TextToImage,
            "Retain accuracy within the domain: other concepts, or other styles, still drawn",
        )),
        columns: &[(Task::Classify, "RA"), (Task::Generate, "kept"), (Task::TextToImage, "RA")],
        source: Source::Field(|m| m.judged().then_some(m.RA)),
        n: |m| (m.n[1], None),
    },
    Metric {
        key: "TA",
        kind: MetricKind::Accuracy,
        about: "Testing accuracy: on pictures never trained on",
        apart: Some((
            Task::TextToImage,
            "Retain accuracy across: the asked styles, or concepts, still drawn",
        )),
        columns: &[(Task::Classify, "TA"), (Task::TextToImage, "TA")],
        source: Source::Field(|m| m.judged().then_some(m.TA)),
        n: |m| (m.n[2], None),
    },
    Metric {
        key: "MIA",
        kind: MetricKind::Percentage,
        about: "Membership inference attack: share of the forget set that it takes for pictures \
                never trained on",
        apart: None,
        columns: &[(Task::Classify, "MIA")],
        source: Source::Field(|m| m.MIA),
        n: |m| (m.MIA_n[0], Some(m.MIA_n[1])),
    },
    Metric {
        key: "FD",
        kind: MetricKind::Distance,
        about: "Frechet distance of the kept classes' samples to real pictures",
        apart: None,
        columns: &[(Task::Generate, "FD")],
        source: Source::Field(|m| m.FD.map(|f| f.value)),
        n: |m| (m.FD.map_or(0, |f| f.n), None),
    },
    Metric {
        key: "FC",
        kind: MetricKind::Aside,
        about: "Forget confidence: the mean probability that it still gives the forgotten pictures' own \
                classes",
        apart: None,
        columns: &[(Task::Classify, "FC")],
        source: Source::Answers(|of| {
            let all = of.forget.confidences();
            100.0 * all.iter().map(|p| f64::from(*p)).sum::<f64>() / all.len().max(1) as f64
        }),
        n: |m| (m.n[0], None),
    },
];

impl Metric {
    /// Those that a run is told by, of what was measured.
    pub fn told<'a>(of: &'a [&Metrics]) -> impl Iterator<Item = &'static Self> + Clone + 'a {
        METRICS.iter().filter(|m| match m.kind {
            MetricKind::Accuracy | MetricKind::Percentage => true,
            MetricKind::Aside => m.measured(of),
            MetricKind::Distance => false,
        })
    }

    /// Whether one of these has it.
    pub fn measured(&self, of: &[&Metrics]) -> bool {
        of.iter().any(|m| self.value(m).is_some())
    }

    /// The number; `None` where it was not measured.
    pub fn value(&self, of: &Metrics) -> Option<f64> {
        match self.source {
            Source::Field(field) => field(of),
            Source::Answers(_) => of.more.get(self.key).copied(),
        }
    }

    /// The 95 % interval of a number that is a share of counted pictures; `None` of any other.
    pub fn interval(&self, of: &Metrics) -> Option<[f64; 2]> {
        let counted = matches!(self.kind, MetricKind::Accuracy | MetricKind::Percentage);
        let n = (self.n)(of).0;
        self.value(of).filter(|_| counted && n > 0).map(|value| wilson(value, n))
    }

    /// The accuracies.
    pub fn accuracies() -> impl Iterator<Item = &'static Self> + Clone {
        METRICS.iter().filter(|m| m.kind == MetricKind::Accuracy)
    }

    /// The columns of a task's tables with their titles; one that is told aside where it was measured.
    pub fn columns(
        task: Task,
        of: &[&Metrics],
    ) -> impl Iterator<Item = (&'static str, &'static Self)> {
        let title = move |m: &Self| m.columns.iter().find(|(of, _)| *of == task).map(|(_, t)| *t);
        let there = move |m: &&Self| m.kind != MetricKind::Aside || m.measured(of);
        METRICS.iter().filter(there).filter_map(move |m| Some((title(m)?, m)))
    }

    /// The long title and what is measured, for a task by its name in reports.
    pub fn about(&self, task: &str) -> &'static str {
        let apart = self.apart.filter(|(of, _)| of.name() == task);
        apart.map_or(self.about, |(_, about)| about)
    }
}

/// What [`Metrics::more`] holds of a classifier's answers.
pub fn more(answers: &Answers) -> BTreeMap<String, f64> {
    let of = |m: &Metric| match m.source {
        Source::Answers(of) => Some((m.key.to_string(), of(answers))),
        Source::Field(_) => None,
    };
    METRICS.iter().filter_map(of).collect()
}

impl Metrics {
    /// `UA 98.2, RA 97.0, TA 91.3`: what was measured of `which`, with `between` in between.
    pub fn line(&self, which: impl Iterator<Item = &'static Metric>, between: &str) -> String {
        let said = which.filter_map(|m| Some(format!("{} {:.1}", m.key, m.value(self)?)));
        said.collect::<Vec<_>>().join(between)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_a_field_of_a_report() {
        let m = Metrics { MIA: Some(1.0), FD: Some(Default::default()), ..Metrics::default() };
        let json = serde_json::to_value(m).unwrap();
        for metric in METRICS.iter().filter(|m| matches!(m.source, Source::Field(_))) {
            assert!(json.get(metric.key).is_some(), "{}", metric.key);
        }
    }

    #[test]
    fn a_table_of_diffusion_has_its_own_columns() {
        let titles = |task| Metric::columns(task, &[]).map(|(title, _)| title).collect::<Vec<_>>();
        assert_eq!(titles(Task::Generate), ["UA", "kept", "FD"]);
        assert_eq!(titles(Task::TextToImage), ["UA", "RA", "TA"]);
    }
}
