//! Which network a state dictionary is of, and the names that its tensors have here.
//!
//! Ours are torchvision's, which the official code and the Comparator use, too; other code calls
//! the ResNet's shortcut `shortcut` and its head `linear`, and the VGG's head `classifier.0`.

use std::collections::BTreeMap;

use super::{ddpm, foreign};
use crate::data::{SETS, Set};
use crate::models::imagenet::{self, DeepResnetConfig, EfficientNetConfig};
use crate::models::{
    Architecture, Assumed, Card, Format, ResnetConfig, Stored, SwinConfig, Tensors,
};

/// Buffers of the official code's first layer.
const NORMALISE: [&str; 2] = ["normalize.mean", "normalize.std"];

/// The same tensors under our names, and a card that says what network they are of and what of it had
/// to be assumed.
///
/// # Errors
/// It is none that is known; what it looks like, and what to do.
pub fn adopt(tensors: Tensors) -> Result<(Card, Tensors), String> {
    let mut tensors = unwrapped(tensors);
    let statistics = NORMALISE.map(|name| {
        let found: Option<Stored> = tensors.0.remove(name);
        found.filter(|t| {
            !matches!(t.format, Format::Whole(_) | Format::Other)
                && t.shape.iter().product::<usize>() <= 4
        })
    });
    let statistics = match statistics.map(|t| t.and_then(|t| t.values())) {
        [Some(mean), Some(std)] => Some((mean, std)),
        _ => None,
    };
    let channels =
        ["conv1.weight", "features.0.weight", "features.0.0.weight", "_conv_stem.weight"];
    let channels = channels.iter().find_map(|name| tensors.shape::<4>(name)).map(|shape| shape[1]);
    if let (Some((mean, std)), Some(channels)) = (&statistics, channels)
        && (mean.len(), std.len()) != (channels, channels)
    {
        let n = mean.len();
        return Err(format!(
            "its normalize.mean has {n} numbers, and it looks at {channels} channels"
        ));
    }
    if let Some(like) = foreign::looks_like(&tensors) {
        return Err(like);
    }
    let renamed = tensors.0.into_iter().filter_map(|(name, t)| Some((rename(&name)?, t)));
    let tensors = Tensors(renamed.collect());
    let own = statistics.is_some();
    if let Some(config) = ddpm::infer(&tensors) {
        return Ok((ddpm::card(config), tensors));
    }
    match infer(&tensors, statistics) {
        Some(architecture) => {
            let [channels, classes] = architecture.channels_and_classes();
            let assumed = Assumed { classes: true, normalisation: !own, ..Assumed::default() };
            Ok((card(architecture, data(channels, classes), assumed), tensors))
        }
        None => Err(foreign::unknown(&tensors)),
    }
}

/// Without the prefixes that all names share, such as `module.`, which wrapping a network gives them.
fn unwrapped(mut tensors: Tensors) -> Tensors {
    let first = |name: &str| name.split_once('.').map(|(first, _)| first.to_string());
    while let Some(prefix) = tensors.0.keys().next().and_then(|name| first(name)) {
        let shared = tensors.0.keys().all(|name| first(name).as_ref() == Some(&prefix));
        // A lone layer is no wrapper.
        if !shared || tensors.0.keys().all(|name| name.matches('.').count() < 2) {
            break;
        }
        let inner = |(name, t): (String, _)| (name[prefix.len() + 1..].to_string(), t);
        tensors = Tensors(tensors.0.into_iter().map(inner).collect::<BTreeMap<_, _>>());
    }
    tensors
}

/// The same tensors under our names, without what follows from the network's shape.
pub fn renamed(tensors: Tensors) -> Tensors {
    let tensors = unwrapped(tensors);
    Tensors(tensors.0.into_iter().filter_map(|(name, t)| Some((rename(&name)?, t))).collect())
}

/// Our name of a tensor; nothing for what follows from the network's shape.
fn rename(name: &str) -> Option<String> {
    if name.ends_with(".num_batches_tracked") || name.ends_with(".relative_position_index") {
        return None;
    }
    Some(match name {
        "linear.weight" => "fc.weight".into(),
        "linear.bias" => "fc.bias".into(),
        "classifier.0.weight" => "classifier.weight".into(),
        "classifier.0.bias" => "classifier.bias".into(),
        _ if name.starts_with("layer") => name.replace(".shortcut.", ".downsample."),
        _ => name.into(),
    })
}

