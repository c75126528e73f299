//! The only doors to the file system for weights, recipes and results.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::error::{Error, Result};

/// Overrides where the program keeps data sets, and work that it could not write elsewhere.
pub const VARIABLE: &str = "SALUN_DATA";

/// The program's own folder: `$SALUN_DATA`, or one in the platform's folder for a user's data.
///
/// # Errors
/// The platform names no such folder.
pub fn home() -> Result<PathBuf> {
    let own = std::env::var_os(VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from);
    own.or_else(|| dirs::data_dir().map(|d| d.join("salun"))).ok_or_else(|| {
        Error::Request(format!(
            "this machine has no folder for a user's data; name one with {VARIABLE}"
        ))
    })
}

/// Where finished work goes that cannot be written where it was asked for, the better place first.
pub fn places() -> Vec<PathBuf> {
    let places = home().into_iter().chain([std::env::temp_dir().join(temporary())]);
    places.map(|place| place.join("recovered")).collect()
}

/// The program's folder among the temporary ones, which all users of a machine share.
fn temporary() -> String {
    #[cfg(unix)]
    // SAFETY: asks who runs the program.
    return format!("salun-{}", unsafe { libc::getuid() });
    #[cfg(not(unix))]
    return "salun".into();
}

/// A path with the person's own folder in the place of `~`, which a shell leaves alone within a word.
pub fn expanded(path: &str) -> PathBuf {
    let rest =
        path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with(['/', '\\']));
    match rest.zip(dirs::home_dir()) {
        Some((rest, home)) => home.join(rest.trim_start_matches(['/', '\\'])),
        None => path.into(),
    }
}

/// Largest file that is read.
const MOST: u64 = 4 << 30;

/// A whole file.
///
/// # Errors
/// It cannot be read, is not a regular file, or is larger than 4 GiB.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_at_most(path, MOST)
}

/// A whole file of so many bytes at most.
///
/// # Errors
/// It cannot be read, is not a regular file, or is larger.
pub fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>> {
    if length(path)? > most {
        return Err(Error::file(path, format!("is larger than {} GiB", most >> 30)));
    }
    let bytes = fs::read(path).map_err(|e| Error::file(path, e))?;
    if bytes.len() < 1024 && bytes.starts_with(b"version https://git-lfs") {
        let reason = "is a Git LFS pointer and not the file itself; fetch it with git lfs pull";
        return Err(Error::file(path, reason));
    }
    Ok(bytes)
}

/// A file to be read in parts, of any size.
///
/// # Errors
/// It cannot be opened, or is not a regular file.
pub fn open(path: &Path) -> Result<fs::File> {
    // One that is so small may be something else, which says so.
    if length(path)? < 1024 {
        read(path)?;
    }
    fs::File::open(path).map_err(|e| Error::file(path, e))
}

/// Bytes of a regular file.
fn length(path: &Path) -> Result<u64> {
    let about = fs::metadata(path).map_err(|e| Error::file(path, e))?;
    let regular = about.is_file().then_some(about.len());
    regular.ok_or_else(|| Error::file(path, "is not a regular file"))
}

/// What a file was when it was looked at: its place, its bytes, when it was written.
pub type Stamp = (PathBuf, u64, Option<SystemTime>);

/// A file as it is now; nothing where there is none.
pub fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    Some((path.into(), found.len(), found.modified().ok()))
}

/// The files of a folder and of those in it, or a file, without a look inside; none of what cannot be read.
pub fn stamps(folder: &Path) -> Vec<Stamp> {
    if let Some(file) = fs::metadata(folder).ok().filter(fs::Metadata::is_file) {
        return vec![(folder.into(), file.len(), file.modified().ok())];
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => stamps(&entry.path()),
        _ => stamp(&entry.path()).into_iter().collect(),
    };
    let mut all: Vec<Stamp> = entries.flat_map(of).collect();
    all.sort();
    all
}

/// A whole text file, in UTF-8.
///
/// # Errors
/// As [`read`], or it is not text.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).map_err(|_| Error::file(path, "is not text"))
}
