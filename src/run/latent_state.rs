//! The state of a text-to-image training run: what a killed `salun train` goes on from.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::state_file;
use crate::{
    engine::job::LogLine,
    error::{Error, Result},
    train::latent::{LatentPlan, LatentSnapshot, Stage},
};

const KEY: &str = "salun-text-to-image";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    plan: LatentPlan,
    stage: Stage,
    step: usize,
    seconds: [f64; 3],
    log: Vec<LogLine>,
}

/// Writes the state; the one before it stays until this one is whole.
///
/// # Errors
/// It cannot be written.
pub fn write(path: &Path, plan: &LatentPlan, s: &LatentSnapshot, log: &[LogLine]) -> Result<()> {
    let head =
        Head { plan: *plan, stage: s.stage, step: s.step, seconds: s.seconds, log: log.to_vec() };
    let vectors = s.vectors.iter().map(|(name, values)| (name.as_str(), &values[..]));
    state_file::write(path, KEY, &head, vectors)
}

/// Reads the state of the run that follows `plan`.
///
/// # Errors
/// The file is missing, damaged, or of another run.
pub fn read(path: &Path, plan: &LatentPlan) -> Result<(LatentSnapshot, Vec<LogLine>)> {
    let (head, vectors): (Head, _) = state_file::read(path, KEY)?;
    if head.plan != *plan {
        let reason = "is the state of another run: its steps, batch, rate or seed differ";
        return Err(Error::file(path, reason));
    }
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
            seconds: [1.0, 2.0, 0.0],
            vectors: vec![("unet/weights".into(), vec![1.5, -2.0])],
        };
        write(&path, &PLAN, &snapshot, &[]).unwrap();
        let (back, _) = read(&path, &PLAN).unwrap();
        assert_eq!((back.stage, back.step, back.seconds), (Stage::Diffusion, 3, [1.0, 2.0, 0.0]));
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
