//! LoRA files (Hu et al. 2022): W becomes W + s · alpha / rank · up · down. Read in the layout of kohya's scripts
//! (`lora_unet_…lora_down.weight`) and in those of diffusers and PEFT (`unet.….lora_A.weight`).

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use serde_json::{Map, Value};

use super::LatentModel;
use crate::error::{Error, Result, ensure};
use crate::models::tensors::{About, finite};
use crate::models::torch::foreign;
use crate::models::{HostWeights, Stored, Tensors};

/// Largest rank of a change.
const RANK: usize = 1 << 13;
/// How names of the two parts of a change end, down and up, and how what scales it does.
const DOWN: [&str; 6] = [
    ".lora_down.weight",
    ".lora_A.weight",
    ".lora_A.default.weight",
    ".lora.down.weight",
    ".lora_linear_layer.down.weight",
    "_lora.down.weight",
];
const UP: [&str; 6] = [
    ".lora_up.weight",
    ".lora_B.weight",
    ".lora_B.default.weight",
    ".lora.up.weight",
    ".lora_linear_layer.up.weight",
    "_lora.up.weight",
];
const ALPHA: &str = ".alpha";
/// Marks of changes that are made otherwise.
const OTHERS: [(&str, &str); 8] = [
    ("hada_", "a LoHa"),
    ("lokr_", "a LoKr"),
    ("dora_scale", "a DoRA"),
    ("lora_magnitude_vector", "a DoRA"),
    ("lora_mid", "a LoRA in three parts (Tucker)"),
    ("oft_", "an OFT"),
    ("lora_te2_", "a LoRA of Stable Diffusion XL"),
    ("text_encoder_2.", "a LoRA of Stable Diffusion XL"),
];
/// What PEFT and diffusers write before the names of a network.
const WRAPPERS: [&str; 2] = ["base_model.model.", "default."];

/// One layer's change as it comes in.
#[derive(Default)]
struct Change<'a> {
    down: Option<&'a Stored<'a>>,
    up: Option<&'a Stored<'a>>,
    alpha: Option<f32>,
}

/// Which weight is meant: that of the text encoder (0) or the U-Net (1), by its index.
type Target = (usize, usize);

/// Merges a LoRA file into a model, and notes what was changed.
///
/// # Errors
/// The file cannot be read, is of another kind, or of another model's widths or layers; the tensor is named.
#[cfg(not(target_arch = "wasm32"))]
pub fn merge(model: &mut LatentModel, lora: &crate::models::Lora) -> Result<()> {
    let path = crate::disk::expanded(&lora.file);
    let bytes = crate::disk::read(&path)?;
    merge_bytes(model, &bytes, &path, lora.strength as f32)
}

/// The same of a file's bytes; `path` is for messages.
///
/// # Errors
/// As [`merge`].
pub fn merge_bytes(
    model: &mut LatentModel,
    bytes: &[u8],
    path: &Path,
    strength: f32,
) -> Result<()> {
    let (tensors, about) = Tensors::read(bytes, path)?;
    if !foreign::is_lora(&tensors) {
        return Err(Error::file(path, "is no LoRA file: it has no lora_down, lora_A or lora.down"));
    }
    for (mark, kind) in OTHERS {
        let marked = tensors.0.keys().any(|name| name.contains(mark));
        let other = || format!("is {kind}, which is not supported; a LoRA of Stable Diffusion is");
        ensure(!marked, || Error::file(path, other()))?;
    }
    let scales = scales(&about).map_err(|reason| Error::file(path, reason))?;
    let known = known(model);
    let mut changes: BTreeMap<Target, (String, Change)> = BTreeMap::new();
    for (name, tensor) in &tensors.0 {
        let bad = |reason: &str| bad(path, name, reason.into());
        let (layer, end) = cut(name).ok_or_else(|| bad("is no part of a LoRA"))?;
        let target = known.get(&plain(layer));
        let target = *target.ok_or_else(|| bad("changes a layer that the model does not have"))?;
        let (_, change) =
            changes.entry(target).or_insert_with(|| (name.clone(), Change::default()));
        let place = match end {
            End::Down => &mut change.down,
            End::Up => &mut change.up,
            End::Alpha => {
                let one = tensor.shape.iter().product::<usize>() == 1;
                let alpha = tensor.values().filter(|_| one).and_then(|v| v.first().copied());
                let alpha = alpha.filter(|alpha| alpha.is_finite());
                change.alpha = Some(alpha.ok_or_else(|| bad("is not one finite number"))?);
                continue;
            }
        };
        let twice = place.replace(tensor).is_some();
        ensure(!twice, || bad("changes a layer that another tensor changes, too"))?;
    }
    let mut merged = [0; 2];
    for (&(part, index), (name, change)) in &changes {
        let weights = if part == 0 { &mut model.text } else { &mut model.unet };
        add(weights, index, change, strength * scales[part])
            .map_err(|reason| bad(path, name, reason))?;
        merged[part] += 1;
    }
    let [text, unet] = merged;
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let note = format!(
        "merged the LoRA {file} at strength {strength}: {unet} layers of the U-Net, {text} of the text encoder"
    );
    let network = std::sync::Arc::make_mut(&mut model.network);
    network.notes.extend(about.notes);
    network.notes.push(note);
    Ok(())
}

