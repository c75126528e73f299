//! From a recipe to the numbers of a run: its items, its updates, its learning rate.

use super::{BatchSource, Knobs, Losses, Method, Order, Rate, Scope, Treatment, registry};
use crate::data::rng;
use crate::error::{Error, Result};
use crate::models::{Card, Training};
use crate::subject::Sent;
use crate::train::{LrSchedule, Preset};
use crate::words::{Budget, Estimator, Recipe};

/// Everything that an unlearning run does, resolved.
#[derive(Debug, Clone)]
pub struct Plan {
    pub method: &'static Method,
    /// How the method treats the model.
    pub how: &'static Treatment,
    pub knobs: Knobs,
    pub estimator: Estimator,
    pub epochs: usize,
    /// Updates in all.
    pub steps: usize,
    /// Those that are made, where a recipe ends before the last one.
    until: Option<usize>,
    pub batch: usize,
    pub lr: f64,
    pub schedule: LrSchedule,
    /// The preset that the model is trained by anew, where it is.
    pub preset: Option<&'static Preset>,
    /// Weight of a diffusion model's retain loss; 0 leaves it out.
    pub alpha: f64,
    pub redirect: Sent,
    /// Items of the subject: of pictures their indices, of latents those of both sets together.
    pub forget: Vec<usize>,
    pub retain: Vec<usize>,
    /// Retained pictures that batches of the forget set are normalised with; none where they are alone.
    pub company: Vec<usize>,
    /// How many times longer the run is than on many pictures.
    stretch: usize,
    /// Whether the sets are so few that [`Plan::suit`] changed something.
    pub few: bool,
    /// How many of each an epoch of a classifier draws, or are looked at of a diffusion model's.
    pub each: [usize; 2],
    /// Items that the saliency scores are taken over, and as many retained ones, so that both halves of
    /// a ratio are as certain.
    pub scored: [Vec<usize>; 2],
    pub seed: u64,
}

/// The batches of an update: which of the epoch's, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchPick {
    Forget(usize),
    Retain(usize),
    /// A forget batch and a retain batch.
    Pair(usize, usize),
    /// Of both sets shuffled together.
    Mixed(usize),
}

impl BatchPick {
    /// What it looks at.
    pub fn part(self) -> BatchSource {
        match self {
            Self::Forget(_) => BatchSource::Forget,
            Self::Retain(_) => BatchSource::Retain,
            Self::Pair(..) | Self::Mixed(_) => BatchSource::Both,
        }
    }
}

impl Plan {
    /// Resolves a recipe for what it is about.
    ///
    /// # Errors
    /// The method does not do this task, or a knob or a field of the recipe is not the method's.
    pub fn new(recipe: &Recipe, scope: Scope) -> Result<Self> {
        recipe.check()?;
        let method = registry::of(recipe)?;
        let (task, seed) = (scope.task, recipe.seed);
        let how = method.treatment(task)?;
        method.refuse_idle(recipe, task)?;
        let knobs = Knobs::resolve(method, task, &recipe.knobs)?;
        how.check(&knobs)?;
        let preset = scope.preset.filter(|_| how.rate == Rate::AsTrained);
        let tiny = recipe.budget == Budget::Tiny;
        // A Retrain that was cut short would be no truth to compare with.
        let sizes = if preset.is_some() && !tiny { Budget::Full } else { recipe.budget }.sizes();
        let mut plan = Self {
            method,
            how,
            estimator: recipe.mask.unwrap_or(method.mask),
            epochs: 0,
            steps: 0,
            until: recipe.until,
            batch: sizes.batch[task as usize],
            lr: how.lr(&sizes),
            schedule: match how.rate {
                Rate::Cosine => LrSchedule::Cosine,
                Rate::ByBudget if sizes.lr.is_some() => LrSchedule::Cosine,
                _ => preset.map_or(LrSchedule::Constant, |preset| preset.schedule),
            },
            preset,
            alpha: match how.order {
                Order::Drawn(Losses::Sum) => knobs.get("alpha"),
                Order::Drawn(_) => 1.0,
                _ => 0.0,
            },
            knobs,
            redirect: scope.redirect.clone(),
            forget: scope.forget.clone(),
            retain: scope.retain.clone(),
            company: Vec::new(),
            stretch: 1,
            few: false,
            each: [0, 0],
            scored: Default::default(),
            seed,
        };
        let score = plan.to_score(&scope.forget, recipe.budget);
        let mut beside = shuffled(&scope.retain, seed, "retain score");
        beside.truncate(score.len());
        plan.scored = [score, beside];
        let mut length = how.length;
        if let Some(preset) = preset {
            plan.lr = preset.lr;
            plan.batch = if tiny { preset.batch.min(plan.batch) } else { preset.batch };
            let updates = if how.draws() { plan.retain.len().div_ceil(plan.batch) } else { 1 };
            length = preset.epochs * updates;
        }
        if how.trains() {
            let asked = if how.draws() { recipe.steps } else { recipe.epochs };
            plan.epochs = asked.unwrap_or(length.min(sizes.length[task as usize]));
        }
        plan.lr = recipe.lr.unwrap_or(plan.lr);
        plan.batch = recipe.batch.unwrap_or(plan.batch);
        if matches!(how.order, Order::Retain | Order::Nothing) {
            plan.forget.clear();
        }
        if matches!(how.order, Order::Forget | Order::Nothing) {
            plan.retain.clear();
        }
        let [forget, retain] = sizes.each;
        if how.draws() {
            plan.each =
                scope.each.unwrap_or([forget, retain].map(|n| n.min(sizes.score[task as usize])));
        } else {
            plan.each = [plan.forget.len().min(forget), plan.retain.len().min(retain)];
            plan.suit(recipe, &scope);
            if let Some(steps) = recipe.steps.filter(|_| plan.updates() > 0) {
                plan.fit(steps);
            }
        }
        plan.steps = plan.updates();
        Ok(plan)
    }

