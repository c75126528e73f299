//! What a model and a data set say of each other: whether they belong together, and what has to be
//! assumed where one of them does not say.

use std::sync::Arc;

use super::{Asked, Setting, Work};
use crate::data::{Dataset, alike};
use crate::error::{Error, Result};
use crate::eval::{Evaluator, Shown};
use crate::models::{Card, Classifier, Model, registry, said};
use crate::words::{Fingerprint, Recipe, fingerprint};

/// Test pictures that a first look is taken at.
const LOOK: usize = 200;
/// Names of a list that are shown.
const SHOWN: usize = 12;

impl Work<'_> {
    /// The model and the data of a recipe as they fit each other: what the model does not say of itself is
    /// taken from the data, classes in another order are mapped by their names. What was assumed is noted.
    ///
    /// # Errors
    /// They do not belong together; both sides are named.
    pub fn fitted(
        &mut self,
        model: Arc<Model>,
        data: Arc<Dataset>,
        recipe: &Recipe,
    ) -> Result<(Arc<Model>, Arc<Dataset>)> {
        unchanged(recipe, data.fingerprint.as_ref())?;
        let model = self.sided(model, &data, recipe);
        shapes(&model, &data, recipe)?;
        let model = self.settled(model, &data, recipe);
        let data = self.ordered(&model.card, data, recipe)?;
        self.told_apart(&model.card, &data, recipe);
        Ok((model, data))
    }

    /// The model with what it does not say of itself taken from the data.
    pub fn settled(&mut self, model: Arc<Model>, data: &Dataset, recipe: &Recipe) -> Arc<Model> {
        self.hear_notes(&recipe.model, &model);
        let assumed = model.card.assumed;
        if assumed == Default::default() {
            return model;
        }
        let mut model = Model::clone(&model);
        let (file, of) = (&recipe.model, &recipe.data);
        if assumed.classes {
            let classes = bracketed(&data.classes, false);
            self.job.note(format!(
                "{file} does not say what its classes are; they are taken for those of {of} in their \
                 order{classes}; --classes says otherwise"
            ));
            model.card.classes = data.classes.clone();
            model.card.data = recipe.data.clone();
        }
        if assumed.normalisation && model.card.architecture.side().is_some() {
            self.job.note(format!(
                "{file} does not say how pixels are normalised; the mean and deviation of ImageNet are taken; \
                 --normalize says otherwise"
            ));
        } else if assumed.normalisation {
            let (mean, std) = data.statistics();
            self.job.note(format!(
                "{file} does not say how pixels are normalised; the mean {mean:?} and deviation {std:?} of \
                 {of} are taken; --normalize says otherwise (unit for pixels from 0 to 1)"
            ));
            model = said::normalised(model, (mean, std));
        }
        if let Some(groups) = model.unet().map(|net| net.config.groups).filter(|_| assumed.groups) {
            self.job.note(format!(
                "{file} does not say by how many groups it normalises; {groups} are taken, as in the official \
                 DDPM code; --groups says otherwise"
            ));
        }
        // It says so from now on.
        (model.card.assumed, model.card.notes) = Default::default();
        model.into()
    }

    /// Says what a person should know of how a model's file was read.
    pub fn hear_notes(&mut self, name: &str, model: &Model) {
        model.card.notes.iter().for_each(|note| self.job.note(format!("{name}: {note}")));
    }

    /// The model with the data's side, where it does not say how large its pictures are.
    fn sided(&mut self, model: Arc<Model>, data: &Dataset, recipe: &Recipe) -> Arc<Model> {
        let shape = data.train.shape;
        let other = model.unet().is_some_and(|net| net.config.resolution != shape.height);
        if !model.card.assumed.side || !other || shape.height != shape.width {
            return model;
        }
        // One that its levels cannot halve is refused with the others.
        let sided = said::sided(Model::clone(&model), shape.height);
        let Some(sided) = sided else { return model };
        let side = shape.height;
        self.job.note(format!(
            "{} does not say how large its pictures are; {side} x {side} is taken, as those of {} are; \
             --side says otherwise",
            recipe.model, recipe.data
        ));
        sided.into()
    }

    /// The data with its classes in the model's order.
    fn ordered(
        &mut self,
        card: &Card,
        data: Arc<Dataset>,
        recipe: &Recipe,
    ) -> Result<Arc<Dataset>> {
        let own = &card.classes[..card.classes.len() - further(card, &data)];
        if own == data.classes {
            return Ok(data);
        }
        let place = |name: &String| own.iter().position(|class| alike(class, name));
        let order: Option<Vec<usize>> = data.classes.iter().map(place).collect();
        let Some(order) = order.filter(|order| (0..own.len()).all(|class| order.contains(&class)))
        else {
            return Err(Error::Request(format!(
                "{} was trained on other classes than {} has: its classes are{}, the data's are{}",
                recipe.model,
                recipe.data,
                bracketed(own, false),
                bracketed(&data.classes, false)
            )));
        };
        if order.iter().enumerate().any(|(i, at)| i != *at) {
            self.job.note(format!(
                "the classes of {} have another order than those of {} and are mapped by their names",
                recipe.data, recipe.model
            ));
        }
        Ok(Arc::new(data.reordered(own.to_vec(), &order)))
    }

    /// Says where what a model was trained on may be among what it is tested on.
    fn told_apart(&mut self, card: &Card, data: &Dataset, recipe: &Recipe) {
        let Some(now) = &data.fingerprint else { return };
        let Recipe { model, data, .. } = recipe;
        let why = match card.fingerprint.as_ref().map(|trained| trained.difference(now)) {
            Some(None) => return,
            Some(Some(what)) => format!("{data} has changed since {model} was trained: {what}"),
            None => format!("{model} does not say which pictures it was trained on"),
        };
        self.job.note(format!("{why}; some of them may be among those that it is tested on"));
    }

    /// Warns where a classifier of a person's own is little better than chance on the data.
    ///
    /// # Errors
    /// Cancelled, or the device failed.
    pub async fn first_look(&mut self, of: &Setting) -> Result<()> {
        let Setting { asked: Asked { recipe, .. }, model, data, .. } = of;
        let Some(net) = model.classifier() else { return Ok(()) };
        if registry::shipped(&recipe.model).is_some() || !recipe.after.is_empty() {
            return Ok(());
        }
        let (right, n) = self.right_on(net, model, data).await?;
        let chance = 100.0 / data.classes.len() as f64;
        if right < chance + (100.0 - chance) / 5.0 {
            self.job.note(format!(
                "{} is right on {right:.1} % of {n} test pictures of {}, and chance is {chance:.1} %: are its \
                 pixels normalised in another way (--normalize), its classes others or in another order \
                 (--classes), or was it not trained?",
                recipe.model, recipe.data
            ));
        }
        Ok(())
    }

    /// The accuracy of a classifier on a few test pictures, in percent, and how many they are.
    async fn right_on(
        &mut self,
        net: &dyn Classifier,
        model: &Model,
        data: &Dataset,
    ) -> Result<(f64, usize)> {
        let items = looked_at(data.test.len());
        let weights = model.weights.upload(&self.session.device);
        self.job.phase("Looking at the model", items.len());
        let asked = Evaluator { net, weights: &weights };
        Ok((asked.accuracy(Shown(&data.test, &items), self.job).await?, items.len()))
    }
}