fn bad(path: &Path, name: &str, reason: String) -> Error {
    Error::Tensor { path: path.into(), tensor: name.chars().take(120).collect(), reason }
}

/// Which part of a layer's change a tensor is.
#[derive(Clone, Copy)]
enum End {
    Down,
    Up,
    Alpha,
}

/// A tensor's name as its layer's and what part it is.
fn cut(name: &str) -> Option<(&str, End)> {
    let part = |ends: &[&str]| ends.iter().find_map(|end| name.strip_suffix(end));
    let found = part(&DOWN).map(|layer| (layer, End::Down));
    let found = found.or_else(|| part(&UP).map(|layer| (layer, End::Up)));
    found.or_else(|| Some((name.strip_suffix(ALPHA)?, End::Alpha)))
}

/// A layer's name as kohya's scripts write it, whoever wrote it: dots and underscores are one.
fn plain(layer: &str) -> String {
    let mut layer = layer;
    for wrapper in WRAPPERS {
        layer = layer.strip_prefix(wrapper).unwrap_or(layer);
    }
    let own = |prefix: &str| layer.strip_prefix(prefix);
    let text = own("lora_te_").or(own("lora_te1_")).or(own("text_encoder."));
    let (part, inside) = match (text, own("lora_unet_").or(own("unet."))) {
        (Some(inside), _) => ("te", inside),
        (None, Some(inside)) => ("unet", inside),
        // As scripts save the layers of a U-Net, or of CLIP, alone.
        _ if layer.starts_with("text_model.") => ("te", layer),
        _ => ("unet", layer),
    };
    // Older diffusers hangs what it trains beside the attention, and calls CLIP's maps as the U-Net's.
    let mut inside = inside.replace(".processor.", ".").replace('.', "_");
    let renamed = match part {
        "te" => [
            ("_to_q", "_q_proj"),
            ("_to_k", "_k_proj"),
            ("_to_v", "_v_proj"),
            ("_to_out", "_out_proj"),
        ],
        _ => [("_to_out", "_to_out_0"); 4],
    };
    if let Some((old, new)) = renamed.into_iter().find(|(old, _)| inside.ends_with(old)) {
        inside.truncate(inside.len() - old.len());
        inside += new;
    }
    format!("{part}:{inside}")
}

/// The layers of a model that a LoRA can change, by their plain names: diffusers', and those of single files.
fn known(model: &LatentModel) -> HashMap<String, Target> {
    let names = super::single::names_of(model);
    let mut known = HashMap::new();
    for (part, prefix) in [(0, "te"), (1, "unet")] {
        for (index, entry) in model.parts()[part].layout.params.iter().enumerate() {
            let Some(layer) = entry.name.strip_suffix(".weight") else { continue };
            if entry.shape.len() < 2 {
                continue;
            }
            known.insert(format!("{prefix}:{}", layer.replace('.', "_")), (part, index));
            if part == 0 {
                let bare = layer.trim_start_matches("text_model.").replace('.', "_");
                known.entry(format!("te:{bare}")).or_insert((part, index));
            } else {
                let pieces: Vec<&str> = layer.split('.').collect();
                let original = names.unet(&pieces);
                let original = original.trim_end_matches('.').replace('.', "_");
                known.entry(format!("unet:{original}")).or_insert((part, index));
            }
        }
    }
    known
}

