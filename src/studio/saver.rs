//! Saves finished runs without holding up the frame.

use std::{
    path::PathBuf,
    sync::{Arc, mpsc},
};

use super::session::Arm;
use crate::{engine::job::Run, error::Result};

/// Writes a run where it belongs and says where that is.
pub type SaveHook = Box<dyn Fn(&Run) -> Result<PathBuf> + Send + Sync>;

/// A saved run, or why it was not.
pub struct Saved {
    pub arm: Arm,
    pub run: Arc<Run>,
    pub place: Result<PathBuf>,
}

/// The hook and what comes back from it.
pub struct Saver {
    hook: Arc<SaveHook>,
    outbox: mpsc::Sender<Saved>,
    inbox: mpsc::Receiver<Saved>,
    waiting: usize,
}

impl Saver {
    /// A saver that calls the hook.
    pub fn new(hook: SaveHook) -> Self {
        let (outbox, inbox) = mpsc::channel();
        Self { hook: Arc::new(hook), outbox, inbox, waiting: 0 }
    }

    /// Whether something is being written.
    pub fn busy(&self) -> bool {
        self.waiting > 0
    }

    /// Saves runs one after another, away from the frame where there are threads.
    pub fn save(&mut self, runs: Vec<(Arm, Arc<Run>)>) {
        self.waiting += runs.len();
        let (hook, outbox) = (self.hook.clone(), self.outbox.clone());
        let work = move || {
            for (arm, run) in runs {
                let place = hook(&run);
                // The window may be closed by now.
                let _ = outbox.send(Saved { arm, run, place });
            }
        };
        #[cfg(not(target_arch = "wasm32"))]
        std::thread::spawn(work);
        #[cfg(target_arch = "wasm32")]
        work();
    }

    /// The next result, if there is one.
    pub fn poll(&mut self) -> Option<Saved> {
        let saved = self.inbox.try_recv().ok()?;
        self.waiting -= 1;
        Some(saved)
    }
}
