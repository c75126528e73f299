//! Scores of all weights. The paper's: one pass over the forget set at the original weights in
//! evaluation mode, SIGNED gradients summed, then the absolute value (SalUn eq. 3).

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use web_time::Instant;

use super::{PlainBatch, Scores, fisher};
use crate::data::rng;
use crate::error::Result;
use crate::gpu::kernels::{Kernels, Slice};
use crate::gpu::{Pace, buffers};
use crate::job_context::JobContext;
use crate::models::weights::drain;
use crate::models::{HostWeights, Mode, WeightLayout, Weights, read_all};
use crate::subject::{ScoreSettings, Settings, Subject};
use crate::train::optimizer::plus;
use crate::train::{clip_norm, shards};
use crate::words::Estimator;

/// Items in one pass: a cancel is heard after each.
pub const PART: usize = 32;

/// What the scores are over.
pub struct Scoring<'a> {
    pub subject: &'a Subject,
    pub original: &'a HostWeights,
    /// The same on the device.
    pub weights: &'a Weights,
    /// The name of the forget set.
    pub forget: &'a str,
    /// Its items that are looked at.
    pub items: &'a [usize],
    /// Items of the retain set that are looked at, for a ratio.
    pub retain: &'a [usize],
    pub seed: u64,
}

/// Who is shown a first guess.
pub type Early<'a> = &'a mut dyn FnMut(Scores);

/// Scores every weight. An order of another estimator's scores ([`Estimator::base`]) is made of
/// those, by [`Scores::ordered`].
///
/// `early`, where somebody waits, is shown what the first 1, 2, 4, ... batches say where scores are sums over batches,
/// long before the whole is known.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn rank(
    estimator: Estimator,
    of: &Scoring<'_>,
    job: &mut JobContext,
    early: Option<Early<'_>>,
) -> Result<Scores> {
    let &Scoring { subject, original, weights, forget, items, retain, seed } = of;
    let layout = original.layout.clone();
    match estimator.base() {
        Estimator::Random => Ok(Scores::random(layout, forget, seed)),
        Estimator::Magnitude => Ok(Scores::magnitude(original, forget)),
        Estimator::Fisher | Estimator::FisherRatio => {
            let started = Instant::now();
            let diagonal = fisher::diagonal(subject, weights, items, seed, job).await?;
            let mut scores = drain(diagonal).await?;
            if estimator == Estimator::FisherRatio {
                let kept = fisher::diagonal(subject, weights, retain, seed, job).await?;
                scores = fisher::ratio(&scores, &read_all(&kept).await?);
            }
            let seconds = started.elapsed().as_secs_f64();
            let n_forget = items.len();
            Ok(Scores { n_forget, seconds, ..Scores::new(layout, estimator, forget, scores) })
        }
        base => sum_of_gradients(base, of, job, early).await,
    }
}

/// |sum of gradients|, or the sum of each batch's |gradient|.
///
/// Pictures are not augmented: the same forget set gives the same mask. For a diffusion model times and noise
/// come from the seed, and [`crate::subject::ScoreSettings`] says the rest.
async fn sum_of_gradients(
    estimator: Estimator,
    of: &Scoring<'_>,
    job: &mut JobContext,
    mut early: Option<Early<'_>>,
) -> Result<Scores> {
    let &Scoring { subject, original, weights, forget, items, seed, .. } = of;
    let started = Instant::now();
    let layout = &original.layout;
    let ranking = async |sum: Sum, n_forget: usize| -> Result<Scores> {
        let ranking = sum.ranking(layout.clone(), estimator, forget).await?;
        Ok(Scores { n_forget, seconds: started.elapsed().as_secs_f64(), ..ranking })
    };
    let settings = subject.settings();
    settings.note().into_iter().for_each(|note| job.note(note));
    let Settings { scoring: how, most, .. } = settings;
    let ScoreSettings { stream, batch: each, clip, .. } = how;
    // Of a large model one sum is all that there is room for, unless each batch's is looked at by itself.
    let one = most < usize::MAX && clip.is_none() && estimator != Estimator::SumAbsGrad;
    let mut sum = Sum::new(&weights.device(), layout.n());
    let mut pace = Pace::start();
    let batches = items.len().div_ceil(each);
    job.phase("Scoring weights", items.len());
    let mut gradient = Vec::new();
    for (i, batch) in items.chunks(each).enumerate() {
        if let Some(early) = early.as_mut().filter(|_| i.is_power_of_two() && !one) {
            early(ranking(sum.clone(), i * each).await?);
        }
        let mut rng = rng::seeded(seed, &format!("{stream} {i}"));
        for part in batch.chunks(PART.min(most)) {
            let size = shards::size(weights, part.len()).min(most);
            let parts = (PlainBatch::of(subject, part, &mut rng).split(size), size);
            let before = std::mem::take(&mut gradient);
            (_, gradient) = shards::onto(before, weights, Mode::Eval, parts, |pass, part| {
                part.scored(pass, &how, batch.len())
            });
            pace.step(&gradient[0]).await?;
            job.advance(part.len()).await?;
        }
        let last = i + 1 == batches;
        if one && !last {
            continue;
        }
        if let Some(norm) = clip {
            gradient = clip_norm(gradient, norm);
        }
        if estimator == Estimator::SumAbsGrad {
            gradient = gradient.into_iter().map(|g| g.abs()).collect();
        }
        sum.add(std::mem::take(&mut gradient), last)?;
    }
    ranking(sum, items.len()).await
}

