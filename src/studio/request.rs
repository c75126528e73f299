//! What the person asks for: the knobs of the left panel, and the recipe that follows from them.

use std::{collections::BTreeMap, sync::Arc};

use super::items;
use crate::data::class_index;
use crate::engine::Opened;
use crate::error::{Error, Result};
use crate::unlearn::registry;
use crate::unlearn::registry::METHODS;
use crate::words::{Budget, Estimator, Recipe, Redirect, Task};

/// What is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// A class, by its index.
    Class(usize),
    /// A share of the training items, in percent.
    Share(ShareKind, u32),
    /// Picked training items, by ascending index.
    Items(Arc<[usize]>),
    /// What a text-to-image model draws for these words.
    Prompt(String),
}

/// Which items a share is of, by the name of such a forget set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum ShareKind {
    Random,
    /// Those that the model finds hardest.
    Hardest,
    /// Those that the model finds easiest.
    Easiest,
}

/// The knobs.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub what: Option<Choice>,
    pub method: String,
    /// How the mask is chosen; the method's own way where absent.
    pub mask: Option<Estimator>,
    /// Share of weights that may change, 0..=1.
    pub density: f64,
    pub redirect: Redirect,
    pub seed: u64,
    pub budget: Budget,
    /// Updates; the method's own number where absent.
    pub steps: Option<usize>,
    pub batch: Option<usize>,
    /// Learning rate; the method's own where absent.
    pub lr: Option<f64>,
    /// The method's own knobs that are not at their defaults.
    pub knobs: BTreeMap<String, f64>,
}

impl Default for Request {
    fn default() -> Self {
        Self::of(&Recipe::new("", "", ""))
    }
}

impl Request {
    /// The forget set, `class:Sneaker` or `random:10%`.
    pub fn spec(&self, opened: &Opened) -> Option<String> {
        match self.what.as_ref()? {
            Choice::Class(class) => opened.classes.get(*class).map(|name| format!("class:{name}")),
            Choice::Share(kind, percent) => Some(format!("{kind}:{percent}%")),
            Choice::Items(items) => Some(items::spec(items)),
            Choice::Prompt(text) => Some(format!("prompt:{text}")),
        }
    }

    /// How the mask is chosen.
    pub fn estimator(&self) -> Estimator {
        let method = METHODS.iter().find(|m| m.name == self.method);
        if method.is_some_and(|m| !m.masked) {
            return Estimator::None;
        }
        self.mask.or(method.map(|m| m.mask)).unwrap_or(Estimator::AbsSumGrad)
    }

    /// Whether a mask limits what may change.
    pub fn masked(&self, task: Task) -> bool {
        let fits = registry::find(&self.method).is_ok_and(|m| m.fields(task).contains(&"mask"));
        fits && self.estimator() != Estimator::None
    }

    /// The recipe, once there is something to forget.
    pub fn recipe(&self, opened: &Opened) -> Option<Recipe> {
        let recipe = self.recipe_of(opened.model(), &opened.data, &self.spec(opened)?);
        Some(Recipe { after: opened.after.clone(), ..recipe }.fitting(opened.task))
    }

    /// The recipe for a model, a data set and a forget set.
    pub fn recipe_of(&self, model: &str, data: &str, forget: &str) -> Recipe {
        Recipe {
            method: self.method.clone(),
            mask: self.mask,
            density: self.density,
            redirect: self.redirect.clone(),
            seed: self.seed,
            budget: self.budget,
            steps: self.steps,
            batch: self.batch,
            lr: self.lr,
            knobs: self.own_knobs(),
            ..Recipe::new(model, data, forget)
        }
    }

    /// What a recipe asks for; what is to be forgotten is picked once the classes are known.
    pub fn of(recipe: &Recipe) -> Self {
        let Recipe {
            method, mask, density, redirect, seed, budget, steps, batch, lr, knobs, ..
        } = recipe.clone();
        Self { what: None, method, mask, density, redirect, seed, budget, steps, batch, lr, knobs }
    }

    /// The knobs that the method has: others were another method's.
    fn own_knobs(&self) -> BTreeMap<String, f64> {
        let Ok(method) = registry::find(&self.method) else { return BTreeMap::new() };
        let own =
            |name: &String, value: f64| method.knob(name).is_ok_and(|k| k.check(value).is_ok());
        self.knobs.iter().filter(|(k, v)| own(k, **v)).map(|(k, v)| (k.clone(), *v)).collect()
    }
}

impl Choice {
    /// The choice of a forget set.
    ///
    /// # Errors
    /// The class is unknown, or the studio has no control for such a set.
    pub fn parse(spec: &str, opened: &Opened) -> Result<Self> {
        let percent = |share: &str| {
            let percent = share.strip_suffix('%').and_then(|p| p.parse().ok());
            percent
                .filter(|percent| (1..=50).contains(percent))
                .ok_or_else(|| Error::argument("forget", spec, "a share of 1% to 50% is needed"))
        };
        let parts = opened.task.classifies();
        if opened.task.prompted() {
            return match spec.strip_prefix("prompt:").map(|text| text.trim_matches('"').trim()) {
                Some(text) if !text.is_empty() => Ok(Self::Prompt(text.into())),
                _ => Err(Error::argument("forget", spec, "prompt:\"a cat\" is needed")),
            };
        }
        match spec.split_once(':') {
            Some(("class", name)) => class_index(&opened.classes, name).map(Self::Class),
            Some(("items", list)) if parts => {
                items::parse(list).map(|items| Self::Items(items.into()))
            }
            Some((kind, share)) if parts && let Ok(kind) = kind.parse() => {
                percent(share).map(|percent| Self::Share(kind, percent))
            }
            _ => Err(Error::argument("forget", spec, "class:NAME, or a part of the classifier's")),
        }
    }
}
