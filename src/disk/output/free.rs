//! The first free of some names.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::carry::listed;
use super::{Output, OutputKind, names, temp};
use crate::error::{Error, Result};

/// Names that are tried.
const MOST: usize = 1000;

/// Tries names like `path` one after another, until `take` finds none with [`Error::Exists`]: `run-1`,
/// `run-2` and on, or, with `bare`, `run`, `run-2` and on. A file keeps its ending.
///
/// # Errors
/// What `take` fails with, or all names are taken.
pub fn first<T>(
    path: &Path,
    kind: OutputKind,
    bare: bool,
    take: impl Fn(&Path) -> Result<T>,
) -> Result<T> {
    let (stem, end) = match kind.folder() {
        true => (path.file_name(), None),
        false => (path.file_stem(), path.extension()),
    };
    let mut taken = Err(Error::Request("there is no name to write to".into()));
    for n in 1..=MOST {
        let mut name = stem.unwrap_or_default().to_owned();
        if n > 1 || !bare {
            name.push(format!("-{n}"));
        }
        if let Some(end) = end {
            name.push(".");
            name.push(end);
        }
        taken = take(&path.with_file_name(name));
        if !matches!(taken, Err(Error::Exists(_))) {
            break;
        }
    }
    taken
}

/// Moves a run folder to a name, or to the first free one that is like it, and says where it is.
///
/// # Errors
/// It cannot be written there; it is still where it was.
pub fn move_free(from: &Path, to: &Path) -> Result<PathBuf> {
    first(to, OutputKind::Run, true, |place| match names::take(from, place) {
        Ok(()) => Ok(place.to_path_buf()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(Error::Exists(place.into())),
        // On another disk.
        Err(e) if e.kind() == ErrorKind::CrossesDevices => {
            let copy = Output::new(place, OutputKind::Run, false)?;
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
