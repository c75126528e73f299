//! The folder that diffusers stores a pipeline in: configs, tokenizer files, safetensors whole or
//! in shards, full or half precision, names unchanged.

use std::{
    io::Cursor,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value;

use super::settings::{KNOWN, Settings, without_infinities};
use super::tokenizer;
use super::{AutoencoderConfig, LatentModel, LatentNetwork, TextConfig, UnetConfig, parts, single};
use crate::diffusion::{SchedulerConfig, SolverKind};
use crate::error::{Error, Result, ensure};
use crate::models::{Precision, Source, checkpoint};
use crate::words::{SINGLE, gib};

/// The files of a folder: natively a folder on disk, or the program's own assets.
pub trait Files {
    /// A file's bytes; `None` where there is no such file.
    ///
    /// # Errors
    /// It is there and cannot be read.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>>;
    /// A file to be read in parts; `None` where there is no such file.
    ///
    /// # Errors
    /// It is there and cannot be read.
    fn open(&self, name: &str) -> Result<Option<Box<dyn Source + '_>>> {
        Ok(self.read(name)?.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn Source>))
    }
    /// The folder, for messages.
    fn path(&self) -> PathBuf;
    /// The name of the file that holds all three networks, where the model is such a file.
    fn single(&self) -> Option<String> {
        None
    }
    /// What is wrong with a file.
    fn bad(&self, name: &str, reason: String) -> Error {
        Error::file(self.path().join(name), reason)
    }
}

/// What a pipeline's parts are called on disk.
const WEIGHTS: [(&str, &str); 3] = [
    ("text_encoder", "model"),
    ("unet", "diffusion_pytorch_model"),
    ("vae", "diffusion_pytorch_model"),
];
/// Bytes that a model may need at most: weights in single precision, and as much again to run.
const MOST: u64 = 64 << 30;

/// Reads a pipeline. `room` is the memory that is free, where that is known.
///
/// # Errors
/// Those of [`network`]; a file of weights is missing or damaged, or a tensor does not fit; the file and the
/// tensor are named.
pub fn read(files: &dyn Files, room: Option<u64>) -> Result<LatentModel> {
    if let Some(name) = files.single() {
        return single::read(files, &name, room);
    }
    let network = Arc::new(network(files, room)?);
    let part = |i: usize| {
        let (folder, stem) = WEIGHTS[i];
        parts::weights(files, &format!("{folder}/{stem}"), &network.layouts[i])
    };
    let [text, unet, vae] = [part(0)?, part(1)?, part(2)?];
    let card = json(files, "card.json")?;
    Ok(LatentModel { network, text, unet, vae, card, pictures: None, single: None })
}

/// The networks of a pipeline by its configs: what it takes, makes and needs, before its weights are read.
///
/// # Errors
/// The folder is not a text-to-image pipeline, a config is missing, damaged or not supported, or the model
/// needs more memory than there is.
pub fn network(files: &dyn Files, room: Option<u64>) -> Result<LatentNetwork> {
    if let Some(name) = files.single() {
        return single::network(files, &name, room);
    }
    let Some(index) = json::<Value>(files, "model_index.json")? else {
        let reason = "is not a diffusers model: it has no model_index.json";
        let part = json::<Value>(files, "config.json").ok().flatten();
        let class = part.as_ref().and_then(|part| part.get("_class_name")?.as_str());
        let class: Option<String> = class.map(|c| c.escape_default().take(60).collect());
        let reason = class.map_or(reason.into(), |c| format!("{reason}; it is a {c} alone"));
        return Err(Error::file(files.path(), reason));
    };
    let class = index.get("_class_name").and_then(Value::as_str).unwrap_or("nothing");
    let other = || format!("is a {class}; only a StableDiffusionPipeline is supported");
    ensure(class == "StableDiffusionPipeline", || files.bad("model_index.json", other()))?;
    let network = configured(files)?;
    fitting(&network, room, &files.path())?;
    Ok(network)
}

