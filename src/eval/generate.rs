//! What a diffusion model still makes, as a classifier sees it (ALGORITHMS 10): samples are judged
//! as they are, without stretching and without flips.

use burn::tensor::Device;

use super::classify::percent;
use crate::{
    data::forget::ForgetSet,
    error::{Error, Result},
    gpu::tensor4,
    job_context::JobContext,
    models::{
        classifier::Classifier,
        layers::{Mode, Pass},
        unet::Unet,
        weights::{Weights, read},
    },
    sampling::sampler::{Wanted, WantedClass, sample},
    words::{budget::Budget, report::Metrics, sampling::SampleOptions},
};

/// Pictures sampled together.
const BATCH: usize = 50;

/// A classifier and its weights on the device.
pub struct Judge<'a> {
    pub net: &'a dyn Classifier,
    pub weights: &'a Weights,
}

/// Samples of the wanted pictures, as values in [0, 1], and what the judge sees in each.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn make(
    unet: &Unet,
    weights: &Weights,
    judge: Option<&Judge<'_>>,
    wanted: &[WantedClass],
    options: &SampleOptions,
    job: &mut JobContext,
) -> Result<(Vec<f32>, Vec<Option<(usize, f32)>>)> {
    let mut values = Vec::new();
    let mut seen = Vec::new();
    for batch in wanted.chunks(BATCH) {
        let made = sample(unet, weights, batch, options, job).await?;
        match judge {
            Some(judge) => seen
                .extend(look(judge, &made, unet, &weights.device()).await?.into_iter().map(Some)),
            None => seen.extend(std::iter::repeat_n(None, batch.len())),
        }
        values.extend(made);
    }
    Ok((values, seen))
}

async fn look(
    judge: &Judge<'_>,
    made: &[f32],
    unet: &Unet,
    device: &Device,
) -> Result<Vec<(usize, f32)>> {
    let (c, side) = (unet.config.channels, unet.config.resolution);
    let x = tensor4(made.to_vec(), [made.len() / (c * side * side), c, side, side], device);
    let logits = judge.net.forward(&Pass::new(judge.weights, Mode::Eval), x);
    let classes = logits.dims()[1];
    Ok(read(logits).await?.chunks_exact(classes).map(super::classify::top).collect())
}

/// Samples of every class, and what the judge sees in each; as values in [0, 1], class by class.
pub struct Judged {
    pub values: Vec<f32>,
    pub seen: Vec<Option<(usize, f32)>>,
}

/// Shares of each class's samples that the judge gives that class, and the samples. UA is 100 - the
/// forgotten class's share; RA and TA are the mean share of the kept classes.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn measure(
    unet: &Unet,
    weights: &Weights,
    judge: &Judge<'_>,
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
    let (values, seen) = make(unet, weights, Some(judge), &wanted, options, job).await?;
    let shares: Vec<f64> = seen
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
    Ok((metrics, Judged { values, seen }))
}
