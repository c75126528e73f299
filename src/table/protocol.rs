//! What a table is measured on: stated with every table, because the numbers depend on it.

use serde::{Deserialize, Serialize};

use crate::{
    train::losses::Augment,
    words::{budget::Budget, task::Task},
};

/// How large a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// To try a machine out: seconds a run, too little for figures to be trusted.
    Tiny,
    /// A narrow model on a stated subset: a fraction of an hour on two cores.
    Small,
    /// The paper's.
    Paper,
}

impl Scale {
    pub const ALL: [Self; 3] = [Self::Tiny, Self::Small, Self::Paper];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::Paper => "paper",
        }
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

impl Protocol {
    /// For classifiers: the paper's ResNet-18 on CIFAR-10, or an eighth of its width on a balanced
    /// subset of Fashion-MNIST that the network learns by heart, so that there is something to
    /// forget.
    pub fn classify(scale: Scale) -> Self {
        let (data, original, batch, rates) = match scale {
            Scale::Tiny => (
                "fashion-mnist@200",
                Original {
                    preset: "fashion-classifier".into(),
                    width: 4,
                    epochs: 2,
                    batch: 32,
                    lr: 0.1,
                    augment: Augment::None,
                },
                32,
                "the defaults of each method",
            ),
            Scale::Small => (
                "fashion-mnist@2000",
                Original {
                    preset: "fashion-classifier".into(),
                    width: 8,
                    epochs: 30,
                    batch: 64,
                    lr: 0.1,
                    augment: Augment::Flip,
                },
                64,
                "each method's one setting (`settings`) has the smallest average gap of those that \
                 `salun table search` tried with a seed that no other table reports; a random-mask \
                 control takes its row's",
            ),
            Scale::Paper => (
                "cifar10",
                Original {
                    preset: "cifar-classifier".into(),
                    width: 64,
                    epochs: 182,
                    batch: 256,
                    lr: 0.1,
                    augment: Augment::CropFlip,
                },
                256,
                "the paper's and its replication's settings (docs/methods.md#classifiers)",
            ),
        };
        Self {
            scale,
            task: Task::Classify,
            data: data.into(),
            original: Some(original),
            model: None,
            budget: match scale {
                Scale::Tiny => Budget::Tiny,
                Scale::Small | Scale::Paper => Budget::Full,
            },
            epochs: match scale {
                Scale::Tiny => Some(1),
                Scale::Small => Some(5),
                Scale::Paper => None,
            },
            batch: Some(batch),
            rates: rates.into(),
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
            rates: "the defaults of each method".into(),
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
        let rates = &self.rates;
        match (&self.original, &self.model) {
            (Some(o), _) => format!(
                "ResNet-18 of width {} on {} (its training part without the tenth held out for \
                 validation), trained here for each seed: {} epochs of batches of {}, peak \
                 learning rate {}, pictures varied by {}; Retrain is trained in the same way on \
                 what is retained. Unlearning: {}, batches of {}; {rates}. Measured on {} of each \
                 set, without augmentation.",
                o.width,
                self.data,
                o.epochs,
                o.batch,
                o.lr,
                o.augment.name(),
                self.epochs.map_or("each method's epochs".into(), |e| format!("{e} epochs")),
                self.batch.unwrap_or(self.budget.sizes().batch[0]),
                if self.budget == Budget::Full { "all pictures" } else { "a few pictures" },
            ),
            (None, Some(model)) if self.task == Task::TextToImage => format!(
                "The shipped {model} on {}; budget {}; prompts that name what the model was shown, \
                 judged by the classifier that comes with it: UA is the share of forgotten prompts \
                 whose pictures no longer show it, RA the share of kept prompts in the same domain \
                 (other concepts, or other styles) that are still drawn, TA the share across \
                 (their styles, or their concepts); learning rates: {rates}.",
                self.data,
                self.budget.name(),
            ),
            (None, model) => {
                let sizes = self.budget.sizes();
                format!(
                    "The shipped {} on {}; budget {}; {} samples of each class in {} steps, judged \
                     by the shipped classifier; learning rates: {rates}.",
                    model.as_deref().unwrap_or("model"),
                    self.data,
                    self.budget.name(),
                    sizes.samples,
                    sizes.sampler
                )
            }
        }
    }
}
