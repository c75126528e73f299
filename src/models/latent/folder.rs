//! The folder that diffusers stores a pipeline in: configs, tokenizer files, safetensors whole or
//! in shards, full or half precision, names unchanged.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    LatentCard, LatentModel, LatentNetwork,
    autoencoder::AutoencoderConfig,
    settings::{self, Settings, without_infinities},
    text::TextConfig,
    tokenizer::{Tokenizer, read_merges},
    unet::UnetConfig,
};
use crate::{
    diffusion::scheduler::SchedulerConfig,
    error::{Error, Result},
    models::{
        checkpoint::{self, Precision},
        tensors::Tensors,
        torch,
        weights::{HostWeights, WeightLayout},
    },
    words::gib,
};

/// The files of a folder: natively a folder on disk, or the program's own assets.
pub trait Files {
    /// A file's bytes; `None` where there is no such file.
    ///
    /// # Errors
    /// It is there and cannot be read.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>>;
    /// The folder, for messages.
    fn path(&self) -> PathBuf;
}

/// What a pipeline's parts are called on disk.
const WEIGHTS: [(&str, &str); 3] = [
    ("text_encoder", "model"),
    ("unet", "diffusion_pytorch_model"),
    ("vae", "diffusion_pytorch_model"),
];
/// Tensors that older files hold and no network reads.
const IGNORED: [&str; 1] = ["text_model.embeddings.position_ids"];
/// Older names of the autoencoder's attention.
const RENAMED: [(&str, &str); 4] = [
    (".to_q.", ".query."),
    (".to_k.", ".key."),
    (".to_v.", ".value."),
    (".to_out.0.", ".proj_attn."),
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
    let layouts = [&network.text_layout, &network.unet_layout, &network.vae_layout];
    let mut parts = WEIGHTS
        .iter()
        .zip(layouts)
        .map(|((folder, stem), l)| weights(files, &format!("{folder}/{stem}"), l));
    let mut part = || parts.next().expect("one for each layout");
    let (text, unet, vae) = (part()?, part()?, part()?);
    let card = match files.read("card.json")? {
        Some(bytes) => Some(parse::<LatentCard>(files, "card.json", &bytes)?),
        None => None,
    };
    drop(parts);
    Ok(LatentModel { network, text, unet, vae, card })
}

/// The networks of a pipeline by its configs: what it takes, makes and needs, before its weights are read.
///
/// # Errors
/// The folder is not a text-to-image pipeline, a config is missing, damaged or not supported, or the model
/// needs more memory than there is.
pub fn network(files: &dyn Files, room: Option<u64>) -> Result<LatentNetwork> {
    let Some(index) = files.read("model_index.json")? else {
        let reason = "is not a diffusers model: it has no model_index.json";
        return Err(Error::file(files.path(), reason));
    };
    let index: Value = parse(files, "model_index.json", &index)?;
    let class = index.get("_class_name").and_then(Value::as_str).unwrap_or("nothing");
    if class != "StableDiffusionPipeline" {
        let reason = format!("is a {class}; only a StableDiffusionPipeline is supported");
        return Err(Error::file(files.path().join("model_index.json"), reason));
    }
    let network = configured(files)?;
    let layouts = [&network.text_layout, &network.unet_layout, &network.vae_layout];
    // In main memory and on the device, and a picture while it is drawn.
    let need = 8 * layouts.iter().map(|l| l.n() as u64).sum::<u64>() + network.drawing();
    if need > room.unwrap_or(MOST) {
        return Err(Error::file(
            files.path(),
            format!(
                "is too large for this device: it needs {:.1} GiB, {:.1} GiB are there",
                gib(need),
                gib(room.unwrap_or(MOST))
            ),
        ));
    }
    Ok(network)
}

fn parse<T: DeserializeOwned>(files: &dyn Files, name: &str, bytes: &[u8]) -> Result<T> {
    let bad = |e: &dyn std::fmt::Display| {
        Error::file(files.path().join(name), format!("cannot be read ({e})"))
    };
    let text = std::str::from_utf8(bytes).map_err(|e| bad(&e))?;
    serde_json::from_str(&without_infinities(text)).map_err(|e| bad(&e))
}

/// A part's config; every setting is known, or refused.
fn config<T: DeserializeOwned>(files: &dyn Files, name: &str, known: &Settings) -> Result<T> {
    let bytes = needed(files, name)?;
    let value: Value = parse(files, name, &bytes)?;
    match known.unsupported(&value) {
        Some(reason) => Err(Error::file(files.path().join(name), reason)),
        None => parse(files, name, &bytes),
    }
}

fn needed(files: &dyn Files, name: &str) -> Result<Vec<u8>> {
    files.read(name)?.ok_or_else(|| Error::file(files.path().join(name), "is missing"))
}

