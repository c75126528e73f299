//! Accuracies of a classifier (docs/methods.md#metrics): evaluation mode, no augmentation.

use burn::tensor::Tensor;

use super::{Answers, Features, Outputs, mia};
use crate::data::{Dataset, ForgetSet, Pictures, rng};
use crate::error::Result;
use crate::gpu::tensor4;
use crate::job_context::JobContext;
use crate::models::weights::read;
use crate::models::{Classifier, Mode, Pass, Weights};
use crate::words::{Extent, Metrics};

/// Pictures in one forward pass.
pub const BATCH: usize = 256;

/// Pictures that a classifier is shown: these items of a set.
#[derive(Clone, Copy)]
pub struct Shown<'a>(pub &'a Pictures, pub &'a [usize]);

/// A classifier in evaluation mode, and its weights on the device.
#[derive(Clone, Copy)]
pub struct Evaluator<'a> {
    pub net: &'a dyn Classifier,
    pub weights: &'a Weights,
}

impl Evaluator<'_> {
    /// Pictures on the device, as they are. [n, c, h, w].
    pub fn batch(&self, Shown(data, items): Shown<'_>) -> Tensor<4> {
        let s = data.shape;
        let shape = [items.len(), s.channels, s.height, s.width];
        tensor4(data.unit(items), shape, &self.weights.device())
    }

    /// What `make` makes of pictures: of each kind of rows [n, width] the rows of all.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn rows(
        &self,
        Shown(data, items): Shown<'_>,
        make: impl Fn(&Pass, Tensor<4>) -> Vec<Tensor<2>>,
        job: &mut JobContext,
    ) -> Result<Vec<Features>> {
        let mut all = Vec::new();
        for batch in items.chunks(BATCH) {
            let made = make(&Pass::new(self.weights, Mode::Eval), self.batch(Shown(data, batch)));
            all.resize_with(made.len(), Features::default);
            for (all, rows) in all.iter_mut().zip(made) {
                all.append(rows).await?;
            }
            job.advance(batch.len()).await?;
        }
        Ok(all)
    }

    /// The penultimate features of pictures.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn features(&self, of: Shown<'_>, job: &mut JobContext) -> Result<Features> {
        let make = |pass: &Pass, x| vec![self.net.features(pass, x)];
        Ok(self.rows(of, make, job).await?.pop().unwrap_or_default())
    }

    /// The logits of pictures, row by row. [n, classes].
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn logits(&self, of: Shown<'_>, job: &mut JobContext) -> Result<Vec<f32>> {
        let make = |pass: &Pass, x| vec![self.net.forward(pass, x)];
        Ok(self.rows(of, make, job).await?.pop().unwrap_or_default().values)
    }

    /// The class that is seen in each picture, and its probability.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn predict(&self, of: Shown<'_>, job: &mut JobContext) -> Result<Vec<(usize, f32)>> {
        let values = self.logits(of, job).await?;
        Ok(values.chunks_exact(self.net.classes()).map(top).collect())
    }

    /// The share of pictures whose class is seen, in percent.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn accuracy(&self, of: Shown<'_>, job: &mut JobContext) -> Result<f64> {
        let (seen, Shown(data, items)) = (self.predict(of, job).await?, of);
        Ok(percent(seen.iter().zip(items).map(|((class, _), &i)| data.is_of(i, *class))))
    }

    /// The class that is seen in each picture of `x` [n, c, h, w], and its probability.
    ///
    /// # Errors
    /// The device failed.
    pub async fn look(&self, x: Tensor<4>) -> Result<Vec<(usize, f32)>> {
        let logits = read(self.net.forward(&Pass::new(self.weights, Mode::Eval), x)).await?;
        Ok(logits.chunks_exact(self.net.classes()).map(top).collect())
    }

    /// The cross-entropy of each picture's own label.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn losses(&self, of: Shown<'_>, job: &mut JobContext) -> Result<Vec<f32>> {
        let values = self.logits(of, job).await?;
        let rows = values.chunks_exact(self.net.classes()).zip(of.0.labels(of.1));
        let loss = |(row, label): (&[f32], usize)| {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            row.iter().map(|v| (v - most).exp()).sum::<f32>().ln() + most - row[label]
        };
        Ok(rows.map(loss).collect())
    }

    /// What the classifier says of a part of the forget, retain and test set; after every round `told` hears the
    /// accuracies so far.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn answers(
        &self,
        data: &Dataset,
        set: &ForgetSet,
        extent: &Extent,
        job: &mut JobContext,
        told: &mut dyn FnMut(&Metrics),
    ) -> Result<Answers> {
        let test: Vec<usize> = (0..data.test.len()).collect();
        let sets = [
            (&data.train, order(&set.forget, "measure forget")),
            (&data.train, order(&set.retain, "measure retain")),
            (&data.test, order(&test, "measure test")),
        ];
        let extent = extent.within(sets.each_ref().map(|(_, items)| items.len()));
        job.phase("Evaluating", extent.most.iter().sum());
        let mut answers = <[Outputs; 3]>::default();
        let mut n = extent.first();
        loop {
            for (part, ((pictures, items), n)) in answers.iter_mut().zip(sets.iter().zip(n)) {
                let mut items = items[part.len()..n].to_vec();
                items.sort_unstable();
                part.append(Outputs::of(self, Shown(pictures, &items), job).await?);
            }
            let seen = accuracies(answers.each_ref(), set);
            told(&seen);
            match extent.next(n, &seen.intervals) {
                Some(more) => n = more,
                None => break,
            }
        }
        let [forget, retain, test] = answers.map(|part| part.sorted());
        Ok(Answers { forget, retain, test })
    }
}

