//! Which concept and which style a picture shows, as a classifier of emoji sees it.

use burn::tensor::{Device, Tensor};

use super::classify::{percent, top};
use crate::data::corpus::{Corpus, Pair};
use crate::error::{Error, Result};
use crate::gpu::tensor4;
use crate::models::weights::read;
use crate::models::{Classifier, Mode, Model, Pass, Weights};

/// The judge looks at pictures this much smaller.
pub const SHRINK: usize = 2;

/// What a picture shows, each with its probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    pub concept: (usize, f32),
    pub style: (usize, f32),
}

/// A classifier whose first outputs are concepts and whose last are styles.
pub struct EmojiJudge<'a> {
    net: &'a dyn Classifier,
    weights: Weights,
    concepts: usize,
}

impl<'a> EmojiJudge<'a> {
    /// The judge of a corpus.
    ///
    /// # Errors
    /// The model is not a classifier of this corpus's concepts and styles.
    pub fn new(model: &'a Model, corpus: &Corpus, device: &Device) -> Result<Self> {
        let wrong = || Error::file(&model.card.name, "is not a classifier of these emoji");
        let net = model.classifier().ok_or_else(wrong)?;
        let [channels, _] = model.card.architecture.channels_and_classes();
        if model.card.classes != corpus.classes() || channels != 3 {
            return Err(wrong());
        }
        Ok(Self {
            net,
            weights: model.weights.upload(device),
            concepts: corpus.index.concepts.len(),
        })
    }

    /// What each picture shows. `values` are 3 · side · side in [0, 1] a picture.
    ///
    /// # Errors
    /// The device failed.
    pub async fn look(&self, values: &[f32], side: usize) -> Result<Vec<Seen>> {
        const BATCH: usize = 64;
        let mut seen = Vec::new();
        for batch in values.chunks(BATCH * 3 * side * side) {
            let n = batch.len() / (3 * side * side);
            let x = tensor4(batch.to_vec(), [n, 3, side, side], &self.weights.device());
            let logits = self.net.forward(&Pass::new(&self.weights, Mode::Eval), shrink(x));
            let logits = read(logits).await?;
            seen.extend(logits.chunks_exact(self.net.classes()).map(|row| {
                let (concepts, styles) = row.split_at(self.concepts);
                Seen { concept: top(concepts), style: top(styles) }
            }));
        }
        Ok(seen)
    }
}

/// Averages of squares of pixels: [n, c, h, w] to [n, c, h / 2, w / 2].
pub fn shrink(x: Tensor<4>) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    let rows = x.reshape([n * c * (h / SHRINK), SHRINK, w]).mean_dim(1);
    let both = rows.reshape([n * c * (h / SHRINK) * (w / SHRINK), SHRINK]).mean_dim(1);
    both.reshape([n, c, h / SHRINK, w / SHRINK])
}

/// Shares of pictures in which the asked concept and the asked style are seen, in percent.
pub fn shares(asked: &[Pair], seen: &[Seen]) -> [f64; 2] {
    let both = || asked.iter().zip(seen);
    [
        percent(both().map(|(a, s)| a.concept == s.concept.0)),
        percent(both().map(|(a, s)| a.style == s.style.0)),
    ]
}
