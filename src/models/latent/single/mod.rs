//! Single-file checkpoints of Stable Diffusion 1.x and 2.x: all three networks in one file, under the names of
//! the original code (Rombach et al. 2022). Recognised by content, read into the networks of a diffusers folder,
//! and written back under the names that came in.

mod names;
mod setting;
mod shapes;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::Arc,
};

use safetensors::{Dtype, SafeTensors};

use self::names::{Names, TEXT, TextNames, UNET, VAE};
use self::setting::{SAID, Said};
use self::shapes::Shapes;
use super::folder::{Parts, fitting, joined, needed};
use super::{AutoencoderConfig, Files, LatentModel, LatentNetwork, TextConfig, UnetConfig};
use crate::error::{Error, Result, ensure};
use crate::models::tensors::About;
use crate::models::torch::foreign;
use crate::models::{Format, Owned, Precision, Stored, Tensors, checkpoint};
use crate::words::SINGLE;

#[cfg(not(target_arch = "wasm32"))]
mod disk;
#[cfg(not(target_arch = "wasm32"))]
pub use disk::{SingleFile, recognised};

/// Begins the names of averages of the U-Net's weights.
const AVERAGES: &str = "model_ema.";

/// How the file was laid out that a model came from.
#[derive(Debug, Clone)]
pub struct Single {
    names: Names,
    /// The tensors that no network here has, as they are.
    others: Vec<Owned>,
}

/// The names that a single file has for a model's weights: those that came in, or the usual ones.
pub(super) fn names_of(model: &LatentModel) -> Names {
    let LatentNetwork { unet, vae, .. } = &*model.network;
    let usual = || Names::new(&unet.config, &vae.config, TextNames::Clip, false);
    model.single.as_ref().map_or_else(usual, |single| single.names.clone())
}

/// An opened file.
struct Opened<'a> {
    network: Arc<LatentNetwork>,
    /// The tensors of the text encoder, the U-Net and the autoencoder under diffusers' names.
    parts: [Tensors<'a>; 3],
    single: Single,
    said: Said,
}

/// Reads the single file of this name. `room` is the memory that is free, where that is known.
///
/// # Errors
/// It is of another family of models, damaged, or lacks its tokenizer; it needs more memory than there is.
pub fn read(files: &dyn Files, name: &str, room: Option<u64>) -> Result<LatentModel> {
    let path = files.path().join(name);
    let bytes = needed(files, name, files.read(name)?)?;
    let Opened { network, parts, single, said } = open(files, name, &bytes, room)?;
    let part = |i: usize| checkpoint::fill(&network.layouts[i], &parts[i], bytes.len(), &path);
    let [text, unet, vae] = [part(0)?, part(1)?, part(2)?];
    let single = Some(Arc::new(single));
    let (card, network) = (said.card, network.clone());
    Ok(LatentModel { text, unet, vae, card, single, network, pictures: None })
}

/// The networks of the single file of this name.
///
/// # Errors
/// As [`read`], as far as that is known without its numbers.
pub fn network(files: &dyn Files, name: &str, room: Option<u64>) -> Result<LatentNetwork> {
    let bytes = needed(files, name, files.read(name)?)?;
    let opened = open(files, name, &bytes, room)?;
    Ok(Arc::unwrap_or_clone(opened.network))
}