/// What PEFT's settings multiply the changes of the text encoder and the U-Net by, where diffusers wrote them into
/// the file; 1 where it says nothing, as diffusers has it.
fn scales(about: &About) -> std::result::Result<[f32; 2], String> {
    let Some(json) = about.metadata.get("lora_adapter_metadata") else { return Ok([1.0; 2]) };
    let all: Map<String, Value> = serde_json::from_str(json)
        .map_err(|e| format!("its lora_adapter_metadata cannot be read ({e})"))?;
    let scale = |part: &str| -> std::result::Result<f32, String> {
        let said = |key: &str| all.get(&format!("{part}.{key}"));
        for key in ["use_rslora", "use_dora"] {
            let on = said(key).and_then(Value::as_bool) == Some(true);
            ensure(!on, || format!("is a LoRA with {key}, which is not supported"))?;
        }
        for key in ["alpha_pattern", "rank_pattern"] {
            let some = said(key).and_then(Value::as_object).is_some_and(|map| !map.is_empty());
            ensure(!some, || format!("is a LoRA with its own {key}, which is not supported"))?;
        }
        let number = |key: &str| said(key).and_then(Value::as_f64).filter(|v| v.is_finite());
        let scale = number("lora_alpha").zip(number("r").filter(|r| *r > 0.0));
        Ok(scale.map_or(1.0, |(alpha, rank)| (alpha / rank) as f32))
    };
    Ok([scale("text_encoder")?, scale("unet")?])
}

/// Adds `strength` of a change to a weight.
fn add(
    weights: &mut HostWeights,
    index: usize,
    change: &Change,
    strength: f32,
) -> std::result::Result<(), String> {
    let entry = &weights.layout.params[index];
    let (down, up) = change.down.zip(change.up).ok_or("has no other half, down and up")?;
    let (outputs, inputs) = (entry.shape[0], entry.n() / entry.shape[0].max(1));
    let (has, takes) = (&down.shape, &up.shape);
    let other = || {
        format!("is {takes:?} times {has:?}, for another width than the layer's {:?}", entry.shape)
    };
    let rank = has.first().copied().unwrap_or(0);
    let flat = |shape: &[usize]| shape.iter().skip(1).try_fold(1usize, |n, &a| n.checked_mul(a));
    ensure((1..=RANK).contains(&rank), || format!("has rank {rank}, 1 to {RANK} is needed"))?;
    ensure(flat(has) == Some(inputs) && flat(takes) == Some(rank), other)?;
    // A convolution over more than a point goes down with its own kernel.
    let kernel = |shape: &[usize]| shape.iter().skip(2).product::<usize>();
    ensure(takes.first() == Some(&outputs) && kernel(has) == kernel(&entry.shape), other)?;
    let numbers = |tensor: &Stored| {
        let values = tensor.values().ok_or_else(|| format!("has number format {}", tensor.format));
        values.and_then(|values| finite(&values).map(|()| values))
    };
    let (down, up) = (numbers(down)?, numbers(up)?);
    let scale = strength * change.alpha.map_or(1.0, |alpha| alpha / rank as f32);
    let range = entry.range();
    let rows = weights.values[range.clone()].chunks_exact_mut(inputs).zip(up.chunks_exact(rank));
    for (row, up) in rows {
        for (factor, down) in up.iter().zip(down.chunks_exact(inputs)) {
            let factor = scale * factor;
            row.iter_mut().zip(down).for_each(|(w, d)| *w += factor * d);
        }
    }
    finite(&weights.values[range]).map_err(|_| "makes a weight infinite".into())
}
