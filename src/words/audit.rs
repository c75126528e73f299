//! What an audit finds: does a model still hold what it no longer shows (docs/methods.md#metrics)?
//! Stored as `audit.json` and in `report.json`. Percent are 0..100, everything else as it says.

use serde::{Deserialize, Serialize};

/// An audit of one unlearned classifier, beside the original and Retrain where there is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// The forget set.
    pub forget: String,
    /// The unlearned model.
    pub run: Examination,
    pub original: Examination,
    pub retrain: Option<Examination>,
    /// How alike the layers are, in forward order.
    pub layers: Vec<LayerSimilarity>,
    /// Pictures behind each layer's similarity: of the forget set, of the rest.
    pub layers_n: [usize; 2],
    /// How far the answers on the forget set are from Retrain's.
    pub divergence: Option<Divergence>,
    /// What RMIA compares with.
    pub references: References,
    /// An even guess among the classes, in percent.
    pub chance: f64,
    pub seconds: f64,
}

impl Audit {
    /// What was found in the run, in the original and in Retrain where there is one, each behind what stands
    /// for it.
    pub fn examined<T>(&self, of: [T; 3]) -> impl DoubleEndedIterator<Item = (T, &Examination)> {
        let found = [Some(&self.run), Some(&self.original), self.retrain.as_ref()];
        of.into_iter().zip(found).filter_map(|(of, found)| Some((of, found?)))
    }
}

/// What was found in one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Examination {
    /// Attacks that tell the forget set from pictures of its kind that were never trained on.
    pub attacks: Vec<Attack>,
    pub probe: Option<ProbeReport>,
    pub relearn: Option<Relearn>,
}

/// A membership attack: 0.5 of area is chance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attack {
    pub name: String,
    pub auc: f64,
    /// Standard error of the area (Hanley and McNeil).
    pub auc_error: f64,
    pub tpr_at_1_fpr: f64,
    /// In percent, at a threshold chosen between half of D_r and half of D_t.
    pub balanced_accuracy: Option<f64>,
    /// Pictures of the forget set, and never seen ones.
    pub n: [usize; 2],
    /// (false-positive rate, true-positive rate), thinned for drawing.
    pub roc: Vec<[f64; 2]>,
}

/// A linear classifier on frozen penultimate features. For a class it is fitted to training pictures
/// of all classes and asked about test pictures; for other forget sets it is fitted to the retain set
/// and asked about the forget set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// Accuracy on the forgotten class's test pictures, or on the forget set, in percent.
    pub forgotten: f64,
    /// Accuracy on the other test pictures, in percent.
    pub kept: f64,
    /// Pictures it was fitted to, and those behind the two accuracies.
    pub n: [usize; 3],
}

/// Accuracy on the forget set's other pictures while a tenth of it is learnt again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Relearn {
    pub lr: f64,
    pub batch: usize,
    /// Pictures that are learnt again, and those behind the accuracies.
    pub n: [usize; 2],
    /// In percent: before the first update, then after each.
    pub accuracy: Vec<f64>,
    /// Mean height of the curve, in percent.
    pub area: f64,
}

/// Linear CKA of a layer of the unlearned model with the same layer of others, 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerSimilarity {
    pub name: String,
    /// With the original: on the forget set, on test pictures of the rest.
    pub original: [Option<f64>; 2],
    /// With Retrain.
    pub retrain: Option<[Option<f64>; 2]>,
}

/// Distances between the unlearned model's and Retrain's probabilities on the forget set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    /// Mean Jensen-Shannon divergence in bits, 0 to 1.
    pub js: f64,
    /// Mean Euclidean distance, 0 to √2.
    pub activation: f64,
    pub n: usize,
}

/// Reference models that were trained for RMIA, each on one half of the training part; an item is
/// compared with the one that did not see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct References {
    pub models: usize,
    /// Base width of the small ResNet that they are.
    pub width: usize,
    pub steps: usize,
    pub batch: usize,
}

/// A test picture whose answer changed, for a person to look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// Place in the official test set.
    pub index: usize,
    pub label: usize,
    /// Whether its class is the forgotten one.
    pub forgotten: bool,
    /// The class seen and its probability.
    pub before: (usize, f32),
    pub after: (usize, f32),
    /// Half the summed difference of both rows of probabilities, 0 to 1.
    pub distance: f32,
}
