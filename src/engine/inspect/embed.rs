//! A map of pictures: the penultimate features of each along the two axes in which they differ most.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Beside, Ground, classifier};
use crate::data::{PictureShape, Pictures, rng};
use crate::engine::store::Kept;
use crate::engine::{Grid, Work};
use crate::error::Result;
use crate::eval::classify::part;
use crate::eval::{Evaluator, Features, Outputs, Pca, Shown, fitted, turned};
use crate::models::Model;

/// Pictures of all classes together, and of the forget set beyond those.
const SPREAD: usize = 1_500;
const FORGOTTEN: usize = 500;
/// Side of a picture's copy that is shown, in pixels, at the most.
const SIDE: usize = 32;

/// Pictures of the training set, and where classifiers see them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Embedding {
    /// Indices into the training set, ascending.
    pub items: Vec<usize>,
    pub labels: Vec<usize>,
    /// Whether each is in the forget set.
    pub forgotten: Vec<bool>,
    /// One row of pictures, small ones.
    pub pictures: Arc<Grid>,
    /// Of the original, of what a run and its control ended with, of Retrain.
    pub maps: [Option<Projection>; 4],
}

/// Where a classifier sees pictures, and what it takes them for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    /// Along the original's axes; nothing of a network that was trained anew, whose features are others.
    pub shared: Option<Vec<[f32; 2]>>,
    /// Along the axes that were fitted to its own features.
    pub own: Vec<[f32; 2]>,
    /// The share of its features' variance along both, from 0 to 1.
    pub held: [f64; 2],
    /// The class that is seen, and its probability.
    pub seen: Vec<(usize, f32)>,
    /// The true class's probability.
    pub truth: Vec<f32>,
    /// The Kullback-Leibler divergence of its answer from the original's, in bits.
    pub moved: Vec<f32>,
}

/// What a classifier makes of some pictures.
#[derive(Debug)]
struct Seen {
    features: Features,
    answers: Outputs,
}

impl Kept for Seen {
    fn bytes(&self) -> usize {
        size_of_val(&self.features.values[..]) + self.answers.bytes()
    }
}

impl Work<'_> {
    /// [`super::Inspection::Embed`].
    ///
    /// # Errors
    /// What is wrong with the request, a model is no classifier; cancelled, or the device failed.
    pub async fn embed(&mut self, of: Beside) -> Result<Embedding> {
        let seed = of.recipe.seed;
        let data = of.recipe.data.clone();
        let ground = self.ground(of).await?;
        let items = items(&ground, seed);
        let all: Vec<(usize, Arc<Model>)> =
            ground.models().map(|(place, model)| (place, model.clone())).collect();
        let mut seen = Vec::with_capacity(all.len());
        self.job.phase("Where it sees them", all.len() * items.len());
        for (place, model) in all {
            let key = (model.weights.hash(), &data, &items);
            let shown = Shown(&ground.data.train, &items);
            let found = self.once(&key, async |work| work.seen_at(&model, shown).await).await?;
            seen.push((place, found));
        }
        let mut maps = [const { None }; 4];
        let original = Original::new(seen[0].1.clone());
        for (place, seen) in seen {
            maps[place] = Some(original.beside(place, &seen));
        }
        let forgotten = ground.set.as_ref().map(|set| set.forget.iter().collect::<BTreeSet<_>>());
        let is_forgotten = |item| forgotten.as_ref().is_some_and(|set| set.contains(item));
        Ok(Embedding {
            labels: ground.data.train.labels(&items),
            forgotten: items.iter().map(is_forgotten).collect(),
            pictures: Arc::new(small(&ground.data.train, &items)),
            maps,
            items,
        })
    }

    async fn seen_at(&mut self, model: &Model, of: Shown<'_>) -> Result<Seen> {
        let net = classifier(model)?;
        let weights = model.weights.upload(&self.session.device);
        let asked = Evaluator { net, weights: &weights };
        let make = |pass: &crate::models::Pass, x| {
            let features = net.features(pass, x);
            vec![features.clone(), net.head(pass, features)]
        };
        let mut made = asked.rows(of, make, self.job).await?;
        let logits = made.pop().unwrap_or_default();
        let answers = Outputs::from_logits(logits.values, net.classes(), of);
        Ok(Seen { features: made.pop().unwrap_or_default(), answers })
    }
}

