//! Everything about one task: its model, the request, the saliency, the two runs.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use super::attempt::Attempt;
use super::history::Kept;
use super::request::controlled;
use super::state::{Insights, Look, Steps};
use super::{Choice, History, Race, Saliency, format, prompt, recorded};
use crate::data;
use crate::engine::{Grid, Looked, Opened, PromptPane, Run, TrainingSet};
use crate::eval::Evidence;
use crate::eval::verdict::verdict;
use crate::models::registry;
use crate::run::{Link, Record};
use crate::saliency::Overlap;
use crate::words::{Budget, Recipe, Report, Task};

/// The two runs that stand side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arm {
    /// The method that was asked for.
    #[default]
    Method,
    /// The same with a random mask of equal size.
    Control,
}

impl Arm {
    pub const BOTH: [Self; 2] = [Self::Method, Self::Control];

    /// The pane that shows it.
    pub fn pane(self) -> Pane {
        match self {
            Self::Method => Pane::After,
            Self::Control => Pane::Random,
        }
    }
}

/// One of the runs that are shown: side by side, or in a race.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Arm(Arm),
    Lane(usize),
}

impl From<Arm> for Whose {
    fn from(arm: Arm) -> Self {
        Self::Arm(arm)
    }
}

/// A pane of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    Before,
    After,
    Random,
    Retrain,
}

impl Pane {
    /// The name on its toggle.
    pub fn name(self) -> &'static str {
        match self {
            Self::Before => "Before",
            Self::After => "After",
            Self::Random => "Random mask",
            Self::Retrain => "Retrain",
        }
    }
}

