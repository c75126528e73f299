//! Weights in safetensors files: every tensor checked before it is used.

use std::{collections::HashMap, path::Path, sync::Arc};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{
    Architecture, Model,
    card::Card,
    resnet::ResnetConfig,
    weights::{HostWeights, WeightEntry, WeightLayout},
};
use crate::error::{Error, Result};

/// Where the card lies in a file's metadata.
const CARD: &str = "salun";

/// Number format of the stored parameters. Buffers are always stored in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    Full,
    Half,
}

/// The bytes of a weights file.
///
/// # Errors
/// The card cannot be written as JSON.
pub fn encode(model: &Model, precision: Precision) -> Result<Vec<u8>> {
    let card = serde_json::to_string(&model.card).map_err(|e| Error::Request(e.to_string()))?;
    let weights = &model.weights;
    let entries = |entries: &[WeightEntry], flat: &[f32], half: bool| -> Vec<_> {
        let bytes = |values: &[f32]| -> (Dtype, Vec<u8>) {
            if half {
                let half = values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes());
                (Dtype::F16, half.collect())
            } else {
                (Dtype::F32, values.iter().flat_map(|v| v.to_le_bytes()).collect())
            }
        };
        entries.iter().map(|e| (e.name.clone(), e.shape.clone(), bytes(&flat[e.range()]))).collect()
    };
    let mut tensors =
        entries(&weights.layout.params, &weights.values, precision == Precision::Half);
    tensors.extend(entries(&weights.layout.buffers, &weights.buffers, false));
    write(&tensors, Some((CARD, card)))
}

type Owned = (String, Vec<usize>, (Dtype, Vec<u8>));

/// A safetensors file from named tensors and at most one text: several have no fixed order in the
/// file, and the same content must give the same bytes.
pub fn write(tensors: &[Owned], text: Option<(&str, String)>) -> Result<Vec<u8>> {
    let metadata = text.map(|(key, text)| HashMap::from([(key.to_string(), text)]));
    let views = tensors
        .iter()
        .map(|(name, shape, (dtype, bytes))| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|v| (name.as_str(), v))
        })
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|e| Error::Request(e.to_string()))?;
    safetensors::serialize(views, metadata).map_err(|e| Error::Request(e.to_string()))
}

/// Reads a weights file. `path` is for messages only.
///
/// # Errors
/// The file is not safetensors, or a tensor is missing, surplus, of another shape or number
/// format, or not finite; the message names the file and the tensor.
pub fn decode(bytes: &[u8], path: &Path) -> Result<Model> {
    let file = |reason: String| Error::File { path: path.to_path_buf(), reason };
    let (_, metadata) = SafeTensors::read_metadata(bytes)
        .map_err(|e| file(format!("not a whole safetensors file ({e})")))?;
    let tensors = SafeTensors::deserialize(bytes)
        .map_err(|e| file(format!("not a whole safetensors file ({e})")))?;
    let card = match metadata.metadata().as_ref().and_then(|m| m.get(CARD)) {
        Some(json) => serde_json::from_str::<Card>(json)
            .map_err(|e| file(format!("its model card cannot be read ({e})")))?,
        None => infer(&tensors).ok_or_else(|| {
            file("it has no model card and is not a ResNet-18 state dictionary".into())
        })?,
    };
    check(&card).map_err(|reason| file(format!("its model card is not usable: {reason}")))?;
    let (network, layout) = card.architecture.build();
    let weights = fill(&layout, &tensors, path)?;
    Ok(Model { card, network: Arc::new(network), weights })
}