/// Refuses data that is not what it was when a recipe was run.
///
/// # Errors
/// It has changed; how is said.
pub fn unchanged(recipe: &Recipe, now: Option<&Fingerprint>) -> Result<()> {
    let Some(what) = fingerprint::difference(recipe.fingerprint.as_ref(), now) else {
        return Ok(());
    };
    Err(Error::Request(format!(
        "{} is not what it was when the recipe was run: {what}; to run it on what is there now, take the \
         part [fingerprint] out of the recipe",
        recipe.data
    )))
}

/// The pictures of n that a first look is taken at.
pub fn looked_at(n: usize) -> Vec<usize> {
    (0..n.min(LOOK)).map(|i| i * n / n.min(LOOK)).collect()
}

/// Refuses channels, sizes and numbers of classes that do not fit.
fn shapes(model: &Model, data: &Dataset, recipe: &Recipe) -> Result<()> {
    let shape = data.train.shape;
    if let Some(side) = model.unet().map(|net| net.config.resolution)
        && [shape.height, shape.width] != [side; 2]
    {
        return Err(Error::Request(format!(
            "{} makes pictures of {side} x {side} pixels, {} has {} x {}",
            recipe.model, recipe.data, shape.width, shape.height
        )));
    }
    let [channels, classes] = model.card.architecture.channels_and_classes();
    if (channels, classes - further(&model.card, data)) != (shape.channels, data.classes.len()) {
        return Err(Error::Request(format!(
            "{} has {channels} channels and {classes} classes{}, {} has {} and {}{}",
            recipe.model,
            bracketed(&model.card.classes, model.card.assumed.classes),
            recipe.data,
            shape.channels,
            data.classes.len(),
            bracketed(&data.classes, false)
        )));
    }
    Ok(())
}

/// " (a, b, c)": names, the first few.
pub fn bracketed(names: &[String], unknown: bool) -> String {
    if unknown { String::new() } else { format!(" ({})", listed(names)) }
}

/// "a, b, c": names, the first few.
pub fn listed(names: &[String]) -> String {
    let more = if names.len() > SHOWN { ", \u{2026}" } else { "" };
    let first = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    format!("{first}{more}")
}

/// Classes that a model has beyond its data's: boundary expanding as released leaves one more.
fn further(card: &Card, data: &Dataset) -> usize {
    usize::from(!card.unlearned.is_empty() && card.classes.len() == data.classes.len() + 1)
}
