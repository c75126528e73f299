//! Saves finished runs, and single files of them, without holding up the frame; keeps those that nobody
//! has saved yet.

use std::{
    path::PathBuf,
    sync::{Arc, mpsc},
};

use super::Wake;
use super::keeper::{Interrupted, Keeper, Parcel};
use super::memory::{Memory, Recalled};
use crate::engine::Run;
use crate::error::{Error, Result};
use crate::words::Recipe;

/// What a person wants to have.
#[derive(Clone)]
pub enum SaveItem {
    Run(Arc<Run>),
    /// A file's name, and what makes it.
    File(String, Arc<dyn Fn() -> Result<Vec<u8>> + Send + Sync>),
    /// A run that is kept, of this sitting or of an earlier one.
    Kept(PathBuf),
}

/// Something that was saved, or why it was not.
pub struct Saved {
    /// The recipe of the run, where a whole one was to be saved.
    pub run: Option<Recipe>,
    pub place: Result<PathBuf>,
}

/// What comes back from the keeper.
enum Told {
    Saved(SaveItem, Result<PathBuf>),
    /// A finished run is kept, or why not.
    Kept(Box<Recipe>, Result<Option<PathBuf>>),
    /// What was to be remembered is, or why not.
    Remembered(Result<()>),
    /// What an earlier sitting left.
    Recalled(Recalled),
    /// It is let go of.
    Discarded,
}

/// A finished run that nobody has saved.
struct Unsaved {
    /// What repeats it: an audit changes the run, and not what it is.
    recipe: Recipe,
    /// Where it is: in memory, or kept.
    at: SaveItem,
}

/// The keeper and what comes back from it.
pub struct Saver {
    pub keeper: Arc<dyn Keeper>,
    outbox: mpsc::Sender<Told>,
    inbox: mpsc::Receiver<Told>,
    /// Has the window drawn again when something comes back.
    pub wake: Option<Wake>,
    /// What the writing thread does, one after another.
    #[cfg(not(target_arch = "wasm32"))]
    desk: mpsc::Sender<Box<dyn FnOnce() + Send>>,
    /// What is being saved, and what is being kept.
    waiting: usize,
    keeping: usize,
    unsaved: Vec<Unsaved>,
    /// Kept runs that earlier sittings left.
    pub left: Vec<PathBuf>,
    /// Where those went that were asked for together.
    pub places: Vec<PathBuf>,
    pub memory: Memory,
    /// About how many bytes an earlier sitting left to be brought back.
    pub earlier: Option<usize>,
    /// The state of a run that was under way when an earlier sitting ended.
    pub interrupted: Option<Interrupted>,
    /// What came of an earlier sitting since somebody last took it.
    pub recalled: Vec<Recalled>,
}

impl Saver {
    /// A saver that hands all to a keeper.
    pub fn new(keeper: Arc<dyn Keeper>) -> Self {
        let (outbox, inbox) = mpsc::channel();
        let (left, earlier) = (keeper.left(), keeper.earlier());
        let interrupted = Interrupted::latest(&*keeper);
        #[cfg(not(target_arch = "wasm32"))]
        let desk = {
            let (desk, work) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
            std::thread::spawn(move || work.iter().for_each(|work| work()));
            desk
        };
        Self {
            keeper,
            outbox,
            inbox,
            wake: None,
            #[cfg(not(target_arch = "wasm32"))]
            desk,
            waiting: 0,
            keeping: 0,
            unsaved: Vec::new(),
            left,
            places: Vec::new(),
            memory: Memory::default(),
            earlier,
            interrupted,
            recalled: Vec::new(),
        }
    }

    /// Whether something is being written that a person asked for.
    pub fn busy(&self) -> bool {
        self.waiting > 0
    }

    /// Whether anything is being written.
    pub fn writing(&self) -> bool {
        self.waiting + self.keeping > 0
    }

    /// How many finished runs nobody has saved.
    pub fn unsaved(&self) -> usize {
        self.unsaved.len()
    }

