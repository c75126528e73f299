//! The recipes by which models are trained: `salun train NAME`.
//!
//! At the paper's size, which takes a GPU:
//!
//! ```text
//! salun data fetch cifar10
//! salun train cifar-classifier --data cifar10 --seed 1 --out cifar-classifier.safetensors
//! salun train cifar-ddpm --data cifar10 --seed 1 --out cifar-ddpm.safetensors
//! ```

use super::losses::Augment;
use super::{LrSchedule, Rule};
use crate::data::{Dataset, sets};
use crate::error::{Error, Result, ensure};
use crate::models::{Architecture, ResnetConfig, SwinConfig, UnetConfig};

/// The kind of network that a recipe trains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Family {
    /// ResNet-18 in its CIFAR form.
    Resnet,
    /// VGG-16 with batch normalisation in its CIFAR form.
    Vgg,
    /// Swin-T with patches and windows for small pictures.
    Swin,
    /// The class-conditional DDPM U-Net, by what it is on each data set.
    Unet(UnetForm),
}

/// What a U-Net is besides its channels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnetForm {
    mult: &'static [usize],
    res_blocks: usize,
    /// Attention is at this part of the side.
    part: usize,
    groups: usize,
    dropout: f64,
}

/// For two cores.
const SMALL_UNET: UnetForm =
    UnetForm { mult: &[1, 2, 4], res_blocks: 1, part: 4, groups: 8, dropout: 0.0 };

/// The official code's (docs/methods.md#models).
const PAPER_UNET: UnetForm =
    UnetForm { mult: &[1, 2, 2, 2], res_blocks: 2, part: 2, groups: 32, dropout: 0.1 };

/// A recipe with a name.
#[derive(Debug, Clone)]
pub struct Preset {
    pub name: &'static str,
    pub family: Family,
    /// The data set that it is meant for; it serves any other that fits the network.
    pub data: &'static str,
    /// Base width of the ResNet or VGG, values of the Swin's tokens, or channels of the U-Net.
    pub width: usize,
    pub batch: usize,
    /// Pictures in an update at the least, where there are few.
    pub smallest: usize,
    pub epochs: usize,
    /// Updates at the least.
    pub least: usize,
    pub rule: Rule,
    pub lr: f64,
    pub schedule: LrSchedule,
    /// Decay of the moving average of the weights; 0 for none.
    pub ema: f64,
    /// How pictures are varied that the data set lets be varied; as it says where there is nothing.
    pub augment: Option<Augment>,
}

/// A classifier of the paper (docs/methods.md#models).
const PAPER: Preset = Preset {
    name: "cifar-classifier",
    family: Family::Resnet,
    data: "cifar10",
    width: 64,
    batch: 256,
    smallest: SMALLEST,
    epochs: 182,
    least: LEAST,
    rule: Rule::SGD,
    lr: 0.1,
    schedule: LrSchedule::Milestones,
    ema: 0.0,
    augment: None,
};

/// A classifier that two cores can train.
const SMALL: Preset = Preset {
    name: "fashion-classifier",
    data: "fashion-mnist",
    width: 16,
    batch: 128,
    epochs: 6,
    schedule: LrSchedule::WarmCosine,
    ..PAPER
};

/// Swin-T: a transformer is trained by Adam.
const SWIN: Preset = Preset {
    name: "cifar-swin",
    family: Family::Swin,
    width: 96,
    batch: 128,
    epochs: 100,
    rule: Rule::ADAM,
    lr: 5e-4,
    schedule: LrSchedule::WarmCosine,
    ..PAPER
};

/// All recipes.
pub const PRESETS: &[Preset] = &[
    SMALL,
    Preset {
        name: "fashion-ddpm",
        family: Family::Unet(SMALL_UNET),
        batch: 64,
        smallest: 64,
        epochs: 5,
        least: LEAST_DIFFUSION,
        rule: Rule::ADAM,
        lr: 1e-3,
        ema: 0.999,
        augment: Some(Augment::None),
        ..SMALL
    },
    PAPER,
    // The network of docs/methods.md#models at half the channels, with the 80,000 updates of the paper's
    // appendix.
    Preset {
        name: "cifar-ddpm",
        family: Family::Unet(PAPER_UNET),
        batch: 128,
        smallest: 128,
        epochs: 228,
        least: LEAST_DIFFUSION,
        rule: Rule::ADAM,
        lr: 2e-4,
        schedule: LrSchedule::Constant,
        ema: 0.9999,
        augment: Some(Augment::Flip),
        ..PAPER
    },
    Preset { name: "fashion-vgg", family: Family::Vgg, ..SMALL },
    Preset { name: "cifar-vgg", family: Family::Vgg, ..PAPER },
    Preset { name: "fashion-swin", data: "fashion-mnist", width: 24, epochs: 10, lr: 1e-3, ..SWIN },
    SWIN,
];

