//! In which pixels classifiers see the true class of pictures.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::embed::small;
use super::{Beside, classifier};
use crate::engine::{Grid, Work};
use crate::error::{Error, Result, ensure};
use crate::eval::{Evaluator, Outputs, Shown};
use crate::words::Attribution;

/// Pictures that are looked into together, at the most.
const MOST: usize = 16;

/// Pictures of the training set, and what matters in them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attributed {
    pub items: Vec<usize>,
    pub labels: Vec<usize>,
    pub way: Attribution,
    /// One row of pictures, small ones.
    pub pictures: Arc<Grid>,
    /// Height and width of a picture, and of its map.
    pub side: [usize; 2],
    /// Of the original, of what a run and its control ended with, of Retrain.
    pub maps: [Option<PixelMaps>; 4],
}

/// How much each pixel matters to a classifier, and what it sees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PixelMaps {
    /// [n, h, w], not below 0: of the logarithm of the true class's probability, for each unit of a pixel.
    #[serde(with = "crate::wire::numbers")]
    pub values: Vec<f32>,
    /// The class that is seen, and its probability.
    pub seen: Vec<(usize, f32)>,
    /// The true class's probability.
    pub truth: Vec<f32>,
}

impl Work<'_> {
    /// [`super::Inspection::Attribute`].
    ///
    /// # Errors
    /// What is wrong with the request, a model is no classifier; cancelled, or the device failed.
    pub async fn attribute(
        &mut self,
        of: Beside,
        items: Vec<usize>,
        way: Attribution,
    ) -> Result<Attributed> {
        let seed = of.recipe.seed;
        let ground = self.ground(of).await?;
        let train = &ground.data.train;
        let fits = items.len() <= MOST && items.iter().all(|item| *item < train.len());
        let right = || format!("{MOST} pictures of the training set at the most");
        ensure(fits, || Error::argument("items", items.len(), right()))?;
        let labels = train.labels(&items);
        let mut maps = [const { None }; 4];
        self.job.phase(way.about()[0], ground.models().count() * 2 * items.len());
        for (place, model) in ground.models() {
            let weights = model.weights.upload(&self.session.device);
            let asked = Evaluator { net: classifier(model)?, weights: &weights };
            let shown = Shown(train, &items);
            let answers = Outputs::of(&asked, shown, self.job).await?;
            let values = asked.attribute(shown, &labels, way, seed, self.job).await?;
            let seen = (0..answers.len()).map(|i| answers.top(i)).collect();
            maps[place] = Some(PixelMaps { values, seen, truth: answers.confidences() });
        }
        let pictures = Arc::new(small(train, &items));
        let side = [train.shape.height, train.shape.width];
        Ok(Attributed { items, labels, way, pictures, side, maps })
    }
}