/// The running sum of gradients.
#[derive(Clone)]
pub enum Sum {
    Tensors(Vec<Tensor<1>>),
    /// One vector on the GPU, summed by our own kernel; whether it is scores already.
    Buffer(Kernels, Slice, bool),
}

impl Sum {
    /// Of `n` weights, before the first gradient.
    pub fn new(device: &Device, n: usize) -> Self {
        match Kernels::of(device) {
            Some(kernels) => {
                let zeros = kernels.zeros(n);
                Self::Buffer(kernels, zeros, false)
            }
            None => Self::Tensors(Vec::new()),
        }
    }

    /// Adds a gradient; after the `last` the sum is only read.
    ///
    /// # Errors
    /// The device failed.
    pub fn add(&mut self, gradient: Vec<Tensor<1>>, last: bool) -> Result<()> {
        match self {
            Self::Tensors(sum) => *sum = plus(std::mem::take(sum), gradient),
            Self::Buffer(kernels, sum, scores) => {
                kernels.accumulate(sum, &buffers::slice(&Tensor::cat(gradient, 0))?, last);
                *scores = last;
            }
        }
        Ok(())
    }

    /// The ranking by the absolute values; on the CPU one parameter's sum after another becomes scores. After the last
    /// gradient it stays on the GPU, too.
    ///
    /// # Errors
    /// The device failed.
    pub async fn ranking(
        self,
        layout: Arc<WeightLayout>,
        estimator: Estimator,
        forget: &str,
    ) -> Result<Scores> {
        let (mut scores, resident) = match self {
            Self::Tensors(sum) => (drain(sum).await?, None),
            Self::Buffer(kernels, sum, scores) => {
                let bits = kernels.read(&sum).await?;
                let resident = scores.then_some((kernels, sum));
                (bits.into_iter().map(f32::from_bits).collect(), resident)
            }
        };
        scores.iter_mut().for_each(|s| *s = s.abs());
        match resident {
            Some(on_gpu) => Scores::resident(layout, estimator, forget, scores, on_gpu).await,
            None => Ok(Scores::new(layout, estimator, forget, scores)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Init;

    #[test]
    fn golden_12_3_gradients_are_summed_with_their_signs() {
        let mut sum = Sum::new(&Device::flex(), 4);
        for batch in [[0.5f32, -0.3, 0.2, 0.1], [-0.5, -0.3, 0.1, 0.3]] {
            sum.add(vec![Tensor::from_floats(batch, &Device::flex())], false).unwrap();
        }
        let mut layout = WeightLayout::default();
        layout.param("weight".into(), &[4], Init::Constant(0.0));
        let found = sum.ranking(Arc::new(layout), Estimator::AbsSumGrad, "class:0");
        let scores = pollster::block_on(found).unwrap().scores;
        for (found, golden) in scores.iter().zip([0.0f32, 0.6, 0.3, 0.4]) {
            assert!((found - golden).abs() < 1e-6, "{scores:?}");
        }
    }
}
