//! What takes long to make, kept by a hash of what it was made of in the program's own folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::files;
use crate::error::{Error, Result};

/// Pictures that models drew of prompts.
pub const MADE: &str = "made";

/// Where one thing of a kind lies.
///
/// # Errors
/// The platform names no folder for a user's data.
fn place(kind: &str, key: &str) -> Result<PathBuf> {
    Ok(files::home()?.join(kind).join(key))
}

/// What is kept under a key, if it has so many bytes.
pub fn read(kind: &str, key: &str, bytes: usize) -> Option<Vec<u8>> {
    let kept = fs::read(place(kind, key).ok()?).ok()?;
    (kept.len() == bytes).then_some(kept)
}

/// Keeps something under a key, whole or not at all.
///
/// # Errors
/// There is no such folder, or it cannot be written to.
pub fn write(kind: &str, key: &str, bytes: &[u8]) -> Result<()> {
    let path = place(kind, key)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let half = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&half, bytes))
        .and_then(|()| fs::rename(&half, &path));
    written.map_err(|e| {
        let _ = fs::remove_file(&half);
        Error::write(path, e)
    })
}

/// Bytes that a kind takes.
pub fn bytes(kind: &str) -> u64 {
    let Ok(folder) = files::home().map(|home| home.join(kind)) else { return 0 };
    files::stamps(&folder).iter().map(|(_, bytes, _)| bytes).sum()
}

/// Removes all that is kept of a kind.
///
/// # Errors
/// It cannot be removed.
pub fn clear(kind: &str) -> Result<()> {
    let folder = files::home()?.join(kind);
    match fs::remove_dir_all(&folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::write(folder, e)),
        _ => Ok(()),
    }
}
