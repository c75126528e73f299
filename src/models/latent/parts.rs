//! The weights of a pipeline's parts: safetensors or PyTorch's, whole or in shards, full or half precision,
//! under their names of today and of before.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use serde_json::Value;

use super::Files;
use super::folder::{json, needed};
use crate::error::{Error, Result};
use crate::models::{HostWeights, InFile, Stored, Tensors, WeightLayout};

/// What a tensor is called that older files hold and no network reads, of text and of pictures.
const IGNORED: &str = "embeddings.position_ids";
/// Older names of the autoencoder's attention.
const RENAMED: [(&str, &str); 4] = [
    (".to_q.", ".query."),
    (".to_k.", ".key."),
    (".to_v.", ".value."),
    (".to_out.0.", ".proj_attn."),
];
/// The weights of one part, from a whole file or from its shards one after another: in single precision
/// where they are there, as safetensors before PyTorch's own.
///
/// # Errors
/// They are missing or damaged, or a tensor does not fit; the file and the tensor are named.
pub fn weights(files: &dyn Files, stem: &str, layout: &Arc<WeightLayout>) -> Result<HostWeights> {
    let mut filler = Filler::new(layout, vec![0.0; layout.n()]);
    // transformers calls PyTorch's files otherwise.
    let torch = match stem {
        "model" => "pytorch_model".into(),
        _ => stem.replace("/model", "/pytorch_model"),
    };
    let stems = [(stem, "safetensors"), (&torch, "bin")];
    for (stem, end) in stems {
        for variant in ["", ".fp16", ".bf16", ".non_ema"] {
            let name = format!("{stem}{variant}.{end}");
            if filler.read(files, &name)? {
                return filler.finish(&files.path().join(&name));
            }
            for index in [
                format!("{stem}.{end}.index{variant}.json"),
                format!("{stem}{variant}.{end}.index.json"),
            ] {
                if let Some(said) = json(files, &index)? {
                    return shards(files, &index, &said, filler);
                }
            }
        }
    }
    let reason = "is missing, and so are its shards and its .bin";
    Err(Error::file(files.path().join(format!("{stem}.safetensors")), reason))
}

/// The weights that an index names the files of.
fn shards(files: &dyn Files, name: &str, index: &Value, mut filler: Filler) -> Result<HostWeights> {
    let path = files.path().join(name);
    let map = index.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| Error::file(&path, "has no weight_map"))?;
    let shards: BTreeSet<&str> = map.values().filter_map(Value::as_str).collect();
    let folder = name.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    for shard in shards {
        if shard.contains(['/', '\\']) {
            return Err(Error::file(&path, format!("'{shard}' is not a file beside it")));
        }
        let shard = format!("{folder}{shard}");
        let read = filler.read(files, &shard)?;
        needed(files, &shard, read.then_some(()))?;
    }
    filler.finish(&path)
}

/// Lays weights of a U-Net, or of a part of one, over those that are there: safetensors, or PyTorch's.
///
/// # Errors
/// The file cannot be read, or a tensor is of another network.
#[cfg(not(target_arch = "wasm32"))]
pub fn lay_over(unet: &mut HostWeights, file: &str) -> Result<()> {
    let path = crate::disk::expanded(file);
    let bytes = crate::disk::read(&path)?;
    let layout = unet.layout.clone();
    let mut filler = Filler::new(&layout, std::mem::take(&mut unet.values).into());
    let outcome = filler.take(&bytes, &path);
    unet.values = filler.values.into();
    if outcome.is_ok() && filler.missing.len() == layout.params.len() {
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

impl<'a> Filler<'a> {
    fn new(layout: &'a Arc<WeightLayout>, values: Vec<f32>) -> Self {
        let missing = layout.params.iter().map(|e| e.name.clone()).collect();
        Self { layout, values, missing }
    }

    /// Takes every tensor of a file by name, a safetensors file's one at a time; whether there is such a file.
    fn read(&mut self, files: &dyn Files, name: &str) -> Result<bool> {
        let path = files.path().join(name);
        let Some(source) = files.open(name)? else { return Ok(false) };
        match InFile::open(source, &path)? {
            Some(mut file) => file.each(|_| true, |name, tensor| self.put(name, tensor, &path))?,
            None => self.take(&needed(files, name, files.read(name)?)?, &path)?,
        }
        Ok(true)
    }

    /// Takes every tensor of a file.
    fn take(&mut self, bytes: &[u8], path: &Path) -> Result<()> {
        let (tensors, _) = Tensors::read(bytes, path)?;
        tensors.0.iter().try_for_each(|(name, tensor)| self.put(name, tensor, path))
    }

    /// Takes a tensor.
    fn put(&mut self, name: &str, tensor: &Stored, path: &Path) -> Result<()> {
        let own = name.strip_prefix("text_model.").or(name.strip_prefix("vision_model."));
        if own.unwrap_or(name) == IGNORED {
            return Ok(());
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
        let flat = match &tensor.shape[..] {
            [a, b, 1, 1] if entry.shape.len() == 2 => Some(vec![*a, *b]),
            _ => None,
        };
        let floats =
            tensor.of_shape(flat.as_ref().unwrap_or(&tensor.shape), &entry.shape).map_err(bad)?;
        self.values[entry.range()].copy_from_slice(&floats);
        self.missing.remove(&entry.name);
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
        let values = self.values.into();
        Ok(HostWeights { layout: self.layout.clone(), values, buffers: Vec::new() })
    }
}
