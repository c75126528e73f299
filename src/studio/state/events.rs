//! What the engine tells, and what changes with it.

use std::sync::Arc;

use super::{Insights, JobKind, RunningJob, State};
use crate::engine::{Event, Exported, Looked, Opened, Outcome, Run};
use crate::error::Error;
use crate::run::bundle;
use crate::saliency::Scores;
use crate::studio::request::controlled;
use crate::studio::{Arm, Choice, History, Saliency};
use crate::words::{LoraReport, Piece};

impl State {
    /// Takes in all that the engine has told since the last frame.
    pub fn poll(&mut self) {
        while let Some(event) = self.backend.poll() {
            self.handle(event);
        }
    }

    /// Takes in one event. Events of replaced jobs are ignored.
    fn handle(&mut self, event: Event) {
        match event {
            Event::Ready(info) => self.device = Some(info),
            Event::Progress { id, progress } if let Some(work) = self.heard(id) => {
                work.progress = Some(progress);
            }
            Event::Note { id, text } if let Some(work) = self.heard(id) => work.notes.push(text),
            Event::Step { id, live } if let Some(work) = self.heard(id) => {
                if let Some(whose) = work.kind.makes()
                    && let Some(attempt) = self.session_mut().shown_mut(whose)
                {
                    attempt.push(live);
                }
            }
            Event::After { id, grid, metrics } if let Some(work) = self.heard(id) => {
                if let JobKind::Unlearn(arm) = work.kind
                    && let Some(attempt) = self.session_mut().attempt_mut(arm)
                {
                    attempt.show(grid, metrics);
                }
            }
            Event::Rough { id, opened } if self.heard(id).is_some() => {
                self.session_mut().rough = Some(opened);
            }
            Event::Pane { id, pane } if self.heard(id).is_some() => {
                self.session_mut().take_pane(pane);
            }
            Event::Retrain { id, forget, grid } if self.heard(id).is_some() => {
                let session = self.session_mut();
                if let Some(opened) = &session.opened {
                    session.twin = Some((session.twin_of(opened, &forget), grid));
                }
            }
            Event::Early { id, ranking } if self.heard(id).is_some() => self.ranked(ranking, false),
            Event::Done { id, outcome } if let Some(work) = self.work.take_if(|w| w.id == id) => {
                self.ended = "Ready".into();
                self.done(work, outcome);
            }
            Event::Failed { id, error } if let Some(work) = self.work.take_if(|w| w.id == id) => {
                self.failed(work, error);
            }
            _ => {}
        }
    }

    /// The work that an event is about.
    fn heard(&mut self, id: u64) -> Option<&mut RunningJob> {
        self.work.as_mut().filter(|w| w.id == id)
    }

    fn done(&mut self, work: RunningJob, outcome: Outcome) {
        let session = self.session_mut();
        session.rough = None;
        session.eager &= !work.cancelling;
        if matches!(work.kind, JobKind::Open(_)) {
            session.notes.clear();
        }
        // An import has its own, of the task that it turns out to be of.
        if work.kind != JobKind::Import {
            for note in &work.notes {
                if !session.notes.contains(note) {
                    session.notes.push(note.clone());
                }
            }
        }
        match (work.kind, outcome) {
            (JobKind::Open(_), Outcome::Opened(opened)) => {
                session.opened = Some(opened);
                self.go_on();
            }
            (JobKind::Import, Outcome::Opened(opened)) => self.imported(work, opened),
            (JobKind::Rank, Outcome::Ranked(ranking)) => {
                let eager = std::mem::take(&mut session.eager);
                self.ranked(ranking, true);
                if eager {
                    self.forget();
                    self.go_on_from(&work);
                }
            }
            (JobKind::Browse, Outcome::Browsed(shelf)) => session.shelf = Some(shelf),
            (JobKind::Inspect, Outcome::Inspected(seen)) => self.inspected(seen),
            (JobKind::Look, Outcome::Looked(looked)) => {
                session.looked = session.looks.take().map(|look| (look, looked));
            }
            (JobKind::Keep, Outcome::Kept(name)) => self.pick(Choice::Mine(name.into())),
            (JobKind::Audit(arm), Outcome::Audited(audited)) => {
                let adds = |run: &mut Run| run.report.audit = Some(Box::new(audited.audit));
                let run = session.examined(arm, adds);
                self.fresh.extend(run);
            }
            (JobKind::Attack(arm, _), Outcome::Attacked(attacked)) => {
                let new = attacked.attacks;
                let run = session.examined(arm, |run| {
                    run.attacks.retain(|a| new.iter().all(|n| n.report.kind != a.report.kind));
                    run.attacks.extend(new);
                    run.report.attacks = run.attacks.iter().map(|a| a.report.clone()).collect();
                });
                self.fresh.extend(run);
            }
            (JobKind::Strength(whose), Outcome::Interpolated(grid)) => {
                if let Some(attempt) = session.shown_mut(whose) {
                    attempt.dial.drawn = Some((attempt.dial.strength, grid));
                }
            }
            (JobKind::Trace, Outcome::Traced(trace)) => session.steps.take(trace),
            (JobKind::Export, Outcome::Exported(made)) => self.exported(made),
            (JobKind::Overlap, Outcome::Overlapped(overlap)) => session.overlap = Some(overlap),
            (JobKind::Adopt | JobKind::Learn, Outcome::Opened(opened)) => {
                session.undone.clear();
                session.before.extend(session.opened.take());
                session.take(opened);
            }
            (JobKind::Unlearn(arm), Outcome::Unlearned(run)) => {
                self.unlearned(arm, run, !work.cancelling);
                if arm == Arm::Method {
                    self.go_on_from(&work);
                }
            }
            (JobKind::Race(at), Outcome::Unlearned(run)) => self.raced(at, run, !work.cancelling),
            (JobKind::KeepStep, Outcome::Unlearned(run)) => {
                self.unlearned(Arm::Method, run, false);
                if !work.cancelling {
                    self.adopt();
                }
            }
            _ => {}
        }
    }

