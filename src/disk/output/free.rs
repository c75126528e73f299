//! The first free of some names.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::{Output, OutputKind, carry::listed, names, temp};
use crate::error::{Error, Result};

/// Names that are tried.
const MOST: usize = 1000;

/// Tries names one after another, until `take` finds none with [`Error::Exists`].
///
/// # Errors
/// What `take` fails with, or all names are taken.
pub fn first<T>(
    names: impl Iterator<Item = PathBuf>,
    take: impl Fn(&Path) -> Result<T>,
) -> Result<T> {
    let mut taken = Err(Error::Request("there is no name to write to".into()));
    for name in names.take(MOST) {
        taken = take(&name);
        if !matches!(taken, Err(Error::Exists(_))) {
            break;
        }
    }
    taken
}

/// `stem-1`, `stem-2` and on, each with the ending.
pub fn counted(within: &Path, stem: &str, end: &str) -> impl Iterator<Item = PathBuf> {
    (1..).map(move |n| within.join(format!("{stem}-{n}{end}")))
}

/// `run`, `run-2` and on; a file keeps its ending.
pub fn numbered(path: &Path, kind: OutputKind) -> impl Iterator<Item = PathBuf> {
    let (stem, end) = match kind.folder() {
        true => (path.file_name(), None),
        false => (path.file_stem(), path.extension()),
    };
    let another = move |n: usize| {
        let mut name = stem.unwrap_or_default().to_owned();
        name.push(format!("-{n}"));
        if let Some(end) = end {
            name.push(".");
            name.push(end);
        }
        path.with_file_name(name)
    };
    std::iter::once(path.to_path_buf()).chain((2..).map(another))
}

/// Moves a run folder to a name, or to the first free one that is like it, and says where it is.
///
/// # Errors
/// It cannot be written there; it is still where it was.
pub fn move_free(from: &Path, to: &Path) -> Result<PathBuf> {
    first(numbered(to, OutputKind::Run), |place| match names::take(from, place) {
        Ok(()) => Ok(place.to_path_buf()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(Error::Exists(place.into())),
        // On another disk.
        Err(e) if e.kind() == ErrorKind::CrossesDevices => {
            let copy = Output::folder(place, OutputKind::Run, false)?;
            copied(from, copy.path()).map_err(|e| Error::write(place, e))?;
            let place = copy.done()?;
            temp::remove(from);
            Ok(place)
        }
        Err(e) => Err(Error::write(place, e)),
    })
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