/// Refuses a model that needs more memory than there is.
///
/// # Errors
/// It does.
pub(super) fn fitting(network: &LatentNetwork, room: Option<u64>, path: &Path) -> Result<()> {
    // In main memory, which the CPU computes with, and a picture while it is drawn.
    let need = 4 * network.layouts.iter().map(|l| l.n() as u64).sum::<u64>() + network.drawing();
    let room = room.unwrap_or(MOST);
    let large = || {
        let [need, room] = [need, room].map(gib);
        let reason = format!("it needs {need:.1} GiB, {room:.1} GiB are there");
        Error::file(path, format!("is too large for this device: {reason}"))
    };
    ensure(need <= room, large)
}

/// What a file of JSON says; `None` where there is no such file.
///
/// # Errors
/// It cannot be read, or is not such JSON; the file is named.
pub fn json<T: DeserializeOwned>(files: &dyn Files, name: &str) -> Result<Option<T>> {
    let Some(bytes) = files.read(name)? else { return Ok(None) };
    let bad = |e: &dyn std::fmt::Display| files.bad(name, format!("cannot be read ({e})"));
    let text = std::str::from_utf8(&bytes).map_err(|e| bad(&e))?;
    serde_json::from_str(&without_infinities(text)).map(Some).map_err(|e| bad(&e))
}

/// What a file says that must be there.
pub(super) fn needed<T>(files: &dyn Files, name: &str, said: Option<T>) -> Result<T> {
    said.ok_or_else(|| files.bad(name, "is missing".into()))
}

/// A part's config; every setting is known, or refused.
fn config<T: DeserializeOwned>(
    files: &dyn Files,
    name: &str,
    known: &Settings,
    check: impl FnOnce(&T) -> std::result::Result<(), String>,
) -> Result<T> {
    settled(files, name, needed(files, name, json(files, name)?)?, known, check)
}

/// The same of what was read.
fn settled<T: DeserializeOwned>(
    files: &dyn Files,
    name: &str,
    value: Value,
    known: &Settings,
    check: impl FnOnce(&T) -> std::result::Result<(), String>,
) -> Result<T> {
    let bad = |reason: String| files.bad(name, reason);
    known.check(&value).map_err(bad)?;
    let config = serde_json::from_value(known.filled(value))
        .map_err(|e| bad(format!("cannot be read ({e})")))?;
    check(&config).map_err(bad)?;
    Ok(config)
}

/// The networks that the configs describe.
fn configured(files: &dyn Files) -> Result<LatentNetwork> {
    let text = config(files, "text_encoder/config.json", &KNOWN.text, TextConfig::check)?;
    let unet = config(files, "unet/config.json", &KNOWN.unet, UnetConfig::check)?;
    let vae = config(files, "vae/config.json", &KNOWN.autoencoder, AutoencoderConfig::check)?;
    let (scheduler, note) = scheduler(files)?;
    let parts = Parts { text, unet, vae, scheduler, filler: None };
    let network = joined(files, ["unet/config.json", "tokenizer/vocab.json"], parts)?;
    Ok(LatentNetwork { notes: note.into_iter().collect(), ..network })
}

/// What a model's networks are made of.
pub(super) struct Parts {
    pub text: TextConfig,
    pub unet: UnetConfig,
    pub vae: AutoencoderConfig,
    pub scheduler: SchedulerConfig,
    /// The token that fills prompts, where the tokenizer's files have no say in it.
    pub filler: Option<u32>,
}