/// Pictures in an update at the least, which batch normalisation takes its statistics from, and updates
/// in an epoch at the least.
const SMALLEST: usize = 16;
const EACH_EPOCH: usize = 10;
/// Updates of a classifier and of a diffusion model at the least: of 16 pictures each, 200 bring the small
/// classifier to 67 % on four classes of 54 drawn and turned shapes, 400 to 100 %; 3,000 of 64 bring the small
/// diffusion model to shapes that an eye can tell, in 18 minutes on two cores.
const LEAST: usize = 400;
const LEAST_DIFFUSION: usize = 3000;

/// Probability of the null condition while training (docs/methods.md#models).
pub const CONDITION_DROP: f64 = 0.1;

impl Preset {
    /// The recipe that a network on a data set is trained by: its own, else one for such a network
    /// on other data.
    pub fn of(architecture: &Architecture, data: &str) -> &'static Self {
        let same = |p: &&Self| {
            matches!(
                (architecture, p.family),
                (Architecture::Resnet(_), Family::Resnet)
                    | (Architecture::Vgg(_), Family::Vgg)
                    | (Architecture::Swin(_), Family::Swin)
                    | (Architecture::Unet(_), Family::Unet(_))
            )
        };
        let known = || PRESETS.iter().filter(same);
        known().find(|p| p.data == data).or_else(|| known().next()).unwrap_or(&PRESETS[0])
    }

    /// Pictures in an update on so many: fewer on few, so that an epoch is several updates.
    pub fn batch_for(&self, items: usize) -> usize {
        let mut batch = self.batch;
        while batch > self.smallest && items < EACH_EPOCH * batch {
            batch /= 2;
        }
        batch
    }

    /// Learning rate of updates of a batch: where nobody asked for one and it is smaller than the preset's,
    /// its steps are, too (Goyal et al. 2017).
    pub fn lr_for(&self, asked: Option<usize>, batch: usize) -> f64 {
        match asked {
            Some(_) => self.lr,
            None => self.lr * batch as f64 / self.batch as f64,
        }
    }

    /// Decay of the moving average over so many updates: no slower than that a fiftieth of what it began with,
    /// which has learnt nothing, is left at the end.
    pub fn ema_for(&self, steps: usize) -> f64 {
        self.ema.min((1.0 - 4.0 / steps.max(1) as f64).max(0.0))
    }

    /// Passes over so many pictures, of `per_epoch` updates each: more over few, which would make too
    /// few updates, but no more than few can teach.
    pub fn epochs_for(&self, items: usize, per_epoch: usize) -> usize {
        let least = self.least;
        let few = items < EACH_EPOCH * self.batch;
        let most = if few { items.max(least) } else { usize::MAX };
        (self.epochs * per_epoch).clamp(least, most).div_ceil(per_epoch.max(1))
    }

    /// A recipe by name.
    ///
    /// # Errors
    /// The name is unknown.
    pub fn find(name: &str) -> Result<&'static Self> {
        PRESETS
            .iter()
            .find(|p| p.name == name)
            .ok_or_else(|| Error::unknown("model to train", name, PRESETS.iter().map(|p| p.name)))
    }

    /// How training pictures are varied unless a person says otherwise.
    pub fn augment(&self, data: &Dataset) -> Augment {
        match (self.augment, data.augment()) {
            (Some(own), usual) if usual != Augment::None => own,
            (_, usual) => usual,
        }
    }

    /// The network on the data set that the recipe is meant for.
    ///
    /// # Errors
    /// That data set is not known here (a page has fewer).
    pub fn usual(&self) -> Result<Architecture> {
        let set = sets::find(self.data).ok_or_else(|| {
            Error::unknown("data set", self.data, crate::data::NAMES.iter().copied())
        })?;
        self.architecture(&set.outline(), None)
    }

    /// The network for a data set; `width` as [`Preset::width`].
    ///
    /// # Errors
    /// The data set's pictures do not fit the network.
    pub fn architecture(&self, data: &Dataset, width: Option<usize>) -> Result<Architecture> {
        let shape = data.train.shape;
        let (channels, classes) = (shape.channels, data.classes.len());
        if let Some(w) = width.filter(|w| w % 4 != 0 || !(4..=256).contains(w)) {
            return Err(Error::argument("width", w, "a multiple of 4 from 4 to 256 is needed"));
        }
        let width = width.unwrap_or(self.width);
        let (mean, std) = data.statistics();
        let plain = |mean, std| ResnetConfig { width, channels, classes, mean, std };
        Ok(match self.family {
            Family::Resnet => Architecture::Resnet(plain(mean, std)),
            Family::Vgg => Architecture::Vgg(plain(mean, std)),
            Family::Swin => {
                let heads = vec![3, 6, 12, 24];
                let right = "a multiple of 12 is needed for three heads";
                let other = || Error::argument("width", width, right);
                ensure(width.is_multiple_of(heads[0]), other)?;
                Architecture::Swin(SwinConfig {
                    embed: width,
                    depths: vec![2, 2, 6, 2],
                    heads,
                    patch: 2,
                    window: 4,
                    drop_path: 0.1,
                    channels,
                    classes,
                    mean,
                    std,
                })
            }
            Family::Unet(UnetForm { mult, res_blocks, part, groups, dropout }) => {
                let fold = 1 << (mult.len() - 1);
                if shape.height != shape.width || !shape.height.is_multiple_of(fold) {
                    return Err(Error::Request(format!(
                        "{} needs square pictures with a side divisible by {fold}, not {} x {}",
                        self.name, shape.height, shape.width
                    )));
                }
                Architecture::Unet(UnetConfig {
                    ch: width,
                    mult: mult.to_vec(),
                    res_blocks,
                    attention: vec![shape.height / part],
                    groups,
                    dropout,
                    channels,
                    resolution: shape.height,
                    classes,
                })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(name: &str) -> usize {
        Preset::find(name).unwrap().usual().unwrap().build().1.n()
    }

    /// As docs/methods.md#models says.
    #[test]
    fn networks_of_the_paper_have_its_number_of_parameters() {
        assert_eq!(params("cifar-classifier"), 11_173_962);
        assert_eq!(params("cifar-ddpm"), 9_674_179);
        let narrow = |name: &str, width| {
            let data = sets::find("cifar10").unwrap().outline();
            Preset::find(name).unwrap().architecture(&data, Some(width)).unwrap().build().1.n()
        };
        assert_eq!([32, 16].map(|w| narrow("cifar-classifier", w)), [2_797_610, 701_466]);
        assert_eq!([128, 32].map(|w| narrow("cifar-ddpm", w)), [38_632_323, 2_426_595]);
        // torchvision's trunk of 14,723,136 and 512 x 10 + 10.
        assert_eq!(params("cifar-vgg"), 14_728_266);
    }

    #[test]
    fn few_pictures_are_trained_on_often_enough_and_many_as_ever() {
        let plan = |name: &str, items: usize| {
            let preset = Preset::find(name).unwrap();
            let batch = preset.batch_for(items);
            let per_epoch = items.div_ceil(batch);
            (batch, per_epoch * preset.epochs_for(items, per_epoch))
        };
        assert_eq!(plan("fashion-classifier", 54_000), (128, 6 * 422));
        assert_eq!(plan("cifar-classifier", 45_000), (256, 182 * 176));
        assert_eq!(plan("fashion-ddpm", 54_000), (64, 5 * 844));
        assert_eq!(plan("fashion-classifier", 194), (16, 403));
        assert_eq!(plan("cifar-classifier", 194), (16, 403));
        assert_eq!(plan("cifar-classifier", 2_000), (128, 2_000));
        let ema = |name: &str, steps| Preset::find(name).unwrap().ema_for(steps);
        assert_eq!([ema("fashion-ddpm", 4_220), ema("cifar-ddpm", 80_000)], [0.999, 0.9999]);
        assert_eq!([ema("fashion-ddpm", 1_000), ema("fashion-ddpm", 1)], [0.996, 0.0]);
        assert_eq!(ema("fashion-classifier", 100), 0.0, "it has none");
    }

    #[test]
    fn a_network_takes_colours_classes_and_statistics_from_the_data() {
        let data = sets::find("svhn").unwrap().outline();
        let preset = Preset::find("cifar-classifier").unwrap();
        let Architecture::Resnet(config) = preset.architecture(&data, Some(8)).unwrap() else {
            panic!("another network")
        };
        assert_eq!((config.width, config.channels, config.classes), (8, 3, 10));
        assert_eq!(config.mean, [0.4377, 0.4438, 0.4728]);
        assert_eq!(preset.augment(&data), Augment::None);
    }
}
