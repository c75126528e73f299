//! The class-conditional U-Net of the official DDPM code (`Conditional_Model`): what its tensors' names and
//! shapes say of it, and what they do not.

use super::names;
use crate::models::{Architecture, Assumed, Card, Tensors, UnetConfig};

/// Groups, dropout and the side that attends in every configuration of the official code (DDPM/configs).
const GROUPS: usize = 32;
const DROPOUT: f64 = 0.1;
const ATTENDS: usize = 16;
/// The side of CIFAR-10's pictures, where no level attends.
const SIDE: usize = 32;
/// Levels and blocks that are counted: a few more than a card may have.
const MOST: usize = 8;

/// The form of the network that these tensors are of; `None` if they are no such network's.
pub fn infer(tensors: &Tensors) -> Option<UnetConfig> {
    let [classes, ch] = tensors.shape("classes_emb.weight")?;
    let [_, channels, _, _] = tensors.shape("conv_in.weight")?;
    let width = |level: usize| {
        let [width, _, _, _] = tensors.shape(&format!("down.{level}.block.0.conv2.weight"))?;
        Some(width)
    };
    let mult = (0..MOST).map_while(width).map(|width| width / ch.max(1)).collect::<Vec<_>>();
    let block =
        |place: &usize| tensors.get(&format!("down.0.block.{place}.conv1.weight")).is_some();
    let attends = |level: &usize| tensors.get(&format!("down.{level}.attn.0.q.weight")).is_some();
    let levels: Vec<usize> = (0..mult.len()).filter(attends).collect();
    let resolution = side(&levels);
    Some(UnetConfig {
        ch,
        mult,
        res_blocks: (0..MOST).take_while(block).count(),
        attention: levels.iter().map(|level| resolution >> level).collect(),
        groups: GROUPS,
        dropout: DROPOUT,
        channels,
        resolution,
        classes,
    })
}

/// The side of the pictures of which these levels attend.
fn side(levels: &[usize]) -> usize {
    levels.first().map_or(SIDE, |finest| ATTENDS << finest)
}

/// What has to be said of a network's tensors where they are opened without a card: as flags, or nothing.
pub fn unsaid(config: &UnetConfig) -> String {
    let UnetConfig { mult, attention, resolution, groups, .. } = config;
    let attends = |level: &usize| attention.contains(&(resolution >> level));
    let levels: Vec<usize> = (0..mult.len()).filter(attends).collect();
    let side = (side(&levels) != *resolution).then(|| format!("--side {resolution}"));
    let groups = (*groups != GROUPS).then(|| format!("--groups {groups}"));
    side.into_iter().chain(groups).collect::<Vec<_>>().join(" ")
}

/// The card of such a network's weights: its data, its classes' names, the side of its pictures and the groups
/// of its normalisations are assumed.
pub fn card(config: UnetConfig) -> Card {
    let UnetConfig { channels, classes, resolution: side, .. } = config;
    let data = names::data(channels, classes);
    let data = data.filter(|set| [set.shape.height, set.shape.width] == [side; 2]);
    let assumed = Assumed { classes: true, normalisation: false, side: true, groups: true };
    names::card(Architecture::Unet(config), data, assumed)
}