/// The networks that the configs describe.
fn configured(files: &dyn Files) -> Result<LatentNetwork> {
    let wrong = |name: &str, fault: Option<String>| match fault {
        Some(reason) => Err(Error::file(files.path().join(name), reason)),
        None => Ok(()),
    };
    let name = "text_encoder/config.json";
    let text: TextConfig = config(files, name, &settings::TEXT)?;
    wrong(name, text.fault())?;
    let name = "unet/config.json";
    let unet: UnetConfig = config(files, name, &settings::UNET)?;
    wrong(name, unet.fault())?;
    let name = "vae/config.json";
    let vae: AutoencoderConfig = config(files, name, &settings::AUTOENCODER)?;
    wrong(name, vae.fault())?;
    let (scheduler, note) = scheduler(files)?;
    let fits = |what: &str, a: usize, of: &str, b: usize| {
        (a != b).then(|| format!("{what} is {a}, but {of} is {b}"))
    };
    let (latent, width) = (vae.latent_channels, text.hidden_size);
    let fault = fits("in_channels", unet.in_channels, "the autoencoder's latent_channels", latent)
        .or(fits("out_channels", unet.out_channels, "in_channels", unet.in_channels))
        .or(fits("cross_attention_dim", unet.cross_attention_dim, "the text's hidden_size", width));
    wrong("unet/config.json", fault)?;
    let tokenizer = tokenizer(files, text.max_position_embeddings)?;
    if tokenizer.vocabulary_size() > text.vocab_size {
        let (has, takes) = (tokenizer.vocabulary_size(), text.vocab_size);
        let reason = format!("has {has} tokens, but the text encoder takes {takes}");
        return Err(Error::file(files.path().join("tokenizer/vocab.json"), reason));
    }
    let network = LatentNetwork::new(tokenizer, text, unet, vae, scheduler);
    Ok(LatentNetwork { notes: note.into_iter().collect(), ..network })
}

/// The noise schedule and the solver; where the folder names a solver that is not here, ours in its place,
/// and a line that says so.
fn scheduler(files: &dyn Files) -> Result<(SchedulerConfig, Option<String>)> {
    let name = "scheduler/scheduler_config.json";
    let bytes = needed(files, name)?;
    let mut value: Value = parse(files, name, &bytes)?;
    let bad = |reason: String| Error::file(files.path().join(name), reason);
    let class = value.get("_class_name").and_then(Value::as_str).unwrap_or("nothing").to_string();
    let known = SchedulerConfig::knows(&class);
    if !known && let Some(all) = value.as_object_mut() {
        // What only its own solver reads goes with it.
        const SCHEDULE: [&str; 10] = [
            "_class_name",
            "num_train_timesteps",
            "beta_start",
            "beta_end",
            "beta_schedule",
            "prediction_type",
            "timestep_spacing",
            "steps_offset",
            "trained_betas",
            "rescale_betas_zero_snr",
        ];
        all.retain(|key, _| SCHEDULE.contains(&key.as_str()));
    }
    if let Some(reason) = settings::SCHEDULER.unsupported(&value) {
        return Err(bad(reason));
    }
    let config: SchedulerConfig =
        serde_json::from_value(value).map_err(|e| bad(format!("cannot be read ({e})")))?;
    if let Some(fault) = config.fault() {
        return Err(bad(fault));
    }
    let note = (!known).then(|| {
        let class: String = class.escape_default().take(60).collect();
        format!(
            "the sampler {class} is not known here; {} takes its place with the model's noise schedule",
            config.kind.class_name()
        )
    });
    Ok((config, note))
}

