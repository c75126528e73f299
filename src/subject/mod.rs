//! What forgets: a model with the pictures that it is to forget and to keep. Methods and masks are written
//! once over it.

mod classes;
mod classifier;
mod items;
mod learnt_prompt;
mod prompts;

pub use classes::Sent;
pub use classifier::Pictured;
pub use items::{Items, Noising};
pub use learnt_prompt::Learner;
pub use prompts::Prompts;

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use self::classes::Classes;
use crate::data::{Dataset, Rng};
use crate::diffusion::Schedule;
use crate::models::{Model, Network, Pass, Unet};
use crate::train::Rule;
use crate::train::losses::Augment;

/// A model with its pictures.
pub enum Subject {
    Classifier(Pictured),
    /// Of classes or of prompts.
    Diffusion(Box<dyn Diffuser>),
}

impl Subject {
    /// A text-to-image model.
    pub fn prompts(&self) -> Option<&Prompts> {
        match self {
            Self::Classifier(_) => None,
            Self::Diffusion(of) => of.prompts(),
        }
    }

    /// How it is scored and updated.
    pub fn settings(&self) -> Settings {
        match self {
            Self::Classifier(of) => of.settings(),
            Self::Diffusion(of) => of.settings(),
        }
    }

    /// A classifier or a class-conditional diffusion model. Pictures are varied as they were when it was
    /// trained; `sent` is what a diffusion model makes of the forgotten class.
    pub fn of_classes(model: &Model, data: Arc<Dataset>, sent: Sent, device: &Device) -> Self {
        let trained = model.card.training.as_ref();
        let trained = trained.and_then(|t| Augment::find(&t.augmentation).ok());
        let device = device.clone();
        match &*model.network {
            Network::Classifier(net) => {
                let augment = trained.unwrap_or(data.augment());
                Self::Classifier(Pictured { net: net.clone(), data, augment, device })
            }
            Network::Unet(net) => Self::Diffusion(Box::new(Classes {
                unet: Unet::clone(net),
                data,
                sent,
                augment: trained.unwrap_or(Augment::None),
                schedule: Schedule::linear(),
                device,
            })),
        }
    }
}

/// How a model is scored and updated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    pub scoring: ScoreSettings,
    /// How pictures are varied by an update, where they are pictures.
    pub augment: Option<Augment>,
    /// The optimiser, where nothing else is said.
    pub rule: Rule,
    /// Begins the name of an update's random numbers.
    pub stream: &'static str,
    /// Items of a diffusion model that are drawn at a time.
    pub part: usize,
    /// Items of one graph, at most: few where a picture's takes much memory.
    pub most: usize,
    /// Whether both losses of a diffusion model's update are one graph.
    pub together: bool,
    /// The norm that an update's gradient is clipped to.
    pub clip: Option<f64>,
}

impl Settings {
    /// What a model's settings begin with.
    const PLAIN: Self = Self {
        scoring: ScoreSettings {
            stream: "saliency",
            batch: 128,
            guidance: 0.0,
            times: 1.0,
            clip: None,
        },
        augment: None,
        rule: Rule::ADAM,
        stream: "unlearn",
        part: usize::MAX,
        most: usize::MAX,
        together: false,
        clip: None,
    };
}

impl Settings {
    /// What a person should know of how gradients are taken.
    pub fn note(&self) -> Option<String> {
        let items = match self.most {
            usize::MAX => return None,
            1 => "one picture".to_string(),
            n => format!("{n} pictures"),
        };
        Some(format!(
            "the model is large: its blocks are computed again for the gradient, {items} at a time, which takes less \
             memory and more time"
        ))
    }
}

/// How weights are scored by gradients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreSettings {
    /// Names its random numbers.
    pub stream: &'static str,
    /// Items in one gradient: of a classifier sum-abs-grad sums its absolute value; the paper's scores do not
    /// depend on it.
    pub batch: usize,
    /// Guidance of a diffusion model's predictions.
    pub guidance: f32,
    /// What a picture's mean squared error is multiplied by.
    pub times: f32,
    /// The norm that a batch's gradient is clipped to, so that batches weigh the same.
    pub clip: Option<f64>,
}

/// The condition of a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Under {
    /// A picture's own class or caption.
    Own,
    /// What the forgotten is sent to.
    Sent,
    Nothing,
}

/// Pictures with noise in them, [n, c, h, w], and the conditions that they can be predicted under.
pub trait Noisy: Send + Sync {
    /// n.
    fn n(&self) -> usize;

    /// What the network should predict, [n, c, h, w].
    fn target(&self) -> Tensor<4>;

    /// The network's prediction, [n, c, h, w].
    fn predict(&self, pass: &Pass, under: Under) -> Tensor<4>;

    /// The same under its own condition, guided away from none by w of (1 + w) own - w nothing.
    fn guided(&self, pass: &Pass, w: f32) -> Tensor<4>;

    /// Whether the forgotten is sent to noise, and these are noise already.
    fn to_noise(&self) -> bool {
        false
    }

    /// The same pictures, `size` at a time.
    fn split<'a>(self: Box<Self>, size: usize) -> Vec<Box<dyn Noisy + 'a>>
    where
        Self: 'a;
}

/// A diffusion model with its pictures: items are counted over the forget set and the retain set together.
pub trait Diffuser: Send + Sync {
    /// These items as they are.
    fn plain(&self, items: &[usize], rng: &mut Rng) -> Box<dyn Noisy + '_>;

    /// These items as an update sees them: varied and redirected, or with some conditions dropped.
    fn learnt(&self, items: &[usize], _forgotten: bool, rng: &mut Rng) -> Box<dyn Noisy + '_> {
        self.plain(items, rng)
    }

    /// How it is scored and updated.
    fn settings(&self) -> Settings;

    /// A text-to-image model.
    fn prompts(&self) -> Option<&Prompts> {
        None
    }
}