    /// Updates that are made.
    pub fn end(&self) -> usize {
        self.until.map_or(self.steps, |until| until.min(self.steps))
    }

    /// Refuses to end where the run does not come to.
    ///
    /// # Errors
    /// It has fewer updates.
    pub fn check_end(&self) -> Result<()> {
        match self.until.filter(|until| *until > self.steps) {
            Some(until) => {
                let right = format!("the run has {} updates", self.steps);
                Err(Error::argument("until", until, right))
            }
            None => Ok(()),
        }
    }

    /// Whether only the layers that read the condition change.
    pub fn attention(&self) -> bool {
        self.how.attention || self.knobs.on("cross-attention")
    }

    /// Makes a Retrain as long as its original's training was, which saw `n` pictures an epoch: where
    /// that began with fresh weights, since a card does not tell of stages before. Of a model that was
    /// itself trained without something it makes a little less. What the recipe says stays.
    pub fn as_trained(&mut self, card: &Card, recipe: &Recipe, n: usize) {
        let sound = |t: &&Training| t.from.is_none() && t.batch > 0 && t.batch <= MOST_BATCH;
        let training = card.training.as_ref().filter(sound);
        let Some(training) = training.filter(|_| self.preset.is_some()) else { return };
        if recipe.budget == Budget::Tiny || recipe.steps.is_some() {
            return;
        }
        let seen = training.steps.min(MOST_STEPS) * training.batch;
        let epochs = (seen + n / 2) / n.max(1);
        self.batch = recipe.batch.unwrap_or(training.batch);
        self.lr = recipe.lr.unwrap_or(training.lr);
        self.epochs = recipe.epochs.unwrap_or(epochs.max(1));
        if self.how.draws() {
            self.epochs *= self.retain.len().div_ceil(self.batch.max(1));
        }
        self.steps = self.updates();
    }

    /// Makes few pictures enough to forget by: smaller updates, then more of them. Their batches of a single
    /// class are in company; with the quick budget so are those of many pictures, by the methods that take
    /// the budget's rate. Alone they would be normalised by statistics that the network
    /// never has again: what is learnt under them hardly shows afterwards, and the running statistics suffer.
    /// What the recipe says stays; a Retrain is as its original.
    fn suit(&mut self, recipe: &Recipe, scope: &Scope) {
        let &Scope { alone, normalises, .. } = scope;
        let [forget, retain] = [&scope.forget, &scope.retain].map(Vec::len);
        let few = forget + retain < EACH_EPOCH * self.batch || alone && forget < 2 * self.batch;
        let trains = self.updates() > 0 && self.preset.is_none();
        let quick = matches!(recipe.budget, Budget::Brief | Budget::Quick);
        let few = few && recipe.steps.is_none();
        if !trains || recipe.budget == Budget::Tiny || !(few || quick) {
            return;
        }
        let normalises = normalises && !self.knobs.on("freeze-bn");
        let apart =
            matches!(self.how.order, Order::Forget | Order::Passes | Order::Every | Order::Pairs);
        // Rates that methods have of their own were found without company.
        let own = self.how.quick_lr.is_some();
        if normalises && apart && alone && recipe.batch.is_none() && (few || !own) {
            self.company = scope.retain.clone();
            if quick && recipe.lr.is_none() && !own {
                self.lr = IN_COMPANY;
            }
        }
        if !few {
            return;
        }
        self.few = true;
        let least = match self.how.order {
            Order::Forget => LEAST / 2,
            Order::Pairs => LEAST * 3 / 2,
            _ => LEAST,
        };
        if quick {
            // About as many of each as the budget has of many.
            self.each[1] = self.each[1].min((4 * forget).max(EACH_EPOCH * SMALLEST));
        }
        while recipe.batch.is_none() && self.batch > SMALLEST && self.updates() < least {
            self.batch /= 2;
        }
        if recipe.epochs.is_none() {
            let before = self.epochs;
            while self.updates() < least {
                self.epochs += before;
                self.stretch += 1;
            }
        }
    }

