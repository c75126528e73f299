//! What is done with a run's steps and its change: another goes on from a step, a step becomes the model, a part of
//! the change is shown.

use std::sync::Arc;

use super::{JobKind, State, WAIT};
use crate::engine::Job;
use crate::studio::{Arm, Whose};
use crate::words::{Recipe, STRENGTHS};

impl State {
    /// The shown run until the step that the timeline is held at; whole where that is its end.
    pub fn held_step(&self) -> Option<Recipe> {
        let session = self.session();
        let attempt = session.attempt(Arm::Method)?;
        let (step, _) = attempt.at(session.scrub);
        let recipe = attempt.recipe();
        let made = recipe.given.is_none() && step > 0;
        let whole = attempt.run.is_some() && step >= attempt.steps;
        let until = if whole { recipe.until } else { Some(step) };
        made.then(|| Recipe { until, fingerprint: None, ..recipe.clone() })
    }

    /// Why nothing can be done with the held step now.
    pub fn unheld(&self) -> Option<&'static str> {
        match self.held_step() {
            _ if self.held() => Some(WAIT),
            None => Some("Hold the timeline at a step of a run that was made here"),
            Some(_) => None,
        }
    }

    /// Has the request go on from the held step: with what is set until Forget is pressed.
    pub fn branch(&mut self) {
        let Some(from) = self.held_step().filter(|_| self.unheld().is_none()) else { return };
        let session = self.session_mut();
        let request = std::mem::take(&mut session.request);
        session.request = request.going_on(&from);
    }

    /// Has the request begin with the unchanged model again.
    pub fn stop_branching(&mut self) {
        self.session_mut().request.branch = None;
    }

    /// Takes the held step for a run of its own, which is measured and judged as any other.
    pub fn measure_step(&mut self) {
        self.take_step(JobKind::Unlearn(Arm::Method));
    }

    /// Makes the held step the model, so that more can be forgotten: it is measured first.
    pub fn keep_step(&mut self) {
        let whole = self.held_step().map(|step| step.until) == Some(None);
        // The run is there, and need not be measured once more.
        if whole && self.session().run(Arm::Method).is_some() {
            return self.adopt();
        }
        self.take_step(JobKind::KeepStep);
    }

    fn take_step(&mut self, kind: JobKind) {
        let Some(step) = self.held_step().filter(|_| self.unheld().is_none()) else { return };
        let session = self.session_mut();
        // The pictures of the way there stay.
        let way = session.attempt(Arm::Method).cloned();
        session.put_away();
        self.attempt(Arm::Method, step, kind);
        if let (Some(way), Some(attempt)) = (way, self.session_mut().attempt_mut(Arm::Method)) {
            attempt.begin_with(&way);
        }
    }

    /// Takes up the request again that was undone last.
    pub fn redo(&mut self) {
        if self.refuses() {
            return;
        }
        let session = self.session_mut();
        let Some(next) = session.undone.pop() else { return };
        self.drop_work();
        let session = self.session_mut();
        session.before.extend(session.opened.take());
        session.take(next);
    }

    /// Why no other strength of a shown run can be had now.
    pub fn undialled(&self, whose: impl Into<Whose>) -> Option<&'static str> {
        let session = self.session();
        let run = session.shown(whose).and_then(|attempt| attempt.run.as_ref());
        let params = run.map(|run| run.model.weights().values.len());
        let looks = |kind| matches!(kind, JobKind::Strength(_) | JobKind::Trace | JobKind::Inspect);
        if !self.working().is_none_or(looks) {
            return Some(WAIT);
        }
        if run.is_none() {
            return Some("No run is shown");
        }
        let whole = session.opened.as_ref().map(|opened| opened.params) == params;
        (!whole).then_some("The run has other weights than the original: nothing lies between")
    }

    /// Shows a shown run with so much of its change: 0 is the original, 1 the run; the pictures follow. The
    /// latest counts: what was being drawn for another is dropped.
    pub fn set_strength(&mut self, whose: impl Into<Whose>, strength: f64) {
        let whose = whose.into();
        let strength = strength.clamp(*STRENGTHS.start(), *STRENGTHS.end());
        if self.undialled(whose).is_some() || self.session().strength(whose) == strength {
            return;
        }
        let run = self.session().shown(whose).and_then(|attempt| attempt.run.clone());
        let Some(run) = run else { return };
        self.drop_work();
        let session = self.session_mut();
        if matches!(whose, Whose::Arm(_)) {
            session.scrub = None;
        }
        if let Some(attempt) = session.shown_mut(whose) {
            attempt.dial.strength = strength;
        }
        // The original's pictures and the run's are there.
        if strength != 0.0 && strength != 1.0 {
            let (model, recipe) = (Arc::new(run.model.clone()), run.recipe.clone());
            self.begin(JobKind::Strength(whose), Job::Interpolate { model, recipe, strength });
        }
    }
}