/// The largest logit's class and its softmax probability.
pub fn top(logits: &[f32]) -> (usize, f32) {
    let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0);
    let sum: f32 = logits.iter().map(|v| (v - logits[best]).exp()).sum();
    (best, 1.0 / sum)
}

/// At most `most` of the items, ascending: the same for every model and every run.
pub fn part(items: &[usize], most: usize, purpose: &str) -> Vec<usize> {
    let mut chosen = order(items, purpose);
    chosen.truncate(most);
    chosen.sort_unstable();
    chosen
}

/// The items in the order that they are measured in.
fn order(items: &[usize], purpose: &str) -> Vec<usize> {
    let order = rng::shuffled(&mut rng::seeded(0, purpose), items.len());
    order.into_iter().map(|j| items[j]).collect()
}

/// UA on the forget set, RA on the retain set, TA on the test set, of which a forgotten class is left out.
fn accuracies([forget, retain, test]: [&Outputs; 3], set: &ForgetSet) -> Metrics {
    let kept = test.select(|i| !set.absent(test.labels[i]));
    let share = |o: &Outputs| percent((0..o.len()).map(|i| o.right(i)));
    let metrics = Metrics {
        UA: 100.0 - share(forget),
        RA: share(retain),
        TA: share(&kept),
        n: [forget.len(), retain.len(), kept.len()],
        ..Metrics::default()
    };
    metrics.with_intervals()
}

/// The accuracies, and the paper's membership inference attack. `per_class` is the test accuracy of every
/// class.
pub fn metrics(answers: &Answers, set: &ForgetSet) -> Metrics {
    let Answers { forget, retain, test } = answers;
    let share = |o: &Outputs| percent((0..o.len()).map(|i| o.right(i)));
    let of_class = |c: usize| share(&test.select(|i| test.labels[i] == c));
    let attack = mia::attack(answers, |label| set.absent(label));
    Metrics {
        MIA: attack.map(|a| a.score),
        MIA_n: attack.map_or([0; 2], |a| a.n),
        per_class: (0..test.classes).map(of_class).collect(),
        confusion: test.confusion(),
        more: super::metric::more(answers),
        ..accuracies([forget, retain, test], set)
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
