//! Saves finished runs, and single files of them, without holding up the frame.

use std::{
    path::PathBuf,
    sync::{Arc, mpsc},
};

use crate::{engine::job::Run, error::Result, run::bundle};

/// What is handed over to be kept.
#[derive(Debug, Clone, Copy)]
pub enum Parcel<'a> {
    /// A whole run folder.
    Run(&'a Run),
    /// A file under a name without a folder.
    File(&'a str, &'a [u8]),
}

/// Writes a parcel where it belongs and says where that is.
pub type SaveHook = Box<dyn Fn(Parcel) -> Result<PathBuf> + Send + Sync>;

/// What a person wants to have.
#[derive(Debug, Clone)]
pub enum Wanted {
    Run(Arc<Run>),
    /// One of [`bundle::FILES`].
    Part(Arc<Run>, &'static str),
    File(&'static str, Vec<u8>),
}

/// Something that was saved, or why it was not.
pub struct Saved {
    /// The run, where a whole one was saved.
    pub run: Option<Arc<Run>>,
    pub place: Result<PathBuf>,
}

/// The hook and what comes back from it.
pub struct Saver {
    hook: Arc<SaveHook>,
    outbox: mpsc::Sender<Saved>,
    inbox: mpsc::Receiver<Saved>,
    waiting: usize,
    /// Where those went that were asked for together.
    places: Vec<PathBuf>,
}

impl Saver {
    /// A saver that calls the hook.
    pub fn new(hook: SaveHook) -> Self {
        let (outbox, inbox) = mpsc::channel();
        Self { hook: Arc::new(hook), outbox, inbox, waiting: 0, places: Vec::new() }
    }

    /// Whether something is being written.
    pub fn busy(&self) -> bool {
        self.waiting > 0
    }

    /// Saves one after another, away from the frame where there are threads.
    pub fn save(&mut self, wanted: Vec<Wanted>) {
        if !self.busy() {
            self.places.clear();
        }
        self.waiting += wanted.len();
        let (hook, outbox) = (self.hook.clone(), self.outbox.clone());
        let work = move || {
            for wanted in wanted {
                // The window may be closed by now.
                let _ = outbox.send(wanted.save(&**hook));
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
        self.places.extend(saved.place.iter().cloned());
        Some(saved)
    }

    /// Says where all went that were asked for together; `None` where nothing was kept.
    pub fn told(&self) -> Option<String> {
        told(&self.places)
    }
}

/// "Saved to runs/a", or "Saved a and b to runs".
fn told(places: &[PathBuf]) -> Option<String> {
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

impl Wanted {
    fn save(self, hook: &dyn Fn(Parcel) -> Result<PathBuf>) -> Saved {
        match self {
            Self::Run(run) => {
                let place = hook(Parcel::Run(&run));
                Saved { run: Some(run), place }
            }
            Self::Part(run, file) => {
                let name = format!("{}-{file}", bundle::name(&run));
                let place = bundle::file(&run, file)
                    .and_then(|bytes| hook(Parcel::File(&name, &bytes.unwrap_or_default())));
                Saved { run: None, place }
            }
            Self::File(name, bytes) => Saved { run: None, place: hook(Parcel::File(name, &bytes)) },
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