    /// Takes in a file of the shown run's change, and says how well a LoRA holds it.
    fn exported(&mut self, made: Arc<Exported>) {
        let session = self.session_mut();
        let said = made.lora.as_ref().map(LoraReport::line);
        session.notes.extend(said.filter(|said| !session.notes.contains(said)));
        let run = session.run(Arm::Method).map(|run| bundle::name(run));
        let name = format!("{}-{}", run.unwrap_or_default(), made.what.file());
        self.made.push((name, made));
    }

    /// Does what a link wants of the model that is open now, or scores its weights for what is picked.
    fn go_on(&mut self) {
        let session = self.session_mut();
        match session.wanted.take() {
            Some(link) => self.meet(link),
            None if session.what.is_some() => {
                let eager = session.eager;
                self.rank();
                self.session_mut().eager = eager;
            }
            None => {}
        }
    }

    /// Puts a model that a person gave in place of that of its task.
    fn imported(&mut self, work: RunningJob, opened: Arc<Opened>) {
        let request = self.session().request.clone();
        self.task = opened.task;
        let session = self.session_mut();
        session.clear();
        session.notes = work.notes;
        session.no_others();
        session.insights = Insights::default();
        if session.model == opened.name {
            // Another file of the same name.
            session.history = History::default();
        }
        session.model = opened.name.clone();
        session.request = request;
        session.opened = Some(opened);
        let linked = self.linked.take().filter(|(id, _)| *id == work.id);
        let session = self.session_mut();
        session.wanted = linked.map(|(_, link)| link);
        if let Some(link) = &session.wanted {
            (session.what, session.request) = (None, link.recipe.clone());
        }
        self.go_on();
    }

    /// Takes in a run; after the method's comes its control, where there is one and it `goes_on`.
    fn unlearned(&mut self, arm: Arm, run: Arc<Run>, goes_on: bool) {
        let session = self.session_mut();
        session.finish(arm, &run);
        self.compare_with_record(&run, arm);
        self.fresh.push(run.clone());
        if arm == Arm::Control {
            return;
        }
        let session = self.session_mut();
        session.scrub = session.at.take();
        if let Some(ranking) = run.ranking.clone().filter(|_| !session.scored()) {
            self.ranked(ranking, true);
        }
        if goes_on && controlled(&run.recipe) && !self.hides(Piece::Control) {
            self.unlearn(Arm::Control, run.recipe.random_control());
        }
    }

    pub(super) fn ranked(&mut self, ranking: Arc<Scores>, whole: bool) {
        let saliency = Saliency::new(ranking, whole, self.session().request.density);
        if let Some(saliency) = self.tell(saliency) {
            self.session_mut().saliency = Some(saliency);
        }
    }

    fn failed(&mut self, work: RunningJob, error: Error) {
        self.unfinished = None;
        if work.kind == JobKind::Trace {
            self.session_mut().steps.give_up(true);
        }
        self.keep_shown(work.kind);
        if let JobKind::Race(at) = work.kind {
            return self.dropped_out(at, &error);
        }
        let session = self.session_mut();
        session.eager = false;
        if let Some(whose) = work.kind.makes()
            && let Some(attempt) = session.shown_mut(whose)
        {
            attempt.cancelled = true;
            let recipe = attempt.recipe.clone();
            self.forget_state(&recipe, &error);
        }
        let session = self.session_mut();
        if work.kind == JobKind::Inspect {
            session.uninspected();
        }
        if matches!(error, Error::Cancelled) {
            self.ended = "Cancelled".into();
        } else {
            session.rough = None;
            session.unreadable |= work.kind == JobKind::Browse;
            if work.kind == JobKind::Look {
                // Nothing is seen in them: they are not looked at again as they are.
                session.looked = session.looks.take().map(|look| (look, Looked::default()));
            }
            self.ended = "Failed".into();
            self.error = Some(error.to_string());
        }
    }
}
