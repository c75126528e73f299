//! The folder that diffusers stores a pipeline in: configs, tokenizer files, safetensors whole or
//! in shards, full or half precision, names unchanged.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value;

use super::settings::{KNOWN, Settings, without_infinities};
use super::tokenizer::read_merges;
use super::{
    AutoencoderConfig, LatentModel, LatentNetwork, TextConfig, Tokenizer, UnetConfig, parts,
};
use crate::diffusion::SchedulerConfig;
use crate::error::{Error, Result, ensure};
use crate::models::{Precision, checkpoint};
use crate::words::gib;

/// The files of a folder: natively a folder on disk, or the program's own assets.
pub trait Files {
    /// A file's bytes; `None` where there is no such file.
    ///
    /// # Errors
    /// It is there and cannot be read.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>>;
    /// The folder, for messages.
    fn path(&self) -> PathBuf;
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
    let network = Arc::new(network(files, room)?);
    let part = |i: usize| {
        let (folder, stem) = WEIGHTS[i];
        parts::weights(files, &format!("{folder}/{stem}"), &network.layouts[i])
    };
    let [text, unet, vae] = [part(0)?, part(1)?, part(2)?];
    Ok(LatentModel { network, text, unet, vae, card: json(files, "card.json")? })
}

/// The networks of a pipeline by its configs: what it takes, makes and needs, before its weights are read.
///
/// # Errors
/// The folder is not a text-to-image pipeline, a config is missing, damaged or not supported, or the model
/// needs more memory than there is.
pub fn network(files: &dyn Files, room: Option<u64>) -> Result<LatentNetwork> {
    let Some(index) = json::<Value>(files, "model_index.json")? else {
        let reason = "is not a diffusers model: it has no model_index.json";
        return Err(Error::file(files.path(), reason));
    };
    let class = index.get("_class_name").and_then(Value::as_str).unwrap_or("nothing");
    let other = || format!("is a {class}; only a StableDiffusionPipeline is supported");
    ensure(class == "StableDiffusionPipeline", || files.bad("model_index.json", other()))?;
    let network = configured(files)?;
    // In main memory and on the device, and a picture while it is drawn.
    let need = 8 * network.layouts.iter().map(|l| l.n() as u64).sum::<u64>() + network.drawing();
    let room = room.unwrap_or(MOST);
    let large = || {
        let [need, room] = [need, room].map(gib);
        let reason = format!("it needs {need:.1} GiB, {room:.1} GiB are there");
        Error::file(files.path(), format!("is too large for this device: {reason}"))
    };
    ensure(need <= room, large)?;
    Ok(network)
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
    let fits = |what: &str, a: usize, of: &str, b: usize| {
        let other = || files.bad("unet/config.json", format!("{what} is {a}, but {of} is {b}"));
        ensure(a == b, other)
    };
    let (latent, width) = (vae.latent_channels, text.hidden_size);
    fits("in_channels", unet.in_channels, "the autoencoder's latent_channels", latent)?;
    fits("out_channels", unet.out_channels, "in_channels", unet.in_channels)?;
    fits("cross_attention_dim", unet.cross_attention_dim, "the text's hidden_size", width)?;
    let tokenizer = tokenizer(files, "tokenizer/", text.max_position_embeddings)?;
    let (has, takes) = (tokenizer.vocabulary_size(), text.vocab_size);
    let more = || format!("has {has} tokens, but the text encoder takes {takes}");
    ensure(has <= takes, || files.bad("tokenizer/vocab.json", more()))?;
    let network = LatentNetwork::new(tokenizer, text, unet, vae, scheduler);
    Ok(LatentNetwork { notes: note.into_iter().collect(), ..network })
}

/// The noise schedule and the solver; where the folder names a solver that is not here, ours in its place,
/// and a line that says so.
fn scheduler(files: &dyn Files) -> Result<(SchedulerConfig, Option<String>)> {
    let name = "scheduler/scheduler_config.json";
    let mut value: Value = needed(files, name, json(files, name)?)?;
    let class = value.get("_class_name").and_then(Value::as_str).unwrap_or("nothing").to_string();
    let known = SchedulerConfig::knows(&class);
    if !known && let Some(all) = value.as_object_mut() {
        // What only its own solver reads goes with it.
        all.retain(|key, _| KNOWN.schedule.contains(key));
    }
    let config = settled(files, name, value, &KNOWN.scheduler, SchedulerConfig::check)?;
    let note = (!known).then(|| {
        let class: String = class.escape_default().take(60).collect();
        format!(
            "the sampler {class} is not known here; {} takes its place with the model's noise schedule",
            config.kind.class_name()
        )
    });
    Ok((config, note))
}

/// The tokenizer whose files' names begin so, for prompts of so many tokens.
///
/// # Errors
/// A file is missing, or damaged.
pub fn tokenizer(files: &dyn Files, at: &str, length: usize) -> Result<Tokenizer> {
    let within = |name: &str| format!("{at}{name}");
    // A token is written as text, or as an object with its text.
    let pad = |special: Option<Value>| {
        let pad = special?.get("pad_token")?.clone();
        Some(pad.as_str().or_else(|| pad.get("content")?.as_str())?.to_string())
    };
    let pad = pad(json(files, &within("special_tokens_map.json"))?)
        .or(pad(json(files, &within("tokenizer_config.json"))?))
        .unwrap_or_else(|| "<|endoftext|>".into());
    if let Some(vocabulary) = json(files, &within("vocab.json"))? {
        let name = within("merges.txt");
        let path = files.path().join(&name);
        let text = String::from_utf8(needed(files, &name, files.read(&name)?)?)
            .map_err(|_| Error::file(&path, "is not text"))?;
        return Tokenizer::new(vocabulary, read_merges(&text, &path)?, &pad, length, &path);
    }
    // Today's transformers write one file.
    let name = within("tokenizer.json");
    let path = files.path().join(&name);
    let Some(whole) = json::<Whole>(files, &name)? else {
        let reason = format!("is missing, and so is {name}");
        return Err(files.bad(&within("vocab.json"), reason));
    };
    let mut vocabulary = whole.model.vocab;
    for Added { id, content } in whole.added_tokens {
        vocabulary.entry(content).or_insert(id);
    }
    let merges = whole.model.merges.into_iter().map(|merge| match merge {
        Merge::Pair(pair) => Ok(pair),
        Merge::Line(line) => {
            let pair = line.split_once(' ').map(|(a, b)| [a.to_string(), b.to_string()]);
            pair.ok_or_else(|| Error::file(&path, format!("the merge '{line}' is not two symbols")))
        }
    });
    Tokenizer::new(vocabulary, merges.collect::<Result<_>>()?, &pad, length, &path)
}

/// `tokenizer.json`, as far as it is read.
#[derive(Deserialize)]
struct Whole {
    model: Pairs,
    #[serde(default)]
    added_tokens: Vec<Added>,
}

#[derive(Deserialize)]
struct Pairs {
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair([String; 2]),
    Line(String),
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
}

/// The files of a model's folder, by name.
///
/// # Errors
/// A file cannot be written as JSON or safetensors.
pub fn write(model: &LatentModel, precision: Precision) -> Result<Vec<(String, Vec<u8>)>> {
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
        let tensors = precision.tensors(&part.layout.params, &part.values);
        let file = checkpoint::write(&tensors, Some(("format", "pt".into())))?;
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

    fn path(&self) -> PathBuf {
        self.0.clone()
    }
}
