//! What a table is measured on: stated with every table, because the numbers depend on it.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use crate::train::losses::Augment;
use crate::words::{Budget, Task};

/// How large a table is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Scale {
    /// To try a machine out: seconds a run, too little for figures to be trusted.
    Tiny,
    /// A narrow model on a stated subset: a fraction of an hour on two cores.
    Small,
    /// The paper's.
    Paper,
}

impl Scale {
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// How a table trains the original of each seed, and Retrain in the same way on what is retained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Original {
    /// A preset of `salun train`.
    pub preset: String,
    pub width: usize,
    pub epochs: usize,
    pub batch: usize,
    pub lr: f64,
    pub augment: Augment,
}

/// Everything that a table's rows share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    pub scale: Scale,
    pub task: Task,
    pub data: String,
    /// The original, trained here; `None` for the shipped model `model`.
    pub original: Option<Original>,
    /// The shipped model.
    pub model: Option<String>,
    pub budget: Budget,
    /// Passes of an unlearning run over the data, unless a row says otherwise.
    pub epochs: Option<usize>,
    /// Pictures in an update of an unlearning run.
    pub batch: Option<usize>,
    /// How learning rates were chosen.
    pub rates: String,
}

/// How learning rates are chosen where nobody looked for better ones.
const DEFAULTS: &str = "the defaults of each method";

impl Protocol {
    /// For classifiers: the paper's ResNet-18 on CIFAR-10, or an eighth of its width on a balanced
    /// subset of Fashion-MNIST that the network learns by heart, so that there is something to
    /// forget.
    pub fn classify(scale: Scale) -> Self {
        let original = |preset: &str, [width, epochs, batch]: [usize; 3], augment| {
            Some(Original { preset: preset.into(), width, epochs, batch, lr: 0.1, augment })
        };
        let tiny = Self {
            scale,
            task: Task::Classify,
            data: "fashion-mnist@200".into(),
            original: original("fashion-classifier", [4, 2, 32], Augment::None),
            model: None,
            budget: Budget::Tiny,
            epochs: Some(1),
            batch: Some(32),
            rates: DEFAULTS.into(),
        };
        match scale {
            Scale::Tiny => tiny,
            Scale::Small => Self {
                data: "fashion-mnist@2000".into(),
                original: original("fashion-classifier", [8, 30, 64], Augment::Flip),
                budget: Budget::Full,
                epochs: Some(5),
                batch: Some(64),
                rates: "each method's one setting (`settings`) has the smallest average gap of \
                        those that `salun table search` tried with a seed that no other table \
                        reports; a random-mask control takes its row's"
                    .into(),
                ..tiny
            },
            Scale::Paper => Self {
                data: "cifar10".into(),
                original: original("cifar-classifier", [64, 182, 256], Augment::CropFlip),
                budget: Budget::Full,
                epochs: None,
                batch: Some(256),
                rates: "the paper's and its replication's settings (src/table/rates.csv)".into(),
                ..tiny
            },
        }
    }

    /// For diffusion models: the shipped one.
    pub fn generate(scale: Scale) -> Self {
        Self {
            scale,
            task: Task::Generate,
            data: "fashion-mnist".into(),
            original: None,
            model: Some("fashion-ddpm".into()),
            budget: match scale {
                Scale::Tiny => Budget::Tiny,
                Scale::Small => Budget::Quick,
                Scale::Paper => Budget::Full,
            },
            epochs: None,
            batch: None,
            rates: DEFAULTS.into(),
        }
    }

    /// For text-to-image models: the shipped one.
    pub fn prompts(scale: Scale) -> Self {
        Self {
            task: Task::TextToImage,
            data: "emoji".into(),
            model: Some("emoji-t2i".into()),
            ..Self::generate(scale)
        }
    }

    /// In words, for the head of a table.
    pub fn words(&self) -> String {
        let (data, rates, sizes) = (&self.data, &self.rates, self.budget.sizes());
        let Some(Original { width, epochs, batch, lr, augment, .. }) = &self.original else {
            let how = match self.task.prompted() {
                true => {
                    "prompts that name what the model was shown, judged by the classifier that \
                         comes with it: UA is the share of forgotten prompts whose pictures no \
                         longer show it, RA the share of kept prompts in the same domain (other \
                         concepts, or other styles) that are still drawn, TA the share across \
                         (their styles, or their concepts)"
                        .to_string()
                }
                false => format!(
                    "{} samples of each class in {} steps, judged by the shipped classifier",
                    sizes.measured[self.task as usize].most[0], sizes.sampler[self.task as usize]
                ),
            };
            let (model, budget) = (self.model.as_deref().unwrap_or("model"), self.budget.name());
            return format!(
                "The shipped {model} on {data}; budget {budget}; {how}; learning rates: {rates}."
            );
        };
        let whole = self.budget == Budget::Full;
        let measured = if whole { "all pictures" } else { "a few pictures" };
        let passes = self.epochs.map_or("each method's epochs".into(), |e| format!("{e} epochs"));
        format!(
            "ResNet-18 of width {width} on {data} (its training part without the tenth held out for \
             validation), trained here for each seed: {epochs} epochs of batches of {batch}, peak \
             learning rate {lr}, pictures varied by {}; Retrain is trained in the same way on what \
             is retained. Unlearning: {passes}, batches of {}; {rates}. Measured on {measured} of \
             each set, without augmentation.",
            augment.name(),
            self.batch.unwrap_or(sizes.batch[0]),
        )
    }
}
