//! Outputs that are whole or not there: written under a sibling's name, renamed at the end.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::error::{Error, Result};

/// The files that make a folder a run folder, which `force` may replace.
const RUN: [&str; 2] = ["recipe.toml", "report.json"];
/// The same of a comparison of masks.
const OVERLAP: [&str; 2] = ["overlap.csv", "overlap.json"];
/// The file that makes a folder a text-to-image model, which `force` may replace, too.
const PIPELINE: &str = "model_index.json";

/// A file or folder to be. Dropped before [`Output::commit`], nothing is left of it.
#[derive(Debug)]
pub struct Output {
    target: PathBuf,
    temp: PathBuf,
    force: bool,
}

impl Output {
    /// Reserves a file.
    ///
    /// # Errors
    /// It exists and `force` is off, or its folder cannot be written to.
    pub fn file(target: &Path, force: bool) -> Result<Self> {
        match fs::symlink_metadata(target) {
            Ok(_) if !force => return Err(Error::Exists(target.into())),
            Ok(m) if m.is_dir() => return Err(Error::file(target, "is a folder, not a file")),
            _ => {}
        }
        let output = Self::beside(target, force)?;
        fs::write(&output.temp, []).map_err(|e| output.refused(e))?;
        Ok(output)
    }

    /// Reserves a folder.
    ///
    /// # Errors
    /// It exists and `force` is off or it holds more than runs, or its parent cannot be written to.
    pub fn folder(target: &Path, force: bool) -> Result<Self> {
        match fs::symlink_metadata(target) {
            Ok(_) if !force => return Err(Error::Exists(target.into())),
            Ok(m) if !m.is_dir() => return Err(Error::file(target, "is a file, not a folder")),
            Ok(_) if !replaceable(target) => {
                let reason = "is not a run folder; --force replaces nothing else";
                return Err(Error::file(target, reason));
            }
            _ => {}
        }
        let output = Self::beside(target, force)?;
        fs::create_dir(&output.temp).map_err(|e| output.refused(e))?;
        Ok(output)
    }

    fn beside(target: &Path, force: bool) -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = target.file_name().ok_or_else(|| {
            Error::argument("out", target.display(), "the name of a new file or folder is needed")
        })?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let temp = format!(".{}.{}-{count}.tmp", name.to_string_lossy(), std::process::id());
        Ok(Self { target: target.into(), temp: target.with_file_name(temp), force })
    }

    fn refused(&self, error: std::io::Error) -> Error {
        let parent = self.target.parent().filter(|p| !p.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let reason = if parent.is_dir() {
            format!("cannot be written ({error}); choose another --out")
        } else {
            format!("cannot be written: there is no folder '{}'", parent.display())
        };
        Error::file(&self.target, reason)
    }

    /// Where to write until [`Output::commit`].
    pub fn path(&self) -> &Path {
        &self.temp
    }

    /// Writes the whole file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(self, bytes: &[u8]) -> Result<()> {
        self.fill(bytes)?;
        self.commit()
    }

    /// Writes the whole file, which [`Output::commit`] gives its name: of files that belong together
    /// none is there before all are written.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn fill(&self, bytes: &[u8]) -> Result<()> {
        fs::write(&self.temp, bytes).map_err(|e| Error::write(&self.target, e))
    }

    /// Gives the output its name; what was there before goes only once this has worked.
    ///
    /// # Errors
    /// It cannot be renamed; what was there before is still there.
    pub fn commit(self) -> Result<()> {
        if !self.force && fs::symlink_metadata(&self.target).is_ok() {
            return Err(Error::Exists(self.target.clone()));
        }
        let failed = |e| Error::write(&self.target, e);
        // A name may reach the disk before the bytes do.
        kept(&self.temp).map_err(failed)?;
        if !self.target.is_dir() {
            return fs::rename(&self.temp, &self.target).map_err(failed);
        }
        let old = self.temp.with_extension("old");
        fs::rename(&self.target, &old).map_err(failed)?;
        if let Err(e) = fs::rename(&self.temp, &self.target) {
            // The old one matters more than a clean message about its return.
            let _ = fs::rename(&old, &self.target);
            return Err(failed(e));
        }
        fs::remove_dir_all(&old).map_err(failed)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // Gone after a commit; after a failure there is nobody left to tell.
        if self.temp.is_dir() {
            let _ = fs::remove_dir_all(&self.temp);
        } else {
            let _ = fs::remove_file(&self.temp);
        }
    }
}

/// Waits until a file, or every file of a folder, is on the disk.
fn kept(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return fs::read_dir(path)?.try_for_each(|entry| kept(&entry?.path()));
    }
    fs::OpenOptions::new().append(true).open(path)?.sync_all()
}

/// Whether a folder is a run or a model, or holds nothing but those.
fn replaceable(folder: &Path) -> bool {
    let is_run = |p: &Path| {
        let kinds: [&[&str]; 3] = [&RUN, &OVERLAP, &[PIPELINE]];
        kinds.iter().any(|kind| kind.iter().all(|f| p.join(f).is_file()))
    };
    is_run(folder)
        || fs::read_dir(folder)
            .is_ok_and(|mut all| all.all(|entry| entry.is_ok_and(|e| is_run(&e.path()))))
}

/// Replaces a file in one step.
///
/// # Errors
/// It cannot be written.
pub fn replace(target: &Path, bytes: &[u8]) -> Result<()> {
    Output::file(target, true)?.write(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("salun-output-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        dir
    }

    #[test]
    fn a_dropped_output_leaves_nothing() {
        let dir = scratch("dropped");
        drop(Output::file(&dir.join("a"), false).unwrap());
        drop(Output::folder(&dir.join("b"), false).unwrap());
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        fs::remove_dir(dir).unwrap();
    }

    #[test]
    fn force_replaces_a_run_folder_and_nothing_else() {
        let dir = scratch("force");
        let run = dir.join("run");
        fs::create_dir(&run).unwrap();
        fs::write(run.join("notes.txt"), "mine").unwrap();
        assert!(matches!(Output::folder(&run, false), Err(Error::Exists(_))));
        assert!(Output::folder(&run, true).is_err());
        RUN.iter().for_each(|f| fs::write(run.join(f), "").unwrap());
        let output = Output::folder(&run, true).unwrap();
        fs::write(output.path().join("new"), "").unwrap();
        output.commit().unwrap();
        let names: Vec<_> = fs::read_dir(&run).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["new"]);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_dir_all(dir).unwrap();
    }
}
