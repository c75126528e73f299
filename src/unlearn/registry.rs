//! The methods that the studio, the command line and the docs offer.

use super::{
    bad_teacher, be, bs, delete, esd, ft, ga,
    hooks::MethodHooks,
    iu,
    knob::{Knob, Knobs},
    l1_sparse, munba, neggrad_plus, noop, retrain, rl, salun_soft, scrub, sfr_on, ssd, uce,
};
use crate::{
    error::{Error, Result},
    words::{budget::Sizes, estimator::Estimator, recipe::Recipe, task::Task},
};

/// A way to unlearn: what it is called, what can be set, and what it does.
#[derive(Debug)]
pub struct Method {
    /// Name on the command line.
    pub name: &'static str,
    /// Name for a person.
    pub title: &'static str,
    pub paper: &'static str,
    /// What can be set, in groups that methods share.
    pub knobs: &'static [&'static [Knob]],
    /// The mask it takes unless another is asked for.
    pub mask: Estimator,
    pub classify: Option<Classify>,
    pub generate: Option<Generate>,
    /// As a text-to-image model is treated.
    pub prompts: Option<Generate>,
    /// The method at work, with its knobs set.
    pub work: fn(&Knobs) -> Box<dyn MethodHooks>,
}

/// Which pictures an update of a classifier sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Nothing,
    /// The forget set.
    Forget,
    /// The retain set.
    Retain,
    /// Each epoch, all batches of the forget set and then all of the retain set. A knob
    /// `forget-epochs` limits the former to the first epochs.
    Passes,
    /// A batch of the forget set before every so many of the retain set; a knob `every` says how
    /// many.
    Every,
    /// One of each: an epoch is a pass over the retain set, the forget set comes round again.
    Pairs,
    /// Both sets shuffled together.
    Mixed,
}

/// How the learning rate goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    Constant,
    /// Along a cosine to 0.
    Cosine,
    /// As the model was trained, by its preset: with its optimiser, batches and epochs, too.
    AsTrained,
}

/// How a method treats a classifier.
#[derive(Debug)]
pub struct Classify {
    pub order: Order,
    pub rate: Rate,
    pub lr: f64,
    /// Learning rate along a cosine where the budget allows few updates; the budget's own where
    /// absent.
    pub quick_lr: Option<f64>,
    /// Passes over the data; 0 where nothing is trained.
    pub epochs: usize,
}

impl Classify {
    /// A method that looks at both sets and changes the weights once, without updates.
    pub const CLOSED: Self = Self {
        order: Order::Passes,
        rate: Rate::Constant,
        lr: 0.0,
        quick_lr: Some(0.0),
        epochs: 0,
    };
}

/// The losses of an update of a diffusion model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Losses {
    /// The method's loss of a forget batch.
    Forget,
    /// Denoising of a retain batch.
    Retain,
    /// The former plus `alpha` times the latter.
    Sum,
    /// A gradient of each, which the method combines.
    Pair,
}

/// How a method treats a diffusion model.
#[derive(Debug)]
pub struct Generate {
    pub losses: Losses,
    pub rate: Rate,
    pub lr: f64,
    /// As in [`Classify`].
    pub quick_lr: Option<f64>,
    /// Updates; 0 where nothing is trained.
    pub steps: usize,
    /// Whether the forgotten is sent somewhere else, which a person may choose.
    pub redirects: bool,
    /// Whether only the layers that read the condition change, of prompts.
    pub attention: bool,
}

impl Generate {
    /// What all do to a text-to-image model that say no more.
    pub const PROMPTS: Self = Self {
        losses: Losses::Sum,
        rate: Rate::Constant,
        lr: 1e-4,
        quick_lr: None,
        steps: 1000,
        redirects: false,
        attention: false,
    };

    /// As [`Classify::CLOSED`].
    pub const CLOSED: Self = Self {
        losses: Losses::Retain,
        rate: Rate::Constant,
        lr: 0.0,
        quick_lr: Some(0.0),
        steps: 0,
        redirects: false,
        attention: false,
    };
}

/// Every method.
pub const METHODS: &[Method] = &[
    rl::SALUN,
    salun_soft::METHOD,
    rl::RL,
    ft::METHOD,
    ga::METHOD,
    l1_sparse::METHOD,
    iu::METHOD,
    bs::METHOD,
    be::METHOD,
    neggrad_plus::METHOD,
    scrub::METHOD,
    bad_teacher::METHOD,
    ssd::METHOD,
    sfr_on::METHOD,
    munba::METHOD,
    delete::METHOD,
    esd::METHOD,
    uce::METHOD,
    retrain::METHOD,
    noop::METHOD,
];