/// What a pane has to show.
#[derive(Debug, Clone, PartialEq)]
pub enum Content<'a> {
    /// Pictures; after how many updates, where that is a question.
    Grid(&'a Arc<Grid>, Option<usize>),
    /// Pictures that it begins with, and among them a row of its own; after how many updates.
    Glimpse(&'a Arc<Grid>, usize, usize),
    /// Pictures of a run at a strength.
    Part(&'a Arc<Grid>, f64),
    /// Pictures that it begins with, as long as there are none of its own.
    Next(&'a Arc<Grid>),
    /// Why there are none, in a line.
    Hint(String),
}

/// One task's side of the studio.
#[derive(Debug, Default)]
pub struct TaskState {
    pub task: Task,
    /// The model's name, or its file.
    pub model: String,
    /// What a person should know of the model and its runs, as the engine told it.
    pub notes: Vec<String>,
    /// What a link asks for once the model is open.
    pub wanted: Option<Link>,
    /// Where a link holds the timeline once the run is done.
    pub at: Option<usize>,
    pub opened: Option<Arc<Opened>>,
    /// Its first pictures while it is opened for the first time.
    pub rough: Option<Arc<Opened>>,
    /// What is to be forgotten.
    pub what: Option<Choice>,
    /// Whether Forget was pressed before the weights are scored.
    pub eager: bool,
    /// The knobs; of which model, data and forget set they are is said by [`Self::recipe`].
    pub request: Recipe,
    pub saliency: Option<Saliency>,
    pub attempts: [Option<Attempt>; 2],
    /// The recorded run that is shown in place of one of this sitting.
    pub record: Option<Arc<Record>>,
    /// The recorded run that was asked for again.
    pub replayed: Option<Arc<Record>>,
    /// The step that the timeline is held at; `None` follows the training.
    pub scrub: Option<usize>,
    /// The step of the shown run that Before shows in place of the unchanged model.
    pub against: Option<usize>,
    pub history: History,
    /// Runs that are made one after another.
    pub race: Race,
    /// The pictures that can be picked, once they were asked for.
    pub shelf: Option<Arc<TrainingSet>>,
    /// Whether they could not be opened.
    pub unreadable: bool,
    /// What a person's own pictures are being looked at for, and what was seen in them last.
    pub looks: Option<Look>,
    pub looked: Option<(Look, Looked)>,
    /// The models before the adopted runs, the first one first, and those that were left by undoing, the last one
    /// first.
    pub before: Vec<Arc<Opened>>,
    pub undone: Vec<Arc<Opened>>,
    /// The masks that were compared last.
    pub overlap: Option<Arc<Overlap>>,
    /// What was looked into.
    pub insights: Insights,
    /// What the prompts of the request show before it.
    pub pane: Option<PromptPane>,
    /// What the shipped Retrain twin shows, and of what: from the same noise as the model's pictures.
    pub twin: Option<(Recipe, Arc<Grid>)>,
    /// The sampler's steps on the way to a tile.
    pub steps: Steps,
}

impl TaskState {
    /// A session with nothing open, whose first verdict comes soon.
    pub fn new(task: Task) -> Self {
        let request = Recipe { budget: Budget::Brief, ..Recipe::default() };
        Self { task, model: registry::first(task).into(), request, ..Self::default() }
    }

    /// The request and the place on the timeline as a link.
    pub fn link(&self) -> Link {
        if let Some(wanted) = &self.wanted {
            return wanted.clone();
        }
        let spec = self.opened.as_deref().and_then(|o| self.spec(o)).unwrap_or_default();
        let model = self.opened.as_deref().map_or(&*self.model, Opened::model);
        let shipped = registry::shipped(model).map_or(data::NAMES[0], |s| s.data);
        let data = self.opened.as_deref().map_or(shipped, |o| &o.data);
        Link { at: self.scrub, ..Link::of(self.recipe_of(model, data, &spec)) }
    }

    /// The forget set of what is picked, `class:Sneaker` or `random:10%`.
    pub fn spec(&self, opened: &Opened) -> Option<String> {
        self.what.as_ref()?.spec(opened)
    }

    /// What there is to see of the model.
    pub fn seen(&self) -> Option<&Arc<Opened>> {
        // First pictures may be left of an opening that was stopped.
        let rough = self.rough.as_ref().filter(|rough| rough.name == self.model);
        self.opened.as_ref().or(rough).or_else(|| recorded::opened(&self.model))
    }

    pub fn attempt(&self, arm: Arm) -> Option<&Attempt> {
        self.attempts[arm as usize].as_ref()
    }

    pub fn attempt_mut(&mut self, arm: Arm) -> Option<&mut Attempt> {
        self.attempts[arm as usize].as_mut()
    }

    /// A run that is shown, side by side or in the race.
    pub fn shown(&self, whose: impl Into<Whose>) -> Option<&Attempt> {
        match whose.into() {
            Whose::Arm(arm) => self.attempt(arm),
            Whose::Lane(at) => self.race.lanes.get(at).map(|lane| &lane.attempt),
        }
    }

    pub fn shown_mut(&mut self, whose: impl Into<Whose>) -> Option<&mut Attempt> {
        match whose.into() {
            Whose::Arm(arm) => self.attempt_mut(arm),
            Whose::Lane(at) => self.race.lanes.get_mut(at).map(|lane| &mut lane.attempt),
        }
    }

    /// A shown run that is finished.
    pub fn run(&self, arm: Arm) -> Option<&Arc<Run>> {
        self.attempt(arm)?.run.as_ref()
    }

    /// What is known of a shown run that is finished, of this sitting or recorded.
    pub fn report(&self, arm: Arm) -> Option<&Report> {
        self.attempt(arm)?.report()
    }

    /// Whether the saliency is known, and not just guessed from the first pictures.
    pub fn scored(&self) -> bool {
        self.saliency.as_ref().is_some_and(|s| s.whole)
    }

    /// Shows another model, of which nothing is asked yet.
    pub fn take(&mut self, opened: Arc<Opened>) {
        self.clear();
        self.model = opened.name.clone();
        (self.request.seed, self.request.budget) = (opened.seed, opened.budget);
        (self.what, self.request.branch) = (None, None);
        self.insights = Insights::default();
        self.opened = Some(opened);
    }

    /// Puts away what belongs to another forget set.
    pub fn clear(&mut self) {
        self.saliency = None;
        self.pane = None;
        self.race = Race::default();
        self.put_away();
    }

    /// Lets go of the models before and after what is open: it has come from none of them.
    pub fn no_others(&mut self) {
        self.before.clear();
        self.undone.clear();
    }

    /// Makes room for another run.
    pub fn put_away(&mut self) {
        self.attempts = [None, None];
        self.record = None;
        (self.scrub, self.against) = (None, None);
        self.history.shown = None;
    }

    /// Takes in the result of a run.
    pub fn finish(&mut self, arm: Arm, run: &Arc<Run>) {
        let Some(attempt) = &mut self.attempts[arm as usize] else { return };
        attempt.finish(run.clone());
        if let Some(opened) = &self.opened {
            let (opened, pane) = (opened.clone(), self.pane.clone());
            self.history.push(arm, Kept { opened, pane, attempts: [None, None] }, attempt, run);
        }
    }

    /// The pictures that all panes are held against: the request's prompts, or what the model shows
    /// of every class.
    pub fn base(&self) -> Option<&Arc<Grid>> {
        if self.record.is_some() {
            return self.attempt(Arm::Method)?.snapshots.first().map(|(_, grid)| grid);
        }
        self.pane.as_ref().map(|pane| &pane.grid).or(self.seen().map(|opened| &opened.grid))
    }

    /// The rows of [`Self::base`] that are to be forgotten.
    pub fn forgotten(&self) -> Range<usize> {
        if let Some(Record { forgotten: [first, last], .. }) = self.record.as_deref() {
            return *first..*last;
        }
        if let Some(pane) = &self.pane {
            return 0..pane.forgotten;
        }
        let (Some(what), Some(seen)) = (&self.what, self.seen()) else { return 0..0 };
        let grid = &seen.grid;
        let row = match what {
            Choice::Class(class) => grid.rows.iter().position(|row| *row == Some(*class)),
            // As long as there are no pictures of the prompt itself.
            Choice::Prompt(_) => prompt::choices(seen).iter().position(|choice| choice == what),
            _ => None,
        };
        row.map_or(0..0, |row| row..row + 1)
    }

    /// Takes in what the request's prompts show; a run that has yet to start begins with it.
    pub fn take_pane(&mut self, pane: PromptPane) {
        for attempt in self.attempts.iter_mut().flatten().filter(|a| a.run.is_none()) {
            attempt.snapshots[0].1 = pane.grid.clone();
        }
        self.pane = Some(pane);
    }

    /// Takes in what an examination `adds` to a shown run, and the verdict that follows; the run as it is
    /// now, which is another to be saved.
    pub fn examined(&mut self, arm: Arm, adds: impl FnOnce(&mut Run)) -> Option<Arc<Run>> {
        let run = self.run(arm)?.clone();
        let mut fresh = Run::clone(&run);
        adds(&mut fresh);
        let verdict = verdict(&Evidence::of(&fresh.report));
        fresh.report.verdict = verdict.clone();
        let fresh = Arc::new(fresh);
        self.history.judge(&run, &verdict);
        let is_it = |a: &&mut Attempt| a.run.as_ref().is_some_and(|r| Arc::ptr_eq(r, &run));
        for attempt in self.all_attempts().filter(is_it) {
            attempt.run = Some(fresh.clone());
            attempt.saved = None;
        }
        Some(fresh)
    }

    /// The shown attempts, and those that can be shown again.
    pub fn all_attempts(&mut self) -> impl Iterator<Item = &mut Attempt> {
        let kept = self.history.entries.iter_mut().filter_map(|e| e.kept.as_mut());
        self.attempts.iter_mut().chain(kept.flat_map(|kept| &mut kept.attempts)).flatten()
    }

    /// Steps that have pictures, of both runs, in order.
    pub fn stops(&self) -> Vec<usize> {
        let attempts = self.attempts.iter().flatten();
        let steps: BTreeSet<usize> = attempts.flat_map(|a| &a.snapshots).map(|s| s.0).collect();
        steps.into_iter().collect()
    }

    /// Whether a run is there, or follows because Forget was pressed.
    pub fn under_way(&self) -> bool {
        self.eager || self.attempt(Arm::Method).is_some()
    }

    /// Whether a pane has something to show, or will have by what was asked for: what has not takes no room.
    pub fn has(&self, pane: Pane) -> bool {
        let there = !matches!(self.content(pane), Content::Hint(_));
        pane == Pane::Before || self.under_way() && there
    }

    /// Whether the control follows the run that goes on or was asked for.
    fn control_follows(&self) -> bool {
        match self.attempt(Arm::Method) {
            Some(attempt) => {
                controlled(&attempt.recipe) && attempt.run.is_none() && !attempt.cancelled
            }
            None => controlled(&self.request),
        }
    }

    /// What a pane shows now.
    pub fn content(&self, pane: Pane) -> Content<'_> {
        let Some(opened) = self.seen() else {
            return Content::Hint("Opening the model…".into());
        };
        let base = self.base().unwrap_or(&opened.grid);
        match pane {
            Pane::Before => match self.held_against() {
                Some((step, grid)) => Content::Grid(grid, Some(step)),
                None => Content::Grid(base, None),
            },
            Pane::After => self.progress_of(Arm::Method).unwrap_or(Content::Next(base)),
            Pane::Random => self.progress_of(Arm::Control).unwrap_or_else(|| {
                if self.control_follows() {
                    return Content::Next(base);
                }
                Content::Hint(match self.run(Arm::Method) {
                    Some(run) if run.recipe.given.is_some() => {
                        "Weights that others made have no control".into()
                    }
                    Some(run) if run.mask.is_some() => "The control was not run".into(),
                    _ => "This run has no mask that a random one could stand against".into(),
                })
            }),
            Pane::Retrain => self.retrain(opened),
        }
    }

    /// The step that Before shows in place of the unchanged model, and its pictures.
    pub fn held_against(&self) -> Option<(usize, &Arc<Grid>)> {
        Some(self.attempt(Arm::Method)?.at(Some(self.against?)))
    }

    /// What Before shows: what all panes are held against.
    pub fn reference(&self) -> Option<&Arc<Grid>> {
        self.held_against().map(|(_, grid)| grid).or(self.base())
    }

    /// The strength that a run is shown at.
    pub fn strength(&self, whose: impl Into<Whose>) -> f64 {
        self.shown(whose).map_or(1.0, |attempt| attempt.dial.strength)
    }

    fn progress_of(&self, arm: Arm) -> Option<Content<'_>> {
        let attempt = self.attempt(arm)?;
        if let Some((grid, strength)) = attempt.part(self.base()).filter(|_| self.scrub.is_none()) {
            return Some(Content::Part(grid, strength));
        }
        if let (None, Some((step, row, grid))) = (self.scrub, &attempt.glimpse) {
            return Some(Content::Glimpse(grid, *row, *step));
        }
        let (step, grid) = attempt.at(self.scrub);
        Some(Content::Grid(grid, Some(step)))
    }

    /// What a twin's pictures are of now.
    pub fn twin_of(&self, opened: &Opened, forget: &str) -> Recipe {
        let Recipe { seed, budget, .. } = self.request;
        Recipe { seed, budget, ..Recipe::new(&opened.name, &opened.data, forget) }
    }

    fn retrain<'a>(&'a self, opened: &'a Opened) -> Content<'a> {
        let Some(spec) = self.spec(opened) else {
            return Content::Hint("Trained anew without the forget set: the truth".into());
        };
        let shipped = self.twin.as_ref().filter(|(of, _)| *of == self.twin_of(opened, &spec));
        match shipped
            .map(|(_, grid)| grid)
            .or_else(|| self.history.retrain(&opened.name, &spec).map(|run| &run.after))
        {
            Some(grid) => Content::Grid(grid, None),
            // A model that forgot something before has no twin.
            None if registry::twin(&opened.name, &spec).is_some() => Content::Next(&opened.grid),
            None => Content::Hint(format!(
                "None is shipped for {}; the method Retrain makes one, as long as training takes",
                format::forget_set(&spec)
            )),
        }
    }
}