/// Refuses shapes that no device could hold or that no network has.
fn check(card: &Card) -> std::result::Result<(), &'static str> {
    let ok = match &card.architecture {
        Architecture::Resnet(c) => {
            (1..=256).contains(&c.width)
                && (1..=4).contains(&c.channels)
                && (2..=1000).contains(&c.classes)
                && c.classes == card.classes.len()
                && c.mean.len() == c.channels
                && c.std.len() == c.channels
                && c.mean.iter().all(|m| m.is_finite())
                && c.std.iter().all(|s| s.is_finite() && *s > 0.0)
        }
        Architecture::Unet(c) => {
            (4..=512).contains(&c.ch)
                && c.ch % 4 == 0
                && (1..=6).contains(&c.mult.len())
                && c.mult.iter().all(|m| (1..=16).contains(m))
                && (1..=4).contains(&c.res_blocks)
                && (1..=64).contains(&c.groups)
                && (0.0..1.0).contains(&c.dropout)
                && (1..=4).contains(&c.channels)
                && (4..=256).contains(&c.resolution)
                && c.resolution % (1 << (c.mult.len() - 1)) == 0
                && (2..=1000).contains(&c.classes)
                && c.classes == card.classes.len()
        }
    };
    if ok { Ok(()) } else { Err("a size is out of range or does not fit the others") }
}

/// A card for a bare ResNet-18 state dictionary, from its shapes.
fn infer(tensors: &SafeTensors) -> Option<Card> {
    let shape = |name: &str| tensors.tensor(name).ok().map(|t| t.shape().to_vec());
    let stem = shape("conv1.weight").filter(|s| s.len() == 4)?;
    let head = shape("fc.weight").filter(|s| s.len() == 2)?;
    let (width, channels, classes) = (stem[0], stem[1], head[0]);
    let (data, names, mean, std) = match (channels, classes) {
        (1, 10) => {
            let names = crate::data::fashion::CLASSES.map(String::from).to_vec();
            ("fashion-mnist", names, vec![0.2860], vec![0.3530])
        }
        _ => {
            let names = (0..classes.min(1001)).map(|c| format!("class {c}")).collect();
            let mean = [0.4914, 0.4822, 0.4465, 0.5];
            let std = [0.2470, 0.2435, 0.2616, 0.25];
            let c = channels.min(4);
            ("unknown", names, mean[..c].to_vec(), std[..c].to_vec())
        }
    };
    Some(Card {
        name: "imported".into(),
        architecture: Architecture::Resnet(ResnetConfig { width, channels, classes, mean, std }),
        data: data.into(),
        classes: names,
        split_seed: 1,
        without: None,
        unlearned: Vec::new(),
        training: None,
        metrics: Default::default(),
        device: String::new(),
        version: String::new(),
    })
}

/// The weights of a layout out of a file.
pub fn fill(layout: &Arc<WeightLayout>, file: &SafeTensors, path: &Path) -> Result<HostWeights> {
    let bad = |tensor: &str, reason: String| Error::Tensor {
        path: path.to_path_buf(),
        tensor: tensor.to_string(),
        reason,
    };
    for name in file.names() {
        let known = layout.find(name).is_some() || layout.buffers.iter().any(|b| b.name == *name);
        if !known && !name.ends_with(".num_batches_tracked") {
            return Err(bad(name, "the network has no such tensor".into()));
        }
    }
    let read = |entry: &WeightEntry, flat: &mut Vec<f32>| -> Result<()> {
        let view = file.tensor(&entry.name).map_err(|_| bad(&entry.name, "is missing".into()))?;
        if view.shape() != entry.shape {
            let reason = format!("has shape {:?}, expected {:?}", view.shape(), entry.shape);
            return Err(bad(&entry.name, reason));
        }
        let values = floats(&view)
            .ok_or_else(|| bad(&entry.name, format!("has number format {:?}", view.dtype())))?;
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(bad(&entry.name, format!("value {at} is not a finite number")));
        }
        flat.extend(values);
        Ok(())
    };
    let mut values = Vec::new();
    for entry in &layout.params {
        read(entry, &mut values)?;
    }
    let mut buffers = Vec::new();
    for entry in &layout.buffers {
        read(entry, &mut buffers)?;
    }
    Ok(HostWeights { layout: layout.clone(), values, buffers })
}

/// The values of a float tensor of any usual precision.
pub fn floats(view: &TensorView) -> Option<Vec<f32>> {
    let bytes = view.data();
    let pairs = || bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
    Some(match view.dtype() {
        Dtype::F32 => {
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        }
        Dtype::F16 => pairs().map(|b| half::f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BF16 => pairs().map(|b| half::bf16::from_le_bytes(b).to_f32()).collect(),
        _ => return None,
    })
}
