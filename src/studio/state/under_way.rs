//! Runs whose state is kept on their way, and those of an earlier sitting that did not end.

use std::path::Path;

use super::{JobKind, State};
use crate::engine::{Job, StateFile};
use crate::error::{Error, Result};
use crate::run::Link;
use crate::studio::{Arm, Interrupted};
use crate::words::Recipe;

impl State {
    /// Asks for a run, from its beginning or from a state; it is kept on its way where there is a place for that. One
    /// that follows others begins with their runs, and is not.
    pub(super) fn begin_run(&mut self, kind: JobKind, recipe: Recipe, earlier: Option<&Path>) {
        let keeper = self.keeper.as_ref().filter(|_| recipe.after.is_empty());
        let path = keeper.and_then(|keeper| match earlier {
            Some(earlier) => Some(keeper.take_state(earlier, &recipe)),
            None => keeper.state(&recipe),
        });
        let resume = earlier.is_some();
        let job = match path {
            Some(path) => Job::UnlearnKept(recipe, StateFile { path, resume, at_stop: false }),
            None => Job::Unlearn(recipe),
        };
        self.begin(kind, job);
    }

    /// Lets go of the state of a run that was stopped or failed: a device that is lost leaves it.
    pub(super) fn forget_state(&self, recipe: &Recipe, error: &Error) {
        if let Some(keeper) = self.keeper.as_ref().filter(|_| !matches!(error, Error::Device(_))) {
            keeper.state(recipe).iter().for_each(|state| keeper.forget_state(state));
        }
    }

    /// Opens the model of a run that did not end, and goes on with it.
    ///
    /// # Errors
    /// There is no such model any more.
    pub fn go_on_with(&mut self, run: Interrupted) -> Result<()> {
        let request = Recipe { fingerprint: None, ..run.recipe.whole().to_be_met() };
        self.follow(Link::of(request))?;
        self.unfinished = Some(run);
        Ok(())
    }

    /// Goes on with the run that did not end, if the model that is open now is its own.
    pub(super) fn take_up(&mut self) -> bool {
        let name = self.session().opened.as_ref().map(|opened| opened.name.clone());
        let own = |run: &mut Interrupted| Some(&run.recipe.model) == name.as_ref();
        let Some(run) = self.unfinished.take_if(own) else { return false };
        if self.shows(Arm::Method, &run.recipe, &run.log) {
            self.begin_run(JobKind::Unlearn(Arm::Method), run.recipe, Some(&run.state));
        }
        true
    }
}
