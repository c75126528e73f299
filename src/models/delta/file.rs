//! Δ as a sparse safetensors file: of every tensor that may have changed the positions of its free weights, and
//! the values there after the run. Values and not differences: θ₀ plus a rounded difference is not always θ.

use std::{collections::HashMap, path::Path, sync::Arc};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::alike;
use crate::error::{Error, Result, ensure};
use crate::models::latent::{LatentCard, LatentModel};
use crate::models::tensors::finite;
use crate::models::{
    AnyModel, Bits, Card, HostWeights, Model, Owned, Precision, WeightEntry, checkpoint,
};
use crate::words::Format;

/// Where what a file says of itself lies in its metadata.
const ABOUT: &str = "salun-delta";
/// What is behind a tensor's name.
const INDICES: &str = ".indices";
const VALUES: &str = ".values";

/// What a file of a change says of itself.
#[derive(Serialize, Deserialize)]
struct About {
    format: Format,
    /// Protocol hash of the run.
    protocol: String,
    /// [`HostWeights::hash`] of what the run started from, and of what it ended with.
    original: String,
    result: String,
    card: StoredCard,
}

/// The card of what a run ended with.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StoredCard {
    Plain(Box<Card>),
    TextToImage(Option<Box<LatentCard>>),
}

/// A run's change as a file holds it.
#[derive(Debug, Clone)]
pub struct Change {
    /// The model with all of it.
    pub run: AnyModel,
    /// Protocol hash of the run that made it.
    pub protocol: String,
    /// Weights and running statistics that it lists.
    pub n: usize,
}

/// The bytes of a change's file: exactly the weights that were `free` (a 1 each), or those that differ where all
/// were; and running statistics that differ.
///
/// # Errors
/// The two are of different networks, a frozen weight changed, or a tensor has more values than can be counted.
pub fn encode(
    original: &AnyModel,
    run: &AnyModel,
    free: Option<&Bits>,
    protocol: &str,
) -> Result<Vec<u8>> {
    let (before, after) = (original.weights(), run.weights());
    alike(before, after)?;
    let differs = |a: &[f32], b: &[f32], i: usize| a[i].to_bits() != b[i].to_bits();
    let moved = |i: usize| differs(&before.values, &after.values, i);
    if let Some(free) = free {
        let other = "the mask is of another network than the run";
        ensure(free.len() == before.values.len(), || Error::Request(other.into()))?;
        let frozen = free.gaps().filter(|&i| moved(i)).count();
        ensure(frozen == 0, || {
            Error::Request(format!(
                "the run did not start from these weights: {frozen} that its mask froze are others; name \
                 those that it started from with --model"
            ))
        })?;
    }
    let listed = |i: usize| free.map_or_else(|| moved(i), |free| free.get(i));
    let mut tensors = Vec::new();
    for entry in &before.layout.params {
        tensors.extend(part(entry, &after.values, listed)?);
    }
    for entry in &before.layout.buffers {
        let differs = |i: usize| differs(&before.buffers, &after.buffers, i);
        tensors.extend(part(entry, &after.buffers, differs)?);
    }
    let card = match run {
        AnyModel::Plain(model) => StoredCard::Plain(Box::new(model.card.clone())),
        AnyModel::Latent(model) => StoredCard::TextToImage(model.card.clone().map(Box::new)),
    };
    let (original, result) = (before.hash(), after.hash());
    let about = About { format: Format, protocol: protocol.into(), original, result, card };
    let about = serde_json::to_string(&about).map_err(|e| Error::Request(e.to_string()))?;
    checkpoint::write(&tensors, Some((ABOUT, about)))
}

/// The listed weights of a tensor; none where none is. Positions are i32, which every PyTorch reads.
fn part(entry: &WeightEntry, flat: &[f32], listed: impl Fn(usize) -> bool) -> Result<Vec<Owned>> {
    let places: Vec<usize> = entry.range().filter(|&i| listed(i)).collect();
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let large = |_| Error::Request(format!("{} has more values than a change lists", entry.name));
    let indices = places.iter().map(|i| i32::try_from(i - entry.offset));
    let indices = indices.collect::<std::result::Result<Vec<i32>, _>>().map_err(large)?;
    let values: Vec<f32> = places.iter().map(|&i| flat[i]).collect();
    let indices = indices.iter().flat_map(|i| i.to_le_bytes()).collect();
    Ok(vec![
        (format!("{}{INDICES}", entry.name), vec![places.len()], (Dtype::I32, indices)),
        (format!("{}{VALUES}", entry.name), vec![places.len()], Precision::Full.bytes(&values)),
    ])
}

/// Whether a file's metadata say that it is a change and no model.
pub fn is_delta(metadata: &HashMap<String, String>) -> bool {
    metadata.contains_key(ABOUT)
}