impl Method {
    /// The tasks that it has a step for.
    pub fn tasks(&self) -> Vec<Task> {
        let classify = self.classify.is_some().then_some(Task::Classify);
        let generate = self.generate.is_some().then_some(Task::Generate);
        let prompts = self.prompts.is_some().then_some(Task::TextToImage);
        classify.into_iter().chain(generate).chain(prompts).collect()
    }

    /// How it treats a diffusion model of a task.
    pub fn denoises(&self, task: Task) -> Option<&Generate> {
        match task {
            Task::Classify => None,
            Task::Generate => self.generate.as_ref(),
            Task::TextToImage => self.prompts.as_ref(),
        }
    }

    /// What can be set besides the fields of a recipe.
    pub fn knobs(&self) -> impl Iterator<Item = &'static Knob> {
        self.knobs.iter().flat_map(|group| group.iter())
    }

    /// A knob by name.
    ///
    /// # Errors
    /// The method has none of that name; those that it has are given.
    pub fn knob(&self, name: &str) -> Result<&'static Knob> {
        self.knobs().find(|k| k.name == name).ok_or_else(|| {
            let mut names = self.knobs().map(|k| k.name).peekable();
            match names.peek() {
                Some(_) => Error::unknown("knob", name, names),
                None => Error::argument("knob", name, format!("{} has no knobs", self.name)),
            }
        })
    }

    /// Whether it is a loop of updates, which has a learning rate and a number of updates.
    pub fn trains(&self, task: Task) -> bool {
        match task {
            Task::Classify => self.classify.as_ref().is_some_and(|how| how.epochs > 0),
            _ => self.denoises(task).is_some_and(|how| how.steps > 0),
        }
    }

    /// Its learning rate in a task: its own, or one that suits the few updates of a budget.
    pub fn lr(&self, task: Task, sizes: &Sizes) -> Option<f64> {
        let classify = || self.classify.as_ref().map(|how| (how.lr, how.quick_lr));
        let denoises = || self.denoises(task).map(|how| (how.lr, how.quick_lr));
        let ((own, quick), place) = match task {
            Task::Classify => (classify()?, 0),
            Task::Generate => (denoises()?, 1),
            Task::TextToImage => (denoises()?, 2),
        };
        Some(sizes.lr.map_or(own, |lr| quick.unwrap_or(lr[place])))
    }

    /// What its learning rate follows in a task.
    pub fn rate(&self, task: Task) -> Option<Rate> {
        match task {
            Task::Classify => self.classify.as_ref().map(|how| how.rate),
            _ => self.denoises(task).map(|how| how.rate),
        }
    }

    /// Refuses a recipe with a field that would change nothing, or would make of the method what it
    /// is not.
    ///
    /// # Errors
    /// The field is named.
    pub fn refuse_idle(&self, recipe: &Recipe, task: Task) -> Result<()> {
        let fields = self.fields(task);
        let idle = recipe.set_fields().into_iter().find(|(name, _)| !fields.contains(name));
        let Some((name, given)) = idle else { return Ok(()) };
        let right =
            format!("{} of a {} model has no use for it; leave it out", self.name, task.name());
        Err(Error::argument(name, given, right))
    }

    /// Whether a mask goes with it: it would make of a model trained anew one that holds the
    /// original's weights.
    pub fn masked(&self) -> bool {
        ![noop::METHOD.name, retrain::METHOD.name].contains(&self.name)
    }

    /// The fields of a recipe that change what it does in a task.
    pub fn fields(&self, task: Task) -> Vec<&'static str> {
        let mut fields = Vec::new();
        if self.masked() {
            fields.extend(["density", "mask"]);
        }
        if self.trains(task) {
            fields.extend(match task {
                Task::Classify => &["epochs", "steps", "lr", "batch"][..],
                Task::Generate | Task::TextToImage => &["steps", "lr", "batch"],
            });
        }
        if self.denoises(task).is_some_and(|how| how.redirects) {
            fields.push("redirect");
        }
        fields
    }
}

/// A method by name.
///
/// # Errors
/// The name is unknown.
pub fn find(name: &str) -> Result<&'static Method> {
    METHODS
        .iter()
        .find(|m| m.name == name)
        .ok_or_else(|| Error::unknown("method", name, METHODS.iter().map(|m| m.name)))
}
