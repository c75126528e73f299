//! Recorded runs: shown as if they had been made here, and made again.

use std::sync::Arc;

use super::State;
use crate::engine::{Opened, Run};
use crate::models::Assumed;
use crate::run::Record;
use crate::studio::attempt::Attempt;
use crate::studio::{Arm, Choice};
use crate::words::{Recipe, Task};

impl State {
    /// Shows a recorded run at once; its model is opened meanwhile, for what may come next.
    pub fn show_record(&mut self, record: &Arc<Record>) {
        let task = Task::ALL.into_iter().find(|task| task.name() == record.run.report.task);
        let Some(task) = task.filter(|_| !self.refuses()) else { return };
        self.drop_work();
        self.task = task;
        let recipe = record.recipe.clone();
        let opened = first_seen(record, task);
        let session = self.session_mut();
        session.model = recipe.model.clone();
        session.no_others();
        session.wanted = None;
        session.what = Choice::parse(&recipe.forget, &opened).ok();
        let fits = |open: &Arc<Opened>| {
            open.name == recipe.model && open.seed == recipe.seed && open.budget == recipe.budget
        };
        let there = session.opened.take().filter(fits);
        session.request = recipe;
        session.opened = there;
        session.clear();
        if session.opened.is_none() {
            self.open();
        }
        let session = self.session_mut();
        if session.opened.is_none() {
            session.rough = Some(opened.into());
        }
        let attempt = |recipe: &Recipe, of| Attempt::recorded(recipe, record, of);
        let control = record.recipe.random_control();
        session.attempts = [
            Some(attempt(&record.recipe, &record.run)),
            record.control.as_ref().map(|of| attempt(&control, of)),
        ];
        session.record = Some(record.clone());
    }

    /// Makes the recorded run that is shown again, here.
    pub fn replay(&mut self) {
        let session = self.session_mut();
        let Some(record) = session.record.clone() else { return };
        if self.blocked().is_none() {
            let session = self.session_mut();
            session.request = record.recipe.clone();
            session.replayed = Some(record);
            self.forget();
        }
    }

    /// Says whether a run that was asked for again came to the same.
    pub(super) fn compare_with_record(&mut self, run: &Run, arm: Arm) {
        let session = self.session_mut();
        let Some(record) = &session.replayed else { return };
        let was = match arm {
            Arm::Method => Some(&record.run),
            Arm::Control => record.control.as_ref(),
        };
        if let Some(was) = was.filter(|was| was.report.protocol == run.report.protocol) {
            session.notes.push(record.compared(was, run));
        }
    }
}

/// What a model showed when a run of it was recorded.
fn first_seen(record: &Record, task: Task) -> Opened {
    let Recipe { model, data, seed, budget, .. } = record.recipe.clone();
    let grid = record.steps(&record.run).into_iter().next().map(|(_, grid)| grid);
    Opened {
        name: model,
        after: Vec::new(),
        task,
        classes: record.classes.clone(),
        data,
        seed,
        budget,
        grid: grid.unwrap_or_default(),
        params: record.params,
        assumed: Assumed::default(),
        graph: Arc::default(),
    }
}
