//! How long work reports progress, pauses and stops.

mod route;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use web_time::{Duration, Instant};

pub use self::route::{Leg, Paces, Whole};

use self::route::Route;
use crate::error::{Error, Result};
use crate::platform;

/// The switches that a client holds on a running job.
#[derive(Debug, Clone, Default)]
pub struct Switches {
    /// The number of the job that was asked for last, and of the last one that is not wanted any
    /// more: a cancel reaches jobs that still wait, and none that is asked for later.
    asked: Arc<AtomicU64>,
    cancelled: Arc<AtomicU64>,
    pause: Arc<AtomicBool>,
    /// Whether a held job may go on to its next unit of work.
    step: Arc<AtomicBool>,
    previews: Arc<AtomicBool>,
}

impl Switches {
    /// Notes a job that is asked for; numbers grow and start at 1.
    pub fn ask(&self, id: u64) {
        self.asked.store(id, Ordering::SeqCst);
    }

    /// Asks every job so far to stop; the running one does within one step.
    pub fn cancel(&self) {
        self.cancelled.fetch_max(self.asked.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    fn cancelled(&self, id: u64) -> bool {
        id <= self.cancelled.load(Ordering::SeqCst)
    }

    /// Holds or continues the job.
    pub fn pause(&self, on: bool) {
        self.pause.store(on, Ordering::Relaxed);
    }

    /// Lets a held job do one more unit of work, such as an update.
    pub fn step(&self) {
        self.step.store(true, Ordering::Relaxed);
    }

    /// Whether the job is held.
    pub fn paused(&self) -> bool {
        self.pause.load(Ordering::Relaxed) && !self.step.load(Ordering::Relaxed)
    }

    /// Asks unlearning jobs to show what the model makes while it trains.
    pub fn show_previews(&self, on: bool) {
        self.previews.store(on, Ordering::Relaxed);
    }
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Progress {
    /// What is being done, for a person: "SalUn", "Evaluating".
    pub phase: String,
    pub done: usize,
    pub total: usize,
    /// Seconds left in this phase, once there is a rate.
    pub seconds_left: Option<f64>,
    /// How far the whole job is, where it was foreseen.
    #[serde(default)]
    pub whole: Option<Whole>,
}

/// How often units must have been done, and for how long, before the time left is told.
const TICKS: usize = 4;
const SECONDS: f64 = 1.5;

/// What a job tells while it runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// How far its phase is.
    Progress(Progress),
    /// What a person should know of the job.
    Note(String),
}

type Sink = Box<dyn FnMut(Told) + Send>;

/// The running job's side: phase, progress, cancel.
pub struct JobContext {
    id: u64,
    switches: Switches,
    sink: Sink,
    notes: Vec<String>,
    phase: String,
    /// Whether its work is a part of another's unit.
    within: bool,
    /// What the first unit of every phase waits for, too.
    warming: Option<&'static str>,
    done: usize,
    total: usize,
    started: Instant,
    /// When the first units of the phase were done, and how many units were done by then: what the
    /// first ones waited for, such as a kernel, the others do not.
    first: Option<(Instant, usize)>,
    /// How often units were done.
    ticks: usize,
    reported: Option<Instant>,
    route: Route,
}

impl JobContext {
    /// The context of job `id` that hands notes and progress, at most ten times a second, to `sink`.
    pub fn new(id: u64, switches: Switches, sink: impl FnMut(Told) + Send + 'static) -> Self {
        Self {
            id,
            switches,
            sink: Box::new(sink),
            notes: Vec::new(),
            phase: String::new(),
            within: false,
            warming: None,
            done: 0,
            total: 0,
            started: Instant::now(),
            first: None,
            ticks: 0,
            reported: None,
            route: Route::default(),
        }
    }

    /// A context that nobody watches.
    pub fn silent() -> Self {
        Self::new(1, Switches::default(), |_| {})
    }

    /// A context with the same switches that reports nothing: all of its work is a part of this one's
    /// unit, such as pictures that are drawn after an update.
    pub fn quiet(&self) -> Self {
        Self { within: true, ..Self::new(self.id, self.switches.clone(), |_| {}) }
    }

    /// Says what a person should know of the job, such as what had to be assumed; once.
    pub fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            (self.sink)(Told::Note(text.clone()));
            self.notes.push(text);
        }
    }

    /// The notes so far.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Says with every phase, until its first unit is done, what else takes time there.
    pub fn warming(self, what: Option<&'static str>) -> Self {
        Self { warming: what, ..self }
    }

