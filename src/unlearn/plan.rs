//! From a recipe to the numbers of a run: its items, its updates, its learning rate.

use super::registry::{self, Method};
use crate::{
    data::{Dataset, forget::ForgetSet, rng},
    error::{Error, Result},
    models::Task,
    run::recipe::{Budget, Recipe, Redirect},
    saliency::estimator::Estimator,
};

/// Everything that an unlearning run does, resolved.
#[derive(Debug, Clone)]
pub struct Plan {
    pub method: &'static Method,
    pub estimator: Estimator,
    pub epochs: usize,
    /// Updates in all.
    pub steps: usize,
    pub batch: usize,
    pub lr: f64,
    pub alpha: f64,
    pub redirect: Option<usize>,
    /// Items of one epoch, indices into the training pictures.
    pub forget: Vec<usize>,
    pub retain: Vec<usize>,
    /// Items that the saliency scores are taken over.
    pub score: Vec<usize>,
    pub seed: u64,
}

/// What the quick budget changes: sizes that finish in minutes on two cores, stated in the report.
struct Quick;

impl Quick {
    const FORGET: usize = 1_536;
    const RETAIN: usize = 6_144;
    const SCORE: usize = 2_048;
    const EPOCHS: usize = 2;
    const LR: f64 = 0.02;
    const BATCH_GENERATE: usize = 32;
    const STEPS_GENERATE: usize = 150;
    const LR_GENERATE: f64 = 4e-4;
}

impl Plan {
    /// Resolves a recipe.
    ///
    /// # Errors
    /// The method does not do this task, or the redirect target is not usable.
    pub fn new(recipe: &Recipe, task: Task, data: &Dataset, set: &ForgetSet) -> Result<Self> {
        recipe.check()?;
        let method = registry::find(&recipe.method)?;
        let wrong_task = || {
            let does = method.tasks().iter().map(|t| t.name()).collect::<Vec<_>>().join(", ");
            Error::argument("method", method.name, format!("it can only {does}"))
        };
        let quick = recipe.budget == Budget::Quick;
        let some = |items: &[usize], most: usize, purpose: &str| -> Vec<usize> {
            if !quick || items.len() <= most {
                return items.to_vec();
            }
            let order = rng::shuffled(&mut rng::seeded(recipe.seed, purpose), items.len());
            order[..most].iter().map(|&j| items[j]).collect()
        };
        let mut plan = Self {
            method,
            estimator: recipe.mask.unwrap_or(method.mask),
            epochs: 0,
            steps: 0,
            batch: recipe.batch.unwrap_or(128),
            lr: 0.0,
            alpha: 0.0,
            redirect: None,
            forget: some(&set.forget, Quick::FORGET, "quick forget"),
            retain: some(&set.retain, Quick::RETAIN, "quick retain"),
            score: some(&set.forget, Quick::SCORE, "quick score"),
            seed: recipe.seed,
        };
        match task {
            Task::Classify => {
                let how = method.classify.as_ref().ok_or_else(wrong_task)?;
                let (epochs, lr) = if quick {
                    (how.epochs.min(Quick::EPOCHS), Quick::LR)
                } else {
                    (how.epochs, how.lr)
                };
                let lr = if how.forget.is_some() && how.retain { lr } else { how.lr };
                plan.epochs = recipe.epochs.unwrap_or(epochs);
                plan.lr = recipe.lr.unwrap_or(lr);
                if how.forget.is_none() {
                    plan.forget.clear();
                }
                if !how.retain {
                    plan.retain.clear();
                }
                let full = plan.epochs * plan.turns();
                if let Some(steps) = recipe.steps.filter(|_| full > 0) {
                    plan.fit(steps);
                }
                plan.steps = plan.epochs * plan.turns();
            }
            Task::Generate => {
                let how = method.generate.as_ref().ok_or_else(wrong_task)?;
                let steps = if quick { how.steps.min(Quick::STEPS_GENERATE) } else { how.steps };
                let lr = if quick && how.forget.is_some() && how.alpha > 0.0 {
                    Quick::LR_GENERATE
                } else {
                    how.lr
                };
                plan.batch =
                    recipe.batch.unwrap_or(if quick { Quick::BATCH_GENERATE } else { 128 });
                plan.steps = recipe.steps.filter(|_| how.steps > 0).unwrap_or(steps);
                plan.lr = recipe.lr.unwrap_or(lr);
                plan.alpha = recipe.alpha.unwrap_or(how.alpha);
                plan.redirect = target(&recipe.redirect, data, set)?;
                plan.forget = set.forget.clone();
                plan.retain = set.retain.clone();
            }
        }
        Ok(plan)
    }

    /// Updates in one epoch of a classifier: the forget batches, then the retain batches.
    pub fn turns(&self) -> usize {
        self.forget.len().div_ceil(self.batch) + self.retain.len().div_ceil(self.batch)
    }

    /// Shrinks the sets in proportion so that the epochs make about `steps` updates: an asked-for
    /// number of updates always sees both sets.
    fn fit(&mut self, steps: usize) {
        self.epochs = self.epochs.min((steps / 2).max(1));
        let share = steps as f64 / (self.epochs * self.turns()) as f64;
        if share < 1.0 {
            for set in [&mut self.forget, &mut self.retain] {
                let batches = set.len().div_ceil(self.batch) as f64 * share;
                set.truncate((batches.round().max(1.0) as usize) * self.batch);
            }
        } else {
            self.epochs = (self.epochs as f64 * share).round() as usize;
        }
    }
}

/// The redirect target's class; `None` is the null condition.
fn target(redirect: &Redirect, data: &Dataset, set: &ForgetSet) -> Result<Option<usize>> {
    let Some(class) = set.class else {
        return Err(Error::argument(
            "forget set",
            &set.spec,
            "the diffusion model forgets whole classes: write class:NAME",
        ));
    };
    match redirect {
        Redirect::Next => Ok(Some((class + 1) % data.classes.len())),
        Redirect::Null => Ok(None),
        Redirect::Class(name) => {
            let target = data.class(name)?;
            if target == class {
                let right = "another class than the forgotten one is needed";
                return Err(Error::argument("redirect", name, right));
            }
            Ok(Some(target))
        }
    }
}
