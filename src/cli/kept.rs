//! What a command that was killed left beside its output: the state that `--resume` goes on from.

use std::{
    fs,
    path::{Path, PathBuf},
};

use salun_studio::error::{Error, Result, ensure};

/// `out` with another ending after its own.
pub fn beside(out: &Path, ending: &str) -> PathBuf {
    // Without a slash at its end.
    let mut name = out.components().as_path().as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Begins anew: refuses to do so over a state, or lets go of it where that is wanted.
///
/// # Errors
/// There is one, or it cannot be removed.
pub fn begin(state: &Path, force: bool) -> Result<()> {
    ensure(force || !state.exists(), || {
        let state = state.display();
        Error::Request(format!(
            "{state} is left from a run that did not end; pass --resume to go on from it or --force to start anew"
        ))
    })?;
    remove(state)
}

/// Removes a state that is no longer needed.
///
/// # Errors
/// It cannot be removed.
pub fn remove(state: &Path) -> Result<()> {
    match fs::remove_file(state) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::write(state, e)),
        _ => Ok(()),
    }
}
