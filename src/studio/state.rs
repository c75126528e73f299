//! The studio without egui: what is open, what runs, and what an event changes.

use std::{path::PathBuf, sync::Arc};

use super::{
    Backend,
    attempt::Attempt,
    request::{Choice, Request},
    salient::Saliency,
    session::{Arm, Session},
};
use crate::{
    engine::job::{Event, Job, Outcome, Run},
    error::{Error, Result},
    gpu::device::DeviceInfo,
    models::{Task, registry},
    monitor::Progress,
    run::{
        link::Link,
        recipe::{Budget, Redirect},
    },
    saliency::ranking::Ranking,
};

/// What a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Opening a model with the pictures of a seed.
    Open(u64),
    /// Opening a weights file that a person gave.
    Import,
    /// Scoring the weights.
    Rank {
        /// Forget was pressed meanwhile.
        then_forget: bool,
    },
    Unlearn(Arm),
}

/// The job that the studio waits for. There is one at a time: a new one replaces it.
#[derive(Debug)]
pub struct Work {
    id: u64,
    pub kind: Kind,
    pub progress: Option<Progress>,
    pub paused: bool,
    pub cancelling: bool,
}

/// Everything that the panels draw.
pub struct State {
    backend: Box<dyn Backend>,
    pub device: Option<DeviceInfo>,
    pub task: Task,
    sessions: [Session; 2],
    pub work: Option<Work>,
    /// The last failure, until it is dismissed.
    pub error: Option<String>,
    /// How the last work ended, in a word or two.
    pub ended: &'static str,
    last_id: u64,
}

impl State {
    /// Starts with the diffusion model.
    pub fn new(backend: Box<dyn Backend>) -> Self {
        let mut state = Self {
            backend,
            device: None,
            task: Task::Generate,
            sessions: [Task::Generate, Task::Classify].map(Session::new),
            work: None,
            error: None,
            ended: "Ready",
            last_id: 0,
        };
        state.open();
        state
    }

    /// The shown task's session.
    pub fn session(&self) -> &Session {
        &self.sessions[index(self.task)]
    }

    /// The shown task's session.
    pub fn session_mut(&mut self) -> &mut Session {
        &mut self.sessions[index(self.task)]
    }

    /// Whether a model is being changed, so that another request would conflict.
    pub fn unlearning(&self) -> bool {
        self.work.as_ref().is_some_and(|w| matches!(w.kind, Kind::Unlearn(_)))
    }

    fn opening(&self) -> bool {
        self.work.as_ref().is_some_and(|w| matches!(w.kind, Kind::Open(_)))
    }

    /// Whether the request is settled: a run is in progress, or will be once the weights are
    /// scored.
    pub fn held(&self) -> bool {
        let queued = |w: &Work| matches!(w.kind, Kind::Rank { then_forget: true });
        self.unlearning() || self.work.as_ref().is_some_and(queued)
    }

