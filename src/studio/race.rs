//! Several runs of one request, one after another: what they differ in, how far each is, which is the best so far.

use std::sync::Arc;

use super::attempt::Attempt;
use super::format;
use crate::engine::{Grid, Run};
use crate::eval::Place;
use crate::unlearn::registry::METHODS;
use crate::words::{Estimator, Recipe, Task, VerdictLabel};

/// What one of the runs has in place of what is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Entrant {
    /// A method, by its place in the list of all.
    Method(usize),
    Mask(Estimator),
    Density(f64),
    Seed(u64),
}

/// What the runs of a race differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Field {
    #[default]
    Methods,
    Masks,
    Densities,
    Seeds,
}

/// Densities and seeds that can be raced.
const DENSITIES: [f64; 7] = [0.01, 0.05, 0.1, 0.2, 0.5, 0.8, 1.0];
const SEEDS: std::ops::RangeInclusive<u64> = 1..=6;

impl Field {
    /// All, with their names and what each is for.
    pub const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Methods, "Methods", "Each with its own learning rate and mask, else as it is set"),
        (Self::Masks, "Masks", "Which weights may change, with the method that is set"),
        (Self::Densities, "Densities", "How many weights may change"),
        (Self::Seeds, "Seeds", "Everything that is drawn at random"),
    ];

    /// What can be picked of a task's.
    pub fn entrants(self, task: Task) -> Vec<Entrant> {
        match self {
            Self::Methods => {
                let all = METHODS.iter().enumerate().filter(|(_, m)| m.tasks().contains(&task));
                all.map(|(i, _)| Entrant::Method(i)).collect()
            }
            Self::Masks => Estimator::ALL.iter().copied().map(Entrant::Mask).collect(),
            Self::Densities => DENSITIES.map(Entrant::Density).into(),
            Self::Seeds => SEEDS.map(Entrant::Seed).collect(),
        }
    }
}

impl Entrant {
    /// What it is called.
    pub fn name(self) -> String {
        match self {
            Self::Method(i) => METHODS[i].title.into(),
            Self::Mask(mask) => mask.title().into(),
            Self::Density(density) => format::percent(density),
            Self::Seed(seed) => format!("Seed {seed}"),
        }
    }

    /// A request of a task with it in the place of what is set.
    pub fn of(self, recipe: &Recipe, task: Task) -> Recipe {
        let recipe = recipe.clone();
        match self {
            Self::Method(i) => {
                let method = &METHODS[i];
                let name = method.name.to_string();
                let same = name == recipe.method;
                // One method's learning rate and knobs are nothing to another.
                let (lr, mut knobs) = (recipe.lr.filter(|_| same), recipe.knobs.clone());
                knobs.retain(|name, v| method.knob(name).is_ok_and(|knob| knob.check(*v).is_ok()));
                Recipe { method: name, lr, knobs, ..recipe }.fitting(task)
            }
            Self::Mask(mask) => {
                Recipe { mask: Some(mask), mask_file: None, ..recipe }.fitting(task)
            }
            Self::Density(density) => Recipe { density, ..recipe },
            Self::Seed(seed) => Recipe { seed, ..recipe },
        }
    }
}

/// One of the runs.
#[derive(Debug, Clone)]
pub struct Lane {
    pub name: String,
    pub attempt: Attempt,
    /// Its number in the list of runs, once it is finished.
    pub number: Option<usize>,
    /// Why it could not be made.
    pub failed: Option<String>,
}

/// Runs that are made one after another.
#[derive(Debug, Default)]
pub struct Race {
    pub lanes: Vec<Lane>,
}

impl Race {
    /// A race of these recipes, which all begin with what is shown before; the same twice is made once.
    pub fn of(entrants: Vec<(String, Recipe)>, before: &Arc<Grid>) -> Self {
        let mut lanes: Vec<Lane> = Vec::new();
        for (name, recipe) in entrants {
            if lanes.iter().all(|lane| lane.attempt.recipe != recipe) {
                let attempt = Attempt::new(recipe, before.clone());
                lanes.push(Lane { name, attempt, number: None, failed: None });
            }
        }
        Self { lanes }
    }

    /// The run that is next.
    pub fn next(&self) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.attempt.run.is_none() && lane.failed.is_none())
    }

    /// The finished runs with their places.
    pub fn finished(&self) -> impl Iterator<Item = (usize, &Arc<Run>)> {
        let lanes = self.lanes.iter().enumerate();
        lanes.filter_map(|(i, lane)| Some((i, lane.attempt.run.as_ref()?)))
    }

    /// The best so far: the one nearest to the corner of the forget map, where what is forgotten is gone and nothing
    /// else is lost; one that forgot before all that did not. `None` where nobody judged.
    pub fn best(&self) -> Option<usize> {
        let judged = self.finished().filter(|(_, run)| run.report.after.judged());
        let ranked = judged.map(|(i, run)| {
            let Place { left, damage } = Place::of(&run.report);
            (i, run.report.verdict.label != VerdictLabel::Forgot, left + damage)
        });
        ranked.min_by(|a, b| a.1.cmp(&b.1).then(a.2.total_cmp(&b.2))).map(|(i, ..)| i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entrant_of_every_task_is_a_request_that_can_be_made() {
        for task in Task::ALL {
            let base = Recipe { lr: Some(0.5), ..Recipe::new("m", "d", "class:Bag") };
            let mut seen = 0;
            for (field, name, _) in Field::ALL {
                for entrant in field.entrants(task) {
                    let recipe = entrant.of(&base, task);
                    assert!(recipe.check().is_ok(), "{name}: {}", entrant.name());
                    let method = crate::unlearn::registry::of(&recipe).unwrap();
                    assert!(
                        method.refuse_idle(&recipe, task).is_ok(),
                        "{name}: {}",
                        entrant.name()
                    );
                    let own = recipe.method == base.method;
                    assert!(own || recipe.lr.is_none(), "another's rate is not taken over");
                    seen += 1;
                }
            }
            assert!(seen > 20, "{}", task.name());
        }
    }

    #[test]
    fn the_same_run_is_made_once() {
        let base = Recipe::new("m", "d", "class:Bag");
        let all = [0.5, 0.1, 0.5].map(Entrant::Density);
        let recipes = all.map(|e| (e.name(), e.of(&base, Task::Classify)));
        let race = Race::of(recipes.into(), &Arc::default());
        assert_eq!((race.lanes.len(), race.next(), race.best()), (2, Some(0), None));
    }
}
