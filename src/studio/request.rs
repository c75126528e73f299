//! What the person asks for: the knobs of the left panel, and the recipe that follows from them.

use std::collections::BTreeMap;

use crate::{
    data::class_index,
    engine::job::Opened,
    error::{Error, Result},
    models::Task,
    run::recipe::{Budget, Recipe, Redirect},
    unlearn::registry,
};

/// What is to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// A class, by its index.
    Class(usize),
    /// A random share of the training items, in percent.
    Share(u32),
}

/// The knobs.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub what: Option<Choice>,
    pub method: String,
    /// Share of weights that may change, 0..=1.
    pub density: f64,
    pub redirect: Redirect,
    pub seed: u64,
    pub budget: Budget,
    /// Updates; the method's own number where absent.
    pub steps: Option<usize>,
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
        match self.what? {
            Choice::Class(class) => opened.classes.get(class).map(|name| format!("class:{name}")),
            Choice::Share(percent) => Some(format!("random:{percent}%")),
        }
    }

    /// The recipe, once there is something to forget.
    pub fn recipe(&self, opened: &Opened) -> Option<Recipe> {
        let recipe = self.recipe_of(opened.model(), &opened.data, &self.spec(opened)?);
        Some(Recipe { after: opened.after.clone(), ..recipe })
    }

    /// The recipe for a model, a data set and a forget set.
    pub fn recipe_of(&self, model: &str, data: &str, forget: &str) -> Recipe {
        Recipe {
            method: self.method.clone(),
            density: self.density,
            redirect: self.redirect.clone(),
            seed: self.seed,
            budget: self.budget,
            steps: self.steps,
            knobs: self.own_knobs(),
            ..Recipe::new(model, data, forget)
        }
    }

    /// What a recipe asks for; what is to be forgotten is picked once the classes are known.
    pub fn of(recipe: &Recipe) -> Self {
        let Recipe { method, density, redirect, seed, budget, steps, knobs, .. } = recipe.clone();
        Self { what: None, method, density, redirect, seed, budget, steps, knobs }
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
        let percent = |share: &str| share.strip_suffix('%')?.parse().ok();
        match spec.split_once(':') {
            Some(("class", name)) => class_index(&opened.classes, name).map(Self::Class),
            Some(("random", share)) if opened.task == Task::Classify => percent(share)
                .filter(|percent| (1..=50).contains(percent))
                .map(Self::Share)
                .ok_or_else(|| Error::argument("forget", spec, "random:1% to random:50%")),
            _ => Err(Error::argument("forget", spec, "class:NAME, or a share of the classifier's")),
        }
    }
}
