//! How long work reports progress, pauses and stops.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use web_time::{Duration, Instant};

use crate::{
    error::{Error, Result},
    platform,
};

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
}

type Sink = Box<dyn FnMut(Progress) + Send>;

/// The running job's side: phase, progress, cancel.
pub struct Monitor {
    id: u64,
    switches: Switches,
    sink: Sink,
    phase: String,
    /// What the first unit of every phase waits for, too.
    warming: Option<&'static str>,
    /// Units that were done before this phase was taken up.
    resumed: usize,
    done: usize,
    total: usize,
    started: Instant,
    reported: Option<Instant>,
}

impl Monitor {
    /// A monitor of job `id` that hands progress to `sink`, at most ten times a second.
    pub fn new(id: u64, switches: Switches, sink: impl FnMut(Progress) + Send + 'static) -> Self {
        Self {
            id,
            switches,
            sink: Box::new(sink),
            phase: String::new(),
            warming: None,
            resumed: 0,
            done: 0,
            total: 0,
            started: Instant::now(),
            reported: None,
        }
    }

    /// A monitor that nobody watches.
    pub fn silent() -> Self {
        Self::new(1, Switches::default(), |_| {})
    }

    /// A monitor with the same switches that reports nothing.
    pub fn quiet(&self) -> Self {
        Self::new(self.id, self.switches.clone(), |_| {})
    }

    /// Says with every phase, until its first unit is done, what else takes time there.
    pub fn warming(self, what: Option<&'static str>) -> Self {
        Self { warming: what, ..self }
    }

    /// Starts a phase of `total` units of work.
    pub fn phase(&mut self, name: impl Into<String>, total: usize) {
        self.resume_phase(name, total, 0);
    }

    /// Takes up a phase of which `done` units are behind it.
    pub fn resume_phase(&mut self, name: impl Into<String>, total: usize, done: usize) {
        self.phase = name.into();
        (self.resumed, self.done, self.total) = (done, done, total);
        self.started = Instant::now();
        self.reported = None;
        self.report();
    }

    /// Counts units of work as done, then [`Monitor::check`].
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub async fn advance(&mut self, units: usize) -> Result<()> {
        self.done += units;
        self.switches.step.store(false, Ordering::Relaxed);
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
        loop {
            platform::turn().await;
            if self.switches.cancelled(self.id) {
                return Err(Error::Cancelled);
            }
            if !self.switches.paused() {
                return Ok(());
            }
            platform::rest().await;
        }
    }

    /// Whether the client wants to see what the model makes while it trains.
    pub fn wants_previews(&self) -> bool {
        self.switches.previews.load(Ordering::Relaxed)
    }

    fn report(&mut self) {
        self.reported = Some(Instant::now());
        let elapsed = self.started.elapsed().as_secs_f64();
        let now = self.done - self.resumed;
        let seconds_left = (now > 0 && elapsed > 0.3)
            .then(|| elapsed / now as f64 * self.total.saturating_sub(self.done) as f64);
        let phase = match self.warming.filter(|_| now == 0) {
            Some(what) => format!("{}: {what}", self.phase),
            None => self.phase.clone(),
        };
        (self.sink)(Progress { phase, done: self.done, total: self.total, seconds_left });
    }
}
