//! The diagonal of the Fisher information: how much each weight matters to what a model knows of
//! some pictures (Kirkpatrick et al. 2017).

use burn::tensor::Tensor;

use super::PlainBatch;
use crate::data::rng;
use crate::error::Result;
use crate::gpu::Pace;
use crate::job_context::JobContext;
use crate::models::Weights;
use crate::subject::Subject;
use crate::train::optimizer::plus;
use crate::train::shards;

/// Items between two looks for a cancel.
const PART: usize = 32;

/// What keeps a ratio of two diagonals finite (SFR-on's code).
pub const EPS: f32 = 1e-15;

/// For every weight the mean over `items` of its squared gradient, in evaluation mode; vectors in
/// parameter order, on the weights' device.
///
/// Gradients are of single pictures, never of batches: the square of a batch's mean would be
/// smaller by about the batch's size, and would depend on it. The loss is the model's own: the
/// cross-entropy of the true label, or the squared error of what is predicted, each
/// picture at one time and with one noise drawn from `seed` and its place, without guidance.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn diagonal(
    subject: &Subject,
    weights: &Weights,
    items: &[usize],
    seed: u64,
    job: &mut JobContext,
) -> Result<Vec<Tensor<1>>> {
    let mut sum = Vec::new();
    let mut pace = Pace::start();
    let times = subject.settings().scoring.times;
    job.phase("Fisher information", items.len());
    for (i, some) in items.chunks(PART).enumerate() {
        let mut rng = rng::seeded(seed, &format!("fisher {i}"));
        let size = shards::size(weights, some.len());
        let parts = PlainBatch::of(subject, some, &mut rng).split(size);
        let each = parts.into_iter().map(|part| part.split(1)).collect();
        let more =
            shards::squares(weights, each, |pass, item| PlainBatch::loss(pass, item) * times);
        pace.step(&more[0]).await?;
        sum = plus(sum, more);
        job.advance(some.len()).await?;
    }
    let share = 1.0 / items.len().max(1) as f32;
    Ok(sum.into_iter().map(|s| s * share).collect())
}

/// F_forget / (F_retain + eps) of every weight. Where both vanish it is 0.
pub fn ratio(forget: &[f32], retain: &[f32]) -> Vec<f32> {
    forget.iter().zip(retain).map(|(f, r)| (f / (r + EPS)).min(f32::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_of_the_ratio() {
        let found = ratio(&[4e-6, 0.0, 1e-3, 0.0], &[1e-6, 2e-6, 0.0, 0.0]);
        let expected = [4.0, 0.0, 1e12, 0.0];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-6 * expected, "{found} {expected}");
        }
        assert!(ratio(&[1e30], &[0.0])[0].is_finite());
    }
}
