//! Items as they are, and a model's own losses of them: what every statistic of gradients is taken over.

use burn::tensor::Tensor;

use crate::data::Rng;
use crate::models::Pass;
use crate::subject::{Noisy, Pictured, ScoreSettings, Subject, Under};
use crate::train::{cross_entropy, mse};

/// Items of a subject, neither varied nor redirected.
pub enum PlainBatch<'a> {
    /// A classifier's, [n, c, h, w], and their labels.
    Pictures(&'a Pictured, Box<Tensor<4>>, Vec<usize>),
    /// A diffusion model's, each with noise at one time.
    Noise(Box<dyn Noisy + 'a>),
}

impl<'a> PlainBatch<'a> {
    /// These items of a subject.
    pub fn of(subject: &'a Subject, items: &[usize], rng: &mut Rng) -> Self {
        match subject {
            Subject::Classifier(of) => {
                let x = Box::new(of.plain(items, rng));
                Self::Pictures(of, x, of.data.train.labels(items))
            }
            Subject::Diffusion(of) => Self::Noise(of.plain(items, rng)),
        }
    }

    /// How many items there are.
    pub fn n(&self) -> usize {
        match self {
            Self::Pictures(_, _, labels) => labels.len(),
            Self::Noise(batch) => batch.n(),
        }
    }

    /// The same items, `size` at a time.
    pub fn split(self, size: usize) -> Vec<Self> {
        match self {
            Self::Pictures(of, x, labels) => {
                let parts = x.split(size, 0).into_iter().zip(labels.chunks(size));
                parts.map(|(x, labels)| Self::Pictures(of, Box::new(x), labels.to_vec())).collect()
            }
            Self::Noise(batch) => batch.split(size).into_iter().map(Self::Noise).collect(),
        }
    }

    /// The mean loss: cross-entropy of the labels, or the squared error of what is predicted, without
    /// guidance.
    pub fn loss(pass: &Pass, batch: Self) -> Tensor<1> {
        match batch {
            Self::Pictures(of, x, labels) => cross_entropy(of.net.forward(pass, *x), &labels),
            Self::Noise(batch) => mse(batch.predict(pass, Under::Own), batch.target()),
        }
    }

    /// The part of these items in the loss that saliency is the gradient of, `whole` items together:
    /// the sum of a classifier's losses, or the mean of a diffusion model's guided errors.
    pub fn scored(self, pass: &Pass, how: &ScoreSettings, whole: usize) -> Tensor<1> {
        let n = self.n() as f32;
        match self {
            Self::Pictures(..) => Self::loss(pass, self) * n,
            Self::Noise(batch) => {
                let share = (how.times * n) / whole as f32;
                mse(batch.guided(pass, how.guidance), batch.target()) * share
            }
        }
    }
}
