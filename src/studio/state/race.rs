//! Several runs of the request, one after another.

use std::sync::Arc;

use super::{JobKind, State};
use crate::engine::Run;
use crate::error::Error;
use crate::studio::Arm;
use crate::studio::history::Kept;
use crate::studio::race::{Entrant, Race};

/// Runs of one race at the most.
pub const LANES: usize = 12;

impl State {
    /// Why these runs cannot be raced now.
    pub fn unraced(&self, entrants: &[Entrant]) -> Option<&'static str> {
        match self.blocked() {
            Some(why) => Some(why),
            None if entrants.len() < 2 => Some("Pick at least two"),
            None if entrants.len() > LANES => Some("Pick at most twelve"),
            None => None,
        }
    }

    /// Makes a run of the request with each of these in the place of what is set, one after another.
    pub fn race(&mut self, entrants: &[Entrant]) {
        if self.unraced(entrants).is_some() {
            return;
        }
        let task = self.task;
        let session = self.session_mut();
        let (Some(recipe), Some(before)) = (session.recipe(), session.base().cloned()) else {
            return;
        };
        let all = entrants.iter().map(|entrant| (entrant.name(), entrant.of(&recipe, task)));
        session.race = Race::of(all.collect(), &before);
        self.next_lane();
    }

    /// Why the race cannot go on now; nothing where it can.
    pub fn unresumed(&self) -> Option<&'static str> {
        match self.session().race.next() {
            None => Some("All runs are made"),
            Some(_) => self.blocked(),
        }
    }

    /// Goes on with a race that was stopped: the run that was under way is made again.
    pub fn resume_race(&mut self) {
        if self.unresumed().is_none() {
            self.next_lane();
        }
    }

    /// Shows a run of the race side by side with Before; the race stays.
    pub fn recall_beside(&mut self, number: usize) {
        let race = std::mem::take(&mut self.session_mut().race);
        self.recall(number);
        self.session_mut().race = race;
    }

    fn next_lane(&mut self) {
        let session = self.session_mut();
        let (Some(next), Some(base)) = (session.race.next(), session.base().cloned()) else {
            return;
        };
        let lane = &mut session.race.lanes[next];
        let recipe = lane.attempt.recipe.clone();
        lane.attempt = crate::studio::Attempt::new(recipe.clone(), base);
        self.begin_run(JobKind::Race(next), recipe, None);
    }

    /// Takes in a run of the race, which is one of the list as any other; then comes the next.
    pub(super) fn raced(&mut self, at: usize, run: Arc<Run>, goes_on: bool) {
        let session = self.session_mut();
        let (Some(lane), Some(opened)) = (session.race.lanes.get_mut(at), session.opened.clone())
        else {
            return;
        };
        lane.attempt.finish(run.clone());
        let kept = Kept { opened, pane: session.pane.clone(), attempts: [None, None] };
        // What is shown side by side stays.
        let shown = session.history.shown;
        session.history.push(Arm::Method, kept, &lane.attempt, &run);
        lane.number = session.history.shown;
        session.history.shown = shown;
        self.fresh.push(run);
        if goes_on {
            self.next_lane();
        }
        // What was being scored for the panels gave way to the race.
        if self.work.is_none() && !self.session().scored() {
            self.rescore();
        }
    }

    /// Notes why a run of the race ended; one that cannot be made holds up no other.
    pub(super) fn dropped_out(&mut self, at: usize, error: &Error) {
        let Some(lane) = self.session_mut().race.lanes.get_mut(at) else { return };
        let recipe = lane.attempt.recipe.clone();
        self.forget_state(&recipe, error);
        let Some(lane) = self.session_mut().race.lanes.get_mut(at) else { return };
        if matches!(error, Error::Cancelled) {
            lane.attempt.cancelled = true;
            self.ended = "Cancelled".into();
            return;
        }
        lane.failed = Some(error.to_string());
        self.ended = "Failed".into();
        self.next_lane();
    }
}