fn tokenizer(files: &dyn Files, length: usize) -> Result<Tokenizer> {
    let optional = |name: &str| match files.read(name)? {
        Some(bytes) => parse(files, name, &bytes),
        None => Ok(Value::Null),
    };
    // A token is written as text, or as an object with its text.
    let pad = |special: &Value| {
        let pad = special.get("pad_token")?;
        Some(pad.as_str().or_else(|| pad.get("content")?.as_str())?.to_string())
    };
    let pad = pad(&optional("tokenizer/special_tokens_map.json")?)
        .or(pad(&optional("tokenizer/tokenizer_config.json")?))
        .unwrap_or_else(|| "<|endoftext|>".into());
    let name = "tokenizer/vocab.json";
    if let Some(bytes) = files.read(name)? {
        let vocabulary: HashMap<String, u32> = parse(files, name, &bytes)?;
        let name = "tokenizer/merges.txt";
        let path = files.path().join(name);
        let text = String::from_utf8(needed(files, name)?)
            .map_err(|_| Error::file(&path, "is not text"))?;
        return Tokenizer::new(vocabulary, read_merges(&text, &path)?, &pad, length, &path);
    }
    // Today's transformers write one file.
    let name = "tokenizer/tokenizer.json";
    let path = files.path().join(name);
    let Some(bytes) = files.read(name)? else {
        let reason = "is missing, and so is tokenizer/tokenizer.json";
        return Err(Error::file(files.path().join("tokenizer/vocab.json"), reason));
    };
    let whole: Whole = parse(files, name, &bytes)?;
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

/// The weights of one part, from a whole file or from its shards one after another: in single precision
/// where they are there, as safetensors before PyTorch's own.
fn weights(files: &dyn Files, stem: &str, layout: &Arc<WeightLayout>) -> Result<HostWeights> {
    let mut filler = Filler {
        values: vec![0.0; layout.n()],
        missing: layout.params.iter().map(|e| e.name.clone()).collect(),
        layout,
    };
    // transformers calls PyTorch's files otherwise.
    let torch = stem.replace("/model", "/pytorch_model");
    let stems = [(stem, "safetensors"), (&torch, "bin")];
    for (stem, end) in stems {
        for variant in ["", ".fp16", ".bf16", ".non_ema"] {
            let name = format!("{stem}{variant}.{end}");
            if let Some(bytes) = files.read(&name)? {
                let path = files.path().join(&name);
                filler.take(&bytes, &path)?;
                return filler.finish(&path);
            }
            for index in [
                format!("{stem}.{end}.index{variant}.json"),
                format!("{stem}{variant}.{end}.index.json"),
            ] {
                if let Some(bytes) = files.read(&index)? {
                    return shards(files, &index, &bytes, filler);
                }
            }
        }
    }
    let reason = "is missing, and so are its shards and its .bin";
    Err(Error::file(files.path().join(format!("{stem}.safetensors")), reason))
}

/// The weights that an index names the files of.
fn shards(files: &dyn Files, name: &str, bytes: &[u8], mut filler: Filler) -> Result<HostWeights> {
    let index: Value = parse(files, name, bytes)?;
    let path = files.path().join(name);
    let map = index.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| Error::file(&path, "has no weight_map"))?;
    let shards: BTreeSet<&str> = map.values().filter_map(Value::as_str).collect();
    let folder = name.split('/').next().unwrap_or_default();
    for shard in shards {
        if shard.contains(['/', '\\']) {
            return Err(Error::file(&path, format!("'{shard}' is not a file beside it")));
        }
        let shard = format!("{folder}/{shard}");
        filler.take(&needed(files, &shard)?, &files.path().join(&shard))?;
    }
    filler.finish(&path)
}

/// Lays weights of a U-Net, or of a part of one, over those that are there: safetensors, or PyTorch's.
///
/// # Errors
/// The file cannot be read, or a tensor is of another network.
#[cfg(not(target_arch = "wasm32"))]
pub fn lay_over(unet: &mut HostWeights, file: &str) -> Result<()> {
    let path = crate::disk::files::expanded(file);
    let bytes = crate::disk::files::read(&path)?;
    let layout = unet.layout.clone();
    let values = std::mem::take(&mut unet.values);
    let missing: BTreeSet<String> = layout.params.iter().map(|e| e.name.clone()).collect();
    let all = missing.len();
    let mut filler = Filler { layout: &layout, values, missing };
    let outcome = filler.take(&bytes, &path);
    unet.values = filler.values;
    if outcome.is_ok() && filler.missing.len() == all {
        return Err(Error::file(path, "holds no tensor of a U-Net"));
    }
    outcome
}

/// Weights of a layout that are still coming in.
struct Filler<'a> {
    layout: &'a Arc<WeightLayout>,
    values: Vec<f32>,
    missing: BTreeSet<String>,
}