    /// Why Forget cannot be pressed now.
    pub fn blocked(&self) -> Option<&'static str> {
        match &self.work {
            Some(Work { cancelling: true, .. }) => Some("Cancelling"),
            Some(Work { kind: Kind::Open(_) | Kind::Import, .. }) => {
                Some("The model is being opened")
            }
            Some(Work { kind: Kind::Rank { then_forget: false }, .. }) => None,
            Some(Work { kind: Kind::Rank { .. }, .. }) => {
                Some("Starts once the weights are scored")
            }
            Some(_) => Some("A run is in progress"),
            None if self.session().opened.is_none() => Some("No model is open"),
            None if self.session().request.what.is_none() => Some("Pick what to forget first"),
            None => None,
        }
    }

    /// Opens the shown task's model, or opens it again after a failure or with another seed.
    pub fn open(&mut self) {
        let session = self.session_mut();
        session.clear();
        let Request { seed, budget, .. } = session.request;
        let job = Job::Open { model: session.model.clone(), seed, budget };
        self.begin(Kind::Open(seed), job);
        // An opening that this one replaces took them back.
        let request = &mut self.session_mut().request;
        (request.seed, request.budget) = (seed, budget);
    }

    /// Opens a weights file in place of the model of its task: from a path, or its bytes.
    pub fn import(&mut self, name: String, bytes: Option<Arc<[u8]>>) {
        if self.unlearning() {
            self.error = Some("Wait for the run, or cancel it".into());
            return;
        }
        let Request { seed, budget, .. } = self.session().request;
        let job = match bytes {
            Some(bytes) => Job::Import { name, bytes, seed, budget },
            None => Job::Open { model: name, seed, budget },
        };
        self.begin(Kind::Import, job);
    }

    /// Takes over what a link asks for.
    ///
    /// # Errors
    /// Its model is not one that the studio opens by name.
    pub fn follow(&mut self, link: Link) -> Result<()> {
        let model = registry::shipped(&link.recipe.model).ok_or_else(|| {
            let names = Task::ALL.map(registry::first);
            Error::unknown("model", &link.recipe.model, names)
        })?;
        self.drop_work();
        self.task = model.task;
        let session = self.session_mut();
        session.model = model.name.into();
        session.opened = None;
        session.request = Request::of(&link.recipe);
        session.wanted = Some(link);
        self.open();
        Ok(())
    }

    /// Does what a link wants of the model that is open now.
    fn meet(&mut self, link: Link) {
        let spec = &link.recipe.forget;
        let session = self.session_mut();
        let Some(opened) = session.opened.clone().filter(|_| !spec.is_empty()) else { return };
        match Choice::parse(spec, &opened) {
            Ok(what) => {
                session.at = link.at;
                self.pick(what);
                if link.run {
                    self.forget();
                }
            }
            Err(error) => self.error = Some(error.to_string()),
        }
    }

    /// Shows a task; what the other one has is kept.
    pub fn switch(&mut self, task: Task) {
        if self.unlearning() || task == self.task {
            return;
        }
        self.drop_work();
        self.task = task;
        let session = self.session();
        if session.opened.is_none() {
            self.open();
        } else if session.request.what.is_some() && !session.scored() {
            self.rank();
        }
    }

    /// Picks what to forget and scores the weights for it.
    pub fn pick(&mut self, what: Choice) {
        let session = self.session();
        let same = session.request.what == Some(what) && session.scored();
        if !same && !self.held() && session.opened.is_some() {
            self.aim(what);
            self.rank();
        }
    }

    /// Picks what to forget and leaves the scoring for later: a slider is still moving.
    pub fn aim(&mut self, what: Choice) {
        if self.work.as_ref().is_some_and(|w| matches!(w.kind, Kind::Rank { .. })) {
            self.drop_work();
        }
        let session = self.session_mut();
        if session.request.what != Some(what) {
            session.request.what = Some(what);
            session.clear();
        }
        // A class cannot be sent to itself.
        if let (Choice::Class(class), Redirect::Class(to)) = (what, &session.request.redirect)
            && session.opened.as_ref().is_some_and(|o| o.classes.get(class) == Some(to))
        {
            session.request.redirect = Redirect::Next;
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
        let seed = match &self.work {
            Some(Work { kind: Kind::Open(seed), .. }) => Some(*seed),
            Some(Work { kind: Kind::Unlearn(_), .. }) => None,
            _ => session.opened.as_ref().map(|o| o.seed),
        };
        if seed.is_some_and(|seed| seed != session.request.seed) {
            self.open();
        }
    }

    /// Picks the class `by` places further on.
    pub fn pick_next(&mut self, by: isize) {
        let session = self.session();
        let Some(opened) = &session.opened else { return };
        let classes = opened.classes.len() as isize;
        let next = match session.request.what {
            Some(Choice::Class(class)) => class as isize + by,
            _ if by < 0 => by,
            _ => by - 1,
        };
        self.pick(Choice::Class(next.rem_euclid(classes) as usize));
    }

    /// Sets the share of weights that may change, 0..=1; bars and maps follow at once.
    pub fn set_density(&mut self, density: f64) {
        let density = density.clamp(0.0, 1.0);
        let session = self.session_mut();
        if session.request.density == density {
            return;
        }
        session.request.density = density;
        if let Some(Err(error)) = session.saliency.as_mut().map(|s| s.aim(density)) {
            self.error = Some(error.to_string());
        }
    }

    /// Makes bars and maps exact: the density has come to rest.
    pub fn settle(&mut self) {
        let saliency = self.session_mut().saliency.as_mut();
        if let Some(Err(error)) = saliency.map(Saliency::settle) {
            self.error = Some(error.to_string());
        }
    }

    /// Starts the run, and after it its control; while the weights are scored, once they are.
    pub fn forget(&mut self) {
        if self.blocked().is_some() {
            return;
        }
        if let Some(Work { kind: Kind::Rank { then_forget }, .. }) = &mut self.work {
            *then_forget = true;
            return;
        }
        let session = self.session_mut();
        session.attempts = [None, None];
        session.scrub = None;
        if let Some(recipe) = session.recipe() {
            self.unlearn(Arm::Method, Job::Unlearn(recipe));
        }
    }

    /// Asks the running job to stop.
    pub fn cancel(&mut self) {
        if let Some(work) = &mut self.work {
            work.cancelling = true;
            self.backend.cancel();
        }
    }

    /// Holds or continues the running job.
    pub fn toggle_pause(&mut self) {
        if let Some(work) = &mut self.work {
            work.paused = !work.paused;
            self.backend.pause(work.paused);
        }
    }

    /// The finished runs of the shown task.
    pub fn finished(&self) -> impl Iterator<Item = (Arm, &Arc<Run>)> {
        let session = self.session();
        Arm::BOTH.into_iter().filter_map(|arm| Some((arm, session.attempt(arm)?.run.as_ref()?)))
    }

    /// Notes where a run was saved, or why not, if it is still shown.
    pub fn note_saved(&mut self, arm: Arm, run: &Arc<Run>, place: Result<PathBuf>) {
        if let Err(error) = &place {
            self.error = Some(error.to_string());
        }
        let attempts = self.sessions.iter_mut().filter_map(|s| s.attempt_mut(arm));
        let shown = |a: &&mut Attempt| a.run.as_ref().is_some_and(|r| Arc::ptr_eq(r, run));
        if let Some(attempt) = attempts.into_iter().find(shown) {
            attempt.saved = place.ok();
        }
    }

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
            Event::Progress { id, progress } => {
                if let Some(work) = self.heard(id) {
                    work.progress = Some(progress);
                }
            }
            Event::Live { id, live } => {
                if let Some(Kind::Unlearn(arm)) = self.heard(id).map(|w| w.kind)
                    && let Some(attempt) = self.session_mut().attempt_mut(arm)
                {
                    attempt.push(live);
                }
            }
            Event::Rough { id, opened } => {
                if self.heard(id).is_some() {
                    self.session_mut().rough = Some(opened);
                }
            }
            Event::Early { id, ranking } => {
                if self.heard(id).is_some() {
                    self.ranked(ranking, false);
                }
            }
            Event::Snapshot { .. } | Event::LatentSnapshot { .. } => {}
            Event::Done { id, outcome } => {
                if let Some(work) = self.work.take_if(|w| w.id == id) {
                    self.ended = "Ready";
                    self.done(work, outcome);
                }
            }
            Event::Failed { id, error } => {
                if let Some(work) = self.work.take_if(|w| w.id == id) {
                    self.failed(work, error);
                }
            }
        }
    }

    /// The work that an event is about.
    fn heard(&mut self, id: u64) -> Option<&mut Work> {
        self.work.as_mut().filter(|w| w.id == id)
    }

    fn done(&mut self, work: Work, outcome: Outcome) {
        let session = self.session_mut();
        session.rough = None;
        match (work.kind, outcome) {
            (Kind::Open(_), Outcome::Opened(opened)) => {
                session.opened = Some(opened);
                match session.wanted.take() {
                    Some(link) => self.meet(link),
                    None if session.request.what.is_some() => self.rank(),
                    None => {}
                }
            }
            (Kind::Import, Outcome::Opened(opened)) => {
                let request = session.request.clone();
                self.task = opened.task;
                let session = self.session_mut();
                session.clear();
                session.model = opened.name.clone();
                session.request = Request { what: session.request.what, ..request };
                session.opened = Some(opened);
                if session.request.what.is_some() {
                    self.rank();
                }
            }
            (Kind::Rank { then_forget }, Outcome::Ranked(ranking)) => {
                self.ranked(ranking, true);
                if then_forget && !work.cancelling {
                    self.forget();
                }
            }
            (Kind::Unlearn(arm), Outcome::Unlearned(run)) => {
                if let Some(attempt) = session.attempt_mut(arm) {
                    attempt.finish(run.clone());
                }
                if arm == Arm::Method {
                    session.scrub = session.at.take();
                }
                if arm == Arm::Method
                    && let Some(ranking) = run.ranking.clone().filter(|_| !session.scored())
                {
                    self.ranked(ranking, true);
                }
                if arm == Arm::Method && run.mask.is_some() && !work.cancelling {
                    self.unlearn(Arm::Control, Job::Unlearn(run.recipe.random_control()));
                }
            }
            _ => {}
        }
    }

    fn ranked(&mut self, ranking: Arc<Ranking>, whole: bool) {
        let session = self.session_mut();
        match Saliency::new(ranking, whole, session.request.density) {
            Ok(saliency) => session.saliency = Some(saliency),
            Err(error) => self.error = Some(error.to_string()),
        }
    }

    fn failed(&mut self, work: Work, error: Error) {
        let cancelled = matches!(error, Error::Cancelled);
        self.keep_seed(work.kind);
        self.session_mut().rough = None;
        self.ended = if cancelled { "Cancelled" } else { "Failed" };
        if let Kind::Unlearn(arm) = work.kind
            && let Some(attempt) = self.session_mut().attempt_mut(arm)
        {
            attempt.cancelled = true;
        }
        if !cancelled {
            self.error = Some(error.to_string());
        }
    }

    fn rank(&mut self) {
        // Before the recipe is made: a reopening that is dropped gives its seed back.
        self.drop_work();
        if let Some(recipe) = self.session().recipe() {
            self.begin(Kind::Rank { then_forget: false }, Job::Rank(recipe));
        }
    }

    fn unlearn(&mut self, arm: Arm, job: Job) {
        let session = self.session_mut();
        let Some(opened) = &session.opened else { return };
        let method = session.request.method.clone();
        session.attempts[arm as usize] = Some(Attempt::new(method, opened.grid.clone()));
        self.begin(Kind::Unlearn(arm), job);
    }

    fn begin(&mut self, kind: Kind, job: Job) {
        self.drop_work();
        self.error = None;
        self.last_id += 1;
        let id = self.last_id;
        self.work = Some(Work { id, kind, progress: None, paused: false, cancelling: false });
        self.backend.pause(false);
        self.backend.start(id, job);
    }

    fn drop_work(&mut self) {
        if let Some(work) = self.work.take() {
            self.backend.cancel();
            self.keep_seed(work.kind);
            self.session_mut().rough = None;
        }
    }

    /// Where the pictures of another seed do not come, the request goes back to the shown ones':
    /// before and after start from the same noise.
    fn keep_seed(&mut self, kind: Kind) {
        let session = self.session_mut();
        if let (Kind::Open(_), Some(opened)) = (kind, &session.opened) {
            (session.request.seed, session.request.budget) = (opened.seed, opened.budget);
        }
    }
}

fn index(task: Task) -> usize {
    match task {
        // Prompts have no tab yet; their models open in none.
        Task::Generate | Task::TextToImage => 0,
        Task::Classify => 1,
    }
}