/// The networks of configs that were checked one by one; `names` are the files to blame where the U-Net or the
/// vocabulary does not fit the others.
///
/// # Errors
/// One does not, or the tokenizer cannot be read.
pub(super) fn joined(files: &dyn Files, names: [&str; 2], parts: Parts) -> Result<LatentNetwork> {
    let Parts { text, unet, vae, scheduler, filler } = parts;
    let fits = |what: &str, a: usize, of: &str, b: usize| {
        let other = || files.bad(names[0], format!("{what} is {a}, but {of} is {b}"));
        ensure(a == b, other)
    };
    let (latent, width) = (vae.latent_channels, text.hidden_size);
    if let Some(kind) = more_inputs(unet.in_channels, latent) {
        let right = "only what draws from a prompt alone is supported";
        return Err(files.bad(names[0], format!("is of {kind}; {right}")));
    }
    fits("in_channels", unet.in_channels, "the autoencoder's latent_channels", latent)?;
    fits("out_channels", unet.out_channels, "in_channels", unet.in_channels)?;
    fits("cross_attention_dim", unet.cross_attention_dim, "the text's hidden_size", width)?;
    let tokenizer = tokenizer(files, "tokenizer/", text.max_position_embeddings, filler)?;
    let (has, takes) = (tokenizer.vocabulary_size(), text.vocab_size);
    let more = || format!("has {has} tokens, but the text encoder takes {takes}");
    ensure(has <= takes, || files.bad(names[1], more()))?;
    Ok(LatentNetwork::new(tokenizer, text, unet, vae, scheduler))
}

/// What a U-Net is of that looks at more than a latent.
fn more_inputs(channels: usize, latent: usize) -> Option<&'static str> {
    Some(match channels.checked_sub(latent)? {
        1 => "a model that looks at depths, too",
        3 => "an upscaler",
        4 => "an InstructPix2Pix model, which looks at a picture, too",
        5 => "an inpainting model, which looks at a picture and a mask, too",
        _ => return None,
    })
}

/// The noise schedule and the solver; where the folder names a solver that is not here, ours in its place,
/// and a line that says so.
fn scheduler(files: &dyn Files) -> Result<(SchedulerConfig, Option<String>)> {
    let name = "scheduler/scheduler_config.json";
    let mut value: Value = needed(files, name, json(files, name)?)?;
    let class = value.get("_class_name").and_then(Value::as_str).unwrap_or("nothing").to_string();
    let known = SchedulerConfig::knows(&class);
    // Members of a large family are met in many settings.
    let other = match known && class == SolverKind::Dpm.class_name() {
        true => KNOWN.scheduler.check(&value).err(),
        false => None,
    };
    if (!known || other.is_some())
        && let Some(all) = value.as_object_mut()
    {
        // What only its own solver reads goes with it.
        all.retain(|key, _| KNOWN.schedule.contains(key));
    }
    let config = settled(files, name, value, &KNOWN.scheduler, SchedulerConfig::check)?;
    let class: String = class.escape_default().take(60).collect();
    let note = match other {
        Some(why) => Some(format!(
            "the sampler {class} is used as it is by default, with the model's noise schedule: {why}"
        )),
        None if known => None,
        None => Some(format!(
            "the sampler {class} is not known here; {} takes its place with the model's noise schedule",
            config.kind.class_name()
        )),
    };
    Ok((config, note))
}

