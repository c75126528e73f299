//! A sitting remembered, and brought back.

use std::sync::Arc;

use super::State;
use crate::engine::{Job, Past, Run};
use crate::run::Link;
use crate::studio::TaskState;
use crate::studio::sitting::{Side, Sitting, Whole};
use crate::words::{Recipe, Task};

impl State {
    /// A task's session.
    pub fn side(&self, task: Task) -> &TaskState {
        &self.sessions[super::index(task)]
    }

    /// What is to be remembered of what is shown; nothing as long as there is no run.
    pub fn sitting(&self, view: &str) -> Option<Sitting> {
        let runs = |session: &TaskState| !session.history.entries.is_empty();
        if !self.sessions.iter().any(runs) {
            return None;
        }
        let tasks = self.sessions.iter().map(|session| {
            let recipe = session.recipe().or_else(|| session.wanted.clone().map(|w| w.recipe));
            let after = session.opened.as_ref().map(|opened| opened.after.clone());
            let request = Recipe { after: after.unwrap_or_default(), ..session.request.clone() };
            Side {
                task: session.task,
                model: session.model.clone(),
                request: recipe.unwrap_or(request),
                at: session.scrub,
                shown: session.history.shown,
            }
        });
        let version = env!("CARGO_PKG_VERSION").into();
        Some(Sitting { version, task: self.task, view: view.into(), tasks: tasks.collect() })
    }

    /// Shows a sitting as it was left; its runs, and whether each of them was saved.
    pub fn bring_back(&mut self, whole: Whole) -> Vec<(Arc<Run>, bool)> {
        let Whole { sitting, entries } = whole;
        self.drop_work();
        self.unfinished = None;
        let mut runs = Vec::new();
        // No number is given twice: those of this sitting come first.
        let last = |task| self.side(task).history.entries.last().map_or(0, |e| e.number);
        let behind = Task::ALL.map(last);
        for (task, mut entry) in entries {
            entry.number += behind[super::index(task)];
            let kept = entry.kept.iter().flat_map(|kept| kept.attempts.iter().flatten());
            let found = kept.filter_map(|a| Some((a.run.clone()?, a.saved.is_some())));
            let found: Vec<_> = found.collect();
            found.iter().for_each(|(run, _)| self.remind(run));
            runs.extend(found);
            self.sessions[super::index(task)].history.entries.push(entry);
        }
        for side in &sitting.tasks {
            let session = &mut self.sessions[super::index(side.task)];
            session.clear();
            (session.opened, session.what) = (None, None);
            session.no_others();
            session.model = side.model.clone();
            session.request = Recipe { after: Vec::new(), ..side.request.clone() };
            // Once its model is open, what was picked is picked again.
            let link = Link::of(side.request.clone());
            session.wanted = Some(link).filter(|link| !link.recipe.forget.is_empty());
        }
        self.task = sitting.task;
        let side = sitting.tasks.into_iter().find(|side| side.task == sitting.task);
        let there = |number: &usize| {
            let entries = &self.session().history.entries;
            entries.iter().any(|e| e.number == *number && e.kept.is_some())
        };
        let at = side.as_ref().and_then(|side| side.at);
        let shown = side.and_then(|side| Some(side.shown? + behind[super::index(side.task)]));
        match shown.filter(there) {
            Some(number) => {
                self.session_mut().wanted = None;
                self.recall(number);
                self.session_mut().scrub = at;
            }
            None => self.open(),
        }
        self.ended = "As it was left".into();
        runs
    }

    /// Tells the engine of a run that was made before it was there: others go on from it, or follow it.
    fn remind(&mut self, run: &Arc<Run>) {
        let past = Past { snapshots: run.snapshots.clone(), log: run.log.clone() };
        let (recipe, model) = (run.recipe.clone(), Some(run.model.clone()));
        self.last_id += 1;
        self.backend.start(self.last_id, Job::Remember { recipe, past, model });
    }
}
