//! Finished runs that nobody has saved yet: ordinary run folders in the program's own folder, a
//! folder for each sitting. What a sitting left that ended before its runs were saved is found by the
//! next.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::folder;
use crate::disk::output::OutputKind;
use crate::disk::{files, output};
use crate::engine::Run;
use crate::error::{Error, Result};

/// Begins the name of a sitting's folder.
const SITTING: &str = "sitting-";
/// The file that a sitting holds locked while it lives.
const LOCK: &str = "lock";

/// This sitting's folder, made with the first run that is kept.
#[derive(Debug, Default)]
pub struct Recovery(OnceLock<Sitting>);

#[derive(Debug)]
struct Sitting {
    folder: PathBuf,
    _lock: File,
}

impl Recovery {
    /// Keeps a finished run; says where.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, run: &Run) -> Result<PathBuf> {
        let sitting = match self.0.get() {
            Some(sitting) => sitting,
            None => {
                let new = Sitting::new()?;
                self.0.get_or_init(|| new)
            }
        };
        folder::write_free(run, &sitting.folder)
    }

    /// Lets go of a run that has been saved, or is not wanted.
    pub fn release(&self, place: &Path) {
        // What cannot be removed is offered again, and nothing is lost by it.
        let _ = fs::remove_dir_all(place);
    }

    /// Ends the sitting: what it still keeps is not wanted.
    pub fn end(&self) {
        if let Some(sitting) = self.0.get() {
            let _ = fs::remove_dir_all(&sitting.folder);
        }
    }
}

impl Sitting {
    fn new() -> Result<Self> {
        let mut failed = Error::Request("there is no folder to keep runs in".into());
        for place in files::places() {
            let name = place.join(format!("{SITTING}{}", std::process::id()));
            match output::first(&name, OutputKind::Run, false, Self::at) {
                Err(e) => failed = e,
                sitting => return sitting,
            }
        }
        Err(failed)
    }

    fn at(folder: &Path) -> Result<Self> {
        if folder.exists() {
            return Err(Error::Exists(folder.into()));
        }
        let made = fs::create_dir_all(folder).and_then(|()| {
            let lock = File::create(folder.join(LOCK))?;
            lock.lock()?;
            // Between the two another start may have taken it for one that has ended.
            if folder.exists() { Ok(lock) } else { Err(ErrorKind::NotFound.into()) }
        });
        let lock = made.map_err(|e| Error::write(folder, e))?;
        Ok(Self { folder: folder.into(), _lock: lock })
    }
}

/// The run folders that earlier sittings and commands left, whose processes are gone.
pub fn left() -> Vec<PathBuf> {
    let mut left = Vec::new();
    for entry in files::places().iter().flat_map(|place| folders(place)) {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with(SITTING) {
            left.push(entry);
        } else if ended(&entry) {
            let runs = folders(&entry);
            if runs.is_empty() {
                let _ = fs::remove_dir_all(&entry);
            }
            left.extend(runs);
        }
    }
    left.retain(|folder| OutputKind::of_folder(folder) == Some(OutputKind::Run));
    left.sort();
    left
}

/// Whether the process of a sitting is gone.
fn ended(sitting: &Path) -> bool {
    match File::open(sitting.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(_) => true,
    }
}

/// The folders in a folder, but those that are being written.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let shown = |p: &PathBuf| !p.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
    all.filter(|path| path.is_dir() && shown(path)).collect()
}

/// Moves a kept run into a folder of the person's, under the first free name, and says where it is.
///
/// # Errors
/// It cannot be written there; the kept run is still where it was.
pub fn adopt(kept: &Path, to: &Path) -> Result<PathBuf> {
    fs::create_dir_all(to).map_err(|e| Error::write(to, e))?;
    let name = kept.file_name().unwrap_or_default();
    let place = output::move_free(kept, &to.join(name))?;
    if let Some(sitting) =
        kept.parent().filter(|folder| ended(folder) && folders(folder).is_empty())
        && sitting.join(LOCK).exists()
    {
        let _ = fs::remove_dir_all(sitting);
    }
    Ok(place)
}