fn open<'a>(
    files: &dyn Files,
    file: &str,
    bytes: &'a [u8],
    room: Option<u64>,
) -> Result<Opened<'a>> {
    let path = files.path().join(file);
    let (tensors, about) = Tensors::read(bytes, &path)?;
    let bad = |reason: String| Error::file(&path, reason);
    refused(&tensors).map_err(bad)?;
    let shapes = Shapes(&tensors);
    let names = shapes.text_names().map_err(bad)?;
    let (mut unet, mut vae) = (shapes.unet().map_err(bad)?, shapes.vae().map_err(bad)?);
    let text = shapes.text(names).map_err(bad)?;
    let About { metadata, mut notes } = about;
    let said = metadata.get(SAID).map(|json| serde_json::from_str::<Said>(json));
    let said = said.transpose().map_err(|e| bad(format!("what it says cannot be read ({e})")))?;
    // Before a picture's side is halved for each of them.
    let levels = vae.block_out_channels.len();
    ensure(levels <= 8, || bad(format!("{levels} levels, 1 to 8 are needed")))?;
    let said = match said {
        Some(said) => said,
        None => {
            let second = unet.use_linear_projection;
            let (said, note) = setting::found(files, file, &metadata, second, vae.factor())?;
            notes.push(note);
            said
        }
    };
    (unet.sample_size, vae.sample_size) =
        (said.sample_size, said.sample_size.saturating_mul(vae.factor()));
    TextConfig::check(&text).map_err(bad)?;
    UnetConfig::check(&unet).map_err(bad)?;
    AutoencoderConfig::check(&vae).map_err(bad)?;
    said.scheduler.check().map_err(bad)?;
    notes.extend(noise(&tensors, &said));
    let linear = shapes.linear_vae();
    let names_of = Names::new(&unet, &vae, names, linear);
    if tensors.0.keys().any(|name| name.starts_with(AVERAGES)) {
        notes.push(format!(
            "the averaged weights in {file} ({AVERAGES}) are not used, and not written back: they hold what the model was before"
        ));
    }
    // OpenCLIP fills prompts with its first token.
    let filler = (names == TextNames::OpenClip).then_some(0);
    let parts = Parts { text, unet, vae, scheduler: said.scheduler, filler };
    let network = Arc::new(LatentNetwork { notes, ..joined(files, [file, file], parts)? });
    // The file is in memory by now.
    fitting(&network, room.map(|room| room.saturating_sub(bytes.len() as u64)), &path)?;
    let (parts, used) = divided(&tensors, &network, &names_of, &path)?;
    let others = others(bytes, &tensors, &used, &path)?;
    Ok(Opened { network, parts, single: Single { names: names_of, others }, said })
}

/// Refuses a checkpoint that is not a whole one of Stable Diffusion 1.x or 2.x.
fn refused(tensors: &Tensors) -> std::result::Result<(), String> {
    if let Some(family) = foreign::family(tensors) {
        return Err(foreign::another(family));
    }
    for (prefix, part) in [(UNET, "U-Net"), (VAE, "autoencoder"), (TEXT, "text encoder")] {
        let there = tensors.0.keys().any(|name| name.starts_with(prefix));
        ensure(there, || {
            format!(
                "looks like a single-file Stable Diffusion checkpoint, but has no {part} ({prefix}); \
                 a whole one is needed, or a diffusers folder with a U-Net laid over it (--unet)"
            )
        })?;
    }
    Ok(())
}

/// A line where the file's own noise schedule is another than Stable Diffusion's.
fn noise(tensors: &Tensors, said: &Said) -> Option<String> {
    let own =
        tensors.get("alphas_cumprod").filter(|t| t.shape.len() == 1 && t.shape[0] <= 10_000)?;
    let own = own.values()?;
    let schedule = said.scheduler.schedule();
    let same = own.len() == schedule.steps()
        && own
            .iter()
            .enumerate()
            .all(|(t, a)| (f64::from(*a) - schedule.abar(Some(t))).abs() < 1e-3);
    let other = "the file's noise schedule (alphas_cumprod) is not Stable Diffusion's, which is used all the same";
    (!same).then(|| other.to_string())
}

