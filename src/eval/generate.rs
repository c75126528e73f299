//! What a diffusion model still makes, as a classifier sees it (docs/methods.md#metrics): samples are judged
//! as they are, without stretching and without flips.

use super::Evaluator;
use super::classify::percent;
use crate::data::ForgetSet;
use crate::error::{Error, Result};
use crate::gpu::tensor4;
use crate::job_context::JobContext;
use crate::models::{Unet, Weights};
use crate::sampling::sampler::sample;
use crate::sampling::{Wanted, WantedClass};
use crate::words::{Budget, Metrics, SampleOptions};

/// Pictures sampled together.
const BATCH: usize = 50;

/// Samples as values in [0, 1], one after another, and what the judge sees in each.
pub struct Judged {
    pub values: Vec<f32>,
    pub seen: Vec<Option<(usize, f32)>>,
}

/// Samples of the wanted pictures.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn make(
    unet: &Unet,
    weights: &Weights,
    judge: Option<Evaluator<'_>>,
    wanted: &[WantedClass],
    options: &SampleOptions,
    job: &mut JobContext,
) -> Result<Judged> {
    let (channels, side) = (unet.config.channels, unet.config.resolution);
    let mut values = Vec::new();
    let mut seen = Vec::new();
    for batch in wanted.chunks(BATCH) {
        let made = sample(unet, weights, batch, options, job).await?;
        match judge {
            Some(judge) => {
                let shape = [batch.len(), channels, side, side];
                let x = tensor4(made.clone(), shape, &weights.device());
                seen.extend(judge.look(x).await?.into_iter().map(Some));
            }
            None => seen.extend(std::iter::repeat_n(None, batch.len())),
        }
        values.extend(made);
    }
    Ok(Judged { values, seen })
}

/// Shares of each class's samples that the judge gives that class, and the samples. UA is 100 - the
/// forgotten class's share; RA and TA are the mean share of the kept classes.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn measure(
    unet: &Unet,
    weights: &Weights,
    judge: Evaluator<'_>,
    set: &ForgetSet,
    budget: Budget,
    options: &SampleOptions,
    job: &mut JobContext,
) -> Result<(Metrics, Judged)> {
    let forgotten = set
        .class
        .ok_or_else(|| Error::Request("a diffusion model is measured on a class".into()))?;
    let each = budget.sizes().samples;
    let classes = unet.config.classes;
    let wanted: Vec<_> = (0..classes)
        .flat_map(|c| (0..each as u64).map(move |noise| Wanted { condition: Some(c), noise }))
        .collect();
    job.phase("Evaluating", wanted.len() * options.steps);
    let judged = make(unet, weights, Some(judge), &wanted, options, job).await?;
    let shares: Vec<f64> = judged
        .seen
        .chunks_exact(each)
        .enumerate()
        .map(|(class, row)| percent(row.iter().map(|s| s.is_some_and(|(c, _)| c == class))))
        .collect();
    let kept: Vec<f64> =
        shares.iter().enumerate().filter(|(c, _)| !set.absent(*c)).map(|(_, s)| *s).collect();
    let mean = kept.iter().sum::<f64>() / kept.len().max(1) as f64;
    let metrics = Metrics {
        UA: 100.0 - shares[forgotten],
        RA: mean,
        TA: mean,
        n: [each, each * kept.len(), each * kept.len()],
        per_class: shares,
        ..Metrics::default()
    };
    Ok((metrics, judged))
}
