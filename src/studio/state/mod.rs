//! The studio without egui: what is open, what runs, and what an event changes.

pub mod actions;
mod back;
mod events;
mod gallery;
mod inspect;
mod kind;
mod mine;
mod race;
mod steps;
mod time;
mod under_way;

pub use actions::LONGEST_PROMPT;
pub use inspect::Insights;
pub use kind::JobKind;
pub use mine::Look;
pub use steps::{Place, Steps};

use std::{path::PathBuf, sync::Arc};

use web_time::Instant;

use super::attempt::Attempt;
use super::request::estimator;
use super::task_state::TaskState;
use super::{Arm, Backend, Interrupted, Keeper, tasks};
use crate::engine::{Exported, Job, LogLine, Run};
use crate::error::Result;
use crate::gpu::DeviceInfo;
use crate::job_context::{Progress, Whole};
use crate::run::Link;
use crate::words::{Estimator, Piece, Recipe, Task};

/// Why something cannot be had now.
pub const WAIT: &str = "Wait for the work in progress, or cancel it";

/// The job that the studio waits for. There is one at a time: a new one replaces it.
#[derive(Debug)]
pub struct RunningJob {
    id: u64,
    pub kind: JobKind,
    pub progress: Option<Progress>,
    pub paused: bool,
    pub cancelling: bool,
    /// What the engine told of it that a person should know.
    notes: Vec<String>,
    /// When it was asked for, or the job that it goes on from.
    pub started: Instant,
    /// Work of the jobs that it goes on from, in passes.
    behind: f64,
}

/// How far what a person waits for is: scores, updates, the verdict, the control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Way {
    /// Shares that are behind, and at which the verdict stands where it is still ahead.
    pub share: f64,
    pub verdict: Option<f64>,
    /// Seconds that are left until the verdict, or in all where it stands.
    pub seconds_left: Option<f64>,
}

impl RunningJob {
    /// How far all that was asked for is, where it was foreseen; `eager`: whether a run follows the scores.
    pub fn way(&self, eager: bool) -> Option<Way> {
        let whole = self.progress.as_ref()?.whole?;
        let Whole { done, total, seconds_left, then, then_seconds } = whole;
        let (runs, follows) = match self.kind {
            JobKind::Rank => (false, eager),
            JobKind::Unlearn(arm) => (arm == Arm::Method, arm == Arm::Method),
            _ => (false, false),
        };
        let all = self.behind + total + if follows { then } else { 0.0 };
        let verdict = (runs && then > 0.0).then(|| (self.behind + total) / all);
        let more = if follows && !runs { then_seconds } else { Some(0.0) };
        let seconds_left = seconds_left.zip(more).map(|(a, b)| a + b);
        Some(Way { share: (self.behind + done) / all, verdict, seconds_left })
    }
}

/// Everything that the panels draw.
pub struct State {
    pub(super) backend: Box<dyn Backend>,
    pub device: Option<DeviceInfo>,
    pub task: Task,
    sessions: [TaskState; Task::ALL.len()],
    pub work: Option<RunningJob>,
    /// What a link asks for of a model of a person's own, which is being opened.
    linked: Option<(u64, Link)>,
    /// Knows where the states of runs under way are kept.
    pub keeper: Option<Arc<dyn Keeper>>,
    /// A run to go on with once its model is open.
    pub unfinished: Option<Interrupted>,
    /// Pieces of the studio that a worksheet leaves out, in their order.
    pub hidden: Vec<Piece>,
    /// The last failure, until it is dismissed.
    pub error: Option<String>,
    /// How the last work ended, in a few words.
    pub ended: String,
    last_id: u64,
    /// Runs of any task that finished, or were examined, since somebody last took them.
    pub fresh: Vec<Arc<Run>>,
    /// Files that were asked for and made since somebody last took them, with their names.
    pub made: Vec<(String, Arc<Exported>)>,
}

impl State {
    /// Starts with the model of a task.
    pub fn new(backend: Box<dyn Backend>, task: Task) -> Self {
        let mut state = Self {
            backend,
            device: None,
            task,
            sessions: Task::ALL.map(TaskState::new),
            work: None,
            linked: None,
            keeper: None,
            unfinished: None,
            hidden: Vec::new(),
            error: None,
            ended: "Ready".into(),
            last_id: 0,
            fresh: Vec::new(),
            made: Vec::new(),
        };
        state.open();
        state
    }