/// The file's tensors as those of the three networks, and the names of those that were used.
fn divided<'a>(
    tensors: &Tensors<'a>,
    network: &LatentNetwork,
    names: &Names,
    path: &Path,
) -> Result<([Tensors<'a>; 3], BTreeSet<String>)> {
    let mut used = BTreeSet::new();
    let mut parts = [(); 3].map(|()| Tensors::default());
    for (i, layout) in network.layouts.iter().enumerate() {
        for entry in &layout.params {
            let place = names.place(i, &entry.name);
            let bad = |reason: String| Error::Tensor {
                path: path.into(),
                tensor: place.name.chars().take(120).collect(),
                reason,
            };
            let whole = tensors.get(&place.name).ok_or_else(|| bad("is missing".into()))?;
            let mut expected = entry.shape.clone();
            if place.conv {
                expected.extend([1, 1]);
            }
            if place.third.is_some() {
                expected[0] *= 3;
            }
            let has = &whole.shape;
            let other = || bad(format!("has shape {has:?}, expected {expected:?}"));
            ensure(*has == expected, other)?;
            let mut view = Stored { shape: entry.shape.clone(), ..whole.clone() };
            view.strides.truncate(entry.shape.len());
            let before = place.third.unwrap_or(0) * entry.shape[0] * view.strides[0];
            view.offset = view.offset.saturating_add(before);
            parts[i].0.insert(entry.name.clone(), view);
            used.insert(place.name);
        }
    }
    let more = |name: &&String| {
        let ours = [UNET, VAE, TEXT].iter().any(|prefix| name.starts_with(prefix));
        ours && !used.contains(*name) && !harmless(name, network.text.config.num_hidden_layers)
    };
    if let Some(name) = tensors.0.keys().find(more) {
        let tensor = name.chars().take(120).collect();
        let reason = "the network has no such tensor".into();
        return Err(Error::Tensor { path: path.into(), tensor, reason });
    }
    Ok((parts, used))
}

/// Whether a tensor of one of the networks changes nothing of what is computed here.
fn harmless(name: &str, layers: usize) -> bool {
    name.ends_with("position_ids")
        || name.ends_with(".logit_scale")
        || name.ends_with(".text_projection")
        || name.ends_with(".text_projection.weight")
        || name.ends_with(".attn_mask")
        || name.starts_with("first_stage_model.loss.")
        // The last layer, which is not read.
        || name.starts_with(&format!("{TEXT}model.transformer.resblocks.{layers}."))
}

/// The tensors that no network here has, as they are; without averages, which hold what the model knew.
fn others(
    bytes: &[u8],
    tensors: &Tensors,
    used: &BTreeSet<String>,
    path: &Path,
) -> Result<Vec<Owned>> {
    let formats: HashMap<String, Dtype> = match SafeTensors::deserialize(bytes) {
        Ok(file) => file.iter().map(|(name, view)| (name.to_string(), view.dtype())).collect(),
        // PyTorch's.
        Err(_) => HashMap::new(),
    };
    let mut others = Vec::new();
    for (name, tensor) in &tensors.0 {
        if used.contains(name) || name.starts_with(AVERAGES) {
            continue;
        }
        let whole = |dtype: Dtype| Some((dtype, tensor.data.to_vec()));
        let stored = match (formats.get(name), tensor.format) {
            (Some(dtype), _) => whole(*dtype),
            (None, Format::F16 | Format::BF16 | Format::F32 | Format::F64) => {
                tensor.values().map(|values| Precision::Full.bytes(&values))
            }
            (None, Format::Whole(8)) => tensor.bytes().map(|bytes| (Dtype::I64, bytes.to_vec())),
            // Nobody's weights.
            _ => None,
        };
        if let Some(stored) = stored {
            others.push((name.clone(), tensor.shape.clone(), stored));
        }
    }
    let large = || Error::file(path, "holds more that is not Stable Diffusion's than what is");
    let sum: usize = others.iter().map(|(_, _, (_, bytes))| bytes.len()).sum();
    ensure(sum <= bytes.len(), large)?;
    Ok(others)
}

/// The files of a model that came from a single file: the file, and the tokenizer, which no file holds.
///
/// # Errors
/// They cannot be written as safetensors or JSON.
pub fn write(
    model: &LatentModel,
    single: &Single,
    precision: Precision,
) -> Result<Vec<(String, Vec<u8>)>> {
    let mut tensors: BTreeMap<String, Owned> = BTreeMap::new();
    for (i, part) in model.parts().into_iter().enumerate() {
        for entry in &part.layout.params {
            let place = single.names.place(i, &entry.name);
            let (dtype, bytes) = precision.bytes(&part.values[entry.range()]);
            let mut shape = entry.shape.clone();
            if place.conv {
                shape.extend([1, 1]);
            }
            // Thirds come in the order of their rows.
            let (_, has, (_, all)) = tensors
                .entry(place.name.clone())
                .or_insert_with(|| (place.name, Vec::new(), (dtype, Vec::new())));
            match has.first_mut() {
                Some(rows) => *rows += shape[0],
                None => *has = shape,
            }
            all.extend(bytes);
        }
    }
    let others = single.others.iter().map(|other| (other.0.clone(), other.clone()));
    tensors.extend(others);
    let network = &model.network;
    let said = Said {
        scheduler: network.scheduler,
        sample_size: network.unet.config.sample_size,
        card: model.card.clone(),
    };
    let said = serde_json::to_string(&said).map_err(|e| Error::Request(e.to_string()))?;
    let tensors: Vec<Owned> = tensors.into_values().collect();
    let file = checkpoint::write(&tensors, Some((SAID, said)))?;
    let tokenizer = network.tokenizer.files().into_iter();
    let tokenizer = tokenizer.map(|(name, text)| (format!("tokenizer/{name}"), text.into_bytes()));
    Ok([(SINGLE.to_string(), file)].into_iter().chain(tokenizer).collect())
}
