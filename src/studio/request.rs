//! What the person asks for: the knobs of the left panel, and the recipe that follows from them.

use crate::{
    engine::job::Opened,
    run::recipe::{Budget, Recipe, Redirect},
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
}

impl Default for Request {
    fn default() -> Self {
        let Recipe { method, density, redirect, seed, budget, steps, .. } = Recipe::new("", "", "");
        Self { what: None, method, density, redirect, seed, budget, steps }
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
        Some(Recipe {
            method: self.method.clone(),
            density: self.density,
            redirect: self.redirect.clone(),
            seed: self.seed,
            budget: self.budget,
            steps: self.steps,
            ..Recipe::new(&opened.name, &opened.data, &self.spec(opened)?)
        })
    }
}
