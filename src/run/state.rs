//! The state of a training run: what a killed `salun train` goes on from.

use std::{path::Path, sync::Arc};

use serde::{Deserialize, Serialize};

use super::state_file;
use crate::{
    engine::outcome::LogLine,
    error::{Error, Result},
    models::weights::{HostWeights, WeightLayout},
    train::{
        losses::Augment, optimizer::Rule, preset::Preset, request::TrainRequest, trainer::Snapshot,
    },
    words::{
        fingerprint::{self, Fingerprint},
        format::Format,
    },
};

/// Where the description lies in the file's metadata.
const KEY: &str = "salun-state";

/// What fixes a training run; a state serves only the run that it was made by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub model: String,
    pub data: String,
    pub retain: Option<String>,
    pub epochs: Option<usize>,
    pub steps: Option<usize>,
    pub batch: Option<usize>,
    pub lr: Option<f64>,
    pub width: Option<usize>,
    #[serde(default)]
    pub augment: Option<Augment>,
    #[serde(default)]
    pub from: Option<String>,
    pub seed: u64,
    /// What the data was; a state that was written before there were any has none.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
}

impl From<&TrainRequest> for Asked {
    fn from(r: &TrainRequest) -> Self {
        Self {
            model: r.preset.clone(),
            data: r.data.clone(),
            retain: r.without.clone(),
            epochs: r.epochs,
            steps: r.steps,
            batch: r.batch,
            lr: r.lr,
            width: r.width,
            augment: r.augment,
            from: r.from.clone(),
            seed: r.seed,
            fingerprint: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    #[serde(default)]
    format: Format,
    asked: Asked,
    step: usize,
    seconds: f64,
    log: Vec<LogLine>,
}

/// A state as read back.
#[derive(Debug)]
pub struct State {
    pub snapshot: Snapshot,
    pub log: Vec<LogLine>,
}

/// Writes the state; the one before it stays until this one is whole.
///
/// # Errors
/// It cannot be written.
pub fn write(path: &Path, asked: &Asked, snapshot: &Snapshot, log: &[LogLine]) -> Result<()> {
    let head = Head {
        format: Format,
        asked: asked.clone(),
        step: snapshot.step,
        seconds: snapshot.seconds,
        log: log.to_vec(),
    };
    state_file::write(path, KEY, &head, vectors(snapshot))
}

fn vectors(s: &Snapshot) -> [(&'static str, &[f32]); 5] {
    [
        ("weights", &s.weights.values),
        ("buffers", &s.weights.buffers),
        ("first", &s.first),
        ("second", &s.second),
        ("ema", &s.ema),
    ]
}

/// Reads the state of the run that was `asked` for, whose network has this `layout`.
///
/// # Errors
/// The file is missing, damaged, or of another run; what differs is named.
pub fn read(path: &Path, asked: &Asked, layout: &Arc<WeightLayout>) -> Result<State> {
    let (head, vectors): (Head, _) = state_file::read(path, KEY)?;
    if let Some(difference) = differs(&head.asked, asked) {
        return Err(Error::file(path, format!("is the state of another run: {difference}")));
    }
    let vector = |name: &str, n: usize, needed: bool| -> Result<Vec<f32>> {
        let wrong =
            |reason: String| Error::Tensor { path: path.into(), tensor: name.into(), reason };
        match vectors.iter().find(|(given, _)| given == name) {
            Some((_, values)) if values.len() == n => Ok(values.clone()),
            Some((_, values)) => Err(wrong(format!("has {} values, expected {n}", values.len()))),
            None if !needed || n == 0 => Ok(Vec::new()),
            None => Err(wrong("is missing".into())),
        }
    };
    let n = layout.n();
    let preset = Preset::find(&asked.model)?;
    let weights = HostWeights {
        layout: layout.clone(),
        values: vector("weights", n, true)?,
        buffers: vector("buffers", layout.n_buffers(), true)?,
    };
    let first = vector("first", n, head.step > 0)?;
    let adam = matches!(preset.rule, Rule::Adam { .. });
    let second = vector("second", n, adam && !first.is_empty())?;
    let ema = vector("ema", n, preset.ema > 0.0)?;
    let snapshot = Snapshot { step: head.step, seconds: head.seconds, weights, first, second, ema };
    Ok(State { snapshot, log: head.log })
}

/// The first thing in which two requests differ, for a person.
fn differs(then: &Asked, now: &Asked) -> Option<String> {
    let changed = fingerprint::difference(then.fingerprint.as_ref(), now.fingerprint.as_ref());
    let plain = |asked: &Asked| Asked { fingerprint: None, ..asked.clone() };
    let (then, now) = (&plain(then), &plain(now));
    let fields = |asked: &Asked| match serde_json::to_value(asked) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => Default::default(),
    };
    let (then, now) = (fields(then), fields(now));
    let other = then.iter().find(|(name, was)| now.get(*name) != Some(*was));
    let Some((name, was)) = other else {
        return changed.map(|what| format!("the data has changed: {what}"));
    };
    let say = |v: Option<&serde_json::Value>| match v {
        None | Some(serde_json::Value::Null) => "not given".to_string(),
        Some(v) => v.to_string().chars().take(60).collect(),
    };
    Some(format!("{name} was {}, now {}", say(Some(was)), say(now.get(name))))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::models::{Architecture, resnet::ResnetConfig};

    fn asked() -> Asked {
        Asked {
            model: "fashion-classifier".into(),
            data: "fashion-mnist".into(),
            retain: None,
            epochs: None,
            steps: Some(4),
            batch: Some(8),
            lr: None,
            width: Some(4),
            augment: None,
            from: None,
            seed: 1,
            fingerprint: None,
        }
    }

    #[test]
    fn a_state_comes_back_to_the_bit_and_only_for_its_own_run() {
        let config =
            ResnetConfig { width: 4, channels: 1, classes: 10, mean: vec![0.3], std: vec![0.3] };
        let (_, layout) = Architecture::Resnet(config).build();
        let weights = layout.init(1);
        let (first, ema) = (weights.values.clone(), Vec::new());
        let snapshot = Snapshot { step: 3, seconds: 0.5, weights, first, second: Vec::new(), ema };
        let log = vec![LogLine { step: 1, loss: 2.5, seconds: 0.25 }];
        let path = std::env::temp_dir().join(format!("salun-state-{}", std::process::id()));
        write(&path, &asked(), &snapshot, &log).unwrap();

        let back = read(&path, &asked(), &layout).unwrap();
        assert_eq!(back.snapshot.step, 3);
        assert_eq!(back.snapshot.weights.hash(), snapshot.weights.hash());
        assert_eq!(back.snapshot.first, snapshot.first);
        assert_eq!(back.log, log);

        let other = Asked { seed: 2, ..asked() };
        let error = read(&path, &other, &layout).unwrap_err().to_string();
        assert!(error.ends_with("seed was 1, now 2"), "{error}");

        let whole = fs::read(&path).unwrap();
        for cut in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(read(&path, &asked(), &layout).unwrap_err().exit_code(), 2);
        }
        fs::remove_file(path).unwrap();
    }
}
