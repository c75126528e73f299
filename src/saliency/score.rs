//! The paper's scores: one pass over the forget set at the original weights in evaluation mode,
//! SIGNED gradients summed, then the absolute value (SalUn eq. 3; ALGORITHMS 4.2, 8.4).

use burn::tensor::{Device, Tensor};
use web_time::Instant;

use super::{estimator::Estimator, ranking::Ranking};
use crate::{
    data::{Dataset, forget::ForgetSet, rng},
    diffusion::{sampler::predict, schedule::Schedule},
    error::Result,
    models::{
        Model, Network,
        layers::{Mode, Pass},
        weights::read_all,
    },
    monitor::Monitor,
    train::{
        losses::{Augment, cross_entropy, mse, noised, pictures},
        optimizer::clip_norm,
    },
};

/// Items in one gradient; a device's memory bounds it, the scores do not depend on it
/// for the classifier beyond rounding.
const BATCH: usize = 128;
/// Guidance of the diffusion model's predictions while scoring (ALGORITHMS 8.4).
const GUIDANCE: f32 = 2.0;

/// Scores every weight by |sum of gradients| over `items` of the forget set.
///
/// Pictures are not augmented: the same forget set gives the same mask. For the diffusion model
/// times and noise come from `seed`, predictions are guided, and each batch's gradient is clipped
/// to norm 1 so that batches weigh the same.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn abs_sum_grad(
    model: &Model,
    data: &Dataset,
    set: &ForgetSet,
    items: &[usize],
    seed: u64,
    device: &Device,
    monitor: &mut Monitor,
) -> Result<Ranking> {
    let started = Instant::now();
    let weights = model.weights.upload(device);
    let schedule = Schedule::linear();
    let mut sum: Option<Vec<Tensor<1>>> = None;
    monitor.phase("Scoring weights", items.len());
    for (i, batch) in items.chunks(BATCH).enumerate() {
        let mut rng = rng::seeded(seed, &format!("saliency {i}"));
        let tracked = weights.tracked();
        let pass = Pass::new(&tracked, Mode::Eval);
        let loss = match &*model.network {
            Network::Resnet(net) => {
                let x = pictures(&data.train, batch, Augment::None, &mut rng, device);
                // The sum over the batch, so that a smaller last batch weighs by its items.
                cross_entropy(net.forward(&pass, x), &data.train.labels(batch)) * batch.len() as f32
            }
            Network::Unet(net) => {
                let b = noised(&data.train, batch, &schedule, &mut rng, device);
                mse(predict(net, &pass, b.x, &b.t, &b.class, GUIDANCE), b.eps)
            }
        };
        let mut gradients = tracked.gradients(&mut loss.backward());
        if model.unet().is_some() {
            gradients = clip_norm(gradients, 1.0);
        }
        sum = Some(match sum {
            None => gradients,
            Some(sum) => sum.into_iter().zip(gradients).map(|(s, g)| s + g).collect(),
        });
        monitor.advance(batch.len()).await?;
    }
    let mut scores = read_all(&sum.unwrap_or_default()).await?;
    scores.iter_mut().for_each(|s| *s = s.abs());
    Ok(Ranking {
        layout: model.weights.layout.clone(),
        estimator: Estimator::AbsSumGrad,
        forget: set.spec.clone(),
        n_forget: items.len(),
        scores,
        seconds: started.elapsed().as_secs_f64(),
    })
}