    /// What was made to suit few pictures, for a person.
    pub fn suited(&self) -> String {
        let company = match self.company.is_empty() {
            true => "",
            false => ", those of the forgotten class normalised together with retained pictures",
        };
        format!("few pictures: {} epochs in updates of {}{company}", self.epochs, self.batch)
    }

    /// Learning rate of an update, counted from 0.
    pub fn lr_at(&self, step: usize) -> f64 {
        self.schedule.at(self.lr, step, self.steps)
    }

    /// The items of a forget set that scores are taken over.
    fn to_score(&self, forget: &[usize], budget: Budget) -> Vec<usize> {
        self.some(forget, budget.sizes().score[self.how.task as usize], "quick score")
    }

    /// At most `most` of these items, the same ones for a seed and a purpose.
    pub fn some(&self, items: &[usize], most: usize, purpose: &str) -> Vec<usize> {
        if items.len() <= most {
            return items.to_vec();
        }
        let mut some = shuffled(items, self.seed, purpose);
        some.truncate(most);
        some
    }

    /// The items of the forget set and of the retain set that a method looks at before it trains.
    pub fn looked_at(&self) -> [Vec<usize>; 2] {
        [
            self.some(&self.forget, self.each[0], "look at the forget set"),
            self.some(&self.retain, self.each[1], "look at the retain set"),
        ]
    }

    /// The batches of an epoch, in turn.
    fn turns(&self, epoch: usize) -> Vec<BatchPick> {
        use BatchPick::{Forget, Mixed, Pair, Retain};
        let [forget, retain] = self.each.map(|n| n.div_ceil(self.batch));
        let every = self.knobs.count("every").max(1);
        // The forget set comes round again.
        let round = |i: usize| i % forget.max(1);
        match self.how.order {
            Order::Nothing => Vec::new(),
            Order::Forget => (0..forget).map(Forget).collect(),
            Order::Passes if epoch < self.forget_epochs() => {
                (0..forget).map(Forget).chain((0..retain).map(Retain)).collect()
            }
            Order::Retain | Order::Passes => (0..retain).map(Retain).collect(),
            Order::Every => {
                // It goes on from epoch to epoch.
                let before = epoch * retain.div_ceil(every);
                let first = |i: usize| Forget(round(before + i / every));
                let turns = (0..retain).flat_map(|i| {
                    i.is_multiple_of(every).then(|| first(i)).into_iter().chain([Retain(i)])
                });
                turns.collect()
            }
            Order::Pairs => (0..retain).map(|i| Pair(round(i), i)).collect(),
            Order::Mixed => {
                (0..self.each.iter().sum::<usize>().div_ceil(self.batch)).map(Mixed).collect()
            }
            Order::Drawn(Losses::Every) if epoch.is_multiple_of(every + 1) => vec![Forget(0)],
            Order::Drawn(Losses::Every) => vec![Retain(0)],
            Order::Drawn(_) => vec![Pair(0, 0)],
        }
    }

    /// Epochs that have a pass over the forget set.
    fn forget_epochs(&self) -> usize {
        match self.knobs.has("forget-epochs") {
            true => self.knobs.count("forget-epochs") * self.stretch,
            false => usize::MAX,
        }
    }

    /// Updates in all epochs.
    fn updates(&self) -> usize {
        let both = self.epochs.min(self.forget_epochs());
        both * self.turns(0).len() + (self.epochs - both) * self.turns(both).len()
    }

    /// The epoch of an update, the update within it, and its batches.
    pub fn turn(&self, step: usize) -> (usize, usize, BatchPick) {
        let first = self.turns(0).len();
        let both = self.forget_epochs();
        let (epoch, turn) = match step.checked_sub(both.saturating_mul(first)) {
            None => (step / first, step % first),
            Some(later) => {
                let turns = self.turns(both).len();
                (both + later / turns, later % turns)
            }
        };
        (epoch, turn, self.turns(epoch)[turn])
    }

    /// Shrinks the epochs in proportion so that the epochs make about `steps` updates: an asked-for
    /// number of updates always sees both sets.
    fn fit(&mut self, steps: usize) {
        self.epochs = self.epochs.min((steps / 2).max(1));
        let share = steps as f64 / self.updates() as f64;
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

/// Pictures in an update at the least, updates at the least, and batches that an epoch of many pictures
/// has.
const SMALLEST: usize = 16;
const LEAST: usize = 200;
const EACH_EPOCH: usize = 10;

/// The quick budget's learning rate where batches of the forgotten class are in company: what is learnt there
/// lasts, so that less forgets as much and harms less (docs/figures.md).
const IN_COMPANY: f64 = 0.008;

/// What a card may say and be believed: a recipe's own limits.
const MOST_BATCH: usize = 4096;
const MOST_STEPS: usize = 10_000_000;

/// These items in an order that a seed and a purpose draw.
fn shuffled(items: &[usize], seed: u64, purpose: &str) -> Vec<usize> {
    let order = rng::shuffled(&mut rng::seeded(seed, purpose), items.len());
    order.into_iter().map(|j| items[j]).collect()
}

#[cfg(test)]
mod tests;