    /// Keeps a run that has just finished.
    pub fn finished(&mut self, run: Arc<Run>) {
        let recipe = run.recipe.clone();
        // The same run, as it was before it was attacked.
        self.let_go(&recipe);
        self.unsaved.push(Unsaved { recipe: recipe.clone(), at: SaveItem::Run(run.clone()) });
        self.keeping += 1;
        self.work(move |keeper| {
            let kept = keeper.keep(&run);
            // There is nothing to go on from any more.
            if kept.is_ok() {
                keeper.state(&run.recipe).iter().for_each(|state| keeper.forget_state(state));
            }
            Told::Kept(Box::new(recipe), kept)
        });
    }

    /// Saves one after another, away from the frame where there are threads.
    pub fn save(&mut self, wanted: Vec<SaveItem>) {
        if !self.busy() {
            self.places.clear();
        }
        for wanted in wanted {
            self.waiting += 1;
            self.work(move |keeper| {
                let place = wanted.save(keeper);
                Told::Saved(wanted, place)
            });
        }
    }

    /// Saves every finished run that is not saved yet.
    pub fn save_unsaved(&mut self) {
        if self.busy() {
            // They are asked for already, or can be once that is done.
            return;
        }
        self.save(self.unsaved.iter().map(|unsaved| unsaved.at.clone()).collect());
    }

    /// Saves what earlier sittings left.
    pub fn save_left(&mut self) {
        self.save(self.left.iter().cloned().map(SaveItem::Kept).collect());
    }

    /// Throws away what earlier sittings left.
    pub fn discard_left(&mut self) {
        for kept in self.left.drain(..) {
            self.keeper.release(&kept);
        }
        if let Some(run) = self.interrupted.take() {
            self.keeper.forget_state(&run.state);
        }
        self.discard_earlier(None);
    }

    /// Asks for what an earlier sitting remembered; it comes in [`Self::recalled`].
    pub fn recall(&mut self) {
        self.earlier = None;
        self.keeping += 1;
        self.work(|keeper| match keeper.recall() {
            Ok(Some(files)) => Told::Recalled(Recalled::Files(files)),
            Ok(None) => Told::Remembered(Ok(())),
            Err(error) => Told::Recalled(Recalled::Failed(error.to_string())),
        });
    }

    /// Lets go of an earlier sitting, or of what of it was brought back, once what was asked for before is done.
    pub fn discard_earlier(&mut self, brought: Option<Vec<String>>) {
        self.earlier = None;
        self.keeping += 1;
        self.work(move |keeper| {
            keeper.discard_earlier(brought.as_deref());
            Told::Discarded
        });
    }

    /// Has the keeper do something of which only a failure is told.
    pub fn tell_keeper(&mut self, does: impl FnOnce(&dyn Keeper) -> Result<()> + Send + 'static) {
        self.keeping += 1;
        self.work(|keeper| Told::Remembered(does(keeper)));
    }

    /// Ends the sitting: what is not saved is not wanted. Where all is, the next one can bring it back.
    pub fn end(&mut self) {
        self.keeper.end(self.unsaved.is_empty());
        self.unsaved.clear();
    }

    fn work(&self, work: impl FnOnce(&dyn Keeper) -> Told + Send + 'static) {
        let (keeper, outbox, wake) = (self.keeper.clone(), self.outbox.clone(), self.wake.clone());
        let work = move || {
            // The window may be closed by now.
            let _ = outbox.send(work(&*keeper));
            wake.iter().for_each(|wake| wake());
        };
        // The thread lives as long as this.
        #[cfg(not(target_arch = "wasm32"))]
        let _ = self.desk.send(Box::new(work));
        #[cfg(target_arch = "wasm32")]
        work();
    }