impl Filler<'_> {
    /// Takes every tensor of a file.
    fn take(&mut self, bytes: &[u8], path: &Path) -> Result<()> {
        let tensors = if torch::read::recognised(bytes) {
            torch::read::tensors(bytes, path)?.0
        } else {
            let file = SafeTensors::deserialize(bytes)
                .map_err(|e| Error::file(path, format!("not a whole safetensors file ({e})")))?;
            Tensors::from(&file)
        };
        for (name, tensor) in &tensors.0 {
            if IGNORED.contains(&name.as_str()) || IGNORED.contains(&&*format!("text_model.{name}"))
            {
                continue;
            }
            let bad = |reason: String| Error::Tensor {
                path: path.into(),
                tensor: name.chars().take(120).collect(),
                reason,
            };
            // As scripts save a U-Net alone.
            let own = name.strip_prefix("unet.").or(name.strip_prefix("module.")).unwrap_or(name);
            let known = [own.to_string(), format!("text_model.{name}")]
                .into_iter()
                .chain(RENAMED.iter().map(|(new, old)| name.replace(old, new)))
                .find_map(|n| self.layout.find(&n));
            let index = known.ok_or_else(|| bad("the network has no such tensor".into()))?;
            let entry = &self.layout.params[index];
            // The older autoencoder's attention is stored as 1 x 1 convolutions.
            let shape = match &tensor.shape[..] {
                [a, b, 1, 1] if entry.shape.len() == 2 => vec![*a, *b],
                other => other.to_vec(),
            };
            if shape != entry.shape {
                return Err(bad(format!(
                    "has shape {:?}, expected {:?}",
                    tensor.shape, entry.shape
                )));
            }
            let floats = tensor
                .values()
                .ok_or_else(|| bad(format!("has number format {}", tensor.format)))?;
            if let Some(at) = floats.iter().position(|v| !v.is_finite()) {
                return Err(bad(format!("value {at} is not a finite number")));
            }
            self.values[entry.range()].copy_from_slice(&floats);
            self.missing.remove(&entry.name);
        }
        Ok(())
    }

    fn finish(self, path: &Path) -> Result<HostWeights> {
        if let Some(name) = self.missing.first() {
            return Err(Error::Tensor {
                path: path.into(),
                tensor: name.clone(),
                reason: "is missing".into(),
            });
        }
        Ok(HostWeights { layout: self.layout.clone(), values: self.values, buffers: Vec::new() })
    }
}

/// The files of a model's folder, by name.
///
/// # Errors
/// A file cannot be written as JSON or safetensors.
pub fn write(model: &LatentModel, precision: Precision) -> Result<Vec<(String, Vec<u8>)>> {
    let LatentNetwork { tokenizer, text, unet, vae, scheduler, .. } = &*model.network;
    let index = json!({
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
    let text_config = with(
        &text.config,
        json!({
            "architectures": ["CLIPTextModel"], "model_type": "clip_text_model",
            "bos_token_id": end[0], "eos_token_id": end[1], "pad_token_id": end[tokenizer.length - 1],
            "projection_dim": text.config.hidden_size,
        }),
    )?;
    let unet_config = with(
        &unet.config,
        json!({
            "_class_name": "UNet2DConditionModel", "act_fn": "silu",
        }),
    )?;
    let levels = vae.config.block_out_channels.len();
    let vae_config = with(
        &vae.config,
        json!({
            "_class_name": "AutoencoderKL", "act_fn": "silu",
            "down_block_types": vec!["DownEncoderBlock2D"; levels],
            "up_block_types": vec!["UpDecoderBlock2D"; levels],
        }),
    )?;
    let mut files = vec![
        ("model_index.json".to_string(), text_of(&index)),
        ("text_encoder/config.json".into(), text_of(&text_config)),
        ("unet/config.json".into(), text_of(&unet_config)),
        ("vae/config.json".into(), text_of(&vae_config)),
        ("scheduler/scheduler_config.json".into(), text_of(&scheduler.to_json())),
    ];
    for (name, content) in tokenizer.files() {
        files.push((format!("tokenizer/{name}"), content.into_bytes()));
    }
    if let Some(card) = &model.card {
        let card = serde_json::to_value(card).map_err(|e| Error::Request(e.to_string()))?;
        files.push(("card.json".into(), text_of(&card)));
    }
    for ((folder, stem), part) in WEIGHTS.iter().zip([&model.text, &model.unet, &model.vae]) {
        files.push((format!("{folder}/{stem}.safetensors"), tensors(part, precision)?));
    }
    Ok(files)
}

fn text_of(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// A config with what diffusers wants to read besides.
fn with(config: &impl serde::Serialize, more: Value) -> Result<Value> {
    let mut value = serde_json::to_value(config).map_err(|e| Error::Request(e.to_string()))?;
    if let (Value::Object(all), Value::Object(more)) = (&mut value, more) {
        all.extend(more);
    }
    Ok(value)
}

/// The bytes of one part's weights.
fn tensors(weights: &HostWeights, precision: Precision) -> Result<Vec<u8>> {
    let all: Vec<_> = weights
        .layout
        .params
        .iter()
        .map(|e| {
            let values = &weights.values[e.range()];
            let bytes = match precision {
                Precision::Half => (
                    Dtype::F16,
                    values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
                ),
                Precision::Full => {
                    (Dtype::F32, values.iter().flat_map(|v| v.to_le_bytes()).collect())
                }
            };
            (e.name.clone(), e.shape.clone(), bytes)
        })
        .collect();
    checkpoint::write(&all, Some(("format", "pt".into())))
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
        if path.exists() { crate::disk::files::read(&path).map(Some) } else { Ok(None) }
    }

    fn path(&self) -> PathBuf {
        self.0.clone()
    }
}
