//! Outputs that are whole or not there: written under temporary names beside theirs, which they get at
//! the end, in one step each. What a person keeps under the same name is never replaced.

mod kind;
mod names;
mod temp;

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

pub use kind::{Kind, SUMS};
use temp::Temp;
pub use temp::{clear, clear_own};

use super::files;
use crate::error::{Error, Result};

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
    /// The one that the others belong to.
    main: Part,
    besides: Vec<(Part, Beside)>,
}

/// One of an output's names.
#[derive(Debug)]
struct Part {
    kind: Kind,
    target: PathBuf,
    temp: Temp,
}

impl Output {
    /// Reserves a file.
    ///
    /// # Errors
    /// It exists and `force` is off or it is of another kind, or its folder cannot be written to.
    pub fn file(target: &Path, kind: Kind, force: bool) -> Result<Self> {
        Self::files(target, kind, &[], force)
    }

    /// Reserves a file and those that belong to it. They get their names so that those that are there
    /// fit each other at any moment: of new ones the file itself is the last; of old ones those beside
    /// it go before it is replaced.
    ///
    /// # Errors
    /// As [`Output::file`] for any of them.
    pub fn files(
        target: &Path,
        kind: Kind,
        besides: &[(Kind, Beside)],
        force: bool,
    ) -> Result<Self> {
        let main = followed(target)?;
        let beside = |(kind, name): &(Kind, Beside)| Ok((*kind, followed(&name(&main))?, *name));
        let besides = besides.iter().map(beside).collect::<Result<Vec<_>>>()?;
        if fs::symlink_metadata(&main).is_err() && temp::abandoned(&main) {
            // Of an output whose writing was interrupted: the file itself never got its name. What got its
            // own has no temporary one any more.
            for (kind, path, _) in &besides {
                if !temp::any(path) && path.is_file() && kind.replaces(path).is_ok() {
                    temp::remove(path);
                }
            }
        }
        let besides = besides
            .into_iter()
            .map(|(kind, path, name)| Ok((Part::reserve(kind, path, force)?, name)));
        let besides = besides.collect::<Result<_>>()?;
        let main = Part::reserve(kind, main, force)?;
        Ok(Self { asked: target.into(), force, main, besides })
    }

    /// Reserves a folder.
    ///
    /// # Errors
    /// It exists and `force` is off or it is of another kind, or its parent cannot be written to.
    pub fn folder(target: &Path, kind: Kind, force: bool) -> Result<Self> {
        Self::files(target, kind, &[], force)
    }

    /// Where to write what is too large to be held at once, until [`Output::done`].
    pub fn path(&self) -> &Path {
        &self.main.temp.path
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
    pub fn write_here(self, files: Files) -> Result<PathBuf> {
        self.fill(&[files]).map_err(|e| Error::write(&self.asked, e))?;
        self.done()
    }

    /// Writes the whole file and gives it its name.
    ///
    /// # Errors
    /// As [`Output::write_folder`].
    pub fn write(self, bytes: Vec<u8>) -> Result<PathBuf> {
        self.finish(vec![vec![(String::new(), bytes)]])
    }

    /// Writes the file and those that belong to it, in their order.
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
        let beside = (error.kind() == ErrorKind::AlreadyExists).then(|| self.main.target.clone());
        let name = self.main.target.file_name().unwrap_or_default();
        let rescued = files::places().into_iter().map(|place| place.join(name));
        for target in beside.into_iter().chain(rescued) {
            if let Ok(place) = self.again(&target, &contents) {
                return Err(Error::Elsewhere { path: self.asked, reason, place });
            }
        }
        Err(Error::write(&self.asked, error))
    }

    /// Writes the same to the first free name that is like `target`: `run`, `run-2`, `run-3`.
    fn again(&self, target: &Path, contents: &[Files]) -> io::Result<PathBuf> {
        fs::create_dir_all(target.parent().unwrap_or(Path::new(".")))?;
        let besides: Vec<_> = self.besides.iter().map(|(part, name)| (part.kind, *name)).collect();
        for n in 1..1000 {
            let target = numbered(target, n, self.main.kind.folder());
            let other = match Self::files(&target, self.main.kind, &besides, false) {
                Ok(other) => other,
                Err(Error::Exists(_)) => continue,
                Err(error) => return Err(io::Error::other(error)),
            };
            match other.fill(contents).and_then(|()| other.commit()) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                outcome => return outcome.map(|()| target),
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.main).chain(self.besides.iter().map(|(part, _)| part))
    }