fn infer(tensors: &Tensors, own: Option<(Vec<f32>, Vec<f32>)>) -> Option<Architecture> {
    let statistics = |channels: usize, classes: usize| {
        let own = own.clone().filter(|(m, s)| m.len() == channels && s.len() == channels);
        let usual = |set: &Set| (set.mean.to_vec(), set.std.to_vec());
        let known = || data(channels, classes).map(usual);
        own.or_else(known)
            .unwrap_or_else(|| (vec![0.5; channels.min(4)], vec![0.25; channels.min(4)]))
    };
    if let Some([embed, channels, patch, _]) = tensors.shape("features.0.0.weight") {
        let [classes, _] = tensors.shape("head.weight")?;
        let (mean, std) = statistics(channels, classes);
        let (mut depths, mut heads, mut window) = (Vec::new(), Vec::new(), 0);
        for stage in (0..7).map(|i| 2 * i + 1) {
            let table = |block: usize| {
                let name = format!("features.{stage}.{block}.attn.relative_position_bias_table");
                tensors.shape::<2>(&name)
            };
            let Some([positions, n]) = table(0) else { break };
            depths.push((0..33).take_while(|b| table(*b).is_some()).count());
            heads.push(n);
            // (2 w - 1)² positions.
            window = positions.isqrt().div_ceil(2);
        }
        return Some(Architecture::Swin(SwinConfig {
            embed,
            depths,
            heads,
            patch,
            window,
            drop_path: 0.0,
            channels,
            classes,
            mean,
            std,
        }));
    }
    if let Some([_, channels, ..]) = tensors.shape::<4>("_conv_stem.weight") {
        let [classes, _] = tensors.shape("_fc.weight")?;
        let config = EfficientNetConfig::new(channels, classes);
        return Some(with(Architecture::Efficientnet(config), own));
    }
    if let Some([width, channels, 7, _]) = tensors.shape("conv1.weight") {
        let [classes, _] = tensors.shape("fc.weight")?;
        let block = |stage: usize, b: usize| {
            tensors.0.contains_key(&format!("layer{stage}.{b}.conv1.weight"))
        };
        let count = |stage: usize| (0..65).take_while(|b| block(stage, *b)).count();
        let [mean, std] = imagenet::STATISTICS.map(|all| match channels {
            3 => all.to_vec(),
            _ => vec![all[1]; channels.min(4)],
        });
        let config = DeepResnetConfig {
            width,
            blocks: (1..=4).map(count).collect(),
            bottleneck: tensors.0.contains_key("layer1.0.conv3.weight"),
            channels,
            classes,
            mean,
            std,
        };
        return Some(with(Architecture::DeepResnet(config), own));
    }
    let plain = |stem: &str, head: &str| {
        let [width, channels, _, _] = tensors.shape(stem)?;
        let [classes, _] = tensors.shape(head)?;
        let (mean, std) = statistics(channels, classes);
        Some(ResnetConfig { width, channels, classes, mean, std })
    };
    match tensors.shape::<4>("features.0.weight") {
        Some(_) => plain("features.0.weight", "classifier.weight").map(Architecture::Vgg),
        None => plain("conv1.weight", "fc.weight").map(Architecture::Resnet),
    }
}

/// An architecture with the normalisation that a file brings.
fn with(of: Architecture, own: Option<(Vec<f32>, Vec<f32>)>) -> Architecture {
    match own {
        Some((mean, std)) => of.with_statistics(mean, std),
        None => of,
    }
}

/// The data set that a network with so many channels and classes is most likely for.
pub fn data(channels: usize, classes: usize) -> Option<&'static Set> {
    SETS.iter().find(|s| (s.shape.channels, s.classes.len()) == (channels, classes))
}

/// The card of weights that came without one: their data, their classes' names and what else they do not say
/// are `assumed`.
pub fn card(architecture: Architecture, data: Option<&Set>, assumed: Assumed) -> Card {
    let [_, classes] = architecture.channels_and_classes();
    // Those for ImageNet tell its thousand classes apart, or what they were trained on since.
    let known = data.filter(|_| architecture.side().is_none());
    let (data, classes) = match known {
        _ if architecture.side().is_some() && classes == imagenet::CLASSES.len() => {
            ("imagenet", imagenet::CLASSES.clone())
        }
        Some(set) => (set.name, set.classes.iter().map(|c| c.to_string()).collect()),
        None => ("unknown", (0..classes.min(1001)).map(|c| format!("class {c}")).collect()),
    };
    Card { assumed, ..Card::new("imported", architecture, data, classes) }
}
