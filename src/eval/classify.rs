//! Accuracies of a classifier (docs/methods.md#metrics): evaluation mode, no augmentation.

use burn::tensor::Device;

use super::{
    mia,
    outputs::{Answers, Outputs},
};
use crate::{
    data::{Dataset, Pictures, forget::ForgetSet, rng},
    error::Result,
    job_context::JobContext,
    models::{
        classifier::Classifier,
        layers::{Mode, Pass},
        weights::{Weights, read},
    },
    train::losses::{Augment, pictures},
    words::{budget::Budget, report::Metrics},
};

/// Pictures in one forward pass.
const BATCH: usize = 250;

/// The class that the classifier sees in each picture, and its probability.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn predict(
    net: &dyn Classifier,
    weights: &Weights,
    data: &Pictures,
    indices: &[usize],
    device: &Device,
    job: &mut JobContext,
) -> Result<Vec<(usize, f32)>> {
    let values = logits(net, weights, data, indices, device, job).await?;
    Ok(values.chunks_exact(net.classes()).map(top).collect())
}

/// The logits of the pictures `indices`, row by row. [n, classes].
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn logits(
    net: &dyn Classifier,
    weights: &Weights,
    data: &Pictures,
    indices: &[usize],
    device: &Device,
    job: &mut JobContext,
) -> Result<Vec<f32>> {
    let mut values = Vec::with_capacity(indices.len() * net.classes());
    for batch in indices.chunks(BATCH) {
        let pass = Pass::new(weights, Mode::Eval);
        // Evaluation draws nothing at random.
        let x = pictures(data, batch, Augment::None, &mut rng::seeded(0, "none"), device);
        values.extend(read(net.forward(&pass, x)).await?);
        job.advance(batch.len()).await?;
    }
    Ok(values)
}

/// The cross-entropy of each picture's own label.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn losses(
    net: &dyn Classifier,
    weights: &Weights,
    data: &Pictures,
    indices: &[usize],
    device: &Device,
    job: &mut JobContext,
) -> Result<Vec<f32>> {
    let values = logits(net, weights, data, indices, device, job).await?;
    let rows = values.chunks_exact(net.classes()).zip(data.labels(indices));
    let loss = |(row, label): (&[f32], usize)| {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter().map(|v| (v - most).exp()).sum::<f32>().ln() + most - row[label]
    };
    Ok(rows.map(loss).collect())
}

/// The largest logit's class and its softmax probability.
pub fn top(logits: &[f32]) -> (usize, f32) {
    let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0);
    let sum: f32 = logits.iter().map(|v| (v - logits[best]).exp()).sum();
    (best, 1.0 / sum)
}

/// What the model says of the budget's part of the forget, retain and test set.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn answers(
    net: &dyn Classifier,
    weights: &Weights,
    data: &Dataset,
    set: &ForgetSet,
    budget: Budget,
    device: &Device,
    job: &mut JobContext,
) -> Result<Answers> {
    let most = budget.sizes().measured;
    let forget = part(&set.forget, most[0], "measure forget");
    let retain = part(&set.retain, most[1], "measure retain");
    let test = part(&(0..data.test.len()).collect::<Vec<_>>(), most[2], "measure test");
    job.phase("Evaluating", forget.len() + retain.len() + test.len());
    Ok(Answers {
        forget: Outputs::of(net, weights, &data.train, forget, device, job).await?,
        retain: Outputs::of(net, weights, &data.train, retain, device, job).await?,
        test: Outputs::of(net, weights, &data.test, test, device, job).await?,
    })
}

/// At most `most` of the items, in their order: the same for every model and every run.
pub fn part(items: &[usize], most: usize, purpose: &str) -> Vec<usize> {
    if items.len() <= most {
        return items.to_vec();
    }
    let mut chosen = rng::shuffled(&mut rng::seeded(0, purpose), items.len());
    chosen.truncate(most);
    chosen.sort_unstable();
    chosen.into_iter().map(|j| items[j]).collect()
}

/// UA on the forget set, RA on the retain set, TA on the test set, and the paper's membership
/// inference attack; a forgotten class is left out of TA. `per_class` is the test accuracy of every
/// class.
pub fn metrics(answers: &Answers, set: &ForgetSet) -> Metrics {
    let Answers { forget, retain, test } = answers;
    let share = |o: &Outputs| percent((0..o.len()).map(|i| o.right(i)));
    let of_class = |c: usize| share(&test.select(|i| test.labels[i] == c));
    let kept = test.select(|i| !set.absent(test.labels[i]));
    let attack = mia::attack(answers, |label| set.absent(label));
    Metrics {
        UA: 100.0 - share(forget),
        RA: share(retain),
        TA: share(&kept),
        MIA: attack.map(|a| a.score),
        MIA_n: attack.map_or([0; 2], |a| a.n),
        FD: None,
        per_class: (0..test.classes).map(of_class).collect(),
        confusion: test.confusion(),
        n: [forget.len(), retain.len(), kept.len()],
    }
}

/// Share of `true`, in percent; 0 of nothing.
pub fn percent(hits: impl Iterator<Item = bool>) -> f64 {
    let (mut n, mut yes) = (0usize, 0usize);
    for hit in hits {
        n += 1;
        yes += usize::from(hit);
    }
    100.0 * yes as f64 / n.max(1) as f64
}
