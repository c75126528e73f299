//! The form of a state file: a safetensors file of flat vectors, and in its metadata what was asked
//! for, how far it came and the log so far.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    disk::{files, output},
    error::{Error, Result},
    models::checkpoint,
};

/// Flat vectors by name.
pub type Vectors = Vec<(String, Vec<f32>)>;

/// Writes a state; the one before it stays until this one is whole. Empty vectors are left out.
///
/// # Errors
/// It cannot be written.
pub fn write<'a>(
    path: &Path,
    key: &str,
    head: &impl Serialize,
    vectors: impl IntoIterator<Item = (&'a str, &'a [f32])>,
) -> Result<()> {
    let head = serde_json::to_string(head).map_err(|e| Error::Request(e.to_string()))?;
    let tensors: Vec<_> = vectors
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            (name.to_string(), vec![values.len()], (Dtype::F32, bytes))
        })
        .collect();
    output::replace(path, &checkpoint::write(&tensors, Some((key, head)))?)
}

/// The description and the vectors of a state.
///
/// # Errors
/// The file is missing, damaged, not of `key`, or holds what is not a flat vector of finite F32.
pub fn read<H: DeserializeOwned>(path: &Path, key: &str) -> Result<(H, Vectors)> {
    let bad = |reason: String| Error::file(path, reason);
    if !path.exists() {
        return Err(bad("no state to resume; leave out --resume to start anew".into()));
    }
    let bytes = files::read(path)?;
    let whole = |e| bad(format!("not a whole state file ({e})"));
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(whole)?;
    let file = SafeTensors::deserialize(&bytes).map_err(whole)?;
    let head = match metadata.metadata().as_ref().and_then(|m| m.get(key)) {
        Some(json) => serde_json::from_str(json)
            .map_err(|e| bad(format!("its description cannot be read ({e})")))?,
        None => return Err(bad("is not a state of such a training run".into())),
    };
    let vector = |(name, view): (&str, safetensors::tensor::TensorView)| {
        let wrong =
            |reason: String| Error::Tensor { path: path.into(), tensor: name.into(), reason };
        if view.dtype() != Dtype::F32 || view.shape().len() != 1 {
            let (dtype, shape) = (view.dtype(), view.shape());
            return Err(wrong(format!("is {dtype:?} {shape:?}, expected a vector of F32")));
        }
        let values = checkpoint::floats(&view).unwrap_or_default();
        match values.iter().position(|v| !v.is_finite()) {
            Some(at) => Err(wrong(format!("value {at} is not a finite number"))),
            None => Ok((name.to_string(), values)),
        }
    };
    let vectors = file.iter().map(vector).collect::<Result<_>>()?;
    Ok((head, vectors))
}
