//! Weights in safetensors files: every tensor checked before it is used.

use std::{collections::HashMap, path::Path, sync::Arc};

use safetensors::{Dtype, tensor::TensorView};

use super::tensors::{About, finite};
use super::{
    Architecture, Card, HostWeights, Model, Tensors, WeightEntry, WeightLayout, delta, said, torch,
};
use crate::error::{Error, Result, ensure};

/// Where the card lies in a file's metadata.
const CARD: &str = "salun";

/// Number format of the stored parameters. Buffers are always stored in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    Full,
    Half,
}

impl Precision {
    /// Numbers as they are stored.
    pub fn bytes(self, values: &[f32]) -> (Dtype, Vec<u8>) {
        match self {
            Self::Full => (Dtype::F32, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
            Self::Half => {
                let half = values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes());
                (Dtype::F16, half.collect())
            }
        }
    }

    /// Tensors of a layout as they are stored.
    pub fn tensors(self, entries: &[WeightEntry], flat: &[f32]) -> Vec<Owned> {
        let tensor =
            |e: &WeightEntry| (e.name.clone(), e.shape.clone(), self.bytes(&flat[e.range()]));
        entries.iter().map(tensor).collect()
    }
}

/// The bytes of a weights file.
///
/// # Errors
/// The card cannot be written as JSON.
pub fn encode(model: &Model, precision: Precision) -> Result<Vec<u8>> {
    let card = serde_json::to_string(&model.card).map_err(|e| Error::Request(e.to_string()))?;
    let weights = &model.weights;
    let mut tensors = precision.tensors(&weights.layout.params, &weights.values);
    tensors.extend(Precision::Full.tensors(&weights.layout.buffers, &weights.buffers));
    write(&tensors, Some((CARD, card)))
}

/// A weights file of a layout with at most one text; numbers in full are not copied before they are written.
///
/// # Errors
/// It cannot be written.
pub fn parameters(
    precision: Precision,
    weights: &HostWeights,
    text: Option<(&str, String)>,
) -> Result<Vec<u8>> {
    let HostWeights { layout, values, .. } = weights;
    // The file's order of bytes is this machine's.
    if precision == Precision::Half || cfg!(target_endian = "big") {
        return write(&precision.tensors(&layout.params, values), text);
    }
    let part = |e: &WeightEntry| {
        let bytes = bytemuck::cast_slice::<f32, u8>(&values[e.range()]);
        (e.name.clone(), e.shape.clone(), (Dtype::F32, bytes))
    };
    write(&layout.params.iter().map(part).collect::<Vec<_>>(), text)
}

/// A tensor to be written: name, shape, number format and bytes.
pub type Owned = (String, Vec<usize>, (Dtype, Vec<u8>));

/// A safetensors file from named tensors and at most one text: several have no fixed order in the
/// file, and the same content must give the same bytes.
///
/// # Errors
/// A tensor has not as many bytes as its shape needs.
pub fn write<B: AsRef<[u8]>>(
    tensors: &[(String, Vec<usize>, (Dtype, B))],
    text: Option<(&str, String)>,
) -> Result<Vec<u8>> {
    let metadata = text.map(|(key, text)| HashMap::from([(key.to_string(), text)]));
    let views = tensors
        .iter()
        .map(|(name, shape, (dtype, bytes))| {
            TensorView::new(*dtype, shape.clone(), bytes.as_ref()).map(|v| (name.as_str(), v))
        })
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|e| Error::Request(e.to_string()))?;
    safetensors::serialize(views, metadata).map_err(|e| Error::Request(e.to_string()))
}

/// Reads a weights file: our own, or a state dictionary of a known network, in safetensors or in
/// PyTorch's `.pth`. `path` is for messages only. Takes no more memory than twice the file
/// and a few MiB.
///
/// # Errors
/// The file is neither, or a tensor is missing, surplus, of another shape or number format, or not
/// finite; the message names the file and the tensor.
pub fn decode(bytes: &[u8], path: &Path) -> Result<Model> {
    let file = |reason: String| Error::File { path: path.to_path_buf(), reason };
    if let Some(what) = torch::foreign::file(bytes) {
        return Err(file(what.into()));
    }
    let (tensors, About { metadata, notes }) = Tensors::read(bytes, path)?;
    if delta::is_delta(&metadata) {
        let right = "holds a run's change and no model; salun apply makes one with it";
        return Err(file(right.into()));
    }
    let (card, tensors) = match metadata.get(CARD) {
        Some(json) => {
            let card = serde_json::from_str::<Card>(json)
                .map_err(|e| file(format!("its model card cannot be read ({e})")))?;
            (card, tensors)
        }
        None => {
            let (card, tensors) = torch::names::adopt(tensors).map_err(file)?;
            (Card { notes, ..card }, tensors)
        }
    };
    check(&card).map_err(|reason| file(format!("its model card is not usable: {reason}")))?;
    let (network, layout) = card.architecture.build();
    let weights = fill(&layout, &tensors, bytes.len(), path)?;
    Ok(Model { card, network: Arc::new(network), weights })
}

