//! Outputs that are whole or not there: written under temporary names beside theirs, which they get at
//! the end, in one step each. What a person keeps under the same name is never replaced.

mod carry;
mod free;
mod kind;
mod made;
mod names;
mod temp;

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

pub use free::{first, move_free};
pub use kind::{OutputKind, SUMS};
pub use made::Made;
pub use temp::{clear, clear_own};

use super::files;
use crate::error::{Error, Result};
use temp::Temp;

/// Files by their names below a folder.
pub type Files = Vec<(String, Vec<u8>)>;
/// The name of a file that belongs to another, from that one's.
pub type Beside = fn(&Path) -> PathBuf;

/// A file, files that belong together, or a folder to be. Dropped before it is written, nothing is left
/// of it.
#[derive(Debug)]
pub struct Output {
    /// As a person gave it.
    asked: PathBuf,
    force: bool,
    /// First the one that the others belong to.
    parts: Vec<OutputFile>,
    besides: Vec<(OutputKind, Beside)>,
}

/// One of an output's names.
#[derive(Debug)]
struct OutputFile {
    kind: OutputKind,
    target: PathBuf,
    temp: Temp,
}

impl Output {
    /// Reserves a file or a folder.
    ///
    /// # Errors
    /// It exists and `force` is off or it is of another kind, or the folder around it cannot be written to.
    pub fn new(target: &Path, kind: OutputKind, force: bool) -> Result<Self> {
        Self::files(target, kind, &[], force)
    }

    /// Reserves a file and those that belong to it. They get their names so that those that are there
    /// fit each other at any moment: of new ones the file itself is the last; of old ones those beside
    /// it go before it is replaced.
    ///
    /// # Errors
    /// As [`Output::new`] for any of them.
    pub fn files(
        target: &Path,
        kind: OutputKind,
        besides: &[(OutputKind, Beside)],
        force: bool,
    ) -> Result<Self> {
        let main = followed(target)?;
        let mut names = vec![(kind, main.clone())];
        for (kind, name) in besides {
            names.push((*kind, followed(&name(&main))?));
        }
        if fs::symlink_metadata(&main).is_err() && temp::abandoned(&main) {
            // Of an output whose writing was interrupted: the file itself never got its name. What got its
            // own has no temporary one any more.
            for (kind, path) in &names[1..] {
                if !temp::any(path) && path.is_file() && kind.replaces(path).is_ok() {
                    temp::remove(path);
                }
            }
        }
        // The file itself is the last that is reserved.
        names.rotate_left(1);
        let reserve = |(kind, path)| OutputFile::reserve(kind, path, force);
        let mut parts = names.into_iter().map(reserve).collect::<Result<Vec<_>>>()?;
        parts.rotate_right(1);
        Ok(Self { asked: target.into(), force, parts, besides: besides.to_vec() })
    }

    /// Where to write what is too large to be held at once, until [`Output::done`].
    pub fn path(&self) -> &Path {
        &self.parts[0].temp.path
    }

    /// Gives what was written at [`Output::path`] its name.
    ///
    /// # Errors
    /// It cannot be renamed, or another process took the name; what was there is still there.
    pub fn done(self) -> Result<PathBuf> {
        self.commit().map_err(|e| match e.kind() {
            ErrorKind::AlreadyExists => Error::Exists(self.asked.clone()),
            _ => Error::write(&self.asked, e),
        })?;
        Ok(self.asked)
    }

    /// Writes the folder's files and gives it its name, there or nowhere.
    ///
    /// # Errors
    /// As [`Output::done`], or it cannot be written.
    pub fn write_here(self, files: &Files) -> Result<PathBuf> {
        self.fill(std::slice::from_ref(files)).map_err(|e| Error::write(&self.asked, e))?;
        self.done()
    }

    /// Writes the file and those that belong to it, in their order, whole, and gives them their names.
    ///
    /// # Errors
    /// As [`Output::write_folder`].
    pub fn write_files(self, bytes: Vec<Vec<u8>>) -> Result<PathBuf> {
        self.finish(bytes.into_iter().map(|b| vec![(String::new(), b)]).collect())
    }

    /// Writes the folder's files and gives it its name; returns where it is.
    ///
    /// # Errors
    /// It cannot be written or another process took the name: [`Error::Elsewhere`], with the place where
    /// the work went instead, or [`Error::Write`] where there is none. What was there is still there, but
    /// for files beside a replaced one, which go first.
    pub fn write_folder(self, files: Files) -> Result<PathBuf> {
        self.finish(vec![files])
    }

    fn finish(self, contents: Vec<Files>) -> Result<PathBuf> {
        let error = match self.fill(&contents).and_then(|()| self.commit()) {
            Ok(()) => return Ok(self.asked),
            Err(error) => error,
        };
        let reason = match error.kind() {
            ErrorKind::AlreadyExists => "another process wrote it meanwhile".to_string(),
            _ => format!("cannot be written: {error}"),
        };
        let target = &self.parts[0].target;
        let beside = (error.kind() == ErrorKind::AlreadyExists).then(|| target.clone());
        let name = target.file_name().unwrap_or_default();
        let rescued = files::places().into_iter().map(|place| place.join(name));
        for target in beside.into_iter().chain(rescued) {
            if let Ok(place) = self.again(&target, &contents) {
                return Err(Error::Elsewhere { path: self.asked, reason, place });
            }
        }
        Err(Error::write(&self.asked, error))
    }

