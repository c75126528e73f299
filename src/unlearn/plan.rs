//! From a recipe to the numbers of a run: its items, its updates, its learning rate.

use super::{
    hooks::BatchSource,
    knob::Knobs,
    registry::{self, Losses, Method, Order, Rate},
};

use crate::{
    data::{Dataset, forget::ForgetSet, rng},
    error::{Error, Result},
    models::{
        Architecture,
        card::{Card, Training},
    },
    subject::classes::Sent,
    train::{optimizer::LrSchedule, preset::Preset},
    words::{
        budget::Budget,
        estimator::Estimator,
        recipe::{Recipe, Redirect},
        task::Task,
    },
};

/// Everything that an unlearning run does, resolved.
#[derive(Debug, Clone)]
pub struct Plan {
    pub method: &'static Method,
    pub knobs: Knobs,
    pub estimator: Estimator,
    pub epochs: usize,
    /// Updates in all.
    pub steps: usize,
    pub batch: usize,
    pub lr: f64,
    /// How the learning rate goes. The quick budget's few updates fall to 0: they would otherwise
    /// end in the noise of the last ones.
    pub schedule: LrSchedule,
    /// The preset that the model is trained by anew, where it is.
    pub preset: Option<&'static Preset>,
    pub order: Order,
    pub losses: Losses,
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
    few: bool,
    /// How many of each an epoch of a classifier draws, or are there of latents.
    pub each: [usize; 2],
    /// Items that the saliency scores are taken over.
    pub score: Vec<usize>,
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
    /// Resolves a recipe.
    ///
    /// # Errors
    /// The method does not do this task, a knob is not the method's, or the redirect target is not
    /// usable.
    pub fn new(
        recipe: &Recipe,
        architecture: &Architecture,
        data: &Dataset,
        set: &ForgetSet,
    ) -> Result<Self> {
        let task = architecture.task();
        let mut plan = Self::bare(recipe, task)?;
        let (method, sizes) = (plan.method, recipe.budget.sizes());
        (plan.forget, plan.retain) = (set.forget.clone(), set.retain.clone());
        plan.score = plan.some(&set.forget, sizes.score, "quick score");
        // A Retrain that was cut short would be no truth to compare with.
        let tiny = recipe.budget == Budget::Tiny;
        let sizes = match method.rate(task) {
            Some(Rate::AsTrained) if !tiny => Budget::Full.sizes(),
            _ => sizes,
        };
        plan.schedule = match method.rate(task) {
            Some(Rate::AsTrained) => {
                let preset = Preset::of(architecture, &data.name);
                plan.preset = Some(preset);
                preset.schedule
            }
            Some(Rate::Constant) | None if sizes.lr.is_none() => LrSchedule::Constant,
            _ => LrSchedule::Cosine,
        };
        plan.lr = method.lr(task, &sizes).unwrap_or_default();
        match task {
            Task::TextToImage => return Err(wrong_task(method)),
            Task::Classify => {
                let how = method.classify.as_ref().ok_or_else(|| wrong_task(method))?;
                let mut epochs = how.epochs;
                if let Some(preset) = plan.preset {
                    (epochs, plan.lr) = (preset.epochs, preset.lr);
                    plan.batch = if tiny { preset.batch.min(plan.batch) } else { preset.batch };
                }
                plan.epochs = match epochs {
                    0 => 0,
                    own => recipe.epochs.unwrap_or(own.min(sizes.epochs)),
                };
                plan.order = how.order;
                if matches!(plan.order, Order::Retain | Order::Nothing) {
                    plan.forget.clear();
                }
                if matches!(plan.order, Order::Forget | Order::Nothing) {
                    plan.retain.clear();
                }
            }
            Task::Generate => {
                let how = method.generate.as_ref().ok_or_else(|| wrong_task(method))?;
                let mut steps = how.steps;
                plan.batch = sizes.batch[1];
                if let Some(preset) = plan.preset {
                    plan.lr = preset.lr;
                    plan.batch = if tiny { preset.batch.min(plan.batch) } else { preset.batch };
                    steps = preset.epochs * set.retain.len().div_ceil(plan.batch);
                }
                plan.steps = match steps {
                    0 => 0,
                    own => recipe.steps.unwrap_or(own.min(sizes.steps[0])),
                };
                plan.epochs = plan.steps;
                plan.weigh(how.losses);
                plan.each = sizes.each.map(|n| n.min(sizes.score));
                plan.redirect = target(&recipe.redirect, data, set)?;
            }
        }
        plan.lr = recipe.lr.unwrap_or(plan.lr);
        plan.batch = recipe.batch.unwrap_or(plan.batch);
        if task == Task::Classify {
            let [forget, retain] = sizes.each;
            plan.each = [plan.forget.len().min(forget), plan.retain.len().min(retain)];
            plan.suit(recipe, architecture, data, set);
            if let Some(steps) = recipe.steps.filter(|_| plan.updates() > 0) {
                plan.fit(steps);
            }
            plan.steps = plan.updates();
        }
        Ok(plan)
    }

