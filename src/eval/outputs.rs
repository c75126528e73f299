//! What a classifier says of the items of an evaluation: computed once, read by every metric.

use super::{Evaluator, Shown};
use crate::error::Result;
use crate::job_context::JobContext;

/// The softmax probabilities of some items.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    /// Indices into the pictures, ascending.
    pub items: Vec<usize>,
    pub labels: Vec<usize>,
    /// The class of each item's largest logit.
    pub seen: Vec<usize>,
    /// [n, classes], row by row.
    pub probabilities: Vec<f32>,
    pub classes: usize,
}

/// A model's outputs on the three sets that it is measured on, in dataset order.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    pub forget: Outputs,
    pub retain: Outputs,
    pub test: Outputs,
}

impl Outputs {
    /// Bytes of main memory.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.probabilities[..]) + 3 * size_of_val(&self.items[..])
    }

    /// Runs a classifier in evaluation mode over pictures.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn of(model: &Evaluator<'_>, of: Shown<'_>, job: &mut JobContext) -> Result<Self> {
        let values = model.logits(of, job).await?;
        Ok(Self::from_logits(values, model.net.classes(), of))
    }

    /// Of the logits of pictures, [n, classes] row by row.
    pub fn from_logits(
        mut values: Vec<f32>,
        classes: usize,
        Shown(data, items): Shown<'_>,
    ) -> Self {
        let seen = values.chunks_exact_mut(classes).map(softmax).collect();
        let (labels, items) = (data.labels(items), items.to_vec());
        Self { labels, items, seen, probabilities: values, classes }
    }

    /// How many items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The probabilities of item `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.probabilities[i * self.classes..][..self.classes]
    }

    /// The class that is seen in item `i`, and its probability.
    pub fn top(&self, i: usize) -> (usize, f32) {
        (self.seen[i], self.row(i)[self.seen[i]])
    }

    /// The probability of item `i`'s true class.
    pub fn confidence(&self, i: usize) -> f32 {
        self.row(i)[self.labels[i]]
    }

    /// Every item's [`Outputs::confidence`].
    pub fn confidences(&self) -> Vec<f32> {
        (0..self.len()).map(|i| self.confidence(i)).collect()
    }

    /// Whether item `i`'s class is seen.
    pub fn right(&self, i: usize) -> bool {
        self.seen[i] == self.labels[i]
    }

    /// The items that `keep` accepts by their place in this list.
    pub fn select(&self, keep: impl Fn(usize) -> bool) -> Self {
        self.chosen(&(0..self.len()).filter(|&i| keep(i)).collect::<Vec<_>>())
    }

    /// These, by their places in this list.
    fn chosen(&self, chosen: &[usize]) -> Self {
        let of = |values: &[usize]| chosen.iter().map(|&i| values[i]).collect();
        Self {
            items: of(&self.items),
            labels: of(&self.labels),
            seen: of(&self.seen),
            probabilities: chosen.iter().flat_map(|&i| self.row(i)).copied().collect(),
            classes: self.classes,
        }
    }

    /// Adds items behind these.
    pub fn append(&mut self, others: Self) {
        self.items.extend(others.items);
        self.labels.extend(others.labels);
        self.seen.extend(others.seen);
        self.probabilities.extend(others.probabilities);
        self.classes = others.classes;
    }

    /// The same in the order of their indices.
    pub fn sorted(&self) -> Self {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|&i| self.items[i]);
        self.chosen(&order)
    }

    /// The first `n` items.
    pub fn first(&self, n: usize) -> Self {
        self.select(|i| i < n)
    }

    /// Items of each true class (row) by the class that is seen (column).
    pub fn confusion(&self) -> Vec<Vec<usize>> {
        let mut counts = vec![vec![0; self.classes]; self.classes];
        for (&label, &seen) in self.labels.iter().zip(&self.seen) {
            counts[label][seen] += 1;
        }
        counts
    }
}

/// Logits to probabilities, in place; returns the largest one's place.
fn softmax(logits: &mut [f32]) -> usize {
    let (best, _) = super::classify::top(logits);
    let most = logits[best];
    let mut sum = 0.0;
    for v in logits.iter_mut() {
        *v = (*v - most).exp();
        sum += *v;
    }
    for v in logits {
        *v /= sum;
    }
    best
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Outputs with these rows of probabilities.
    pub fn outputs(labels: &[usize], rows: &[&[f32]]) -> Outputs {
        let classes = rows.first().map_or(0, |r| r.len());
        let mut probabilities: Vec<f32> = rows.concat();
        let seen = rows.iter().map(|r| super::super::classify::top(r).0).collect();
        let items = (0..labels.len()).collect();
        probabilities.truncate(labels.len() * classes);
        Outputs { items, labels: labels.to_vec(), seen, probabilities, classes }
    }

    #[test]
    fn probabilities_sum_to_one_whatever_the_logits_are() {
        let mut row = [1000.0, 998.0, -1000.0];
        assert_eq!(softmax(&mut row), 0);
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6 && row[2] == 0.0);
        assert!((row[0] - 0.880_797).abs() < 1e-6);
    }

    #[test]
    fn the_rows_of_a_confusion_matrix_sum_to_the_items_of_the_class() {
        let o = outputs(
            &[0, 0, 1, 2],
            &[&[0.9, 0.1, 0.0], &[0.1, 0.9, 0.0], &[0.2, 0.7, 0.1], &[1.0, 0.0, 0.0]],
        );
        let confusion = o.confusion();
        assert_eq!(confusion, [[1, 1, 0], [0, 1, 0], [1, 0, 0]]);
        assert_eq!(confusion.iter().map(|row| row.iter().sum()).collect::<Vec<usize>>(), [2, 1, 1]);
        assert_eq!(o.confidences(), [0.9, 0.1, 0.7, 0.0]);
        assert_eq!(o.select(|i| i > 1).labels, [1, 2]);
    }
}
