//! From a recipe to the numbers of a run: its items, its updates, its learning rate.

use super::registry::{self, Method};
use crate::{
    data::{Dataset, forget::ForgetSet, rng},
    error::{Error, Result},
    models::Task,
    run::recipe::{Recipe, Redirect},
    saliency::estimator::Estimator,
    train::optimizer::warm_cosine,
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
    /// Whether the learning rate falls to 0 along a cosine: the quick budget's few updates would
    /// otherwise end in the noise of the last ones.
    pub anneal: bool,
    pub alpha: f64,
    pub redirect: Option<usize>,
    /// Indices into the training pictures.
    pub forget: Vec<usize>,
    pub retain: Vec<usize>,
    /// How many of each an epoch of a classifier draws.
    pub each: [usize; 2],
    /// Items that the saliency scores are taken over.
    pub score: Vec<usize>,
    pub seed: u64,
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
        let sizes = recipe.budget.sizes();
        let mut plan = Self {
            method,
            estimator: recipe.mask.unwrap_or(method.mask),
            epochs: 0,
            steps: 0,
            batch: recipe.batch.unwrap_or(sizes.batch[0]),
            lr: 0.0,
            anneal: sizes.lr.is_some(),
            alpha: 0.0,
            redirect: None,
            forget: set.forget.clone(),
            retain: set.retain.clone(),
            each: [0, 0],
            score: set.forget.clone(),
            seed: recipe.seed,
        };
        if plan.score.len() > sizes.score {
            let order =
                rng::shuffled(&mut rng::seeded(recipe.seed, "quick score"), plan.score.len());
            plan.score = order[..sizes.score].iter().map(|&j| set.forget[j]).collect();
        }
        match task {
            Task::Classify => {
                let how = method.classify.as_ref().ok_or_else(wrong_task)?;
                let both = how.forget.is_some() && how.retain;
                let lr = sizes.lr.filter(|_| both).map_or(how.lr, |lr| lr[0]);
                plan.epochs = recipe.epochs.unwrap_or(how.epochs.min(sizes.epochs));
                plan.lr = recipe.lr.unwrap_or(lr);
                if how.forget.is_none() {
                    plan.forget.clear();
                }
                if !how.retain {
                    plan.retain.clear();
                }
                let [forget, retain] = sizes.each;
                plan.each = [plan.forget.len().min(forget), plan.retain.len().min(retain)];
                let full = plan.epochs * plan.turns();
                if let Some(steps) = recipe.steps.filter(|_| full > 0) {
                    plan.fit(steps);
                }
                plan.steps = plan.epochs * plan.turns();
            }
            Task::Generate => {
                let how = method.generate.as_ref().ok_or_else(wrong_task)?;
                let both = how.forget.is_some() && how.alpha > 0.0;
                let lr = sizes.lr.filter(|_| both).map_or(how.lr, |lr| lr[1]);
                plan.batch = recipe.batch.unwrap_or(sizes.batch[1]);
                let steps = how.steps.min(sizes.steps);
                plan.steps = recipe.steps.filter(|_| how.steps > 0).unwrap_or(steps);
                plan.lr = recipe.lr.unwrap_or(lr);
                plan.alpha = recipe.alpha.unwrap_or(how.alpha);
                if how.forget.is_none() && plan.steps > 0 && plan.alpha == 0.0 {
                    let right = format!("{} learns from the retain set only; above 0", method.name);
                    return Err(Error::argument("alpha", 0, right));
                }
                plan.redirect = target(&recipe.redirect, data, set)?;
            }
        }
        Ok(plan)
    }

    /// Learning rate of an update, counted from 0.
    pub fn lr_at(&self, step: usize) -> f64 {
        if self.anneal { warm_cosine(self.lr, 0.0, step, self.steps) } else { self.lr }
    }

    /// Updates in one epoch of a classifier: the forget batches, then the retain batches.
    pub fn turns(&self) -> usize {
        self.each.iter().map(|n| n.div_ceil(self.batch)).sum()
    }

    /// Shrinks the epochs in proportion so that the epochs make about `steps` updates: an asked-for
    /// number of updates always sees both sets.
    fn fit(&mut self, steps: usize) {
        self.epochs = self.epochs.min((steps / 2).max(1));
        let share = steps as f64 / (self.epochs * self.turns()) as f64;
        if share < 1.0 {
            for n in &mut self.each {
                let batches = n.div_ceil(self.batch) as f64 * share;
                *n = (*n).min((batches.round().max(1.0) as usize) * self.batch);
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
        // A class that was forgotten before is no place to send another.
        Redirect::Next => {
            let classes = data.classes.len();
            let next = (1..classes).map(|i| (class + i) % classes).find(|c| !set.absent(*c));
            next.map(Some).ok_or_else(|| {
                Error::argument("redirect", redirect, "no class is left; write null")
            })
        }
        Redirect::Null => Ok(None),
        Redirect::Class(name) => {
            let target = data.class(name)?;
            if set.absent(target) {
                let right = "another class than a forgotten one is needed";
                return Err(Error::argument("redirect", name, right));
            }
            Ok(Some(target))
        }
    }
}
