//! Temporary names beside an output. Each is locked by the process that writes it, so that what a dead
//! process left can be told from what a living one is writing, whatever their numbers are.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A file or folder under a temporary name, removed when dropped.
#[derive(Debug)]
pub struct Temp {
    pub path: PathBuf,
    /// Held as long as this process lives; `None` where a folder cannot be locked.
    _lock: Option<File>,
}

/// How a temporary name ends: what is written, and what it replaces, where two names cannot be
/// exchanged in one step.
const NEW: &str = "tmp";
const OLD: &str = "old";

impl Temp {
    /// A new, empty file or folder beside `target`.
    ///
    /// # Errors
    /// The folder around it cannot be written to.
    pub fn new(target: &Path, folder: bool) -> io::Result<Self> {
        for count in 0u32.. {
            let path = beside(target, &format!("{}-{count}", std::process::id()), NEW);
            let made = match folder {
                true => fs::create_dir(&path).map(|()| File::open(&path).ok()),
                false => OpenOptions::new().write(true).create_new(true).open(&path).map(Some),
            };
            let lock = match made {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
                made => made?,
            };
            // Between the two steps another process may have taken it for left behind.
            let held = lock.as_ref().is_none_or(hold);
            if held && path.exists() {
                own().push(path.clone());
                return Ok(Self { path, _lock: lock });
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// Where what it replaces goes, where two names cannot be exchanged in one step.
    pub fn aside(&self) -> PathBuf {
        self.path.with_extension(OLD)
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        remove(&self.path);
        own().retain(|path| *path != self.path);
    }
}

/// The temporary names of this process.
fn own() -> MutexGuard<'static, Vec<PathBuf>> {
    static OWN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Held while names are given.
pub fn naming() -> MutexGuard<'static, ()> {
    static NAMING: Mutex<()> = Mutex::new(());
    NAMING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what this process is writing, which is about to end; not between two names of one output.
pub fn clear_own() {
    std::mem::forget(naming());
    own().drain(..).for_each(|path| remove(&path));
}

/// Removes a file or a folder; after a failure there is nobody left to tell.
pub fn remove(path: &Path) {
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

/// `.NAME.MIDDLE.END` in the folder of `target`.
fn beside(target: &Path, middle: &str, end: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".{middle}.{end}"));
    target.with_file_name(name)
}

/// Holds a file of this process's own; `false` where another process does.
#[cfg(not(windows))]
fn hold(file: &File) -> bool {
    !matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock))
}

/// A file that no process holds; where that cannot be told there is none.
#[cfg(not(windows))]
fn unheld(path: &Path) -> Option<File> {
    File::open(path).ok().filter(|file| file.try_lock().is_ok())
}

/// A lock would keep this process itself from writing: that the file is open says enough.
#[cfg(windows)]
fn hold(_: &File) -> bool {
    true
}

/// A file that no process has open.
#[cfg(windows)]
fn unheld(path: &Path) -> Option<File> {
    use std::os::windows::fs::OpenOptionsExt;
    const FILE_SHARE_DELETE: u32 = 4;
    OpenOptions::new().read(true).share_mode(FILE_SHARE_DELETE).open(path).ok()
}

/// Whether dead processes left something beside `target`, and no living one is writing it.
pub fn abandoned(target: &Path) -> bool {
    let left = left(target);
    !left.is_empty() && left.iter().all(|(path, _)| unheld(path).is_some())
}

/// Whether anything has a temporary name beside `target`.
pub fn any(target: &Path) -> bool {
    !left(target).is_empty()
}

/// Clears what dead processes left beside `target`: what they were writing goes; what they had put
/// aside comes back where nothing has its name.
pub fn clear(target: &Path) {
    for (path, end) in left(target) {
        let Some(_lock) = unheld(&path) else { continue };
        if end == OLD && fs::symlink_metadata(target).is_err() {
            let _ = fs::rename(&path, target);
        } else {
            remove(&path);
        }
    }
}

/// The temporary names beside `target`, with their endings.
fn left(target: &Path) -> Vec<(PathBuf, &'static str)> {
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let Some(name) = target.file_name() else { return Vec::new() };
    let all = fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = |entry: fs::DirEntry| {
        let end = ending(&entry.file_name(), name)?;
        Some((target.with_file_name(entry.file_name()), end))
    };
    all.filter_map(ours).collect()
}

/// How a temporary name for `name` ends; `None` of any other name.
fn ending(temp: &OsStr, name: &OsStr) -> Option<&'static str> {
    let rest = temp.as_encoded_bytes().strip_prefix(b".")?.strip_prefix(name.as_encoded_bytes())?;
    let mut parts = std::str::from_utf8(rest).ok()?.strip_prefix('.')?.split('.');
    let (middle, end) = (parts.next()?, parts.next()?);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let numbered = middle.split_once('-').is_some_and(|(a, b)| digits(a) && digits(b));
    let end = [NEW, OLD].into_iter().find(|e| *e == end)?;
    (numbered && parts.next().is_none()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_temporary_names_are_taken_for_such() {
        let is = |temp: &str| ending(temp.as_ref(), "own.safetensors".as_ref());
        assert_eq!(is(".own.safetensors.17-0.tmp"), Some(NEW));
        assert_eq!(is(".own.safetensors.17-0.old"), Some(OLD));
        for other in [
            "own.safetensors",
            ".own.safetensors.tmp",
            ".own.safetensors.notes.tmp",
            ".own.safetensors.17-0.tmp.tmp",
            ".other.safetensors.17-0.tmp",
            ".own.safetensors.17-0.bak",
        ] {
            assert_eq!(is(other), None, "{other}");
        }
    }
}
