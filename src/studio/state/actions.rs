//! What the person asks for: a model, a forget set, knobs.

use std::sync::Arc;

use super::{JobKind, State};
#[cfg(not(target_arch = "wasm32"))]
use crate::data::corpus;
use crate::engine::{Job, Run};
use crate::error::{Error, Result};
#[cfg(not(target_arch = "wasm32"))]
use crate::models::Said;
use crate::models::registry;
use crate::run::Link;
use crate::saliency::By;
use crate::studio::request::estimator;
use crate::studio::{Arm, Choice, Saliency, tasks};
use crate::words::{AttackKind, Budget, Estimator, Export, Recipe, Redirect, Task};

/// Seeds whose masks are compared.
const SEEDS: usize = 3;
/// Characters of a prompt that are kept: more than its tokens can hold, and they fit into a link.
pub const LONGEST_PROMPT: usize = 400;

/// What is kept of a prompt.
pub fn kept(prompt: &str) -> String {
    let text: String = prompt.trim().chars().take(LONGEST_PROMPT).collect();
    text.trim_end().into()
}

impl State {
    /// Opens the shown task's model, or opens it again after a failure or with another seed.
    pub fn open(&mut self) {
        let session = self.session_mut();
        session.clear();
        let Recipe { seed, budget, .. } = session.request;
        let job = Job::Open { model: session.model.clone(), seed, budget };
        self.begin(JobKind::Open(seed), job);
        // An opening that this one replaces took them back.
        let request = &mut self.session_mut().request;
        (request.seed, request.budget) = (seed, budget);
    }

    /// Opens a weights file in place of the model of its task: from a path, or its bytes.
    pub fn import(&mut self, name: String, bytes: Option<Arc<[u8]>>) {
        if self.refuses() {
            return;
        }
        let Recipe { seed, budget, .. } = self.session().request;
        let job = match bytes {
            Some(bytes) => Job::Import { name, bytes, seed, budget },
            None => Job::Open { model: name, seed, budget },
        };
        self.begin(JobKind::Import, job);
    }