    /// Resolves a recipe that forgets a prompt; `items` are those of the forget set and of the retain set.
    ///
    /// # Errors
    /// The method does not do prompts, or a knob is not the method's.
    pub fn of_prompts(recipe: &Recipe, items: [usize; 2]) -> Result<Self> {
        let mut plan = Self::bare(recipe, Task::TextToImage)?;
        let (method, sizes) = (plan.method, recipe.budget.sizes());
        let how = method.prompts.as_ref().ok_or_else(|| wrong_task(method))?;
        if plan.knobs.on("released") {
            let right = "a prompt's run has no epochs, which the released code counts by";
            return Err(Error::argument("released", "on", right));
        }
        let [forget, retain] = items;
        (plan.forget, plan.retain) = ((0..forget).collect(), (forget..forget + retain).collect());
        plan.score = plan.forget.clone();
        plan.each = items;
        plan.weigh(how.losses);
        plan.lr = recipe.lr.or(method.lr(Task::TextToImage, &sizes)).unwrap_or_default();
        plan.batch = recipe.batch.unwrap_or(sizes.batch[2]);
        plan.steps = match how.steps {
            0 => 0,
            own => recipe.steps.unwrap_or(own.min(sizes.steps[1])),
        };
        plan.epochs = plan.steps;
        Ok(plan)
    }

    /// What a recipe says whatever the data.
    fn bare(recipe: &Recipe, task: Task) -> Result<Self> {
        recipe.check()?;
        let method = registry::find(&recipe.method)?;
        if !method.tasks().contains(&task) {
            return Err(wrong_task(method));
        }
        method.refuse_idle(recipe, task)?;
        Ok(Self {
            method,
            knobs: Knobs::resolve(method, task, &recipe.knobs)?,
            estimator: recipe.mask.unwrap_or(method.mask),
            epochs: 0,
            steps: 0,
            batch: recipe.budget.sizes().batch[0],
            lr: 0.0,
            schedule: LrSchedule::Constant,
            preset: None,
            order: Order::Nothing,
            losses: Losses::Sum,
            alpha: 0.0,
            redirect: Sent::To(None),
            forget: Vec::new(),
            retain: Vec::new(),
            company: Vec::new(),
            stretch: 1,
            few: false,
            each: [0, 0],
            score: Vec::new(),
            seed: recipe.seed,
        })
    }

    /// Takes a diffusion model's losses and their weights.
    fn weigh(&mut self, losses: Losses) {
        self.losses = losses;
        self.alpha = match losses {
            Losses::Forget => 0.0,
            Losses::Retain | Losses::Pair => 1.0,
            Losses::Sum => self.knobs.get("alpha"),
        };
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
        if card.architecture.task() == Task::Classify {
            self.steps = self.updates();
        } else {
            self.steps = self.epochs * self.retain.len().div_ceil(self.batch.max(1));
            self.epochs = self.steps;
        }
    }

