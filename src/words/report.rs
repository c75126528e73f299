//! `report.json`: what a run did and what came of it (docs/use.md). Percent are 0..100, times seconds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{AttackReport, Audit, Changed, Format, grouped};

/// The whole report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    #[serde(default)]
    pub format: Format,
    pub task: String,
    pub model: String,
    pub data: String,
    pub forget: Forgotten,
    pub method: String,
    /// What was done, resolved.
    pub training: TrainingReport,
    pub mask: Option<MaskReport>,
    pub before: Metrics,
    pub after: Metrics,
    /// What the model forgot before this request, and whether it stayed forgotten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<EarlierReport>,
    pub retrain: Option<Metrics>,
    pub gap: Option<Gap>,
    pub seconds: Seconds,
    pub verdict: Verdict,
    /// What a person should know of the run, such as what had to be assumed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What the model still holds; where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Box<Audit>>,
    /// What attacks on a text-to-image model brought back; where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attacks: Vec<AttackReport>,
    /// Test pictures whose answers changed most; classifiers only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Changed>,
    pub device: DeviceReport,
    pub seed: u64,
    pub protocol: String,
    pub version: String,
    /// SHA-256 of the run's recipe, mask and trained weights by the name of their file; once it is written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

/// What was forgotten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forgotten {
    pub spec: String,
    pub n: usize,
}

/// An earlier request's forget set, measured by this run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EarlierReport {
    pub spec: String,
    /// UA on it before and after this run.
    pub before: f64,
    pub after: f64,
    /// Pictures behind each.
    pub n: usize,
}

/// The updates of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingReport {
    pub steps: usize,
    pub batch: usize,
    pub lr: f64,
    /// How pictures are varied.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub augmentation: String,
    /// Whether batches of the forgotten class were normalised together with retained pictures.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub company: bool,
    /// Whether the learning rate falls to 0.
    pub anneal: bool,
    /// Items of the forget and of the retain set that an epoch of a classifier draws.
    pub each_epoch: [usize; 2],
    /// The method's own knobs.
    #[serde(default)]
    pub knobs: BTreeMap<String, f64>,
}

/// The mask and its proof of freezing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaskReport {
    pub estimator: String,
    pub density: f64,
    pub k: usize,
    pub n: usize,
    /// Pictures of the forget set that the scores are over; 0 for a random mask.
    pub scored: usize,
    /// Smallest score that is in the mask.
    pub threshold: f64,
    /// Weights outside the mask that differ in any bit from the original: 0, or it is a bug, unless
    /// the legacy switch `drift` is on.
    pub frozen_changed: usize,
    /// Of weights that others made forget, of which nobody says which were free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<ChangeWithin>,
    pub layers: Vec<LayerReport>,
    /// SHA-256 of the mask's bytes.
    pub hash: String,
}

/// How much of the change of given weights lies within a mask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangeWithin {
    /// Weights that differ in any bit, and those of them in the mask.
    pub changed: usize,
    pub within: usize,
    /// Share of the change's squares that the mask has, in percent.
    pub squares: f64,
    /// Mean movement of a weight of every layer, in the order of the mask's.
    pub layers: Vec<f32>,
}

impl MaskReport {
    /// The layers that given weights moved most in, by the mean movement of a weight, `most` at the most.
    pub fn moved_most(&self, most: usize) -> Vec<(&str, f32)> {
        let moved = self.given.iter().flat_map(|given| given.layers.iter().copied());
        let mut all: Vec<(&str, f32)> =
            self.layers.iter().map(|layer| &*layer.name).zip(moved).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.truncate(most);
        all
    }

    /// What there is to say of given weights in place of frozen ones.
    pub fn said_of_given(&self) -> Option<String> {
        let &ChangeWithin { changed, within, squares, .. } = self.given.as_ref()?;
        let percent = |part: usize, all: usize| 100.0 * part as f64 / all.max(1) as f64;
        Some(format!(
            "of {} changed weights {:.1} % lie in the mask, with {squares:.1} % of the change's squares; {:.1} % \
             of all weights do",
            grouped(changed),
            percent(within, changed),
            percent(self.k, self.n)
        ))
    }
}

/// One layer of the mask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerReport {
    pub name: String,
    pub shape: Vec<usize>,
    pub kept: usize,
    pub n: usize,
}

/// Accuracies in percent (docs/methods.md#metrics); for generation UA is 100 - the forgotten class's share,
/// RA and TA are both the mean share of the kept classes.
#[allow(non_snake_case)]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Metrics {
    /// Not a number, and null in JSON, where nobody judged; so RA and TA.
    #[serde(with = "measured")]
    pub UA: f64,
    #[serde(with = "measured")]
    pub RA: f64,
    #[serde(with = "measured")]
    pub TA: f64,
    /// 100 x the share of the forget set that the paper's membership inference attack takes for
    /// pictures never trained on (docs/methods.md#metrics); classifiers only.
    pub MIA: Option<f64>,
    /// Members and non-members behind MIA.
    #[serde(default)]
    pub MIA_n: [usize; 2],
    /// Frechet distance of the kept classes' samples to real pictures (generation).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub FD: Option<Frechet>,
    /// Per class: test accuracy, or the share of samples that the classifier gives the class.
    pub per_class: Vec<f64>,
    /// Test pictures of each class (row) by the class that is seen (column); classifiers only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<Vec<usize>>,
    /// Pictures behind UA, RA and TA.
    pub n: [usize; 3],
    /// Their 95 % intervals (Wilson), where somebody judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intervals: Vec<[f64; 2]>,
    /// What else was measured, by the key of its metric.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub more: BTreeMap<String, f64>,
}

