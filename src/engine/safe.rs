//! When the state of a training run is handed out for safe-keeping.

use web_time::{Duration, Instant};

/// An update that takes nearly as long as a stop is patient is not waited for; less than that, after the
/// last one, is soon done again.
const LONG: Duration = Duration::from_secs(3);

/// The clock of one training run.
pub struct Safe {
    every: Duration,
    kept: Instant,
    /// When the update that runs was begun.
    begun: Instant,
}

impl Safe {
    /// Asks for the state `every` so often.
    pub fn new(every: Duration) -> Self {
        let now = Instant::now();
        Self { every, kept: now, begun: now }
    }

    /// Notes the end of an update; whether the state should be handed out now. A stop does not wait for a
    /// long update, so that the one before it has to be kept.
    pub fn due(&mut self) -> bool {
        let took = std::mem::replace(&mut self.begun, Instant::now()).elapsed();
        took >= LONG || self.kept.elapsed() >= self.every
    }

    /// Whether there is something to lose by what follows the last update, which may be stopped, too.
    pub fn behind(&self) -> bool {
        self.kept.elapsed() >= LONG
    }

    /// Notes that the state was handed out.
    pub fn kept(&mut self) {
        self.kept = Instant::now();
        self.begun = self.kept;
    }
}
