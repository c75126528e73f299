//! A method as data: a row with its name, its knobs, and how it treats each kind of model.

use super::knob::TRAINING;
use super::{Knob, Knobs, MethodHooks};
use crate::error::{Error, Result};
use crate::words::{Estimator, Recipe, Sizes, Task};

/// A way to unlearn: what it is called, what can be set, and what it does.
#[derive(Debug)]
pub struct Method {
    /// Name on the command line.
    pub name: &'static str,
    /// Name for a person.
    pub title: &'static str,
    pub paper: &'static str,
    /// Knobs of its own; [`Method::knobs`] has those that it shares, too.
    pub knobs: &'static [Knob],
    /// The mask it takes unless another is asked for.
    pub mask: Estimator,
    /// Whether a mask goes with it.
    pub masked: bool,
    /// How it treats the models that it has a step for, one entry a task.
    pub treatments: &'static [Treatment],
    /// The method at work, with its knobs set.
    pub work: fn(&Knobs) -> Box<dyn MethodHooks>,
}

/// Which items an update sees.
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
    /// Items that are drawn for each update, as diffusion models learn: an update is an epoch of its own.
    Drawn(Losses),
}

/// The losses of an update of a diffusion model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Losses {
    /// Denoising of a retain batch.
    Retain,
    /// The method's loss of a forget batch plus `alpha` times the former.
    Sum,
    /// A gradient of each, which the method combines.
    Pair,
    /// The method's loss before every so many of the retain batch's, as [`Order::Every`].
    Every,
}

/// How the learning rate goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    Constant,
    /// Constant; where the budget allows few updates, along a cosine to 0: they would otherwise end
    /// in the noise of the last ones.
    ByBudget,
    /// Along a cosine to 0.
    Cosine,
    /// As the model was trained, by its preset: with its optimiser, batches and epochs, too.
    AsTrained,
}

/// How a method treats a kind of model.
#[derive(Debug, Clone, Copy)]
pub struct Treatment {
    pub task: Task,
    pub order: Order,
    /// Passes over the data, or updates of items that are drawn for each; 0 where nothing is trained.
    pub length: usize,
    pub lr: f64,
    /// Learning rate where the budget allows few updates; the budget's own where absent.
    pub quick_lr: Option<f64>,
    pub rate: Rate,
    /// Whether the forgotten is sent somewhere else, which a person may choose.
    pub redirects: bool,
    /// Whether only the layers that read the condition change.
    pub attention: bool,
    /// A switch of the method that is none here, and why.
    pub refused: Option<(&'static str, &'static str)>,
}

impl Treatment {
    const fn new(task: Task, order: Order, length: usize, lr: f64) -> Self {
        Self {
            task,
            order,
            length,
            lr,
            quick_lr: None,
            rate: Rate::ByBudget,
            redirects: false,
            attention: false,
            refused: None,
        }
    }

    /// A classifier.
    pub const fn classifier(order: Order, epochs: usize, lr: f64) -> Self {
        Self::new(Task::Classify, order, epochs, lr)
    }

    /// A classifier whose weights are changed once, by what both sets say of them.
    pub const CLOSED: Self = Self::classifier(Order::Passes, 0, 0.0);

    /// A diffusion model of classes.
    pub const fn classes(losses: Losses, steps: usize, lr: f64) -> Self {
        Self::new(Task::Generate, Order::Drawn(losses), steps, lr)
    }

    /// A text-to-image model, as all treat it that say no more.
    pub const fn prompts(losses: Losses) -> Self {
        let usual = Self::new(Task::TextToImage, Order::Drawn(losses), 1000, 1e-4);
        Self { rate: Rate::Constant, ..usual }
    }

    /// The same without updates: its weights are changed once, or not at all.
    pub const fn closed(self) -> Self {
        Self { length: 0, lr: 0.0, ..self }
    }

    /// Another learning rate where the budget allows few updates.
    pub const fn quick(self, lr: f64) -> Self {
        Self { quick_lr: Some(lr), ..self }
    }

    /// Another course of the learning rate.
    pub const fn rate(self, rate: Rate) -> Self {
        Self { rate, ..self }
    }

    /// Whether it is a loop of updates, which has a learning rate and a number of updates.
    pub fn trains(&self) -> bool {
        self.length > 0
    }

    /// Whether items are drawn for each update, and there are no epochs.
    pub fn draws(&self) -> bool {
        matches!(self.order, Order::Drawn(_))
    }

    /// The learning rate: the method's own, or one that suits the few updates of a budget.
    pub fn lr(&self, sizes: &Sizes) -> f64 {
        let few = sizes.lr.filter(|_| self.trains());
        few.map_or(self.lr, |lr| self.quick_lr.unwrap_or(lr[self.task as usize]))
    }

    /// Whether a knob of [`TRAINING`] changes anything.
    fn takes(&self, knob: &Knob) -> bool {
        let idle = self.attention && knob.name == "cross-attention";
        self.trains() && knob.fits(self.task) && !idle
    }

    /// Refuses a switch that cannot be on.
    ///
    /// # Errors
    /// The switch is named.
    pub fn check(&self, knobs: &Knobs) -> Result<()> {
        match self.refused.filter(|(switch, _)| knobs.on(switch)) {
            Some((switch, why)) => Err(Error::argument(switch, "on", why)),
            None => Ok(()),
        }
    }
}

impl Method {
    /// What a row begins with: no knobs, no mask of its own, and hooks that override nothing.
    pub const PLAIN: Self = Self {
        name: "",
        title: "",
        paper: "-",
        knobs: &[],
        mask: Estimator::None,
        masked: true,
        treatments: &[],
        work: |_| Box::new(()),
    };

    /// The tasks that it has a step for.
    pub fn tasks(&self) -> Vec<Task> {
        self.treatments.iter().map(|how| how.task).collect()
    }

    /// How it treats the models of a task, if it does.
    pub fn treats(&self, task: Task) -> Option<&'static Treatment> {
        self.treatments.iter().find(|how| how.task == task)
    }

    /// How it treats the models of a task.
    ///
    /// # Errors
    /// It has no step for them; those that it has are given.
    pub fn treatment(&self, task: Task) -> Result<&'static Treatment> {
        self.treats(task).ok_or_else(|| {
            let does = self.tasks().iter().map(|t| t.name()).collect::<Vec<_>>().join(", ");
            Error::argument("method", self.name, format!("it can only {does}"))
        })
    }

    /// Whether it is a loop of updates.
    pub fn trains(&self, task: Task) -> bool {
        self.treats(task).is_some_and(Treatment::trains)
    }

    /// What can be set besides the fields of a recipe: its own knobs, then those of all that train.
    pub fn knobs(&self) -> impl Iterator<Item = &'static Knob> {
        let takes = |knob: &&Knob| self.treatments.iter().any(|how| how.takes(knob));
        self.knobs.iter().chain(TRAINING.iter().filter(takes))
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

    /// The fields of a recipe that change what it does in a task.
    pub fn fields(&self, task: Task) -> Vec<&'static str> {
        let mut fields = Vec::new();
        if self.masked {
            fields.extend(["density", "mask"]);
        }
        let Some(how) = self.treats(task) else { return fields };
        if how.trains() {
            fields.extend((!how.draws()).then_some("epochs"));
            fields.extend(["steps", "lr", "batch"]);
        }
        fields.extend(how.redirects.then_some("redirect"));
        fields
    }
}
