//! The state file of a text-to-image training run: what a killed `salun train` goes on from.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::{files, output};
use crate::{
    engine::job::LogLine,
    error::{Error, Result},
    models::checkpoint,
    train::latent::{LatentPlan, LatentSnapshot, Stage},
};

const KEY: &str = "salun-text-to-image";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    plan: LatentPlan,
    stage: Stage,
    step: usize,
    seconds: [f64; 2],
    log: Vec<LogLine>,
}

/// Writes the state; the one before it stays until this one is whole.
///
/// # Errors
/// It cannot be written.
pub fn write(path: &Path, plan: &LatentPlan, s: &LatentSnapshot, log: &[LogLine]) -> Result<()> {
    let head =
        Head { plan: *plan, stage: s.stage, step: s.step, seconds: s.seconds, log: log.to_vec() };
    let head = serde_json::to_string(&head).map_err(|e| Error::Request(e.to_string()))?;
    let tensors: Vec<_> = s
        .vectors
        .iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            (name.clone(), vec![values.len()], (Dtype::F32, bytes))
        })
        .collect();
    output::replace(path, &checkpoint::write(&tensors, Some((KEY, head)))?)
}

/// Reads the state of the run that follows `plan`.
///
/// # Errors
/// The file is missing, damaged, or of another run.
pub fn read(path: &Path, plan: &LatentPlan) -> Result<(LatentSnapshot, Vec<LogLine>)> {
    let bad = |reason: String| Error::file(path, reason);
    if !path.exists() {
        return Err(bad("no state to resume; leave out --resume to start anew".into()));
    }
    let bytes = files::read(path)?;
    let whole = |e| bad(format!("not a whole state file ({e})"));
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(whole)?;
    let file = SafeTensors::deserialize(&bytes).map_err(whole)?;
    let head: Head = match metadata.metadata().as_ref().and_then(|m| m.get(KEY)) {
        Some(json) => serde_json::from_str(json)
            .map_err(|e| bad(format!("its description cannot be read ({e})")))?,
        None => return Err(bad("is not a state of salun train text-to-image".into())),
    };
    if head.plan != *plan {
        let reason = "is the state of another run: its steps, batch, rate or seed differ";
        return Err(bad(reason.into()));
    }
    let vectors = file
        .iter()
        .map(|(name, view)| match checkpoint::floats(&view) {
            Some(values) => Ok((name.to_string(), values)),
            None => Err(bad(format!("'{name}' has number format {:?}", view.dtype()))),
        })
        .collect::<Result<_>>()?;
    let Head { stage, step, seconds, log, .. } = head;
    Ok((LatentSnapshot { stage, step, seconds, vectors }, log))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::latent::preset::PLAN;

    #[test]
    fn a_state_comes_back_and_only_for_its_own_run() {
        let path = std::env::temp_dir().join(format!("salun-latent-state-{}", std::process::id()));
        let snapshot = LatentSnapshot {
            stage: Stage::Diffusion,
            step: 3,
            seconds: [1.0, 2.0],
            vectors: vec![("unet/weights".into(), vec![1.5, -2.0])],
        };
        write(&path, &PLAN, &snapshot, &[]).unwrap();
        let (back, _) = read(&path, &PLAN).unwrap();
        assert_eq!((back.stage, back.step, back.seconds), (Stage::Diffusion, 3, [1.0, 2.0]));
        assert_eq!(back.vectors, snapshot.vectors);
        let mut other = PLAN;
        other.seed += 1;
        assert!(read(&path, &other).is_err());
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(read(&path, &PLAN).is_err());
        std::fs::remove_file(path).unwrap();
    }
}