    fn fill(&self, contents: &[Files]) -> io::Result<()> {
        for (part, files) in self.parts().zip(contents) {
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
        self.parts().try_for_each(|part| kept(&part.temp.path))?;
        // Who ends the process waits until all names are given.
        let _names = temp::naming();
        let besides = || self.besides.iter().map(|(part, _)| part);
        if self.force {
            // What was there when the names were reserved may be something else by now.
            for part in self.parts().filter(|p| fs::symlink_metadata(&p.target).is_ok()) {
                part.kind.replaces(&part.target).map_err(io::Error::other)?;
            }
            for part in besides() {
                match fs::remove_file(&part.target) {
                    Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                    _ => {}
                }
            }
            self.main.replace()?;
            return besides().try_for_each(Part::replace);
        }
        for (at, part) in besides().chain([&self.main]).enumerate() {
            if let Err(error) = names::take(&part.temp.path, &part.target) {
                for taken in besides().take(at) {
                    // Under its temporary name it is written again, elsewhere.
                    let _ = fs::rename(&taken.target, &taken.temp.path);
                }
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Part {
    fn reserve(kind: Kind, target: PathBuf, force: bool) -> Result<Self> {
        temp::clear(&target);
        match fs::symlink_metadata(&target) {
            Ok(_) if force => kind.replaces(&target)?,
            Ok(_) => return Err(Error::Exists(target)),
            Err(_) => {}
        }
        let make = if kind.folder() { Temp::folder } else { Temp::file };
        let temp = make(&target).map_err(|e| refused(&target, e))?;
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
        carry(self.kind, target, temp)?;
        // The old one is then the temporary one, which goes when this is dropped.
        names::exchange(temp, target, &self.temp.aside())
    }
}

/// Takes over into a new folder what is in the old one and is not of what commands write there.
fn carry(kind: Kind, old: &Path, new: &Path) -> io::Result<()> {
    // A run of the demo that was not made again stays whole.
    let made: Vec<_> = listed(new)?.into_iter().map(|(name, _)| name).collect();
    let again = |name: &Path| kind != Kind::Demo || made.iter().any(|m| name.starts_with(m));
    let mut folders = vec![PathBuf::new()];
    while let Some(within) = folders.pop() {
        for (name, folder) in listed(&old.join(&within))? {
            let name = within.join(name);
            if folder {
                folders.push(name);
            } else if !(kind.writes(&name) && again(&name)) {
                let to = new.join(&name);
                if let Some(folder) = to.parent() {
                    fs::create_dir_all(folder)?;
                }
                copy(&old.join(&name), &to)?;
            }
        }
    }
    Ok(())
}

/// The names in a folder, and which of them are folders.
fn listed(folder: &Path) -> io::Result<Vec<(OsString, bool)>> {
    let entry = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name(), entry.file_type()?.is_dir()))
    };
    fs::read_dir(folder)?.map(entry).collect()
}

/// A second name for a file, or a copy where there can be none.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            let reason = format!("'{}' is in the way", from.display());
            return Err(io::Error::new(ErrorKind::InvalidInput, reason));
        }
        Err(_) => {}
    }
    #[cfg(unix)]
    if fs::symlink_metadata(from)?.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    fs::copy(from, to).map(drop)
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

/// `run` for 1, then `run-2`; a file keeps its ending.
fn numbered(path: &Path, n: usize, folder: bool) -> PathBuf {
    if n == 1 {
        return path.into();
    }
    let (stem, end) =
        if folder { (path.file_name(), None) } else { (path.file_stem(), path.extension()) };
    let mut name = stem.unwrap_or_default().to_owned();
    name.push(format!("-{n}"));
    if let Some(end) = end {
        name.push(".");
        name.push(end);
    }
    path.with_file_name(name)
}

/// Waits until a file, or every file of a folder, is on the disk.
fn kept(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return fs::read_dir(path)?.try_for_each(|entry| kept(&entry?.path()));
    }
    OpenOptions::new().append(true).open(path)?.sync_all()
}

/// Folders that were made for an output; those that stay empty go when this is dropped.
#[derive(Debug)]
pub struct Made(Vec<PathBuf>);

impl Made {
    /// Makes a folder, and those around it that are not there.
    ///
    /// # Errors
    /// One of them cannot be made.
    pub fn folders(path: &Path) -> Result<Self> {
        let missing = path.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists());
        let made = Self(missing.map(Path::to_path_buf).collect());
        fs::create_dir_all(path).map_err(|e| Error::file(path, format!("cannot be made ({e})")))?;
        Ok(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // Only an empty folder can be removed so.
        self.0.iter().take_while(|path| fs::remove_dir(path).is_ok()).count();
    }
}

/// The first free name in a folder: `stem-1`, `stem-2`, each with the ending.
pub fn free(within: &Path, stem: &str, end: &str) -> PathBuf {
    let mut places = (1..).map(|n| within.join(format!("{stem}-{n}{end}")));
    places.find(|p| fs::symlink_metadata(p).is_err()).unwrap_or_else(|| within.join(stem))
}

/// Moves a folder to a name, or to the first free one that is like it, and says where it is.
///
/// # Errors
/// It cannot be written there; it is still where it was.
pub fn move_free(from: &Path, to: &Path) -> Result<PathBuf> {
    for n in 1..1000 {
        let place = numbered(to, n, true);
        match names::take(from, &place) {
            Ok(()) => return Ok(place),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            // On another disk.
            Err(e) if e.kind() == ErrorKind::CrossesDevices => {
                let copy = match Output::folder(&place, Kind::Run, false) {
                    Err(Error::Exists(_)) => continue,
                    copy => copy?,
                };
                copied(from, copy.path()).map_err(|e| Error::write(&place, e))?;
                match copy.done() {
                    Err(Error::Exists(_)) => continue,
                    done => done?,
                };
                temp::remove(from);
                return Ok(place);
            }
            Err(e) => return Err(Error::write(&place, e)),
        }
    }
    Err(Error::Exists(to.into()))
}

/// Copies what is in a folder into another.
fn copied(from: &Path, to: &Path) -> io::Result<()> {
    for (name, folder) in listed(from)? {
        let (from, to) = (from.join(&name), to.join(&name));
        if folder {
            fs::create_dir_all(&to)?;
            copied(&from, &to)?;
        } else {
            fs::copy(from, to)?;
        }
    }
    Ok(())
}

/// Replaces a file of the program's own in one step.
///
/// # Errors
/// It cannot be written.
pub fn replace(target: &Path, bytes: &[u8]) -> Result<()> {
    let part = Part::reserve(Kind::Own, target.into(), true)?;
    let written = fs::write(&part.temp.path, bytes).and_then(|()| kept(&part.temp.path));
    written.and_then(|()| part.replace()).map_err(|e| Error::write(target, e))
}