    /// Takes a folder of pictures with words for a text-to-image model of a person's own, if one is open.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn take_pictures(&mut self, folder: &std::path::Path) -> bool {
        let Some(opened) = self.session().opened.clone() else { return false };
        let Ok((file, said)) = Said::of(&opened.name) else { return false };
        let own = self.task.prompted() && registry::shipped(file).is_none();
        if own && opened.after.is_empty() {
            let data = corpus::worded(&format!("folder:{}", folder.display()));
            self.import(Said { data: Some(data), ..said }.behind(file), None);
            return true;
        }
        false
    }

    /// Takes over what a link asks for, of a model that comes with the program or lies on this machine.
    ///
    /// # Errors
    /// There is no such model.
    pub fn follow(&mut self, link: Link) -> Result<()> {
        self.unfinished = None;
        if registry::is_file(&link.recipe.model) {
            self.import(link.recipe.model.clone(), None);
            let import = self.work.as_ref().filter(|work| work.kind == JobKind::Import);
            self.linked = import.map(|work| (work.id, link));
            return Ok(());
        }
        let model = registry::shipped(&link.recipe.model).ok_or_else(|| {
            let names = Task::ALL.map(registry::first);
            Error::unknown("model", &link.recipe.model, names)
        })?;
        self.drop_work();
        self.task = model.task;
        let session = self.session_mut();
        session.model = model.name.into();
        session.opened = None;
        (session.what, session.request) = (None, link.recipe.clone());
        session.wanted = Some(link);
        self.open();
        Ok(())
    }

    /// Does what a link wants of the model that is open now.
    pub(super) fn meet(&mut self, link: Link) {
        let spec = &link.recipe.forget;
        let opened = self.session().opened.clone();
        let Some(opened) = opened.filter(|_| !spec.is_empty()) else { return };
        let Some(what) = self.tell(Choice::parse(spec, &opened)) else { return };
        self.session_mut().at = link.at;
        self.pick(what);
        if !self.take_up() && link.run {
            self.forget();
        }
    }

    /// Picks what to forget and scores the weights for it, once the model is open.
    pub fn pick(&mut self, what: Choice) {
        let session = self.session();
        if self.held() {
            return;
        }
        if session.opened.is_none() {
            // Not what a link wanted, nor a run that was to be gone on with.
            self.unfinished = None;
            self.session_mut().wanted = None;
            return self.aim(what);
        }
        if session.what.as_ref() != Some(&what) || !session.scored() {
            self.aim(what);
            self.rank();
        }
    }

    /// Picks what to forget and leaves the scoring for later: a slider is still moving.
    pub fn aim(&mut self, what: Choice) {
        if self.working() == Some(JobKind::Rank) {
            self.drop_work();
        }
        let session = self.session_mut();
        // A class cannot be sent to itself.
        if let (Choice::Class(class), Redirect::Class(to)) = (&what, &session.request.redirect)
            && session.seen().is_some_and(|o| o.classes.get(*class) == Some(to))
        {
            session.request.redirect = Redirect::Next;
        }
        if session.what.as_ref() != Some(&what) {
            session.what = Some(what);
            session.request.branch = None;
            session.clear();
        }
    }

    /// Sets how much is evaluated, trained on and scored.
    pub fn set_budget(&mut self, budget: Budget) {
        let old = std::mem::replace(&mut self.session_mut().request.budget, budget);
        if old == budget {
            return;
        }
        if old.sizes().sampler != budget.sizes().sampler {
            // Its pictures are others.
            self.open();
        } else if self.session().opened.is_some() && !self.opening() {
            // A model that is being opened is scored afterwards.
            self.session_mut().saliency = None;
            self.rank();
        }
    }

    /// Opens the model again if the seed of its pictures, shown or on their way, is no longer the
    /// one asked for. Called in every frame.
    pub fn reseed(&mut self) {
        let session = self.session();
        let seed = match self.working() {
            Some(JobKind::Open(seed)) => Some(seed),
            Some(kind) if kind.makes().is_some() => None,
            _ => session.opened.as_ref().map(|o| o.seed),
        };
        if seed.is_some_and(|seed| seed != session.request.seed) {
            self.open();
        }
    }

    /// Picks the class or the concept `by` places further on.
    pub fn pick_next(&mut self, by: isize) {
        let session = self.session();
        let choices = session.seen().map(|seen| (tasks::of(session.task).choices)(seen));
        let mut choices = choices.unwrap_or_default();
        if choices.is_empty() {
            return;
        }
        let next = match choices.iter().position(|choice| session.what.as_ref() == Some(choice)) {
            Some(now) => now as isize + by,
            None if by < 0 => by,
            None => by - 1,
        };
        let next = next.rem_euclid(choices.len() as isize) as usize;
        self.pick(choices.swap_remove(next));
    }

    /// Sets the share of weights that may change, 0..=1; bars and maps follow at once. What a run in
    /// progress shows is the density that it was started with.
    pub fn set_density(&mut self, density: f64) {
        let density = density.clamp(0.0, 1.0);
        if self.held() || self.session().request.density == density {
            return;
        }
        let session = self.session_mut();
        session.request.density = density;
        let mut shown = session.saliency.iter_mut().chain(session.insights.beside_mut());
        let aimed = shown.try_for_each(|s| s.aim(density));
        self.tell(aimed);
    }

    /// Makes bars and maps exact: the density has come to rest.
    pub fn settle(&mut self) {
        let session = self.session_mut();
        let shown = session.saliency.iter_mut().chain(session.insights.beside_mut());
        shown.for_each(Saliency::settle);
    }

    /// Sets how the mask is chosen; `None` is the method's own way. Scores that are known for
    /// another way are put away.
    pub fn set_mask(&mut self, mask: Option<Estimator>) {
        if self.held() || self.session().request.mask == mask {
            return;
        }
        self.session_mut().request.mask = mask;
        self.rescore();
    }

    /// Sets the method.
    pub fn set_method(&mut self, method: &str) {
        if self.held() || self.session().request.method == method {
            return;
        }
        let request = &mut self.session_mut().request;
        request.method = method.into();
        // One method's learning rate is nothing to another.
        request.lr = None;
        self.rescore();
    }

    /// Scores the weights anew if the ones that are known are another estimator's.
    pub(super) fn rescore(&mut self) {
        let session = self.session_mut();
        let estimator = estimator(&session.request);
        let stale = session.saliency.as_ref().is_none_or(|s| s.ranking.estimator != estimator);
        if estimator != Estimator::None && stale && session.what.is_some() {
            session.saliency = None;
            if session.opened.is_some() && !self.opening() {
                self.rank();
            }
        }
    }

    /// Opens the data set to be looked through, once nothing else is to be done.
    pub fn browse(&mut self) {
        let session = self.session();
        let (Some(opened), None, false) = (&session.opened, &self.work, session.unreadable) else {
            return;
        };
        let (model, data) = (opened.name.clone(), opened.data.clone());
        if session.shelf.as_ref().is_some_and(|s| s.model == model && s.data == data) {
            return;
        }
        self.begin_quietly(JobKind::Browse, Job::Browse { model, data });
    }

    /// Shows a finished run again: its pictures, its request, its saliency. Where only its figures
    /// are left, its request.
    pub fn recall(&mut self, number: usize) {
        if self.refuses() {
            return;
        }
        self.drop_work();
        let session = self.session_mut();
        let entry = session.history.entries.iter().find(|e| e.number == number);
        let Some(entry) = entry else { return };
        let (recipe, kept) = (entry.recipe.clone(), entry.kept.clone());
        let opened = kept.as_ref().map(|k| &k.opened).or(session.opened.as_ref()).cloned();
        let Some(opened) = opened else { return };
        let what = Choice::parse(&recipe.forget, &opened).ok();
        // What was undone follows the model that was open.
        if session.model != opened.name {
            session.undone.clear();
        }
        session.model = opened.name.clone();
        session.before.retain(|earlier| earlier.after.len() < opened.after.len());
        session.opened = Some(opened);
        session.what = what;
        session.request =
            Recipe { after: Vec::new(), fingerprint: None, ..recipe.whole().to_be_met() };
        session.clear();
        let Some(kept) = kept else {
            self.reseed();
            return self.rescore();
        };
        session.attempts = kept.attempts;
        session.pane = kept.pane;
        session.history.shown = Some(number);
        match session.run(Arm::Method).and_then(|run| run.ranking.clone()) {
            Some(ranking) if !ranking.scores.is_empty() => self.ranked(ranking, true),
            // They were too large to be kept.
            _ => self.rescore(),
        }
    }

    /// Makes the weights that the shown run ended with the model, so that more can be forgotten.
    pub fn adopt(&mut self) {
        let session = self.session();
        let Some(run) = session.run(Arm::Method).cloned() else { return };
        if self.held() {
            return;
        }
        let Recipe { seed, budget, .. } = session.request;
        self.begin(JobKind::Adopt, Job::Adopt { run, seed, budget });
    }

    /// Goes back to the model before the last adopted run, bit by bit what it was.
    pub fn undo(&mut self) {
        if self.refuses() {
            return;
        }
        self.drop_work();
        let session = self.session_mut();
        let left = session.opened.clone();
        if let Some(opened) = session.before.pop() {
            session.undone.extend(left);
            return session.take(opened);
        }
        let Some((last, before)) = session.opened.as_ref().and_then(|o| o.after.split_last())
        else {
            return;
        };
        session.model = Recipe { after: before.to_vec(), ..last.clone() }.start();
        session.what = None;
        self.open();
    }

    /// Compares the masks of the request's variations.
    pub fn compare_masks(&mut self, by: By) {
        let session = self.session();
        // Every class has its own.
        let recipe = session.recipe().or_else(|| session.recipe_for(&Choice::Class(0)));
        if let Some(recipe) = recipe.filter(|_| self.work.is_none()) {
            self.begin(JobKind::Overlap, Job::Overlap { recipe, by, seeds: SEEDS });
        }
    }

    /// Audits a shown run, beside a Retrain of the same forget set where one was finished.
    pub fn audit(&mut self, arm: Arm) {
        let Some((run, recipe)) = self.idle_run(arm) else { return };
        let retrain = self.session().history.retrain(&recipe.start(), &recipe.forget);
        let retrain = retrain.and_then(|twin| twin.model.plain().cloned());
        let Some(model) = run.model.plain().cloned() else { return };
        self.begin(JobKind::Audit(arm), Job::Audit { model, recipe, retrain });
    }

    /// Attacks a shown run that forgot a prompt.
    pub fn attack(&mut self, arm: Arm, kind: AttackKind) {
        let Some((run, recipe)) = self.idle_run(arm) else { return };
        let (model, attacks) = (Arc::new(run.model.clone()), vec![kind]);
        self.begin(JobKind::Attack(arm, kind), Job::Attack { model, recipe, attacks });
    }

    /// A shown run and what it is examined by, while nothing else is done.
    fn idle_run(&self, arm: Arm) -> Option<(Arc<Run>, Recipe)> {
        let run = self.session().run(arm).filter(|_| self.work.is_none())?;
        Some((run.clone(), Recipe { audit: None, ..run.recipe.clone() }))
    }

    /// Makes a file of the shown run's change.
    pub fn export(&mut self, what: Export) {
        let Some((run, recipe)) = self.idle_run(Arm::Method) else { return };
        let (model, mask) = (Arc::new(run.model.clone()), run.mask.clone());
        let protocol = run.report.protocol.clone();
        self.begin(JobKind::Export, Job::Export { model, recipe, protocol, mask, what });
    }

    /// Asks to forget a prompt; an empty one takes the request back.
    pub fn ask(&mut self, prompt: &str) {
        let text = kept(prompt);
        if !text.is_empty() {
            self.pick(Choice::Prompt(text));
        } else if !self.held() && self.session().what.is_some() {
            if !self.opening() {
                self.drop_work();
            }
            let session = self.session_mut();
            session.what = None;
            session.clear();
        }
    }
}