/// The files of a model's folder, by name: a diffusers folder's, or those of a single file where it came as one.
///
/// # Errors
/// A file cannot be written as JSON or safetensors.
pub fn write(model: &LatentModel, precision: Precision) -> Result<Vec<(String, Vec<u8>)>> {
    if let Some(single) = &model.single {
        return single::write(model, single, precision);
    }
    let LatentNetwork { tokenizer, text, unet, vae, scheduler, .. } = &*model.network;
    let index = serde_json::json!({
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.30.3",
        "feature_extractor": [null, null],
        "image_encoder": [null, null],
        "requires_safety_checker": false,
        "safety_checker": [null, null],
        "scheduler": ["diffusers", scheduler.kind.class_name()],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    });
    let end = tokenizer.encode("").ids;
    let clip = serde_json::json!({
        "architectures": ["CLIPTextModel"], "model_type": "clip_text_model",
        "bos_token_id": end[0], "eos_token_id": end[1], "pad_token_id": end[tokenizer.length - 1],
        "projection_dim": text.config.hidden_size,
    });
    let conditional =
        serde_json::json!({ "_class_name": "UNet2DConditionModel", "act_fn": "silu" });
    let levels = vae.config.block_out_channels.len();
    let kl = serde_json::json!({
        "_class_name": "AutoencoderKL", "act_fn": "silu",
        "down_block_types": vec!["DownEncoderBlock2D"; levels],
        "up_block_types": vec!["UpDecoderBlock2D"; levels],
    });
    let mut files = vec![
        ("model_index.json".to_string(), text_of(&index)),
        ("text_encoder/config.json".into(), text_of(&with(&text.config, clip)?)),
        ("unet/config.json".into(), text_of(&with(&unet.config, conditional)?)),
        ("vae/config.json".into(), text_of(&with(&vae.config, kl)?)),
        ("scheduler/scheduler_config.json".into(), text_of(&scheduler.to_json())),
    ];
    for (name, content) in tokenizer.files() {
        files.push((format!("tokenizer/{name}"), content.into_bytes()));
    }
    if let Some(card) = &model.card {
        let card = serde_json::to_value(card).map_err(|e| Error::Request(e.to_string()))?;
        files.push(("card.json".into(), text_of(&card)));
    }
    for ((folder, stem), part) in WEIGHTS.iter().zip(model.parts()) {
        let file = checkpoint::parameters(precision, part, Some(("format", "pt".into())))?;
        files.push((format!("{folder}/{stem}.safetensors"), file));
    }
    Ok(files)
}

fn text_of(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// A config with what diffusers wants to read besides.
fn with(config: &impl Serialize, more: Value) -> Result<Value> {
    let mut value = serde_json::to_value(config).map_err(|e| Error::Request(e.to_string()))?;
    if let (Value::Object(all), Value::Object(more)) = (&mut value, more) {
        all.extend(more);
    }
    Ok(value)
}

/// The files of a folder as a message.
#[derive(Debug, Serialize, Deserialize)]
pub struct Packed(Vec<File>);

#[derive(Debug, Serialize, Deserialize)]
struct File {
    name: String,
    #[serde(with = "crate::wire::numbers")]
    bytes: Vec<u8>,
}

impl Files for Packed {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.iter().find(|f| f.name == name).map(|f| f.bytes.clone()))
    }

    fn path(&self) -> PathBuf {
        "model".into()
    }

    fn single(&self) -> Option<String> {
        self.0.iter().any(|f| f.name == SINGLE).then(|| SINGLE.into())
    }
}

impl TryFrom<Packed> for LatentModel {
    type Error = Error;
    fn try_from(files: Packed) -> Result<Self> {
        read(&files, None)
    }
}

impl Serialize for LatentModel {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        let files = write(self, Precision::Full).map_err(serde::ser::Error::custom)?;
        Packed(files.into_iter().map(|(name, bytes)| File { name, bytes }).collect()).serialize(to)
    }
}

/// The files of a folder on disk: diffusers', or those of a single file that was written there.
#[cfg(not(target_arch = "wasm32"))]
pub fn on_disk(folder: PathBuf) -> Box<dyn Files> {
    match !folder.join("model_index.json").is_file() && folder.join(SINGLE).is_file() {
        true => Box::new(single::SingleFile::new(folder, SINGLE)),
        false => Box::new(OnDisk(folder)),
    }
}

/// A folder on disk.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug)]
pub struct OnDisk(pub PathBuf);

#[cfg(not(target_arch = "wasm32"))]
impl Files for OnDisk {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.0.join(name);
        if path.exists() { crate::disk::read(&path).map(Some) } else { Ok(None) }
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Source + '_>>> {
        let path = self.0.join(name);
        let open = || Ok(Box::new(crate::disk::open(&path)?) as Box<dyn Source>);
        path.exists().then(open).transpose()
    }

    fn path(&self) -> PathBuf {
        self.0.clone()
    }
}