/// A number that may not have been measured.
mod measured {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        Some(*value).filter(|value| !value.is_nan()).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
    }
}

impl Metrics {
    /// Those of pictures that nobody judged.
    pub fn unjudged() -> Self {
        Self { UA: f64::NAN, RA: f64::NAN, TA: f64::NAN, ..Self::default() }
    }

    /// Whether somebody judged.
    pub fn judged(&self) -> bool {
        !self.UA.is_nan()
    }
}

/// A Frechet distance on the judge's features, which depends on n.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Frechet {
    pub value: f64,
    /// Generated pictures behind it.
    pub n: usize,
    /// The distance of as many real pictures to the same reference.
    pub floor: f64,
}

/// Absolute differences to Retrain.
#[allow(non_snake_case)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    pub UA: f64,
    pub RA: f64,
    pub TA: f64,
    pub MIA: Option<f64>,
    pub average: f64,
    pub ToW: f64,
}

/// Seconds of each part.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Seconds {
    pub mask: f64,
    pub unlearn: f64,
    pub evaluate: f64,
}

/// The verdict in a word and a sentence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub label: VerdictLabel,
    pub why: String,
}

/// The verdict in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum VerdictLabel {
    Forgot,
    UnderForgot,
    OverForgot,
    Hidden,
    /// Nothing can be said: too few pictures are behind the figures.
    #[strum(serialize = "none")]
    TooFew,
    /// Nothing can be said: nobody judged what is drawn.
    #[strum(serialize = "none")]
    Unjudged,
}

impl VerdictLabel {
    /// As in the interface.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceReport {
    pub name: String,
    /// `vulkan`, `metal`, `dx12`, `webgpu`, `gl` or `cpu`.
    pub api: String,
}

impl Gap {
    /// Differences of `a` to Retrain's `r`; ToW after Zhao et al. 2024 (docs/methods.md#metrics).
    pub fn between(a: &Metrics, r: &Metrics) -> Self {
        let d = |x: f64, y: f64| (x - y).abs();
        let (ua, ra, ta) = (d(a.UA, r.UA), d(a.RA, r.RA), d(a.TA, r.TA));
        let mia = a.MIA.zip(r.MIA).map(|(x, y)| d(x, y));
        let all: Vec<f64> = [ua, ra, ta].into_iter().chain(mia).collect();
        Self {
            UA: ua,
            RA: ra,
            TA: ta,
            MIA: mia,
            average: all.iter().sum::<f64>() / all.len() as f64,
            ToW: [ua, ra, ta].iter().map(|g| 1.0 - g / 100.0).product(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row([ua, ra, ta, mia]: [f64; 4]) -> Metrics {
        Metrics { UA: ua, RA: ra, TA: ta, MIA: Some(mia), ..Metrics::default() }
    }

    #[test]
    fn gaps_are_those_of_the_papers_table() {
        let retrain = [row([5.24, 100.0, 94.26, 12.88]), row([7.91, 100.0, 91.72, 19.29])];
        // docs/methods.md#metrics: SalUn, RL and l1-sparse at 10 %, SalUn at 50 %.
        let golden = [
            ([2.85, 99.62, 93.93, 14.39], 0, 1.1525),
            ([7.61, 99.67, 92.83, 37.36], 0, 7.1525),
            ([4.19, 97.74, 91.59, 9.84], 0, 2.255),
            ([7.75, 94.28, 89.29, 16.99], 1, 2.6525),
        ];
        for (metrics, share, average) in golden {
            let gap = Gap::between(&row(metrics), &retrain[share]);
            assert!((gap.average - average).abs() < 1e-9, "{metrics:?}: {}", gap.average);
        }
        let tow = |m, share: usize| Gap::between(&row(m), &retrain[share]).ToW;
        assert!((tow(golden[0].0, 0) - 0.969).abs() < 5e-4);
        assert!((tow(golden[3].0, 1) - 0.918).abs() < 5e-4);
    }

    #[test]
    fn what_nobody_judged_is_nothing_in_a_file_and_stays_so() {
        let json = serde_json::to_value(Metrics::unjudged()).unwrap();
        assert!(json["UA"].is_null() && json["TA"].is_null(), "{json}");
        let back: Metrics = serde_json::from_value(json).unwrap();
        assert!(!back.judged() && back.RA.is_nan());
    }

    #[test]
    fn metrics_of_an_older_report_still_load() {
        let old = r#"{"UA":1,"RA":2,"TA":3,"MIA":null,"per_class":[3],"n":[4,5,6]}"#;
        let metrics: Metrics = serde_json::from_str(old).unwrap();
        assert_eq!((metrics.MIA, metrics.MIA_n, metrics.n), (None, [0; 2], [4, 5, 6]));
    }
}
