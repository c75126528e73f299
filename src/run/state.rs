//! The state of a training run: what a killed `salun train` goes on from. It is a safetensors file of flat
//! vectors, and in its metadata what was asked for, how far it came and the log so far.

use std::path::Path;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use crate::disk::{files, output};
use crate::engine::LogLine;
use crate::error::{Error, Result};
use crate::models::tensors::finite;
use crate::models::{Precision, Stored, checkpoint, one_or_several};
use crate::train::latent::{LatentPlan, Stage, preset};
use crate::train::{Snapshot, TrainRequest};
use crate::words::{Format, difference, fingerprint};

/// Where the description lies in the file's metadata, and where it lay for text-to-image models before all
/// states were of one kind.
const KEYS: [&str; 2] = ["salun-state", "salun-text-to-image"];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    #[serde(default)]
    format: Format,
    asked: Asked,
    #[serde(default)]
    stage: Option<Stage>,
    step: usize,
    #[serde(deserialize_with = "one_or_several")]
    seconds: Vec<f64>,
    log: Vec<LogLine>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Asked {
    Any(TrainRequest),
    /// As it was for text-to-image models.
    Prompts {
        data: String,
        from: Option<String>,
        plan: LatentPlan,
    },
}

/// Writes the state of a run that was `asked` for; the one before it stays until this one is whole.
///
/// # Errors
/// It cannot be written.
pub fn write(path: &Path, asked: &TrainRequest, of: &Snapshot, log: &[LogLine]) -> Result<()> {
    let head = Head {
        format: Format,
        asked: Asked::Any(asked.clone()),
        stage: of.stage,
        step: of.step,
        seconds: of.seconds.clone(),
        log: log.to_vec(),
    };
    let head = serde_json::to_string(&head).map_err(|e| Error::Request(e.to_string()))?;
    let there = of.vectors.iter().filter(|(_, values)| !values.is_empty());
    let tensors: Vec<_> = there
        .map(|(name, values)| (name.clone(), vec![values.len()], Precision::Full.bytes(values)))
        .collect();
    output::replace(path, &checkpoint::write(&tensors, Some((KEYS[0], head)))?)
}

/// Reads the state of the run that was `asked` for, and its log.
///
/// # Errors
/// The file is missing, damaged, holds what is not a flat vector of finite F32, or is of another run; what
/// differs is named.
pub fn read(path: &Path, asked: &TrainRequest) -> Result<(Snapshot, Vec<LogLine>)> {
    let bad = |reason: String| Error::file(path, reason);
    if !path.exists() {
        return Err(bad("no state to resume; leave out --resume to start anew".into()));
    }
    let bytes = files::read(path)?;
    let whole = |e| bad(format!("not a whole state file ({e})"));
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(whole)?;
    let file = SafeTensors::deserialize(&bytes).map_err(whole)?;
    let json = metadata.metadata().as_ref().and_then(|m| KEYS.iter().find_map(|key| m.get(*key)));
    let json = json.ok_or_else(|| bad("is not a state of such a training run".into()))?;
    let Head { asked: then, stage, step, seconds, log, .. } = serde_json::from_str(json)
        .map_err(|e| bad(format!("its description cannot be read ({e})")))?;
    let then = match then {
        Asked::Any(request) => request,
        Asked::Prompts { data, from, plan } => preset::request(&plan, data, from),
    };
    if let Some(difference) = differs(&then, asked) {
        return Err(bad(format!("is the state of another run: {difference}")));
    }
    let vector = |(name, view): (&str, TensorView)| {
        let wrong =
            |reason: String| Error::Tensor { path: path.into(), tensor: name.into(), reason };
        if view.dtype() != Dtype::F32 || view.shape().len() != 1 {
            let (dtype, shape) = (view.dtype(), view.shape());
            return Err(wrong(format!("is {dtype:?} {shape:?}, expected a vector of F32")));
        }
        let values = Stored::of(&view).values().unwrap_or_default();
        finite(&values).map_err(wrong)?;
        // As the average was called.
        let name = if name == "ema" { "average" } else { name };
        Ok((name.to_string(), values))
    };
    let vectors = file.iter().map(vector).collect::<Result<_>>()?;
    Ok((Snapshot { stage, step, seconds, vectors, path: path.into() }, log))
}

/// The first thing in which two requests differ, for a person.
fn differs(then: &TrainRequest, now: &TrainRequest) -> Option<String> {
    let changed = fingerprint::difference(then.fingerprint.as_ref(), now.fingerprint.as_ref());
    let plain = |asked: &TrainRequest| TrainRequest { fingerprint: None, ..asked.clone() };
    let changed = changed.map(|what| format!("the data has changed: {what}"));
    difference(&plain(then), &plain(now)).or(changed)
}

#[cfg(test)]
mod tests;