/// Refuses shapes that no device could hold or that no network has.
///
/// # Errors
/// One of them is; as a message has it.
pub fn check(card: &Card) -> std::result::Result<(), &'static str> {
    let [channels, classes] = card.architecture.channels_and_classes();
    let pictures = (1..=4).contains(&channels)
        && (2..=1000).contains(&classes)
        && classes == card.classes.len()
        && card.architecture.statistics().is_none_or(|[mean, std]| {
            mean.len() == channels
                && std.len() == channels
                && mean.iter().all(|m| m.is_finite())
                && std.iter().all(|s| s.is_finite() && *s > 0.0)
        });
    let shape = match &card.architecture {
        Architecture::Resnet(c) | Architecture::Vgg(c) => (1..=256).contains(&c.width),
        Architecture::Swin(c) => c.usable(),
        Architecture::DeepResnet(c) => c.usable(),
        Architecture::Efficientnet(_) => true,
        Architecture::Unet(c) => {
            (4..=512).contains(&c.ch)
                && c.ch % 4 == 0
                && (1..=6).contains(&c.mult.len())
                && c.mult.iter().all(|m| (1..=16).contains(m))
                && (1..=4).contains(&c.res_blocks)
                && said::GROUPS.contains(&c.groups)
                && (0.0..1.0).contains(&c.dropout)
                && said::SIDES.contains(&c.resolution)
                && c.resolution % (1 << (c.mult.len() - 1)) == 0
        }
    };
    ensure(pictures && shape, || "a size is out of range or does not fit the others")
}

/// The weights of a layout out of the tensors of a file of so many bytes, which must be enough for what
/// they claim: several may be views of the same numbers.
///
/// # Errors
/// A tensor is missing, surplus, of another shape or number format, or not finite.
pub fn fill(
    layout: &Arc<WeightLayout>,
    file: &Tensors,
    bytes: usize,
    path: &Path,
) -> Result<HostWeights> {
    let bad = |tensor: &str, reason: String| Error::Tensor {
        path: path.to_path_buf(),
        tensor: tensor.chars().take(80).collect(),
        reason,
    };
    for name in file.0.keys() {
        let known = layout.find(name).is_some() || layout.buffers.iter().any(|b| b.name == *name);
        let counts = name.ends_with(".num_batches_tracked");
        ensure(known || counts, || bad(name, "the network has no such tensor".into()))?;
    }
    let find = |entry: &WeightEntry| {
        let tensor = file.get(&entry.name).ok_or_else(|| bad(&entry.name, "is missing".into()))?;
        let (has, right) = (&tensor.shape, &entry.shape);
        let other = || bad(&entry.name, format!("has shape {has:?}, expected {right:?}"));
        ensure(has == right, other).map(|()| tensor)
    };
    layout.params.iter().chain(&layout.buffers).try_for_each(|entry| find(entry).map(drop))?;
    // Before anything is allocated for them: no number takes less than two bytes.
    let n = layout.n() + layout.n_buffers();
    let few = || Error::file(path, format!("its tensors have {n} numbers, {bytes} bytes do not"));
    ensure(n.checked_mul(2).is_some_and(|least| least <= bytes), few)?;
    let read = |entry: &WeightEntry, flat: &mut Vec<f32>| -> Result<()> {
        let tensor = find(entry)?;
        let start = flat.len();
        tensor
            .append_to(flat)
            .ok_or_else(|| bad(&entry.name, format!("has number format {}", tensor.format)))?;
        finite(&flat[start..]).map_err(|reason| bad(&entry.name, reason))
    };
    let all = |entries: &[WeightEntry], n: usize| -> Result<Vec<f32>> {
        let mut flat = Vec::with_capacity(n);
        entries.iter().try_for_each(|entry| read(entry, &mut flat))?;
        Ok(flat)
    };
    let values = all(&layout.params, layout.n())?;
    let buffers = all(&layout.buffers, layout.n_buffers())?;
    Ok(HostWeights { layout: layout.clone(), values: values.into(), buffers })
}
