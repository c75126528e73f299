//! Accuracies of a classifier (ALGORITHMS 7.1): evaluation mode, no augmentation.

use burn::tensor::Device;

use crate::{
    data::{Dataset, Pictures, forget::ForgetSet, rng},
    error::Result,
    models::{
        classifier::Classifier,
        layers::{Mode, Pass},
        weights::{Weights, read},
    },
    monitor::Monitor,
    run::{budget::Budget, report::Metrics},
    train::losses::{Augment, pictures},
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
    monitor: &mut Monitor,
) -> Result<Vec<(usize, f32)>> {
    let mut seen = Vec::with_capacity(indices.len());
    for batch in indices.chunks(BATCH) {
        let pass = Pass::new(weights, Mode::Eval);
        // Evaluation draws nothing at random.
        let x = pictures(data, batch, Augment::None, &mut rng::seeded(0, "none"), device);
        let logits = net.forward(&pass, x);
        let classes = logits.dims()[1];
        let values = read(logits).await?;
        seen.extend(values.chunks_exact(classes).map(top));
        monitor.advance(batch.len()).await?;
    }
    Ok(seen)
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
    monitor: &mut Monitor,
) -> Result<Vec<f32>> {
    let mut losses = Vec::with_capacity(indices.len());
    for batch in indices.chunks(BATCH) {
        let x = pictures(data, batch, Augment::None, &mut rng::seeded(0, "none"), device);
        let logits = net.forward(&Pass::new(weights, Mode::Eval), x);
        let classes = logits.dims()[1];
        let values = read(logits).await?;
        let rows = values.chunks_exact(classes).zip(data.labels(batch));
        losses.extend(rows.map(|(row, label)| {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            row.iter().map(|v| (v - most).exp()).sum::<f32>().ln() + most - row[label]
        }));
        monitor.advance(batch.len()).await?;
    }
    Ok(losses)
}

/// The largest logit's class and its softmax probability.
pub fn top(logits: &[f32]) -> (usize, f32) {
    let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0);
    let sum: f32 = logits.iter().map(|v| (v - logits[best]).exp()).sum();
    (best, 1.0 / sum)
}

/// UA on the forget set, RA on the retain set, TA on the test set; a forgotten class is left out
/// of TA. `per_class` is the test accuracy of every class.
///
/// # Errors
/// Cancelled, or the device failed.
pub async fn measure(
    net: &dyn Classifier,
    weights: &Weights,
    data: &Dataset,
    set: &ForgetSet,
    budget: Budget,
    device: &Device,
    monitor: &mut Monitor,
) -> Result<Metrics> {
    let some = |items: Vec<usize>, most: usize, purpose: &str| -> Vec<usize> {
        if items.len() <= most {
            return items;
        }
        // The same pictures for every model and every run.
        let order = rng::shuffled(&mut rng::seeded(0, purpose), items.len());
        order[..most].iter().map(|&j| items[j]).collect()
    };
    let most = budget.sizes().measured;
    let forget = some(set.forget.clone(), most[0], "measure forget");
    let retain = some(set.retain.clone(), most[1], "measure retain");
    let test = some((0..data.test.len()).collect(), most[2], "measure test");
    monitor.phase("Evaluating", forget.len() + retain.len() + test.len());
    let mut right = Vec::new();
    for (pixels, items) in [(&data.train, &forget), (&data.train, &retain), (&data.test, &test)] {
        let seen = predict(net, weights, pixels, items, device, monitor).await?;
        let labels = pixels.labels(items);
        right.push(seen.iter().zip(&labels).map(|((c, _), l)| c == l).collect::<Vec<bool>>());
    }
    let labels = data.test.labels(&test);
    let accuracy_of = |class: usize| {
        percent(right[2].iter().zip(&labels).filter(|(_, l)| **l == class).map(|(r, _)| *r))
    };
    let kept = || right[2].iter().zip(&labels).filter(|(_, l)| !set.absent(**l));
    Ok(Metrics {
        UA: 100.0 - percent(right[0].iter().copied()),
        RA: percent(right[1].iter().copied()),
        TA: percent(kept().map(|(r, _)| *r)),
        MIA: None,
        per_class: (0..data.classes.len()).map(accuracy_of).collect(),
        n: [forget.len(), retain.len(), kept().count()],
    })
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