/// Reads a change of these weights. `path` is for messages only.
///
/// # Errors
/// The file is no change, is damaged, or is one of other weights; it and the tensor are named.
pub fn decode(bytes: &[u8], path: &Path, original: &AnyModel) -> Result<Change> {
    let bad = |reason: String| Error::file(path, reason);
    let whole = |e| bad(format!("not a whole safetensors file ({e})"));
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(whole)?;
    let about = metadata.metadata().as_ref().and_then(|all| all.get(ABOUT));
    let none = || bad("is not a change of weights as salun export --delta writes it".into());
    let about: About = serde_json::from_str(about.ok_or_else(none)?)
        .map_err(|e| bad(format!("what it says of itself cannot be read ({e})")))?;
    fits(&about.card, original).map_err(bad)?;
    let before = original.weights();
    let (hash, starts) = (before.hash(), |hash: &str| hash.chars().take(12).collect::<String>());
    let other = || {
        let [its, given] = [&about.original, &hash].map(|hash| starts(hash));
        bad(format!(
            "is the change of other weights: of those with hash {its}…, not {given}…; give the model that its \
             run started from"
        ))
    };
    ensure(about.original == hash, other)?;
    let file = SafeTensors::deserialize(bytes).map_err(whole)?;
    let (weights, n) = changed(&file, before, path)?;
    let damaged = || bad("is damaged: with it the weights are not what its run ended with".into());
    ensure(weights.hash() == about.result, damaged)?;
    let run = match (original, about.card) {
        (AnyModel::Plain(model), StoredCard::Plain(card)) => AnyModel::Plain(Arc::new(Model {
            card: *card,
            network: model.network.clone(),
            weights,
        })),
        (AnyModel::Latent(model), StoredCard::TextToImage(card)) => {
            let card = card.map(|card| *card);
            AnyModel::Latent(Arc::new(LatentModel {
                unet: weights,
                card,
                ..LatentModel::clone(model)
            }))
        }
        _ => return Err(none()),
    };
    Ok(Change { run, protocol: about.protocol, n })
}

/// Refuses a change of another network.
fn fits(card: &StoredCard, original: &AnyModel) -> std::result::Result<(), String> {
    match (card, original) {
        (StoredCard::Plain(card), AnyModel::Plain(model)) => {
            let usable = checkpoint::check(card);
            usable.map_err(|reason| format!("its model card is not usable: {reason}"))?;
            let same = card.architecture == model.card.architecture;
            ensure(same, || format!("is the change of another network than {}", model.card.name))
        }
        (StoredCard::TextToImage(_), AnyModel::Latent(_)) => Ok(()),
        (StoredCard::Plain(card), AnyModel::Latent(_)) => {
            Err(format!("is a change of {}, and not of a text-to-image model", card.name))
        }
        (StoredCard::TextToImage(_), AnyModel::Plain(model)) => Err(format!(
            "is a change of a text-to-image model's U-Net, and {} is no text-to-image model",
            model.card.name
        )),
    }
}

/// The weights with what a file lists in its place, and how much that is.
fn changed(file: &SafeTensors, before: &HostWeights, path: &Path) -> Result<(HostWeights, usize)> {
    let bad = |tensor: &str, reason: &str| Error::Tensor {
        path: path.to_path_buf(),
        tensor: tensor.chars().take(80).collect(),
        reason: reason.into(),
    };
    let layout = &before.layout;
    let known: HashMap<&str, (&WeightEntry, bool)> = layout
        .params
        .iter()
        .map(|e| (e.name.as_str(), (e, false)))
        .chain(layout.buffers.iter().map(|e| (e.name.as_str(), (e, true))))
        .collect();
    let (mut weights, mut n) = (before.clone(), 0);
    for (name, view) in file.iter() {
        let whose = name.strip_suffix(INDICES).or_else(|| name.strip_suffix(VALUES));
        let found = whose.and_then(|whose| known.get(whose));
        let &(entry, buffer) = found.ok_or_else(|| bad(name, "the network has no such tensor"))?;
        if name.ends_with(VALUES) {
            let beside = file.tensor(&format!("{}{INDICES}", entry.name));
            beside.map_err(|_| bad(name, "its indices are missing"))?;
            continue;
        }
        let values = file.tensor(&format!("{}{VALUES}", entry.name));
        let values = values.map_err(|_| bad(name, "its values are missing"))?;
        let flat: &mut [f32] = if buffer { &mut weights.buffers } else { &mut weights.values };
        n += put(&view, &values, &mut flat[entry.range()]).map_err(|why| bad(name, &why))?;
    }
    Ok((weights, n))
}

/// Puts values in their places in a tensor; how many.
fn put(
    indices: &TensorView,
    values: &TensorView,
    tensor: &mut [f32],
) -> std::result::Result<usize, String> {
    let formats = [indices.dtype(), values.dtype()] == [Dtype::I32, Dtype::F32];
    let lists = indices.shape().len() == 1 && indices.shape() == values.shape();
    ensure(formats && lists, || "a list of i32 is needed, and as many values of f32".to_string())?;
    let number = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes);
    let values: Vec<f32> = values.data().as_chunks().0.iter().map(number).collect();
    finite(&values)?;
    let mut next = 0;
    for (bytes, value) in indices.data().as_chunks().0.iter().zip(&values) {
        let index = i32::from_le_bytes(*bytes);
        let place = usize::try_from(index).ok().filter(|&i| i >= next && i < tensor.len());
        let order = || format!("position {index} is out of order, or out of the tensor");
        let place = place.ok_or_else(order)?;
        tensor[place] = *value;
        next = place + 1;
    }
    Ok(values.len())
}
