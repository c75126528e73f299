//! The state of a text-to-image training run: what a killed `salun train` goes on from.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::state_file;
use crate::{
    engine::outcome::LogLine,
    error::{Error, Result},
    train::latent::{LatentPlan, LatentSnapshot, Stage},
    words::format::Format,
};

const KEY: &str = "salun-text-to-image";

/// What fixes a training run; a state serves only the run that it was made by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub data: String,
    pub from: Option<String>,
    pub plan: LatentPlan,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    #[serde(default)]
    format: Format,
    asked: Asked,
    stage: Stage,
    step: usize,
    seconds: [f64; 3],
    log: Vec<LogLine>,
}

/// Writes the state; the one before it stays until this one is whole.
///
/// # Errors
/// It cannot be written.
pub fn write(path: &Path, asked: &Asked, s: &LatentSnapshot, log: &[LogLine]) -> Result<()> {
    let head = Head {
        format: Format,
        asked: asked.clone(),
        stage: s.stage,
        step: s.step,
        seconds: s.seconds,
        log: log.to_vec(),
    };
    let vectors = s.vectors.iter().map(|(name, values)| (name.as_str(), &values[..]));
    state_file::write(path, KEY, &head, vectors)
}

/// Reads the state of the run that was `asked` for.
///
/// # Errors
/// The file is missing, damaged, or of another run.
pub fn read(path: &Path, asked: &Asked) -> Result<(LatentSnapshot, Vec<LogLine>)> {
    let (head, vectors): (Head, _) = state_file::read(path, KEY)?;
    if head.asked != *asked {
        let reason =
            "is the state of another run: its data, start, steps, batch, rate or seed differ";
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
        let asked = Asked { data: "emoji".into(), from: None, plan: PLAN };
        write(&path, &asked, &snapshot, &[]).unwrap();
        let (back, _) = read(&path, &asked).unwrap();
        assert_eq!((back.stage, back.step, back.seconds), (Stage::Diffusion, 3, [1.0, 2.0, 0.0]));
        assert_eq!(back.vectors, snapshot.vectors);
        let other = Asked { plan: LatentPlan { seed: 2, ..PLAN }, ..asked.clone() };
        assert!(read(&path, &other).is_err());
        let other = Asked { from: Some("emoji-t2i".into()), ..asked.clone() };
        assert!(read(&path, &other).is_err());
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(read(&path, &asked).is_err());
        std::fs::remove_file(path).unwrap();
    }
}
