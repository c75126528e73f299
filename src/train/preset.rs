//! The recipes by which the shipped models are trained: `salun train NAME`.

use crate::{
    data::Dataset,
    error::{Error, Result},
    models::{Architecture, Task, resnet::ResnetConfig, unet::UnetConfig},
    train::optimizer::Rule,
};

/// A recipe with a name.
#[derive(Debug, Clone)]
pub struct Preset {
    pub name: &'static str,
    pub task: Task,
    pub batch: usize,
    pub epochs: usize,
    pub rule: Rule,
    pub lr: f64,
    /// Decay of the moving average of the weights; 0 for none.
    pub ema: f64,
}

/// All recipes.
pub const PRESETS: [Preset; 2] = [
    Preset {
        name: "fashion-classifier",
        task: Task::Classify,
        batch: 128,
        epochs: 6,
        rule: Rule::SGD,
        lr: 0.1,
        ema: 0.0,
    },
    Preset {
        name: "fashion-ddpm",
        task: Task::Generate,
        batch: 64,
        epochs: 5,
        rule: Rule::ADAM,
        lr: 1e-3,
        ema: 0.999,
    },
];

/// Share of the schedule that is linear warm-up.
pub const WARM: f64 = 0.1;
/// Probability of the null condition while training (ALGORITHMS 8.1).
pub const CONDITION_DROP: f64 = 0.1;

impl Preset {
    /// A recipe by name.
    ///
    /// # Errors
    /// The name is unknown.
    pub fn find(name: &str) -> Result<&'static Preset> {
        PRESETS
            .iter()
            .find(|p| p.name == name)
            .ok_or_else(|| Error::unknown("model to train", name, PRESETS.iter().map(|p| p.name)))
    }

    /// The network for a data set; `width` is the ResNet's base width or the U-Net's channels.
    ///
    /// # Errors
    /// The data set's pictures do not fit the network.
    pub fn architecture(&self, data: &Dataset, width: Option<usize>) -> Result<Architecture> {
        let shape = data.train.shape;
        let classes = data.classes.len();
        let out_of_range =
            |w: usize| Error::argument("width", w, "a multiple of 4 from 4 to 256 is needed");
        if let Some(w) = width.filter(|w| w % 4 != 0 || !(4..=256).contains(w)) {
            return Err(out_of_range(w));
        }
        Ok(match self.task {
            Task::Classify => Architecture::Resnet(ResnetConfig {
                width: width.unwrap_or(16),
                channels: shape.channels,
                classes,
                mean: vec![0.2860; shape.channels],
                std: vec![0.3530; shape.channels],
            }),
            Task::Generate => {
                if shape.height != shape.width || !shape.height.is_multiple_of(4) {
                    return Err(Error::Request(format!(
                        "the diffusion model needs square pictures with a side divisible by 4, \
                         not {} x {}",
                        shape.height, shape.width
                    )));
                }
                Architecture::Unet(UnetConfig {
                    ch: width.unwrap_or(16),
                    mult: vec![1, 2, 4],
                    res_blocks: 1,
                    attention: vec![shape.height / 4],
                    groups: 8,
                    dropout: 0.0,
                    channels: shape.channels,
                    resolution: shape.height,
                    classes,
                })
            }
        })
    }
}