    /// Writes the same to the first free name that is like `target`.
    fn again(&self, target: &Path, contents: &[Files]) -> Result<PathBuf> {
        let around = target.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(around).map_err(|e| Error::write(target, e))?;
        let kind = self.parts[0].kind;
        first(target, kind, true, |target| {
            let other = Self::files(target, kind, &self.besides, false)?;
            other.fill(contents).map_err(|e| Error::write(target, e))?;
            other.done()
        })
    }

    fn fill(&self, contents: &[Files]) -> io::Result<()> {
        for (part, files) in self.parts.iter().zip(contents) {
            for (name, bytes) in files {
                let at = &part.temp.path;
                let path = if name.is_empty() { at.clone() } else { at.join(name) };
                if let (false, Some(folder)) = (name.is_empty(), path.parent()) {
                    fs::create_dir_all(folder)?;
                }
                fs::write(path, bytes)?;
            }
        }
        Ok(())
    }

    fn commit(&self) -> io::Result<()> {
        // A name may reach the disk before the bytes do.
        self.parts.iter().try_for_each(|part| kept(&part.temp.path))?;
        // Who ends the process waits until all names are given.
        let _names = temp::naming();
        let besides = &self.parts[1..];
        if self.force {
            // What was there when the names were reserved may be something else by now.
            for part in self.parts.iter().filter(|p| fs::symlink_metadata(&p.target).is_ok()) {
                part.kind.replaces(&part.target).map_err(io::Error::other)?;
            }
            for part in besides {
                match fs::remove_file(&part.target) {
                    Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                    _ => {}
                }
            }
            return self.parts.iter().try_for_each(OutputFile::replace);
        }
        for (at, part) in besides.iter().chain(&self.parts[..1]).enumerate() {
            if let Err(error) = names::take(&part.temp.path, &part.target) {
                for taken in &besides[..at] {
                    // Under its temporary name it is written again, elsewhere.
                    let _ = fs::rename(&taken.target, &taken.temp.path);
                }
                return Err(error);
            }
        }
        Ok(())
    }
}

impl OutputFile {
    fn reserve(kind: OutputKind, target: PathBuf, force: bool) -> Result<Self> {
        clear(&target);
        match fs::symlink_metadata(&target) {
            Ok(_) if force => kind.replaces(&target)?,
            Ok(_) => return Err(Error::Exists(target)),
            Err(_) => {}
        }
        let temp = Temp::new(&target, kind.folder()).map_err(|e| refused(&target, e))?;
        Ok(Self { kind, target, temp })
    }

    /// Gives it its name, in place of what has it.
    fn replace(&self) -> io::Result<()> {
        let (temp, target) = (&self.temp.path, &self.target);
        if !self.kind.folder() {
            return fs::rename(temp, target);
        }
        match names::take(temp, target) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            outcome => return outcome,
        }
        self.kind.replaces(target).map_err(io::Error::other)?;
        carry::over(self.kind, target, temp)?;
        // The old one is then the temporary one, which goes when this is dropped.
        names::exchange(temp, target, &self.temp.aside())
    }
}

/// Where a path leads, through symbolic links: an output is written through them.
///
/// # Errors
/// It has no name of its own (`.`), or the links go round.
fn followed(path: &Path) -> Result<PathBuf> {
    let mut at = path.to_path_buf();
    for _ in 0..40 {
        if at.file_name().is_none() {
            let right = "the name of a new file or folder is needed";
            return Err(Error::argument("out", path.display(), right));
        }
        match fs::read_link(&at) {
            Ok(to) => at = at.parent().unwrap_or(Path::new("")).join(to),
            Err(_) => return Ok(at),
        }
    }
    Err(Error::file(path, "is a symbolic link that goes round"))
}

fn refused(target: &Path, error: io::Error) -> Error {
    let parent = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let reason = if parent.is_dir() {
        format!("cannot be written ({error}); choose another --out")
    } else {
        format!("cannot be written: there is no folder '{}'", parent.display())
    };
    Error::file(target, reason)
}

/// Waits until a file, or every file of a folder, is on the disk.
fn kept(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return fs::read_dir(path)?.try_for_each(|entry| kept(&entry?.path()));
    }
    OpenOptions::new().append(true).open(path)?.sync_all()
}

/// Replaces a file of the program's own in one step.
///
/// # Errors
/// It cannot be written.
pub fn replace(target: &Path, bytes: &[u8]) -> Result<()> {
    replace_by(target, |path| fs::write(path, bytes).map_err(|e| Error::write(target, e)))
}

/// Replaces a file of the program's own in one step by one that is written piece by piece.
///
/// # Errors
/// Those of `write`, or it cannot take the place of what was there.
pub fn replace_by(target: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let part = OutputFile::reserve(OutputKind::Own, target.into(), true)?;
    write(&part.temp.path)?;
    let whole = kept(&part.temp.path).and_then(|()| part.replace());
    whole.map_err(|e| Error::write(target, e))
}
