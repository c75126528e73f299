//! How fast the forgotten comes back (docs/methods.md#metrics): a tenth of the forget set is learnt again at
//! a fixed learning rate, and the other nine tenths are asked for after each update.

use super::classify::part;
use super::{Evaluator, Setup, Shown};
use crate::data::rng;
use crate::error::Result;
use crate::job_context::JobContext;
use crate::models::Mode;
use crate::train::{Optimizer, Rule, cross_entropy, shards};
use crate::words::Relearn;

/// A tenth of what the paper unlearns with: Retrain, too, learns the class, and a larger rate makes
/// every curve jump at once.
const LR: f64 = 1e-3;
const BATCH: usize = 64;

/// Relearns from these weights, which stay as they are; every weight may change. Batch normalisation
/// keeps its running statistics: those of a batch of one class alone are nobody's.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn relearn(
    from: Evaluator<'_>,
    Setup { data, set, sizes, .. }: &Setup<'_>,
    job: &mut JobContext,
) -> Result<Option<Relearn>> {
    let tenth = part(&set.forget, (set.forget.len() / 10).max(1), "relearn");
    let rest: Vec<usize> =
        set.forget.iter().filter(|i| tenth.binary_search(i).is_err()).copied().collect();
    let held = part(&rest, sizes.held, "relearn held");
    if held.is_empty() {
        return Ok(None);
    }
    let mut weights = from.weights.clone();
    let mut optimizer = Optimizer::new(Rule::SGD, None);
    let mut accuracy = Vec::with_capacity(sizes.relearn + 1);
    job.phase("Relearning", (sizes.relearn + 1) * held.len());
    // The same batches for every model.
    let mut order = Vec::new();
    let mut rng = rng::seeded(0, "relearn order");
    loop {
        let now = Evaluator { weights: &weights, ..from };
        accuracy.push(now.accuracy(Shown(&data.train, &held), job).await?);
        if accuracy.len() > sizes.relearn {
            break;
        }
        while order.len() < BATCH.min(tenth.len()) {
            order.extend(rng::shuffled(&mut rng, tenth.len()).into_iter().map(|j| tenth[j]));
        }
        let batch: Vec<usize> = order.drain(..BATCH.min(tenth.len())).collect();
        let x = from.batch(Shown(&data.train, &batch));
        let size = shards::size(&weights, batch.len());
        let parts = x.split(size, 0).into_iter().zip(batch.chunks(size)).collect();
        let parts = (parts, size);
        let (_, gradients) = shards::gradients(&weights, Mode::Eval, parts, |pass, (x, items)| {
            let loss = cross_entropy(from.net.forward(pass, x), &data.train.labels(items));
            loss * (items.len() as f32 / batch.len() as f32)
        });
        optimizer.step(&mut weights, gradients, LR)?;
    }
    let area = area(&accuracy);
    Ok(Some(Relearn { lr: LR, batch: BATCH, n: [tenth.len(), held.len()], accuracy, area }))
}

/// Mean height of a curve of equal steps, by trapezoids.
fn area(curve: &[f64]) -> f64 {
    let steps = curve.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
    let n = curve.len().saturating_sub(1).max(1) as f64;
    steps.sum::<f64>() / n
}

#[cfg(test)]
mod tests {
    use super::area;

    #[test]
    fn the_area_is_the_mean_height() {
        assert_eq!(area(&[0.0, 100.0]), 50.0);
        assert_eq!(area(&[20.0; 7]), 20.0);
        assert_eq!(area(&[0.0, 50.0, 100.0, 100.0]), (25.0 + 75.0 + 100.0) / 3.0);
    }
}
