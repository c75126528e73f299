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
use crate::words::{REPORT, Recipe, Report, sha256};

/// Begins the name of a sitting's folder.
const SITTING: &str = "sitting-";
/// The file that a sitting holds locked while it lives.
const LOCK: &str = "lock";
/// How the files in a sitting's begin and end that hold the states of runs under way.
const STATE: [&str; 2] = ["running-", "state"];
/// The folder in a sitting's of what is remembered of it, and the file without which that is nothing.
const MEMORY: &str = "memory";
const SHOWN: &str = "shown";

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
        folder::write_free(run, &self.sitting()?.folder)
    }

    /// The file for the state of a run under way.
    ///
    /// # Errors
    /// There is no place for one.
    pub fn state(&self, recipe: &Recipe) -> Result<PathBuf> {
        let [begins, ends] = STATE;
        // A finished run's recipe says what its pictures were, too; that of one that is asked for may not.
        let text = Recipe { fingerprint: None, ..recipe.clone() }.to_toml()?;
        let name = format!("{begins}{}.{ends}", &sha256(text.as_bytes())[..16]);
        Ok(self.sitting()?.folder.join(name))
    }

    /// Makes the state of an earlier sitting's run this one's; says where it is. What cannot be moved stays.
    pub fn take_state(&self, earlier: &Path, recipe: &Recipe) -> PathBuf {
        let Ok(own) = self.state(recipe) else { return earlier.into() };
        match fs::rename(earlier, &own) {
            Ok(()) => {
                forget_state(earlier);
                own
            }
            Err(_) => earlier.into(),
        }
    }

    fn sitting(&self) -> Result<&Sitting> {
        match self.0.get() {
            Some(sitting) => Ok(sitting),
            None => {
                let new = Sitting::new()?;
                Ok(self.0.get_or_init(|| new))
            }
        }
    }

    /// Remembers a file of the sitting, in place of what had its name.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn remember(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let folder = self.sitting()?.folder.join(MEMORY);
        fs::create_dir_all(&folder).map_err(|e| Error::write(&folder, e))?;
        output::replace(&folder.join(name), bytes)
    }

    /// Forgets a file of the sitting.
    pub fn forget(&self, name: &str) {
        if let Some(sitting) = self.0.get() {
            let _ = fs::remove_file(sitting.folder.join(MEMORY).join(name));
        }
    }

    /// Lets go of a run that has been saved, or is not wanted.
    pub fn release(&self, place: &Path) {
        // What cannot be removed is offered again, and nothing is lost by it.
        let _ = fs::remove_dir_all(place);
    }

    /// Ends the sitting: what it still keeps is not wanted, a run under way neither, nor what it remembers, unless the
    /// next one is to have that.
    pub fn end(&self, remembers: bool) {
        let Some(sitting) = self.0.get() else { return };
        if !remembers || !sitting.folder.join(MEMORY).join(SHOWN).is_file() {
            let _ = fs::remove_dir_all(&sitting.folder);
        } else {
            for run in runs(&sitting.folder) {
                let _ = fs::remove_dir_all(run);
            }
            for state in states(&sitting.folder) {
                let _ = fs::remove_file(state);
            }
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

/// The run folders that earlier sittings and commands left, whose processes are gone. A sitting without runs is
/// removed, but for the latest, which can be brought back.
pub fn left() -> Vec<PathBuf> {
    let latest = remembered();
    let mut left = Vec::new();
    for entry in files::places().iter().flat_map(|place| folders(place)) {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with(SITTING) {
            left.push(entry);
        } else if ended(&entry) {
            let runs = runs(&entry);
            let nothing = runs.is_empty() && states(&entry).is_empty();
            if nothing && latest.as_ref() != Some(&entry) {
                let _ = fs::remove_dir_all(&entry);
            }
            left.extend(runs);
        }
    }
    left.retain(|folder| OutputKind::of_folder(folder) == Some(OutputKind::Run));
    left.sort();
    left
}

/// The latest of the earlier sittings that can be brought back.
pub fn remembered() -> Option<PathBuf> {
    let all = files::places().into_iter().flat_map(|place| folders(&place));
    let shown = |sitting: PathBuf| {
        let name = sitting.file_name()?.to_string_lossy().into_owned();
        let about = fs::metadata(sitting.join(MEMORY).join(SHOWN)).ok()?;
        (name.starts_with(SITTING) && ended(&sitting)).then_some((about.modified().ok()?, sitting))
    };
    all.filter_map(shown).max().map(|(_, sitting)| sitting)
}

/// The states of runs that were under way when their sittings ended, the latest first.
pub fn interrupted() -> Vec<PathBuf> {
    let sittings = files::places().into_iter().flat_map(|place| folders(&place));
    let named = |sitting: &PathBuf| {
        let name = sitting.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(SITTING) && ended(sitting)
    };
    let states = sittings.filter(named).flat_map(|sitting| states(&sitting));
    let dated = |state: PathBuf| Some((fs::metadata(&state).ok()?.modified().ok()?, state));
    let mut states: Vec<_> = states.filter_map(dated).collect();
    states.sort();
    states.into_iter().rev().map(|(_, state)| state).collect()
}

/// Lets go of the state of a run, and of its sitting where that has ended and holds nothing else.
pub fn forget_state(state: &Path) {
    let _ = fs::remove_file(state);
    state.parent().into_iter().for_each(clear);
}

/// Lets go of a sitting that has ended and holds nothing.
fn clear(sitting: &Path) {
    let nothing = folders(sitting).is_empty() && states(sitting).is_empty();
    if nothing && sitting.join(LOCK).exists() && ended(sitting) {
        let _ = fs::remove_dir_all(sitting);
    }
}

/// Bytes that are remembered of a sitting.
pub fn remembered_bytes(sitting: &Path) -> usize {
    files::stamps(&sitting.join(MEMORY)).iter().map(|(_, bytes, _)| *bytes as usize).sum()
}

/// The files that are remembered of a sitting, by name. One that cannot be read is left out.
///
/// # Errors
/// There is nothing any more.
pub fn recall(sitting: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = sitting.join(MEMORY);
    let entries = fs::read_dir(&folder).map_err(|e| Error::file(&folder, e))?.flatten();
    let named = |entry: fs::DirEntry| Some((entry.file_name().into_string().ok()?, entry.path()));
    let read = |(name, path): (String, PathBuf)| Some((name, files::read(&path).ok()?));
    Ok(entries
        .filter_map(named)
        .filter(|(name, _)| !name.starts_with('.'))
        .filter_map(read)
        .collect())
}

/// Lets go of an earlier sitting, and of the runs that it kept; where some were brought back, of those with the hashes
/// of their protocols alone.
pub fn discard(sitting: &Path, brought: Option<&[String]>) {
    if !ended(sitting) {
        return;
    }
    let protocol = |run: &Path| {
        let report: Report = serde_json::from_slice(&files::read(&run.join(REPORT)).ok()?).ok()?;
        Some(report.protocol)
    };
    let other = |run: &PathBuf| {
        brought.is_some_and(|brought| protocol(run).is_none_or(|hash| !brought.contains(&hash)))
    };
    let (stays, goes): (Vec<_>, Vec<_>) = runs(sitting).into_iter().partition(other);
    // A run that was under way there can still be gone on with.
    let under_way = brought.is_some() && !states(sitting).is_empty();
    let goes = if stays.is_empty() && !under_way {
        vec![sitting.into()]
    } else {
        [goes, vec![sitting.join(MEMORY)]].concat()
    };
    for folder in goes {
        // What cannot be removed is offered again, and nothing is lost by it.
        let _ = fs::remove_dir_all(folder);
    }
}

/// The states in a sitting's folder.
fn states(sitting: &Path) -> Vec<PathBuf> {
    let [begins, ends] = STATE;
    let all = fs::read_dir(sitting).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(begins) && path.extension().is_some_and(|end| end == ends)
    };
    all.filter(is_one).collect()
}

/// The runs in a sitting's folder.
fn runs(sitting: &Path) -> Vec<PathBuf> {
    folders(sitting).into_iter().filter(|folder| !folder.ends_with(MEMORY)).collect()
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
    kept.parent().into_iter().for_each(clear);
    Ok(place)
}
