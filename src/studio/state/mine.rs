//! A person's own pictures: what the model sees in them, and what they become.

use std::sync::Arc;

use super::{JobKind, State};
use crate::data::{Mine, Pictures};
use crate::engine::{Job, Looked};
use crate::studio::{Arm, TaskState};
use crate::words::Recipe;

/// What was looked at: which pictures, and by which models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    pictures: String,
    model: String,
    /// The run whose result looked, too.
    run: Option<String>,
}

impl Look {
    fn of(pictures: &str, session: &TaskState) -> Self {
        let run = session.run(Arm::Method).map(|run| run.recipe.protocol());
        Self { pictures: pictures.into(), model: session.model.clone(), run }
    }
}

impl State {
    /// Asks what the model sees in pictures, and what it sees after the run that is shown, once nothing else is
    /// to be done. They are known by their `key`.
    pub fn look(&mut self, key: &str, pictures: Arc<Pictures>) {
        let session = self.session();
        let look = Look::of(key, session);
        let known = session.looked.as_ref().is_some_and(|(of, _)| *of == look);
        if known || self.work.is_some() || session.opened.is_none() {
            return;
        }
        let after = session.run(Arm::Method).and_then(|run| run.model.plain().cloned());
        let model = session.model.clone();
        self.session_mut().looks = Some(look);
        let ended = self.ended.clone();
        self.begin_quietly(JobKind::Look, Job::Look { model, pictures, after });
        self.ended = ended;
    }

    /// What was seen in these pictures; of the model alone until the run's result has looked, too.
    pub fn looked(&self, key: &str) -> Option<&Looked> {
        let session = self.session();
        let (look, looked) = session.looked.as_ref()?;
        (look.pictures == key && look.model == session.model).then_some(looked)
    }

    /// Makes a person's own pictures the forget set.
    pub fn bring(&mut self, mine: Mine) {
        if !self.refuses() {
            self.begin(JobKind::Keep, Job::Keep(Arc::new(mine)));
        }
    }

    /// Has a copy of the model learn a person's own pictures as a class.
    pub fn learn(&mut self, mine: Mine) {
        let session = self.session();
        let Some(opened) = session.opened.clone().filter(|_| !self.held()) else { return };
        let Recipe { seed, budget, .. } = session.request;
        let (model, data) = (opened.name.clone(), opened.data.clone());
        let job = Job::Learn { model, data, mine: Arc::new(mine), seed, budget };
        self.begin(JobKind::Learn, job);
    }
}