/// The pictures that are shown: as many of every class, and more of the forget set.
fn items(ground: &Ground, seed: u64) -> Vec<usize> {
    let classes = ground.data.classes.len().max(1);
    let labels = &ground.data.train.labels;
    let mut of: Vec<Vec<usize>> = vec![Vec::new(); classes];
    ground.split.train.iter().for_each(|&item| of[usize::from(labels[item])].push(item));
    let mut chosen = BTreeSet::new();
    for (class, items) in of.iter().enumerate() {
        let mut rng = rng::seeded(seed, &format!("embedding {class}"));
        let order = rng::shuffled(&mut rng, items.len());
        chosen.extend(order.into_iter().take((SPREAD / classes).max(1)).map(|at| items[at]));
    }
    if let Some(set) = &ground.set {
        chosen.extend(part(&set.forget, FORGOTTEN, "embedding forget"));
    }
    chosen.into_iter().collect()
}

/// What the original makes of the pictures, and where it sees them along its own axes.
struct Original {
    seen: Arc<Seen>,
    axes: Option<Pca>,
    points: Vec<[f32; 2]>,
}

impl Original {
    fn new(seen: Arc<Seen>) -> Self {
        let axes = Pca::fit(&seen.features);
        let points = axes.as_ref().map_or_else(Vec::new, |axes| axes.project(&seen.features));
        Self { seen, axes, points }
    }

    /// Where the classifier at a place sees the pictures; the original itself is at the first.
    fn beside(&self, place: usize, seen: &Seen) -> Projection {
        let (Seen { features, answers }, before) = (seen, &self.seen);
        let alike = place < 3 && features.width == before.features.width;
        let axes = self.axes.as_ref().filter(|_| alike);
        let anew = if place == 0 { None } else { Pca::fit(features) };
        let own = if place == 0 { self.axes.as_ref() } else { anew.as_ref() };
        let points = own.map_or_else(|| vec![[0.0; 2]; features.n], |axes| axes.project(features));
        Projection {
            own: turned(points, &self.points),
            held: [axes, own].map(|axes| axes.map_or(0.0, |axes| axes.held(features))),
            shared: axes.map(|axes| axes.project(features)),
            seen: (0..answers.len()).map(|i| answers.top(i)).collect(),
            truth: answers.confidences(),
            moved: (0..answers.len())
                .map(|i| divergence(before.answers.row(i), answers.row(i)))
                .collect(),
        }
    }
}

/// KL(p ‖ q) in bits; of a probability of 0, what single precision can tell from it.
fn divergence(p: &[f32], q: &[f32]) -> f32 {
    if p.len() != q.len() {
        return 0.0;
    }
    let term = |(&p, &q): (&f32, &f32)| match p > 0.0 {
        true => p * (p / q.max(f32::MIN_POSITIVE)).log2(),
        false => 0.0,
    };
    p.iter().zip(q).map(term).sum::<f32>().max(0.0)
}

/// Pictures in one row, none larger than [`SIDE`].
pub fn small(data: &Pictures, items: &[usize]) -> Grid {
    let PictureShape { channels, height, width } = data.shape;
    let largest = height.max(width);
    if largest <= SIDE {
        let pixels = items.iter().flat_map(|&i| data.picture(i)).copied().collect();
        return Grid::row_of(items.len(), channels, [height, width], pixels);
    }
    let tile = [height, width].map(|side| (side * SIDE / largest).max(1));
    let pixels = items.iter().flat_map(|&i| {
        let made = fitted(&data.unit(&[i]), data.shape.axes(), channels, tile);
        made.into_iter().map(|v| (v * 255.0).round() as u8)
    });
    Grid::row_of(items.len(), channels, tile, pixels.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_as_far_from_another_as_kullback_and_leibler_say() {
        assert_eq!(divergence(&[0.5, 0.5], &[0.5, 0.5]), 0.0);
        assert!((divergence(&[1.0, 0.0], &[0.25, 0.75]) - 2.0).abs() < 1e-6);
        // 0.75 · log2(0.75 / 0.5) + 0.25 · log2(0.25 / 0.5).
        assert!((divergence(&[0.75, 0.25], &[0.5, 0.5]) - 0.188_722).abs() < 1e-6);
        assert!(divergence(&[1.0, 0.0], &[0.0, 1.0]).is_finite());
    }

    #[test]
    fn large_pictures_are_shown_small_and_small_ones_as_they_are() {
        let shape = PictureShape { channels: 1, height: 64, width: 32 };
        let of =
            |shape: PictureShape| Pictures { pixels: vec![200; shape.n()], labels: vec![0], shape };
        let grid = small(&of(shape), &[0]);
        assert_eq!((grid.tile, grid.pixels.len()), ([32, 16], 512));
        assert!(grid.pixels.iter().all(|v| v.abs_diff(200) <= 1));
        let shape = PictureShape { height: 28, width: 28, ..shape };
        assert_eq!(small(&of(shape), &[0]).pixels, vec![200; 784]);
    }
}