    /// What a person should know of the model, its runs and the work under way.
    pub fn notes(&self) -> impl Iterator<Item = &String> {
        let now = self.work.iter().flat_map(|work| &work.notes);
        self.session().notes.iter().chain(now)
    }

    /// The shown task's session.
    pub fn session(&self) -> &TaskState {
        &self.sessions[index(self.task)]
    }

    /// The shown task's session.
    pub fn session_mut(&mut self) -> &mut TaskState {
        &mut self.sessions[index(self.task)]
    }

    /// What came of something, or nothing where it failed: then the person is told why.
    pub fn tell<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.error = Some(error.to_string())).ok()
    }

    /// Whether a piece of the studio is left out.
    pub fn hides(&self, piece: Piece) -> bool {
        self.hidden.contains(&piece)
    }

    /// Leaves a piece of the studio out, or not any more.
    pub fn hide(&mut self, piece: Piece, hidden: bool) {
        self.hidden.retain(|other| *other != piece);
        self.hidden.extend(hidden.then_some(piece));
        self.hidden.sort();
    }

    /// What the work in progress is for.
    pub fn working(&self) -> Option<JobKind> {
        self.work.as_ref().map(|work| work.kind)
    }

    fn opening(&self) -> bool {
        matches!(self.working(), Some(JobKind::Open(_)))
    }

    /// Whether another request would conflict with the work in progress: a run, or one that starts
    /// once the weights are scored.
    pub fn held(&self) -> bool {
        self.working().is_some_and(|kind| kind.holds() || self.eager())
    }

    /// Whether Forget was pressed while the model was being opened or the weights scored.
    pub fn eager(&self) -> bool {
        self.session().eager && self.working().is_some_and(JobKind::prepares)
    }

    /// Why another request cannot be had now.
    pub fn waits(&self) -> Option<&'static str> {
        self.held().then_some(WAIT)
    }

    /// Says so where another request cannot be had now.
    fn refuses(&mut self) -> bool {
        if let Some(why) = self.waits() {
            self.error = Some(why.into());
        }
        self.held()
    }

    /// Why Forget cannot be pressed now.
    pub fn blocked(&self) -> Option<&'static str> {
        let session = self.session();
        match self.working() {
            _ if self.work.as_ref().is_some_and(|work| work.cancelling) => Some("Cancelling"),
            Some(JobKind::Import | JobKind::Adopt) => Some("The model is being opened"),
            Some(JobKind::Unlearn(_) | JobKind::KeepStep | JobKind::Race(_)) => {
                Some("A run is in progress")
            }
            _ if self.eager() => Some("Starts once the weights are scored"),
            _ if self.held() => Some(WAIT),
            _ if session.opened.is_none() && !self.opening() => Some("No model is open"),
            _ if session.what.is_none() => Some(tasks::of(self.task).pick[0]),
            _ if self.frozen() => Some("At 0 % no weight may change"),
            _ => None,
        }
    }

    /// Whether the request's mask lets no weight change.
    fn frozen(&self) -> bool {
        let session = self.session();
        let none = session.saliency.as_ref().is_some_and(|s| s.k == 0);
        let masked = estimator(&session.request) != Estimator::None;
        masked && (none || session.request.density == 0.0)
    }

    /// Shows a task; what the other one has is kept.
    pub fn switch(&mut self, task: Task) {
        if self.held() || task == self.task {
            return;
        }
        self.drop_work();
        self.task = task;
        let session = self.session();
        if session.opened.is_none() {
            self.open();
        } else if session.what.is_some() && !session.scored() {
            self.rank();
        }
    }

    /// Starts the run, and after it its control; while the model is opened or the weights are scored, once
    /// that is done.
    pub fn forget(&mut self) {
        if self.blocked().is_some() {
            return;
        }
        let waits = self.working().is_some_and(JobKind::prepares);
        let session = self.session_mut();
        session.put_away();
        session.eager = waits;
        if waits {
            return;
        }
        if let Some(recipe) = session.recipe() {
            self.unlearn(Arm::Method, recipe);
        }
    }

    /// Looks at weights that others made forget what is picked, out of a file or a folder, as at a run of the
    /// model that is open.
    pub fn compare(&mut self, file: &str) {
        let closed = self.session().opened.is_none().then_some("The model is being opened");
        if let Some(why) = self.blocked().or(closed) {
            return self.error = Some(why.into());
        }
        let session = self.session_mut();
        session.put_away();
        let Some(recipe) = session.recipe() else { return };
        // What takes long has a button of its own here.
        let audit = Some(recipe.audits());
        let recipe = Recipe { audit, ..recipe.met_by(file) };
        self.unlearn(Arm::Method, recipe.fitting(self.task));
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

    /// Lets the held job do one more update.
    pub fn step(&mut self) {
        if self.work.as_ref().is_some_and(|w| w.paused) {
            self.backend.step();
        }
    }

    /// The finished runs of the shown task.
    pub fn finished(&self) -> impl Iterator<Item = (Arm, &Arc<Run>)> {
        let session = self.session();
        Arm::BOTH.into_iter().filter_map(|arm| Some((arm, session.run(arm)?)))
    }

    /// Notes where something was saved, or why not; a run's card says it, too.
    pub fn note_saved(&mut self, run: Option<&Recipe>, place: Result<PathBuf>) {
        let Some(place) = self.tell(place) else { return };
        self.ended = format!("Saved to {}", place.display());
        let Some(run) = run else { return };
        let is_it = |a: &&mut Attempt| a.run.as_ref().is_some_and(|r| r.recipe == *run);
        for attempt in self.sessions.iter_mut().flat_map(TaskState::all_attempts).filter(is_it) {
            attempt.saved = Some(place.clone());
        }
    }

    fn rank(&mut self) {
        // Before the recipe is made: a reopening that is dropped gives its seed back.
        self.drop_work();
        if let Some(recipe) = self.session().recipe() {
            self.begin(JobKind::Rank, Job::Rank(recipe));
        }
    }

    fn unlearn(&mut self, arm: Arm, recipe: Recipe) {
        self.attempt(arm, recipe, JobKind::Unlearn(arm));
    }

    /// Shows a run as one of both from now on, and asks for it.
    fn attempt(&mut self, arm: Arm, recipe: Recipe, kind: JobKind) {
        if self.shows(arm, &recipe, &[]) {
            self.begin_run(kind, recipe, None);
        }
    }

    /// Shows a run as one of both from now on, with the updates that it made before; whether there is a model for it.
    fn shows(&mut self, arm: Arm, recipe: &Recipe, log: &[LogLine]) -> bool {
        let session = self.session_mut();
        let base = session.base().cloned().filter(|_| session.opened.is_some());
        let attempt = base.map(|base| Attempt::new(recipe.clone(), base).going_on(log));
        let there = attempt.is_some();
        if there {
            session.attempts[arm as usize] = attempt;
        }
        there
    }

    fn begin(&mut self, kind: JobKind, job: Job) {
        self.drop_work();
        self.error = None;
        self.last_id += 1;
        let id = self.last_id;
        self.work = Some(RunningJob {
            id,
            kind,
            progress: None,
            paused: false,
            cancelling: false,
            notes: Vec::new(),
            started: Instant::now(),
            behind: 0.0,
        });
        self.backend.pause(false);
        self.backend.start(id, job);
    }

    /// Begins what was not asked for by the person, who may still read what failed.
    fn begin_quietly(&mut self, kind: JobKind, job: Job) {
        let error = self.error.take();
        self.begin(kind, job);
        self.error = error;
    }

    /// Has the work in progress be a part of what was asked for before it.
    fn go_on_from(&mut self, before: &RunningJob) {
        let whole = before.progress.as_ref().and_then(|p| p.whole);
        if let Some(work) = &mut self.work {
            work.started = before.started;
            work.behind = before.behind + whole.map_or(0.0, |whole| whole.total);
        }
    }

    fn drop_work(&mut self) {
        if let Some(work) = self.work.take() {
            self.backend.cancel();
            self.keep_shown(work.kind);
            let session = self.session_mut();
            (session.rough, session.eager) = (None, false);
        }
    }

    /// Where the pictures of another seed do not come, the request goes back to the shown ones':
    /// before and after start from the same noise. So does the strength.
    fn keep_shown(&mut self, kind: JobKind) {
        let session = self.session_mut();
        match kind {
            JobKind::Strength(whose) => {
                if let Some(attempt) = session.shown_mut(whose) {
                    attempt.dial.give_up();
                }
            }
            JobKind::Trace => session.steps.give_up(false),
            _ => {}
        }
        if let (JobKind::Open(_), Some(opened)) = (kind, &session.opened) {
            (session.request.seed, session.request.budget) = (opened.seed, opened.budget);
        }
    }
}

/// A task's place among the sessions.
fn index(task: Task) -> usize {
    Task::ALL.iter().position(|t| *t == task).unwrap_or(0)
}