    /// Makes few pictures enough to forget by: smaller updates, then more of them. Their batches of a single
    /// class are in company; with the quick budget so are those of many pictures, by the methods that take
    /// the budget's rate. Alone they would be normalised by statistics that the network
    /// never has again: what is learnt under them hardly shows afterwards, and the running statistics suffer.
    /// What the recipe says stays; a Retrain is as its original.
    fn suit(
        &mut self,
        recipe: &Recipe,
        architecture: &Architecture,
        data: &Dataset,
        set: &ForgetSet,
    ) {
        let [forget, retain] = [&set.forget, &set.retain].map(Vec::len);
        let label = |i: &usize| data.train.labels[*i];
        let alone = set.forget.windows(2).all(|pair| label(&pair[0]) == label(&pair[1]));
        let few = forget + retain < EACH_EPOCH * self.batch || alone && forget < 2 * self.batch;
        let trains = self.updates() > 0 && self.preset.is_none();
        let quick = recipe.budget == Budget::Quick;
        let few = few && recipe.steps.is_none();
        if !trains || recipe.budget == Budget::Tiny || !(few || quick) {
            return;
        }
        let normalises = matches!(architecture, Architecture::Resnet(_) | Architecture::Vgg(_))
            && !self.knobs.on("freeze-bn");
        let apart =
            matches!(self.order, Order::Forget | Order::Passes | Order::Every | Order::Pairs);
        // Rates that methods have of their own were found without company.
        let own = self.method.classify.as_ref().is_none_or(|how| how.quick_lr.is_some());
        if normalises && apart && alone && recipe.batch.is_none() && (few || !own) {
            self.company = set.retain.clone();
            if quick && recipe.lr.is_none() && !own {
                self.lr = IN_COMPANY;
            }
        }
        if !few {
            return;
        }
        self.few = true;
        let least = match self.order {
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

    /// Whether the pictures are so few that the run is made to suit them.
    pub fn few(&self) -> bool {
        self.few
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

    /// At most `most` of these items, the same ones for a seed and a purpose.
    pub fn some(&self, items: &[usize], most: usize, purpose: &str) -> Vec<usize> {
        if items.len() <= most {
            return items.to_vec();
        }
        let order = rng::shuffled(&mut rng::seeded(self.seed, purpose), items.len());
        order[..most].iter().map(|&j| items[j]).collect()
    }

    /// As many of the retained items as are scored, so that both halves of a ratio are as certain.
    pub fn beside(&self, retain: &[usize]) -> Vec<usize> {
        let order = rng::shuffled(&mut rng::seeded(self.seed, "retain score"), retain.len());
        order.into_iter().take(self.score.len()).map(|j| retain[j]).collect()
    }

    /// The items of the forget set and of the retain set that a method looks at before it trains.
    pub fn looked_at(&self) -> [Vec<usize>; 2] {
        [
            self.some(&self.forget, self.each[0], "look at the forget set"),
            self.some(&self.retain, self.each[1], "look at the retain set"),
        ]
    }

    /// Batches of the forget set and of the retain set in an epoch.
    fn batches(&self) -> [usize; 2] {
        self.each.map(|n| n.div_ceil(self.batch))
    }

    /// Epochs that have a pass over the forget set.
    fn forget_epochs(&self) -> usize {
        let limited = self.knobs.all().find(|(name, _)| *name == "forget-epochs");
        limited.map_or(usize::MAX, |(_, epochs)| epochs as usize * self.stretch)
    }

    /// Updates in an epoch of a classifier.
    pub fn turns(&self, epoch: usize) -> usize {
        let [forget, retain] = self.batches();
        match self.order {
            Order::Nothing => 0,
            Order::Forget => forget,
            Order::Retain | Order::Pairs => retain,
            Order::Passes if epoch >= self.forget_epochs() => retain,
            Order::Passes => forget + retain,
            Order::Every => retain + retain.div_ceil(self.every()),
            Order::Mixed => self.each.iter().sum::<usize>().div_ceil(self.batch),
        }
    }

    fn every(&self) -> usize {
        self.knobs.count("every").max(1)
    }

    /// Updates of a classifier in all epochs.
    fn updates(&self) -> usize {
        let both = self.epochs.min(self.forget_epochs());
        both * self.turns(0) + (self.epochs - both) * self.turns(usize::MAX)
    }

    /// The epoch of a classifier's update, the update within it, and its batches.
    pub fn turn(&self, step: usize) -> (usize, usize, BatchPick) {
        let [forget, retain] = self.batches();
        let (first, later) = (self.turns(0), self.turns(usize::MAX));
        let both = self.forget_epochs().saturating_mul(first);
        let (epoch, turn) = if step < both {
            (step / first, step % first)
        } else {
            (self.forget_epochs() + (step - both) / later, (step - both) % later)
        };
        let batches = match self.order {
            Order::Forget => BatchPick::Forget(turn),
            Order::Nothing | Order::Retain => BatchPick::Retain(turn),
            Order::Passes if step >= both => BatchPick::Retain(turn),
            Order::Passes if turn < forget => BatchPick::Forget(turn),
            Order::Passes => BatchPick::Retain(turn - forget),
            Order::Every => {
                let (round, place) = (turn / (self.every() + 1), turn % (self.every() + 1));
                match place {
                    // The forget set comes round again, and goes on from epoch to epoch.
                    0 => {
                        BatchPick::Forget((epoch * retain.div_ceil(self.every()) + round) % forget)
                    }
                    _ => BatchPick::Retain(turn - round - 1),
                }
            }
            Order::Pairs => BatchPick::Pair(turn % forget, turn),
            Order::Mixed => BatchPick::Mixed(turn),
        };
        (epoch, turn, batches)
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

fn wrong_task(method: &Method) -> Error {
    let does = method.tasks().iter().map(|t| t.name()).collect::<Vec<_>>().join(", ");
    Error::argument("method", method.name, format!("it can only {does}"))
}

/// What a request's redirect target is.
fn target(redirect: &Redirect, data: &Dataset, set: &ForgetSet) -> Result<Sent> {
    let Some(class) = set.class else {
        return Err(Error::argument(
            "forget set",
            &set.spec,
            "the diffusion model forgets whole classes: write class:NAME",
        ));
    };
    // A class that was forgotten before is no place to send another; the next one is first.
    let classes = data.classes.len();
    let left: Vec<usize> =
        (1..classes).map(|i| (class + i) % classes).filter(|c| !set.absent(*c)).collect();
    match redirect {
        Redirect::Next | Redirect::Random if left.is_empty() => {
            Err(Error::argument("redirect", redirect, "no class is left; write null"))
        }
        Redirect::Next => Ok(Sent::To(Some(left[0]))),
        Redirect::Random => Ok(Sent::ToAny(left)),
        Redirect::Null => Ok(Sent::To(None)),
        Redirect::Noise => Ok(Sent::ToNoise),
        Redirect::Class(name) => {
            let target = data.class(name)?;
            if set.absent(target) {
                let right = "another class than a forgotten one is needed";
                return Err(Error::argument("redirect", name, right));
            }
            Ok(Sent::To(Some(target)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plan of 3 forget batches and 7 retain batches an epoch.
    fn plan(method: &str, knobs: &[(&str, f64)]) -> Plan {
        let data = crate::data::open("fashion-mnist").unwrap();
        let set = ForgetSet {
            spec: "class:0".into(),
            class: Some(0),
            forget: (0..30).collect(),
            retain: (30..100).collect(),
            earlier: Vec::new(),
        };
        let recipe = Recipe {
            method: method.into(),
            batch: Some(10),
            epochs: Some(3),
            knobs: knobs.iter().map(|(k, v)| (k.to_string(), *v)).collect(),
            budget: crate::words::budget::Budget::Full,
            ..Recipe::new("m", "d", "class:0")
        };
        let model = crate::models::registry::open("fashion-classifier").unwrap();
        Plan::new(&recipe, &model.card.architecture, &data, &set).unwrap()
    }

    fn turns(plan: &Plan) -> Vec<(usize, BatchPick)> {
        (0..plan.steps).map(|s| plan.turn(s)).map(|(epoch, _, turn)| (epoch, turn)).collect()
    }

    #[test]
    fn passes_see_the_forget_set_and_then_the_retain_set() {
        let salun = plan("salun", &[]);
        let turns = turns(&salun);
        assert_eq!(turns.len(), 30);
        assert_eq!([turns[2], turns[3]], [(0, BatchPick::Forget(2)), (0, BatchPick::Retain(0))]);
        assert_eq!([turns[29], turns[10]], [(2, BatchPick::Retain(6)), (1, BatchPick::Forget(0))]);
    }

    #[test]
    fn the_forget_pass_can_be_left_out_of_the_last_epochs() {
        let turns = turns(&plan("scrub", &[("forget-epochs", 1.0)]));
        assert_eq!(turns.len(), 10 + 7 + 7);
        assert!(
            turns[10..].iter().all(|(epoch, turn)| {
                *epoch > 0 && matches!(turn, BatchPick::Retain(i) if *i < 7)
            })
        );
        assert_eq!(turns[17], (2, BatchPick::Retain(0)));
    }

    #[test]
    fn a_forget_batch_comes_before_every_few_retain_batches() {
        let turns = turns(&plan("sfr-on", &[("every", 3.0)]));
        assert_eq!(turns.len(), 3 * 10);
        let epoch: Vec<BatchPick> = turns[10..20].iter().map(|(_, turn)| *turn).collect();
        use BatchPick::{Forget as F, Retain as R};
        assert_eq!(epoch, [F(0), R(0), R(1), R(2), F(1), R(3), R(4), R(5), F(2), R(6)]);
    }

    #[test]
    fn a_retrain_is_as_long_as_the_originals_training() {
        let data = crate::data::open("fashion-mnist").unwrap();
        let model = crate::models::registry::open("fashion-ddpm").unwrap();
        let split = data.split(model.card.split_seed);
        let set = ForgetSet::parse("class:Sneaker", &data, &split, 1).unwrap();
        let steps = |budget, steps| {
            let recipe = Recipe {
                method: "retrain".into(),
                budget,
                steps,
                ..Recipe::new("fashion-ddpm", "fashion-mnist", "class:Sneaker")
            };
            let mut plan = Plan::new(&recipe, &model.card.architecture, &data, &set).unwrap();
            plan.as_trained(&model.card, &recipe, split.train.len());
            (plan.steps, plan.batch, plan.lr)
        };
        // Five passes over the 48,600 pictures that are left, as the shipped twin's card says.
        assert_eq!(steps(Budget::Quick, None), (3_800, 64, 1e-3));
        assert_eq!(steps(Budget::Full, None), (3_800, 64, 1e-3));
        assert_eq!(steps(Budget::Quick, Some(7)).0, 7);
        assert!(steps(Budget::Tiny, None).0 < 10);
    }

    #[test]
    fn few_pictures_are_forgotten_in_smaller_and_more_updates_and_in_company() {
        let data = crate::data::open("fashion-mnist").unwrap();
        let architecture = crate::models::registry::open("fashion-classifier").unwrap().card;
        let architecture = architecture.architecture;
        let split = data.split(1);
        let plan = |data: &Dataset, n: usize, recipe: Recipe| {
            let set = ForgetSet::parse("class:Sneaker", data, &split, 1).unwrap();
            let [forget, retain] = [(&set.forget, n), (&set.retain, 3 * n)]
                .map(|(all, n)| all[..n.min(all.len())].to_vec());
            Plan::new(&recipe, &architecture, data, &ForgetSet { forget, retain, ..set }).unwrap()
        };
        let recipe = |method: &str| Recipe {
            method: method.into(),
            ..Recipe::new("m", "d", "class:Sneaker")
        };
        // Many are normalised in company alone, and by the full budget as the paper has it.
        let many = plan(&data, 5_400, recipe("salun"));
        assert_eq!((many.batch, many.steps, many.lr), (128, 240, IN_COMPANY));
        assert!(!many.few() && many.company.len() == 16_200);
        let full = plan(&data, 5_400, Recipe { budget: Budget::Full, ..recipe("salun") });
        assert!(full.company.is_empty() && full.lr == 0.013);
        let few = plan(&data, 54, recipe("salun"));
        assert_eq!(plan(&data, 2, recipe("salun")).each, [2, 6]);
        assert_eq!((few.batch, few.epochs, few.company.len()), (16, 16, 162));
        assert!((200..300).contains(&few.steps), "{}", few.steps);
        // The epochs that move away grow with the others.
        let scrub = plan(&data, 54, recipe("scrub"));
        assert_eq!((scrub.epochs, scrub.forget_epochs()), (16, 8));
        let said = Recipe { batch: Some(32), epochs: Some(2), ..recipe("salun") };
        let said = plan(&data, 54, said);
        assert_eq!((said.batch, said.epochs), (32, 2));
    }

    #[test]
    fn pairs_and_mixtures_cover_the_retain_set() {
        let pairs = turns(&plan("munba", &[]));
        assert_eq!(pairs[..4].iter().map(|(_, t)| *t).next_back(), Some(BatchPick::Pair(0, 3)));
        assert_eq!(pairs.len(), 21);
        let mixed = turns(&plan("bad-teacher", &[]));
        assert_eq!((mixed.len(), mixed[29]), (30, (2, BatchPick::Mixed(9))));
    }
}