    /// Knows how long work took in earlier jobs, and remembers it of this one.
    pub fn paced(mut self, paces: Paces) -> Self {
        self.route.paces = paces;
        self
    }

    /// Says what the job is made of, on which model, and what usually follows it: from now on its progress tells of the
    /// whole.
    pub fn foresee(&mut self, model: &str, legs: Vec<Leg>, then: Vec<Leg>) {
        self.route.set(model, legs, then);
    }

    /// Counts units of a foreseen leg that were done within a unit of another, and are no part of its rate.
    pub fn beside(&mut self, phase: &str, units: usize, took: Duration) {
        self.route.beside(phase, units, took);
        if let Some((since, _)) = &mut self.first {
            *since += took;
        }
    }

    /// Starts a phase of `total` units of work.
    pub fn phase(&mut self, name: impl Into<String>, total: usize) {
        self.resume_phase(name, total, 0);
    }

    /// Takes up a phase of which `done` units are behind it.
    pub fn resume_phase(&mut self, name: impl Into<String>, total: usize, done: usize) {
        if let Some(each) = self.each() {
            self.route.learn(&self.phase, each);
        }
        self.phase = name.into();
        self.route.enter(&self.phase, total, done);
        (self.done, self.total) = (done, total);
        (self.started, self.first, self.ticks) = (Instant::now(), None, 0);
        self.reported = None;
        self.report();
    }

    /// Counts units of work as done, then [`JobContext::check`].
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub async fn advance(&mut self, units: usize) -> Result<()> {
        self.done += units;
        self.ticks += 1;
        self.route.reach(&self.phase, self.done);
        self.first.get_or_insert_with(|| (Instant::now(), self.done));
        if !self.within {
            self.switches.step.store(false, Ordering::Relaxed);
        }
        let due = self.reported.is_none_or(|r| r.elapsed() >= Duration::from_millis(100));
        if due || self.done >= self.total {
            self.report();
        }
        self.check().await
    }

    /// Lets others run; waits while paused; fails if cancelled.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub async fn check(&mut self) -> Result<()> {
        let mut held: Option<Instant> = None;
        loop {
            platform::turn().await;
            if self.switches.cancelled(self.id) {
                return Err(Error::Cancelled);
            }
            if !self.switches.paused() {
                // A rest is no part of the rate.
                if let (Some(held), Some((since, _))) = (held, &mut self.first) {
                    *since += held.elapsed();
                }
                return Ok(());
            }
            held.get_or_insert_with(Instant::now);
            platform::rest().await;
        }
    }

    /// Whether the client wants to see what the model makes while it trains.
    pub fn wants_previews(&self) -> bool {
        self.switches.previews.load(Ordering::Relaxed)
    }

    fn report(&mut self) {
        self.reported = Some(Instant::now());
        let phase = match self.warming.filter(|_| self.first.is_none()) {
            Some(what) => format!("{}: {what}", self.phase),
            None => self.phase.clone(),
        };
        let seconds_left = self.seconds_left();
        let (done, total) = (self.done, self.total);
        let whole = self.route.whole();
        (self.sink)(Told::Progress(Progress { phase, done, total, seconds_left, whole }));
    }

    /// What is left of the phase; `None` as long as that would be a guess.
    fn seconds_left(&mut self) -> Option<f64> {
        if self.ticks < TICKS || self.started.elapsed().as_secs_f64() < SECONDS {
            return None;
        }
        let each = self.each()?;
        self.route.learn(&self.phase, each);
        Some(each * self.total.saturating_sub(self.done) as f64)
    }

    /// Seconds of a unit of the phase, since its first units.
    fn each(&self) -> Option<f64> {
        let (since, by_then) = self.first?;
        let units = self.done - by_then;
        (units > 0).then(|| since.elapsed().as_secs_f64() / units as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_within_an_update_takes_no_step_of_its_own() {
        let switches = Switches::default();
        switches.ask(1);
        let mut job = JobContext::new(1, switches.clone(), |_| {});
        switches.pause(true);
        switches.step();
        pollster::block_on(async {
            let mut quiet = job.quiet();
            for _ in 0..5 {
                quiet.advance(1).await.unwrap();
            }
        });
        assert!(!switches.paused(), "the update goes on");
        switches.cancel();
        assert!(pollster::block_on(job.advance(1)).is_err());
        assert!(switches.paused(), "and is then held again");
    }
}
