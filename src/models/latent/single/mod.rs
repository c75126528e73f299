//! Single-file checkpoints of Stable Diffusion 1.x and 2.x: all three networks in one file, under the names of
//! the original code (Rombach et al. 2022). Recognised by content, read into the networks of a diffusers folder,
//! and written back under the names that came in.

mod names;
mod setting;
mod shapes;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
};

use safetensors::Dtype;

use self::names::{Names, TEXT, TextNames, UNET, VAE};
use self::setting::{SAID, Said};
use self::shapes::Shapes;
use super::folder::{Parts, fitting, joined, needed};
use super::{AutoencoderConfig, Files, LatentModel, LatentNetwork, TextConfig, UnetConfig};
use crate::error::{Error, Result, ensure};
use crate::models::tensors::About;
use crate::models::torch::foreign;
use crate::models::{Format, HostWeights, InFile, Owned, Precision, Stored, Tensors, checkpoint};
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
    /// The file's tensors.
    tensors: Tensors<'a>,
    /// Those of the text encoder, the U-Net and the autoencoder under diffusers' names.
    parts: [Tensors<'a>; 3],
    /// Of each of the file's tensors, which those are made of it: a network, and a parameter of it.
    used: Used,
    names: Names,
    said: Said,
}

type Used = BTreeMap<String, Vec<(usize, usize)>>;

/// What the schedule of a file's own noise is called, whose numbers are looked at before any other.
const NOISE: &str = "alphas_cumprod";

/// Reads the single file of this name, a safetensors file's networks a tensor at a time. `room` is the memory that
/// is free, where that is known.
///
/// # Errors
/// It is of another family of models, damaged, or lacks its tokenizer; it needs more memory than there is.
pub fn read(files: &dyn Files, name: &str, room: Option<u64>) -> Result<LatentModel> {
    let path = files.path().join(name);
    let source = needed(files, name, files.open(name)?)?;
    let Some(mut file) = InFile::open(source, &path)? else {
        let bytes = needed(files, name, files.read(name)?)?;
        let opened = open(files, name, Tensors::read(&bytes, &path)?, bytes.len(), room)?;
        let part = |i: usize| {
            checkpoint::fill(&opened.network.layouts[i], &opened.parts[i], bytes.len(), &path)
        };
        let parts = [part(0)?, part(1)?, part(2)?];
        let Opened { tensors, used, .. } = &opened;
        let others = others(bytes.len(), &HashMap::new(), tensors, used, &path)?;
        return Ok(opened.model(parts, others));
    };
    let noise = file.bytes(|name| name == NOISE)?;
    let about = About { metadata: file.metadata(), ..About::default() };
    let opened = open(files, name, (file.listed(&noise), about), 0, room)?;
    let parts = filled(&mut file, &opened, &path)?;
    let rest = |name: &str| !opened.used.contains_key(name) && !name.starts_with(AVERAGES);
    let rest = file.bytes(rest)?;
    let others = others(file.size(), &file.formats(), &file.listed(&rest), &opened.used, &path)?;
    Ok(opened.model(parts, others))
}

impl Opened<'_> {
    /// The model with its weights, and with what no network reads.
    fn model(self, [text, unet, vae]: [HostWeights; 3], others: Vec<Owned>) -> LatentModel {
        let Self { network, names, said, .. } = self;
        let single = Some(Arc::new(Single { names, others }));
        LatentModel { text, unet, vae, card: said.card, single, network, pictures: None }
    }
}

/// The weights of the three networks, out of a file whose numbers are still in it.
fn filled(file: &mut InFile, opened: &Opened, path: &Path) -> Result<[HostWeights; 3]> {
    let Opened { network, parts, used, .. } = opened;
    let mut all = network.layouts.each_ref().map(|layout| vec![0.0; layout.n()]);
    let put = |name: &str, whole: &Stored| -> Result<()> {
        for &(part, index) in &used[name] {
            let entry = &network.layouts[part].params[index];
            let view = parts[part].get(&entry.name).cloned().unwrap_or_else(|| whole.clone());
            let view = Stored { data: whole.data, ..view };
            let values = view.of_shape(&view.shape, &entry.shape);
            let values = values.map_err(|reason| Error::Tensor {
                path: path.into(),
                tensor: name.chars().take(80).collect(),
                reason,
            })?;
            all[part][entry.range()].copy_from_slice(&values);
        }
        Ok(())
    };
    file.each(|name| used.contains_key(name), put)?;
    let [text, unet, vae] = all;
    let weights = |values: Vec<f32>, i: usize| HostWeights {
        layout: network.layouts[i].clone(),
        values: values.into(),
        buffers: Vec::new(),
    };
    Ok([weights(text, 0), weights(unet, 1), weights(vae, 2)])
}

/// The networks of the single file of this name.
///
/// # Errors
/// As [`read`], as far as that is known without its numbers.
pub fn network(files: &dyn Files, name: &str, room: Option<u64>) -> Result<LatentNetwork> {
    let path = files.path().join(name);
    let source = needed(files, name, files.open(name)?)?;
    let network = match InFile::open(source, &path)? {
        None => {
            let bytes = needed(files, name, files.read(name)?)?;
            open(files, name, Tensors::read(&bytes, &path)?, bytes.len(), room)?.network
        }
        Some(mut file) => {
            let noise = file.bytes(|name| name == NOISE)?;
            let about = About { metadata: file.metadata(), ..About::default() };
            open(files, name, (file.listed(&noise), about), 0, room)?.network
        }
    };
    Ok(Arc::unwrap_or_clone(network))
}

/// Finds out what a file's tensors are, of which so many bytes are in memory.
fn open<'a>(
    files: &dyn Files,
    file: &str,
    (tensors, about): (Tensors<'a>, About),
    held: usize,
    room: Option<u64>,
) -> Result<Opened<'a>> {
    let path = files.path().join(file);
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
    // What of the file is in memory by now was free before.
    fitting(&network, room.map(|room| room.saturating_sub(held as u64)), &path)?;
    let (parts, used) = divided(&tensors, &network, &names_of, &path)?;
    Ok(Opened { network, tensors, parts, used, names: names_of, said })
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
    let own = tensors.get(NOISE).filter(|t| t.shape.len() == 1 && t.shape[0] <= 10_000)?;
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

/// The file's tensors as those of the three networks, and what each of them is used for.
fn divided<'a>(
    tensors: &Tensors<'a>,
    network: &LatentNetwork,
    names: &Names,
    path: &Path,
) -> Result<([Tensors<'a>; 3], Used)> {
    let mut used = Used::new();
    let mut parts = [(); 3].map(|()| Tensors::default());
    for (i, layout) in network.layouts.iter().enumerate() {
        for (index, entry) in layout.params.iter().enumerate() {
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
            used.entry(place.name).or_default().push((i, index));
        }
    }
    let more = |name: &&String| {
        let ours = [UNET, VAE, TEXT].iter().any(|prefix| name.starts_with(prefix));
        ours && !used.contains_key(*name) && !harmless(name, network.text.config.num_hidden_layers)
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
    whole: usize,
    formats: &HashMap<String, Dtype>,
    tensors: &Tensors,
    used: &Used,
    path: &Path,
) -> Result<Vec<Owned>> {
    let mut others = Vec::new();
    for (name, tensor) in &tensors.0 {
        if used.contains_key(name) || name.starts_with(AVERAGES) {
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
    ensure(sum <= whole, large)?;
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
