//! What is remembered of a sitting while it goes on, so that a window that was closed or killed, and a page that was
//! loaded again, come back as they were left.

use std::sync::Arc;

use super::app::Studio;
use super::saver::Saver;
use super::sitting::{Files, Page, SHOWN, Sitting, Whole, page_file, run_bytes, run_file};
use super::state::State;
use super::views::View;
use super::{Entry, lesson};
use crate::engine::Run;
use crate::error::Result;
use crate::wire;
use crate::words::{Recipe, Task};

/// Bytes that are remembered of a sitting at the most: the oldest runs go first, and leave their figures.
pub const MOST: usize = if cfg!(target_arch = "wasm32") { 200_000_000 } else { 1_000_000_000 };

/// What an earlier sitting left, as far as it is known.
#[derive(Debug)]
pub enum Recalled {
    /// It left something, of about so many bytes.
    Left(usize),
    /// All of its files, by name.
    Files(Files),
    /// Why nothing can be remembered here, or read.
    Failed(String),
}

/// The files that were handed over to be remembered.
#[derive(Debug, Default)]
pub struct Memory {
    /// Their names and sizes, the oldest first.
    held: Vec<(String, usize)>,
    /// What was said last to be shown.
    said: Option<Sitting>,
    /// Whether it is known that nothing can be remembered: that is said once.
    pub fails: bool,
}

impl Memory {
    /// Bytes of all.
    pub fn bytes(&self) -> usize {
        self.held.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Whether an entry of a list of runs is among them.
    fn has_pages(&self) -> bool {
        self.held.iter().any(|(name, _)| name.starts_with("page-"))
    }

    /// Takes a file in; the names of those that make room for it. One that is too large by itself is refused.
    fn take(&mut self, name: &str, bytes: usize, most: usize) -> Option<Vec<String>> {
        self.held.retain(|(held, _)| held != name);
        if bytes > most {
            return None;
        }
        self.held.push((name.into(), bytes));
        let mut gone = Vec::new();
        while self.bytes() > most {
            // Figures are small: they stay as long as a run can go.
            let last = self.held.len() - 1;
            let run = self.held[..last].iter().position(|(name, _)| name.starts_with("run-"));
            gone.push(self.held.remove(run.unwrap_or(0)).0);
        }
        Some(gone)
    }
}

impl Saver {
    /// Remembers a file of the sitting, of about so many bytes, which are made away from the frame where there are
    /// threads.
    fn remember(
        &mut self,
        name: String,
        bytes: usize,
        made: impl FnOnce() -> Result<Vec<u8>> + Send + 'static,
    ) {
        let Some(gone) = self.memory.take(&name, bytes, MOST) else { return };
        self.tell_keeper(move |keeper| {
            gone.iter().for_each(|name| keeper.forget(name));
            keeper.remember(&name, made()?)
        });
    }

    /// Throws away all that is remembered of this sitting.
    pub fn forget_all(&mut self) {
        let names: Vec<String> = self.memory.held.drain(..).map(|(name, _)| name).collect();
        self.memory.said = None;
        self.tell_keeper(move |keeper| {
            names.iter().for_each(|name| keeper.forget(name));
            Ok(())
        });
    }

    /// Remembers a finished run, and the entry of the list that it is in.
    fn remember_run(&mut self, state: &State, run: &Arc<Run>) -> Result<()> {
        let whole = run.clone();
        self.remember(run_file(run), run_bytes(run), move || wire::pack(&*whole));
        self.remember_page(state, &run.recipe)
    }

    /// Remembers the entry of the list that a run is in.
    ///
    /// # Errors
    /// It has no form as bytes.
    pub fn remember_page(&mut self, state: &State, recipe: &Recipe) -> Result<()> {
        let of = |task: Task| state.side(task).history.entries.iter().map(move |e| (task, e));
        let has = |entry: &Entry| {
            let runs = entry.kept.iter().flat_map(|kept| kept.attempts.iter().flatten());
            runs.filter_map(|a| a.run.as_ref()).any(|run| run.recipe == *recipe)
        };
        let entry = Task::ALL.into_iter().flat_map(of).rfind(|(_, entry)| has(entry));
        if let Some((task, entry)) = entry
            && let Some(page) = Page::of(task, entry)
        {
            let bytes = wire::pack(&page)?;
            self.remember(page_file(task, entry.number), bytes.len(), || Ok(bytes));
        }
        Ok(())
    }
}

impl Studio {
    /// Keeps and remembers the runs that finished since the last frame.
    pub(super) fn take_fresh(&mut self) {
        let fresh = std::mem::take(&mut self.state.fresh);
        self.remember(&fresh);
        fresh.into_iter().for_each(|run| self.saver.finished(run));
    }

    /// Remembers what is new, and what is shown where that has changed.
    fn remember(&mut self, fresh: &[Arc<Run>]) {
        for run in fresh {
            let remembered = self.saver.remember_run(&self.state, run);
            self.state.tell(remembered);
        }
        // Without a run there is nothing to come back to.
        if !self.saver.memory.has_pages() {
            return;
        }
        let sitting = self.state.sitting(self.view.name);
        if sitting.is_none() || sitting == self.saver.memory.said {
            return;
        }
        let Ok(bytes) = wire::pack(&sitting) else { return };
        self.saver.memory.said = sitting;
        self.saver.remember(SHOWN.into(), bytes.len(), || Ok(bytes));
    }

    /// Takes in what is known of an earlier sitting.
    pub(super) fn recalled(&mut self, recalled: Recalled) {
        match recalled {
            Recalled::Left(bytes) => self.saver.earlier = Some(bytes),
            Recalled::Files(files) => {
                // What cannot be read stays where it is.
                let Some(whole) = self.state.tell(Whole::read(files)) else { return };
                let brought = self.bring_back(whole);
                self.take_fresh();
                // It is done after what was asked for before: all is remembered anew by then.
                self.saver.discard_earlier(Some(brought));
            }
            Recalled::Failed(why) if !self.saver.memory.fails => {
                self.saver.memory.fails = true;
                self.state.error = Some(why);
            }
            Recalled::Failed(_) => {}
        }
    }

    /// Shows a sitting as it was left; the hashes of the protocols of its runs.
    fn bring_back(&mut self, whole: Whole) -> Vec<String> {
        let view = View::ALL.iter().find(|view| view.name == whole.sitting.view);
        self.view = view.copied().unwrap_or(self.view);
        // Its runs were not made for the lesson.
        lesson::leave(self);
        let mut brought = Vec::new();
        for (run, saved) in self.state.bring_back(whole) {
            brought.push(run.report.protocol.clone());
            // What nobody has saved is kept again, and asked about.
            match saved {
                true => self.remember(&[run]),
                false => self.state.fresh.push(run),
            }
        }
        brought
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_runs_make_room_and_figures_stay() {
        let mut memory = Memory::default();
        assert_eq!(memory.take("run-a", 40, 100), Some(vec![]));
        assert_eq!(memory.take("page-classify-1", 5, 100), Some(vec![]));
        assert_eq!(memory.take("run-b", 40, 100), Some(vec![]));
        // The same once more takes its own place.
        assert_eq!(memory.take("page-classify-1", 6, 100), Some(vec![]));
        assert_eq!(memory.take("run-c", 40, 100), Some(vec!["run-a".into()]));
        assert_eq!(memory.take("run-d", 101, 100), None, "larger than all together");
        assert_eq!(memory.bytes(), 86);
    }
}