    /// The next result, if there is one.
    pub fn poll(&mut self) -> Option<Saved> {
        loop {
            match self.inbox.try_recv().ok()? {
                Told::Saved(wanted, place) => {
                    self.waiting -= 1;
                    let run = self.take(wanted, &place);
                    self.places.extend(place.iter().cloned());
                    return Some(Saved { run, place });
                }
                Told::Remembered(told) => {
                    self.keeping -= 1;
                    let failed = |e: Error| {
                        Recalled::Failed(format!("what is done here is not remembered: {e}"))
                    };
                    self.recalled.extend(told.err().map(failed));
                }
                Told::Recalled(recalled) => {
                    self.keeping -= 1;
                    self.recalled.push(recalled);
                }
                Told::Discarded => {
                    self.keeping -= 1;
                    self.left = self.keeper.left();
                }
                Told::Kept(recipe, kept) => {
                    self.keeping -= 1;
                    let waits =
                        |u: &&mut Unsaved| u.recipe == *recipe && matches!(u.at, SaveItem::Run(_));
                    match (self.unsaved.iter_mut().find(waits), kept) {
                        (_, Ok(None)) => {}
                        (Some(unsaved), Ok(Some(kept))) => unsaved.at = SaveItem::Kept(kept),
                        // Saved or discarded meanwhile.
                        (None, Ok(Some(kept))) => self.keeper.release(&kept),
                        (_, Err(error)) => {
                            let reason = format!("a finished run is not kept for a crash: {error}");
                            let place = Err(Error::Request(reason));
                            return Some(Saved { run: None, place });
                        }
                    }
                }
            }
        }
    }

    /// Takes what was saved off the lists; the recipe of the run, if it was one of this sitting.
    fn take(&mut self, wanted: SaveItem, place: &Result<PathBuf>) -> Option<Recipe> {
        let recipe = match &wanted {
            SaveItem::Run(run) => Some(run.recipe.clone()),
            SaveItem::Kept(kept) => {
                let is_it = |u: &&Unsaved| matches!(&u.at, SaveItem::Kept(at) if at == kept);
                self.unsaved.iter().find(is_it).map(|u| u.recipe.clone())
            }
            SaveItem::File(..) => None,
        };
        if place.is_ok() {
            if let SaveItem::Kept(kept) = &wanted {
                self.left.retain(|left| left != kept);
            }
            if let Some(recipe) = &recipe {
                self.let_go(recipe);
            }
        }
        recipe
    }

    /// Takes a run off the list, and what is kept of it: the same recipe gives the same run.
    fn let_go(&mut self, recipe: &Recipe) {
        for run in self.unsaved.extract_if(.., |u| u.recipe == *recipe) {
            if let SaveItem::Kept(kept) = run.at {
                self.keeper.release(&kept);
            }
        }
    }
}

/// Where all went that were asked for together: "Saved to runs/a", or "Saved a and b to runs"; `None`
/// where nothing was kept.
pub fn told(places: &[PathBuf]) -> Option<String> {
    let (last, others) = places.split_last()?;
    if others.is_empty() {
        return Some(format!("Saved to {}", last.display()));
    }
    let folder = last.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.filter(|folder| others.iter().all(|o| o.parent() == Some(*folder)));
    let name = |place: &PathBuf| match place.file_name().filter(|_| folder.is_some()) {
        Some(name) => name.display().to_string(),
        None => place.display().to_string(),
    };
    let names: Vec<String> = others.iter().map(name).collect();
    let names = format!("{} and {}", names.join(", "), name(last));
    Some(match folder {
        Some(folder) => format!("Saved {names} to {}", folder.display()),
        None => format!("Saved to {names}"),
    })
}

impl SaveItem {
    fn save(&self, keeper: &dyn Keeper) -> Result<PathBuf> {
        match self {
            Self::Run(run) => keeper.save(Parcel::Run(run)),
            Self::File(name, made) => keeper.save(Parcel::File(name, &made()?)),
            Self::Kept(kept) => keeper.adopt(kept),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_was_saved_together_is_named() {
        let told = |places: &[&str]| told(&places.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(told(&[]), None);
        assert_eq!(told(&["/runs/a"]).as_deref(), Some("Saved to /runs/a"));
        assert_eq!(told(&["/runs/a", "/runs/b"]).as_deref(), Some("Saved a and b to /runs"));
        assert_eq!(told(&["/x/a", "/y/b"]).as_deref(), Some("Saved to /x/a and /y/b"));
        assert_eq!(told(&["a.png", "b.svg"]).as_deref(), Some("Saved to a.png and b.svg"));
    }
}
