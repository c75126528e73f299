//! Looks into a model that change nothing: its weights, what another request would score, where a classifier
//! sees pictures and in which of their pixels.

mod embed;
mod pixels;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use embed::{Embedding, Projection};
pub use pixels::{Attributed, PixelMaps};

use super::{Setting, Work};
use crate::data;
use crate::data::{Dataset, ForgetSet, Split};
use crate::error::{Error, Result};
use crate::models::{AnyModel, Classifier, Model, WeightEntry};
use crate::saliency::Scores;
use crate::words::{Attribution, Recipe};

/// Weights of a layer that are handed over, at the most.
const MOST: usize = 1 << 24;

/// What is looked into.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Inspection {
    /// The scores of a request, to be held beside those of another.
    Scores(Recipe),
    /// The weights of one of a model's parameters, by its place in the layout.
    Weights { model: String, layer: usize },
    /// Where a classifier sees pictures of its training set: a map of its features.
    Embed(Beside),
    /// In which pixels it sees the true class of some of them.
    Attribute { of: Beside, items: Vec<usize>, way: Attribution },
}

/// A recipe's classifier, and those that stand beside it: what a run and its control ended with, and
/// Retrain, for which the shipped twin will do. The forget set may be empty.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Beside {
    pub recipe: Recipe,
    pub models: [Option<Arc<Model>>; 3],
}

/// What was seen.
#[derive(Debug, Clone, strum::EnumTryAs, Serialize, Deserialize)]
pub enum Inspected {
    Scores(Arc<Scores>),
    Weights(Arc<LayerWeights>),
    Embedded(Arc<Embedding>),
    Attributed(Arc<Attributed>),
}

/// The weights of one layer of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerWeights {
    pub model: String,
    pub layer: usize,
    pub entry: WeightEntry,
    #[serde(with = "crate::wire::numbers")]
    pub values: Vec<f32>,
}

/// The classifiers that are looked into, the recipe's own first, and the data that they are shown.
struct Ground {
    models: [Option<Arc<Model>>; 4],
    data: Arc<Dataset>,
    split: Split,
    set: Option<ForgetSet>,
}

impl Ground {
    /// The models that there are, each with its place.
    fn models(&self) -> impl Iterator<Item = (usize, &Arc<Model>)> {
        self.models.iter().enumerate().filter_map(|(place, model)| Some((place, model.as_ref()?)))
    }
}

impl Work<'_> {
    /// Looks into a model.
    ///
    /// # Errors
    /// What is wrong with the request, the model is no classifier; cancelled, or the device failed.
    pub async fn inspect(&mut self, asked: Inspection) -> Result<Inspected> {
        Ok(match asked {
            Inspection::Scores(recipe) => {
                let mut request = self.resolve(&recipe).await?;
                self.prepare(&mut request).await?;
                Inspected::Scores(self.rank(&request, false).await?)
            }
            Inspection::Weights { model, layer } => {
                Inspected::Weights(self.layer_weights(model, layer)?.into())
            }
            Inspection::Embed(of) => Inspected::Embedded(self.embed(of).await?.into()),
            Inspection::Attribute { of, items, way } => {
                Inspected::Attributed(self.attribute(of, items, way).await?.into())
            }
        })
    }

    /// The weights of one parameter.
    fn layer_weights(&mut self, model: String, layer: usize) -> Result<LayerWeights> {
        let any = match self.session.is_latent(&model) {
            true => AnyModel::Latent(self.session.latent(&model)?),
            false => AnyModel::Plain(self.session.model(&model)?),
        };
        let weights = any.weights();
        let wrong = |right: String| Error::argument("layer", layer, right);
        let n = weights.layout.params.len();
        let entry = weights.layout.params.get(layer);
        let entry = entry.ok_or_else(|| wrong(format!("{model} has layers 0 to {}", n - 1)))?;
        if entry.n() > MOST {
            return Err(wrong(format!("{MOST} weights are shown at the most")));
        }
        let values = weights.values[entry.range()].to_vec();
        Ok(LayerWeights { model, layer, entry: entry.clone(), values })
    }

    /// What a look at pictures needs.
    async fn ground(&mut self, Beside { recipe, models }: Beside) -> Result<Ground> {
        let before = self.start(&recipe).await?;
        let (model, data, split, set, shipped) = match recipe.forget.is_empty() {
            true => {
                let data = data::open(&recipe.data)?;
                let (model, data) = self.fitted(before, data, &recipe)?;
                let split = data.split(model.card.split_seed);
                (model, data, split, None, None)
            }
            false => {
                let of = self.setting_of(before, &recipe).await?;
                let shipped = super::session::twin(&of).map(|twin| twin.open()).transpose()?;
                let Setting { model, data, split, set, .. } = of;
                (model, data, split, Some(set), shipped)
            }
        };
        let mut all = [Some(model), None, None, None];
        for (place, other) in all[1..].iter_mut().zip(models) {
            *place = other.map(|other| self.settled(other, &data, &recipe));
        }
        all[3] = all[3].take().or(shipped.map(Arc::new));
        for model in all.iter().flatten() {
            classifier(model)?;
        }
        Ok(Ground { models: all, data, split, set })
    }
}

fn classifier(model: &Model) -> Result<&dyn Classifier> {
    let refused = || {
        let right = "a classifier is needed to see where it looks";
        Error::argument("model", &model.card.name, right)
    };
    model.classifier().ok_or_else(refused)
}
