//! θ₀ + s·Δ: a part of a run's change, or more than all of it.

use std::sync::Arc;

use crate::error::{Error, Result, ensure};
use crate::models::latent::{LatentCard, LatentModel};
use crate::models::{AnyModel, Card, HostWeights, Model, WeightEntry};
use crate::words::STRENGTHS;

/// Weights at a strength s between an original's (0) and a run's (1), or beyond the run's: θ₀ + s·(θ − θ₀), as
/// task vectors are scaled (Ilharco et al. 2023, section 2) and weights interpolated (Wortsman et al. 2022,
/// equation 1). At 0 and 1 they are the one's and the other's bits; a weight that both have alike is theirs
/// at any s. Running statistics follow in the same way; a variance is never below 0.
///
/// # Errors
/// The strength is out of range, the two are not of one layout, or a weight came out of the range of numbers.
pub fn blend(original: &HostWeights, run: &HostWeights, strength: f64) -> Result<HostWeights> {
    let right = || {
        let (from, to) = (STRENGTHS.start(), STRENGTHS.end());
        Error::argument("strength", strength, format!("a number from {from} to {to} is needed"))
    };
    ensure(STRENGTHS.contains(&strength), right)?;
    alike(original, run)?;
    if strength == 0.0 || strength == 1.0 {
        return Ok(if strength == 0.0 { original } else { run }.clone());
    }
    let between = |(&a, &b): (&f32, &f32)| match a.to_bits() == b.to_bits() {
        true => a,
        false => (f64::from(a) + strength * (f64::from(b) - f64::from(a))) as f32,
    };
    let all = |a: &[f32], b: &[f32]| -> Vec<f32> { a.iter().zip(b).map(between).collect() };
    let values = all(&original.values, &run.values);
    let mut buffers = all(&original.buffers, &run.buffers);
    for entry in original.layout.buffers.iter().filter(|e| e.name.ends_with("running_var")) {
        buffers[entry.range()].iter_mut().for_each(|v| *v = v.max(0.0));
    }
    let finite = values.iter().chain(&buffers).all(|v| v.is_finite());
    let wide = || Error::Diverged(format!("at strength {strength} a weight is no finite number"));
    ensure(finite, wide)?;
    Ok(HostWeights { layout: original.layout.clone(), values: values.into(), buffers })
}

/// A model at a strength between an original and what a run made of it; at 0 and 1 those themselves.
///
/// # Errors
/// Those of [`blend`], or one of them is a text-to-image model and the other is none.
pub fn model_at(original: &AnyModel, run: &AnyModel, strength: f64) -> Result<AnyModel> {
    let weights = blend(original.weights(), run.weights(), strength)?;
    if strength == 0.0 || strength == 1.0 {
        return Ok(if strength == 0.0 { original } else { run }.clone());
    }
    let name = |name: &str| format!("{name}, at strength {strength}");
    Ok(match run {
        AnyModel::Plain(run) => {
            // Its metrics are those of the whole change.
            let card = Card { name: name(&run.card.name), metrics: [].into(), ..run.card.clone() };
            AnyModel::Plain(Arc::new(Model { card, network: run.network.clone(), weights }))
        }
        AnyModel::Latent(run) => {
            let named = |card: &LatentCard| LatentCard {
                name: name(&card.name),
                metrics: [].into(),
                ..card.clone()
            };
            let card = run.card.as_ref().map(named);
            AnyModel::Latent(Arc::new(LatentModel {
                unet: weights,
                card,
                ..LatentModel::clone(run)
            }))
        }
    })
}

/// Refuses two states of different networks; the first tensor that differs is named.
///
/// # Errors
/// They are.
pub fn alike(original: &HostWeights, run: &HostWeights) -> Result<()> {
    let parts = [
        (&original.layout.params, &run.layout.params),
        (&original.layout.buffers, &run.layout.buffers),
    ];
    for (a, b) in parts {
        let shown = |entry: Option<&WeightEntry>| match entry {
            Some(entry) => format!("{} {:?}", entry.name, entry.shape),
            None => "no more".into(),
        };
        let differs = (0..a.len().max(b.len())).find(|&i| a.get(i) != b.get(i));
        if let Some(at) = differs {
            let [one, other] = [a, b].map(|entries| shown(entries.get(at)));
            return Err(Error::Request(format!(
                "the original has {one} where the run has {other}; a change has a strength only where \
                 both have the same tensors"
            )));
        }
    }
    Ok(())
}
